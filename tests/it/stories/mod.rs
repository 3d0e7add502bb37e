//! Given past entries, when a command, then entries or a rejection. No runtime, no mocks.

mod checkpoints;
mod instance;
pub(crate) mod kit;
mod lifecycle;
mod markers;
mod metrics;
mod missions;
mod people;
mod preconditions;
mod roster;
mod series;
mod settings;
mod tasks;
