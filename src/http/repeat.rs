//! A repeat answers with the resource as it is now (`DESIGN.md` 5). One that is gone meanwhile is shown
//! as the first time left it: the repeat did what it says, and its answer must not deny that.

use std::ops::ControlFlow;
use std::sync::Arc;

use taffrail_domain::checkpoint::{Bookmarked, CheckpointEvent};
use taffrail_domain::issue::{CommentEdited, Commented, IssueEvent};
use taffrail_domain::mission::MissionEvent;
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::routine::RoutineEvent;
use taffrail_domain::{AttachmentId, CheckpointId, CommentId, Entry, Event, MissionId, Offset, Workspace};
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
            put_back_undertaking(app, world, id, last).await?;
        }
        Some(Event::Issue(
            IssueEvent::IssueDeleted(_) | IssueEvent::IssuesBulkUpdated(_) | IssueEvent::IssuesDetached(_),
        )) => {}
        Some(Event::Issue(IssueEvent::AttachmentAdded(added))) => {
            put_back_undertaking(app, world, MissionId::from(&*entry.subject), last).await?;
            put_back_attachment(&mut world.state, &added.attachment_id, entry);
        }
        Some(Event::Issue(event)) => {
            let issue = MissionId::from(&*entry.subject);
            put_back_undertaking(app, world, issue.clone(), last).await?;
            if let IssueEvent::Commented(Commented { comment_id, .. })
            | IssueEvent::CommentEdited(CommentEdited { comment_id, .. }) = event
            {
                put_back_comment(app, world, &issue, comment_id, last).await?;
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
        Some(Event::Tracker(_)) => put_back_sorting(app, world, entry, last).await?,
        Some(Event::Routine(RoutineEvent::RoutineSaved(_))) => put_back_routine(&mut world.state, entry),
        // None of these is ever gone.
        Some(
            Event::Checkpoint(_)
            | Event::Instance(_)
            | Event::Marker(_)
            | Event::Work(_)
            | Event::Approval(_)
            | Event::Chat(_)
            | Event::Escalation(_)
            | Event::Routine(_),
        )
        | None => {}
    }
    Ok(())
}

/// The types of the entries that tell of labels, projects and so on.
const SORTING_TYPES: [&str; 2] = ["audit.entity_created", "audit.entity_updated"];

/// A label, a project and so on, as its last entry of the batch left it.
async fn put_back_sorting(
    app: &App,
    world: &mut WorkspaceWorld,
    entry: &Entry,
    last: Offset,
) -> Result<(), ReadError> {
    let is_end = entry.face.as_ref().is_none_or(|face| !SORTING_TYPES.contains(&&*face.entry_type));
    if is_end || world.state.tracker.holds(&entry.subject) {
        return Ok(());
    }
    let filter = Filter {
        types: SORTING_TYPES.iter().map(|name| (*name).to_owned()).collect(),
        before: Some(last.plus(1)),
        ..Filter::default()
    };
    let offsets = world.timeline.select(&filter, Order::OldestFirst, usize::MAX, &world.state);
    let mut alone = Workspace::default();
    let take = |read: Read| {
        if read.entry.subject == entry.subject {
            alone.apply(&read.entry);
        }
        ControlFlow::<()>::Continue(())
    };
    app.each_entry(world.log(), offsets, take).await?;
    world.state.tracker.put_back(alone.tracker);
    Ok(())
}

/// A mission or an issue, as its last entry of the batch left it.
async fn put_back_undertaking(
    app: &App,
    world: &mut WorkspaceWorld,
    id: MissionId,
    last: Offset,
) -> Result<(), ReadError> {
    if world.state.undertaking(&id).is_none() {
        match app.as_of(world, &id, last).await? {
            Some(Bookmarked::Mission(mission)) => drop(world.state.missions.insert(id, mission)),
            Some(Bookmarked::Issue(issue)) => {
                let identifier = issue.identifier.to_uppercase().into();
                world.state.issues.identifiers.insert(identifier, id.clone());
                world.state.issues.all.insert(id, issue);
            }
            None => {}
        }
    }
    Ok(())
}

/// What was said, as the last entry of the batch left it.
async fn put_back_comment(
    app: &App,
    world: &mut WorkspaceWorld,
    issue: &MissionId,
    comment: &CommentId,
    last: Offset,
) -> Result<(), ReadError> {
    if world.state.issues.comments.contains_key(comment) {
        return Ok(());
    }
    let Some(history) = world.state.histories.get(issue).cloned() else { return Ok(()) };
    let mut alone = Workspace::default();
    app.each_entry(world.log(), history.changes_until(last), |read| {
        if let Some(Event::Issue(
            IssueEvent::Commented(Commented { comment_id, .. })
            | IssueEvent::CommentEdited(CommentEdited { comment_id, .. }),
        )) = &read.entry.event
            && comment_id == comment
        {
            alone.apply(&read.entry);
        }
        ControlFlow::Continue(())
    })
    .await?;
    world.state.issues.comments.extend(alone.issues.comments);
    Ok(())
}

/// A file at an issue never changes: the fold of its first entry alone is all of it.
fn put_back_attachment(state: &mut Workspace, id: &AttachmentId, added: &Entry) {
    if !state.issues.attachments.contains_key(id) {
        let mut alone = Workspace::default();
        alone.apply(added);
        state.issues.attachments.extend(alone.issues.attachments);
    }
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
        | RosterEvent::CapabilitiesChanged(_)
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

/// A routine, as it was saved.
fn put_back_routine(state: &mut Workspace, entry: &Entry) {
    if state.routines.live(&entry.subject).is_none() {
        let mut alone = Workspace::default();
        alone.apply(entry);
        state.routines.all.extend(alone.routines.all);
        for (slug, id) in alone.routines.slugs {
            state.routines.slugs.entry(slug).or_insert(id);
        }
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
