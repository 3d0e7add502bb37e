//! A running instance with its first workspace, and a short way to ask it things.

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use taffrail::boot::{Options, Session, Taffrail};
use taffrail::engine::Reach;
use taffrail::http::Pipeline;
use taffrail::vault::Profile;
use taffrail::writer::{Clock, Wish};
use taffrail_domain::instance::{InstanceCommand, NewUser, NewWorkspace, TokenDraft};
use taffrail_domain::roster::{Role, RosterCommand};
use taffrail_domain::{Actor, UserId, WorkspaceId};
use taffrail_journal::Journal;
use tempfile::TempDir;
use tower::ServiceExt;

use super::contract;
use super::wire::Wire;

/// An instance after bootstrap; requests go as its owner, in its workspace, unless told otherwise.
pub(crate) struct Server {
    service: Pipeline,
    pub(crate) app: Arc<Taffrail>,
    pub(crate) workspace: String,
    pub(crate) owner: String,
    pub(crate) token: String,
    data: TempDir,
    options: Options,
    /// The port that requests go to; without one they go straight to the service.
    wire: Option<Wire>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// The same as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.body[key].as_str().unwrap_or_else(|| panic!("{key} in {self:?}")).to_owned()
    }

    /// Asserts the status and hands the body on.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// Asserts status and text of a problem.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, detail: &str) {
        assert_eq!((self.status, self.body["error"].as_str()), (status, Some(detail)), "{self:?}");
    }
}

/// A request on its way.
pub(crate) struct Asking<'a> {
    server: &'a Server,
    method: Method,
    path: String,
    token: Option<String>,
    workspace: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Asking<'_> {
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    pub(crate) fn in_workspace(mut self, workspace: &str) -> Self {
        self.workspace = Some(workspace.to_owned());
        self
    }

    pub(crate) fn without_workspace(mut self) -> Self {
        self.workspace = None;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let mut request = Request::builder().method(self.method.clone()).uri(&self.path);
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(workspace) = self.workspace {
            request = request.header("x-workspace-id", workspace);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body)).unwrap();
        let response = match &self.server.wire {
            Some(wire) => wire.carry(request).await,
            None => self.server.service.clone().oneshot(request).await.unwrap(),
        };
        let (parts, body) = response.into_parts();
        let media_type = parts.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let bytes = match media_type.as_deref() {
            // It has no end.
            Some("text/event-stream") => vec![],
            _ => to_bytes(body, usize::MAX).await.unwrap().to_vec(),
        };
        let body = match media_type.as_deref() {
            Some("text/event-stream") => Value::Null,
            Some(text) if text.starts_with("text/") || text == "application/x-ndjson" => {
                json!(String::from_utf8(bytes.clone()).unwrap())
            }
            _ if bytes.is_empty() => Value::Null,
            Some(text) if !text.contains("json") => Value::Null,
            _ => serde_json::from_slice(&bytes).unwrap(),
        };
        let status = parts.status.as_u16();
        contract::check(&self.method, &self.path, status, &body);
        Reply { status, headers: parts.headers, body, bytes }
    }
}

impl Server {
    /// Opens a fresh instance and bootstraps it.
    pub(crate) async fn begin() -> Self {
        Self::empty().await.bootstrapped().await
    }

    /// The same on a journal of the test's own.
    pub(crate) async fn begin_on(journal: &Arc<impl Journal>) -> Self {
        let data = TempDir::new().unwrap();
        let journal: Arc<dyn Journal> = Arc::clone(journal) as _;
        let options = Options::new(data.path());
        let app = Taffrail::open_on(options.clone(), journal).await.unwrap();
        Self::around(app, data, options).bootstrapped().await
    }

    async fn bootstrapped(self) -> Self {
        let mut server = self;
        let made = server.bootstrap().await.expect(201);
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        (server.workspace, server.owner, server.token) =
            (text("workspace_id"), text("user_id"), text("cli_token"));
        server
    }

    /// Opens a fresh instance with nobody in it.
    pub(crate) async fn empty() -> Self {
        Self::opened(|options| options).await
    }

    /// The same as [`Server::begin`], by a clock that the test sets.
    pub(crate) async fn begin_at(clock: Clock) -> Self {
        Self::opened(|options| Options { clock, ..options }).await.bootstrapped().await
    }

    async fn opened(with: impl FnOnce(Options) -> Options) -> Self {
        let data = TempDir::new().unwrap();
        let options = with(Options::new(data.path()));
        let app = Taffrail::open(options.clone()).await.unwrap();
        Self::around(app, data, options)
    }

    /// The same as [`Server::begin`], with steps of routines that may ask this machine.
    pub(crate) async fn begin_reaching_private() -> Self {
        let reach = Reach { allows_private: true };
        Self::opened(|options| Options { reach, ..options }).await.bootstrapped().await
    }

    fn around(app: Arc<Taffrail>, data: TempDir, options: Options) -> Self {
        let service = taffrail::http::service(Arc::clone(&app));
        let nothing = String::new;
        let (workspace, owner, token) = (nothing(), nothing(), nothing());
        Self { service, app, workspace, owner, token, data, options, wire: None }
    }

    /// From now on requests go over a connection to a port.
    pub(crate) async fn on_a_port(self) -> Self {
        let wire = Some(Wire::stretch(&self.app).await);
        Self { wire, ..self }
    }

    /// The port, as `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.wire.as_ref().expect("it listens").address
    }

    /// Drains it and opens it again.
    pub(crate) async fn reopened(self) -> Self {
        self.reopened_after(|_| {}).await
    }

    /// Drains it, lets somebody at its data directory, which is nobody's then, and opens it again.
    pub(crate) async fn reopened_after(self, meanwhile: impl FnOnce(&Path)) -> Self {
        self.app.drain().await;
        let Self { service, app, workspace, owner, token, data, options, wire } = self;
        let listened = wire.is_some();
        if let Some(wire) = wire {
            wire.cut().await;
        }
        drop((service, app));
        meanwhile(data.path());
        let app = Taffrail::open(options.clone()).await.unwrap();
        let server = Self { workspace, owner, token, ..Self::around(app, data, options) };
        if listened { server.on_a_port().await } else { server }
    }

    /// The same without what it made of its journal: all of it is folded again.
    pub(crate) async fn reopened_without_snapshots(self) -> Self {
        self.reopened_after(|data| std::fs::remove_dir_all(data.join("snapshots")).unwrap()).await
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// The secret of an agent's webhook, as the vault still knows it.
    pub(crate) fn kept_webhook_secret(&self, agent: &str) -> Option<String> {
        let world = self.app.workspace(&WorkspaceId::from(self.workspace.as_str())).unwrap().world();
        let id = world.state.roster.agents[agent].webhook_secret.clone()?;
        self.app.vault().webhook_secret(&id).map(|secret| secret.reveal().to_owned())
    }

    pub(crate) async fn bootstrap(&self) -> Reply {
        let body =
            json!({ "full_name": "Ada Lovelace", "email": "ada@example.org", "password": "engine-no-1" });
        self.post("/api/v1/bootstrap").without_token().without_workspace().json(body).send().await
    }

    pub(crate) fn ask(&self, method: Method, path: impl Into<String>) -> Asking<'_> {
        Asking {
            server: self,
            method,
            path: path.into(),
            token: Some(self.token.clone()),
            workspace: Some(self.workspace.clone()),
            headers: vec![],
            body: vec![],
        }
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Asking<'_> {
        self.ask(Method::GET, path)
    }

    pub(crate) fn post(&self, path: impl Into<String>) -> Asking<'_> {
        self.ask(Method::POST, path)
    }

    pub(crate) fn patch(&self, path: impl Into<String>) -> Asking<'_> {
        self.ask(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: impl Into<String>) -> Asking<'_> {
        self.ask(Method::DELETE, path)
    }

    /// A further person with a token that may do all they may.
    pub(crate) async fn person(&self, name: &str) -> (UserId, String) {
        let user = UserId::from(format!("cperson{name:0>16}"));
        let email = format!("{name}@example.org");
        let email_key = self.app.vault().email_key(&email);
        let password_hash =
            serde_json::from_value(json!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g")).unwrap();
        let profile = Profile { email, full_name: name.into(), password_hash };
        self.app.vault().put_user(&user, profile).await.unwrap();
        let new = NewUser { id: user.clone(), email_key };
        self.instance(InstanceCommand::CreateUser(new)).await;
        let session = Session { user: user.clone(), token: "none".into(), scopes: None, expires_at: None };
        let issued = self.app.issue_token(&session, &TokenDraft::default(), None).await.unwrap();
        (user, issued.secret.reveal().to_owned())
    }

    /// A further person who is a member of the workspace; their token.
    pub(crate) async fn member(&self, role: Role) -> String {
        self.member_of(&self.workspace, &role.as_str().to_lowercase(), role).await.1
    }

    /// A further person who is a member of a workspace.
    pub(crate) async fn member_of(&self, workspace: &str, name: &str, role: Role) -> (UserId, String) {
        let (user, token) = self.person(name).await;
        let writer = self.app.workspace(&WorkspaceId::from(workspace)).unwrap();
        let command = RosterCommand::AddMember { user: user.clone(), role }.into();
        writer.execute(Wish { command, actor: Actor::System, request: None }).await.unwrap();
        (user, token)
    }

    /// A further workspace with an owner of its own: its id and their token.
    pub(crate) async fn with_another_workspace(self) -> (Self, String, String) {
        let (owner, token) = self.person("stranger").await;
        let id = WorkspaceId::from("canotherworkspace00000");
        let (name, slug) = ("Another".into(), "another".into());
        let new = NewWorkspace { id: id.clone(), name, slug, preferred_language: None, owner };
        self.instance(InstanceCommand::RegisterWorkspace(new)).await;
        // The workspace's own first batch is missing until a start issues it.
        (self.reopened().await, id.to_string(), token)
    }

    async fn instance(&self, command: InstanceCommand) {
        let wish = Wish { command, actor: Actor::System, request: None };
        self.app.instance().execute(wish).await.unwrap();
    }

    /// A token with these scopes, issued over the API by the owner.
    pub(crate) async fn scoped(&self, scopes: &[&str]) -> String {
        let body = json!({ "scopes": scopes });
        let issued = self.post("/api/v1/auth/cli-token").json(body).send().await.expect(200);
        issued["token"].as_str().unwrap().to_owned()
    }

    /// A crew; its id.
    pub(crate) async fn crew(&self, slug: &str) -> String {
        let body = json!({ "name": format!("Crew {slug}"), "slug": slug });
        self.post("/api/v1/crews").json(body).send().await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// A LEAD of a crew; its id.
    pub(crate) async fn lead(&self, crew: &str, slug: &str) -> String {
        let body =
            json!({ "name": format!("Lead {slug}"), "slug": slug, "crew_id": crew, "agent_role": "LEAD" });
        self.post("/api/v1/agents").json(body).send().await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// A fresh crew with a LEAD and a mission.
    pub(crate) async fn mission(&self, slug: &str) -> OnMission<'_> {
        let crew = self.crew(slug).await;
        let lead = self.lead(&crew, &format!("{slug}-lead")).await;
        let mission = OnMission { server: self, crew, lead, id: String::new() };
        mission.another("Ship the beta").await
    }
}

/// A mission and the paths of its routes.
pub(crate) struct OnMission<'a> {
    pub(crate) server: &'a Server,
    pub(crate) crew: String,
    pub(crate) lead: String,
    pub(crate) id: String,
}

impl<'a> OnMission<'a> {
    /// A further mission of the same crew.
    pub(crate) async fn another(&self, title: &str) -> OnMission<'a> {
        let body = json!({ "title": title, "lead_agent_id": self.lead });
        let path = format!("/api/v1/crews/{}/missions", self.crew);
        let id = self.server.post(path).json(body).send().await.expect(201)["id"].as_str().unwrap().into();
        OnMission { server: self.server, crew: self.crew.clone(), lead: self.lead.clone(), id }
    }

    /// The same mission, to be named anew.
    pub(crate) fn twin(&self) -> OnMission<'a> {
        let Self { server, crew, lead, id } = self;
        OnMission { server, crew: crew.clone(), lead: lead.clone(), id: id.clone() }
    }

    pub(crate) fn path(&self) -> String {
        format!("/api/v1/crews/{}/missions/{}", self.crew, self.id)
    }

    pub(crate) async fn show(&self) -> Value {
        self.server.get(self.path()).send().await.expect(200)
    }

    pub(crate) async fn change(&self, patch: Value) -> Reply {
        self.server.patch(self.path()).json(patch).send().await
    }

    pub(crate) async fn start(&self) -> Reply {
        self.server.post(format!("{}/start", self.path())).send().await
    }

    pub(crate) async fn try_task(&self, body: Value) -> Reply {
        self.server.post(format!("{}/tasks", self.path())).json(body).send().await
    }

    /// A task; its id.
    pub(crate) async fn task(&self, title: &str, depends_on: &[&str]) -> String {
        let body = json!({ "title": title, "depends_on": depends_on });
        self.try_task(body).await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn change_task(&self, task: &str, patch: Value) -> Reply {
        self.server.patch(format!("{}/tasks/{task}", self.path())).json(patch).send().await
    }

    /// Takes a task through work to `COMPLETED`.
    pub(crate) async fn complete(&self, task: &str) {
        self.change_task(task, json!({ "status": "IN_PROGRESS" })).await.expect(200);
        self.change_task(task, json!({ "status": "COMPLETED" })).await.expect(200);
    }

    pub(crate) fn checkpoints(&self) -> String {
        format!("/api/v1/missions/{}/checkpoints", self.id)
    }

    /// A checkpoint here and now.
    pub(crate) async fn checkpoint(&self, label: &str) -> Value {
        self.server.post(self.checkpoints()).json(json!({ "label": label })).send().await.expect(201)
    }

    /// A checkpoint of the mission, which something has happened to; its id.
    pub(crate) async fn checkpoint_after_a_task(&self) -> String {
        self.task("a", &[]).await;
        self.checkpoint("x").await["id"].as_str().unwrap().to_owned()
    }

    /// The mission's entries, oldest first.
    pub(crate) async fn journal(&self) -> Vec<Value> {
        let path = format!("/api/v1/journal?mission_id={}&order=asc&limit=500", self.id);
        let page = self.server.get(path).send().await.expect(200);
        page["entries"].as_array().unwrap().clone()
    }
}
