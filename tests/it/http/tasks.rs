//! Tasks: birth, order of checks, unblocking (`missions.md` 17, checks 9 and 10).

use serde_json::{Value, json};

use super::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_every_field_of_the_contract() {
    let server = Server::begin().await;
    let mission = server.mission("fields").await;
    let body = json!({ "title": "Build", "assigned_agent_id": mission.lead, "task_order": -3, "max_iterations": 50 });
    let task = mission.try_task(body).await.expect(201);
    let null = [
        "description",
        "result_summary",
        "output_path",
        "error_message",
        "assignment_id",
        "started_at",
        "completed_at",
        "handoff_context",
        "evaluation_status",
        "evaluation_notes",
        "approval_status",
        "approved_by",
        "approved_at",
        "token_count",
        "duration_ms",
        "estimated_cost",
        "confidence",
    ];
    for field in null {
        assert_eq!(task.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!((&task["depends_on"], &task["iteration"]), (&json!("[]"), &json!(1)));
    assert_eq!((&task["task_order"], &task["max_iterations"]), (&json!(-3), &json!(50)));
    assert_eq!((&task["needs_review"], &task["approval_required"]), (&json!(false), &json!(false)));
    assert_eq!(
        (&task["agent_slug"], &task["agent_name"]),
        (&json!("fields-lead"), &json!("Lead fields-lead"))
    );
    assert_eq!(task["mission_id"], mission.id);
    let shown = &mission.show().await["tasks"][0];
    assert_eq!(*shown, task);
    let plain = mission.try_task(json!({ "title": "Plain" })).await.expect(201);
    assert!(plain.get("agent_name").is_none() && plain["assigned_agent_id"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_blocked_unless_all_it_depends_on_is_completed() {
    let server = Server::begin().await;
    let mission = server.mission("blocked").await;
    let (done, failed, skipped, open) = (
        mission.task("done", &[]).await,
        mission.task("failed", &[]).await,
        mission.task("skipped", &[]).await,
        mission.task("open", &[]).await,
    );
    mission.complete(&done).await;
    mission.change_task(&failed, json!({ "status": "IN_PROGRESS" })).await.expect(200);
    mission.change_task(&failed, json!({ "status": "FAILED" })).await.expect(200);
    mission.change_task(&skipped, json!({ "status": "SKIPPED" })).await.expect(200);
    let born = async |depends_on: &[&str]| {
        let body = json!({ "title": "next", "depends_on": depends_on });
        mission.try_task(body).await.expect(201)["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(born(&[&done]).await, "PENDING");
    for other in [&failed, &skipped, &open] {
        assert_eq!(born(&[&done, other]).await, "BLOCKED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_task_is_checked_mission_first_then_body_then_fields() {
    let server = Server::begin().await;
    let mission = server.mission("checks").await;
    let path = format!("{}/tasks", mission.path());
    let unknown = server.post(format!("{}x/tasks", mission.path())).body("{").send().await;
    unknown.refused(404, "Mission not found");
    server.post(&*path).body("{").send().await.refused(400, "Invalid JSON body");
    mission.try_task(json!({ "max_iterations": 99 })).await.refused(400, "title is required");
    for count in [-1, 51] {
        let body = json!({ "title": "a", "max_iterations": count, "depends_on": ["x"] });
        mission.try_task(body).await.refused(400, "max_iterations must be between 0 and 50");
    }
    for count in [0, 50] {
        mission.try_task(json!({ "title": "a", "max_iterations": count })).await.expect(201);
    }
    let body = json!({ "title": "a", "depends_on": ["nowhere", "x"] });
    mission.try_task(body).await.refused(400, "dependency task not found: nowhere");
    let other = mission.another("Other").await;
    let foreign = other.task("foreign", &[]).await;
    let body = json!({ "title": "a", "depends_on": [foreign] });
    mission.try_task(body).await.refused(400, &format!("dependency task not found: {foreign}"));
    let body = json!({ "title": "a", "assigned_agent_id": "nobody" });
    mission.try_task(body).await.refused(400, "assigned agent not found");
    mission.change(json!({ "status": "CANCELLED" })).await.expect(200);
    let closed = server.post(&*path).body("{").send().await;
    closed.refused(400, "Tasks can only be added to PLANNING or IN_PROGRESS missions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_change_is_checked_in_the_documented_order() {
    let server = Server::begin().await;
    let mission = server.mission("patch").await;
    let task = mission.task("a", &[]).await;
    let path = format!("{}/tasks/{task}", mission.path());
    server.patch(format!("{path}x")).body("{").send().await.refused(400, "Invalid JSON body");
    server.patch(format!("{path}x")).body("{}").send().await.refused(404, "Task not found");
    let both = json!({ "status": "NONSENSE", "depends_on": "" });
    let detail = "Cannot update status and depends_on in the same request";
    mission.change_task(&task, both).await.refused(400, detail);
    let reply = mission.change_task(&task, json!({ "status": "COMPLETED" })).await;
    reply.refused(400, "Invalid status transition from PENDING to COMPLETED");
    for list in ["", "{}", "[1]", "nonsense"] {
        let reply = mission.change_task(&task, json!({ "depends_on": list })).await;
        reply.refused(400, "depends_on must be a JSON array of task IDs");
    }
    let own = json!([task]).to_string();
    mission
        .change_task(&task, json!({ "depends_on": own }))
        .await
        .refused(400, "Task cannot depend on itself");
    let reply = mission.change_task(&task, json!({ "depends_on": "[\"x\"]" })).await;
    reply.refused(400, "Dependency task x not found in this mission");
    let mixed =
        mission.change_task(&task, json!({ "status": "IN_PROGRESS", "title": "b" })).await.expect(200);
    assert_eq!((&mixed["status"], &mixed["title"]), (&json!("IN_PROGRESS"), &json!("b")));
    let detail = "Can only edit title/description/depends_on for PENDING or BLOCKED tasks";
    mission.change_task(&task, json!({ "title": "c" })).await.refused(400, detail);
    let free = json!({ "token_count": 7, "estimated_cost": 0.5, "output_path": "/out", "max_iterations": 3 });
    let free = mission.change_task(&task, free).await.expect(200);
    assert_eq!((&free["token_count"], &free["max_iterations"]), (&json!(7), &Value::Null));
    let done = mission.change_task(&task, json!({ "status": "COMPLETED", "result_summary": "fine" })).await;
    let done = done.expect(200);
    assert!(
        done["duration_ms"].is_u64() && done["result_summary"] == "fine" && done["output_path"] == "/out"
    );
    let mission = mission.show().await;
    assert_eq!((&mission["total_token_count"], &mission["total_estimated_cost"]), (&json!(7), &json!(0.5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_two_parents_waits_for_both() {
    let server = Server::begin().await;
    let mission = server.mission("fanin").await;
    let (left, right) = (mission.task("left", &[]).await, mission.task("right", &[]).await);
    let join = mission.task("join", &[&left, &right]).await;
    let status = async || {
        let shown = mission.show().await;
        let task = shown["tasks"].as_array().unwrap().iter().find(|task| task["id"] == *join).unwrap();
        (task["status"].as_str().unwrap().to_owned(), task["depends_on"].clone())
    };
    mission.complete(&left).await;
    assert_eq!(status().await, ("BLOCKED".into(), json!(json!([left, right]).to_string())));
    mission.complete(&right).await;
    assert_eq!(status().await.0, "PENDING");
}
