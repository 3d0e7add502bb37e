//! A crew that works on issues, and a short way to ask about them.

use axum::http::Method;
use serde_json::{Value, json};

use super::server::{Reply, Server};

/// The statuses of the seed's table.
pub(crate) const STATUSES: [&str; 7] =
    ["BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "DONE", "FAILED", "CANCELLED"];

/// Where an issue may go from a status (`issues.md` 5).
pub(crate) fn allowed(from: &str) -> &'static [&'static str] {
    match from {
        "BACKLOG" => &["TODO", "IN_PROGRESS", "CANCELLED"],
        "TODO" => &["IN_PROGRESS", "BACKLOG", "CANCELLED"],
        "IN_PROGRESS" => &["REVIEW", "DONE", "FAILED", "CANCELLED", "TODO"],
        "REVIEW" => &["DONE", "TODO", "IN_PROGRESS", "FAILED", "CANCELLED"],
        "DONE" => &["BACKLOG"],
        "FAILED" => &["BACKLOG", "TODO", "IN_PROGRESS"],
        _ => &["BACKLOG", "TODO"],
    }
}

/// How a fresh issue gets to a status.
fn way_to(status: &str) -> &'static [&'static str] {
    match status {
        "BACKLOG" => &[],
        "TODO" => &["TODO"],
        "IN_PROGRESS" => &["IN_PROGRESS"],
        "REVIEW" => &["IN_PROGRESS", "REVIEW"],
        "DONE" => &["IN_PROGRESS", "DONE"],
        "FAILED" => &["IN_PROGRESS", "FAILED"],
        _ => &["CANCELLED"],
    }
}

/// A crew with a LEAD and an ordinary agent.
pub(crate) struct Desk<'a> {
    pub(crate) server: &'a Server,
    pub(crate) crew: String,
    pub(crate) lead: String,
    pub(crate) hand: String,
    /// Elsewhere than the server's own workspace.
    workspace: Option<String>,
}

impl Server {
    /// A fresh crew with a LEAD `{slug}-lead` and an agent `{slug}-hand`.
    pub(crate) async fn desk(&self, slug: &str) -> Desk<'_> {
        self.desk_in(None, slug).await
    }

    /// The same in another workspace of the owner's.
    pub(crate) async fn desk_in(&self, workspace: Option<&str>, slug: &str) -> Desk<'_> {
        let nothing = String::new;
        let workspace = workspace.map(str::to_owned);
        let mut desk = Desk { server: self, crew: nothing(), lead: nothing(), hand: nothing(), workspace };
        let crew = json!({ "name": format!("Crew {slug}"), "slug": slug });
        desk.crew = desk.ask(Method::POST, "/api/v1/crews".into(), crew).await.text("id");
        desk.lead = desk.agent("LEAD", &format!("{slug}-lead")).await;
        desk.hand = desk.agent("AGENT", &format!("{slug}-hand")).await;
        desk
    }
}

impl Desk<'_> {
    /// A further agent of the crew; its id.
    pub(crate) async fn agent(&self, role: &str, slug: &str) -> String {
        let body = json!({ "name": slug, "slug": slug, "crew_id": self.crew, "agent_role": role });
        self.ask(Method::POST, "/api/v1/agents".into(), body).await.text("id")
    }

    pub(crate) async fn ask(&self, method: Method, path: String, body: Value) -> Reply {
        let asking = self.server.ask(method, path);
        let asking = match &self.workspace {
            Some(workspace) => asking.in_workspace(workspace),
            None => asking,
        };
        if body.is_null() { asking.send().await } else { asking.json(body).send().await }
    }

    pub(crate) fn issues(&self) -> String {
        format!("/api/v1/crews/{}/issues", self.crew)
    }

    /// The path of an issue, by identifier or id.
    pub(crate) fn at(&self, issue: &str) -> String {
        format!("{}/{issue}", self.issues())
    }

    pub(crate) async fn try_create(&self, body: Value) -> Reply {
        self.ask(Method::POST, self.issues(), body).await
    }

    /// A fresh issue, as it is shown.
    pub(crate) async fn create(&self, body: Value) -> Value {
        self.try_create(body).await.expect(201)
    }

    /// A fresh issue; its identifier.
    pub(crate) async fn issue(&self, title: &str) -> String {
        text(&self.create(json!({ "title": title })).await["identifier"])
    }

    /// A fresh issue in a status; its identifier.
    pub(crate) async fn issue_in(&self, status: &str) -> String {
        let issue = self.issue(&format!("In {status}")).await;
        for step in way_to(status) {
            self.change(&issue, json!({ "status": step })).await.expect(200);
        }
        issue
    }

    /// A fresh issue that the agent is on; its identifier.
    pub(crate) async fn assigned(&self, title: &str) -> String {
        let body = json!({ "title": title, "assignee_type": "agent", "assignee_id": self.hand });
        text(&self.create(body).await["identifier"])
    }

    pub(crate) async fn show(&self, issue: &str) -> Value {
        self.ask(Method::GET, self.at(issue), Value::Null).await.expect(200)
    }

    pub(crate) async fn change(&self, issue: &str, patch: Value) -> Reply {
        self.ask(Method::PATCH, self.at(issue), patch).await
    }

    pub(crate) async fn delete(&self, issue: &str) -> Reply {
        self.ask(Method::DELETE, self.at(issue), Value::Null).await
    }

    /// `POST I/{what}`
    pub(crate) async fn post(&self, issue: &str, what: &str, body: Value) -> Reply {
        self.ask(Method::POST, format!("{}/{what}", self.at(issue)), body).await
    }

    /// `GET I/{what}`, which is a list.
    pub(crate) async fn read(&self, issue: &str, what: &str) -> Vec<Value> {
        let reply = self.ask(Method::GET, format!("{}/{what}", self.at(issue)), Value::Null).await;
        reply.expect(200).as_array().unwrap().clone()
    }

    /// `GET /issues?{query}`
    pub(crate) async fn list(&self, query: &str) -> Vec<Value> {
        let reply = self.ask(Method::GET, format!("/api/v1/issues?{query}"), Value::Null).await;
        reply.expect(200).as_array().unwrap().clone()
    }

    /// The same, what they are called.
    pub(crate) async fn titles(&self, query: &str) -> Vec<String> {
        self.list(query).await.iter().map(|issue| text(&issue["title"])).collect()
    }

    pub(crate) async fn bulk(&self, ids: &[&str], updates: Value) -> Reply {
        let body = json!({ "ids": ids, "updates": updates });
        self.ask(Method::PATCH, "/api/v1/issues/bulk?detail=1".into(), body).await
    }

    /// The lines of an issue's log as `action: details`, oldest first.
    pub(crate) async fn log(&self, issue: &str) -> Vec<String> {
        let mut lines = self.read(issue, "activity?limit=100").await;
        lines.reverse();
        lines.iter().map(|line| format!("{}: {}", text(&line["action"]), text(&line["details"]))).collect()
    }

    /// The work that comes next, as a worker is given it.
    pub(crate) async fn claim(&self) -> Value {
        let wish = json!({ "wait_seconds": 30, "lease_seconds": 600 });
        self.ask(Method::POST, "/api/v1/worker/tasks/claim".into(), wish).await.expect(200)
    }

    /// A worker's last word about work that it was given.
    pub(crate) async fn report(&self, work: &Value, mut report: Value) -> Reply {
        report["fence"] = work["fence"].clone();
        let path = format!("/api/v1/worker/tasks/{}", text(&work["id"]));
        self.ask(Method::PATCH, path, report).await
    }
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}
