//! Bad input on every route, made from the OpenAPI document, so that no route is forgotten: whatever is
//! sent, nothing breaks, what is refused changes nothing, and strangers learn nothing.

use axum::http::Method;
use serde_json::{Value, json};
use taffrail_domain::roster::Role;
use taffrail_projections::World;

use super::attachments::Form;
use super::contract::{Operation, operations};
use super::internal::Insider;
use super::server::{Reply, Server};

/// Stands in everything the first workspace holds: it must never be told to a stranger.
const SECRET: &str = "keepsake";

/// What paths and bodies may name, in one workspace.
struct Ids {
    workspace: String,
    token: String,
    by_name: Vec<(&'static str, String)>,
}

impl Ids {
    fn get(&self, name: &str) -> &str {
        self.by_name.iter().find(|(known, _)| *known == name).map_or("unknown", |(_, id)| id)
    }

    /// A path of the document with real ids in it.
    fn path(&self, operation: &Operation) -> String {
        let names = operation.parameters("path");
        let fill = |path: String, name: &&str| path.replace(&format!("{{{name}}}"), self.get(name));
        names.iter().fold(operation.path.to_owned(), fill)
    }
}

/// A workspace with one of everything.
async fn furnished(server: &Server, workspace: String, token: String, slug: &str) -> Ids {
    let ask = async |method: Method, path: String, body: Value| {
        let asking = server.ask(method, path).with_token(&token).in_workspace(&workspace);
        asking.json(body).send().await
    };
    let id = |reply: Reply| reply.body["id"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned();
    let named = |name: &str| format!("{SECRET} {slug} {name}");
    let crews = async |name: &str| {
        let body = json!({ "name": named(name), "slug": format!("{slug}-{name}"), "description": SECRET });
        id(ask(Method::POST, "/api/v1/crews".into(), body).await)
    };
    let (crew, other) = (crews("one").await, crews("two").await);
    let lead = json!({
        "name": named("lead"), "slug": format!("{slug}-lead"), "crew_id": crew, "agent_role": "LEAD",
    });
    let agent = id(ask(Method::POST, "/api/v1/agents".into(), lead).await);
    let body = json!({ "title": named("mission"), "lead_agent_id": agent });
    let mission = id(ask(Method::POST, format!("/api/v1/crews/{crew}/missions"), body).await);
    let tasks = format!("/api/v1/crews/{crew}/missions/{mission}/tasks");
    let task = id(ask(Method::POST, tasks, json!({ "title": named("task") })).await);
    let checkpoints = format!("/api/v1/missions/{mission}/checkpoints");
    let checkpoint = id(ask(Method::POST, checkpoints, json!({ "label": named("label") })).await);
    let link = json!({ "from_crew_id": crew, "to_crew_id": other });
    let connection = id(ask(Method::POST, "/api/v1/crew-connections".into(), link).await);
    let owner = server.app.instance().world().state.workspaces[&*workspace].owner.to_string();
    let members = format!("/api/v1/crews/{crew}/members");
    let seat = id(ask(Method::POST, members, json!({ "user_id": owner })).await);
    let list = server.get("/api/v1/journal").with_token(&token).in_workspace(&workspace).send().await;
    let entry = list.body["entries"][0]["id"].as_str().unwrap().to_owned();
    let issued = ask(Method::POST, "/api/v1/auth/cli-token".into(), json!({ "name": named("token") })).await;
    let chat = id(ask(Method::POST, format!("/api/v1/agents/{agent}/chats"), json!({})).await);
    let (approval, assignment, run) = worked(server, &workspace, &token, (&crew, &agent)).await;
    let question = json!({ "workspace_id": workspace, "crew_id": crew, "chat_id": chat,
        "from_slug": format!("{slug}-lead"), "reason": SECRET, "type": "LINK" });
    let (_, escalation) = Insider::of(server).post("escalations", question).await;
    let escalation = escalation["escalation_id"].as_str().expect("raised").to_owned();
    let sorting =
        async |path: &str, body: Value| id(ask(Method::POST, format!("/api/v1/{path}"), body).await);
    let label = sorting("labels", json!({ "name": named("label"), "color": "red" })).await;
    let project = sorting("projects", json!({ "name": named("project"), "description": SECRET })).await;
    let milestones = format!("projects/{project}/milestones");
    let milestone = sorting(&milestones, json!({ "name": named("milestone") })).await;
    let view = json!({ "name": named("view"), "filters_json": SECRET });
    let view = sorting("saved-views", view).await;
    let rule = json!({ "name": named("rule"), "pattern": SECRET, "match_type": "exact" });
    let rule = sorting("triage-rules", rule).await;
    let template = json!({ "crew_id": crew, "title": named("template"), "cron_expression": "0 0 1 1 *" });
    let template = sorting("recurring-issues", template).await;
    let (mate, _) = server.member_of(&workspace, &format!("{slug}mate"), Role::Member).await;
    let (pipeline, pipeline_run, waitpoint) = routine(server, &workspace, &token, slug).await;
    let issues = format!("/api/v1/crews/{crew}/issues");
    let issue = json!({ "title": named("issue"), "description": SECRET });
    let issue = id(ask(Method::POST, issues.clone(), issue).await);
    let other_issue = id(ask(Method::POST, issues.clone(), json!({ "title": named("other issue") })).await);
    let comments = format!("{issues}/{issue}/comments");
    let comment = id(ask(Method::POST, comments, json!({ "body": named("comment") })).await);
    let blocks = json!({ "target_identifier": other_issue, "relation_type": "blocks" });
    let relation = id(ask(Method::POST, format!("{issues}/{issue}/relations"), blocks).await);
    let form = Form::with("file", &format!("{SECRET}.txt"), SECRET.as_bytes());
    let asking = server.post(format!("{issues}/{issue}/attachments")).with_token(&token);
    let attachment = id(asking.in_workspace(&workspace).form(form).send().await);
    let by_name = vec![
        ("attachmentId", attachment),
        ("userId", mate.to_string()),
        ("labelId", label),
        ("projectId", project.clone()),
        ("milestoneId", milestone.clone()),
        ("viewId", view),
        ("ruleId", rule),
        ("recurringId", template),
        ("pipelineSlug", pipeline),
        ("pipelineRunId", pipeline_run),
        ("waitpointToken", waitpoint),
        ("chatId", chat),
        ("approvalId", approval),
        ("escalationId", escalation),
        ("assignmentId", assignment),
        ("runId", run),
        ("workspaceId", workspace.clone()),
        ("crewId", crew.clone()),
        ("agentId", agent.clone()),
        ("missionId", mission.clone()),
        ("taskId", task.clone()),
        ("checkpointId", checkpoint),
        ("connectionId", connection),
        ("memberId", seat),
        ("entryId", entry.clone()),
        ("tokenId", id(issued)),
        ("identifier", issue),
        ("commentId", comment),
        ("relationId", relation),
        // What bodies name.
        ("lead_agent_id", agent.clone()),
        ("assigned_agent_id", agent.clone()),
        ("crew_id", crew.clone()),
        ("from_crew_id", crew),
        ("to_crew_id", other),
        ("user_id", owner),
        ("depends_on", task),
        ("at", entry),
        ("project_id", project),
        ("milestone_id", milestone),
        ("assignee_id", agent),
        ("parent_issue_id", other_issue.clone()),
        ("target_identifier", other_issue.clone()),
        ("before", other_issue.clone()),
        ("after", other_issue),
    ];
    Ids { workspace, token, by_name }
}

/// A routine whose run waits for people: its slug, the run, and the token that decides.
async fn routine(server: &Server, workspace: &str, token: &str, slug: &str) -> (String, String, String) {
    let base = format!("/api/v1/workspaces/{workspace}/pipelines");
    let post = async |path: String, body: Value| {
        let asking = server.post(path).with_token(token).in_workspace(workspace);
        asking.json(body).send().await
    };
    let slug = format!("{slug}-routine");
    let definition =
        json!({ "steps": [{ "id": "a", "type": "wait", "kind": "approval", "prompt": SECRET }] });
    let saved = json!({ "slug": slug, "name": SECRET, "definition": definition, "skip_test_gate": true });
    post(format!("{base}/save"), saved).await.expect(201);
    let begun = post(format!("{base}/{slug}/run"), json!({})).await.expect(200);
    let text = |key: &str| begun[key].as_str().unwrap().to_owned();
    (slug, text("run_id"), text("waitpoint_token"))
}

/// A mission under way: one task waits for an approver, another one a worker has, with a lease that outlasts
/// the test. The question, the assignment and its run.
async fn worked(
    server: &Server,
    workspace: &str,
    token: &str,
    (crew, agent): (&str, &str),
) -> (String, String, String) {
    let ask = async |method: Method, path: &str, body: Value| {
        let asking = server.ask(method, path).with_token(token).in_workspace(workspace);
        asking.json(body).send().await.body
    };
    let post = async |path: &str, body: Value| ask(Method::POST, path, body).await;
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned();
    let missions = format!("/api/v1/crews/{crew}/missions");
    let mission = json!({ "title": format!("{SECRET} running"), "lead_agent_id": agent });
    let mission = format!("{missions}/{}", text(&post(&missions, mission).await["id"]));
    for is_held in [true, false] {
        let title = format!("{SECRET} worked");
        let task = json!({ "title": title, "assigned_agent_id": agent, "approval_required": is_held });
        post(&format!("{mission}/tasks"), task).await;
    }
    post(&format!("{mission}/start"), Value::Null).await;
    let claim = json!({ "wait_seconds": 30, "lease_seconds": 3600 });
    let held = post("/api/v1/worker/tasks/claim", claim.clone()).await;
    let report = json!({ "fence": held["fence"], "status": "COMPLETED", "result_summary": SECRET });
    ask(Method::PATCH, &format!("/api/v1/worker/tasks/{}", text(&held["id"])), report).await;
    let approvals = ask(Method::GET, "/api/v1/approvals", Value::Null).await;
    let claimed = post("/api/v1/worker/tasks/claim", claim).await;
    let (id, fence) = (text(&claimed["id"]), text(&claimed["fence"]));
    let output = format!("/api/v1/worker/tasks/{id}/output?fence={fence}");
    server.post(output).with_token(token).in_workspace(workspace).body(SECRET).send().await.expect(200);
    (text(&approvals["rows"][0]["id"]), id, text(&claimed["run_id"]))
}

/// Two workspaces that know nothing of each other, and a member of the first who may only read.
struct Stage {
    server: Server,
    own: Ids,
    foreign: Ids,
    viewer: String,
}

impl Stage {
    async fn set() -> Self {
        let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
        let own = furnished(&server, server.workspace.clone(), server.token.clone(), "own").await;
        let foreign = furnished(&server, other, stranger, "foreign").await;
        let viewer = server.member(Role::Viewer).await;
        Self { server, own, foreign, viewer }
    }

    /// Where every log ends: what is refused must leave them there.
    fn heads(&self) -> Vec<u64> {
        let workspaces = [&self.own.workspace, &self.foreign.workspace];
        let heads = workspaces.iter().map(|id| {
            let writer = self.server.app.workspace(&(&***id).into()).unwrap();
            writer.world().head().0
        });
        heads.chain([self.server.app.instance().world().head().0]).collect()
    }

    /// Sends one request and checks what holds for every one of them.
    async fn send(&self, what: &str, operation: &Operation, path: &str, token: &str, body: Vec<u8>) -> Reply {
        self.send_in(what, operation, path, (token, &self.own.workspace), body).await
    }

    async fn send_in(
        &self,
        what: &str,
        operation: &Operation,
        path: &str,
        (token, workspace): (&str, &str),
        body: Vec<u8>,
    ) -> Reply {
        let before = self.heads();
        let asking = self.server.ask(operation.method(), path).in_workspace(workspace).body(body);
        let asking = if token.is_empty() { asking.without_token() } else { asking.with_token(token) };
        let reply = asking.send().await;
        let shown = format!("{what}: {} {}", operation.method, &path[..path.len().min(200)]);
        // 503 is for a disk or a journal that is out of order, and here neither is.
        assert!(reply.status < 500, "{shown}: {reply:?}");
        if reply.status >= 400 {
            assert_eq!(self.heads(), before, "{shown} was refused and changed something: {reply:?}");
        }
        let text = reply.body.to_string();
        assert!(!text.contains("panicked") && !text.contains("src/"), "{shown}: {text}");
        reply
    }
}

/// A body that fits the schema as far as its required members go: as good as none of these routes needs.
fn harmless(operation: &Operation) -> Vec<u8> {
    if operation.body().is_some() { b"{}".to_vec() } else { vec![] }
}

/// Routes that anybody may call have no caller to refuse.
fn needs_caller(operation: &Operation) -> bool {
    operation.told["security"] != json!([])
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_token_a_role_and_a_workspace_of_theirs() {
    let stage = Stage::set().await;
    for operation in operations().iter().filter(|operation| needs_caller(operation)) {
        let path = stage.own.path(operation);
        for token in ["", "nonsense", "crewship_cli_0000"] {
            let reply = stage.send("no token", operation, &path, token, harmless(operation)).await;
            assert_eq!(reply.status, 401, "{} {path}: {reply:?}", operation.method);
        }
        let Some(permission) = operation.told["x-taffrail-permission"].as_str() else { continue };
        let reply = stage.send("low role", operation, &path, &stage.viewer, harmless(operation)).await;
        if operation.method == "get" && permission == "read" {
            assert!(reply.status <= 400, "{path}: {reply:?}");
        } else {
            // An agent's create reads its body first: the role depends on the crew in it.
            assert_eq!(reply.status, 403, "{} {path}: {reply:?}", operation.method);
        }
        let outsider = (&*stage.foreign.token, &*stage.own.workspace);
        let reply = stage.send_in("outsider", operation, &path, outsider, harmless(operation)).await;
        assert_eq!(reply.status, 403, "{} {path}: {reply:?}", operation.method);
        assert!(!reply.body.to_string().contains(SECRET), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspaces_ids_answer_like_ids_that_never_were() {
    let stage = Stage::set().await;
    let (token, workspace) = (&*stage.own.token, &*stage.own.workspace);
    for operation in operations().iter().filter(|operation| needs_caller(operation)) {
        for name in operation.parameters("path") {
            let with = |id: &str| {
                let hole = format!("{{{name}}}");
                let other = operation.path.split('/').map(|part| if part == hole { id } else { part });
                let path = other.collect::<Vec<_>>().join("/");
                let left = operation.parameters("path").into_iter().filter(|other| *other != name);
                left.fold(path, |path, name| path.replace(&format!("{{{name}}}"), stage.own.get(name)))
            };
            let ask = async |id: &str| {
                let path = with(id);
                let caller = (token, workspace);
                let mut reply = stage.send_in("ids", operation, &path, caller, harmless(operation)).await;
                if let Some(problem) = reply.body.as_object_mut() {
                    problem.remove("instance");
                    problem.remove("request_id");
                }
                (reply.status, reply.body)
            };
            let foreign = ask(stage.foreign.get(name)).await;
            let shown = format!("{} {} {name}: {foreign:?}", operation.method, operation.path);
            let is_nothing = foreign.1 == json!([]) || foreign.1 == json!({ "messages": [] });
            assert!(foreign.0 != 200 || is_nothing, "{shown}");
            assert!(!foreign.1.to_string().contains(SECRET), "{shown}");
            assert_eq!(foreign, ask("cunknown0000000000000000000").await, "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_or_query_may_hold_anything() {
    let stage = Stage::set().await;
    let long = "x".repeat(2_000);
    let strange = ["", "%00", "%ff%fe", "%F0%9F%A6%80", "-1", "a%2Fb", "'%22%3C", "null", &long];
    let numbers = ["0", "-1", "1.5", "99999999999999999999999", "NaN", "true", "%20", "2026-99-99T00:00:00Z"];
    for operation in operations() {
        for name in operation.parameters("path") {
            for value in strange {
                let path = operation.path.replace(&format!("{{{name}}}"), value);
                let left = operation.parameters("path").into_iter();
                let path = left.fold(path, |path, name| path.replace(&format!("{{{name}}}"), "cnone"));
                stage.send("path", &operation, &path, &stage.own.token, harmless(&operation)).await;
            }
        }
        // A write with real ids would do what it says, whatever its query: only reads are asked so.
        let reads = operation.method == "get";
        let path = if reads { stage.own.path(&operation) } else { operation.path.replace(['{', '}'], "") };
        for name in operation.parameters("query") {
            for value in strange.iter().chain(&numbers) {
                let path = format!("{path}?{name}={value}&{name}=again&unknown=1");
                stage.send("query", &operation, &path, &stage.own.token, harmless(&operation)).await;
            }
        }
    }
}

/// Values of every other JSON type than the one a member wants, and strange ones of its own.
fn wrong_values(schema: &Value) -> Vec<(Value, bool)> {
    let sorts: Vec<&str> = match &schema["type"] {
        Value::String(sort) => vec![sort],
        Value::Array(sorts) => sorts.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let wants = |sort: &str| sorts.contains(&sort);
    let number = wants("number") || wants("integer");
    let mut values = vec![
        (json!({ "a": {} }), !wants("object")),
        (json!([[{}]]), true),
        (json!(true), !wants("boolean")),
        (json!("text"), !wants("string")),
        (json!(1.5), !wants("number")),
        (json!(12), !number),
        // A thing of the right type may still make no sense; nothing may break on it.
        (json!("\u{0}\u{7}\u{202e}"), false),
        (json!("x".repeat(70_000)), false),
        (json!(i64::MIN), false),
        (json!(u64::MAX), false),
        (json!(1e308), false),
        (json!(-1), false),
    ];
    if sorts.is_empty() {
        values.iter_mut().for_each(|(_, is_wrong)| *is_wrong = false);
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_anything() {
    let stage = Stage::set().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let large = format!("{{\"title\":\"{}\"}}", "x".repeat(1 << 20));
    for operation in operations() {
        let Some(schema) = operation.body() else { continue };
        let path = stage.own.path(&operation);
        let required = operation.told["requestBody"]["required"] == true;
        let send = async |what: &str, body: &[u8]| {
            stage.send(what, &operation, &path, &stage.own.token, body.to_vec()).await
        };
        // A clone takes no harm from a body it cannot read (`missions.md` 3.9).
        let lenient = operation.told["operationId"] == "clone_mission";
        for body in ["{", "[]", "1", "\"a\"", "{} {}", "{\"a\":}", "\u{feff}{}", &deep, "{\"a\":1,}"] {
            let reply = send("malformed", body.as_bytes()).await;
            assert!(reply.status == 400 || lenient, "{} {path} {body:.40}: {reply:?}", operation.method);
        }
        assert!(send("not utf-8", b"{\"title\":\"\xff\xfe\"}").await.status == 400 || lenient);
        assert_eq!(send("large", large.as_bytes()).await.status, 413, "{path}");
        if required {
            assert_eq!(send("empty", b"").await.status, 400, "{} {path}", operation.method);
        }
        for (name, member) in schema["properties"].as_object().unwrap() {
            for (value, is_wrong) in wrong_values(member) {
                let body = json!({ name: value, "unknown": [1] }).to_string();
                let reply = send("member", body.as_bytes()).await;
                if is_wrong && !lenient {
                    assert_eq!(reply.status, 400, "{} {path} {body:.80}: {reply:?}", operation.method);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspaces_ids_in_a_body_are_refused() {
    let stage = Stage::set().await;
    let mut tried = 0;
    for operation in operations() {
        let Some(schema) = operation.body() else { continue };
        let members = schema["properties"].as_object().unwrap();
        for (name, member) in members.iter().filter(|(name, _)| stage.foreign.get(name) != "unknown") {
            let is_list = member["type"].as_array().is_some_and(|sorts| sorts.contains(&json!("array")));
            let body = |ids: &Ids| {
                let id = ids.get(name);
                let id = match (&**name, is_list) {
                    ("depends_on", false) => json!(format!("[\"{id}\"]")),
                    (_, true) => json!([id]),
                    (_, false) => json!(id),
                };
                // All else as it must be, so that the foreign id is the one thing wrong.
                let mut body = json!({
                    "title": "a", "name": "name", "slug": "a-slug", "assignee_type": "agent",
                    "relation_type": "relates_to",
                });
                let is_known = |other: &String| other.ends_with("_id") && stage.own.get(other) != "unknown";
                for (other, _) in members.iter().filter(|(other, _)| is_known(other)) {
                    body[other] = json!(stage.own.get(other));
                }
                body[name] = id;
                body.to_string().into_bytes()
            };
            let path = stage.own.path(&operation);
            let reply =
                stage.send("foreign", &operation, &path, &stage.own.token, body(&stage.foreign)).await;
            let shown = format!("{} {path} {name}: {reply:?}", operation.method);
            assert!([400, 404].contains(&reply.status), "{shown}");
            assert!(!reply.body.to_string().contains(SECRET), "{shown}");
            tried += 1;
        }
    }
    assert!(tried >= 8, "{tried}");
}
