//! Bootstrap, CLI tokens and their scopes (`platform.md` 2.2, 5.1).

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::server::Server;

const TOKENS: &str = "/api/v1/auth/cli-tokens";
const TOKEN: &str = "/api/v1/auth/cli-token";

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bootstraps_at_once_one_makes_the_instance_and_one_is_gone() {
    let server = Server::empty().await;
    let (one, two) = tokio::join!(server.bootstrap(), server.bootstrap());
    let (made, gone) = if one.status == 201 { (one, two) } else { (two, one) };
    gone.refused(410, "Already initialized — please log in at /login instead");
    assert!(made.header("taffrail-cursor").is_some());
    let token = made.text("cli_token");
    assert!(token.starts_with("crewship_cli_") && token.len() == 13 + 64);
    let workspace = made.text("workspace_id");
    server.get("/api/v1/crews").with_token(&token).in_workspace(&workspace).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrap_checks_name_then_e_mail_then_password() {
    let server = Server::empty().await;
    let refused = async |body: &str, detail: &str| {
        server.post("/api/v1/bootstrap").without_token().body(body).send().await.refused(400, detail);
    };
    refused("", "Invalid JSON body").await;
    refused("[]", "Invalid JSON body").await;
    refused("{}", "Name must be at least 2 characters").await;
    refused(r#"{"full_name":"Ada","email":"ada@"}"#, "Invalid email address").await;
    let short = r#"{"full_name":"Ada","email":"ada@example.org","password":"1234567"}"#;
    refused(short, "Password must be at least 8 characters").await;
    server.bootstrap().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_issued_checked_listed_and_revoked() {
    let server = Server::begin().await;
    let issued =
        server.post(TOKEN).json(json!({ "name": "laptop", "expires_in_seconds": 3600 })).send().await;
    assert_eq!(issued.header("cache-control"), Some("no-store"));
    assert!(issued.header("taffrail-cursor").unwrap().starts_with("j_000000"));
    let issued = issued.expect(200);
    assert_eq!((&issued["name"], &issued["tier"]), (&json!("laptop"), &json!("STANDARD")));
    let (id, secret) = (issued["id"].as_str().unwrap(), issued["token"].as_str().unwrap());

    let valid = server.get(&*format!("{TOKEN}/validate")).with_token(secret).send().await.expect(200);
    assert_eq!(valid["valid"], true);
    assert_eq!(
        (&valid["email"], &valid["user_email"]),
        (&json!("ada@example.org"), &json!("ada@example.org"))
    );
    assert_eq!((&valid["user_id"], &valid["expires_at"]), (&json!(server.owner), &issued["expires_at"]));

    let list = server.get(TOKENS).send().await.expect(200);
    let names: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|token| &token["name"]).collect();
    assert_eq!(names, [&json!("laptop"), &json!("bootstrap")]);
    assert!(!list.to_string().contains(secret));

    let revoke = || server.delete(format!("{TOKENS}/{id}"));
    assert_eq!(revoke().send().await.expect(200), json!({ "status": "revoked" }));
    server.get(TOKENS).with_token(secret).send().await.refused(401, "session_revoked");
    let first = server.get(TOKENS).send().await.expect(200)["data"][0]["revoked_at"].clone();
    assert!(first.is_string());
    revoke().send().await.expect(200);
    assert_eq!(server.get(TOKENS).send().await.expect(200)["data"][0]["revoked_at"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_another_is_not_found() {
    let server = Server::begin().await;
    let (_, stranger) = server.person("stranger").await;
    let own = server.get(TOKENS).send().await.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let foreign = server.delete(format!("{TOKENS}/{own}")).with_token(&stranger).send().await;
    foreign.refused(404, "Token not found");
    server.delete(format!("{TOKENS}/unknown")).send().await.refused(404, "Token not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_token_says_why() {
    let server = Server::begin().await;
    let refused = async |body: &str, status: u16, detail: &str| {
        server.post(TOKEN).body(body).send().await.refused(status, detail);
    };
    refused("{", 400, "Invalid JSON body").await;
    refused(r#"{"tier":"GOLD"}"#, 400, "tier must be STANDARD or ADMIN").await;
    refused(r#"{"tier":"ADMIN"}"#, 503, "admin key not configured").await;
    refused(r#"{"scopes":["crews:fly"]}"#, 400, "unknown scope: crews:fly").await;
    refused(r#"{"scopes":[]}"#, 400, "scopes must not be empty").await;
    refused(&json!({ "scopes": vec!["*"; 33] }).to_string(), 400, "at most 32 scopes").await;
    refused(r#"{"expires_in_seconds":0}"#, 400, "expires_in_seconds must be 1-3155760000").await;
    assert_eq!(server.post(TOKEN).body("{}").send().await.expect(200)["name"], "CLI token");
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_granted_within_the_role() {
    let server = Server::begin().await;
    let (_, stranger) = server.person("stranger").await;
    let (viewer, manager) = (server.member(Role::Viewer).await, server.member(Role::Manager).await);
    let wish =
        |token: &str, scope: &str| server.post(TOKEN).with_token(token).json(json!({ "scopes": [scope] }));
    let detail = "issuing user has no workspace membership; cannot grant scoped token";
    wish(&stranger, "*:read").send().await.refused(403, detail);
    wish(&viewer, "crews:write").send().await.refused(403, "scope crews:write exceeds your workspace role");
    wish(&viewer, "crews:read").send().await.expect(200);
    wish(&manager, "*").send().await.refused(403, "scope * exceeds your workspace role");
    wish(&manager, "missions:write").send().await.expect(200);
    wish(&server.token, "*").send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scoped_token_hands_on_no_more_than_it_has() {
    let server = Server::begin().await;
    let crews = server.scoped(&["crews:write"]).await;
    let wish = |body: Value| server.post(TOKEN).with_token(&crews).json(body);
    wish(json!({})).send().await.refused(403, "a scoped token cannot issue an unrestricted one");
    let detail = "scope agents:write exceeds the issuing token's scopes";
    wish(json!({ "scopes": ["agents:write"] })).send().await.refused(403, detail);
    wish(json!({ "scopes": ["crews:read"] })).send().await.expect(200);

    let body = json!({ "expires_in_seconds": 60 });
    let brief = server.post(TOKEN).json(body).send().await.expect(200)["token"].as_str().unwrap().to_owned();
    let longer = server.post(TOKEN).with_token(&brief).json(json!({ "expires_in_seconds": 600 }));
    longer.send().await.refused(403, "expiry exceeds that of the issuing token");
    let endless = server.post(TOKEN).with_token(&brief).json(json!({}));
    endless.send().await.refused(403, "expiry exceeds that of the issuing token");
    server.post(TOKEN).with_token(&brief).json(json!({ "expires_in_seconds": 1 })).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_opens_its_routes_and_no_others() {
    let server = Server::begin().await;
    let mission = server.mission("scoped").await;
    mission.task("anchor", &[]).await;
    let start = format!("{}/start", mission.path());
    let (checkpoints, journal) = (mission.checkpoints(), "/api/v1/journal".to_owned());
    let status = async |token: &str, path: &str| server.post(path).with_token(token).send().await.status;
    let read = async |token: &str, path: &str| server.get(path).with_token(token).send().await.status;

    let reader = server.scoped(&["*:read"]).await;
    assert_eq!((read(&reader, &journal).await, status(&reader, &start).await), (200, 403));
    let agents = server.scoped(&["agents:write"]).await;
    assert_eq!((read(&agents, &journal).await, status(&agents, &start).await), (200, 403));
    let missions = server.scoped(&["missions:write"]).await;
    assert_eq!((read(&missions, &journal).await, status(&missions, &checkpoints).await), (403, 201));
    let crews = server.scoped(&["crews:write"]).await;
    assert_eq!((status(&crews, &checkpoints).await, status(&crews, &start).await), (403, 200));
    let admin = server.scoped(&["workspace:admin"]).await;
    assert_eq!((status(&admin, &checkpoints).await, status(&admin, "/api/v1/crews").await), (201, 403));
}
