//! Whether a subscriber may still listen. Asked whenever something happens that could end it, so that what
//! is revoked is over within a moment.

use std::sync::Arc;
use std::time::Duration;

use taffrail_domain::{LogTag, Time};
use taffrail_projections::{InstanceWorld, WorkspaceWorld};
use tokio::sync::watch;

use crate::boot::{Session, Taffrail};

/// A backstop for what nobody tells.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The credential behind a stream.
pub struct Access {
    app: Arc<Taffrail>,
    session: Session,
    instance: watch::Receiver<Arc<InstanceWorld>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("user", &self.session.user).finish_non_exhaustive()
    }
}

impl Access {
    /// The credential that opened a stream.
    #[must_use]
    pub fn new(app: &Arc<Taffrail>, session: Session) -> Self {
        Self { instance: app.instance().watch(), app: Arc::clone(app), session }
    }

    /// Who stands behind it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn app(&self) -> &Arc<Taffrail> {
        &self.app
    }

    /// Whether the credential still counts.
    pub(super) fn is_live(&self) -> bool {
        let world = self.app.instance().world();
        let state = &world.state;
        state.users.contains_key(&self.session.user)
            && state.tokens.get(&self.session.token).is_some_and(|token| token.is_live(self.app.now()))
    }

    /// Whether its person is still a member of a workspace.
    pub(super) fn is_member(&self, world: &WorkspaceWorld) -> bool {
        world.state.roster.role(&self.session.user).is_some()
    }

    /// Waits until the credential does not count any more.
    pub(super) async fn lost(&mut self) {
        while self.is_live() {
            let left = self.session.expires_at.map(|Time(at)| at.saturating_sub(self.app.now().0));
            let left = left.map_or(LOOK_AGAIN, |ms| Duration::from_millis(ms).min(LOOK_AGAIN));
            // Either something has changed, or it is time to look again.
            drop(tokio::time::timeout(left.max(Duration::from_millis(1)), self.instance.changed()).await);
        }
    }

    /// The writer's log of one of its person's workspaces.
    pub(super) fn logs(&self) -> Vec<(taffrail_domain::WorkspaceId, LogTag)> {
        let own = self.app.workspaces_of(&self.session.user).into_iter();
        own.map(|(id, writer)| (id, writer.log())).collect()
    }
}
