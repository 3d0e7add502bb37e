//! The agents' door to missions (`missions.md` 4).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use taffrail_domain::mission::{MissionCommand, MissionDraft, Proposal, Status};
use taffrail_domain::roster::Wished;
use taffrail_domain::work::TaskPlan;
use taffrail_domain::{MissionId, Rejection};

use super::insider::Insider;
use crate::http::answer::first_entry;
use crate::http::body::{Ignored, Required, Sent};
use crate::http::problem::Problem;

/// Defaults of `mission.max_tasks` and `mission.max_active_per_crew`.
const TASKS_MAX: usize = 16;
const ACTIVE_MAX: usize = 6;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ProposalDraft {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    agent_id: Option<String>,
    title: Option<String>,
    description: Option<String>,
    lead_agent_id: Option<String>,
    plan: Option<String>,
    workflow_template: Option<String>,
    tasks: Option<Vec<TaskPlan>>,
}

pub(super) async fn propose(
    insider: Insider,
    sent: Sent<Required<ProposalDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("invalid JSON body")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    if [&draft.title, &draft.lead_agent_id]
        .into_iter()
        .any(|text| text.as_deref().unwrap_or_default().is_empty())
    {
        let detail = "title, lead_agent_id, crew_id, workspace_id required";
        return Err(Problem::invalid("mission.incomplete", detail));
    }
    let crew = inside.crew(draft.crew_id.as_deref())?;
    let world = inside.world();
    let is_ours = |plan: &TaskPlan| {
        plan.assigned_to.as_deref().is_none_or(|name| {
            world.state.roster.live_agent(name).is_some() || world.state.roster.agent_slugs.contains_key(name)
        })
    };
    if !draft.tasks.iter().flatten().all(is_ours) {
        let detail = "task assigned_agent_id does not belong to this workspace";
        return Err(Problem::invalid("mission.agent_foreign", detail));
    }
    let lead = draft.lead_agent_id.clone();
    let actor = inside.actor(draft.agent_id.as_deref().or(lead.as_deref()));
    let proposal = Proposal {
        crew: crew.clone(),
        draft: MissionDraft {
            title: draft.title,
            description: draft.description,
            lead_agent_id: lead,
            workflow_template: draft.workflow_template,
        },
        plan: draft.plan,
        tasks: draft.tasks.unwrap_or_default(),
        tasks_max: TASKS_MAX,
        active_max: ACTIVE_MAX,
    };
    let done = inside.execute(MissionCommand::Propose(proposal.into()), actor).await?;
    let id = MissionId::from(&*first_entry(&done)?.subject);
    let state = &done.world.state;
    let mission = state.mission(&crew, &id)?;
    let tasks: BTreeMap<String, &str> = mission
        .tasks_in_order()
        .into_iter()
        .map(|task| (task.task_order.to_string(), task.id.as_str()))
        .collect();
    let autonomy = state.roster.crews.get(&crew).map(|crew| crew.policy.autonomy).unwrap_or_default();
    let hold = state.approvals.hold_on(id.as_str());
    let body = json!({
        "id": id, "trace_id": mission.trace_id, "status": mission.status, "tasks": tasks,
        "decision": autonomy.ruling(Wished::Mission), "autonomy_level": autonomy, "pending_review": hold.is_some(),
        "approval_id": hold.map_or("", |hold| hold.id.as_str()),
    });
    let status = if hold.is_some() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok((status, Json(body)).into_response())
}

pub(super) async fn show(insider: Insider, Path(id): Path<MissionId>) -> Result<Json<Value>, Problem> {
    let inside = insider.inside(None)?;
    let world = inside.world();
    let id = inside.mission(id.as_str()).ok_or_else(not_found)?;
    let mission = world.state.missions.get(&id).ok_or_else(not_found)?;
    let tasks: Vec<Value> = mission
        .tasks_in_order()
        .into_iter()
        .map(|task| {
            json!({
                "id": task.id, "title": task.title, "status": task.status,
                "assigned_agent_id": task.assigned_agent_id,
                "depends_on": serde_json::to_string(&task.depends_on).unwrap_or_default(),
                "result_summary": task.result_summary, "error_message": task.error_message,
                "task_order": task.task_order,
            })
        })
        .collect();
    Ok(Json(json!({
        "mission": {
            "id": mission.id, "trace_id": mission.trace_id, "title": mission.title,
            "description": mission.description, "status": mission.status,
            "created_at": crate::http::time::Seconds(mission.created_at),
        },
        "tasks": if tasks.is_empty() { Value::Null } else { tasks.into() },
    })))
}

pub(super) async fn start(
    insider: Insider,
    Path(id): Path<MissionId>,
    sent: Sent<Ignored>,
) -> Result<Response, Problem> {
    let inside = insider.inside_of(&sent)?;
    let world = inside.world();
    let mission = world.state.missions.get(&id).ok_or_else(not_found)?;
    let crew = inside.crew(Some(mission.crew_id.as_str()))?;
    let actor = inside.actor(Some(mission.lead_agent_id.as_str()));
    let command = MissionCommand::Start { crew, mission: id.clone(), seen: Some(mission.status) };
    match inside.execute(command, actor).await {
        Ok(_) => Ok(Json(json!({ "id": id, "status": Status::InProgress })).into_response()),
        Err(error) => Err(error.into()),
    }
}

fn not_found() -> Rejection {
    Rejection::not_found("mission.not_found", "mission not found")
}
