//! What subscribers of a channel are told of an entry (`missions.md` 11.1, `journal.md` 9.6).
//!
//! Hints: most carry ids only, and whoever hears of something can read it. Texts of agents' work are told on
//! `session:` channels, whose subscribers wait for them.

use serde_json::{Value, json};
use taffrail_domain::approval::ApprovalEvent;
use taffrail_domain::chat::{ChatAnswered, ChatEvent};
use taffrail_domain::checkpoint::CheckpointEvent;
use taffrail_domain::escalation::{EscalationEvent, EscalationStatus};
use taffrail_domain::issue::{Cause, IssueEvent, IssueStatus, IssueUpdated, Party, Related, Unrelated};
use taffrail_domain::mission::{
    Mission, MissionCreated, MissionEvent, MissionStatusChanged, Reason, Status, TaskStatus,
    TaskStatusChanged,
};
use taffrail_domain::roster::{Roster, RosterEvent};
use taffrail_domain::routine::{RoutineEvent, RoutineRunStatus, StepWaitsFor};
use taffrail_domain::tracker::TrackerEvent;
use taffrail_domain::work::{Assignment, AssignmentStatus, ConfidenceAction, Purpose, RunStatus, WorkEvent};
use taffrail_domain::{ActorType, AgentId, CrewId, Entry, Event, MissionId};

use crate::WorkspaceWorld;

/// Most issues of one entry that are told each by its name: as many as a bulk update may change.
const NAMED_MAX: usize = 100;

/// One frame for the subscribers of one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// `kind:id`
    pub channel: String,
    /// What happened.
    pub event: &'static str,
    /// About what.
    pub payload: Value,
}

/// The notices of one entry, in order.
struct Notices<'a> {
    world: &'a WorkspaceWorld,
    entry: &'a Entry,
    all: Vec<Notice>,
}

impl WorkspaceWorld {
    /// What subscribers are told of an entry of this log.
    #[must_use]
    pub fn notices(&self, entry: &Entry) -> Vec<Notice> {
        let mut notices = Notices { world: self, entry, all: vec![] };
        match &entry.event {
            Some(Event::Mission(event)) => notices.mission(event),
            Some(Event::Work(event)) => notices.work(event),
            Some(Event::Roster(event)) => notices.roster(event),
            Some(Event::Checkpoint(event)) => notices.checkpoint(event),
            Some(Event::Chat(ChatEvent::ChatAnswered(answered))) => notices.answered(answered),
            Some(Event::Approval(
                ApprovalEvent::ApprovalRequested(_) | ApprovalEvent::ApprovalDecided(_),
            )) => {
                notices.workspace("inbox.updated", json!({ "id": &*entry.subject }));
            }
            Some(Event::Escalation(event)) => notices.escalation(event),
            Some(Event::Issue(event)) => notices.issue(event),
            Some(Event::Tracker(event)) => notices.tracker(event),
            Some(Event::Routine(event)) => notices.routine(event),
            Some(Event::Chat(_) | Event::Instance(_) | Event::Marker(_)) => {}
            None => notices.shown(),
        }
        notices.all
    }
}

impl Notices<'_> {
    fn add(&mut self, channel: String, event: &'static str, payload: Value) {
        self.all.push(Notice { channel, event, payload });
    }

    fn workspace(&mut self, event: &'static str, payload: Value) {
        let Some(opened) = &self.world.state.roster.opened else { return };
        self.add(format!("workspace:{}", opened.id), event, payload);
    }

    fn roster_of(&self) -> &Roster {
        &self.world.state.roster
    }

    fn mission_of(&self, id: &MissionId) -> Option<&Mission> {
        self.world.state.missions.get(id).map(|mission| &**mission)
    }

    fn crew_of(&self, id: &MissionId) -> Option<CrewId> {
        let named = self.entry.face.as_ref().and_then(|face| face.crew_id.clone());
        named.or_else(|| self.mission_of(id).map(|mission| mission.crew_id.clone()))
    }

    fn mission(&mut self, event: &MissionEvent) {
        let id = MissionId::from(&*self.entry.subject);
        match event {
            MissionEvent::MissionCreated(created) => self.mission_created(&id, created),
            MissionEvent::MissionUpdated(_) => match self.mission_of(&id).map(|mission| mission.status) {
                Some(status) => self.mission_updated(&id, status),
                None => self.issue_updated(&id),
            },
            MissionEvent::MissionStatusChanged(moved) => self.mission_moved(&id, moved),
            MissionEvent::MissionDeleted(deleted) => {
                self.workspace("mission.deleted", json!({ "id": id, "crew_id": deleted.crew_id }));
            }
            MissionEvent::TaskCreated(created) => {
                let payload =
                    json!({ "id": created.task_id, "title": created.title, "status": created.status });
                self.add(format!("mission:{id}"), "task.created", payload);
                self.task_updated(&id, created.task_id.as_str(), created.status);
            }
            MissionEvent::TaskUpdated(updated) => {
                let found = self.world.state.undertaking(&id);
                let task = found.and_then(|found| found.tasks.get(&updated.task_id));
                if let Some(status) = task.map(|task| task.status) {
                    self.task_updated(&id, updated.task_id.as_str(), status);
                }
                updated.confidence.iter().for_each(|sure| self.unsure(&id, updated.task_id.as_str(), *sure));
            }
            MissionEvent::TaskStatusChanged(moved) => self.task_moved(&id, moved),
        }
    }

    fn mission_created(&mut self, id: &MissionId, created: &MissionCreated) {
        let mut payload = json!({ "id": id, "title": created.title });
        if let Some(source) = &created.fork_of {
            payload["fork_of"] = json!(source);
        }
        let is_copy = created.cloned_from.is_some();
        if !is_copy {
            self.add(format!("crew:{}", created.crew_id), "mission.created", payload.clone());
        }
        let bare = json!({ "id": id, "crew_id": created.crew_id, "status": Status::Planning });
        if is_copy || created.fork_of.is_some() {
            let mut told = bare.clone();
            if let Some(source) = payload.get("fork_of") {
                told["fork_of"] = source.clone();
            }
            self.workspace("mission.created", told);
        }
        self.workspace("mission.updated", bare);
    }

    fn mission_updated(&mut self, id: &MissionId, status: Status) {
        self.workspace("mission.updated", json!({ "id": id, "crew_id": self.crew_of(id), "status": status }));
    }

    fn mission_moved(&mut self, id: &MissionId, moved: &MissionStatusChanged) {
        let mut status = json!({ "id": id, "status": moved.to });
        let is_engines =
            self.entry.face.as_ref().is_some_and(|face| face.actor_type == ActorType::Orchestrator);
        if let (true, Some(mission)) = (is_engines, self.mission_of(id)) {
            status["title"] = json!(mission.title);
        }
        self.add(format!("mission:{id}"), "mission.status", status);
        if moved.reason == Reason::Start {
            self.add(format!("mission:{id}"), "mission.updated", json!({ "id": id, "status": moved.to }));
        }
        self.mission_updated(id, moved.to);
    }

    fn task_updated(&mut self, mission: &MissionId, task: &str, status: TaskStatus) {
        self.workspace("task.updated", json!({ "id": task, "mission_id": mission, "status": status }));
    }

    /// An agent that is not sure says so while it works.
    fn unsure(&mut self, mission: &MissionId, task: &str, confidence: f64) {
        let Some(crew) = self.crew_of(mission) else { return };
        let level = match self.world.state.confidence_action(&crew, confidence) {
            ConfidenceAction::None => return,
            ConfidenceAction::Notified => "notify",
            ConfidenceAction::Escalated => "escalate",
        };
        let low = json!({ "task_id": task, "mission_id": mission, "level": level });
        self.workspace("confidence.low", low);
    }

    fn task_moved(&mut self, mission: &MissionId, moved: &TaskStatusChanged) {
        let task = &moved.task_id;
        self.add(format!("mission:{mission}"), "task.status", json!({ "id": task, "status": moved.to }));
        self.task_updated(mission, task.as_str(), moved.to);
        let mut about = json!({ "task_id": task, "mission_id": mission });
        if moved.to == TaskStatus::AwaitingApproval {
            self.workspace("approval.required", about.clone());
        }
        if moved.report.as_ref().is_some_and(|report| report.notifies) {
            let mut low = about.clone();
            low["level"] = json!("notify");
            self.workspace("confidence.low", low);
        }
        if let Some(approval) = &moved.approval {
            about["action"] = json!(approval.status);
            self.workspace("approval.resolved", about);
        }
    }

    fn work(&mut self, event: &WorkEvent) {
        match event {
            WorkEvent::RunStarted(started) => {
                self.run("run.started", &started.run.agent_id, RunStatus::Running);
            }
            WorkEvent::RunEnded(ended) => {
                let run = self.world.state.work.runs.get(&*self.entry.subject);
                let Some(agent) = run.map(|run| run.facts.agent_id.clone()) else { return };
                let event =
                    if ended.end.status == RunStatus::Completed { "run.completed" } else { "run.failed" };
                self.run(event, &agent, ended.end.status);
            }
            WorkEvent::AssignmentReportedLate(_) => {}
            WorkEvent::AssignmentCreated(_)
            | WorkEvent::AssignmentUnqueued(_)
            | WorkEvent::AssignmentClaimed(_)
            | WorkEvent::AssignmentEnded(_) => self.assignment(event),
        }
    }

    fn run(&mut self, event: &'static str, agent: &AgentId, status: RunStatus) {
        let name = self.roster_of().agents.get(agent).map(|agent| agent.facts.name.clone());
        let run = &*self.entry.subject;
        let payload = json!({ "run_id": run, "agent_id": agent, "agent_name": name, "status": status });
        self.workspace(event, payload);
    }

    fn escalation(&mut self, event: &EscalationEvent) {
        let id = &*self.entry.subject;
        let crew = self.world.state.escalations.all.get(id).map(|found| found.asked.crew_id.clone());
        let (event, status) = match event {
            EscalationEvent::EscalationRaised(_) => ("escalation.created", EscalationStatus::Pending),
            EscalationEvent::EscalationEnded(ended) => match ended.status {
                EscalationStatus::Expired => ("escalation.expired", ended.status),
                EscalationStatus::Cancelled => ("escalation.cancelled", ended.status),
                EscalationStatus::Resolved | EscalationStatus::Pending => {
                    ("escalation.resolved", ended.status)
                }
            },
        };
        self.workspace(event, json!({ "id": id, "crew_id": crew, "status": status }));
        self.workspace("inbox.updated", json!({ "id": id }));
    }

    fn assignment(&mut self, event: &WorkEvent) {
        let Some(found) = self.world.state.work.assignments.get(&*self.entry.subject).cloned() else {
            return;
        };
        let found: &Assignment = &found;
        if found.facts.purpose == Purpose::Query {
            self.workspace("peer_conversation.updated", json!({ "id": found.id, "status": found.status }));
        }
        let (id, facts) = (&found.id, &found.facts);
        let target = self.roster_of().agents.get(&facts.assigned_to).map(|agent| agent.facts.slug.clone());
        let session = format!("session:{}", facts.chat_id);
        let updated = |status: AssignmentStatus| json!({ "id": id, "status": status, "target": target });
        match event {
            WorkEvent::AssignmentCreated(created) => {
                let told = json!({ "id": id, "target": target, "task": facts.task });
                self.add(session.clone(), "assignment_created", told);
                if created.status == AssignmentStatus::Queued {
                    self.add(session, "assignment_queued", updated(created.status));
                    self.workspace("assignment_queued", updated(created.status));
                }
            }
            WorkEvent::AssignmentUnqueued(_) => {
                self.add(session, "assignment_unqueued", updated(AssignmentStatus::Pending));
                self.workspace("assignment_unqueued", updated(AssignmentStatus::Pending));
            }
            WorkEvent::AssignmentClaimed(_) => {
                self.add(session.clone(), "assignment_running", json!({ "id": id, "target": target }));
                if facts.purpose == Purpose::Chat {
                    self.add(session, "run_begin", json!({ "from_seq": 0 }));
                }
                self.workspace("assignment.updated", updated(AssignmentStatus::Running));
            }
            WorkEvent::AssignmentEnded(ended) => {
                let told = match ended.status {
                    AssignmentStatus::Completed => (
                        "assignment_completed",
                        json!({ "id": id, "target": target, "result": ended.result_summary }),
                    ),
                    _ => (
                        "assignment_failed",
                        json!({ "id": id, "target": target, "error": ended.error_message }),
                    ),
                };
                self.add(session, told.0, told.1);
                self.workspace("assignment.updated", updated(ended.status));
            }
            WorkEvent::AssignmentReportedLate(_) | WorkEvent::RunStarted(_) | WorkEvent::RunEnded(_) => {}
        }
    }

    fn roster(&mut self, event: &RosterEvent) {
        let subject = self.entry.subject.clone();
        let id = json!({ "id": &*subject });
        match event {
            RosterEvent::CrewCreated(_) => self.workspace("crew.created", id),
            RosterEvent::CrewUpdated(_) => self.workspace("crew.updated", id),
            RosterEvent::CrewDeleted(_) => self.workspace("crew.deleted", id),
            RosterEvent::AgentCreated(_) => self.workspace("agent.created", id),
            RosterEvent::AgentUpdated(_) => self.workspace("agent.updated", id),
            RosterEvent::AgentDeleted(_) => self.workspace("agent.deleted", id),
            RosterEvent::AgentStatusChanged(moved) => {
                let name = self.roster_of().agents.get(&*subject).map(|agent| agent.facts.name.clone());
                let payload = json!({ "agent_id": &*subject, "agent_name": name, "status": moved.to });
                self.workspace("agent.status", payload);
            }
            RosterEvent::WorkspaceOpened(_)
            | RosterEvent::MemberAdded(_)
            | RosterEvent::MemberRemoved(_)
            | RosterEvent::MemberRoleChanged(_)
            | RosterEvent::CapabilitiesChanged(_)
            | RosterEvent::WebhookSecretRotated(_)
            | RosterEvent::CrewMemberAdded(_)
            | RosterEvent::CrewMemberRoleChanged(_)
            | RosterEvent::CrewMemberRemoved(_)
            | RosterEvent::CrewsConnected(_)
            | RosterEvent::CrewsDisconnected(_)
            | RosterEvent::PolicyChanged(_) => {}
        }
    }

    /// Additive: the peer tells nobody of checkpoints (ruling R19).
    fn checkpoint(&mut self, event: &CheckpointEvent) {
        let id = &*self.entry.subject;
        let found = self.world.state.checkpoints.get(id);
        let (mission, event, payload) = match event {
            CheckpointEvent::CheckpointCreated(created) => {
                let mut payload =
                    json!({ "id": id, "mission_id": created.mission_id, "journal_cursor": created.cursor });
                if let Some(label) = &created.label {
                    payload["label"] = json!(label);
                }
                (created.mission_id.clone(), "checkpoint.created", payload)
            }
            CheckpointEvent::CheckpointDeleted(deleted) => {
                let payload = json!({ "id": id, "mission_id": deleted.mission_id });
                (deleted.mission_id.clone(), "checkpoint.deleted", payload)
            }
            CheckpointEvent::CheckpointRestored(_) => {
                let Some(found) = found else { return };
                let payload =
                    json!({ "id": id, "mission_id": found.mission_id, "journal_cursor": found.cursor });
                (found.mission_id.clone(), "checkpoint.restored", payload)
            }
            CheckpointEvent::Forked(_) => return,
        };
        self.add(format!("mission:{mission}"), event, payload.clone());
        self.workspace(event, payload);
    }

    /// An answer is the end of what a conversation waited for.
    fn answered(&mut self, answered: &ChatAnswered) {
        let session = format!("session:{}", self.entry.subject);
        let mut say = |inner: &str, content: &str| {
            let payload = json!({ "type": inner, "content": content, "metadata": { "agent_answer": true } });
            self.add(session.clone(), "chat_event", payload);
        };
        match &answered.error {
            Some(error) => say("error", error),
            None => {
                say("text", &answered.content);
                say("done", "");
            }
        }
    }

    fn tracker(&mut self, event: &TrackerEvent) {
        let id = json!({ "id": &*self.entry.subject });
        let in_project = |project| json!({ "id": &*self.entry.subject, "project_id": project });
        match event {
            TrackerEvent::LabelCreated(_) => self.workspace("label.created", id),
            TrackerEvent::LabelUpdated(_) => self.workspace("label.updated", id),
            TrackerEvent::LabelDeleted(_) => self.workspace("label.deleted", id),
            TrackerEvent::ProjectCreated(_) => self.workspace("project.created", id),
            TrackerEvent::ProjectUpdated(_) => self.workspace("project.updated", id),
            TrackerEvent::ProjectDeleted(_) => self.workspace("project.deleted", id),
            TrackerEvent::MilestoneCreated(created) => {
                self.workspace("milestone.created", in_project(&created.project_id));
            }
            TrackerEvent::MilestoneUpdated(updated) => {
                self.workspace("milestone.updated", in_project(&updated.project_id));
            }
            TrackerEvent::MilestoneDeleted(deleted) => {
                self.workspace("milestone.deleted", in_project(&deleted.project_id));
            }
            TrackerEvent::TriageRuleCreated(_) => self.workspace("triage_rule.created", id),
            TrackerEvent::TriageRuleUpdated(_) => self.workspace("triage_rule.updated", id),
            TrackerEvent::TriageRuleDeleted(_) => self.workspace("triage_rule.deleted", id),
            TrackerEvent::TriageProcessed(done) => {
                let (processed, matched) = (done.processed.to_string(), done.matched.to_string());
                self.workspace("triage.processed", json!({ "processed": processed, "matched": matched }));
            }
            TrackerEvent::RecurringCreated(_) => self.workspace("recurring_issue.created", id),
            // One that fired has another next time.
            TrackerEvent::RecurringUpdated(_) | TrackerEvent::RecurringFired(_) => {
                self.workspace("recurring_issue.updated", id);
            }
            TrackerEvent::RecurringDeleted(_) => self.workspace("recurring_issue.deleted", id),
            TrackerEvent::SavedViewCreated(_)
            | TrackerEvent::SavedViewUpdated(_)
            | TrackerEvent::SavedViewDeleted(_) => {}
        }
    }

    fn routine(&mut self, event: &RoutineEvent) {
        let id = &*self.entry.subject;
        match event {
            RoutineEvent::RoutineSaved(saved) => {
                let told = json!({
                    "id": id, "slug": saved.routine.slug, "name": saved.routine.name, "status": saved.status,
                });
                self.workspace("pipeline.saved", told);
            }
            RoutineEvent::RoutineStatusChanged(moved) => {
                let found = self.world.state.routines.live(id);
                let slug = found.map(|routine| routine.facts.slug.clone());
                self.workspace("pipeline.updated", json!({ "id": id, "slug": slug, "status": moved.to }));
            }
            RoutineEvent::RoutineDeleted(deleted) => {
                self.workspace("pipeline.deleted", json!({ "id": id, "slug": deleted.slug }));
            }
            RoutineEvent::RoutineRunStarted(_) => {
                self.routine_run("pipeline.run.started", RoutineRunStatus::Running);
            }
            RoutineEvent::RoutineRunEnded(ended) => {
                let event = match ended.status {
                    RoutineRunStatus::Completed => "pipeline.run.completed",
                    RoutineRunStatus::Cancelled => "pipeline.run.cancelled",
                    _ => "pipeline.run.failed",
                };
                self.routine_run(event, ended.status);
            }
            RoutineEvent::WaitpointCreated(_) => {
                self.routine_run("pipeline.run.waiting", RoutineRunStatus::Waiting);
                self.workspace("inbox.updated", json!({ "id": id }));
            }
            RoutineEvent::WaitpointDecided(_) => self.workspace("inbox.updated", json!({ "id": id })),
            RoutineEvent::RoutineStepWaiting(waiting) => match waiting.waits_for {
                StepWaitsFor::Time { .. } | StepWaitsFor::Http => {
                    self.routine_run("pipeline.run.waiting", RoutineRunStatus::Waiting);
                }
                // The run it called says what it waits for.
                StepWaitsFor::Run { .. } => {}
            },
            RoutineEvent::RoutineLoopBegun(_)
            | RoutineEvent::RoutineItemEnded(_)
            | RoutineEvent::RoutineStepEnded(_) => {}
        }
    }

    fn routine_run(&mut self, event: &'static str, status: RoutineRunStatus) {
        let id = &*self.entry.subject;
        let Some(run) = self.world.state.routines.runs.get(id).cloned() else { return };
        let payload = json!({
            "run_id": id, "pipeline_id": run.facts.routine_id, "pipeline_slug": run.slug, "status": status,
        });
        self.workspace(event, payload);
    }

    /// Hints about issues (`issues.md` 10.4). One for each wish, however much of the issue it changed.
    fn issue(&mut self, event: &IssueEvent) {
        let id = MissionId::from(&*self.entry.subject);
        match event {
            IssueEvent::IssueCreated(created) => {
                let told = json!({ "id": id, "identifier": created.identifier, "title": created.title });
                self.workspace("issue.created", told);
            }
            IssueEvent::IssueUpdated(updated) => self.issue_changed(&id, updated),
            IssueEvent::IssueDeleted(deleted) => {
                self.workspace("issue.deleted", json!({ "id": id, "identifier": deleted.identifier }));
            }
            IssueEvent::Commented(_)
            | IssueEvent::CommentEdited(_)
            | IssueEvent::CommentDeleted(_)
            | IssueEvent::AttachmentAdded(_)
            | IssueEvent::AttachmentRemoved(_) => {
                self.issue_updated(&id);
            }
            IssueEvent::Related(Related { source_id, target_id, .. })
            | IssueEvent::Unrelated(Unrelated { source_id, target_id, .. }) => {
                self.issue_updated(source_id);
                self.issue_updated(target_id);
            }
            // Parts of an issue or a crew that is gone, and those that made room.
            IssueEvent::IssuesDetached(detached) if detached.from.is_parent() => {
                self.issues_updated(detached.issues.iter().collect());
            }
            IssueEvent::IssuesPlaced(placed) => {
                self.issues_updated(placed.places.iter().map(|place| &place.issue_id).collect());
            }
            // What others were detached from has a notice of its own, one for all of them.
            IssueEvent::IssuesDetached(_) => {}
            // Every value in this area is a text, counts too.
            IssueEvent::IssuesBulkUpdated(bulk) => {
                self.workspace("issues.bulk_updated", json!({ "count": bulk.count.to_string() }));
            }
            IssueEvent::IssueNoted(_) | IssueEvent::Mentioned(_) => {}
        }
    }

    fn issue_changed(&mut self, id: &MissionId, updated: &IssueUpdated) {
        let Some(issue) = self.world.state.issues.all.get(id).cloned() else { return };
        let mut told = json!({ "id": id, "identifier": issue.identifier });
        // Where it stood then: the world may be further on.
        let status = updated.moved.map_or(issue.status, |moved| moved.to);
        match updated.cause {
            // Told once for all of them.
            Cause::Bulk | Cause::Triage => return,
            Cause::Start if status == IssueStatus::InProgress => {
                told["status"] = json!(status);
                return self.workspace("issue.started", told);
            }
            // The first half of trying again.
            Cause::Start => return,
            Cause::Engine => {
                let payload = json!({
                    "id": id, "crew_id": issue.crew_id, "title": issue.title, "status": status,
                });
                self.workspace("mission.updated", payload);
            }
            Cause::Delegation => {
                let agent = issue.facts.assignee.as_ref().and_then(Party::as_agent);
                let agent = agent.and_then(|agent| self.roster_of().agents.get(&agent));
                told["assignee"] = json!(agent.map(|agent| agent.facts.slug.clone()));
            }
            Cause::Patch
            | Cause::Stop
            | Cause::Approved
            | Cause::ChangesRequested
            | Cause::Agent
            | Cause::Import
            | Cause::Move
            | Cause::Routine => {}
        }
        if updated.moved.is_some() {
            told["status"] = json!(status);
        }
        self.workspace("issue.updated", told);
    }

    /// A few are told by their names; of many it is told how many.
    fn issues_updated(&mut self, issues: Vec<&MissionId>) {
        if issues.len() > NAMED_MAX {
            let count = issues.len().to_string();
            return self.workspace("issues.bulk_updated", json!({ "count": count }));
        }
        issues.into_iter().for_each(|issue| self.issue_updated(issue));
    }

    /// What is gone meanwhile has its own notice.
    fn issue_updated(&mut self, id: &MissionId) {
        let Some(issue) = self.world.state.issues.all.get(id) else { return };
        let told = json!({ "id": id, "identifier": issue.identifier });
        self.workspace("issue.updated", told);
    }

    /// What is shown and changes no state.
    fn shown(&mut self) {
        let entry_type = self.entry.face.as_ref().map(|face| face.entry_type.clone());
        match entry_type.as_deref() {
            Some("notification.delivered") => {
                let id = self.world.entry_id(self.entry.offset);
                self.workspace("inbox.updated", json!({ "id": id }));
            }
            Some("exec.output_chunk") => self.output(),
            _ => {}
        }
    }

    /// Output of a run, for who follows the agent.
    fn output(&mut self) {
        let Some(face) = self.entry.face.as_ref() else { return };
        let Some(agent) = &face.agent_id else { return };
        let payload: Value = serde_json::from_str(face.payload.get()).unwrap_or_default();
        let told = json!({
            "agent_id": agent, "run_id": face.trace_id, "content": payload["output"],
            "offset": self.world.entry_id(self.entry.offset),
        });
        self.add(format!("agent:{agent}"), "agent.log", told);
    }
}

/// Types that are kept off the journal channel: there are many of them, and nobody reads them as they come
/// (`journal.md` 2.3).
#[must_use]
pub fn is_noise(entry_type: &str) -> bool {
    matches!(
        entry_type,
        "run.agent_span"
            | "llm.cache_hit"
            | "memory.searched"
            | "memory.versions_swept"
            | "exec.output_chunk"
            | "container.metrics"
            | "container.snapshot"
            | "eval.metric"
            | "pipeline.step.container_ready"
            | "pipeline.runs_swept"
    )
}
