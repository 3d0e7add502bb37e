//! Given past entries, when a command, then entries or a rejection. No runtime, no mocks.

mod checkpoints;
mod engine;
mod instance;
pub(crate) mod kit;
mod lifecycle;
mod markers;
mod metrics;
mod missions;
mod people;
pub(crate) mod play;
mod preconditions;
mod roster;
mod series;
mod settings;
mod tasks;
mod wishes;
