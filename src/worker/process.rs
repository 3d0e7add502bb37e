//! The process of one run: its command line, its surroundings, its pipes.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::link::Work;
use crate::config::{Adapter, Stdin};

const OWNER_ONLY: u32 = 0o700;

/// A process that was started.
pub(super) struct Process {
    pub(super) child: Child,
    /// Its guard kills it when this closes.
    pub(super) lifeline: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    /// What goes down the lifeline first.
    pub(super) told: Vec<u8>,
}

/// What is started, for people: without the prompt.
pub(super) fn shown(adapter: &Adapter) -> String {
    adapter.wrapper.iter().chain(&adapter.command).map(String::as_str).collect::<Vec<_>>().join(" ")
}

impl Process {
    /// Starts an adapter's command line for a piece of work, under guard, as the leader of a group.
    ///
    /// # Errors
    /// If a value cannot be put into the command line, or the system does not start it.
    pub(super) fn start(
        adapter: &Adapter,
        root: &Path,
        work: &Work,
        socket: Option<&Path>,
    ) -> io::Result<Self> {
        let workdir = workdir(adapter, root, work);
        std::fs::DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(&workdir)?;
        let workdir = workdir.canonicalize()?;
        let command = command(adapter, work, &workdir)?;
        let mut guard = Command::new(std::env::current_exe()?);
        guard.arg("guard").arg("--").args(command).current_dir(&workdir).process_group(0).env_clear();
        for name in &adapter.env {
            if let Some(value) = std::env::var_os(name) {
                guard.env(name, value);
            }
        }
        guard.envs(variables(work)).envs(voice(work, socket));
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = guard.spawn()?;
        let missing = || io::Error::other("a process without pipes");
        let lifeline = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let told = match adapter.stdin {
            Stdin::Json => work.brief.to_string().into_bytes(),
            Stdin::Prompt => work.told("prompt").as_bytes().to_vec(),
            Stdin::None => vec![],
        };
        Ok(Self { child, lifeline, stdout, stderr, told })
    }
}

/// Ids and slugs hold nothing that could lead out of a folder; where there is no mission it is a chat.
fn workdir(adapter: &Adapter, root: &Path, work: &Work) -> PathBuf {
    let fill = |text: &str| {
        text.replace("{mission}", work.mission_id.as_deref().unwrap_or("chat"))
            .replace("{agent}", &plain(work.told("agent_slug")))
            .replace("{task}", work.task_id.as_deref().unwrap_or("none"))
            .replace("{run}", &work.run_id)
    };
    root.join(fill(&adapter.workdir))
}

fn plain(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')).collect()
}

/// Each placeholder is replaced once: what is put in is never looked at again, and never split.
fn command(adapter: &Adapter, work: &Work, workdir: &Path) -> io::Result<Vec<OsString>> {
    let filled = adapter.wrapper.iter().chain(&adapter.command).map(|argument| fill(argument, work, workdir));
    filled.collect()
}

fn fill(argument: &str, work: &Work, workdir: &Path) -> io::Result<OsString> {
    let mut filled = String::new();
    let mut rest = argument;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let value =
            behind.split_once('}').and_then(|(word, after)| Some((value(word, work, workdir)?, after)));
        match value {
            Some((value, after)) => {
                // An API user must not be able to slip in an option.
                if filled.is_empty() && value.starts_with('-') {
                    return Err(io::Error::other("a value that begins with - is no argument"));
                }
                filled.push_str(&value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled.into())
}

fn value(word: &str, work: &Work, workdir: &Path) -> Option<String> {
    let id = |id: &Option<String>| id.clone().unwrap_or_default();
    Some(match word {
        "prompt" => work.told("prompt").to_owned(),
        "model" => work.told("llm_model").to_owned(),
        "mission" => id(&work.mission_id),
        "task" => id(&work.task_id),
        "agent" => work.told("agent_slug").to_owned(),
        "run" => work.run_id.clone(),
        "workdir" => workdir.display().to_string(),
        _ => return None,
    })
}

/// What an agent's process finds in its environment.
fn variables(work: &Work) -> Vec<(&'static str, String)> {
    let id = |id: &Option<String>| id.clone().unwrap_or_default();
    let told = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let task = &work.brief["task"];
    vec![
        ("TAFFRAIL_ASSIGNMENT_ID", work.id.clone()),
        ("TAFFRAIL_RUN_ID", work.run_id.clone()),
        ("TAFFRAIL_CHAT_ID", work.chat_id.clone()),
        ("TAFFRAIL_MISSION_ID", id(&work.mission_id)),
        ("TAFFRAIL_TASK_ID", id(&work.task_id)),
        ("TAFFRAIL_PURPOSE", work.told("purpose").to_owned()),
        ("TAFFRAIL_ITERATION", work.iteration.to_string()),
        ("TAFFRAIL_AGENT", work.told("agent_slug").to_owned()),
        ("TAFFRAIL_MODEL", work.told("llm_model").to_owned()),
        ("TAFFRAIL_MISSION_TITLE", told(&work.brief["mission"]["title"])),
        ("TAFFRAIL_TASK_TITLE", told(&task["title"])),
        ("TAFFRAIL_TASK_DESCRIPTION", told(&task["description"])),
    ]
}

/// What it needs to speak for its agent: the socket, and a token that opens nothing else (`platform.md` 8.1).
fn voice(work: &Work, socket: Option<&Path>) -> Vec<(&'static str, OsString)> {
    let Some((voice, socket)) = work.voice.as_ref().zip(socket) else { return vec![] };
    vec![
        ("TAFFRAIL_SOCKET", socket.into()),
        ("TAFFRAIL_AGENT_TOKEN", voice.token.clone().into()),
        ("TAFFRAIL_WORKSPACE_ID", voice.workspace_id.clone().into()),
        ("TAFFRAIL_CREW_ID", voice.crew_id.clone().unwrap_or_default().into()),
        ("TAFFRAIL_AGENT_ID", voice.agent_id.clone().into()),
    ]
}
