//! One workspace's write state: all that a decider may look at.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};

use crate::approval::{ApprovalCommand, Approvals};
use crate::chat::{Chat, ChatCommand};
use crate::checkpoint::{Checkpoint, CheckpointCommand, CheckpointEvent};
use crate::escalation::{EscalationCommand, Escalations};
use crate::index::under;
use crate::issue::{IssueCommand, IssueEvent, Issues};
use crate::marker::{Marker, MarkerCommand};
use crate::mission::{Mission, MissionCommand, MissionEvent};
use crate::roster::{Roster, RosterCommand};
use crate::routine::{RoutineCommand, Routines};
use crate::tracker::{Tracker, TrackerCommand};
use crate::work::{Purpose, Work, WorkCommand, WorkEvent};
use crate::{
    ChatId, CheckpointId, Context, CrewId, Draft, Entry, Event, IfMatch, MissionId, Offset, Rejection,
};

/// A wish in one workspace.
#[derive(Clone, Debug)]
pub enum Command {
    /// About the workspace, members, crews and agents.
    Roster(Box<RosterCommand>),
    /// About a mission or its tasks.
    Mission(MissionCommand),
    /// About a checkpoint, restore or fork.
    Checkpoint(CheckpointCommand),
    /// About an entry's marker.
    Marker(MarkerCommand),
    /// About assignments and runs.
    Work(WorkCommand),
    /// About a question that a person has to decide.
    Approval(ApprovalCommand),
    /// About a conversation.
    Chat(ChatCommand),
    /// About a question of an agent.
    Escalation(EscalationCommand),
    /// About issues and what is said of them.
    Issue(IssueCommand),
    /// About what issues are sorted by.
    Tracker(TrackerCommand),
    /// About routines and their runs.
    Routine(RoutineCommand),
    /// Any of these, but only if what it is about has not changed (`DESIGN.md` 5).
    IfMatch {
        /// What the caller has seen.
        tags: IfMatch,
        /// What is wished.
        command: Box<Command>,
    },
}

impl From<RosterCommand> for Command {
    fn from(command: RosterCommand) -> Self {
        Self::Roster(command.into())
    }
}

impl From<WorkCommand> for Command {
    fn from(command: WorkCommand) -> Self {
        Self::Work(command)
    }
}

impl From<ApprovalCommand> for Command {
    fn from(command: ApprovalCommand) -> Self {
        Self::Approval(command)
    }
}

impl From<EscalationCommand> for Command {
    fn from(command: EscalationCommand) -> Self {
        Self::Escalation(command)
    }
}

impl From<TrackerCommand> for Command {
    fn from(command: TrackerCommand) -> Self {
        Self::Tracker(command)
    }
}

impl From<RoutineCommand> for Command {
    fn from(command: RoutineCommand) -> Self {
        Self::Routine(command)
    }
}

impl From<IssueCommand> for Command {
    fn from(command: IssueCommand) -> Self {
        Self::Issue(command)
    }
}

impl From<ChatCommand> for Command {
    fn from(command: ChatCommand) -> Self {
        Self::Chat(command)
    }
}

impl From<MarkerCommand> for Command {
    fn from(command: MarkerCommand) -> Self {
        Self::Marker(command)
    }
}

impl From<MissionCommand> for Command {
    fn from(command: MissionCommand) -> Self {
        Self::Mission(command)
    }
}

impl From<CheckpointCommand> for Command {
    fn from(command: CheckpointCommand) -> Self {
        Self::Checkpoint(command)
    }
}

/// Every aggregate of one workspace, at one head.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    /// The workspace itself, members, crews and agents.
    pub roster: Roster,
    /// Live missions; a deleted one is gone.
    pub missions: OrdMap<MissionId, Arc<Mission>>,
    /// Live missions, by crew.
    pub missions_by_crew: OrdSet<(CrewId, MissionId)>,
    /// Live checkpoints; those of a deleted mission are gone with it.
    pub checkpoints: OrdMap<CheckpointId, Arc<Checkpoint>>,
    /// Live checkpoints, by mission.
    pub checkpoints_by_mission: OrdSet<(MissionId, CheckpointId)>,
    /// Live checkpoints of forks, by the checkpoint forked from.
    pub forks: OrdSet<(CheckpointId, CheckpointId)>,
    /// Where each mission's entries stand; stays when the mission goes, the journal does too.
    pub histories: OrdMap<MissionId, Arc<History>>,
    /// Markers of the entries that ever got one.
    pub markers: OrdMap<Offset, Marker>,
    /// Assignments and runs.
    pub work: Work,
    /// Questions that a person has to decide.
    pub approvals: Approvals,
    /// Conversations.
    pub chats: OrdMap<ChatId, Arc<Chat>>,
    /// Questions of agents.
    pub escalations: Escalations,
    /// Issues and what is said of them.
    pub issues: Issues,
    /// What issues are sorted by.
    pub tracker: Tracker,
    /// Routines and their runs.
    pub routines: Routines,
}

/// The offsets of one mission's entries, ascending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Entries that change the mission's state: state-at is the fold of those up to a point.
    pub changes: Vector<Offset>,
    /// Entries the public sees; the last is a checkpoint's cursor.
    pub public: Vector<Offset>,
    /// The public ones less `checkpoint.*`: bookkeeping is not drift (ruling R11).
    pub drift: Vector<Offset>,
}

impl History {
    /// The mission's public entries after `boundary`: its divergence, oldest first.
    pub fn divergence(&self, boundary: Offset) -> impl ExactSizeIterator<Item = Offset> + '_ {
        let first = first_after(&self.drift, boundary);
        self.drift.focus().narrow(first..).into_iter().copied()
    }

    /// The entries whose fold is the mission's state at `point`.
    #[must_use]
    pub fn changes_until(&self, point: Offset) -> Vec<Offset> {
        self.changes.iter().copied().take_while(|offset| *offset <= point).collect()
    }

    /// Whether `offset` is one of the mission's public entries.
    #[must_use]
    pub fn shows(&self, offset: Offset) -> bool {
        self.public.binary_search(&offset).is_ok()
    }
}

fn first_after(offsets: &Vector<Offset>, boundary: Offset) -> usize {
    offsets.binary_search(&boundary.plus(1)).unwrap_or_else(|insert_at| insert_at)
}

impl Workspace {
    /// Decides a wish against the workspace as it is. The role is checked first (`missions.md` 1.1).
    ///
    /// # Errors
    /// The reason why not, with the text of the API page.
    pub fn decide(&self, command: &Command, context: &Context<'_>) -> Result<Vec<Draft>, Rejection> {
        match command {
            Command::Roster(command) => self.decide_roster(command, context),
            Command::Mission(command) => self.decide_mission(command, context),
            Command::Checkpoint(command) => self.decide_checkpoint(command, context),
            Command::Marker(command) => self.decide_marker(command, context),
            Command::Work(command) => self.decide_work(command, context),
            Command::Approval(command) => self.decide_approval(command, context),
            Command::Chat(command) => self.decide_chat(command, context),
            Command::Escalation(command) => self.decide_escalation(command, context),
            Command::Issue(command) => self.decide_issue(command, context),
            Command::Tracker(command) => self.decide_tracker(command, context),
            Command::Routine(command) => self.decide_routine(command, context),
            Command::IfMatch { tags, command } => {
                let drafts = self.decide(command, context)?;
                self.require_match(tags, command)?;
                Ok(drafts)
            }
        }
    }

    /// Folds one entry in. Total: the fact already happened.
    pub fn apply(&mut self, entry: &Entry) {
        self.note_history(entry);
        match &entry.event {
            Some(Event::Roster(event)) => self.apply_roster(event, entry),
            Some(Event::Mission(event)) => self.apply_mission(event, entry),
            Some(Event::Checkpoint(event)) => self.apply_checkpoint(event, entry),
            Some(Event::Marker(event)) => self.apply_marker(event),
            Some(Event::Work(event)) => self.apply_work(event, entry),
            Some(Event::Approval(event)) => self.approvals.apply(event, entry),
            Some(Event::Chat(event)) => self.apply_chat(event, entry),
            Some(Event::Escalation(event)) => self.escalations.apply(event, entry),
            Some(Event::Issue(event)) => self.apply_issue(event, entry),
            Some(Event::Tracker(event)) => self.tracker.apply(event, entry),
            Some(Event::Routine(event)) => self.routines.apply(event, entry),
            Some(Event::Instance(_)) | None => {}
        }
    }

    fn apply_work(&mut self, event: &WorkEvent, entry: &Entry) {
        self.work.apply(event, entry);
        // A conversation waits for the assignment that answers it.
        if let WorkEvent::AssignmentCreated(created) = event
            && created.assignment.purpose == Purpose::Chat
            && let Some(chat) = self.chats.get_mut(&created.assignment.chat_id)
        {
            Arc::make_mut(chat).live = Some((&*entry.subject).into());
        }
    }

    fn apply_issue(&mut self, event: &IssueEvent, entry: &Entry) {
        self.issues.apply(event, entry);
        if let IssueEvent::IssueDeleted(_) = event {
            self.forget_checkpoints_of(&(&*entry.subject).into());
        }
    }

    fn note_history(&mut self, entry: &Entry) {
        match &entry.event {
            // What several issues lose is a change of each of them.
            Some(Event::Issue(IssueEvent::IssuesDetached(detached))) => {
                for issue in &detached.issues {
                    self.history_mut(issue.as_str()).changes.push_back(entry.offset);
                }
            }
            Some(Event::Issue(IssueEvent::IssuesPlaced(placed))) => {
                for place in &placed.places {
                    self.history_mut(place.issue_id.as_str()).changes.push_back(entry.offset);
                }
            }
            Some(Event::Issue(IssueEvent::IssuesBulkUpdated(_) | IssueEvent::IssueNoted(_))) => {}
            Some(Event::Mission(_) | Event::Issue(_)) => {
                self.history_mut(&entry.subject).changes.push_back(entry.offset);
            }
            _ => {}
        }
        let Some(mission) = entry.face.as_ref().and_then(|face| face.mission_id.as_ref()) else { return };
        let is_bookkeeping = matches!(
            &entry.event,
            Some(Event::Checkpoint(
                CheckpointEvent::CheckpointCreated(_)
                    | CheckpointEvent::CheckpointRestored(_)
                    | CheckpointEvent::CheckpointDeleted(_)
            ))
        );
        let history = self.history_mut(mission.as_str());
        history.public.push_back(entry.offset);
        if !is_bookkeeping {
            history.drift.push_back(entry.offset);
        }
    }

    fn history_mut(&mut self, mission: &str) -> &mut History {
        if !self.histories.contains_key(mission) {
            self.histories.insert(mission.into(), Arc::default());
        }
        // The line before put it there.
        Arc::make_mut(self.histories.get_mut(mission).expect("inserted above"))
    }

    fn apply_mission(&mut self, event: &MissionEvent, entry: &Entry) {
        match event {
            MissionEvent::MissionCreated(_) => {
                if let Some(mission) = Mission::fold(None, entry) {
                    self.missions_by_crew.insert((mission.crew_id.clone(), mission.id.clone()));
                    self.missions.insert(mission.id.clone(), Arc::new(mission));
                }
            }
            MissionEvent::MissionDeleted(_) => self.forget_mission(&(&*entry.subject).into()),
            MissionEvent::MissionUpdated(_)
            | MissionEvent::MissionStatusChanged(_)
            | MissionEvent::TaskCreated(_)
            | MissionEvent::TaskUpdated(_)
            | MissionEvent::TaskStatusChanged(_) => match self.missions.get_mut(&*entry.subject) {
                Some(mission) => Arc::make_mut(mission).apply(event, entry),
                None => self.issues.apply_work(&(&*entry.subject).into(), event, entry),
            },
        }
    }

    /// The live missions of a crew.
    pub fn missions_of<'a>(&'a self, crew: &'a CrewId) -> impl Iterator<Item = &'a MissionId> + 'a {
        under(&self.missions_by_crew, crew)
    }

    /// A mission goes and takes its checkpoints along; its history stays.
    pub(crate) fn forget_mission(&mut self, id: &MissionId) {
        if let Some(mission) = self.missions.remove(id) {
            self.missions_by_crew.remove(&(mission.crew_id.clone(), id.clone()));
            self.forget_checkpoints_of(id);
        }
    }
}
