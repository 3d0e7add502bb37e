//! The `taffrail` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    taffrail::cli::run()
}
