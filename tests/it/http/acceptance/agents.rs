//! Agents at work on issues (checks 14 and 15).

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::desk::{Desk, text};
use super::{begin, list};
use crate::program::eventually;
use crate::work::hands::{Worker, config};

async fn tasks(desk: &Desk<'_>, issue: &str) -> Vec<Value> {
    let path = format!("{}/state?at=head", desk.at(issue));
    desk.server.get(path).send().await.expect(200)["tasks"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_14_of_two_starts_one_wins_and_a_stop_is_the_last_word() {
    let server = begin().await;
    let desk = server.desk("eng").await;
    let nobody = desk.issue("Nobody's").await;
    let refused = desk.post(&nobody, "start", Value::Null).await;
    refused.refused(400, "Issue must have an assignee before starting");
    assert_eq!(tasks(&desk, &nobody).await, Vec::<Value>::new());

    // Both must have seen it before either is done: nearly always so, and sometimes it takes another round.
    let mut raced = false;
    for _ in 0..50 {
        let issue = desk.assigned("Race").await;
        let (one, two) =
            tokio::join!(desk.post(&issue, "start", Value::Null), desk.post(&issue, "start", Value::Null));
        let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
        assert_eq!(won.expect(200), json!({ "status": "IN_PROGRESS", "identifier": issue }));
        match lost.status {
            409 => lost.refused(409, "Issue was already started by another request"),
            _ => lost.refused(400, "Issue must be in BACKLOG or TODO to start (current: IN_PROGRESS)"),
        }
        raced = lost.status == 409;
        assert_eq!(tasks(&desk, &issue).await.len(), 1, "exactly one task");
        let work = desk.claim().await;
        assert_eq!(desk.read(&issue, "runs").await.len(), 1);
        stopped_in_the_midst(&desk, &issue, &work).await;
        if raced {
            break;
        }
    }
    assert!(raced, "of so many starts no two came at once");
}

/// It is stopped while an agent has it: what comes late changes nothing.
async fn stopped_in_the_midst(desk: &Desk<'_>, issue: &str, work: &Value) {
    let stopped = desk.post(issue, "stop", Value::Null).await.expect(200);
    assert_eq!(stopped, json!({ "status": "CANCELLED", "identifier": issue }));
    let before = desk.show(issue).await;
    assert!(before["completed_at"].is_string());
    let (log, comments) = (desk.log(issue).await, desk.read(issue, "comments").await);
    let late = desk.report(work, json!({ "status": "COMPLETED", "result_summary": "Done after all" })).await;
    assert!([200, 409].contains(&late.status), "{late:?}");
    assert_eq!(desk.show(issue).await, before);
    assert_eq!((desk.log(issue).await, desk.read(issue, "comments").await), (log, comments));
    let task = &tasks(desk, issue).await[0];
    assert_eq!((&task["status"], &task["error_message"]), (&json!("SKIPPED"), &json!("issue stopped")));
}

/// Keeps what it was told and hands over what it did; each attempt leaves a file of its own.
const SCRIPT: &str = r#"
read -r BRIEF
printf '%s\n' "$BRIEF" > "$BOARD/writing"
mv "$BOARD/writing" "$BOARD/brief.$TAFFRAIL_ITERATION"
echo "Looked at it."
echo "---HANDOFF---"
echo "summary: Mended at attempt $TAFFRAIL_ITERATION"
echo "confidence: high"
echo "artifacts: src/a.rs"
echo "---END HANDOFF---"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn check_15_an_agent_hands_over_is_sent_back_with_a_note_and_comes_again() {
    let board = TempDir::new().unwrap();
    let server = begin().await;
    let desk = server.desk("eng").await;
    let token = server.scoped(&["worker:eng"]).await;
    let url = format!("http://{}", server.address());
    let config = config(board.path(), SCRIPT);
    let _worker = Worker::start(&url, &token, &config, &board.path().join("work"));
    let issue = desk.assigned("Mend it").await;
    let id = desk.show(&issue).await["id"].clone();

    for round in 1..=2 {
        desk.post(&issue, "start", Value::Null).await.expect(200);
        until_in_review(&desk, &issue).await;
        let said = desk.read(&issue, "comments").await.pop().expect("a comment");
        let expected = format!(
            "**eng-hand completed their work** (confidence: high)\n\nMended at attempt {round}\n\n\
             **Artifacts:** src/a.rs"
        );
        assert_eq!((&said["body"], &said["author_type"]), (&json!(expected), &json!("agent")));
        assert_eq!(said["author_id"], json!(desk.hand));
        let all = told(&desk).await;
        assert_eq!(all.len(), round, "once for each round");
        let newest = all.last().expect("an inbox item");
        assert_eq!(
            (&newest["title"], &newest["body"]),
            (&json!("ENG-1 ready for review"), &json!("Mend it"))
        );
        assert_eq!(newest["target_role"], "MANAGER");
        let payload = json!({ "mission_id": id, "issue_identifier": "ENG-1", "new_status": "REVIEW" });
        assert_eq!(newest["payload"], payload);
        let task = tasks(&desk, &issue).await.pop().expect("its task");
        assert_eq!((&task["status"], &task["iteration"]), (&json!("COMPLETED"), &json!(round)));
        if round == 1 {
            let back = json!({ "action": "request_changes", "comment": "Mind the gap" });
            let answer = desk.post(&issue, "review", back).await.expect(200);
            assert_eq!(answer, json!({ "status": "ok", "action": "request_changes" }));
            assert_eq!(desk.show(&issue).await["status"], "TODO");
        }
    }
    let brief = |round: usize| -> Value {
        let file = board.path().join(format!("brief.{round}"));
        tokio::task::block_in_place(|| eventually("the brief", || file.exists()));
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    };
    assert!(!brief(1).to_string().contains("Mind the gap"));
    let second = brief(2);
    assert_eq!(second["review_note"], "Changes requested: Mind the gap", "{second:#}");
    assert!(text(&second["prompt"]).contains("Mind the gap"), "{second:#}");
    assert_eq!(desk.read(&issue, "runs").await.len(), 2);
    desk.post(&issue, "review", json!({ "action": "approve" })).await.expect(200);
    assert_eq!(desk.show(&issue).await["status"], "DONE");
    assert_eq!(list(&server, "/api/v1/issues?status=DONE").await.len(), 1);
}

/// Waits for what the server says by itself, from one state to the next.
async fn until_in_review(desk: &Desk<'_>, issue: &str) {
    let workspace = desk.server.workspace.as_str().into();
    let mut published = desk.server.app.workspace(&workspace).unwrap().watch();
    loop {
        let status = text(&desk.show(issue).await["status"]);
        match &*status {
            "REVIEW" => return,
            "IN_PROGRESS" => published.changed().await.unwrap(),
            other => panic!("it went to {other}: {:?}", desk.log(issue).await),
        }
    }
}

/// What the inbox was told, oldest first.
async fn told(desk: &Desk<'_>) -> Vec<Value> {
    let path = "/api/v1/journal?entry_type=notification.delivered&order=asc&limit=100";
    let page = desk.server.get(path).send().await.expect(200);
    page["entries"].as_array().unwrap().iter().map(|entry| entry["payload"].clone()).collect()
}
