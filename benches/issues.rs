//! Question: does a list of issues cost more when there are many of them?
//! Guess: no. A page walks its order as far as it is long, from wherever it begins, or sorts the few that
//! match; conditions meet as bits, a word for 64 issues. What does grow is what matches.
//!
//! `cargo bench --bench issues` — medians over the world as readers hold it, at 1 k and 100 k issues; the last
//! column is large over small. `ISSUES=…` sets the large number.

mod kit;

use std::time::{Duration, Instant};

use taffrail_domain::issue::{
    Issue, IssueCommand, IssueDraft, IssuePatch, IssuePriority, IssueStatus, Named,
};
use taffrail_domain::{LogTag, Offset};
use taffrail_projections::{IssueFilter, IssueOrder, IssuePage, IssuePlace, SortBy, Wanted, WorkspaceWorld};

use kit::Workshop;

const SMALL: usize = 1_000;
const LARGE: usize = 100_000;
const REPEATS: usize = 101;
const LIMIT: usize = 50;

type Question = (&'static str, fn(&WorkspaceWorld) -> usize);

const QUESTIONS: [Question; 10] = [
    ("newest page", |world| page(world, &IssueFilter::default(), SortBy::Created, 0).ids.len()),
    ("by priority", |world| page(world, &IssueFilter::default(), SortBy::Priority, 0).ids.len()),
    ("page in the middle", |world| {
        page(world, &IssueFilter::default(), SortBy::Created, world.issues.len() / 2).ids.len()
    }),
    ("by cursor from the middle", |world| {
        let behind = Some(middle(world));
        let order = IssueOrder::default();
        world.issues.page(&IssueFilter::default(), None, order, (0, behind), LIMIT, &world.state).ids.len()
    }),
    ("one status", |world| page(world, &todo(), SortBy::Updated, 0).ids.len()),
    ("status, priority and due", |world| page(world, &urgent(), SortBy::Due, 0).ids.len()),
    ("the seven below one", |world| page(world, &below_the_first(world), SortBy::SortOrder, 0).ids.len()),
    ("get by identifier", |world| {
        let name = format!("CRE-{}", world.issues.len() / 2).into();
        usize::from(world.state.issue(&Named { crew: None, name }).is_ok())
    }),
    ("column counts", |world| IssueStatus::ALL.iter().map(|status| world.issues.count_in(*status)).sum()),
    ("text in every one, no index", |world| {
        let says = |issue: &Issue| issue.title.to_lowercase().contains("ledger 17 ");
        let order = IssueOrder::default();
        let fits: &dyn Fn(&Issue) -> bool = &says;
        world.issues.page(&IssueFilter::default(), Some(fits), order, (0, None), LIMIT, &world.state).total
    }),
];

fn main() {
    let large = std::env::var("ISSUES").ok().and_then(|count| count.parse().ok()).unwrap_or(LARGE);
    let (small_shop, small_writes) = shop(SMALL);
    let before = kit::resident_mib();
    let (large_shop, large_writes) = shop(large);
    let after = kit::resident_mib();
    println!("{:>28} {SMALL:>10} {large:>10} {:>7}", "", "ratio");
    for (name, question) in QUESTIONS {
        show(name, median(&small_shop.world, question), median(&large_shop.world, question));
    }
    show("create", small_writes.0, large_writes.0);
    show("update", small_writes.1, large_writes.1);
    let each = after.saturating_sub(before) * (1 << 20) / large as u64;
    println!("memory of an issue: {each} bytes, of {large} with a description of 200 letters each");
}

fn show(name: &str, small: Duration, large: Duration) {
    let us = |time: Duration| time.as_nanos() as f64 / 1_000.0;
    println!("{name:>28} {:>7.1} us {:>7.1} us {:>7.2}", us(small), us(large), us(large) / us(small));
}

fn median(world: &WorkspaceWorld, question: fn(&WorkspaceWorld) -> usize) -> Duration {
    let took = (0..REPEATS).map(|_| {
        let asked = Instant::now();
        assert!(question(world) > 0, "nothing was found");
        asked.elapsed()
    });
    middle_of(took.collect())
}

fn middle_of(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

fn page(world: &WorkspaceWorld, filter: &IssueFilter, by: SortBy, skip: usize) -> IssuePage {
    let order = IssueOrder { by, is_ascending: false };
    world.issues.page(filter, None, order, (skip, None), LIMIT, &world.state)
}

fn middle(world: &WorkspaceWorld) -> IssuePlace {
    // A place is where a page ends; the one in the middle is made once and kept for as long as the world.
    thread_local! {
        static PLACES: std::cell::RefCell<Vec<(Offset, IssuePlace)>> = const { std::cell::RefCell::new(vec![]) };
    }
    PLACES.with_borrow_mut(|places| {
        let head = taffrail_projections::World::head(world);
        if let Some((_, place)) = places.iter().find(|(known, _)| *known == head) {
            return *place;
        }
        let page = page(world, &IssueFilter::default(), SortBy::Created, world.issues.len() / 2);
        let place = page.next.expect("there is more");
        places.push((head, place));
        place
    })
}

fn todo() -> IssueFilter {
    IssueFilter { statuses: Wanted::any_of([Some(IssueStatus::Todo)]), ..IssueFilter::default() }
}

fn urgent() -> IssueFilter {
    IssueFilter {
        statuses: Wanted::any_of([Some(IssueStatus::Todo), Some(IssueStatus::InProgress)]),
        priorities: Wanted::any_of([Some(IssuePriority::Urgent)]),
        due_after: Some("2026-01-01".into()),
        ..IssueFilter::default()
    }
}

/// As many in a small workspace as in a large one.
fn below_the_first(world: &WorkspaceWorld) -> IssueFilter {
    let parent = world.state.issues.named("CRE-1").map(|issue| issue.id.clone());
    IssueFilter { parents: Wanted::any_of([parent.map(Some)]), ..IssueFilter::default() }
}

/// A workspace with issues of all sorts, and what one more and one changed cost there.
fn shop(count: usize) -> (Workshop, (Duration, Duration)) {
    let (mut shop, _) = Workshop::open(LogTag(1), &"cmi4q0x2a0000000000000001".into(), &"cmi4u".into());
    let description = "x".repeat(200);
    for number in 0..count {
        let first = shop.world.state.issues.named("CRE-1").map(|issue| issue.id.to_string());
        let draft = IssueDraft {
            title: Some(format!("Move ledger {number} to the new store")),
            description: Some(description.clone()),
            priority: Some(IssuePriority::ALL[number % 5].to_string()),
            due_date: (number % 3 == 0)
                .then(|| format!("2026-{:02}-{:02}", number % 12 + 1, number % 28 + 1)),
            parent_issue_id: first.filter(|_| number % (count / 7) == 7),
            ..IssueDraft::default()
        };
        create(&mut shop, draft);
        if number % 2 == 0 {
            let status = if number % 4 == 0 { "TODO" } else { "IN_PROGRESS" };
            patch(&mut shop, number + 1, IssuePatch { status: Some(status.into()), ..IssuePatch::default() });
        }
    }
    let creates = (0..REPEATS).map(|_| {
        let draft = IssueDraft { title: Some("One more".into()), ..IssueDraft::default() };
        let asked = Instant::now();
        create(&mut shop, draft);
        asked.elapsed()
    });
    let created = middle_of(creates.collect());
    let updates = (0..REPEATS).map(|round| {
        let title = Some(format!("Changed {round}"));
        let asked = Instant::now();
        patch(&mut shop, count / 2, IssuePatch { title, ..IssuePatch::default() });
        asked.elapsed()
    });
    let updated = middle_of(updates.collect());
    (shop, (created, updated))
}

fn create(shop: &mut Workshop, draft: IssueDraft) {
    let crew = shop.crew();
    shop.decide(IssueCommand::Create { crew, draft: draft.into() }.into());
}

fn patch(shop: &mut Workshop, number: usize, patch: IssuePatch) {
    let issue = Named { crew: None, name: format!("CRE-{number}").into() };
    shop.decide(IssueCommand::Update { issue, patch: patch.into() }.into());
}
