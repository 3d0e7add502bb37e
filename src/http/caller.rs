//! Who calls, in which workspace, as what: settled before a handler runs (`missions.md` 1.1, gates 2 to 6).

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use taffrail_domain::instance::scope::Powers;
use taffrail_domain::roster::Permission;
use taffrail_domain::{Actor, Command, LogTag, Text, Time, UserId, WorkspaceId};
use taffrail_projections::{WorkspaceWorld, World};

use super::App;
use super::body::Sent;
use super::contract::{Asks, Operation, Schemas};
use super::freshness;
use super::gate::{Gate, Unnamed};
use super::problem::Problem;
use super::query;
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

    /// The workspace that the path names, as `{workspaceId}`.
    async fn meant_by_path(
        &self,
        parts: &mut Parts,
    ) -> Result<(WorkspaceId, Writer<WorkspaceWorld>), Problem> {
        let params = RawPathParams::from_request_parts(parts, &()).await;
        let params = params.map_err(|_| Problem::internal())?;
        let (_, name) =
            params.iter().find(|(name, _)| *name == "workspaceId").ok_or_else(Problem::internal)?;
        // One that is not the caller's is no different from one that is not there.
        let own = |(_, writer): &(WorkspaceId, Writer<WorkspaceWorld>)| {
            writer.world().state.roster.role(self.user()).is_some()
        };
        let found = self.workspace(name).filter(own).ok_or_else(not_a_member)?;
        match self.meant(parts, Unnamed::InPath) {
            Ok((other, _)) if other != found.0 => {
                let detail = "workspace_id names another workspace than the path";
                Err(Problem::invalid("workspace.two_named", detail))
            }
            _ => Ok(found),
        }
    }

    /// The workspace a request means: query, else header, else what the route does when none is named.
    fn meant(
        &self,
        parts: &Parts,
        unnamed: Unnamed,
    ) -> Result<(WorkspaceId, Writer<WorkspaceWorld>), Problem> {
        let named = query::text(&parts.uri, "workspace_id");
        let header = parts.headers.get(WORKSPACE_ID).and_then(|value| value.to_str().ok());
        let header = header.filter(|name| !name.is_empty());
        if let Some(name) = named.as_deref().or(header) {
            return self.workspace(name).ok_or_else(not_a_member);
        }
        if matches!(unnamed, Unnamed::OnlyOne | Unnamed::OnlyOneOr401) {
            let mut all = self.app.workspaces_of(self.user());
            if let (Some(only), true) = (all.pop(), all.is_empty()) {
                return Ok(only);
            }
        }
        Err(match unnamed {
            Unnamed::Refused | Unnamed::OnlyOne | Unnamed::InPath => {
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
    session: Session,
    writer: Writer<WorkspaceWorld>,
    gate: PhantomData<G>,
}

impl<G: Gate> FromRequestParts<App> for Member<G> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let (id, writer) = match G::UNNAMED {
            Unnamed::InPath => caller.meant_by_path(parts).await?,
            unnamed => caller.meant(parts, unnamed)?,
        };
        let role = writer.world().state.roster.role(caller.user()).ok_or_else(not_a_member)?;
        if !role.allows(G::PERMISSION) {
            return Err(Problem::forbidden("forbidden"));
        }
        if !caller.powers().allow(G::AREA, G::VERB) {
            return Err(Problem::forbidden("forbidden.scope"));
        }
        Ok(Self { app: caller.app, id, session: caller.session, writer, gate: PhantomData })
    }
}

impl<G> Member<G> {
    /// Who calls.
    pub(super) fn user(&self) -> &UserId {
        &self.session.user
    }

    /// The credential they came with.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// What their token may do; `None` is everything they may.
    pub(super) fn scopes(&self) -> Option<&[Text]> {
        self.session.scopes.as_deref()
    }

    /// The way to the workspace's writer.
    pub(super) fn writer(&self) -> &Writer<WorkspaceWorld> {
        &self.writer
    }

    /// The workspace as it is now.
    pub(super) fn world(&self) -> Arc<WorkspaceWorld> {
        self.writer.world()
    }

    /// What time it is here: the clock, but not before the last entry.
    pub(super) fn now(&self) -> Time {
        self.app.now().max(self.world().time())
    }

    /// Runs a command as this caller, under the name that the request gave it. What it made or changed
    /// stands in the world it answers with.
    pub(super) async fn execute<B>(
        &self,
        command: impl Into<Command>,
        sent: &Sent<B>,
    ) -> Result<Executed<WorkspaceWorld>, Problem> {
        let actor = Actor::User(self.user().clone());
        let request = sent.request(self.user().as_str());
        let done = self.writer.execute(Wish { command: command.into(), actor, request }).await?;
        Ok(repeat::with_what_is_gone(&self.app, done).await?)
    }
}

impl Asks for Caller {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.needs_caller();
        operation.refuses([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN]);
        if operation.method == Method::GET {
            let description = "What a write answered: the read waits until that write can be seen";
            operation.parameter("header", "Taffrail-Cursor", json!({ "type": "string" }), false, description);
            operation.refuses([StatusCode::BAD_REQUEST, StatusCode::SERVICE_UNAVAILABLE]);
        }
    }
}

impl<G: Gate> Asks for Member<G> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        Caller::describe(operation, schemas);
        let text = || json!({ "type": "string" });
        let description = "The workspace, by id or slug; without it X-Workspace-ID counts";
        operation.parameter("query", "workspace_id", text(), false, description);
        operation.parameter("header", "X-Workspace-ID", text(), false, "The workspace, by id or slug");
        operation.refuses([StatusCode::BAD_REQUEST]);
        operation.extension(
            "permission",
            match G::PERMISSION {
                Permission::Read => "read",
                Permission::Create => "create",
                Permission::Manage => "manage",
            },
        );
    }
}
