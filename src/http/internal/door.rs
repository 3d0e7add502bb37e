//! Crews and agents that agents wish for: their crew's policy decides (`platform.md` 8.3, `periphery.md` 7).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use taffrail_domain::roster::{AgentPatch, CrewPatch, RosterCommand};
use taffrail_domain::{Entry, Text, Workspace};

use super::insider::Insider;
use crate::http::answer::first_entry;
use crate::http::body::{Required, Sent};
use crate::http::problem::Problem;

pub(super) async fn list_crews(insider: Insider) -> Result<Json<Value>, Problem> {
    let inside = insider.inside(None)?;
    let world = inside.world();
    let mut crews: Vec<_> =
        world.state.roster.crews.values().filter(|crew| crew.deleted_at.is_none()).collect();
    crews.sort_by(|a, b| a.facts.name.cmp(&b.facts.name));
    let crews: Vec<Value> = crews
        .iter()
        .map(|crew| json!({ "id": crew.id, "name": crew.facts.name, "slug": crew.facts.slug }))
        .collect();
    Ok(Json(crews.into()))
}

/// A body that names its workspace beside what it asks for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WishDraft {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    actor_agent_id: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) async fn create_crew(
    insider: Insider,
    sent: Sent<Required<WishDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let actor = inside.actor(draft.actor_agent_id.as_deref());
    let named = draft.crew_id.as_deref().filter(|crew| !crew.is_empty());
    let is_named = named.is_some() || inside.bound_crew().is_some();
    let by = is_named.then(|| inside.crew(named)).transpose()?;
    let patch: CrewPatch = read(draft.rest)?;
    let done = inside.execute(RosterCommand::ProposeCrew { by, patch }, actor).await?;
    let state = &done.world.state;
    let crew = state.crew(&first_entry(&done)?.subject)?;
    let name = (&crew.facts.name, &crew.facts.slug);
    Ok(made(state, first_entry(&done)?, name))
}

pub(super) async fn create_agent(
    insider: Insider,
    sent: Sent<Required<WishDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let crew = inside.crew(draft.crew_id.as_deref())?;
    let actor = inside.actor(draft.actor_agent_id.as_deref());
    let patch: AgentPatch = read(draft.rest)?;
    let done = inside.execute(RosterCommand::ProposeAgent { crew, patch }, actor).await?;
    let state = &done.world.state;
    let agent = state.agent(&first_entry(&done)?.subject)?;
    let name = (&agent.facts.name, &agent.facts.slug);
    Ok(made(state, first_entry(&done)?, name))
}

fn read<T: DeserializeOwned>(rest: Map<String, Value>) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(rest)).map_err(|_| Problem::invalid("invalid_json", "Invalid JSON"))
}

/// 201, or 202 where it is inert until somebody has said yes. What ruled is in the audit row.
fn made(state: &Workspace, entry: &Entry, (name, slug): (&Text, &Text)) -> Response {
    let payload = entry.face.as_ref().map(|face| face.payload.get()).unwrap_or_default();
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let ruled = &payload["metadata"];
    let hold = state.approvals.hold_on(&entry.subject);
    let body = json!({
        "id": &*entry.subject, "name": name, "slug": slug, "decision": ruled["decision"],
        "autonomy_level": ruled["autonomy_level"], "pending_review": ruled["pending_review"],
        "approval_id": hold.map_or("", |hold| hold.id.as_str()),
    });
    let status = if hold.is_some() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    (status, Json(body)).into_response()
}
