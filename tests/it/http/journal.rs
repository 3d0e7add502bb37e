//! The journal from outside: shape, filters, pages (`journal.md` 2.1, 3.1–3.3).

use serde_json::{Value, json};

use super::server::Server;

async fn list(server: &Server, query: &str) -> Value {
    server.get(format!("/api/v1/journal?{query}")).send().await.expect(200)
}

fn types(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["entry_type"].as_str().unwrap()).collect()
}

fn ids(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_shows_what_it_has_and_leaves_out_what_is_empty() {
    let server = Server::begin().await;
    let mission = server.mission("shape").await;
    mission.start().await.expect(200);
    let page = list(&server, &format!("mission_id={}", mission.id)).await;
    assert_eq!(types(&page), ["mission.status_change", "mission.created"]);
    let entry = &page["entries"][0];
    assert_eq!((&entry["severity"], &entry["priority"]), (&json!("info"), &json!("normal")));
    assert_eq!(
        (&entry["payload"]["from"], &entry["payload"]["to"]),
        (&json!("PLANNING"), &json!("IN_PROGRESS"))
    );
    assert_eq!((&entry["crew_id"], &entry["workspace_id"]), (&json!(mission.crew), &json!(server.workspace)));
    assert_eq!(entry["ts"].as_str().unwrap().len(), "2026-01-01T00:00:00.000Z".len());
    assert!(entry.as_object().unwrap().values().all(|value| !value.is_null() && value != ""));
    assert!(entry.get("trace_id").is_none());
    let path = format!("/api/v1/journal/{}", entry["id"].as_str().unwrap());
    assert_eq!(server.get(path).send().await.expect(200), *entry);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_foreign_or_internal_entry_is_not_found() {
    let (server, other, stranger) = Server::begin().await.with_another_workspace().await;
    server.crew("mine").await;
    let own = ids(&list(&server, "limit=1").await)[0].clone();
    let foreign = server.get(format!("/api/v1/journal/{own}")).with_token(&stranger).in_workspace(&other);
    foreign.send().await.refused(404, "entry not found");
    for id in ["j_000001ffffffffff", "nonsense", "j_0000010000000001"] {
        server.get(format!("/api/v1/journal/{id}")).send().await.refused(404, "entry not found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_together_and_unknown_words_match_nothing() {
    let server = Server::begin().await;
    let mission = server.mission("filters").await;
    mission.start().await.expect(200);
    let count = async |query: &str| {
        let total =
            server.get(format!("/api/v1/journal/count?limit=x&cursor=x&{query}")).send().await.expect(200);
        let page = list(&server, query).await;
        assert_eq!(total["total"], page["count"], "{query}");
        page["count"].as_u64().unwrap()
    };
    let all = count("").await;
    assert_eq!(count(&format!("mission_id={}", mission.id)).await, 2);
    assert_eq!(count("entry_type=mission.created,%20mission.status_change,").await, 2);
    assert_eq!(count("exclude_entry_type=mission.created&entry_type=mission.created").await, 0);
    assert_eq!(count("exclude_entry_type=mission.created").await, all - 1);
    assert_eq!(count("entry_type=unknown.type").await, 0);
    assert_eq!(count("severity=shout").await, 0);
    assert_eq!(count("severity=info").await, 2);
    assert_eq!(count("actor_type=agent").await, 0);
    assert_eq!(count(&format!("crew_id=unknown&crew_ids={}", mission.crew)).await, 4);
    assert_eq!(count(&format!("agent_id={}", mission.lead)).await, 1);
    assert_eq!(count("priority=pin,high").await, 0);
    assert_eq!(count("since=2000-01-01T00:00:00Z&until=2001-01-01T00:00:00.5%2B02:00").await, 0);
    assert_eq!(count("since=2000-01-01T00:00:00Z").await, all);
    assert_eq!(count("q=%20%20").await, all);
    assert_eq!(count(",").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_with_its_text() {
    let server = Server::begin().await;
    let refused = async |query: &str, detail: &str| {
        server.get(format!("/api/v1/journal?{query}")).send().await.refused(400, detail);
    };
    for limit in ["0", "501", "-1", "abc"] {
        refused(&format!("limit={limit}"), "limit must be 1..500").await;
    }
    refused("priority=urgent", "priority must be one of normal|high|pin|permanent (got \"urgent\")").await;
    refused("cursor=nonsense", "bad cursor").await;
    refused("cursor=2026-01-01T00:00:00.000Z|j_0000090000000001", "bad cursor").await;
    refused("after=nonsense", "bad after").await;
    refused("order=sideways", "order must be asc or desc").await;
    refused(&format!("q={}", "x".repeat(201)), "q parameter exceeds 200 characters").await;
    for name in ["since", "until"] {
        let reply = server.get(format!("/api/v1/journal?{name}=yesterday")).send().await;
        assert!(
            reply.status == 400 && reply.text("error").starts_with(&format!("bad {name}: ")),
            "{reply:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_meet_without_gap_or_repeat_in_both_orders() {
    let server = Server::begin().await;
    let mission = server.mission("pages").await;
    for number in 0..23 {
        mission.task(&number.to_string(), &[]).await;
    }
    let newest_first = ids(&list(&server, "limit=500").await);
    assert!(newest_first.windows(2).all(|pair| pair[0] > pair[1]));
    for order in ["desc", "asc"] {
        let (mut seen, mut cursor) = (vec![], String::new());
        loop {
            let cursor_now = cursor.replace('|', "%7C");
            let page = list(&server, &format!("limit=4&order={order}&cursor={cursor_now}")).await;
            seen.extend(ids(&page));
            cursor = page["next_cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        if order == "asc" {
            seen.reverse();
        }
        assert_eq!(seen, newest_first, "{order}");
    }
    let behind = list(&server, &format!("order=asc&after={}", newest_first[3])).await;
    assert_eq!(ids(&behind), [&*newest_first[2], &*newest_first[1], &*newest_first[0]]);
    let nothing = list(&server, &format!("after={}", newest_first[0])).await;
    assert_eq!((&nothing["entries"], &nothing["next_cursor"]), (&json!([]), &json!("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_sends_a_writes_cursor_back_sees_the_write() {
    let server = Server::begin().await;
    let reply = server.post("/api/v1/crews").json(json!({ "name": "Fresh", "slug": "fresh" })).send().await;
    let cursor = reply.header("taffrail-cursor").unwrap().to_owned();
    let crews = server.get("/api/v1/crews").header("taffrail-cursor", &*cursor).send().await.expect(200);
    assert_eq!(crews[0]["slug"], "fresh");
    let newest = list(&server, "limit=1").await;
    assert_eq!(newest["entries"][0]["id"], cursor);
    for bad in ["nonsense", "j_0000990000000001"] {
        let reply = server.get("/api/v1/crews").header("taffrail-cursor", bad).send().await;
        reply.refused(400, "bad Taffrail-Cursor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_never_reached_is_503() {
    let server = Server::begin().await;
    let reply = server.get("/api/v1/crews").header("taffrail-cursor", "j_000001ffffffffff").send().await;
    assert_eq!((reply.status, &*reply.text("code")), (503, "cursor.not_reached"));
}
