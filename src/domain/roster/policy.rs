//! How much the agents of a crew may do without asking (`periphery.md` 7).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::PolicyChanged;
use crate::entry::words;
use crate::{Actor, CrewId, Draft, Face, Rejection, Severity, Text, Time, UserId, Workspace};

words! {
    /// How much a crew's agents may do without asking.
    Autonomy {
        /// Next to nothing.
        Strict = "strict",
        /// The usual.
        #[default]
        Guided = "guided",
        /// Most.
        Trusted = "trusted",
        /// All.
        Full = "full",
    }
}

impl Autonomy {
    /// Whether missions that agents propose wait for a person.
    #[must_use]
    pub fn holds_missions(self) -> bool {
        self == Self::Strict
    }

    /// What is decided about a mission that an agent proposes (`periphery.md` 7, `mission_create`).
    #[must_use]
    pub fn decision(self) -> &'static str {
        match self {
            Self::Strict => "inbox_approve",
            Self::Guided => "auto_log_inbox",
            Self::Trusted => "auto_log_journal",
            Self::Full => "auto_journal",
        }
    }
}

words! {
    /// What becomes of behaviour that a monitor denies: kept and shown, nothing here evaluates it.
    BehaviorMode {
        /// People are told.
        #[default]
        Warn = "warn",
        /// It is stopped.
        Block = "block",
    }
}

/// A crew's policy as it was last set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How much its agents may do.
    pub autonomy: Autonomy,
    /// What becomes of denied behaviour.
    pub behavior: BehaviorMode,
    /// Who set it, if it was ever set.
    pub set_by: Option<UserId>,
    /// When.
    pub set_at: Option<Time>,
    /// Why.
    pub reason: Option<Text>,
}

/// Body of `PUT /crews/{id}/policy`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PolicyDraft {
    /// `strict`, `guided`, `trusted` or `full`.
    pub autonomy_level: Option<String>,
    /// `warn` or `block`.
    pub behavior_mode: Option<String>,
    /// Why; required for `full`.
    pub reason: Option<String>,
}

impl Workspace {
    pub(super) fn set_policy(
        &self,
        crew: &CrewId,
        draft: &PolicyDraft,
        actor: &Actor,
    ) -> Result<Vec<Draft>, Rejection> {
        let crew = self.crew(crew.as_str())?;
        let word = |text: &Option<String>, default: &str| {
            text.as_deref().map_or_else(|| default.to_owned(), |text| text.trim().to_owned())
        };
        let level = word(&draft.autonomy_level, Autonomy::Guided.as_str());
        let autonomy = Autonomy::parse(&level).ok_or_else(|| {
            let detail =
                format!("policy: invalid autonomy_level {level:?} (want strict|guided|trusted|full)");
            Rejection::invalid("policy.autonomy_level", detail)
        })?;
        let mode = word(&draft.behavior_mode, BehaviorMode::Warn.as_str());
        let behavior = BehaviorMode::parse(&mode).ok_or_else(|| {
            let detail = format!("policy: invalid behavior_mode {mode:?} (want warn|block)");
            Rejection::invalid("policy.behavior_mode", detail)
        })?;
        if autonomy == Autonomy::Full && behavior == BehaviorMode::Block {
            let detail = "policy: autonomy_level=full is incompatible with behavior_mode=block \
                          (opt-in trust × opt-in restriction)";
            return Err(Rejection::invalid("policy.incompatible", detail));
        }
        let reason = draft.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        if autonomy == Autonomy::Full && reason.is_none() {
            let detail = "reason is required when setting autonomy_level=full";
            return Err(Rejection::invalid("policy.reason_required", detail));
        }
        let changed = PolicyChanged { autonomy, behavior, reason: reason.map(Into::into) };
        let payload = json!({
            "crew_id": crew.id, "autonomy_level": autonomy, "behavior_mode": behavior, "reason": reason,
        });
        let face = Face {
            severity: Severity::Notice,
            crew_id: Some(crew.id.clone()),
            payload: payload.into(),
            ..Face::new("policy.changed", actor, "policy changed", autonomy.as_str())
        };
        Ok(vec![Draft::public(crew.id.as_str(), changed, face)])
    }
}
