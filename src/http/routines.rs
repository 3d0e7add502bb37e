//! Routines, as the API calls them pipelines: list, test, save, and whether they may run (`periphery.md` 10).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taffrail_domain::issue::IssueStatus;
use taffrail_domain::routine::{
    Planned, Routine, RoutineCommand, RoutineDraft, RoutineRunStatus, RoutineStatus, definition_hash,
};
use taffrail_domain::{AgentId, CrewId, MissionId, RoutineId, Text, UserId, Workspace, WorkspaceId};
use taffrail_projections::WorkspaceWorld;

use super::answer::{Created, Done, Gone, Listed, Shown, Told};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{Gate, ManageRoutines, ReadRoutines, WriteRoutines};
use super::problem::Problem;
use super::query::{Query, Word};
use super::time::Seconds;
use crate::writer::Executed;

/// Most issues that a routine names.
const LINKED_MAX: usize = 3;
/// The language of definitions that do not say theirs.
const DSL_VERSION: &str = "1.0";

/// A routine on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Pipeline")]
pub(super) struct RoutineView {
    id: RoutineId,
    slug: Text,
    name: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Text>,
    dsl_version: String,
    definition_hash: Text,
    ephemeral: bool,
    workspace_visible: bool,
    invocation_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_invoked_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_invocation_status: Option<RoutineRunStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_crew_id: Option<CrewId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_agent_id: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_agent_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_user_id: Option<UserId>,
    authored_via: Text,
    status: RoutineStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    risk_reasons: Vec<Text>,
    created_at: Seconds,
    updated_at: Seconds,
    linked_issue_count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    linked_issues: Vec<LinkedIssueView>,
    /// Only of one routine.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    whole: Option<WholeView>,
}

/// What is shown of one routine alone.
#[derive(Serialize, JsonSchema)]
struct WholeView {
    integrations_required: Vec<String>,
    definition: Value,
}

/// An issue that is bound to a routine.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LinkedIssue")]
struct LinkedIssueView {
    id: MissionId,
    identifier: Text,
    title: Text,
    status: IssueStatus,
}

impl RoutineView {
    fn of(routine: &Routine, state: &Workspace) -> Self {
        let definition: Value = serde_json::from_str(routine.facts.definition.get()).unwrap_or_default();
        let own = |name: &str| definition.get(name).and_then(Value::as_str).map(str::to_owned);
        let facts = &routine.facts;
        let agent = facts.author_agent_id.as_ref().and_then(|id| state.roster.agents.get(id));
        let last_run = routine.last_run.as_ref().and_then(|id| state.routines.runs.get(id));
        let bound = || state.issues.by_routine.range((routine.id.clone(), MissionId::from(""))..);
        let bound = || bound().take_while(|(of, _)| *of == routine.id).map(|(_, issue)| issue);
        let linked = bound().take(LINKED_MAX).filter_map(|id| state.issues.all.get(id));
        let linked_issues = linked.map(|issue| LinkedIssueView {
            id: issue.id.clone(),
            identifier: issue.identifier.clone(),
            title: issue.title.clone(),
            status: issue.status,
        });
        Self {
            id: routine.id.clone(),
            slug: facts.slug.clone(),
            name: facts.name.clone(),
            description: facts.description.clone(),
            dsl_version: own("dsl_version").unwrap_or_else(|| DSL_VERSION.to_owned()),
            definition_hash: facts.definition_hash.clone(),
            ephemeral: false,
            workspace_visible: true,
            invocation_count: routine.invocation_count,
            last_invoked_at: routine.last_invoked_at.map(Seconds),
            last_invocation_status: last_run.map(|run| run.status),
            author_crew_id: facts.author_crew_id.clone(),
            author_agent_id: facts.author_agent_id.clone(),
            author_agent_name: agent.map(|agent| agent.facts.name.clone()),
            author_user_id: facts.author_user_id.clone(),
            authored_via: facts.authored_via.clone(),
            status: routine.status,
            icon: own("icon"),
            color: own("color"),
            risk_reasons: routine.risk_reasons.clone(),
            created_at: Seconds(routine.created_at),
            updated_at: Seconds(routine.updated_at),
            linked_issue_count: bound().count(),
            linked_issues: linked_issues.collect(),
            whole: None,
        }
    }

    fn whole(routine: &Routine, state: &Workspace) -> Self {
        let definition: Value = serde_json::from_str(routine.facts.definition.get()).unwrap_or_default();
        let named = definition.get("integrations_required").and_then(Value::as_array);
        let integrations = named.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let whole = WholeView { integrations_required: integrations.collect(), definition };
        Self { whole: Some(whole), ..Self::of(routine, state) }
    }

    fn has_tag(routine: &Routine, tag: &str) -> bool {
        let definition: Value = serde_json::from_str(routine.facts.definition.get()).unwrap_or_default();
        let tags = definition.get("tags").and_then(Value::as_array);
        tags.is_some_and(|tags| tags.iter().any(|own| own.as_str() == Some(tag)))
    }
}

/// Which routines.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RoutineQuery {
    /// `popularity`: those that were run most often come first; by slug without it.
    order: Word,
    /// Only those whose definition has this tag.
    tag: Word,
    /// Only `active`, `proposed` or `disabled` ones.
    status: Word,
}

/// Body of a test.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct TestDraft {
    /// What is to be tested; required.
    definition: Option<Map<String, Value>>,
    /// What it would be given.
    sample_inputs: Option<Map<String, Value>>,
}

/// What a test found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelineTest")]
pub(super) struct TestView {
    /// `DRY_RUN_OK` or `FAILED`.
    status: &'static str,
    /// Lets this caller save just this definition within five minutes.
    save_token: String,
    /// Why it failed.
    error_message: String,
    duration_ms: u64,
    cost_usd: f64,
    would_execute: Vec<Value>,
    risk_reasons: Vec<&'static str>,
}

/// `GET /api/v1/workspaces/{workspaceId}/pipelines`: all of them, without their definitions.
pub(super) async fn list_routines(
    member: Member<ReadRoutines>,
    Query(query): Query<RoutineQuery>,
) -> Listed<Vec<RoutineView>> {
    let world = member.world();
    let routines = &world.state.routines;
    let all = routines.slugs.values().filter_map(|id| routines.live(id.as_str()));
    let is_wanted = |routine: &&std::sync::Arc<Routine>| {
        query.status.get().is_none_or(|status| routine.status.as_str() == status)
            && query.tag.get().is_none_or(|tag| RoutineView::has_tag(routine, tag))
    };
    let mut wanted: Vec<_> = all.filter(is_wanted).collect();
    if query.order.get() == Some("popularity") {
        wanted.sort_by_key(|routine| std::cmp::Reverse(routine.invocation_count));
    }
    let views: Vec<_> = wanted.into_iter().map(|routine| RoutineView::of(routine, &world.state)).collect();
    Listed::whole(&views, views.len())
}

/// `GET /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}`
pub(super) async fn get_routine(
    member: Member<ReadRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
) -> Result<Shown<RoutineView>, Problem> {
    let world = member.world();
    let routine = world.state.routine(&slug)?;
    Ok(Shown::new(routine.changed, &RoutineView::whole(routine, &world.state)))
}

/// What a test of a definition vouches for.
fn tested<G: Gate>(member: &Member<G>, definition: &Map<String, Value>) -> String {
    let hash = definition_hash(&Value::Object(definition.clone()));
    format!("{}\0{hash}\0{}", member.id, member.user())
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/test_run`: reads a definition and says what it would do.
/// Nothing is done, and nothing is written.
pub(super) async fn test_routine(
    member: Member<WriteRoutines>,
    sent: Sent<Required<TestDraft>>,
) -> Result<Told<TestView>, Problem> {
    let draft = sent.json()?;
    let definition =
        draft.definition.ok_or_else(|| Problem::invalid("routine.required", "definition required"))?;
    let inputs = draft.sample_inputs.unwrap_or_default();
    let view = match Planned::of(&Value::Object(definition.clone()), &inputs) {
        Ok(planned) => TestView {
            status: "DRY_RUN_OK",
            save_token: member.app.vault().tested(&tested(&member, &definition), member.app.now()),
            error_message: String::new(),
            duration_ms: 0,
            cost_usd: 0.0,
            would_execute: planned.steps,
            risk_reasons: planned.risks,
        },
        // As a run that fails is an answer, so is a test.
        Err(error_message) => TestView {
            status: "FAILED",
            save_token: String::new(),
            error_message,
            duration_ms: 0,
            cost_usd: 0.0,
            would_execute: vec![],
            risk_reasons: vec![],
        },
    };
    Ok(Told::new(&view))
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/save`: a new routine, or what the one with this slug is
/// from now on.
pub(super) async fn save_routine(
    member: Member<WriteRoutines>,
    sent: Sent<Required<RoutineDraft>>,
) -> Result<Created<RoutineView>, Problem> {
    let draft = sent.json()?;
    let slug = draft.slug.as_deref().unwrap_or_default().trim().to_owned();
    let (vault, now) = (member.app.vault(), member.app.now());
    let is_tested = draft
        .save_token
        .as_deref()
        .zip(draft.definition.as_ref())
        .is_some_and(|(token, definition)| vault.is_tested(token, &tested(&member, definition), now));
    let command = RoutineCommand::Save { draft: draft.into(), is_tested };
    let done = member.execute(command, &sent).await?;
    let (view, changed) = shown(&done, &slug)?;
    Ok(Created::tagged(&done, &view, changed))
}

fn shown(
    done: &Executed<WorkspaceWorld>,
    slug: &str,
) -> Result<(RoutineView, taffrail_domain::Offset), Problem> {
    let routine = done.world.state.routine(slug)?;
    Ok((RoutineView::whole(routine, &done.world.state), routine.changed))
}

async fn changed<G: Gate>(
    member: Member<G>,
    slug: &Text,
    command: RoutineCommand,
    sent: &Sent<Ignored>,
) -> Result<Done<RoutineView>, Problem> {
    let done = member.execute(command, sent).await?;
    let (view, changed) = shown(&done, slug)?;
    Ok(Done::tagged(&done, &view, changed))
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/approve`
pub(super) async fn approve_routine(
    member: Member<WriteRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    sent: Sent<Ignored>,
) -> Result<Done<RoutineView>, Problem> {
    changed(member, &slug, RoutineCommand::Approve { slug: slug.clone() }, &sent).await
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/reject`
pub(super) async fn reject_routine(
    member: Member<WriteRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    sent: Sent<Ignored>,
) -> Result<Done<RoutineView>, Problem> {
    changed(member, &slug, RoutineCommand::Reject { slug: slug.clone() }, &sent).await
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/enable`
pub(super) async fn enable_routine(
    member: Member<ManageRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    sent: Sent<Ignored>,
) -> Result<Done<RoutineView>, Problem> {
    changed(member, &slug, RoutineCommand::Enable { slug: slug.clone() }, &sent).await
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/disable`
pub(super) async fn disable_routine(
    member: Member<ManageRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    sent: Sent<Ignored>,
) -> Result<Done<RoutineView>, Problem> {
    changed(member, &slug, RoutineCommand::Disable { slug: slug.clone() }, &sent).await
}

/// `DELETE /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}`: issues lose it, its runs stay as they were.
pub(super) async fn delete_routine(
    member: Member<ManageRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let done = member.execute(RoutineCommand::Delete { slug }, &sent).await?;
    Ok(Gone::of(&done))
}
