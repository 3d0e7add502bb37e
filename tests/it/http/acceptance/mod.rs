//! The acceptance checks of the issue tracker (`issues.md` 23), a journey each: over a port, as a client
//! comes to it, and named after its number. What else belongs to a whole tracker stands beside them.

mod agents;
mod making;
mod many;
mod moving;
mod parts;
mod people;
mod planning;
mod replay;
mod strangers;

use serde_json::{Value, json};

use super::desk::{Desk, text};
use super::server::{Reply, Server};
use crate::live::listeners::{Ear, Socket};

/// A fresh instance that listens on a port.
async fn begin() -> Server {
    Server::begin().await.on_a_port().await
}

/// Another workspace with one of everything, and who owns it.
struct Elsewhere {
    workspace: String,
    token: String,
    crew: String,
    agent: String,
    issue: String,
}

/// Two workspaces; they know nothing of each other.
async fn begin_with_another() -> (Server, Elsewhere) {
    let (server, workspace, token) = Server::begin().await.with_another_workspace().await;
    let server = server.on_a_port().await;
    let make = async |path: &str, body: Value| {
        let asking = server.post(path).with_token(&token).in_workspace(&workspace);
        asking.json(body).send().await.text("id")
    };
    let crew = make("/api/v1/crews", json!({ "name": "Theirs", "slug": "theirs" })).await;
    let lead = json!({ "name": "Lead", "slug": "their-lead", "crew_id": crew, "agent_role": "LEAD" });
    let agent = make("/api/v1/agents", lead).await;
    let issue = make(&format!("/api/v1/crews/{crew}/issues"), json!({ "title": "Their secret" })).await;
    let elsewhere = Elsewhere { workspace, token, crew, agent, issue };
    (server, elsewhere)
}

/// A row of something; its id.
async fn make(server: &Server, path: &str, body: Value) -> String {
    text(&server.post(path).json(body).send().await.expect(201)["id"])
}

async fn list(server: &Server, path: &str) -> Vec<Value> {
    server.get(path).send().await.expect(200).as_array().unwrap().clone()
}

/// How many public entries of a type there are.
async fn entries(server: &Server, entry_type: &str) -> usize {
    let path = format!("/api/v1/journal?limit=500&entry_type={entry_type}");
    server.get(path).send().await.expect(200)["entries"].as_array().unwrap().len()
}

/// What the workspace's channel tells.
struct Channel<'a> {
    server: &'a Server,
    crew: String,
    socket: Socket,
}

impl<'a> Channel<'a> {
    async fn of(desk: &Desk<'a>) -> Self {
        let server = desk.server;
        let (token, workspace) = (server.token.clone(), server.workspace.clone());
        let mut socket = Ear { address: server.address().to_owned(), token, workspace }.socket().await;
        socket.subscribe(&format!("workspace:{}", server.workspace)).await;
        Self { server, crew: desk.crew.clone(), socket }
    }

    /// What was told of issues up to now: sort and payload.
    async fn heard(&mut self) -> Vec<(String, Value)> {
        // A crew that is changed is the last thing to be heard.
        let crew = format!("/api/v1/crews/{}", self.crew);
        let now = self.server.get(&*crew).send().await.expect(200);
        let name = format!("{}'", text(&now["name"]));
        self.server.patch(&*crew).json(json!({ "name": name })).send().await.expect(200);
        let mut frames = vec![];
        loop {
            let frame = self.socket.next().await.expect("the socket stays open");
            match text(&frame["type"]) {
                kind if kind == "crew.updated" => return frames,
                kind if kind.starts_with("issue") => frames.push((kind, frame["payload"].clone())),
                _ => {}
            }
        }
    }
}
