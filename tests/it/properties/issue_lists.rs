//! After any history of issues: every list, count, log and feed equals a recount in the plainest way there is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use taffrail_domain::issue::{
    BulkDraft, BulkFields, CommentDraft, Issue, IssueCommand, IssueDraft, IssueEvent, IssuePatch,
    IssuePriority, IssueStatus, Named, Place, RelationDraft, ReviewDraft,
};
use taffrail_domain::roster::RosterCommand;
use taffrail_domain::{Command, CommentId, Event, MissionId, Offset};
use taffrail_projections::{IssueFilter, IssueOrder, SortBy, Thing, Wanted, WorkspaceWorld, World};

use super::history::History;
use crate::stories::kit::{CREW, LEAD, OTHER_CREW, WORKER, stage};

#[derive(Clone, Debug)]
enum Wish {
    Create { other: bool, parent: Option<Index>, priority: usize, due: Option<u8>, assigned: bool },
    Patch(Index, Fields),
    Bulk(Vec<Index>, Option<usize>, Option<usize>),
    Delete(Index),
    Start(Index),
    Stop(Index),
    Retry(Index),
    Review(Index, bool),
    Place(Index, Index, bool),
    Comment(Index),
    Uncomment(Index),
    Relate(Index, Index, usize),
    Unrelate(Index),
    DeleteCrew(bool),
}

#[derive(Clone, Debug)]
struct Fields {
    status: Option<usize>,
    priority: Option<usize>,
    assignee: Option<usize>,
    parent: Option<Option<Index>>,
    due: Option<Option<u8>>,
    sort_order: Option<i8>,
    title: bool,
}

fn any_wishes() -> impl Strategy<Value = Vec<Wish>> {
    let i = any::<Index>;
    let fields = (
        prop::option::of(0..7usize),
        prop::option::of(0..5usize),
        prop::option::of(0..3usize),
        prop::option::weighted(0.3, prop::option::of(i())),
        prop::option::weighted(0.3, prop::option::of(1..29u8)),
        prop::option::of(-3..4i8),
        any::<bool>(),
    );
    let fields = fields.prop_map(|(status, priority, assignee, parent, due, sort_order, title)| Fields {
        status,
        priority,
        assignee,
        parent,
        due,
        sort_order,
        title,
    });
    let create = (any::<bool>(), prop::option::of(i()), 0..5usize, prop::option::of(1..29u8), any::<bool>())
        .prop_map(|(other, parent, priority, due, assigned)| Wish::Create {
            other,
            parent,
            priority,
            due,
            assigned,
        });
    let wish = prop_oneof![
        10 => create,
        16 => (i(), fields).prop_map(|(issue, fields)| Wish::Patch(issue, fields)),
        2 => (prop::collection::vec(i(), 1..6), prop::option::of(0..7usize), prop::option::of(0..5usize))
            .prop_map(|(issues, status, priority)| Wish::Bulk(issues, status, priority)),
        3 => i().prop_map(Wish::Delete),
        4 => i().prop_map(Wish::Start),
        2 => i().prop_map(Wish::Stop),
        2 => i().prop_map(Wish::Retry),
        2 => (i(), any::<bool>()).prop_map(|(issue, good)| Wish::Review(issue, good)),
        3 => (i(), i(), any::<bool>()).prop_map(|(issue, at, before)| Wish::Place(issue, at, before)),
        4 => i().prop_map(Wish::Comment),
        2 => i().prop_map(Wish::Uncomment),
        4 => (i(), i(), 0..4usize).prop_map(|(one, other, how)| Wish::Relate(one, other, how)),
        1 => i().prop_map(Wish::Unrelate),
        1 => any::<bool>().prop_map(Wish::DeleteCrew),
    ];
    prop::collection::vec(wish, 0..60)
}

/// Created issues, gone ones included: what wishes are about.
struct Stage {
    history: History,
    issues: Vec<MissionId>,
}

impl Stage {
    fn of(wishes: &[Wish]) -> Self {
        let mut stage = Self { history: History::on(stage()), issues: vec![] };
        for wish in wishes {
            let Some(command) = stage.command(wish) else { continue };
            if let Some(first) = stage.history.play(&command)
                && matches!(wish, Wish::Create { .. })
            {
                let id = (&*stage.history.entries[first].subject).into();
                stage.issues.push(id);
            }
        }
        stage
    }

    fn world(&self) -> &WorkspaceWorld {
        self.history.world()
    }

    fn issue(&self, index: Index) -> Option<Named> {
        let id = (!self.issues.is_empty()).then(|| index.get(&self.issues))?;
        Some(Named { crew: None, name: id.as_str().into() })
    }

    fn name(&self, index: Index) -> Option<String> {
        self.issue(index).map(|named| named.name.to_string())
    }

    fn command(&self, wish: &Wish) -> Option<Command> {
        let status = |at: &usize| IssueStatus::ALL[*at].to_string();
        let priority = |at: &usize| IssuePriority::ALL[*at].to_string();
        Some(
            match wish {
                Wish::Create { other, parent, priority: at, due, assigned } => {
                    let draft = IssueDraft {
                        title: Some(format!("Issue {}", self.issues.len())),
                        priority: Some(priority(at)),
                        parent_issue_id: parent.and_then(|parent| self.name(parent)),
                        due_date: due.map(|day| format!("2026-05-{day:02}")),
                        assignee_type: assigned.then(|| "agent".into()),
                        assignee_id: assigned.then(|| WORKER.into()),
                        ..IssueDraft::default()
                    };
                    let crew = if *other { OTHER_CREW } else { CREW };
                    IssueCommand::Create { crew: crew.into(), draft: draft.into() }
                }
                Wish::Patch(issue, fields) => {
                    let assignee = |at: usize| [None, Some(WORKER), Some(LEAD)][at].map(str::to_owned);
                    let patch = IssuePatch {
                        title: fields.title.then(|| format!("Title {}", self.world().head())),
                        status: fields.status.as_ref().map(status),
                        priority: fields.priority.as_ref().map(priority),
                        assignee_id: fields.assignee.map(assignee),
                        parent_issue_id: fields
                            .parent
                            .map(|parent| parent.and_then(|parent| self.name(parent)).unwrap_or_default()),
                        due_date: fields
                            .due
                            .map(|day| day.map(|day| format!("2026-05-{day:02}")).unwrap_or_default()),
                        sort_order: fields.sort_order.map(f64::from),
                        ..IssuePatch::default()
                    };
                    IssueCommand::Update { issue: self.issue(*issue)?, patch: patch.into() }
                }
                Wish::Bulk(issues, to, how) => {
                    let updates = BulkFields {
                        status: to.as_ref().map(status),
                        priority: how.as_ref().map(priority),
                        ..BulkFields::default()
                    };
                    let ids = issues.iter().filter_map(|issue| self.name(*issue)).collect();
                    IssueCommand::Bulk(BulkDraft { ids: Some(ids), updates: Some(updates) }.into())
                }
                Wish::Delete(issue) => IssueCommand::Delete { issue: self.issue(*issue)? },
                Wish::Start(issue) => IssueCommand::Start { issue: self.issue(*issue)?, seen: None },
                Wish::Stop(issue) => IssueCommand::Stop { issue: self.issue(*issue)? },
                Wish::Retry(issue) => IssueCommand::Retry { issue: self.issue(*issue)?, seen: None },
                Wish::Review(issue, good) => {
                    let action = if *good { "approve" } else { "request_changes" };
                    let draft = ReviewDraft { action: Some(action.into()), ..ReviewDraft::default() };
                    IssueCommand::Review { issue: self.issue(*issue)?, draft }
                }
                Wish::Place(issue, at, is_before) => {
                    let at = self.name(*at);
                    let place = match is_before {
                        true => Place { before: at, after: None },
                        false => Place { before: None, after: at },
                    };
                    IssueCommand::Place { issue: self.issue(*issue)?, place }
                }
                Wish::Comment(issue) => {
                    let draft = CommentDraft { body: Some("Said".into()) };
                    IssueCommand::Comment { issue: self.issue(*issue)?, draft }
                }
                Wish::Uncomment(at) => {
                    let comments: Vec<_> = self.world().state.issues.comments.values().cloned().collect();
                    let comment = (!comments.is_empty()).then(|| at.get(&comments).clone())?;
                    let issue = Named { crew: None, name: comment.issue.as_str().into() };
                    IssueCommand::DeleteComment { issue, comment: comment.id.clone() }
                }
                Wish::Relate(one, other, how) => {
                    let how = ["blocks", "blocked_by", "relates_to", "duplicate_of"][*how];
                    let draft = RelationDraft {
                        target_identifier: self.name(*other),
                        relation_type: Some(how.into()),
                    };
                    IssueCommand::Relate { issue: self.issue(*one)?, draft }
                }
                Wish::Unrelate(at) => {
                    let links: Vec<_> = self.world().state.issues.relations.keys().cloned().collect();
                    let relation = (!links.is_empty()).then(|| at.get(&links).clone())?;
                    IssueCommand::Unrelate { relation }
                }
                Wish::DeleteCrew(other) => {
                    let crew = if *other { OTHER_CREW } else { CREW };
                    return Some(RosterCommand::DeleteCrew { crew: crew.into() }.into());
                }
            }
            .into(),
        )
    }
}

proptest! {
    // A history of issues is short, and the ways through it are many.
    #![proptest_config(ProptestConfig {
        cases: 2 * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn every_list_of_issues_equals_a_recount(wishes in any_wishes(), questions in prop::collection::vec(any_question(), 8)) {
        let stage = Stage::of(&wishes);
        for question in &questions {
            question.check(stage.world())?;
        }
        counts_equal_a_recount(stage.world())?;
    }

    #[test]
    fn the_activity_log_and_the_feed_of_changes_equal_a_recount(wishes in any_wishes(), from in any::<Index>()) {
        let stage = Stage::of(&wishes);
        logs_equal_a_recount(&stage)?;
        feed_equals_a_recount(&stage, from)?;
    }

    #[test]
    fn identifiers_are_unique_and_dense(wishes in any_wishes()) {
        let stage = Stage::of(&wishes);
        let created = stage.history.entries.iter().filter_map(|entry| match &entry.event {
            Some(Event::Issue(IssueEvent::IssueCreated(created))) => Some(created.clone()),
            _ => None,
        });
        let mut by_prefix: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for created in created {
            let (prefix, number) = created.identifier.rsplit_once('-').expect("a prefix and a number");
            prop_assert_eq!(number, created.number.to_string());
            by_prefix.entry(prefix.to_owned()).or_default().push(created.number);
        }
        for numbers in by_prefix.values() {
            prop_assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
        }
    }
}

/// A list that somebody asks for.
#[derive(Clone, Debug)]
struct Question {
    filter: IssueFilter,
    order: IssueOrder,
    skip: usize,
    limit: usize,
    text: bool,
}

fn any_question() -> impl Strategy<Value = Question> {
    let statuses = prop::collection::vec(prop::sample::select(IssueStatus::ALL), 0..3);
    let priorities = prop::collection::vec(prop::sample::select(IssuePriority::ALL), 0..3);
    let crews = prop::collection::vec(prop::sample::select(vec![CREW, OTHER_CREW, "nobody"]), 0..2);
    let assignees = prop::collection::vec(prop::sample::select(vec![None, Some(WORKER), Some(LEAD)]), 0..2);
    let top = prop::option::weighted(0.2, Just(()));
    let due = (prop::option::weighted(0.3, 1..29u8), prop::option::weighted(0.3, 1..29u8));
    let by = prop::sample::select(vec![
        SortBy::Created,
        SortBy::Updated,
        SortBy::Priority,
        SortBy::SortOrder,
        SortBy::Due,
    ]);
    (
        statuses,
        priorities,
        crews,
        assignees,
        top,
        due,
        (by, any::<bool>()),
        (0..9usize, 1..9usize),
        any::<bool>(),
    )
        .prop_map(|(statuses, priorities, crews, assignees, top, due, (by, up), (skip, limit), text)| {
            let day = |day: u8| format!("2026-05-{day:02}").into();
            let filter = IssueFilter {
                statuses: Wanted::any_of(statuses.into_iter().map(Some)),
                priorities: Wanted::any_of(priorities.into_iter().map(Some)),
                crews: Wanted::any_of(crews.into_iter().map(|crew| Some(crew.into()))),
                assignees: Wanted::any_of(assignees.into_iter().map(|id| Some(id.map(Into::into)))),
                parents: Wanted::any_of(top.map(|()| Some(None))),
                due_before: due.0.map(day),
                due_after: due.1.map(day),
                ..IssueFilter::default()
            };
            Question { filter, order: IssueOrder { by, is_ascending: up }, skip, limit, text }
        })
}

impl Question {
    fn matches(&self, issue: &Issue) -> bool {
        fn any<T: PartialEq>(wanted: &Wanted<T>, have: &T) -> bool {
            !wanted.is_asked || wanted.any.contains(have)
        }
        let filter = &self.filter;
        let facts = &issue.facts;
        let due = facts.due_date.as_deref();
        any(&filter.statuses, &issue.status)
            && any(&filter.priorities, &facts.priority)
            && any(&filter.crews, &issue.crew_id)
            && any(&filter.assignees, &facts.assignee.as_ref().map(|party| party.id.clone()))
            && any(&filter.parents, &facts.parent_issue_id)
            && filter.due_before.as_deref().is_none_or(|before| due.is_some_and(|due| due < before))
            && filter.due_after.as_deref().is_none_or(|after| due.is_some_and(|due| due > after))
            && (!self.text || issue.title.contains('1'))
    }

    fn sorted<'a>(&self, world: &'a WorkspaceWorld) -> Vec<&'a Arc<Issue>> {
        let mut all: Vec<_> = world.state.issues.all.values().filter(|issue| self.matches(issue)).collect();
        all.sort_by(|one, other| {
            let (a, b) = (&one.facts, &other.facts);
            let by = match self.order.by {
                SortBy::Created => one.created_at.cmp(&other.created_at),
                SortBy::Updated => one.updated_at.cmp(&other.updated_at),
                SortBy::Priority => a.priority.cmp(&b.priority),
                SortBy::SortOrder => a.sort_order.total_cmp(&b.sort_order),
                SortBy::Due => a.due_date.cmp(&b.due_date),
            };
            by.then(one.born.cmp(&other.born))
        });
        if !self.order.is_ascending {
            all.reverse();
        } else if self.order.by == SortBy::Due {
            // Those without a date are last either way.
            let (dated, undated): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|issue| issue.facts.due_date.is_some());
            all = dated.into_iter().chain(undated).collect();
        }
        all
    }

    fn check(&self, world: &WorkspaceWorld) -> Result<(), TestCaseError> {
        let expected: Vec<MissionId> = self.sorted(world).iter().map(|issue| issue.id.clone()).collect();
        let says = |issue: &Issue| issue.title.contains('1');
        let fits: Option<&dyn Fn(&Issue) -> bool> = if self.text { Some(&says) } else { None };
        let page = |from, limit| world.issues.page(&self.filter, fits, self.order, from, limit, &world.state);
        let found = page((self.skip, None), self.limit);
        prop_assert_eq!(found.total, expected.len());
        let cut: Vec<_> = expected.iter().skip(self.skip).take(self.limit).cloned().collect();
        prop_assert_eq!(found.ids, cut, "{:?}", self.order);
        // Read on from place to place it is the same list.
        let (mut walked, mut place) = (vec![], None);
        loop {
            let part = page((0, place), self.limit);
            walked.extend(part.ids);
            match part.next {
                Some(next) => place = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(walked, expected);
        Ok(())
    }
}

fn counts_equal_a_recount(world: &WorkspaceWorld) -> Result<(), TestCaseError> {
    let issues = &world.state.issues;
    prop_assert_eq!(world.issues.len(), issues.all.len());
    for issue in issues.all.values() {
        let children =
            issues.all.values().filter(|other| other.facts.parent_issue_id.as_ref() == Some(&issue.id));
        prop_assert_eq!(issues.children_of(&issue.id).count(), children.count());
        let said = issues.comments.values().filter(|comment| comment.issue == issue.id);
        prop_assert_eq!(issue.comment_count as usize, said.count());
        prop_assert_eq!(issue.completed_at.is_some(), issue.status.is_completed());
        prop_assert_eq!(
            issues.named(&issue.identifier.to_lowercase()).map(|found| &found.id),
            Some(&issue.id)
        );
    }
    Ok(())
}

fn logs_equal_a_recount(stage: &Stage) -> Result<(), TestCaseError> {
    let world = stage.world();
    for id in &stage.issues {
        let is_line = |entry: &&taffrail_domain::Entry| match &entry.event {
            Some(Event::Issue(IssueEvent::IssueCreated(_) | IssueEvent::IssueNoted(_))) => {
                *entry.subject == *id.as_str()
            }
            Some(Event::Issue(IssueEvent::IssuesDetached(detached))) => {
                detached.from.is_parent() && detached.issues.contains(id)
            }
            _ => false,
        };
        let mut lines: Vec<Offset> =
            stage.history.entries.iter().filter(is_line).map(|entry| entry.offset).collect();
        lines.reverse();
        if !world.state.issues.all.contains_key(id) {
            lines.clear();
        }
        let found: Vec<Offset> = world.issue_log.before(id, Offset(u64::MAX)).collect();
        prop_assert_eq!(found, lines);
    }
    Ok(())
}

/// What a client keeps that applies the feed: from anywhere on it ends with what is there.
fn feed_equals_a_recount(stage: &Stage, from: Index) -> Result<(), TestCaseError> {
    let worlds = &stage.history.worlds;
    let then = &worlds[from.index(worlds.len())];
    let now = stage.world();
    let mut copy = things(then);
    for change in now.changes.after(then.head(), None) {
        match shown(now, &change.thing) {
            Some(text) => drop(copy.insert(change.thing, text)),
            None => drop(copy.remove(&change.thing)),
        }
    }
    prop_assert_eq!(copy, things(now));
    let from_nothing: BTreeSet<Thing> =
        now.changes.after(Offset(0), None).map(|change| change.thing).collect();
    prop_assert!(things(now).keys().all(|thing| from_nothing.contains(thing)));
    Ok(())
}

fn things(world: &WorkspaceWorld) -> BTreeMap<Thing, String> {
    let issues = world.state.issues.all.keys().cloned().map(Thing::Issue);
    let comments = world.state.issues.comments.keys().cloned().map(Thing::Comment);
    let links = world.state.issues.relations.keys().cloned().map(Thing::Relation);
    let all = issues.chain(comments).chain(links);
    all.filter_map(|thing| Some((thing.clone(), shown(world, &thing)?))).collect()
}

/// What a client sees of a thing.
fn shown(world: &WorkspaceWorld, thing: &Thing) -> Option<String> {
    let issues = &world.state.issues;
    match thing {
        Thing::Issue(id) => {
            let issue = issues.all.get(id)?;
            let children = issues.children_of(id).count();
            Some(format!("{:?} {:?} {} {children}", issue.title, issue.facts, issue.changed))
        }
        Thing::Comment(id) => issues.comments.get::<CommentId>(id).map(|comment| comment.body.to_string()),
        Thing::Relation(id) => issues.relations.get(id).map(|link| format!("{link:?}")),
        Thing::Label(_) | Thing::Project(_) | Thing::Milestone(_) => None,
    }
}
