//! Crews and agents (`platform.md` 6.6, 6.7).

use axum::http::Method;
use serde_json::{Value, json};

use super::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_is_created_read_changed_deleted_and_its_slug_is_free_again() {
    let server = Server::begin().await;
    let body = json!({ "name": "Backend", "slug": "backend", "color": "teal", "allowed_domains": ["a.example.org"] });
    let created = server.post("/api/v1/crews").json(body.clone()).send().await.expect(201);
    let id = created["id"].as_str().unwrap();
    let path = format!("/api/v1/crews/{id}");
    assert!(id.starts_with('c') && (21..=32).contains(&id.len()), "{id}");
    assert_eq!(created["workspace_id"], server.workspace);
    assert_eq!(created["issue_prefix"], "BAC");
    assert_eq!((&created["container_memory_mb"], &created["network_mode"]), (&json!(4096), &json!("free")));
    assert_eq!(created["network_mode_enforced"], false);
    assert_eq!(created["_count"], json!({ "agents": 0, "members": 0 }));
    assert_eq!(server.get(&*path).send().await.expect(200), created);

    let changed = server.patch(&*path).json(json!({ "issue_prefix": "eng", "color": null })).send().await;
    let changed = changed.expect(200);
    assert_eq!((&changed["issue_prefix"], &changed["color"]), (&json!("ENG"), &Value::Null));
    assert_eq!(changed["name"], "Backend");
    let put = server.ask(Method::PUT, &*path).json(json!({ "name": "Back end" })).send().await.expect(200);
    assert_eq!((&put["name"], &put["slug"]), (&json!("Back end"), &json!("backend")));

    server.lead(id, "backend-lead").await;
    assert_eq!(server.get("/api/v1/crews").send().await.expect(200)[0]["_count"]["agents"], 1);
    assert_eq!(server.delete(&*path).send().await.expect(200)["success"], true);
    server.get(&*path).send().await.refused(404, "Crew not found");
    server.delete(&*path).send().await.refused(404, "Crew not found");
    assert_eq!(server.get("/api/v1/agents").send().await.expect(200), json!([]));
    server.post("/api/v1/crews").json(body).send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_that_breaks_a_rule_is_refused_with_its_text() {
    let server = Server::begin().await;
    server.crew("taken").await;
    let refused = async |body: Value, status: u16, detail: &str| {
        server.post("/api/v1/crews").json(body).send().await.refused(status, detail);
    };
    refused(json!({ "name": "x", "slug": "ok" }), 400, "name must be 2-100 characters").await;
    refused(json!({ "name": "xx", "slug": "a" }), 400, "slug must be 2-50 characters").await;
    let detail = "slug must contain only lowercase letters, numbers, hyphens, and underscores";
    refused(json!({ "name": "xx", "slug": "No" }), 400, detail).await;
    let body = json!({ "name": "xx", "slug": "no", "network_mode": "open" });
    refused(body, 400, "network_mode must be 'free' or 'restricted'").await;
    let body = json!({ "name": "xx", "slug": "no", "allowed_domains": ["a b"] });
    refused(body, 400, "invalid domain: \"a b\"").await;
    refused(json!({ "name": "xx", "slug": "taken" }), 409, "Crew slug already taken in this workspace").await;
    refused(json!({ "name": 5 }), 400, "Invalid JSON body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_bare_newest_first_and_their_pages_are_never_refused() {
    let server = Server::begin().await;
    for slug in ["one", "two", "three"] {
        server.crew(slug).await;
    }
    let slugs = async |query: &str| {
        let list = server.get(format!("/api/v1/crews?{query}")).send().await.expect(200);
        let slug = |crew: &Value| crew["slug"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(slug).collect::<Vec<_>>()
    };
    assert_eq!(slugs("").await, ["three", "two", "one"]);
    assert_eq!(slugs("limit=1&offset=1").await, ["two"]);
    for query in ["limit=0", "limit=-1", "limit=abc", "limit=100000", "offset=-1", "offset=abc"] {
        assert_eq!(slugs(query).await.len(), 3, "{query}");
    }
    assert!(slugs("offset=9").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_created_read_changed_and_deleted() {
    let server = Server::begin().await;
    let crew = server.crew("docs").await;
    let body = json!({ "name": "Writer", "slug": "writer", "crew_id": crew, "llm_provider": "ANTHROPIC" });
    let created = server.post("/api/v1/agents").json(body).send().await.expect(201);
    let path = format!("/api/v1/agents/{}", created["id"].as_str().unwrap());
    assert_eq!(
        created["crew"],
        json!({ "name": "Crew docs", "slug": "docs", "color": null, "avatar_style": null })
    );
    assert_eq!((&created["status"], &created["agent_role"]), (&json!("IDLE"), &json!("AGENT")));
    assert_eq!((&created["timeout_seconds"], &created["tool_profile"]), (&json!(1800), &json!("CODING")));
    assert_eq!(created["_count"], json!({ "skills": 0, "credentials": 0, "chats": 0 }));
    assert_eq!(created["created_by_user_id"], server.owner);
    assert!(created.get("webhook_secret_set").is_none());
    assert!(created.as_object().unwrap().contains_key("hire_reason"));
    assert_eq!(server.get(&*path).send().await.expect(200)["webhook_secret_set"], false);

    server.patch(&*path).json(json!({})).send().await.refused(400, "No fields to update");
    let changed =
        server.patch(&*path).json(json!({ "crew_id": null, "name": "Editor" })).send().await.expect(200);
    assert_eq!((&changed["crew"], &changed["name"]), (&Value::Null, &json!("Editor")));
    assert_eq!(server.get(format!("/api/v1/agents?crew_id={crew}")).send().await.expect(200), json!([]));
    assert_eq!(server.delete(&*path).send().await.expect(200), json!({ "success": true }));
    server.get(&*path).send().await.refused(404, "Agent not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crew_has_one_lead_and_a_promotion_swaps() {
    let server = Server::begin().await;
    let crew = server.crew("led").await;
    let first = server.lead(&crew, "first").await;
    let body = json!({ "name": "Second", "slug": "second", "crew_id": crew, "agent_role": "LEAD" });
    let refused = server.post("/api/v1/agents").json(body).send().await;
    refused.refused(409, "Crew already has a lead agent");
    let body = json!({ "name": "Second", "slug": "second", "crew_id": crew });
    let second = server.post("/api/v1/agents").json(body).send().await.expect(201);
    let path = format!("/api/v1/agents/{}", second["id"].as_str().unwrap());
    let promoted = server.patch(&*path).json(json!({ "agent_role": "LEAD" })).send().await.expect(200);
    assert_eq!((&promoted["agent_role"], &promoted["lead_mode"]), (&json!("LEAD"), &json!("active")));
    let demoted = server.get(format!("/api/v1/agents/{first}")).send().await.expect(200);
    assert_eq!((&demoted["agent_role"], &demoted["lead_mode"]), (&json!("AGENT"), &Value::Null));
    let detached = server.patch(&*path).json(json!({ "crew_id": null })).send().await;
    detached.refused(400, "LEAD role requires crew_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_slug_is_taken_across_the_crews_of_a_workspace() {
    let server = Server::begin().await;
    let (one, two) = (server.crew("one").await, server.crew("two").await);
    server.lead(&one, "ada").await;
    let body = json!({ "name": "Ada", "slug": "ada", "crew_id": two });
    let taken = server.post("/api/v1/agents").json(body).send().await;
    taken.refused(409, "Agent slug already taken in this workspace");
    let body = json!({ "name": "Bob", "slug": "bob", "crew_id": "unknown" });
    server.post("/api/v1/agents").json(body).send().await.refused(400, "Invalid crew_id");
}
