//! A socket's subscriptions: channels of the logs its person may read (`journal.md` 9).
//!
//! Each channel has a cursor of its own, so a subscription that begins in the past and one that is live can
//! share a log; per channel, frames come in the order of their entries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use futures_util::{FutureExt, SinkExt, StreamExt, future};
use serde::Deserialize;
use serde_json::{Value, json};
use taffrail_domain::roster::Permission;
use taffrail_domain::{EntryId, LogTag, Offset, Workspace};
use taffrail_projections::WorkspaceWorld;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::follow::Reader;
use super::{Access, Live};

/// A frame to the client at least so often.
const PING: Duration = Duration::from_secs(30);
/// How long a client may take nothing.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Subscriptions of one socket.
const CHANNELS_MAX: usize = 512;
/// A subscription that is further behind is told where to go on, and ended.
const LAG_MAX: u64 = 100_000;
const ACCESS_DENIED: &str = "access denied";

/// What a client says that is no subscription: answered by whoever keeps conversations.
pub trait Dialogue: Send {
    /// What is to be told to the client alone, at once.
    fn say(&mut self, talk: Talk, access: &Access) -> impl Future<Output = Vec<Value>> + Send;
}

/// A word of a conversation.
#[derive(Clone, Debug)]
pub enum Talk {
    /// A message to an agent.
    Send(Value),
    /// The answer is not wanted any more.
    Cancel(Value),
    /// What was missed of the running answer.
    Resume(Value),
}

#[derive(Deserialize)]
struct Frame {
    r#type: String,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    payload: Value,
}

/// One socket.
struct Listening<'a, D> {
    live: &'a Live,
    access: Access,
    dialogue: D,
    logs: BTreeMap<LogTag, Subscribed>,
}

/// What a socket follows of one log.
struct Subscribed {
    reader: Reader,
    channels: HashMap<Box<str>, Channel>,
}

struct Channel {
    cursor: Offset,
    /// Whether its client is to be told when it has all of the past.
    says_when_caught_up: bool,
}

/// Why a socket ends.
enum End {
    /// The client is gone, or takes nothing.
    Gone,
    /// With this as the last word.
    Saying(Value),
}

impl Live {
    /// Talks with a client until it leaves, its credential does not count any more, or the instance ends.
    pub async fn listen(&self, socket: WebSocket, access: Access, dialogue: impl Dialogue) {
        let mut listening = Listening { live: self, access, dialogue, logs: BTreeMap::new() };
        let mut socket = socket;
        let end = listening.run(&mut socket).await;
        if let End::Saying(last) = end {
            // It may be gone already.
            let _ = send(&mut socket, last).await;
        }
        let _ = timeout(WRITE_PATIENCE, socket.close()).await;
    }
}

impl<D: Dialogue> Listening<'_, D> {
    async fn run(&mut self, socket: &mut WebSocket) -> End {
        let mut ping = interval_at(Instant::now() + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let app = Arc::clone(self.access.app());
        let mut closing = std::pin::pin!(app.closing());
        loop {
            let has_more = self.has_more();
            let Self { access, logs, .. } = &mut *self;
            let step = tokio::select! {
                biased;
                () = &mut closing => return End::Gone,
                () = access.lost() => {
                    return End::Saying(json!({
                        "type": "session_revoked", "payload": { "message": "session_revoked" },
                    }));
                }
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.hear(socket, text.as_str()).await,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                    // Frames of the protocol, and bytes, which nobody speaks here.
                    Some(Ok(_)) => Ok(()),
                },
                _ = ping.tick() => send(socket, json!({ "type": "ping", "payload": null })).await,
                () = posted(logs), if !has_more => Ok(()),
                () = future::ready(()), if has_more => self.pump(socket).await,
            };
            if step.is_err() {
                return End::Gone;
            }
        }
    }

    fn has_more(&self) -> bool {
        self.logs.values().any(|log| {
            let head = log.reader.head();
            log.channels.values().any(|channel| channel.cursor < head || channel.says_when_caught_up)
        })
    }

    /// One page for those that are behind in each log, the furthest behind first.
    async fn pump(&mut self, socket: &mut WebSocket) -> Result<(), ()> {
        let mut told: Vec<Value> = vec![];
        for (log, subscribed) in &mut self.logs {
            let world = subscribed.reader.tail.writer.world();
            if !self.access.is_member(&world) {
                let lost = subscribed.channels.drain().map(|(channel, _)| error(&channel, "access revoked"));
                told.extend(lost);
                continue;
            }
            subscribed.end_laggards(*log, &mut told);
            subscribed.pump(*log, socket).await?;
            subscribed.revoke(&self.access, &mut told);
        }
        self.logs.retain(|_, subscribed| !subscribed.channels.is_empty());
        for frame in told {
            send(socket, frame).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), ()> {
        let Ok(frame) = serde_json::from_str::<Frame>(text) else {
            return send(socket, error("", "malformed message frame")).await;
        };
        let channel = frame.channel.unwrap_or_default();
        let payload = object(frame.payload);
        match frame.r#type.as_str() {
            "subscribe" if channel.is_empty() => Ok(()),
            "subscribe" => {
                let frames = self.subscribe(&channel, payload.as_ref());
                for frame in frames {
                    send(socket, frame).await?;
                }
                Ok(())
            }
            "unsubscribe" => {
                for log in self.logs.values_mut() {
                    log.channels.remove(channel.as_str());
                }
                self.logs.retain(|_, log| !log.channels.is_empty());
                Ok(())
            }
            "ping" => send(socket, json!({ "type": "pong", "payload": null })).await,
            // Said again after the socket is open: it changes nothing.
            "auth" => Ok(()),
            word @ ("send_message" | "cancel_message" | "resume") => {
                let payload = payload.unwrap_or_default();
                let talk = match word {
                    "send_message" => Talk::Send(payload),
                    "cancel_message" => Talk::Cancel(payload),
                    _ => Talk::Resume(payload),
                };
                for frame in self.dialogue.say(talk, &self.access).await {
                    send(socket, frame).await?;
                }
                Ok(())
            }
            other => send(socket, error(&channel, &format!("unknown message type: {other}"))).await,
        }
    }

    /// Adds a channel, if its person may join it. Without a payload nothing is answered: older clients wait
    /// for no answer (ruling R18).
    fn subscribe(&mut self, name: &str, payload: Option<&Value>) -> Vec<Value> {
        let Some(place) = self.place(name) else { return vec![error(name, ACCESS_DENIED)] };
        let Some(log) = place else {
            return payload.map(|_| subscribed(name, None)).into_iter().collect();
        };
        let count: usize = self.logs.values().map(|log| log.channels.len()).sum();
        let is_known = self.logs.get(&log).is_some_and(|log| log.channels.contains_key(name));
        if count >= CHANNELS_MAX && !is_known {
            return vec![error(name, "too many subscriptions")];
        }
        let live = self.live;
        let entry = match self.logs.entry(log) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let Some(reader) = Reader::of(live, log) else { return vec![error(name, ACCESS_DENIED)] };
                entry.insert(Subscribed { reader, channels: HashMap::new() })
            }
        };
        let head = entry.reader.head();
        let after = match payload.and_then(|payload| payload["after"].as_str()) {
            None => None,
            Some(text) => match EntryId::parse(text).filter(|id| id.log == log && id.offset <= head) {
                Some(id) => Some(id.offset),
                None => return vec![error(name, "bad after")],
            },
        };
        if is_known && after.is_none() {
            return payload.map(|_| subscribed(name, Some(EntryId::new(log, head)))).into_iter().collect();
        }
        let channel = Channel { cursor: after.unwrap_or(head), says_when_caught_up: after.is_some() };
        entry.channels.insert(name.into(), channel);
        payload.map(|_| subscribed(name, Some(EntryId::new(log, head)))).into_iter().collect()
    }

    /// The log that a channel is of; `Some(None)` for one that may be joined and never says anything here.
    #[expect(clippy::option_option, reason = "refused, allowed without a log, and a log are three things")]
    fn place(&self, name: &str) -> Option<Option<LogTag>> {
        let (kind, id) = name.split_once(':').unwrap_or((name, ""));
        match kind {
            "providers" => return Some(None),
            "user" => return (id == self.access.session().user.as_str()).then_some(None),
            _ => {}
        }
        let app = self.access.app();
        let logs = self.access.logs().into_iter();
        let found = logs.filter_map(|(workspace, log)| Some((workspace, app.workspace_of_log(log)?))).find(
            |(workspace, writer)| {
                let world = writer.world();
                may_join(kind, id, workspace.as_str(), &world, &self.access)
            },
        );
        found.map(|(_, writer)| Some(writer.log()))
    }
}

/// Until something is posted in one of the logs.
async fn posted(logs: &mut BTreeMap<LogTag, Subscribed>) {
    let changes: Vec<_> =
        logs.values_mut().map(|log| log.reader.posted.changed().map(drop).boxed()).collect();
    if changes.is_empty() {
        future::pending::<()>().await;
    }
    future::select_all(changes).await;
}

/// Whether a channel belongs to a workspace, and a member may join it (`journal.md` 9.4).
fn may_join(kind: &str, id: &str, workspace: &str, world: &WorkspaceWorld, access: &Access) -> bool {
    let state: &Workspace = &world.state;
    let role = state.roster.role(&access.session().user);
    match kind {
        "workspace" | "journal" => id == workspace,
        "keeper" => id == workspace && role.is_some_and(|role| role.allows(Permission::Manage)),
        "crew" | "files" => state.roster.live_crew(id).is_some(),
        "agent" => state.roster.live_agent(id).is_some(),
        "mission" => state.undertaking(&id.into()).is_some(),
        "session" => state.chats.contains_key(id) || state.undertaking(&id.into()).is_some(),
        _ => false,
    }
}

impl Subscribed {
    /// Channels whose crew, agent or mission is gone.
    fn revoke(&mut self, access: &Access, told: &mut Vec<Value>) {
        let world = self.reader.tail.writer.world();
        let workspace =
            world.state.roster.opened.as_ref().map(|opened| opened.id.to_string()).unwrap_or_default();
        let head = self.reader.head();
        self.channels.retain(|name, channel| {
            let (kind, id) = name.split_once(':').unwrap_or((name, ""));
            // What is gone has said its last word before.
            let stays = channel.cursor < head || may_join(kind, id, &workspace, &world, access);
            if !stays {
                told.push(error(name, "access revoked"));
            }
            stays
        });
    }

    /// Channels that are too far behind are told where to go on.
    fn end_laggards(&mut self, log: LogTag, told: &mut Vec<Value>) {
        let head = self.reader.head();
        self.channels.retain(|name, channel| {
            // One that asked for the past reads it, however long it is.
            let lags = !channel.says_when_caught_up && head.0.saturating_sub(channel.cursor.0) > LAG_MAX;
            if lags {
                let resume_after = EntryId::new(log, channel.cursor);
                told.push(json!({
                    "type": "lagged", "channel": &**name, "payload": { "resume_after": resume_after },
                }));
            }
            !lags
        });
    }

    async fn pump(&mut self, log: LogTag, socket: &mut WebSocket) -> Result<(), ()> {
        let head = self.reader.head();
        let Some(from) = self.channels.values().map(|channel| channel.cursor).min() else { return Ok(()) };
        if from < head {
            let posts = self.reader.page(from).await.map_err(|error| {
                tracing::error!(%error, "a socket ends: the journal could not be read");
            })?;
            let Some(last) = posts.last().map(|post| post.offset) else { return Ok(()) };
            for post in &posts {
                for (channel, frame) in &post.frames {
                    if self.channels.get(channel).is_some_and(|found| found.cursor < post.offset) {
                        feed(socket, frame.clone()).await?;
                    }
                }
            }
            self.channels.values_mut().for_each(|channel| channel.cursor = channel.cursor.max(last));
        }
        for (name, channel) in &mut self.channels {
            if channel.says_when_caught_up && channel.cursor >= head {
                channel.says_when_caught_up = false;
                let offset = EntryId::new(log, channel.cursor);
                let told =
                    json!({ "type": "caught_up", "channel": &**name, "payload": { "offset": offset } });
                feed(socket, told.to_string().into()).await?;
            }
        }
        flush(socket).await
    }
}

fn subscribed(channel: &str, head: Option<EntryId>) -> Value {
    json!({ "type": "subscribed", "channel": channel, "payload": { "offset": head } })
}

fn error(channel: &str, text: &str) -> Value {
    json!({ "type": "error", "channel": channel, "payload": { "message": text, "error": text } })
}

/// An object, or a text that holds one.
fn object(payload: Value) -> Option<Value> {
    match payload {
        Value::Object(_) => Some(payload),
        Value::String(text) => serde_json::from_str(&text).ok().filter(Value::is_object),
        _ => None,
    }
}

async fn send(socket: &mut WebSocket, frame: Value) -> Result<(), ()> {
    feed(socket, frame.to_string().into()).await?;
    flush(socket).await
}

/// Puts a frame into the socket's buffer; a client that takes nothing for too long is gone.
async fn feed(socket: &mut WebSocket, frame: Utf8Bytes) -> Result<(), ()> {
    let fed = timeout(WRITE_PATIENCE, socket.feed(Message::Text(frame))).await;
    fed.map_err(drop)?.map_err(drop)
}

async fn flush(socket: &mut WebSocket) -> Result<(), ()> {
    let flushed = timeout(WRITE_PATIENCE, socket.flush()).await;
    flushed.map_err(drop)?.map_err(drop)
}
