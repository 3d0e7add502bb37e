//! Runs without an assignment, and what an agent's surroundings see (`platform.md` 8.3, `journal.md` 3.8).

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use taffrail_domain::work::{NewRun, RunStatus, WorkCommand};
use taffrail_domain::{Actor, ActorType, Face, Json as Object, Rejection, RunId, Severity};

use super::insider::{Inside, Insider, clean, clean_object};
use crate::http::answer::first_entry;
use crate::http::body::{Required, Sent};
use crate::http::problem::Problem;

/// What a sidecar may write into the journal.
const FROM_SIDECARS: [&str; 2] = ["network.egress", "file.written"];
const EMIT_BYTES_MAX: usize = 64 << 10;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RunDraft {
    workspace_id: Option<String>,
    id: Option<String>,
    agent_id: Option<String>,
    chat_id: Option<String>,
    trigger_type: Option<String>,
    metadata: Option<Map<String, Value>>,
    status: Option<String>,
    exit_code: Option<i64>,
    error_message: Option<String>,
}

fn object(map: Option<Map<String, Value>>) -> Object {
    map.map(|map| Value::Object(map).into()).unwrap_or_default()
}

pub(super) async fn begin(insider: Insider, sent: Sent<Required<RunDraft>>) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let agent = inside.agent(draft.agent_id.as_deref())?;
    let actor = inside.actor(Some(agent.as_str()));
    let new = NewRun {
        id: draft.id.filter(|id| !id.is_empty() && id.len() <= 64).map(RunId::from),
        agent,
        chat: draft.chat_id.map(Into::into),
        trigger_type: draft.trigger_type.unwrap_or_else(|| "USER".to_owned()).into(),
        metadata: object(draft.metadata),
    };
    let known = new.id.clone();
    let done = inside.execute(WorkCommand::BeginRun(new.into()), actor).await?;
    let id = match known {
        Some(id) => id,
        None => RunId::from(&*first_entry(&done)?.subject),
    };
    let body = json!({ "id": id, "status": RunStatus::Running });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub(super) async fn end(
    insider: Insider,
    Path(run): Path<RunId>,
    sent: Sent<Required<RunDraft>>,
) -> Result<Json<Value>, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let status = draft.status.as_deref().and_then(|word| RunStatus::parse(&word.to_uppercase()));
    let status = status.filter(|status| *status != RunStatus::Running).ok_or_else(|| {
        Problem::invalid("run.status", "status must be one of: COMPLETED, FAILED, CANCELLED, TIMEOUT")
    })?;
    refuse_foreign(&inside, &run)?;
    let command = WorkCommand::EndRun {
        run: run.clone(),
        status,
        exit_code: draft.exit_code,
        error_message: draft.error_message.as_deref().map(clean),
        metadata: object(draft.metadata),
    };
    let done = inside.execute(command, inside.actor(None)).await?;
    let recorded = done.world.state.work.runs.get(&run).map(|run| run.status());
    Ok(Json(json!({ "id": run, "status": recorded })))
}

fn mission_not_found() -> Rejection {
    Rejection::not_found("mission.not_found", "mission not found")
}

/// A bound token ends no run of somebody else's.
fn refuse_foreign(inside: &Inside, run: &RunId) -> Result<(), Problem> {
    let world = inside.world();
    let found = world.state.work.runs.get(run);
    let is_own = found.is_none_or(|found| {
        inside.agent(Some(found.facts.agent_id.as_str())).is_ok()
            || (!inside.is_an_agent() && inside.reaches(found.facts.crew_id.as_ref()))
    });
    if is_own { Ok(()) } else { Err(Rejection::not_found("run.not_found", "run not found").into()) }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct EmitDraft {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    agent_id: Option<String>,
    mission_id: Option<String>,
    r#type: Option<String>,
    summary: Option<String>,
    payload: Option<Map<String, Value>>,
    refs: Option<Map<String, Value>>,
}

pub(super) async fn emit(insider: Insider, sent: Sent<Required<EmitDraft>>) -> Result<Response, Problem> {
    if sent.len() > EMIT_BYTES_MAX {
        return Err(Problem::too_large());
    }
    let draft = sent.json_or("invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let entry_type = draft.r#type.as_deref().filter(|kind| FROM_SIDECARS.contains(kind));
    let entry_type = entry_type
        .ok_or_else(|| Problem::invalid("journal.entry_type", "entry type not allowed from sidecar"))?;
    let summary = draft.summary.as_deref().filter(|summary| !summary.is_empty());
    let summary = summary.ok_or_else(|| Problem::invalid("journal.summary", "summary is required"))?;
    let agent = inside.agent(draft.agent_id.as_deref())?;
    let crew = inside.crew(draft.crew_id.as_deref())?;
    let mission =
        draft.mission_id.as_deref().map(|id| inside.mission_worked_for(id).ok_or_else(mission_not_found));
    let mission = mission.transpose()?;
    let face = Face {
        severity: Severity::Info,
        actor_type: ActorType::Sidecar,
        actor_id: Some(agent.as_str().into()),
        crew_id: Some(crew),
        agent_id: Some(agent),
        mission_id: mission,
        payload: clean_object(draft.payload),
        refs: clean_object(draft.refs),
        ..Face::new(entry_type, &Actor::System, &clean(summary), "")
    };
    let done = inside.execute(WorkCommand::Witness(face.into()), inside.actor(None)).await?;
    let id = done.world.entry_id(first_entry(&done)?.offset);
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CostDraft {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    agent_id: Option<String>,
    mission_id: Option<String>,
    run_id: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    input_tokens: i64,
    output_tokens: i64,
    cached_input_tokens: i64,
    cache_creation_tokens: i64,
    cost_usd: f64,
    billing_mode: Option<String>,
}

/// What a call of a model cost: one entry for the call, and one for the cost if there is any.
pub(super) async fn record_cost(
    insider: Insider,
    sent: Sent<Required<CostDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json_or("Invalid JSON")?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let named = text(&draft.provider).zip(text(&draft.model));
    let (provider, model) =
        named.ok_or_else(|| Problem::invalid("cost.incomplete", "provider and model required"))?;
    let agent = inside.agent(draft.agent_id.as_deref())?;
    let crew = inside.crew(draft.crew_id.as_deref())?;
    let mission =
        draft.mission_id.as_deref().map(|id| inside.mission_worked_for(id).ok_or_else(mission_not_found));
    let mission = mission.transpose()?;
    let ledger = ulid::Ulid::generate().to_string().to_lowercase();
    let face = |entry_type: &str, payload: Value, summary: &str| Face {
        actor_type: ActorType::System,
        crew_id: Some(crew.clone()),
        agent_id: Some(agent.clone()),
        mission_id: mission.clone(),
        trace_id: draft.run_id.as_deref().map(Into::into),
        payload: payload.into(),
        refs: json!({ "ledger_id": ledger }).into(),
        ..Face::new(entry_type, &Actor::System, summary, &model)
    };
    let call = json!({
        "provider": provider, "model": model, "input_tokens": draft.input_tokens,
        "output_tokens": draft.output_tokens, "cached_input_tokens": draft.cached_input_tokens,
        "cache_creation_tokens": draft.cache_creation_tokens, "cost_usd": draft.cost_usd,
        "billing_mode": draft.billing_mode.as_deref().unwrap_or("metered"), "ledger_id": ledger,
    });
    let call = face("llm.call", call, "llm call");
    let done = inside.execute(WorkCommand::Witness(call.into()), inside.actor(None)).await?;
    if draft.cost_usd > 0.0 {
        let cost =
            json!({ "provider": provider, "model": model, "cost_usd": draft.cost_usd, "ledger_id": ledger });
        let cost = face("cost.incurred", cost, "cost");
        inside.execute(WorkCommand::Witness(cost.into()), inside.actor(None)).await?;
    }
    let id = done.world.entry_id(first_entry(&done)?.offset);
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))).into_response())
}
