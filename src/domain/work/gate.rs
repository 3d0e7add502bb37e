//! Whether a result may count before somebody has looked at it (`missions.md` 9.6).

use serde::Deserialize;

use crate::entry::words;
use crate::{CrewId, Workspace};

/// Thresholds of a crew; 0 or absent is off.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Thresholds {
    auto_approve_threshold: Option<f64>,
    notify_threshold: Option<f64>,
    require_approval_below: Option<f64>,
}

/// What becomes of a successful result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It counts.
    Open,
    /// It counts, and people are told that the agent was unsure.
    OpenNotifying,
    /// It waits for an approver.
    Closed,
}

impl Gate {
    /// The first rule that matches; a crew's text that cannot be read is none.
    pub(super) fn of(
        escalation_config: Option<&str>,
        confidence: Option<f64>,
        approval_required: bool,
    ) -> Self {
        let thresholds: Option<Thresholds> =
            escalation_config.and_then(|text| serde_json::from_str(text).ok());
        let known = thresholds.zip(confidence);
        let is_on = |threshold: Option<f64>| threshold.filter(|threshold| *threshold > 0.0);
        if let Some((thresholds, confidence)) = known
            && is_on(thresholds.auto_approve_threshold).is_some_and(|auto| confidence >= auto)
        {
            return Self::Open;
        }
        if approval_required {
            return Self::Closed;
        }
        let Some((thresholds, confidence)) = known else { return Self::Open };
        if is_on(thresholds.require_approval_below).is_some_and(|below| confidence < below) {
            return Self::Closed;
        }
        if is_on(thresholds.notify_threshold).is_some_and(|notify| confidence < notify) {
            return Self::OpenNotifying;
        }
        Self::Open
    }
}

words! {
    /// What follows from how sure an agent says it is, before it is done (`platform.md` 8.3).
    ConfidenceAction {
        /// Nothing.
        #[default]
        None = "none",
        /// People are told.
        Notified = "notified",
        /// People are told, and the result will wait for one of them.
        Escalated = "escalated",
    }
}

impl Workspace {
    /// What a crew's thresholds say of a confidence.
    #[must_use]
    pub fn confidence_action(&self, crew: &CrewId, confidence: f64) -> ConfidenceAction {
        let config = self.roster.crews.get(crew).and_then(|crew| crew.facts.escalation_config.as_deref());
        match Gate::of(config, Some(confidence), false) {
            Gate::Open => ConfidenceAction::None,
            Gate::OpenNotifying => ConfidenceAction::Notified,
            Gate::Closed => ConfidenceAction::Escalated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_counts() {
        let config =
            Some(r#"{"auto_approve_threshold":0.9,"notify_threshold":0.7,"require_approval_below":0.5}"#);
        assert_eq!(Gate::of(config, Some(0.9), true), Gate::Open);
        assert_eq!(Gate::of(config, Some(0.8), true), Gate::Closed);
        assert_eq!(Gate::of(config, Some(0.8), false), Gate::Open);
        assert_eq!(Gate::of(config, Some(0.6), false), Gate::OpenNotifying);
        assert_eq!(Gate::of(config, Some(0.4), false), Gate::Closed);
        assert_eq!(Gate::of(config, None, false), Gate::Open);
        assert_eq!(Gate::of(config, None, true), Gate::Closed);
        assert_eq!(Gate::of(None, Some(0.1), false), Gate::Open);
        assert_eq!(Gate::of(Some("nonsense"), Some(0.1), false), Gate::Open);
        assert_eq!(Gate::of(Some(r#"{"require_approval_below":0}"#), Some(0.0), false), Gate::Open);
    }
}
