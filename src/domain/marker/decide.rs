//! What may be done with markers, and what then is true (`journal.md` 3.5).

use serde_json::json;

use super::{MarkedEntry, MarkerCommand, MarkerDraft, PriorityChanged};
use crate::roster::Permission;
use crate::{Actor, Context, Draft, EntryId, Face, Priority, Rejection, Severity, Workspace};

/// Longest reason: it stands in the journal for ever.
const REASON_CHARS_MAX: usize = 1_000;

impl Workspace {
    pub(crate) fn decide_marker(
        &self,
        command: &MarkerCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Manage)?;
        let MarkerCommand::SetPriority { entry, draft } = command;
        let new = priority(draft)?;
        let reason = draft.reason.as_deref().unwrap_or_default();
        if reason.chars().count() > REASON_CHARS_MAX {
            let detail = "reason must be at most 1000 characters";
            return Err(Rejection::invalid("journal.reason_too_long", detail));
        }
        let entry = entry.as_ref();
        let entry = entry.ok_or_else(|| Rejection::not_found("entry.not_found", "entry not found"))?;
        let marker = self.markers.get(&entry.offset).copied().unwrap_or_default();
        // Setting the same marker again is recorded too: somebody looked and said so.
        let changed = PriorityChanged {
            target: entry.offset,
            previous: marker.priority,
            new,
            reason: reason.into(),
            change: marker.changes.saturating_add(1),
        };
        let id = context.entry_id(entry.offset);
        let face = changed_face(id, entry, &changed, context.actor);
        Ok(vec![Draft::public(id.to_string(), changed, face)])
    }
}

fn priority(draft: &MarkerDraft) -> Result<Priority, Rejection> {
    draft.priority.as_deref().and_then(Priority::parse).ok_or_else(|| {
        Rejection::invalid("journal.priority", "priority must be one of: normal, high, pin, permanent")
    })
}

fn changed_face(id: EntryId, entry: &MarkedEntry, changed: &PriorityChanged, actor: &Actor) -> Face {
    let details = format!("{id} {} → {}", changed.previous, changed.new);
    Face {
        severity: Severity::Notice,
        crew_id: entry.crew_id.clone(),
        agent_id: entry.agent_id.clone(),
        mission_id: entry.mission_id.clone(),
        payload: json!({
            "target_entry_id": id, "target_entry_type": entry.entry_type,
            "previous_priority": changed.previous, "new_priority": changed.new, "reason": changed.reason,
        })
        .into(),
        refs: json!({ "parent_entry_id": id }).into(),
        ..Face::new("memory.priority_changed", actor, "priority_changed", &details)
    }
}
