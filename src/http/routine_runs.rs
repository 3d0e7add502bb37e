//! Runs of routines (`periphery.md` 10): what a caller is answered, and their records.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taffrail_domain::issue::Named;
use taffrail_domain::roster::Permission;
use taffrail_domain::routine::{
    RoutineCommand, RoutineEvent, RoutineRun, RoutineRunStatus, RunDraft, StepStatus, WaitOn,
};
use taffrail_domain::{
    Actor, CrewId, EntryId, Event, Json, RoutineId, RoutineRunId, Severity, Text, Time, Workspace,
    WorkspaceId,
};
use taffrail_projections::{WorkspaceWorld, World};

use super::answer::{Done, Listed, Refusing, Shown, Told};
use super::body::{Ignored, Optional, Sent};
use super::caller::Member;
use super::gate::{Gate, ManageRoutines, ReadRoutines, RunIssueRoutine, RunRoutines, WriteRoutines};
use super::page::PageQuery;
use super::problem::Problem;
use super::query::{Number, Query, Word};
use super::time::{Millis, Seconds};
use crate::writer::Executed;

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 200;
const ENTRIES_DEFAULT: usize = 20;

/// What came of a run, or stands in the way of more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelineRunAnswer")]
pub(super) struct RunAnswerView {
    run_id: RoutineRunId,
    pipeline_id: RoutineId,
    pipeline_slug: Text,
    /// `COMPLETED`, `FAILED`, `CANCELLED`, `WAITING` or `RUNNING`: one that failed is an answer all the same.
    status: String,
    /// What the last step yielded: its text, or JSON as text.
    output: String,
    /// The same of each step.
    step_outputs: BTreeMap<Text, String>,
    duration_ms: u64,
    cost_usd: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at_step: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<Text>,
    /// Whether this repeats an earlier request.
    #[serde(skip_serializing_if = "is_false")]
    deduped: bool,
    /// For those who may decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    waitpoint_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_step: Option<Text>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A text as it is, everything else as JSON.
fn text_of(json: &Json) -> String {
    match serde_json::from_str(json.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) => String::new(),
        _ => json.get().to_owned(),
    }
}

fn duration_ms(run: &RoutineRun, now: Time) -> u64 {
    run.ended_at.unwrap_or(now).0.saturating_sub(run.started_at.0)
}

/// The waitpoint that a run waits at, be it in a run that it called.
fn waitpoint_of<'a>(run: &'a RoutineRun, state: &'a Workspace) -> Option<&'a Text> {
    match &run.waiting.as_ref()?.on {
        WaitOn::Run(called) => waitpoint_of(state.routines.runs.get(called)?, state),
        WaitOn::Approval { waitpoint, .. } => Some(waitpoint),
        WaitOn::Time { .. } | WaitOn::Http => None,
    }
}

fn answer<G: Gate>(
    member: &Member<G>,
    done: &Executed<WorkspaceWorld>,
    run: &RoutineRun,
) -> Done<RunAnswerView> {
    let state = &done.world.state;
    let may_decide = state.roster.role(member.user()).is_some_and(|role| role.allows(Permission::Create));
    let view = RunAnswerView {
        run_id: run.id.clone(),
        pipeline_id: run.facts.routine_id.clone(),
        pipeline_slug: run.slug.clone(),
        status: run.status.as_str().to_uppercase(),
        output: run.output().map(|output| text_of(output)).unwrap_or_default(),
        step_outputs: run.outputs.iter().map(|(step, output)| (step.clone(), text_of(output))).collect(),
        duration_ms: duration_ms(run, member.now()),
        cost_usd: 0.0,
        failed_at_step: run.failed_at_step.clone(),
        error_message: run.error_message.clone(),
        deduped: done.replayed,
        waitpoint_token: waitpoint_of(run, state)
            .filter(|_| may_decide)
            .map(|waitpoint| member.app.vault().waitpoint_token(waitpoint)),
        current_step: run.waiting.as_ref().map(|waiting| waiting.step_id.clone()),
    };
    Done::new(done, &view)
}

/// The run that a command began: the first of its entries that says so.
fn begun(done: &Executed<WorkspaceWorld>) -> Result<&Arc<RoutineRun>, Problem> {
    let is_begin = |event: &Event| matches!(event, Event::Routine(RoutineEvent::RoutineRunStarted(_)));
    let entry = done.entries.iter().find(|entry| entry.event.as_ref().is_some_and(is_begin));
    let entry = entry.ok_or_else(Problem::internal)?;
    Ok(done.world.state.routine_run(&entry.subject)?)
}

/// Who may not run is told so before anything is read.
fn require_runner<G: Gate>(member: &Member<G>) -> Result<(), Problem> {
    Ok(member.world().state.require_runner(&Actor::User(member.user().clone()))?)
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/run`: answers when it is over, or waits.
pub(super) async fn run_routine(
    member: Member<RunRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    sent: Sent<Optional<RunDraft>>,
) -> Result<Refusing<Done<RunAnswerView>, 429>, Problem> {
    require_runner(&member)?;
    let command = RoutineCommand::Run { slug, draft: sent.json()?.into() };
    let done = member.execute(command, &sent).await?;
    Ok(Refusing(answer(&member, &done, begun(&done)?)))
}

/// Body of an issue's run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct IssueRunDraft {
    /// What stands in for the issue's own inputs, name by name.
    inputs: Option<Map<String, Value>>,
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/run-routine`: additive (`issues.md` 14).
pub(super) async fn run_issue_routine(
    member: Member<RunIssueRoutine>,
    Path((crew, name)): Path<(CrewId, Text)>,
    sent: Sent<Optional<IssueRunDraft>>,
) -> Result<Refusing<Done<RunAnswerView>, 429>, Problem> {
    require_runner(&member)?;
    let issue = Named { crew: Some(crew), name };
    let command = RoutineCommand::RunForIssue { issue, inputs: sent.json()?.inputs.unwrap_or_default() };
    let done = member.execute(command, &sent).await?;
    Ok(Refusing(answer(&member, &done, begun(&done)?)))
}

/// Body of a dry run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct DryRunDraft {
    /// What it would be given.
    inputs: Option<Map<String, Value>>,
}

/// What a run would do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelineDryRun")]
pub(super) struct DryRunView {
    /// `DRY_RUN_OK`
    status: &'static str,
    duration_ms: u64,
    cost_usd: f64,
    would_execute: Vec<Value>,
    /// What it would be given, defaults filled in.
    inputs: Map<String, Value>,
    /// The routines it would call.
    calls: Vec<String>,
    risk_reasons: Vec<&'static str>,
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/dry_run`: nothing is done, but the journal
/// tells that somebody looked.
pub(super) async fn dry_run_routine(
    member: Member<WriteRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    sent: Sent<Optional<DryRunDraft>>,
) -> Result<Done<DryRunView>, Problem> {
    let inputs = sent.json()?.inputs.unwrap_or_default();
    let command = RoutineCommand::DryRun { slug: slug.clone(), inputs: inputs.clone() };
    let done = member.execute(command, &sent).await?;
    let planned = done.world.state.plan_of(&slug, &inputs)?;
    let view = DryRunView {
        status: "DRY_RUN_OK",
        duration_ms: 0,
        cost_usd: 0.0,
        would_execute: planned.steps,
        inputs: planned.inputs,
        calls: planned.calls,
        risk_reasons: planned.risks,
    };
    Ok(Done::new(&done, &view))
}

/// `POST /api/v1/workspaces/{workspaceId}/pipelines/runs/{pipelineRunId}/cancel`
pub(super) async fn cancel_routine_run(
    member: Member<ManageRoutines>,
    Path((_, id)): Path<(WorkspaceId, RoutineRunId)>,
    sent: Sent<Ignored>,
) -> Result<Done<RunAnswerView>, Problem> {
    let done = member.execute(RoutineCommand::Cancel { run: id.clone() }, &sent).await?;
    let run = done.world.state.routine_run(id.as_str())?;
    Ok(answer(&member, &done, run))
}

/// The record of a run.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelineRun")]
pub(super) struct RunRecordView {
    id: RoutineRunId,
    workspace_id: WorkspaceId,
    pipeline_id: RoutineId,
    pipeline_slug: Text,
    pipeline_name: Text,
    status: RoutineRunStatus,
    /// `live`: what is dry is not recorded.
    mode: &'static str,
    current_step_id: Text,
    started_at: Seconds,
    ended_at: Option<Seconds>,
    error_message: Text,
    failed_at_step: Text,
    cost_usd: f64,
    duration_ms: u64,
    triggered_via: Text,
    triggered_by_id: Option<Text>,
    /// The issue it is about, while that is there.
    issue_identifier: Option<Text>,
    parent_run_id: Option<RoutineRunId>,
    definition_hash: Text,
    tags: Vec<Text>,
    metadata: Json,
    /// Only of one run.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    whole: Option<WholeRunView>,
}

/// What is shown of one run alone.
#[derive(Serialize, JsonSchema)]
struct WholeRunView {
    /// What the last step yielded: its text, or JSON as text.
    output: String,
    inputs: Json,
    step_outputs: BTreeMap<Text, Value>,
    steps: Vec<StepView>,
}

/// A step that is over.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelineStep")]
struct StepView {
    step_id: Text,
    status: StepStatus,
    error: Option<Text>,
    started_at: Seconds,
    ended_at: Seconds,
    duration_ms: u64,
}

impl RunRecordView {
    fn of(run: &RoutineRun, workspace: &WorkspaceId, state: &Workspace, now: Time) -> Self {
        let facts = &run.facts;
        let issue = facts.issue_id.as_ref().and_then(|id| state.issues.all.get(id));
        Self {
            id: run.id.clone(),
            workspace_id: workspace.clone(),
            pipeline_id: facts.routine_id.clone(),
            pipeline_slug: run.slug.clone(),
            pipeline_name: run.name.clone(),
            status: run.status,
            mode: "live",
            current_step_id: run.waiting.as_ref().map(|waiting| waiting.step_id.clone()).unwrap_or_default(),
            started_at: Seconds(run.started_at),
            ended_at: run.ended_at.map(Seconds),
            error_message: run.error_message.clone().unwrap_or_default(),
            failed_at_step: run.failed_at_step.clone().unwrap_or_default(),
            cost_usd: 0.0,
            duration_ms: duration_ms(run, now),
            triggered_via: facts.triggered_via.clone(),
            triggered_by_id: facts.triggered_by_id.clone(),
            issue_identifier: issue.map(|issue| issue.identifier.clone()),
            parent_run_id: facts.called_by.as_ref().map(|caller| caller.run_id.clone()),
            definition_hash: facts.definition_hash.clone(),
            tags: facts.tags.clone(),
            metadata: Json::clone(&facts.metadata),
            whole: None,
        }
    }

    fn whole(run: &RoutineRun, workspace: &WorkspaceId, state: &Workspace, now: Time) -> Self {
        let steps = run.steps.iter().map(|step| StepView {
            step_id: step.id.clone(),
            status: step.status,
            error: step.error.clone(),
            started_at: Seconds(step.begun_at),
            ended_at: Seconds(step.ended_at),
            duration_ms: step.ended_at.0.saturating_sub(step.begun_at.0),
        });
        let value = |json: &Json| serde_json::from_str(json.get()).unwrap_or_default();
        let whole = WholeRunView {
            output: run.output().map(|output| text_of(output)).unwrap_or_default(),
            inputs: Json::clone(&run.facts.inputs),
            step_outputs: run.outputs.iter().map(|(step, output)| (step.clone(), value(output))).collect(),
            steps: steps.collect(),
        };
        Self { whole: Some(whole), ..Self::of(run, workspace, state, now) }
    }
}

/// Which runs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RunQuery {
    /// Only those of this routine.
    pipeline_slug: Word,
    /// Only those in this status.
    status: Word,
    /// Only those that this set going: a user, a run, an issue.
    triggered_by_id: Word,
    #[serde(flatten)]
    page: PageQuery,
}

fn page_of<'a>(
    member: &Member<ReadRoutines>,
    world: &WorkspaceWorld,
    query: &RunQuery,
    newest: impl Iterator<Item = &'a Arc<RoutineRun>>,
) -> Listed<Vec<RunRecordView>> {
    let page = query.page.page(PAGE_DEFAULT, PAGE_MAX);
    let is_wanted = |run: &&Arc<RoutineRun>| {
        query.pipeline_slug.get().is_none_or(|slug| *run.slug == *slug)
            && query.status.get().is_none_or(|status| run.status.as_str() == status.to_lowercase())
            && query.triggered_by_id.get().is_none_or(|by| run.facts.triggered_by_id.as_deref() == Some(by))
    };
    let wanted: Vec<_> = newest.filter(is_wanted).collect();
    let shown = wanted.iter().skip(page.offset).take(page.limit);
    let now = member.now();
    let views: Vec<_> = shown.map(|run| RunRecordView::of(run, &member.id, &world.state, now)).collect();
    Listed::page(&views, wanted.len(), page)
}

/// `GET /api/v1/workspaces/{workspaceId}/pipeline-runs`: newest first.
pub(super) async fn list_routine_runs(
    member: Member<ReadRoutines>,
    Query(query): Query<RunQuery>,
) -> Listed<Vec<RunRecordView>> {
    let world = member.world();
    let routines = &world.state.routines;
    let newest = routines.by_birth.values().rev().filter_map(|id| routines.runs.get(id));
    page_of(&member, &world, &query, newest)
}

/// `GET /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/run-records`: newest first.
pub(super) async fn list_runs_of_routine(
    member: Member<ReadRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    Query(query): Query<RunQuery>,
) -> Result<Listed<Vec<RunRecordView>>, Problem> {
    let world = member.world();
    let routine = world.state.routine(&slug)?;
    Ok(page_of(&member, &world, &query, world.state.routines.runs_of(&routine.id).rev()))
}

/// `GET /api/v1/workspaces/{workspaceId}/pipeline-runs/{pipelineRunId}`
pub(super) async fn get_routine_run(
    member: Member<ReadRoutines>,
    Path((_, id)): Path<(WorkspaceId, RoutineRunId)>,
) -> Result<Shown<RunRecordView>, Problem> {
    let world = member.world();
    let run = world.state.routine_run(id.as_str())?;
    // While it goes on its duration does, without an entry: the tag's body part tells.
    Ok(Shown::new(run.changed, &RunRecordView::whole(run, &member.id, &world.state, member.now())))
}

/// One entry of a run.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelineRunEntry")]
pub(super) struct RunEntryView {
    id: EntryId,
    ts: Millis,
    entry_type: &'static str,
    severity: Severity,
    summary: String,
    run_id: RoutineRunId,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_id: Option<Text>,
}

/// Which entries.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RunEntryQuery {
    /// `1` or `true`: the ends of steps too.
    include_steps: Word,
    /// Most entries, 1 to 200; 20 without it.
    limit: Number,
}

/// `GET /api/v1/workspaces/{workspaceId}/pipelines/{pipelineSlug}/runs`: how runs began and ended, newest first.
pub(super) async fn list_routine_run_entries(
    member: Member<ReadRoutines>,
    Path((_, slug)): Path<(WorkspaceId, Text)>,
    Query(query): Query<RunEntryQuery>,
) -> Result<Told<Vec<RunEntryView>>, Problem> {
    let world = member.world();
    let routine = world.state.routine(&slug)?;
    let with_steps = matches!(query.include_steps.get(), Some("1" | "true"));
    let limit = query.limit.get().and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(ENTRIES_DEFAULT).min(PAGE_MAX);
    let runs = world.state.routines.runs_of(&routine.id).rev();
    let mut entries: Vec<RunEntryView> =
        runs.take(PAGE_MAX).flat_map(|run| entries_of(run, with_steps, &world)).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    entries.truncate(limit);
    Ok(Told::new(&entries))
}

fn entries_of(run: &RoutineRun, with_steps: bool, world: &WorkspaceWorld) -> Vec<RunEntryView> {
    let entry = |offset, time, entry_type, severity, summary, step_id| RunEntryView {
        id: EntryId::new(world.log(), offset),
        ts: Millis(time),
        entry_type,
        severity,
        summary,
        run_id: run.id.clone(),
        step_id,
    };
    let started = format!("routine started: {}", run.slug);
    let mut entries =
        vec![entry(run.born, run.started_at, "pipeline.run.started", Severity::Info, started, None)];
    for step in run.steps.iter().filter(|_| with_steps) {
        let (entry_type, severity) = match step.status {
            StepStatus::Completed => ("pipeline.step.completed", Severity::Info),
            StepStatus::Failed => ("pipeline.step.failed", Severity::Warn),
            StepStatus::Skipped => ("pipeline.step.skipped", Severity::Info),
        };
        let summary = format!("step {}: {}", step.status, step.id);
        entries.push(entry(step.ended, step.ended_at, entry_type, severity, summary, Some(step.id.clone())));
    }
    if let (Some(offset), Some(time)) = (run.ended, run.ended_at) {
        let (entry_type, severity) = match run.status {
            RoutineRunStatus::Completed => ("pipeline.run.completed", Severity::Info),
            RoutineRunStatus::Cancelled => ("pipeline.run.failed", Severity::Notice),
            _ => ("pipeline.run.failed", Severity::Error),
        };
        let summary = format!("routine {}: {}", run.status, run.slug);
        entries.push(entry(offset, time, entry_type, severity, summary, None));
    }
    entries
}
