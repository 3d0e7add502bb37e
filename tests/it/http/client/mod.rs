//! What the existing command line sends, as it sends it, and whether it could read the answers
//! (`client.md` 2, 3 and 5.2 to 5.10): its decoder stops at a wrong type, and never at a missing member.

mod tracker;

use axum::http::Method;
use serde_json::{Value, json};

use super::server::{Reply, Server};

/// The client with a stored token and a workspace configured by id or slug.
struct Cli<'a> {
    server: &'a Server,
    workspace: String,
}

impl Cli<'_> {
    /// `workspace_id` on every request, no header, a content type only with a body.
    async fn send(&self, method: Method, path: &str, body: Value) -> Reply {
        let mark = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{mark}workspace_id={}", self.workspace);
        let asking = self.server.ask(method, path).without_workspace().header("user-agent", "crewship/1.0");
        let asking = asking.header("accept-encoding", "gzip");
        if body.is_null() {
            return asking.send().await;
        }
        asking.header("content-type", "application/json").json(body).send().await
    }

    async fn get(&self, path: &str, shape: &str) -> Value {
        read(self.send(Method::GET, path, Value::Null).await, shape)
    }

    async fn post(&self, path: &str, body: Value, shape: &str) -> Value {
        read(self.send(Method::POST, path, body).await, shape)
    }
}

/// Decodes as the client does: `shape` is `name:sort` pairs, with `!` where it cannot go on without, in
/// brackets for a list, `-` for a body that is not read. Sorts: text, int, num, bool, object, texts, any.
#[track_caller]
fn read(reply: Reply, shape: &str) -> Value {
    assert!((200..300).contains(&reply.status), "{shape}: {reply:?}");
    if shape == "-" {
        return reply.body;
    }
    match shape.strip_prefix('[').and_then(|shape| shape.strip_suffix(']')) {
        Some(row) => {
            let rows = reply.body.as_array().unwrap_or_else(|| panic!("no bare list: {reply:?}"));
            rows.iter().for_each(|found| decode(found, row));
        }
        None => decode(&reply.body, shape),
    }
    reply.body
}

#[track_caller]
fn decode(body: &Value, shape: &str) {
    assert!(body.is_object(), "{body}");
    for wish in shape.split_whitespace() {
        let (name, sort) = wish.split_once(':').unwrap();
        let needed = sort.strip_suffix('!');
        let value = body.get(name).unwrap_or(&Value::Null);
        assert!(needed.is_none() || !value.is_null(), "{name} in {body}");
        let fits = match needed.unwrap_or(sort) {
            "text" => value.is_string(),
            "int" => value.is_i64() || value.is_u64(),
            "num" => value.is_number(),
            "bool" => value.is_boolean(),
            "object" => value.is_object(),
            "texts" => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            "list" => value.is_array(),
            _ => true,
        };
        assert!(fits || value.is_null(), "{name} is no {sort}: {value}");
    }
}

const MISSION: &str = "id:text! title:text status:text lead_agent_slug:text created_at:text crew_id:text! \
    task_stats:object description:text lead_agent_name:text completed_at:text tasks:list";
const CREW: &str = "id:text! name:text slug:text! description:text container_memory_mb:int container_cpus:num \
    network_mode:text network_mode_enforced:bool runtime_image:text cached_image:text _count:object color:text \
    icon:text container_ttl_hours:int allowed_domains:texts created_at:text warnings:texts services_json:text";
const AGENT: &str = "id:text! slug:text name:text agent_role:text status:text cli_adapter:text \
    memory_enabled:bool crew:object role_title:text tool_profile:text timeout_seconds:int created_at:text \
    schedule_cron:text schedule_prompt:text schedule_enabled:bool webhook_require_timestamp:bool \
    suggested_prompts:text ask_forms:text webhook_secret_set:bool _count:object crew_id:text";
const CHECKPOINT: &str = "id:text! mission_id:text label:text journal_cursor:text created_by:text \
    created_at:text fork_of:text";

#[tokio::test(flavor = "multi_thread")]
async fn the_existing_client_works_unchanged_with_an_id_and_with_a_slug() {
    let server = Server::begin().await;
    let list = server.get("/api/v1/workspaces").without_workspace().send().await.expect(200);
    for name in ["id", "slug"] {
        let workspace = list[0][name].as_str().unwrap().to_owned();
        let cli = Cli { server: &server, workspace };
        account(&cli).await;
        let (crew, agent) = roster(&cli, name).await;
        let mission = missions(&cli, &crew, &agent).await;
        checkpoints(&cli, &mission).await;
        tracker::issues(&cli, &crew, &agent).await;
        tracker::labels(&cli).await;
        tracker::projects(&cli, &crew, &agent).await;
        tracker::routines(&cli, &crew, name).await;
        work(&cli, &crew, &agent).await;
        journal(&cli).await;
    }
}

/// `token`, `whoami`, `config validate`, `workspace`.
async fn account(cli: &Cli<'_>) {
    let created =
        cli.post("/api/v1/auth/cli-token", json!({ "name": "CLI token" }), "token:text! id:text name:text");
    let created = created.await;
    let valid = "valid:bool! user_id:text email:text user_email:text expires_at:text";
    cli.get("/api/v1/auth/cli-token/validate", valid).await;
    let tokens = cli.get("/api/v1/auth/cli-tokens", "data:list!").await;
    tokens["data"].as_array().unwrap().iter().for_each(|row| {
        decode(row, "id:text name:text created_at:text last_used_at:text revoked_at:text");
    });
    let path = format!("/api/v1/auth/cli-tokens/{}", created["id"].as_str().unwrap());
    read(cli.send(Method::DELETE, &path, Value::Null).await, "-");
    let again = cli.send(Method::DELETE, "/api/v1/auth/cli-tokens/cunknown", Value::Null).await;
    assert_eq!(again.status, 404);
    cli.get("/api/v1/workspaces", "[id:text! name:text slug:text! currentUserRole:text!]").await;
    let shape = "id:text! name:text slug:text created_at:text logo_url:text preferred_language:text \
        allow_privileged_credentials:bool";
    cli.get(&format!("/api/v1/workspaces/{}", cli.workspace), shape).await;
}

/// `crew` and `agent` round trips: ids by slug from the first page, an unknown id is 404.
async fn roster(cli: &Cli<'_>, name: &str) -> (String, String) {
    let body =
        json!({ "name": format!("Crew {name}"), "slug": format!("crew-{name}"), "container_memory_mb": 512 });
    let crew = cli.post("/api/v1/crews", body, CREW).await["id"].as_str().unwrap().to_owned();
    let other =
        cli.post("/api/v1/crews", json!({ "name": "Other", "slug": format!("other-{name}") }), CREW).await;
    let slug = cli.send(Method::GET, &format!("/api/v1/crews/crew-{name}"), Value::Null).await;
    assert_eq!(slug.status, 404, "a slug is no id (trap 7)");
    let rows = cli.get("/api/v1/crews", &format!("[{CREW}]")).await;
    assert!(rows.as_array().unwrap().iter().any(|row| row["slug"] == format!("crew-{name}")));
    let path = format!("/api/v1/crews/{crew}");
    cli.get(&path, CREW).await;
    read(cli.send(Method::PATCH, &path, json!({ "issue_prefix": "ENG" })).await, "warnings:texts");
    for (word, row) in [
        ("assignments", "[task:text status:text assigned_by_slug:text assigned_to_slug:text]"),
        ("escalations", "[reason:text status:text]"),
        ("members", "[id:text user:object joined_at:text]"),
    ] {
        cli.get(&format!("{path}/{word}"), row).await;
    }
    let link = json!({ "from_crew_id": crew, "to_crew_id": other["id"], "direction": "bidirectional" });
    let link = cli.post("/api/v1/crew-connections", link, "id:text!").await;
    let row = "[id:text from_crew_slug:text to_crew_slug:text direction:text status:text created_at:text]";
    cli.get("/api/v1/crew-connections", row).await;
    let gone = format!("/api/v1/crew-connections/{}", link["id"].as_str().unwrap());
    read(cli.send(Method::DELETE, &gone, Value::Null).await, "-");

    // No slug: the server makes one (5.3).
    let lead = json!({
        "name": "Lead", "agent_role": "LEAD", "cli_adapter": "CLAUDE_CODE", "tool_profile": "CODING", "crew_id": crew,
    });
    let agent = cli.post("/api/v1/agents", lead, AGENT).await["id"].as_str().unwrap().to_owned();
    cli.get(&format!("/api/v1/agents?crew_id={crew}"), &format!("[{AGENT}]")).await;
    let path = format!("/api/v1/agents/{agent}");
    cli.get(&path, AGENT).await;
    read(
        cli.send(Method::PATCH, &path, json!({ "suggested_prompts": "a\nb", "schedule_enabled": false }))
            .await,
        "-",
    );
    cli.get(
        &format!("{path}/runs"),
        "[id:text status:text trigger_type:text created_at:text finished_at:text]",
    )
    .await;
    let secret = "webhook_secret:text! rotated_at:text";
    cli.post(&format!("{path}/webhook-secret/rotate"), Value::Null, secret).await;
    cli.post(&format!("{path}/stop"), Value::Null, "-").await;
    read(
        cli.send(Method::DELETE, &format!("/api/v1/crews/{}", other["id"].as_str().unwrap()), Value::Null)
            .await,
        "-",
    );
    (crew, agent)
}

/// `mission`: found by a prefix of eight characters in the first page, newest first.
async fn missions(cli: &Cli<'_>, crew: &str, agent: &str) -> String {
    let path = format!("/api/v1/crews/{crew}/missions");
    let created = json!({ "title": "Ship", "lead_agent_id": agent, "description": "it" });
    let mission = cli.post(&path, created, "id:text! title:text").await["id"].as_str().unwrap().to_owned();
    let rows = cli.get("/api/v1/missions", &format!("[{MISSION}]")).await;
    let first =
        rows.as_array().unwrap().iter().find(|row| row["id"].as_str().unwrap().starts_with(&mission[..9]));
    assert_eq!(first.unwrap()["id"], json!(mission), "the first hit counts (trap 14)");
    decode(&rows[0]["task_stats"], "total:int completed:int");
    cli.get(&path, &format!("[{MISSION}]")).await;
    let path = format!("{path}/{mission}");
    let task = cli.post(&format!("{path}/tasks"), json!({ "title": "One" }), "id:text! title:text").await;
    let more =
        json!({ "title": "Two", "depends_on": [task["id"]], "task_order": 2, "assigned_agent_id": agent });
    cli.post(&format!("{path}/tasks"), more, "id:text! title:text").await;
    let update = format!("{path}/tasks/{}", task["id"].as_str().unwrap());
    cli.post(&format!("{path}/start"), Value::Null, "-").await;
    for status in ["IN_PROGRESS", "FAILED"] {
        read(cli.send(Method::PATCH, &update, json!({ "status": status })).await, "-");
    }
    read(cli.send(Method::PATCH, &path, json!({ "title": "Shipped" })).await, "-");
    let resumed = cli.post(&format!("{path}/resume"), Value::Null, "reset_tasks:num!").await;
    assert_eq!(resumed["reset_tasks"], 2);
    read(cli.send(Method::PATCH, &path, json!({ "status": "CANCELLED" })).await, "-");
    cli.post(&format!("{path}/restart"), Value::Null, "-").await;
    let shown = cli.get(&path, MISSION).await;
    for task in shown["tasks"].as_array().unwrap() {
        decode(task, "id:text! title:text status:text agent_slug:text task_order:int");
    }
    let clone = cli.post(&format!("{path}/clone"), json!({ "title": "Again" }), "id:text! status:text").await;
    let clone = format!("/api/v1/crews/{crew}/missions/{}", clone["id"].as_str().unwrap());
    read(cli.send(Method::DELETE, &clone, Value::Null).await, "-");
    cli.get("/api/v1/mission-metrics", "total_missions:int").await;
    cli.get("/api/v1/metrics/timeseries?metric=cost_usd&range=24h", "buckets:list").await;
    mission
}

/// `checkpoint`, `{}` and all.
async fn checkpoints(cli: &Cli<'_>, mission: &str) {
    let path = format!("/api/v1/missions/{mission}/checkpoints");
    let made = cli.post(&path, json!({}), CHECKPOINT).await;
    cli.post(&path, json!({ "label": "green" }), CHECKPOINT).await;
    let list = cli.get(&path, "checkpoints:list! count:int mission_id:text").await;
    list["checkpoints"].as_array().unwrap().iter().for_each(|row| decode(row, CHECKPOINT));
    let one = format!("/api/v1/checkpoints/{}", made["id"].as_str().unwrap());
    let restored = "checkpoint:object! journal_cursor:text warn_divergence:texts!";
    cli.post(&format!("{one}/restore"), Value::Null, restored).await;
    cli.post(&format!("{one}/fork"), json!({}), "new_mission_id:text! new_checkpoint_id:text!").await;
    read(cli.send(Method::DELETE, &one, Value::Null).await, "-");
    assert_eq!(cli.send(Method::DELETE, &one, Value::Null).await.status, 404);
}

/// `journal` and its subcommands, and `activity`, which is a journal list too.
async fn journal(cli: &Cli<'_>) {
    let entry = "id:text! ts:text! entry_type:text severity:text summary:text actor_type:text crew_id:text \
        agent_id:text actor_id:text trace_id:text payload:object refs:object";
    let filters =
        "limit=50&entry_type=mission.created%2Ctask.created&severity=info&since=2020-01-01T00%3A00%3A00Z";
    let list = cli.get(&format!("/api/v1/journal?{filters}"), "entries:list! count:int").await;
    list["entries"].as_array().unwrap().iter().for_each(|row| decode(row, entry));
    let id = list["entries"][0]["id"].as_str().unwrap();
    cli.get(&format!("/api/v1/journal/{id}"), entry).await;
    cli.get(&format!("/api/v1/journal/count?{filters}&until=2100-01-01T00%3A00%3A00Z"), "total:int!").await;
    let marker = json!({ "priority": "high", "reason": "" });
    cli.post(&format!("/api/v1/journal/{id}/priority"), marker, "id:text priority:text previous:text").await;
    let names = cli.get("/api/v1/journal/lookup", "crews:list! agents:list! missions:list!").await;
    decode(&names["crews"][0], "id:text name:text slug:text icon:text color:text");
    decode(&names["agents"][0], "id:text name:text slug:text crew_id:text");
    decode(&names["missions"][0], "id:text title:text status:text");
    let proof = "workspace_id:text ok:bool! count:int! checkpoints:int broken_seq:int broken_id:text reason:text \
        breaks:list break_count:int breaks_truncated:bool repairable:list";
    assert_eq!(cli.get("/api/v1/admin/journal/verify", proof).await["ok"], true);
    let activity = "peer.conversation%2Cpeer.escalation%2Cassignment.created%2Cassignment.running";
    cli.get(&format!("/api/v1/journal?limit=50&entry_type={activity}"), "entries:list!").await;
}

const RUN: &str = "id:text! agent_id:text! chat_id:text workspace_id:text triggered_by:text trigger_type:text \
    status:text! started_at:text finished_at:text error_message:text exit_code:int model:text cli_version:text \
    api_key_source:text permission_mode:text session_id:text mcp_server_errors:list mcp_server_error_count:int \
    permission_denials:list created_at:text! agent_name:text agent_slug:text crew_name:text";

/// `mission start --wait`, `crew status`, `run`, `history`, `wait`, `approvals`: with work that a worker does.
async fn work(cli: &Cli<'_>, crew: &str, agent: &str) {
    let missions = format!("/api/v1/crews/{crew}/missions");
    let created = json!({ "title": "Worked", "lead_agent_id": agent });
    let mission = cli.post(&missions, created, "id:text!").await["id"].as_str().unwrap().to_owned();
    let path = format!("{missions}/{mission}");
    let task = json!({ "title": "Held", "assigned_agent_id": agent, "approval_required": true });
    cli.post(&format!("{path}/tasks"), task, "-").await;
    cli.post(&format!("{path}/start"), Value::Null, "-").await;

    // What a worker does meanwhile: the work itself, and the LEAD's review once a person has said yes.
    let work = async |report: Value| {
        let wish = json!({ "agent_id": agent, "wait_seconds": 30, "lease_seconds": 600 });
        let held = cli.send(Method::POST, "/api/v1/worker/tasks/claim", wish).await.expect(200);
        let mut report = report;
        report["fence"] = held["fence"].clone();
        let path = format!("/api/v1/worker/tasks/{}", held["id"].as_str().unwrap());
        cli.send(Method::PATCH, &path, report).await.expect(200);
        held
    };
    work(json!({ "status": "COMPLETED", "result_summary": "fine", "exit_code": 0 })).await;

    let approvals =
        cli.get("/api/v1/approvals?status=pending&limit=50", "rows:list! status:text count:int").await;
    let row = "id:text! crew_id:text agent_id:text mission_id:text kind:text reason:text status:text \
        requested_by:text decided_by:text created_at:text ID:text! Kind:text Reason:text Status:text";
    approvals["rows"].as_array().unwrap().iter().for_each(|found| decode(found, row));
    let approval = format!("/api/v1/approvals/{}", approvals["rows"][0]["id"].as_str().unwrap());
    cli.get(&approval, row).await;
    let yes = json!({ "status": "approved", "comment": "good" });
    cli.post(&format!("{approval}/decide"), yes, "status:text! decided_by:text!").await;

    let review = work(json!({ "status": "COMPLETED", "answer": { "verdict": "complete" } })).await;
    assert_eq!(review["purpose"], "REVIEW");
    assert_eq!(cli.get(&path, MISSION).await["status"], "COMPLETED", "what `start --wait` ends on");

    let assigned = "[task:text! status:text! assigned_by_slug:text assigned_to_slug:text]";
    let list = cli.get(&format!("/api/v1/crews/{crew}/assignments"), assigned).await;
    assert!(!list.as_array().unwrap().is_empty());
    let talked =
        "[id:text! from_name:text to_name:text question:text response:text status:text escalated:bool]";
    cli.get(&format!("/api/v1/crews/{crew}/peer-conversations?limit=20"), talked).await;

    let failing = json!({ "title": "Failing", "lead_agent_id": agent });
    let failing = cli.post(&missions, failing, "id:text!").await["id"].as_str().unwrap().to_owned();
    let failing = format!("{missions}/{failing}");
    let task = json!({ "title": "Fails", "assigned_agent_id": agent });
    cli.post(&format!("{failing}/tasks"), task, "-").await;
    cli.post(&format!("{failing}/start"), Value::Null, "-").await;
    let held = work(json!({ "status": "FAILED", "error_message": "no luck", "exit_code": 1 })).await;
    assert_eq!(cli.get(&failing, MISSION).await["status"], "FAILED", "the other end of `start --wait`");

    let run = held["run_id"].as_str().unwrap();
    assert!(!run.starts_with("run_") && !run.starts_with("prn_"), "trap 15");
    let all = cli.get("/api/v1/runs", "data:list!").await;
    all["data"].as_array().unwrap().iter().for_each(|found| decode(found, RUN));
    assert_eq!(cli.get(&format!("/api/v1/runs/{run}"), RUN).await["status"], "FAILED", "what `wait` ends on");
    let unknown = cli.send(Method::GET, "/api/v1/runs/cunknown", Value::Null).await;
    assert_eq!(unknown.status, 404);
    // The status is sent as it was typed.
    for word in ["failed", "FAILED"] {
        let path = format!("/api/v1/runs?limit=20&status={word}&agent_id={agent}");
        let history = cli.get(&path, "data:list!").await;
        assert_eq!(history["data"][0]["id"], run, "{word}");
    }
    let insights =
        cli.get("/api/v1/runs/insights?window=24h", "window:text totals:object! duration:object!").await;
    decode(&insights["totals"], "total:int! succeeded:int! failed:int! running:int!");
    decode(&insights["duration"], "p50_ms:int p95_ms:int");
    decode(&insights["top_agents"][0], "name:text crew_name:text");
    cli.get(
        &format!("/api/v1/chats/{}/messages?limit=10", held["chat_id"].as_str().unwrap()),
        "messages:list!",
    )
    .await;
    let chat = json!({ "mode": "CHAT", "origin": "CLI", "metadata": { "effort": "low" } });
    cli.post(&format!("/api/v1/agents/{agent}/chats"), chat, "id:text!").await;
    let row = "[id:text title:text status:text message_count:int started_at:text ended_at:text origin:text]";
    cli.get(&format!("/api/v1/agents/{agent}/chats"), row).await;
    cli.get("/api/v1/ws-token", "token:text!").await;
    let cancelled = cli.send(Method::POST, &format!("{approval}/cancel"), Value::Null).await;
    assert_eq!(cancelled.status, 409, "decided before");
}
