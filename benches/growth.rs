//! Question: does the past of one mission cost more when the workspace around it has grown?
//! Guess: no, each reads only the mission's own entries.
//!
//! A mission of 100 entries is asked for its state in the middle, for its divergence and for a fork,
//! while the workspace holds 10 k and then 1 M other entries.
//!
//! `cargo bench --bench growth` — medians; the last column is large over small.

mod kit;

use std::time::Instant;

use taffrail::boot::{Options, Taffrail};
use taffrail::writer::{Wish, Writer};
use taffrail_domain::checkpoint::{Bookmarked, CheckpointCommand, CheckpointDraft};
use taffrail_domain::{Actor, CheckpointId, Command, LogTag, MissionId, Offset};
use taffrail_projections::WorkspaceWorld;
use tempfile::TempDir;

const REPEATS: usize = 201;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sizes = [10_000, 1_000_000];
    let [small, large] = sizes.map(|entries| runtime.block_on(figures(entries)));
    println!("{:>12} {:>14} {:>14} {:>7}", "", "10 k others", "1 M others", "ratio");
    for (index, name) in ["state-at", "divergence", "fork"].iter().enumerate() {
        let (small, large) = (small[index], large[index]);
        println!("{name:>12} {small:>11} us {large:>11} us {:>7.2}", large as f64 / small as f64);
    }
}

/// Medians in microseconds: state-at, divergence, fork.
async fn figures(entries: usize) -> [u64; 3] {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    let actor = kit::seed(folder.path(), &"cmi4q0x2a0000000000000001".into(), entries).actor;
    let app = Taffrail::open(Options::new(folder.path())).await.expect("opens");
    let workspace = app.workspace_of_log(LogTag(1)).expect("it was seeded");
    // The mission under test is the oldest: nothing of it is in any cache by luck.
    let world = workspace.world();
    let mission = world.board.missions(None, None).last().expect("it was seeded").clone();
    let middle = world.state.histories[&mission].changes[kit::MISSION_ENTRIES / 2];
    let checkpoint = bookmark(&workspace, &actor, &mission, &app, middle).await;

    let mut state_at = vec![];
    let mut divergence = vec![];
    let mut fork = vec![];
    for _ in 0..REPEATS {
        let asked = Instant::now();
        let past = app.mission_as_of(&world, &mission, middle).await.expect("reads");
        state_at.push(asked.elapsed());
        let asked = Instant::now();
        let offsets: Vec<Offset> = world.state.histories[&mission].divergence(middle).collect();
        let drifted = app.entries_at(LogTag(1), offsets).await.expect("reads");
        divergence.push(asked.elapsed());
        assert!(drifted.len() > 10);
        let asked = Instant::now();
        let command = CheckpointCommand::Fork {
            checkpoint: checkpoint.clone(),
            label: None,
            source: past.map(Bookmarked::Mission),
        };
        execute(&workspace, &actor, command.into()).await;
        fork.push(asked.elapsed());
    }
    app.drain().await;
    [state_at, divergence, fork].map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2].as_micros() as u64
    })
}

async fn bookmark(
    workspace: &Writer<WorkspaceWorld>,
    actor: &Actor,
    mission: &MissionId,
    app: &Taffrail,
    at: Offset,
) -> CheckpointId {
    let world = workspace.world();
    let past = app.mission_as_of(&world, mission, at).await.expect("reads").expect("it had begun");
    let past = taffrail_domain::checkpoint::AsOf { offset: at, then: Bookmarked::Mission(past) };
    let draft = Ok(CheckpointDraft::default());
    let command = CheckpointCommand::Create { mission: mission.clone(), draft, at: Some(Ok(past)) };
    execute(workspace, actor, command.into()).await
}

async fn execute(workspace: &Writer<WorkspaceWorld>, actor: &Actor, command: Command) -> CheckpointId {
    let wish = Wish { command, actor: actor.clone(), request: None };
    let done = workspace.execute(wish).await.expect("it is accepted");
    CheckpointId::from(&*done.entries[0].subject)
}
