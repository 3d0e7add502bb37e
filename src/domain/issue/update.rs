//! What a PATCH, a bulk update or an agent changes of an issue (`issues.md` 5, 6.4, 7).

use serde_json::json;

use super::activity::description_difference;
use super::fields::{date, estimate, inputs_without_routine, priority, routine_inputs, title};
use super::{Action, Cause, Issue, IssueFacts, IssuePatch, IssueStatus, IssueUpdated, Moved};
use crate::undertaking::Phase;
use crate::unfolding::Unfolding;
use crate::{Actor, Draft, Face, Json, MissionId, Rejection, Workspace};

/// What a patch comes to: nothing is written yet.
pub(super) struct Revision {
    pub(super) updated: IssueUpdated,
    pub(super) facts: IssueFacts,
}

impl Revision {
    /// Whether anything is different.
    pub(super) fn is_empty(&self) -> bool {
        let IssueUpdated { title, description, moved, seat, review_note, own_task, changes, cause: _ } =
            &self.updated;
        title.is_none()
            && description.is_none()
            && moved.is_none()
            && seat.is_none()
            && review_note.is_none()
            && own_task.is_none()
            && changes.is_none()
    }
}

impl IssuePatch {
    /// Whether anything is asked for at all (`issues.md` 1).
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A status that the seed's table allows; the same one is not.
pub(super) fn target(from: IssueStatus, word: &str) -> Result<Moved, Rejection> {
    let to = IssueStatus::parse(word).filter(|to| from.may_become(*to));
    to.map(|to| Moved { from, to }).ok_or_else(|| {
        let detail = format!("Invalid status transition from {from} to {word}");
        Rejection::invalid("issue.invalid_transition", detail)
    })
}

impl Workspace {
    /// All rules of a patch, in the order of the page: the fields, the transition, and that there is
    /// something to do.
    pub(super) fn revise(
        &self,
        issue: &Issue,
        patch: &IssuePatch,
        cause: Cause,
    ) -> Result<Revision, Rejection> {
        let new_title = patch.title.as_deref().map(|wish| title(Some(wish))).transpose()?;
        let facts = self.revise_facts(issue, patch)?;
        let moved = patch.status.as_deref().map(|word| target(issue.status, word)).transpose()?;
        if patch.is_empty() {
            return Err(Rejection::invalid("issue.no_fields", "No fields to update"));
        }
        let description = patch.description.as_deref();
        let updated = IssueUpdated {
            cause,
            title: new_title.filter(|new| *new != issue.title),
            description: description
                .filter(|new| issue.description.as_deref() != Some(*new))
                .map(|new| Some(new.into())),
            moved,
            changes: issue.facts.changes_to(&facts).map(Box::new),
            ..IssueUpdated::default()
        };
        Ok(Revision { updated, facts })
    }

    fn revise_facts(&self, issue: &Issue, patch: &IssuePatch) -> Result<IssueFacts, Rejection> {
        let before = &issue.facts;
        let mut facts = before.clone();
        if let Some(word) = &patch.priority {
            facts.priority = priority(word)?;
        }
        if let Some(day) = &patch.due_date {
            facts.due_date = if day.is_empty() { None } else { Some(date("due_date", day)?) };
        }
        facts.assignee = self.assignee_of_patch(
            patch.assignee_type.as_deref(),
            patch.assignee_id.as_ref(),
            before.assignee.as_ref(),
        )?;
        if let Some(id) = &patch.project_id {
            facts.project_id = self.project_ref(id)?;
        }
        if let Some(wish) = &patch.estimate {
            facts.estimate = estimate(wish.as_ref())?;
        }
        if let Some(id) = &patch.parent_issue_id {
            let parent = self.parent_ref(id)?;
            parent.as_ref().map_or(Ok(()), |parent| self.require_no_circle(issue, parent))?;
            facts.parent_issue_id = parent;
        }
        if let Some(id) = &patch.milestone_id {
            facts.milestone_id = self.milestone_ref(id)?;
        }
        let sets_milestone = patch.milestone_id.as_deref().is_some_and(|id| !id.is_empty());
        self.agree_on_project(&mut facts, sets_milestone)?;
        if let Some(ids) = &patch.labels {
            facts.labels = self.label_refs(ids)?;
        }
        self.revise_routine(patch, &mut facts)?;
        if let Some(order) = patch.sort_order {
            facts.sort_order = order;
        }
        Ok(facts)
    }

    /// Without a routine there is nothing to give inputs to (`issues.md` 6.4).
    fn revise_routine(&self, patch: &IssuePatch, facts: &mut IssueFacts) -> Result<(), Rejection> {
        if let Some(id) = &patch.routine_id {
            let routine = self.routine_ref(id)?;
            if routine.is_none() {
                facts.routine_inputs = Json::default();
            }
            facts.routine_id = routine;
        }
        if let Some(inputs) = &patch.routine_inputs {
            let inputs = routine_inputs(inputs)?;
            if facts.routine_id.is_none() {
                return Err(inputs_without_routine());
            }
            facts.routine_inputs = inputs;
        }
        Ok(())
    }
}

/// What changed of an issue, by the API's names.
pub(super) fn edited_face(issue: &Issue, updated: &IssueUpdated, actor: &Actor) -> Face {
    let changes = updated.changes.as_deref().cloned().unwrap_or_default();
    let fields = [
        ("title", updated.title.is_some()),
        ("description", updated.description.is_some()),
        ("due_date", changes.due_date.is_some()),
        ("sort_order", changes.sort_order.is_some()),
        ("project_id", changes.project_id.is_some()),
        ("milestone_id", changes.milestone_id.is_some()),
        ("estimate", changes.estimate.is_some()),
        ("labels", changes.labels.is_some()),
        ("routine_id", changes.routine_id.is_some()),
        ("routine_inputs", changes.routine_inputs.is_some()),
    ];
    let fields: Vec<&str> = fields.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name).collect();
    let payload = json!({ "action": "updated", "fields": fields });
    Face { payload: payload.into(), ..issue.face("mission.updated", actor, "updated", &fields.join(", ")) }
}

impl Unfolding<'_> {
    /// Writes a revision, its lines of activity, and what follows from it. Nothing new, nothing written.
    pub(super) fn apply_revision(&mut self, issue: &Issue, revision: Revision, actor: &Actor) {
        if revision.is_empty() {
            return;
        }
        let Revision { updated, facts } = revision;
        let actions = self.actions_of(issue, &updated, &facts);
        if actions.is_empty() {
            // No line tells of it: the journal does, so that every change has a place that can be named.
            let face = edited_face(issue, &updated, actor);
            return self.add(Draft::public(issue.id.as_str(), updated, face));
        }
        let is_up_for_review = updated.moved.is_some_and(|moved| moved.to == IssueStatus::Review);
        self.update_issue(&issue.id, updated);
        for action in &actions {
            self.note_issue(issue, action, actor);
        }
        // A person who moves it knows of it.
        if is_up_for_review && !matches!(actor, Actor::User(_)) {
            self.tell_reviewers(issue);
        }
    }

    /// Something of an issue changed; agents stop working on what is not wanted any more.
    pub(super) fn update_issue(&mut self, id: &MissionId, updated: IssueUpdated) {
        let phase = |unfolding: &Self| unfolding.state.issues.all.get(id).map(|issue| issue.phase);
        let before = phase(self);
        let moved = updated.moved;
        self.add(Draft::internal(id.as_str(), updated));
        let after = phase(self);
        let has_left = before == Some(Phase::Working) && after != Some(Phase::Working);
        // Agents that were called, or were handed something, are at it in every status.
        let is_over = moved.is_some_and(|moved| after == Some(Phase::Ended) || moved.is_back());
        if has_left || is_over {
            self.stop_work_on_issue(id);
        } else if moved.is_some() && after == Some(Phase::Waiting) {
            // An agent may have left it while it was at it, and somebody else moves it on.
            self.keep_only_wanted_work(id);
        }
    }

    fn actions_of(&self, issue: &Issue, updated: &IssueUpdated, facts: &IssueFacts) -> Vec<Action> {
        let is_bulk = updated.cause == Cause::Bulk;
        let mut actions = vec![];
        if let Some(moved) = updated.moved {
            actions.push(match is_bulk {
                true => Action::StatusChangedInBulk(moved),
                false => Action::StatusChanged(moved),
            });
        }
        if facts.assignee != issue.facts.assignee {
            let id = facts.assignee.as_ref().map(|party| &*party.id).unwrap_or_default();
            let suffix = if is_bulk { " (bulk)" } else { "" };
            actions.push(Action::AssigneeChanged(format!("assignee_id: {id}{suffix}").into()));
        }
        if facts.priority != issue.facts.priority {
            actions.push(match is_bulk {
                true => Action::PriorityChangedInBulk(facts.priority),
                false => Action::PriorityChanged(facts.priority),
            });
        }
        if let Some(after) = &updated.description {
            let said = description_difference(issue.description.as_deref(), after.as_deref());
            actions.extend(said.map(Action::DescriptionChanged));
        }
        if facts.parent_issue_id != issue.facts.parent_issue_id {
            let parent = facts.parent_issue_id.as_ref().and_then(|id| self.state.issues.all.get(id));
            let named = parent.map(|parent| parent.identifier.clone()).unwrap_or_default();
            actions.push(Action::ParentChanged(named));
        }
        actions
    }
}
