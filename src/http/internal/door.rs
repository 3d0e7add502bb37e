//! Crews and agents that agents wish for: their crew's policy decides (`platform.md` 8.3, `periphery.md` 7).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use taffrail_domain::roster::{AgentPatch, Autonomy, CrewPatch, RosterCommand};
use taffrail_domain::{AgentId, CrewId};

use super::insider::{Inside, Insider};
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
pub(super) struct Wished {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) async fn create_crew(insider: Insider, sent: Sent<Required<Wished>>) -> Result<Response, Problem> {
    let wished = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(wished.workspace_id.as_deref())?;
    let own = wished.crew_id.as_deref();
    let autonomy = gate(&inside, own, "crew_create")?;
    let patch: CrewPatch = read(wished.rest)?;
    let done = inside.execute(RosterCommand::CreateCrew(patch), inside.actor(None)).await?;
    let id = CrewId::from(&*first_entry(&done)?.subject);
    Ok(created(id.as_str(), autonomy))
}

pub(super) async fn create_agent(
    insider: Insider,
    sent: Sent<Required<Wished>>,
) -> Result<Response, Problem> {
    let wished = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(wished.workspace_id.as_deref())?;
    let crew = inside.crew(wished.crew_id.as_deref())?;
    let autonomy = gate(&inside, Some(crew.as_str()), "agent_create")?;
    let mut patch: AgentPatch = read(wished.rest)?;
    patch.crew_id = Some(Some(crew.to_string()));
    if let Some(slug) = &patch.slug {
        let world = inside.world();
        let crew_slug = world.state.roster.crews.get(&crew).map(|crew| crew.facts.slug.to_string());
        patch.slug = Some(format!("{slug}-{}", crew_slug.unwrap_or_default()));
    }
    let done = inside.execute(RosterCommand::CreateAgent(patch), inside.actor(None)).await?;
    let id = AgentId::from(&*first_entry(&done)?.subject);
    Ok(created(id.as_str(), autonomy))
}

fn read<T: serde::de::DeserializeOwned>(rest: Map<String, Value>) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(rest)).map_err(|_| Problem::invalid("invalid_json", "Invalid JSON"))
}

/// What the policy says of making something: only crews that are fully trusted may, since nothing here can
/// be made and held back (`periphery.md` 7 holds it at `guided` and `trusted`).
fn gate(inside: &Inside, crew: Option<&str>, action: &str) -> Result<Autonomy, Problem> {
    let world = inside.world();
    let crew = crew.and_then(|crew| world.state.roster.live_crew(crew));
    let autonomy = crew.map(|crew| crew.policy.autonomy).unwrap_or_default();
    if autonomy == Autonomy::Full {
        return Ok(autonomy);
    }
    let detail = format!("{action} rejected by policy");
    Err(Problem::new(StatusCode::FORBIDDEN, "policy.rejected", detail))
}

fn created(id: &str, autonomy: Autonomy) -> Response {
    let body = json!({ "id": id, "decision": "auto_log_inbox", "autonomy_level": autonomy,
        "pending_review": false, "approval_id": "" });
    (StatusCode::CREATED, Json(body)).into_response()
}
