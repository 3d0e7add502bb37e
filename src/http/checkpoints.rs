//! Checkpoints: bookmark, look back, fork (`journal.md` 5).

use std::ops::ControlFlow;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::checkpoint::{
    AsOf, Checkpoint, CheckpointCommand, CheckpointDraft, CheckpointEvent, Snapshot,
};
use taffrail_domain::{
    CheckpointId, CrewId, Entry, EntryId, Event, MissionId, Offset, Rejection, Severity, Text, UserId,
    WorkspaceId,
};
use taffrail_projections::{WorkspaceWorld, World};

use super::answer::{Created, Done, Gone, Listed, Shown, first_entry};
use super::body::{Ignored, Optional, Sent};
use super::caller::Member;
use super::gate::{ReadCheckpoints, WriteCheckpoints};
use super::journal::public_offset;
use super::problem::Problem;
use super::query::{Number, Query};
use super::state::entry_of_its_life;
use super::tag::Unchanged;
use super::time::{Millis, Seconds};
use crate::boot::Read;

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 200;
/// Most diverged entries that are listed; all are counted (ruling R11).
const DIVERGENCE_LISTED_MAX: usize = 10_000;

/// A checkpoint on the wire: what is empty is left out.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Checkpoint")]
pub(super) struct CheckpointView {
    id: CheckpointId,
    workspace_id: WorkspaceId,
    crew_id: CrewId,
    mission_id: MissionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Text>,
    journal_cursor: EntryId,
    state: Snapshot,
    #[serde(skip_serializing_if = "Option::is_none")]
    fork_of: Option<CheckpointId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<UserId>,
    created_at: Seconds,
}

/// A mission's checkpoints.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Checkpoints")]
pub(super) struct ListView {
    mission_id: MissionId,
    checkpoints: Vec<CheckpointView>,
    count: usize,
}

/// What a restore tells; it changes nothing.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RestorePreview")]
pub(super) struct RestoreView {
    checkpoint: CheckpointView,
    journal_cursor: EntryId,
    warn_divergence: Vec<String>,
    diverged_entries: Vec<DivergedView>,
    divergence_count: u64,
    divergence_truncated: bool,
}

/// One entry behind the checkpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DivergedEntry")]
struct DivergedView {
    id: EntryId,
    entry_type: Text,
    severity: Severity,
    ts: Millis,
    summary: Text,
}

/// What a fork made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Forked")]
pub(super) struct ForkView {
    new_mission_id: MissionId,
    new_checkpoint_id: CheckpointId,
}

/// Body of fork.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ForkDraft {
    /// Label of the new checkpoint; without it `fork of <source>`.
    label: Option<String>,
}

/// How many checkpoints of a mission.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CheckpointQuery {
    /// Most checkpoints, 1 to 200; anything else is 50.
    limit: Number,
}

/// `GET /api/v1/missions/{mission}/checkpoints`: newest first; a limit outside 1–200 is 50.
pub(super) async fn list_checkpoints(
    member: Member<ReadCheckpoints>,
    Path(mission): Path<MissionId>,
    Query(query): Query<CheckpointQuery>,
) -> Result<Listed<ListView>, Problem> {
    let world = member.world();
    world.state.bookmarkable(&mission)?;
    let limit = query.limit.get().and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| (1..=PAGE_MAX).contains(limit)).unwrap_or(PAGE_DEFAULT);
    let ids = world.board.checkpoints(&mission).take(limit);
    let checkpoints: Vec<_> = ids
        .filter_map(|id| world.state.checkpoints.get(id))
        .map(|checkpoint| CheckpointView::of(checkpoint, &member.id))
        .collect();
    let (count, total) = (checkpoints.len(), world.board.checkpoints(&mission).count());
    Ok(Listed::whole(&ListView { mission_id: mission, checkpoints, count }, total))
}

/// `POST /api/v1/missions/{mission}/checkpoints`: the mission is looked at before the body.
pub(super) async fn create_checkpoint(
    member: Member<WriteCheckpoints>,
    Path(mission): Path<MissionId>,
    unchanged: Unchanged,
    sent: Sent<Optional<CheckpointDraft>>,
) -> Result<Created<CheckpointView>, Problem> {
    let draft = sent.json();
    let at = match draft.as_ref().ok().and_then(|draft| draft.at.as_deref()) {
        Some(entry) => Some(as_of(&member, &mission, entry).await?),
        None => None,
    };
    let command = CheckpointCommand::Create { mission, draft, at };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let id = CheckpointId::from(&*first_entry(&done)?.subject);
    let checkpoint = done.world.state.checkpoint(&id)?;
    Ok(Created::tagged(&done, &CheckpointView::of(checkpoint, &member.id), checkpoint.born))
}

/// The mission at a past entry, folded before the queue: the past cannot change. What is wrong with
/// the entry is the decider's to say, in its turn.
async fn as_of(
    member: &Member<WriteCheckpoints>,
    mission: &MissionId,
    entry: &str,
) -> Result<Result<AsOf, Rejection>, Problem> {
    let world = member.world();
    let named = public_offset(&world, entry);
    let offset = match named.and_then(|offset| entry_of_its_life("at", &world, mission, offset)) {
        Ok(offset) => offset,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let then = member.app.as_of(&world, mission, offset).await?;
    let then = then.map(|then| AsOf { offset, then });
    Ok(then.ok_or_else(|| Rejection::not_found("mission.not_found", "mission not found")))
}

/// `GET /api/v1/checkpoints/{checkpoint}`
pub(super) async fn get_checkpoint(
    member: Member<ReadCheckpoints>,
    Path(checkpoint): Path<CheckpointId>,
) -> Result<Shown<CheckpointView>, Problem> {
    let world = member.world();
    let checkpoint = world.state.checkpoint(&checkpoint)?;
    Ok(Shown::new(checkpoint.born, &CheckpointView::of(checkpoint, &member.id)))
}

/// `POST /api/v1/checkpoints/{checkpoint}/restore`: a body is not looked at, and nothing is restored.
pub(super) async fn restore_checkpoint(
    member: Member<WriteCheckpoints>,
    Path(id): Path<CheckpointId>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Done<RestoreView>, Problem> {
    let command = CheckpointCommand::Restore { checkpoint: id.clone() };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let decision = first_entry(&done)?;
    let divergence_count = divergence_count(decision).ok_or_else(Problem::internal)?;
    let checkpoint = done.world.state.checkpoint(&id)?;
    let listed = divergence(&done.world, checkpoint, decision.offset);
    let mut diverged_entries = vec![];
    let take = |read: Read| {
        diverged_entries.extend(DivergedView::of(&read.entry, &done.world));
        ControlFlow::Continue(())
    };
    member.app.each_entry(done.world.log(), listed, take).await?;
    let view = RestoreView {
        journal_cursor: checkpoint.cursor,
        checkpoint: CheckpointView::of(checkpoint, &member.id),
        warn_divergence: diverged_entries.iter().map(DivergedView::as_warning).collect(),
        diverged_entries,
        divergence_count,
        divergence_truncated: divergence_count > DIVERGENCE_LISTED_MAX as u64,
    };
    Ok(Done::new(&done, &view))
}

/// How much had diverged, as the restore itself says.
fn divergence_count(restored: &Entry) -> Option<u64> {
    match &restored.event {
        Some(Event::Checkpoint(CheckpointEvent::CheckpointRestored(restored))) => {
            Some(restored.divergence_count)
        }
        _ => None,
    }
}

/// What of it is listed, oldest first: what stood there when the restore was decided, however much
/// later it is read.
fn divergence(world: &WorkspaceWorld, checkpoint: &Checkpoint, decided_at: Offset) -> Vec<Offset> {
    let history = world.state.histories.get(&checkpoint.mission_id);
    let after = history.into_iter().flat_map(|history| history.divergence(checkpoint.diverges_after));
    after.take_while(|offset| *offset < decided_at).take(DIVERGENCE_LISTED_MAX).collect()
}

/// `POST /api/v1/checkpoints/{checkpoint}/fork`
pub(super) async fn fork_checkpoint(
    member: Member<WriteCheckpoints>,
    Path(checkpoint): Path<CheckpointId>,
    unchanged: Unchanged,
    sent: Sent<Optional<ForkDraft>>,
) -> Result<Created<ForkView>, Problem> {
    let ForkDraft { label } = sent.json()?;
    let world = member.world();
    let source = match world.state.checkpoints.get(&checkpoint) {
        Some(found) => member.app.as_of(&world, &found.mission_id, found.boundary).await?,
        None => None,
    };
    let command = CheckpointCommand::Fork { checkpoint, label, source };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    let view = done.entries.iter().find_map(ForkView::of).ok_or_else(Problem::internal)?;
    Ok(Created::new(&done, &view))
}

/// `DELETE /api/v1/checkpoints/{checkpoint}`
pub(super) async fn delete_checkpoint(
    member: Member<WriteCheckpoints>,
    Path(checkpoint): Path<CheckpointId>,
    unchanged: Unchanged,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let command = CheckpointCommand::Delete { checkpoint };
    let done = member.execute(unchanged.guard(command), &sent).await?;
    Ok(Gone::of(&done))
}

impl CheckpointView {
    fn of(checkpoint: &Checkpoint, workspace: &WorkspaceId) -> Self {
        Self {
            id: checkpoint.id.clone(),
            workspace_id: workspace.clone(),
            crew_id: checkpoint.crew_id.clone(),
            mission_id: checkpoint.mission_id.clone(),
            label: checkpoint.label.clone(),
            journal_cursor: checkpoint.cursor,
            state: checkpoint.state.clone(),
            fork_of: checkpoint.fork_of.clone(),
            created_by: checkpoint.created_by.clone(),
            created_at: Seconds(checkpoint.created_at),
        }
    }
}

impl DivergedView {
    fn of(entry: &Entry, world: &WorkspaceWorld) -> Option<Self> {
        let face = entry.face.as_ref()?;
        Some(Self {
            id: world.entry_id(entry.offset),
            entry_type: face.entry_type.clone(),
            severity: face.severity,
            ts: Millis(entry.time),
            summary: face.summary.clone(),
        })
    }

    /// As the seed shows it.
    fn as_warning(&self) -> String {
        format!("{} at {}", self.entry_type, self.id)
    }
}

impl ForkView {
    fn of(entry: &Entry) -> Option<Self> {
        match &entry.event {
            Some(Event::Checkpoint(CheckpointEvent::Forked(forked))) => Some(Self {
                new_mission_id: (&*entry.subject).into(),
                new_checkpoint_id: forked.new_checkpoint.clone(),
            }),
            _ => None,
        }
    }
}
