//! Which checkpoints stand after a fact.

use std::sync::Arc;

use super::{Checkpoint, CheckpointCreated, CheckpointEvent};
use crate::index::under;
use crate::{CheckpointId, Entry, MissionId, Workspace};

impl Workspace {
    pub(crate) fn apply_checkpoint(&mut self, event: &CheckpointEvent, entry: &Entry) {
        match event {
            CheckpointEvent::CheckpointCreated(created) => {
                let checkpoint = Checkpoint::begin(created, entry);
                let id = || checkpoint.id.clone();
                self.checkpoints_by_mission.insert((checkpoint.mission_id.clone(), id()));
                if let Some(source) = &checkpoint.fork_of {
                    self.forks.insert((source.clone(), id()));
                }
                self.checkpoints.insert(checkpoint.id.clone(), Arc::new(checkpoint));
            }
            CheckpointEvent::CheckpointDeleted(_) => self.forget_checkpoint(&(&*entry.subject).into()),
            // A restore changes nothing; a fork's facts are in the entries of its batch.
            CheckpointEvent::CheckpointRestored(_) | CheckpointEvent::Forked(_) => {}
        }
    }

    pub(crate) fn forget_checkpoints_of(&mut self, mission: &MissionId) {
        let gone: Vec<_> = under(&self.checkpoints_by_mission, mission).cloned().collect();
        gone.iter().for_each(|checkpoint| self.forget_checkpoint(checkpoint));
    }

    /// Forks of it live on without their `fork_of` (`journal.md` 5.7).
    fn forget_checkpoint(&mut self, id: &CheckpointId) {
        let Some(gone) = self.checkpoints.remove(id) else { return };
        self.checkpoints_by_mission.remove(&(gone.mission_id.clone(), id.clone()));
        if let Some(source) = &gone.fork_of {
            self.forks.remove(&(source.clone(), id.clone()));
        }
        let orphans: Vec<_> = self.forks_of(id).cloned().collect();
        for orphan in orphans {
            self.forks.remove(&(id.clone(), orphan.clone()));
            if let Some(orphan) = self.checkpoints.get_mut(&orphan) {
                Arc::make_mut(orphan).fork_of = None;
            }
        }
    }

    /// The checkpoints that were forked from this one.
    pub(super) fn forks_of<'a>(
        &'a self,
        id: &'a CheckpointId,
    ) -> impl Iterator<Item = &'a CheckpointId> + 'a {
        under(&self.forks, id)
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
            state: (*created.state).clone(),
            fork_of: created.fork_of.clone(),
            created_by: created.created_by.clone(),
            created_at: entry.time,
            born: entry.offset,
        }
    }
}
