//! What the public sees of a mission's facts (`journal.md` 2.4, ruling R4).

use serde_json::json;

use super::{
    Mission, MissionCreated, MissionDeleted, MissionStatusChanged, MissionUpdated, Status, Task, TaskCreated,
    TaskStatus, TaskStatusChanged, TaskUpdated,
};
use crate::undertaking::Undertaking;
use crate::{Actor, AgentId, CrewId, Face, Json, MissionId, Severity};

/// A face that belongs to a mission.
pub(crate) fn mission_face(
    entry_type: &str,
    actor: &Actor,
    crew: &CrewId,
    mission: &MissionId,
    action: &str,
    details: &str,
) -> Face {
    Face {
        crew_id: Some(crew.clone()),
        mission_id: Some(mission.clone()),
        refs: json!({ "mission_id": mission }).into(),
        ..Face::new(entry_type, actor, action, details)
    }
}

impl MissionCreated {
    pub(crate) fn face(&self, id: &MissionId, actor: &Actor) -> Face {
        let mut payload = json!({ "action": "created", "title": self.title, "status": Status::Planning });
        if let Some(source) = &self.fork_of {
            payload["fork_of"] = json!(source);
        }
        if let Some(source) = &self.cloned_from {
            payload["cloned_from"] = json!(source);
        }
        let face = mission_face("mission.created", actor, &self.crew_id, id, "created", &self.title);
        Face { payload: payload.into(), ..face }
    }
}

impl Mission {
    pub(super) fn moved_face(&self, moved: &MissionStatusChanged, actor: &Actor) -> Face {
        let details = format!("{} → {}", moved.from, moved.to);
        let mut payload = json!({
            "action": "status_changed", "details": details,
            "from": moved.from, "to": moved.to, "reason": moved.reason.as_str(),
        });
        if !moved.stuck.is_empty() {
            payload["stuck"] = json!(moved.stuck);
        }
        if let Some(message) = &moved.error_message {
            payload["error_message"] = json!(message);
        }
        Face {
            severity: severity(moved.to == Status::Failed),
            payload: payload.into(),
            ..self.face("mission.status_change", actor, "status_changed", &details)
        }
    }

    pub(super) fn deleted_face(&self, deleted: &MissionDeleted, actor: &Actor) -> Face {
        let payload = json!({ "action": "deleted", "title": self.title, "status": deleted.status }).into();
        Face { payload, ..self.face("mission.deleted", actor, "deleted", &self.title) }
    }
}

impl Undertaking {
    pub(crate) fn face(&self, entry_type: &str, actor: &Actor, action: &str, details: &str) -> Face {
        mission_face(entry_type, actor, &self.crew_id, &self.id, action, details)
    }

    pub(crate) fn updated_face(&self, updated: &MissionUpdated, actor: &Actor) -> Face {
        let fields = updated.fields();
        let payload = json!({ "action": "updated", "fields": fields }).into();
        Face { payload, ..self.face("mission.updated", actor, "updated", &fields.join(", ")) }
    }

    pub(crate) fn task_updated_face(&self, task: &Task, updated: &TaskUpdated, actor: &Actor) -> Face {
        let fields = updated.fields();
        let payload = json!({ "task_id": task.id, "fields": fields });
        Face {
            agent_id: updated.assigned_agent_id.clone().or_else(|| task.assigned_agent_id.clone()),
            payload: payload.into(),
            ..self.face("task.updated", actor, "task updated", &fields.join(", "))
        }
    }

    pub(crate) fn task_moved_face(
        &self,
        moved: &TaskStatusChanged,
        agent: Option<AgentId>,
        actor: &Actor,
    ) -> Face {
        let details = format!("{} → {}", moved.from, moved.to);
        let mut payload = json!({
            "task_id": moved.task_id, "from": moved.from, "to": moved.to,
            "iteration": moved.iteration, "reason": moved.reason.as_str(),
        });
        if let Some(message) = &moved.error_message {
            payload["error_message"] = json!(message);
        }
        if let Some(assignment) = &moved.assignment_id {
            payload["assignment_id"] = json!(assignment);
        }
        if let Some(approval) = &moved.approval {
            payload["approval_status"] = json!(approval.status);
        }
        Face {
            severity: severity(moved.to == TaskStatus::Failed),
            agent_id: agent,
            payload: payload.into(),
            ..self.face("task.status_change", actor, "task status_changed", &details)
        }
    }
}

impl MissionUpdated {
    /// Names of the fields that changed, as on the wire.
    fn fields(&self) -> Vec<&'static str> {
        changed_names(&[
            ("title", self.title.is_some()),
            ("description", self.description.is_some()),
            ("plan", self.plan.is_some()),
        ])
    }
}

impl TaskCreated {
    pub(crate) fn face(&self, crew: &CrewId, mission: &MissionId, actor: &Actor) -> Face {
        let payload = json!({
            "task_id": self.task_id, "title": self.title, "status": self.status,
            "task_order": self.task_order, "depends_on": self.depends_on,
        });
        let face = mission_face("task.created", actor, crew, mission, "task created", &self.title);
        Face { agent_id: self.assigned_agent_id.clone(), payload: Json::from(payload), ..face }
    }
}

impl TaskUpdated {
    /// Names of the fields that changed, as on the wire.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        changed_names(&[
            ("title", self.title.is_some()),
            ("description", self.description.is_some()),
            ("assigned_agent_id", self.assigned_agent_id.is_some()),
            ("depends_on", self.depends_on.is_some()),
            ("result_summary", self.result_summary.is_some()),
            ("error_message", self.error_message.is_some()),
            ("output_path", self.output_path.is_some()),
            ("token_count", self.token_count.is_some()),
            ("estimated_cost", self.estimated_cost.is_some()),
            ("confidence", self.confidence.is_some()),
            ("evaluation_status", self.evaluation_status.is_some()),
            ("evaluation_notes", self.evaluation_notes.is_some()),
        ])
    }
}

fn changed_names(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    fields.iter().filter_map(|(name, changed)| changed.then_some(*name)).collect()
}

fn severity(failed: bool) -> Severity {
    if failed { Severity::Warn } else { Severity::Info }
}
