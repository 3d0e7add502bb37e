//! Runs of routines that wait while the program is killed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::program::{Client, Data, Program};

const REACHING: [&str; 1] = ["--routines-allow-private-http"];

/// How long an answer may take that the engine has to fetch.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Takes one request, and does not answer yet.
async fn asked(listener: &TcpListener) -> TcpStream {
    let accepted = tokio::time::timeout(WATCHDOG, listener.accept()).await.expect("somebody asks");
    let (mut stream, _) = accepted.unwrap();
    let mut head = vec![0; 8 << 10];
    assert!(stream.read(&mut head).await.unwrap() > 0);
    assert!(head.starts_with(b"GET /x HTTP/1.1\r\n"));
    stream
}

async fn record(client: &Client, workspace: &str, run: &Value) -> Value {
    let id = run["run_id"].as_str().expect("a run");
    client.read(&format!("/api/v1/workspaces/{workspace}/pipeline-runs/{id}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_goes_on_after_a_kill_and_asks_again_what_was_not_answered() {
    let data = Data::new();
    let program = Program::start_with(data.path(), &REACHING);
    let account = Client::stranger(&program.url).bootstrap().await;
    let client = Client::of(&program.url, &account);
    let base = format!("/api/v1/workspaces/{}/pipelines", account.workspace);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    for (slug, step) in [
        ("gate", json!({ "id": "a", "type": "wait", "kind": "approval" })),
        ("hook", json!({ "id": "a", "type": "http", "url": url })),
    ] {
        let body = json!({ "slug": slug, "definition": { "steps": [step] }, "skip_test_gate": true,
            "skip_governance_gate": true });
        client.post(&format!("{base}/save"), body).await.expect(201);
    }
    let run = async |slug: &str| client.post(&format!("{base}/{slug}/run"), json!({})).await.expect(200);
    let (gate, hook) = (run("gate").await, run("hook").await);
    assert_eq!((&gate["status"], &hook["status"]), (&json!("WAITING"), &json!("WAITING")));
    let unanswered = asked(&listener).await;
    program.kill();
    drop(unanswered);

    let program = Program::start_with(data.path(), &REACHING);
    let client = Client::of(&program.url, &account);
    let token = gate["waitpoint_token"].as_str().expect("a token");
    let decide = async || client.post(&format!("/api/v1/waitpoint-tokens/{token}"), json!({})).await;
    assert_eq!(decide().await.expect(200), json!({ "ok": true, "approved": true }));
    assert_eq!(decide().await.status, 409);
    assert_eq!(record(&client, &account.workspace, &gate).await["status"], "completed");
    let mut again = asked(&listener).await;
    again.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42").await.unwrap();
    let over = async {
        loop {
            let record = record(&client, &account.workspace, &hook).await;
            if record["status"] != "waiting" {
                return record;
            }
            tokio::task::yield_now().await;
        }
    };
    let record = tokio::time::timeout(WATCHDOG, over).await.expect("the run ends");
    assert_eq!((&record["status"], &record["step_outputs"]["a"]["body"]), (&json!("completed"), &json!(42)));
    assert_eq!(program.stop().code, Some(0));
}
