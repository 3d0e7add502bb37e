//! A place on a board, before or after another issue (`issues.md` 22): callers never count.
//!
//! Boards show the issues of one status by `sort_order` and age. Between two that differ there is always a
//! number; where several stand on one, those behind the new place are moved a little on.

use std::ops::Bound;
use std::sync::Arc;

use super::update::edited_face;
use super::{BoardPlace, Cause, Issue, IssueChanges, IssueUpdated, Issues, IssuesPlaced, Place, Placed};
use crate::unfolding::Unfolding;
use crate::{Draft, MissionId, Offset, Rejection};

/// Most issues that one entry moves on: it has to fit a frame.
const PLACED_MAX: usize = 20_000;

impl Unfolding<'_> {
    pub(super) fn place_issue(&mut self, issue: &Arc<Issue>, place: &Place) -> Result<(), Rejection> {
        let (anchor, is_before) = self.anchor_of(issue, place)?;
        let (behind, ahead) = self.state.issues.beside(&anchor, &issue.id);
        let (lower, upper) = if is_before { (behind, Some(anchor)) } else { (Some(anchor), ahead) };
        let order = |issue: &Arc<Issue>| issue.facts.sort_order;
        match (&lower, &upper) {
            (Some(lower), Some(upper)) => match between(order(lower), order(upper)) {
                Some(order) => self.set_order(issue, order),
                None => self.make_room(issue, upper, order(lower)),
            },
            (Some(lower), None) => self.set_order(issue, above(order(lower))),
            (None, Some(upper)) => self.set_order(issue, -above(-order(upper))),
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

    /// Those that stand on one number from `first` on, or too close to it, share the room up to the next one.
    fn make_room(&mut self, issue: &Arc<Issue>, first: &Arc<Issue>, order: f64) {
        let mut crowded: Vec<MissionId> = vec![];
        let mut next = None;
        for other in self.state.issues.column_from(first, &issue.id) {
            if has_room(order, other.facts.sort_order, crowded.len() + 1) {
                next = Some(other.facts.sort_order);
                break;
            }
            crowded.push(other.id.clone());
        }
        let count = crowded.len() + 1;
        let mut last = order;
        let mut further = |at: usize| {
            last = next.map_or_else(|| above(last), |next| share(order, next, at, count));
            last
        };
        self.set_order(issue, further(1));
        let places: Vec<Placed> =
            (2..).zip(crowded).map(|(at, issue_id)| Placed { issue_id, sort_order: further(at) }).collect();
        for places in places.chunks(PLACED_MAX) {
            let placed = IssuesPlaced { places: places.to_vec() };
            self.add(Draft::internal(issue.id.as_str(), placed));
        }
    }

    fn set_order(&mut self, issue: &Issue, order: f64) {
        if issue.facts.sort_order == order {
            return;
        }
        let changes = IssueChanges { sort_order: Some(order), ..IssueChanges::default() };
        let updated =
            IssueUpdated { cause: Cause::Move, changes: Some(changes.into()), ..IssueUpdated::default() };
        let face = edited_face(issue, &updated, self.context.actor);
        self.add(Draft::public(issue.id.as_str(), updated, face));
    }
}

impl Issue {
    /// Where it stands on its board.
    pub(super) fn board_place(&self) -> BoardPlace {
        (self.status, ordered(self.facts.sort_order), self.born, self.id.clone())
    }
}

impl Issues {
    /// The two beside an issue on its board, before and after it, as if `but` were not there.
    fn beside(&self, issue: &Issue, but: &MissionId) -> (Option<Arc<Issue>>, Option<Arc<Issue>>) {
        let place = issue.board_place();
        let is_other = |found: &&BoardPlace| found.3 != *but;
        let first: BoardPlace = (issue.status, 0, Offset(0), MissionId::from(""));
        let before = self.columns.range(first..place.clone()).rev().find(is_other);
        let rest = self.columns.range((Bound::Excluded(place), Bound::Unbounded));
        let after = rest.take_while(|found| found.0 == issue.status).find(is_other);
        let get = |found: &BoardPlace| self.all.get(&found.3).cloned();
        (before.and_then(get), after.and_then(get))
    }

    /// An issue and those after it on its board, as if `but` were not there.
    fn column_from<'a>(
        &'a self,
        issue: &'a Issue,
        but: &'a MissionId,
    ) -> impl Iterator<Item = &'a Arc<Issue>> + 'a {
        let rest = self.columns.range(issue.board_place()..);
        let column = rest.take_while(|found| found.0 == issue.status);
        column.filter(|found| found.3 != *but).filter_map(|found| self.all.get(&found.3))
    }
}

/// A number whose order as a whole number is that of the number with a fraction.
#[must_use]
pub fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if number.is_sign_negative() { !bits } else { bits | 1 << 63 }
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

/// The `at`-th of `count` numbers that share the way between two; the whole way may be longer than any number.
#[expect(clippy::cast_precision_loss, reason = "nobody has so many issues")]
fn share(lower: f64, upper: f64, at: usize, count: usize) -> f64 {
    let part = at as f64 / (count + 1) as f64;
    lower * (1.0 - part) + upper * part
}

/// Whether so many numbers find room between two and stay apart however they are rounded.
#[expect(clippy::cast_precision_loss, reason = "nobody has so many issues")]
fn has_room(lower: f64, upper: f64, count: usize) -> bool {
    const APART: f64 = 16.0;
    let greatest = lower.abs().max(upper.abs());
    let shares = (count + 1) as f64;
    upper / shares - lower / shares > APART * (greatest - greatest.next_down())
}

#[cfg(test)]
mod tests {
    use super::{above, between, has_room, share};

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

    #[test]
    fn who_shares_a_way_stays_in_order_or_there_is_no_room() {
        let tiny = f64::from_bits(1);
        let ends = [f64::MIN, -1e9, -1.0, -tiny, 0.0, tiny, 1e-300, 1.0, 1.0_f64.next_up(), 1e9, f64::MAX];
        for (lower, upper) in ends.iter().flat_map(|lower| ends.map(|upper| (*lower, upper))) {
            for count in [1, 2, 3, 100, 30_000] {
                if !has_room(lower, upper, count) {
                    continue;
                }
                let all: Vec<f64> = (1..=count).map(|at| share(lower, upper, at, count)).collect();
                assert!(all.is_sorted_by(|one, other| one < other), "{lower} {upper} {count}");
                assert!(lower < all[0] && all[count - 1] < upper, "{lower} {upper} {count}");
            }
        }
        assert!(has_room(f64::MIN, f64::MAX, 30_000) && has_room(0.0, 1.0, 30_000));
        assert!(!has_room(1.0, 1.0, 1) && !has_room(1.0, 1.0_f64.next_up().next_up(), 2));
    }
}
