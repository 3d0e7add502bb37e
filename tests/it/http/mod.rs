//! The API from outside: requests through the whole pipeline and the real router, on a journal in a
//! temporary directory.

mod access;
mod accounts;
mod bad_input;
mod bounds;
mod capabilities;
mod checkpoints;
mod client;
mod contract;
pub(crate) mod desk;
mod faults;
mod integrity;
pub(crate) mod internal;
mod internal_issues;
mod issue_files;
mod issue_lists;
mod issue_past;
mod issue_work;
mod issues;
mod journal;
mod lifecycle;
mod missions;
mod patience;
mod pipeline;
mod races;
mod repeats;
mod roster;
mod routines;
mod search;
pub(crate) mod server;
mod state;
mod tags;
mod tasks;
mod tenancy;
mod tracker;
mod watched;
mod workers;
