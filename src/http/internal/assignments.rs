//! What agents hand each other (`platform.md` 8.3).

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use taffrail_domain::approval::{Approval, ApprovalStatus, Held};
use taffrail_domain::mission::MissionEvent;
use taffrail_domain::roster::Ruling;
use taffrail_domain::work::{
    Assignment, AssignmentFacts, AssignmentStatus, Delegation, QUERY_DEPTH_MAX, QUERY_MS_MAX, WorkCommand,
};
use taffrail_domain::{Actor, AssignmentId, Event, Rejection};
use taffrail_projections::WorkspaceWorld;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::insider::{Inside, Insider, clean};
use crate::http::answer::first_entry;
use crate::http::body::{Required, Sent};
use crate::http::problem::Problem;
use crate::http::time::Seconds;
use crate::writer::{Wish, Writer};

/// How long an agent waits for another one's answer.
const QUERY_PATIENCE: Duration = Duration::from_millis(QUERY_MS_MAX);
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
fn delegation(
    inside: &Inside,
    draft: &DelegationDraft,
    (said, missing): (Option<&str>, &'static str),
) -> Result<(Delegation, Actor), Problem> {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let parts = text(draft.target_slug.as_deref()).zip(text(said)).zip(text(draft.chat_id.as_deref()));
    let ((target, task), chat) = parts.ok_or_else(|| Problem::invalid("assignment.incomplete", missing))?;
    let crew = inside.crew(draft.crew_id.as_deref())?;
    let chat = inside.chat(&chat)?;
    let world = inside.world();
    let named = draft.mission_id.as_deref().filter(|id| !id.is_empty());
    let mission = inside.mission(named.unwrap_or(chat.as_str()));
    if named.is_some() && mission.is_none() {
        // Deleted meanwhile, or none of the token's: work that belongs to nothing is nobody's to give.
        let detail = "the mission or issue is over";
        return Err(Rejection::conflict("assignment.mission_over", detail).into());
    }
    let by_slug = draft.from_slug.as_deref().and_then(|slug| world.state.roster.agent_slugs.get(slug));
    let actor = inside.actor(draft.actor_agent_id.as_deref().or(by_slug.map(|id| id.as_str())));
    let from = match &actor {
        Actor::Agent(agent) => Some(agent.clone()),
        _ => None,
    };
    let delegation = Delegation {
        target_slug: target.into(),
        task: clean(&task),
        crew,
        chat,
        mission,
        actor: from,
        is_question: false,
    };
    Ok((delegation, actor))
}

pub(super) async fn delegate(
    insider: Insider,
    sent: Sent<Required<DelegationDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let missing = "target_slug, task, crew_id, workspace_id, chat_id required";
    let (delegation, actor) = delegation(&inside, &draft, (draft.task.as_deref(), missing))?;
    let done = inside.execute(WorkCommand::Delegate(delegation.into()), actor).await?;
    let subject = &first_entry(&done)?.subject;
    // Where the policy holds it, the question is the fact, and tells what the assignment will be called.
    let hold = done.world.state.approvals.all.get(&**subject);
    let id = hold.and_then(|hold| hold.request.held.as_ref()).map_or(&**subject, |held| held.id());
    let mut body = json!({ "assignment_id": id, "status": AssignmentStatus::Pending });
    let Some(hold) = hold else { return Ok((StatusCode::CREATED, Json(body)).into_response()) };
    body["decision"] = json!(Ruling::Held);
    body["pending_review"] = json!(true);
    body["approval_id"] = json!(hold.id);
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

pub(super) async fn show(insider: Insider, Path(id): Path<AssignmentId>) -> Result<Json<Value>, Problem> {
    let inside = insider.inside(None)?;
    let world = inside.world();
    let found = world.state.work.assignments.get(&id);
    let held = world.state.approvals.hold_on(id.as_str()).and_then(|hold| Some((hold, held_by(hold)?)));
    let shown = match (found, held) {
        (Some(found), _) if is_reached(&inside, &found.facts) => Some(view(&inside, found)),
        (None, Some((hold, facts))) if is_reached(&inside, facts) => {
            Some(held_view(&inside, &id, hold, facts))
        }
        _ => None,
    };
    let not_found = || Rejection::not_found("assignment.not_found", "assignment not found");
    Ok(Json(shown.ok_or_else(not_found)?))
}

/// A bound token sees what its crew works, and what it has handed to another one.
fn is_reached(inside: &Inside, facts: &AssignmentFacts) -> bool {
    let world = inside.world();
    let by = facts.assigned_by.as_ref().and_then(|by| world.state.roster.agents.get(by));
    inside.reaches(facts.crew_id.as_ref()) || inside.reaches(by.and_then(|by| by.facts.crew_id.as_ref()))
}

fn held_by(hold: &Approval) -> Option<&AssignmentFacts> {
    match hold.request.held.as_ref()? {
        Held::Assignment { assignment, .. } => Some(assignment),
        Held::Mission { .. } | Held::Issue { .. } | Held::Crew { .. } | Held::Agent { .. } => None,
    }
}

/// What is not there before somebody has said yes, and never will be where nobody does.
fn held_view(inside: &Inside, id: &AssignmentId, hold: &Approval, facts: &AssignmentFacts) -> Value {
    let (status, error) = match hold.status {
        ApprovalStatus::Pending => (AssignmentStatus::Pending, None),
        _ => (AssignmentStatus::Cancelled, Some("not approved")),
    };
    json!({
        "id": id, "workspace_id": inside.id, "chat_id": facts.chat_id, "assigned_by_id": facts.assigned_by,
        "assigned_to_id": facts.assigned_to, "task": facts.prompt.as_ref().unwrap_or(&facts.task),
        "status": status, "started_at": null, "finished_at": hold.decided_at.map(Seconds),
        "result_summary": null, "error_message": error, "created_at": Seconds(hold.created_at),
    })
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

/// A question to another agent: the answer is waited for. Without a worker there would be none.
pub(super) async fn query(
    insider: Insider,
    sent: Sent<Required<DelegationDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    // What the caller says counts too: it may be asking on behalf of another one.
    if usize::try_from(draft.depth.unwrap_or_default()).is_ok_and(|depth| depth > QUERY_DEPTH_MAX) {
        return Err(Problem::invalid("query.too_deep", "depth must be at most 2"));
    }
    let missing = "target_slug, question, crew_id, workspace_id, chat_id required";
    let (delegation, actor) = delegation(&inside, &draft, (draft.question.as_deref(), missing))?;
    refuse_without_worker(&inside, &delegation)?;
    let asker = Asker::ask(&inside.writer, delegation, actor).await?;
    let id = asker.id.clone();
    let mut published = inside.writer.watch();
    let ended = published
        .wait_for(|world| world.state.work.assignments.get(&id).is_none_or(|found| !found.status.is_live()));
    tokio::select! {
        // Whatever came of it, the world tells.
        _ = tokio::time::timeout(QUERY_PATIENCE, ended) => {}
        () = inside.app.closing() => {}
    }
    drop(asker);
    Ok(replied(&inside, &draft, &id))
}

fn refuse_without_worker(inside: &Inside, delegation: &Delegation) -> Result<(), Problem> {
    let world = inside.world();
    let target = world.state.roster.agent_slugs.get(&delegation.target_slug);
    let desk = inside.app.desk(inside.writer.log()).ok_or_else(Problem::internal)?;
    if target.is_some_and(|target| !desk.has_worker(target)) {
        return Err(Problem::unavailable("query.no_worker", "no worker is there for the target agent"));
    }
    Ok(())
}

/// What the other agent said, or why it has said nothing.
fn replied(inside: &Inside, draft: &DelegationDraft, id: &AssignmentId) -> Response {
    let world = inside.world();
    let found = world.state.work.assignments.get(id).filter(|found| !found.status.is_live());
    let Some(found) = found else {
        let body = json!({ "error": "the other agent has not answered", "query_id": id });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    };
    if found.status != AssignmentStatus::Completed {
        let why = found.error_message.as_deref().unwrap_or("the other agent failed");
        let body = json!({ "error": why, "query_id": id });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response();
    }
    let response: String =
        found.result_summary.as_deref().unwrap_or_default().chars().take(RESPONSE_CHARS_MAX).collect();
    let from = found.facts.assigned_by.as_ref().and_then(|by| world.state.roster.agents.get(by));
    Json(json!({
        "query_id": id, "from": from.map(|from| &from.facts.slug), "target": draft.target_slug,
        "question": draft.question, "response": response, "status": found.status,
    }))
    .into_response()
}

/// Whoever waits for an answer. Once they are gone, nobody works on it any more.
struct Asker {
    writer: Writer<WorkspaceWorld>,
    id: AssignmentId,
}

impl Asker {
    /// Asks. The wish has a task of its own: whoever asks may be gone before its answer is there.
    async fn ask(
        writer: &Writer<WorkspaceWorld>,
        delegation: Delegation,
        actor: Actor,
    ) -> Result<Self, Problem> {
        let writer = writer.clone();
        let (asked, asking) = oneshot::channel();
        tokio::spawn(async move {
            let command = WorkCommand::Delegate(Delegation { is_question: true, ..delegation }.into()).into();
            let done = writer.execute(Wish { command, actor, request: None }).await;
            let asker = done.map_err(Problem::from).and_then(|done| {
                let id = AssignmentId::from(&*first_entry(&done)?.subject);
                Ok(Self { writer, id })
            });
            // Where nobody takes it, it is dropped here, and the question with it.
            drop(asked.send(asker));
        });
        asking.await.unwrap_or_else(|_| Err(Problem::internal()))
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let (writer, id) = (self.writer.clone(), self.id.clone());
        let is_live =
            writer.world().state.work.assignments.get(&id).is_some_and(|found| found.status.is_live());
        if !is_live {
            return;
        }
        // Without a runtime the engine withdraws it in time.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let command = WorkCommand::Withdraw { assignment: id }.into();
            let wish = Wish { command, actor: Actor::Orchestrator, request: None };
            if let Err(error) = writer.execute(wish).await {
                tracing::debug!(%error, "a question that nobody waits for could not be withdrawn");
            }
        });
    }
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
    let reason = clean(draft.reason.as_deref().unwrap_or_default());
    let actor = inside.actor(Some(agent.as_str()));
    let command = WorkCommand::ReportConfidence { agent, confidence, reason };
    let done = inside.execute(command, actor).await?;
    let mission = first_entry(&done)?.subject.as_ref().into();
    let crew = done.world.state.undertaking(&mission).map(|mission| mission.crew_id.clone());
    let action = crew.map(|crew| done.world.state.confidence_action(&crew, confidence)).unwrap_or_default();
    let task = done.entries.first().and_then(|entry| match &entry.event {
        Some(Event::Mission(MissionEvent::TaskUpdated(updated))) => Some(updated.task_id.clone()),
        _ => None,
    });
    Ok(Json(json!({ "task_id": task, "confidence": confidence, "action": action })))
}
