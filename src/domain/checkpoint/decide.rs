//! What may be done with checkpoints, and what then is true (`journal.md` 5.2–5.8).

use std::sync::Arc;

use serde_json::json;

use super::{
    AsOf, Bookmarked, Checkpoint, CheckpointCommand, CheckpointCreated, CheckpointDeleted, CheckpointDraft,
    CheckpointRestored, Snapshot,
};
use crate::mission::mission_face;
use crate::roster::Permission;
use crate::{
    Actor, CheckpointId, Context, Draft, Face, MissionId, Offset, Rejection, Severity, Text, Workspace,
};

/// Longest label (`journal.md` 5.2).
const LABEL_CHARS_MAX: usize = 1_000;

impl Workspace {
    pub(crate) fn decide_checkpoint(
        &self,
        command: &CheckpointCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Create)?;
        match command {
            CheckpointCommand::Create { mission, draft, at } => {
                self.create_checkpoint(mission, draft.as_ref(), at.as_ref(), context)
            }
            CheckpointCommand::Restore { checkpoint } => {
                Ok(vec![self.restore(self.checkpoint(checkpoint)?, context.actor)])
            }
            CheckpointCommand::Fork { checkpoint, label, source } => {
                let label = label_of(label.as_deref())?;
                let checkpoint = self.checkpoint(checkpoint)?;
                self.fork(checkpoint, label, source.as_ref().map(Bookmarked::undertaking), context)
            }
            CheckpointCommand::Delete { checkpoint } => {
                Ok(vec![self.delete(self.checkpoint(checkpoint)?, context.actor)])
            }
        }
    }

    /// A checkpoint that stands.
    ///
    /// # Errors
    /// `checkpoint not found`.
    pub fn checkpoint(&self, id: &CheckpointId) -> Result<&Arc<Checkpoint>, Rejection> {
        self.checkpoints
            .get(id)
            .ok_or_else(|| Rejection::not_found("checkpoint.not_found", "checkpoint not found"))
    }

    /// A mission or an issue, named without its crew as the checkpoint routes do.
    ///
    /// # Errors
    /// `mission not found`.
    pub fn bookmarkable(&self, id: &MissionId) -> Result<Bookmarked, Rejection> {
        let mission = self.missions.get(id).cloned().map(Bookmarked::Mission);
        let found = mission.or_else(|| self.issues.all.get(id).cloned().map(Bookmarked::Issue));
        found.ok_or_else(|| Rejection::not_found("mission.not_found", "mission not found"))
    }

    fn create_checkpoint(
        &self,
        mission: &MissionId,
        draft: Result<&CheckpointDraft, &Rejection>,
        at: Option<&Result<AsOf, Rejection>>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let living = self.bookmarkable(mission)?;
        let mission = living.undertaking();
        let label = label_of(draft.map_err(Clone::clone)?.label.as_deref())?;
        let head = self.anchor(&living)?;
        let now = Offset(context.next.0 - 1);
        // (public name, state after, drift after, state): the checkpoint's own entry is not drift.
        let (cursor, boundary, diverges_after, then) = match at {
            None => (head, now, context.next, &living),
            Some(past) => {
                let past = past.as_ref().map_err(Clone::clone)?;
                (past.offset, past.offset, past.offset, &past.then)
            }
        };
        let created = CheckpointCreated {
            mission_id: mission.id.clone(),
            crew_id: mission.crew_id.clone(),
            label,
            cursor: context.entry_id(cursor),
            boundary,
            diverges_after,
            state: Snapshot::of(then, boundary, &self.work).into(),
            fork_of: None,
            created_by: context.actor.user().cloned(),
        };
        let id = fresh_checkpoint_id(context);
        let face = created_face(&id, &created, context.actor);
        Ok(vec![Draft::public(id.as_str(), created, face)])
    }

    /// Its last public entry. The bare creation entry of an orchestration mission is no anchor (ruling
    /// R10); anything later is, and so is that of an issue.
    fn anchor(&self, living: &Bookmarked) -> Result<Offset, Rejection> {
        let bare = match living {
            Bookmarked::Mission(_) => 1,
            Bookmarked::Issue(_) => 0,
        };
        let history = self.histories.get(&living.undertaking().id);
        let history = history.filter(|history| history.public.len() > bare);
        history.and_then(|history| history.public.last().copied()).ok_or_else(|| {
            Rejection::conflict(
                "checkpoint.no_anchor",
                "mission has no journal entries to anchor a checkpoint",
            )
        })
    }

    fn restore(&self, checkpoint: &Checkpoint, actor: &Actor) -> Draft {
        let history = self.histories.get(&checkpoint.mission_id);
        let count = history.map_or(0, |history| history.divergence(checkpoint.diverges_after).len());
        let summary = format!("restore preview for checkpoint {} ({count} divergent entries)", checkpoint.id);
        let face = Face {
            payload: json!({
                "divergence_count": count, "checkpoint_id": checkpoint.id,
                "journal_cursor": checkpoint.cursor,
            })
            .into(),
            refs: json!({
                "checkpoint_id": checkpoint.id, "journal_cursor": checkpoint.cursor,
                "mission_id": checkpoint.mission_id, "divergence_count": count,
            })
            .into(),
            ..checkpoint_face("checkpoint.restored", checkpoint, &summary, actor)
        };
        let restored = CheckpointRestored { divergence_count: count as u64 };
        Draft::public(checkpoint.id.as_str(), restored, face)
    }

    fn delete(&self, checkpoint: &Checkpoint, actor: &Actor) -> Draft {
        let orphaned = self.forks_of(&checkpoint.id).count();
        let summary = format!("checkpoint {} deleted", checkpoint.id);
        let refs = json!({
            "checkpoint_id": checkpoint.id, "mission_id": checkpoint.mission_id,
            "orphaned_forks": orphaned,
        });
        let face = Face {
            severity: Severity::Notice,
            payload: refs.clone().into(),
            refs: refs.into(),
            ..checkpoint_face("checkpoint.deleted", checkpoint, &summary, actor)
        };
        let deleted = CheckpointDeleted { mission_id: checkpoint.mission_id.clone() };
        Draft::public(checkpoint.id.as_str(), deleted, face)
    }
}

pub(super) fn fresh_checkpoint_id(context: &Context<'_>) -> CheckpointId {
    format!("chk_{}", context.mint.hex16()).into()
}

/// Stored verbatim; an empty one is none.
fn label_of(label: Option<&str>) -> Result<Option<Text>, Rejection> {
    match label {
        Some(label) if label.chars().count() > LABEL_CHARS_MAX => {
            Err(Rejection::invalid("checkpoint.label_too_long", "label must be at most 1000 characters"))
        }
        Some(label) if !label.is_empty() => Ok(Some(label.into())),
        _ => Ok(None),
    }
}

fn created_face(id: &CheckpointId, created: &CheckpointCreated, actor: &Actor) -> Face {
    let label = created.label.as_deref().unwrap_or_default();
    let summary = format!("checkpoint {label:?} @ cursor {}", created.cursor);
    let refs = json!({
        "checkpoint_id": id, "journal_cursor": created.cursor, "mission_id": created.mission_id,
    });
    let mut payload = refs.clone();
    payload["label"] = json!(label);
    Face {
        summary: summary.into(),
        payload: payload.into(),
        refs: refs.into(),
        ..mission_face("checkpoint.created", actor, &created.crew_id, &created.mission_id, "", "")
    }
}

fn checkpoint_face(entry_type: &str, checkpoint: &Checkpoint, summary: &str, actor: &Actor) -> Face {
    Face {
        summary: summary.into(),
        ..mission_face(entry_type, actor, &checkpoint.crew_id, &checkpoint.mission_id, "", "")
    }
}
