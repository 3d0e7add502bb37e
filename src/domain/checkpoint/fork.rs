//! A new mission from a checkpoint: the state at its boundary, exactly (`journal.md` 5.6, ruling R13).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::decide::fresh_checkpoint_id;
use super::{Bookmarked, Checkpoint, CheckpointCreated, Forked, Snapshot};
use crate::mission::{Mission, MissionCreated, Task, TaskCreated, fresh_task_ids, mission_face};
use crate::undertaking::{FORK_PREFIX, Undertaking};
use crate::{Context, Draft, Face, MissionId, Offset, Rejection, Severity, TaskId, Text, Workspace};

impl Workspace {
    /// One batch: the mission, a `task.created` per task, the checkpoint, `fork.created`.
    pub(super) fn fork(
        &self,
        checkpoint: &Checkpoint,
        label: Option<Text>,
        source: Option<&Undertaking>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        // Present whenever the checkpoint was found before the queue; a lookup that found none is a 404.
        let source = source.ok_or_else(gone)?;
        // What may not start before somebody has said yes may not start as a copy either.
        self.refuse_unapproved(&checkpoint.mission_id)?;
        if self.roster.live_crew(source.crew_id.as_str()).is_none() {
            let detail = "the crew that the mission belonged to then is deleted";
            return Err(Rejection::conflict("checkpoint.crew_gone", detail));
        }
        let mission = MissionId::from(context.mint.cuid());
        let created = MissionCreated {
            crew_id: source.crew_id.clone(),
            lead_agent_id: source.lead_agent_id.clone(),
            trace_id: format!("mission-{}", context.mint.cuid()).into(),
            title: format!("{FORK_PREFIX}{}", source.title).into(),
            description: source.description.clone(),
            plan: source.plan.clone(),
            workflow_template: None,
            fork_of: Some(checkpoint.id.clone()),
            cloned_from: None,
        };
        let face = created.face(&mission, context.actor);
        let mut drafts = vec![Draft::public(mission.as_str(), created, face)];
        let new_ids = fresh_task_ids(source, context);
        for task in source.tasks_in_order() {
            let created = copy(task, source, &new_ids);
            let face = created.face(&source.crew_id, &mission, context.actor);
            drafts.push(Draft::public(mission.as_str(), created, face));
        }
        // The batch ends with the checkpoint and `fork.created`: the fork's state is complete before both.
        let batch_end = context.next.plus(drafts.len() as u64 + 1);
        let born = drafts.iter().cloned().zip(context.next.0..).fold(None, |before, (draft, offset)| {
            Mission::fold(before, &draft.at(Offset(offset), context.now, context.actor.clone()))
        });
        let born = born.ok_or_else(gone)?;
        let new_checkpoint = fresh_checkpoint_id(context);
        let bookmark = CheckpointCreated {
            mission_id: mission.clone(),
            crew_id: source.crew_id.clone(),
            label: label.or_else(|| Some(format!("fork of {}", checkpoint.id).into())),
            cursor: checkpoint.cursor,
            boundary: batch_end,
            diverges_after: batch_end,
            state: Snapshot::of(&Bookmarked::Mission(Arc::new(born)), batch_end, &self.work).into(),
            fork_of: Some(checkpoint.id.clone()),
            created_by: context.actor.user().cloned(),
        };
        drafts.push(Draft::internal(new_checkpoint.as_str(), bookmark));
        let forked = Forked {
            fork_of: checkpoint.id.clone(),
            parent_mission: checkpoint.mission_id.clone(),
            boundary: checkpoint.boundary,
            new_checkpoint,
        };
        let face = forked_face(&forked, checkpoint, &mission, context);
        drafts.push(Draft::public(mission.as_str(), forked, face));
        Ok(drafts)
    }
}

/// A task as the fork begins with it: the plan and finished results, not the attempt.
fn copy(task: &Task, source: &Undertaking, new_ids: &HashMap<&TaskId, TaskId>) -> TaskCreated {
    TaskCreated {
        task_id: new_ids[&task.id].clone(),
        title: task.title.clone(),
        description: task.description.clone(),
        assigned_agent_id: task.assigned_agent_id.clone(),
        status: source.status_in_a_fork(task),
        task_order: task.task_order,
        depends_on: source.dependencies_of(task).map(|id| new_ids[id].clone()).collect(),
        max_iterations: task.max_iterations,
        approval_required: false,
        outcome: task.outcome(),
    }
}

fn gone() -> Rejection {
    Rejection::not_found("checkpoint.not_found", "checkpoint not found")
}

fn forked_face(forked: &Forked, source: &Checkpoint, mission: &MissionId, context: &Context<'_>) -> Face {
    let refs = json!({
        "parent_mission": forked.parent_mission, "new_mission": mission, "fork_of": forked.fork_of,
        "new_checkpoint_id": forked.new_checkpoint, "journal_cursor": source.cursor,
    });
    Face {
        severity: Severity::Notice,
        summary: format!("fork {mission} from checkpoint {}", forked.fork_of).into(),
        payload: refs.clone().into(),
        refs: refs.into(),
        ..mission_face("fork.created", context.actor, &source.crew_id, mission, "", "")
    }
}
