//! `If-Match`: a change is wished only of what the caller has seen (`DESIGN.md` 5).

use crate::checkpoint::CheckpointCommand;
use crate::issue::IssueCommand;
use crate::mission::MissionCommand;
use crate::roster::RosterCommand;
use crate::{Command, MissionId, Offset, Rejection, Workspace};

/// What the caller has seen of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Whatever it is, as long as it exists.
    Any,
    /// It as one of these entries left it.
    Offsets(Vec<Offset>),
}

impl Workspace {
    /// Checked behind the decision itself: what is refused anyway is refused for its own reason
    /// (RFC 9110, 13.2.1).
    pub(crate) fn require_match(&self, tags: &IfMatch, command: &Command) -> Result<(), Rejection> {
        let IfMatch::Offsets(seen) = tags else { return Ok(()) };
        match self.changed_at(command) {
            Some(changed) if !seen.contains(&changed) => Err(Rejection::precondition_failed()),
            _ => Ok(()),
        }
    }

    /// Where the tagged resource that a command is about last changed. A task is part of its mission,
    /// and so is the moment that a checkpoint bookmarks. A create is about nothing that is there.
    fn changed_at(&self, command: &Command) -> Option<Offset> {
        match command {
            Command::Roster(command) => self.roster_changed_at(command),
            Command::Mission(command) => match command {
                MissionCommand::Create { .. } => None,
                MissionCommand::Update { mission, .. }
                | MissionCommand::Delete { mission, .. }
                | MissionCommand::Start { mission, .. }
                | MissionCommand::Restart { mission, .. }
                | MissionCommand::Resume { mission, .. }
                | MissionCommand::Clone { mission, .. }
                | MissionCommand::AddTask { mission, .. }
                | MissionCommand::Approve { mission, .. }
                | MissionCommand::UpdateTask { mission, .. } => self.mission_changed_at(mission),
                MissionCommand::Propose(_) => None,
            },
            Command::Checkpoint(command) => match command {
                CheckpointCommand::Create { mission, .. } => self.mission_changed_at(mission),
                CheckpointCommand::Restore { checkpoint }
                | CheckpointCommand::Fork { checkpoint, .. }
                | CheckpointCommand::Delete { checkpoint } => {
                    self.checkpoints.get(checkpoint).map(|checkpoint| checkpoint.born)
                }
            },
            Command::Marker(_)
            | Command::Work(_)
            | Command::Approval(_)
            | Command::Chat(_)
            | Command::Escalation(_)
            | Command::Routine(_) => None,
            Command::Issue(command) => self.issue_changed_at(command),
            Command::Tracker(command) => self.tracker_changed_at(command),
            Command::IfMatch { command, .. } => self.changed_at(command),
        }
    }

    fn mission_changed_at(&self, id: &MissionId) -> Option<Offset> {
        let mission = self.missions.get(id).map(|mission| mission.changed);
        mission.or_else(|| self.issues.all.get(id).map(|issue| issue.changed))
    }

    /// What is said of an issue is no change of it.
    fn issue_changed_at(&self, command: &IssueCommand) -> Option<Offset> {
        match command {
            IssueCommand::Update { issue, .. }
            | IssueCommand::Delete { issue }
            | IssueCommand::Start { issue, .. }
            | IssueCommand::Retry { issue, .. }
            | IssueCommand::Stop { issue }
            | IssueCommand::Review { issue, .. }
            | IssueCommand::Place { issue, .. }
            | IssueCommand::AgentUpdate { issue, .. } => self.issue(issue).ok().map(|issue| issue.changed),
            IssueCommand::Create { .. }
            | IssueCommand::Propose { .. }
            | IssueCommand::Bulk(_)
            | IssueCommand::Comment { .. }
            | IssueCommand::EditComment { .. }
            | IssueCommand::DeleteComment { .. }
            | IssueCommand::Relate { .. }
            | IssueCommand::Unrelate { .. }
            | IssueCommand::Attach { .. }
            | IssueCommand::TakeAttachment { .. }
            | IssueCommand::Import { .. } => None,
        }
    }

    fn roster_changed_at(&self, command: &RosterCommand) -> Option<Offset> {
        match command {
            RosterCommand::UpdateCrew { crew, .. } | RosterCommand::DeleteCrew { crew } => {
                self.roster.live_crew(crew.as_str()).map(|crew| crew.changed)
            }
            RosterCommand::UpdateAgent { agent, .. }
            | RosterCommand::DeleteAgent { agent }
            | RosterCommand::StopAgent { agent }
            | RosterCommand::RotateWebhookSecret { agent, .. } => {
                self.roster.live_agent(agent.as_str()).map(|agent| agent.changed)
            }
            RosterCommand::Open { .. }
            | RosterCommand::AddMember { .. }
            | RosterCommand::RemoveMember { .. }
            | RosterCommand::ChangeRole { .. }
            | RosterCommand::ChangeCapabilities { .. }
            | RosterCommand::CreateCrew(_)
            | RosterCommand::CreateAgent(_)
            | RosterCommand::AddCrewMember { .. }
            | RosterCommand::ChangeCrewMemberRole { .. }
            | RosterCommand::RemoveCrewMember { .. }
            | RosterCommand::SetPolicy { .. }
            | RosterCommand::ProposeCrew { .. }
            | RosterCommand::ProposeAgent { .. }
            | RosterCommand::Connect(_)
            | RosterCommand::Disconnect { .. } => None,
        }
    }
}
