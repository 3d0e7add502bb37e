//! What each group of routes asks of its caller (`missions.md` 1.1, `platform.md` 3.2, `journal.md` 1.2).

use taffrail_domain::instance::scope::{Area, Verb};
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
    /// The one in the path; another name beside it must mean the same (`client.md` 7, row 3).
    InPath,
}

/// A group of routes.
pub(super) trait Gate: Send + Sync + 'static {
    /// What the caller's role must allow. Where a role in a crew, or a capability, may be enough, the
    /// decider asks.
    const PERMISSION: Permission;
    /// What a scoped token must be for.
    const VERB: Verb;
    /// What a scoped token must open.
    const AREA: Area;
    /// What to do when no workspace is named.
    const UNNAMED: Unnamed;
}

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident = $permission:ident, $verb:ident $area:ident, $unnamed:ident;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl Gate for $name {
            const PERMISSION: Permission = Permission::$permission;
            const VERB: Verb = Verb::$verb;
            const AREA: Area = Area::$area;
            const UNNAMED: Unnamed = Unnamed::$unnamed;
        }
    )*};
}

gates! {
    /// One workspace, read.
    ReadWorkspace = Read, Read Workspace, InPath;
    /// What members may do beside their roles, read.
    ReadCapabilities = Manage, Read Workspace, InPath;
    /// The same, changed.
    ManageCapabilities = Manage, Write Workspace, InPath;
    /// Crews, read.
    ReadCrews = Read, Read Crews, Refused;
    /// Crews and who is in them, created and changed: the seed lets a MANAGER update.
    WriteCrews = Create, Write Crews, Refused;
    /// Crews, deleted; people in them, raised and removed.
    ManageCrews = Manage, Write Crews, Refused;
    /// Agents, read.
    ReadAgents = Read, Read Agents, Refused;
    /// Agents, stopped.
    WriteAgents = Create, Write Agents, Refused;
    /// Agents, created, changed and deleted: a role in the crew is enough (`platform.md` 3.2).
    WriteAgentsOfACrew = Read, Write Agents, Refused;
    /// Agents' secrets.
    ManageAgents = Manage, Write Agents, Refused;
    /// Missions and tasks, read.
    ReadMissions = Read, Read Missions, Refused;
    /// Missions and tasks, every change, deletion too: the page's own rule beats the overview.
    WriteMissions = Create, Write Missions, Refused;
    /// Issues and what is said of them, read.
    ReadIssues = Read, Read Issues, Refused;
    /// Issues, created: a capability is enough (`issues.md` 2).
    CreateIssues = Read, Write Issues, Refused;
    /// Issues and what is said of them, every change.
    WriteIssues = Create, Write Issues, Refused;
    /// What issues are sorted by, and many issues at once.
    WriteTracker = Create, Write Workspace, Refused;
    /// What issues are sorted by, deleted.
    ManageTracker = Manage, Write Workspace, Refused;
    /// A mission's state in the past, read.
    ReadState = Read, Read Missions, OnlyOne;
    /// Checkpoints, read.
    ReadCheckpoints = Read, Read Checkpoints, OnlyOneOr401;
    /// Checkpoints, every change.
    WriteCheckpoints = Create, Write Checkpoints, OnlyOneOr401;
    /// The journal, read.
    ReadJournal = Read, Read Journal, OnlyOne;
    /// Markers of the journal's entries.
    MarkJournal = Manage, Write Journal, OnlyOne;
    /// Runs and what agents hand each other, read.
    ReadRuns = Read, Read Journal, OnlyOne;
    /// Questions, read.
    ReadApprovals = Read, Read Workspace, OnlyOne;
    /// Questions of agents, read.
    ReadEscalations = Read, Read Agents, OnlyOne;
    /// Questions of agents, answered.
    AnswerAgents = Create, Write Agents, OnlyOne;
    /// Questions, decided.
    DecideApprovals = Manage, Write Workspace, OnlyOne;
    /// Routines and their runs, read.
    ReadRoutines = Read, Read Workspace, InPath;
    /// Routines, saved and approved; waitpoints, decided.
    WriteRoutines = Create, Write Workspace, InPath;
    /// Routines, run: a capability is enough, so the decider asks (`periphery.md` 10).
    RunRoutines = Read, Write Workspace, InPath;
    /// Routines, deleted and disabled; runs of them, cancelled.
    ManageRoutines = Manage, Write Workspace, InPath;
    /// An issue's routine, run: likewise.
    RunIssueRoutine = Read, Write Crews, Refused;
    /// Work, claimed and reported.
    Work = Create, Write Work, OnlyOne;
    /// Saved views, deleted: whoever owns one may, whatever their role, and no scope for changes is asked
    /// for (`issues.md` 1).
    DropViews = Read, Read Issues, Refused;
    /// The journal, verified.
    VerifyJournal = Manage, Read Journal, OnlyOne;
}
