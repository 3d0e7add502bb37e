//! Given past entries, when a command, then entries or a rejection. No runtime, no mocks.

mod checkpoints;
mod instance;
pub(crate) mod kit;
mod missions;
mod roster;
mod tasks;
