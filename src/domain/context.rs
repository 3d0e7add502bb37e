//! What a decider may know besides state and command.

use crate::{Actor, EntryId, LogTag, Offset, Time};

/// Fresh ids. Real ones hold time and randomness; a story's are counted.
pub trait Mint {
    /// A new entity id, `^c[a-z0-9]{20,31}$` (`client.md` 7).
    fn cuid(&self) -> String;
    /// Sixteen lowercase hex digits, for ids with a prefix.
    fn hex16(&self) -> String;
}

/// Time, actor, position and fresh ids of one decision.
pub struct Context<'a> {
    /// Entry time: the clock, but never before the log's last entry.
    pub now: Time,
    /// Who asks.
    pub actor: &'a Actor,
    /// The log decided in.
    pub log: LogTag,
    /// Offset that the first draft will get.
    pub next: Offset,
    /// Source of fresh ids.
    pub mint: &'a dyn Mint,
}

impl Context<'_> {
    /// The public name of an offset in this log.
    #[must_use]
    pub fn entry_id(&self, offset: Offset) -> EntryId {
        EntryId::new(self.log, offset)
    }
}
