//! Time series for dashboards (`missions.md` 12.2): a metric over equal buckets of the recent past.

use std::collections::{BTreeMap, HashSet};

use taffrail_domain::issue::IssueStatus;
use taffrail_domain::mission::Mission;
use taffrail_domain::{Rejection, Time};

use crate::{IssueFilter, IssueOrder, Wanted, WorkspaceWorld};

const MINUTE_MS: u64 = 60_000;
const BUCKETS_MAX: u64 = 200;
/// The key of a metric that is not grouped.
const TOTAL: &str = "total";
const UNKNOWN: &str = "unknown";

/// What is measured, over which time, in which steps, by what: valid once made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    metric: &'static str,
    window: (&'static str, u64),
    bucket: (&'static str, u64),
    group_by: &'static str,
}

/// A metric over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What is measured.
    pub metric: &'static str,
    /// Over which time.
    pub window: &'static str,
    /// In which steps.
    pub bucket: &'static str,
    /// By what.
    pub group_by: &'static str,
    /// Oldest first; the last holds now.
    pub buckets: Vec<Bucket>,
    /// What people call each key.
    pub series_labels: BTreeMap<String, String>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bucket {
    /// When it begins, ms since the Unix epoch.
    pub starts_at: u64,
    /// Values by key; empty if there is nothing to tell.
    pub series: BTreeMap<String, f64>,
}

const METRICS: [&str; 4] = ["issues_closed", "cost_usd", "runs_count", "active_missions"];
const WINDOWS: [(&str, u64); 3] =
    [("24h", 24 * 60 * MINUTE_MS), ("7d", 7 * 24 * 60 * MINUTE_MS), ("30d", 30 * 24 * 60 * MINUTE_MS)];
const BUCKETS: [(&str, u64); 3] =
    [("15m", 15 * MINUTE_MS), ("1h", 60 * MINUTE_MS), ("1d", 24 * 60 * MINUTE_MS)];
const GROUPS: [&str; 4] = ["crew", "model", "status", "none"];

impl SeriesQuery {
    /// Reads the words of a query.
    ///
    /// # Errors
    /// The first word that is none, in the order of the spec, then what does not go together.
    pub fn parse(
        metric: Option<&str>,
        window: Option<&str>,
        bucket: Option<&str>,
        group_by: Option<&str>,
    ) -> Result<Self, Rejection> {
        let metric = word("metric", metric.unwrap_or_default(), METRICS.map(|name| (name, 0)))?.0;
        let window = word("window", window.unwrap_or("24h"), WINDOWS)?;
        let bucket = word("bucket", bucket.unwrap_or("1h"), BUCKETS)?;
        let group_by = word("group_by", group_by.unwrap_or("none"), GROUPS.map(|name| (name, 0)))?.0;
        if bucket.1 >= window.1 {
            return Err(invalid(format!("bucket {} is too large for window {}", bucket.0, window.0)));
        }
        let count = window.1 / bucket.1;
        if count > BUCKETS_MAX {
            return Err(invalid(format!(
                "bucket {} against window {} would produce {count} buckets (max {BUCKETS_MAX})",
                bucket.0, window.0
            )));
        }
        let valid_for: &[&str] = match group_by {
            "model" => &["cost_usd"],
            "crew" => &["issues_closed", "runs_count"],
            "status" => &["issues_closed", "active_missions"],
            _ => &METRICS,
        };
        if !valid_for.contains(&metric) {
            let metrics = valid_for.join(" or ");
            return Err(invalid(format!("group_by={group_by} is only valid for metric={metrics}")));
        }
        Ok(Self { metric, window, bucket, group_by })
    }

    /// The series at `now`.
    #[must_use]
    pub fn of(&self, world: &WorkspaceWorld, now: Time) -> Series {
        let step = self.bucket.1;
        let count = self.window.1 / step;
        let last = now.0 / step * step;
        let first = last.saturating_sub((count - 1) * step);
        let starts = (0..count).map(|index| first + index * step);
        let bucket = |starts_at| Bucket { starts_at, ..Bucket::default() };
        let mut series = Series {
            metric: self.metric,
            window: self.window.0,
            bucket: self.bucket.0,
            group_by: self.group_by,
            buckets: starts.map(bucket).collect(),
            series_labels: BTreeMap::new(),
        };
        match self.metric {
            "cost_usd" => self.costs(world, &mut series),
            "runs_count" => self.runs(world, &mut series),
            "active_missions" => self.active(world, &mut series),
            _ => self.closed(world, &mut series),
        }
        if self.group_by == "none" {
            series.series_labels.insert(TOTAL.into(), "Total".into());
            for bucket in &mut series.buckets {
                bucket.series.entry(TOTAL.into()).or_insert(0.0);
            }
        }
        series
    }

    /// Issues that were done, by when. What was done since then has changed since then.
    fn closed(&self, world: &WorkspaceWorld, series: &mut Series) {
        let since = series.buckets.first().map_or(0, |bucket| bucket.starts_at);
        let filter = IssueFilter {
            statuses: Wanted::any_of([Some(IssueStatus::Done)]),
            updated_since: Some(Time(since)),
            ..IssueFilter::default()
        };
        let whole = (0, None);
        let done =
            world.issues.page(&filter, None, IssueOrder::default(), whole, usize::MAX - 1, &world.state);
        for issue in done.ids.iter().filter_map(|id| world.state.issues.all.get(id)) {
            let Some(at) = issue.completed_at else { continue };
            let crew = issue.crew_id.as_str();
            let label = world.state.roster.crews.get(crew).map_or(UNKNOWN, |crew| &*crew.facts.name);
            let key = match self.group_by {
                "crew" => (crew, label),
                "status" => (issue.status.as_str(), issue.status.as_str()),
                _ => (TOTAL, TOTAL),
            };
            series.add(at, key, 1.0, self.bucket.1);
        }
    }

    /// A mission's cost counts when it last changed.
    fn costs(&self, world: &WorkspaceWorld, series: &mut Series) {
        let key = if self.group_by == "model" { UNKNOWN } else { TOTAL };
        for mission in world.state.missions.values() {
            if let Some(cost) = mission.total_estimated_cost() {
                series.add(mission.updated_at, (key, key), cost, self.bucket.1);
            }
        }
    }

    /// Distinct runs, by their start.
    fn runs(&self, world: &WorkspaceWorld, series: &mut Series) {
        let since = series.buckets.first().map_or(0, |bucket| bucket.starts_at);
        let mut seen = HashSet::new();
        for (time, run, crew) in world.timeline.runs_started(Time(since)) {
            // Without a trace nobody can tell which run it was.
            if run.is_empty() || !seen.insert(run.to_owned()) {
                continue;
            }
            let label = world.state.roster.crews.get(crew).map_or(UNKNOWN, |crew| &*crew.facts.name);
            let key = match self.group_by {
                "crew" if crew.is_empty() => (UNKNOWN, UNKNOWN),
                "crew" => (crew, label),
                _ => (TOTAL, TOTAL),
            };
            series.add(time, key, 1.0, self.bucket.1);
        }
    }

    /// Missions that live at the end of a bucket: created by then and not ended.
    fn active(&self, world: &WorkspaceWorld, series: &mut Series) {
        let (step, first) = (self.bucket.1, series.buckets.first().map_or(0, |bucket| bucket.starts_at));
        let index = |time: Time| usize::try_from(time.0.saturating_sub(first) / step).unwrap_or(usize::MAX);
        let count = series.buckets.len();
        // Per key: how many begin to count in a bucket, less those that cease to.
        let mut changes: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for mission in world.state.missions.values() {
            let key = if self.group_by == "status" { mission.status.as_str() } else { TOTAL };
            let change = changes.entry(key).or_insert_with(|| vec![0.0; count + 1]);
            let ended = end_of(mission).map(|at| if at.0 < first { 0 } else { index(at) });
            let begins = index(mission.created_at).min(count);
            let ends = ended.unwrap_or(count).clamp(begins, count);
            change[begins] += 1.0;
            change[ends] -= 1.0;
        }
        for (key, change) in changes {
            let mut living = 0.0;
            for (bucket, change) in series.buckets.iter_mut().zip(change) {
                living += change;
                if living > 0.0 {
                    bucket.series.insert(key.to_owned(), living);
                    series.series_labels.insert(key.to_owned(), key.to_owned());
                }
            }
        }
    }
}

fn end_of(mission: &Mission) -> Option<Time> {
    mission.completed_at.filter(|_| mission.status.is_terminal())
}

impl Series {
    /// Adds to the bucket that holds `time`, if one does.
    fn add(&mut self, time: Time, (key, label): (&str, &str), value: f64, step: u64) {
        let Some(first) = self.buckets.first().map(|bucket| bucket.starts_at) else { return };
        let index = time.0.checked_sub(first).and_then(|past| usize::try_from(past / step).ok());
        if let Some(bucket) = index.and_then(|index| self.buckets.get_mut(index)) {
            *bucket.series.entry(key.to_owned()).or_insert(0.0) += value;
            self.series_labels.insert(key.to_owned(), label.to_owned());
        }
    }
}

fn word<const N: usize>(
    name: &str,
    word: &str,
    words: [(&'static str, u64); N],
) -> Result<(&'static str, u64), Rejection> {
    let found = words.iter().find(|(known, _)| *known == word).copied();
    found.ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        invalid(format!("invalid {name}; must be one of {}", known.join(", ")))
    })
}

fn invalid(detail: String) -> Rejection {
    Rejection::invalid("metrics.series", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(metric: &str, window: &str, bucket: &str, group_by: &str) -> String {
        let parsed = SeriesQuery::parse(Some(metric), Some(window), Some(bucket), Some(group_by));
        parsed.expect_err("must be refused").detail.into_owned()
    }

    #[test]
    fn what_is_no_series_is_refused_in_the_order_of_the_words() {
        assert!(refused("x", "x", "x", "x").starts_with("invalid metric; must be one of issues_closed, "));
        assert_eq!(refused("cost_usd", "x", "x", "x"), "invalid window; must be one of 24h, 7d, 30d");
        assert_eq!(refused("cost_usd", "7d", "x", "x"), "invalid bucket; must be one of 15m, 1h, 1d");
        let groups = "invalid group_by; must be one of crew, model, status, none";
        assert_eq!(refused("cost_usd", "7d", "1h", "x"), groups);
        assert_eq!(refused("cost_usd", "24h", "1d", "none"), "bucket 1d is too large for window 24h");
        let many = "bucket 15m against window 7d would produce 672 buckets (max 200)";
        assert_eq!(refused("cost_usd", "7d", "15m", "none"), many);
        assert_eq!(
            refused("cost_usd", "7d", "1h", "crew"),
            "group_by=crew is only valid for metric=issues_closed or runs_count"
        );
        assert_eq!(
            refused("runs_count", "7d", "1h", "model"),
            "group_by=model is only valid for metric=cost_usd"
        );
    }

    #[test]
    fn buckets_are_aligned_and_the_last_holds_now() {
        let query = SeriesQuery::parse(Some("active_missions"), None, None, None).expect("it is one");
        let hour = 60 * MINUTE_MS;
        let series = query.of(&WorkspaceWorld::default(), Time(100 * hour + 1));
        assert_eq!(series.buckets.len(), 24);
        assert_eq!(series.buckets.last().map(|bucket| bucket.starts_at), Some(100 * hour));
        assert!(series.buckets.iter().all(|bucket| bucket.series[TOTAL] == 0.0));
    }
}
