//! The world: what the journal says is true now, in persistent maps.
//!
//! A fold over entries and nothing else: no I/O, no clock, no bytes. The same entries give the same
//! world on every node, so a world can be thrown away and folded again at any time.

mod board;
mod instance;
mod issues;
mod metrics;
mod notices;
mod ranked;
mod series;
mod timeline;
mod workspace;

use serde::Serialize;
use serde::de::DeserializeOwned;
use taffrail_domain::{Context, Draft, Entry, LogTag, Offset, Rejection, Time};

pub use board::Board;
pub use instance::InstanceWorld;
pub use issues::{
    Change, Changes, IssueBoard, IssueFilter, IssueLog, IssueOrder, IssuePage, IssuePlace, SortBy, Thing,
    Wanted,
};
pub use metrics::{Metrics, MissionMetrics};
pub use notices::{Notice, is_noise};
pub use series::{Bucket, Series, SeriesQuery};
pub use timeline::{Filter, Order, Row, Timeline};
pub use workspace::WorkspaceWorld;

/// Write state and read models of one log at one head. Cloning costs O(1).
pub trait World: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The wishes decided in this log.
    type Command: Send + Sync + 'static;

    /// The world before the first entry.
    fn empty(log: LogTag) -> Self;

    /// The log it is a fold of.
    fn log(&self) -> LogTag;

    /// Offset of the last entry folded in.
    fn head(&self) -> Offset;

    /// Time of that entry.
    fn time(&self) -> Time;

    /// Decides a wish against this world.
    ///
    /// # Errors
    /// The reason why not.
    fn decide(&self, command: &Self::Command, context: &Context<'_>) -> Result<Vec<Draft>, Rejection>;

    /// Folds the next entry in. Total: the fact already happened.
    fn apply(&mut self, entry: &Entry);
}
