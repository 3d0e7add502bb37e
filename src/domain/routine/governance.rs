//! Who agrees to what a routine risks, and whether it may run (`periphery.md` 10).

use std::sync::Arc;

use serde_json::{Value, json};

use super::definition::{Action, Definition, Step};
use super::{Routine, RoutineStatus, RoutineStatusChanged, definition_hash};
use crate::unfolding::Unfolding;
use crate::{Actor, Draft, Face, Rejection, RoutineId, Severity, Text};

impl Definition {
    /// What somebody has to agree to, one by one: another host is another risk.
    pub(super) fn risks_one_by_one(&self) -> Vec<Text> {
        let named = |risk: &'static str| move |name: &String| Text::from(format!("{risk}:{name}"));
        let mut risks: Vec<Text> = self.egress_targets.iter().map(named("egress_targets")).collect();
        risks.extend(self.credentials.iter().map(named("credentials")));
        risks.extend(self.integrations_required.iter().map(named("integrations")));
        let asks = |step: &Step| matches!(step.action, Action::Http { .. });
        if self.egress_targets.is_empty() && self.steps.iter().any(asks) {
            // No list is no bound at all.
            risks.push("egress_targets:*".into());
        }
        for step in &self.steps {
            match &step.action {
                Action::Http { method, url, headers, body } => {
                    // What is sent is as much of a risk as where to.
                    let sent = definition_hash(&json!({ "headers": headers, "body": body }));
                    risks.push(format!("http_step:{method} {url} {sent}").into());
                }
                Action::Code | Action::Script => risks.push(format!("code_step:{}", step.id).into()),
                Action::ForEach { step, .. } if matches!(step.action, Action::Code | Action::Script) => {
                    risks.push(format!("code_step:{}", step.id).into());
                }
                _ => {}
            }
        }
        risks.sort_unstable();
        risks.dedup();
        risks
    }
}

impl Routine {
    /// The definition, typed; it was checked before it was stored.
    fn risks_one_by_one(&self) -> Vec<Text> {
        let definition: Value = serde_json::from_str(self.facts.definition.get()).unwrap_or_default();
        Definition::read(&definition).map(|read| read.risks_one_by_one()).unwrap_or_default()
    }
}

impl Unfolding<'_> {
    /// Somebody has looked at it.
    pub(super) fn approve_routine(&mut self, routine: &Arc<Routine>) -> Result<(), Rejection> {
        require_proposed(routine)?;
        self.move_routine(routine, RoutineStatus::Active);
        Ok(())
    }

    /// Somebody has looked at it and does not want it.
    pub(super) fn reject_routine(&mut self, routine: &Arc<Routine>) -> Result<(), Rejection> {
        require_proposed(routine)?;
        self.move_routine(routine, RoutineStatus::Disabled);
        Ok(())
    }

    /// Whoever may enable it agrees to what it risks; what nobody has looked at is approved, not enabled.
    pub(super) fn enable_routine(&mut self, routine: &Arc<Routine>) -> Result<(), Rejection> {
        if routine.status == RoutineStatus::Proposed {
            return Err(routine.refused());
        }
        self.move_routine(routine, RoutineStatus::Active);
        Ok(())
    }

    /// What it is already is no new fact.
    pub(super) fn move_routine(&mut self, routine: &Arc<Routine>, to: RoutineStatus) {
        if routine.status == to {
            return;
        }
        let accepted = match to {
            RoutineStatus::Active => routine.risks_one_by_one(),
            RoutineStatus::Proposed | RoutineStatus::Disabled => routine.accepted.clone(),
        };
        let moved = RoutineStatusChanged { from: routine.status, to, accepted };
        let face = routine.moved_face(&moved, self.context.actor);
        self.add(Draft::public(routine.id.as_str(), moved, face));
    }

    /// Those who may approve it are told.
    pub(super) fn ask_about_routine(&mut self, id: &RoutineId) {
        let Some(routine) = self.state.routines.all.get(id).cloned() else { return };
        let title = format!("{} awaits approval", routine.facts.slug);
        let payload = json!({
            "target_role": "MANAGER", "title": title, "body": routine.facts.name, "priority": "medium",
            "blocking": true,
            "payload": {
                "pipeline_id": id, "pipeline_slug": routine.facts.slug,
                "risk_reasons": routine.risk_reasons,
            },
        });
        let face = Face {
            severity: Severity::Notice,
            payload: payload.into(),
            refs: json!({ "pipeline_id": id }).into(),
            ..Face::new("notification.delivered", &Actor::System, &title, "")
        };
        self.add(Draft::shown(id.as_str(), face));
    }
}

fn require_proposed(routine: &Routine) -> Result<(), Rejection> {
    if routine.status == RoutineStatus::Proposed {
        return Ok(());
    }
    let detail = "routine is not awaiting approval";
    Err(Rejection::conflict("routine.not_proposed", detail).telling(status_of(routine.status)))
}

/// `status` is the problem's own member.
fn status_of(status: RoutineStatus) -> Value {
    json!({ "routine_status": status })
}

impl Routine {
    /// Why it may not run.
    pub(super) fn refused(&self) -> Rejection {
        let (code, detail, hint) = match self.status {
            RoutineStatus::Disabled => {
                ("routine.disabled", "routine is disabled", "an OWNER or ADMIN can enable it")
            }
            RoutineStatus::Proposed | RoutineStatus::Active => (
                "routine.proposed",
                "routine is awaiting approval",
                "a MANAGER can approve it after a look at what it risks",
            ),
        };
        let mut facts = status_of(self.status);
        facts["hint"] = json!(hint);
        Rejection::conflict(code, detail).telling(facts)
    }
}
