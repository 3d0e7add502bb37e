//! Conversations between people and agents (`platform.md` 6.8, `journal.md` 9.2).
//!
//! A message is handed to the agent as an assignment; what the agent answers ends it. A mission has a
//! conversation of its own, with its id: nothing but the mission keeps it.

use std::sync::Arc;

use imbl::Vector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::event::events;
use crate::roster::Permission;
use crate::unfolding::Unfolding;
use crate::work::{AssignmentFacts, AssignmentStatus, Purpose};
use crate::{
    Actor, AgentId, AssignmentId, ChatId, Context, Draft, Entry, Face, Json, Offset, Rejection, Text, Time,
    UserId, Workspace,
};

events! {
    /// Facts about conversations. The subject is the conversation.
    ChatEvent {
        /// A conversation began.
        "chat.opened" => ChatOpened,
        /// A person said something.
        "chat.user_message" => ChatAsked,
        /// An agent answered, or could not.
        "chat.agent_response" => ChatAnswered,
    }
}

/// A conversation began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatOpened {
    /// With whom.
    pub agent_id: AgentId,
    /// `CHAT` unless told otherwise.
    pub mode: Text,
    /// `UI`, `CLI`, `WEBHOOK`, `CRON` or `AGENT`.
    pub origin: Option<Text>,
    /// Free facts.
    #[serde(default)]
    pub metadata: Json,
}

/// A person said something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatAsked {
    /// What.
    pub content: Text,
    /// Who.
    pub by: Option<UserId>,
}

/// An agent answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatAnswered {
    /// What.
    pub content: Text,
    /// Why it could not.
    pub error: Option<Text>,
    /// Which assignment it answers.
    pub assignment_id: Option<AssignmentId>,
}

/// A wish about a conversation.
#[derive(Clone, Debug)]
pub enum ChatCommand {
    /// `POST /agents/{id}/chats`
    Open {
        /// With whom.
        agent: AgentId,
        /// One that may exist already.
        chat: Option<ChatId>,
        /// `CHAT` unless told otherwise.
        mode: Option<Text>,
        /// `UI`, `CLI`, `WEBHOOK`, `CRON` or `AGENT`.
        origin: Option<Text>,
        /// Free facts.
        metadata: Json,
    },
    /// A person says something.
    Say {
        /// Where.
        chat: ChatId,
        /// What.
        content: Text,
    },
    /// A person does not want the answer any more.
    Stop {
        /// Where.
        chat: ChatId,
    },
}

/// A conversation as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chat {
    /// Its id.
    pub id: ChatId,
    /// How it began.
    pub opened: ChatOpened,
    /// Begun by this, cut: what lists call it.
    pub title: Option<Text>,
    /// Where its messages stand.
    pub messages: Vector<Offset>,
    /// The assignment that will answer.
    pub live: Option<AssignmentId>,
    /// When it began.
    pub started_at: Time,
    /// When somebody last said something.
    pub last_activity_at: Time,
    /// Offset of its beginning.
    pub born: Offset,
}

/// Longest title made of a first message.
const TITLE_CHARS_MAX: usize = 80;
const ORIGINS: [&str; 5] = ["UI", "CLI", "WEBHOOK", "CRON", "AGENT"];

impl Workspace {
    pub(crate) fn decide_chat(
        &self,
        command: &ChatCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Create)?;
        let mut unfolding = Unfolding::of(self, context);
        match command {
            ChatCommand::Open { agent, chat, mode, origin, metadata } => {
                let agent = self.roster.live_agent(agent.as_str());
                let agent =
                    agent.ok_or_else(|| Rejection::not_found("agent.not_found", "Agent not found"))?;
                if let Some(found) = chat.as_ref().and_then(|chat| self.chats.get(chat)) {
                    return if found.opened.agent_id == agent.id {
                        Ok(vec![])
                    } else {
                        Err(Rejection::conflict("chat.other_agent", "Chat belongs to a different agent"))
                    };
                }
                if origin.as_deref().is_some_and(|origin| !ORIGINS.contains(&origin)) {
                    return Err(Rejection::invalid("chat.origin", "Invalid request"));
                }
                let id = chat.clone().unwrap_or_else(|| ChatId::from(context.mint.cuid()));
                let opened = ChatOpened {
                    agent_id: agent.id.clone(),
                    mode: mode.clone().unwrap_or_else(|| "CHAT".into()),
                    origin: origin.clone(),
                    metadata: metadata.clone(),
                };
                unfolding.add(Draft::internal(id.as_str(), opened));
            }
            ChatCommand::Say { chat, content } => unfolding.ask(chat, content)?,
            ChatCommand::Stop { chat } => {
                let live = self.chats.get(chat).and_then(|chat| chat.live.clone());
                let facts = live
                    .as_ref()
                    .and_then(|live| self.work.assignments.get(live))
                    .map(|found| found.facts.clone());
                if let (Some(live), Some(facts)) = (live, facts) {
                    unfolding.cancel_assignment(&live, "cancelled");
                    unfolding.chat_ended(&facts, Err("cancelled"));
                }
            }
        }
        Ok(unfolding.finish())
    }

    pub(crate) fn apply_chat(&mut self, event: &ChatEvent, entry: &Entry) {
        let id = ChatId::from(&*entry.subject);
        if let ChatEvent::ChatOpened(opened) = event {
            let chat = Chat {
                id: id.clone(),
                opened: opened.clone(),
                title: None,
                messages: Vector::new(),
                live: None,
                started_at: entry.time,
                last_activity_at: entry.time,
                born: entry.offset,
            };
            self.chats.insert(id, Arc::new(chat));
            return;
        }
        let Some(chat) = self.chats.get_mut(&id).map(Arc::make_mut) else { return };
        chat.messages.push_back(entry.offset);
        chat.last_activity_at = entry.time;
        match event {
            ChatEvent::ChatAsked(asked) if chat.title.is_none() => {
                chat.title = Some(asked.content.chars().take(TITLE_CHARS_MAX).collect::<String>().into());
            }
            ChatEvent::ChatAnswered(_) => chat.live = None,
            ChatEvent::ChatAsked(_) | ChatEvent::ChatOpened(_) => {}
        }
    }
}

/// What the public sees of a message: that it was said, not what.
fn face(entry_type: &str, actor: &Actor, chat: &Chat, details: &str, length: usize) -> Face {
    Face {
        agent_id: Some(chat.opened.agent_id.clone()),
        payload: json!({ "chat_id": chat.id, "chars": length }).into(),
        refs: json!({ "chat_id": chat.id }).into(),
        ..Face::new(entry_type, actor, "message", details)
    }
}

impl Unfolding<'_> {
    fn ask(&mut self, id: &ChatId, content: &Text) -> Result<(), Rejection> {
        let chat = self.state.chats.get(id).cloned();
        let chat = chat.ok_or_else(|| Rejection::not_found("chat.not_found", "access denied"))?;
        if chat.live.is_some() {
            return Err(Rejection::conflict("chat.busy", "a message is already being processed"));
        }
        let agent = self.state.roster.live_agent(chat.opened.agent_id.as_str()).cloned();
        let agent = agent.ok_or_else(|| Rejection::not_found("agent.not_found", "Agent not found"))?;
        let asked = ChatAsked { content: content.clone(), by: self.context.actor.user().cloned() };
        let face = face("chat.user_message", self.context.actor, &chat, "", content.chars().count());
        self.add(Draft::public(id.as_str(), asked, face));
        let facts = AssignmentFacts {
            purpose: Purpose::Chat,
            chat_id: id.clone(),
            crew_id: agent.facts.crew_id.clone(),
            mission_id: None,
            task_id: None,
            iteration: 1,
            assigned_by: None,
            assigned_to: agent.id,
            task: "chat".into(),
            prompt: Some(content.clone()),
        };
        self.assign(facts, AssignmentStatus::Pending);
        Ok(())
    }

    /// What a conversation was waiting for is there, or will not come.
    pub(crate) fn chat_ended(&mut self, facts: &AssignmentFacts, said: Result<&str, &str>) {
        let Some(chat) =
            self.state.chats.get(&facts.chat_id).filter(|_| facts.purpose == Purpose::Chat).cloned()
        else {
            return;
        };
        let answered = ChatAnswered {
            content: said.unwrap_or_default().into(),
            error: said.err().map(Into::into),
            assignment_id: chat.live.clone(),
        };
        let actor = Actor::Agent(facts.assigned_to.clone());
        let face = face(
            "chat.agent_response",
            &actor,
            &chat,
            said.err().unwrap_or_default(),
            answered.content.chars().count(),
        );
        self.add(Draft::public(facts.chat_id.as_str(), answered, face));
    }
}
