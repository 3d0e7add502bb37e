//! Conversations with agents (`platform.md` 6.8).

use std::ops::ControlFlow;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taffrail_domain::chat::{Chat, ChatCommand, ChatEvent};
use taffrail_domain::issue::Issue;
use taffrail_domain::mission::Mission;
use taffrail_domain::undertaking::Undertaking;
use taffrail_domain::{AgentId, ChatId, Event, Offset, Text, Time, WorkspaceId};
use taffrail_projections::World;

use super::answer::{Created, Listed, Told};
use super::body::{Optional, Sent};
use super::caller::{Caller, Member};
use super::gate::{ReadAgents, WriteAgents};
use super::page::PageQuery;
use super::problem::Problem;
use super::query::Query;
use super::time::{Millis, Seconds};
use super::unset::Unset;

const CHATS_MAX: usize = 100;
const MESSAGES_DEFAULT: usize = 50;
const MESSAGES_MAX: usize = 500;

/// A conversation on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Chat")]
pub(super) struct ChatView {
    id: ChatId,
    agent_id: AgentId,
    workspace_id: WorkspaceId,
    title: Option<Text>,
    mode: Text,
    status: &'static str,
    message_count: usize,
    unread_count: usize,
    origin: Option<Text>,
    started_at: Seconds,
    ended_at: Unset,
    created_at: Seconds,
    last_activity_at: Seconds,
    /// By what the list is ordered.
    #[serde(skip)]
    at: Time,
}

/// Body of open.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ChatDraft {
    /// One that may exist already: it is gone on with.
    session_id: Option<String>,
    /// `CHAT` without it.
    mode: Option<String>,
    /// `UI`, `CLI`, `WEBHOOK`, `CRON` or `AGENT`.
    origin: Option<String>,
    /// Free facts.
    metadata: Option<Map<String, Value>>,
}

/// A conversation that was opened.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenedChat")]
pub(super) struct OpenedView {
    id: ChatId,
}

/// What was said.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Messages")]
pub(super) struct MessagesView {
    messages: Vec<MessageView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Message")]
struct MessageView {
    role: &'static str,
    content: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Text>,
    created_at: Millis,
}

/// `GET /api/v1/agents/{agentId}/chats`: of a LEAD also those of its missions, which have the missions' ids.
pub(super) async fn list_chats(
    member: Member<ReadAgents>,
    Path(agent): Path<AgentId>,
) -> Result<Listed<Vec<ChatView>>, Problem> {
    let world = member.world();
    let state = &world.state;
    state.agent(agent.as_str())?;
    let own = state.chats.values().filter(|chat| chat.opened.agent_id == agent);
    let missions = state.missions.values().filter(|mission| mission.lead_agent_id == agent);
    let own = own.map(|chat| ChatView::of(chat, &member.id));
    let own = own.chain(missions.map(|mission| ChatView::of_mission(mission, &member.id)));
    // An issue has one once it was started (`issues.md` 12.2).
    let crew = state.agent(agent.as_str())?.facts.crew_id.clone();
    let issues = crew.iter().flat_map(|crew| state.issues.of_crew(crew));
    let issues = issues.filter_map(|id| state.issues.all.get(id));
    let issues = issues.filter(|issue| issue.lead_agent_id == agent && issue.started_at.is_some());
    let mut chats: Vec<_> = own.chain(issues.map(|issue| ChatView::of_issue(issue, &member.id))).collect();
    chats.sort_by_key(|chat| std::cmp::Reverse(chat.at));
    let total = chats.len();
    chats.truncate(CHATS_MAX);
    Ok(Listed::whole(&chats, total))
}

/// `POST /api/v1/agents/{agentId}/chats`
pub(super) async fn open_chat(
    member: Member<WriteAgents>,
    Path(agent): Path<AgentId>,
    sent: Sent<Optional<ChatDraft>>,
) -> Result<Created<OpenedView>, Problem> {
    let draft = sent.json()?;
    let chat = draft.session_id.filter(|id| !id.is_empty()).map(ChatId::from);
    let command = ChatCommand::Open {
        agent,
        chat: chat.clone(),
        mode: draft.mode.filter(|mode| !mode.is_empty()).map(Into::into),
        origin: draft.origin.filter(|origin| !origin.is_empty()).map(Into::into),
        metadata: draft.metadata.map(|metadata| Value::Object(metadata).into()).unwrap_or_default(),
    };
    let done = member.execute(command, &sent).await?;
    let made = done.entries.first().map(|entry| ChatId::from(&*entry.subject));
    let id = made.or(chat).ok_or_else(Problem::internal)?;
    Ok(Created::new(&done, &OpenedView { id }))
}

/// `GET /api/v1/chats/{chatId}/messages`: oldest first; one that is not the caller's to read has none.
pub(super) async fn list_messages(
    caller: Caller,
    Path(chat): Path<ChatId>,
    Query(page): Query<PageQuery>,
) -> Result<Told<MessagesView>, Problem> {
    let page = page.page(MESSAGES_DEFAULT, MESSAGES_MAX);
    let own = caller.app.workspaces_of(caller.user()).into_iter().map(|(_, writer)| writer.world());
    let found = own.filter_map(|world| Some((world.log(), world.state.chats.get(&chat)?.clone()))).next();
    let mut messages = vec![];
    if let Some((log, chat)) = found {
        let offsets: Vec<Offset> = chat.messages.iter().copied().skip(page.offset).take(page.limit).collect();
        caller
            .app
            .each_entry(log, offsets, |read| {
                messages.extend(MessageView::of(&read.entry));
                ControlFlow::Continue(())
            })
            .await?;
    }
    Ok(Told::new(&MessagesView { messages }))
}

impl ChatView {
    fn of(chat: &Chat, workspace: &WorkspaceId) -> Self {
        Self {
            id: chat.id.clone(),
            agent_id: chat.opened.agent_id.clone(),
            workspace_id: workspace.clone(),
            title: chat.title.clone(),
            mode: chat.opened.mode.clone(),
            status: "ACTIVE",
            message_count: chat.messages.len(),
            unread_count: 0,
            origin: chat.opened.origin.clone(),
            started_at: Seconds(chat.started_at),
            ended_at: Unset,
            created_at: Seconds(chat.started_at),
            last_activity_at: Seconds(chat.last_activity_at),
            at: chat.last_activity_at,
        }
    }

    fn of_mission(mission: &Mission, workspace: &WorkspaceId) -> Self {
        Self::of_undertaking(mission, "Mission", (mission.created_at, mission.updated_at), workspace)
    }

    fn of_issue(issue: &Issue, workspace: &WorkspaceId) -> Self {
        let began = issue.started_at.unwrap_or(issue.created_at);
        Self::of_undertaking(issue, "Issue", (began, issue.updated_at), workspace)
    }

    fn of_undertaking(
        undertaking: &Undertaking,
        word: &str,
        (began, changed): (Time, Time),
        workspace: &WorkspaceId,
    ) -> Self {
        Self {
            id: undertaking.id.as_str().into(),
            agent_id: undertaking.lead_agent_id.clone(),
            workspace_id: workspace.clone(),
            title: Some(format!("{word}: {}", undertaking.title).into()),
            mode: "MISSION".into(),
            status: "ACTIVE",
            message_count: 0,
            unread_count: 0,
            origin: None,
            started_at: Seconds(began),
            ended_at: Unset,
            created_at: Seconds(began),
            last_activity_at: Seconds(changed),
            at: changed,
        }
    }
}

impl MessageView {
    fn of(entry: &taffrail_domain::Entry) -> Option<Self> {
        let created_at = Millis(entry.time);
        match &entry.event {
            Some(Event::Chat(ChatEvent::ChatAsked(asked))) => {
                Some(Self { role: "user", content: asked.content.clone(), error: None, created_at })
            }
            Some(Event::Chat(ChatEvent::ChatAnswered(answered))) => Some(Self {
                role: "assistant",
                content: answered.content.clone(),
                error: answered.error.clone(),
                created_at,
            }),
            _ => None,
        }
    }
}
