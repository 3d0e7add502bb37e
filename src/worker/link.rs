//! The way to the server: over TCP with a CLI token, or over its socket with the internal token.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// For a request that waits for nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to one server, into one workspace.
#[derive(Clone, Debug)]
pub struct Link {
    client: Client,
    base: String,
    header: (&'static str, String),
    workspace: Option<String>,
    socket: Option<PathBuf>,
}

/// Why the server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nobody answered, or not in time: worth another try.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The server has no time or no room just now: worth another try.
    #[error("the server is not ready: {0}")]
    NotReady(String),
    /// The work is not this worker's any more.
    #[error("the work is not ours any more: {0}")]
    Lost(String),
    /// The server will never do it.
    #[error("the server refuses: {0}")]
    Refused(String),
}

/// What is asked for.
#[derive(Serialize)]
pub(super) struct ClaimWish<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agents: Option<&'a Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cli_adapters: Option<&'a Vec<String>>,
    pub(super) worker: &'a str,
    pub(super) lease_seconds: u64,
    pub(super) wait_seconds: u64,
}

/// Work that was given.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Work {
    pub(super) id: String,
    pub(super) run_id: String,
    pub(super) fence: String,
    pub(super) lease_seconds: u64,
    pub(super) timeout_seconds: u64,
    pub(super) mission_id: Option<String>,
    pub(super) task_id: Option<String>,
    pub(super) iteration: u32,
    pub(super) chat_id: String,
    pub(super) brief: Value,
    /// How its process speaks for its agent, where it can.
    pub(super) voice: Option<Voice>,
}

/// What a process needs to speak for its agent over the socket (`platform.md` 8.1).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Voice {
    pub(super) token: String,
    pub(super) workspace_id: String,
    pub(super) crew_id: Option<String>,
    pub(super) agent_id: String,
}

impl Work {
    /// How long one word about it may take: a server that hangs must not cost the lease.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.lease_seconds).div_f64(4.0).min(PATIENCE)
    }

    /// A text of the brief.
    pub(super) fn told(&self, name: &str) -> &str {
        self.brief[name].as_str().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Length {
    bytes: u64,
}

impl Link {
    /// Over TCP, as a worker with a CLI token.
    ///
    /// # Errors
    /// If no client can be made, or the address is none that it could ever reach.
    pub fn to_server(url: &str, token: &str, workspace: Option<&str>) -> Result<Self, LinkError> {
        let parsed =
            reqwest::Url::parse(url).map_err(|error| LinkError::Refused(format!("{url}: {error}")))?;
        if parsed.scheme() != "http" {
            let why = "a worker speaks plain HTTP; between machines, give it a tunnel";
            return Err(LinkError::Refused(format!("{url}: {why}")));
        }
        let client = Client::builder().build().map_err(|error| LinkError::Refused(error.to_string()))?;
        let base = format!("{}/api/v1/worker", url.trim_end_matches('/'));
        let header = ("authorization", format!("Bearer {token}"));
        Ok(Self { client, base, header, workspace: workspace.map(str::to_owned), socket: None })
    }

    /// Over the server's socket, with the internal token.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn to_socket(socket: &Path, token: &str, workspace: Option<&str>) -> Result<Self, LinkError> {
        let client = Client::builder().unix_socket(socket.to_owned()).build();
        let client = client.map_err(|error| LinkError::Refused(error.to_string()))?;
        let base = "http://localhost/api/v1/internal".to_owned();
        let header = ("x-internal-token", token.to_owned());
        // Agents' processes run elsewhere and are told of it.
        let absolute = std::path::absolute(socket).map_err(|error| LinkError::Refused(error.to_string()))?;
        Ok(Self { client, base, header, workspace: workspace.map(str::to_owned), socket: Some(absolute) })
    }

    /// The server's socket, if this is the way over it.
    pub(super) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    pub(super) async fn claim(
        &self,
        wish: &ClaimWish<'_>,
        wait: Duration,
    ) -> Result<Option<Work>, LinkError> {
        let request = self.request(Method::POST, "tasks/claim").json(wish).timeout(wait + PATIENCE);
        self.send(request).await
    }

    pub(super) async fn beat(&self, work: &Work) -> Result<(), LinkError> {
        let body = json!({ "fence": work.fence, "lease_seconds": work.lease_seconds });
        let request = self.request(Method::POST, &format!("tasks/{}/heartbeat", work.id)).json(&body);
        let request = request.timeout(work.patience());
        self.send::<Value>(request).await.map(drop)
    }

    pub(super) async fn begin(&self, work: &Work, cmd: &str, adapter: &str) -> Result<(), LinkError> {
        let body = json!({ "fence": work.fence, "cmd": cmd, "adapter": adapter });
        let request = self.request(Method::POST, &format!("tasks/{}/begin", work.id)).json(&body);
        self.send::<Value>(request).await.map(drop)
    }

    /// Sends a piece of output; how much of it all the server has now.
    pub(super) async fn output(&self, work: &Work, offset: u64, piece: Vec<u8>) -> Result<u64, LinkError> {
        let path = format!("tasks/{}/output?fence={}&offset={offset}", work.id, work.fence);
        let length: Option<Length> =
            self.send(self.request(Method::POST, &path).body(piece).timeout(work.patience())).await?;
        length.map(|length| length.bytes).ok_or_else(|| LinkError::Refused("no length".to_owned()))
    }

    pub(super) async fn report(&self, work: &Work, report: &Value) -> Result<(), LinkError> {
        let request = self.request(Method::PATCH, &format!("tasks/{}", work.id)).json(report);
        self.send::<Value>(request).await.map(drop)
    }

    pub(super) async fn hand_back(&self, work: &Work) -> Result<(), LinkError> {
        let body = json!({ "fence": work.fence });
        let request = self.request(Method::POST, &format!("tasks/{}/hand-back", work.id)).json(&body);
        self.send::<Value>(request).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}/{path}", self.base)).timeout(PATIENCE);
        let request = request.header(self.header.0, &self.header.1);
        match &self.workspace {
            Some(workspace) => request.query(&[("workspace_id", workspace)]),
            None => request,
        }
    }

    /// `None` for an answer without a body.
    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Option<T>, LinkError> {
        let unreachable = |error: reqwest::Error| LinkError::Unreachable(error.without_url().to_string());
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        if status.is_success() {
            let read = serde_json::from_slice(&body);
            return read
                .map(Some)
                .map_err(|error| LinkError::Refused(format!("an answer that is none: {error}")));
        }
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let why = format!("{status}: {}", problem["detail"].as_str().unwrap_or("no reason given"));
        Err(match status {
            StatusCode::CONFLICT | StatusCode::NOT_FOUND => LinkError::Lost(why),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => LinkError::NotReady(why),
            _ if status.is_server_error() => LinkError::NotReady(why),
            _ => LinkError::Refused(why),
        })
    }
}

impl LinkError {
    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NotReady(_))
    }
}
