//! What people may do, and two of them at once (check 12).

use axum::http::Method;
use serde_json::{Value, json};
use taffrail_domain::roster::Role;

use super::super::desk::text;
use super::super::server::Server;
use super::{begin, make};

/// One of everything that an issue tracker has: the paths to read and the writes, each a whole wish.
struct Furnished {
    reads: Vec<String>,
    writes: Vec<(Method, String, Value)>,
    issues: String,
    issue: String,
    user: String,
}

async fn furnish(server: &Server, member: &str) -> Furnished {
    let desk = server.desk("eng").await;
    desk.issue("One").await;
    desk.issue("Two").await;
    let issue = desk.at("ENG-1");
    let label = make(server, "/api/v1/labels", json!({ "name": "bug", "color": "red" })).await;
    let project = make(server, "/api/v1/projects", json!({ "name": "App" })).await;
    let milestones = format!("/api/v1/projects/{project}/milestones");
    let milestone = make(server, &milestones, json!({ "name": "Beta" })).await;
    let comment = make(server, &format!("{issue}/comments"), json!({ "body": "a" })).await;
    let link = json!({ "target_identifier": "ENG-2", "relation_type": "blocks" });
    let relation = make(server, &format!("{issue}/relations"), link).await;
    let rule = json!({ "name": "A", "pattern": "a", "match_type": "exact" });
    let made_rule = make(server, "/api/v1/triage-rules", rule.clone()).await;
    let template = json!({ "crew_id": desk.crew, "title": "A", "cron_expression": "0 0 1 1 *" });
    let made_template = make(server, "/api/v1/recurring-issues", template.clone()).await;
    let view = json!({ "name": "A", "filters_json": "{}" });
    let of_issue = ["", "/subtasks", "/comments", "/relations", "/activity", "/runs"];
    let mut reads: Vec<String> = of_issue.iter().map(|what| format!("{issue}{what}")).collect();
    for path in ["issues", "issues/ENG-1", "labels", "projects", "saved-views"] {
        reads.push(format!("/api/v1/{path}"));
    }
    for path in ["triage-rules", "recurring-issues", "issues/search?q=one"] {
        reads.push(format!("/api/v1/{path}"));
    }
    for what in ["", "/stats", "/milestones"] {
        reads.push(format!("/api/v1/projects/{project}{what}"));
    }
    let (post, patch, delete) = (Method::POST, Method::PATCH, Method::DELETE);
    let at = |kind: &str, id: &str| format!("/api/v1/{kind}/{id}");
    let status = || json!({ "status": "TODO" });
    let name = || json!({ "name": "B" });
    let writes = vec![
        (post.clone(), desk.issues(), json!({ "title": "Three" })),
        (patch.clone(), issue.clone(), status()),
        (patch.clone(), "/api/v1/issues/bulk".into(), json!({ "ids": ["ENG-1"], "updates": status() })),
        (post.clone(), format!("{issue}/move"), json!({ "after": "ENG-2" })),
        (post.clone(), format!("{issue}/start"), Value::Null),
        (post.clone(), format!("{issue}/stop"), Value::Null),
        (post.clone(), format!("{issue}/retry"), Value::Null),
        (post.clone(), format!("{issue}/review"), json!({ "action": "approve" })),
        (post.clone(), format!("{issue}/comments"), json!({ "body": "b" })),
        (patch.clone(), format!("{issue}/comments/{comment}"), json!({ "body": "b" })),
        (delete.clone(), format!("{issue}/comments/{comment}"), Value::Null),
        (
            post.clone(),
            format!("{issue}/relations"),
            json!({ "target_identifier": "ENG-2", "relation_type": "relates_to" }),
        ),
        (delete.clone(), at("relations", &relation), Value::Null),
        (post.clone(), "/api/v1/labels".into(), json!({ "name": "ui", "color": "blue" })),
        (patch.clone(), at("labels", &label), name()),
        (delete.clone(), at("labels", &label), Value::Null),
        (post.clone(), "/api/v1/projects".into(), name()),
        (patch.clone(), at("projects", &project), name()),
        (delete.clone(), at("projects", &project), Value::Null),
        (post.clone(), milestones, name()),
        (patch.clone(), at("milestones", &milestone), name()),
        (delete.clone(), at("milestones", &milestone), Value::Null),
        (post.clone(), "/api/v1/saved-views".into(), view),
        (post.clone(), "/api/v1/triage-rules".into(), rule),
        (patch.clone(), at("triage-rules", &made_rule), name()),
        (delete.clone(), at("triage-rules", &made_rule), Value::Null),
        (post.clone(), "/api/v1/triage/process".into(), Value::Null),
        (post, "/api/v1/recurring-issues".into(), template),
        (patch, at("recurring-issues", &made_template), json!({ "title": "B" })),
        (delete.clone(), at("recurring-issues", &made_template), Value::Null),
        (delete, issue.clone(), Value::Null),
    ];
    let user = server.get("/api/v1/auth/cli-token/validate").with_token(member).send().await.text("user_id");
    Furnished { reads, writes, issues: desk.issues(), issue, user }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_12_a_member_reads_all_writes_nothing_and_may_be_let_create() {
    let server = begin().await;
    let member = server.member(Role::Member).await;
    let Furnished { reads, writes, issues, issue, user } = furnish(&server, &member).await;
    for path in &reads {
        server.get(path).with_token(&member).send().await.expect(200);
    }
    let before = server.get("/api/v1/journal/count").send().await.expect(200);
    for (method, path, body) in &writes {
        let asking = server.ask(method.clone(), path).with_token(&member);
        asking.json(body.clone()).send().await.refused(403, "Forbidden");
    }
    assert_eq!(server.get("/api/v1/journal/count").send().await.expect(200), before);

    let may = format!("/api/v1/workspaces/{}/members/{user}/capabilities", server.workspace);
    server.patch(&*may).json(json!({ "grant": ["issue.create"] })).send().await.expect(200);
    let create = async |title: &str| {
        server.post(&*issues).with_token(&member).json(json!({ "title": title })).send().await
    };
    let made = create("Mine").await.expect(201);
    assert_eq!(made["created_by"]["id"], json!(user));
    assert_eq!((&made["status"], &made["authored_via"]), (&json!("BACKLOG"), &json!("user_api")));
    // That and nothing else, not even on what is their own.
    let own = issue.replace("ENG-1", &text(&made["identifier"]));
    let said = server.post(format!("{own}/comments")).with_token(&member).json(json!({ "body": "b" }));
    said.send().await.refused(403, "Forbidden");
    for (method, path, body) in &writes[1..] {
        let asking = server.ask(method.clone(), path).with_token(&member);
        asking.json(body.clone()).send().await.refused(403, "Forbidden");
    }
    server.patch(&*may).json(json!({ "revoke": ["issue.create"] })).send().await.expect(200);
    create("Not any more").await.refused(403, "Forbidden");
    // What was refused was a wish that others are granted.
    let manager = server.member(Role::Manager).await;
    let said = server.post(format!("{own}/comments")).with_token(&manager).json(json!({ "body": "b" }));
    said.send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_with_one_issue_before_them_do_not_overwrite_each_other() {
    let server = begin().await;
    let manager = server.member(Role::Manager).await;
    let desk = server.desk("eng").await;
    desk.issue("Title").await;
    let path = desk.at("ENG-1");
    let look = async |token: &str| {
        let seen = server.get(&*path).with_token(token).send().await;
        seen.header("etag").expect("a tag").to_owned()
    };
    let write = async |token: &str, tag: &str, patch: Value| {
        server.patch(&*path).with_token(token).header("if-match", tag).json(patch).send().await
    };
    let (ada, bob) = (look(&server.token).await, look(&manager).await);
    assert_eq!(ada, bob);
    let mine = write(&server.token, &ada, json!({ "description": "Ada's" })).await;
    let newer = mine.header("etag").expect("a tag").to_owned();
    assert_ne!(newer, ada);
    mine.expect(200);
    let stale = "The resource has changed since it was read";
    write(&manager, &bob, json!({ "description": "Bob's" })).await.refused(412, stale);
    let gone = server.delete(&*path).with_token(&manager).header("if-match", &*bob).send().await;
    gone.refused(412, stale);
    assert_eq!(desk.show("ENG-1").await["description"], "Ada's");
    assert_eq!(look(&manager).await, newer, "the answer to the write named what there is now");
    let looked = look(&manager).await;
    let merged = write(&manager, &looked, json!({ "description": "Ada's and Bob's" })).await.expect(200);
    assert_eq!(merged["description"], "Ada's and Bob's");

    // At once, one of them wins; whoever lost sees it and has changed nothing.
    for round in 0..10 {
        let tag = look(&server.token).await;
        let wish = |who: &str| json!({ "title": format!("{who} {round}") });
        let (one, two) =
            tokio::join!(write(&server.token, &tag, wish("Ada")), write(&manager, &tag, wish("Bob")));
        let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
        lost.refused(412, stale);
        assert_eq!(desk.show("ENG-1").await, won.expect(200));
    }
    // Who says nothing of what they saw writes what they name, and only that.
    server.patch(&*path).json(json!({ "priority": "high" })).send().await.expect(200);
    let shown = desk.show("ENG-1").await;
    assert_eq!((&shown["priority"], &shown["description"]), (&json!("high"), &json!("Ada's and Bob's")));
}
