//! `taffrail.toml`: what only the operator may say. Nobody can choose over the API what runs here.
//!
//! Every error names the file, the line and the key.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

/// Longest that a run of any agent may take (`platform.md` 6.7).
const TIMEOUT_SECONDS_MAX: u64 = 86_400;
const TIMEOUT_SECONDS_DEFAULT: u64 = 1_800;
const OUTPUT_BYTES_DEFAULT: u64 = 16 << 20;
const CONCURRENCY_MAX: usize = 256;
/// What an argument or a path may hold.
const PLACEHOLDERS: [&str; 7] = ["prompt", "model", "mission", "task", "agent", "run", "workdir"];

/// The whole file.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Command lines that agents may run as, by name.
    pub adapters: BTreeMap<String, Adapter>,
    /// The worker inside `taffrail serve`.
    pub worker: WorkerConfig,
    /// The socket of the internal API.
    pub internal: InternalConfig,
    /// What steps of routines may do.
    pub routines: RoutinesConfig,
}

/// The worker inside `taffrail serve`.
#[derive(Clone, Debug, Default)]
pub struct WorkerConfig {
    /// Which adapters it runs; none, and it does nothing.
    pub adapters: Vec<String>,
    /// How many agents it runs at a time.
    pub concurrency: usize,
}

/// What steps of routines may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoutinesConfig {
    /// Whether `http` steps may ask private, loopback and link-local addresses.
    pub allow_private_http: bool,
}

/// Where the internal API is.
#[derive(Clone, Debug, Default)]
pub struct InternalConfig {
    /// The socket, if not in the data directory.
    pub socket: Option<PathBuf>,
    /// Whether loopback callers reach it over TCP too.
    pub on_loopback: bool,
}

/// How an agent's text reaches its process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stdin {
    /// The whole brief as one JSON object.
    #[default]
    Json,
    /// The prompt as text.
    Prompt,
    /// Nothing.
    None,
}

/// A command line that agents may run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its name in the file.
    pub name: String,
    /// Program and arguments; `{prompt}` and the like are replaced.
    pub command: Vec<String>,
    /// What is put before it, e.g. a container.
    pub wrapper: Vec<String>,
    /// Agents with one of these `cli_adapter`s run as it; all, if there are none.
    pub cli_adapters: Vec<String>,
    /// Where it runs, below the worker's own directory unless absolute.
    pub workdir: String,
    /// Variables that are handed on.
    pub env: Vec<String>,
    /// How its process is told what to do.
    pub stdin: Stdin,
    /// Longest run; the agent's own limit counts too.
    pub timeout_seconds: u64,
    /// Most output that is kept.
    pub output_bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    adapters: BTreeMap<String, Spanned<AdapterTable>>,
    #[serde(default)]
    worker: WorkerTable,
    #[serde(default)]
    internal: InternalTable,
    #[serde(default)]
    routines: RoutinesTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdapterTable {
    command: Spanned<Vec<String>>,
    #[serde(default)]
    wrapper: Vec<String>,
    #[serde(default)]
    cli_adapters: Vec<String>,
    workdir: Option<Spanned<String>>,
    env: Option<Vec<String>>,
    #[serde(default)]
    stdin: Stdin,
    timeout_seconds: Option<Spanned<u64>>,
    output_bytes: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerTable {
    adapters: Option<Vec<Spanned<String>>>,
    concurrency: Option<Spanned<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct InternalTable {
    socket: Option<PathBuf>,
    #[serde(default)]
    on_loopback: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutinesTable {
    #[serde(default)]
    allow_private_http: bool,
}

/// Why a file is no configuration.
#[derive(Debug)]
pub struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error: io::Error| ConfigError {
            file: path.to_owned(),
            line: None,
            what: error.to_string(),
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let at = |span: Option<Range<usize>>, what: String| ConfigError {
            file: path.to_owned(),
            line: span.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1),
            what,
        };
        let file: File =
            toml::from_str(text).map_err(|error| at(error.span(), error.message().to_owned()))?;
        let mut adapters = BTreeMap::new();
        for (name, table) in file.adapters {
            let adapter = adapter(&name, table.into_inner(), &at)?;
            adapters.insert(name, adapter);
        }
        let mut chosen = vec![];
        for name in file.worker.adapters.unwrap_or_default() {
            if !adapters.contains_key(name.get_ref()) {
                let what = format!("worker.adapters: there is no [adapters.{}]", name.get_ref());
                return Err(at(Some(name.span()), what));
            }
            chosen.push(name.into_inner());
        }
        let concurrency = match file.worker.concurrency {
            None => 2,
            Some(count) if (1..=CONCURRENCY_MAX).contains(count.get_ref()) => count.into_inner(),
            Some(count) => {
                return Err(at(
                    Some(count.span()),
                    format!("worker.concurrency: must be 1-{CONCURRENCY_MAX}"),
                ));
            }
        };
        Ok(Self {
            adapters,
            worker: WorkerConfig { adapters: chosen, concurrency },
            internal: InternalConfig { socket: file.internal.socket, on_loopback: file.internal.on_loopback },
            routines: RoutinesConfig { allow_private_http: file.routines.allow_private_http },
        })
    }
}

fn adapter(
    name: &str,
    table: AdapterTable,
    at: &impl Fn(Option<Range<usize>>, String) -> ConfigError,
) -> Result<Adapter, ConfigError> {
    let key = |key: &str| format!("adapters.{name}.{key}");
    if table.command.get_ref().first().is_none_or(String::is_empty) {
        return Err(at(Some(table.command.span()), format!("{}: must name a program", key("command"))));
    }
    let unknown = table.command.get_ref().iter().find_map(|argument| unknown_placeholder(argument));
    if let Some(unknown) = unknown {
        let what =
            format!("{}: there is no {{{unknown}}}; there are {}", key("command"), PLACEHOLDERS.join(", "));
        return Err(at(Some(table.command.span()), what));
    }
    let bounded = |wish: Option<Spanned<u64>>, default: u64, most: u64, name: &str| match wish {
        None => Ok(default),
        Some(wish) if (1..=most).contains(wish.get_ref()) => Ok(wish.into_inner()),
        Some(wish) => Err(at(Some(wish.span()), format!("{}: must be 1-{most}", key(name)))),
    };
    let timeout_seconds =
        bounded(table.timeout_seconds, TIMEOUT_SECONDS_DEFAULT, TIMEOUT_SECONDS_MAX, "timeout_seconds")?;
    let most = crate::output::OUTPUT_BYTES_MAX;
    let output_bytes = bounded(table.output_bytes, OUTPUT_BYTES_DEFAULT, most, "output_bytes")?;
    let workdir = match table.workdir {
        None => "{mission}/{agent}".to_owned(),
        Some(workdir) => match unknown_placeholder(workdir.get_ref()) {
            None => workdir.into_inner(),
            Some(unknown) => {
                return Err(at(
                    Some(workdir.span()),
                    format!("{}: there is no {{{unknown}}}", key("workdir")),
                ));
            }
        },
    };
    Ok(Adapter {
        name: name.to_owned(),
        command: table.command.into_inner(),
        wrapper: table.wrapper,
        cli_adapters: table.cli_adapters,
        workdir,
        env: table.env.unwrap_or_else(|| ["PATH", "HOME", "LANG", "TMPDIR"].map(str::to_owned).to_vec()),
        stdin: table.stdin,
        timeout_seconds,
        output_bytes,
    })
}

/// The first `{word}` that is none of ours; other braces stand for themselves.
fn unknown_placeholder(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('{') {
        let (word, after) = behind.split_once('}')?;
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_word && !PLACEHOLDERS.contains(&word) {
            return Some(word);
        }
        rest = if is_word { after } else { behind };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("taffrail.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = parse("[adapters.echo]\ncommand = [\"echo\", \"{prompt}\"]\n").unwrap();
        let echo = &config.adapters["echo"];
        assert_eq!(
            (echo.timeout_seconds, &*echo.workdir, echo.stdin),
            (1_800, "{mission}/{agent}", Stdin::Json)
        );
        assert!(config.worker.adapters.is_empty());
        assert!(parse("").unwrap().adapters.is_empty());
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        for (text, expected) in [
            ("[adapters.x]\ncommand = []", "taffrail.toml:2: adapters.x.command: must name a program"),
            ("[worker]\nconcurrency = 0", "taffrail.toml:2: worker.concurrency: must be 1-256"),
            ("[worker]\nadapters = [\"x\"]", "taffrail.toml:2: worker.adapters: there is no [adapters.x]"),
            (
                "[adapters.x]\ncommand = [\"a\"]\ntimeout_seconds = 0",
                "taffrail.toml:3: adapters.x.timeout_seconds: must be 1-86400",
            ),
            (
                "[adapters.x]\ncommand = [\"a\"]\nworkdir = \"{home}\"",
                "taffrail.toml:3: adapters.x.workdir: there is no {home}",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected);
        }
        let unknown = parse("\n[adapters.x]\ncommand = [\"a\"]\ncomand = 1").unwrap_err();
        assert!(unknown.starts_with("taffrail.toml:4: unknown field `comand`"), "{unknown}");
        let template = parse("[adapters.x]\ncommand = [\"a\", \"{promt}\"]").unwrap_err();
        assert!(template.contains("there is no {promt}; there are prompt"), "{template}");
    }

    #[test]
    fn braces_that_are_no_placeholder_stand_for_themselves() {
        let config = parse("[adapters.x]\ncommand = [\"a\", \"{\\\"json\\\": {}}\", \"{prompt}\"]").unwrap();
        assert_eq!(config.adapters["x"].command[1], "{\"json\": {}}");
    }
}
