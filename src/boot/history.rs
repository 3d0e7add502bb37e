//! Reading the past back from the journal.

use std::ops::ControlFlow;
use std::sync::Arc;

use taffrail_domain::checkpoint::Bookmarked;
use taffrail_domain::issue::Issue;
use taffrail_domain::mission::Mission;
use taffrail_domain::{Entry, LogTag, MissionId, Offset};
use taffrail_journal::ReadError;
use taffrail_projections::{WorkspaceWorld, World};

use super::Taffrail;
use super::folds::log_id;
use crate::stored;

/// Offsets that are read at once: no reader holds more of the journal than that, and what it made of it.
const PAGE_OFFSETS: usize = 128;

/// An entry, and how many bytes its body has in the journal.
pub(crate) struct Read {
    pub(crate) entry: Entry,
    pub(crate) body_bytes: usize,
}

impl Taffrail {
    /// Reads the entries at these offsets of a log, in the order asked.
    ///
    /// # Errors
    /// If the journal does not give them back whole.
    pub async fn entries_at(&self, log: LogTag, offsets: Vec<Offset>) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::with_capacity(offsets.len());
        self.each_entry(log, offsets, |read| {
            entries.push(read.entry);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(entries)
    }

    /// Hands the entries at these offsets of a log to `take`, in the order asked, until it has enough.
    ///
    /// # Errors
    /// If the journal does not give them back whole.
    pub(crate) async fn each_entry(
        &self,
        log: LogTag,
        offsets: impl IntoIterator<Item = Offset, IntoIter: Send> + Send,
        mut take: impl FnMut(Read) -> ControlFlow<()> + Send,
    ) -> Result<(), ReadError> {
        let mut offsets = offsets.into_iter().map(|offset| offset.0);
        loop {
            let page: Vec<u64> = offsets.by_ref().take(PAGE_OFFSETS).collect();
            if page.is_empty() {
                return Ok(());
            }
            for frame in self.journal().read_at(log_id(log), page).await? {
                let body_bytes = frame.content.as_ref().map_or(0, |content| content.body.len());
                let entry = stored::readable(&frame)?;
                if take(Read { entry, body_bytes }).is_break() {
                    return Ok(());
                }
            }
        }
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
        let mut then = None;
        self.each_entry(world.log(), history.changes_until(point), |read| {
            then = Mission::fold(then.take(), &read.entry);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(then.map(Arc::new))
    }

    /// The same of an issue.
    ///
    /// # Errors
    /// If the journal does not give its entries back whole.
    pub async fn issue_as_of(
        &self,
        world: &WorkspaceWorld,
        id: &MissionId,
        point: Offset,
    ) -> Result<Option<Arc<Issue>>, ReadError> {
        let Some(history) = world.state.histories.get(id) else { return Ok(None) };
        if let Some(live) = world.state.issues.all.get(id)
            && history.changes.last().is_some_and(|last| *last <= point)
        {
            return Ok(Some(Arc::clone(live)));
        }
        let mut then = None;
        self.each_entry(world.log(), history.changes_until(point), |read| {
            then = Issue::fold(then.take(), id, &read.entry);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(then.map(Arc::new))
    }

    /// A mission or an issue, whichever the id is of.
    ///
    /// # Errors
    /// If the journal does not give its entries back whole.
    pub async fn as_of(
        &self,
        world: &WorkspaceWorld,
        id: &MissionId,
        point: Offset,
    ) -> Result<Option<Bookmarked>, ReadError> {
        if let Some(mission) = self.mission_as_of(world, id, point).await? {
            return Ok(Some(Bookmarked::Mission(mission)));
        }
        Ok(self.issue_as_of(world, id, point).await?.map(Bookmarked::Issue))
    }
}
