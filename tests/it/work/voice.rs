//! An agent's process speaks for its agent, with what it finds in its environment.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::hands::{self, Worker};
use crate::program::{Client, Data, Program, eventually};

/// Asks people, waits for their answer, and ends with it; and tries what it may not.
const SCRIPT: &str = r#"
read -r BRIEF
call() {
  METHOD=$1; URL=$2; shift 2
  curl -s --unix-socket "$TAFFRAIL_SOCKET" -H "X-Internal-Token: $TAFFRAIL_AGENT_TOKEN" -X "$METHOD" "$@" \
    "http://localhost/api/v1/internal/$URL"
}
call POST tasks/claim -o "$BOARD/forbidden" -d '{}'
call POST escalations -o "$BOARD/raised" -d "{\"reason\": \"Which?\", \"type\": \"CREDENTIAL\", \"chat_id\": \"$TAFFRAIL_CHAT_ID\"}"
ID=$(sed 's/.*"escalation_id":"\([^"]*\)".*/\1/' "$BOARD/raised")
call GET "escalations/$ID/wait" -o "$BOARD/answer"
echo "my token is $TAFFRAIL_AGENT_TOKEN"
echo '{"result": "answered"}'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_asks_a_person_from_within_its_process() {
    let (data, board) = (Data::new(), TempDir::new().unwrap());
    let config = hands::config(board.path(), SCRIPT);
    let program = Program::start(data.path());
    let (client, account) = hands::begin(&program.url).await;
    let (crew, lead, _) = hands::crew(&client, 1).await;
    let mission = client.mission(&crew, &lead, "Ask").await;
    let mission = format!("/api/v1/crews/{crew}/missions/{mission}");
    client.post(&format!("{mission}/tasks"), json!({ "title": "ask" })).await.expect(201);
    let _worker = Worker::on_socket(data.path(), &account.workspace, &config, &board.path().join("work"));
    client.post(&format!("{mission}/start"), Value::Null).await.expect(200);

    let list = format!("/api/v1/crews/{crew}/escalations");
    let asked = first(&client, &list).await;
    assert_eq!((&asked["from_slug"], &asked["reason"]), (&json!("agent-0"), &json!("Which?")));
    let resolve = format!("/api/v1/escalations/{}/resolve", asked["id"].as_str().unwrap());
    client.post(&resolve, json!({ "resolution": "tr0ub4dor" })).await.expect(200);
    let answer = board.path().join("answer");
    tokio::task::block_in_place(|| eventually("the answer", || answer.exists()));
    while client.read(&mission).await["status"] != "REVIEW" {
        tokio::task::yield_now().await;
    }
    let told = std::fs::read_to_string(&answer).unwrap();
    assert!(told.contains("\"resolution\":\"tr0ub4dor\""), "{told}");
    let forbidden = std::fs::read_to_string(board.path().join("forbidden")).unwrap();
    assert!(forbidden.contains("\"status\":403"), "{forbidden}");
    let journal = client.read("/api/v1/journal?limit=200").await.to_string();
    assert!(journal.contains("my token is ***REDACTED***") && !journal.contains("tr0ub4dor"), "{journal}");
}

/// The first row, once there is one.
async fn first(client: &Client, list: &str) -> Value {
    loop {
        let rows = client.read(list).await;
        if let Some(first) = rows.as_array().and_then(|rows| rows.first()) {
            return first.clone();
        }
        tokio::task::yield_now().await;
    }
}
