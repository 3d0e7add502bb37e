//! A page of a list: which issues, in which order, from where on.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use taffrail_domain::issue::{Issue, IssuePriority, IssueStatus};
use taffrail_domain::{CrewId, LabelId, MilestoneId, MissionId, ProjectId, Text, Time, Workspace};

use super::bits::{Bits, Mask};
use super::{Facet, IssueBoard, Placed, due_key};
use crate::ranked::Ranked;

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

/// Sorting costs about this many steps of walking, for each issue.
const SORT_STEPS: usize = 4;

/// Those that are due on a day begin here, in the order of [`SortBy::Due`]: before them are those that are not.
const DATED: Placed = (1, 0);

/// Behind everything in any order.
const END: Placed = (u64::MAX, u32::MAX);

/// Keeps those that stand between two places in an order.
fn keep_between(mask: &mut Mask, sorted: &Ranked<Placed>, first: Placed, end: Placed) {
    let (first, end) = (sorted.rank(first), sorted.rank(end));
    let between = sorted.ascending(first).take(end.saturating_sub(first));
    mask.keep(&Mask::of_ordinals(between.map(|(_, ordinal)| ordinal)));
}

/// An order as a list walks it, by how many it has passed.
struct Walk<'a> {
    sorted: &'a Ranked<Placed>,
    order: IssueOrder,
    /// How many at the beginning of `sorted` come last.
    undated: usize,
}

impl<'a> Walk<'a> {
    fn of(sorted: &'a Ranked<Placed>, order: IssueOrder) -> Self {
        let mut walk = Self { sorted, order, undated: 0 };
        if walk.comes_last((0, 0)) {
            walk.undated = sorted.rank(DATED);
        }
        walk
    }

    /// Those without a date are last either way.
    fn comes_last(&self, placed: Placed) -> bool {
        self.order.by == SortBy::Due && self.order.is_ascending && placed < DATED
    }

    fn compare(&self, one: &Placed, other: &Placed) -> Ordering {
        match self.order.is_ascending {
            true => (self.comes_last(*one), one).cmp(&(self.comes_last(*other), other)),
            false => other.cmp(one),
        }
    }

    /// How many have been passed where a list has come behind a place.
    fn passed(&self, place: Placed) -> usize {
        let before = self.sorted.rank(place);
        if !self.order.is_ascending {
            return self.sorted.len() - before;
        }
        let through = before + usize::from(self.sorted.contains(place));
        match self.comes_last(place) {
            true => self.sorted.len() - self.undated + through,
            false => through - self.undated,
        }
    }

    fn from(&self, passed: usize) -> Box<dyn Iterator<Item = Placed> + 'a> {
        if !self.order.is_ascending {
            return Box::new(self.sorted.descending(passed));
        }
        let undated = self.sorted.ascending(0).take(self.undated);
        match passed.checked_sub(self.sorted.len() - self.undated) {
            Some(passed) => Box::new(undated.skip(passed)),
            None => Box::new(self.sorted.ascending(self.undated + passed).chain(undated)),
        }
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
        // All of them are known without copying a bit for each.
        let mask = match *filter == IssueFilter::default() && fits.is_none() {
            true => None,
            false => match self.matching(filter, fits, state) {
                Some(mask) => Some(mask),
                None => return IssuePage::default(),
            },
        };
        let total = mask.as_ref().map_or(self.len(), Mask::len);
        let behind = behind.map(|place| place.placed);
        let placed = self.placed(mask.as_ref(), total, order, (skip, behind), limit + 1);
        let next = (placed.len() > limit).then(|| placed.get(limit.wrapping_sub(1))).flatten();
        let next = next.map(|placed| IssuePlace { order, placed: *placed });
        let ids = placed.iter().take(limit).filter_map(|(_, ordinal)| self.ids.get(*ordinal as usize));
        IssuePage { ids: ids.cloned().collect(), total, next }
    }

    /// The ordinals of those that match and that `fits` says yes to; `None` if none can.
    fn matching(
        &self,
        filter: &IssueFilter,
        fits: Option<&dyn Fn(&Issue) -> bool>,
        state: &Workspace,
    ) -> Option<Mask> {
        let mask = self.mask(filter, state)?;
        let Some(fits) = fits else { return Some(mask) };
        let is_one = |ordinal: &u32| {
            let issue = self.ids.get(*ordinal as usize).and_then(|id| state.issues.all.get(id));
            issue.is_some_and(|issue| fits(issue))
        };
        Some(Mask::of_ordinals(mask.iter().filter(is_one)))
    }

    /// The next few in order. A wide set is met soon when the order is walked; a narrow one is sorted.
    fn placed(
        &self,
        mask: Option<&Mask>,
        total: usize,
        order: IssueOrder,
        (skip, behind): (usize, Option<Placed>),
        limit: usize,
    ) -> Vec<Placed> {
        if total == 0 {
            return vec![];
        }
        let walk = Walk::of(self.sorted(order.by), order);
        let passed = behind.map_or(0, |place| walk.passed(place));
        let Some(mask) = mask.filter(|_| total < walk.sorted.len()) else {
            return walk.from(passed.saturating_add(skip)).take(limit).collect();
        };
        let ahead = skip.saturating_add(limit);
        if ahead.saturating_mul(walk.sorted.len() / total + 1) <= total.saturating_mul(SORT_STEPS) {
            return walk
                .from(passed)
                .filter(|placed| mask.contains(placed.1))
                .skip(skip)
                .take(limit)
                .collect();
        }
        let placed = mask.iter().filter_map(|ordinal| Some((self.key(order.by, ordinal)?, ordinal)));
        let is_ahead = |placed: &Placed| behind.is_none_or(|place| walk.compare(placed, &place).is_gt());
        let mut all: Vec<Placed> = placed.filter(is_ahead).collect();
        if all.len() > ahead {
            all.select_nth_unstable_by(ahead, |one, other| walk.compare(one, other));
            all.truncate(ahead);
        }
        all.sort_unstable_by(|one, other| walk.compare(one, other));
        all.into_iter().skip(skip).collect()
    }

    fn sorted(&self, by: SortBy) -> &Ranked<Placed> {
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
            keep_between(mask, due, DATED, (due_key(before), 0));
        }
        if let Some(after) = &filter.due_after {
            keep_between(mask, due, (due_key(after).saturating_add(1), 0), END);
        }
        if let Some(since) = filter.updated_since {
            keep_between(mask, self.sorted(SortBy::Updated), (since.0, 0), END);
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
