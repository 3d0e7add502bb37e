//! A whole mission, with the server and a worker killed on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::hands::{self, Worker};
use crate::program::{Client, Data, Program, eventually};

/// Each attempt leaves a file named after its task, its number and its process; `flaky` fails its first.
/// `slow` waits until it may go on, so that the test can choose the moment.
const SCRIPT: &str = r#"
read -r BRIEF
echo "$TAFFRAIL_TASK_TITLE at attempt $TAFFRAIL_ITERATION"
: > "$BOARD/run.$TAFFRAIL_TASK_TITLE.$TAFFRAIL_ITERATION.$$"
case "$TAFFRAIL_TASK_TITLE" in
  flaky) if [ "$TAFFRAIL_ITERATION" = 1 ]; then echo "no luck" >&2; exit 3; fi ;;
  slow*) : > "$BOARD/waiting.$TAFFRAIL_TASK_TITLE"; while [ ! -e "$BOARD/go" ]; do sleep 0.1; done ;;
esac
echo "{\"result\": \"$TAFFRAIL_TASK_TITLE done\", \"confidence\": 0.9, \"tokens\": 10}"
"#;

/// Twelve tasks: a diamond, a fan, a flaky one, two that wait for the test, and a last one that needs all.
const TASKS: [(&str, &[&str]); 12] = [
    ("root", &[]),
    ("left", &["root"]),
    ("right", &["root"]),
    ("join", &["left", "right"]),
    ("flaky", &["root"]),
    ("slow1", &["join"]),
    ("slow2", &["flaky"]),
    ("alone", &[]),
    ("fan1", &["alone"]),
    ("fan2", &["alone"]),
    ("fan3", &["alone"]),
    ("last", &["slow1", "slow2", "fan1", "fan2", "fan3"]),
];

async fn plan(client: &Client, crew: &str, lead: &str) -> String {
    let mission = client.mission(crew, lead, "Twelve tasks").await;
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    for (order, (title, needs)) in (1..).zip(TASKS) {
        let needs: Vec<&String> = needs.iter().map(|need| &ids[need]).collect();
        let body = json!({
            "title": title, "task_order": order, "depends_on": needs, "max_iterations": 3,
        });
        let made = client.post(&format!("/api/v1/crews/{crew}/missions/{mission}/tasks"), body).await;
        ids.insert(title, made.expect(201)["id"].as_str().unwrap().to_owned());
    }
    format!("/api/v1/crews/{crew}/missions/{mission}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_ends_although_its_server_and_a_worker_are_killed() {
    let (data, board) = (Data::new(), TempDir::new().unwrap());
    let config = hands::config(board.path(), SCRIPT);
    let program = Program::start(data.path());
    let (client, account) = hands::begin(&program.url).await;
    let (crew, lead, _) = hands::crew(&client, 4).await;
    let token = hands::worker_token(&client).await;
    let mission = plan(&client, &crew, &lead).await;
    // Where the server is found again after its death.
    let address = program.url.strip_prefix("http://").unwrap().to_owned();
    let work = |name: &str| board.path().join(name);
    let first = Worker::start(&program.url, &token, &config, &work("first"));
    let second = Worker::start(&program.url, &token, &config, &work("second"));
    client.post(&format!("{mission}/start"), Value::Null).await.expect(200);
    let waits = |name: &'static str| {
        let file = board.path().join(format!("waiting.{name}"));
        eventually(name, || file.exists());
    };
    tokio::task::block_in_place(|| {
        waits("slow1");
        waits("slow2");
    });
    program.kill();
    let program = Program::start_with(data.path(), &["--listen", &address]);
    let client = Client::of(&program.url, &account);
    first.kill();
    fs::write(board.path().join("go"), "").unwrap();
    let ended = until(&client, &mission, |shown| shown["status"] != "IN_PROGRESS").await;
    assert_eq!(ended["status"], "REVIEW", "{ended:#}");
    for task in ended["tasks"].as_array().unwrap() {
        assert_eq!(task["status"], "COMPLETED", "{task:#}");
        let expected = if task["title"] == "flaky" { 2 } else { 1 };
        assert_eq!(task["iteration"], expected, "{task:#}");
        assert_eq!((&task["confidence"], task["result_summary"].as_str().is_some()), (&json!(0.9), true));
    }
    tells_the_whole_story(&client, &ended).await;
    ran_in_order(board.path());
    second.stop();
    program.stop();
}

/// Waits until the mission is as it should be.
async fn until(client: &Client, mission: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let shown = client.read(mission).await;
        if is_so(&shown) {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Every run has a beginning and an end, no task is worked twice at once, and every end has a cause.
async fn tells_the_whole_story(client: &Client, mission: &Value) {
    let path = format!("/api/v1/journal?mission_id={}&order=asc&limit=500", mission["id"].as_str().unwrap());
    let page = client.read(&path).await;
    let entries = page["entries"].as_array().unwrap();
    let mut running: BTreeMap<&str, &str> = BTreeMap::new();
    let mut runs = BTreeSet::new();
    for entry in entries {
        let payload = &entry["payload"];
        match entry["entry_type"].as_str().unwrap() {
            "run.started" => assert!(runs.insert(entry["trace_id"].as_str().unwrap())),
            "run.completed" | "run.failed" | "run.cancelled" => {
                assert!(runs.remove(entry["trace_id"].as_str().unwrap()), "{entry:#}");
            }
            "task.status_change" if payload["to"] == "IN_PROGRESS" => {
                let task = payload["task_id"].as_str().unwrap();
                let assignment = payload["assignment_id"].as_str().unwrap();
                assert!(running.insert(task, assignment).is_none(), "worked twice at once: {entry:#}");
            }
            "task.status_change" if payload["from"] == "IN_PROGRESS" => {
                assert!(running.remove(payload["task_id"].as_str().unwrap()).is_some(), "{entry:#}");
                assert!(payload["reason"].is_string());
            }
            _ => {}
        }
    }
    assert!(running.is_empty() && runs.is_empty(), "{running:?} {runs:?}");
    let last = entries.iter().rfind(|entry| entry["entry_type"] == "mission.status_change").unwrap();
    assert_eq!(last["payload"]["reason"], "all_tasks_done");
    let output = entries.iter().find(|entry| entry["entry_type"] == "run.completed").unwrap();
    let run = output["trace_id"].as_str().unwrap();
    let shown = client.read(&format!("/api/v1/runs/{run}")).await;
    assert_eq!(shown["output_bytes"], output["payload"]["output_bytes"]);
    assert_eq!(shown["status"], "COMPLETED");
}

/// No task began before those it needs had begun: their files are older.
fn ran_in_order(board: &std::path::Path) {
    let mut began: BTreeMap<String, std::time::SystemTime> = BTreeMap::new();
    for file in fs::read_dir(board).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let Some(task) = name.strip_prefix("run.").and_then(|rest| rest.split('.').next()) else { continue };
        let at = file.metadata().unwrap().modified().unwrap();
        let first = began.entry(task.to_owned()).or_insert(at);
        *first = (*first).min(at);
    }
    for (task, needs) in TASKS {
        assert!(needs.iter().all(|need| began[*need] <= began[task]), "{task}: {began:#?}");
    }
}
