//! What the public sees of work (`journal.md` 2.4).

use serde_json::{Value, json};

use super::{Assignment, AssignmentEnded, AssignmentStatus, Note, Purpose, Run, RunEnd, RunStatus, Usage};
use crate::{Actor, ActorType, AgentId, Face, Json, Severity, Text, Time, Workspace};

/// Fields that are there only when they say something.
pub(super) fn without_nulls(mut value: Value) -> Json {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null());
    }
    value.into()
}

impl Workspace {
    fn slug_of(&self, agent: &AgentId) -> Option<Text> {
        self.roster.agents.get(agent).map(|agent| agent.facts.slug.clone())
    }

    /// A face about an assignment, by the engine on behalf of whoever assigned.
    fn assignment_face(&self, assignment: &Assignment, entry_type: &str, word: &str) -> Face {
        let facts = &assignment.facts;
        Face {
            actor_id: facts.assigned_by.as_ref().map(|id| id.as_str().into()),
            crew_id: facts.crew_id.clone(),
            agent_id: Some(facts.assigned_to.clone()),
            mission_id: facts.mission_id.clone(),
            trace_id: assignment.run_id.as_ref().map(|run| run.as_str().into()),
            refs: json!({ "assignment_id": assignment.id, "chat_id": facts.chat_id }).into(),
            ..Face::new(entry_type, &Actor::Orchestrator, word, &facts.task)
        }
    }

    pub(super) fn created_face(&self, assignment: &Assignment) -> Face {
        let facts = &assignment.facts;
        if facts.purpose == Purpose::Query {
            let payload = json!({
                "message_type": "question", "question": facts.prompt.as_ref().unwrap_or(&facts.task),
                "target_id": facts.assigned_to, "state": "running",
            });
            return self.conversation_face(assignment, payload, "asked");
        }
        let by_agent = facts.assigned_by.is_some();
        let payload = json!({
            "assignment_id": assignment.id, "chat_id": facts.chat_id, "purpose": facts.purpose,
            "target_slug": self.slug_of(&facts.assigned_to), "target_id": facts.assigned_to,
            "task": facts.task, "task_id": facts.task_id, "status": assignment.status,
        });
        Face {
            actor_type: if by_agent { ActorType::Agent } else { ActorType::Orchestrator },
            payload: without_nulls(payload),
            ..self.assignment_face(assignment, "assignment.created", "assigned")
        }
    }

    pub(super) fn claimed_face(&self, assignment: &Assignment, worker: &str) -> Face {
        let payload = json!({
            "assignment_id": assignment.id, "target_slug": self.slug_of(&assignment.facts.assigned_to),
            "target_id": assignment.facts.assigned_to, "task_id": assignment.facts.task_id,
            "worker": worker,
        });
        let face = self.assignment_face(assignment, "assignment.running", "running");
        Face { payload: without_nulls(payload), ..face }
    }

    pub(super) fn ended_face(&self, assignment: &Assignment, ended: &AssignmentEnded, now: Time) -> Face {
        if assignment.facts.purpose == Purpose::Query {
            return self.answer_face(assignment, ended, now);
        }
        let (entry_type, severity, word) = match ended.status {
            AssignmentStatus::Completed => ("assignment.completed", Severity::Info, "completed"),
            AssignmentStatus::Cancelled => ("assignment.cancelled", Severity::Notice, "cancelled"),
            AssignmentStatus::Timeout => ("assignment.failed", Severity::Warn, "timed out"),
            _ => ("assignment.failed", Severity::Warn, "failed"),
        };
        let payload = json!({
            "assignment_id": assignment.id, "target_slug": self.slug_of(&assignment.facts.assigned_to),
            "task_id": assignment.facts.task_id, "status": ended.status, "by": ended.by,
            "exit_code": (ended.status == AssignmentStatus::Completed).then_some(0),
            "error_message": ended.error_message,
        });
        Face {
            severity,
            payload: without_nulls(payload),
            ..self.assignment_face(assignment, entry_type, word)
        }
    }

    /// What agents say to each other (`journal.md` 2.4).
    fn conversation_face(&self, assignment: &Assignment, mut payload: Value, word: &str) -> Face {
        let facts = &assignment.facts;
        payload["from_slug"] = json!(facts.assigned_by.as_ref().and_then(|by| self.slug_of(by)));
        payload["target_slug"] = json!(self.slug_of(&facts.assigned_to));
        payload["thread_id"] = json!(assignment.id);
        Face {
            actor_type: ActorType::Agent,
            payload: without_nulls(payload),
            refs: json!({ "peer_conversation_id": assignment.id, "chat_id": facts.chat_id }).into(),
            ..self.assignment_face(assignment, "peer.conversation", word)
        }
    }

    fn answer_face(&self, assignment: &Assignment, ended: &AssignmentEnded, now: Time) -> Face {
        let failed = ended.status != AssignmentStatus::Completed;
        let payload = json!({
            "message_type": "answer", "response": ended.result_summary, "error": ended.error_message,
            "state": ended.status.as_str().to_lowercase(),
            "duration_ms": now.0.saturating_sub(assignment.created_at.0),
        });
        Face {
            severity: if failed { Severity::Error } else { Severity::Info },
            actor_id: Some(assignment.facts.assigned_to.as_str().into()),
            ..self.conversation_face(assignment, payload, "answered")
        }
    }

    pub(super) fn unqueued_face(&self, assignment: &Assignment) -> Face {
        let payload = json!({ "assignment_id": assignment.id, "status": AssignmentStatus::Pending });
        let face = self.assignment_face(assignment, "assignment.unqueued", "unqueued");
        Face { payload: payload.into(), ..face }
    }

    pub(super) fn late_face(&self, assignment: &Assignment, end: &RunEnd) -> Face {
        let payload = json!({
            "assignment_id": assignment.id, "late": true, "status": end.status,
            "exit_code": end.exit_code, "error_message": end.error_message,
        });
        let face = self.assignment_face(assignment, end.status.entry_type(), "reported late");
        Face { severity: Severity::Notice, payload: without_nulls(payload), ..face }
    }
}

impl Run {
    fn face(&self, entry_type: &str, word: &str, details: &str) -> Face {
        let facts = &self.facts;
        Face {
            crew_id: facts.crew_id.clone(),
            agent_id: Some(facts.agent_id.clone()),
            mission_id: facts.mission_id.clone(),
            trace_id: Some(self.id.as_str().into()),
            refs: without_nulls(json!({ "assignment_id": facts.assignment_id, "chat_id": facts.chat_id })),
            actor_id: facts.triggered_by.clone(),
            ..Face::new(entry_type, &Actor::Orchestrator, word, details)
        }
    }

    pub(super) fn started_face(&self, assignment: Option<&Assignment>, target_slug: Option<Text>) -> Face {
        let metadata = (!self.facts.metadata.is_empty()).then_some(&self.facts.metadata);
        let payload = json!({
            "trigger_type": self.facts.trigger_type, "chat_id": self.facts.chat_id, "metadata": metadata,
            "assignment_id": self.facts.assignment_id,
            "assigned_by_chat": assignment.map(|assignment| &assignment.facts.chat_id),
            "target_slug": target_slug,
        });
        let details = assignment.map_or("", |assignment| &assignment.facts.task);
        Face { payload: without_nulls(payload), ..self.face("run.started", "run started", details) }
    }

    pub(super) fn ended_face(&self, end: &RunEnd, duration_ms: u64) -> Face {
        let severity = match end.status {
            RunStatus::Failed | RunStatus::Timeout => Severity::Error,
            RunStatus::Cancelled => Severity::Notice,
            RunStatus::Completed | RunStatus::Running => Severity::Info,
        };
        let metadata = (!end.metadata.is_empty()).then_some(&end.metadata);
        let payload = json!({
            "exit_code": end.exit_code, "error_message": end.error_message, "duration_ms": duration_ms,
            "output_bytes": end.output.as_ref().map(|output| output.bytes),
            "output_sha256": end.output.as_ref().map(|output| &output.sha256), "metadata": metadata,
        });
        let word = format!("run {}", end.status.as_str().to_lowercase());
        let details = end.error_message.as_deref().unwrap_or_default();
        Face {
            severity,
            payload: without_nulls(payload),
            ..self.face(end.status.entry_type(), &word, details)
        }
    }

    /// The end of its process, as an entry of its own.
    pub(super) fn exited_face(&self, end: &RunEnd, duration_ms: Option<u64>) -> Face {
        let failed = end.exit_code.is_some_and(|code| code != 0);
        let payload = json!({
            "phase": "end", "exit_code": end.exit_code, "running": false, "duration_ms": duration_ms,
            "cancelled": (end.status == RunStatus::Cancelled).then_some(true),
            "error": end.error_message,
        });
        Face {
            severity: if failed { Severity::Warn } else { Severity::Info },
            payload: without_nulls(payload),
            ..self.face("exec.command", "exit", &end.exit_code.unwrap_or_default().to_string())
        }
    }

    pub(super) fn note_face(&self, note: &Note) -> Face {
        match note {
            Note::Began { cmd, adapter } => {
                let payload = json!({ "cmd": cmd, "phase": "start", "adapter": adapter, "running": true });
                Face { payload: payload.into(), ..self.face("exec.command", "exec", cmd) }
            }
            Note::Output { output, total_bytes, truncated } => {
                self.output_face(output, *total_bytes, *truncated)
            }
        }
    }

    pub(super) fn output_face(&self, output: &str, total_bytes: u64, truncated: bool) -> Face {
        let payload = json!({
            "output": output, "total_bytes": total_bytes, "truncated": truncated, "exec_id": self.id,
        });
        let first_line = output.lines().next().unwrap_or_default();
        Face {
            actor_type: ActorType::Sidecar,
            payload: payload.into(),
            ..self.face("exec.output_chunk", "output", first_line)
        }
    }

    /// What calls of models cost (`journal.md` 2.4).
    pub(super) fn usage_faces(&self, usage: &Usage) -> [Option<Face>; 2] {
        let call = json!({
            "provider": usage.provider, "model": usage.model, "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens, "cached_input_tokens": usage.cached_input_tokens,
            "cache_creation_tokens": usage.cache_creation_tokens, "cost_usd": usage.cost_usd,
            "billing_mode": usage.billing_mode, "ledger_id": self.id,
        });
        let call = Face {
            actor_type: ActorType::System,
            payload: without_nulls(call),
            ..self.face("llm.call", "llm call", &usage.model)
        };
        let cost = (usage.cost_usd > 0.0).then(|| {
            let payload = json!({
                "provider": usage.provider, "model": usage.model, "cost_usd": usage.cost_usd,
                "ledger_id": self.id,
            });
            Face {
                actor_type: ActorType::System,
                payload: payload.into(),
                ..self.face("cost.incurred", "cost", &format!("{} USD", usage.cost_usd))
            }
        });
        [Some(call), cost]
    }
}
