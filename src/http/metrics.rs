//! Numbers for dashboards (`missions.md` 12).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::Time;
use taffrail_projections::{MissionMetrics, Series, SeriesQuery};

use super::answer::Told;
use super::caller::Member;
use super::gate::ReadMissions;
use super::problem::Problem;
use super::query::{Query, Word};
use super::time::Seconds;

/// Which series.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct SeriesWords {
    /// `issues_closed`, `cost_usd`, `runs_count` or `active_missions`; required.
    metric: Word,
    /// `24h` (the default), `7d` or `30d`.
    window: Word,
    /// `15m`, `1h` (the default) or `1d`.
    bucket: Word,
    /// `none` (the default), `crew`, `model` or `status`.
    group_by: Word,
}

/// A metric over time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Series")]
pub(super) struct SeriesView {
    metric: &'static str,
    window: &'static str,
    bucket: &'static str,
    group_by: &'static str,
    /// Oldest first; the last holds now.
    buckets: Vec<BucketView>,
    /// What people call each key.
    series_labels: BTreeMap<String, String>,
}

/// One step.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Bucket")]
struct BucketView {
    ts: Seconds,
    series: BTreeMap<String, f64>,
}

/// `GET /api/v1/mission-metrics`
pub(super) async fn get_mission_metrics(member: Member<ReadMissions>) -> Told<MissionMetrics> {
    let world = member.world();
    Told::new(&world.metrics.at(member.now(), &world.state, &world.board))
}

/// `GET /api/v1/metrics/timeseries`
pub(super) async fn get_timeseries(
    member: Member<ReadMissions>,
    Query(words): Query<SeriesWords>,
) -> Result<Told<SeriesView>, Problem> {
    let (metric, window) = (words.metric.get(), words.window.get());
    let query = SeriesQuery::parse(metric, window, words.bucket.get(), words.group_by.get())?;
    let (world, now) = (member.world(), member.now());
    let Series { metric, window, bucket, group_by, buckets, series_labels } =
        super::journal::scan(&world, move |world| query.of(world, now)).await?;
    let buckets = buckets.into_iter();
    let buckets = buckets
        .map(|bucket| BucketView { ts: Seconds(Time(bucket.starts_at)), series: bucket.series })
        .collect();
    Ok(Told::new(&SeriesView { metric, window, bucket, group_by, buckets, series_labels }))
}
