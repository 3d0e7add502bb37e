//! Labels, projects and milestones by the names that a file gives them: what is not there yet is made.

use super::project::slug_of;
use super::{LabelDraft, MilestoneDraft, ProjectDraft};
use crate::unfolding::Unfolding;
use crate::{LabelId, MilestoneId, ProjectId, Rejection};

/// What a label is colored that nobody has colored.
const LABEL_COLOR: &str = "#6b7280";

impl Unfolding<'_> {
    /// The label of a name.
    pub(crate) fn label_named(&mut self, name: &str) -> Result<LabelId, Rejection> {
        if let Some(found) = self.state.tracker.label_names.get(name.trim()) {
            return Ok(found.clone());
        }
        let draft = LabelDraft {
            name: Some(name.to_owned()),
            color: Some(LABEL_COLOR.to_owned()),
            ..LabelDraft::default()
        };
        let drafts = self.state.create_label(&draft, self.context)?;
        Ok(self.made(drafts).into())
    }

    /// The project of a slug or a name. Names that make the same slug are one project.
    pub(crate) fn project_named(&mut self, name: &str) -> Result<ProjectId, Rejection> {
        let name = name.trim();
        let by_slug = || self.state.tracker.project(&slug_of(name)?);
        let by_name = || self.state.tracker.projects.values().find(|project| *project.facts.name == *name);
        let found = self.state.tracker.project(name).or_else(by_name).or_else(by_slug);
        if let Some(found) = found {
            return Ok(found.id.clone());
        }
        let draft = ProjectDraft { name: Some(name.to_owned()), ..ProjectDraft::default() };
        let drafts = self.state.create_project(&draft, self.context)?;
        Ok(self.made(drafts).into())
    }

    /// The milestone of a name in a project.
    pub(crate) fn milestone_named(
        &mut self,
        project: &ProjectId,
        name: &str,
    ) -> Result<MilestoneId, Rejection> {
        let name = name.trim();
        let mut own = self.state.tracker.milestones_of(project);
        if let Some(found) = own.find(|milestone| *milestone.facts.name == *name) {
            return Ok(found.id.clone());
        }
        drop(own);
        let draft = MilestoneDraft { name: Some(name.to_owned()), ..MilestoneDraft::default() };
        let drafts = self.state.create_milestone(project.as_str(), &Ok(draft), self.context)?;
        Ok(self.made(drafts).into())
    }

    /// Writes what makes one thing, and tells its id.
    fn made(&mut self, drafts: Vec<crate::Draft>) -> String {
        let id = drafts.first().map(|draft| draft.subject.to_string()).unwrap_or_default();
        self.extend(drafts);
        id
    }
}
