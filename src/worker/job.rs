//! One run from the claim to the report.
//!
//! The worker ends its process as soon as it cannot be sure any more that the work is still its own: when
//! the server says so, and when it could not renew its lease in time. So no task is worked twice at once.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Options;
use super::answer::Answer;
use super::backoff::Backoff;
use super::link::{Link, LinkError, Work};
use super::process::{self, Process};
use crate::config::Adapter;
use crate::scrub::Scrubber;

/// Output is sent at least so often.
const FLUSH: Duration = Duration::from_millis(200);
/// Most output that one request carries.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Longest line that is looked at whole.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Lines that wait to be looked at.
const LINES_WAITING: usize = 256;
/// The end of stdout that a result is read from.
const RESULT_BYTES_MAX: usize = 1 << 20;
/// From the wish that it end to the end itself.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// The end of stderr that tells why it failed.
const ERROR_BYTES_MAX: usize = 2_000;

/// A line of output.
struct Line {
    is_stdout: bool,
    text: String,
}

/// Why a process was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It ended by itself.
    Ended,
    /// It took too long.
    TimedOut,
    /// The work is not ours any more.
    Lost,
    /// The worker must end.
    Stopped,
}

pub(super) async fn run(
    link: &Link,
    adapter: &Adapter,
    options: &Options,
    work: Work,
    stop: watch::Receiver<bool>,
) {
    let started = Instant::now();
    let told_of = format!("assignment {}", work.id);
    tracing::info!(assignment.id = work.id, run.id = work.run_id, adapter = adapter.name, "an agent begins");
    let shown = process::shown(adapter);
    if let Err(error) = told(|| link.begin(&work, &shown, &adapter.name), started, &work).await {
        tracing::warn!(%error, told_of, "the work was given up");
        return;
    }
    let process = match Process::start(adapter, &options.root, &work, link.socket()) {
        Ok(process) => process,
        Err(error) => {
            let report = json!({
                "fence": work.fence, "status": "FAILED", "exit_code": 127,
                "error_message": format!("could not start {shown}: {error}"),
            });
            return send_report(link, &work, &report).await;
        }
    };
    let voice = work.voice.as_ref().map(|voice| voice.token.clone());
    let mut job = Job {
        link,
        work: &work,
        output: Output::new(adapter.output_bytes),
        // What the environment hands on may be secret.
        scrubber: Scrubber::knowing(secrets(adapter).into_iter().chain(voice)),
        stdout: String::new(),
        stderr: String::new(),
        held_until: started + Duration::from_secs(work.lease_seconds),
    };
    let (why, status) = job.watch(process, adapter, options, stop).await;
    match why {
        Why::Lost => tracing::info!(told_of, "the work is not ours any more"),
        Why::Stopped => {
            let given = told(|| link.hand_back(&work), started, &work).await;
            tracing::info!(told_of, given_back = given.is_ok(), "the worker stops");
        }
        Why::Ended | Why::TimedOut => {
            job.send_all().await;
            let report = job.report(why, status, started.elapsed());
            send_report(link, &work, &report).await;
        }
    }
}

/// The values that an adapter hands on, but for those everybody knows.
fn secrets(adapter: &Adapter) -> Vec<String> {
    let common = ["PATH", "HOME", "LANG", "TMPDIR", "USER", "SHELL", "TERM", "PWD"];
    let names = adapter.env.iter().filter(|name| !common.contains(&name.as_str()));
    names.filter_map(|name| std::env::var(name).ok()).collect()
}

/// One run under way.
struct Job<'a> {
    link: &'a Link,
    work: &'a Work,
    output: Output,
    scrubber: Scrubber,
    stdout: String,
    stderr: String,
    /// Until when the work is surely ours.
    held_until: Instant,
}

impl Job<'_> {
    /// Until the process has ended, for whatever reason.
    async fn watch(
        &mut self,
        process: Process,
        adapter: &Adapter,
        options: &Options,
        mut stop: watch::Receiver<bool>,
    ) -> (Why, Option<ExitStatus>) {
        let Process { mut child, mut lifeline, stdout, stderr, told } = process;
        let (line, mut lines) = mpsc::channel(LINES_WAITING);
        tokio::spawn(read_lines(stdout, true, line.clone()));
        tokio::spawn(read_lines(stderr, false, line));
        let header = format!("{}\n", told.len()).into_bytes();
        let telling = tokio::spawn(async move {
            // A guard that is gone reads nothing; its end is seen elsewhere.
            let _ = lifeline.write_all(&header).await;
            let _ = lifeline.write_all(&told).await;
            lifeline
        });
        let limit = self.work.timeout_seconds.min(adapter.timeout_seconds);
        let timeout = Instant::now() + Duration::from_secs(limit);
        let mut beat = interval(Duration::from_secs(self.work.lease_seconds).div_f64(3.0).max(FLUSH));
        let mut flush = interval(FLUSH);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop_at: Option<Instant> = None;
        let mut is_open = true;
        let why = loop {
            tokio::select! {
                line = lines.recv(), if is_open && !self.output.is_behind() => match line {
                    Some(line) => self.take(line),
                    None => is_open = false,
                },
                status = child.wait(), if !is_open => return (Why::Ended, status.ok()),
                _ = flush.tick() => if let Err(LinkError::Lost(_)) = self.send_some().await {
                    break Why::Lost;
                },
                _ = beat.tick() => match self.link.beat(self.work).await {
                    Ok(()) => self.held_until = Instant::now() + Duration::from_secs(self.work.lease_seconds),
                    Err(LinkError::Lost(_)) => break Why::Lost,
                    Err(error) => tracing::warn!(%error, "a sign of life did not get through"),
                },
                () = sleep_until(self.held_until) => break Why::Lost,
                () = sleep_until(timeout) => break Why::TimedOut,
                () = super::stopped(&mut stop), if stop_at.is_none() => stop_at = Some(Instant::now() + options.grace),
                () = sleep_until(stop_at.unwrap_or(timeout)), if stop_at.is_some() => break Why::Stopped,
            }
        };
        // First it is asked, then its guard's lifeline is cut: nothing survives that.
        if let Some(group) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::TERM);
        }
        let ended = tokio::time::timeout(END_PATIENCE, self.drain(&mut lines)).await;
        if let (Err(_), Ok(lifeline)) = (ended, telling.await) {
            drop(lifeline);
            self.drain(&mut lines).await;
        }
        (why, child.wait().await.ok())
    }

    /// What is still put out, until there is nothing more.
    async fn drain(&mut self, lines: &mut mpsc::Receiver<Line>) {
        while let Some(line) = lines.recv().await {
            self.take(line);
        }
    }

    fn take(&mut self, line: Line) {
        let text = self.scrubber.scrub(&line.text);
        self.output.push(text.as_bytes());
        let (kept, most) = match line.is_stdout {
            true => (&mut self.stdout, RESULT_BYTES_MAX),
            false => (&mut self.stderr, ERROR_BYTES_MAX),
        };
        kept.push_str(&text);
        if kept.len() > 2 * most {
            let from = kept.ceil_char_boundary(kept.len() - most);
            kept.drain(..from);
        }
    }

    /// Sends the next piece of what is not sent yet.
    async fn send_some(&mut self) -> Result<(), LinkError> {
        let Some((offset, piece)) = self.output.next_piece() else { return Ok(()) };
        match self.link.output(self.work, offset, piece).await {
            Ok(len) => self.output.sent(len),
            Err(error @ LinkError::Lost(_)) => return Err(error),
            // Too long, or the like: what the server has is enough.
            Err(LinkError::Refused(why)) => {
                tracing::warn!(why, "the rest of the output is not kept");
                self.output.give_up();
            }
            Err(error) => tracing::debug!(%error, "output waits"),
        }
        Ok(())
    }

    /// Sends all that is left, as long as the work is ours.
    async fn send_all(&mut self) {
        let mut backoff = Backoff::default();
        while self.output.has_more() && Instant::now() < self.held_until {
            let before = self.output.sent;
            if self.send_some().await.is_err() {
                return;
            }
            if self.output.sent == before && self.output.has_more() {
                backoff.wait().await;
            }
        }
    }

    fn report(&self, why: Why, status: Option<ExitStatus>, took: Duration) -> Value {
        let code = status.and_then(|status| status.code());
        let answer = Answer::read(&self.stdout);
        let error = match (why, code) {
            (Why::TimedOut, _) => Some(format!("timed out after {} s", took.as_secs())),
            (_, Some(0)) => answer.failed,
            (_, code) => Some(self.last_words(code)),
        };
        let status = match (why, &error) {
            (Why::TimedOut, _) => "TIMEOUT",
            (_, None) => "COMPLETED",
            (_, Some(_)) => "FAILED",
        };
        let mut report = Value::Object(answer.members);
        report["fence"] = json!(self.work.fence);
        report["status"] = json!(status);
        report["result_summary"] = json!(answer.result);
        report["error_message"] = json!(error);
        report["exit_code"] = json!(code);
        report["duration_ms"] = json!(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        report
    }

    fn last_words(&self, code: Option<i32>) -> String {
        let code = code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}"));
        let words = self.stderr.trim();
        let words = &words[words.ceil_char_boundary(words.len().saturating_sub(ERROR_BYTES_MAX))..];
        if words.is_empty() { code } else { format!("{code}: {words}") }
    }
}

/// All output of a run, and how much of it the server has.
struct Output {
    bytes: Vec<u8>,
    sent: usize,
    most: usize,
    is_cut: bool,
}

impl Output {
    fn new(most: u64) -> Self {
        Self { bytes: vec![], sent: 0, most: usize::try_from(most).unwrap_or(usize::MAX), is_cut: false }
    }

    fn push(&mut self, text: &[u8]) {
        if self.is_cut {
            return;
        }
        let room = self.most.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&text[..text.len().min(room)]);
        if text.len() > room {
            self.is_cut = true;
            self.bytes.extend_from_slice(b"\n...(truncated)\n");
        }
    }

    /// Whether the process should wait until the server has more.
    fn is_behind(&self) -> bool {
        self.bytes.len() - self.sent > 4 * PIECE_BYTES_MAX
    }

    fn has_more(&self) -> bool {
        self.sent < self.bytes.len()
    }

    fn next_piece(&self) -> Option<(u64, Vec<u8>)> {
        let end = self.bytes.len().min(self.sent + PIECE_BYTES_MAX);
        self.has_more().then(|| (self.sent as u64, self.bytes[self.sent..end].to_vec()))
    }

    fn sent(&mut self, len: u64) {
        self.sent = usize::try_from(len).unwrap_or(usize::MAX).min(self.bytes.len());
    }

    fn give_up(&mut self) {
        self.sent = self.bytes.len();
        self.is_cut = true;
    }
}

/// Lines as they come; a very long one comes in pieces.
async fn read_lines(stream: impl AsyncRead + Unpin, is_stdout: bool, line: mpsc::Sender<Line>) {
    let mut stream = BufReader::new(stream);
    let mut bytes = vec![];
    loop {
        let (used, is_whole) = match stream.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(piece) => match piece.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    bytes.extend_from_slice(&piece[..=end]);
                    (end + 1, true)
                }
                None => {
                    bytes.extend_from_slice(piece);
                    (piece.len(), bytes.len() >= LINE_BYTES_MAX)
                }
            },
        };
        stream.consume(used);
        if is_whole {
            let text = String::from_utf8_lossy(&std::mem::take(&mut bytes)).into_owned();
            if line.send(Line { is_stdout, text }).await.is_err() {
                return;
            }
        }
    }
    if !bytes.is_empty() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // Nobody listens any more: the run is over.
        let _ = line.send(Line { is_stdout, text }).await;
    }
}

/// Says something until it is heard, or the work is surely not ours any more.
async fn told<F: Future<Output = Result<(), LinkError>>>(
    mut say: impl FnMut() -> F,
    since: Instant,
    work: &Work,
) -> Result<(), LinkError> {
    let mut backoff = Backoff::default();
    loop {
        match say().await {
            Err(error) if error.may_pass() && since.elapsed().as_secs() < work.lease_seconds => {
                backoff.wait().await
            }
            said => return said,
        }
    }
}

/// Reports until it is heard: also if that takes an hour, since the server decides whether it is too late.
async fn send_report(link: &Link, work: &Work, report: &Value) {
    let mut backoff = Backoff::default();
    loop {
        match link.report(work, report).await {
            Ok(()) => {
                tracing::info!(
                    assignment.id = work.id,
                    status = report["status"].as_str(),
                    "an agent has ended"
                );
                return;
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "a result did not get through; tried again");
                backoff.wait().await;
            }
            Err(error) => {
                tracing::warn!(assignment.id = work.id, %error, "a result was not taken");
                return;
            }
        }
    }
}
