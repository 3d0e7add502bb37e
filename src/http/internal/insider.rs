//! Who calls over the socket, and in which workspace.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::{Map, Value};
use taffrail_domain::work::Assignment;
use taffrail_domain::{
    Actor, AgentId, ChatId, Command, CrewId, Json, MissionId, Rejection, Text, WorkspaceId,
};
use taffrail_projections::WorkspaceWorld;

use super::token::{Binding, internal_token};
use crate::http::App;
use crate::http::body::Sent;
use crate::http::problem::Problem;
use crate::http::query;
use crate::http::work::AtDesk;
use crate::scrub::Scrubber;
use crate::writer::{ExecuteError, Executed, Wish, Writer};

const TOKEN: &str = "x-internal-token";
const ACTING_AGENT: &str = "x-acting-agent-slug";

/// A caller with an internal token.
pub(super) struct Insider {
    pub(super) app: App,
    binding: Binding,
    /// The workspace that the query names.
    named: Option<String>,
    /// The slug of the agent that acts.
    acting: Option<String>,
}

impl FromRequestParts<App> for Insider {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let binding = text(TOKEN).and_then(|token| Binding::of(token, &internal_token(app)));
        let binding = binding.ok_or_else(|| Problem::forbidden("internal.token"))?;
        app.insiders.count(&binding)?;
        let acting = text(ACTING_AGENT).map(str::to_owned);
        Ok(Self { app: Arc::clone(app), binding, named: query::text(&parts.uri, "workspace_id"), acting })
    }
}

/// A text of an agent as the journal may have it: without what looks like a credential.
pub(super) fn clean(text: &str) -> Text {
    (&*Scrubber::default().scrub(text)).into()
}

/// The same for free facts; what is no object then is left out.
pub(super) fn clean_object(facts: Option<Map<String, Value>>) -> Json {
    let text = facts.and_then(|facts| serde_json::to_string(&facts).ok()).unwrap_or_default();
    let cleaned: Option<Map<String, Value>> = serde_json::from_str(&clean(&text)).ok();
    cleaned.map(|facts| Value::Object(facts).into()).unwrap_or_default()
}

/// An insider in a workspace.
pub(super) struct Inside {
    pub(super) app: App,
    pub(super) id: WorkspaceId,
    pub(super) writer: Writer<WorkspaceWorld>,
    binding: Binding,
    acting: Option<String>,
}

impl Insider {
    /// The same, for bodies that say nothing of it but may.
    pub(super) fn inside_of<B>(self, sent: &Sent<B>) -> Result<Inside, Problem> {
        let named = sent.named("workspace_id");
        self.inside(named.as_deref())
    }

    /// The same, for bodies that say in their own words what they lack.
    pub(super) fn inside_or(
        self,
        named: Option<&str>,
        missing: impl FnOnce() -> Problem,
    ) -> Result<Inside, Problem> {
        let is_named = named.is_some_and(|id| !id.is_empty()) || self.named.is_some();
        if self.binding == Binding::Master && !is_named {
            return Err(missing());
        }
        self.inside(named)
    }

    /// The workspace that token, query and body mean together.
    pub(super) fn inside(self, named: Option<&str>) -> Result<Inside, Problem> {
        let bound = match &self.binding {
            Binding::Master => None,
            Binding::Workspace(id) | Binding::Crew(id, _) | Binding::Agent(id, _) => Some(id.as_str()),
        };
        let named: Vec<&str> =
            named.filter(|id| !id.is_empty()).into_iter().chain(self.named.as_deref()).collect();
        if bound.is_some_and(|bound| named.iter().any(|named| *named != bound))
            || named.windows(2).any(|two| two[0] != two[1])
        {
            let detail = "workspace_id does not match the workspace bound to the internal token";
            return Err(Problem::new(StatusCode::FORBIDDEN, "internal.workspace_mismatch", detail));
        }
        let id = bound.or(named.first().copied());
        let id = id.ok_or_else(|| Problem::invalid("workspace.required", "workspace_id is required"))?;
        let id = WorkspaceId::from(id);
        let writer = self.app.workspace(&id);
        let writer = writer.ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "workspace.not_found", "workspace not found")
        })?;
        Ok(Inside { app: self.app, id, writer, binding: self.binding, acting: self.acting })
    }
}

impl Inside {
    pub(super) fn world(&self) -> Arc<WorkspaceWorld> {
        self.writer.world()
    }

    /// The crew that the token is bound to; an agent's is bound to the crew that the agent is in.
    pub(super) fn bound_crew(&self) -> Option<CrewId> {
        match &self.binding {
            Binding::Crew(_, crew) => Some(crew.clone()),
            Binding::Agent(_, agent) => {
                // Bound to a crew that is not there, rather than to none.
                let world = self.world();
                let crew =
                    world.state.roster.live_agent(agent.as_str()).and_then(|own| own.facts.crew_id.clone());
                Some(crew.unwrap_or_else(|| CrewId::from("")))
            }
            Binding::Master | Binding::Workspace(_) => None,
        }
    }

    /// Whether the token reaches what belongs to a crew.
    pub(super) fn reaches(&self, crew: Option<&CrewId>) -> bool {
        self.bound_crew().is_none_or(|bound| crew == Some(&bound))
    }

    /// A live crew of the workspace: the one named, else the one that the token is bound to.
    pub(super) fn crew(&self, named: Option<&str>) -> Result<CrewId, Problem> {
        let bound = self.bound_crew();
        let named = named.filter(|crew| !crew.is_empty());
        if let (Some(bound), Some(named)) = (&bound, named)
            && bound.as_str() != named
        {
            let detail = "crew does not match the crew bound to the internal token";
            return Err(Problem::new(StatusCode::FORBIDDEN, "internal.crew_mismatch", detail));
        }
        let crew = bound.as_ref().map(CrewId::as_str).or(named).unwrap_or_default();
        let world = self.world();
        let crew = world.state.roster.live_crew(crew).map(|crew| crew.id.clone());
        crew.ok_or_else(|| {
            let detail = "crew does not belong to the workspace bound to the internal token";
            Problem::new(StatusCode::FORBIDDEN, "internal.crew_foreign", detail)
        })
    }

    /// Who acts: the agent of the token, else the one that is named and that the token reaches.
    pub(super) fn actor(&self, named: Option<&str>) -> Actor {
        if let Binding::Agent(_, agent) = &self.binding {
            return Actor::Agent(agent.clone());
        }
        let world = self.world();
        let roster = &world.state.roster;
        let by_slug = self.acting.as_deref().and_then(|slug| roster.agent_slugs.get(slug));
        let named = named.or(by_slug.map(AgentId::as_str)).and_then(|id| roster.live_agent(id));
        let named = named.filter(|agent| self.reaches(agent.facts.crew_id.as_ref()));
        named.map_or(Actor::Orchestrator, |agent| Actor::Agent(agent.id.clone()))
    }

    /// The agent that a body names, by id, which the token must allow.
    pub(super) fn agent(&self, named: Option<&str>) -> Result<AgentId, Problem> {
        let bound = match &self.binding {
            Binding::Agent(_, agent) => Some(agent.clone()),
            _ => None,
        };
        let named = named.filter(|agent| !agent.is_empty());
        let mismatch = || Problem::forbidden("internal.agent_mismatch");
        if bound.as_ref().zip(named).is_some_and(|(bound, named)| bound.as_str() != named) {
            return Err(mismatch());
        }
        let world = self.world();
        let id = bound.as_ref().map(AgentId::as_str).or(named).unwrap_or_default();
        let found = world.state.roster.live_agent(id);
        let found = found.ok_or_else(|| Rejection::not_found("agent.not_found", "agent not found"))?;
        if bound.is_none() && !self.reaches(found.facts.crew_id.as_ref()) {
            return Err(mismatch());
        }
        Ok(found.id.clone())
    }

    /// The agent that a body names by its slug, else by id, else that of the token.
    pub(super) fn agent_called(&self, slug: Option<&str>, id: Option<&str>) -> Result<AgentId, Problem> {
        let world = self.world();
        let by_slug = slug.filter(|slug| !slug.is_empty());
        let by_slug = by_slug.map(|slug| {
            let found = world.state.roster.agent_slugs.get(slug);
            found.ok_or_else(|| Rejection::not_found("agent.not_found", "agent not found"))
        });
        let by_slug = by_slug.transpose()?.map(AgentId::as_str);
        self.agent(by_slug.or(id))
    }

    /// A mission, or an issue, that the token reaches: of its crew, or one that its agent works for now. Who
    /// was called once, or was handed a part, is done with it when that is over.
    pub(super) fn mission(&self, named: &str) -> Option<MissionId> {
        self.mission_by(named, |work| work.status.is_live())
    }

    /// The same, or one that its agent has worked for: what that cost and what was seen is told afterwards
    /// too.
    pub(super) fn mission_worked_for(&self, named: &str) -> Option<MissionId> {
        self.mission_by(named, |_| true)
    }

    fn mission_by(&self, named: &str, is_enough: impl Fn(&Assignment) -> bool) -> Option<MissionId> {
        let world = self.world();
        let found = world.state.undertaking(&named.into())?;
        let works_for = match &self.binding {
            Binding::Agent(_, agent) => {
                let mut works = world.state.work.of_mission(&found.id);
                works.any(|work| work.facts.assigned_to == *agent && is_enough(work))
            }
            Binding::Master | Binding::Workspace(_) | Binding::Crew(..) => false,
        };
        (works_for || self.reaches(Some(&found.crew_id))).then(|| found.id.clone())
    }

    /// The conversation that a body names: one with an agent, or a mission's, which has the mission's id.
    pub(super) fn chat(&self, named: &str) -> Result<ChatId, Problem> {
        if self.world().state.chats.contains_key(named) || self.mission(named).is_some() {
            return Ok(named.into());
        }
        Err(Rejection::not_found("chat.not_found", "chat not found").into())
    }

    /// Whether the token speaks for one agent only.
    pub(super) fn is_an_agent(&self) -> bool {
        matches!(self.binding, Binding::Agent(..))
    }

    /// Runs a command for an actor.
    pub(super) async fn execute(
        &self,
        command: impl Into<Command>,
        actor: Actor,
    ) -> Result<Executed<WorkspaceWorld>, ExecuteError> {
        self.writer.execute(Wish { command: command.into(), actor, request: None }).await
    }

    /// As a worker; an agent is none.
    pub(super) fn at_desk(self) -> Result<AtDesk, Problem> {
        let desk = self.app.desk(self.writer.log()).ok_or_else(Problem::internal)?;
        let crews = match self.binding {
            Binding::Crew(_, crew) => Some(vec![crew]),
            Binding::Master | Binding::Workspace(_) => None,
            Binding::Agent(..) => return Err(Problem::forbidden("internal.agent_mismatch")),
        };
        Ok(AtDesk { app: self.app, writer: self.writer, desk, crews, workspace: Some(self.id) })
    }
}
