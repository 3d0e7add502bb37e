//! The backlog and its routines (`client.md` 5.7 and 5.10).

use axum::http::Method;
use serde_json::{Value, json};

use super::{Cli, decode, read};

const ISSUE: &str = "id:text! crew_id:text! crew_name:text crew_slug:text number:int identifier:text title:text \
    description:text status:text priority:text assignee_type:text assignee_id:text assignee_name:text \
    due_date:text mission_type:text created_by:object created_at:text updated_at:text labels:list \
    comment_count:int";

/// `issue`, as 5.7 has it: a reference is resolved by the server, and what it answers makes the path.
pub(super) async fn issues(cli: &Cli<'_>, crew: &str, agent: &str) {
    let made = json!({
        "title": "Mend", "priority": "none", "description": "it", "assignee_id": agent,
        "assignee_type": "agent", "labels": [], "due_date": "2026-02-28", "estimate": 3, "sort_order": 1.5,
        "project_id": "", "milestone_id": "", "parent_issue_id": "", "routine_id": "",
    });
    let path = format!("/api/v1/crews/{crew}/issues");
    let issue = cli.post(&path, made, ISSUE).await;
    decode(&issue["created_by"], "type:text id:text name:text");
    let other = cli.post(&path, json!({ "title": "Other", "priority": "high" }), ISSUE).await;
    let fetch = async |name: &Value| {
        let path = format!("/api/v1/issues/{}", name.as_str().unwrap());
        let found = cli.get(&path, ISSUE).await;
        let (crew, name) = (found["crew_id"].as_str().unwrap(), found["identifier"].as_str().unwrap());
        format!("/api/v1/crews/{crew}/issues/{name}")
    };
    let at = fetch(&issue["identifier"]).await;
    assert_eq!(at, fetch(&issue["id"]).await);
    let unknown = cli.send(Method::GET, "/api/v1/issues/ENG-999", Value::Null).await;
    assert_eq!(unknown.status, 404);
    let filters =
        format!("status=BACKLOG%2CTODO&priority=none&crew_id={crew}&assignee_id={agent}&search=mend");
    let rows = cli.get(&format!("/api/v1/issues?{filters}&limit=50"), &format!("[{ISSUE}]")).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);

    let patch = async |at: &str, body: Value| read(cli.send(Method::PATCH, at, body).await, "-");
    patch(&at, json!({ "title": "Mended", "status": "TODO", "due_date": "", "estimate": 5 })).await;
    // `--assignee ""` is null twice and nothing else (7, row 14).
    let cleared = patch(&at, json!({ "assignee_id": null, "assignee_type": null })).await;
    assert_eq!((&cleared["assignee_id"], &cleared["due_date"]), (&Value::Null, &Value::Null));
    patch(&at, json!({ "assignee_id": agent, "assignee_type": "agent" })).await;
    patch(&at, json!({ "routine_id": "" })).await;
    patch(&fetch(&other["id"]).await, json!({ "parent_issue_id": issue["id"] })).await;

    cli.post(&format!("{at}/comments"), json!({ "body": "So far" }), "-").await;
    let comment = "id:text! mission_id:text author_type:text author_id:text author_name:text body:text \
        created_at:text updated_at:text";
    let said = cli.get(&format!("{at}/comments"), &format!("[{comment}]")).await;
    assert_eq!(said[0]["body"], "So far");
    let link = json!({ "target_identifier": other["identifier"], "relation_type": "blocked_by" });
    cli.post(&format!("{at}/relations"), link.clone(), "-").await;
    let again = cli.send(Method::POST, &format!("{at}/relations"), link).await;
    assert_eq!(again.status, 409, "exit code 5");
    let relation = "id:text! source_id:text target_id:text relation_type:text target_identifier:text \
        target_title:text target_status:text created_at:text";
    let links = cli.get(&format!("{at}/relations"), &format!("[{relation}]")).await;
    assert_eq!(links[0]["relation_type"], "blocked_by");
    let gone = format!("/api/v1/relations/{}", links[0]["id"].as_str().unwrap());
    read(cli.send(Method::DELETE, &gone, Value::Null).await, "-");
    cli.get(&format!("{at}/subtasks"), &format!("[{ISSUE}]")).await;

    cli.post(&format!("{at}/start"), Value::Null, "-").await;
    let run = "id:text! status:text agent_name:text task:text started_at:text duration_ms:int \
        result_summary:text error_message:text";
    cli.get(&format!("{at}/runs"), &format!("[{run}]")).await;
    cli.post(&format!("{at}/review"), json!({ "action": "request_changes", "comment": "more" }), "-").await;
    cli.post(&format!("{at}/start"), Value::Null, "-").await;
    cli.post(&format!("{at}/stop"), Value::Null, "-").await;
    let activity = "id:text actor_type:text actor_name:text action:text details:text created_at:text";
    cli.get(&format!("{at}/activity"), &format!("[{activity}]")).await;
    let bulk = json!({ "ids": [issue["id"], other["id"]],
        "updates": { "priority": "low", "assignee_id": "", "project_id": "" } });
    let bulk = cli.send(Method::PATCH, "/api/v1/issues/bulk", bulk).await;
    assert_eq!(read(bulk, "updated:int!")["updated"], 2);
    let illegal = cli.send(Method::PATCH, &at, json!({ "status": "DONE" })).await;
    assert_eq!(illegal.status, 400, "exit code 2");
    for issue in [&issue, &other] {
        read(cli.send(Method::DELETE, &fetch(&issue["id"]).await, Value::Null).await, "-");
    }
}

/// `label list`, `create`, `update`, `delete`, and the issues that wear one.
pub(super) async fn labels(cli: &Cli<'_>) {
    const LABEL: &str = "id:text! name:text! color:text! label_group:text";
    let wish = json!({ "name": "flaky", "color": "#ff8800", "label_group": "kind" });
    let label = cli.post("/api/v1/labels", wish, LABEL).await;
    let path = format!("/api/v1/labels/{}", text(&label["id"]));
    read(cli.send(Method::PATCH, &path, json!({ "color": "#0088ff", "name": "flakes" })).await, "-");
    let rows = cli.get("/api/v1/labels", &format!("[{LABEL}]")).await;
    let told: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["name"], &row["color"])).collect();
    assert_eq!(told, [(&json!("flakes"), &json!("#0088ff"))]);
    read(cli.send(Method::DELETE, &path, Value::Null).await, "-");
    assert_eq!(cli.send(Method::DELETE, &path, Value::Null).await.status, 404);
}

/// `project` and `project milestone`, by id and by slug.
pub(super) async fn projects(cli: &Cli<'_>, crew: &str, agent: &str) {
    const PROJECT: &str = "id:text! name:text slug:text! description:text color:text status:text priority:text \
        health:text lead_name:text target_date:text issue_count:int done_count:int progress:int created_at:text";
    const MILESTONE: &str = "id:text! project_id:text name:text description:text target_date:text status:text \
        position:int issue_count:int done_count:int created_at:text updated_at:text";
    let wish = json!({ "name": "Big launch", "status": "planned", "priority": "none", "color": "blue",
        "description": "all of it", "target_date": "2030-01-31" });
    let project = cli.post("/api/v1/projects", wish, "id:text! name:text! slug:text!").await;
    let by_id = format!("/api/v1/projects/{}", text(&project["id"]));
    let lead = json!({ "lead_id": agent, "lead_type": "agent", "health": "at_risk", "icon": "rocket" });
    read(cli.send(Method::PATCH, &by_id, lead).await, "-");

    let milestones = format!("{by_id}/milestones");
    let wish = json!({ "name": "Beta", "target_date": "2029-12-31" });
    let milestone = cli.post(&milestones, wish, MILESTONE).await;
    let milestone_path = format!("/api/v1/milestones/{}", text(&milestone["id"]));
    read(cli.send(Method::PATCH, &milestone_path, json!({ "description": "first" })).await, "-");
    let issue = json!({ "title": "Launch", "priority": "none", "project_id": project["id"],
        "milestone_id": milestone["id"] });
    let issue = cli.post(&format!("/api/v1/crews/{crew}/issues"), issue, ISSUE).await;

    let by_slug = format!("/api/v1/projects/{}", text(&project["slug"]));
    let one = cli.get(&by_slug, PROJECT).await;
    assert_eq!((&one["issue_count"], &one["health"]), (&json!(1), &json!("at_risk")));
    assert!(one["lead_name"].is_string());
    assert_eq!(one, cli.get(&by_id, PROJECT).await);
    assert_eq!(cli.get("/api/v1/projects", &format!("[{PROJECT}]")).await, json!([one]));
    let rows = cli.get(&format!("{by_slug}/milestones"), &format!("[{MILESTONE}]")).await;
    assert_eq!((&rows[0]["description"], &rows[0]["issue_count"]), (&json!("first"), &json!(1)));
    let stats = "total_issues:int! completed_issues:int! by_status:object! by_assignee:list! by_label:list! \
        crews:texts!";
    let stats = cli.get(&format!("{by_id}/stats"), stats).await;
    assert_eq!(stats["by_status"], json!({ "BACKLOG": 1 }));

    read(cli.send(Method::DELETE, &milestone_path, Value::Null).await, "-");
    read(cli.send(Method::DELETE, &by_id, Value::Null).await, "-");
    assert_eq!(cli.send(Method::GET, &by_slug, Value::Null).await.status, 404);
    let left = cli.get(&format!("/api/v1/issues/{}", text(&issue["identifier"])), ISSUE).await;
    assert_eq!((&left["project_id"], &left["milestone_id"]), (&Value::Null, &Value::Null));
}

/// `routine save`, `get`, `list`, `run`, `wait --routine`, `dry-run`, `runs`, `waitpoints`, `delete`, and
/// `issue bind-routine`.
pub(super) async fn routines(cli: &Cli<'_>, crew: &str, slug: &str) {
    const ROUTINE: &str = "id:text! slug:text! name:text description:text dsl_version:text \
        definition_hash:text ephemeral:bool workspace_visible:bool invocation_count:int last_invoked_at:text \
        last_invocation_status:text author_crew_id:text author_agent_id:text author_user_id:text \
        authored_via:text status:text created_at:text updated_at:text integrations_required:texts";
    let base = format!("/api/v1/workspaces/{}/pipelines", cli.server.workspace);
    let steps = json!([
        { "id": "say", "type": "transform", "input": "{{ inputs.word }}" },
        { "id": "ask", "type": "wait", "kind": "approval", "prompt": "Go on?" },
    ]);
    let definition =
        json!({ "name": slug, "inputs": [{ "name": "word", "default": "aye" }], "steps": steps });
    let test = json!({ "definition": definition, "author_crew_id": crew, "sample_inputs": null });
    let told = "status:text! save_token:text error_message:text";
    let tested = cli.post(&format!("{base}/test_run"), test, told).await;
    assert_eq!(tested["status"], "DRY_RUN_OK", "trap 26");
    let save = json!({ "slug": slug, "name": slug, "description": "", "definition": definition,
        "author_crew_id": crew, "save_token": tested["save_token"] });
    let routine = cli.post(&format!("{base}/save"), save, ROUTINE).await;
    let path = format!("{base}/{slug}");
    assert_eq!(cli.get(&path, ROUTINE).await["id"], routine["id"]);
    let list = cli.get(&format!("{base}?order=popularity"), &format!("[{ROUTINE}]")).await;
    assert!(list.as_array().unwrap().iter().any(|row| row["slug"] == slug));
    let dry = json!({ "inputs": {} });
    cli.post(
        &format!("{path}/dry_run"),
        dry,
        "status:text! duration_ms:int cost_usd:num would_execute:list!",
    )
    .await;

    let answer = "run_id:text! status:text! output:text step_outputs:object duration_ms:int cost_usd:num \
        failed_at_step:text error_message:text waitpoint_token:text current_step:text pending_id:text \
        fire_at:text coalesced:bool";
    let run = cli.post(&format!("{path}/run"), json!({ "inputs": {} }), answer).await;
    assert_eq!(run["status"], "WAITING");
    let waitpoint = "[token:text! pipeline_run_id:text step_id:text kind:text prompt:text timeout_at:text \
        created_at:text callback_url:text]";
    let waiting = cli.get(&format!("{base}/waitpoints"), waitpoint).await;
    assert_eq!(waiting[0]["pipeline_run_id"], run["run_id"]);
    let yes = json!({ "approved": true, "comment": "go" });
    let token = text(&waiting[0]["token"]);
    cli.post(&format!("{base}/waitpoints/{token}/approve"), yes, "-").await;
    let record = "id:text! workspace_id:text pipeline_slug:text pipeline_name:text status:text! mode:text \
        current_step_id:text output:text started_at:text ended_at:text error_message:text \
        failed_at_step:text cost_usd:num duration_ms:int inputs:object step_outputs:object";
    let runs = format!("/api/v1/workspaces/{}/pipeline-runs", cli.server.workspace);
    let over = cli.get(&format!("{runs}/{}", text(&run["run_id"])), record).await;
    assert_eq!((&over["status"], &over["step_outputs"]["say"]), (&json!("completed"), &json!("aye")));
    let row = "[id:text! ts:text entry_type:text severity:text summary:text run_id:text]";
    let told = cli.get(&format!("{path}/runs?limit=20"), row).await;
    assert!(!told.as_array().unwrap().is_empty());

    let issue = json!({ "title": "Bound", "priority": "none", "routine_id": routine["id"] });
    let issue = cli.post(&format!("/api/v1/crews/{crew}/issues"), issue, ISSUE).await;
    let at = format!("/api/v1/crews/{crew}/issues/{}", text(&issue["identifier"]));
    read(cli.send(Method::PATCH, &at, json!({ "routine_id": "" })).await, "-");
    read(cli.send(Method::PATCH, &at, json!({ "routine_id": routine["id"] })).await, "-");
    read(cli.send(Method::DELETE, &path, Value::Null).await, "-");
    let gone = cli.send(Method::POST, &format!("{path}/run"), json!({ "inputs": {} })).await;
    assert_eq!(gone.status, 404, "what makes it fetch the list for a hint");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
