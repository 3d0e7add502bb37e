//! Waitpoints: runs of routines that wait for people (`periphery.md` 11).

use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taffrail_domain::roster::Permission;
use taffrail_domain::routine::{RoutineCommand, WaitOn};
use taffrail_domain::{Actor, CrewId, Rejection, RoutineRunId, Text, Time, WorkspaceId};
use taffrail_projections::WorkspaceWorld;

use super::App;
use super::answer::{Done, Told};
use super::body::{Optional, Sent};
use super::caller::Member;
use super::gate::{ReadRoutines, WriteRoutines};
use super::problem::Problem;
use super::time::Seconds;
use crate::vault::Vault;
use crate::writer::Wish;

/// Most rows of a list.
const ROWS_MAX: usize = 200;

/// A run that waits for people.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Waitpoint")]
pub(super) struct WaitpointView {
    /// Whoever has it may decide: shown to those who may anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    pipeline_run_id: RoutineRunId,
    step_id: Text,
    /// `approval`
    kind: &'static str,
    prompt: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoking_crew_id: Option<CrewId>,
    timeout_at: Seconds,
    created_at: Seconds,
    /// Where the token alone is enough, below this server's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_url: Option<String>,
}

/// Body of a member's decision.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct DecisionDraft {
    /// Yes or no; no without it.
    approved: Option<bool>,
    /// Why.
    comment: Option<String>,
}

/// Body of a decision by token.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CallbackDraft {
    /// Yes or no; yes without it.
    approved: Option<bool>,
    /// What the step yields beside that.
    payload: Option<Value>,
}

/// What was decided.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WaitpointDecision")]
pub(super) struct DecidedView {
    ok: bool,
    approved: bool,
}

/// `GET /api/v1/workspaces/{workspaceId}/pipelines/waitpoints`: those nobody has decided, newest first.
pub(super) async fn list_waitpoints(member: Member<ReadRoutines>) -> Told<Vec<WaitpointView>> {
    let world = member.world();
    let role = world.state.roster.role(member.user());
    let may_decide = role.is_some_and(|role| role.allows(Permission::Create));
    let vault = Some(member.app.vault()).filter(|_| may_decide);
    Told::new(&rows(&world, vault, member.now()))
}

/// With tokens, if there is a vault to make them.
fn rows(world: &WorkspaceWorld, vault: Option<&Vault>, now: Time) -> Vec<WaitpointView> {
    let routines = &world.state.routines;
    let newest = routines.waitpoints_by_birth.values().rev().filter_map(|id| routines.runs.get(id));
    let open = newest.filter_map(|run| {
        let waiting = run.waiting.as_ref()?;
        let WaitOn::Approval { waitpoint, prompt, timeout_at } = &waiting.on else { return None };
        let routine = routines.live(run.facts.routine_id.as_str());
        let token = vault.map(|vault| vault.waitpoint_token(waitpoint));
        (now < *timeout_at).then(|| WaitpointView {
            pipeline_run_id: run.id.clone(),
            step_id: waiting.step_id.clone(),
            kind: "approval",
            prompt: prompt.clone(),
            invoking_crew_id: routine.and_then(|routine| routine.facts.author_crew_id.clone()),
            timeout_at: Seconds(*timeout_at),
            created_at: Seconds(waiting.since),
            callback_url: token.as_ref().map(|token| format!("/api/v1/waitpoint-tokens/{token}")),
            token,
        })
    });
    open.take(ROWS_MAX).collect()
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/waitpoints/{waitpointToken}/approve`: decides, once.
pub(super) async fn decide_waitpoint(
    member: Member<WriteRoutines>,
    Path((_, token)): Path<(WorkspaceId, Text)>,
    sent: Sent<Optional<DecisionDraft>>,
) -> Result<Done<DecidedView>, Problem> {
    let draft = sent.json()?;
    let approved = draft.approved.unwrap_or(false);
    let comment = draft.comment.map(Into::into);
    let waitpoint = member.app.vault().waitpoint_of(&token).ok_or_else(not_pending)?.into();
    let command = RoutineCommand::DecideWaitpoint { waitpoint, approved, comment, payload: None };
    let done = member.execute(command, &sent).await?;
    Ok(Done::new(&done, &DecidedView { ok: true, approved }))
}

/// `POST /api/v1/waitpoint-tokens/{waitpointToken}`: the token is all that is asked for.
pub(super) async fn decide_by_token(
    State(app): State<App>,
    Path(token): Path<Text>,
    sent: Sent<Optional<CallbackDraft>>,
) -> Result<Done<DecidedView>, Problem> {
    let draft = sent.json()?;
    let approved = draft.approved.unwrap_or(true);
    let waitpoint = app.vault().waitpoint_of(&token).ok_or_else(not_pending)?;
    let request = sent.request(&format!("waitpoint:{waitpoint}"));
    let writer = app.workspace_of_waitpoint(waitpoint, request.as_ref()).await?.ok_or_else(not_pending)?;
    let (waitpoint, payload) = (waitpoint.into(), draft.payload);
    let command = RoutineCommand::DecideWaitpoint { waitpoint, approved, comment: None, payload };
    let done = writer.execute(Wish { command: command.into(), actor: Actor::System, request }).await?;
    Ok(Done::new(&done, &DecidedView { ok: true, approved }))
}

/// The same as for one that is decided: nobody learns which tokens there were.
fn not_pending() -> Rejection {
    Rejection::conflict("waitpoint.not_pending", "waitpoint: already decided or expired")
}
