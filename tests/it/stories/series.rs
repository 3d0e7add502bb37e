//! Metrics over time (`missions.md` 12.2).

use std::collections::BTreeMap;

use taffrail_domain::mission::{MissionUpdated, Status, TaskStatus};
use taffrail_domain::roster::Role;
use taffrail_domain::{Draft, Face, Time};
use taffrail_projections::{Series, SeriesQuery};

use super::kit::{CREW, member};
use super::metrics::Story;

const HOUR_MS: u64 = 60 * 60 * 1_000;
/// A full hour; the last of 24 buckets begins here.
const NOW: u64 = 10_000 * HOUR_MS;
const LAST: usize = 23;

fn series(story: &Story, metric: &str, group_by: &str) -> Series {
    let query = SeriesQuery::parse(Some(metric), None, None, Some(group_by)).expect("it is one");
    query.of(&story.world, Time(NOW))
}

/// What is not empty or zero: bucket, key and value.
fn values(series: &Series) -> Vec<(usize, &str, f64)> {
    let buckets = series.buckets.iter().enumerate();
    let values = buckets.flat_map(|(index, bucket)| {
        bucket.series.iter().map(move |(key, value)| (index, key.as_str(), *value))
    });
    values.filter(|(.., value)| *value != 0.0).collect()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, label)| ((*key).to_owned(), (*label).to_owned())).collect()
}

/// A run begins, of this trace, in this crew.
fn run(story: &mut Story, time: u64, trace: Option<&str>, crew: Option<&str>) {
    let face = Face {
        trace_id: trace.map(Into::into),
        crew_id: crew.map(Into::into),
        ..Face::new("run.started", &member(Role::Owner), "run", "started")
    };
    story.fold_at(time, Draft { subject: "run".into(), event: None, face: Some(face) });
}

#[test]
fn without_a_group_every_bucket_has_a_total() {
    for metric in ["issues_closed", "cost_usd", "runs_count", "active_missions"] {
        let series = series(&Story::begin(), metric, "none");
        assert!(series.buckets.iter().all(|bucket| bucket.series.get("total") == Some(&0.0)), "{metric}");
        assert_eq!(series.series_labels, labels(&[("total", "Total")]));
    }
}

#[test]
fn a_group_without_values_has_no_keys_and_no_labels() {
    for (metric, group_by) in [
        ("issues_closed", "crew"),
        ("issues_closed", "status"),
        ("cost_usd", "model"),
        ("runs_count", "crew"),
        ("active_missions", "status"),
    ] {
        let series = series(&Story::begin(), metric, group_by);
        assert!(series.buckets.iter().all(|bucket| bucket.series.is_empty()), "{metric}");
        assert!(series.series_labels.is_empty(), "{metric}");
    }
}

#[test]
fn a_missions_cost_counts_when_the_mission_last_changed() {
    let mut story = Story::begin();
    story.mission(NOW - 30 * HOUR_MS, "old");
    story.task(NOW - 30 * HOUR_MS, "old", TaskStatus::Completed, (None, Some(8.0)));
    story.mission(NOW - 5 * HOUR_MS, "a");
    story.task(NOW - 5 * HOUR_MS, "a", TaskStatus::Completed, (None, Some(0.5)));
    story.mission(NOW - 4 * HOUR_MS - 1, "b");
    story.task(NOW - 4 * HOUR_MS - 1, "b", TaskStatus::InProgress, (None, Some(0.25)));
    story.mission(NOW - HOUR_MS, "free");
    let found = series(&story, "cost_usd", "none");
    assert_eq!(values(&found), [(LAST - 5, "total", 0.75)]);
    let found = series(&story, "cost_usd", "model");
    assert_eq!(values(&found), [(LAST - 5, "unknown", 0.75)]);
    assert_eq!(found.series_labels, labels(&[("unknown", "unknown")]));
    story.happens(NOW, "old", MissionUpdated { title: Some("New".into()), ..MissionUpdated::default() });
    let found = series(&story, "cost_usd", "none");
    assert_eq!(values(&found), [(LAST - 5, "total", 0.75), (LAST, "total", 8.0)]);
}

#[test]
fn a_run_counts_once_by_its_start_and_only_if_it_has_a_trace() {
    let mut story = Story::begin();
    run(&mut story, NOW - 24 * HOUR_MS, Some("too-old"), Some(CREW));
    run(&mut story, NOW - 3 * HOUR_MS, Some("a"), Some(CREW));
    run(&mut story, NOW - 2 * HOUR_MS, Some("a"), Some(CREW));
    run(&mut story, NOW - 2 * HOUR_MS, Some("b"), None);
    for crew in [Some(CREW), None] {
        run(&mut story, NOW - HOUR_MS, None, crew);
        run(&mut story, NOW - HOUR_MS, Some(""), crew);
    }
    run(&mut story, NOW, Some("c"), Some("nowhere"));
    let found = series(&story, "runs_count", "none");
    let totals = [(LAST - 3, "total", 1.0), (LAST - 2, "total", 1.0), (LAST, "total", 1.0)];
    assert_eq!(values(&found), totals);
    let found = series(&story, "runs_count", "crew");
    let by_crew = [(LAST - 3, CREW, 1.0), (LAST - 2, "unknown", 1.0), (LAST, "nowhere", 1.0)];
    assert_eq!(values(&found), by_crew);
    let names = [(CREW, "Platform"), ("unknown", "unknown"), ("nowhere", "unknown")];
    assert_eq!(found.series_labels, labels(&names));
}

#[test]
fn a_mission_is_active_in_every_bucket_at_whose_end_it_lives() {
    let mut story = Story::begin();
    story.mission(NOW - 40 * HOUR_MS, "long-gone");
    story.moves(NOW - 39 * HOUR_MS, "long-gone", Status::Cancelled);
    story.mission(NOW - 40 * HOUR_MS, "ended");
    story.mission(NOW - 2 * HOUR_MS, "young");
    story.moves(NOW - 2 * HOUR_MS, "young", Status::InProgress);
    story.moves(NOW - HOUR_MS, "ended", Status::Failed);
    story.mission(NOW, "brief");
    story.moves(NOW, "brief", Status::Completed);
    let found = series(&story, "active_missions", "none");
    let totals: Vec<f64> = found.buckets.iter().map(|bucket| bucket.series["total"]).collect();
    assert_eq!(totals[..LAST - 2], [1.0; LAST - 2]);
    assert_eq!(totals[LAST - 2..], [2.0, 1.0, 1.0]);
    let found = series(&story, "active_missions", "status");
    let of = |key: &str| values(&found).into_iter().filter(|(_, it, _)| *it == key).count();
    assert_eq!((of("FAILED"), of("IN_PROGRESS")), (LAST - 1, 3));
    // Those that were gone before, or lived within a bucket, give no key.
    let words = [("FAILED", "FAILED"), ("IN_PROGRESS", "IN_PROGRESS")];
    assert_eq!(found.series_labels, labels(&words));
}

#[test]
fn a_restarted_mission_is_active_again() {
    let mut story = Story::begin();
    story.mission(NOW - 3 * HOUR_MS, "m");
    story.moves(NOW - 2 * HOUR_MS, "m", Status::Failed);
    assert_eq!(values(&series(&story, "active_missions", "none")), [(LAST - 3, "total", 1.0)]);
    story.moves(NOW, "m", Status::Planning);
    assert_eq!(values(&series(&story, "active_missions", "none")).len(), 4, "since it was created");
}
