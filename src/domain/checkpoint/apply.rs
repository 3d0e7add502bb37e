//! Which checkpoints stand after a fact.

use std::sync::Arc;

use super::{Checkpoint, CheckpointCreated, CheckpointEvent};
use crate::{CheckpointId, Entry, Workspace};

impl Workspace {
    pub(crate) fn apply_checkpoint(&mut self, event: &CheckpointEvent, entry: &Entry) {
        match event {
            CheckpointEvent::CheckpointCreated(created) => {
                let checkpoint = Checkpoint::begin(created, entry);
                self.checkpoints.insert(checkpoint.id.clone(), Arc::new(checkpoint));
            }
            CheckpointEvent::CheckpointDeleted(_) => self.forget_checkpoint(&(&*entry.subject).into()),
            // A restore changes nothing; a fork's facts are in the entries of its batch.
            CheckpointEvent::CheckpointRestored(_) | CheckpointEvent::Forked(_) => {}
        }
    }

    pub(crate) fn forget_checkpoints_of(&mut self, mission: &str) {
        let gone: Vec<_> = self
            .checkpoints
            .values()
            .filter(|checkpoint| checkpoint.mission_id.as_str() == mission)
            .map(|checkpoint| checkpoint.id.clone())
            .collect();
        gone.iter().for_each(|checkpoint| self.forget_checkpoint(checkpoint));
    }

    /// Forks of it live on without their `fork_of` (`journal.md` 5.7).
    fn forget_checkpoint(&mut self, id: &CheckpointId) {
        self.checkpoints.remove(id);
        let orphans: Vec<_> = self.forks_of(id).map(|orphan| orphan.id.clone()).collect();
        for orphan in orphans {
            if let Some(orphan) = self.checkpoints.get_mut(&orphan) {
                Arc::make_mut(orphan).fork_of = None;
            }
        }
    }

    pub(super) fn forks_of<'a>(
        &'a self,
        id: &'a CheckpointId,
    ) -> impl Iterator<Item = &'a Arc<Checkpoint>> + 'a {
        self.checkpoints.values().filter(move |checkpoint| checkpoint.fork_of.as_ref() == Some(id))
    }
}

impl Checkpoint {
    fn begin(created: &CheckpointCreated, entry: &Entry) -> Self {
        Self {
            id: (&*entry.subject).into(),
            mission_id: created.mission_id.clone(),
            crew_id: created.crew_id.clone(),
            label: created.label.clone(),
            cursor: created.cursor,
            boundary: created.boundary,
            diverges_after: created.diverges_after,
            state: created.state.clone(),
            fork_of: created.fork_of.clone(),
            created_by: created.created_by.clone(),
            created_at: entry.time,
            born: entry.offset,
        }
    }
}
