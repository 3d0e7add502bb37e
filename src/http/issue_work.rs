//! Agents on issues: started, stopped, looked at (`issues.md` 12).

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::issue::{IssueCommand, IssueStatus, Named, ReviewDraft};
use taffrail_domain::roster::Roster;
use taffrail_domain::work::{Assignment, AssignmentStatus};
use taffrail_domain::{AssignmentId, CrewId, Text};

use super::answer::{Done, Listed, Refusing};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ReadIssues, WriteIssues};
use super::issues::named;
use super::problem::Problem;
use super::tag::Unchanged;
use super::time::Seconds;

const RUNS_MAX: usize = 100;
const ERROR_BYTES_MAX: usize = 200;
const LOST_RACE: u16 = StatusCode::CONFLICT.as_u16();

/// An issue after an action: exactly these two keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueMoved")]
pub(super) struct MovedView {
    status: IssueStatus,
    identifier: Text,
}

/// A review was noted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueReviewed")]
pub(super) struct ReviewedView {
    status: &'static str,
    action: String,
}

/// A run of an agent for an issue: an assignment.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueRun")]
pub(super) struct IssueRunView {
    id: AssignmentId,
    status: AssignmentStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Seconds>,
    /// 0 while it is not known.
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_summary: Option<Text>,
    /// The first line of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/start`: a body is not looked at.
pub(super) async fn start_issue(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Refusing<Done<MovedView>, LOST_RACE>, Problem> {
    begun(&member, unchanged, named(path), &sent, |issue, seen| IssueCommand::Start { issue, seen }).await
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/retry`: additive; a body is not looked at.
pub(super) async fn retry_issue(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Refusing<Done<MovedView>, LOST_RACE>, Problem> {
    begun(&member, unchanged, named(path), &sent, |issue, seen| IssueCommand::Retry { issue, seen }).await
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/stop`: a body is not looked at.
pub(super) async fn stop_issue(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<MovedView>, Problem> {
    let issue = named(path);
    moved(&member, unchanged.guard(IssueCommand::Stop { issue: issue.clone() }), issue, &sent).await
}

async fn begun(
    member: &Member<WriteIssues>,
    unchanged: Unchanged,
    issue: Named,
    sent: &Sent<Ignored>,
    command: fn(Named, Option<IssueStatus>) -> IssueCommand,
) -> Result<Refusing<Done<MovedView>, LOST_RACE>, Problem> {
    // Seen on arrival, decided later: the difference tells a lost race from a late wish.
    let seen = member.world().state.issue(&issue).ok().map(|issue| issue.status);
    let command = command(issue.clone(), seen);
    moved(member, unchanged.guard(command), issue, sent).await.map(Refusing)
}

async fn moved(
    member: &Member<WriteIssues>,
    command: taffrail_domain::Command,
    issue: Named,
    sent: &Sent<Ignored>,
) -> Result<Done<MovedView>, Problem> {
    let done = member.execute(command, sent).await?;
    let issue = done.world.state.issue(&issue)?;
    Ok(Done::new(&done, &MovedView { status: issue.status, identifier: issue.identifier.clone() }))
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/review`
pub(super) async fn review_issue(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    unchanged: Unchanged,
    sent: Sent<Required<ReviewDraft>>,
) -> Result<Done<ReviewedView>, Problem> {
    let draft = sent.json()?;
    let action = draft.action.clone().unwrap_or_default();
    let command = IssueCommand::Review { issue: named(path), draft };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Done::new(&done, &ReviewedView { status: "ok", action }))
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/runs`: all that agents did for it, newest first.
pub(super) async fn list_issue_runs(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
) -> Result<Listed<Vec<IssueRunView>>, Problem> {
    let world = member.world();
    let issue = world.state.issue(&named(path))?;
    let mut runs: Vec<&Arc<Assignment>> = world.state.work.of_mission(&issue.id).collect();
    runs.sort_by_key(|run| Reverse((run.started_at.unwrap_or(run.created_at), run.born)));
    let total = runs.len();
    runs.truncate(RUNS_MAX);
    let views = runs.into_iter().map(|run| IssueRunView::of(run, &world.state.roster)).collect();
    Ok(Listed::whole(&views, total))
}

impl IssueRunView {
    fn of(run: &Assignment, roster: &Roster) -> Self {
        let agent = roster.agents.get(&run.facts.assigned_to);
        let took = run.started_at.zip(run.finished_at).map(|(from, to)| to.0.saturating_sub(from.0));
        let said = |text: &Option<Text>| text.clone().filter(|text| !text.is_empty());
        Self {
            id: run.id.clone(),
            status: run.status,
            agent_name: agent.map(|agent| agent.facts.name.clone()),
            task: Some(run.facts.task.clone()).filter(|task| !task.is_empty()),
            started_at: run.started_at.map(Seconds),
            ended_at: run.finished_at.map(Seconds),
            duration_ms: took.unwrap_or(0),
            result_summary: said(&run.result_summary),
            error_message: said(&run.error_message).map(|text| first_line(&text)),
        }
    }
}

/// The first line, and a mark where it was longer.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let end = line.floor_char_boundary(ERROR_BYTES_MAX);
    if end < line.len() { format!("{}…", &line[..end]) } else { line.to_owned() }
}
