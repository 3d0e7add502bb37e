//! A clone: the plan again, from the beginning (`missions.md` 3.9, 8.3).

use std::collections::HashMap;

use super::decide::birth_status;
use super::{Mission, MissionCreated, TaskCreated};
use crate::undertaking::Undertaking;
use crate::{Context, Draft, MissionId, TaskId};

/// A fresh id for every task of a mission: what a clone or a fork calls them.
pub(crate) fn fresh_task_ids<'a>(
    mission: &'a Undertaking,
    context: &Context<'_>,
) -> HashMap<&'a TaskId, TaskId> {
    mission.tasks.keys().map(|id| (id, context.mint.cuid().into())).collect()
}

/// One batch: the mission and a `task.created` per task. The plan text stays behind, results too.
pub(super) fn copy(source: &Mission, title: Option<&str>, context: &Context<'_>) -> Vec<Draft> {
    let mission = MissionId::from(context.mint.cuid());
    let title = title.filter(|title| !title.is_empty());
    let created = MissionCreated {
        crew_id: source.crew_id.clone(),
        lead_agent_id: source.lead_agent_id.clone(),
        trace_id: format!("mission-{}", context.mint.cuid()).into(),
        title: title.map_or_else(|| format!("{} (copy)", source.title).into(), Into::into),
        description: source.description.clone(),
        plan: None,
        workflow_template: source.workflow_template.clone(),
        fork_of: None,
        cloned_from: Some(source.id.clone()),
    };
    let face = created.face(&mission, context.actor);
    let mut drafts = vec![Draft::public(mission.as_str(), created, face)];
    let new_ids = fresh_task_ids(source, context);
    for task in source.tasks_in_order() {
        // Dependencies that do not exist are dropped, as everywhere a plan is copied.
        let depends_on: Vec<TaskId> =
            source.dependencies_of(task).filter_map(|id| new_ids.get(id)).cloned().collect();
        let created = TaskCreated {
            task_id: new_ids[&task.id].clone(),
            title: task.title.clone(),
            description: task.description.clone(),
            assigned_agent_id: task.assigned_agent_id.clone(),
            status: birth_status(depends_on.is_empty()),
            task_order: task.task_order,
            depends_on,
            max_iterations: task.max_iterations,
            approval_required: false,
            outcome: None,
        };
        let face = created.face(&source.crew_id, &mission, context.actor);
        drafts.push(Draft::public(mission.as_str(), created, face));
    }
    drafts
}
