//! A repeat answers with the resource as it is now (`DESIGN.md` 5). One that is gone meanwhile is shown
//! as the first time left it: the repeat did what it says, and its answer must not deny that.

use std::ops::ControlFlow;
use std::sync::Arc;

use taffrail_domain::checkpoint::CheckpointEvent;
use taffrail_domain::mission::MissionEvent;
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::{CheckpointId, Entry, Event, MissionId, Offset, Workspace};
use taffrail_journal::ReadError;
use taffrail_projections::{Filter, Order, WorkspaceWorld, World};

use super::App;
use crate::boot::Read;
use crate::writer::Executed;

/// The kind of entry that holds all of a checkpoint.
const CHECKPOINT_CREATED: &str = "checkpoint.created";

/// The answer of a repeat, with a world of its own in which stands what its entries are about.
pub(super) async fn with_what_is_gone(
    app: &App,
    done: Executed<WorkspaceWorld>,
) -> Result<Executed<WorkspaceWorld>, ReadError> {
    let Some(last) = done.entries.last().filter(|_| done.replayed) else { return Ok(done) };
    let mut world = WorkspaceWorld::clone(&done.world);
    for entry in &done.entries {
        put_back(app, &mut world, entry, last.offset).await?;
    }
    Ok(Executed { world: Arc::new(world), ..done })
}

/// Puts what an entry is about back, unless it stands or the entry is its end.
async fn put_back(
    app: &App,
    world: &mut WorkspaceWorld,
    entry: &Entry,
    last: Offset,
) -> Result<(), ReadError> {
    match &entry.event {
        Some(Event::Roster(event)) => put_back_in_roster(&mut world.state, event, &entry.subject),
        Some(Event::Mission(MissionEvent::MissionDeleted(_))) => {}
        Some(Event::Mission(_)) => {
            let id = MissionId::from(&*entry.subject);
            if !world.state.missions.contains_key(&id)
                && let Some(mission) = app.mission_as_of(world, &id, last).await?
            {
                world.state.missions.insert(id, mission);
            }
        }
        Some(Event::Checkpoint(CheckpointEvent::CheckpointCreated(_))) => {
            put_back_checkpoint(&mut world.state, entry);
        }
        Some(Event::Checkpoint(CheckpointEvent::CheckpointRestored(_)))
            if !world.state.checkpoints.contains_key(&*entry.subject) =>
        {
            let created = creation(app, world, entry).await?;
            created.iter().for_each(|created| put_back_checkpoint(&mut world.state, created));
        }
        // None of these is ever gone.
        Some(
            Event::Checkpoint(_)
            | Event::Instance(_)
            | Event::Marker(_)
            | Event::Work(_)
            | Event::Approval(_)
            | Event::Chat(_)
            | Event::Escalation(_),
        )
        | None => {}
    }
    Ok(())
}

/// A deleted crew or agent is still there, and marked so.
fn put_back_in_roster(state: &mut Workspace, event: &RosterEvent, subject: &str) {
    let roster = &mut state.roster;
    match event {
        RosterEvent::CrewCreated(_) | RosterEvent::CrewUpdated(_) => {
            roster.crews.get_mut(subject).into_iter().for_each(|crew| crew.deleted_at = None);
        }
        RosterEvent::AgentCreated(_) | RosterEvent::AgentUpdated(_) => {
            roster.agents.get_mut(subject).into_iter().for_each(|agent| agent.deleted_at = None);
        }
        RosterEvent::WorkspaceOpened(_)
        | RosterEvent::MemberAdded(_)
        | RosterEvent::MemberRemoved(_)
        | RosterEvent::MemberRoleChanged(_)
        | RosterEvent::CrewDeleted(_)
        | RosterEvent::AgentDeleted(_)
        | RosterEvent::AgentStatusChanged(_)
        | RosterEvent::WebhookSecretRotated(_)
        | RosterEvent::CrewMemberAdded(_)
        | RosterEvent::CrewMemberRoleChanged(_)
        | RosterEvent::CrewMemberRemoved(_)
        | RosterEvent::CrewsConnected(_)
        | RosterEvent::CrewsDisconnected(_)
        | RosterEvent::PolicyChanged(_) => {}
    }
}

/// A checkpoint never changes: the fold of its creation alone is all of it.
fn put_back_checkpoint(state: &mut Workspace, created: &Entry) {
    let mut alone = Workspace::default();
    alone.apply(created);
    for (id, checkpoint) in alone.checkpoints {
        state.checkpoints.entry(id).or_insert(checkpoint);
    }
}

/// The entry that made the checkpoint which a restore names.
async fn creation(app: &App, world: &WorkspaceWorld, restored: &Entry) -> Result<Option<Entry>, ReadError> {
    let id = CheckpointId::from(&*restored.subject);
    let mission = restored.face.as_ref().and_then(|face| face.mission_id.as_ref());
    let filter = Filter {
        mission: mission.map(ToString::to_string),
        types: vec![CHECKPOINT_CREATED.to_owned()],
        before: Some(restored.offset),
        ..Filter::default()
    };
    let offsets = world.timeline.select(&filter, Order::NewestFirst, usize::MAX, &world.state);
    let mut created = None;
    let take = |read: Read| {
        if *read.entry.subject != *id.as_str() {
            return ControlFlow::Continue(());
        }
        created = Some(read.entry);
        ControlFlow::Break(())
    };
    app.each_entry(world.log(), offsets, take).await?;
    Ok(created)
}
