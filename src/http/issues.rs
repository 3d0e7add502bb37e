//! Issues: lists, and what people do with them (`issues.md` 6 to 8).

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::{
    BulkDraft, Issue, IssueCommand, IssueDraft, IssueEvent, IssuePatch, IssuePriority, IssueStatus, Named,
    Place, is_date,
};
use taffrail_domain::mission::{Mission, Status};
use taffrail_domain::roster::{Capability, Permission};
use taffrail_domain::{Actor, CrewId, Event, LabelId, MissionId, Text, Workspace};
use taffrail_projections::{IssueFilter, IssueOrder, IssuePlace, SortBy, Wanted, WorkspaceWorld, World};

use super::answer::{Created, Done, Gone, Listed, Shown, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{CreateIssues, Gate, ReadIssues, WriteIssues, WriteTracker};
use super::issue_view::{IssueView, Showing};
use super::journal::scan;
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::query::{Csv, Query, Word};
use super::tag::Unchanged;
use super::time;
use crate::search::folded;

/// `issues.md` 6.1.
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;
/// In a condition: that there is none.
const NONE: &str = "none";

/// Which issues.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct IssueConditions {
    /// Any of these statuses.
    status: Csv,
    /// Any of these priorities.
    priority: Csv,
    /// Any of these projects; `none` is without.
    project_id: Csv,
    /// Any of these crews.
    crew_id: Csv,
    /// Any of these assignees; `none` is nobody, `me` is the caller.
    assignee_id: Csv,
    /// Any of these labels, by name or id; `none` is without.
    label: Csv,
    /// None of these labels, by name or id.
    not_label: Csv,
    /// Any of these milestones; `none` is without.
    milestone_id: Csv,
    /// Below any of these issues; `none` is at the top.
    parent_issue_id: Csv,
    /// Only these, by id or identifier.
    ids: Csv,
    /// A part of identifier, title or description, in any case.
    search: Word,
    /// Due before this day or time.
    due_before: Word,
    /// Due after this day or time.
    due_after: Word,
    /// Changed at or after this time.
    updated_since: Word,
}

/// Which issues, and in which order.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct IssueQuery {
    /// `issue` (the default), or `orchestration` (also `mission`) for missions.
    mission_type: Word,
    #[serde(flatten)]
    conditions: IssueConditions,
    /// `created_at` (the default), `updated_at`, `priority`, `sort_order`, `due_date`.
    sort: Word,
    /// `asc` for the smallest first; the greatest without it.
    order: Word,
    /// Where the page before ended: `X-Next-Cursor` of its answer.
    cursor: Word,
    /// Issues on the page, 1 to 100; 50 without it.
    #[serde(flatten)]
    page: PageQuery,
}

/// `GET /api/v1/issues`
pub(super) async fn list_issues(
    member: Member<ReadIssues>,
    Query(query): Query<IssueQuery>,
) -> Result<Listed<Vec<IssueView>>, Problem> {
    let world = member.world();
    let page = query.page.page(PAGE_DEFAULT, PAGE_MAX);
    let showing = member.showing(&world.state);
    match query.mission_type.get() {
        None | Some("issue") => {}
        Some("orchestration" | "mission") => return Ok(missions(&world, &showing, &query.conditions, page)),
        Some(_) => return Ok(Listed::page(&vec![], 0, page)),
    }
    let order = IssueOrder {
        by: SortBy::parse(query.sort.get().unwrap_or_default()),
        is_ascending: query.order.get() == Some("asc"),
    };
    let behind = query.cursor.get().map(|text| IssuePlace::parse(text, order).ok_or_else(bad_cursor));
    let behind = behind.transpose()?;
    let (filter, needle) = query.conditions.read(&member, &world).await?;
    let select = move |world: &WorkspaceWorld| {
        let fits = needle.as_deref().map(says);
        let fits = fits.as_ref().map(|fits| fits as &dyn Fn(&Issue) -> bool);
        world.issues.page(&filter, fits, order, (page.offset, behind), page.limit, &world.state)
    };
    // Who looks for a text may have to read many.
    let found =
        if query.conditions.search.get().is_some() { scan(&world, select).await? } else { select(&world) };
    let issues = found.ids.iter().filter_map(|id| world.state.issues.all.get(id));
    let views = issues.map(|issue| showing.issue(issue)).collect();
    Ok(Listed::page_from(&views, found.total, page, behind.is_some(), found.next))
}

/// Whether identifier, title or description hold a text, which is folded.
pub(super) fn says(needle: &str) -> impl Fn(&Issue) -> bool {
    let holds = move |text: &str| folded(text).contains(needle);
    move |issue| {
        holds(&issue.title) || holds(&issue.identifier) || issue.description.as_deref().is_some_and(holds)
    }
}

/// `GET /api/v1/issues/{identifier}`
pub(super) async fn get_issue(
    member: Member<ReadIssues>,
    Path(identifier): Path<Text>,
) -> Result<Shown<IssueView>, Problem> {
    let world = member.world();
    let issue = world.state.issue(&Named { crew: None, name: identifier })?;
    Ok(Shown::new(issue.changed, &member.showing(&world.state).issue(issue)))
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}`
pub(super) async fn get_crew_issue(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
) -> Result<Shown<IssueView>, Problem> {
    let world = member.world();
    let issue = world.state.issue(&named(path))?;
    Ok(Shown::new(issue.changed, &member.showing(&world.state).issue(issue)))
}

/// `POST /api/v1/crews/{crewId}/issues`
pub(super) async fn create_issue(
    member: Member<CreateIssues>,
    Path(crew): Path<CrewId>,
    sent: Sent<Required<IssueDraft>>,
) -> Result<Created<IssueView>, Problem> {
    member.may_create_issues()?;
    let draft = sent.json()?;
    let done = member.execute(IssueCommand::Create { crew, draft: draft.into() }, &sent).await?;
    let id = &first_entry(&done)?.subject;
    let issue = done.world.state.issue(&Named { crew: None, name: id.clone() })?;
    Ok(Created::tagged(&done, &member.showing(&done.world.state).issue(issue), issue.changed))
}

/// `PATCH /api/v1/crews/{crewId}/issues/{identifier}`
pub(super) async fn update_issue(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    unchanged: Unchanged,
    sent: Sent<Required<IssuePatch>>,
) -> Result<Done<IssueView>, Problem> {
    let patch = sent.json()?;
    let issue = named(path);
    let command = IssueCommand::Update { issue: issue.clone(), patch: patch.into() };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let issue = done.world.state.issue(&Named { crew: None, ..issue })?;
    Ok(Done::tagged(&done, &member.showing(&done.world.state).issue(issue), issue.changed))
}

/// `DELETE /api/v1/crews/{crewId}/issues/{identifier}`
pub(super) async fn delete_issue(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let command = IssueCommand::Delete { issue: named(path) };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Gone::of(&done))
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/move`: additive (`issues.md` 22).
pub(super) async fn move_issue(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    unchanged: Unchanged,
    sent: Sent<Required<Place>>,
) -> Result<Done<IssueView>, Problem> {
    let place = sent.json()?;
    let issue = named(path);
    let command = IssueCommand::Place { issue: issue.clone(), place };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let issue = done.world.state.issue(&issue)?;
    Ok(Done::tagged(&done, &member.showing(&done.world.state).issue(issue), issue.changed))
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/subtasks`: as people see them beside their parent.
pub(super) async fn list_subtasks(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
) -> Result<Listed<Vec<IssueView>>, Problem> {
    let world = member.world();
    let parent = world.state.issue(&named(path))?;
    let mut children: Vec<_> = world.state.issues.children_of(&parent.id).collect();
    children.sort_by(|one, other| {
        let by_order = one.facts.sort_order.total_cmp(&other.facts.sort_order);
        by_order.then(one.created_at.cmp(&other.created_at)).then(one.id.cmp(&other.id))
    });
    let showing = member.showing(&world.state);
    let views: Vec<_> = children.into_iter().map(|child| showing.issue(child)).collect();
    Ok(Listed::whole(&views, views.len()))
}

/// How many issues a bulk update changed, and what became of each.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BulkUpdated")]
pub(super) struct BulkView {
    updated: u32,
    /// With `detail=1`: each issue named, in the order of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<BulkResult>>,
}

/// What became of one of them.
#[derive(Serialize, JsonSchema)]
struct BulkResult {
    id: String,
    applied: bool,
    /// Why not, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The same, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// How much a bulk update tells.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct BulkQuery {
    /// `1` tells what became of each issue.
    detail: Word,
}

/// `PATCH /api/v1/issues/bulk`
pub(super) async fn update_issues(
    member: Member<WriteTracker>,
    Query(query): Query<BulkQuery>,
    sent: Sent<Required<BulkDraft>>,
) -> Result<Done<BulkView>, Problem> {
    let draft = sent.json()?;
    let done = member.execute(IssueCommand::Bulk(draft.clone().into()), &sent).await?;
    let updated = done.entries.iter().find_map(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::IssuesBulkUpdated(bulk))) => Some(bulk.count),
        _ => None,
    });
    let is_done = |issue: Option<&MissionId>| {
        issue.is_some_and(|id| {
            done.entries.iter().any(|entry| {
                *entry.subject == *id.as_str()
                    && matches!(entry.event, Some(Event::Issue(IssueEvent::IssueUpdated(_))))
            })
        })
    };
    let results = match query.detail.get() {
        // What was not done would not be done now either, unless somebody changed it since: a repeat of the
        // same wish then has no reason to tell.
        Some("1") => Some(done.world.state.bulk_outcomes(&draft)?.into_iter().map(|outcome| {
            let applied = is_done(outcome.issue.as_ref());
            let refused = outcome.refused.filter(|_| !applied);
            BulkResult {
                id: outcome.named,
                applied,
                reason: refused.as_ref().map(|refused| refused.detail.to_string()),
                code: refused.map(|refused| refused.code),
            }
        })),
        _ => None,
    };
    let results = results.map(Iterator::collect);
    Ok(Done::new(&done, &BulkView { updated: updated.unwrap_or(0), results }))
}

/// An issue as a path names it.
pub(super) fn named(Path((crew, name)): Path<(CrewId, Text)>) -> Named {
    Named { crew: Some(crew), name }
}

impl Member<CreateIssues> {
    /// A role, or a capability, is enough; asked before the body is read (`issues.md` 1).
    fn may_create_issues(&self) -> Result<(), Problem> {
        let world = self.world();
        let actor = Actor::User(self.user().clone());
        let roster = &world.state.roster;
        let may = roster.require(&actor, Permission::Create).is_ok()
            || roster.is_capable(&actor, Capability::IssueCreate);
        if may { Ok(()) } else { Err(Problem::forbidden("forbidden")) }
    }
}

impl<G: Gate> Member<G> {
    /// Where issues are shown to this caller.
    pub(super) fn showing<'a>(&'a self, state: &'a Workspace) -> Showing<'a> {
        Showing { state, vault: self.app.vault(), workspace: &self.id }
    }
}

impl IssueConditions {
    /// What is asked for, and the text that each issue must hold: an index tells which may.
    pub(super) async fn read(
        &self,
        member: &Member<ReadIssues>,
        world: &Arc<WorkspaceWorld>,
    ) -> Result<(IssueFilter, Option<String>), Problem> {
        let mut filter = self.filter(&world.state, member.user().as_str())?;
        let needle = self.search.get().map(folded);
        let search = member.app.search(world.log());
        if let (Some(needle), Some(search)) = (needle.as_deref(), search)
            && let Some(candidates) = search.substring_candidates(world, needle).await
        {
            filter.ids = Some(match filter.ids.take() {
                Some(ids) => {
                    let candidates: HashSet<MissionId> = candidates.into_iter().collect();
                    ids.into_iter().filter(|id| candidates.contains(id)).collect()
                }
                None => candidates,
            });
        }
        Ok((filter, needle))
    }

    /// What is asked for, in the names of this workspace. Who or what does not exist has no issues.
    fn filter(&self, state: &Workspace, me: &str) -> Result<IssueFilter, Problem> {
        let optional = |list: &Csv| -> Vec<Option<Option<String>>> {
            list.0.iter().map(|id| Some((id != NONE).then(|| id.clone()))).collect()
        };
        let when = |field: &'static str, word: &Word| -> Result<Option<Text>, Problem> {
            let Some(text) = word.get() else { return Ok(None) };
            if is_date(text) {
                return Ok(Some(text.into()));
            }
            let detail = format!("{field} must be YYYY-MM-DD or an RFC 3339 timestamp");
            Err(Problem::invalid("issue.date", detail))
        };
        let since = self.updated_since.get().map(time::not_before).transpose();
        let since = since.map_err(|error| {
            Problem::invalid("issue.updated_since", format!("bad updated_since: {error}"))
        })?;
        let named = |name: &String| state.issues.named(name).map(|issue| issue.id.clone());
        Ok(IssueFilter {
            statuses: Wanted::any_of(self.status.0.iter().map(|word| IssueStatus::parse(word))),
            priorities: Wanted::any_of(self.priority.0.iter().map(|word| IssuePriority::parse(word))),
            crews: Wanted::any_of(self.crew_id.0.iter().map(|id| Some(id.as_str().into()))),
            projects: Wanted::any_of(
                optional(&self.project_id).into_iter().map(|id| id.map(|id| id.map(|id| id.as_str().into()))),
            ),
            milestones: Wanted::any_of(
                optional(&self.milestone_id)
                    .into_iter()
                    .map(|id| id.map(|id| id.map(|id| id.as_str().into()))),
            ),
            assignees: Wanted::any_of(self.assignee_id.0.iter().map(|id| match id.as_str() {
                NONE => Some(None),
                "me" => Some(Some(me.into())),
                id => Some(Some(id.into())),
            })),
            labels: Wanted::any_of(self.label.0.iter().map(|name| match name.as_str() {
                NONE => Some(None),
                name => label_named(state, name).map(Some),
            })),
            labels_excluded: self.not_label.0.iter().filter_map(|name| label_named(state, name)).collect(),
            parents: Wanted::any_of(self.parent_issue_id.0.iter().map(|name| match name.as_str() {
                NONE => Some(None),
                _ => named(name).map(Some),
            })),
            ids: (!self.ids.0.is_empty()).then(|| self.ids.0.iter().filter_map(named).collect()),
            due_before: when("due_before", &self.due_before)?,
            due_after: when("due_after", &self.due_after)?,
            updated_since: since,
        })
    }
}

/// A label by its name, else by its id.
pub(super) fn label_named(state: &Workspace, name: &str) -> Option<LabelId> {
    let by_name = state.tracker.label_names.get(name).cloned();
    by_name.or_else(|| state.tracker.labels.get(name).map(|label| label.id.clone()))
}

/// Missions among issues: only what both have can be asked for.
fn missions(
    world: &WorkspaceWorld,
    showing: &Showing<'_>,
    query: &IssueConditions,
    page: Page,
) -> Listed<Vec<IssueView>> {
    let crews: Vec<CrewId> = query.crew_id.0.iter().map(|id| id.as_str().into()).collect();
    let statuses: Vec<Status> = query.status.0.iter().filter_map(|word| Status::parse(word)).collect();
    if statuses.is_empty() && !query.status.0.is_empty() {
        return Listed::page(&vec![], 0, page);
    }
    let show = |ids: &mut dyn Iterator<Item = &MissionId>| {
        let missions = ids.filter_map(|id| world.state.missions.get(id));
        missions.map(|mission| showing.mission(mission)).collect()
    };
    if crews.len() <= 1 && statuses.len() <= 1 {
        let (crew, status) = (crews.first(), statuses.first().copied());
        let views: Vec<IssueView> = show(&mut world.board.page(crew, status, page.offset).take(page.limit));
        return Listed::page(&views, world.board.count(crew, status), page);
    }
    let is_asked = |id: &&MissionId| {
        let is_one = |mission: &Arc<Mission>| {
            (crews.is_empty() || crews.contains(&mission.crew_id))
                && (statuses.is_empty() || statuses.contains(&mission.status))
        };
        world.state.missions.get(*id).is_some_and(is_one)
    };
    let found: Vec<&MissionId> = world.board.page(None, None, 0).filter(is_asked).collect();
    let views = show(&mut found.iter().copied().skip(page.offset).take(page.limit));
    Listed::page(&views, found.len(), page)
}

fn bad_cursor() -> Problem {
    Problem::invalid("issue.bad_cursor", "bad cursor")
}
