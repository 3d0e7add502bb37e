//! Reading the past back from the journal.

use std::sync::Arc;

use taffrail_domain::mission::Mission;
use taffrail_domain::{Entry, LogTag, MissionId, Offset};
use taffrail_journal::ReadError;
use taffrail_projections::{WorkspaceWorld, World};

use super::Taffrail;
use super::folds::log_id;
use crate::stored;

impl Taffrail {
    /// Reads the entries at these offsets of a log, in the order asked.
    ///
    /// # Errors
    /// If the journal does not give them back whole.
    pub async fn entries_at(&self, log: LogTag, offsets: Vec<Offset>) -> Result<Vec<Entry>, ReadError> {
        let offsets = offsets.into_iter().map(|offset| offset.0).collect();
        let frames = self.journal().read_at(log_id(log), offsets).await?;
        stored::entries(&frames)
    }

    /// The mission's state after `point`: the fold of its changes until then, by the same `apply` that
    /// keeps the world. `None` if it did not exist then.
    ///
    /// # Errors
    /// If the journal does not give its entries back whole.
    pub async fn mission_as_of(
        &self,
        world: &WorkspaceWorld,
        mission: &MissionId,
        point: Offset,
    ) -> Result<Option<Arc<Mission>>, ReadError> {
        if let Some(live) = world.state.missions.get(mission)
            && live.changed <= point
        {
            return Ok(Some(Arc::clone(live)));
        }
        let Some(history) = world.state.histories.get(mission) else { return Ok(None) };
        let entries = self.entries_at(world.log(), history.changes_until(point)).await?;
        Ok(entries.iter().fold(None, Mission::fold).map(Arc::new))
    }
}
