//! Every integration test in one binary: linked once, run together.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(missing_docs, reason = "test names are the documentation")]

mod contract;
mod crash;
mod faults;
mod http;
mod live;
mod program;
mod properties;
mod readme;
mod sim;
mod stories;
mod tidy;
mod work;
