//! What the public sees of routines and their runs (`journal.md` 3): the run stands in `actor_id` and in
//! `payload.run_id`. A waitpoint's name never does.

use serde_json::{Value, json};

use super::{
    Routine, RoutineRun, RoutineRunEnded, RoutineRunFacts, RoutineRunStatus, RoutineSaved,
    RoutineStatusChanged, RoutineStepEnded, StepStatus,
};
use crate::{Actor, Face, RoutineId, RoutineRunId, Severity, Text};

fn routine_face(id: &RoutineId, actor: &Actor, word: &str, slug: &str, payload: Value) -> Face {
    Face {
        payload: payload.into(),
        refs: json!({ "pipeline_id": id }).into(),
        ..Face::new(&format!("pipeline.{word}"), actor, &format!("pipeline {word}"), slug)
    }
}

impl RoutineSaved {
    pub(super) fn face(&self, id: &RoutineId, actor: &Actor) -> Face {
        let routine = &self.routine;
        let payload = json!({
            "pipeline_id": id, "pipeline_slug": routine.slug, "status": self.status,
            "definition_hash": routine.definition_hash, "risk_reasons": self.risk_reasons,
            "change_summary": self.change_summary,
        });
        let face = routine_face(id, actor, "saved", &routine.slug, payload);
        Face { crew_id: routine.author_crew_id.clone(), ..face }
    }
}

impl Routine {
    pub(super) fn moved_face(&self, moved: &RoutineStatusChanged, actor: &Actor) -> Face {
        let slug = &self.facts.slug;
        let payload = json!({
            "pipeline_id": self.id, "pipeline_slug": slug, "from": moved.from, "to": moved.to,
        });
        let face = routine_face(&self.id, actor, "status_change", slug, payload);
        Face { crew_id: self.facts.author_crew_id.clone(), ..face }
    }

    /// A run of it begins.
    pub(super) fn started_face(&self, run: &RoutineRunId, facts: &RoutineRunFacts) -> Face {
        let slug = &self.facts.slug;
        let more = json!({
            "triggered_via": facts.triggered_via, "triggered_by_id": facts.triggered_by_id,
            "parent_run_id": facts.called_by.as_ref().map(|caller| &caller.run_id),
        });
        run_face((run, &self.id, slug), "pipeline.run.started", "routine started", slug, more)
    }

    /// Somebody looked at what it would do.
    pub(super) fn dry_run_face(&self, steps: usize, actor: &Actor) -> Face {
        let slug = &self.facts.slug;
        let payload = json!({
            "pipeline_id": self.id, "pipeline_slug": slug, "definition_hash": self.facts.definition_hash,
            "steps": steps,
        });
        let face = routine_face(&self.id, actor, "dry_run", slug, payload);
        Face { crew_id: self.facts.author_crew_id.clone(), ..face }
    }

    pub(super) fn deleted_face(&self, actor: &Actor) -> Face {
        let slug = &self.facts.slug;
        let payload = json!({ "pipeline_id": self.id, "pipeline_slug": slug });
        let face = routine_face(&self.id, actor, "deleted", slug, payload);
        Face { crew_id: self.facts.author_crew_id.clone(), severity: Severity::Notice, ..face }
    }
}

/// A face of a run, of the routine with this id and slug.
fn run_face(
    (run, routine, slug): (&RoutineRunId, &RoutineId, &str),
    entry_type: &str,
    action: &str,
    details: &str,
    more: Value,
) -> Face {
    let mut payload = json!({ "run_id": run, "pipeline_id": routine, "pipeline_slug": slug });
    if let (Value::Object(payload), Value::Object(more)) = (&mut payload, more) {
        payload.extend(more);
    }
    Face {
        actor_id: Some(run.as_str().into()),
        payload: payload.into(),
        refs: json!({ "pipeline_id": routine, "run_id": run }).into(),
        ..Face::new(entry_type, &Actor::System, action, details)
    }
}

impl RoutineRun {
    fn face(&self, entry_type: &str, action: &str, details: &str, more: Value) -> Face {
        let about = (&self.id, &self.facts.routine_id, &*self.slug);
        run_face(about, entry_type, action, details, more)
    }

    pub(super) fn step_started_face(&self, step: &Text, kind: &str) -> Face {
        let more = json!({ "step_id": step, "step_type": kind });
        self.face("pipeline.step.started", "step started", step, more)
    }

    pub(super) fn step_ended_face(&self, ended: &RoutineStepEnded, now_ms: u64) -> Face {
        let (entry_type, action, severity) = match ended.status {
            StepStatus::Completed => ("pipeline.step.completed", "step completed", Severity::Info),
            StepStatus::Failed => ("pipeline.step.failed", "step failed", Severity::Warn),
            StepStatus::Skipped => ("pipeline.step.skipped", "step skipped", Severity::Info),
        };
        let mut more = json!({
            "step_id": ended.step_id, "duration_ms": now_ms.saturating_sub(ended.begun_at.0),
        });
        if let Some(error) = &ended.error {
            more["error"] = json!(error);
        }
        let face = self.face(entry_type, action, &ended.step_id, more);
        Face { severity, ..face }
    }

    pub(super) fn ended_face(&self, ended: &RoutineRunEnded, now_ms: u64) -> Face {
        let (entry_type, action, severity) = match ended.status {
            RoutineRunStatus::Completed => ("pipeline.run.completed", "routine completed", Severity::Info),
            RoutineRunStatus::Cancelled => ("pipeline.run.failed", "routine cancelled", Severity::Notice),
            _ => ("pipeline.run.failed", "routine failed", Severity::Error),
        };
        let more = json!({
            "status": ended.status, "duration_ms": now_ms.saturating_sub(self.started_at.0),
            "failed_at_step": ended.failed_at_step, "error": ended.error_message,
        });
        let face = self.face(entry_type, action, &self.slug, more);
        Face { severity, ..face }
    }

    /// A message for people: they see it in the journal, and are told on the workspace's channel.
    pub(super) fn told_face(&self, step: &Text, title: &str, body: &str, is_blocking: bool) -> Face {
        let more = json!({
            "target_role": "MANAGER", "title": title, "body": body, "blocking": is_blocking,
            "priority": if is_blocking { "high" } else { "medium" },
            "payload": { "run_id": self.id, "pipeline_slug": self.slug, "step_id": step },
        });
        let face = self.face("notification.delivered", title, "", more);
        Face { severity: Severity::Notice, ..face }
    }
}
