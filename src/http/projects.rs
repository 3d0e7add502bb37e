//! Projects, and how they stand (`issues.md` 15.2).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::{Issue, IssuePriority, IssueStatus, Party, PartyType};
use taffrail_domain::tracker::{Project, ProjectDraft, ProjectHealth, ProjectStatus, TrackerCommand};
use taffrail_domain::{LabelId, ProjectId, Text, Workspace, WorkspaceId};

use super::answer::{Created, Done, Gone, Listed, Refusing, Shown, Told, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageTracker, ReadIssues, WriteTracker};
use super::issue_view::Showing;
use super::labels::CONFLICT;
use super::problem::Problem;
use super::query::{Csv, Query, Word};
use super::tag::Unchanged;
use super::time::Seconds;

/// What stands for nobody among assignees.
const UNASSIGNED: &str = "Unassigned";

/// A project on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub(super) struct ProjectView {
    id: ProjectId,
    workspace_id: WorkspaceId,
    name: Text,
    slug: Text,
    description: Option<Text>,
    icon: Option<Text>,
    color: Text,
    status: ProjectStatus,
    priority: IssuePriority,
    health: ProjectHealth,
    lead_type: Option<PartyType>,
    lead_id: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_name: Option<Text>,
    start_date: Option<Text>,
    target_date: Option<Text>,
    created_at: Seconds,
    updated_at: Seconds,
    issue_count: u64,
    /// Those in `DONE` or `REVIEW`.
    done_count: u64,
    /// Those in `DONE`: additive.
    closed_count: u64,
    /// Of a hundred, rounded down.
    progress: u64,
}

/// How a project stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProjectStats")]
pub(super) struct StatsView {
    total_issues: u64,
    /// Those in `DONE` or `REVIEW`.
    completed_issues: u64,
    by_status: BTreeMap<&'static str, u64>,
    by_assignee: Vec<AssigneeCount>,
    by_label: Vec<LabelCount>,
    /// Slugs of the crews that have issues in it.
    crews: Vec<Text>,
}

/// How one assignee stands. People stand here too, under their own names.
#[derive(Serialize, JsonSchema)]
struct AssigneeCount {
    agent_id: Text,
    agent_name: Text,
    total: u64,
    completed: u64,
}

/// How often a label is used.
#[derive(Serialize, JsonSchema)]
struct LabelCount {
    label_name: Text,
    color: Text,
    count: u64,
}

/// Which projects, in which order.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ProjectQuery {
    /// Only those in one of these statuses.
    status: Csv,
    /// `name`, `created_at` or `updated_at`, ascending; `name` without it.
    sort: Word,
}

/// `GET /api/v1/projects`
pub(super) async fn list_projects(
    member: Member<ReadIssues>,
    Query(query): Query<ProjectQuery>,
) -> Listed<Vec<ProjectView>> {
    let world = member.world();
    let statuses = &query.status.0;
    let is_meant = |project: &&Project| {
        statuses.is_empty() || statuses.iter().any(|status| *status == *project.facts.status.as_str())
    };
    let all = world.state.tracker.projects.values().map(|project| &**project);
    let mut projects: Vec<&Project> = all.filter(is_meant).collect();
    match query.sort.get() {
        Some("created_at") => projects.sort_by_key(|project| project.born),
        Some("updated_at") => projects.sort_by_key(|project| project.changed),
        _ => projects.sort_by(|a, b| (&a.facts.name, a.born).cmp(&(&b.facts.name, b.born))),
    }
    let view = |project: &Project| ProjectView::of(project, &member.showing(&world.state));
    let views: Vec<_> = projects.into_iter().map(view).collect();
    Listed::whole(&views, views.len())
}

/// `POST /api/v1/projects`
pub(super) async fn create_project(
    member: Member<WriteTracker>,
    sent: Sent<Required<ProjectDraft>>,
) -> Result<Refusing<Created<ProjectView>, CONFLICT>, Problem> {
    let done = member.execute(TrackerCommand::CreateProject(sent.json()?.into()), &sent).await?;
    let project = done.world.state.project(&first_entry(&done)?.subject)?;
    let view = ProjectView::of(project, &member.showing(&done.world.state));
    Ok(Refusing(Created::tagged(&done, &view, project.changed)))
}

/// `GET /api/v1/projects/{projectId}`: by id or slug.
pub(super) async fn get_project(
    member: Member<ReadIssues>,
    Path(project): Path<Text>,
) -> Result<Shown<ProjectView>, Problem> {
    let world = member.world();
    let project = world.state.project(&project)?;
    Ok(Shown::new(project.changed, &ProjectView::of(project, &member.showing(&world.state))))
}

/// `PATCH /api/v1/projects/{projectId}`
pub(super) async fn update_project(
    member: Member<WriteTracker>,
    Path(named): Path<Text>,
    unchanged: Unchanged,
    sent: Sent<Required<ProjectDraft>>,
) -> Result<Refusing<Done<ProjectView>, CONFLICT>, Problem> {
    // Its slug may be another one afterwards.
    let id = member.world().state.project(&named).map(|project| project.id.as_str().into()).unwrap_or(named);
    let command = TrackerCommand::UpdateProject { project: id.clone(), patch: sent.json().map(Box::new) };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let id = done.entries.first().map_or(id, |entry| entry.subject.clone());
    let project = done.world.state.project(&id)?;
    let view = ProjectView::of(project, &member.showing(&done.world.state));
    Ok(Refusing(Done::tagged(&done, &view, project.changed)))
}

/// `DELETE /api/v1/projects/{projectId}`
pub(super) async fn delete_project(
    member: Member<ManageTracker>,
    Path(project): Path<Text>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let command = TrackerCommand::DeleteProject { project };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Gone::of(&done))
}

/// `GET /api/v1/projects/{projectId}/stats`
pub(super) async fn get_project_stats(
    member: Member<ReadIssues>,
    Path(project): Path<Text>,
) -> Result<Told<StatsView>, Problem> {
    let world = member.world();
    let project = world.state.project(&project)?;
    Ok(Told::new(&StatsView::of(project, &member.showing(&world.state))))
}

impl ProjectView {
    pub(super) fn of(project: &Project, showing: &Showing<'_>) -> Self {
        let facts = project.facts.clone();
        let tally = showing.state.project_tally(&project.id);
        let lead = facts.lead.as_ref();
        Self {
            id: project.id.clone(),
            workspace_id: showing.workspace.clone(),
            name: facts.name,
            slug: facts.slug,
            description: facts.description,
            icon: facts.icon,
            color: facts.color,
            status: facts.status,
            priority: facts.priority,
            health: facts.health,
            lead_type: lead.map(|lead| lead.kind),
            lead_id: lead.map(|lead| lead.id.clone()),
            lead_name: lead.and_then(|lead| showing.name_of(lead)),
            start_date: facts.start_date,
            target_date: facts.target_date,
            created_at: Seconds(project.created_at),
            updated_at: Seconds(project.updated_at),
            issue_count: tally.total,
            done_count: tally.done_or_in_review(),
            closed_count: tally.done,
            progress: tally.progress(),
        }
    }
}

impl StatsView {
    fn of(project: &Project, showing: &Showing<'_>) -> Self {
        let state = showing.state;
        let issues: Vec<&Issue> = state.issues.of_project(&project.id).map(|issue| &**issue).collect();
        let mut by_status = BTreeMap::new();
        issues.iter().for_each(|issue| *by_status.entry(issue.status.as_str()).or_default() += 1);
        let crews: BTreeSet<_> = issues.iter().map(|issue| &issue.crew_id).collect();
        let slug = |crew| state.roster.crews.get(crew).map(|crew| crew.facts.slug.clone());
        let mut crews: Vec<Text> = crews.into_iter().filter_map(slug).collect();
        crews.sort();
        let tally = state.project_tally(&project.id);
        Self {
            total_issues: tally.total,
            completed_issues: tally.done_or_in_review(),
            by_status,
            by_assignee: by_assignee(&issues, showing),
            by_label: by_label(&issues, state),
            crews,
        }
    }
}

/// Whoever has most comes first.
fn by_assignee(issues: &[&Issue], showing: &Showing<'_>) -> Vec<AssigneeCount> {
    let mut counts: BTreeMap<Option<&Party>, (u64, u64)> = BTreeMap::new();
    for issue in issues {
        let (total, completed) = counts.entry(issue.facts.assignee.as_ref()).or_default();
        *total += 1;
        *completed += u64::from(matches!(issue.status, IssueStatus::Done | IssueStatus::Review));
    }
    let view = |(party, (total, completed)): (Option<&Party>, (u64, u64))| AssigneeCount {
        agent_id: party.map(|party| party.id.clone()).unwrap_or_default(),
        agent_name: match party {
            Some(party) => showing.name_of(party).unwrap_or_else(|| party.id.clone()),
            None => UNASSIGNED.into(),
        },
        total,
        completed,
    };
    let mut counts: Vec<AssigneeCount> = counts.into_iter().map(view).collect();
    counts.sort_by_key(|count| Reverse(count.total));
    counts
}

/// Whatever is used most comes first.
fn by_label(issues: &[&Issue], state: &Workspace) -> Vec<LabelCount> {
    let mut counts: BTreeMap<&LabelId, u64> = BTreeMap::new();
    let labels = issues.iter().flat_map(|issue| &issue.facts.labels);
    labels.for_each(|label| *counts.entry(label).or_default() += 1);
    let view = |(label, count)| {
        let facts = &state.tracker.labels.get(label)?.facts;
        Some(LabelCount { label_name: facts.name.clone(), color: facts.color.clone(), count })
    };
    let mut counts: Vec<LabelCount> = counts.into_iter().filter_map(view).collect();
    counts.sort_by(|a, b| (Reverse(a.count), &a.label_name).cmp(&(Reverse(b.count), &b.label_name)));
    counts
}
