//! Routines over HTTP (`periphery.md` 10, 11 and 14; `client.md` 5.10).

use std::time::Duration;

use serde_json::{Value, json};
use taffrail_domain::issue::{IssueCommand, IssueDraft};
use taffrail_domain::roster::Role;
use taffrail_domain::{Actor, Time, WorkspaceId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::server::{Reply, Server};
use taffrail::writer::Wish;

/// How long something may take that the engine does.
const WATCHDOG: Duration = Duration::from_secs(60);

fn pipelines(server: &Server) -> String {
    format!("/api/v1/workspaces/{}/pipelines", server.workspace)
}

fn definition(steps: &Value) -> Value {
    json!({ "steps": steps })
}

/// A routine that its owner saved without looking back.
async fn routine(server: &Server, slug: &str, steps: Value) -> Value {
    let body = json!({ "slug": slug, "definition": definition(&steps), "skip_test_gate": true,
        "skip_governance_gate": true });
    server.post(format!("{}/save", pipelines(server))).json(body).send().await.expect(201)
}

async fn run(server: &Server, slug: &str, body: Value) -> Reply {
    server.post(format!("{}/{slug}/run", pipelines(server))).json(body).send().await
}

async fn record(server: &Server, run: &Value) -> Value {
    let id = run["run_id"].as_str().expect("a run").to_owned();
    server.get(format!("/api/v1/workspaces/{}/pipeline-runs/{id}", server.workspace)).send().await.expect(200)
}

/// The record once the run is over.
async fn over(server: &Server, run: &Value) -> Value {
    let writer = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    let mut published = writer.watch();
    let id = run["run_id"].as_str().expect("a run").to_owned();
    let is_over = published.wait_for(|world| !world.state.routines.runs[&*id].status.is_live());
    drop(tokio::time::timeout(WATCHDOG, is_over).await.expect("the run ends").expect("a world"));
    record(server, run).await
}

fn wait() -> Value {
    json!({ "id": "ask", "type": "wait", "kind": "approval", "prompt": "Go on?" })
}

fn transform(id: &str, input: Value) -> Value {
    json!({ "id": id, "type": "transform", "input": input })
}

async fn waitpoints(server: &Server, token: &str) -> Vec<Value> {
    let list =
        server.get(format!("{}/waitpoints", pipelines(server))).with_token(token).send().await.expect(200);
    list.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_routine_is_tested_saved_run_and_looked_at() {
    let server = Server::begin().await;
    let manager = server.member(Role::Manager).await;
    let base = pipelines(&server);
    let post = async |path: &str, body: Value| {
        server.post(format!("{base}/{path}")).with_token(&manager).json(body).send().await
    };
    let steps = json!([
        transform("a", json!({ "x": "{{ inputs.x }}" })),
        transform("b", json!("{{ steps.a.output.x }}"))
    ]);
    let definition = json!({ "name": "echo", "inputs": [{ "name": "x", "default": 1.0 }], "steps": steps });
    let failed = post("test_run", json!({ "definition": {}, "sample_inputs": null })).await.expect(200);
    assert_eq!((&failed["status"], &failed["save_token"]), (&json!("FAILED"), &json!("")));
    assert_eq!(failed["error_message"], "\"steps\" must be a non-empty array");
    let tested =
        post("test_run", json!({ "definition": definition, "author_crew_id": "x" })).await.expect(200);
    assert_eq!(
        (&tested["status"], tested["would_execute"].as_array().unwrap().len()),
        (&json!("DRY_RUN_OK"), 2)
    );
    let token = tested["save_token"].as_str().unwrap();

    let save = async |definition: &Value, token: &str| {
        let body = json!({ "slug": "echo", "name": "Echo", "description": "d", "definition": definition,
            "save_token": token });
        post("save", body).await
    };
    let gate = "save requires a fresh, passing test_run within 5 minutes (or skip_test_gate for OWNER/ADMIN)";
    post("save", json!({ "slug": "echo" })).await.refused(400, "slug + definition required");
    save(&json!({ "steps": [] }), token).await.refused(422, "\"steps\" must be a non-empty array");
    save(&definition, "").await.refused(422, gate);
    let mut other = definition.clone();
    other["steps"][0]["input"] = json!(2);
    save(&other, token).await.refused(422, gate);
    let body = json!({ "slug": "echo", "definition": definition, "save_token": token });
    server.post(format!("{base}/save")).json(body).send().await.refused(422, gate);
    let saved = save(&definition, token).await.expect(201);
    assert_eq!(
        (&saved["status"], &saved["name"], &saved["linked_issue_count"]),
        (&json!("active"), &json!("Echo"), &json!(0))
    );
    assert_eq!(saved["definition"], definition);
    let list = server.get(format!("{base}?order=popularity")).send().await.expect(200);
    assert_eq!((&list[0]["id"], list[0].get("definition")), (&saved["id"], None));
    server.get(format!("{base}/unknown")).send().await.refused(404, "pipeline not found");

    let answer = post(
        "echo/run",
        json!({ "inputs": { "x": [1, "two"] }, "tags": ["t"], "metadata": { "m": 1 },
        "tier_override": "x", "triggered_via": "nonsense" }),
    )
    .await
    .expect(200);
    assert_eq!((&answer["status"], &answer["output"]), (&json!("COMPLETED"), &json!("[1,\"two\"]")));
    assert_eq!(answer["step_outputs"], json!({ "a": "{\"x\":[1,\"two\"]}", "b": "[1,\"two\"]" }));
    assert!(answer["duration_ms"].is_u64() && answer["cost_usd"].is_f64(), "{answer}");
    assert!(answer["run_id"].as_str().unwrap().starts_with("run_"));
    let shown = record(&server, &answer).await;
    assert_eq!(
        (&shown["status"], &shown["mode"], &shown["triggered_via"]),
        (&json!("completed"), &json!("live"), &json!("manual"))
    );
    assert_eq!(
        (&shown["inputs"], &shown["step_outputs"]["b"]),
        (&json!({ "x": [1, "two"] }), &json!([1, "two"]))
    );
    assert_eq!((&shown["metadata"], &shown["tags"]), (&json!({ "m": 1 }), &json!(["t"])));
    let failing = json!([{ "id": "a", "type": "code", "code": "x" }]);
    routine(&server, "failing", failing).await;
    let failed = run(&server, "failing", json!({})).await.expect(200);
    assert_eq!((&failed["status"], &failed["failed_at_step"]), (&json!("FAILED"), &json!("a")));
    assert_eq!(failed["error_message"], "code needs a runtime");

    let dry = post("echo/dry_run", json!({ "inputs": {} })).await.expect(200);
    assert_eq!((&dry["status"], &dry["inputs"]), (&json!("DRY_RUN_OK"), &json!({ "x": 1.0 })));
    let told = server.get("/api/v1/journal?entry_type=pipeline.dry_run").send().await.expect(200);
    assert_eq!(told["entries"][0]["payload"]["pipeline_slug"], "echo", "{told}");
    let entries = server.get(format!("{base}/echo/runs?limit=20&include_steps=1")).send().await.expect(200);
    let types: Vec<&str> =
        entries.as_array().unwrap().iter().map(|row| row["entry_type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "pipeline.run.completed",
            "pipeline.step.completed",
            "pipeline.step.completed",
            "pipeline.run.started"
        ]
    );
    // They are the journal's own.
    for entry in entries.as_array().unwrap() {
        let id = entry["id"].as_str().unwrap();
        let shown = server.get(format!("/api/v1/journal/{id}")).send().await.expect(200);
        assert_eq!(
            (&shown["entry_type"], &shown["payload"]["run_id"]),
            (&entry["entry_type"], &answer["run_id"])
        );
    }
    let runs = format!("/api/v1/workspaces/{}/pipeline-runs", server.workspace);
    let list = server.get(format!("{runs}?pipeline_slug=echo")).send().await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 1, "neither a test nor a dry run is one");
    let list = server.get(format!("{base}/echo/run-records")).send().await.expect(200);
    assert_eq!(list[0]["id"], answer["run_id"]);
    server.get(format!("{runs}/run_0000000000000000")).send().await.refused(404, "pipeline run not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_vouches_for_five_minutes() {
    let server = Server::begin().await;
    let vault = server.app.vault();
    let (issued, minutes) = (Time(1_000_000), |count: u64| count * 60 * 1_000);
    let token = vault.tested("this", issued);
    assert!(vault.is_tested(&token, "this", issued));
    assert!(vault.is_tested(&token, "this", Time(issued.0 + minutes(5))));
    assert!(!vault.is_tested(&token, "this", Time(issued.0 + minutes(5) + 1)));
    assert!(!vault.is_tested(&token, "this", Time(issued.0 - 1)), "not before it was given");
    assert!(!vault.is_tested(&token, "that", issued));
    let later = token.replacen("1000000", "1300000", 1);
    assert!(!vault.is_tested(&later, "this", Time(1_300_000)), "its time is part of what is vouched for");
    for forged in ["", ".", "1000000", "1000000.", "x.y"] {
        assert!(!vault.is_tested(forged, "this", issued), "{forged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_runs_a_routine_once() {
    let server = Server::begin().await;
    routine(&server, "once", json!([transform("a", json!(1))])).await;
    let ask = async || {
        let path = format!("{}/once/run", pipelines(&server));
        server.post(path).header("idempotency-key", "k").json(json!({})).send().await.expect(200)
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!((&first["run_id"], &second["deduped"]), (&second["run_id"], &json!(true)));
    assert!(first.get("deduped").is_none());
    let shown = server.get(format!("{}/once", pipelines(&server))).send().await.expect(200);
    assert_eq!(
        (&shown["invocation_count"], &shown["last_invocation_status"]),
        (&json!(1), &json!("completed"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_decide_at_once_one_does_and_the_run_goes_on_once() {
    let server: &Server = Box::leak(Box::new(Server::begin().await));
    routine(server, "gate", json!([wait(), { "id": "tell", "type": "notify", "title": "went on" }])).await;
    let begun = run(server, "gate", json!({})).await.expect(200);
    assert_eq!((&begun["status"], &begun["current_step"]), (&json!("WAITING"), &json!("ask")));
    let viewer = server.member(Role::Viewer).await;
    let seen = waitpoints(server, &viewer).await;
    assert_eq!((seen.len(), &seen[0]["prompt"]), (1, &json!("Go on?")));
    assert!(seen[0].get("token").is_none() && seen[0].get("callback_url").is_none(), "{seen:?}");
    let open = waitpoints(server, &server.token).await;
    let token = open[0]["token"].as_str().unwrap().to_owned();
    assert_eq!((&open[0]["pipeline_run_id"], &begun["waitpoint_token"]), (&begun["run_id"], &json!(token)));
    let path = format!("{}/waitpoints/{token}/approve", pipelines(server));
    server
        .post(&*path)
        .with_token(&viewer)
        .json(json!({ "approved": true }))
        .send()
        .await
        .refused(403, "Forbidden");

    let mut asked = JoinSet::new();
    for number in 0..8 {
        let (path, callback) = (path.clone(), open[0]["callback_url"].as_str().unwrap().to_owned());
        asked.spawn(async move {
            match number % 2 {
                0 => server.post(path).json(json!({ "approved": true, "comment": "ok" })).send().await,
                _ => server.post(callback).without_token().without_workspace().send().await,
            }
        });
    }
    let replies = asked.join_all().await;
    let (done, late): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!((done.len(), &done[0].body), (1, &json!({ "ok": true, "approved": true })));
    late.iter().for_each(|reply| reply.refused(409, "waitpoint: already decided or expired"));
    assert_eq!(record(server, &begun).await["status"], "completed");
    let told =
        server.get("/api/v1/journal?entry_type=notification.delivered&limit=200").send().await.expect(200);
    let went_on = |entry: &&Value| entry["payload"]["title"] == "went on";
    assert_eq!(told["entries"].as_array().unwrap().iter().filter(went_on).count(), 1);
    assert!(!told.to_string().contains(&token), "a token is in the journal");
    let unknown = server.post(format!("/api/v1/waitpoint-tokens/{}", "0".repeat(32)));
    unknown.without_token().send().await.refused(409, "waitpoint: already decided or expired");
    assert!(waitpoints(server, &server.token).await.is_empty());

    // Left out, a member's word is no and a token's is yes.
    let begun = run(server, "gate", json!({})).await.expect(200);
    let token = begun["waitpoint_token"].as_str().unwrap().to_owned();
    let path = format!("{}/waitpoints/{token}/approve", pipelines(server));
    let denied = server.post(path).send().await.expect(200);
    assert_eq!(denied, json!({ "ok": true, "approved": false }));
    let shown = record(server, &begun).await;
    assert_eq!((&shown["status"], &shown["error_message"]), (&json!("failed"), &json!("waitpoint denied")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_time_is_over_within_a_second_or_so() {
    let server = Server::begin().await;
    routine(&server, "nap", json!([{ "id": "a", "type": "wait", "kind": "datetime", "seconds": 1 }])).await;
    let begun = run(&server, "nap", json!({})).await.expect(200);
    assert_eq!(begun["status"], "WAITING");
    let shown = over(&server, &begun).await;
    assert_eq!(shown["status"], "completed");
    // Far from the sweep, which comes every 30 s.
    assert!(shown["duration_ms"].as_u64().unwrap() < 10_000, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_is_there_after_a_start() {
    let server = Server::begin().await;
    routine(&server, "gate", json!([wait(), transform("b", json!("{{ inputs.x }}"))])).await;
    let begun = run(&server, "gate", json!({ "inputs": { "x": "kept" } })).await.expect(200);
    let server = server.reopened().await;
    let open = waitpoints(&server, &server.token).await;
    assert_eq!(open[0]["token"], begun["waitpoint_token"]);
    let path = open[0]["callback_url"].as_str().unwrap().to_owned();
    let decide = async |key: &str| {
        let asking = server.post(path.clone()).without_token().header("idempotency-key", key);
        asking.json(json!({ "payload": { "p": 1 } })).send().await
    };
    let first = decide("mine").await.expect(200);
    assert_eq!(decide("mine").await.expect(200), first, "as if the first answer had been lost");
    decide("another").await.refused(409, "waitpoint: already decided or expired");
    let shown = record(&server, &begun).await;
    assert_eq!(
        (&shown["output"], &shown["step_outputs"]["ask"]["payload"]),
        (&json!("kept"), &json!({ "p": 1 }))
    );
}

/// A server that gives one answer to each request, and tells the request.
async fn answering(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let told = tokio::spawn(async move {
        let mut asked = vec![];
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 << 10];
            let mut length = 0;
            loop {
                length += stream.read(&mut request[length..]).await.unwrap();
                let text = String::from_utf8_lossy(&request[..length]).into_owned();
                let body = text.split_once("\r\n\r\n").map(|(head, body)| (head.to_lowercase(), body.len()));
                let is_whole = body.is_some_and(|(head, have)| {
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    have >= length.map_or(0, |length| length.parse().unwrap())
                });
                if is_whole {
                    asked.push(text);
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        asked
    });
    (url, told)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_asks_another_server_where_the_operator_lets_it() {
    let server = Server::begin_reaching_private().await;
    let elsewhere =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2/\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (url, asked) = answering(vec![ok("{\"n\":41}"), elsewhere]).await;
    let http = |url: &str| {
        json!({ "id": "ask", "type": "http", "method": "POST", "url": format!("{url}/x?q={{{{ inputs.q }}}}"),
            "headers": { "x-key": "k" }, "body": { "q": "{{ inputs.q }}" } })
    };
    routine(&server, "hook", json!([http(&url), transform("n", json!("{{ steps.ask.output.body.n }}"))]))
        .await;
    let begun = run(&server, "hook", json!({ "inputs": { "q": "a" } })).await.expect(200);
    assert_eq!((&begun["status"], begun.get("waitpoint_token")), (&json!("WAITING"), None));
    assert_eq!(over(&server, &begun).await["output"], "41");
    // What points to another host is not followed: it is the answer.
    let begun = run(&server, "hook", json!({})).await.expect(200);
    assert_eq!(over(&server, &begun).await["step_outputs"]["ask"]["status"], 302);
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("POST /x?q=a HTTP/1.1\r\n") && asked[0].contains("x-key: k"), "{asked:?}");
    assert!(asked[0].ends_with("{\"q\":\"a\"}"), "{asked:?}");

    let steps = json!({ "steps": [http(&url)], "egress_targets": ["example.com"] });
    let body =
        json!({ "slug": "bound", "definition": steps, "skip_test_gate": true, "skip_governance_gate": true });
    server.post(format!("{}/save", pipelines(&server))).json(body).send().await.expect(201);
    let begun = run(&server, "bound", json!({})).await.expect(200);
    let shown = over(&server, &begun).await;
    assert_eq!(shown["error_message"], "127.0.0.1 is none of the routine's egress_targets");
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_refused_whatever_they_are_called() {
    let server = Server::begin().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "169.254.169.254"]
    {
        let url = format!("http://{host}:{port}/");
        routine(&server, "hook", json!([{ "id": "ask", "type": "http", "url": url }])).await;
        let begun = run(&server, "hook", json!({})).await.expect(200);
        let shown = over(&server, &begun).await;
        let message = shown["error_message"].as_str().unwrap();
        assert!(message.ends_with(" is a private address"), "{host}: {shown}");
    }
    let heard = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(heard.is_err(), "somebody was asked all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_runs_the_routine_it_is_bound_to() {
    let server = Server::begin().await;
    let crew = server.crew("one").await;
    server.lead(&crew, "lead").await;
    let saved =
        routine(&server, "hello", json!([transform("a", json!("{{ inputs.a }}{{ inputs.b }}"))])).await;
    let writer = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    let issue = async |routine: Option<&Value>| {
        let draft = IssueDraft {
            title: Some("An issue".into()),
            routine_id: routine.map(|id| id.as_str().unwrap().to_owned()),
            routine_inputs: routine.map(|_| json!({ "a": "x", "b": "y" })),
            ..IssueDraft::default()
        };
        let command = IssueCommand::Create { crew: crew.as_str().into(), draft: draft.into() }.into();
        let actor = Actor::User(server.owner.as_str().into());
        let done = writer.execute(Wish { command, actor, request: None }).await.unwrap();
        done.world.state.issues.all[&*done.entries[0].subject].identifier.to_string()
    };
    let (bound, free) = (issue(Some(&saved["id"])).await, issue(None).await);
    let path = |name: &str| format!("/api/v1/crews/{crew}/issues/{name}/run-routine");
    server.post(path(&free)).send().await.refused(400, "Issue has no routine bound");
    server.post(path("ENG-999")).send().await.refused(404, "Issue not found");
    let member = server.member(Role::Member).await;
    server.post(path(&bound)).with_token(&member).body("{").send().await.refused(403, "Forbidden");
    let answer = server.post(path(&bound)).json(json!({ "inputs": { "b": "z" } })).send().await.expect(200);
    assert_eq!((&answer["status"], &answer["output"]), (&json!("COMPLETED"), &json!("xz")));
    let shown = record(&server, &answer).await;
    assert_eq!((&shown["triggered_via"], &shown["triggered_by_id"]), (&json!("issue"), &json!(bound)));
    assert_eq!(shown["issue_identifier"], json!(bound));
    let list =
        server.get(format!("/api/v1/workspaces/{}/pipeline-runs?triggered_by_id={bound}", server.workspace));
    assert_eq!(list.send().await.expect(200)[0]["id"], answer["run_id"]);
    let run_id = answer["run_id"].as_str().unwrap();
    let noted = server.get("/api/v1/journal?entry_type=mission.status_change").send().await.expect(200);
    let noted = &noted["entries"][0]["payload"];
    assert_eq!((&noted["action"], &noted["details"]), (&json!("routine_started"), &json!(run_id)));
    // The journal finds a run's entries by its id.
    let own = server.get(format!("/api/v1/journal?run_id={run_id}&order=asc")).send().await.expect(200);
    assert_eq!(own["entries"][0]["entry_type"], "pipeline.run.started");
    let shown = server.get(format!("{}/hello", pipelines(&server))).send().await.expect(200);
    assert_eq!(
        (&shown["linked_issue_count"], &shown["linked_issues"][0]["identifier"]),
        (&json!(1), &json!(bound))
    );
    server.delete(format!("{}/hello", pipelines(&server))).send().await.expect(204);
    server.post(path(&bound)).send().await.refused(400, "Issue has no routine bound");
    // Its runs stay.
    assert_eq!(record(&server, &answer).await["pipeline_slug"], "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_run_says_why() {
    let server = Server::begin().await;
    let (base, manager) = (pipelines(&server), server.member(Role::Manager).await);
    let definition = json!({ "steps": [transform("a", json!(1))], "credentials": ["KEY"] });
    let body = json!({ "slug": "risky", "definition": definition, "skip_test_gate": true });
    server
        .post(format!("{base}/save"))
        .with_token(&manager)
        .json(body.clone())
        .send()
        .await
        .refused(403, "Forbidden");
    let saved = server.post(format!("{base}/save")).json(body).send().await.expect(201);
    assert_eq!((&saved["status"], &saved["risk_reasons"]), (&json!("proposed"), &json!(["credentials"])));
    let refused = run(&server, "risky", json!({})).await;
    refused.refused(409, "routine is awaiting approval");
    assert_eq!(
        (&refused.body["routine_status"], refused.body["hint"].is_string()),
        (&json!("proposed"), true)
    );
    let post = async |what: &str, token: &str| {
        server.post(format!("{base}/risky/{what}")).with_token(token).send().await
    };
    assert_eq!(post("approve", &manager).await.expect(200)["status"], "active");
    run(&server, "risky", json!({})).await.expect(200);
    post("disable", &manager).await.refused(403, "Forbidden");
    assert_eq!(post("disable", &server.token).await.expect(200)["status"], "disabled");
    run(&server, "risky", json!({})).await.refused(409, "routine is disabled");
    post("approve", &manager).await.refused(409, "routine is not awaiting approval");
    assert_eq!(post("enable", &server.token).await.expect(200)["status"], "active");
    run(&server, "unknown", json!({})).await.refused(404, "pipeline not found");
    let reply = run(&server, "risky", json!({ "inputs": [] })).await;
    assert_eq!(reply.status, 400, "{reply:?}");

    routine(&server, "gate", json!([wait()])).await;
    let begun = run(&server, "gate", json!({})).await.expect(200);
    let cancel = format!("{base}/runs/{}/cancel", begun["run_id"].as_str().unwrap());
    server.post(&*cancel).with_token(&manager).send().await.refused(403, "Forbidden");
    assert_eq!(server.post(&*cancel).send().await.expect(200)["status"], "CANCELLED");
    server.post(&*cancel).send().await.refused(409, "pipeline run has already ended (cancelled)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_knows_nothing_of_anothers_routines() {
    let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
    routine(&server, "gate", json!([wait()])).await;
    let begun = run(&server, "gate", json!({})).await.expect(200);
    let (id, token) = (begun["run_id"].as_str().unwrap(), begun["waitpoint_token"].as_str().unwrap());
    let foreign = server.get(pipelines(&server)).with_token(&stranger).in_workspace(&other).send().await;
    foreign.refused(403, "Not a member of this workspace");
    let own = format!("/api/v1/workspaces/{other}");
    let ask = |path: String| server.get(path).with_token(&stranger).in_workspace(&other);
    assert_eq!(ask(format!("{own}/pipelines")).send().await.expect(200), json!([]));
    assert_eq!(ask(format!("{own}/pipelines/waitpoints")).send().await.expect(200), json!([]));
    ask(format!("{own}/pipelines/gate")).send().await.refused(404, "pipeline not found");
    ask(format!("{own}/pipeline-runs/{id}")).send().await.refused(404, "pipeline run not found");
    let decide = server.post(format!("{own}/pipelines/waitpoints/{token}/approve"));
    let decide = decide.with_token(&stranger).in_workspace(&other).json(json!({ "approved": true }));
    decide.send().await.refused(409, "waitpoint: already decided or expired");
    assert_eq!(record(&server, &begun).await["status"], "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_changes_ends_by_what_routines_are_given_too() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let routine = routine(&server, "report", json!([transform("a", json!(1))])).await;
    let much = "x".repeat(60_000);
    for number in 0..150 {
        let body = json!({ "title": format!("Issue {number}"), "routine_id": routine["id"],
            "routine_inputs": { "much": much } });
        let path = format!("/api/v1/crews/{}/issues", desk.crew);
        server.post(path).json(body).send().await.expect(201);
    }
    let page = server.get("/api/v1/issues/changes?limit=500").send().await.expect(200);
    let told = page["changes"].as_array().unwrap().len();
    assert!((130..150).contains(&told), "8 MiB are some 140 of them: {told}");
    assert_eq!(page["has_more"], true);
}
