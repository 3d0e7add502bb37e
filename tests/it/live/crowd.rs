//! Many subscribers during a burst, cut off at random: nothing is missing, nothing comes twice, nothing out of
//! order. `TAFFRAIL_CROWD` says how many of each sort (a thousand is the claim; the default suits a test),
//! `TAFFRAIL_BURST` how many entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use taffrail_domain::mission::{MissionCommand, MissionPatch};
use taffrail_domain::{Actor, EntryId};
use taffrail_projections::World;
use tokio::task::JoinSet;

use super::listeners::{Ear, Listening};
use crate::http::server::Server;
use crate::program::seed;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What one listener must hear: every offset from the first to the last, once, in order.
struct Expected {
    first: u64,
    last: u64,
}

/// Where an id or a frame stands.
fn offset_of(id: &str) -> u64 {
    EntryId::parse(id).unwrap().offset.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_hears_everything_once_and_in_order_however_often_it_is_cut_off() {
    let (crowd, burst) = (number("TAFFRAIL_CROWD", 60), number("TAFFRAIL_BURST", 3_000));
    // Each connection has two ends here.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    assert!(most.is_none_or(|most| most > 4 * crowd + 500), "too few files may be open: ulimit -Hn");
    let server = Server::begin().await;
    let listening = Listening::start(&server.app).await;
    let (address, token, workspace) =
        (listening.address.clone(), server.token.clone(), server.workspace.clone());
    let ear = Ear { address, token, workspace };
    let mission = server.mission("crowd").await;
    let writer = server.app.workspace(&server.workspace.as_str().into()).unwrap();
    let log = writer.log();
    let first = writer.world().head().0 + 1;
    let expected = Arc::new(Expected { first, last: first + burst - 1 });
    let from = EntryId::new(log, taffrail_domain::Offset(first - 1)).to_string();
    let (cuts, mut listeners) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    for number in 0..crowd {
        let random = |sort| StdRng::seed_from_u64(seed().wrapping_add(2 * number + sort));
        listeners.spawn(by_sse(
            ear.clone(),
            from.clone(),
            random(0),
            Arc::clone(&expected),
            Arc::clone(&cuts),
        ));
        listeners.spawn(by_socket(
            ear.clone(),
            from.clone(),
            random(1),
            Arc::clone(&expected),
            Arc::clone(&cuts),
        ));
    }
    let owner = Actor::User(server.owner.as_str().into());
    let mut writes = JoinSet::new();
    for number in 0..burst {
        let patch = MissionPatch { title: Some(format!("title {number}")), ..MissionPatch::default() };
        let (crew, id) = (mission.crew.as_str().into(), mission.id.as_str().into());
        let command = MissionCommand::Update { crew, mission: id, patch }.into();
        let (writer, actor) = (writer.clone(), owner.clone());
        writes.spawn(async move {
            writer.execute(taffrail::writer::Wish { command, actor, request: None }).await.unwrap();
        });
        if writes.len() >= 64 {
            writes.join_next().await.unwrap().unwrap();
        }
    }
    writes.join_all().await;
    assert_eq!(writer.world().head().0, expected.last);
    listeners.join_all().await;
    assert!(cuts.load(Ordering::Relaxed) >= crowd, "nobody was cut off: the test is too short");
}

/// Listens until all is heard; is cut off now and then, and goes on behind what it has. On a crowded machine the
/// server hangs up too, on whoever was not let run for ten seconds and took nothing: a cut like the others.
async fn by_sse(ear: Ear, from: String, mut random: StdRng, expected: Arc<Expected>, cuts: Arc<AtomicU64>) {
    let (mut last, mut next) = (from, expected.first);
    while next <= expected.last {
        let mut stream = ear.sse("", Some(&last)).await;
        assert_eq!(stream.status, 200);
        for _ in 0..random.random_range(1..3_000) {
            let Some(event) = stream.next().await else { break };
            assert_eq!(offset_of(&event.id), next);
            (last, next) = (event.id, next + 1);
            if next > expected.last {
                return;
            }
        }
        cuts.fetch_add(1, Ordering::Relaxed);
    }
}

async fn by_socket(
    ear: Ear,
    from: String,
    mut random: StdRng,
    expected: Arc<Expected>,
    cuts: Arc<AtomicU64>,
) {
    let (mut last, mut next) = (from, expected.first);
    let channel = format!("journal:{}", ear.workspace);
    while next <= expected.last {
        let mut socket = ear.socket().await;
        socket.say(json!({ "type": "subscribe", "channel": channel, "payload": { "after": last } })).await;
        for _ in 0..random.random_range(1..3_000) {
            let Some(text) = socket.next_text().await else { break };
            if !text.starts_with(r#"{"type":"journal.entry""#) {
                continue;
            }
            let (_, rest) = text.split_once(r#""offset":""#).unwrap();
            let id = &rest[..rest.find('"').unwrap()];
            assert_eq!(offset_of(id), next);
            (last, next) = (id.to_owned(), next + 1);
            if next > expected.last {
                return;
            }
        }
        cuts.fetch_add(1, Ordering::Relaxed);
    }
}
