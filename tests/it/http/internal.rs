//! The internal API, as agents and what runs beside them speak it (`platform.md` 8).

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use taffrail::http::Pipeline;
use taffrail_domain::WorkspaceId;
use tower::ServiceExt;

use super::server::{Reply, Server};

/// A caller on the socket.
#[derive(Clone)]
pub(crate) struct Insider {
    service: Pipeline,
    token: String,
    workspace: String,
}

impl Insider {
    /// With the daemon's own token.
    pub(crate) fn of(server: &Server) -> Self {
        let service = taffrail::http::internal_service(Arc::clone(&server.app));
        Self {
            service,
            token: taffrail::http::internal_token(&server.app),
            workspace: server.workspace.clone(),
        }
    }

    /// With another token, which says the workspace itself.
    pub(super) fn bound(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path).header("x-internal-token", &self.token);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.service.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        assert!(!parts.headers.contains_key("allow"), "no method is hinted at");
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        (parts.status.as_u16(), body)
    }

    /// `POST`, in the workspace unless the body names another one.
    pub(crate) async fn post(&self, path: &str, mut body: Value) -> (u16, Value) {
        if body.get("workspace_id").is_none() {
            body["workspace_id"] = json!(self.workspace);
        }
        self.send(Method::POST, &format!("/api/v1/internal/{path}"), Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, mut body: Value) -> (u16, Value) {
        body["workspace_id"] = json!(self.workspace);
        self.send(Method::PATCH, &format!("/api/v1/internal/{path}"), Some(body)).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("/api/v1/internal/{path}{joint}workspace_id={}", self.workspace);
        self.send(Method::GET, &path, None).await
    }
}

#[track_caller]
pub(super) fn granted((status, body): (u16, Value), expected: u16) -> Value {
    assert_eq!(status, expected, "{body}");
    body
}

#[track_caller]
pub(super) fn refused((status, body): (u16, Value), expected: u16, detail: &str) -> Value {
    assert_eq!((status, body["error"].as_str()), (expected, Some(detail)), "{body}");
    body
}

pub(super) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

/// A crew with a LEAD, and an agent beside it; a conversation with the LEAD.
pub(super) struct Cast {
    pub(super) crew: String,
    pub(super) lead: String,
    pub(super) mate: String,
    pub(super) chat: String,
}

pub(super) async fn cast(server: &Server, slug: &str) -> Cast {
    let crew = server.crew(slug).await;
    let lead = server.lead(&crew, &format!("{slug}-lead")).await;
    let mate = json!({ "name": "Mate", "slug": format!("{slug}-mate"), "crew_id": crew });
    let mate = text(&server.post("/api/v1/agents").json(mate).send().await.expect(201), "id");
    let chat = server.post(format!("/api/v1/agents/{lead}/chats")).json(json!({})).send().await;
    Cast { crew, lead, mate, chat: text(&chat.expect(201), "id") }
}

pub(super) async fn set_autonomy(server: &Server, crew: &str, level: &str) {
    let policy = json!({ "autonomy_level": level, "reason": "a test" });
    let path = format!("/api/v1/crews/{crew}/policy");
    server.ask(Method::PUT, path).json(policy).send().await.expect(200);
}

pub(super) async fn decide(server: &Server, approval: &str, status: &str) {
    let path = format!("/api/v1/approvals/{approval}/decide");
    server.post(path).json(json!({ "status": status })).send().await.expect(200);
}

/// The public entries of a type, oldest first.
pub(super) async fn entries(server: &Server, entry_type: &str) -> Vec<Value> {
    let path = format!("/api/v1/journal?entry_type={entry_type}");
    let mut found = server.get(path).send().await.expect(200)["entries"].as_array().unwrap().clone();
    found.reverse();
    found
}

/// A worker that asks for an agent's work, over the socket; what it was given.
pub(super) async fn claim(insider: &Insider, agent: &str) -> Value {
    let wish = json!({ "agent_id": agent, "wait_seconds": 30, "lease_seconds": 600 });
    granted(insider.post("tasks/claim", wish).await, 200)
}

/// Somebody is there for an agent, though nothing is to be done yet.
async fn present(insider: &Insider, agent: &str) {
    granted(insider.post("tasks/claim", json!({ "agent_id": agent })).await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_ordinary_listener_there_is_no_such_thing() {
    let server = Server::begin().await;
    let token = taffrail::http::internal_token(&server.app);
    for path in ["crews", "tasks/claim", "missions/x"] {
        let path = format!("/api/v1/internal/{path}");
        let reply = server.get(path).header("x-internal-token", &token).send().await;
        assert_eq!(reply.status, 404, "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_of_the_instance_gets_in() {
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    granted(insider.get("crews").await, 200);
    for token in ["", "nonsense", &server.token, "wsv1.x.00", "agtv1.x.y.00"] {
        refused(insider.bound(token).get("crews").await, 403, "Forbidden");
    }
    for (method, path) in [(Method::GET, "nothing"), (Method::DELETE, "crews"), (Method::GET, "tasks/claim")]
    {
        let path = format!("/api/v1/internal/{path}");
        refused(insider.send(method, &path, None).await, 404, "Not Found");
    }
    let unnamed = insider.send(Method::GET, "/api/v1/internal/crews", None).await;
    refused(unnamed, 400, "workspace_id is required");
    let other = Insider { workspace: "cnone".into(), ..insider };
    refused(other.get("crews").await, 404, "workspace not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_of_a_strict_crew_waits_for_a_yes() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "strict").await);
    set_autonomy(&server, &cast.crew, "strict").await;
    let wish = json!({
        "title": "Ship", "lead_agent_id": cast.lead, "crew_id": cast.crew, "plan": "first a, then b",
        "tasks": [
            { "title": "a", "task_order": 1, "assigned_agent_id": cast.mate },
            { "title": "b", "task_order": 2, "depends_on": [1] },
        ],
    });
    let made = granted(insider.post("missions", wish.clone()).await, 202);
    assert_eq!((&made["status"], &made["pending_review"]), (&json!("PLANNING"), &json!(true)));
    assert_eq!((&made["decision"], &made["autonomy_level"]), (&json!("inbox_approve"), &json!("strict")));
    let (id, approval) = (text(&made, "id"), text(&made, "approval_id"));
    let shown = granted(insider.get(&format!("missions/{id}")).await, 200);
    let first = text(&made["tasks"], "1");
    assert_eq!(shown["tasks"][1]["depends_on"], json!(format!("[\"{first}\"]")), "a text, with the id");

    let held = "Mission start rejected by policy";
    let start = format!("missions/{id}/start");
    refused(insider.post(&start, json!({})).await, 403, held);
    let public = format!("/api/v1/crews/{}/missions/{id}", cast.crew);
    server.post(format!("{public}/start")).send().await.refused(403, held);
    let patch = json!({ "status": "IN_PROGRESS" });
    assert!(server.patch(&public).json(patch).send().await.status >= 400, "no way around");

    decide(&server, &approval, "approved").await;
    let started = granted(insider.post(&start, json!({})).await, 200);
    assert_eq!(started, json!({ "id": id, "status": "IN_PROGRESS" }));
    let again = "cannot start mission in IN_PROGRESS state, must be PLANNING";
    refused(insider.post(&start, json!({})).await, 400, again);

    let made = granted(insider.post("missions", wish).await, 202);
    decide(&server, &text(&made, "approval_id"), "denied").await;
    let start = format!("missions/{}/start", text(&made, "id"));
    refused(insider.post(&start, json!({})).await, 403, held);
    let audited = entries(&server, "audit.entity_created").await;
    let of_mission = audited.iter().find(|entry| entry["payload"]["entity_id"] == id.as_str()).unwrap();
    assert_eq!(of_mission["payload"]["metadata"]["decision"], "inbox_approve");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_that_is_too_much_says_which_limit() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "many").await);
    let wish = |tasks: usize| {
        let tasks: Vec<Value> = (0..tasks).map(|number| json!({ "title": number.to_string() })).collect();
        json!({ "title": "Ship", "lead_agent_id": cast.lead, "crew_id": cast.crew, "tasks": tasks })
    };
    let text = "Mission creation refused by instance limit";
    let told = refused(insider.post("missions", wish(17)).await, 403, text);
    assert_eq!((&told["setting"], &told["limit"]), (&json!("mission.max_tasks"), &json!(16)), "{told}");
    assert_eq!(told["crew_id"], cast.crew.as_str());
    for (wrong, detail) in [
        (json!({ "title": "x" }), "title, lead_agent_id, crew_id, workspace_id required"),
        (
            json!({ "title": "x", "lead_agent_id": "cnone", "crew_id": cast.crew }),
            "lead agent does not belong to the specified crew/workspace",
        ),
        (
            json!({ "title": "x", "lead_agent_id": cast.lead, "crew_id": cast.crew,
                "tasks": [{ "title": "a", "assigned_agent_id": "cnone" }] }),
            "task assigned_agent_id does not belong to this workspace",
        ),
    ] {
        refused(insider.post("missions", wrong).await, 400, detail);
    }
    for _ in 0..6 {
        granted(insider.post("missions", wish(1)).await, 201);
    }
    let told = refused(insider.post("missions", wish(1)).await, 403, text);
    assert_eq!((&told["setting"], &told["limit"]), (&json!("mission.max_active_per_crew"), &json!(6)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_that_an_agent_makes_is_pinned_until_a_yes() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "maker").await);
    let wish = |slug: &str| json!({ "name": "Helpers", "slug": slug, "crew_id": cast.crew });
    let level = async |crew: &str| {
        let path = format!("/api/v1/crews/{crew}/policy");
        text(&server.get(path).send().await.expect(200), "autonomy_level")
    };
    set_autonomy(&server, &cast.crew, "trusted").await;
    let held = granted(insider.post("crews", wish("held")).await, 202);
    assert_eq!((&held["decision"], &held["pending_review"]), (&json!("inbox_approve"), &json!(true)));
    assert_eq!(level(&text(&held, "id")).await, "strict");
    decide(&server, &text(&held, "approval_id"), "approved").await;
    assert_eq!(level(&text(&held, "id")).await, "trusted", "its maker's level");

    let denied = granted(insider.post("crews", wish("denied")).await, 202);
    decide(&server, &text(&denied, "approval_id"), "denied").await;
    assert_eq!(level(&text(&denied, "id")).await, "strict");

    let gone = granted(insider.post("crews", wish("gone")).await, 202);
    server.delete(format!("/api/v1/crews/{}", text(&gone, "id"))).send().await.expect(200);
    let asked = format!("/api/v1/approvals/{}", text(&gone, "approval_id"));
    assert_eq!(server.get(asked).send().await.expect(200)["status"], "cancelled");

    let taken = insider.post("crews", wish("held")).await;
    refused(taken, 409, "crew with slug 'held' already exists");
    set_autonomy(&server, &cast.crew, "full").await;
    let free =
        granted(insider.post("crews", json!({ "name": "Free Ones", "crew_id": cast.crew })).await, 201);
    assert_eq!((&free["slug"], &free["decision"]), (&json!("free-ones"), &json!("auto_log_inbox")));
    assert_eq!(level(&text(&free, "id")).await, "full");
    set_autonomy(&server, &cast.crew, "strict").await;
    let told = refused(insider.post("crews", wish("never")).await, 403, "crew_create rejected by policy");
    assert_eq!((&told["autonomy_level"], &told["policy_action"]), (&json!("strict"), &json!("crew_create")));
    assert_eq!(told["crew_id"], cast.crew.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_an_agent_makes_does_nothing_before_a_yes() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "maker").await);
    let wish = json!({ "name": "Helper", "slug": "helper", "crew_id": cast.crew });
    let held = granted(insider.post("agents", wish.clone()).await, 202);
    assert_eq!(held["slug"], "helper-maker", "the crew's slug is appended");
    refused(insider.post("agents", wish).await, 409, "agent with slug 'helper-maker' already exists");
    let helper = text(&held, "id");
    let status =
        async || text(&server.get(format!("/api/v1/agents/{helper}")).send().await.expect(200), "status");
    assert_eq!(status().await, "PENDING_REVIEW");
    let handed = json!({
        "target_slug": "helper-maker", "task": "Help", "crew_id": cast.crew, "chat_id": cast.chat,
    });
    refused(insider.post("assignments", handed.clone()).await, 409, "target agent is pending review");
    let run = insider.post("runs", json!({ "agent_id": helper })).await;
    refused(run, 409, "agent is pending review");
    server.post(format!("/api/v1/agents/{helper}/stop")).send().await.expect(200);
    assert_eq!(status().await, "PENDING_REVIEW", "a stop is no yes");
    decide(&server, &text(&held, "approval_id"), "approved").await;
    assert_eq!(status().await, "IDLE");
    granted(insider.post("assignments", handed).await, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_hand_each_other_work() {
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    let (cast, other) = (cast(&server, "one").await, cast(&server, "two").await);
    let wish = |target: &str, chat: &str| json!({ "target_slug": target, "task": "Look\nat it", "crew_id": cast.crew, "chat_id": chat });
    let missing = "target_slug, task, crew_id, workspace_id, chat_id required";
    refused(insider.post("assignments", wish("", &cast.chat)).await, 400, missing);
    refused(insider.post("assignments", wish("one-mate", "cnone")).await, 404, "chat not found");
    refused(insider.post("assignments", wish("nobody", &cast.chat)).await, 404, "target agent not found");
    let unconnected = "crews are not connected — create a crew connection first";
    refused(insider.post("assignments", wish("two-mate", &cast.chat)).await, 403, unconnected);
    let made = granted(insider.post("assignments", wish("one-mate", &cast.chat)).await, 201);
    assert_eq!(made["status"], "PENDING");
    let id = text(&made, "assignment_id");
    let shown = granted(insider.get(&format!("assignments/{id}")).await, 200);
    assert_eq!((&shown["task"], &shown["assigned_to_id"]), (&json!("Look\nat it"), &json!(cast.mate)));

    let held = claim(&insider, &cast.mate).await;
    assert_eq!((&held["id"], &held["purpose"]), (&json!(id), &json!("DELEGATION")));
    let voice = insider.bound(&text(&held["voice"], "token"));
    let report = json!({ "fence": held["fence"], "status": "COMPLETED", "result_summary": "fine" });
    refused(voice.patch(&format!("tasks/{id}"), report.clone()).await, 403, "Forbidden");
    granted(insider.patch(&format!("tasks/{id}"), report).await, 200);
    let shown = granted(voice.get(&format!("assignments/{id}")).await, 200);
    assert_eq!((&shown["status"], &shown["result_summary"]), (&json!("COMPLETED"), &json!("fine")));

    let foreign = json!({
        "target_slug": "two-mate", "task": "x", "crew_id": other.crew, "chat_id": other.chat,
    });
    let foreign = text(&granted(insider.post("assignments", foreign).await, 201), "assignment_id");
    refused(voice.get(&format!("assignments/{foreign}")).await, 404, "assignment not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_a_strict_crew_hands_on_waits_for_a_yes() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    set_autonomy(&server, &cast.crew, "strict").await;
    let wish = json!({ "target_slug": "one-mate", "task": "x", "crew_id": cast.crew, "chat_id": cast.chat });
    let status =
        async |id: &str| text(&granted(insider.get(&format!("assignments/{id}")).await, 200), "status");
    let held = granted(insider.post("assignments", wish.clone()).await, 202);
    assert_eq!((&held["status"], &held["decision"]), (&json!("PENDING"), &json!("inbox_approve")));
    let id = text(&held, "assignment_id");
    assert_eq!(status(&id).await, "PENDING");
    granted(insider.post("tasks/claim", json!({ "agent_id": cast.mate })).await, 204);
    decide(&server, &text(&held, "approval_id"), "approved").await;
    assert_eq!(claim(&insider, &cast.mate).await["id"], id.as_str(), "under the name it was promised");
    let denied = granted(insider.post("assignments", wish).await, 202);
    decide(&server, &text(&denied, "approval_id"), "denied").await;
    assert_eq!(status(&text(&denied, "assignment_id")).await, "CANCELLED");
    assert_eq!(entries(&server, "assignment.created").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_token_speaks_for_that_agent_only() {
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    let (cast, other) = (cast(&server, "one").await, cast(&server, "two").await);
    let handed =
        json!({ "target_slug": "one-mate", "task": "x", "crew_id": cast.crew, "chat_id": cast.chat });
    granted(insider.post("assignments", handed).await, 201);
    let held = claim(&insider, &cast.mate).await;
    let voice = insider.bound(&text(&held["voice"], "token"));
    assert_eq!(held["voice"]["agent_id"], cast.mate.as_str());

    refused(voice.post("tasks/claim", json!({})).await, 403, "Forbidden");
    for path in ["heartbeat", "begin", "hand-back"] {
        let path = format!("tasks/{}/{path}", text(&held, "id"));
        refused(voice.post(&path, json!({ "fence": held["fence"] })).await, 403, "Forbidden");
    }
    let elsewhere = "workspace_id does not match the workspace bound to the internal token";
    let body = json!({ "workspace_id": "cother", "agent_id": cast.mate });
    refused(voice.post("runs", body).await, 403, elsewhere);
    refused(voice.post("runs", json!({ "agent_id": cast.lead })).await, 403, "Forbidden");
    let mismatch = "crew does not match the crew bound to the internal token";
    let body = json!({ "type": "file.written", "summary": "a", "crew_id": other.crew });
    refused(voice.post("journal/emit", body).await, 403, mismatch);
    // What the body leaves out, the token says.
    let emitted = voice.post("journal/emit", json!({ "type": "file.written", "summary": "a" })).await;
    granted(emitted, 202);
    let written = entries(&server, "file.written").await;
    assert_eq!(written[0]["agent_id"], cast.mate.as_str());
    assert_eq!(written[0]["crew_id"], cast.crew.as_str());

    let run = granted(insider.post("runs", json!({ "agent_id": cast.lead })).await, 201);
    let ended = voice.patch(&format!("runs/{}", text(&run, "id")), json!({ "status": "FAILED" })).await;
    refused(ended, 404, "run not found");
    let own = format!("runs/{}", text(&held, "run_id"));
    let text = "the run works an assignment and ends with its report";
    refused(voice.patch(&own, json!({ "status": "COMPLETED" })).await, 409, text);
}

/// A token as anybody with the master makes it (`platform.md` 8.1).
pub(super) fn minted(master: &str, kind: &str, word: &str, ids: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(master.as_bytes()).unwrap();
    mac.update(format!("crewship internal-token {word} binding v1\0{}", ids.join("\0")).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}.{}.{hex}", ids.join("."))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_a_crew_or_a_workspace_works_there_alone() {
    let (server, other, _) = Server::begin().await.with_another_workspace().await;
    let insider = Insider::of(&server);
    let (one, two) = (cast(&server, "one").await, cast(&server, "two").await);
    let master = taffrail::http::internal_token(&server.app);
    let crew = insider.bound(&minted(&master, "crwv1", "crew", &[&server.workspace, &one.crew]));
    let workspace = insider.bound(&minted(&master, "wsv1", "workspace", &[&server.workspace]));
    let foreign = insider.bound(&minted(&master, "wsv1", "workspace", &[&other]));
    granted(workspace.get("crews").await, 200);
    let elsewhere = "workspace_id does not match the workspace bound to the internal token";
    refused(foreign.get("crews").await, 403, elsewhere);

    for (cast, slug) in [(&one, "one-mate"), (&two, "two-mate")] {
        let handed = json!({ "target_slug": slug, "task": "x", "crew_id": cast.crew, "chat_id": cast.chat });
        granted(insider.post("assignments", handed.clone()).await, 201);
        let mismatch = "crew does not match the crew bound to the internal token";
        if cast.crew == two.crew {
            refused(crew.post("assignments", handed).await, 403, mismatch);
        }
    }
    let held = granted(crew.post("tasks/claim", json!({ "lease_seconds": 600 })).await, 200);
    assert_eq!(held["voice"]["agent_id"], one.mate.as_str());
    granted(crew.post("tasks/claim", json!({})).await, 204);
    refused(crew.post("runs", json!({ "agent_id": two.mate })).await, 403, "Forbidden");
    granted(workspace.post("tasks/claim", json!({})).await, 200);
    let forged = insider.bound(&minted("another", "crwv1", "crew", &[&server.workspace, &one.crew]));
    refused(forged.get("crews").await, 403, "Forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_its_own_ends_once() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    let status = async || {
        text(&server.get(format!("/api/v1/agents/{}", cast.mate)).send().await.expect(200), "status")
    };
    let begun = json!({ "id": "crun1", "agent_id": cast.mate, "metadata": { "model": "m" } });
    let made = granted(insider.post("runs", begun.clone()).await, 201);
    assert_eq!(made, json!({ "id": "crun1", "status": "RUNNING" }));
    granted(insider.post("runs", begun).await, 201);
    assert_eq!(status().await, "RUNNING");
    let ended = insider.patch("runs/crun1", json!({ "status": "FAILED", "error_message": "no" })).await;
    assert_eq!(granted(ended, 200)["status"], "FAILED");
    assert_eq!(status().await, "ERROR");
    let again = insider.patch("runs/crun1", json!({ "status": "COMPLETED" })).await;
    assert_eq!(granted(again, 200)["status"], "FAILED", "the first end counts");
    refused(insider.patch("runs/cnone", json!({ "status": "FAILED" })).await, 404, "run not found");
    let unknown = "status must be one of: COMPLETED, FAILED, CANCELLED, TIMEOUT";
    refused(insider.patch("runs/crun1", json!({ "status": "RUNNING" })).await, 400, unknown);
    assert_eq!(entries(&server, "run.failed").await.len(), 1);
    assert_eq!(entries(&server, "run.started").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_surrounds_an_agent_may_tell_little_and_calls_of_models_cost() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    let wish = |kind: &str| {
        json!({ "type": kind, "summary": "s", "crew_id": cast.crew, "agent_id": cast.mate,
            "severity": "error", "payload": { "host": "example.org", "api_key": "abcdefgh1234 5678" } })
    };
    let not_allowed = "entry type not allowed from sidecar";
    refused(insider.post("journal/emit", wish("mission.created")).await, 400, not_allowed);
    let told = granted(insider.post("journal/emit", wish("network.egress")).await, 202);
    let seen = entries(&server, "network.egress").await;
    assert_eq!((&seen[0]["id"], &seen[0]["severity"]), (&told["id"], &json!("info")), "severity is forced");
    assert_eq!(seen[0]["actor_type"], "sidecar");
    let payload = json!({ "host": "example.org", "api_key": "***REDACTED***" });
    assert_eq!(seen[0]["payload"], payload, "credentials never get into the journal");

    let cost = json!({ "crew_id": cast.crew, "agent_id": cast.mate, "provider": "OPENAI", "model": "m",
        "input_tokens": 10, "output_tokens": 2, "cost_usd": 0.5 });
    granted(insider.post("cost/record", cost).await, 202);
    refused(insider.post("cost/record", json!({ "model": "m" })).await, 400, "provider and model required");
    assert_eq!(entries(&server, "llm.call").await[0]["payload"]["input_tokens"], 10);
    assert_eq!(entries(&server, "cost.incurred").await[0]["payload"]["cost_usd"], 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_another_agent_is_answered_or_refused_at_once() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    let question = json!({
        "target_slug": "one-mate", "question": "Is it safe?", "crew_id": cast.crew, "chat_id": cast.chat,
        "from_slug": "one-lead",
    });
    let nobody = "no worker is there for the target agent";
    refused(insider.post("queries", question.clone()).await, 503, nobody);
    assert!(entries(&server, "peer.conversation").await.is_empty());
    let deep = json!({ "depth": 3 });
    refused(insider.post("queries", deep).await, 400, "depth must be at most 2");

    present(&insider, &cast.mate).await;
    let answer = async |insider: Insider| {
        let held = claim(&insider, &cast.mate).await;
        assert_eq!(held["purpose"], "QUERY");
        let report = json!({ "fence": held["fence"], "status": "COMPLETED", "result_summary": "Quite." });
        granted(insider.patch(&format!("tasks/{}", text(&held, "id")), report).await, 200);
    };
    let (asked, ()) = tokio::join!(insider.post("queries", question.clone()), answer(insider.clone()));
    let told = granted(asked, 200);
    assert_eq!((&told["response"], &told["status"]), (&json!("Quite."), &json!("COMPLETED")));
    assert_eq!((&told["from"], &told["target"]), (&json!("one-lead"), &json!("one-mate")));

    let said = entries(&server, "peer.conversation").await;
    let kinds: Vec<&Value> = said.iter().map(|entry| &entry["payload"]["message_type"]).collect();
    assert_eq!(kinds, ["question", "answer"]);
    assert_eq!(said[0]["payload"]["thread_id"], said[1]["payload"]["thread_id"]);
    assert_eq!(said[1]["payload"]["response"], "Quite.");
    assert!(entries(&server, "assignment.created").await.is_empty(), "a conversation is no assignment");
    let list = server.get(format!("/api/v1/crews/{}/peer-conversations", cast.crew)).send().await.expect(200);
    assert_eq!((&list[0]["question"], &list[0]["response"]), (&json!("Is it safe?"), &json!("Quite.")));
    assert_eq!(list[0]["escalated"], false);
    let activity = server.get("/api/v1/activity").send().await.expect(200);
    assert_eq!(activity[0]["type"], "peer_conversation");
    let assignments = server.get(format!("/api/v1/crews/{}/assignments", cast.crew)).send().await.expect(200);
    assert_eq!(assignments, json!([]));

    let fail = async |insider: Insider| {
        let held = claim(&insider, &cast.mate).await;
        let report = json!({ "fence": held["fence"], "status": "FAILED", "error_message": "no idea" });
        granted(insider.patch(&format!("tasks/{}", text(&held, "id")), report).await, 200);
    };
    let (asked, ()) = tokio::join!(insider.post("queries", question), fail(insider.clone()));
    refused(asked, 500, "no idea");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_waits_for_is_withdrawn() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    present(&insider, &cast.mate).await;
    let question = json!({
        "target_slug": "one-mate", "question": "Is it safe?", "crew_id": cast.crew, "chat_id": cast.chat,
    });
    let writer = server.app.workspace(&WorkspaceId::from(&*server.workspace)).unwrap();
    let mut published = writer.watch();
    let asking = tokio::spawn(async move { insider.post("queries", question).await });
    published.wait_for(|world| world.state.work.live().next().is_some()).await.unwrap();
    asking.abort();
    published.wait_for(|world| world.state.work.live().next().is_none()).await.unwrap();
    let said = entries(&server, "peer.conversation").await;
    assert_eq!(said[1]["payload"]["state"], "cancelled");
}

/// An escalation of the mate; its id.
async fn raised(insider: &Insider, cast: &Cast, slug: &str, kind: &str) -> String {
    let body = json!({ "from_slug": slug, "reason": "Which one?", "context": "deploying", "type": kind,
        "crew_id": cast.crew, "chat_id": cast.chat, "metadata": { "service": "s" } });
    let raised = granted(insider.post("escalations", body).await, 201);
    assert_eq!((&raised["status"], &raised["timeout_seconds"]), (&json!("PENDING"), &json!(300)));
    text(&raised, "escalation_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_asks_people_and_is_answered() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    let id = raised(&insider, &cast, "one-mate", "TEXT").await;
    let list = server.get(format!("/api/v1/crews/{}/escalations", cast.crew)).send().await.expect(200);
    assert_eq!((&list[0]["id"], &list[0]["status"]), (&json!(id), &json!("PENDING")));
    let activity = server.get("/api/v1/activity").send().await.expect(200);
    assert_eq!((&activity[0]["type"], &activity[0]["to_name"]), (&json!("escalation"), &Value::Null));

    let resolve = format!("/api/v1/escalations/{id}/resolve");
    let viewer = server.member(taffrail_domain::roster::Role::Viewer).await;
    let body = json!({ "resolution": "The second", "action": "continue", "redirect_to": "one-lead" });
    server.post(&resolve).with_token(&viewer).json(body.clone()).send().await.refused(403, "Forbidden");
    server.post(&resolve).json(json!({})).send().await.refused(400, "resolution is required");
    let nobody = json!({ "resolution": "x", "redirect_to": "nobody" });
    let detail = "redirect_to is no agent of this workspace";
    server.post(&resolve).json(nobody).send().await.refused(400, detail);
    let answer = async || server.post(&resolve).json(body.clone()).send().await;
    let path = format!("escalations/{id}/wait");
    let (waited, answered): (_, Reply) = tokio::join!(insider.get(&path), answer());
    answered.expect(200);
    let told = granted(waited, 200);
    let expected = json!({ "status": "RESOLVED", "resolution": "The second", "action": "continue",
        "redirect_to": "one-lead" });
    assert_eq!(told, expected);
    answer().await.refused(409, "escalation is not pending (RESOLVED)");
    let said = entries(&server, "peer.escalation").await;
    let states: Vec<&Value> = said.iter().map(|entry| &entry["payload"]["state"]).collect();
    assert_eq!(states, ["pending", "resolved"]);
    assert_eq!((&said[0]["severity"], &said[1]["severity"]), (&json!("warn"), &json!("notice")));
    assert_eq!(said[1]["payload"]["agent_still_waiting"], true);

    let other = raised(&insider, &cast, "one-mate", "LINK").await;
    let cancel = format!("/api/v1/escalations/{other}/cancel");
    server.post(cancel).json(json!({ "reason": "never mind" })).send().await.expect(200);
    let told = granted(insider.get(&format!("escalations/{other}/wait")).await, 200);
    assert_eq!((&told["status"], &told["resolution"]), (&json!("CANCELLED"), &json!("never mind")));
    refused(insider.get("escalations/cnone/wait").await, 404, "escalation not found");
    let wrong = json!({ "from_slug": "one-mate", "type": "SONG", "reason": "x", "chat_id": cast.chat });
    let types = "type must be one of: TEXT, CREDENTIAL, LINK";
    refused(insider.post("escalations", wrong).await, 400, types);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_reaches_its_agent_and_nothing_else() {
    const CREDENTIAL: &str = "tr0ub4dor-and-3";
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    let (one, two) = (cast(&server, "one").await, cast(&server, "two").await);
    let voices = async |cast: &Cast, slug: &str| {
        let handed = json!({ "target_slug": slug, "task": "x", "crew_id": cast.crew, "chat_id": cast.chat });
        granted(insider.post("assignments", handed).await, 201);
        insider.bound(&text(&claim(&insider, &cast.mate).await["voice"], "token"))
    };
    let (own, foreign) = (voices(&one, "one-mate").await, voices(&two, "two-mate").await);
    let id = raised(&own, &one, "one-mate", "CREDENTIAL").await;
    let resolve = format!("/api/v1/escalations/{id}/resolve");
    let answered = server.post(resolve).json(json!({ "resolution": CREDENTIAL })).send().await.expect(200);
    assert_eq!(answered["resolution"], "***REDACTED:credential***");
    let wait = format!("escalations/{id}/wait");
    refused(foreign.get(&wait).await, 404, "escalation not found");
    assert_eq!(granted(own.get(&wait).await, 200)["resolution"], CREDENTIAL);
    for path in
        ["/api/v1/journal?limit=200".into(), format!("/api/v1/escalations/{id}"), "/api/v1/activity".into()]
    {
        let shown = server.get(path).send().await.expect(200).to_string();
        assert!(!shown.contains(CREDENTIAL), "{shown}");
    }

    // The agent still waits after a restart; nothing on the disk tells what it waits for.
    let Insider { token, workspace, service } = own;
    drop((insider, foreign, service));
    let server = server.reopened().await;
    let own = Insider { token, workspace, ..Insider::of(&server) };
    assert_eq!(granted(own.get(&wait).await, 200)["resolution"], CREDENTIAL);
    let mut open = vec![server.data().to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = bytes.windows(CREDENTIAL.len()).any(|window| window == CREDENTIAL.as_bytes());
            assert!(!holds, "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_not_sure_says_so() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    let say = async |confidence: f64| {
        let body = json!({ "agent_id": cast.mate, "confidence": confidence, "reason": "new code" });
        insider.post("report-confidence", body).await
    };
    refused(say(0.4).await, 404, "no active task found for agent");
    let config = r#"{"notify_threshold":0.7,"require_approval_below":0.5}"#;
    let crew = format!("/api/v1/crews/{}", cast.crew);
    server.patch(crew).json(json!({ "escalation_config": config })).send().await.expect(200);
    let mission = json!({ "title": "Ship", "lead_agent_id": cast.lead, "crew_id": cast.crew,
        "tasks": [{ "title": "a", "assigned_agent_id": cast.mate }] });
    let mission = text(&granted(insider.post("missions", mission).await, 201), "id");
    present(&insider, &cast.mate).await;
    granted(insider.post(&format!("missions/{mission}/start"), json!({})).await, 200);
    let held = claim(&insider, &cast.mate).await;
    for (confidence, action) in [(0.9, "none"), (0.6, "notified"), (0.4, "escalated")] {
        let told = granted(say(confidence).await, 200);
        assert_eq!((&told["action"], &told["task_id"]), (&json!(action), &held["task_id"]), "{confidence}");
    }
    refused(say(1.5).await, 400, "confidence must be a number from 0 to 1");
}
