//! What issues are sorted by and made from after a fact.

use std::sync::Arc;

use super::{
    Label, LabelCreated, Milestone, MilestoneCreated, Project, ProjectCreated, Recurring, RecurringCreated,
    RecurringFired, SavedView, SavedViewCreated, Tracker, TrackerEvent, TriageProcessed, TriageRule,
    TriageRuleCreated,
};
use crate::{Entry, MilestoneId, RecurringId};

impl Tracker {
    pub(crate) fn apply(&mut self, event: &TrackerEvent, entry: &Entry) {
        let subject = &*entry.subject;
        match event {
            TrackerEvent::LabelCreated(created) => self.add_label(created, entry),
            TrackerEvent::LabelUpdated(updated) => {
                if let Some(label) = self.labels.get_mut(subject).map(Arc::make_mut) {
                    self.label_names.remove(&label.facts.name);
                    self.label_names.insert(updated.label.name.clone(), label.id.clone());
                    label.facts = updated.label.clone();
                }
            }
            TrackerEvent::LabelDeleted(deleted) => {
                self.labels.remove(subject);
                self.label_names.remove(&deleted.name);
            }
            TrackerEvent::ProjectCreated(created) => self.add_project(created, entry),
            TrackerEvent::ProjectUpdated(updated) => {
                if let Some(project) = self.projects.get_mut(subject).map(Arc::make_mut) {
                    self.project_slugs.remove(&project.facts.slug);
                    self.project_slugs.insert(updated.project.slug.clone(), project.id.clone());
                    project.facts = (*updated.project).clone();
                    (project.updated_at, project.changed) = (entry.time, entry.offset);
                }
            }
            TrackerEvent::ProjectDeleted(deleted) => {
                deleted.milestones.iter().for_each(|milestone| self.forget_milestone(milestone));
                self.projects.remove(subject);
                self.project_slugs.remove(&deleted.slug);
            }
            TrackerEvent::MilestoneCreated(created) => self.add_milestone(created, entry),
            TrackerEvent::MilestoneUpdated(updated) => {
                if let Some(milestone) = self.milestones.get_mut(subject).map(Arc::make_mut) {
                    milestone.facts = updated.milestone.clone();
                    milestone.updated_at = entry.time;
                }
            }
            TrackerEvent::MilestoneDeleted(_) => self.forget_milestone(&subject.into()),
            TrackerEvent::SavedViewCreated(created) => self.add_view(created, entry),
            TrackerEvent::SavedViewUpdated(updated) => {
                if let Some(view) = self.views.get_mut(subject).map(Arc::make_mut) {
                    view.facts = updated.view.clone();
                }
            }
            TrackerEvent::SavedViewDeleted(_) => drop(self.views.remove(subject)),
            TrackerEvent::TriageRuleCreated(created) => self.add_rule(created, entry),
            TrackerEvent::TriageRuleUpdated(updated) => {
                if let Some(rule) = self.rules.get_mut(subject).map(Arc::make_mut) {
                    rule.facts = (*updated.rule).clone();
                }
            }
            TrackerEvent::TriageRuleDeleted(_) => drop(self.rules.remove(subject)),
            TrackerEvent::TriageProcessed(processed) => self.note_triage(processed),
            TrackerEvent::RecurringCreated(created) => self.add_recurring(created, entry),
            TrackerEvent::RecurringUpdated(updated) => self.change_recurring(&subject.into(), |recurring| {
                recurring.facts = (*updated.recurring).clone();
                recurring.next_run = updated.next_run;
            }),
            TrackerEvent::RecurringDeleted(_) => {
                let gone = self.recurring.remove(subject);
                let due = gone.as_ref().and_then(|gone| gone.next_run);
                due.iter().for_each(|due| drop(self.schedule.remove(&(*due, subject.into()))));
            }
            TrackerEvent::RecurringFired(fired) => self.note_fired(fired, entry),
        }
    }

    fn add_label(&mut self, created: &LabelCreated, entry: &Entry) {
        let label = Label {
            id: (&*entry.subject).into(),
            facts: created.label.clone(),
            created_at: entry.time,
            born: entry.offset,
        };
        self.label_names.insert(label.facts.name.clone(), label.id.clone());
        self.labels.insert(label.id.clone(), Arc::new(label));
    }

    fn add_project(&mut self, created: &ProjectCreated, entry: &Entry) {
        let project = Project {
            id: (&*entry.subject).into(),
            facts: (*created.project).clone(),
            created_at: entry.time,
            updated_at: entry.time,
            born: entry.offset,
            changed: entry.offset,
        };
        self.project_slugs.insert(project.facts.slug.clone(), project.id.clone());
        self.projects.insert(project.id.clone(), Arc::new(project));
    }

    fn add_milestone(&mut self, created: &MilestoneCreated, entry: &Entry) {
        let milestone = Milestone {
            id: (&*entry.subject).into(),
            project_id: created.project_id.clone(),
            facts: created.milestone.clone(),
            created_at: entry.time,
            updated_at: entry.time,
            born: entry.offset,
        };
        self.milestones_by_project.insert((milestone.project_id.clone(), milestone.id.clone()));
        self.milestones.insert(milestone.id.clone(), Arc::new(milestone));
    }

    fn forget_milestone(&mut self, id: &MilestoneId) {
        if let Some(milestone) = self.milestones.remove(id) {
            self.milestones_by_project.remove(&(milestone.project_id.clone(), id.clone()));
        }
    }

    fn add_view(&mut self, created: &SavedViewCreated, entry: &Entry) {
        let view = SavedView {
            id: (&*entry.subject).into(),
            owner: created.owner_id.clone(),
            facts: created.view.clone(),
            created_at: entry.time,
            born: entry.offset,
        };
        self.views.insert(view.id.clone(), Arc::new(view));
    }

    fn add_rule(&mut self, created: &TriageRuleCreated, entry: &Entry) {
        let rule = TriageRule {
            id: (&*entry.subject).into(),
            facts: (*created.rule).clone(),
            match_count: 0,
            created_at: entry.time,
            born: entry.offset,
        };
        self.rules.insert(rule.id.clone(), Arc::new(rule));
    }

    fn note_triage(&mut self, processed: &TriageProcessed) {
        self.triage_left_at.clone_from(&processed.left_at);
        for matches in &processed.rules {
            if let Some(rule) = self.rules.get_mut(&matches.rule_id).map(Arc::make_mut) {
                rule.match_count = rule.match_count.saturating_add(matches.count);
            }
        }
    }

    fn add_recurring(&mut self, created: &RecurringCreated, entry: &Entry) {
        let id = RecurringId::from(&*entry.subject);
        let recurring = Recurring {
            id: id.clone(),
            facts: (*created.recurring).clone(),
            author: created.author.clone(),
            next_run: created.next_run,
            last_run: None,
            last_error: None,
            run_count: 0,
            created_at: entry.time,
            born: entry.offset,
        };
        recurring.next_run.iter().for_each(|due| drop(self.schedule.insert((*due, id.clone()))));
        self.recurring.insert(id, Arc::new(recurring));
    }

    /// Changes a template, and its place in the schedule with it.
    fn change_recurring(&mut self, id: &RecurringId, change: impl FnOnce(&mut Recurring)) {
        let Some(recurring) = self.recurring.get_mut(id).map(Arc::make_mut) else { return };
        recurring.next_run.iter().for_each(|due| drop(self.schedule.remove(&(*due, id.clone()))));
        change(recurring);
        recurring.next_run.iter().for_each(|due| drop(self.schedule.insert((*due, id.clone()))));
    }

    fn note_fired(&mut self, fired: &RecurringFired, entry: &Entry) {
        self.change_recurring(&(&*entry.subject).into(), |recurring| {
            recurring.next_run = fired.next_run;
            // A schedule that makes no sense any more is switched off until somebody mends it.
            recurring.facts.enabled &= fired.next_run.is_some();
            recurring.last_error.clone_from(&fired.error);
            if fired.issue_id.is_some() {
                recurring.last_run = Some(entry.time);
                recurring.run_count = recurring.run_count.saturating_add(1);
            }
        });
    }
}
