//! What an issue was, and how it came to be what it is (`issues.md` 10, `journal.md` 11.2).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taffrail_domain::issue::{Issue, IssueEvent, Named, Party, PartyType};
use taffrail_domain::mission::Task;
use taffrail_domain::{ActorType, CrewId, Entry, EntryId, Event, Face, MissionId, Offset, TaskId, Text};
use taffrail_projections::{WorkspaceWorld, World};

use super::answer::{Listed, Refusing, Told};
use super::caller::Member;
use super::gate::ReadIssues;
use super::issue_view::{IssueView, Showing};
use super::issues::named;
use super::page::PageQuery;
use super::problem::Problem;
use super::query::{Query, Word};
use super::state::{Point, StateQuery, last_shown, point};
use super::tasks::TaskView;
use super::time::Seconds;
use crate::boot::Read;

/// `issues.md` 10.1.
const LINES_DEFAULT: usize = 50;
const LINES_MAX: usize = 100;
/// A point: where everything is now.
const HEAD: &str = "head";

/// A line of an issue's activity log.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueActivity")]
pub(super) struct ActivityView {
    /// Also the journal's name of it.
    id: EntryId,
    mission_id: MissionId,
    /// `user`, `agent` or `system`.
    actor_type: &'static str,
    actor_id: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_name: Option<Text>,
    action: Text,
    details: Option<Text>,
    created_at: Seconds,
}

/// How much of the log.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ActivityQuery {
    /// Only lines before this one.
    before: Word,
    /// Lines, 1 to 100; 50 without it.
    #[serde(flatten)]
    page: PageQuery,
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/activity`: newest first.
pub(super) async fn list_issue_activity(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
    Query(query): Query<ActivityQuery>,
) -> Result<Listed<Vec<ActivityView>>, Problem> {
    let world = member.world();
    let issue = world.state.issue(&named(path))?;
    let before = match query.before.get() {
        None => Offset(u64::MAX),
        Some(text) => {
            let bad = || Problem::invalid("activity.bad_before", "bad before");
            EntryId::parse(text).filter(|id| id.log == world.log()).ok_or_else(bad)?.offset
        }
    };
    let limit = query.page.page(LINES_DEFAULT, LINES_MAX).limit;
    let offsets: Vec<Offset> = world.issue_log.before(&issue.id, before).take(limit).collect();
    let showing = member.showing(&world.state);
    let mut views = Vec::with_capacity(offsets.len());
    let take = |read: Read| {
        views.extend(ActivityView::of(&read.entry, &issue.id, &world, &showing));
        ControlFlow::Continue(())
    };
    member.app.each_entry(world.log(), offsets, take).await?;
    let total = world.issue_log.before(&issue.id, Offset(u64::MAX)).count();
    Ok(Listed::whole(&views, total))
}

impl ActivityView {
    fn of(entry: &Entry, issue: &MissionId, world: &WorkspaceWorld, showing: &Showing<'_>) -> Option<Self> {
        let (action, details) = match &entry.event {
            Some(Event::Issue(IssueEvent::IssueCreated(created))) => {
                ("created".into(), Some(created.title.clone()))
            }
            Some(Event::Issue(IssueEvent::IssueNoted(noted))) => {
                (noted.action.clone(), noted.details.clone())
            }
            Some(Event::Issue(IssueEvent::IssuesDetached(_))) => {
                ("parent_changed".into(), Some(Text::default()))
            }
            _ => return None,
        };
        // What several lose at once has no face of its own: who did it is who wrote the entry.
        let told = Face::new("", &entry.actor, "", "");
        let face = entry.face.as_ref().unwrap_or(&told);
        let id = face.actor_id.clone().unwrap_or_else(|| "system".into());
        let party = |kind| showing.name_of(&Party { kind, id: id.clone() });
        let (actor_type, actor_name) = match face.actor_type {
            ActorType::User => ("user", party(PartyType::User)),
            ActorType::Agent => ("agent", party(PartyType::Agent)),
            _ => ("system", Some("System".into())),
        };
        Some(Self {
            id: world.entry_id(entry.offset),
            mission_id: issue.clone(),
            actor_type,
            actor_id: id,
            actor_name,
            action,
            details,
            created_at: Seconds(entry.time),
        })
    }
}

/// The issue with its tasks as of then, the entry it stands at, and its hash. Names and neighbours are
/// those of now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueState")]
pub(super) struct IssueStateView {
    #[serde(flatten)]
    issue: IssueView,
    tasks: Vec<TaskView>,
    offset: EntryId,
    state_hash: String,
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/state?at=<j_…|chk_…|RFC 3339 time|head>`
pub(super) async fn get_issue_state(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
    Query(query): Query<StateQuery>,
) -> Result<Refusing<Told<IssueStateView>, 409>, Problem> {
    let world = member.world();
    let living = world.state.issue(&named(path))?;
    let then = Then::at(&member, &world, &living.id, query.point()?).await?;
    let view = IssueStateView {
        issue: member.showing(&world.state).issue(&then.issue),
        tasks: then
            .issue
            .tasks_in_order()
            .into_iter()
            .map(|task| TaskView::of(task, &living.id, &world.state.roster))
            .collect(),
        offset: world.entry_id(then.stands_at),
        state_hash: then.issue.state_hash(),
    };
    Ok(Refusing(Told::new(&view)))
}

/// An issue at a point of its life.
struct Then {
    issue: Arc<Issue>,
    point: Offset,
    stands_at: Offset,
}

impl Then {
    async fn at(
        member: &Member<ReadIssues>,
        world: &WorkspaceWorld,
        id: &MissionId,
        named: Point<'_>,
    ) -> Result<Self, Problem> {
        let point = if named.text == HEAD { world.head() } else { point(world, id, named)? };
        let not_in_its_life = || named.not_in_its_life(world, id);
        let issue = member.app.issue_as_of(world, id, point).await?.ok_or_else(not_in_its_life)?;
        let stands_at = last_shown(world, id, point).ok_or_else(not_in_its_life)?;
        Ok(Self { issue, point, stands_at })
    }

    /// A point of this issue, or, behind the name of another one and `@`, of that.
    async fn of_either(
        member: &Member<ReadIssues>,
        world: &WorkspaceWorld,
        id: &MissionId,
        named: Point<'_>,
    ) -> Result<Self, Problem> {
        match named.text.split_once('@') {
            None => Self::at(member, world, id, named).await,
            Some((other, text)) => {
                let other = world.state.issue(&Named { crew: None, name: other.into() })?;
                Self::at(member, world, &other.id, Point { text, ..named }).await
            }
        }
    }
}

/// Which two points.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct DiffQuery {
    /// An entry of the issue (`j_…`), a checkpoint of it (`chk_…`), a time (RFC 3339) or `head`, or one of
    /// these of another issue, behind its identifier and `@`; required.
    from: Word,
    /// The same; `head` without it.
    to: Word,
}

/// What differs between two points of an issue's life.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueDiff")]
pub(super) struct DiffView {
    from: PointView,
    to: PointView,
    /// Fields that differ.
    fields: Vec<FieldView>,
    tasks: TasksDiffView,
    /// Entries of the issue between the two.
    entries: usize,
    /// What its agents cost between the two, in USD.
    cost: f64,
}

/// A point.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssuePoint")]
struct PointView {
    offset: EntryId,
    state_hash: String,
}

/// A field, before and after.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FieldDiff")]
struct FieldView {
    field: String,
    from: Value,
    to: Value,
}

/// Tasks that came, went or changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TasksDiff")]
struct TasksDiffView {
    added: Vec<TaskId>,
    removed: Vec<TaskId>,
    changed: Vec<TaskDiffView>,
}

/// A task that changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TaskDiff")]
struct TaskDiffView {
    id: TaskId,
    fields: Vec<FieldView>,
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/diff?from=&to=`
pub(super) async fn get_issue_diff(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
    Query(query): Query<DiffQuery>,
) -> Result<Refusing<Told<DiffView>, 409>, Problem> {
    let world = member.world();
    let living = world.state.issue(&named(path))?;
    let required = || Problem::invalid("diff.from_required", "from is required");
    let from = Point { name: "from", text: query.from.get().ok_or_else(required)? };
    let to = Point { name: "to", text: query.to.get().unwrap_or(HEAD) };
    let from = Then::of_either(&member, &world, &living.id, from).await?;
    let to = Then::of_either(&member, &world, &living.id, to).await?;
    let history = world.state.histories.get(&living.id);
    let (first, last) = (from.point.min(to.point), from.point.max(to.point));
    let between = history.into_iter().flat_map(|history| history.public.iter());
    let entries = between.filter(|offset| **offset > first && **offset <= last).count();
    let cost = |then: &Then| then.issue.total_estimated_cost().unwrap_or(0.0);
    Ok(Refusing(Told::new(&DiffView {
        fields: fields(&facts_of(&from.issue), &facts_of(&to.issue)),
        tasks: tasks(&from.issue, &to.issue),
        entries,
        cost: cost(&to) - cost(&from),
        from: PointView::of(&from, &world),
        to: PointView::of(&to, &world),
    })))
}

impl PointView {
    fn of(then: &Then, world: &WorkspaceWorld) -> Self {
        Self { offset: world.entry_id(then.stands_at), state_hash: then.issue.state_hash() }
    }
}

/// What people set of an issue, by the API's names.
fn facts_of(issue: &Issue) -> Value {
    let facts = &issue.facts;
    json!({
        "title": issue.title, "description": issue.description, "status": issue.status, "plan": issue.plan,
        "crew_id": issue.crew_id, "lead_agent_id": issue.lead_agent_id, "priority": facts.priority,
        "assignee_type": facts.assignee.as_ref().map(|party| party.kind),
        "assignee_id": facts.assignee.as_ref().map(|party| &party.id),
        "due_date": facts.due_date, "sort_order": facts.sort_order, "project_id": facts.project_id,
        "milestone_id": facts.milestone_id, "parent_issue_id": facts.parent_issue_id,
        "estimate": facts.estimate, "labels": facts.labels, "routine_id": facts.routine_id,
        "routine_inputs": facts.routine_inputs, "comment_count": issue.comment_count,
        "started_at": issue.started_at.map(Seconds), "completed_at": issue.completed_at.map(Seconds),
    })
}

fn facts_of_task(task: &Task) -> Value {
    json!({
        "title": task.title, "description": task.description, "status": task.status,
        "assigned_agent_id": task.assigned_agent_id, "task_order": task.task_order,
        "depends_on": task.depends_on, "iteration": task.iteration, "result_summary": task.result_summary,
        "output_path": task.output_path, "error_message": task.error_message,
        "assignment_id": task.assignment_id, "token_count": task.token_count,
        "estimated_cost": task.estimated_cost, "confidence": task.confidence,
        "approval_status": task.approval_status,
    })
}

fn fields(from: &Value, to: &Value) -> Vec<FieldView> {
    let names = from.as_object().into_iter().flat_map(|facts| facts.keys());
    let changed = names.filter(|name| from[name.as_str()] != to[name.as_str()]);
    changed
        .map(|name| FieldView { field: name.clone(), from: from[name].clone(), to: to[name].clone() })
        .collect()
}

fn tasks(from: &Issue, to: &Issue) -> TasksDiffView {
    let ids = |issue: &Issue| issue.tasks.keys().cloned().collect::<BTreeSet<TaskId>>();
    let (before, after) = (ids(from), ids(to));
    let changed = before.intersection(&after).filter_map(|id| {
        let fields = fields(&facts_of_task(from.tasks.get(id)?), &facts_of_task(to.tasks.get(id)?));
        (!fields.is_empty()).then(|| TaskDiffView { id: id.clone(), fields })
    });
    TasksDiffView {
        added: after.difference(&before).cloned().collect(),
        removed: before.difference(&after).cloned().collect(),
        changed: changed.collect(),
    }
}
