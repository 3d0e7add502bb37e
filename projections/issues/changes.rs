//! What changed since when, for clients that were away: each thing once, where it last changed.

use std::ops::Bound;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::{IssueEvent, IssueFacts, IssueUpdated, Related, Unrelated};
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::tracker::TrackerEvent;
use taffrail_domain::{
    CommentId, CrewId, Entry, Event, LabelId, MilestoneId, MissionId, Offset, ProjectId, RelationId,
    Workspace,
};

/// Something that a client keeps a copy of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Thing {
    /// An issue, as its object shows it. The names in it are those of others: a crew, an agent or a person
    /// that gets another name changes no issue.
    Issue(MissionId),
    /// A comment.
    Comment(CommentId),
    /// A link.
    Relation(RelationId),
    /// A label.
    Label(LabelId),
    /// A project, and how far it is.
    Project(ProjectId),
    /// A milestone, and how far it is.
    Milestone(MilestoneId),
}

/// A thing, and where it last changed. Whether it still exists, the state tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where.
    pub offset: Offset,
    /// What.
    pub thing: Thing,
}

/// Every thing there ever was, by its last change. Several can change at one offset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    by_offset: OrdMap<(Offset, Thing), ()>,
    last: OrdMap<Thing, Offset>,
}

impl Changes {
    /// What changed behind an offset, oldest change first; with a thing, also what else changed at that offset
    /// and stands behind the thing.
    pub fn after(&self, offset: Offset, thing: Option<Thing>) -> impl Iterator<Item = Change> + '_ {
        let first = match thing {
            Some(thing) => Bound::Excluded((offset, thing)),
            // `Issue` is the first of the things, and the empty id before every other.
            None => Bound::Included((offset.plus(1), Thing::Issue("".into()))),
        };
        self.by_offset
            .range((first, Bound::Unbounded))
            .map(|((offset, thing), ())| Change { offset: *offset, thing: thing.clone() })
    }

    fn touch(&mut self, thing: Thing, offset: Offset) {
        if let Some(before) = self.last.insert(thing.clone(), offset) {
            self.by_offset.remove(&(before, thing.clone()));
        }
        self.by_offset.insert((offset, thing), ());
    }

    /// Folds one entry in; `before` is the state it found.
    pub(crate) fn apply(&mut self, entry: &Entry, before: &Workspace) {
        for thing in things(entry, before) {
            self.touch(thing, entry.offset);
        }
    }
}

/// What an entry changes, as clients see it: a parent shows how many children it has, a project how far it is.
fn things(entry: &Entry, before: &Workspace) -> Vec<Thing> {
    let subject = MissionId::from(&*entry.subject);
    match &entry.event {
        Some(Event::Issue(event)) => match event {
            IssueEvent::IssueCreated(created) => {
                let parent = created.facts.parent_issue_id.iter().cloned();
                let issues = std::iter::once(subject).chain(parent).map(Thing::Issue);
                issues.chain(sorted_into(&created.facts)).collect()
            }
            IssueEvent::IssueUpdated(updated) => {
                let to = updated.changes.as_ref().and_then(|changes| changes.parent_issue_id.clone());
                let parents =
                    to.map_or(vec![], |to| parent_of(&subject, before).into_iter().chain(to).collect());
                let counted = counted_anew(&subject, updated, before);
                std::iter::once(subject).chain(parents).map(Thing::Issue).chain(counted).collect()
            }
            IssueEvent::IssueDeleted(_) => gone(&subject, before),
            IssueEvent::Commented(commented) => {
                vec![Thing::Issue(subject), Thing::Comment(commented.comment_id.clone())]
            }
            IssueEvent::CommentEdited(edited) => vec![Thing::Comment(edited.comment_id.clone())],
            IssueEvent::CommentDeleted(deleted) => {
                vec![Thing::Issue(subject), Thing::Comment(deleted.comment_id.clone())]
            }
            IssueEvent::Related(Related { relation_id, .. })
            | IssueEvent::Unrelated(Unrelated { relation_id, .. }) => {
                vec![Thing::Relation(relation_id.clone())]
            }
            IssueEvent::IssuesDetached(detached) => {
                detached.issues.iter().cloned().map(Thing::Issue).collect()
            }
            IssueEvent::IssuesPlaced(placed) => {
                placed.places.iter().map(|place| Thing::Issue(place.issue_id.clone())).collect()
            }
            // Files are listed by their issue.
            IssueEvent::AttachmentAdded(_) | IssueEvent::AttachmentRemoved(_) => vec![Thing::Issue(subject)],
            IssueEvent::IssueNoted(_) | IssueEvent::Mentioned(_) | IssueEvent::IssuesBulkUpdated(_) => vec![],
        },
        // Its version tells of its tasks too.
        Some(Event::Mission(_)) if before.issues.all.contains_key(&subject) => vec![Thing::Issue(subject)],
        Some(Event::Roster(RosterEvent::CrewDeleted(_))) => {
            let crew = CrewId::from(&*entry.subject);
            before.issues.of_crew(&crew).flat_map(|issue| gone(issue, before)).collect()
        }
        Some(Event::Tracker(event)) => tracked(event, &entry.subject),
        _ => vec![],
    }
}

fn parent_of(issue: &MissionId, before: &Workspace) -> Option<MissionId> {
    before.issues.all.get(issue)?.facts.parent_issue_id.clone()
}

/// An issue that goes, its parent, and what goes with it.
fn gone(issue: &MissionId, before: &Workspace) -> Vec<Thing> {
    let parent = parent_of(issue, before);
    let comments = before.issues.comments_on(issue).map(|comment| Thing::Comment(comment.id.clone()));
    let relations = before.issues.relations_on(issue).map(|link| Thing::Relation(link.id.clone()));
    let counted = before.issues.all.get(issue).map(|issue| sorted_into(&issue.facts));
    let issues = std::iter::once(issue.clone()).chain(parent).map(Thing::Issue);
    issues.chain(comments).chain(relations).chain(counted.into_iter().flatten()).collect()
}

/// Where an issue is counted.
fn sorted_into(facts: &IssueFacts) -> impl Iterator<Item = Thing> + use<> {
    let project = facts.project_id.clone().map(Thing::Project);
    project.into_iter().chain(facts.milestone_id.clone().map(Thing::Milestone))
}

/// Where an issue is counted otherwise than before: where it was and where it is, if either or its status
/// is another.
fn counted_anew(issue: &MissionId, updated: &IssueUpdated, before: &Workspace) -> Vec<Thing> {
    let Some(issue) = before.issues.all.get(issue) else { return vec![] };
    let changes = updated.changes.as_deref();
    let project = changes.and_then(|changes| changes.project_id.clone());
    let milestone = changes.and_then(|changes| changes.milestone_id.clone());
    if updated.moved.is_none() && project.is_none() && milestone.is_none() {
        return vec![];
    }
    let to =
        project.flatten().map(Thing::Project).into_iter().chain(milestone.flatten().map(Thing::Milestone));
    sorted_into(&issue.facts).chain(to).collect()
}

fn tracked(event: &TrackerEvent, subject: &str) -> Vec<Thing> {
    match event {
        TrackerEvent::LabelCreated(_) | TrackerEvent::LabelUpdated(_) | TrackerEvent::LabelDeleted(_) => {
            vec![Thing::Label(subject.into())]
        }
        TrackerEvent::ProjectCreated(_) | TrackerEvent::ProjectUpdated(_) => {
            vec![Thing::Project(subject.into())]
        }
        TrackerEvent::ProjectDeleted(deleted) => {
            let milestones = deleted.milestones.iter().cloned().map(Thing::Milestone);
            std::iter::once(Thing::Project(subject.into())).chain(milestones).collect()
        }
        TrackerEvent::MilestoneCreated(_)
        | TrackerEvent::MilestoneUpdated(_)
        | TrackerEvent::MilestoneDeleted(_) => vec![Thing::Milestone(subject.into())],
        TrackerEvent::SavedViewCreated(_)
        | TrackerEvent::SavedViewUpdated(_)
        | TrackerEvent::SavedViewDeleted(_)
        | TrackerEvent::TriageRuleCreated(_)
        | TrackerEvent::TriageRuleUpdated(_)
        | TrackerEvent::TriageRuleDeleted(_)
        | TrackerEvent::TriageProcessed(_)
        | TrackerEvent::RecurringCreated(_)
        | TrackerEvent::RecurringUpdated(_)
        | TrackerEvent::RecurringDeleted(_)
        | TrackerEvent::RecurringFired(_) => vec![],
    }
}
