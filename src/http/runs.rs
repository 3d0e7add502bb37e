//! Runs: what agents' processes did, folded from the journal (`journal.md` 6).

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taffrail_domain::roster::Roster;
use taffrail_domain::work::{Run, RunStatus};
use taffrail_domain::{AgentId, ChatId, Json, Rejection, RunId, Text, Time, WorkspaceId};
use taffrail_projections::WorkspaceWorld;

use super::App;
use super::answer::{Shown, Told};
use super::caller::Member;
use super::contract::{self, Answers, Asks, Operation, Schemas};
use super::gate::ReadRuns;
use super::problem::Problem;
use super::query::{Number, Query, Word};
use super::time::Seconds;

const PAGE_DEFAULT: usize = 50;
const PAGES_MAX: usize = 1_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Runs that insights look at.
const INSIGHTS_MAX: usize = 20_000;
/// Rows of a breakdown.
const ROWS_MAX: usize = 8;
/// Output that is read and sent at once.
const PIECE_BYTES: u64 = 256 << 10;

/// A run on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub(super) struct RunView {
    id: RunId,
    agent_id: AgentId,
    chat_id: Option<ChatId>,
    workspace_id: WorkspaceId,
    triggered_by: Option<Text>,
    trigger_type: Text,
    status: RunStatus,
    started_at: Option<Seconds>,
    finished_at: Option<Seconds>,
    error_message: Option<Text>,
    exit_code: Option<i64>,
    metadata: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// Bytes of its whole output, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<u64>,
    /// SHA-256 of its whole output, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_sha256: Option<Text>,
    created_at: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_slug: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crew_name: Option<Text>,
}

/// How many there are, whatever is asked for.
#[derive(Serialize, JsonSchema)]
struct RunStats {
    running: usize,
    today: usize,
    failed: usize,
}

/// Which page of how many.
#[derive(Serialize, JsonSchema)]
struct Pagination {
    page: usize,
    limit: usize,
    total: usize,
    total_pages: usize,
}

/// One page of runs, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Runs")]
pub(super) struct RunsView {
    data: Vec<RunView>,
    stats: RunStats,
    pagination: Pagination,
}

/// Which runs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RunQuery {
    /// `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED` or `TIMEOUT`, in any case.
    status: Word,
    /// Of this agent.
    agent_id: Word,
    /// With exactly this trigger type.
    trigger: Word,
    /// With this among `metadata.tags`.
    tag: Word,
    /// Which page; the first without it.
    page: Number,
    /// Runs on a page, 1 to 100; 50 without it.
    limit: Number,
}

/// `GET /api/v1/runs`
pub(super) async fn list_runs(
    member: Member<ReadRuns>,
    Query(query): Query<RunQuery>,
) -> Result<Told<RunsView>, Problem> {
    let status = query.status.get().map(|word| RunStatus::parse(&word.to_uppercase()));
    if status == Some(None) {
        let detail = "status must be one of: RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT";
        return Err(Problem::invalid("runs.status", detail));
    }
    let status = status.flatten();
    let number = |number: Number| number.get().and_then(|number| usize::try_from(number).ok());
    let page = number(query.page).unwrap_or(1).clamp(1, PAGES_MAX);
    let limit = number(query.limit).filter(|limit| (1..=100).contains(limit)).unwrap_or(PAGE_DEFAULT);
    let world = member.world();
    let matches = |run: &&Arc<Run>| {
        status.is_none_or(|status| run.status() == status)
            && query.agent_id.get().is_none_or(|agent| run.facts.agent_id.as_str() == agent)
            && query.trigger.get().is_none_or(|trigger| *run.facts.trigger_type == *trigger)
            && query.tag.get().is_none_or(|tag| has_tag(run, tag))
    };
    let found: Vec<&Arc<Run>> = world.state.work.runs_newest().filter(matches).collect();
    let total = found.len();
    let shown = found.into_iter().skip((page - 1).saturating_mul(limit)).take(limit);
    let data = shown.map(|run| RunView::of(run, &world.state.roster, &member.id)).collect();
    let pagination = Pagination { page, limit, total, total_pages: total.div_ceil(limit) };
    Ok(Told::new(&RunsView { data, stats: stats(&world, member.now()), pagination }))
}

fn has_tag(run: &Run, tag: &str) -> bool {
    let metadata: Value = serde_json::from_str(run.facts.metadata.get()).unwrap_or_default();
    metadata["tags"].as_array().is_some_and(|tags| tags.iter().any(|found| found == tag))
}

/// Counted over the day in UTC.
fn stats(world: &WorkspaceWorld, now: Time) -> RunStats {
    let midnight = Time(now.0 - now.0 % DAY_MS);
    // A run may have begun the day before and end today; none runs longer than a day.
    let since = Time(midnight.0.saturating_sub(DAY_MS));
    let recent = world.state.work.runs_newest().take_while(|run| run.started_at >= since);
    let (mut today, mut failed) = (0, 0);
    for run in recent {
        today += usize::from(run.started_at >= midnight);
        let has_failed = matches!(run.status(), RunStatus::Failed | RunStatus::Timeout);
        failed += usize::from(has_failed && run.finished_at.is_some_and(|at| at >= midnight));
    }
    RunStats { running: world.state.work.running.len(), today, failed }
}

/// `GET /api/v1/runs/{runId}`
pub(super) async fn get_run(
    member: Member<ReadRuns>,
    Path(run): Path<RunId>,
) -> Result<Shown<RunView>, Problem> {
    let world = member.world();
    let run = find(&world, &run)?;
    Ok(Shown::new(run.changed, &RunView::of(run, &world.state.roster, &member.id)))
}

fn find<'a>(world: &'a WorkspaceWorld, run: &RunId) -> Result<&'a Arc<Run>, Rejection> {
    let found = world.state.work.runs.get(run);
    found.ok_or_else(|| Rejection::not_found("run.not_found", "run not found"))
}

impl RunView {
    pub(super) fn of(run: &Run, roster: &Roster, workspace: &WorkspaceId) -> Self {
        let agent = roster.agents.get(&run.facts.agent_id);
        let crew = run.facts.crew_id.as_ref().and_then(|id| roster.crews.get(id));
        let end = run.end.as_ref();
        let ended_with = end.map(|end| &end.metadata).filter(|metadata| !metadata.is_empty());
        let metadata = ended_with.unwrap_or(&run.facts.metadata);
        let read = |metadata: &Json, name: &str| -> Option<String> {
            let metadata: Value = serde_json::from_str(metadata.get()).ok()?;
            metadata[name].as_str().map(str::to_owned)
        };
        let text = |name: &str| read(metadata, name).or_else(|| read(&run.facts.metadata, name));
        let output = end.and_then(|end| end.output.as_ref());
        Self {
            id: run.id.clone(),
            agent_id: run.facts.agent_id.clone(),
            chat_id: run.facts.chat_id.clone(),
            workspace_id: workspace.clone(),
            triggered_by: run.facts.triggered_by.clone(),
            trigger_type: run.facts.trigger_type.clone(),
            status: run.status(),
            started_at: Some(Seconds(run.started_at)),
            finished_at: run.finished_at.map(Seconds),
            error_message: end.and_then(|end| end.error_message.clone()),
            exit_code: end.and_then(|end| end.exit_code),
            model: text("model"),
            session_id: text("session_id"),
            metadata: (!metadata.is_empty()).then(|| metadata.clone()),
            output_bytes: output.map(|output| output.bytes),
            output_sha256: output.map(|output| output.sha256.clone()),
            created_at: Seconds(run.started_at),
            agent_name: agent.map(|agent| agent.facts.name.clone()),
            agent_slug: agent.map(|agent| agent.facts.slug.clone()),
            crew_name: crew.map(|crew| crew.facts.name.clone()),
        }
    }
}

/// Which time.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WindowQuery {
    /// `24h` (the default), `7d` or `30d`.
    window: Word,
}

/// Runs of a time, by what they have in common.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunInsights")]
pub(super) struct InsightsView {
    window: &'static str,
    totals: Totals,
    duration: Durations,
    by_trigger: Vec<KeyRow>,
    by_model: Vec<KeyRow>,
    by_crew: Vec<CrewRow>,
    top_agents: Vec<AgentRow>,
    /// Whether there were more runs than are looked at.
    truncated: bool,
}

#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "RunTotals")]
struct Totals {
    total: usize,
    succeeded: usize,
    failed: usize,
    running: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunDurations")]
struct Durations {
    p50_ms: u64,
    p95_ms: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunsByKey")]
struct KeyRow {
    key: String,
    total: usize,
    failed: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunsByCrew")]
struct CrewRow {
    id: String,
    name: String,
    total: usize,
    failed: usize,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunsByAgent")]
struct AgentRow {
    id: String,
    name: String,
    crew_name: String,
    total: usize,
    failed: usize,
}

/// `GET /api/v1/runs/insights`
pub(super) async fn get_run_insights(
    member: Member<ReadRuns>,
    Query(query): Query<WindowQuery>,
) -> Result<Told<InsightsView>, Problem> {
    let (window, days) = match query.window.get() {
        None | Some("24h") => ("24h", 1),
        Some("7d") => ("7d", 7),
        Some("30d") => ("30d", 30),
        Some(_) => return Err(Problem::invalid("runs.window", "window must be one of: 24h, 7d, 30d")),
    };
    let world = member.world();
    let since = Time(member.now().0.saturating_sub(days * DAY_MS));
    let mut runs: Vec<&Arc<Run>> = world
        .state
        .work
        .runs_newest()
        .take_while(|run| run.started_at >= since)
        .take(INSIGHTS_MAX + 1)
        .collect();
    let truncated = runs.len() > INSIGHTS_MAX;
    runs.truncate(INSIGHTS_MAX);
    Ok(Told::new(&insights(&runs, &world.state.roster, window, truncated)))
}

fn insights(runs: &[&Arc<Run>], roster: &Roster, window: &'static str, truncated: bool) -> InsightsView {
    let mut totals = Totals { total: runs.len(), ..Totals::default() };
    let mut durations = vec![];
    let (mut triggers, mut models, mut crews, mut agents) =
        (Tally::default(), Tally::default(), Tally::default(), Tally::default());
    for run in runs {
        let failed = matches!(run.status(), RunStatus::Failed | RunStatus::Timeout);
        totals.failed += usize::from(failed);
        totals.succeeded += usize::from(run.status() == RunStatus::Completed);
        totals.running += usize::from(run.status() == RunStatus::Running);
        durations.extend(run.finished_at.map(|at| at.0.saturating_sub(run.started_at.0)));
        let view = RunView::of(run, roster, &WorkspaceId::from(""));
        triggers.count(&run.facts.trigger_type, failed);
        models.count(view.model.as_deref().unwrap_or("unknown"), failed);
        crews.count(run.facts.crew_id.as_ref().map_or("", |id| id.as_str()), failed);
        agents.count(run.facts.agent_id.as_str(), failed);
    }
    durations.sort_unstable();
    let crew_name =
        |id: &str| roster.crews.get(id).map_or_else(|| "—".to_owned(), |crew| crew.facts.name.to_string());
    let key_rows = |tally: Tally| {
        tally.rows().into_iter().map(|(key, total, failed)| KeyRow { key, total, failed }).collect()
    };
    let crew_row =
        |(id, total, failed): (String, usize, usize)| CrewRow { name: crew_name(&id), id, total, failed };
    let agent_row = |(id, total, failed): (String, usize, usize)| {
        let agent = roster.agents.get(id.as_str());
        AgentRow {
            name: agent.map_or_else(|| "unknown".to_owned(), |agent| agent.facts.name.to_string()),
            crew_name: crew_name(
                agent.and_then(|agent| agent.facts.crew_id.as_ref()).map_or("", |id| id.as_str()),
            ),
            id,
            total,
            failed,
        }
    };
    InsightsView {
        window,
        totals,
        duration: Durations { p50_ms: percentile(&durations, 50), p95_ms: percentile(&durations, 95) },
        by_trigger: key_rows(triggers),
        by_model: key_rows(models),
        by_crew: crews.rows().into_iter().take(ROWS_MAX).map(crew_row).collect(),
        top_agents: agents.rows().into_iter().take(ROWS_MAX).map(agent_row).collect(),
        truncated,
    }
}

/// How many, and how many of them failed, by key.
#[derive(Default)]
struct Tally(HashMap<String, (usize, usize)>);

impl Tally {
    fn count(&mut self, key: &str, failed: bool) {
        let row = self.0.entry(key.to_owned()).or_default();
        row.0 += 1;
        row.1 += usize::from(failed);
    }

    /// The most first, equals by name.
    fn rows(self) -> Vec<(String, usize, usize)> {
        let mut rows: Vec<_> =
            self.0.into_iter().map(|(key, (total, failed))| (key, total, failed)).collect();
        rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        rows
    }
}

/// By nearest rank; 0 of none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    rank.checked_sub(1).and_then(|index| sorted.get(index)).copied().unwrap_or(0)
}

/// The part of an output that is asked for.
pub(super) struct Wanted(Option<(Option<u64>, Option<u64>)>);

impl<S: Sync> axum::extract::FromRequestParts<S> for Wanted {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, std::convert::Infallible> {
        let range = parts.headers.get(RANGE).and_then(|value| value.to_str().ok());
        // One range of bytes; anything else asks for all of it (RFC 9110, 14.2).
        let one =
            range.and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.split_once('-'));
        let number = |text: &str| if text.is_empty() { Ok(None) } else { text.trim().parse().map(Some) };
        let parsed = one.and_then(|(from, to)| Some((number(from).ok()?, number(to).ok()?)));
        Ok(Self(parsed.filter(|(from, to)| from.is_some() || to.is_some())))
    }
}

impl Asks for Wanted {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let description = "One range of bytes; all of it without one";
        operation.parameter("header", "Range", json!({ "type": "string" }), false, description);
    }
}

/// The bytes of an output.
pub(super) struct Piece {
    app: App,
    run: RunId,
    from: u64,
    to: u64,
    len: u64,
    is_part: bool,
}

impl IntoResponse for Piece {
    fn into_response(self) -> Response {
        let Self { app, run, from, to, len, is_part } = self;
        let body = stream::unfold((app, run, from), move |(app, run, at)| async move {
            if at >= to {
                return None;
            }
            let read = app.outputs().read(&run, at, PIECE_BYTES.min(to - at)).await;
            let bytes = match read {
                Ok(Some((bytes, _))) if !bytes.is_empty() => bytes,
                // Cut short: the length that was announced tells.
                Ok(_) => return None,
                Err(error) => return Some((Err(std::io::Error::other(error.to_string())), (app, run, to))),
            };
            let next = at + bytes.len() as u64;
            Some((Ok(Bytes::from(bytes)), (app, run, next)))
        });
        let mut response = Body::from_stream(body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(to - from));
        if is_part {
            let range = HeaderValue::from_str(&format!("bytes {from}-{}/{len}", to - 1));
            range.into_iter().for_each(|range| drop(headers.insert(CONTENT_RANGE, range)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }
}

impl Answers for Piece {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.succeeds(StatusCode::OK, contract::Response::of("text/plain"));
        operation.succeeds(StatusCode::PARTIAL_CONTENT, contract::Response::of("text/plain"));
        operation.refuses([StatusCode::RANGE_NOT_SATISFIABLE]);
    }
}

/// `GET /api/v1/runs/{runId}/output`: all that the run put out, or a range of it.
pub(super) async fn get_run_output(
    member: Member<ReadRuns>,
    Path(run): Path<RunId>,
    wanted: Wanted,
) -> Result<Piece, Problem> {
    find(&member.world(), &run)?;
    let read = member.app.outputs().read(&run, 0, 0).await?;
    let (_, len) = read.ok_or_else(|| Rejection::not_found("run.no_output", "the run has no output"))?;
    let (from, to) = match wanted.0 {
        None => (0, len),
        Some((Some(from), to)) => (from, to.map_or(len, |to| to.saturating_add(1).min(len))),
        // The last so many.
        Some((None, last)) => (len.saturating_sub(last.unwrap_or(0)), len),
    };
    if wanted.0.is_some() && from >= to {
        let detail = format!("the output has {len} bytes");
        return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "run.output_range", detail));
    }
    Ok(Piece { app: Arc::clone(&member.app), run, from, to, len, is_part: wanted.0.is_some() })
}
