//! A page of a list: which issues, in which order, from where on.

use std::collections::BTreeSet;
use std::ops::Bound;

use imbl::OrdSet;
use taffrail_domain::issue::{Issue, IssuePriority, IssueStatus};
use taffrail_domain::{CrewId, LabelId, MilestoneId, MissionId, ProjectId, Text, Time, Workspace};

use super::bits::{Bits, Mask};
use super::{Facet, IssueBoard, Placed, due_key};

/// A condition on one field: any of these values; `None` is that it has none. Without values nothing is
/// asked, unless what was asked for does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<T> {
    /// Any of these.
    pub any: Vec<T>,
    /// Whether something was asked.
    pub is_asked: bool,
}

impl<T> Default for Wanted<T> {
    fn default() -> Self {
        Self { any: vec![], is_asked: false }
    }
}

impl<T> Wanted<T> {
    /// Any of these values, of which those that make no sense are nothing.
    pub fn any_of<I: IntoIterator<Item = Option<T>>>(values: I) -> Self {
        let mut is_asked = false;
        let any = values.into_iter().inspect(|_| is_asked = true).flatten().collect();
        Self { any, is_asked }
    }
}

/// Which issues, all conditions together (`issues.md` 6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssueFilter {
    /// In any of these statuses.
    pub statuses: Wanted<IssueStatus>,
    /// Of any of these priorities.
    pub priorities: Wanted<IssuePriority>,
    /// Of any of these crews.
    pub crews: Wanted<CrewId>,
    /// In any of these projects, or in none.
    pub projects: Wanted<Option<ProjectId>>,
    /// In any of these milestones, or in none.
    pub milestones: Wanted<Option<MilestoneId>>,
    /// Assigned to any of these, or to nobody.
    pub assignees: Wanted<Option<Text>>,
    /// With any of these labels, or with none.
    pub labels: Wanted<Option<LabelId>>,
    /// With none of these labels.
    pub labels_excluded: Vec<LabelId>,
    /// Below any of these, or at the top.
    pub parents: Wanted<Option<MissionId>>,
    /// Only these.
    pub ids: Option<Vec<MissionId>>,
    /// Due before this; those without a date are not.
    pub due_before: Option<Text>,
    /// Due after this.
    pub due_after: Option<Text>,
    /// Changed at or after this.
    pub updated_since: Option<Time>,
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Creation.
    #[default]
    Created,
    /// The last change.
    Updated,
    /// How much it matters.
    Priority,
    /// The place on boards.
    SortOrder,
    /// When it is due; those without a date come last.
    Due,
}

impl SortBy {
    /// The word on the wire; others are the default.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "updated_at" => Self::Updated,
            "priority" => Self::Priority,
            "sort_order" => Self::SortOrder,
            "due_date" => Self::Due,
            _ => Self::Created,
        }
    }

    fn number(self) -> u8 {
        self as u8
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IssueOrder {
    /// By what.
    pub by: SortBy,
    /// Smallest first; else greatest first, as the API has it.
    pub is_ascending: bool,
}

/// A place in a list, as clients keep it: opaque, and good as long as the order is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuePlace {
    order: IssueOrder,
    placed: Placed,
}

impl IssuePlace {
    /// Reads what [`std::fmt::Display`] wrote, of a list in this order.
    #[must_use]
    pub fn parse(text: &str, order: IssueOrder) -> Option<Self> {
        let digits = text.strip_prefix("i_")?;
        let is_hex =
            digits.len() == 26 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || u8::from_str_radix(&digits[..2], 16).ok()? != word(order) {
            return None;
        }
        let key = u64::from_str_radix(&digits[2..18], 16).ok()?;
        let ordinal = u32::from_str_radix(&digits[18..], 16).ok()?;
        Some(Self { order, placed: (key, ordinal) })
    }
}

fn word(order: IssueOrder) -> u8 {
    order.by.number() << 1 | u8::from(order.is_ascending)
}

impl std::fmt::Display for IssuePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "i_{:02x}{:016x}{:08x}", word(self.order), self.placed.0, self.placed.1)
    }
}

/// A page, and how many issues there are on all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IssuePage {
    /// The issues, in order.
    pub ids: Vec<MissionId>,
    /// How many match.
    pub total: usize,
    /// Where the page ends, if there is more.
    pub next: Option<IssuePlace>,
}

/// From where on: a number of issues to skip, or a place.
#[derive(Clone, Copy, Debug)]
enum From {
    Skip(usize),
    Behind(Placed),
}

/// Sorting costs about this many steps of walking, for each issue.
const SORT_STEPS: usize = 4;

/// The pairs of an order, behind one of them or from its beginning. Those without a date are last either
/// way.
fn walk_from(
    sorted: &OrdSet<Placed>,
    order: IssueOrder,
    behind: Option<Placed>,
) -> Box<dyn Iterator<Item = Placed> + '_> {
    const DATED: Placed = (1, 0);
    let first = behind.map_or(Bound::Unbounded, Bound::Excluded);
    match (order.by, order.is_ascending) {
        (SortBy::Due, true) => match behind {
            Some(place) if place < DATED => Box::new(sorted.range((first, Bound::Excluded(DATED))).copied()),
            Some(_) => {
                let dated = sorted.range((first, Bound::Unbounded));
                Box::new(dated.chain(sorted.range(..DATED)).copied())
            }
            None => Box::new(sorted.range(DATED..).chain(sorted.range(..DATED)).copied()),
        },
        (_, true) => Box::new(sorted.range((first, Bound::Unbounded)).copied()),
        (_, false) => Box::new(sorted.range((Bound::Unbounded, first)).rev().copied()),
    }
}

impl IssueBoard {
    /// A page of the issues that match, and that `fits` says yes to.
    #[must_use]
    pub fn page(
        &self,
        filter: &IssueFilter,
        fits: Option<&dyn Fn(&Issue) -> bool>,
        order: IssueOrder,
        (skip, behind): (usize, Option<IssuePlace>),
        limit: usize,
        state: &Workspace,
    ) -> IssuePage {
        let Some(mut mask) = self.mask(filter, state) else { return IssuePage::default() };
        if let Some(fits) = fits {
            let is_one = |ordinal: &u32| {
                let issue = self.ids.get(*ordinal as usize).and_then(|id| state.issues.all.get(id));
                issue.is_some_and(|issue| fits(issue))
            };
            mask = Mask::of_ordinals(mask.iter().filter(is_one).collect::<Vec<_>>());
        }
        let total = mask.len();
        let from = behind.map_or(From::Skip(skip), |place| From::Behind(place.placed));
        let placed = self.placed(&mask, total, order, from, limit + 1);
        let next = (placed.len() > limit).then(|| placed.get(limit.wrapping_sub(1))).flatten();
        let next = next.map(|placed| IssuePlace { order, placed: *placed });
        let ids = placed.iter().take(limit).filter_map(|(_, ordinal)| self.ids.get(*ordinal as usize));
        IssuePage { ids: ids.cloned().collect(), total, next }
    }

    /// The next few in order. A wide set is met soon when the order is walked; a narrow one is sorted.
    fn placed(&self, mask: &Mask, total: usize, order: IssueOrder, from: From, limit: usize) -> Vec<Placed> {
        if total == 0 {
            return vec![];
        }
        let sorted = self.sorted(order.by);
        let ahead = match from {
            From::Skip(skip) => skip.saturating_add(limit),
            From::Behind(_) => limit,
        };
        let walk = ahead.saturating_mul(sorted.len() / total + 1);
        if walk > total.saturating_mul(SORT_STEPS) {
            return self.sort(mask, order, from, limit);
        }
        let is_one = |placed: &Placed| mask.contains(placed.1);
        let (skip, behind) = match from {
            From::Skip(skip) => (skip, None),
            From::Behind(place) => (0, Some(place)),
        };
        walk_from(sorted, order, behind).filter(is_one).skip(skip).take(limit).collect()
    }

    fn sort(&self, mask: &Mask, order: IssueOrder, from: From, limit: usize) -> Vec<Placed> {
        let mut all: Vec<Placed> =
            mask.iter().filter_map(|ordinal| Some((self.key(order.by, ordinal)?, ordinal))).collect();
        let last = |placed: &Placed| order.by == SortBy::Due && order.is_ascending && placed.0 == 0;
        all.sort_unstable_by_key(|placed| (last(placed), *placed));
        if !order.is_ascending {
            all.reverse();
        }
        let skip = match from {
            From::Skip(skip) => skip,
            From::Behind(place) => {
                let at = (last(&place), place);
                all.iter()
                    .position(|placed| {
                        let found = (last(placed), *placed);
                        if order.is_ascending { found > at } else { found < at }
                    })
                    .unwrap_or(all.len())
            }
        };
        all.into_iter().skip(skip).take(limit).collect()
    }

    fn sorted(&self, by: SortBy) -> &OrdSet<Placed> {
        &self.orders[by.number() as usize]
    }

    fn key(&self, by: SortBy, ordinal: u32) -> Option<u64> {
        self.keys.get(ordinal as usize).map(|keys| keys[by.number() as usize])
    }

    /// The ordinals of those that match; `None` if none can.
    fn mask(&self, filter: &IssueFilter, state: &Workspace) -> Option<Mask> {
        let mut mask = Mask::of(self.facets.get(&Facet::All)?);
        self.narrow(&mut mask, &filter.statuses, |status| Facet::Status(*status));
        self.narrow(&mut mask, &filter.priorities, |priority| Facet::Priority(*priority));
        self.narrow(&mut mask, &filter.crews, |crew| Facet::Crew(crew.clone()));
        self.narrow(&mut mask, &filter.projects, |project| Facet::Project(project.clone()));
        self.narrow(&mut mask, &filter.milestones, |milestone| Facet::Milestone(milestone.clone()));
        self.narrow(&mut mask, &filter.assignees, |party| Facet::Assignee(party.clone()));
        let label = |label: &Option<LabelId>| label.clone().map_or(Facet::Unlabelled, Facet::Label);
        self.narrow(&mut mask, &filter.labels, label);
        for label in &filter.labels_excluded {
            self.facets.get(&Facet::Label(label.clone())).iter().for_each(|set| mask.drop_all(set));
        }
        if filter.parents.is_asked {
            mask.keep(&self.below(&filter.parents, state));
        }
        if let Some(ids) = &filter.ids {
            let issues = ids.iter().filter_map(|id| state.issues.all.get(id));
            mask.keep(&Mask::of_ordinals(issues.filter_map(|issue| self.ordinal(issue.born))));
        }
        self.narrow_by_time(&mut mask, filter);
        Some(mask)
    }

    fn narrow<T>(&self, mask: &mut Mask, wanted: &Wanted<T>, facet: impl Fn(&T) -> Facet) {
        if wanted.is_asked {
            let sets: Vec<&Bits> =
                wanted.any.iter().filter_map(|value| self.facets.get(&facet(value))).collect();
            mask.keep_any(sets);
        }
    }

    fn narrow_by_time(&self, mask: &mut Mask, filter: &IssueFilter) {
        let due = self.sorted(SortBy::Due);
        if let Some(before) = &filter.due_before {
            let range = due.range((1, 0)..(due_key(before), 0));
            mask.keep(&Mask::of_ordinals(range.map(|(_, ordinal)| *ordinal)));
        }
        if let Some(after) = &filter.due_after {
            let range = due.range((due_key(after).saturating_add(1), 0)..);
            mask.keep(&Mask::of_ordinals(range.map(|(_, ordinal)| *ordinal)));
        }
        if let Some(since) = filter.updated_since {
            let range = self.sorted(SortBy::Updated).range((since.0, 0)..);
            mask.keep(&Mask::of_ordinals(range.map(|(_, ordinal)| *ordinal)));
        }
    }

    fn below(&self, parents: &Wanted<Option<MissionId>>, state: &Workspace) -> Mask {
        let mut below = BTreeSet::new();
        for parent in &parents.any {
            match parent {
                Some(parent) => {
                    let children = state.issues.children_of(parent);
                    below.extend(children.filter_map(|child| self.ordinal(child.born)));
                }
                None => {
                    let top = self.facets.get(&Facet::Parent(false));
                    below.extend(top.iter().flat_map(|set| Mask::of(set).iter().collect::<Vec<_>>()));
                }
            }
        }
        Mask::of_ordinals(below)
    }
}
