//! Workspaces, people in crews, links between crews, and what agents are given.

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_made_listed_and_shown_by_its_owner() {
    let server = Server::begin().await;
    let make = async |body: Value| server.post("/api/v1/workspaces").json(body).send().await;
    make(json!({ "name": "a" })).await.refused(400, "name must be 2-100 characters");
    make(json!({ "name": "Acme", "slug": "x" })).await.refused(400, "slug must be 2-50 characters");
    let language = "invalid language \"Klingonish\" — use a name (e.g. Czech) or ISO code (e.g. cs)";
    make(json!({ "name": "Acme", "preferred_language": "Klingonish" })).await.refused(400, language);
    let made = make(json!({ "name": "Acme & Sons", "preferred_language": "cs" })).await.expect(201);
    assert_eq!((&made["slug"], &made["preferred_language"]), (&json!("acme-sons"), &json!("Czech")));
    assert!(made.get("currentUserRole").is_none() && made.get("_count").is_none());
    make(json!({ "name": "Acme & Sons" })).await.refused(409, "Workspace slug already taken");

    let list = server.get("/api/v1/workspaces?workspace_id=unknown").send().await.expect(200);
    let ids: Vec<&Value> = list.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&made["id"], &json!(server.workspace)], "newest first");
    assert_eq!((&list[0]["currentUserRole"], &list[0]["_count_members"]), (&json!("OWNER"), &json!(1)));

    // The known client sends the slug in the path and the id in the query (client.md 7, row 3).
    let (id, slug) = (made["id"].as_str().unwrap(), "acme-sons");
    let shown = server.get(format!("/api/v1/workspaces/{slug}?workspace_id={id}")).without_workspace();
    assert_eq!(shown.send().await.expect(200)["id"], id);
    let two = server.get(format!("/api/v1/workspaces/{slug}?workspace_id={}", server.workspace));
    two.send().await.refused(400, "workspace_id names another workspace than the path");
    let foreign = server.get("/api/v1/workspaces/unknown").without_workspace().send().await;
    foreign.refused(403, "Not a member of this workspace");

    // It is a workspace like any other, also after a start.
    let crew = json!({ "name": "Crew", "slug": "crew" });
    server.post("/api/v1/crews").in_workspace(slug).json(crew).send().await.expect(201);
    let id = id.to_owned();
    let server = server.reopened().await;
    let shown = server.get(format!("/api/v1/workspaces/{id}")).without_workspace().send().await.expect(200);
    assert_eq!((&shown["_count"]["crews"], &shown["preferred_language"]), (&json!(1), &json!("Czech")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_makes_one_workspace() {
    let server = Server::begin().await;
    let make = async || {
        let asking = server.post("/api/v1/workspaces").header("idempotency-key", "once");
        asking.json(json!({ "name": "Once" })).send().await
    };
    let (first, second) = (make().await, make().await);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.expect(201)["id"], second.expect(201)["id"]);
    assert_eq!(server.get("/api/v1/workspaces").send().await.expect(200).as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_join_crews_and_a_role_there_opens_its_agents() {
    let server = Server::begin().await;
    let (crew, other) = (server.crew("one").await, server.crew("two").await);
    let viewer = server.member(Role::Viewer).await;
    let user = server.get("/api/v1/auth/cli-token/validate").with_token(&viewer).send().await.text("user_id");
    let members = format!("/api/v1/crews/{crew}/members");
    let add = async |body: Value| server.post(&*members).json(body).send().await;
    add(json!({})).await.refused(400, "user_id is required");
    add(json!({ "user_id": "cunknown" })).await.refused(400, "User is not a member of this workspace");
    let seat = add(json!({ "user_id": user })).await.expect(201);
    assert_eq!(seat["user"]["email"], "viewer@example.org");
    assert!(seat.get("role").is_none() && seat["joined_at"] == seat["created_at"]);
    add(json!({ "user_id": user })).await.refused(409, "User is already a member of this crew");
    let agent = async |crew: &str, slug: &str| {
        let body = json!({ "name": "Agent", "slug": slug, "crew_id": crew });
        server.post("/api/v1/agents").with_token(&viewer).json(body).send().await
    };
    agent(&crew, "a").await.refused(403, "Forbidden");
    let path = format!("{members}/{}", seat["id"].as_str().unwrap());
    let raised = server.patch(&*path).json(json!({ "role": "MANAGER" })).send().await.expect(200);
    assert_eq!(raised, json!({ "status": "updated", "role": "MANAGER" }));
    agent(&crew, "ab").await.expect(201);
    agent(&other, "ac").await.refused(403, "Forbidden");
    let shown = server.get(format!("/api/v1/crews/{crew}")).send().await.expect(200);
    assert_eq!(shown["_count"], json!({ "agents": 1, "members": 1 }));
    // By the user's id too, where no row has it.
    let gone = server.delete(format!("{members}/{user}")).send().await.expect(200);
    assert_eq!(gone, json!({ "success": true }));
    server.delete(&*path).send().await.refused(404, "Crew member not found");
    assert_eq!(server.get(&*members).send().await.expect(200), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn crews_are_linked_once_and_unlinked() {
    let server = Server::begin().await;
    let (one, two) = (server.crew("one").await, server.crew("two").await);
    let link = async |from: &str, to: &str| {
        let body = json!({ "from_crew_id": from, "to_crew_id": to, "direction": "unidirectional" });
        server.post("/api/v1/crew-connections").json(body).send().await
    };
    link("x", &two).await.refused(400, "Invalid from_crew_id");
    link(&one, "x").await.refused(400, "Invalid to_crew_id");
    let id = link(&one, &two).await.expect(201)["id"].clone();
    assert_eq!(link(&one, &two).await.expect(200)["id"], id);
    let list = server.get("/api/v1/crew-connections").send().await.expect(200);
    assert_eq!(
        (&list[0]["from_crew_slug"], &list[0]["direction"]),
        (&json!("one"), &json!("unidirectional"))
    );
    let path = format!("/api/v1/crew-connections/{}", id.as_str().unwrap());
    server.delete(&*path).send().await.expect(204);
    server.delete(&*path).send().await.refused(404, "Crew connection not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_configured_stopped_and_given_a_webhook_secret() {
    let server = Server::begin().await;
    let crew = server.crew("one").await;
    let agent = server.lead(&crew, "lead").await;
    let path = format!("/api/v1/agents/{agent}");
    let change = async |body: Value| server.patch(&*path).json(body).send().await;
    change(json!({})).await.refused(400, "No fields to update");
    let cron = "schedule_cron must be a cron expression with five fields";
    change(json!({ "schedule_cron": "daily" })).await.refused(400, cron);
    change(json!({ "ask_forms": "{" })).await.refused(400, "ask_forms must be JSON");
    let all = json!({
        "suggested_prompts": "What is next?\nWhy?", "ask_forms": "[]", "schedule_cron": "0 9 * * 1-5",
        "schedule_prompt": "Report", "schedule_enabled": true, "webhook_require_timestamp": true,
    });
    let changed = change(all.clone()).await.expect(200);
    for (name, value) in all.as_object().unwrap() {
        assert_eq!(changed[name], *value, "{name}");
    }
    let stop = async || server.post(format!("{path}/stop")).send().await.expect(200);
    assert_eq!(stop().await, json!({ "id": agent, "status": "STOPPED" }));
    assert_eq!(stop().await, json!({ "id": agent, "status": "STOPPED" }));
    let moves = server.get("/api/v1/journal?entry_type=agent.status_change").send().await.expect(200);
    assert_eq!((&moves["count"], &moves["entries"][0]["payload"]["prev"]), (&json!(1), &json!("IDLE")));
    assert_eq!(server.get(format!("{path}/runs")).send().await.expect(200), json!([]));

    let rotate = async |key: &str| {
        server.post(format!("{path}/webhook-secret/rotate")).header("idempotency-key", key).send().await
    };
    let first = rotate("one").await;
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let secret = first.text("webhook_secret");
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    rotate("one").await.refused(409, "The secret was shown once and is not shown again");
    assert_ne!(rotate("two").await.text("webhook_secret"), secret);
    let shown = server.get(&*path).send().await.expect(200);
    assert_eq!(shown["webhook_secret_set"], true);
    let journal = server.get("/api/v1/journal?limit=500").send().await.expect(200);
    assert!(!journal.to_string().contains(&secret));
    let kept = server.kept_webhook_secret(&agent);
    let server = server.reopened().await;
    assert_eq!(server.kept_webhook_secret(&agent), kept);
    assert!(kept.is_some());
}
