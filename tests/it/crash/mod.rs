//! The real program, killed with `kill -9` at any moment: what was acknowledged is there, what was not
//! is there whole or not at all (`journal.md` 13, check 12).

mod attachments;
mod bootstrap;
mod drain;
mod hand;
mod offline;
mod picture;
mod repeats;
mod rounds;
mod routines;
mod wish;
