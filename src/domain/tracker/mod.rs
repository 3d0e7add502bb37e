//! What issues are sorted by and made from: labels, projects and their milestones, saved views, triage rules
//! and recurring issues (`issues.md` 15–17).
//!
//! How the issues of a project or milestone stand is counted where issues are folded, in the issue room.

mod apply;
mod command;
mod cron;
mod decide;
mod event;
mod fields;
mod folding;
mod label;
mod milestone;
mod named;
mod project;
mod recurring;
mod triage;
mod view;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

pub use command::{
    Body, LabelDraft, MilestoneDraft, ProjectDraft, RecurringDraft, SavedViewDraft, TrackerCommand,
    TriageRuleDraft,
};
pub use event::{
    LabelCreated, LabelDeleted, LabelUpdated, MilestoneCreated, MilestoneDeleted, MilestoneUpdated,
    ProjectCreated, ProjectDeleted, ProjectUpdated, RecurringCreated, RecurringDeleted, RecurringFired,
    RecurringUpdated, RuleMatches, SavedViewCreated, SavedViewDeleted, SavedViewUpdated, TrackerEvent,
    TriageProcessed, TriageRuleCreated, TriageRuleDeleted, TriageRuleUpdated,
};
pub use label::{Label, LabelFacts};
pub use milestone::{Milestone, MilestoneFacts, MilestoneStatus};
pub use project::{Project, ProjectFacts, ProjectHealth, ProjectStatus};
pub use recurring::{Recurring, RecurringFacts};
pub use triage::{MatchType, TriageRule, TriageRuleFacts};
pub use view::{SavedView, SavedViewFacts, ViewType};

use crate::index::under;
use crate::{LabelId, MilestoneId, MissionId, ProjectId, RecurringId, SavedViewId, Text, Time, TriageRuleId};

/// What the issues of a workspace are sorted by and made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    /// Labels.
    pub labels: OrdMap<LabelId, Arc<Label>>,
    /// Labels, by name.
    pub label_names: OrdMap<Text, LabelId>,
    /// Projects.
    pub projects: OrdMap<ProjectId, Arc<Project>>,
    /// Projects, by slug.
    pub project_slugs: OrdMap<Text, ProjectId>,
    /// Milestones.
    pub milestones: OrdMap<MilestoneId, Arc<Milestone>>,
    /// Milestones, by project.
    pub milestones_by_project: OrdSet<(ProjectId, MilestoneId)>,
    /// Saved views.
    pub views: OrdMap<SavedViewId, Arc<SavedView>>,
    /// Triage rules.
    pub rules: OrdMap<TriageRuleId, Arc<TriageRule>>,
    /// The last issue that triage looked at, if it did not come to the end.
    pub triage_left_at: Option<MissionId>,
    /// Templates of issues.
    pub recurring: OrdMap<RecurringId, Arc<Recurring>>,
    /// Templates that are switched on, by when they are due.
    pub schedule: OrdSet<(Time, RecurringId)>,
}

impl Tracker {
    /// A project by id or slug.
    #[must_use]
    pub fn project(&self, id_or_slug: &str) -> Option<&Arc<Project>> {
        let by_slug = || self.projects.get(self.project_slugs.get(id_or_slug)?);
        self.projects.get(id_or_slug).or_else(by_slug)
    }

    /// Whether something of this id stands.
    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        self.labels.contains_key(id)
            || self.projects.contains_key(id)
            || self.milestones.contains_key(id)
            || self.views.contains_key(id)
            || self.rules.contains_key(id)
            || self.recurring.contains_key(id)
    }

    /// Takes on what another one holds, to be shown once more: found by id, and nowhere else.
    pub fn put_back(&mut self, other: Self) {
        self.labels.extend(other.labels);
        self.projects.extend(other.projects);
        self.milestones.extend(other.milestones);
        self.views.extend(other.views);
        self.rules.extend(other.rules);
        self.recurring.extend(other.recurring);
    }

    /// Labels by name.
    pub fn labels_by_name(&self) -> impl Iterator<Item = &Label> {
        self.label_names.values().filter_map(|id| self.labels.get(id)).map(|label| &**label)
    }

    /// The milestones of a project, in no order.
    pub fn milestones_of<'a>(&'a self, project: &'a ProjectId) -> impl Iterator<Item = &'a Milestone> + 'a {
        let ids = under(&self.milestones_by_project, project);
        ids.filter_map(|id| self.milestones.get(id)).map(|milestone| &**milestone)
    }
}
