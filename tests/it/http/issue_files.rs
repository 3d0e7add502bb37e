//! Issues as files, out of one workspace and into another (`issues.md` 22).

use axum::http::Method;
use serde_json::{Value, json};

use super::desk::{Desk, text};
use super::server::{Reply, Server};

async fn export(desk: &Desk<'_>, workspace: Option<&str>, query: &str) -> Reply {
    let asking = desk.server.get(format!("/api/v1/issues/export?{query}"));
    match workspace {
        Some(workspace) => asking.in_workspace(workspace).send().await,
        None => asking.send().await,
    }
}

async fn import(desk: &Desk<'_>, workspace: Option<&str>, format: &str, file: impl Into<Vec<u8>>) -> Reply {
    let asking = desk.server.post(format!("{}/import?format={format}", desk.issues())).body(file);
    match workspace {
        Some(workspace) => asking.in_workspace(workspace).send().await,
        None => asking.send().await,
    }
}

fn lines(reply: &Reply) -> Vec<Value> {
    let mut lines: Vec<Value> =
        reply.body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| text(&line["identifier"]));
    lines
}

/// Issues of every sort in two crews.
async fn furnish(server: &Server) -> Desk<'_> {
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    for status in ["BACKLOG", "TODO", "IN_PROGRESS", "REVIEW", "DONE", "FAILED", "CANCELLED"] {
        desk.issue_in(status).await;
    }
    let strange = json!({
        "title": "=SUM(A1:A9), \"quoted\"", "description": "+1\n-1,\r\n'@' \u{1f980} ž", "priority": "urgent",
        "assignee_type": "agent", "assignee_id": desk.hand, "due_date": "2026-02-28", "estimate": -3,
        "parent_issue_id": "ENG-2",
    });
    desk.create(strange).await;
    let mine = json!({ "title": "@mine", "assignee_type": "user", "assignee_id": server.owner });
    other.create(mine).await;
    other.create(json!({ "title": "-below", "parent_issue_id": "ENG-8", "description": "" })).await;
    desk.change("ENG-8", json!({ "sort_order": -1.25 })).await.expect(200);
    // The first becomes a part of a later one.
    desk.change("ENG-1", json!({ "parent_issue_id": "OPS-2" })).await.expect(200);
    for body in ["=cmd", "two\nlines"] {
        desk.post("ENG-1", "comments", json!({ "body": body })).await.expect(201);
    }
    let project = desk.ask(Method::POST, "/api/v1/projects".into(), json!({ "name": "Mobile App: 2" })).await;
    let project = project.text("id");
    let milestones = format!("/api/v1/projects/{project}/milestones");
    let milestone = desk.ask(Method::POST, milestones, json!({ "name": "=v1" })).await.text("id");
    let label = json!({ "name": "a, b", "color": "red" });
    let label = desk.ask(Method::POST, "/api/v1/labels".into(), label).await.text("id");
    let sorted = json!({ "project_id": project, "milestone_id": milestone, "labels": [label] });
    desk.change("ENG-2", sorted).await.expect(200);
    for (target, how) in [("OPS-1", "blocks"), ("ENG-3", "blocked_by"), ("ENG-8", "relates_to")] {
        let link = json!({ "target_identifier": target, "relation_type": how });
        desk.post("ENG-2", "relations", link).await.expect(201);
    }
    let run = desk.issue("Run").await;
    desk.change(&run, json!({ "assignee_id": desk.hand })).await.expect(200);
    desk.post(&run, "start", Value::Null).await.expect(200);
    let work = desk.claim().await;
    desk.report(&work, json!({ "status": "COMPLETED", "result_summary": "done" })).await.expect(200);
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_and_imported_elsewhere_says_the_same() {
    let server = Server::begin().await;
    let desk = furnish(&server).await;
    let out = export(&desk, None, "").await;
    assert_eq!(out.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(out.header("content-disposition"), Some("attachment; filename=\"issues.ndjson\""));
    let expected = lines(&out);
    assert_eq!(expected.len(), 11);
    let two = &expected.iter().find(|issue| issue["identifier"] == "ENG-2").unwrap();
    assert_eq!((&two["project"], &two["milestone"]), (&json!("Mobile App: 2"), &json!("=v1")));
    assert_eq!((&two["labels"], &two["parent"]), (&json!(["a, b"]), &Value::Null));
    let link = |how: &str, target: &str| json!({ "relation_type": how, "target": target });
    assert_eq!(two["relations"], json!([link("blocks", "OPS-1"), link("relates_to", "ENG-8")]));
    for format in ["ndjson", "csv"] {
        let out = export(&desk, None, &format!("format={format}")).await;
        assert_eq!(out.status, 200);
        let file = out.body.as_str().unwrap().to_owned();
        let made =
            server.post("/api/v1/workspaces").json(json!({ "name": format!("Fresh {format}") })).send().await;
        let fresh = made.text("id");
        let other = server.desk_in(Some(&fresh), "ops").await;
        let there = server.desk_in(Some(&fresh), "eng").await;
        let told = import(&there, Some(&fresh), format, file).await.expect(201);
        assert_eq!((&told["created"], &told["skipped"]), (&json!(11), &json!(0)), "{format}");
        assert_eq!(told["issues"].as_array().unwrap().len(), 11);
        assert_eq!(told["warnings"], json!([]), "{format}");
        let again = export(&there, Some(&fresh), "").await;
        assert_eq!(lines(&again), expected, "{format}");
        let shown = there.show("ENG-8").await;
        assert_eq!((&shown["authored_via"], &shown["sub_issues_count"]), (&json!("imported"), &json!(1)));
        assert_eq!(
            (&shown["assignee_id"], &shown["title"]),
            (&json!(there.hand), &json!("=SUM(A1:A9), \"quoted\""))
        );
        assert_eq!(there.show("ENG-1").await["comment_count"], 2);
        assert_eq!(there.log("ENG-1").await, ["created: In BACKLOG"]);
        let of_two = there.read("ENG-2", "relations").await;
        let seen: Vec<_> = of_two.iter().map(|link| text(&link["relation_type"])).collect();
        assert_eq!(seen, ["blocks", "relates_to", "blocked_by"]);
        let said = &there.read("ENG-1", "comments").await[0];
        assert_eq!((&said["author_id"], &said["imported_by"]), (&json!(server.owner), &json!(server.owner)));
        // Numbers go on behind what came along.
        assert_eq!((there.issue("Next").await, other.issue("Next").await), ("ENG-10".into(), "OPS-3".into()));
        // An issue in progress elsewhere is nobody's work here.
        let claim =
            server.post("/api/v1/worker/tasks/claim").in_workspace(&fresh).json(json!({})).send().await;
        assert_eq!(claim.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_what_a_list_shows_and_no_spreadsheet_calculates_it() {
    let server = Server::begin().await;
    let desk = furnish(&server).await;
    let csv = export(&desk, None, "format=csv&status=BACKLOG").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"issues.csv\""));
    let text = csv.body.as_str().unwrap();
    let head = "identifier,external_id,crew,title,description,status,priority,assignee_type,assignee,due_date,\
        sort_order,project,milestone,parent,estimate,labels,routine,routine_inputs,created_at,started_at,\
        completed_at,relations,comments\n";
    assert!(text.starts_with(head), "{text}");
    assert_eq!(lines(&export(&desk, None, "status=BACKLOG").await).len(), 4);
    for guarded in ["\"'=SUM(A1:A9), \"\"quoted\"\"\"", "\"'+1\n", ",'@mine,", ",'-below,"] {
        assert!(text.contains(guarded), "{guarded} in {text}");
    }
    for (query, count) in [
        ("priority=urgent", 1),
        ("crew_id=x", 0),
        ("ids=ENG-1,OPS-1", 2),
        ("limit=1", 11),
        ("assignee_id=me", 1),
        ("search=below", 1),
        // No conditions, so nobody looks at them.
        ("mission_type=orchestration&sort=priority&order=desc&cursor=x&offset=5", 11),
    ] {
        assert_eq!(lines(&export(&desk, None, query).await).len(), count, "{query}");
    }
    export(&desk, None, "format=xml").await.refused(400, "format must be: ndjson, csv");
    export(&desk, None, "due_before=x")
        .await
        .refused(400, "due_before must be YYYY-MM-DD or an RFC 3339 timestamp");
    let none = export(&desk, None, "format=csv&ids=x").await;
    assert_eq!(none.body, json!(head));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_is_not_imported_again() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let file = "{\"title\":\"One\",\"external_id\":\"GH-1\",\"status\":\"In Progress\",\"priority\":\"Highest\"}\n\n\
        {\"title\":\"Two\",\"external_id\":\"GH-2\",\"parent\":\"GH-3\",\"identifier\":\"OLD-7\"}\n\
        {\"title\":\"Three\",\"external_id\":\"GH-3\",\"created_at\":\"2020-02-02T02:02:02Z\",\"unknown\":{}}\n";
    let told = import(&desk, None, "ndjson", file).await.expect(201);
    assert_eq!((&told["created"], &told["skipped"]), (&json!(3), &json!(0)));
    let by_external = |name: &str| {
        let found = told["issues"].as_array().unwrap().iter().find(|issue| issue["external_id"] == *name);
        text(&found.unwrap()["identifier"])
    };
    let one = desk.show(&by_external("GH-1")).await;
    assert_eq!(
        (&one["status"], &one["priority"], &one["external_id"]),
        (&json!("IN_PROGRESS"), &json!("urgent"), &json!("GH-1"))
    );
    let (two, three) = (desk.show("OLD-7").await, desk.show(&by_external("GH-3")).await);
    assert_eq!(two["parent_issue_id"], three["id"], "a parent may come behind its part");
    assert_eq!(three["created_at"], "2020-02-02T02:02:02Z");
    assert_eq!(
        desk.titles("").await.last().unwrap(),
        "Three",
        "the order is that of creation, wherever it was"
    );
    let before = desk.list("").await;
    let again = format!("{file}{{\"title\":\"Four\",\"external_id\":\"GH-4\",\"parent\":\"GH-1\"}}");
    let told = import(&desk, None, "ndjson", again.clone()).await.expect(201);
    assert_eq!((&told["created"], &told["skipped"]), (&json!(1), &json!(3)));
    assert_eq!(told["issues"][0]["external_id"], "GH-4");
    assert_eq!(import(&desk, None, "ndjson", again).await.expect(201)["created"], 0);
    assert_eq!(desk.list("").await.len(), before.len() + 1);
    assert_eq!(desk.show(&text(&one["id"])).await["sub_issues_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_here_is_told_with_what_was_done_instead() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    desk.issue("Here").await;
    let file = [
        json!({ "title": "One", "crew": "", "assignee": null, "routine_inputs": null }),
        json!({
            "title": "Two", "crew": "gone", "assignee": "mara",
            "comments": [{ "author": "zoe", "body": "Hm" }, { "body": " " }],
        }),
        json!({
            "title": "Three", "parent": "ENG-9", "milestone": "v1", "routine": "r", "routine_inputs": { "x": 1 },
            "estimate": 2.5, "created_at": "9999-01-01T00:00:00Z", "identifier": "ENG-1",
            "relations": [
                { "relation_type": "eats", "target": "x" }, { "relation_type": "blocks", "target": "x" },
            ],
        }),
    ];
    let file: String = file.iter().map(|line| format!("{line}\n")).collect();
    let told = import(&desk, None, "ndjson", format!("\u{feff}{file}")).await.expect(201);
    let mut warnings: Vec<String> = told["warnings"].as_array().unwrap().iter().map(text).collect();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "issue 2: unknown assignee \"mara\": nobody is assigned",
            "issue 2: unknown author of a comment \"zoe\": it is yours",
            "issue 2: unknown crew \"gone\": the crew of the path has it",
            "issue 3: ENG-1 is not free here: it has a new identifier",
            "issue 3: an estimate of 2.5 points: 3 are kept",
            "issue 3: created_at \"9999-01-01T00:00:00Z\" is yet to come: it is now",
            "issue 3: milestone \"v1\" has no project: it is left out",
            "issue 3: unknown issue \"x\": it is not linked to it",
            "issue 3: unknown parent \"ENG-9\": it has none",
            "issue 3: unknown relation_type \"eats\": it is left out",
            "issue 3: unknown routine \"r\": none is bound",
        ]
    );
    assert_eq!(told["created"], 3);
    let three = &desk.list("search=Three").await[0];
    assert_eq!((&three["parent_issue_id"], &three["estimate"]), (&Value::Null, &json!(3)));
    assert!(text(&three["created_at"]).as_str() < "9998");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_trackers_are_read_as_they_are() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let jira = "\u{feff}Summary,Issue key,Issue id,Status,Priority,Created,Due date,Labels,Labels,Parent,Parent key,\
        Custom field (Story Points),Project name,Comment\n\
        Part,AB-8,10008,To Do,Lowest,14/May/24 9:31 AM,01/Jun/24 12:00 AM,one,two,10007,AB-7,3.0,Shop,\n\
        Whole,AB-7,10007,Done,Highest,13/May/24 1:00 PM,,,one,,,,Shop,14/May/24 9:40 AM;5b10;'tis done\n";
    let told = import(&desk, None, "csv", jira).await.expect(201);
    assert_eq!(told["warnings"], json!(["issue 2: unknown author of a comment \"5b10\": it is yours"]));
    let (part, whole) = (desk.show("AB-8").await, desk.show("AB-7").await);
    assert_eq!((&part["parent_issue_id"], &part["external_id"]), (&whole["id"], &json!("AB-8")));
    assert_eq!(
        (&part["created_at"], &part["due_date"]),
        (&json!("2024-05-14T09:31:00Z"), &json!("2024-06-01"))
    );
    assert_eq!(
        (&part["estimate"], &part["priority"], &part["status"]),
        (&json!(3), &json!("low"), &json!("TODO"))
    );
    assert_eq!((part["labels"].as_array().unwrap().len(), &part["project_name"]), (2, &json!("Shop")));
    let said = &desk.read("AB-7", "comments").await[0];
    assert_eq!((&said["body"], &said["created_at"]), (&json!("'tis done"), &json!("2024-05-14T09:40:00Z")));
    let github = json!([
        {
            "number": 7, "url": "https://example.org/o/r/issues/7", "title": "Closed", "state": "CLOSED",
            "stateReason": "NOT_PLANNED", "createdAt": "2024-05-14T09:31:00Z", "labels": [{ "name": "one" }],
            "assignees": [], "milestone": null, "body": "",
        },
        { "number": 8, "title": "Open", "state": "open", "comments": 4, "milestone": { "title": "v1" } },
    ]);
    let told = import(&desk, None, "ndjson", github.to_string()).await.expect(201);
    assert_eq!(told["warnings"], json!(["issue 2: milestone \"v1\" has no project: it is left out"]));
    let closed = &desk.list("search=Closed").await[0];
    assert_eq!((&closed["status"], &closed["labels"][0]["name"]), (&json!("CANCELLED"), &json!("one")));
    let again = import(&desk, None, "ndjson", github.to_string()).await.expect(201);
    assert_eq!((&again["skipped"], &again["warnings"]), (&json!(2), &json!([])));
    let linear = "ID,Team,Title,Status,Priority,Estimate,Labels,Created,Parent issue\n\
        LIN-2,Eng,Below,In Review,No priority,5,\"one, two\",\
        Tue May 14 2024 11:31:00 GMT+0200 (Central European Summer Time),LIN-1\n";
    let told = import(&desk, None, "csv", linear).await.expect(201);
    assert_eq!(told["warnings"], json!(["issue 1: unknown parent \"LIN-1\": it has none"]));
    let below = desk.show("LIN-2").await;
    assert_eq!((&below["status"], &below["created_at"]), (&json!("REVIEW"), &json!("2024-05-14T09:31:00Z")));
}

#[test]
fn the_document_tells_both_sorts_of_file_and_only_what_an_export_looks_at() {
    let document: Value = serde_json::from_str(include_str!("../../../schemas/openapi.json")).unwrap();
    let export = &document["paths"]["/api/v1/issues/export"]["get"];
    let import = &document["paths"]["/api/v1/crews/{crewId}/issues/import"]["post"];
    for content in [&export["responses"]["200"]["content"], &import["requestBody"]["content"]] {
        let types: Vec<&String> = content.as_object().unwrap().keys().collect();
        assert_eq!(types, ["application/x-ndjson", "text/csv"]);
    }
    let asked = export["parameters"].as_array().unwrap().iter().map(|parameter| text(&parameter["name"]));
    let asked: Vec<String> = asked.collect();
    for name in ["format", "status", "updated_since"] {
        assert!(asked.iter().any(|asked| asked == name), "{name} of {asked:?}");
    }
    for name in ["limit", "offset", "cursor", "sort", "order", "mission_type"] {
        assert!(!asked.iter().any(|asked| asked == name), "{name} of {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_whole_or_refused_with_the_place_that_is_wrong() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let good = "{\"title\":\"Good\"}\n";
    for (second, detail) in [
        ("{\"title\":\"\"}", "issue 2: title is required"),
        ("{\"title\":\"a\",\"status\":\"Odd\"}", "issue 2: unknown status \"Odd\""),
        (
            "{\"title\":\"a\",\"priority\":\"odd\"}",
            "issue 2: priority must be one of: none, low, medium, high, urgent",
        ),
        (
            "{\"title\":\"a\",\"due_date\":\"soon\"}",
            "issue 2: due_date must be YYYY-MM-DD or an RFC 3339 timestamp",
        ),
        ("{\"title\":\"a\",\"labels\":[\" \"]}", "issue 2: name is required"),
        (
            "{\"title\":\"a\",\"created_at\":\"5/14/24\"}",
            "issue 2: created_at \"5/14/24\" is no time that is known here",
        ),
        ("{\"title\":\"a\",\"estimate\":\"x\"}", "issue 2: estimate must be a number"),
        (
            "{\"title\":\"a\",\"parent\":\"E\",\"external_id\":\"E\"}",
            "issue 2: parent_issue_id would create a cycle",
        ),
    ] {
        import(&desk, None, "ndjson", format!("{good}{second}")).await.refused(400, detail);
    }
    for second in ["{", "[]", "{\"title\":5}", "{\"title\":\"a\",\"created_at\":\"soon\"}", "\u{0}"] {
        let reply = import(&desk, None, "ndjson", format!("{good}{second}")).await;
        assert!(text(&reply.body["error"]).starts_with("issue 2: "), "{second}: {reply:?}");
        assert_eq!(reply.status, 400);
    }
    let csv = import(&desk, None, "csv", "title,estimate\nGood,1\nBad,many\n").await;
    assert!(text(&csv.body["error"]).starts_with("issue 2: "), "{csv:?}");
    assert_eq!(import(&desk, None, "csv", b"title\n\xff\xfe\n".to_vec()).await.status, 400);
    import(&desk, None, "csv", "Name;Text\na;b\n")
        .await
        .refused(400, "the file has no column title; its columns, by commas, are: Name;Text");
    for (format, empty) in [("ndjson", ""), ("ndjson", "\n \n"), ("csv", ""), ("csv", "title\n\n")] {
        import(&desk, None, format, empty).await.refused(400, "the file has no issues");
    }
    import(&desk, None, "xml", good).await.refused(400, "format must be: ndjson, csv");
    let many = import(&desk, None, "ndjson", good.repeat(1001)).await;
    many.refused(413, "the file has 1001 issues, at most 1000 are taken at once");
    // Counted, not read: each would be made into an issue without a title first.
    for (format, file) in [
        ("ndjson", "{}\n".repeat(300_000)),
        ("ndjson", format!("[{}{{}}]", "{},".repeat(299_999))),
        ("csv", format!("title,x\n{}", ",\n".repeat(300_000))),
    ] {
        let many = import(&desk, None, format, file).await;
        many.refused(413, "the file has 300000 issues, at most 1000 are taken at once");
    }
    let wrong = format!("{}{{\"title\":5}}\n", good.repeat(1000));
    let many = import(&desk, None, "ndjson", wrong).await;
    many.refused(413, "the file has 1001 issues, at most 1000 are taken at once");
    let talk = json!({ "title": "a", "comments": vec![json!({ "body": "b" }); 50] });
    let many = import(&desk, None, "ndjson", format!("{talk}\n").repeat(100)).await;
    many.refused(
        413,
        "the file has 5100 issues, comments and links together, at most 4000 are taken at once",
    );
    let wrong = import(&desk, None, "ndjson", "title\na\n").await;
    assert!(text(&wrong.body["error"]).ends_with("(CSV is read with format=csv)"), "{wrong:?}");
    assert_eq!(import(&desk, None, "ndjson", vec![b'\n'; (1 << 20) + 1]).await.status, 413);
    let unknown = server.post("/api/v1/crews/unknown/issues/import").body(good).send().await;
    unknown.refused(404, "Crew not found");
    assert_eq!(desk.list("").await, Vec::<Value>::new(), "nothing of any of them");
    let whole = import(&desk, None, "ndjson", good.repeat(1000)).await.expect(201);
    assert_eq!((&whole["created"], &whole["warnings"]), (&json!(1000), &json!([])));
    assert_eq!(desk.list("limit=1").await[0]["identifier"], "ENG-1000");
    // More than one piece, and nothing is lost between two.
    let out = lines(&export(&desk, None, "").await);
    assert_eq!(out.len(), 1000);
    let csv = export(&desk, None, "format=csv").await;
    assert_eq!(csv.body.as_str().unwrap().lines().count(), 1001);
    let said = desk.server.post(format!("{}/import", desk.issues()));
    let said = said.header("content-type", "text/csv; charset=utf-8").body("title\nTyped\n").send().await;
    assert_eq!(said.expect(201)["issues"][0]["identifier"], "ENG-1001", "a type says it too");
}
