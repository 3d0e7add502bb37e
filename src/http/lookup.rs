//! Names for ids: entries hold ids only, so a rename shows on old rows too (`journal.md` 3.6).

use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::issue::IssueStatus;
use taffrail_domain::mission::Status;
use taffrail_domain::{AgentId, CrewId, MissionId, Text};
use taffrail_projections::{IssueFilter, IssueOrder};

use super::answer::Told;
use super::caller::Member;
use super::gate::ReadJournal;

/// Most of each sort.
const NAMES_MAX: usize = 1_000;

/// Names of what entries tell of.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lookup")]
pub(super) struct LookupView {
    crews: Vec<CrewName>,
    agents: Vec<AgentName>,
    missions: Vec<MissionName>,
    issues: Vec<IssueName>,
}

/// A crew's name.
#[derive(Serialize, JsonSchema)]
struct CrewName {
    id: CrewId,
    name: Text,
    slug: Text,
    icon: Option<Text>,
    color: Option<Text>,
}

/// An agent's name.
#[derive(Serialize, JsonSchema)]
struct AgentName {
    id: AgentId,
    name: Text,
    slug: Text,
    crew_id: Option<CrewId>,
    avatar_seed: Option<Text>,
    avatar_style: Option<Text>,
}

/// A mission's name.
#[derive(Serialize, JsonSchema)]
struct MissionName {
    id: MissionId,
    title: Text,
    status: Status,
}

/// An issue's name.
#[derive(Serialize, JsonSchema)]
struct IssueName {
    id: MissionId,
    identifier: Text,
    title: Text,
    status: IssueStatus,
}

/// `GET /api/v1/journal/lookup`: crews and agents by name, missions newest first.
pub(super) async fn look_up(member: Member<ReadJournal>) -> Told<LookupView> {
    let world = member.world();
    let roster = &world.state.roster;
    let mut crews: Vec<_> = roster.crew_slugs.values().filter_map(|id| roster.crews.get(id)).collect();
    crews.sort_by(|one, other| (&one.facts.name, one.born).cmp(&(&other.facts.name, other.born)));
    let mut agents: Vec<_> = roster.agent_slugs.values().filter_map(|id| roster.agents.get(id)).collect();
    agents.sort_by(|one, other| (&one.facts.name, one.born).cmp(&(&other.facts.name, other.born)));
    let missions = world.board.missions(None, None).filter_map(|id| world.state.missions.get(id));
    let (newest, whole) = (IssueOrder::default(), (0, None));
    let issues = world.issues.page(&IssueFilter::default(), None, newest, whole, NAMES_MAX, &world.state);
    let issues = issues.ids.into_iter().filter_map(|id| world.state.issues.all.get(&id));
    Told::new(&LookupView {
        issues: issues
            .map(|issue| IssueName {
                id: issue.id.clone(),
                identifier: issue.identifier.clone(),
                title: issue.title.clone(),
                status: issue.status,
            })
            .collect(),
        crews: crews
            .into_iter()
            .take(NAMES_MAX)
            .map(|crew| CrewName {
                id: crew.id.clone(),
                name: crew.facts.name.clone(),
                slug: crew.facts.slug.clone(),
                icon: crew.facts.icon.clone(),
                color: crew.facts.color.clone(),
            })
            .collect(),
        agents: agents
            .into_iter()
            .take(NAMES_MAX)
            .map(|agent| AgentName {
                id: agent.id.clone(),
                name: agent.facts.name.clone(),
                slug: agent.facts.slug.clone(),
                crew_id: agent.facts.crew_id.clone(),
                avatar_seed: agent.facts.avatar_seed.clone(),
                avatar_style: agent.facts.avatar_style.clone(),
            })
            .collect(),
        missions: missions
            .take(NAMES_MAX)
            .map(|mission| MissionName {
                id: mission.id.clone(),
                title: mission.title.clone(),
                status: mission.status,
            })
            .collect(),
    })
}
