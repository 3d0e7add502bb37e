//! A place on a board, before or after another issue (`issues.md` 22): callers never count.
//!
//! Boards show the issues of one status by `sort_order` and age. Between two that differ there is always a
//! number; where several stand on one, those behind the new place are moved a little on.

use std::sync::Arc;

use super::{Cause, Issue, IssueChanges, IssueStatus, IssueUpdated, Place};
use crate::unfolding::Unfolding;
use crate::{MissionId, Rejection, Workspace};

/// Most issues on one number that are moved on for one that comes between them.
const MOVED_MAX: usize = 1_000;

impl Unfolding<'_> {
    pub(super) fn place_issue(&mut self, issue: &Arc<Issue>, place: &Place) -> Result<(), Rejection> {
        let (anchor, is_before) = self.anchor_of(issue, place)?;
        let column = self.state.column(anchor.status, &issue.id);
        let at = column.iter().position(|other| other.id == anchor.id).unwrap_or_default();
        let at = if is_before { at } else { at + 1 };
        let lower = at.checked_sub(1).and_then(|at| column.get(at)).map(|other| other.facts.sort_order);
        let upper = column.get(at).map(|other| other.facts.sort_order);
        match (lower, upper) {
            (Some(lower), Some(upper)) => match between(lower, upper) {
                Some(order) => self.set_order(&issue.id, order),
                None => self.make_room(issue, &column, at, lower)?,
            },
            (Some(lower), None) => self.set_order(&issue.id, above(lower)),
            (None, Some(upper)) => self.set_order(&issue.id, -above(-upper)),
            (None, None) => {}
        }
        Ok(())
    }

    fn anchor_of(&self, issue: &Issue, place: &Place) -> Result<(Arc<Issue>, bool), Rejection> {
        let (field, name, is_before) = match (&place.before, &place.after) {
            (Some(name), None) => ("before", name, true),
            (None, Some(name)) => ("after", name, false),
            _ => {
                let detail = "exactly one of before and after is required";
                return Err(Rejection::invalid("issue.place", detail));
            }
        };
        let anchor = self.state.issues.named(name).filter(|anchor| anchor.id != issue.id).cloned();
        let anchor = anchor.ok_or_else(|| {
            Rejection::invalid("issue.place", format!("{field} does not exist in this workspace"))
        })?;
        Ok((anchor, is_before))
    }

    /// Those that stand on one number behind the new place share the room up to the next one.
    fn make_room(
        &mut self,
        issue: &Issue,
        column: &[Arc<Issue>],
        at: usize,
        order: f64,
    ) -> Result<(), Rejection> {
        let crowded =
            column.iter().skip(at).take_while(|other| between(order, other.facts.sort_order).is_none());
        let crowded: Vec<MissionId> = crowded.map(|other| other.id.clone()).collect();
        if crowded.len() > MOVED_MAX {
            let detail = "too many issues share this place; give them a sort_order first";
            return Err(Rejection::conflict("issue.place_crowded", detail));
        }
        let next = column.get(at + crowded.len()).map(|other| other.facts.sort_order);
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
        let shares = (crowded.len() + 2) as f64;
        // Divided first: the whole way may be longer than any number.
        let step = next.map(|next| next / shares - order / shares);
        let further = |order: f64| match step {
            Some(step) => (order + step).max(order.next_up()).min(f64::MAX),
            None => above(order),
        };
        let mut order = further(order);
        self.set_order(&issue.id, order);
        for id in crowded {
            order = further(order);
            self.set_order(&id, order);
        }
        Ok(())
    }

    fn set_order(&mut self, id: &MissionId, order: f64) {
        if self.state.issues.all.get(id).is_none_or(|issue| issue.facts.sort_order == order) {
            return;
        }
        let changes = IssueChanges { sort_order: Some(order), ..IssueChanges::default() };
        let updated =
            IssueUpdated { cause: Cause::Move, changes: Some(changes.into()), ..IssueUpdated::default() };
        self.update_issue(id, updated);
    }
}

impl Workspace {
    /// The issues of a status as boards show them, without one.
    fn column(&self, status: IssueStatus, without: &MissionId) -> Vec<Arc<Issue>> {
        let beside = self.issues.all.values().filter(|other| other.status == status && other.id != *without);
        let mut column: Vec<Arc<Issue>> = beside.cloned().collect();
        column.sort_by(|one, other| {
            one.facts.sort_order.total_cmp(&other.facts.sort_order).then(one.born.cmp(&other.born))
        });
        column
    }
}

/// The next number upwards that people would take; there is one as long as there are numbers.
fn above(order: f64) -> f64 {
    (order + 1.0).max(order.next_up()).min(f64::MAX)
}

/// A number strictly between two, if there is one.
fn between(lower: f64, upper: f64) -> Option<f64> {
    let middle = f64::midpoint(lower, upper);
    (lower < middle && middle < upper).then_some(middle)
}

#[cfg(test)]
mod tests {
    use super::{above, between};

    #[test]
    fn between_two_numbers_there_is_one_until_there_is_none() {
        assert_eq!(between(1.0, 2.0), Some(1.5));
        assert_eq!(between(1.0, 1.0), None);
        assert_eq!(between(1.0, 1.0_f64.next_up()), None);
        assert_eq!(between(f64::MIN, f64::MAX), Some(0.0));
    }

    #[test]
    fn above_a_number_there_is_one_and_it_is_never_infinite() {
        assert_eq!(above(1.0), 2.0);
        assert!(above(1e300) > 1e300);
        assert_eq!(above(f64::MAX), f64::MAX);
        assert_eq!(above(f64::MIN), f64::MIN.next_up());
    }
}
