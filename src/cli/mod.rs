//! The command line. Data goes to stdout, talk to stderr.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command line makes no sense.

mod demo;
mod serve;
mod talk;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use talk::LogFormat;

/// An event-sourced backend for crews of AI agents.
#[derive(Debug, Parser)]
#[command(name = "taffrail", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the API over HTTP until SIGTERM or SIGINT.
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Serve {
    /// Where to listen; port 0 takes a free one and says which.
    #[arg(long, env = "TAFFRAIL_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: String,
    /// Where everything is kept; made on first use.
    #[arg(long, env = "TAFFRAIL_DATA", default_value = "./taffrail-data", value_name = "DIR")]
    data: PathBuf,
    /// Seed a small workspace to play with, or say how to get back into it.
    #[arg(long)]
    demo: bool,
    /// How the log on stderr looks; RUST_LOG says how much of it there is.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Start although the clock is more than 24 hours behind the last entry.
    #[arg(long)]
    accept_clock: bool,
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let Verb::Serve(arguments) = Arguments::parse().verb;
    talk::begin(arguments.log_format);
    match serve::serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("taffrail: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
