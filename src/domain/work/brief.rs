//! What an agent is told (`missions.md` 9.4): as data, and as one text for command lines that take a prompt.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Assignment, Purpose};
use crate::mission::{Mission, Status, Task, TaskStatus};
use crate::{AgentId, MissionId, TaskId, Text, Workspace};

/// Bytes of one dependency's output, and of all of them (`missions.md` 9.4).
const OUTPUT_BYTES_MAX: usize = 4_000;
const OUTPUTS_BYTES_MAX: usize = 32_000;

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
    /// All of it as one text.
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
    pub status: Status,
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
        let mission = facts.mission_id.as_ref().and_then(|id| self.missions.get(id));
        let task = mission.zip(facts.task_id.as_ref()).and_then(|(mission, id)| mission.tasks.get(id));
        let dependencies =
            mission.zip(task).map(|(mission, task)| upstream(mission, task)).unwrap_or_default();
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
            mission: mission.map(|mission| BriefMission::of(mission)),
            task: task.map(|task| BriefTask::of(task)),
            dependencies,
            prompt: Text::default(),
        };
        brief.prompt = brief.text(facts.prompt.as_deref()).into();
        Some(brief)
    }
}

impl BriefMission {
    fn of(mission: &Mission) -> Self {
        Self {
            id: mission.id.clone(),
            trace_id: mission.trace_id.clone(),
            title: mission.title.clone(),
            description: mission.description.clone(),
            plan: mission.plan.clone(),
            status: mission.status,
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

fn upstream(mission: &Mission, task: &Task) -> Vec<BriefUpstream> {
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

impl Brief {
    /// Texts of people and agents are fenced: they are matter to work on, not orders.
    fn text(&self, asked: Option<&str>) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = self.write(&mut text, asked);
        text
    }

    fn write(&self, text: &mut String, asked: Option<&str>) -> std::fmt::Result {
        if let Some(mission) = &self.mission {
            writeln!(text, "[trace:{}]", mission.trace_id)?;
            writeln!(text, "[MISSION] {}", mission.title)?;
            fenced(text, mission.description.as_deref())?;
            if let Some(plan) = &mission.plan {
                writeln!(text, "Plan:")?;
                fenced(text, Some(plan))?;
            }
            for task in &mission.tasks {
                writeln!(text, "  {}. [{}] {}", task.task_order, task.status, task.title)?;
            }
        }
        if !self.dependencies.is_empty() {
            writeln!(text, "\n[INPUT FROM PREVIOUS TASKS]")?;
            for need in &self.dependencies {
                writeln!(text, "{}:", need.title)?;
                fenced(text, need.result.as_deref())?;
            }
        }
        writeln!(text, "\n[YOUR ASSIGNMENT]")?;
        match (self.purpose, &self.task) {
            (Purpose::Planning, _) => self.write_planning(text),
            (Purpose::Review, _) => self.write_review(text),
            (_, Some(task)) => {
                writeln!(text, "{}", task.title)?;
                fenced(text, task.description.as_deref())?;
                if task.iteration > 1 {
                    writeln!(text, "Iteration: {}", task.iteration)?;
                }
                writeln!(
                    text,
                    "\n[OUTPUT FORMAT]\nDo the work, then say what came out. You may end with one line of JSON: \
                     {{\"result\": \"…\", \"confidence\": 0.9, \"output_path\": \"…\"}}"
                )
            }
            (_, None) => writeln!(text, "{}", asked.unwrap_or_default()),
        }
    }

    fn write_planning(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "Break this mission down into tasks for the agents of your crew: {}.",
            self.crew_agents.join(", ")
        )?;
        writeln!(
            text,
            "\n[OUTPUT FORMAT]\nEnd with one line of JSON: {{\"plan\": \"…\", \"tasks\": [{{\"title\": \"…\", \
             \"description\": \"…\", \"assigned_to\": \"<slug>\", \"task_order\": 1, \"depends_on\": [], \
             \"max_iterations\": 2}}]}}. depends_on lists task_order numbers."
        )
    }

    fn write_review(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "All tasks of this mission have ended. Look at the results:")?;
        for task in self.mission.iter().flat_map(|mission| &mission.tasks) {
            writeln!(text, "{}. {} ({})", task.task_order, task.title, task.status)?;
            fenced(text, task.result_summary.as_deref())?;
        }
        writeln!(
            text,
            "\n[OUTPUT FORMAT]\nEnd with one line of JSON: {{\"verdict\": \"complete\"}}, or {{\"verdict\": \
             \"send_back\", \"tasks\": [{{\"title\": \"…\", \"depends_on\": []}}]}}; you may add \
             \"evaluations\": [{{\"task\": 1, \"status\": \"PASS\", \"notes\": \"…\"}}]."
        )
    }
}

fn fenced(text: &mut String, said: Option<&str>) -> std::fmt::Result {
    match said.filter(|said| !said.is_empty()) {
        Some(said) => writeln!(text, "<<<\n{}\n>>>", said.replace(">>>", "> > >")),
        None => Ok(()),
    }
}

fn cut(text: &str, bytes: usize) -> Text {
    text[..text.floor_char_boundary(bytes)].into()
}
