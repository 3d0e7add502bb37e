//! Agents on issues: start, stop, review, and what comes back (`issues.md` 12; checks 14 and 15).

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::desk::{Desk, text};
use super::server::Server;

const HANDOFF: &str = "All of it.\n---HANDOFF---\nsummary: The thing is mended\nconfidence: high\n\
    artifacts: src/a.rs, src/b.rs\n---END HANDOFF---";

/// The notifications of an issue, as they were delivered: title and payload.
async fn notifications(desk: &Desk<'_>) -> Vec<Value> {
    let path = "/api/v1/journal?entry_type=notification.delivered&order=asc&limit=100";
    let page = desk.server.get(path).send().await.expect(200);
    page["entries"].as_array().unwrap().iter().map(|entry| entry["payload"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_refused_for_the_first_reason_and_else_gives_the_agent_one_task() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let start = async |issue: &str| desk.post(issue, "start", Value::Null).await;
    start("ENG-9").await.refused(404, "Issue not found");
    for status in ["IN_PROGRESS", "REVIEW", "DONE", "FAILED", "CANCELLED"] {
        let issue = desk.issue_in(status).await;
        let detail = format!("Issue must be in BACKLOG or TODO to start (current: {status})");
        start(&issue).await.refused(400, &detail);
    }
    let issue = desk.issue("Mend it").await;
    start(&issue).await.refused(400, "Issue must have an assignee before starting");
    desk.change(&issue, json!({ "assignee_id": server.owner })).await.expect(200);
    start(&issue).await.refused(400, "Issue must be assigned to an agent before starting");
    server
        .patch(format!("/api/v1/agents/{}", desk.lead))
        .json(json!({ "lead_mode": "passive" }))
        .send()
        .await
        .expect(200);
    desk.change(&issue, json!({ "assignee_id": desk.lead })).await.expect(200);
    start(&issue).await.refused(400, "Lead agent is passive; add tasks before starting");
    desk.change(&issue, json!({ "assignee_id": desk.hand, "description": "Please" })).await.expect(200);
    let told = server.post(format!("{}/start", desk.at(&issue))).body("not json").send().await;
    assert!(told.header("taffrail-cursor").is_some());
    assert_eq!(told.expect(200), json!({ "status": "IN_PROGRESS", "identifier": issue }));
    let shown = desk.show(&issue).await;
    assert!(shown["started_at"].is_string() && shown["completed_at"].is_null());
    assert_eq!(desk.log(&issue).await.last().unwrap(), "status_changed: BACKLOG → IN_PROGRESS");

    let work = desk.claim().await;
    assert_eq!((&work["purpose"], &work["iteration"]), (&json!("TASK"), &json!(1)));
    assert_eq!((&work["mission_id"], &work["chat_id"]), (&shown["id"], &shown["id"]));
    let brief = &work["brief"];
    assert_eq!(
        (&brief["mission"]["identifier"], &brief["task"]["title"]),
        (&json!(issue), &json!("Mend it"))
    );
    assert!(text(&brief["prompt"]).contains("Please"));
    let runs = desk.read(&issue, "runs").await;
    assert_eq!((runs.len(), &runs[0]["status"], &runs[0]["duration_ms"]), (1, &json!("RUNNING"), &json!(0)));
    assert_eq!((&runs[0]["id"], &runs[0]["agent_name"]), (&work["id"], &json!("eng-hand")));
    let keys: Vec<&String> = runs[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["agent_name", "duration_ms", "id", "started_at", "status", "task"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_starts_at_once_one_wins_and_there_is_one_task() {
    let server: &'static Server = Box::leak(Box::new(Server::begin().await));
    let desk = server.desk("eng").await;
    for _ in 0..10 {
        let issue = desk.assigned("Race").await;
        let path = format!("{}/start", desk.at(&issue));
        let (one, two) = tokio::join!(server.post(&*path).send(), server.post(&*path).send());
        let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
        won.expect(200);
        match lost.status {
            409 => lost.refused(409, "Issue was already started by another request"),
            // It came when everything was over.
            _ => lost.refused(400, "Issue must be in BACKLOG or TODO to start (current: IN_PROGRESS)"),
        }
        desk.claim().await;
        let state = server.get(format!("{}/state?at=head", desk.at(&issue))).send().await.expect(200);
        assert_eq!(state["tasks"].as_array().unwrap().len(), 1);
        assert_eq!(desk.read(&issue, "runs").await.len(), 1);
        // The next one has nothing to do with this one's agent.
        desk.post(&issue, "stop", Value::Null).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_finished_comes_back_is_looked_at_and_done_again_with_the_note() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.assigned("Mend it").await;
    desk.post(&issue, "comments", json!({ "body": "Mind the gap" })).await.expect(201);
    desk.post(&issue, "start", Value::Null).await.expect(200);
    let work = desk.claim().await;
    assert!(text(&work["brief"]["prompt"]).contains("Mind the gap"));
    desk.report(&work, json!({ "status": "COMPLETED", "result_summary": HANDOFF })).await.expect(200);

    let shown = desk.show(&issue).await;
    assert_eq!((&shown["status"], &shown["completed_at"]), (&json!("REVIEW"), &Value::Null));
    let said = desk.read(&issue, "comments").await.pop().unwrap();
    let expected = "**eng-hand completed their work** (confidence: high)\n\nThe thing is mended\n\n\
        **Artifacts:** src/a.rs, src/b.rs";
    assert_eq!((&said["body"], &said["author_type"]), (&json!(expected), &json!("agent")));
    assert_eq!((&said["author_id"], &said["author_name"]), (&json!(desk.hand), &json!("eng-hand")));
    let activity = desk.read(&issue, "activity").await;
    let line = activity.iter().find(|line| line["action"] == "task_completed").unwrap();
    assert_eq!((&line["actor_type"], &line["actor_name"]), (&json!("agent"), &json!("eng-hand")));
    assert_eq!(line["details"], expected);
    let moved = activity.iter().find(|line| line["details"] == "IN_PROGRESS → REVIEW").unwrap();
    assert_eq!(
        ["actor_type", "actor_id", "actor_name"].map(|name| text(&moved[name])),
        ["system", "system", "System"]
    );
    let run = desk.read(&issue, "runs").await.pop().unwrap();
    assert_eq!((&run["status"], run["ended_at"].is_string()), (&json!("COMPLETED"), true));
    assert!(text(&run["result_summary"]).starts_with("All of it."));
    let told = notifications(&desk).await;
    assert_eq!((told.len(), &told[0]["title"]), (1, &json!("ENG-1 ready for review")));
    assert_eq!((&told[0]["body"], &told[0]["target_role"]), (&json!("Mend it"), &json!("MANAGER")));
    let payload = json!({ "mission_id": shown["id"], "issue_identifier": "ENG-1", "new_status": "REVIEW" });
    assert_eq!(told[0]["payload"], payload);

    // What agents say stands until somebody who manages takes it away.
    let at = format!("{}/comments/{}", desk.at(&issue), text(&said["id"]));
    server
        .patch(&*at)
        .json(json!({ "body": "x" }))
        .send()
        .await
        .refused(403, "Only the author can edit a comment");
    let manager = server.member(Role::Manager).await;
    let refused = server.delete(&*at).with_token(&manager).send().await;
    refused.refused(403, "Only the author or an admin can delete a comment");
    server.delete(&*at).send().await.expect(204);

    let review = async |body: Value| desk.post(&issue, "review", body).await;
    let raw = server.post(format!("{}/review", desk.at(&issue))).body("{").send().await;
    raw.refused(400, "Invalid JSON body");
    let action = "action must be 'approve' or 'request_changes'";
    desk.post("ENG-9", "review", json!({ "action": "maybe" })).await.refused(400, action);
    desk.post("ENG-9", "review", json!({ "action": "approve" })).await.refused(404, "Issue not found");
    let nobody = json!({ "action": "request_changes", "reassign_to": "nobody" });
    review(nobody).await.refused(400, "reassign_to does not exist in this workspace");
    let back = review(json!({ "action": "request_changes", "comment": "Mend it better" })).await.expect(200);
    assert_eq!(back, json!({ "status": "ok", "action": "request_changes" }));
    assert_eq!(desk.show(&issue).await["status"], "TODO");
    let note = "Changes requested: Mend it better";
    assert_eq!(desk.read(&issue, "comments").await.pop().unwrap()["body"], note);
    assert!(desk.log(&issue).await.contains(&format!("review_changes_requested: {note}")));
    let late = "Issue must be in REVIEW or IN_PROGRESS to review (current: TODO)";
    review(json!({ "action": "approve" })).await.refused(400, late);

    desk.post(&issue, "start", Value::Null).await.expect(200);
    let work = desk.claim().await;
    assert_eq!((&work["iteration"], &work["brief"]["review_note"]), (&json!(2), &json!(note)));
    assert!(text(&work["brief"]["prompt"]).contains("Mend it better"));
    desk.report(&work, json!({ "status": "COMPLETED", "result_summary": "Better now" })).await.expect(200);
    let said = desk.read(&issue, "comments").await.pop().unwrap();
    assert_eq!(said["body"], "**eng-hand completed their work**\n\nBetter now");
    assert_eq!(notifications(&desk).await.len(), 2, "once for each round");
    let runs = desk.read(&issue, "runs").await;
    assert_eq!((runs.len(), &runs[0]["id"]), (2, &work["id"]), "newest first, every attempt");
    let done = review(json!({ "action": "approve" })).await.expect(200);
    assert_eq!(done, json!({ "status": "ok", "action": "approve" }));
    let shown = desk.show(&issue).await;
    assert_eq!((&shown["status"], shown["completed_at"].is_string()), (&json!("DONE"), true));
    assert_eq!(desk.read(&issue, "comments").await.pop().unwrap()["body"], "Approved");
    let state = server.get(format!("{}/state?at=head", desk.at(&issue))).send().await.expect(200);
    assert_eq!((state["tasks"].as_array().unwrap().len(), &state["tasks"][0]["iteration"]), (1, &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_may_hand_an_issue_to_somebody_else() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.issue_in("IN_PROGRESS").await;
    let back = json!({ "action": "request_changes", "reassign_to": "eng-hand" });
    desk.post(&issue, "review", back).await.expect(200);
    let shown = desk.show(&issue).await;
    assert_eq!((&shown["status"], &shown["assignee_id"]), (&json!("TODO"), &json!(desk.hand)));
    let log = desk.log(&issue).await;
    for line in [
        "status_changed: IN_PROGRESS → TODO".to_owned(),
        "review_changes_requested: Changes requested".to_owned(),
        format!("assignee_changed: assignee_id: {}", desk.hand),
    ] {
        assert!(log.contains(&line), "{line} in {log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_mentioned_is_called_and_answers_with_a_comment() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let issue = desk.issue("Ask").await;
    let body =
        format!("What of it, [@hand](crewship:agent/{}) `[@x](crewship:agent/{})`?", desk.hand, desk.lead);
    desk.post(&issue, "comments", json!({ "body": body })).await.expect(201);
    let work = desk.claim().await;
    assert_eq!((&work["purpose"], &work["brief"]["agent_id"]), (&json!("MENTION"), &json!(desk.hand)));
    desk.report(&work, json!({ "status": "COMPLETED", "result_summary": "Nothing much" })).await.expect(200);
    let said = desk.read(&issue, "comments").await.pop().unwrap();
    assert_eq!((&said["body"], &said["author_id"]), (&json!("Nothing much"), &json!(desk.hand)));
    let log = desk.log(&issue).await;
    assert!(log.contains(&format!("mentioned: {}", desk.hand)), "{log:?}");
    assert_eq!(desk.read(&issue, "runs").await[0]["status"], "COMPLETED");
    let shown = desk.show(&issue).await;
    assert_eq!((&shown["status"], &shown["assignee_id"]), (&json!("BACKLOG"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_work_and_what_comes_late_changes_nothing() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let idle = desk.issue("Idle").await;
    let detail = "Issue must be IN_PROGRESS or REVIEW to stop (current: BACKLOG)";
    desk.post(&idle, "stop", Value::Null).await.refused(400, detail);
    desk.post("ENG-9", "stop", Value::Null).await.refused(404, "Issue not found");
    let issue = desk.assigned("Stop me").await;
    desk.post(&issue, "start", Value::Null).await.expect(200);
    let work = desk.claim().await;
    let stopped = server.post(format!("{}/stop", desk.at(&issue))).body("[").send().await.expect(200);
    assert_eq!(stopped, json!({ "status": "CANCELLED", "identifier": issue }));
    let before = desk.show(&issue).await;
    assert!(before["completed_at"].is_string());
    let (log, comments) = (desk.log(&issue).await, desk.read(&issue, "comments").await);
    assert_eq!(log.last().unwrap(), "status_changed: IN_PROGRESS → CANCELLED");
    let late = desk.report(&work, json!({ "status": "COMPLETED", "result_summary": HANDOFF })).await;
    assert!([200, 409].contains(&late.status), "{late:?}");
    assert_eq!(desk.show(&issue).await, before);
    assert_eq!((desk.log(&issue).await, desk.read(&issue, "comments").await), (log, comments));
    let state = server.get(format!("{}/state?at=head", desk.at(&issue))).send().await.expect(200);
    let task = &state["tasks"][0];
    assert_eq!((&task["status"], &task["error_message"]), (&json!("SKIPPED"), &json!("issue stopped")));
    assert_eq!(desk.read(&issue, "runs").await[0]["status"], "CANCELLED");
    assert_eq!(notifications(&desk).await.len(), 0);

    // Once more, in one step.
    desk.post(&idle, "retry", Value::Null)
        .await
        .refused(400, "Issue must be in FAILED or CANCELLED to retry (current: BACKLOG)");
    let again = desk.post(&issue, "retry", Value::Null).await.expect(200);
    assert_eq!(again, json!({ "status": "IN_PROGRESS", "identifier": issue }));
    assert_eq!(desk.show(&issue).await["completed_at"], Value::Null);
    let work = desk.claim().await;
    assert_eq!(work["iteration"], 2);
    desk.report(
        &work,
        json!({ "status": "FAILED", "error_message": format!("no luck{}\nat all", ".".repeat(300)) }),
    )
    .await
    .expect(200);
    let shown = desk.show(&issue).await;
    assert_eq!((&shown["status"], &shown["completed_at"]), (&json!("FAILED"), &Value::Null));
    let said = desk.read(&issue, "comments").await.pop().unwrap();
    let dots = ".".repeat(300);
    assert_eq!(said["body"], format!("**eng-hand encountered an issue.** Error: no luck{dots}\nat all"));
    let run = desk.read(&issue, "runs").await.remove(0);
    assert_eq!(
        (&run["status"], &run["error_message"]),
        (&json!("FAILED"), &json!(format!("no luck{}…", &dots[..193])))
    );
    assert!(
        desk.log(&issue).await.iter().any(|line| line.starts_with("task_failed: **eng-hand encountered"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn work_on_what_is_approved_moved_or_deleted_meanwhile_is_not_wanted_any_more() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let begun = async || {
        let issue = desk.assigned("Begun").await;
        desk.post(&issue, "start", Value::Null).await.expect(200);
        let work = desk.claim().await;
        (issue, work)
    };
    let (approved, one) = begun().await;
    desk.post(&approved, "review", json!({ "action": "approve", "comment": "Good enough" }))
        .await
        .expect(200);
    let (done, two) = begun().await;
    desk.change(&done, json!({ "status": "DONE" })).await.expect(200);
    let (bulk, three) = begun().await;
    assert_eq!(desk.bulk(&[&bulk], json!({ "status": "CANCELLED" })).await.expect(200)["updated"], 1);
    let (deleted, four) = begun().await;
    desk.post(&deleted, "stop", Value::Null).await.expect(200);
    desk.delete(&deleted).await.expect(204);
    for work in [one, two, three, four] {
        let late = desk.report(&work, json!({ "status": "COMPLETED", "result_summary": HANDOFF })).await;
        assert!([200, 409].contains(&late.status), "{late:?}");
    }
    for (issue, status) in [(&approved, "DONE"), (&done, "DONE"), (&bulk, "CANCELLED")] {
        assert_eq!(desk.show(issue).await["status"], status);
        assert_eq!(desk.read(issue, "runs").await[0]["status"], "CANCELLED", "{issue}");
    }
    // By hand it is in progress too, and no agent's business.
    let by_hand = desk.assigned("By hand").await;
    desk.change(&by_hand, json!({ "status": "IN_PROGRESS" })).await.expect(200);
    assert_eq!(desk.read(&by_hand, "runs").await, Vec::<Value>::new());
    let none = server.post("/api/v1/worker/tasks/claim").json(json!({ "wait_seconds": 0 })).send().await;
    assert_eq!(none.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_plans_an_issue_and_the_issue_follows_its_tasks() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let body = json!({ "title": "Plan it", "assignee_type": "agent", "assignee_id": desk.lead });
    let issue = text(&desk.create(body).await["identifier"]);
    desk.post(&issue, "start", Value::Null).await.expect(200);
    let planning = desk.claim().await;
    assert_eq!(planning["purpose"], "PLANNING");
    assert_eq!(planning["brief"]["agent_id"], desk.lead);
    let plan = json!({ "tasks": [{ "title": "First", "assigned_to": "eng-hand" }] });
    desk.report(&planning, json!({ "status": "COMPLETED", "answer": plan })).await.expect(200);
    let work = desk.claim().await;
    assert_eq!(work["brief"]["agent_id"], desk.hand);
    assert_eq!(work["brief"]["task"]["title"], "First");
    desk.report(&work, json!({ "status": "COMPLETED", "result_summary": "done" })).await.expect(200);
    assert_eq!(desk.show(&issue).await["status"], "REVIEW");
    let runs = desk.read(&issue, "runs").await;
    let ids: Vec<&Value> = runs.iter().map(|run| &run["id"]).collect();
    assert_eq!(ids, [&work["id"], &planning["id"]], "planning is work too");
}
