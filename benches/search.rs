//! Question: what does a search cost when a workspace has a hundred times the entries and issues?
//! Guess: one that finds a few costs little more; one whose word is in every tenth text costs as much more as
//! it finds.
//!
//! Issues with titles and descriptions of common and rare words are created through the writer; each is an
//! entry and an issue in the index. Then the journal and the issues are searched, in the process, without HTTP.
//!
//! `cargo bench --bench search` — medians; the last column is large over small. `SEARCH_ISSUES=100,1000` in
//! the environment takes other sizes than 1,000 and 100,000.

mod kit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use taffrail::boot::{Options, Taffrail};
use taffrail::search::{IssueQuery, Phrase, Search};
use taffrail::writer::{Wish, Writer};
use taffrail_domain::issue::{IssueCommand, IssueDraft};
use taffrail_domain::{Actor, CrewId, LogTag, Offset, UserId};
use taffrail_projections::{Filter, Order, WorkspaceWorld, World};
use tempfile::TempDir;

const OWNER: &str = "cmi4q0x2a0000000000000001";
const REPEATS: usize = 51;
/// Commands under way at a time.
const LANES: usize = 64;
const NAMES: [&str; 9] = [
    "q, rare phrase",
    "q, a word of every entry",
    "the same, a page of 100",
    "issues, rare words",
    "issues, common word",
    "issues, a slip",
    "issues, a beginning",
    "part of a word",
    "not committed yet",
];

fn main() {
    let sizes = std::env::var("SEARCH_ISSUES").unwrap_or_else(|_| "1000,100000".into());
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.parse().expect("a number")).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let all: Vec<[f64; 9]> = sizes.iter().map(|issues| runtime.block_on(figures(*issues))).collect();
    let [small, .., large] = &all[..] else { panic!("two sizes") };
    println!("{:>24} {:>13} {:>13} {:>7}", "", sizes[0], sizes[sizes.len() - 1], "ratio");
    for (place, name) in NAMES.iter().enumerate() {
        let (small, large) = (small[place], large[place]);
        println!("{name:>24} {small:>10.0} us {large:>10.0} us {:>7.2}", large / small);
    }
}

/// Medians in microseconds.
async fn figures(issues: usize) -> [f64; 9] {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    drop(kit::seed(folder.path(), &OWNER.into(), 3));
    let app = Taffrail::open(Options::new(folder.path())).await.expect("opens");
    let workspace = app.workspace_of_log(LogTag(1)).expect("it was seeded");
    create(&workspace, 0..issues).await;
    let search = app.search(LogTag(1)).expect("it is open");
    let started = Instant::now();
    until_followed(&search, &workspace).await;
    println!("{issues} issues: the tail is {:?} behind the last write", started.elapsed());
    app.drain().await;
    drop((workspace, search, app));
    std::fs::remove_dir_all(folder.path().join("search")).expect("an index");

    let app = Taffrail::open(Options::new(folder.path())).await.expect("opens");
    let workspace = app.workspace_of_log(LogTag(1)).expect("it was seeded");
    let search = app.search(LogTag(1)).expect("it is open");
    let started = Instant::now();
    until_followed(&search, &workspace).await;
    println!("{issues} issues: made anew in {:?}, {} MiB resident", started.elapsed(), kit::resident_mib());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let figures = ask(&search, &workspace, issues).await;
    app.drain().await;
    figures
}

async fn until_followed(search: &Search, workspace: &Writer<WorkspaceWorld>) {
    while search.followed() < workspace.world().head() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Every tenth text has `common`; `rare<n>` is in two.
async fn create(workspace: &Writer<WorkspaceWorld>, numbers: std::ops::Range<usize>) {
    let crew: CrewId = workspace.world().state.roster.crews.keys().next().expect("it was seeded").clone();
    let lanes = (0..LANES).map(|lane| {
        let (workspace, crew, numbers) = (workspace.clone(), crew.clone(), numbers.clone());
        tokio::spawn(async move {
            for number in numbers.skip(lane).step_by(LANES) {
                let title = format!("Server rare{} fails {}", number / 2, word(number));
                let common = if number % 10 == 0 { "common" } else { "usual" };
                let description =
                    format!("A {common} case of {} and {}", word(number * 7), word(number * 13));
                let (title, description) = (Some(title), Some(description));
                let draft = Box::new(IssueDraft { title, description, ..IssueDraft::default() });
                let command = IssueCommand::Create { crew: crew.clone(), draft }.into();
                let actor = Actor::User(UserId::from(OWNER));
                workspace.execute(Wish { command, actor, request: None }).await.expect("it is accepted");
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.expect("a lane works");
    }
}

/// One of five thousand words of letters.
fn word(number: usize) -> String {
    let mut rest = number % 5_000;
    let syllables = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu"];
    let mut word = String::from("w");
    for _ in 0..4 {
        word.push_str(syllables[rest % 10]);
        rest /= 10;
    }
    word
}

async fn ask(search: &Arc<Search>, workspace: &Writer<WorkspaceWorld>, issues: usize) -> [f64; 9] {
    let world = workspace.world();
    let rare = format!("rare{}", issues / 4);
    let entries = async |text: &str| {
        search.journal_matches(&world, &Phrase::of(text), Offset(0)).await.expect("it is answered").len()
    };
    let found = async |text: &str| {
        let query = IssueQuery::parse(text, &OWNER.into(), &world.state);
        search.issues(&world, &query, 20).await.expect("it is answered").len()
    };
    let page = async || {
        let within = search.journal_matches(&world, &Phrase::of("fails"), Offset(0)).await;
        let filter = Filter { within: Some(within.expect("it is answered")), ..Filter::default() };
        world.timeline.select(&filter, Order::NewestFirst, 100, &world.state).len()
    };
    let [slip, begun] = [word(issues / 3), word(issues / 2)].map(|word| word[..word.len() - 1].to_owned());
    let mut figures = [
        median(async || entries(&format!("server {rare}")).await).await,
        median(async || entries("server").await).await,
        median(page).await,
        median(async || found(&format!("{rare} fails")).await).await,
        median(async || found("common").await).await,
        median(async || found(&format!("{slip}x fails")).await).await,
        median(async || found(&format!("server {begun}")).await).await,
        median(async || search.substring_candidates(&world, &rare[1..]).await.map_or(0, |found| found.len()))
            .await,
        0.0,
    ];
    // In the tail, for a second.
    create(workspace, issues..issues + LANES).await;
    let world = workspace.world();
    let newest = format!("rare{}", issues / 2);
    let asked = Instant::now();
    let query = IssueQuery::parse(&newest, &OWNER.into(), &world.state);
    assert!(!search.issues(&world, &query, 20).await.expect("it is answered").is_empty());
    figures[8] = asked.elapsed().as_secs_f64() * 1e6;
    figures
}

/// In microseconds; it must find something.
async fn median(ask: impl AsyncFn() -> usize) -> f64 {
    let mut took = vec![];
    for _ in 0..REPEATS {
        let asked = Instant::now();
        assert!(ask().await > 0, "it finds something");
        took.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}
