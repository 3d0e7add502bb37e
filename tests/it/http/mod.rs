//! The API from outside: requests through the whole pipeline and the real router, on a journal in a
//! temporary directory.

mod access;
mod accounts;
mod bad_input;
mod bounds;
mod checkpoints;
mod client;
mod contract;
mod faults;
mod integrity;
pub(crate) mod internal;
mod journal;
mod lifecycle;
mod missions;
mod patience;
mod pipeline;
mod races;
mod repeats;
mod roster;
pub(crate) mod server;
mod state;
mod tags;
mod tasks;
mod tenancy;
mod watched;
mod workers;
