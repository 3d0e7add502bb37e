//! The journal list: one packed row per offset, scanned newest first, and posting lists.

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};
use taffrail_domain::marker::MarkerEvent;
use taffrail_domain::{ActorType, Entry, Event, Face, Offset, Priority, Severity, Text, Time, Workspace};

/// Which entries, all conditions together (`journal.md` 3.1). An empty list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these crews.
    pub crews: Vec<String>,
    /// Any of these agents.
    pub agents: Vec<String>,
    /// This mission, living or not.
    pub mission: Option<String>,
    /// This trace.
    pub trace: Option<String>,
    /// This run: as trace or as actor.
    pub run: Option<String>,
    /// Any of these types.
    pub types: Vec<String>,
    /// None of these types.
    pub types_excluded: Vec<String>,
    /// Any of these severities; a word that is none matches nothing.
    pub severities: Vec<String>,
    /// Any of these sorts of actor; a word that is none matches nothing.
    pub actor_types: Vec<String>,
    /// Any of these markers.
    pub priorities: Vec<Priority>,
    /// Not before.
    pub since: Option<Time>,
    /// Not after.
    pub until: Option<Time>,
    /// Only behind this offset.
    pub after: Option<Offset>,
    /// Only before this offset.
    pub before: Option<Offset>,
    /// Only these, ascending: what a full-text index found.
    pub within: Option<Vec<Offset>>,
}

/// Which end first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The list as people read it.
    #[default]
    NewestFirst,
    /// The list as programs catch up.
    OldestFirst,
}

/// A name in the row of an entry; 0 is none.
type Name = u32;

/// What a filter asks of one entry, in 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    time: Time,
    entry_type: Name,
    crew: Name,
    agent: Name,
    trace: Name,
    actor: Name,
    severity: Severity,
    priority: Priority,
    actor_type: ActorType,
}

/// Every entry's row, by offset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Row of offset `n` at `n - 1`; an internal entry has type 0.
    rows: Vector<Row>,
    public: u64,
    names: OrdMap<Text, Name>,
    texts: Vector<Text>,
    traces: OrdMap<Name, Vector<Offset>>,
}

impl Default for Timeline {
    fn default() -> Self {
        let texts = Vector::unit(Text::from(""));
        Self { rows: Vector::new(), public: 0, names: OrdMap::new(), texts, traces: OrdMap::new() }
    }
}

impl Timeline {
    /// The public type of the entry at an offset; `None` if there is none the public sees.
    #[must_use]
    pub fn entry_type(&self, offset: Offset) -> Option<&str> {
        let row = self.row(offset).filter(|row| row.entry_type != 0)?;
        self.texts.get(row.entry_type as usize).map(|text| &**text)
    }

    /// The marker of the entry at an offset.
    #[must_use]
    pub fn priority(&self, offset: Offset) -> Priority {
        self.row(offset).map(|row| row.priority).unwrap_or_default()
    }

    /// The last offset whose entry is not later than `time`; 0 if all are.
    #[must_use]
    pub fn until(&self, time: Time) -> Offset {
        // Times never decrease, so the rows are sorted by them.
        Offset(partition(&self.rows, |row| row.time <= time) as u64)
    }

    /// Offsets that match, in order, at most `limit`.
    #[must_use]
    pub fn select(&self, filter: &Filter, order: Order, limit: usize, state: &Workspace) -> Vec<Offset> {
        let mut found = vec![];
        self.scan(filter, order, state, |offset| {
            found.push(offset);
            found.len() < limit
        });
        found
    }

    /// How many match.
    #[must_use]
    pub fn count(&self, filter: &Filter, state: &Workspace) -> u64 {
        if *filter == Filter::default() {
            return self.public;
        }
        let mut count = 0;
        self.scan(filter, Order::OldestFirst, state, |_| {
            count += 1;
            true
        });
        count
    }

    /// Calls `found` with each match until it says stop.
    fn scan(&self, filter: &Filter, order: Order, state: &Workspace, mut found: impl FnMut(Offset) -> bool) {
        let Some(matcher) = Matcher::new(filter, self) else { return };
        let (first, last) = self.range(filter);
        let mut check = |offset: Offset, row: &Row| !matcher.matches(row) || found(offset);
        let step = |offset: Offset| self.row(offset).is_none_or(|row| check(offset, row));
        let mission = filter.mission.as_ref().map(|mission| state.histories.get(mission.as_str()));
        if let Some(within) = &filter.within {
            let from = within.partition_point(|offset| *offset < first);
            let to = within.partition_point(|offset| *offset <= last).max(from);
            let shows =
                |offset: &Offset| mission.is_none_or(|mission| mission.is_some_and(|it| it.shows(*offset)));
            return each(within[from..to].iter().copied().filter(shows), order, step);
        }
        let nothing = Vector::new();
        let postings = match (mission, matcher.trace) {
            (Some(mission), _) => Some(mission.map_or(&nothing, |history| &history.public)),
            (None, Some(trace)) => Some(self.traces.get(&trace).unwrap_or(&nothing)),
            (None, None) => None,
        };
        match postings {
            Some(offsets) => {
                let from = partition(offsets, |offset| *offset < first);
                let to = partition(offsets, |offset| *offset <= last).max(from);
                each(offsets.focus().narrow(from..to).into_iter().copied(), order, step);
            }
            None => {
                let from = usize::try_from(first.0 - 1).unwrap_or(usize::MAX).min(self.rows.len());
                let to = usize::try_from(last.0).unwrap_or(usize::MAX).clamp(from, self.rows.len());
                let rows = self.rows.focus().narrow(from..to).into_iter();
                match order {
                    Order::OldestFirst => (first.0..)
                        .zip(rows)
                        .take_while(|(offset, row)| check(Offset(*offset), row))
                        .for_each(drop),
                    Order::NewestFirst => (0..to as u64)
                        .rev()
                        .zip(rows.rev())
                        .take_while(|(index, row)| check(Offset(index + 1), row))
                        .for_each(drop),
                }
            }
        }
    }

    /// First and last offset that time and position allow.
    fn range(&self, filter: &Filter) -> (Offset, Offset) {
        let mut first = filter.after.map_or(1, |after| after.0.saturating_add(1));
        if let Some(since) = filter.since {
            first = first.max(partition(&self.rows, |row| row.time < since) as u64 + 1);
        }
        let mut last = filter.before.map_or(u64::MAX, |before| before.0.saturating_sub(1));
        if let Some(until) = filter.until {
            last = last.min(self.until(until).0);
        }
        (Offset(first), Offset(last.min(self.rows.len() as u64)))
    }

    fn row(&self, offset: Offset) -> Option<&Row> {
        self.rows.get(usize::try_from(offset.0.checked_sub(1)?).ok()?)
    }

    pub(crate) fn apply(&mut self, entry: &Entry) {
        let row = match &entry.face {
            Some(face) => self.public_row(face, entry),
            None => Row {
                time: entry.time,
                entry_type: 0,
                crew: 0,
                agent: 0,
                trace: 0,
                actor: 0,
                severity: Severity::Info,
                priority: Priority::Normal,
                actor_type: ActorType::System,
            },
        };
        self.rows.push_back(row);
        if let Some(Event::Marker(MarkerEvent::PriorityChanged(changed))) = &entry.event {
            self.mark(changed.target, changed.new);
        }
    }

    fn mark(&mut self, target: Offset, priority: Priority) {
        let index = target.0.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let row = index.and_then(|index| self.rows.get_mut(index));
        row.into_iter().for_each(|row| row.priority = priority);
    }

    /// Every `run.started` since a time, oldest first: when, of which run, of which crew.
    pub fn runs_started(&self, since: Time) -> impl Iterator<Item = (Time, &str, &str)> + '_ {
        let first = partition(&self.rows, |row| row.time < since);
        let started = self.names.get("run.started").copied();
        let rows = self.rows.focus().narrow(first..).into_iter();
        rows.filter(move |row| Some(row.entry_type) == started)
            .map(|row| (row.time, self.text(row.trace), self.text(row.crew)))
    }

    fn text(&self, name: Name) -> &str {
        self.texts.get(name as usize).map_or("", |text| &**text)
    }

    fn public_row(&mut self, face: &Face, entry: &Entry) -> Row {
        self.public += 1;
        let trace = self.intern(face.trace_id.as_deref());
        if trace != 0 {
            self.traces.entry(trace).or_default().push_back(entry.offset);
        }
        Row {
            time: entry.time,
            entry_type: self.intern(Some(&*face.entry_type)),
            crew: self.intern(face.crew_id.as_ref().map(|id| id.as_str())),
            agent: self.intern(face.agent_id.as_ref().map(|id| id.as_str())),
            trace,
            actor: self.intern(face.actor_id.as_deref()),
            severity: face.severity,
            priority: Priority::Normal,
            actor_type: face.actor_type,
        }
    }

    fn intern(&mut self, text: Option<&str>) -> Name {
        let Some(text) = text else { return 0 };
        if let Some(name) = self.names.get(text) {
            return *name;
        }
        // 2^32 distinct crews, agents, traces and actors do not fit any machine; past them rows go unnamed.
        let name = Name::try_from(self.texts.len()).unwrap_or(0);
        self.texts.push_back(text.into());
        self.names.insert(text.into(), name);
        name
    }
}

/// Steps through ascending offsets from the end that the order begins with, until a step says stop.
fn each(
    offsets: impl DoubleEndedIterator<Item = Offset>,
    order: Order,
    mut step: impl FnMut(Offset) -> bool,
) {
    match order {
        Order::OldestFirst => offsets.take_while(|offset| step(*offset)).for_each(drop),
        Order::NewestFirst => offsets.rev().take_while(|offset| step(*offset)).for_each(drop),
    }
}

/// Index of the first element that does not satisfy `is_before`, in a sorted vector.
fn partition<T: Clone>(sorted: &Vector<T>, mut is_before: impl FnMut(&T) -> bool) -> usize {
    let (mut low, mut high) = (0, sorted.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match sorted.get(middle) {
            Some(element) if is_before(element) => low = middle + 1,
            _ => high = middle,
        }
    }
    low
}

/// The wished values that exist: `Some(None)` asks for nothing, `None` asks only for what does not exist.
#[expect(clippy::option_option, reason = "no wish and an impossible wish are two things")]
fn wanted<T>(words: &[String], mut known: impl FnMut(&str) -> Option<T>) -> Option<Option<Vec<T>>> {
    if words.is_empty() {
        return Some(None);
    }
    let values: Vec<T> = words.iter().filter_map(|word| known(word)).collect();
    (!values.is_empty()).then_some(Some(values))
}

/// A filter in the timeline's names.
struct Matcher {
    crews: Option<Vec<Name>>,
    agents: Option<Vec<Name>>,
    trace: Option<Name>,
    run: Option<Name>,
    types: Option<Vec<Name>>,
    types_excluded: Vec<Name>,
    severities: Option<Vec<Severity>>,
    actor_types: Option<Vec<ActorType>>,
    priorities: Option<Vec<Priority>>,
}

impl Matcher {
    /// `None` if all it asks for is something the timeline never saw: nothing can match.
    fn new(filter: &Filter, timeline: &Timeline) -> Option<Self> {
        let name = |text: &String| timeline.names.get(text.as_str()).copied();
        let names = |texts: &[String]| texts.iter().filter_map(name).collect::<Vec<_>>();
        let any_of = |texts: &[String]| wanted(texts, |text| timeline.names.get(text).copied());
        let single = |text: &Option<String>| match text {
            None => Some(None),
            Some(text) => name(text).map(Some),
        };
        Some(Self {
            crews: any_of(&filter.crews)?,
            agents: any_of(&filter.agents)?,
            trace: single(&filter.trace)?,
            run: single(&filter.run)?,
            types: any_of(&filter.types)?,
            types_excluded: names(&filter.types_excluded),
            severities: wanted(&filter.severities, Severity::parse)?,
            actor_types: wanted(&filter.actor_types, ActorType::parse)?,
            priorities: (!filter.priorities.is_empty()).then(|| filter.priorities.clone()),
        })
    }

    fn matches(&self, row: &Row) -> bool {
        fn any<T: PartialEq>(wanted: Option<&Vec<T>>, have: &T) -> bool {
            wanted.is_none_or(|wanted| wanted.contains(have))
        }
        row.entry_type != 0
            && any(self.types.as_ref(), &row.entry_type)
            && !self.types_excluded.contains(&row.entry_type)
            && any(self.crews.as_ref(), &row.crew)
            && any(self.agents.as_ref(), &row.agent)
            && self.trace.is_none_or(|trace| row.trace == trace)
            && self.run.is_none_or(|run| row.trace == run || row.actor == run)
            && any(self.severities.as_ref(), &row.severity)
            && any(self.actor_types.as_ref(), &row.actor_type)
            && any(self.priorities.as_ref(), &row.priority)
    }
}

#[cfg(test)]
mod tests {
    use taffrail_domain::Actor;

    use super::*;

    /// Entries of two runs and one of none; the second run is known by its actor only.
    fn runs() -> Timeline {
        let mut timeline = Timeline::default();
        for (offset, trace, actor) in
            [(1, Some("run1"), "ada"), (2, None, "run2"), (3, None, "ada"), (4, Some("run1"), "eve")]
        {
            let face = Face {
                trace_id: trace.map(Text::from),
                actor_id: Some(actor.into()),
                ..Face::new("run.started", &Actor::System, "run", "")
            };
            let (offset, time, subject) = (Offset(offset), Time(offset), "run".into());
            timeline.apply(&Entry {
                offset,
                time,
                subject,
                actor: Actor::System,
                event: None,
                face: Some(face),
            });
        }
        timeline
    }

    fn found(filter: &Filter) -> Vec<u64> {
        let (timeline, state) = (runs(), Workspace::default());
        let offsets = timeline.select(filter, Order::NewestFirst, 10, &state);
        assert_eq!(timeline.count(filter, &state), offsets.len() as u64);
        offsets.into_iter().map(|offset| offset.0).collect()
    }

    #[test]
    fn a_trace_is_found_by_its_postings_within_the_range_asked() {
        let trace = |id: &str| Filter { trace: Some(id.into()), ..Filter::default() };
        assert_eq!(found(&trace("run1")), [4, 1]);
        assert_eq!(found(&Filter { after: Some(Offset(1)), ..trace("run1") }), [4]);
        assert_eq!(found(&Filter { before: Some(Offset(4)), ..trace("run1") }), [1]);
        assert_eq!(found(&trace("run2")), [0; 0]);
    }

    #[test]
    fn what_an_index_found_is_narrowed_by_all_else_and_comes_in_either_order() {
        let within = |offsets: &[u64]| Filter {
            within: Some(offsets.iter().copied().map(Offset).collect()),
            ..Filter::default()
        };
        assert_eq!(found(&within(&[1, 3, 4, 9])), [4, 3, 1]);
        assert_eq!(found(&Filter { trace: Some("run1".into()), ..within(&[1, 2, 3]) }), [1]);
        assert_eq!(
            found(&Filter { after: Some(Offset(1)), before: Some(Offset(4)), ..within(&[1, 3, 4]) }),
            [3]
        );
        assert_eq!(found(&Filter { mission: Some("none".into()), ..within(&[1]) }), [0; 0]);
        assert_eq!(found(&within(&[])), [0; 0]);
        let (timeline, state) = (runs(), Workspace::default());
        let oldest = timeline.select(&within(&[1, 3, 4]), Order::OldestFirst, 2, &state);
        assert_eq!(oldest, [Offset(1), Offset(3)]);
    }

    #[test]
    fn a_run_is_found_as_trace_and_as_actor() {
        let run = |id: &str| Filter { run: Some(id.into()), ..Filter::default() };
        assert_eq!((found(&run("run1")), found(&run("run2"))), (vec![4, 1], vec![2]));
        assert_eq!(found(&run("run3")), [0; 0]);
    }
}
