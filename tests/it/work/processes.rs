//! What is left of an agent's processes, however they end: nothing.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::hands::{self, Worker};
use crate::program::{Client, Data, Program, eventually};

/// An agent that starts a process of its own which leaves the group, and waits for ever.
const SCRIPT: &str = r#"
read -r BRIEF
setsid sh -c 'echo $$ > "$0/escaped"; exec sleep 1000' "$BOARD" &
echo $$ > "$BOARD/leader"
echo "the key is crewship_cli_0123456789abcdef0123456789abcdef"
while :; do sleep 0.1; done
"#;

/// A started mission with one task, under way at a worker; the processes of its agent.
struct Scene {
    board: TempDir,
    _data: Data,
    program: Program,
    client: Client,
    mission: String,
    task: String,
    worker: Option<Worker>,
}

impl Scene {
    async fn set() -> Self {
        let (data, board) = (Data::new(), TempDir::new().unwrap());
        let config = hands::config(board.path(), SCRIPT);
        let program = Program::start(data.path());
        let (client, _) = hands::begin(&program.url).await;
        let (crew, lead, _) = hands::crew(&client, 1).await;
        let token = hands::worker_token(&client).await;
        let mission = client.mission(&crew, &lead, "For ever").await;
        let mission = format!("/api/v1/crews/{crew}/missions/{mission}");
        let task = client.post(&format!("{mission}/tasks"), json!({ "title": "wait" })).await.expect(201);
        let task = task["id"].as_str().unwrap().to_owned();
        let work = board.path().join("work");
        let worker = Worker::start_with(&program.url, &token, &config, &work, &["--grace", "0"]);
        client.post(&format!("{mission}/start"), Value::Null).await.expect(200);
        let scene = Self { board, _data: data, program, client, mission, task, worker: Some(worker) };
        tokio::task::block_in_place(|| {
            eventually("both processes", || scene.pid("leader").is_some() && scene.pid("escaped").is_some());
        });
        scene
    }

    fn pid(&self, name: &str) -> Option<u32> {
        fs::read_to_string(self.board.path().join(name)).ok()?.trim().parse().ok()
    }

    /// Waits until neither process is there any more.
    fn nothing_is_left(&self) {
        let pids = [self.pid("leader").unwrap(), self.pid("escaped").unwrap()];
        let is_there = |pid: &u32| {
            // A zombie is nobody.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
        };
        tokio::task::block_in_place(|| eventually("nothing is left", || !pids.iter().any(is_there)));
    }

    async fn shown_task(&self) -> Value {
        let mission = self.client.read(&self.mission).await;
        mission["tasks"].as_array().unwrap().iter().find(|task| task["id"] == self.task).unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_mission_ends_its_processes_and_credentials_never_reach_the_journal() {
    let scene = Scene::set().await;
    let chunks = "/api/v1/journal?entry_type=exec.output_chunk";
    while scene.client.read(chunks).await["count"] == 0 {
        tokio::task::yield_now().await;
    }
    let patch = json!({ "status": "CANCELLED" });
    let cancelled = scene.client.send(reqwest::Method::PATCH, &scene.mission, Some(&patch), None).await;
    cancelled.unwrap().expect(200);
    scene.nothing_is_left();
    let task = scene.shown_task().await;
    assert_eq!((&task["status"], &task["error_message"]), (&json!("SKIPPED"), &json!("mission cancelled")));
    let journal = scene.client.read(chunks).await;
    let shown = journal["entries"].to_string();
    assert!(shown.contains("the key is") && !shown.contains("crewship_cli_0123"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_leaves_no_process_behind() {
    let mut scene = Scene::set().await;
    scene.worker.take().unwrap().kill();
    scene.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_gives_its_work_back() {
    let mut scene = Scene::set().await;
    let worker = scene.worker.take().unwrap();
    tokio::task::block_in_place(|| worker.stop());
    scene.nothing_is_left();
    let entries = scene.client.read("/api/v1/journal?entry_type=task.status_change&order=asc").await;
    let reasons: Vec<&str> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["payload"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons[..2], ["dispatched", "handed_back"]);
    assert!(scene.program.url.starts_with("http"));
}
