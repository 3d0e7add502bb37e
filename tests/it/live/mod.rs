//! Streams from outside, over real connections: in order, without a gap, for as long as one may listen.

mod crowd;
mod issues;
pub(crate) mod listeners;
mod sockets;
mod streams;
