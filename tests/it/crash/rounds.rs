//! Rounds of work and `kill -9` on one growing data directory.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use super::hand::{Bench, Fuse, Hand};
use super::offline;
use super::picture::{Picture, tasks};
use super::wish::assert_nobody_waits_in_vain;
use crate::program::{Account, Client, Data, Program, eventually, seed};

const HANDS: u64 = 8;
/// Most requests acknowledged in one life.
const ACKNOWLEDGED_MAX: usize = 80;

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// At some acknowledged request.
    Killed,
    /// While it drains.
    KilledDraining,
    /// By itself, so that snapshots are there.
    Drained,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_every_kill_and_nothing_is_there_by_half() {
    let rounds: u32 = std::env::var("TAFFRAIL_CRASH_ROUNDS").map_or(30, |text| text.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed());
    let data = Data::new();
    let mut hands: Vec<Hand> = (0..HANDS).map(|number| Hand::new(number, seed())).collect();
    let (account, crew, lead) = begin(&data).await;
    let mut shared: Vec<String> = vec![];
    for round in 0..rounds {
        let public = offline::prove(&data, &hands).await;
        if random.random_bool(0.4) {
            kill_while_it_starts(&data, random.random_range(0..4));
        }
        let program = Program::start(data.path());
        let client = Client::of(&program.url, &account);
        assert_eq!(client.journal().await, public, "round {round}");
        let now = see(&client, &mut hands, &shared).await;
        shared.push(client.mission(&crew, &lead, &format!("Shared {round}")).await);
        let end = match random.random_range(0..10) {
            0..7 => End::Killed,
            7 | 8 => End::KilledDraining,
            _ => End::Drained,
        };
        let fuse = fuse(&program, end, random.random_range(1..=ACKNOWLEDGED_MAX));
        let bench = Bench {
            client,
            crew: crew.clone(),
            lead: lead.clone(),
            shared: shared.last().unwrap().clone(),
            fuse: Fuse::new(usize::MAX, || ()),
        };
        for hand in &mut hands {
            hand.settle(&now, &bench).await;
        }
        hands = work(hands, &Bench { fuse, ..bench }).await;
        finish(program, end);
    }
    offline::prove(&data, &hands).await;
    let program = Program::start(data.path());
    see(&Client::of(&program.url, &account), &mut hands, &shared).await;
}

async fn begin(data: &Data) -> (Account, String, String) {
    let program = Program::start(data.path());
    let account = Client::stranger(&program.url).bootstrap().await;
    let (crew, lead) = Client::of(&program.url, &account).crew("crash").await;
    program.kill();
    (account, crew, lead)
}

/// Everything that hands were told is there; whatever else is there, one open wish of theirs explains.
async fn see(client: &Client, hands: &mut [Hand], shared: &[String]) -> Picture {
    let known: BTreeSet<String> = hands.iter().flat_map(Hand::known).chain(shared).cloned().collect();
    let now = Picture::of(client, &known).await;
    now.missions.values().for_each(assert_nobody_waits_in_vain);
    let mut explained = 0;
    for hand in hands.iter_mut() {
        explained += usize::from(hand.check(&now, client).await);
    }
    assert_eq!(now.strays(), explained, "missions that nobody asked for");
    for mission in shared {
        let told: Vec<_> = hands.iter().map(|hand| hand.shared_tasks(mission)).collect();
        let open = told.iter().filter_map(|(_, open)| *open).filter(|title| {
            let there = now.tasks_named(mission, title);
            assert!(there.len() <= 1, "added more than once: {title}");
            // An answered one is not yet among what was told.
            there.len() == 1
        });
        let expected = told.iter().map(|(told, _)| told.len()).sum::<usize>() + open.count();
        assert_eq!(tasks(&now.missions[mission]).len(), expected, "mission {mission}");
    }
    now
}

fn fuse(program: &Program, end: End, at: usize) -> std::sync::Arc<Fuse> {
    match end {
        End::Killed => Fuse::new(at, program.killer()),
        End::KilledDraining | End::Drained => Fuse::new(at, program.terminator()),
    }
}

async fn work(hands: Vec<Hand>, bench: &Bench) -> Vec<Hand> {
    let mut working = JoinSet::new();
    for hand in hands {
        working.spawn(hand.work(bench.clone()));
    }
    working.join_all().await
}

fn finish(mut program: Program, end: End) {
    match end {
        End::Killed => {}
        End::KilledDraining => {
            // At some moment of the drain; it may even have come to its end.
            program.logged("draining").unwrap();
            (program.killer())();
        }
        End::Drained => {
            let ended = program.ended();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
    }
    program.ended();
}

/// Kills a start at one of its moments; whether it gets there first does not matter.
fn kill_while_it_starts(data: &Data, moment: u32) {
    let newest = data.segments().last().cloned();
    let mut program = Program::spawn(data.path(), &[]);
    match moment {
        0 => {}
        // The last segment is written anew, or the next one is being prepared.
        1 => eventually("a segment is made", || {
            data.segments().last().cloned() != newest || !program.is_running()
        }),
        2 => drop(program.logged("the journal is folded")),
        _ => drop(program.said_until("listening on ")),
    }
    program.kill();
}
