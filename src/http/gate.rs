//! What each group of routes asks of its caller (`missions.md` 1.1, `platform.md` 3.2, `journal.md` 1.2).

use taffrail_domain::instance::scope::Area;
use taffrail_domain::roster::Permission;

/// What to do when no workspace is named (ruling R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// 400.
    Refused,
    /// The caller's only one, else 400.
    OnlyOne,
    /// The caller's only one, else 401: what the checkpoint pages say.
    OnlyOneOr401,
}

/// A group of routes.
pub(super) trait Gate: Send + Sync + 'static {
    /// What the caller's role must allow.
    const PERMISSION: Permission;
    /// What a scoped token must open.
    const AREA: Area;
    /// What to do when no workspace is named.
    const UNNAMED: Unnamed;
}

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident = $permission:ident, $area:ident, $unnamed:ident;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl Gate for $name {
            const PERMISSION: Permission = Permission::$permission;
            const AREA: Area = Area::$area;
            const UNNAMED: Unnamed = Unnamed::$unnamed;
        }
    )*};
}

gates! {
    /// Crews, read.
    ReadCrews = Read, Crews, Refused;
    /// Crews, created and changed: the seed lets a MANAGER update.
    WriteCrews = Create, Crews, Refused;
    /// Crews, deleted.
    ManageCrews = Manage, Crews, Refused;
    /// Agents, read.
    ReadAgents = Read, Agents, Refused;
    /// Agents, created and changed.
    WriteAgents = Create, Agents, Refused;
    /// Agents, deleted.
    ManageAgents = Manage, Agents, Refused;
    /// Missions and tasks, read.
    ReadMissions = Read, Missions, Refused;
    /// Missions and tasks, every change, deletion too: the page's own rule beats the overview.
    WriteMissions = Create, Missions, Refused;
    /// A mission's state in the past, read.
    ReadState = Read, Missions, OnlyOne;
    /// Checkpoints, read.
    ReadCheckpoints = Read, Checkpoints, OnlyOneOr401;
    /// Checkpoints, every change.
    WriteCheckpoints = Create, Checkpoints, OnlyOneOr401;
    /// The journal, read.
    ReadJournal = Read, Journal, OnlyOne;
}
