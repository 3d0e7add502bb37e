//! What an agent is told (`missions.md` 9.4), as data.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Assignment, Purpose};
use crate::issue::{Issue, PartyType};
use crate::mission::{Task, TaskStatus};
use crate::undertaking::Undertaking;
use crate::{AgentId, MissionId, TaskId, Text, Workspace};

/// Bytes of one dependency's output, and of all of them (`missions.md` 9.4).
const OUTPUT_BYTES_MAX: usize = 4_000;
const OUTPUTS_BYTES_MAX: usize = 32_000;
/// Comments that an agent is told of, and letters of each (`issues.md` 12.3).
const COMMENTS_MAX: usize = 30;
const COMMENT_CHARS_MAX: usize = 500;

/// All that an agent is told about an assignment.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Brief {
    /// What it is for.
    pub purpose: Purpose,
    /// Who works.
    pub agent_id: AgentId,
    /// The agent's name in URLs.
    pub agent_slug: Text,
    /// The agent's name.
    pub agent_name: Text,
    /// The agent's standing instructions.
    pub system_prompt: Option<Text>,
    /// Whose model the agent uses.
    pub llm_provider: Option<Text>,
    /// Which model the agent uses.
    pub llm_model: Option<Text>,
    /// Slug of the crew.
    pub crew_slug: Text,
    /// Slugs of the agents that work may be given to.
    pub crew_agents: Vec<Text>,
    /// The mission it is work of.
    pub mission: Option<BriefMission>,
    /// The task.
    pub task: Option<BriefTask>,
    /// What its dependencies brought.
    pub dependencies: Vec<BriefUpstream>,
    /// What was said of the issue, oldest first.
    pub comments: Vec<BriefComment>,
    /// Why the issue was sent back.
    pub review_note: Option<Text>,
    /// All of it as one text, for command lines that take a prompt; cut where it is too long.
    pub prompt: Text,
}

/// The mission, and where its tasks stand.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BriefMission {
    /// Its id.
    pub id: MissionId,
    /// Its trace.
    pub trace_id: Text,
    /// What it is called.
    pub title: Text,
    /// What it is for.
    pub description: Option<Text>,
    /// The plan.
    pub plan: Option<Text>,
    /// Where it stands.
    pub status: Text,
    /// What it is called, if it is an issue.
    pub identifier: Option<Text>,
    /// Its tasks.
    pub tasks: Vec<BriefTask>,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BriefTask {
    /// Its id.
    pub id: TaskId,
    /// What it is called.
    pub title: Text,
    /// What is to be done.
    pub description: Option<Text>,
    /// Where it stands.
    pub status: TaskStatus,
    /// Its place.
    pub task_order: i64,
    /// What it needs.
    pub depends_on: Vec<TaskId>,
    /// Which attempt.
    pub iteration: u32,
    /// Most attempts.
    pub max_iterations: Option<u32>,
    /// What came out so far.
    pub result_summary: Option<Text>,
}

/// What was said of an issue.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BriefComment {
    /// `user` or `agent`.
    pub author_type: PartyType,
    /// The agent's name; people are not named to agents.
    pub author_name: Option<Text>,
    /// What, cut.
    pub body: Text,
}

/// What a dependency brought.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BriefUpstream {
    /// Which task.
    pub task_id: TaskId,
    /// What it is called.
    pub title: Text,
    /// What came out: what its agent handed on, else its result, cut.
    pub result: Option<Text>,
    /// Where more of it lies.
    pub output_path: Option<Text>,
    /// How sure its agent was.
    pub confidence: Option<f64>,
}

impl Workspace {
    /// What the agent of an assignment is told now; `None` if its agent is gone.
    #[must_use]
    pub fn brief(&self, assignment: &Assignment) -> Option<Brief> {
        let facts = &assignment.facts;
        let agent = self.roster.live_agent(facts.assigned_to.as_str())?;
        let mission = facts.mission_id.as_ref().and_then(|id| self.undertaking(id));
        let task = mission.zip(facts.task_id.as_ref()).and_then(|(mission, id)| mission.tasks.get(id));
        let dependencies =
            mission.zip(task).map(|(mission, task)| upstream(mission, task)).unwrap_or_default();
        let issue = facts.mission_id.as_ref().and_then(|id| self.issues.all.get(id));
        let crew = facts.crew_id.as_ref().and_then(|crew| self.roster.crews.get(crew));
        let members = facts
            .crew_id
            .iter()
            .flat_map(|crew| self.roster.agents_in(crew))
            .filter_map(|id| self.roster.live_agent(id.as_str()));
        let mut brief = Brief {
            purpose: facts.purpose,
            agent_id: agent.id.clone(),
            agent_slug: agent.facts.slug.clone(),
            agent_name: agent.facts.name.clone(),
            system_prompt: agent.facts.system_prompt.clone(),
            llm_provider: agent.facts.llm_provider.clone(),
            llm_model: agent.facts.llm_model.clone(),
            crew_slug: crew.map(|crew| crew.facts.slug.clone()).unwrap_or_default(),
            crew_agents: members.map(|agent| agent.facts.slug.clone()).collect(),
            mission: mission.map(|mission| BriefMission::of(mission, self)),
            task: task.map(|task| BriefTask::of(task)),
            dependencies,
            comments: issue.map(|issue| self.comments_for_agents(issue)).unwrap_or_default(),
            review_note: issue.and_then(|issue| issue.review_note.clone()),
            prompt: Text::default(),
        };
        brief.prompt = brief.text(facts.prompt.as_deref()).into();
        Some(brief)
    }
}

impl Workspace {
    /// The newest of what was said, oldest first.
    fn comments_for_agents(&self, issue: &Issue) -> Vec<BriefComment> {
        let newest = self.issues.comments_on(&issue.id).rev().take(COMMENTS_MAX);
        let mut comments: Vec<BriefComment> = newest
            .map(|comment| {
                let agent = comment.author.as_agent().and_then(|agent| self.roster.agents.get(&agent));
                BriefComment {
                    author_type: comment.author.kind,
                    author_name: agent.map(|agent| agent.facts.name.clone()),
                    body: comment.body.chars().take(COMMENT_CHARS_MAX).collect::<String>().into(),
                }
            })
            .collect();
        comments.reverse();
        comments
    }
}

impl BriefMission {
    fn of(mission: &Undertaking, state: &Workspace) -> Self {
        let issue = state.issues.all.get(&mission.id);
        let status = state.missions.get(&mission.id).map(|mission| mission.status.as_str());
        Self {
            id: mission.id.clone(),
            trace_id: mission.trace_id.clone(),
            title: mission.title.clone(),
            description: mission.description.clone(),
            plan: mission.plan.clone(),
            status: status.or(issue.map(|issue| issue.status.as_str())).unwrap_or_default().into(),
            identifier: issue.map(|issue| issue.identifier.clone()),
            tasks: mission.tasks_in_order().into_iter().map(|task| BriefTask::of(task)).collect(),
        }
    }
}

impl BriefTask {
    fn of(task: &Task) -> Self {
        Self {
            id: task.id.clone(),
            title: task.title.clone(),
            description: task.description.clone(),
            status: task.status,
            task_order: task.task_order,
            depends_on: task.depends_on.clone(),
            iteration: task.iteration,
            max_iterations: task.max_iterations,
            result_summary: task.result_summary.as_deref().map(|text| cut(text, OUTPUT_BYTES_MAX)),
        }
    }
}

fn upstream(mission: &Undertaking, task: &Task) -> Vec<BriefUpstream> {
    let mut left = OUTPUTS_BYTES_MAX;
    let needs = task.depends_on.iter().filter_map(|id| mission.tasks.get(id));
    needs
        .map(|need| {
            let said = need.handoff_context.as_deref().or(need.result_summary.as_deref());
            let result = said.map(|said| cut(said, OUTPUT_BYTES_MAX.min(left)));
            left -= result.as_ref().map_or(0, |result| result.len().min(left));
            BriefUpstream {
                task_id: need.id.clone(),
                title: need.title.clone(),
                result,
                output_path: need.output_path.clone(),
                confidence: need.confidence,
            }
        })
        .collect()
}

pub(super) fn cut(text: &str, bytes: usize) -> Text {
    text[..text.floor_char_boundary(bytes)].into()
}
