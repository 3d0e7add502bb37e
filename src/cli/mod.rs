//! The command line. Data goes to stdout, talk to stderr.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command line makes no sense.

mod demo;
mod demo_agent;
mod serve;
mod socket;
mod talk;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::worker::guard;
use talk::LogFormat;

/// What `taffrail config` prints.
const EXAMPLE: &str = include_str!("taffrail.example.toml");

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
    /// Work for the agents of a server until SIGTERM or SIGINT.
    Worker(Worker),
    /// Print a configuration to begin with: ready-made adapters, all commented out.
    Config,
    /// Stand between a worker and an agent's process.
    #[command(hide = true)]
    Guard(Guard),
    /// Be the demo's agent: a brief on stdin, a result on stdout.
    #[command(hide = true)]
    DemoAgent,
}

#[derive(Debug, Args)]
struct Serve {
    /// Where to listen; port 0 takes a free one and says which.
    #[arg(long, env = "TAFFRAIL_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: String,
    /// Where everything is kept; made on first use.
    #[arg(long, env = "TAFFRAIL_DATA", default_value = "./taffrail-data", value_name = "DIR")]
    data: PathBuf,
    /// What only the operator may say: which command lines agents run as (see `taffrail config`).
    #[arg(long, env = "TAFFRAIL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Seed a small workspace to play with, or say how to get back into it.
    #[arg(long)]
    demo: bool,
    /// How the log on stderr looks; RUST_LOG says how much of it there is.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Start although the clock is more than 24 hours behind the last entry.
    #[arg(long)]
    accept_clock: bool,
    /// Let `http` steps of routines ask private, loopback and link-local addresses.
    #[arg(long, env = "TAFFRAIL_ROUTINES_ALLOW_PRIVATE_HTTP")]
    routines_allow_private_http: bool,
}

#[derive(Debug, Args)]
struct Worker {
    /// The server's address.
    #[arg(long, env = "TAFFRAIL_SERVER", value_name = "URL", required_unless_present = "socket")]
    server: Option<String>,
    /// The server's socket, on the same machine.
    #[arg(long, value_name = "PATH", conflicts_with = "server")]
    socket: Option<PathBuf>,
    /// A CLI token with the scope `worker` or `worker:<crew>`; over the socket the internal token.
    #[arg(long, env = "TAFFRAIL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: String,
    /// The workspace, by id or slug; over the socket by id. The token's only one without it.
    #[arg(long, env = "TAFFRAIL_WORKSPACE", value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// Where the adapters are.
    #[arg(long, env = "TAFFRAIL_CONFIG", value_name = "FILE", default_value = "taffrail.toml")]
    config: PathBuf,
    /// Which of them to run.
    #[arg(long, value_name = "NAME")]
    adapter: String,
    /// Only work of this agent, by slug or id; may be given more than once.
    #[arg(long = "agent", value_name = "SLUG")]
    agents: Vec<String>,
    /// How many agents run at a time.
    #[arg(long, default_value_t = 1, value_name = "N")]
    concurrency: usize,
    /// Where working directories are made.
    #[arg(long, default_value = "./taffrail-work", value_name = "DIR")]
    workdir: PathBuf,
    /// How long the worker may be silent before its work is given to another one.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    lease: u64,
    /// How long agents may go on once the worker is asked to stop.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    grace: u64,
    /// How the log on stderr looks; RUST_LOG says how much of it there is.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, Args)]
struct Guard {
    /// The command line.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Serve(arguments) => {
            talk::begin(arguments.log_format);
            code(serve::serve(arguments))
        }
        Verb::Worker(arguments) => {
            talk::begin(arguments.log_format);
            code(worker::work(arguments))
        }
        Verb::Config => code(talk::say(EXAMPLE.trim_end())),
        Verb::Guard(arguments) => guard(arguments.command),
        Verb::DemoAgent => code(demo_agent::answer()),
    }
}

fn code(ended: Result<(), impl std::fmt::Display>) -> ExitCode {
    match ended {
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
    fn the_example_is_a_configuration_once_its_entries_are_taken() {
        let taken = |line: &str| match line.strip_prefix('#') {
            Some(entry) if !entry.starts_with(' ') => entry.to_owned(),
            _ => line.to_owned(),
        };
        let text: String = EXAMPLE.lines().map(taken).collect::<Vec<_>>().join("\n");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("taffrail.toml");
        for text in [EXAMPLE, &text] {
            std::fs::write(&file, text).expect("written");
            if let Err(error) = crate::config::Config::read(&file) {
                panic!("{error}");
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
