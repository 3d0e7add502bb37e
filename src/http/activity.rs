//! What agents hand each other, across crews (`platform.md` 10.2, `journal.md` 7, ruling R15).

use std::sync::Arc;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::roster::{Crew, Roster};
use taffrail_domain::work::{Assignment, AssignmentStatus, Purpose};
use taffrail_domain::{AssignmentId, CrewId, Text};

use super::answer::Listed;
use super::caller::Member;
use super::gate::{ReadCrews, ReadRuns};
use super::page::PageQuery;
use super::problem::Problem;
use super::query::{Query, Word};
use super::time::Seconds;

const PAGE_DEFAULT: usize = 30;
const PAGE_MAX: usize = 100;
const CREW_PAGE_DEFAULT: usize = 50;

/// One row per assignment, as it stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Activity")]
pub(super) struct ActivityView {
    id: AssignmentId,
    /// `assignment`: conversations between agents and escalations are not kept here.
    r#type: &'static str,
    status: AssignmentStatus,
    summary: Text,
    detail: Option<Text>,
    from_name: Text,
    from_slug: Text,
    to_name: Option<Text>,
    to_slug: Option<Text>,
    crew_name: Text,
    crew_slug: Text,
    crew_color: Option<Text>,
    created_at: Seconds,
}

/// Which rows.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ActivityQuery {
    /// Of this crew.
    crew_id: Word,
    /// Of this agent, on either side.
    agent_id: Word,
    #[serde(flatten)]
    page: PageQuery,
}

/// An assignment of a crew.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Assignment")]
pub(super) struct AssignmentView {
    id: AssignmentId,
    task: Text,
    status: AssignmentStatus,
    purpose: Purpose,
    assigned_by_slug: Text,
    assigned_by_name: Text,
    assigned_to_slug: Option<Text>,
    assigned_to_name: Option<Text>,
    mission_id: Option<taffrail_domain::MissionId>,
    task_id: Option<taffrail_domain::TaskId>,
    result_summary: Option<Text>,
    error_message: Option<Text>,
    started_at: Option<Seconds>,
    finished_at: Option<Seconds>,
    created_at: Seconds,
}

/// `GET /api/v1/activity`: newest first.
pub(super) async fn list_activity(
    member: Member<ReadRuns>,
    Query(query): Query<ActivityQuery>,
) -> Listed<Vec<ActivityView>> {
    let world = member.world();
    let roster = &world.state.roster;
    let matches = |found: &&Arc<Assignment>| {
        let facts = &found.facts;
        let is_side = |agent: &str| {
            facts.assigned_to.as_str() == agent
                || facts.assigned_by.as_ref().is_some_and(|by| by.as_str() == agent)
        };
        facts.purpose != Purpose::Chat
            && query
                .crew_id
                .get()
                .is_none_or(|crew| crew_of(found, roster).is_some_and(|found| found.id.as_str() == crew))
            && query.agent_id.get().is_none_or(is_side)
    };
    let page = query.page.page(PAGE_DEFAULT, PAGE_MAX);
    let found: Vec<&Arc<Assignment>> = world.state.work.assignments_newest().filter(matches).collect();
    let shown = found.iter().skip(page.offset).take(page.limit);
    let views = shown.map(|found| ActivityView::of(found, roster)).collect();
    Listed::page(&views, found.len(), page)
}

/// `GET /api/v1/crews/{crewId}/assignments`: newest first.
pub(super) async fn list_assignments(
    member: Member<ReadCrews>,
    Path(crew): Path<CrewId>,
    Query(page): Query<PageQuery>,
) -> Result<Listed<Vec<AssignmentView>>, Problem> {
    let world = member.world();
    world.state.crew(crew.as_str())?;
    let page = page.page(CREW_PAGE_DEFAULT, PAGE_MAX);
    let own = |found: &&Arc<Assignment>| found.facts.crew_id.as_ref() == Some(&crew);
    let found: Vec<&Arc<Assignment>> = world.state.work.assignments_newest().filter(own).collect();
    let shown = found.iter().skip(page.offset).take(page.limit);
    let views = shown.map(|found| AssignmentView::of(found, &world.state.roster)).collect();
    Ok(Listed::page(&views, found.len(), page))
}

/// The crew of whoever assigned, else the crew that works.
fn crew_of<'a>(found: &Assignment, roster: &'a Roster) -> Option<&'a Crew> {
    let by = found.facts.assigned_by.as_ref().and_then(|by| roster.agents.get(by));
    let crew = by.and_then(|by| by.facts.crew_id.as_ref()).or(found.facts.crew_id.as_ref())?;
    roster.crews.get(crew)
}

impl ActivityView {
    fn of(found: &Assignment, roster: &Roster) -> Self {
        let by = found.facts.assigned_by.as_ref().and_then(|by| roster.agents.get(by));
        let to = roster.agents.get(&found.facts.assigned_to);
        let crew = crew_of(found, roster);
        Self {
            id: found.id.clone(),
            r#type: "assignment",
            status: found.status,
            summary: found.facts.task.clone(),
            detail: found.result_summary.clone(),
            from_name: by.map(|by| by.facts.name.clone()).unwrap_or_default(),
            from_slug: by.map(|by| by.facts.slug.clone()).unwrap_or_default(),
            to_name: to.map(|to| to.facts.name.clone()),
            to_slug: to.map(|to| to.facts.slug.clone()),
            crew_name: crew.map(|crew| crew.facts.name.clone()).unwrap_or_default(),
            crew_slug: crew.map(|crew| crew.facts.slug.clone()).unwrap_or_default(),
            crew_color: crew.and_then(|crew| crew.facts.color.clone()),
            created_at: Seconds(found.created_at),
        }
    }
}

impl AssignmentView {
    fn of(found: &Assignment, roster: &Roster) -> Self {
        let by = found.facts.assigned_by.as_ref().and_then(|by| roster.agents.get(by));
        let to = roster.agents.get(&found.facts.assigned_to);
        Self {
            id: found.id.clone(),
            task: found.facts.task.clone(),
            status: found.status,
            purpose: found.facts.purpose,
            assigned_by_slug: by.map(|by| by.facts.slug.clone()).unwrap_or_default(),
            assigned_by_name: by.map(|by| by.facts.name.clone()).unwrap_or_default(),
            assigned_to_slug: to.map(|to| to.facts.slug.clone()),
            assigned_to_name: to.map(|to| to.facts.name.clone()),
            mission_id: found.facts.mission_id.clone(),
            task_id: found.facts.task_id.clone(),
            result_summary: found.result_summary.clone(),
            error_message: found.error_message.clone(),
            started_at: found.started_at.map(Seconds),
            finished_at: found.finished_at.map(Seconds),
            created_at: Seconds(found.created_at),
        }
    }
}
