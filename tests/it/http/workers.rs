//! Workers over the ordinary listener, and what is shown of their work (`platform.md` 8.4, `journal.md` 6).

use axum::http::Method;
use serde_json::{Value, json};

use super::server::{OnMission, Reply, Server};

/// A mission under way with these tasks, all of its LEAD.
async fn under_way<'a>(server: &'a Server, slug: &str, tasks: &[Value]) -> OnMission<'a> {
    let mission = server.mission(slug).await;
    let lead = json!({ "lead_mode": "passive" });
    server.patch(format!("/api/v1/agents/{}", mission.lead)).json(lead).send().await.expect(200);
    for task in tasks {
        let mut task = task.clone();
        task["assigned_agent_id"] = json!(mission.lead);
        server.post(format!("{}/tasks", mission.path())).json(task).send().await.expect(201);
    }
    server.post(format!("{}/start", mission.path())).send().await.expect(200);
    mission
}

/// What a worker with a token holds.
struct Held<'a> {
    server: &'a Server,
    token: String,
    body: Value,
}

impl Held<'_> {
    fn text(&self, key: &str) -> String {
        self.body[key].as_str().unwrap_or_else(|| panic!("{key} in {}", self.body)).to_owned()
    }

    async fn post(&self, what: &str, mut body: Value) -> Reply {
        if body.get("fence").is_none() {
            body["fence"] = self.body["fence"].clone();
        }
        let path = format!("/api/v1/worker/tasks/{}/{what}", self.text("id"));
        self.server.post(path).with_token(&self.token).json(body).send().await
    }

    async fn output(&self, offset: usize, piece: &str) -> Reply {
        let (id, fence) = (self.text("id"), self.text("fence"));
        let path = format!("/api/v1/worker/tasks/{id}/output?fence={fence}&offset={offset}");
        self.server.post(path).with_token(&self.token).body(piece).send().await
    }

    async fn report(&self, mut body: Value) -> Reply {
        body["fence"] = self.body["fence"].clone();
        let path = format!("/api/v1/worker/tasks/{}", self.text("id"));
        self.server.ask(Method::PATCH, path).with_token(&self.token).json(body).send().await
    }
}

async fn claim<'a>(server: &'a Server, token: &str, wish: Value) -> Option<Held<'a>> {
    let reply = server.post("/api/v1/worker/tasks/claim").with_token(token).json(wish).send().await;
    match reply.status {
        204 => None,
        _ => Some(Held { server, token: token.to_owned(), body: reply.expect(200) }),
    }
}

/// The oldest work, which must come.
async fn given<'a>(server: &'a Server, token: &str) -> Held<'a> {
    claim(server, token, json!({ "wait_seconds": 30, "lease_seconds": 600 })).await.expect("work")
}

/// How many public entries of a type there are.
async fn count(server: &Server, entry_type: &str) -> usize {
    let path = format!("/api/v1/journal?limit=200&entry_type={entry_type}");
    server.get(path).send().await.expect(200)["entries"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_holds_until_its_report() {
    let server = Server::begin().await;
    let mission = under_way(&server, "one", &[json!({ "title": "a", "description": "Do a" })]).await;
    let held = given(&server, &server.token).await;
    assert_eq!((&held.body["purpose"], &held.body["iteration"]), (&json!("TASK"), &json!(1)));
    assert_eq!(held.body["mission_id"], mission.id.as_str());
    assert_eq!(held.body["brief"]["task"]["title"], "a");
    assert!(held.body.get("voice").is_none(), "over TCP an agent has no token");
    assert!(claim(&server, &server.token, json!({})).await.is_none(), "it is given once");

    let lost = "the assignment is not held by this claim any more";
    for what in ["heartbeat", "begin", "hand-back"] {
        held.post(what, json!({ "fence": "j_0000010000000001" })).await.refused(409, lost);
        assert_eq!(held.post(what, json!({ "fence": "nonsense" })).await.status, 400);
    }
    assert_eq!(
        held.post("heartbeat", json!({ "lease_seconds": 900 })).await.expect(200)["lease_seconds"],
        900
    );
    held.post("begin", json!({ "cmd": "agent --key=sk-abcdefghijklmnopqrst", "adapter": "a" }))
        .await
        .expect(200);
    assert_eq!(held.output(0, "hello ").await.expect(200)["bytes"], 6);
    assert_eq!(
        held.output(0, "hello ").await.expect(200)["bytes"],
        6,
        "a piece that comes twice counts once"
    );
    assert_eq!(held.output(99, "gap").await.status, 409);
    assert_eq!(held.output(6, "world, password=hunter2hunter2\n").await.expect(200)["bytes"], 37);

    held.report(json!({ "status": "DONE" }))
        .await
        .refused(400, "status must be one of: COMPLETED, FAILED, TIMEOUT, CANCELLED");
    let report = json!({ "status": "COMPLETED", "result_summary": "a is done", "exit_code": 0,
        "token_count": 12, "estimated_cost": 0.25, "duration_ms": 5,
        "usage": [{ "provider": "P", "model": "m", "input_tokens": 10, "output_tokens": 2, "cost_usd": 0.25 }] });
    let told = held.report(report.clone()).await.expect(200);
    assert_eq!((&told["status"], &told["task_status"]), (&json!("COMPLETED"), &json!("COMPLETED")));
    held.report(report).await.expect(200);
    assert_eq!(count(&server, "assignment.completed").await, 1, "a report counts once");
    held.post("heartbeat", json!({})).await.refused(409, lost);

    let shown = mission.show().await;
    let task = &shown["tasks"][0];
    assert_eq!((&task["result_summary"], &task["token_count"]), (&json!("a is done"), &json!(12)));
    assert_eq!(shown["status"], "REVIEW");
    let journal = server.get("/api/v1/journal?limit=200").send().await.expect(200).to_string();
    for secret in ["sk-abcdefghijklmnopqrst", "hunter2hunter2"] {
        assert!(!journal.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_shown_with_all_it_put_out() {
    let server = Server::begin().await;
    let mission = under_way(&server, "one", &[json!({ "title": "a" })]).await;
    let held = given(&server, &server.token).await;
    let run = held.text("run_id");
    held.output(0, "0123456789").await.expect(200);
    held.report(json!({ "status": "FAILED", "error_message": "no luck", "exit_code": 3 })).await.expect(200);

    let shown = server.get(format!("/api/v1/runs/{run}")).send().await.expect(200);
    assert_eq!((&shown["status"], &shown["exit_code"]), (&json!("FAILED"), &json!(3)));
    assert_eq!(shown["error_message"], "no luck");
    let list = server.get("/api/v1/runs?status=FAILED").send().await.expect(200);
    assert_eq!(list["data"][0]["id"], run.as_str(), "{list}");
    let none = server.get("/api/v1/runs?status=COMPLETED").send().await.expect(200);
    assert_eq!(none["data"], json!([]));
    let insights = server.get("/api/v1/runs/insights").send().await.expect(200);
    assert_eq!(insights["totals"]["total"], 1, "{insights}");
    let of_agent = server.get(format!("/api/v1/agents/{}/runs", mission.lead)).send().await.expect(200);
    assert_eq!(of_agent[0]["id"], run.as_str());

    let output = format!("/api/v1/runs/{run}/output");
    let whole = server.get(&output).send().await;
    assert_eq!((whole.status, &whole.body), (200, &json!("0123456789")));
    for (range, expected) in [("bytes=2-4", "234"), ("bytes=7-", "789"), ("bytes=-2", "89")] {
        let part = server.get(&output).header("range", range).send().await;
        assert_eq!((part.status, &part.body), (206, &json!(expected)), "{range}");
    }
    assert_eq!(server.get(&output).header("range", "bytes=50-").send().await.status, 416);
    let ended = server.get("/api/v1/journal?entry_type=run.failed").send().await.expect(200);
    let payload = &ended["entries"][0]["payload"];
    assert_eq!(payload["output_bytes"], 10);
    let sha256 = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
    assert_eq!(payload["output_sha256"], sha256);
    assert_eq!(count(&server, "exec.output_chunk").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_is_noted_once_and_changes_nothing() {
    let server = Server::begin().await;
    let mission = under_way(&server, "one", &[json!({ "title": "a" })]).await;
    let held = given(&server, &server.token).await;
    let cancel = json!({ "status": "CANCELLED" });
    server.patch(mission.path()).json(cancel).send().await.expect(200);
    assert_eq!(count(&server, "assignment.cancelled").await, 1);
    let before = mission.show().await;
    let detail = "the assignment is not held by this claim any more; the result was noted";
    for _ in 0..2 {
        let report = json!({ "status": "COMPLETED", "result_summary": "too late" });
        held.report(report).await.refused(409, detail);
    }
    assert_eq!(mission.show().await, before);
    assert_eq!(count(&server, "run.completed").await, 1, "noted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_is_given_to_the_next_one() {
    let server = Server::begin().await;
    under_way(&server, "one", &[json!({ "title": "a" })]).await;
    let held = given(&server, &server.token).await;
    held.post("hand-back", json!({})).await.expect(200);
    let again = given(&server, &server.token).await;
    assert_eq!(again.body["task_id"], held.body["task_id"]);
    assert_eq!(again.body["iteration"], 1, "nothing has failed");
    assert_ne!(again.text("id"), held.text("id"));
    held.report(json!({ "status": "COMPLETED" }))
        .await
        .refused(409, "the assignment is not held by this claim any more; the result was noted");
    again.report(json!({ "status": "CANCELLED", "error_message": "no disk" })).await.expect(200);
    assert_eq!(given(&server, &server.token).await.body["iteration"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_token_works_for_its_crews_and_does_nothing_else() {
    let server = Server::begin().await;
    under_way(&server, "one", &[json!({ "title": "a" })]).await;
    under_way(&server, "two", &[json!({ "title": "b" })]).await;
    let token = server.scoped(&["worker:two"]).await;
    let held = given(&server, &token).await;
    assert_eq!(held.body["brief"]["task"]["title"], "b");
    assert!(claim(&server, &token, json!({})).await.is_none(), "the other crew's is not for it");
    let any = server.scoped(&["worker"]).await;
    assert_eq!(given(&server, &any).await.body["brief"]["task"]["title"], "a");
    for path in ["/api/v1/missions", "/api/v1/journal", "/api/v1/approvals", "/api/v1/runs"] {
        server.get(path).with_token(&token).send().await.refused(403, "Forbidden");
    }
    let other = server.scoped(&["missions:write"]).await;
    let asking = server.post("/api/v1/worker/tasks/claim").with_token(&other).json(json!({}));
    asking.send().await.refused(403, "Forbidden");
    let viewer = server.member(taffrail_domain::roster::Role::Viewer).await;
    let asking = server.post("/api/v1/worker/tasks/claim").with_token(&viewer).json(json!({}));
    asking.send().await.refused(403, "Forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_result_is_decided_once() {
    let server = Server::begin().await;
    let held_task = json!({ "title": "a", "approval_required": true });
    let mission = under_way(&server, "one", &[held_task, json!({ "title": "b" })]).await;
    given(&server, &server.token).await.report(json!({ "status": "COMPLETED" })).await.expect(200);
    let list = server.get("/api/v1/approvals").send().await.expect(200);
    assert_eq!((&list["status"], &list["count"]), (&json!("pending"), &json!(1)));
    let row = &list["rows"][0];
    assert_eq!((&row["ID"], &row["Kind"]), (&row["id"], &json!("custom")));
    assert_eq!(row["MissionID"], mission.id.as_str());
    let decide = format!("/api/v1/approvals/{}/decide", row["id"].as_str().unwrap());
    let wrong = "status must be approved or denied";
    server.post(&decide).json(json!({ "status": "maybe" })).send().await.refused(400, wrong);
    let manager = server.member(taffrail_domain::roster::Role::Manager).await;
    let yes = json!({ "status": "approved", "comment": "good" });
    server.post(&decide).with_token(&manager).json(yes.clone()).send().await.refused(403, "Forbidden");
    let told = server.post(&decide).json(yes.clone()).send().await.expect(200);
    assert_eq!((&told["status"], &told["decided_by"]), (&json!("approved"), &json!(server.owner)));
    server.post(&decide).json(yes).send().await.refused(409, "already decided");
    let cancel = decide.replace("decide", "cancel");
    let detail = "approval is not pending (already decided or cancelled)";
    server.post(cancel).send().await.refused(409, detail);
    let shown = mission.show().await;
    assert_eq!(
        (&shown["tasks"][0]["status"], &shown["tasks"][0]["approval_status"]),
        (&json!("COMPLETED"), &json!("APPROVED"))
    );
    let all = server.get("/api/v1/approvals?status=all").send().await.expect(200);
    assert_eq!((&all["status"], &all["rows"][0]["DecisionComment"]), (&json!(""), &json!("good")));
    assert_eq!(count(&server, "approval.granted").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_set_whole_and_says_what_is_wrong() {
    let server = Server::begin().await;
    let crew = server.crew("one").await;
    let path = format!("/api/v1/crews/{crew}/policy");
    let shown = server.get(&path).send().await.expect(200);
    assert_eq!(shown, json!({ "crew_id": crew, "autonomy_level": "guided", "behavior_mode": "warn" }));
    let put = async |body: Value| server.ask(Method::PUT, &path).json(body).send().await;
    for (body, detail) in [
        (
            json!({ "autonomy_level": "wild" }),
            "policy: invalid autonomy_level \"wild\" (want strict|guided|trusted|full)",
        ),
        (json!({ "behavior_mode": "sulk" }), "policy: invalid behavior_mode \"sulk\" (want warn|block)"),
        (json!({ "autonomy_level": "full" }), "reason is required when setting autonomy_level=full"),
    ] {
        put(body).await.refused(400, detail);
    }
    let set = put(json!({ "autonomy_level": " trusted ", "reason": "they earned it" })).await.expect(200);
    assert_eq!((&set["autonomy_level"], &set["reason"]), (&json!("trusted"), &json!("they earned it")));
    assert_eq!(set["set_by_user_id"], server.owner.as_str());
    assert_eq!(put(json!({})).await.expect(200)["autonomy_level"], "guided", "it replaces all");
    assert_eq!(server.get("/api/v1/policies").send().await.expect(200)[0]["crew_id"], crew.as_str());
    assert_eq!(count(&server, "policy.changed").await, 2);
}
