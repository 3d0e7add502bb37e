//! Missions that run by themselves: the real server, real workers, real processes.

pub(crate) mod hands;
mod mission;
mod processes;
mod voice;
