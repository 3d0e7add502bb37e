//! What issues are after a fact. The same fold serves live work, replay and state-at.

use std::sync::Arc;

use imbl::OrdMap;

use super::{
    Attachment, Cause, Comment, Detached, Issue, IssueChanges, IssueCreated, IssueEvent, IssueFacts,
    IssueStatus, IssueUpdated, Issues, IssuesDetached, Placed, Related, Relation,
};
use crate::mission::MissionEvent;
use crate::undertaking::{Phase, Undertaking};
use crate::{Actor, CrewId, Entry, Event, Json, LabelId, MissionId};

impl Issue {
    /// One step of the fold over an issue's entries; `None` before it began and after it is gone.
    #[must_use]
    pub fn fold(before: Option<Self>, id: &MissionId, entry: &Entry) -> Option<Self> {
        match &entry.event {
            Some(Event::Issue(IssueEvent::IssueCreated(created))) => Some(Self::begin(created, entry)),
            Some(Event::Issue(IssueEvent::IssueDeleted(_))) => None,
            Some(Event::Issue(IssueEvent::IssuesDetached(detached))) => before.map(|mut issue| {
                if detached.issues.contains(id) {
                    issue.detach(&detached.from, entry);
                }
                issue
            }),
            Some(Event::Issue(IssueEvent::IssuesPlaced(placed))) => before.map(|mut issue| {
                let own = placed.places.iter().find(|place| place.issue_id == *id);
                own.iter().for_each(|place| issue.place(place, entry));
                issue
            }),
            Some(Event::Issue(event)) => before.map(|mut issue| {
                issue.apply(event, entry);
                issue
            }),
            Some(Event::Mission(event)) => before.map(|mut issue| {
                issue.apply_work(event, entry);
                issue
            }),
            _ => before,
        }
    }

    fn begin(created: &IssueCreated, entry: &Entry) -> Self {
        let imported = created.imported.as_deref();
        let status = imported.map_or(IssueStatus::Backlog, |imported| imported.status);
        let created_at = imported.and_then(|imported| imported.created_at).unwrap_or(entry.time);
        let completed_at = imported.and_then(|imported| imported.completed_at).unwrap_or(entry.time);
        Self {
            undertaking: Undertaking {
                id: (&*entry.subject).into(),
                crew_id: created.crew_id.clone(),
                lead_agent_id: created.lead_agent_id.clone(),
                trace_id: created.trace_id.clone(),
                title: created.title.clone(),
                description: created.description.clone(),
                plan: None,
                phase: status.phase(false),
                entered_at: entry.time,
                entered: entry.offset,
                tasks: OrdMap::new(),
            },
            facts: (*created.facts).clone(),
            status,
            identifier: created.identifier.clone(),
            number: created.number,
            author: created.author.clone(),
            authored_via: created.authored_via.clone(),
            external_id: imported.and_then(|imported| imported.external_id.clone()),
            review_note: None,
            own_task: None,
            moved_by: None,
            comment_count: 0,
            reviews: 0,
            created_at,
            updated_at: entry.time,
            started_at: imported.and_then(|imported| imported.started_at),
            completed_at: status.is_completed().then_some(completed_at),
            born: entry.offset,
            changed: entry.offset,
        }
    }

    fn apply(&mut self, event: &IssueEvent, entry: &Entry) {
        match event {
            IssueEvent::IssueUpdated(updated) => self.update(updated, entry),
            IssueEvent::Commented(_) => self.comment_count = self.comment_count.saturating_add(1),
            IssueEvent::CommentDeleted(_) => self.comment_count = self.comment_count.saturating_sub(1),
            IssueEvent::CommentEdited(_)
            | IssueEvent::IssueNoted(_)
            | IssueEvent::Mentioned(_)
            | IssueEvent::Related(_)
            | IssueEvent::Unrelated(_)
            | IssueEvent::AttachmentAdded(_)
            | IssueEvent::AttachmentRemoved(_)
            | IssueEvent::IssuesBulkUpdated(_) => {}
            // Both ends of a life are the caller's, and what several lose is told each by its name.
            IssueEvent::IssueCreated(_)
            | IssueEvent::IssueDeleted(_)
            | IssueEvent::IssuesDetached(_)
            | IssueEvent::IssuesPlaced(_) => {}
        }
    }

    fn update(&mut self, updated: &IssueUpdated, entry: &Entry) {
        (self.updated_at, self.changed) = (entry.time, entry.offset);
        updated.title.iter().for_each(|title| self.title = title.clone());
        updated.description.iter().for_each(|text| self.description = text.clone());
        updated.changes.iter().for_each(|changes| self.facts.change(changes));
        if let Some(seat) = &updated.seat {
            self.crew_id = seat.crew_id.clone();
            self.lead_agent_id = seat.lead_agent_id.clone();
        }
        if updated.review_note.is_some() {
            self.review_note.clone_from(&updated.review_note);
        }
        if updated.own_task.is_some() {
            self.own_task.clone_from(&updated.own_task);
        }
        let Some(moved) = updated.moved else { return };
        self.status = moved.to;
        self.completed_at = moved.to.is_completed().then_some(entry.time);
        if moved.to == IssueStatus::InProgress {
            self.started_at = self.started_at.or(Some(entry.time));
        }
        if moved.to == IssueStatus::Review {
            self.reviews = self.reviews.saturating_add(1);
        }
        if moved.to == IssueStatus::Done {
            // Nothing of what was to be changed is left to change.
            self.review_note = None;
        }
        self.moved_by = match &entry.actor {
            // What the engine makes of an agent's report is not the agent's wish.
            Actor::Agent(agent) if updated.cause != Cause::Engine => Some(agent.clone()),
            _ => None,
        };
        let is_started = updated.cause == Cause::Start;
        (self.entered_at, self.entered) = (entry.time, entry.offset);
        self.phase = moved.to.phase(is_started);
    }

    /// What agents do for it: its tasks, and the LEAD's plan.
    pub(crate) fn apply_work(&mut self, event: &MissionEvent, entry: &Entry) {
        self.changed = entry.offset;
        if let MissionEvent::MissionUpdated(updated) = event {
            updated.plan.iter().for_each(|plan| self.plan = Some(plan.clone()));
        }
        self.apply_task(event, entry);
    }

    /// It makes room on its board.
    fn place(&mut self, place: &Placed, entry: &Entry) {
        (self.updated_at, self.changed) = (entry.time, entry.offset);
        self.facts.sort_order = place.sort_order;
    }

    /// What it pointed to is gone.
    fn detach(&mut self, from: &Detached, entry: &Entry) {
        (self.updated_at, self.changed) = (entry.time, entry.offset);
        let facts = &mut self.facts;
        match from {
            Detached::Project(_) => (facts.project_id, facts.milestone_id) = (None, None),
            Detached::Milestone(_) => facts.milestone_id = None,
            Detached::Label(label) => facts.labels.retain(|own| own != label),
            Detached::Routine(_) => {
                (facts.routine_id, facts.routine_inputs) = (None, Json::default());
            }
            Detached::Parent(_) | Detached::Crew(_) => facts.parent_issue_id = None,
        }
    }
}

impl Issues {
    pub(crate) fn apply(&mut self, event: &IssueEvent, entry: &Entry) {
        let id = MissionId::from(&*entry.subject);
        match event {
            IssueEvent::IssueCreated(created) => self.begin(created, entry),
            IssueEvent::IssueDeleted(_) => self.forget(&id),
            IssueEvent::IssuesDetached(detached) => self.detach(detached, entry),
            IssueEvent::IssuesPlaced(placed) => {
                for place in &placed.places {
                    let Some(issue) = self.all.get(&place.issue_id).cloned() else { continue };
                    self.count_out(&issue);
                    self.change(&place.issue_id, |issue| issue.place(place, entry));
                    if let Some(issue) = self.all.get(&place.issue_id).cloned() {
                        self.count_in(&issue);
                    }
                }
            }
            IssueEvent::IssueUpdated(updated) => {
                let Some(issue) = self.all.get(&id).cloned() else { return };
                self.count_out(&issue);
                self.unindex(&issue, updated.changes.as_deref(), updated.seat.is_some());
                self.change(&id, |issue| issue.apply(event, entry));
                if let Some(issue) = self.all.get(&id).cloned() {
                    self.index(&issue, updated.changes.as_deref(), updated.seat.is_some());
                    self.count_in(&issue);
                }
            }
            IssueEvent::Commented(commented) => {
                let comment = Comment {
                    id: commented.comment_id.clone(),
                    issue: id.clone(),
                    author: commented.author.clone(),
                    body: commented.body.clone(),
                    created_at: commented.said_at.unwrap_or(entry.time),
                    updated_at: commented.said_at.unwrap_or(entry.time),
                    born: entry.offset,
                    importer: entry.actor.user().filter(|_| commented.imported).cloned(),
                };
                self.comments_of.insert(comment.place());
                self.comments.insert(comment.id.clone(), Arc::new(comment));
                self.change(&id, |issue| issue.apply(event, entry));
            }
            IssueEvent::CommentEdited(edited) => {
                if let Some(comment) = self.comments.get_mut(&edited.comment_id) {
                    let comment = Arc::make_mut(comment);
                    (comment.body, comment.updated_at) = (edited.body.clone(), entry.time);
                }
            }
            IssueEvent::CommentDeleted(deleted) => {
                if let Some(comment) = self.comments.remove(&deleted.comment_id) {
                    self.comments_of.remove(&comment.place());
                }
                self.change(&id, |issue| issue.apply(event, entry));
            }
            IssueEvent::Related(related) => self.relate(related, entry),
            IssueEvent::Unrelated(unrelated) => {
                if let Some(relation) = self.relations.remove(&unrelated.relation_id) {
                    relation.places().iter().for_each(|place| drop(self.relations_of.remove(place)));
                }
            }
            IssueEvent::AttachmentAdded(added) => self.put_attachment(Attachment::of(added, entry)),
            IssueEvent::AttachmentRemoved(removed) => self.drop_attachment(&removed.attachment_id),
            IssueEvent::IssueNoted(_) | IssueEvent::Mentioned(_) | IssueEvent::IssuesBulkUpdated(_) => {}
        }
    }

    /// Facts about what agents do for an issue.
    pub(crate) fn apply_work(&mut self, id: &MissionId, event: &MissionEvent, entry: &Entry) {
        self.change(id, |issue| issue.apply_work(event, entry));
    }

    fn change(&mut self, id: &MissionId, change: impl FnOnce(&mut Issue)) {
        let Some(issue) = self.all.get_mut(id) else { return };
        let issue = Arc::make_mut(issue);
        change(issue);
        match issue.phase {
            Phase::Working => drop(self.working.insert(id.clone())),
            Phase::Waiting | Phase::Reviewing | Phase::Ended => drop(self.working.remove(id)),
        }
    }

    fn begin(&mut self, created: &IssueCreated, entry: &Entry) {
        let issue = Arc::new(Issue::begin(created, entry));
        self.identifiers.insert(issue.identifier.to_uppercase().into(), issue.id.clone());
        if let Some((prefix, _)) = issue.identifier.rsplit_once('-') {
            let counter = self.counters.entry(prefix.into()).or_default();
            *counter = (*counter).max(issue.number);
        }
        if let Some(external) = &issue.external_id {
            self.external.insert(external.clone(), issue.id.clone());
        }
        self.by_crew.insert((issue.crew_id.clone(), issue.id.clone()));
        self.by_birth.insert((issue.born, issue.id.clone()));
        let everything = IssueFacts::default().all_of(&issue.facts);
        self.index(&issue, Some(&everything), false);
        self.count_in(&issue);
        self.all.insert(issue.id.clone(), issue);
    }

    /// Puts an issue where others look for it, as far as these changes touch that.
    fn index(&mut self, issue: &Issue, changes: Option<&IssueChanges>, moves_crew: bool) {
        let id = || issue.id.clone();
        if moves_crew {
            self.by_crew.insert((issue.crew_id.clone(), id()));
        }
        let Some(changes) = changes else { return };
        let facts = &issue.facts;
        if changes.parent_issue_id.is_some() {
            facts.parent_issue_id.iter().for_each(|of| drop(self.children.insert((of.clone(), id()))));
        }
        if changes.labels.is_some() {
            facts.labels.iter().for_each(|of| drop(self.by_label.insert((of.clone(), id()))));
        }
        if changes.project_id.is_some() {
            facts.project_id.iter().for_each(|of| drop(self.by_project.insert((of.clone(), id()))));
        }
        if changes.milestone_id.is_some() {
            facts.milestone_id.iter().for_each(|of| drop(self.by_milestone.insert((of.clone(), id()))));
        }
        if changes.routine_id.is_some() {
            facts.routine_id.iter().for_each(|of| drop(self.by_routine.insert((of.clone(), id()))));
        }
    }

    /// Takes it from there, before the changes are made.
    fn unindex(&mut self, issue: &Issue, changes: Option<&IssueChanges>, moves_crew: bool) {
        let id = || issue.id.clone();
        if moves_crew {
            self.by_crew.remove(&(issue.crew_id.clone(), id()));
        }
        let Some(changes) = changes else { return };
        let facts = &issue.facts;
        if changes.parent_issue_id.is_some() {
            facts.parent_issue_id.iter().for_each(|of| drop(self.children.remove(&(of.clone(), id()))));
        }
        if changes.labels.is_some() {
            facts.labels.iter().for_each(|of| drop(self.by_label.remove(&(of.clone(), id()))));
        }
        if changes.project_id.is_some() {
            facts.project_id.iter().for_each(|of| drop(self.by_project.remove(&(of.clone(), id()))));
        }
        if changes.milestone_id.is_some() {
            facts.milestone_id.iter().for_each(|of| drop(self.by_milestone.remove(&(of.clone(), id()))));
        }
        if changes.routine_id.is_some() {
            facts.routine_id.iter().for_each(|of| drop(self.by_routine.remove(&(of.clone(), id()))));
        }
    }

    fn relate(&mut self, related: &Related, entry: &Entry) {
        let relation = Relation {
            id: related.relation_id.clone(),
            source: related.source_id.clone(),
            target: related.target_id.clone(),
            relation_type: related.relation_type,
            created_at: entry.time,
            born: entry.offset,
        };
        relation.places().into_iter().for_each(|place| drop(self.relations_of.insert(place)));
        self.relations.insert(relation.id.clone(), Arc::new(relation));
    }

    fn detach(&mut self, detached: &IssuesDetached, entry: &Entry) {
        for id in &detached.issues {
            let Some(issue) = self.all.get(id).cloned() else { continue };
            let touched = touched_by(&detached.from, &issue.facts);
            self.count_out(&issue);
            self.unindex(&issue, Some(&touched), false);
            self.change(id, |issue| issue.detach(&detached.from, entry));
            if let Some(issue) = self.all.get(id).cloned() {
                self.index(&issue, Some(&touched), false);
                self.count_in(&issue);
            }
        }
    }

    /// An issue goes, with all that is said of it. Its identifier and number stay taken.
    fn forget(&mut self, id: &MissionId) {
        let Some(issue) = self.all.remove(id) else { return };
        self.identifiers.remove(&*issue.identifier.to_uppercase());
        issue.external_id.iter().for_each(|external| drop(self.external.remove(external)));
        let everything = IssueFacts::default().all_of(&issue.facts);
        self.unindex(&issue, Some(&everything), true);
        self.count_out(&issue);
        self.by_birth.remove(&(issue.born, issue.id.clone()));
        self.working.remove(id);
        let comments: Vec<_> = self.comments_on(id).cloned().collect();
        for comment in comments {
            self.comments.remove(&comment.id);
            self.comments_of.remove(&comment.place());
        }
        let attachments: Vec<_> = self.attachments_at(id).cloned().collect();
        attachments.iter().for_each(|attachment| self.drop_attachment(&attachment.id));
        let relations: Vec<_> = self.relations_on(id).cloned().collect();
        for relation in relations {
            self.relations.remove(&relation.id);
            relation.places().iter().for_each(|place| drop(self.relations_of.remove(place)));
        }
    }

    /// A crew goes and takes its issues along; sub-issues elsewhere have lost their parent before.
    pub(crate) fn forget_crew(&mut self, crew: &CrewId) -> Vec<MissionId> {
        let gone: Vec<MissionId> = self.of_crew(crew).cloned().collect();
        gone.iter().for_each(|id| self.forget(id));
        gone
    }
}

impl IssueFacts {
    /// Changes that name every field: what is put and taken whole.
    fn all_of(&self, other: &Self) -> IssueChanges {
        IssueChanges {
            parent_issue_id: Some(other.parent_issue_id.clone()),
            labels: Some(other.labels.clone()),
            project_id: Some(other.project_id.clone()),
            milestone_id: Some(other.milestone_id.clone()),
            routine_id: Some(other.routine_id.clone()),
            ..self.changes_to(other).unwrap_or_default()
        }
    }
}

fn touched_by(from: &Detached, facts: &IssueFacts) -> IssueChanges {
    let none = IssueChanges::default;
    match from {
        Detached::Project(_) => IssueChanges { project_id: Some(None), milestone_id: Some(None), ..none() },
        Detached::Milestone(_) => IssueChanges { milestone_id: Some(None), ..none() },
        Detached::Label(gone) => {
            let left: Vec<LabelId> = facts.labels.iter().filter(|label| *label != gone).cloned().collect();
            IssueChanges { labels: Some(left), ..none() }
        }
        Detached::Routine(_) => IssueChanges { routine_id: Some(None), ..none() },
        Detached::Parent(_) | Detached::Crew(_) => IssueChanges { parent_issue_id: Some(None), ..none() },
    }
}
