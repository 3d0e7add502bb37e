//! `taffrail guard`: stands between a worker and an agent's process, so that nothing of it is left behind.
//!
//! The worker's pipe to its stdin is a lifeline: a line with a number, so many bytes for the agent's stdin,
//! and then nothing. When the pipe closes, the worker has died or wants an end, and every process that came
//! of the agent is killed, those too that left its group: the guard adopts whoever loses their parent.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Stdin};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a program that cannot be run.
const NOT_STARTED: u8 = 127;
/// What a shell adds to the number of the signal that ended a program.
const BY_SIGNAL: i32 = 128;

/// Runs a command line to its end, or to that of the worker.
#[must_use]
pub fn guard(command: Vec<OsString>) -> ExitCode {
    // Without it, who leaves the group and loses their parent is out of reach.
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        eprintln!("taffrail guard: {error}");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("taffrail guard: {error}");
            return ExitCode::from(NOT_STARTED);
        }
    };
    let code = runtime.block_on(watch(command));
    runtime.shutdown_background();
    leave_nothing_behind();
    ExitCode::from(code)
}

async fn watch(command: Vec<OsString>) -> u8 {
    // What asks the group to end is for the agent: the guard stays to see it done.
    let (Ok(mut terminated), Ok(mut interrupted)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return NOT_STARTED;
    };
    let Some((program, arguments)) = command.split_first() else { return NOT_STARTED };
    let mut lifeline = BufReader::new(tokio::io::stdin());
    let Some(told) = read_told(&mut lifeline).await else { return NOT_STARTED };
    let spawned = Command::new(program).args(arguments).stdin(Stdio::piped()).kill_on_drop(true).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{}: {error}", program.to_string_lossy());
            return NOT_STARTED;
        }
    };
    let mut told = Some(tokio::spawn(tell(child.stdin.take(), told)));
    let mut rest = vec![0; 64];
    loop {
        tokio::select! {
            ended = child.wait() => {
                told.take().into_iter().for_each(|told| told.abort());
                return ended.map_or(NOT_STARTED, code);
            }
            read = lifeline.read(&mut rest) => {
                if read.unwrap_or(0) == 0 {
                    return end(child).await;
                }
            }
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    }
}

/// How many bytes follow, and they.
async fn read_told(lifeline: &mut BufReader<Stdin>) -> Option<Vec<u8>> {
    let mut line = String::new();
    lifeline.read_line(&mut line).await.ok()?;
    let mut told = vec![0; line.trim().parse().ok()?];
    lifeline.read_exact(&mut told).await.ok()?;
    Some(told)
}

/// An agent that does not read what it is told is none of ours to judge.
async fn tell(stdin: Option<tokio::process::ChildStdin>, told: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(&told).await;
        let _ = stdin.shutdown().await;
    }
}

async fn end(mut child: Child) -> u8 {
    // It may have ended a moment ago.
    let _ = child.start_kill();
    child.wait().await.map_or(NOT_STARTED, code)
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| BY_SIGNAL + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Kills every process that is still there, and those that come to light when they die.
fn leave_nothing_behind() {
    loop {
        for child in children() {
            // It may have ended a moment ago.
            let _ = kill_process(child, Signal::KILL);
        }
        match wait(WaitOptions::empty()) {
            Ok(_) => {}
            Err(_) => return, // No child is left.
        }
    }
}

/// The processes whose parent this one is.
fn children() -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return vec![] };
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let pids = lists.flat_map(|list| list.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>());
    pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
