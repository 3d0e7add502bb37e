//! What workers do, wherever they come in: over the ordinary listener with a token, or over the socket
//! (`platform.md` 8.3, 8.4).

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taffrail_domain::mission::TaskStatus;
use taffrail_domain::work::{
    Answer, AssignmentStatus, Brief, Claim, EndedBy, Note, Purpose, Report, RunStatus, Usage,
};
use taffrail_domain::{
    AgentId, AssignmentId, ChatId, CrewId, EntryId, MissionId, Offset, Rejection, RunId, TaskId, Text,
    WorkspaceId,
};
use taffrail_projections::{WorkspaceWorld, World};

use super::App;
use super::answer::Told;
use super::contract::{self, Answers, Operation, Schemas};
use super::problem::Problem;
use crate::engine::{Claimed, Desk};
use crate::output::{HEAD_BYTES, OutputError, TAIL_BYTES};
use crate::scrub::Scrubber;
use crate::writer::Writer;
use std::sync::Arc;

/// Longest time a worker may wait for work in one request.
const WAIT_MAX: Duration = Duration::from_secs(50);
/// Texts that reports may bring, beside the whole output: what is longer is cut.
const RESULT_BYTES_MAX: usize = 256 << 10;

/// A worker in a workspace.
pub(super) struct AtDesk {
    pub(super) app: App,
    pub(super) writer: Writer<WorkspaceWorld>,
    pub(super) desk: Arc<Desk>,
    /// The crews it may work for; all without it.
    pub(super) crews: Option<Vec<CrewId>>,
    /// The workspace of a worker on the socket, whose agents may speak there too.
    pub(super) workspace: Option<WorkspaceId>,
}

/// Body of claim.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ClaimDraft {
    /// The workspace, where no other part of the request names it.
    pub(super) workspace_id: Option<String>,
    /// Only work of this agent, by id or slug.
    pub(super) agent_id: Option<String>,
    /// Only work of these agents, by id or slug; of all without it.
    pub(super) agents: Option<Vec<String>>,
    /// Only work of agents with one of these `cli_adapter`s.
    pub(super) cli_adapters: Option<Vec<String>>,
    /// What the worker calls itself.
    pub(super) worker: Option<String>,
    /// How long it may be silent, 5 to 3600; 60 without it.
    pub(super) lease_seconds: Option<i64>,
    /// How long to wait for work, at most 50; 0 without it.
    pub(super) wait_seconds: Option<i64>,
}

/// Work that was given.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Claimed")]
pub(super) struct ClaimedView {
    /// Names it in everything further.
    id: AssignmentId,
    purpose: Purpose,
    task_id: Option<TaskId>,
    mission_id: Option<MissionId>,
    chat_id: ChatId,
    run_id: RunId,
    iteration: u32,
    /// Proves in everything further that this worker still holds it.
    fence: EntryId,
    lease_seconds: u64,
    timeout_seconds: i64,
    brief: Brief,
    /// How the agent's process speaks to Taffrail; only for workers on the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    voice: Option<VoiceView>,
}

/// What an agent's process needs to speak for its agent over the socket (`platform.md` 8.1).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Voice")]
struct VoiceView {
    /// Bound to this agent.
    token: String,
    workspace_id: WorkspaceId,
    crew_id: Option<CrewId>,
    agent_id: AgentId,
}

/// Work, or none just now.
pub(super) struct Offered(Option<Told<ClaimedView>>);

impl IntoResponse for Offered {
    fn into_response(self) -> Response {
        self.0.map_or_else(|| StatusCode::NO_CONTENT.into_response(), IntoResponse::into_response)
    }
}

impl Answers for Offered {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        Told::<ClaimedView>::describe(operation, schemas);
        operation.succeeds(StatusCode::NO_CONTENT, contract::Response::default());
    }
}

/// Body of heartbeat.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct BeatDraft {
    /// What the claim answered; required.
    fence: Option<String>,
    /// How long the worker may be silent from now on.
    lease_seconds: Option<i64>,
}

/// How long a worker may be silent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lease")]
pub(super) struct LeaseView {
    lease_seconds: u64,
}

/// Body of begin.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct BeginDraft {
    /// What the claim answered; required.
    fence: Option<String>,
    /// The command line, without secrets.
    cmd: Option<String>,
    /// The operator's name of it.
    adapter: Option<String>,
}

/// How much of an output is here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OutputLength")]
pub(super) struct OutputView {
    bytes: u64,
}

/// Body of hand-back.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct HandBackDraft {
    /// What the claim answered; required.
    fence: Option<String>,
}

/// Body of report.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ReportDraft {
    /// What the claim answered; required.
    fence: Option<String>,
    /// `COMPLETED`, `FAILED`, `TIMEOUT` or `CANCELLED` (given back); required.
    status: Option<String>,
    /// What came out, as text.
    result_summary: Option<String>,
    /// What came out, as data; read from the last line of the text without it.
    answer: Option<Answer>,
    /// Where more of it lies.
    output_path: Option<String>,
    /// Why it failed.
    error_message: Option<String>,
    /// What the process said at its end.
    exit_code: Option<i64>,
    /// Tokens used.
    token_count: Option<i64>,
    /// Cost in USD.
    estimated_cost: Option<f64>,
    /// How sure the agent is, 0 to 1.
    confidence: Option<f64>,
    /// Calls of models, if they were told apart.
    usage: Option<Vec<Usage>>,
    /// How long the process ran.
    duration_ms: Option<u64>,
    /// Free facts: `model`, `session_id`, …
    metadata: Option<Map<String, Value>>,
}

/// What a report made of an assignment and its task.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reported")]
pub(super) struct ReportedView {
    id: AssignmentId,
    status: AssignmentStatus,
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_status: Option<TaskStatus>,
}

/// Given back.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HandedBack")]
pub(super) struct HandedBackView {
    status: &'static str,
}

impl AtDesk {
    pub(super) async fn claim(&self, draft: ClaimDraft) -> Result<Offered, Problem> {
        let claim = self.wanted(&draft)?;
        let seconds = |number: Option<i64>| {
            number.and_then(|number| u64::try_from(number).ok()).map(Duration::from_secs)
        };
        let wait = seconds(draft.wait_seconds).unwrap_or_default().min(WAIT_MAX);
        let lease = seconds(draft.lease_seconds);
        let claimed = tokio::select! {
            claimed = self.desk.claim(claim, lease, wait) => claimed?,
            () = self.app.closing() => None,
        };
        Ok(Offered(claimed.map(|claimed| self.told(&claimed))))
    }

    fn told(&self, claimed: &Claimed) -> Told<ClaimedView> {
        let facts = &claimed.assignment.facts;
        Told::new(&ClaimedView {
            id: claimed.assignment.id.clone(),
            purpose: facts.purpose,
            task_id: facts.task_id.clone(),
            mission_id: facts.mission_id.clone(),
            chat_id: facts.chat_id.clone(),
            run_id: claimed.run.clone(),
            iteration: facts.iteration,
            fence: self.writer.world().entry_id(claimed.fence),
            lease_seconds: claimed.lease.as_secs(),
            timeout_seconds: claimed.timeout_seconds,
            brief: claimed.brief.clone(),
            voice: self.workspace.as_ref().map(|workspace| VoiceView {
                token: super::internal::agent_token(&self.app, workspace, &facts.assigned_to),
                workspace_id: workspace.clone(),
                crew_id: facts.crew_id.clone(),
                agent_id: facts.assigned_to.clone(),
            }),
        })
    }

    fn wanted(&self, draft: &ClaimDraft) -> Result<Claim, Problem> {
        let world = self.writer.world();
        let names = draft.agents.iter().flatten().chain(&draft.agent_id);
        let agents = names.map(|name| {
            let by_slug = || world.state.roster.agent_slugs.get(name.as_str()).cloned();
            let by_id = world.state.roster.live_agent(name).map(|agent| agent.id.clone());
            by_id
                .or_else(by_slug)
                .ok_or_else(|| Rejection::invalid("agent.unknown", format!("agent {name:?} not found")))
        });
        Ok(Claim {
            agents: agents.collect::<Result<Vec<AgentId>, _>>()?,
            crews: self.crews.clone().unwrap_or_default(),
            cli_adapters: draft
                .cli_adapters
                .iter()
                .flatten()
                .map(|adapter| adapter.as_str().into())
                .collect(),
            only: None,
            lease_ms: 0,
            worker: draft.worker.as_deref().unwrap_or("worker").chars().take(200).collect::<String>().into(),
        })
    }

    pub(super) fn beat(&self, id: &str, draft: &BeatDraft) -> Result<Told<LeaseView>, Problem> {
        let (id, fence) = self.held(id, draft.fence.as_deref())?;
        let lease =
            draft.lease_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        let beat = self.desk.beat(&id, fence, lease)?;
        Ok(Told::new(&LeaseView { lease_seconds: beat.lease.as_secs() }))
    }

    pub(super) async fn begin(&self, id: &str, draft: &BeginDraft) -> Result<Told<LeaseView>, Problem> {
        let (id, fence) = self.held(id, draft.fence.as_deref())?;
        let scrubber = Scrubber::default();
        let cmd =
            Text::from(&*scrubber.scrub(cut(draft.cmd.as_deref().unwrap_or_default(), RESULT_BYTES_MAX)));
        let adapter = draft.adapter.as_deref().unwrap_or_default().into();
        self.desk.note(&id, fence, vec![Note::Began { cmd, adapter }]).await?;
        let beat = self.desk.beat(&id, fence, None)?;
        Ok(Told::new(&LeaseView { lease_seconds: beat.lease.as_secs() }))
    }

    /// Keeps a piece of output. Its beginning goes into the journal too, while there is room for it.
    pub(super) async fn output(
        &self,
        id: &str,
        fence: Option<&str>,
        offset: u64,
        piece: Vec<u8>,
    ) -> Result<Told<OutputView>, Problem> {
        let (id, fence) = self.held(id, fence)?;
        let run = self.run_of(&id)?;
        let appended = self.app.outputs().append(&run, offset, piece.clone()).await?;
        let begins_at = offset + appended.known as u64;
        if begins_at < HEAD_BYTES && appended.known < piece.len() {
            let room = usize::try_from(HEAD_BYTES - begins_at).unwrap_or(usize::MAX);
            let new = &piece[appended.known..];
            let shown = &new[..new.len().min(room)];
            let text = String::from_utf8_lossy(shown);
            let note = Note::Output {
                output: Text::from(&*Scrubber::default().scrub(&text)),
                total_bytes: appended.len,
                truncated: shown.len() < new.len(),
            };
            self.desk.note(&id, fence, vec![note]).await?;
        }
        Ok(Told::new(&OutputView { bytes: appended.len }))
    }

    pub(super) async fn hand_back(
        &self,
        id: &str,
        draft: &HandBackDraft,
    ) -> Result<Told<HandedBackView>, Problem> {
        let (id, fence) = self.held(id, draft.fence.as_deref())?;
        self.desk.hand_back(&id, fence).await?;
        Ok(Told::new(&HandedBackView { status: "handed_back" }))
    }

    /// A result. One that comes late is noted all the same, and answered with 409.
    pub(super) async fn report(&self, id: &str, draft: ReportDraft) -> Result<Told<ReportedView>, Problem> {
        let id = self.assignment(id)?;
        let fence = self.fence(draft.fence.as_deref())?;
        let status = RunStatus::parse(draft.status.as_deref().unwrap_or_default());
        let status = status.filter(|status| *status != RunStatus::Running).ok_or_else(|| {
            Problem::invalid("report.status", "status must be one of: COMPLETED, FAILED, TIMEOUT, CANCELLED")
        })?;
        if draft.confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
            return Err(Problem::invalid("report.confidence", "confidence must be a number from 0 to 1"));
        }
        let is_held = self.writer.world().state.holds(&id, fence);
        let report = self.read_report(&id, status, draft, is_held).await?;
        let done = self.desk.report(&id, fence, report).await?;
        let state = &done.world.state;
        let assignment = state.work.assignments.get(&id).ok_or_else(Problem::internal)?;
        let counts = match assignment.ended_by {
            Some(EndedBy::Report) => true,
            // That is how a report of it ends an assignment.
            Some(EndedBy::HandBack) => status == RunStatus::Cancelled,
            _ => false,
        };
        if !counts {
            let detail = "the assignment is not held by this claim any more; the result was noted";
            return Err(Problem::new(StatusCode::CONFLICT, "assignment.late", detail));
        }
        let task = assignment.facts.mission_id.as_ref().and_then(|mission| state.undertaking(mission));
        let task =
            task.zip(assignment.facts.task_id.as_ref()).and_then(|(mission, task)| mission.tasks.get(task));
        Ok(Told::new(&ReportedView {
            id,
            status: assignment.status,
            run_id: assignment.run_id.clone(),
            task_status: task.map(|task| task.status),
        }))
    }

    async fn read_report(
        &self,
        id: &AssignmentId,
        status: RunStatus,
        draft: ReportDraft,
        is_held: bool,
    ) -> Result<Report, Problem> {
        let scrubber = Scrubber::default();
        let clean = |text: Option<String>| {
            text.map(|text| Text::from(&*scrubber.scrub(cut(&text, RESULT_BYTES_MAX))))
        };
        let answer =
            draft.answer.or_else(|| last_json_line(draft.result_summary.as_deref()?)).unwrap_or_default();
        let (output, tail) = match is_held {
            true => self.finished_output(id, &scrubber).await?,
            false => (None, None),
        };
        Ok(Report {
            status,
            result: clean(draft.result_summary),
            answer,
            output_path: clean(draft.output_path),
            error_message: clean(draft.error_message),
            exit_code: draft.exit_code,
            token_count: draft.token_count.filter(|count| *count >= 0),
            estimated_cost: draft.estimated_cost.filter(|cost| cost.is_finite() && *cost >= 0.0),
            confidence: draft.confidence,
            usage: draft.usage.unwrap_or_default(),
            tail,
            output,
            duration_ms: draft.duration_ms,
            metadata: draft.metadata.map(|metadata| Value::Object(metadata).into()).unwrap_or_default(),
        })
    }

    /// The whole output, synced; and its end, as far as the journal does not have it already.
    async fn finished_output(
        &self,
        id: &AssignmentId,
        scrubber: &Scrubber,
    ) -> Result<(Option<taffrail_domain::work::Output>, Option<(Text, u64)>), Problem> {
        let run = self.run_of(id)?;
        let Some(output) = self.app.outputs().finish(&run).await? else { return Ok((None, None)) };
        let from = output.bytes.saturating_sub(TAIL_BYTES).max(HEAD_BYTES);
        if from >= output.bytes {
            return Ok((Some(output), None));
        }
        let read = self.app.outputs().read(&run, from, TAIL_BYTES).await?;
        let tail =
            read.map(|(bytes, len)| (Text::from(&*scrubber.scrub(&String::from_utf8_lossy(&bytes))), len));
        Ok((Some(output), tail))
    }

    /// An assignment, by its id or by that of the task that it works (`platform.md` 8.4).
    fn assignment(&self, id: &str) -> Result<AssignmentId, Rejection> {
        let world = self.writer.world();
        let work = &world.state.work;
        let found = work.assignments.get(id).map(|found| found.id.clone());
        let by_task = || {
            let own = work.claimed.iter().filter_map(|id| work.assignments.get(id));
            own.filter(|found| found.facts.task_id.as_ref().is_some_and(|task| task.as_str() == id))
                .map(|found| found.id.clone())
                .next()
        };
        let found = found.or_else(by_task);
        let is_ours = |id: &AssignmentId| {
            let crew = work.assignments.get(id).and_then(|found| found.facts.crew_id.clone());
            self.crews.as_ref().is_none_or(|crews| crew.is_some_and(|crew| crews.contains(&crew)))
        };
        found
            .filter(is_ours)
            .ok_or_else(|| Rejection::not_found("assignment.not_found", "assignment not found"))
    }

    fn fence(&self, fence: Option<&str>) -> Result<Offset, Problem> {
        let fence = fence.ok_or_else(|| Problem::invalid("fence.required", "fence is required"))?;
        let id = EntryId::parse(fence).filter(|id| id.log == self.writer.world().log());
        id.map(|id| id.offset)
            .ok_or_else(|| Problem::invalid("fence.malformed", "fence is none of this workspace"))
    }

    fn held(&self, id: &str, fence: Option<&str>) -> Result<(AssignmentId, Offset), Problem> {
        let id = self.assignment(id)?;
        let fence = self.fence(fence)?;
        self.writer.world().state.require_claim(&id, fence)?;
        Ok((id, fence))
    }

    fn run_of(&self, id: &AssignmentId) -> Result<RunId, Problem> {
        let world = self.writer.world();
        let assignment = world.state.work.assignments.get(id);
        assignment.and_then(|found| found.run_id.clone()).ok_or_else(Problem::internal)
    }
}

impl From<OutputError> for Problem {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Gap(len) => {
                let detail = format!("the output has {len} bytes so far; send what follows them");
                Self::new(StatusCode::CONFLICT, "output.gap", detail)
            }
            OutputError::TooLong => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "output.too_long", "output too long")
            }
            OutputError::Io(error) => {
                tracing::error!(%error, "an output could not be kept");
                Self::internal()
            }
        }
    }
}

/// The data at the end of a text: its last line that is a JSON object.
fn last_json_line(text: &str) -> Option<Answer> {
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    line.starts_with('{').then(|| serde_json::from_str(line).ok())?
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
