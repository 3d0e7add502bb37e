//! A client of a running program.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

/// The password of every account here.
pub(crate) const PASSWORD: &str = "engine-no-1";
/// An answer that takes this long is none.
const WATCHDOG: Duration = Duration::from_secs(120);

/// What bootstrap gave.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) workspace: String,
    pub(crate) token: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Taffrail-Cursor`.
    pub(crate) cursor: Option<String>,
    /// `Idempotency-Replayed`.
    pub(crate) is_replayed: bool,
    pub(crate) body: Value,
}

impl Answer {
    /// Asserts the status and hands the body on.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// Whether the change that was wished for is made.
    pub(crate) fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.body[key].as_str().unwrap_or_else(|| panic!("{key} in {self:?}")).to_owned()
    }
}

/// Talks to one process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    workspace: String,
}

impl Client {
    /// Somebody without an account.
    pub(crate) fn stranger(url: &str) -> Self {
        let http = reqwest::Client::builder().timeout(WATCHDOG).build().unwrap();
        Self { http, url: url.to_owned(), token: String::new(), workspace: String::new() }
    }

    /// The owner of an account.
    pub(crate) fn of(url: &str, account: &Account) -> Self {
        let (token, workspace) = (account.token.clone(), account.workspace.clone());
        Self { token, workspace, ..Self::stranger(url) }
    }

    /// Sends a request; `None` if the connection broke before there was an answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Option<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token).header("x-workspace-id", &self.workspace);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let heard = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
            let (cursor, replayed) = (header("taffrail-cursor"), header("idempotency-replayed"));
            Ok::<_, reqwest::Error>((status, cursor, replayed, response.bytes().await?))
        };
        let (status, cursor, replayed, body) = match heard.await {
            Ok(heard) => heard,
            Err(error) if error.is_timeout() => panic!("{path} was never answered"),
            Err(_) => return None,
        };
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Some(Answer { status, cursor, is_replayed: replayed.as_deref() == Some("true"), body })
    }

    /// Reads what must be there.
    pub(crate) async fn read(&self, path: &str) -> Value {
        self.get(path).await.expect(200)
    }

    /// Reads from a process that runs.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None).await.unwrap_or_else(|| panic!("{path} was not answered"))
    }

    /// Posts to a process that runs.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let answer = self.send(Method::POST, path, Some(&body), None).await;
        answer.unwrap_or_else(|| panic!("{path} was not answered"))
    }

    /// Asks for the first account; `None` if the connection broke.
    pub(crate) async fn try_bootstrap(&self) -> Option<Answer> {
        let body = json!({ "full_name": "Ada Lovelace", "email": "ada@example.org", "password": PASSWORD });
        self.send(Method::POST, "/api/v1/bootstrap", Some(&body), None).await
    }

    /// Makes the first account.
    pub(crate) async fn bootstrap(&self) -> Account {
        let made = self.try_bootstrap().await.unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        Account { workspace: made.text("workspace_id"), token: made.text("cli_token") }
    }

    /// A crew and its LEAD: their ids.
    pub(crate) async fn crew(&self, slug: &str) -> (String, String) {
        let crew = json!({ "name": format!("Crew {slug}"), "slug": slug });
        let crew = self.post("/api/v1/crews", crew).await;
        assert_eq!(crew.status, 201, "{crew:?}");
        let crew = crew.text("id");
        let lead = json!({
            "name": "Lead", "slug": format!("{slug}-lead"), "crew_id": crew, "agent_role": "LEAD",
        });
        let lead = self.post("/api/v1/agents", lead).await;
        assert_eq!(lead.status, 201, "{lead:?}");
        (crew, lead.text("id"))
    }

    /// A mission; its id.
    pub(crate) async fn mission(&self, crew: &str, lead: &str, title: &str) -> String {
        let body = json!({ "title": title, "lead_agent_id": lead });
        let made = self.post(&format!("/api/v1/crews/{crew}/missions"), body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.text("id")
    }

    /// Every mission of the workspace with its tasks, newest first.
    pub(crate) async fn missions(&self) -> Vec<Value> {
        let mut all = vec![];
        loop {
            let path = format!("/api/v1/missions?include_tasks=true&limit=100&offset={}", all.len());
            let page = self.read(&path).await;
            let page = page.as_array().unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page.iter().cloned());
        }
    }

    /// Ids of all public entries, oldest first.
    pub(crate) async fn journal(&self) -> Vec<String> {
        let mut ids: Vec<String> = vec![];
        loop {
            let after = ids.last().map(|id| format!("&after={id}")).unwrap_or_default();
            let page = self.read(&format!("/api/v1/journal?order=asc&limit=500{after}")).await;
            let page = page["entries"].as_array().unwrap();
            if page.is_empty() {
                return ids;
            }
            ids.extend(page.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        }
    }

    /// `checks` of `/readyz`.
    pub(crate) async fn checks(&self) -> Value {
        self.read("/readyz").await["checks"].clone()
    }

    /// Waits until the reading copy has all that is durable.
    pub(crate) async fn until_shelved(&self) {
        while self.checks().await["shelver_lag_groups"] != json!(0) {
            tokio::task::yield_now().await;
        }
    }
}
