//! What may be done with labels, projects and so on, and what then is true.

use super::TrackerCommand;
use crate::issue::{Detached, IssuesDetached};
use crate::roster::Permission;
use crate::unfolding::Unfolding;
use crate::{Context, Draft, MissionId, Offset, Rejection, Workspace};

/// Most issues that one entry names: it has to fit a frame.
const DETACHED_MAX: usize = 20_000;

impl Workspace {
    pub(crate) fn decide_tracker(
        &self,
        command: &TrackerCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, needs(command))?;
        let mut unfolding = Unfolding::of(self, context);
        match command {
            TrackerCommand::CreateLabel(draft) => return self.create_label(draft, context),
            TrackerCommand::UpdateLabel { label, patch } => return self.update_label(label, patch, context),
            TrackerCommand::DeleteLabel { label } => unfolding.delete_label(label)?,
            TrackerCommand::CreateProject(draft) => return self.create_project(draft, context),
            TrackerCommand::UpdateProject { project, patch } => {
                return self.update_project(project, patch, context);
            }
            TrackerCommand::DeleteProject { project } => unfolding.delete_project(project)?,
            TrackerCommand::CreateMilestone { project, draft } => {
                return self.create_milestone(project, draft, context);
            }
            TrackerCommand::UpdateMilestone { milestone, patch } => {
                return self.update_milestone(milestone, patch, context);
            }
            TrackerCommand::DeleteMilestone { milestone } => unfolding.delete_milestone(milestone)?,
            TrackerCommand::CreateView(draft) => unfolding.create_view(draft)?,
            TrackerCommand::UpdateView { view, patch } => unfolding.update_view(view, patch)?,
            TrackerCommand::DeleteView { view } => unfolding.delete_view(view)?,
            TrackerCommand::CreateRule(draft) => return self.create_rule(draft, context),
            TrackerCommand::UpdateRule { rule, patch } => return self.update_rule(rule, patch, context),
            TrackerCommand::DeleteRule { rule } => return self.delete_rule(rule, context),
            TrackerCommand::ProcessTriage => unfolding.process_triage()?,
            TrackerCommand::CreateRecurring(draft) => return self.create_recurring(draft, context),
            TrackerCommand::UpdateRecurring { recurring, patch } => {
                return self.update_recurring(recurring, patch, context);
            }
            TrackerCommand::DeleteRecurring { recurring } => {
                return self.delete_recurring(recurring, context);
            }
            TrackerCommand::FireRecurring { recurring, due } => {
                if context.actor.user().is_some() {
                    return Err(Rejection::forbidden());
                }
                unfolding.fire_recurring(recurring, *due);
            }
        }
        Ok(unfolding.finish())
    }

    /// Where what a command is about last changed, if that can be read alone.
    pub(crate) fn tracker_changed_at(&self, command: &TrackerCommand) -> Option<Offset> {
        match command {
            TrackerCommand::UpdateProject { project, .. } | TrackerCommand::DeleteProject { project } => {
                self.project(project).ok().map(|project| project.changed)
            }
            TrackerCommand::CreateLabel(_)
            | TrackerCommand::UpdateLabel { .. }
            | TrackerCommand::DeleteLabel { .. }
            | TrackerCommand::CreateProject(_)
            | TrackerCommand::CreateMilestone { .. }
            | TrackerCommand::UpdateMilestone { .. }
            | TrackerCommand::DeleteMilestone { .. }
            | TrackerCommand::CreateView(_)
            | TrackerCommand::UpdateView { .. }
            | TrackerCommand::DeleteView { .. }
            | TrackerCommand::CreateRule(_)
            | TrackerCommand::UpdateRule { .. }
            | TrackerCommand::DeleteRule { .. }
            | TrackerCommand::ProcessTriage
            | TrackerCommand::CreateRecurring(_)
            | TrackerCommand::UpdateRecurring { .. }
            | TrackerCommand::DeleteRecurring { .. }
            | TrackerCommand::FireRecurring { .. } => None,
        }
    }
}

/// What a command asks of the role. A view is its owner's, whatever their role.
fn needs(command: &TrackerCommand) -> Permission {
    match command {
        TrackerCommand::DeleteView { .. } | TrackerCommand::FireRecurring { .. } => Permission::Read,
        TrackerCommand::DeleteLabel { .. }
        | TrackerCommand::DeleteProject { .. }
        | TrackerCommand::DeleteMilestone { .. }
        | TrackerCommand::DeleteRule { .. }
        | TrackerCommand::DeleteRecurring { .. } => Permission::Manage,
        TrackerCommand::CreateLabel(_)
        | TrackerCommand::UpdateLabel { .. }
        | TrackerCommand::CreateProject(_)
        | TrackerCommand::UpdateProject { .. }
        | TrackerCommand::CreateMilestone { .. }
        | TrackerCommand::UpdateMilestone { .. }
        | TrackerCommand::CreateView(_)
        | TrackerCommand::UpdateView { .. }
        | TrackerCommand::CreateRule(_)
        | TrackerCommand::UpdateRule { .. }
        | TrackerCommand::ProcessTriage
        | TrackerCommand::CreateRecurring(_)
        | TrackerCommand::UpdateRecurring { .. } => Permission::Create,
    }
}

impl Unfolding<'_> {
    /// Issues lose what goes. Nothing pointed to it, nothing to tell.
    pub(crate) fn detach(&mut self, from: &Detached, issues: Vec<MissionId>) {
        for issues in issues.chunks(DETACHED_MAX) {
            let detached = IssuesDetached { from: from.clone(), issues: issues.to_vec() };
            self.add(Draft::internal(from.id(), detached));
        }
    }
}
