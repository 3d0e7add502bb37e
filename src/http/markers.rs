//! The marker of an entry, the only thing about it that can change (`journal.md` 3.5).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::marker::{MarkedEntry, MarkerCommand, MarkerDraft, MarkerEvent};
use taffrail_domain::{Entry, Event, Priority, Text};

use super::answer::{Done, first_entry};
use super::body::{Required, Sent};
use super::caller::Member;
use super::gate::MarkJournal;
use super::problem::Problem;
use taffrail_projections::World;

/// A marker that was set.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PriorityChanged")]
pub(super) struct PriorityView {
    id: String,
    priority: Priority,
    previous: Priority,
    reason: Text,
}

/// `POST /api/v1/journal/{entryId}/priority`
pub(super) async fn set_priority(
    member: Member<MarkJournal>,
    Path(id): Path<String>,
    sent: Sent<Required<MarkerDraft>>,
) -> Result<Done<PriorityView>, Problem> {
    let draft = sent.json_or("invalid JSON body")?;
    let entry = marked(&member, &id).await?;
    let done = member.execute(MarkerCommand::SetPriority { entry, draft }, &sent).await?;
    match &first_entry(&done)?.event {
        Some(Event::Marker(MarkerEvent::PriorityChanged(changed))) => {
            let (priority, previous, reason) = (changed.new, changed.previous, changed.reason.clone());
            Ok(Done::new(&done, &PriorityView { id, priority, previous, reason }))
        }
        _ => Err(Problem::internal()),
    }
}

/// The entry, read before the queue: it cannot change. `None` if the public sees none under this id.
async fn marked(member: &Member<MarkJournal>, id: &str) -> Result<Option<MarkedEntry>, Problem> {
    let world = member.world();
    let Some(offset) = world.public_offset(id) else { return Ok(None) };
    let entries = member.app.entries_at(world.log(), vec![offset]).await?;
    let seen = |entry: Entry| {
        let face = entry.face?;
        Some(MarkedEntry {
            offset: entry.offset,
            entry_type: face.entry_type,
            crew_id: face.crew_id,
            agent_id: face.agent_id,
            mission_id: face.mission_id,
        })
    };
    Ok(entries.into_iter().next().and_then(seen))
}
