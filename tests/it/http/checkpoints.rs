//! Checkpoints from outside (`journal.md` 13, checks 1 to 9).

use serde_json::{Value, json};

use super::server::{OnMission, Server};

fn is_id(text: &Value, prefix: &str) -> bool {
    let digits = text.as_str().and_then(|text| text.strip_prefix(prefix)).unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

async fn restore(server: &Server, checkpoint: &Value) -> Value {
    let path = format!("/api/v1/checkpoints/{}/restore", checkpoint["id"].as_str().unwrap());
    server.post(path).send().await.expect(200)
}

async fn fork(server: &Server, checkpoint: &Value, body: &str) -> Value {
    let path = format!("/api/v1/checkpoints/{}/fork", checkpoint["id"].as_str().unwrap());
    server.post(path).body(body).send().await.expect(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_without_history_cannot_be_bookmarked_and_one_with_can() {
    let server = Server::begin().await;
    let mission = server.mission("anchor").await;
    let refused = server.post(mission.checkpoints()).send().await;
    refused.refused(409, "mission has no journal entries to anchor a checkpoint");
    mission.task("anchor", &[]).await;
    let made = mission.checkpoint("green build").await;
    assert!(is_id(&made["id"], "chk_") && is_id(&made["journal_cursor"], "j_"), "{made}");
    assert!(made.get("fork_of").is_none());
    assert_eq!((&made["label"], &made["created_by"]), (&json!("green build"), &json!(server.owner)));
    assert_eq!((&made["mission_id"], &made["crew_id"]), (&json!(mission.id), &json!(mission.crew)));
    assert!(made["state"]["agent_memory"].is_object());
    assert_eq!(made["state"]["pending_tasks"].as_array().unwrap().len(), 1);
    assert_eq!(made["state"]["open_assignments"], json!([]));
    let path = format!("/api/v1/checkpoints/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(path).send().await.expect(200), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_needs_no_body_and_refuses_a_wrong_one_after_the_lookup() {
    let server = Server::begin().await;
    let mission = server.mission("body").await;
    let create = async |body: &str| server.post(mission.checkpoints()).body(body).send().await;
    create("{NOT_JSON").await.refused(400, "invalid JSON body");
    mission.task("anchor", &[]).await;
    for body in ["", " \n", "{}", "null", r#"{"label":""}"#, r#"{"label":null,"colour":1}"#] {
        assert!(create(body).await.expect(201).get("label").is_none(), "{body}");
    }
    for body in ["{NOT_JSON", "[]", r#"{"label":5}"#, "{} {}"] {
        create(body).await.refused(400, "invalid JSON body");
    }
    let long = json!({ "label": "é".repeat(1_001) }).to_string();
    create(&long).await.refused(400, "label must be at most 1000 characters");
    let unknown = server.post("/api/v1/missions/unknown/checkpoints").body("{NOT_JSON").send().await;
    unknown.refused(404, "mission not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_listed_newest_first_with_a_limit_that_falls_back() {
    let server = Server::begin().await;
    let mission = server.mission("list").await;
    mission.task("anchor", &[]).await;
    let mut made = vec![];
    for number in 0..52 {
        made.push(mission.checkpoint(&number.to_string()).await["id"].clone());
    }
    made.reverse();
    let list = async |query: &str| {
        let path = format!("{}?{query}", mission.checkpoints());
        let list = server.get(path).send().await.expect(200);
        let ids: Vec<Value> =
            list["checkpoints"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        assert_eq!((&list["count"], &list["mission_id"]), (&json!(ids.len()), &json!(mission.id)));
        ids
    };
    for query in ["", "limit=abc", "limit=0", "limit=-5", "limit=201", "limit=9999"] {
        assert_eq!(list(query).await, made[..50], "{query}");
    }
    assert_eq!(list("limit=200").await, made);
    assert_eq!(list("limit=1").await, made[..1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_lists_what_diverged_and_changes_nothing() {
    let server = Server::begin().await;
    let mission = server.mission("restore").await;
    let task = mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("here").await;
    for _ in 0..2 {
        let told = restore(&server, &checkpoint).await;
        assert_eq!((&told["warn_divergence"], &told["divergence_count"]), (&json!([]), &json!(0)));
    }
    mission.start().await.expect(200);
    mission.checkpoint("later").await;
    mission.complete(&task).await;
    let before = mission.show().await;
    let told = restore(&server, &checkpoint).await;
    assert_eq!(mission.show().await, before);
    assert_eq!(told["checkpoint"], checkpoint);
    assert_eq!(told["journal_cursor"], checkpoint["journal_cursor"]);
    let items: Vec<(&str, &str)> = told["warn_divergence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap().split_once(" at ").unwrap())
        .collect();
    let types: Vec<&str> = items.iter().map(|(entry_type, _)| *entry_type).collect();
    let moves =
        ["mission.status_change", "task.status_change", "task.status_change", "mission.status_change"];
    assert_eq!(types, moves, "started, worked, done, and so up for review");
    assert!(items.windows(2).all(|pair| pair[0].1 < pair[1].1));
    assert_eq!((&told["divergence_count"], &told["divergence_truncated"]), (&json!(4), &json!(false)));
    let objects = told["diverged_entries"].as_array().unwrap();
    assert!(objects.iter().zip(&items).all(|(object, (_, id))| object["id"] == *id));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_leaves_one_entry_that_names_its_caller() {
    let server = Server::begin().await;
    let mission = server.mission("entries").await;
    mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("x").await;
    restore(&server, &checkpoint).await;
    let made = fork(&server, &checkpoint, "").await;
    let path = format!("/api/v1/checkpoints/{}", checkpoint["id"].as_str().unwrap());
    server.delete(path).send().await.expect(204);
    let journal = mission.journal().await;
    let told: Vec<(&str, &str)> = journal[2..]
        .iter()
        .map(|entry| (entry["entry_type"].as_str().unwrap(), entry["severity"].as_str().unwrap()))
        .collect();
    let expected =
        [("checkpoint.created", "info"), ("checkpoint.restored", "info"), ("checkpoint.deleted", "notice")];
    assert_eq!(told, expected);
    assert!(journal.iter().all(|entry| entry["actor_id"] == *server.owner && entry["actor_type"] == "user"));
    assert_eq!(journal[3]["payload"]["divergence_count"], 0);
    let path = format!(
        "/api/v1/journal?entry_type=fork.created&mission_id={}",
        made["new_mission_id"].as_str().unwrap()
    );
    let forks = server.get(path).send().await.expect(200);
    assert_eq!((&forks["count"], &forks["entries"][0]["severity"]), (&json!(1), &json!("notice")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_the_mission_as_it_was_at_the_checkpoint() {
    let server = Server::begin().await;
    let mission = server.mission("fork").await;
    mission.change(json!({ "description": "why", "plan": "how" })).await.expect(200);
    let first = mission.task("first", &[]).await;
    mission.task("second", &[&first]).await;
    let checkpoint = mission.checkpoint("before work").await;
    mission.start().await.expect(200);
    mission.task("third", &[]).await;
    mission.complete(&first).await;
    let source = mission.show().await;

    let made = fork(&server, &checkpoint, r#"{"label":"experiment-1"}"#).await;
    assert_eq!(made.as_object().unwrap().len(), 2);
    assert_eq!(mission.show().await, source);
    let id = made["new_mission_id"].as_str().unwrap().to_owned();
    let forked = OnMission { server: &server, crew: mission.crew.clone(), lead: mission.lead.clone(), id };
    let shown = forked.show().await;
    assert_eq!((&shown["title"], &shown["status"]), (&json!("Fork: Ship the beta"), &json!("PLANNING")));
    for same in ["description", "plan", "lead_agent_id", "crew_id"] {
        assert_eq!(shown[same], source[same], "{same}");
    }
    let tasks = shown["tasks"].as_array().unwrap();
    let told: Vec<(&str, &str)> = tasks
        .iter()
        .map(|task| (task["title"].as_str().unwrap(), task["status"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("first", "PENDING"), ("second", "BLOCKED")]);
    assert_eq!(tasks[1]["depends_on"], json!([tasks[0]["id"]]).to_string());
    assert!(tasks.iter().all(|task| task["id"] != *first && task["mission_id"] == *forked.id));

    let path = format!("/api/v1/checkpoints/{}", made["new_checkpoint_id"].as_str().unwrap());
    let bookmark = server.get(&*path).send().await.expect(200);
    assert_eq!((&bookmark["fork_of"], &bookmark["label"]), (&checkpoint["id"], &json!("experiment-1")));
    assert_eq!(bookmark["journal_cursor"], checkpoint["journal_cursor"]);
    assert_eq!(bookmark["created_by"], server.owner);
    assert_eq!(restore(&server, &bookmark).await["warn_divergence"], json!([]));

    let path_of_source = format!("/api/v1/checkpoints/{}", checkpoint["id"].as_str().unwrap());
    server.delete(&*path_of_source).send().await.expect(204);
    server.delete(&*path_of_source).send().await.refused(404, "checkpoint not found");
    assert!(server.get(&*path).send().await.expect(200).get("fork_of").is_none());
    forked.show().await;
    forked.change(json!({ "status": "CANCELLED" })).await.expect(200);
    server.delete(forked.path()).send().await.expect(204);
    server.get(&*path).send().await.refused(404, "checkpoint not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_without_a_label_is_named_after_its_source_and_a_wrong_body_comes_before_the_lookup() {
    let server = Server::begin().await;
    let mission = server.mission("label").await;
    mission.task("a", &[]).await;
    let checkpoint = mission.checkpoint("x").await;
    let made = fork(&server, &checkpoint, "").await;
    let path = format!("/api/v1/checkpoints/{}", made["new_checkpoint_id"].as_str().unwrap());
    let label = format!("fork of {}", checkpoint["id"].as_str().unwrap());
    assert_eq!(server.get(path).send().await.expect(200)["label"], label);
    let unknown = "/api/v1/checkpoints/unknown/fork";
    server.post(unknown).body("{").send().await.refused(400, "invalid JSON body");
    server.post(unknown).send().await.refused(404, "checkpoint not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_can_stand_at_any_entry_of_the_missions_life() {
    let server = Server::begin().await;
    let mission = server.mission("past").await;
    let create = async |at: &Value| server.post(mission.checkpoints()).json(json!({ "at": at })).send().await;
    let unanchored = create(&json!("j_0000000000000000")).await;
    unanchored.refused(409, "mission has no journal entries to anchor a checkpoint");
    let task = mission.task("a", &[]).await;
    mission.complete(&task).await;
    let journal = mission.journal().await;

    let made = create(&journal[0]["id"]).await.expect(201);
    assert_eq!(made["journal_cursor"], journal[0]["id"]);
    assert_eq!(made["state"]["pending_tasks"], json!([]));
    let told = restore(&server, &made).await;
    assert_eq!(told["divergence_count"], json!(journal.len() - 1));
    let made = create(&journal[1]["id"]).await.expect(201);
    assert_eq!(made["state"]["pending_tasks"], json!([task]));

    create(&json!("j_00000100000fffff")).await.refused(404, "entry not found");
    create(&json!("nonsense")).await.refused(404, "entry not found");
    create(&json!(5)).await.refused(400, "invalid JSON body");
    let other = mission.another("Other").await;
    let foreign = &other.journal().await[0]["id"];
    assert_eq!(create(foreign).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_named_workspace_the_callers_only_one_is_meant() {
    let server = Server::begin().await;
    let mission = server.mission("unnamed").await;
    mission.task("a", &[]).await;
    server.post(mission.checkpoints()).without_workspace().send().await.expect(201);
    server.get("/api/v1/journal").without_workspace().send().await.expect(200);
    let (_, stranger) = server.person("stranger").await;
    let alone = server.get(mission.checkpoints()).without_workspace().with_token(&stranger).send().await;
    alone.refused(401, "workspace required");
    let alone = server.get("/api/v1/journal").without_workspace().with_token(&stranger).send().await;
    alone.refused(400, "workspace_id is required");
}
