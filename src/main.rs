//! The `taffrail` program.

use std::process::ExitCode;

/// An answer is made of many small texts, and a world of many small nodes: the system's allocator costs a
/// tenth of a request more (benches/README.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    taffrail::cli::run()
}
