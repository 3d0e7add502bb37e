//! One workspace's world.

use serde::{Deserialize, Serialize};
use taffrail_domain::{Command, Context, Draft, Entry, EntryId, LogTag, Offset, Rejection, Time, Workspace};

use crate::{Board, Changes, IssueBoard, IssueLog, Metrics, Timeline, World};

/// One workspace at one head: what deciders look at, and what readers read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkspaceWorld {
    log: LogTag,
    head: Offset,
    time: Time,
    /// What deciders look at.
    pub state: Workspace,
    /// Lists of missions and checkpoints.
    pub board: Board,
    /// What ended when.
    pub metrics: Metrics,
    /// The journal list.
    pub timeline: Timeline,
    /// Lists of issues.
    pub issues: IssueBoard,
    /// Their activity logs.
    pub issue_log: IssueLog,
    /// What changed of them since when.
    pub changes: Changes,
}

impl WorkspaceWorld {
    /// The offset a public entry id names in this workspace; `None` for a foreign, internal or unknown one.
    #[must_use]
    pub fn public_offset(&self, id: &str) -> Option<Offset> {
        let id = EntryId::parse(id).filter(|id| id.log == self.log)?;
        self.timeline.entry_type(id.offset).map(|_| id.offset)
    }

    /// The public name of an offset of this workspace.
    #[must_use]
    pub fn entry_id(&self, offset: Offset) -> EntryId {
        EntryId::new(self.log, offset)
    }
}

impl World for WorkspaceWorld {
    type Command = Command;

    fn empty(log: LogTag) -> Self {
        Self { log, ..Self::default() }
    }

    fn log(&self) -> LogTag {
        self.log
    }

    fn head(&self) -> Offset {
        self.head
    }

    fn time(&self) -> Time {
        self.time
    }

    fn decide(&self, command: &Command, context: &Context<'_>) -> Result<Vec<Draft>, Rejection> {
        self.state.decide(command, context)
    }

    fn apply(&mut self, entry: &Entry) {
        (self.head, self.time) = (entry.offset, entry.time);
        self.board.apply(entry, &self.state);
        self.timeline.apply(entry);
        self.metrics.forget(entry, &self.state);
        self.issue_log.apply(entry, &self.state);
        self.changes.apply(entry, &self.state);
        let rows = IssueBoard::rows(entry, &self.state);
        self.state.apply(entry);
        self.issues.apply(entry, &rows, &self.state);
        self.metrics.note(entry, &self.state);
    }
}
