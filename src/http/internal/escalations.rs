//! What agents ask people (`platform.md` 8.3).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use taffrail_domain::escalation::{
    Escalation, EscalationCommand, EscalationEnded, EscalationType, Question, WAIT_SECONDS,
};
use taffrail_domain::{EscalationId, Rejection};
use taffrail_projections::WorkspaceWorld;

use super::insider::{Inside, Insider, clean, clean_object};
use crate::http::answer::first_entry;
use crate::http::body::{Required, Sent};
use crate::http::problem::Problem;
use crate::http::time::Seconds;

const CREDENTIAL_GONE: &str = "the credential was told, but is not kept any more";
const UNANSWERED: &str = "nobody has answered yet; the answer will be in the journal";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct EscalationDraft {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    chat_id: Option<String>,
    from_slug: Option<String>,
    agent_id: Option<String>,
    reason: Option<String>,
    context: Option<String>,
    r#type: Option<String>,
    metadata: Option<Map<String, Value>>,
}

pub(super) async fn raise(
    insider: Insider,
    sent: Sent<Required<EscalationDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let escalation_type = match draft.r#type.as_deref().filter(|word| !word.is_empty()) {
        None => EscalationType::Text,
        Some(word) => EscalationType::parse(&word.to_uppercase()).ok_or_else(|| {
            Problem::invalid("escalation.type", "type must be one of: TEXT, CREDENTIAL, LINK")
        })?,
    };
    let crew = inside.crew(draft.crew_id.as_deref())?;
    let agent = inside.agent_called(draft.from_slug.as_deref(), draft.agent_id.as_deref())?;
    let chat = inside.chat(draft.chat_id.as_deref().unwrap_or_default())?;
    let actor = inside.actor(Some(agent.as_str()));
    let question = Question {
        crew,
        agent,
        chat,
        reason: clean(draft.reason.as_deref().unwrap_or_default()),
        context: draft.context.as_deref().map(clean),
        escalation_type,
        metadata: clean_object(draft.metadata),
    };
    let done = inside.execute(EscalationCommand::Raise(question.into()), actor).await?;
    let found = done.world.state.escalation(&EscalationId::from(&*first_entry(&done)?.subject))?;
    let body = json!({
        "escalation_id": found.id, "status": found.status(), "deadline_at": Seconds(found.asked.deadline_at),
        "timeout_seconds": WAIT_SECONDS, "answer_deadline_at": Seconds(found.asked.answer_deadline_at),
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Answers once somebody has decided, or once the agent has waited long enough.
pub(super) async fn wait(insider: Insider, Path(id): Path<EscalationId>) -> Result<Json<Value>, Problem> {
    let inside = insider.inside(None)?;
    let asked = find(&inside, &inside.world(), &id)?.asked.clone();
    let left = asked.deadline_at.0.saturating_sub(inside.app.now().0);
    let mut published = inside.writer.watch();
    let ended = published
        .wait_for(|world| world.state.escalations.all.get(&id).is_none_or(|found| found.ended.is_some()));
    tokio::select! {
        // Whatever came of it, the world tells.
        _ = tokio::time::timeout(Duration::from_millis(left), ended) => {}
        () = inside.app.closing() => return Err(Problem::unavailable("closing", "The server stops, ask again")),
    }
    let world = inside.world();
    let found = find(&inside, &world, &id)?;
    Ok(Json(match &found.ended {
        Some(ended) => answered(&inside, ended),
        None => json!({
            "status": "UNANSWERED", "resolution": null, "action": null, "redirect_to": null,
            "warning": UNANSWERED,
        }),
    }))
}

fn answered(inside: &Inside, ended: &EscalationEnded) -> Value {
    let mut body = json!({
        "status": ended.status, "resolution": ended.resolution, "action": ended.action,
        "redirect_to": ended.redirect_to,
    });
    let Some(secret) = &ended.secret_id else { return body };
    match inside.app.vault().answer(secret, inside.app.now()) {
        Some(credential) => body["resolution"] = credential.into(),
        None => body["warning"] = CREDENTIAL_GONE.into(),
    }
    body
}

/// Only for those who may have asked: a credential is told here.
fn find(inside: &Inside, world: &Arc<WorkspaceWorld>, id: &EscalationId) -> Result<Escalation, Problem> {
    let found = world.state.escalation(id)?;
    let speaks = !inside.is_an_agent() || inside.agent(Some(found.asked.agent_id.as_str())).is_ok();
    if speaks && inside.reaches(Some(&found.asked.crew_id)) {
        return Ok(found.clone());
    }
    Err(Rejection::not_found("escalation.not_found", "escalation not found").into())
}
