//! What is known across all logs without walking them. The writers keep it, each for its own log, just
//! before they publish: it never lags behind an answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use taffrail_domain::roster::Member;
use taffrail_domain::{LogTag, Time, UserId, WorkspaceId};
use taffrail_projections::{InstanceWorld, WorkspaceWorld, World};

use crate::writer::Witness;

/// Who is a member where, and when the last entry of any log was made.
#[derive(Debug, Default)]
pub(super) struct Overview {
    /// May name a workspace that a person is leaving: its world has the last word.
    memberships: RwLock<HashMap<UserId, BTreeMap<WorkspaceId, LogTag>>>,
    last_time_ms: AtomicU64,
}

impl Overview {
    /// The time of the newest entry of all logs.
    pub(super) fn last_time(&self) -> Time {
        Time(self.last_time_ms.load(Ordering::Relaxed))
    }

    /// The logs of the workspaces that a person is a member of, in the order of their ids.
    pub(super) fn workspaces_of(&self, user: &UserId) -> Vec<(WorkspaceId, LogTag)> {
        let memberships = self.memberships.read().unwrap_or_else(PoisonError::into_inner);
        let own = memberships.get(user).into_iter().flatten();
        own.map(|(id, log)| (id.clone(), *log)).collect()
    }

    /// Keeps the instance log's part, beginning with its world now.
    pub(super) fn of_instance(self: &Arc<Self>, world: &InstanceWorld) -> Witness<InstanceWorld> {
        let overview = Arc::clone(self);
        let note = move |world: &InstanceWorld| overview.note_time(world.time());
        note(world);
        Box::new(note)
    }

    /// Keeps a workspace's part, beginning with its world now.
    pub(super) fn of_workspace(
        self: &Arc<Self>,
        id: WorkspaceId,
        world: &WorkspaceWorld,
    ) -> Witness<WorkspaceWorld> {
        let overview = Arc::clone(self);
        let mut members = OrdMap::new();
        let mut note = move |world: &WorkspaceWorld| {
            overview.note_time(world.time());
            let now = &world.state.roster.members;
            if !members.ptr_eq(now) {
                overview.note_members(&id, world.log(), &members, now);
                members = now.clone();
            }
        };
        note(world);
        Box::new(note)
    }

    fn note_time(&self, time: Time) {
        self.last_time_ms.fetch_max(time.0, Ordering::Relaxed);
    }

    fn note_members(
        &self,
        id: &WorkspaceId,
        log: LogTag,
        before: &OrdMap<UserId, Member>,
        now: &OrdMap<UserId, Member>,
    ) {
        let mut memberships = self.memberships.write().unwrap_or_else(PoisonError::into_inner);
        for change in before.diff(now) {
            match change {
                DiffItem::Add(user, _) => {
                    memberships.entry(user.clone()).or_default().insert(id.clone(), log);
                }
                DiffItem::Remove(user, _) => {
                    if let Some(own) = memberships.get_mut(user) {
                        own.remove(id);
                    }
                }
                // Another role is read from the world.
                DiffItem::Update { .. } => {}
            }
        }
    }
}
