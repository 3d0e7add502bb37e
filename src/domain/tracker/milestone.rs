//! Milestones of projects (`issues.md` 15.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{asked, date, description, name, not_empty, room, word};
use super::{Body, MilestoneCreated, MilestoneDeleted, MilestoneDraft, MilestoneUpdated};
use crate::entry::words;
use crate::issue::{Detached, Tally};
use crate::roster::audit;
use crate::unfolding::Unfolding;
use crate::{Context, Draft, MilestoneId, Offset, ProjectId, Rejection, Text, Time, Workspace};

/// Most milestones of a project: all of them go with it, in one batch.
const MILESTONES_MAX: usize = 500;

words! {
    /// Where a milestone stands.
    MilestoneStatus {
        /// Ahead.
        #[default]
        Active = "active",
        /// Reached.
        Completed = "completed",
        /// Not wanted any more.
        Cancelled = "cancelled",
    }
}

/// What people set of a milestone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MilestoneFacts {
    /// What it is called.
    pub name: Text,
    /// What it is about.
    pub description: Option<Text>,
    /// When it is to be reached, as it was sent.
    pub target_date: Option<Text>,
    /// Where it stands.
    pub status: MilestoneStatus,
    /// Its place among the milestones of its project.
    pub position: i64,
}

/// A milestone as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Milestone {
    /// Its id.
    pub id: MilestoneId,
    /// The project it is part of.
    pub project_id: ProjectId,
    /// What people set of it.
    pub facts: MilestoneFacts,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Offset of its creation.
    pub born: Offset,
}

impl Workspace {
    /// A milestone.
    ///
    /// # Errors
    /// `Milestone not found`.
    pub fn milestone(&self, id: &str) -> Result<&Milestone, Rejection> {
        let found = self.tracker.milestones.get(id).map(|milestone| &**milestone);
        found.ok_or_else(|| Rejection::not_found("milestone.not_found", "Milestone not found"))
    }

    /// How the issues of a milestone stand.
    #[must_use]
    pub fn milestone_tally(&self, milestone: &MilestoneId) -> Tally {
        self.issues.tallies.of_milestone(milestone)
    }

    pub(super) fn create_milestone(
        &self,
        project: &str,
        draft: &Body<MilestoneDraft>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let project = self.project(project)?;
        let draft = asked(draft)?;
        let name = name(draft.name.as_deref())?;
        let others = || self.tracker.milestones_of(&project.id);
        let last = others().map(|other| other.facts.position).max().unwrap_or_default();
        let nothing = MilestoneFacts {
            name,
            description: None,
            target_date: None,
            status: MilestoneStatus::default(),
            position: last.saturating_add(1),
        };
        let status = draft.status.clone().filter(|word| !word.is_empty());
        let draft = MilestoneDraft { name: None, position: None, status, ..draft.clone() };
        let milestone = nothing.with(&draft)?;
        room(others().count(), MILESTONES_MAX, "milestones in this project")?;
        let id = MilestoneId::from(context.mint.cuid());
        let face = audit("created", "MILESTONE", id.as_str(), &milestone.name, context.actor);
        let created = MilestoneCreated { project_id: project.id.clone(), milestone };
        Ok(vec![Draft::public(id.as_str(), created, face)])
    }

    pub(super) fn update_milestone(
        &self,
        id: &MilestoneId,
        patch: &Body<MilestoneDraft>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let before = self.milestone(id.as_str())?;
        let patch = asked(patch)?;
        let milestone = before.facts.with(patch)?;
        not_empty(patch)?;
        if milestone == before.facts {
            return Ok(vec![]);
        }
        let face = audit("updated", "MILESTONE", id.as_str(), &milestone.name, context.actor);
        let updated = MilestoneUpdated { project_id: before.project_id.clone(), milestone };
        Ok(vec![Draft::public(id.as_str(), updated, face)])
    }
}

impl MilestoneFacts {
    fn with(&self, patch: &MilestoneDraft) -> Result<Self, Rejection> {
        let mut facts = self.clone();
        if let Some(wish) = &patch.name {
            facts.name = name(Some(wish))?;
        }
        if let Some(status) = &patch.status {
            let all = MilestoneStatus::ALL.iter().map(|status| status.as_str());
            facts.status = word(MilestoneStatus::parse(status), "status", all)?;
        }
        if let Some(day) = &patch.target_date {
            facts.target_date = date("target_date", day)?;
        }
        if let Some(text) = &patch.description {
            facts.description = description(text)?;
        }
        patch.position.iter().for_each(|position| facts.position = *position);
        Ok(facts)
    }
}

impl Unfolding<'_> {
    /// A milestone goes, from issues and templates too.
    pub(super) fn delete_milestone(&mut self, id: &MilestoneId) -> Result<(), Rejection> {
        let milestone = self.state.milestone(id.as_str())?.clone();
        let issues = self.state.issues.of_milestone(id).map(|issue| issue.id.clone()).collect();
        self.detach(&Detached::Milestone(id.clone()), issues);
        self.change_templates(|template| drop(template.milestone_id.take_if(|own| own == id)));
        let face = audit("deleted", "MILESTONE", id.as_str(), &milestone.facts.name, self.context.actor);
        self.add(Draft::public(id.as_str(), MilestoneDeleted { project_id: milestone.project_id }, face));
        Ok(())
    }
}
