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

words! {
    /// What an agent wishes for and its crew's policy rules on (`periphery.md` 7). Questions always go
    /// through; other actions of that table belong to what Taffrail does not have.
    Wished {
        /// A mission.
        #[default]
        Mission = "mission_create",
        /// A crew.
        Crew = "crew_create",
        /// An agent.
        Agent = "agent_create",
        /// Work for another agent.
        Assignment = "assignment_create",
        /// An issue.
        Issue = "issue_write",
    }
}

words! {
    /// What becomes of it (`periphery.md` 7).
    Ruling {
        /// Made, but inert until a person has said yes (`IA`).
        #[default]
        Held = "inbox_approve",
        /// Made, and people are told (`LI`).
        Told = "auto_log_inbox",
        /// Made, as routine (`LJ`).
        Routine = "auto_log_journal",
        /// Made, by the agent's own right (`AJ`).
        Autonomous = "auto_journal",
        /// Not made (`RJ`).
        Refused = "reject",
    }
}

impl Autonomy {
    /// The table of `periphery.md` 7.
    #[must_use]
    pub fn ruling(self, wished: Wished) -> Ruling {
        match (wished, self) {
            (Wished::Mission | Wished::Assignment, Self::Strict) => Ruling::Held,
            (Wished::Mission | Wished::Assignment, Self::Guided) => Ruling::Told,
            (Wished::Mission | Wished::Assignment, Self::Trusted) => Ruling::Routine,
            (Wished::Mission | Wished::Assignment, Self::Full) => Ruling::Autonomous,
            (Wished::Issue, Self::Strict) => Ruling::Held,
            (Wished::Issue, Self::Guided | Self::Trusted) => Ruling::Routine,
            (Wished::Issue, Self::Full) => Ruling::Autonomous,
            (Wished::Crew | Wished::Agent, Self::Strict) => Ruling::Refused,
            (Wished::Crew | Wished::Agent, Self::Guided | Self::Trusted) => Ruling::Held,
            (Wished::Crew | Wished::Agent, Self::Full) => Ruling::Told,
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
        Ok(vec![policy_changed(&crew.id, changed, actor)])
    }
}

/// A crew's agents may do more, or less, from now on.
pub(crate) fn policy_changed(crew: &CrewId, changed: PolicyChanged, actor: &Actor) -> Draft {
    let payload = json!({
        "crew_id": crew, "autonomy_level": changed.autonomy, "behavior_mode": changed.behavior,
        "reason": changed.reason,
    });
    let face = Face {
        severity: Severity::Notice,
        crew_id: Some(crew.clone()),
        payload: payload.into(),
        ..Face::new("policy.changed", actor, "policy changed", changed.autonomy.as_str())
    };
    Draft::public(crew.as_str(), changed, face)
}
