//! Taffrail: an event-sourced backend for crews of AI agents.
//!
//! The rules are in `taffrail-domain`, the world folded from their facts in `taffrail-projections`,
//! bytes and offsets in `taffrail-journal`. Here they are put together: commands come in over HTTP,
//! one writer per log decides and appends, and nothing is answered before it is durable.

pub mod attachments;
pub mod boot;
pub mod cli;
pub mod config;
mod durable;
pub mod engine;
pub mod http;
pub mod live;
pub mod mint;
pub mod output;
mod scrub;
pub mod search;
pub mod snapshot;
pub mod stored;
pub mod vault;
pub mod worker;
pub mod writer;
