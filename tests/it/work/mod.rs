//! Missions that run by themselves: the real server, real workers, real processes.

mod hands;
mod mission;
mod processes;
mod voice;
