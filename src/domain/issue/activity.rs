//! The activity log: one line for each change that matters, as the API words it (`issues.md` 10).
//!
//! Every line is an entry with a public face, so the log and the journal cannot say different things.

use serde_json::json;

use super::{Issue, IssueCreated, IssueNoted, IssuePriority, Moved};
use crate::mission::mission_face;
use crate::unfolding::Unfolding;
use crate::{Actor, CrewId, EntryId, Face, MissionId, Text};

/// What a line says was done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Another status: `{from} → {to}`.
    StatusChanged(Moved),
    /// The same in a bulk update: `{from} -> {to} (bulk)`.
    StatusChangedInBulk(Moved),
    /// Another assignee, or none.
    AssigneeChanged(Text),
    /// A LEAD handed it on.
    HandedOn(Text),
    /// Another priority.
    PriorityChanged(IssuePriority),
    /// The same in a bulk update.
    PriorityChangedInBulk(IssuePriority),
    /// Another description: how it differs, never what it says.
    DescriptionChanged(Text),
    /// Another parent, by its identifier; none is empty.
    ParentChanged(Text),
    /// A link, and its other end.
    RelationAdded(Text),
    /// A link less.
    RelationRemoved(Text),
    /// A file, by name, sort and size.
    AttachmentAdded(Text),
    /// A file less.
    AttachmentRemoved(Text),
    /// A review found it good.
    ReviewApproved(Text),
    /// A review sent it back.
    ReviewChangesRequested(Text),
    /// An agent's work is done.
    TaskCompleted(Text),
    /// An agent's work has failed.
    TaskFailed(Text),
    /// A comment named this agent.
    Mentioned(Text),
    /// The routine it is bound to was run.
    RoutineStarted(Text),
    /// Another crew, by its slug.
    CrewChanged(Text),
    /// A triage rule changed it: the name of the rule.
    Triaged(Text),
}

impl Action {
    /// The word of the vocabulary.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::StatusChanged(_) | Self::StatusChangedInBulk(_) => "status_changed",
            Self::AssigneeChanged(_) | Self::HandedOn(_) => "assignee_changed",
            Self::PriorityChanged(_) | Self::PriorityChangedInBulk(_) => "priority_changed",
            Self::DescriptionChanged(_) => "description_changed",
            Self::ParentChanged(_) => "parent_changed",
            Self::RelationAdded(_) => "relation_added",
            Self::RelationRemoved(_) => "relation_removed",
            Self::AttachmentAdded(_) => "attachment_added",
            Self::AttachmentRemoved(_) => "attachment_removed",
            Self::ReviewApproved(_) => "review_approved",
            Self::ReviewChangesRequested(_) => "review_changes_requested",
            Self::TaskCompleted(_) => "task_completed",
            Self::TaskFailed(_) => "task_failed",
            Self::Mentioned(_) => "mentioned",
            Self::RoutineStarted(_) => "routine_started",
            Self::CrewChanged(_) => "crew_changed",
            Self::Triaged(_) => "triaged",
        }
    }

    fn details(&self) -> String {
        match self {
            Self::StatusChanged(moved) => format!("{} → {}", moved.from, moved.to),
            Self::StatusChangedInBulk(moved) => format!("{} -> {} (bulk)", moved.from, moved.to),
            Self::PriorityChanged(priority) => priority.to_string(),
            Self::PriorityChangedInBulk(priority) => format!("{priority} (bulk)"),
            Self::AssigneeChanged(text)
            | Self::HandedOn(text)
            | Self::DescriptionChanged(text)
            | Self::ParentChanged(text)
            | Self::RelationAdded(text)
            | Self::RelationRemoved(text)
            | Self::AttachmentAdded(text)
            | Self::AttachmentRemoved(text)
            | Self::ReviewApproved(text)
            | Self::ReviewChangesRequested(text)
            | Self::TaskCompleted(text)
            | Self::TaskFailed(text)
            | Self::Mentioned(text)
            | Self::RoutineStarted(text)
            | Self::CrewChanged(text)
            | Self::Triaged(text) => text.to_string(),
        }
    }

    fn moved(&self) -> Option<Moved> {
        match self {
            Self::StatusChanged(moved) | Self::StatusChangedInBulk(moved) => Some(*moved),
            _ => None,
        }
    }
}

/// The type of the journal entry of a line (`issues.md` 10.3).
fn entry_type(action: &str) -> &'static str {
    match action {
        "created" => "mission.created",
        "assignee_changed" => "mission.assigned",
        "mentioned" => "agent.mentioned",
        _ => "mission.status_change",
    }
}

/// The face of a line. Automations match on `action`, `from` and `to`: never rename them.
fn face(
    (crew, issue): (&CrewId, &MissionId),
    activity: EntryId,
    action: &str,
    details: &str,
    actor: &Actor,
) -> Face {
    Face {
        payload: json!({ "action": action, "details": details }).into(),
        refs: json!({ "mission_id": issue, "activity_id": activity }).into(),
        ..mission_face(entry_type(action), actor, crew, issue, action, details)
    }
}

impl IssueCreated {
    /// An issue's first entry is the first line of its log.
    pub(super) fn face(&self, id: &MissionId, activity: EntryId, actor: &Actor) -> Face {
        let face = face((&self.crew_id, id), activity, "created", &self.title, actor);
        Face { payload: face.payload.with("identifier", json!(self.identifier)), ..face }
    }
}

impl Unfolding<'_> {
    /// One line more.
    pub(crate) fn note_issue(&mut self, issue: &Issue, action: &Action, actor: &Actor) {
        let details = action.details();
        let place = (&issue.crew_id, &issue.id);
        let activity = self.context.entry_id(self.next());
        let mut face = face(place, activity, action.word(), &details, actor);
        if let Some(moved) = action.moved() {
            face.payload = face.payload.with("from", json!(moved.from)).with("to", json!(moved.to));
        }
        if let Action::Mentioned(agent) = action {
            face.agent_id = Some((&**agent).into());
        }
        let noted = IssueNoted { action: action.word().into(), details: Some(details.into()) };
        self.add(crate::Draft::public(issue.id.as_str(), noted, face));
    }
}

/// How a description differs, in letters: what it says is nobody's business (`issues.md` 10.2).
pub(super) fn description_difference(before: Option<&str>, after: Option<&str>) -> Option<Text> {
    let count = |text: Option<&str>| text.map_or(0, |text| text.chars().count());
    let (was, is) = (count(before), count(after));
    if before.unwrap_or_default() == after.unwrap_or_default() {
        return None;
    }
    let said = match (was, is) {
        (0, is) => format!("description set ({is} chars)"),
        (was, 0) => format!("description cleared (was {was} chars)"),
        (was, is) => format!("description updated ({was} → {is} chars)"),
    };
    Some(said.into())
}
