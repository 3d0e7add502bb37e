//! Issues, as agents speak of them over the internal API (`issues.md` 19).

use axum::http::Method;
use serde_json::{Value, json};
use taffrail::writer::{ExecuteError, Wish};
use taffrail_domain::issue::{IssueCommand, Named};
use taffrail_domain::{Actor, WorkspaceId};

use super::internal::{
    Cast, Insider, cast, claim, decide, entries, granted, minted, refused, set_autonomy, text,
};
use super::server::Server;

/// An issue of a crew, by its LEAD; its identifier.
async fn issue(insider: &Insider, cast: &Cast, title: &str) -> String {
    let wish = json!({ "title": title, "crew_id": cast.crew, "author_agent_id": cast.lead });
    text(&granted(insider.post("issues", wish).await, 201), "identifier")
}

async fn show(insider: &Insider, identifier: &str) -> Value {
    granted(insider.get(&format!("issues/{identifier}")).await, 200)
}

async fn identifiers(insider: &Insider, query: &str) -> Vec<String> {
    let listed = granted(insider.get(&format!("issues?{query}")).await, 200);
    listed.as_array().unwrap().iter().map(|issue| text(issue, "identifier")).collect()
}

/// A token that speaks for the mate of a crew.
async fn voice(insider: &Insider, cast: &Cast, slug: &str) -> Insider {
    let handed = json!({ "target_slug": slug, "task": "x", "crew_id": cast.crew, "chat_id": cast.chat });
    granted(insider.post("assignments", handed).await, 201);
    insider.bound(&text(&claim(insider, &cast.mate).await["voice"], "token"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_creates_an_issue_and_what_it_says_is_cleaned() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "engine").await);
    let wish = json!({
        "title": " Rotate password=hunter2hunter2 ", "description": "sk-0123456789abcdef0123", "priority": "high",
        "crew_id": cast.crew, "author_agent_id": cast.mate, "assignee_type": "agent", "assignee_id": cast.lead,
        "author_chat_id": cast.chat, "status": "DONE",
    });
    let made = granted(insider.post("issues", wish).await, 201);
    let id = text(&made, "id");
    assert_eq!(made, json!({ "id": id, "identifier": "ENG-1", "status": "BACKLOG" }));
    for name in ["ENG-1", "eng-1", &id] {
        let shown = show(&insider, name).await;
        assert_eq!(shown["title"], "Rotate password=***REDACTED***");
        assert_eq!(shown["description"], "***REDACTED***");
        assert_eq!((&shown["status"], &shown["priority"]), (&json!("BACKLOG"), &json!("high")));
        assert_eq!((&shown["assignee_type"], &shown["assignee_id"]), (&json!("agent"), &json!(cast.lead)));
        assert_eq!((&shown["comments"], &shown["relations"]), (&json!([]), &json!([])));
    }
    let told = entries(&server, "mission.created").await;
    assert_eq!((&told[0]["actor_type"], &told[0]["actor_id"]), (&json!("agent"), &json!(cast.mate)));
    refused(insider.get("issues/ENG-2").await, 404, "Issue not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_that_cannot_be_made_says_why() {
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    let (one, two) = (cast(&server, "one").await, cast(&server, "two").await);
    let empty = server.crew("empty").await;
    let missing = "title, crew_id, and workspace_id are required";
    for body in [
        json!({ "crew_id": one.crew }),
        json!({ "title": " ", "crew_id": one.crew }),
        json!({ "title": "x" }),
        json!({ "title": "x", "crew_id": one.crew, "workspace_id": "" }),
    ] {
        refused(insider.post("issues", body).await, 400, missing);
    }
    let refuses = async |body: Value, status: u16, detail: &str| {
        refused(insider.post("issues", body).await, status, detail);
    };
    refuses(json!({ "title": 5 }), 400, "Invalid JSON body").await;
    refuses(json!({ "title": "x", "crew_id": "cnone" }), 404, "Crew not found").await;
    refuses(json!({ "title": "x", "crew_id": empty }), 400, "Crew has no LEAD agent").await;
    let foreign = "author agent does not belong to the specified crew/workspace";
    for author in ["cnone", &two.lead] {
        refuses(json!({ "title": "x", "crew_id": one.crew, "author_agent_id": author }), 400, foreign).await;
    }
    let label = json!({ "title": "x", "crew_id": one.crew, "labels": ["cnone"] });
    refuses(label, 400, "label cnone does not exist in this workspace").await;
    assert!(identifiers(&insider, "").await.is_empty(), "nothing was made");
    assert_eq!(issue(&insider, &one, "x").await, "ONE-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_newest_first_filtered_and_paged() {
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    let (one, two) = (cast(&server, "one").await, cast(&server, "two").await);
    for (cast, title) in [(&one, "100% done"), (&one, "Ärger mit Login"), (&two, "login_page")] {
        issue(&insider, cast, title).await;
    }
    let move_on = json!({ "status": "TODO", "assignee_id": one.mate, "agent_id": one.lead });
    granted(insider.patch("issues/ONE-1", move_on).await, 200);
    let list = async |query: &str| identifiers(&insider, query).await;
    assert_eq!(list("").await, ["TWO-1", "ONE-2", "ONE-1"]);
    assert_eq!(list(&format!("crew_id={}", one.crew)).await, ["ONE-2", "ONE-1"]);
    assert_eq!(list("status=TODO,%20DONE").await, ["ONE-1"]);
    assert_eq!(list(&format!("assignee_id={}", one.mate)).await, ["ONE-1"]);
    assert_eq!(list("mission_type=issue").await.len(), 3);
    assert_eq!(list("q=LOGIN").await, ["TWO-1", "ONE-2"]);
    assert_eq!(list("q=%C3%A4RGER").await, ["ONE-2"]);
    assert_eq!(list("q=%25").await, ["ONE-1"], "no wildcard");
    assert_eq!(list("q=_").await, ["TWO-1"]);
    assert_eq!(list("limit=1&offset=1").await, ["ONE-2"]);
    assert_eq!(list("limit=1000").await.len(), 3);
    assert_eq!(list("limit=0&offset=-1").await.len(), 3);
    for query in
        ["crew_id=cnone", "status=LATER", "assignee_id=cnone", "mission_type=orchestration", "offset=3"]
    {
        assert!(list(query).await.is_empty(), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_all_or_nothing_and_what_is_so_is_no_change() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    issue(&insider, &cast, "Ship").await;
    let change = async |body: Value| insider.patch("issues/ONE-1", body).await;
    let ok = json!({ "status": "ok" });
    let all = json!({
        "status": "IN_PROGRESS", "priority": "urgent", "assignee_id": cast.mate, "due_date": "2027-01-01",
        "estimate": 3, "labels": ["cforeign"], "comment": "On it, token=abcdefgh12345678", "agent_id": cast.mate,
        "title": "Mine now", "description": "Mine now",
    });
    assert_eq!(granted(change(all).await, 200), ok);
    let shown = show(&insider, "ONE-1").await;
    let facts = ["title", "status", "priority", "assignee_type", "due_date", "estimate", "labels"];
    let facts: Vec<&Value> = facts.iter().map(|name| &shown[name]).collect();
    let expected = [
        &json!("Ship"),
        &json!("IN_PROGRESS"),
        &json!("urgent"),
        &json!("agent"),
        &json!("2027-01-01"),
        &json!(3),
        &json!([]),
    ];
    assert_eq!(facts, expected, "the words of the issue are not the agent's");
    assert_eq!(shown["comments"][0]["body"], "On it, token=***REDACTED***");
    assert_eq!(shown["comments"][0]["author_id"], cast.mate.as_str());

    let before = show(&insider, "ONE-1").await;
    for nothing in [
        json!({}),
        json!({ "status": "", "priority": "", "comment": "" }),
        json!({ "status": "IN_PROGRESS" }),
    ] {
        assert_eq!(granted(change(nothing).await, 200), ok);
    }
    let wrong = json!({ "status": "BACKLOG", "priority": "low", "comment": "x", "agent_id": cast.mate });
    refused(change(wrong).await, 400, "Invalid status transition from IN_PROGRESS to BACKLOG");
    let said = json!({ "priority": "low", "comment": "x" });
    refused(change(said).await, 400, "agent_id is required when adding a comment");
    let nobody = json!({ "priority": "low", "agent_id": "cnone" });
    refused(change(nobody).await, 404, "author agent not found in this workspace");
    let foreign = "assignee_id does not exist in this workspace";
    refused(change(json!({ "assignee_id": "cnone" })).await, 400, foreign);
    refused(change(json!({ "labels": "x" })).await, 400, "Invalid JSON body");
    refused(insider.patch("issues/ONE-9", json!({})).await, 404, "Issue not found");
    assert_eq!(show(&insider, "ONE-1").await, before);

    // Nobody in particular: it is the system's change.
    granted(change(json!({ "assignee_id": "", "due_date": "" })).await, 200);
    let shown = show(&insider, "ONE-1").await;
    assert_eq!([&shown["assignee_type"], &shown["assignee_id"], &shown["due_date"]], [&Value::Null; 3]);
    let path = format!("/api/v1/journal?mission_id={}&limit=1", text(&shown, "id"));
    let last = server.get(path).send().await.expect(200);
    assert_eq!(last["entries"][0]["actor_type"], "system", "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_has_an_author_of_this_workspace() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    issue(&insider, &cast, "Ship").await;
    let say = async |body: Value| insider.post("issues/ONE-1/comments", body).await;
    let missing = "body and workspace_id are required";
    refused(say(json!({ "agent_id": cast.mate })).await, 400, missing);
    refused(say(json!({ "agent_id": cast.mate, "body": "x", "workspace_id": "" })).await, 400, missing);
    refused(say(json!({ "body": "x" })).await, 400, "agent_id is required");
    let nobody = "author agent not found in this workspace";
    refused(say(json!({ "agent_id": "cnone", "body": "x" })).await, 404, nobody);
    let elsewhere =
        insider.post("issues/ONE-9/comments", json!({ "agent_id": cast.mate, "body": "x" })).await;
    refused(elsewhere, 404, "Issue not found");
    let said = granted(say(json!({ "agent_id": cast.mate, "body": "Half of it is done" })).await, 201);
    assert_eq!((&said["author_type"], &said["author_id"]), (&json!("agent"), &json!(cast.mate)));
    assert_eq!((&said["body"], &said["updated_at"]), (&json!("Half of it is done"), &said["created_at"]));
    let shown = show(&insider, "ONE-1").await;
    assert_eq!((&shown["comments"], &shown["comment_count"]), (&json!([said]), &json!(1)));
    assert_eq!(said["mission_id"], shown["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_are_linked_and_put_below_each_other() {
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    let (one, two) = (cast(&server, "one").await, cast(&server, "two").await);
    for (cast, title) in [(&one, "Part"), (&two, "Whole")] {
        issue(&insider, cast, title).await;
    }
    let link = async |how: &str, to: &str| {
        let body = json!({ "relation_type": how, "target_identifier": to, "agent_id": one.mate });
        insider.post("issues/ONE-1/relations", body).await
    };
    let types = "relation_type must be: blocks, blocked_by, relates_to, duplicate_of, sub_issue_of";
    refused(link("parent_of", "TWO-1").await, 400, types);
    refused(link("blocks", "TWO-9").await, 404, "Target issue not found: TWO-9");
    refused(link("blocks", "ONE-1").await, 400, "Cannot relate an issue to itself");
    let made = granted(link("blocked_by", "TWO-1").await, 201);
    let id = text(&made, "id");
    assert_eq!(made, json!({ "id": id, "status": "ok", "relation_type": "blocked_by" }), "as it was wished");
    refused(link("blocked_by", "TWO-1").await, 409, "Relation already exists");
    let (part, whole) = (show(&insider, "ONE-1").await, show(&insider, "TWO-1").await);
    for (shown, seen, other) in [(&part, "blocked_by", "TWO-1"), (&whole, "blocks", "ONE-1")] {
        let link = &shown["relations"][0];
        assert_eq!((&link["relation_type"], &link["target_identifier"]), (&json!(seen), &json!(other)));
    }

    let below = json!({ "status": "ok", "relation_type": "sub_issue_of", "parent_id": whole["id"] });
    for _ in 0..2 {
        assert_eq!(granted(link("sub_issue_of", "TWO-1").await, 201), below);
    }
    assert_eq!(show(&insider, "ONE-1").await["parent_issue_id"], whole["id"]);
    let back = json!({ "relation_type": "sub_issue_of", "target_identifier": "ONE-1" });
    let cycle = "sub_issue_of would create a parent cycle";
    refused(insider.post("issues/TWO-1/relations", back).await, 400, cycle);
    refused(link("sub_issue_of", "ONE-1").await, 400, cycle);
    // Nobody in particular may do it too.
    issue(&insider, &one, "Another part").await;
    let alone = json!({ "relation_type": "sub_issue_of", "target_identifier": "TWO-1" });
    assert_eq!(granted(insider.post("issues/ONE-2/relations", alone).await, 201), below);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_works_in_its_crew_and_speaks_for_its_agent() {
    let (server, other, _) = Server::begin().await.with_another_workspace().await;
    let insider = Insider::of(&server);
    let (one, two) = (cast(&server, "one").await, cast(&server, "two").await);
    let master = taffrail::http::internal_token(&server.app);
    let crew = insider.bound(&minted(&master, "crwv1", "crew", &[&server.workspace, &one.crew]));
    let agent = voice(&insider, &one, "one-mate").await;
    let foreign = insider.bound(&minted(&master, "wsv1", "workspace", &[&other]));
    issue(&insider, &one, "Ours").await;
    issue(&insider, &two, "Theirs").await;

    let elsewhere = "workspace_id does not match the workspace bound to the internal token";
    refused(foreign.get("issues").await, 403, elsewhere);
    refused(foreign.post("issues", json!({ "title": "x", "crew_id": one.crew })).await, 403, elsewhere);
    refused(foreign.patch("issues/ONE-1", json!({ "priority": "low" })).await, 403, elsewhere);

    let mismatch = "crew does not match the crew bound to the internal token";
    for bound in [&crew, &agent] {
        assert_eq!(identifiers(bound, "").await, ["ONE-1"]);
        refused(bound.get(&format!("issues?crew_id={}", two.crew)).await, 403, mismatch);
        refused(bound.get("issues/TWO-1").await, 404, "Issue not found");
        refused(bound.post("issues", json!({ "title": "x", "crew_id": two.crew })).await, 403, mismatch);
        refused(bound.patch("issues/TWO-1", json!({ "priority": "low" })).await, 403, mismatch);
        let said = json!({ "body": "x", "agent_id": one.mate });
        refused(bound.post("issues/TWO-1/comments", said).await, 403, mismatch);
        let link = json!({ "relation_type": "blocks", "target_identifier": "ONE-1" });
        refused(bound.post("issues/TWO-1/relations", link).await, 403, mismatch);
        refused(bound.patch("issues/ONE-1", json!({ "agent_id": two.mate })).await, 403, "Forbidden");
        let said = json!({ "body": "x", "agent_id": two.mate });
        refused(bound.post("issues/ONE-1/comments", said).await, 403, "Forbidden");
        // To another crew's issue a link may go.
        let link = json!({ "relation_type": "relates_to", "target_identifier": "TWO-1" });
        let linked = bound.post("issues/ONE-1/relations", link).await;
        assert!(linked.0 == 201 || linked.0 == 409, "{linked:?}");
    }
    refused(crew.post("issues/ONE-1/comments", json!({ "body": "x" })).await, 400, "agent_id is required");
    let lead = json!({ "body": "x", "agent_id": one.lead });
    refused(agent.post("issues/ONE-1/comments", lead).await, 403, "Forbidden");

    // What the body leaves out, the token says.
    let path = "/api/v1/internal/issues";
    let made = granted(agent.send(Method::POST, path, Some(json!({ "title": "Mine" }))).await, 201);
    assert_eq!(made["identifier"], "ONE-2");
    let said = granted(agent.post("issues/ONE-2/comments", json!({ "body": "x" })).await, 201);
    assert_eq!(said["author_id"], one.mate.as_str());
    assert_eq!(granted(agent.send(Method::GET, path, None).await, 200).as_array().unwrap().len(), 2);
    let unnamed = insider.send(Method::GET, path, None).await;
    refused(unnamed, 400, "workspace_id is required");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_crew_reads_and_comments_while_it_works_on_an_issue() {
    let server = Server::begin().await;
    let insider = Insider::of(&server);
    let (one, two) = (cast(&server, "one").await, cast(&server, "two").await);
    let link = json!({ "from_crew_id": one.crew, "to_crew_id": two.crew });
    server.post("/api/v1/crew-connections").json(link).send().await.expect(201);
    issue(&insider, &one, "Ours").await;
    let id = text(&show(&insider, "ONE-1").await, "id");
    let wish = json!({
        "target_slug": "two-mate", "task": "Look", "crew_id": one.crew, "chat_id": id, "mission_id": id,
    });
    granted(insider.post("assignments", wish.clone()).await, 201);
    let held = claim(&insider, &two.mate).await;
    let voice = insider.bound(&text(&held["voice"], "token"));
    let mismatch = "crew does not match the crew bound to the internal token";
    granted(voice.get("issues/ONE-1").await, 200);
    granted(voice.post("issues/ONE-1/comments", json!({ "body": "Looking" })).await, 201);
    refused(voice.patch("issues/ONE-1", json!({ "priority": "low" })).await, 403, mismatch);
    let below = json!({ "relation_type": "relates_to", "target_identifier": "ONE-1" });
    refused(voice.post("issues/ONE-1/relations", below).await, 403, mismatch);

    let report = json!({ "fence": held["fence"], "status": "COMPLETED", "result_summary": "fine" });
    granted(insider.patch(&format!("tasks/{}", text(&held, "id")), report).await, 200);
    refused(voice.get("issues/ONE-1").await, 404, "Issue not found");
    refused(voice.post("issues/ONE-1/comments", json!({ "body": "More" })).await, 403, mismatch);

    // What is gone is nobody's to hand on.
    let crew = format!("/api/v1/crews/{}/issues/ONE-1", one.crew);
    server.delete(crew).send().await.expect(204);
    let wish = json!({
        "target_slug": "one-mate", "task": "Look", "crew_id": one.crew, "chat_id": one.chat,
        "mission_id": id,
    });
    refused(insider.post("assignments", wish).await, 409, "the mission or issue is over");
}

/// A person starts an issue.
async fn start(server: &Server, identifier: &str) -> Result<(), ExecuteError> {
    let writer = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    let issue = Named { crew: None, name: identifier.into() };
    let command = IssueCommand::Start { issue, seen: None }.into();
    let actor = Actor::User(server.owner.as_str().into());
    writer.execute(Wish { command, actor, request: None }).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_of_a_strict_crew_waits_for_a_yes() {
    let server = Server::begin().await;
    let (insider, cast) = (Insider::of(&server), cast(&server, "one").await);
    set_autonomy(&server, &cast.crew, "strict").await;
    let wish = json!({
        "title": "Ship", "crew_id": cast.crew, "author_agent_id": cast.mate, "assignee_type": "agent",
        "assignee_id": cast.mate,
    });
    let held = granted(insider.post("issues", wish.clone()).await, 202);
    assert_eq!((&held["identifier"], &held["status"]), (&json!("ONE-1"), &json!("BACKLOG")));
    assert_eq!((&held["decision"], &held["autonomy_level"]), (&json!("inbox_approve"), &json!("strict")));
    assert_eq!(held["pending_review"], true);
    let approval = text(&held, "approval_id");
    let asked = server.get(format!("/api/v1/approvals/{approval}")).send().await.expect(200);
    assert_eq!(asked["status"], "pending");
    let refusal = start(&server, "ONE-1").await.expect_err("it is held");
    assert!(
        matches!(&refusal, ExecuteError::Rejected(rejection) if rejection.code == "issue.held"),
        "{refusal:?}"
    );
    decide(&server, &approval, "approved").await;
    start(&server, "ONE-1").await.expect("somebody has said yes");
    assert_eq!(show(&insider, "ONE-1").await["status"], "IN_PROGRESS");

    let denied = granted(insider.post("issues", wish.clone()).await, 202);
    decide(&server, &text(&denied, "approval_id"), "denied").await;
    assert!(start(&server, "ONE-2").await.is_err());
    set_autonomy(&server, &cast.crew, "trusted").await;
    let free = granted(insider.post("issues", wish).await, 201);
    assert!(free.get("approval_id").is_none(), "{free}");
    start(&server, "ONE-3").await.expect("nobody has to say yes");
}
