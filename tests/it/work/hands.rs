//! Workers as processes of their own, and the agents they run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::program::{Account, Client};

/// A process of `taffrail worker`; killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
}

impl Worker {
    /// Starts one for the adapter `agent` of a configuration.
    pub(crate) fn start(url: &str, token: &str, config: &Path, work: &Path) -> Self {
        Self::start_with(url, token, config, work, &[])
    }

    pub(super) fn start_with(url: &str, token: &str, config: &Path, work: &Path, arguments: &[&str]) -> Self {
        Self::spawn(&["--server", url], token, config, work, arguments)
    }

    /// One on the socket of the server that has this data directory, for one workspace.
    pub(super) fn on_socket(data: &Path, workspace: &str, config: &Path, work: &Path) -> Self {
        let internal = data.join("internal");
        let token = std::fs::read_to_string(internal.join("token")).unwrap();
        let socket = internal.join("api.sock").display().to_string();
        Self::spawn(&["--socket", &socket, "--workspace", workspace], &token, config, work, &[])
    }

    fn spawn(way: &[&str], token: &str, config: &Path, work: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_taffrail"))
            .arg("worker")
            .args(way)
            .args(["--adapter", "agent", "--lease", "5", "--concurrency", "3"])
            .arg("--config")
            .arg(config)
            .arg("--workdir")
            .arg(work)
            .args(arguments)
            .env("TAFFRAIL_TOKEN", token)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// `kill -9`, and waits until it is gone.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(super) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// A configuration whose adapter `agent` runs a shell script; the script sees its folder as `$BOARD`.
pub(crate) fn config(folder: &Path, script: &str) -> PathBuf {
    let program = folder.join("agent.sh");
    let board = folder.display();
    std::fs::write(&program, format!("BOARD={board}\n{script}\n")).unwrap();
    let config = folder.join("taffrail.toml");
    let text = format!(
        "[adapters.agent]\ncommand = [\"/bin/sh\", {:?}]\ntimeout_seconds = 60\n",
        program.display().to_string()
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// A crew with a LEAD that does not plan or review, room for many agents, and so many of them.
pub(super) async fn crew(client: &Client, agents: usize) -> (String, String, Vec<String>) {
    let crew = json!({ "name": "Crew", "slug": "crew", "container_memory_mb": 65536 });
    let crew = client.post("/api/v1/crews", crew).await.expect(201)["id"].as_str().unwrap().to_owned();
    let agent = async |slug: &str, role: &str| {
        let body = json!({
            "name": slug, "slug": slug, "crew_id": crew, "agent_role": role, "lead_mode": "passive",
        });
        client.post("/api/v1/agents", body).await.expect(201)["id"].as_str().unwrap().to_owned()
    };
    let lead = agent("lead", "LEAD").await;
    let mut ids = vec![];
    for number in 0..agents {
        ids.push(agent(&format!("agent-{number}"), "AGENT").await);
    }
    (crew, lead, ids)
}

/// A token that may work for the crew and do nothing else.
pub(super) async fn worker_token(client: &Client) -> String {
    let body = json!({ "name": "worker", "scopes": ["worker:crew"] });
    client.post("/api/v1/auth/cli-token", body).await.expect(200)["token"].as_str().unwrap().to_owned()
}

/// The owner of a fresh instance.
pub(super) async fn begin(url: &str) -> (Client, Account) {
    let account = Client::stranger(url).bootstrap().await;
    (Client::of(url, &account), account)
}
