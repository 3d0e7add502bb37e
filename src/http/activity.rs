//! What agents hand each other, across crews (`platform.md` 10.2, `journal.md` 7, ruling R15).

use std::sync::Arc;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::escalation::Escalation;
use taffrail_domain::roster::{Crew, Roster};
use taffrail_domain::work::{Assignment, AssignmentStatus, Purpose};
use taffrail_domain::{AssignmentId, CrewId, Offset, Text, Workspace};

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

/// One row per assignment, conversation between agents, or question to people, as it stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Activity")]
pub(super) struct ActivityView {
    id: Text,
    /// `assignment`, `peer_conversation` or `escalation`.
    r#type: &'static str,
    status: &'static str,
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

/// What one agent asked another one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PeerConversation")]
pub(super) struct PeerConversationView {
    id: AssignmentId,
    from_name: Text,
    from_slug: Text,
    to_name: Text,
    to_slug: Text,
    question: Text,
    response: Option<Text>,
    error: Option<Text>,
    status: AssignmentStatus,
    /// Whether the agent that was asked has asked people meanwhile.
    escalated: bool,
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
    let page = query.page.page(PAGE_DEFAULT, PAGE_MAX);
    let assignments = world.state.work.assignments_newest().map(|found| Happening::Work(found));
    let assignments = assignments.filter(|found| query.fits(found, roster));
    let asked = world.state.escalations.newest().map(|found| Happening::Question(found));
    let asked = asked.filter(|found| query.fits(found, roster));
    let mut found: Vec<Happening<'_>> = assignments.chain(asked).collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.born()));
    let shown = found.iter().skip(page.offset).take(page.limit);
    let views = shown.map(|found| ActivityView::of(found, roster)).collect();
    Listed::page(&views, found.len(), page)
}

/// Something that agents do with each other or with people.
enum Happening<'a> {
    Work(&'a Assignment),
    Question(&'a Escalation),
}

impl Happening<'_> {
    fn born(&self) -> Offset {
        match self {
            Self::Work(found) => found.born,
            Self::Question(found) => found.born,
        }
    }

    fn crew<'a>(&self, roster: &'a Roster) -> Option<&'a Crew> {
        match self {
            Self::Work(found) => crew_of(found, roster),
            Self::Question(found) => roster.crews.get(&found.asked.crew_id),
        }
    }

    fn has_side(&self, agent: &str) -> bool {
        match self {
            Self::Work(found) => {
                let facts = &found.facts;
                facts.assigned_to.as_str() == agent
                    || facts.assigned_by.as_ref().is_some_and(|by| by.as_str() == agent)
            }
            Self::Question(found) => found.asked.agent_id.as_str() == agent,
        }
    }
}

impl ActivityQuery {
    fn fits(&self, found: &Happening<'_>, roster: &Roster) -> bool {
        let is_talk = matches!(found, Happening::Work(found) if found.facts.purpose == Purpose::Chat);
        let in_crew = |crew: &str| found.crew(roster).is_some_and(|found| found.id.as_str() == crew);
        !is_talk
            && self.crew_id.get().is_none_or(in_crew)
            && self.agent_id.get().is_none_or(|agent| found.has_side(agent))
    }
}

/// `GET /api/v1/crews/{crewId}/peer-conversations`: what agents asked each other, newest first.
pub(super) async fn list_peer_conversations(
    member: Member<ReadCrews>,
    Path(crew): Path<CrewId>,
    Query(page): Query<PageQuery>,
) -> Result<Listed<Vec<PeerConversationView>>, Problem> {
    let world = member.world();
    let roster = &world.state.roster;
    world.state.crew(crew.as_str())?;
    let page = page.page(CREW_PAGE_DEFAULT, PAGE_MAX);
    let own = |found: &&Arc<Assignment>| {
        found.facts.purpose == Purpose::Query
            && (found.facts.crew_id.as_ref() == Some(&crew)
                || crew_of(found, roster).is_some_and(|by| by.id == crew))
    };
    let found: Vec<&Arc<Assignment>> = world.state.work.assignments_newest().filter(own).collect();
    let shown = found.iter().skip(page.offset).take(page.limit);
    let views = shown.map(|found| PeerConversationView::of(found, &world.state)).collect();
    Ok(Listed::page(&views, found.len(), page))
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
    let own = |found: &&Arc<Assignment>| {
        found.facts.crew_id.as_ref() == Some(&crew) && found.facts.purpose != Purpose::Query
    };
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
    fn of(found: &Happening<'_>, roster: &Roster) -> Self {
        let crew = found.crew(roster);
        let (from, to) = match found {
            Happening::Work(found) => (found.facts.assigned_by.as_ref(), Some(&found.facts.assigned_to)),
            Happening::Question(found) => (Some(&found.asked.agent_id), None),
        };
        let from = from.and_then(|from| roster.agents.get(from));
        let to = to.and_then(|to| roster.agents.get(to));
        let (id, r#type, status, created_at) = match found {
            Happening::Work(found) => {
                let is_query = found.facts.purpose == Purpose::Query;
                let sort = if is_query { "peer_conversation" } else { "assignment" };
                (found.id.as_str(), sort, found.status.as_str(), found.created_at)
            }
            Happening::Question(found) => {
                (found.id.as_str(), "escalation", found.status().as_str(), found.created_at)
            }
        };
        let (summary, detail) = match found {
            Happening::Work(found) => {
                let question = found.facts.prompt.clone().filter(|_| found.facts.purpose == Purpose::Query);
                (question.unwrap_or_else(|| found.facts.task.clone()), found.result_summary.clone())
            }
            Happening::Question(found) => (found.asked.reason.clone(), found.asked.context.clone()),
        };
        Self {
            id: id.into(),
            r#type,
            status,
            summary,
            detail,
            from_name: from.map(|from| from.facts.name.clone()).unwrap_or_default(),
            from_slug: from.map(|from| from.facts.slug.clone()).unwrap_or_default(),
            to_name: to.map(|to| to.facts.name.clone()),
            to_slug: to.map(|to| to.facts.slug.clone()),
            crew_name: crew.map(|crew| crew.facts.name.clone()).unwrap_or_default(),
            crew_slug: crew.map(|crew| crew.facts.slug.clone()).unwrap_or_default(),
            crew_color: crew.and_then(|crew| crew.facts.color.clone()),
            created_at: Seconds(created_at),
        }
    }
}

impl PeerConversationView {
    fn of(found: &Assignment, state: &Workspace) -> Self {
        let (facts, roster) = (&found.facts, &state.roster);
        let from = facts.assigned_by.as_ref().and_then(|by| roster.agents.get(by));
        let to = roster.agents.get(&facts.assigned_to);
        Self {
            id: found.id.clone(),
            from_name: from.map(|from| from.facts.name.clone()).unwrap_or_default(),
            from_slug: from.map(|from| from.facts.slug.clone()).unwrap_or_default(),
            to_name: to.map(|to| to.facts.name.clone()).unwrap_or_default(),
            to_slug: to.map(|to| to.facts.slug.clone()).unwrap_or_default(),
            question: facts.prompt.clone().unwrap_or_else(|| facts.task.clone()),
            response: found.result_summary.clone(),
            error: found.error_message.clone(),
            status: found.status,
            escalated: escalated(found, state),
            created_at: Seconds(found.created_at),
        }
    }
}

fn escalated(found: &Assignment, state: &Workspace) -> bool {
    let later =
        state.escalations.by_birth.range(found.born..).filter_map(|(_, id)| state.escalations.all.get(id));
    let mut meanwhile = later.take_while(|asked| found.finished_at.is_none_or(|end| asked.created_at <= end));
    meanwhile.any(|asked| asked.asked.agent_id == found.facts.assigned_to)
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
