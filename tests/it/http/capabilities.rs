//! What members may do beside what their role allows (`periphery.md` 0).

use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::server::{Reply, Server};

async fn user_of(server: &Server, token: &str) -> String {
    server.get("/api/v1/auth/cli-token/validate").with_token(token).send().await.text("user_id")
}

fn path_of(server: &Server, user: &str) -> String {
    format!("/api/v1/workspaces/{}/members/{user}/capabilities", server.workspace)
}

async fn change(server: &Server, user: &str, body: Value) -> Reply {
    server.patch(path_of(server, user)).json(body).send().await
}

const ADMINS: [&str; 7] = [
    "chat",
    "credential.create",
    "credential.rotate",
    "issue.create",
    "memory.write",
    "routine.create",
    "skill.create",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_and_changes_what_members_may() {
    let server = Server::begin().await;
    let admin = server.member(Role::Admin).await;
    let token = server.member(Role::Member).await;
    let (boss, user) = (user_of(&server, &admin).await, user_of(&server, &token).await);
    let all = format!("/api/v1/workspaces/{}/members/capabilities", server.workspace);
    let row = |user: &str, role: &str, capabilities: &[&str]| json!({ "user_id": user, "role": role, "capabilities": capabilities });
    let listed = server.get(&*all).with_token(&admin).send().await.expect(200);
    let expected =
        [row(&server.owner, "OWNER", &ADMINS), row(&boss, "ADMIN", &ADMINS), row(&user, "MEMBER", &["chat"])];
    assert_eq!(listed, json!({ "members": expected }), "oldest first, each sorted");

    let set = json!({ "set": ["routine.run", "issue.create"] });
    let changed = change(&server, &user, set).await.expect(200);
    assert_eq!(changed, row(&user, "MEMBER", &["chat", "issue.create", "routine.run"]));
    let changed = change(&server, &user, json!({ "grant": ["page.create"] })).await.expect(200);
    assert_eq!(changed["capabilities"], json!(["chat", "issue.create", "page.create", "routine.run"]));
    let changed = change(&server, &user, json!({ "revoke": ["issue.create"] })).await.expect(200);
    assert_eq!(changed["capabilities"], json!(["chat", "page.create", "routine.run"]));
    let shown = server.get(path_of(&server, &user)).with_token(&admin).send().await.expect(200);
    assert_eq!(shown, changed);

    // The member is told too, and it outlives a start.
    let own = format!("/api/v1/workspaces/{}", server.workspace);
    let told = async |server: &Server| {
        let shown = server.get(&*own).with_token(&token).send().await;
        (shown.header("etag").unwrap().to_owned(), shown.expect(200)["currentUserCapabilities"].clone())
    };
    let (tag, before) = told(&server).await;
    assert_eq!(before, json!(["chat", "page.create", "routine.run"]));
    let server = server.reopened().await;
    assert_eq!(told(&server).await.1, before);
    change(&server, &user, json!({ "preset": "default" })).await.expect(200);
    let (other, after) = told(&server).await;
    assert_eq!(after, json!(["chat"]));
    assert_ne!(tag, other, "a kept answer is not true any more");
    let list = server.get("/api/v1/workspaces").send().await.expect(200);
    assert_eq!(list[0]["currentUserCapabilities"], json!(ADMINS));

    let audited = "/api/v1/journal?entry_type=audit.entity_updated&order=asc";
    let audited = server.get(audited).send().await.expect(200);
    let said: Vec<&Value> =
        audited["entries"].as_array().unwrap().iter().map(|entry| &entry["payload"]["entity_type"]).collect();
    assert_eq!(said, [&json!("WORKSPACE_MEMBER"); 4], "one entry for each change");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_changed_says_why() {
    let server = Server::begin().await;
    let admin = server.member(Role::Admin).await;
    let token = server.member(Role::Member).await;
    let (boss, user) = (user_of(&server, &admin).await, user_of(&server, &token).await);
    let by_admin = async |user: &str, body: &str| {
        server.patch(path_of(&server, user)).with_token(&admin).body(body).send().await
    };
    by_admin(&boss, "{").await.refused(403, "cannot modify own capabilities");
    change(&server, &server.owner, json!({})).await.refused(403, "cannot modify own capabilities");
    by_admin(&server.owner, "{").await.refused(403, "OWNER capabilities are immutable");
    by_admin("cstranger", "{").await.refused(404, "Member not found");
    server.get(path_of(&server, "cstranger")).send().await.refused(404, "Member not found");
    by_admin(&user, "{").await.refused(400, "Invalid JSON body");
    by_admin(&user, r#"{"set":"chat"}"#).await.refused(400, "Invalid JSON body");
    let one_of = "body must contain exactly one of: set, grant, revoke, preset";
    by_admin(&user, "{}").await.refused(400, one_of);
    by_admin(&user, r#"{"set":["chat"],"preset":"power"}"#).await.refused(400, one_of);
    by_admin(&user, r#"{"grant":["fly"]}"#).await.refused(400, "unknown capability: fly");
    by_admin(&user, r#"{"preset":"boss"}"#).await.refused(400, "unknown preset: boss");
    let chat = "chat is implied and cannot be revoked; remove the member instead";
    by_admin(&user, r#"{"revoke":["chat"]}"#).await.refused(400, chat);
    let long = json!({ "preset": "x".repeat(16 << 10) }).to_string();
    by_admin(&user, &long).await.refused(413, "Request body too large");
    let shown = server.get(path_of(&server, &user)).send().await.expect(200);
    assert_eq!(shown["capabilities"], json!(["chat"]), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn below_admin_nobody_looks_and_a_scope_narrows() {
    let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
    let one = path_of(&server, &server.owner);
    let all = format!("/api/v1/workspaces/{}/members/capabilities", server.workspace);
    let refused = async |token: &str, detail: &str| {
        for path in [&all, &one] {
            server.get(path).with_token(token).send().await.refused(403, detail);
        }
        server.patch(&*one).with_token(token).body("{").send().await.refused(403, detail);
    };
    for role in [Role::Manager, Role::Member, Role::Viewer] {
        refused(&server.member(role).await, "Forbidden").await;
    }
    refused(&stranger, "Not a member of this workspace").await;
    // Who is a member elsewhere is none here.
    let theirs = format!("/api/v1/workspaces/{other}/members/{}/capabilities", server.owner);
    let asking = server.get(theirs).with_token(&stranger).without_workspace();
    asking.send().await.refused(404, "Member not found");
    let narrow = server.scoped(&["crews:write"]).await;
    server.patch(&*one).with_token(&narrow).body("{}").send().await.refused(403, "Forbidden");
}
