//! What may be done with routines and their runs, and by whom.

use super::{RoutineCommand, RoutineStatus};
use crate::roster::{Capability, Permission};
use crate::unfolding::Unfolding;
use crate::{Actor, Context, Draft, Rejection, Workspace};

impl Workspace {
    pub(crate) fn decide_routine(
        &self,
        command: &RoutineCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.require_for_routine(command, context.actor)?;
        let mut unfolding = Unfolding::of(self, context);
        match command {
            RoutineCommand::Save { draft, is_tested } => unfolding.save_routine(draft, *is_tested)?,
            RoutineCommand::Approve { slug } => unfolding.approve_routine(self.routine(slug)?)?,
            RoutineCommand::Reject { slug } => unfolding.reject_routine(self.routine(slug)?)?,
            RoutineCommand::Enable { slug } => unfolding.enable_routine(self.routine(slug)?)?,
            RoutineCommand::Disable { slug } => {
                unfolding.move_routine(self.routine(slug)?, RoutineStatus::Disabled);
            }
            RoutineCommand::Delete { slug } => unfolding.delete_routine(self.routine(slug)?),
            RoutineCommand::Run { slug, draft } => unfolding.run_routine(self.routine(slug)?, draft)?,
            RoutineCommand::DryRun { slug, inputs } => {
                let planned = self.plan_of(slug, inputs)?;
                unfolding.note_dry_run(self.routine(slug)?, &planned);
            }
            RoutineCommand::RunForIssue { issue, inputs } => {
                unfolding.run_for_issue(self.issue(issue)?, inputs)?;
            }
            RoutineCommand::Cancel { run } => unfolding.cancel_run(self.routine_run(run.as_str())?)?,
            RoutineCommand::DecideWaitpoint { waitpoint, approved, comment, payload } => {
                unfolding.decide_waitpoint(waitpoint, *approved, comment.as_ref(), payload.as_ref())?;
            }
            RoutineCommand::Wake { run } => unfolding.wake_run(self.routine_run(run.as_str())?),
            RoutineCommand::StepDone { run, step, fence, outcome } => {
                unfolding.hear_of_step(self.routine_run(run.as_str())?, (step, *fence), outcome);
            }
        }
        Ok(unfolding.finish())
    }

    /// Whether somebody may run routines: by their role, or by a capability.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require_runner(&self, actor: &Actor) -> Result<(), Rejection> {
        if self.roster.is_capable(actor, Capability::RoutineRun) {
            return Ok(());
        }
        self.roster.require(actor, Permission::Create)
    }

    /// Whose role is enough: a member's for a run where a capability says so (`periphery.md` 10).
    fn require_for_routine(&self, command: &RoutineCommand, actor: &Actor) -> Result<(), Rejection> {
        let permission = match command {
            RoutineCommand::Save { draft, .. } => {
                let skips = [draft.skip_test_gate, draft.skip_governance_gate];
                if skips.contains(&Some(true)) { Permission::Manage } else { Permission::Create }
            }
            RoutineCommand::Approve { .. }
            | RoutineCommand::DryRun { .. }
            | RoutineCommand::Reject { .. }
            | RoutineCommand::DecideWaitpoint { .. } => Permission::Create,
            RoutineCommand::Enable { .. }
            | RoutineCommand::Disable { .. }
            | RoutineCommand::Delete { .. }
            | RoutineCommand::Cancel { .. } => Permission::Manage,
            RoutineCommand::Run { .. } | RoutineCommand::RunForIssue { .. } => {
                return self.require_runner(actor);
            }
            // Nobody but the engine knows of these.
            RoutineCommand::Wake { .. } | RoutineCommand::StepDone { .. } => {
                return if actor.user().is_some() { Err(Rejection::forbidden()) } else { Ok(()) };
            }
        };
        self.roster.require(actor, permission)
    }
}
