//! An issue on the wire: the same complete object wherever one is shown (`issues.md` 3).

use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::issue::{Issue, IssuePriority, Party, PartyType};
use taffrail_domain::mission::Mission;
use taffrail_domain::tracker::Label;
use taffrail_domain::{
    AgentId, CrewId, Json, LabelId, MilestoneId, MissionId, ProjectId, RoutineId, Text, Workspace,
    WorkspaceId,
};

use super::time::Seconds;
use crate::vault::Vault;

/// An issue.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Issue")]
pub(super) struct IssueView {
    id: MissionId,
    workspace_id: WorkspaceId,
    crew_id: CrewId,
    #[serde(skip_serializing_if = "Option::is_none")]
    crew_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crew_slug: Option<Text>,
    /// Null only for orchestration missions.
    number: Option<u64>,
    /// `ENG-42`.
    identifier: Option<Text>,
    title: Text,
    description: Option<Text>,
    status: &'static str,
    priority: IssuePriority,
    assignee_type: Option<PartyType>,
    assignee_id: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<PartyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authored_via: Option<Text>,
    due_date: Option<Text>,
    sort_order: f64,
    mission_type: &'static str,
    lead_agent_id: AgentId,
    created_at: Seconds,
    updated_at: Seconds,
    /// When it first came into `IN_PROGRESS`.
    started_at: Option<Seconds>,
    completed_at: Option<Seconds>,
    labels: Vec<LabelView>,
    project_id: Option<ProjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_name: Option<Text>,
    estimate: Option<i64>,
    parent_issue_id: Option<MissionId>,
    milestone_id: Option<MilestoneId>,
    /// Direct children only.
    sub_issues_count: usize,
    comment_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    routine_id: Option<RoutineId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routine_slug: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routine_name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routine_inputs: Option<Json>,
    /// What the system it was imported from calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<Text>,
    /// The number in its tag.
    version: u64,
}

/// A person or an agent, by name if that is known.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Party")]
pub(super) struct PartyView {
    r#type: PartyType,
    id: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Text>,
}

/// A label.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Label")]
pub(super) struct LabelView {
    id: LabelId,
    name: Text,
    color: Text,
    label_group: Option<Text>,
}

/// Where issues are shown: whose names stand beside them.
pub(super) struct Showing<'a> {
    pub(super) state: &'a Workspace,
    pub(super) vault: &'a Vault,
    pub(super) workspace: &'a WorkspaceId,
}

impl Showing<'_> {
    /// What somebody is called: a person only while they are a member.
    pub(super) fn name_of(&self, party: &Party) -> Option<Text> {
        let name = match (party.as_user(), party.as_agent()) {
            (Some(user), _) => {
                self.state.roster.members.get(&user)?;
                self.vault.profile(&user)?.full_name.as_str().into()
            }
            (_, Some(agent)) => self.state.roster.agents.get(&agent)?.facts.name.clone(),
            (None, None) => return None,
        };
        Some(name).filter(|name: &Text| !name.is_empty())
    }

    pub(super) fn issue(&self, issue: &Issue) -> IssueView {
        let facts = &issue.facts;
        let crew = self.state.roster.crews.get(&issue.crew_id);
        let project = facts.project_id.as_ref().and_then(|id| self.state.tracker.projects.get(id));
        let routine = facts.routine_id.as_ref().and_then(|id| self.state.routines.live(id.as_str()));
        IssueView {
            id: issue.id.clone(),
            workspace_id: self.workspace.clone(),
            crew_id: issue.crew_id.clone(),
            crew_name: crew.map(|crew| crew.facts.name.clone()),
            crew_slug: crew.map(|crew| crew.facts.slug.clone()),
            number: Some(issue.number),
            identifier: Some(issue.identifier.clone()),
            title: issue.title.clone(),
            description: issue.description.clone(),
            status: issue.status.as_str(),
            priority: facts.priority,
            assignee_type: facts.assignee.as_ref().map(|party| party.kind),
            assignee_id: facts.assignee.as_ref().map(|party| party.id.clone()),
            assignee_name: facts.assignee.as_ref().and_then(|party| self.name_of(party)),
            created_by: issue.author.as_ref().map(|party| self.party(party)),
            authored_via: Some(issue.authored_via.clone()),
            due_date: facts.due_date.clone(),
            sort_order: facts.sort_order,
            mission_type: "issue",
            lead_agent_id: issue.lead_agent_id.clone(),
            created_at: Seconds(issue.created_at),
            updated_at: Seconds(issue.updated_at),
            started_at: issue.started_at.map(Seconds),
            completed_at: issue.completed_at.map(Seconds),
            labels: self.labels(&facts.labels),
            project_id: facts.project_id.clone(),
            project_name: project.map(|project| project.facts.name.clone()),
            estimate: facts.estimate,
            parent_issue_id: facts.parent_issue_id.clone(),
            milestone_id: facts.milestone_id.clone(),
            sub_issues_count: self.state.issues.children_of(&issue.id).count(),
            comment_count: issue.comment_count,
            routine_id: facts.routine_id.clone(),
            routine_slug: routine.map(|routine| routine.facts.slug.clone()),
            routine_name: routine.map(|routine| routine.facts.name.clone()),
            routine_inputs: facts.routine_id.as_ref().map(|_| facts.routine_inputs.clone()),
            external_id: issue.external_id.clone(),
            version: issue.changed.0,
        }
    }

    /// A mission, in a list of issues that asks for missions (`issues.md` 6.1).
    pub(super) fn mission(&self, mission: &Mission) -> IssueView {
        let crew = self.state.roster.crews.get(&mission.crew_id);
        IssueView {
            id: mission.id.clone(),
            workspace_id: self.workspace.clone(),
            crew_id: mission.crew_id.clone(),
            crew_name: crew.map(|crew| crew.facts.name.clone()),
            crew_slug: crew.map(|crew| crew.facts.slug.clone()),
            number: None,
            identifier: None,
            title: mission.title.clone(),
            description: mission.description.clone(),
            status: mission.status.as_str(),
            priority: IssuePriority::None,
            assignee_type: None,
            assignee_id: None,
            assignee_name: None,
            created_by: None,
            authored_via: None,
            due_date: None,
            sort_order: 0.0,
            mission_type: "orchestration",
            lead_agent_id: mission.lead_agent_id.clone(),
            created_at: Seconds(mission.created_at),
            updated_at: Seconds(mission.updated_at),
            started_at: None,
            completed_at: mission.completed_at.map(Seconds),
            labels: vec![],
            project_id: None,
            project_name: None,
            estimate: None,
            parent_issue_id: None,
            milestone_id: None,
            sub_issues_count: 0,
            comment_count: 0,
            routine_id: None,
            routine_slug: None,
            routine_name: None,
            routine_inputs: None,
            external_id: None,
            version: mission.changed.0,
        }
    }

    pub(super) fn party(&self, party: &Party) -> PartyView {
        PartyView { r#type: party.kind, id: party.id.clone(), name: self.name_of(party) }
    }

    fn labels(&self, ids: &[LabelId]) -> Vec<LabelView> {
        let mut labels: Vec<_> = ids.iter().filter_map(|id| self.state.tracker.labels.get(id)).collect();
        labels.sort_by(|one, other| one.facts.name.cmp(&other.facts.name));
        labels.into_iter().map(|label| LabelView::of(label)).collect()
    }
}

impl LabelView {
    pub(super) fn of(label: &Label) -> Self {
        Self {
            id: label.id.clone(),
            name: label.facts.name.clone(),
            color: label.facts.color.clone(),
            label_group: label.facts.label_group.clone(),
        }
    }
}
