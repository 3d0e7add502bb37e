//! Lists of issues: conditions, order, pages, and what changed since when (`issues.md` 6.1, 22; check 19).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::desk::{Desk, STATUSES, text};
use super::server::{Reply, Server};

/// Many issues at once; their ids, oldest first.
async fn many(desk: &Desk<'_>, issues: impl Iterator<Item = Value>) -> Vec<String> {
    let file: Vec<String> = issues.map(|issue| issue.to_string()).collect();
    let asking = desk.server.post(format!("{}/import", desk.issues())).body(file.join("\n"));
    let made = asking.send().await.expect(201);
    made["issues"].as_array().unwrap().iter().map(|issue| text(&issue["id"])).collect()
}

fn ids(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| text(&row["id"])).collect()
}

/// Where a link of a page leads, if it has it.
fn link(reply: &Reply, rel: &str) -> Option<String> {
    let end = format!(">; rel=\"{rel}\"");
    let links = reply.header("link")?.split(", ");
    links.filter_map(|link| link.strip_suffix(&*end)?.strip_prefix('<')).next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_narrowed_by_all_conditions_each_with_any_of_its_values() {
    let server = Server::begin().await;
    let (desk, other) = (server.desk("eng").await, server.desk("ops").await);
    let me = server.owner.clone();
    for (title, more) in [
        ("a", json!({ "priority": "urgent", "assignee_type": "user", "assignee_id": me })),
        ("b", json!({ "priority": "low", "assignee_type": "agent", "assignee_id": desk.hand })),
        ("c", json!({ "due_date": "2026-03-01" })),
        ("d", json!({ "due_date": "2026-03-02T12:00:00Z", "parent_issue_id": "ENG-1" })),
    ] {
        let mut body = more;
        body["title"] = json!(title);
        desk.create(body).await;
    }
    other.create(json!({ "title": "e", "due_date": "2026-03-03", "parent_issue_id": "ENG-2" })).await;
    desk.change("ENG-2", json!({ "status": "TODO" })).await.expect(200);
    desk.change("ENG-3", json!({ "status": "CANCELLED" })).await.expect(200);
    let (crew, ops) = (&desk.crew, &other.crew);
    let first = text(&desk.show("ENG-1").await["id"]);
    for (query, expected) in [
        ("", "edcba"),
        ("order=asc", "abcde"),
        ("order=ASC", "edcba"),
        ("status=TODO", "b"),
        ("status=TODO,%20CANCELLED,,", "cb"),
        ("status=todo", ""),
        ("status=", "edcba"),
        ("status=NONSENSE,TODO", "b"),
        ("priority=urgent,low", "ba"),
        ("priority=none&status=BACKLOG", "ed"),
        (&*format!("crew_id={ops}"), "e"),
        (&*format!("crew_id={crew},{ops}"), "edcba"),
        ("crew_id=unknown", ""),
        ("project_id=unknown", ""),
        ("project_id=none", "edcba"),
        ("milestone_id=none&status=TODO", "b"),
        ("milestone_id=x", ""),
        ("assignee_id=none", "edc"),
        ("assignee_id=me", "a"),
        (&*format!("assignee_id=me,{}", desk.hand), "ba"),
        ("assignee_id=unknown", ""),
        ("assignee_id=unknown,none", "edc"),
        ("label=none", "edcba"),
        ("label=bug", ""),
        ("label=bug,none", "edcba"),
        ("not_label=bug", "edcba"),
        ("parent_issue_id=none", "cba"),
        ("parent_issue_id=ENG-1,eng-2", "ed"),
        (&*format!("parent_issue_id={first}"), "d"),
        ("parent_issue_id=unknown", ""),
        ("ids=ENG-1,ops-1,unknown", "ea"),
        (&*format!("ids={first}"), "a"),
        ("ids=unknown", ""),
        ("ids=ENG-1,ENG-2&status=TODO", "b"),
        ("due_before=2026-03-02", "c"),
        ("due_before=2026-03-02T12:00:01Z", "dc"),
        ("due_after=2026-03-02", "ed"),
        ("due_after=2026-03-02T12:00:00Z", "e"),
        ("due_after=2026-03-01&due_before=2026-03-03", "d"),
        ("due_before=2026-03-01", ""),
        ("updated_since=2020-01-01T00:00:00Z", "edcba"),
        ("updated_since=2100-01-01T00:00:00Z", ""),
        ("sort=due_date", "edcba"),
        ("sort=due_date&order=asc", "cdeab"),
        ("sort=nonsense", "edcba"),
        ("limit=2&offset=1", "dc"),
        ("offset=-1&limit=0", "edcba"),
        ("limit=abc&offset=abc", "edcba"),
        ("offset=5", ""),
    ] {
        let reply = server.get(format!("/api/v1/issues?{query}")).send().await;
        let total = reply.header("x-total-count").unwrap().to_owned();
        let rows = reply.expect(200);
        let found: String = rows.as_array().unwrap().iter().map(|row| text(&row["title"])).collect();
        assert_eq!(found, expected, "{query}");
        if !query.contains("offset") {
            assert_eq!(total, expected.len().to_string(), "{query}");
        }
    }
    let moment = text(&desk.show("ENG-1").await["updated_at"]);
    assert_eq!(desk.list(&format!("updated_since={moment}")).await.len(), 5, "that second is in it");
    for (query, detail) in [
        ("due_before=soon", "due_before must be YYYY-MM-DD or an RFC 3339 timestamp"),
        ("due_after=2026-13-01", "due_after must be YYYY-MM-DD or an RFC 3339 timestamp"),
        ("due_after=2026-03-02T12:00Z", "due_after must be YYYY-MM-DD or an RFC 3339 timestamp"),
        ("cursor=nonsense", "bad cursor"),
    ] {
        server.get(format!("/api/v1/issues?{query}")).send().await.refused(400, detail);
    }
    assert_eq!(server.get("/api/v1/issues?updated_since=x").send().await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_a_part_of_what_an_issue_says_in_any_case() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    for (title, description) in [
        ("Ünïcode STRASSE", "Ещё одна ЗАДАЧА"),
        ("100% sure", "snake_case"),
        ("1000 sure", "snakeXcase"),
        ("ΟΔΟΣ", "back\\slash \"quoted\""),
    ] {
        desk.create(json!({ "title": title, "description": description })).await;
    }
    for (needle, expected) in [
        ("ünÏ", vec!["Ünïcode STRASSE"]),
        ("задача", vec!["Ünïcode STRASSE"]),
        ("Strasse", vec!["Ünïcode STRASSE"]),
        ("100%", vec!["100% sure"]),
        ("snake_", vec!["100% sure"]),
        ("SURE", vec!["1000 sure", "100% sure"]),
        ("eng-4", vec!["ΟΔΟΣ"]),
        ("οδοσ", vec!["ΟΔΟΣ"]),
        ("οδος", vec!["ΟΔΟΣ"]),
        ("straße", vec!["Ünïcode STRASSE"]),
        ("\"QUOTED", vec!["ΟΔΟΣ"]),
        ("k\\S", vec!["ΟΔΟΣ"]),
        ("nothing", vec![]),
        ("%", vec!["100% sure"]),
        ("_", vec!["100% sure"]),
    ] {
        let encoded: String = needle.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(desk.titles(&format!("search={encoded}")).await, expected, "{needle}");
    }
    let reply = server.get("/api/v1/issues?search=sure&limit=1&status=BACKLOG").send().await;
    assert_eq!(reply.header("x-total-count"), Some("2"));
    assert!(link(&reply, "next").unwrap().contains("search=sure"));
    assert_eq!(desk.titles("search=sure&ids=ENG-2").await, ["100% sure"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_stable_across_pages_however_they_are_turned() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let priorities = ["none", "low", "medium", "high", "urgent"];
    let made = many(
        &desk,
        (0..120).map(|number: usize| {
            json!({
                "title": format!("Issue {number}"), "priority": priorities[number * 7 % 5],
                "sort_order": (number * 13 % 4) as f64 - 1.5, "created_at": "2026-01-01T00:00:00Z",
                "due_date": (!number.is_multiple_of(3)).then(|| format!("2026-03-{:02}", number % 9 + 1)),
            })
        }),
    )
    .await;
    assert_eq!(made.len(), 120);
    for query in [
        "",
        "order=asc",
        "sort=updated_at",
        "sort=priority",
        "sort=priority&order=asc",
        "sort=sort_order",
        "sort=sort_order&order=asc",
        "sort=due_date",
        "sort=due_date&order=asc",
        "sort=due_date&order=asc&priority=high",
        "sort=priority&due_after=2026-03-04",
    ] {
        let first = server.get(format!("/api/v1/issues?limit=1000&{query}")).send().await;
        let total: usize = first.header("x-total-count").unwrap().parse().unwrap();
        assert_eq!(first.body.as_array().unwrap().len(), total.min(100), "{query}");
        assert_eq!(
            server.get(format!("/api/v1/issues?{query}")).send().await.body.as_array().unwrap().len(),
            total.min(50)
        );
        let turn = async |rel_is_link: bool| {
            let (mut seen, mut path) = (vec![], format!("/api/v1/issues?limit=7&{query}"));
            loop {
                let reply = server.get(&*path).send().await;
                assert_eq!(reply.header("x-total-count"), Some(&*total.to_string()), "{path}");
                let cursor = reply.header("x-next-cursor").map(str::to_owned);
                let next = link(&reply, "next");
                assert_eq!(cursor.is_some(), next.is_some(), "{path}");
                seen.extend(reply.expect(200).as_array().unwrap().clone());
                let Some(cursor) = cursor else { return seen };
                path = match rel_is_link {
                    true => next.unwrap(),
                    false => format!("/api/v1/issues?limit=7&{query}&cursor={cursor}"),
                };
            }
        };
        let by_offset = turn(true).await;
        let by_cursor = turn(false).await;
        assert_eq!(by_offset.len(), total, "{query}");
        assert_eq!(by_offset, by_cursor, "{query}");
        let rank = |row: &Value| priorities.iter().position(|word| row["priority"] == *word).unwrap();
        let key = |row: &Value| match query {
            _ if query.contains("priority") && query.contains("sort=p") => rank(row) as f64,
            _ if query.contains("sort_order") => row["sort_order"].as_f64().unwrap(),
            _ => 0.0,
        };
        for pair in by_offset.windows(2) {
            let ids = (text(&pair[0]["id"]), text(&pair[1]["id"]));
            match (query.contains("asc"), query.contains("due_date")) {
                (_, true) => {}
                (true, _) => assert!((key(&pair[0]), ids.0) < (key(&pair[1]), ids.1), "{query}"),
                (false, _) => assert!((key(&pair[0]), ids.0) > (key(&pair[1]), ids.1), "{query}"),
            }
        }
        if query.contains("sort=due_date") {
            let days: Vec<&Value> = by_offset.iter().map(|row| &row["due_date"]).collect();
            let dated: Vec<&str> = days.iter().map_while(|day| day.as_str()).collect();
            assert!(days[dated.len()..].iter().all(|day| day.is_null()), "those without a date come last");
            match query.contains("asc") {
                true => assert!(dated.is_sorted(), "{query}"),
                false => assert!(dated.iter().rev().is_sorted(), "{query}"),
            }
        }
    }
    // A cursor belongs to its order.
    let reply = server.get("/api/v1/issues?limit=1").send().await;
    let cursor = reply.header("x-next-cursor").unwrap();
    let path = format!("/api/v1/issues?limit=1&sort=priority&cursor={cursor}");
    server.get(path).send().await.refused(400, "bad cursor");
    let next = link(
        &server.get(format!("/api/v1/issues?limit=1&cursor={cursor}&priority=low")).send().await,
        "next",
    );
    assert!(next.unwrap().starts_with("/api/v1/issues?priority=low&limit=1&cursor=i_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_walks_by_cursor_while_others_write_sees_nothing_twice_and_misses_nothing() {
    let server = Server::begin().await;
    let desk = server.desk("eng").await;
    let made = many(&desk, (0..250).map(|number| json!({ "title": format!("Issue {number}") }))).await;
    let path = |query: &str, cursor: &Option<String>| {
        let cursor = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        format!("/api/v1/issues?limit=20&{query}{cursor}")
    };
    let mut gone: Vec<String> = vec![];
    for (round, query) in
        ["", "order=asc", "sort=priority", "status=BACKLOG&order=asc"].into_iter().enumerate()
    {
        let (mut seen, mut cursor): (Vec<String>, Option<String>) = (vec![], None);
        let mut step = 0;
        loop {
            let reply = server.get(path(query, &cursor)).send().await;
            cursor = reply.header("x-next-cursor").map(str::to_owned);
            seen.extend(ids(&reply.expect(200)));
            if cursor.is_none() {
                break;
            }
            // One comes, one goes, one changes: before and behind where the reader is.
            desk.issue("New").await;
            let leaves = &made[(step * 37 + round * 11) % 250];
            if !gone.contains(leaves) {
                desk.delete(leaves).await.expect(204);
                gone.push(leaves.clone());
            }
            let changes = &made[(step * 53 + 5) % 250];
            if !gone.contains(changes) {
                desk.change(changes, json!({ "estimate": round * 100 + step })).await.expect(200);
            }
            step += 1;
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), seen.len(), "{query}: nothing twice");
        let lost: Vec<_> = made.iter().filter(|id| !gone.contains(id) && !seen.contains(id)).collect();
        assert!(lost.is_empty(), "{query}: {lost:?}");
    }
}

/// A copy that somebody without a connection keeps: things by sort and id.
#[derive(Default)]
struct Copy {
    things: BTreeMap<(String, String), Value>,
    next: Option<String>,
    pages: usize,
}

impl Copy {
    /// Applies some pages of changes; whether there is more.
    async fn follow(&mut self, server: &Server, pages: usize, limit: usize) -> bool {
        for _ in 0..pages {
            let after = self.next.as_ref().map(|next| format!("&after={next}")).unwrap_or_default();
            let page =
                server.get(format!("/api/v1/issues/changes?limit={limit}{after}")).send().await.expect(200);
            for change in page["changes"].as_array().unwrap() {
                let key = (text(&change["type"]), text(&change["id"]));
                assert_eq!(change["deleted"] == true, change.get("data").is_none());
                match change.get("data") {
                    Some(data) => drop(self.things.insert(key, data.clone())),
                    None => drop(self.things.remove(&key)),
                }
            }
            self.next = Some(text(&page["next"]));
            self.pages += 1;
            if page["has_more"] == false {
                return false;
            }
        }
        true
    }

    fn of(&self, sort: &str) -> BTreeMap<String, Value> {
        let own = self.things.iter().filter(|((own, _), _)| own == sort);
        own.map(|((_, id), data)| (id.clone(), data.clone())).collect()
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() { None } else { all.get(self.roll(all.len())) }
    }
}

/// One wish of somebody; most of them are granted.
async fn anything(desks: [&Desk<'_>; 2], dice: &mut Dice) {
    let desk = desks[dice.roll(2)];
    let issues = desk.list(&format!("limit=100&crew_id={}", desk.crew)).await;
    let all = desk.list("limit=100").await;
    let name = |issue: Option<&Value>| issue.map_or_else(|| "none".into(), |issue| text(&issue["id"]));
    let issue = name(dice.of(&issues));
    let other = name(dice.of(&all));
    match dice.roll(16) {
        0..=3 => {
            let parent = if dice.roll(2) == 0 { other } else { String::new() };
            let body = json!({ "title": format!("Issue {}", dice.roll(1000)), "parent_issue_id": parent,
                "assignee_type": "agent", "assignee_id": desk.hand });
            desk.try_create(body).await;
        }
        4..=5 => drop(desk.change(&issue, json!({ "title": format!("Named {}", dice.roll(1000)) })).await),
        6 => drop(desk.change(&issue, json!({ "parent_issue_id": other })).await),
        7 => drop(desk.change(&issue, json!({ "parent_issue_id": "" })).await),
        8 => drop(desk.change(&issue, json!({ "status": STATUSES[dice.roll(7)] })).await),
        9 => drop(desk.delete(&issue).await),
        10 => {
            drop(desk.post(&issue, "comments", json!({ "body": format!("said {}", dice.roll(1000)) })).await)
        }
        11 => {
            let how = ["blocks", "blocked_by", "relates_to", "duplicate_of"][dice.roll(4)];
            desk.post(&issue, "relations", json!({ "target_identifier": other, "relation_type": how })).await;
        }
        12 if issue != "none" => {
            let comments = desk.read(&issue, "comments").await;
            let Some(comment) = dice.of(&comments) else { return };
            let path = format!("{}/comments/{}", desk.at(&issue), text(&comment["id"]));
            match dice.roll(2) {
                0 => drop(desk.server.patch(path).json(json!({ "body": "edited" })).send().await.expect(200)),
                _ => drop(desk.server.delete(path).send().await.expect(204)),
            }
        }
        13 if issue != "none" => {
            let links = desk.read(&issue, "relations").await;
            let Some(link) = dice.of(&links) else { return };
            let path = format!("/api/v1/relations/{}", text(&link["id"]));
            desk.server.delete(path).send().await.expect(200);
        }
        14 => {
            let what = ["start", "stop", "retry"][dice.roll(3)];
            desk.post(&issue, what, Value::Null).await;
        }
        _ => {
            let updates = json!({ "status": STATUSES[dice.roll(7)], "priority": "high" });
            desk.bulk(&[&issue, &other], updates).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_follows_the_changes_says_what_the_server_says() {
    let server = Server::begin().await;
    let (one, two) = (server.desk("eng").await, server.desk("ops").await);
    let mut dice = Dice(0x5eed);
    let mut copies = [Copy::default(), Copy::default()];
    for round in 0..300 {
        anything([&one, &two], &mut dice).await;
        if dice.roll(12) == 0 {
            let (pages, limit) = (dice.roll(3) + 1, dice.roll(9) + 1);
            copies[round % 2].follow(&server, pages, limit).await;
        }
        if round == 280 {
            server.delete(format!("/api/v1/crews/{}", two.crew)).send().await.expect(200);
        }
    }
    let mut issues = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let reply = server.get(format!("/api/v1/issues?limit=100{cursor}")).send().await;
        let next = reply.header("x-next-cursor").map(|next| format!("&cursor={next}"));
        issues
            .extend(reply.expect(200).as_array().unwrap().iter().map(|row| (text(&row["id"]), row.clone())));
        let Some(next) = next else { break };
        cursor = next;
    }
    let (mut comments, mut relations) = (BTreeMap::new(), BTreeMap::new());
    for id in issues.keys() {
        assert_eq!(one.show(id).await, issues[id]);
        comments.extend(one.read(id, "comments").await.iter().map(|said| (text(&said["id"]), said.clone())));
        relations.extend(
            one.read(id, "relations")
                .await
                .iter()
                .map(|link| (text(&link["id"]), [&link["source_id"], &link["target_id"]].map(text))),
        );
    }
    assert!(issues.len() > 5 && !comments.is_empty() && !relations.is_empty(), "{}", issues.len());
    copies.iter_mut().for_each(|copy| assert!(copy.pages > 3));
    for mut copy in copies.into_iter().chain([Copy::default()]) {
        while copy.follow(&server, 1, 5).await {}
        assert_eq!(copy.of("issue"), issues);
        assert_eq!(copy.of("comment"), comments);
        let links = copy.of("relation").into_iter();
        let links: BTreeMap<_, _> =
            links.map(|(id, link)| (id, [&link["source_id"], &link["target_id"]].map(text))).collect();
        assert_eq!(links, relations);
        let (next, count) = (copy.next.clone(), copy.things.len());
        assert!(!copy.follow(&server, 1, 5).await);
        assert_eq!((copy.next, copy.things.len()), (next, count), "who has everything stays where they are");
    }
    for bad in ["nonsense", "j_0000000000000001", "j_ffffffffffffffff"] {
        server.get(format!("/api/v1/issues/changes?after={bad}")).send().await.refused(400, "bad after");
    }
}
