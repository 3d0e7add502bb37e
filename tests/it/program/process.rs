//! One process of the real program.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A test that hangs this long will not end by itself.
const WATCHDOG: Duration = Duration::from_secs(180);

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// All of its stderr.
    pub(crate) stderr: String,
}

/// A process of `taffrail serve`; killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    /// Where it listens, once it does.
    pub(crate) url: String,
}

impl Program {
    /// Starts it and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(data: &Path, arguments: &[&str]) -> Self {
        Self::try_start(data, arguments).unwrap_or_else(|ended| panic!("it did not start: {ended:?}"))
    }

    /// Starts it and waits until it listens, or has refused to.
    pub(crate) fn try_start(data: &Path, arguments: &[&str]) -> Result<Self, Ended> {
        let mut program = Self::spawn(data, arguments);
        match program.stdout.wait_for("listening on ") {
            Some(line) => program.url = line.split_once("listening on ").unwrap().1.to_owned(),
            None => return Err(program.ended()),
        }
        Ok(program)
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_taffrail"))
            .args(["serve", "--data"])
            .arg(data)
            .args(arguments)
            // A second `--listen` would be one too many.
            .args(if arguments.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] })
            .env_remove("TAFFRAIL_DATA")
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Lines::read(child.stdout.take().unwrap());
        let stderr = Lines::read(child.stderr.take().unwrap());
        Self { child, stdout, stderr, url: String::new() }
    }

    /// What ends it at once, from wherever the moment is known.
    pub(crate) fn killer(&self) -> impl Fn() + Send + Sync + 'static {
        let pid = self.pid();
        // It may have ended by itself a moment ago.
        move || {
            kill_process(pid, Signal::KILL).ok();
        }
    }

    /// What asks it to stop, from wherever the moment is known.
    pub(crate) fn terminator(&self) -> impl Fn() + Send + Sync + 'static {
        let pid = self.pid();
        move || kill_process(pid, Signal::TERM).unwrap()
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Ended {
        (self.killer())();
        self.ended()
    }

    /// Asks it to stop; see [`Program::ended`].
    pub(crate) fn terminate(&self) {
        (self.terminator())();
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Ended {
        self.terminate();
        self.ended()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> Ended {
        // Both streams end with the process.
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        let status = self.child.wait().unwrap();
        Ended { code: status.code(), stderr: self.stderr.all() }
    }

    /// Waits for a line on stderr that holds `text`; `None` if the process ends without one.
    pub(crate) fn logged(&self, text: &str) -> Option<String> {
        self.stderr.wait_for(text)
    }

    /// Everything it said on stdout so far, up to and including the line that holds `text`.
    pub(crate) fn said_until(&self, text: &str) -> String {
        self.stdout.wait_for(text).unwrap_or_else(|| panic!("never said: {text}"));
        self.stdout.all()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// The lines of a stream, as they come.
struct Lines(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    is_over: bool,
}

impl Lines {
    fn read(stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let heard = Arc::clone(&shared);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                heard.0.lock().unwrap().lines.push(line);
                heard.1.notify_all();
            }
            heard.0.lock().unwrap().is_over = true;
            heard.1.notify_all();
        });
        Self(shared)
    }

    fn wait_for(&self, text: &str) -> Option<String> {
        self.wait_until(|heard| {
            let found = heard.lines.iter().find(|line| line.contains(text)).cloned();
            if found.is_some() { Some(found) } else { heard.is_over.then_some(None) }
        })
    }

    fn wait_for_end(&self) {
        self.wait_until(|heard| heard.is_over.then_some(()));
    }

    fn wait_until<T>(&self, mut found: impl FnMut(&Heard) -> Option<T>) -> T {
        let (heard, changed) = &*self.0;
        let mut heard = heard.lock().unwrap();
        loop {
            if let Some(found) = found(&heard) {
                return found;
            }
            let waited = changed.wait_timeout(heard, WATCHDOG).unwrap();
            heard = waited.0;
            assert!(!waited.1.timed_out(), "nothing was heard any more behind {:#?}", heard.lines);
        }
    }

    fn all(&self) -> String {
        self.0.0.lock().unwrap().lines.join("\n")
    }
}

/// Waits for a condition that nobody announces, such as a file that appears.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WATCHDOG, "never: {what}");
        thread::yield_now();
    }
}
