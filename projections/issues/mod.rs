//! The lists of issues: by any conditions, in any order, and what changed since when.
//!
//! Each issue has an ordinal, its place by creation. Each value that a list can ask for has the set of its
//! ordinals, and each order the sorted pairs of key and ordinal: no list walks over all issues.

mod bits;
mod changes;
mod log;
mod select;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::{Issue, IssueEvent, IssuePriority, IssueStatus, ordered};
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::{
    CrewId, Entry, Event, LabelId, MilestoneId, MissionId, Offset, ProjectId, Text, Workspace,
};

use crate::ranked::Ranked;
use bits::Bits;
pub use changes::{Change, Changes, Thing};
pub use log::IssueLog;
pub use select::{IssueFilter, IssueOrder, IssuePage, IssuePlace, SortBy, Wanted};

/// A value that lists ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Facet {
    All,
    Status(IssueStatus),
    Priority(IssuePriority),
    Crew(CrewId),
    Project(Option<ProjectId>),
    Milestone(Option<MilestoneId>),
    Assignee(Option<Text>),
    Label(LabelId),
    Unlabelled,
    Parent(bool),
}

/// A key of an order, and the ordinal that breaks ties.
type Placed = (u64, u32);

/// The lists of issues.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IssueBoard {
    /// The issue of each ordinal; stays when it is deleted.
    ids: Vector<MissionId>,
    /// Where each ordinal was born: ascending.
    births: Vector<Offset>,
    /// The keys of each ordinal, in the order of [`SortBy`].
    keys: Vector<[u64; 5]>,
    facets: OrdMap<Facet, Bits>,
    /// The sorted pairs of each order, in the order of [`SortBy`].
    orders: [Ranked<Placed>; 5],
}

/// An issue as lists see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    id: MissionId,
    born: Offset,
    facets: Vec<Facet>,
    /// In the order of [`SortBy`].
    keys: [u64; 5],
}

impl Row {
    fn of(issue: &Issue) -> Self {
        let facts = &issue.facts;
        let mut facets = vec![
            Facet::All,
            Facet::Status(issue.status),
            Facet::Priority(facts.priority),
            Facet::Crew(issue.crew_id.clone()),
            Facet::Project(facts.project_id.clone()),
            Facet::Milestone(facts.milestone_id.clone()),
            Facet::Assignee(facts.assignee.as_ref().map(|party| party.id.clone())),
            Facet::Parent(facts.parent_issue_id.is_some()),
        ];
        match facts.labels.is_empty() {
            true => facets.push(Facet::Unlabelled),
            false => facets.extend(facts.labels.iter().cloned().map(Facet::Label)),
        }
        Self {
            id: issue.id.clone(),
            born: issue.born,
            facets,
            keys: [
                issue.created_at.0,
                issue.updated_at.0,
                facts.priority as u64,
                ordered(facts.sort_order),
                facts.due_date.as_deref().map_or(0, due_key),
            ],
        }
    }
}

/// A day, or a moment, in ms; never 0, which stands for none.
pub(crate) fn due_key(text: &str) -> u64 {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let moment = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    // Days are counted: the last one that can be written is beyond all moments.
    let day = || text.parse::<jiff::civil::Date>().ok();
    let ms = moment.or_else(|| Some(i64::from((day()? - jiff::civil::date(1970, 1, 1)).get_days()) * DAY_MS));
    // Days before the epoch come first, in their order.
    ms.unwrap_or(0).saturating_add(1 << 52).unsigned_abs().max(1)
}

/// The issues that an entry may change in lists.
fn touched(entry: &Entry, state: &Workspace) -> Vec<MissionId> {
    match &entry.event {
        Some(Event::Issue(event)) => match event {
            IssueEvent::IssueCreated(_) | IssueEvent::IssueUpdated(_) | IssueEvent::IssueDeleted(_) => {
                vec![(&*entry.subject).into()]
            }
            IssueEvent::IssuesDetached(detached) => detached.issues.clone(),
            IssueEvent::IssuesPlaced(placed) => {
                placed.places.iter().map(|place| place.issue_id.clone()).collect()
            }
            IssueEvent::IssueNoted(_)
            | IssueEvent::Commented(_)
            | IssueEvent::CommentEdited(_)
            | IssueEvent::CommentDeleted(_)
            | IssueEvent::Mentioned(_)
            | IssueEvent::Related(_)
            | IssueEvent::Unrelated(_)
            | IssueEvent::AttachmentAdded(_)
            | IssueEvent::AttachmentRemoved(_)
            | IssueEvent::IssuesBulkUpdated(_) => vec![],
        },
        Some(Event::Roster(RosterEvent::CrewDeleted(_))) => {
            state.issues.of_crew(&CrewId::from(&*entry.subject)).cloned().collect()
        }
        _ => vec![],
    }
}

impl IssueBoard {
    /// What an entry may change, as it is before.
    pub(crate) fn rows(entry: &Entry, before: &Workspace) -> Vec<Row> {
        let issues = touched(entry, before).into_iter().filter_map(|id| before.issues.all.get(&id).cloned());
        issues.map(|issue| Row::of(&issue)).collect()
    }

    /// Folds one entry in; `before` is what [`IssueBoard::rows`] told of it.
    pub(crate) fn apply(&mut self, entry: &Entry, before: &[Row], after: &Workspace) {
        if let Some(Event::Issue(IssueEvent::IssueCreated(_))) = &entry.event
            && let Some(issue) = after.issues.all.get(&*entry.subject)
        {
            self.ids.push_back(issue.id.clone());
            self.births.push_back(issue.born);
            self.keys.push_back([0; 5]);
            return self.change(None, Some(&Row::of(issue)));
        }
        for row in before {
            let now = after.issues.all.get(&row.id).map(|issue| Row::of(issue));
            self.change(Some(row), now.as_ref());
        }
    }

    fn change(&mut self, before: Option<&Row>, after: Option<&Row>) {
        let Some(ordinal) = before.or(after).and_then(|row| self.ordinal(row.born)) else { return };
        let has = |row: Option<&Row>, facet: &Facet| row.is_some_and(|row| row.facets.contains(facet));
        for facet in before.iter().flat_map(|row| &row.facets).filter(|facet| !has(after, facet)) {
            self.leave(facet, ordinal);
        }
        for facet in after.iter().flat_map(|row| &row.facets).filter(|facet| !has(before, facet)) {
            self.facets.entry(facet.clone()).or_default().insert(ordinal);
        }
        for (by, order) in self.orders.iter_mut().enumerate() {
            let (was, is) = (before.map(|row| row.keys[by]), after.map(|row| row.keys[by]));
            if was != is {
                if let Some(key) = was {
                    order.remove((key, ordinal));
                }
                if let Some(key) = is {
                    order.insert((key, ordinal));
                }
            }
        }
        if let (Some(after), Some(keys)) = (after, self.keys.get_mut(ordinal as usize)) {
            *keys = after.keys;
        }
    }

    fn leave(&mut self, facet: &Facet, ordinal: u32) {
        let Some(bits) = self.facets.get_mut(facet) else { return };
        bits.remove(ordinal);
        if bits.len() == 0 {
            self.facets.remove(facet);
        }
    }

    fn ordinal(&self, born: Offset) -> Option<u32> {
        self.births.binary_search(&born).ok().and_then(|at| u32::try_from(at).ok())
    }

    /// How many issues there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.facets.get(&Facet::All).map_or(0, Bits::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those in a status: what a board's column shows.
    #[must_use]
    pub fn count_in(&self, status: IssueStatus) -> usize {
        self.facets.get(&Facet::Status(status)).map_or(0, Bits::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_what_they_stand_for() {
        let numbers = [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 0.1, 7.0, 1e300];
        assert!(numbers.windows(2).all(|pair| ordered(pair[0]) <= ordered(pair[1])));
        let days = [
            "0000-01-01",
            "1950-01-01",
            "1970-01-01",
            "2026-01-01",
            "2026-01-01T00:00:01Z",
            "2026-01-02",
            "9999-12-30",
            "9999-12-31",
        ];
        assert!(days.windows(2).all(|pair| due_key(pair[0]) < due_key(pair[1])), "{days:?}");
    }
}
