//! What a triage rule makes of an issue (`issues.md` 16).

use super::update::Revision;
use super::{Action, Cause, Issue, IssueFacts, IssueUpdated, Seat};
use crate::Text;
use crate::unfolding::Unfolding;

impl Unfolding<'_> {
    /// Writes it, with a line for whatever changed and one for the rule. Whether anything did.
    pub(crate) fn triage_issue(
        &mut self,
        issue: &Issue,
        seat: Option<Seat>,
        facts: IssueFacts,
        rule: &Text,
    ) -> bool {
        let crew = seat.as_ref().and_then(|seat| self.state.roster.crews.get(&seat.crew_id));
        let crew = crew.map(|crew| Action::CrewChanged(crew.facts.slug.clone()));
        let updated = IssueUpdated {
            cause: Cause::Triage,
            seat,
            changes: issue.facts.changes_to(&facts).map(Box::new),
            ..IssueUpdated::default()
        };
        let revision = Revision { updated, facts };
        if revision.is_empty() {
            return false;
        }
        let actor = self.context.actor.clone();
        self.apply_revision(issue, revision, &actor);
        if let Some(issue) = self.state.issues.all.get(&issue.id).cloned() {
            crew.iter().for_each(|moved| self.note_issue(&issue, moved, &actor));
            self.note_issue(&issue, &Action::Triaged(rule.clone()), &actor);
        }
        true
    }
}
