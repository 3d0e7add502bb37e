//! What every request passes, and in which order (`platform.md` 1.1).

use axum::http::Method;
use serde_json::json;

use super::server::Server;

const MEMBERS: [&str; 8] = ["type", "title", "status", "detail", "instance", "error", "code", "request_id"];

#[tokio::test(flavor = "multi_thread")]
async fn health_says_ok_to_anybody_and_nothing_more() {
    let server = Server::empty().await;
    let reply = server.get("/api/health").without_token().send().await;
    assert_eq!(reply.expect(200), json!({ "status": "ok" }));
    assert_eq!(server.get("/healthz").without_token().send().await.expect(200)["status"], "ok");
    let ready = server.get("/readyz").without_token().send().await.expect(200);
    assert_eq!(ready["status"], true);
    assert_eq!(ready["checks"]["journal_poisoned"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_has_all_eight_members_whoever_made_it() {
    let server = Server::begin().await;
    let crew = server.crew("eight").await;
    let replies = [
        server.get("/nowhere").send().await,
        server.ask(Method::PUT, "/api/v1/missions").send().await,
        server.get("/api/v1/../crews").send().await,
        server.get("/api/v1/crews").without_token().send().await,
        server.get("/api/v1/crews").without_workspace().send().await,
        server.get("/api/v1/crews").in_workspace("nobodys").send().await,
        server.get("/api/v1/crews/unknown").send().await,
        server.get("/api/v1/crews/%ff").send().await,
        server.post("/api/v1/crews").body("{").send().await,
        server.post("/api/v1/crews").json(json!({ "name": "Crew eight", "slug": "eight" })).send().await,
        server.post(format!("/api/v1/crews/{crew}/missions")).body(vec![b' '; (1 << 20) + 1]).send().await,
    ];
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [404, 405, 400, 401, 400, 403, 404, 404, 400, 409, 413]);
    for reply in &replies {
        let body = reply.body.as_object().unwrap();
        assert!(MEMBERS.iter().all(|member| body.contains_key(*member)), "{reply:?}");
        assert_eq!(body["error"], body["detail"]);
        assert_eq!(body["status"], reply.status);
        assert_eq!(body["request_id"], reply.header("x-request-id").unwrap());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(!body["instance"].as_str().unwrap().contains('?'));
    }
}

/// `client.md` 8, trap 6: anything else ends the resolution of slugs with an error.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_no_text_is_unknown_like_any_other() {
    let server = Server::begin().await;
    server.get("/api/v1/crews/%ff").send().await.refused(404, "Crew not found");
    server.patch("/api/v1/agents/a%ffb").body("{}").send().await.refused(404, "Agent not found");
    server.get("/api/v1/crews/%C3%28/missions/%ff").send().await.refused(404, "Mission not found");
    server.get("/api/v1/checkpoints/%ff").send().await.refused(404, "checkpoint not found");
    server.get("/api/v1/journal/%ff").send().await.refused(404, "entry not found");
    server.delete("/api/v1/auth/cli-tokens/%ff").send().await.refused(404, "Token not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_is_served_as_such_only_to_who_names_it() {
    let server = Server::empty().await;
    let reply =
        server.get("/nowhere").header("accept", "text/html, Application/Problem+JSON;q=0.9").send().await;
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let reply = server.get("/nowhere").header("accept", "*/*").send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_own_id_if_it_is_one_and_gets_one_otherwise() {
    let server = Server::empty().await;
    let named = server.get("/api/health").header("x-request-id", "job-7.a_B").send().await;
    assert_eq!(named.header("x-request-id"), Some("job-7.a_B"));
    for bad in ["two words", &"x".repeat(65), ""] {
        let reply = server.get("/api/health").header("x-request-id", bad).send().await;
        let id = reply.header("x-request-id").unwrap();
        assert!(id != bad && id.len() == 26, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_security_headers() {
    let server = Server::empty().await;
    for path in ["/api/health", "/nowhere", "/api/v1/crews"] {
        let reply = server.get(path).without_token().send().await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("x-frame-options"), Some("DENY"));
        assert_eq!(reply.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
        assert!(reply.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert_eq!(reply.header("x-crewship-server-version"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_slash_at_the_front_is_one() {
    let server = Server::begin().await;
    let body = json!({ "name": "Slash", "slug": "slash" });
    server.post("//api/v1/crews").json(body).send().await.expect(201);
    server.get("//api/v1/crews?limit=1").send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_those_that_work() {
    let server = Server::empty().await;
    server.get("/api/v1/unknown").without_token().send().await.refused(404, "Not found");
    let reply = server.ask(Method::PUT, "/api/v1/crews").without_token().send().await;
    reply.refused(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET,HEAD,POST"));
    server.ask(Method::HEAD, "/api/health").without_token().send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_may_not_write_whoever_is_signed_in() {
    let server = Server::begin().await;
    let from = |origin: &'static str| {
        server.post("/api/v1/crews").header("host", "taffrail.test:8080").header("origin", origin).body("{}")
    };
    for origin in ["https://evil.test", "null", "http://taffrail.test", "https://taffrail.test:8080"] {
        let reply = from(origin).without_token().send().await;
        reply.refused(403, "request origin not allowed");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer error=\"origin_rejected\""));
    }
    from("http://TAFFRAIL.test:8080").send().await.refused(400, "name must be 2-100 characters");
    let referred = server
        .post("/api/v1/crews")
        .header("host", "taffrail.test")
        .header("referer", "http://elsewhere.test/page")
        .send()
        .await;
    referred.refused(403, "request origin not allowed");
    let read = server.get("/api/v1/crews").header("origin", "https://evil.test").send().await;
    read.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gates_stand_in_the_documented_order() {
    let server = Server::begin().await;
    let viewer = server.member(taffrail_domain::roster::Role::Viewer).await;
    let huge = || vec![b' '; (1 << 20) + 1];
    let path = "/api/v1/crews/unknown";
    // Origin before size, size before authentication, that before the workspace, that before the role,
    // the role before the body, the body before the lookup.
    let asking = server.patch(path).without_token().header("content-length", "1048577");
    asking.header("origin", "https://evil.test").send().await.refused(403, "request origin not allowed");
    let asking = server.patch(path).without_token().header("content-length", "1048577");
    asking.body(huge()).send().await.refused(413, "Request body too large");
    let asking = server.patch(path).without_token().without_workspace().body("{");
    asking.send().await.refused(401, "no_credentials");
    let asking = server.patch(path).with_token(&viewer).in_workspace("unknown").body("{");
    asking.send().await.refused(403, "Not a member of this workspace");
    server.patch(path).with_token(&viewer).body("{").send().await.refused(403, "Forbidden");
    server.patch(path).body("{").send().await.refused(400, "Invalid JSON body");
    server.patch(path).body("{}").send().await.refused(404, "Crew not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_exactly_one_mebibyte_is_accepted_and_one_byte_more_is_not() {
    let server = Server::begin().await;
    let padded = |bytes: usize| {
        let mut body = json!({ "name": "Padded", "slug": "padded" }).to_string();
        body.push_str(&" ".repeat(bytes - body.len()));
        body
    };
    let sent = server.post("/api/v1/crews").body(padded((1 << 20) + 1)).send().await;
    sent.refused(413, "Request body too large");
    server.post("/api/v1/crews").body(padded(1 << 20)).send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_opens_nothing_says_why() {
    let server = Server::begin().await;
    let refused = async |value: &str, reason: &str| {
        let reply = server.get("/api/v1/crews").without_token().header("authorization", value).send().await;
        reply.refused(401, reason);
        assert_eq!(reply.header("www-authenticate"), Some(&*format!("Bearer error=\"{reason}\"")));
    };
    refused("Basic YTpi", "no_credentials").await;
    refused("Bearer nonsense", "session_invalid").await;
    refused(&format!("Bearer crewship_cli_{}", "0".repeat(64)), "session_invalid").await;
    let lower = format!("bearer {}", server.token);
    let reply = server.get("/api/v1/crews").without_token().header("authorization", lower).send().await;
    reply.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workspace_is_named_by_query_or_header_by_id_or_slug() {
    let (server, other, _) = Server::begin().await.with_another_workspace().await;
    let slug = server.app.instance().world().state.workspaces.get(&*server.workspace).unwrap().slug.clone();
    for name in [&*server.workspace, &*slug] {
        server.get("/api/v1/crews").in_workspace(name).send().await.expect(200);
        let path = format!("/api/v1/crews?workspace_id={name}");
        server.get(path).in_workspace(&other).send().await.expect(200);
    }
    server.get("/api/v1/crews").without_workspace().send().await.refused(400, "workspace_id is required");
    let foreign = server.get("/api/v1/crews").in_workspace(&other).send().await;
    let unknown = server.get("/api/v1/crews").in_workspace("unknown").send().await;
    foreign.refused(403, "Not a member of this workspace");
    unknown.refused(403, "Not a member of this workspace");
    // Where no workspace is needed a name is no reason to refuse.
    server.get("/api/v1/auth/cli-tokens?workspace_id=unknown").send().await.expect(200);
    server.get("/api/health?workspace_id=unknown").send().await.expect(200);
}
