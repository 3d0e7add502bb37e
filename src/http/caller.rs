//! Who calls, in which workspace, as what: settled before a handler runs (`missions.md` 1.1, gates 2 to 6).

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use taffrail_domain::instance::scope::{Powers, Verb};
use taffrail_domain::roster::Permission;
use taffrail_domain::{Actor, Command, LogTag, UserId, WorkspaceId};
use taffrail_projections::WorkspaceWorld;

use super::App;
use super::body::Sent;
use super::freshness;
use super::gate::{Gate, Unnamed};
use super::problem::Problem;
use super::query::Query;
use super::repeat;
use crate::boot::Session;
use crate::writer::{Executed, Wish, Writer};

const WORKSPACE_ID: &str = "x-workspace-id";

/// A caller with a live credential.
pub(super) struct Caller {
    pub(super) app: App,
    pub(super) session: Session,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let secret = bearer(&parts.headers).ok_or_else(|| Problem::unauthenticated("no_credentials"))?;
        let session = app.authenticate(secret)?;
        let caller = Self { app: Arc::clone(app), session };
        freshness::wait(parts, &caller).await?;
        Ok(caller)
    }
}

/// What stands behind `Bearer `, the scheme in any case (RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim())
}

impl Caller {
    pub(super) fn user(&self) -> &UserId {
        &self.session.user
    }

    pub(super) fn powers(&self) -> Powers {
        Powers::of_scopes(self.session.scopes.as_deref())
    }

    /// A workspace by id or slug. An unknown one answers like a foreign one: no oracle.
    fn workspace(&self, id_or_slug: &str) -> Option<(WorkspaceId, Writer<WorkspaceWorld>)> {
        let instance = self.app.instance().world();
        let id = instance.state.workspace(id_or_slug)?.id.clone();
        let writer = self.app.workspace(&id)?;
        Some((id, writer))
    }

    /// The writer of a workspace of theirs, by its log.
    pub(super) fn writer_of(&self, log: LogTag) -> Option<Writer<WorkspaceWorld>> {
        let writer = self.app.workspace_of_log(log)?;
        writer.world().state.roster.role(self.user())?;
        Some(writer)
    }

    /// The workspace a request means: query, else header, else what the route does when none is named.
    fn meant(
        &self,
        parts: &Parts,
        unnamed: Unnamed,
    ) -> Result<(WorkspaceId, Writer<WorkspaceWorld>), Problem> {
        let query = Query::of(&parts.uri);
        let header = parts.headers.get(WORKSPACE_ID).and_then(|value| value.to_str().ok());
        let header = header.filter(|name| !name.is_empty());
        if let Some(name) = query.text("workspace_id").or(header) {
            return self.workspace(name).ok_or_else(not_a_member);
        }
        if unnamed != Unnamed::Refused {
            let mut all = self.app.workspaces_of(self.user());
            if let (Some(only), true) = (all.pop(), all.is_empty()) {
                return Ok(only);
            }
        }
        Err(match unnamed {
            Unnamed::Refused | Unnamed::OnlyOne => {
                Problem::invalid("workspace.required", "workspace_id is required")
            }
            Unnamed::OnlyOneOr401 => {
                Problem::new(StatusCode::UNAUTHORIZED, "workspace.required", "workspace required")
                    .challenging("workspace required")
            }
        })
    }
}

fn not_a_member() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "workspace.not_a_member", "Not a member of this workspace")
}

/// A caller in a workspace, past the gate of the route.
pub(super) struct Member<G> {
    pub(super) app: App,
    pub(super) id: WorkspaceId,
    user: UserId,
    writer: Writer<WorkspaceWorld>,
    gate: PhantomData<G>,
}

impl<G: Gate> FromRequestParts<App> for Member<G> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let (id, writer) = caller.meant(parts, G::UNNAMED)?;
        let role = writer.world().state.roster.role(caller.user()).ok_or_else(not_a_member)?;
        if !role.allows(G::PERMISSION) {
            return Err(Problem::forbidden("forbidden"));
        }
        let verb = if G::PERMISSION == Permission::Read { Verb::Read } else { Verb::Write };
        if !caller.powers().allow(G::AREA, verb) {
            return Err(Problem::forbidden("forbidden.scope"));
        }
        Ok(Self { app: caller.app, id, user: caller.session.user, writer, gate: PhantomData })
    }
}

impl<G> Member<G> {
    /// The workspace as it is now.
    pub(super) fn world(&self) -> Arc<WorkspaceWorld> {
        self.writer.world()
    }

    /// Runs a command as this caller, under the name that the request gave it. What it made or changed
    /// stands in the world it answers with.
    pub(super) async fn execute(
        &self,
        command: impl Into<Command>,
        sent: &Sent,
    ) -> Result<Executed<WorkspaceWorld>, Problem> {
        let actor = Actor::User(self.user.clone());
        let request = sent.request(self.user.as_str());
        let done = self.writer.execute(Wish { command: command.into(), actor, request }).await?;
        Ok(repeat::with_what_is_gone(&self.app, done).await?)
    }
}
