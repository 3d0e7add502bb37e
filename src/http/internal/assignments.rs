//! What agents hand each other (`platform.md` 8.3).

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use taffrail_domain::work::{Assignment, AssignmentStatus, Delegation, WorkCommand};
use taffrail_domain::{AssignmentId, ChatId, MissionId, Rejection};

use super::insider::{Inside, Insider};
use crate::http::answer::first_entry;
use crate::http::body::{Required, Sent};
use crate::http::problem::Problem;
use crate::http::time::Seconds;

/// How long an agent waits for another one's answer.
const QUERY_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How far a question may lead to further ones.
const DEPTH_MAX: i64 = 2;
const RESPONSE_CHARS_MAX: usize = 10_000;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DelegationDraft {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    chat_id: Option<String>,
    target_slug: Option<String>,
    task: Option<String>,
    question: Option<String>,
    mission_id: Option<String>,
    actor_agent_id: Option<String>,
    from_slug: Option<String>,
    depth: Option<i64>,
}

/// The same wish as `POST assignments` and `POST queries` say it.
async fn hand_over(
    inside: &Inside,
    draft: &DelegationDraft,
    task: Option<&str>,
    missing: &'static str,
) -> Result<AssignmentId, Problem> {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let parts = text(draft.target_slug.as_deref()).zip(text(task)).zip(text(draft.chat_id.as_deref()));
    let ((target, task), chat) = parts.ok_or_else(|| Problem::invalid("assignment.incomplete", missing))?;
    let crew = inside.crew(draft.crew_id.as_deref())?;
    let world = inside.world();
    let chat = ChatId::from(chat);
    let mission = draft.mission_id.as_deref().or(Some(chat.as_str())).map(MissionId::from);
    let mission = mission.filter(|id| world.state.missions.contains_key(id));
    if mission.is_none() && !world.state.chats.contains_key(&chat) {
        return Err(Rejection::not_found("chat.not_found", "chat not found").into());
    }
    let by_slug = draft.from_slug.as_deref().and_then(|slug| world.state.roster.agent_slugs.get(slug));
    let named = draft.actor_agent_id.as_deref().or(by_slug.map(|id| id.as_str()));
    let actor = inside.actor(named);
    let from = match &actor {
        taffrail_domain::Actor::Agent(agent) => Some(agent.clone()),
        _ => None,
    };
    let delegation =
        Delegation { target_slug: target.into(), task: task.into(), crew, chat, mission, actor: from };
    let done = inside.execute(WorkCommand::Delegate(delegation.into()), actor).await?;
    Ok(AssignmentId::from(&*first_entry(&done)?.subject))
}

pub(super) async fn delegate(
    insider: Insider,
    sent: Sent<Required<DelegationDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let missing = "target_slug, task, crew_id, workspace_id, chat_id required";
    let id = hand_over(&inside, &draft, draft.task.as_deref(), missing).await?;
    let body = json!({ "assignment_id": id, "status": AssignmentStatus::Pending });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub(super) async fn show(insider: Insider, Path(id): Path<AssignmentId>) -> Result<Json<Value>, Problem> {
    let inside = insider.inside(None)?;
    let world = inside.world();
    let found = world.state.work.assignments.get(&id);
    let found = found.ok_or_else(|| Rejection::not_found("assignment.not_found", "assignment not found"))?;
    Ok(Json(view(&inside, found)))
}

fn view(inside: &Inside, found: &Assignment) -> Value {
    let facts = &found.facts;
    json!({
        "id": found.id, "workspace_id": inside.id, "chat_id": facts.chat_id,
        "assigned_by_id": facts.assigned_by, "assigned_to_id": facts.assigned_to,
        "task": facts.prompt.as_ref().unwrap_or(&facts.task), "status": found.status,
        "started_at": found.started_at.map(Seconds), "finished_at": found.finished_at.map(Seconds),
        "result_summary": found.result_summary, "error_message": found.error_message,
        "created_at": Seconds(found.created_at),
    })
}

/// A question to another agent: the answer is waited for.
pub(super) async fn query(
    insider: Insider,
    sent: Sent<Required<DelegationDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    if draft.depth.unwrap_or_default() > DEPTH_MAX {
        return Err(Problem::invalid("query.too_deep", "depth must be at most 2"));
    }
    let missing = "target_slug, question, crew_id, workspace_id, chat_id required";
    let id = hand_over(&inside, &draft, draft.question.as_deref(), missing).await?;
    let mut published = inside.writer.watch();
    let ended = published
        .wait_for(|world| world.state.work.assignments.get(&id).is_none_or(|found| !found.status.is_live()));
    let ended = tokio::select! {
        ended = tokio::time::timeout(QUERY_PATIENCE, ended) => ended.ok().and_then(Result::ok).map(|world| std::sync::Arc::clone(&world)),
        () = inside.app.closing() => None,
    };
    let Some(found) = ended.as_ref().and_then(|world| world.state.work.assignments.get(&id)) else {
        let body = json!({ "error": "the other agent has not answered", "query_id": id });
        return Ok((StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response());
    };
    if found.status != AssignmentStatus::Completed {
        let why = found.error_message.as_deref().unwrap_or("the other agent failed");
        let body = json!({ "error": why, "query_id": id });
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response());
    }
    let response: String =
        found.result_summary.as_deref().unwrap_or_default().chars().take(RESPONSE_CHARS_MAX).collect();
    let body = json!({
        "query_id": id, "from": draft.from_slug, "target": draft.target_slug, "question": draft.question,
        "response": response, "status": found.status,
    });
    Ok(Json(body).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfidenceDraft {
    workspace_id: Option<String>,
    agent_id: Option<String>,
    confidence: Option<f64>,
    reason: Option<String>,
}

pub(super) async fn report_confidence(
    insider: Insider,
    sent: Sent<Required<ConfidenceDraft>>,
) -> Result<Json<Value>, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let agent = inside.agent(draft.agent_id.as_deref())?;
    let confidence = draft.confidence.filter(|confidence| (0.0..=1.0).contains(confidence));
    let confidence = confidence
        .ok_or_else(|| Problem::invalid("report.confidence", "confidence must be a number from 0 to 1"))?;
    let reason = draft.reason.unwrap_or_default().into();
    let actor = inside.actor(Some(agent.as_str()));
    let command = WorkCommand::ReportConfidence { agent, confidence, reason };
    let done = inside.execute(command, actor).await?;
    let task = done.entries.first().and_then(|entry| match &entry.event {
        Some(taffrail_domain::Event::Mission(taffrail_domain::mission::MissionEvent::TaskUpdated(
            updated,
        ))) => Some(updated.task_id.clone()),
        _ => None,
    });
    Ok(Json(json!({ "task_id": task, "confidence": confidence, "action": "none" })))
}
