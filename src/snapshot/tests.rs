//! Snapshots that are whole, and snapshots that are not.

use std::fs;

use taffrail_domain::instance::UserCreated;
use taffrail_domain::{Actor, Draft, Entry, Offset, Time};
use taffrail_projections::InstanceWorld;
use tempfile::TempDir;

use super::*;

const STORE: [u8; 16] = [3; 16];

fn world(users: u64) -> InstanceWorld {
    let mut world = InstanceWorld::empty(LogTag::INSTANCE);
    (1..=users).for_each(|offset| world.apply(&joined(offset)));
    world
}

fn joined(offset: u64) -> Entry {
    let event = UserCreated { email_key: format!("key{offset}").into() };
    Draft::internal(format!("u{offset}"), event).at(Offset(offset), Time(offset), Actor::System)
}

fn at(offset: u64) -> Position {
    Position { offset, chain: [u8::try_from(offset).unwrap(); 32] }
}

fn saved(users: u64) -> (TempDir, Snapshots) {
    let data = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(data.path()).unwrap();
    snapshots.save(STORE, at(users), &world(users)).unwrap();
    (data, snapshots)
}

fn load(snapshots: &Snapshots) -> Option<(InstanceWorld, Stamp)> {
    snapshots.load(LogTag::INSTANCE)
}

#[test]
fn a_snapshot_and_what_came_after_is_the_world_from_zero() {
    let (_data, snapshots) = saved(40);
    let (mut loaded, stamp) = load(&snapshots).unwrap();
    assert_eq!(stamp, Stamp { store: STORE, log: LogId(0), position: at(40) });
    assert_eq!(loaded, world(40));
    (41..=50).for_each(|offset| loaded.apply(&joined(offset)));
    assert_eq!(loaded, world(50));
}

#[test]
fn the_newest_snapshot_counts_and_the_others_go() {
    let (data, snapshots) = saved(3);
    snapshots.save(STORE, at(5), &world(5)).unwrap();
    assert_eq!(load(&snapshots).unwrap().1.position, at(5));
    let files: Vec<_> = fs::read_dir(data.path().join("snapshots")).unwrap().collect();
    assert_eq!(files.len(), 1);
    assert_eq!(snapshots.logs(), [LogTag::INSTANCE]);
}

#[test]
fn a_damaged_snapshot_is_ignored_wherever_it_is_damaged() {
    let (data, snapshots) = saved(2);
    let path = data.path().join("snapshots/0-2.snap");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(load(&snapshots).is_none(), "byte {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(load(&snapshots).is_none(), "cut at {at}");
    }
    fs::write(&path, whole).unwrap();
    assert!(load(&snapshots).is_some());
}

#[test]
fn a_snapshot_under_another_name_is_ignored() {
    let (data, snapshots) = saved(2);
    let folder = data.path().join("snapshots");
    fs::rename(folder.join("0-2.snap"), folder.join("0-3.snap")).unwrap();
    assert!(load(&snapshots).is_none());
}

#[test]
fn a_world_is_not_saved_for_a_place_where_it_does_not_stand() {
    let (_data, snapshots) = saved(2);
    assert!(snapshots.save(STORE, at(9), &world(8)).is_err());
    assert_eq!(load(&snapshots).unwrap().1.position, at(2));
}

#[test]
fn an_unfinished_snapshot_is_swept() {
    let (data, snapshots) = saved(2);
    let folder = data.path().join("snapshots");
    for name in ["0-9.snap.tmp", "0-9.tmp"] {
        fs::write(folder.join(name), "x").unwrap();
    }
    snapshots.sweep().unwrap();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    assert!(load(&snapshots).is_some());
}

#[test]
fn nothing_but_snapshots_is_looked_at() {
    let (data, snapshots) = saved(2);
    for name in ["0-9.tmp", "x-1.snap", "0-.snap", "readme"] {
        fs::write(data.path().join("snapshots").join(name), "x").unwrap();
    }
    assert_eq!(snapshots.logs(), [LogTag::INSTANCE]);
    assert_eq!(load(&snapshots).unwrap().1.position, at(2));
}
