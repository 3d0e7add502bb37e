//! Conversations over a socket (`journal.md` 9.2; `client.md` 2.6 and traps 17 and 18).

use std::sync::Arc;

use serde_json::{Value, json};
use taffrail_domain::chat::ChatCommand;
use taffrail_domain::instance::scope::{Area, Powers, Verb};
use taffrail_domain::roster::Permission;
use taffrail_domain::{Actor, ChatId};
use taffrail_projections::WorkspaceWorld;

use super::App;
use crate::live::{Access, Dialogue, Talk};
use crate::writer::{ExecuteError, Wish, Writer};

/// Turns that a message may ask for.
const TURNS_MAX: i64 = 200;

/// The conversations that a socket takes part in.
pub(super) struct Conversations {
    app: App,
}

impl Conversations {
    pub(super) fn new(app: &App) -> Self {
        Self { app: Arc::clone(app) }
    }

    /// The conversation, if the person may speak in it.
    fn find(&self, payload: &Value, access: &Access) -> Option<(ChatId, Writer<WorkspaceWorld>)> {
        let chat = ChatId::from(payload["session_id"].as_str()?);
        let session = access.session();
        let mut own = self.app.workspaces_of(&session.user).into_iter();
        let (_, writer) = own.find(|(_, writer)| writer.world().state.chats.contains_key(&chat))?;
        let role = writer.world().state.roster.role(&session.user)?;
        let may = role.allows(Permission::Create)
            && Powers::of_scopes(session.scopes.as_deref()).allow(Area::Agents, Verb::Write);
        may.then_some((chat, writer))
    }

    async fn send(&self, payload: &Value, access: &Access) -> Vec<Value> {
        let (id, content) = (payload["session_id"].as_str(), payload["content"].as_str());
        let Some((id, content)) =
            id.zip(content).filter(|(id, content)| !id.is_empty() && !content.is_empty())
        else {
            return vec![error("", "session_id and content required")];
        };
        let turns = &payload["max_turns"];
        if !turns.is_null() && turns.as_i64().is_none_or(|turns| !(0..=TURNS_MAX).contains(&turns)) {
            return vec![error("", "invalid payload")];
        }
        let channel = format!("session:{id}");
        let Some((chat, writer)) = self.find(payload, access) else {
            return denied(&channel);
        };
        let world = writer.world();
        let agent = world.state.chats.get(&chat).map(|chat| chat.opened.agent_id.clone());
        let has_worker = agent
            .as_ref()
            .zip(self.app.desk(writer.log()))
            .is_some_and(|(agent, desk)| desk.has_worker(agent));
        if !has_worker {
            // An open socket with nothing to come would let the client wait for ever (trap 17).
            return vec![event(&channel, "error", "no worker is there for this agent")];
        }
        let command = ChatCommand::Say { chat, content: content.into() };
        let actor = Actor::User(access.session().user.clone());
        match writer.execute(Wish { command: command.into(), actor, request: None }).await {
            Ok(_) => vec![],
            Err(ExecuteError::Rejected(refused)) if refused.code == "chat.busy" => {
                vec![event(&channel, "agent_busy", &refused.detail), error(&channel, &refused.detail)]
            }
            Err(ExecuteError::Rejected(refused)) => vec![event(&channel, "error", &refused.detail)],
            Err(failed) => vec![event(&channel, "error", &failed.to_string())],
        }
    }

    async fn cancel(&self, payload: &Value, access: &Access) -> Vec<Value> {
        if let Some((chat, writer)) = self.find(payload, access) {
            let command = ChatCommand::Stop { chat }.into();
            let actor = Actor::User(access.session().user.clone());
            if let Err(failed) = writer.execute(Wish { command, actor, request: None }).await {
                tracing::debug!(%failed, "a conversation could not be stopped");
            }
        }
        vec![]
    }
}

impl Dialogue for Conversations {
    async fn say(&mut self, talk: Talk, access: &Access) -> Vec<Value> {
        match talk {
            Talk::Send(payload) => self.send(&payload, access).await,
            Talk::Cancel(payload) => self.cancel(&payload, access).await,
            // What was missed is in the log: `subscribe` with `after` replays it; without a running answer
            // there is nothing to say.
            Talk::Resume(_) => vec![],
        }
    }
}

fn denied(channel: &str) -> Vec<Value> {
    // The client shows an error frame only once the socket closes; the event ends it at once.
    vec![error(channel, "access denied"), event(channel, "error", "access denied")]
}

fn error(channel: &str, text: &str) -> Value {
    json!({ "type": "error", "channel": channel, "payload": { "message": text, "error": text } })
}

fn event(channel: &str, inner: &str, content: &str) -> Value {
    let payload = json!({ "type": inner, "content": content, "metadata": {} });
    json!({ "type": "chat_event", "channel": channel, "payload": payload })
}
