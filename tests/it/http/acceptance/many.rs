//! Many issues at once (check 9).

use serde_json::{Value, json};

use super::super::desk::text;
use super::{Channel, begin_with_another, make};

#[tokio::test(flavor = "multi_thread")]
async fn check_09_a_bulk_update_does_what_it_may_counts_it_and_is_told_once() {
    let (server, elsewhere) = begin_with_another().await;
    let desk = server.desk("eng").await;
    let mut issues = vec![];
    for number in 0..50 {
        let status = if [3, 17, 49].contains(&number) { "DONE" } else { "BACKLOG" };
        issues.push(text(&desk.show(&desk.issue_in(status).await).await["id"]));
    }
    let ids: Vec<&str> = issues.iter().map(String::as_str).collect();
    let bulk = async |ids: &[&str], updates: Value| {
        let body = json!({ "ids": ids, "updates": updates });
        server.patch("/api/v1/issues/bulk").json(body).send().await
    };
    let mut channel = Channel::of(&desk).await;
    let told = bulk(&ids, json!({ "status": "TODO", "priority": "high" })).await.expect(200);
    assert_eq!(told, json!({ "updated": 47 }));
    assert_eq!(channel.heard().await, [("issues.bulk_updated".into(), json!({ "count": "47" }))]);
    for (place, id) in ids.iter().enumerate() {
        let shown = desk.show(id).await;
        let is_legal = ![3, 17, 49].contains(&place);
        let expected = if is_legal { ("TODO", "high") } else { ("DONE", "none") };
        assert_eq!((&*text(&shown["status"]), &*text(&shown["priority"])), expected, "{place}");
    }
    let log = desk.log(ids[0]).await;
    assert_eq!(log[1..], ["status_changed: BACKLOG -> TODO (bulk)", "priority_changed: high (bulk)"]);

    // Labels alone are a change, once.
    let label = make(&server, "/api/v1/labels", json!({ "name": "bug", "color": "red" })).await;
    let labels = json!({ "labels": [label] });
    assert_eq!(bulk(&ids[..5], labels.clone()).await.expect(200), json!({ "updated": 5 }));
    assert_eq!(channel.heard().await, [("issues.bulk_updated".into(), json!({ "count": "5" }))]);
    assert_eq!(desk.show(ids[3]).await["labels"][0]["name"], "bug");
    assert_eq!(bulk(&ids[..5], labels).await.expect(200), json!({ "updated": 0 }));
    assert_eq!(bulk(&ids[..5], json!({})).await.expect(200), json!({ "updated": 0 }));
    assert_eq!(channel.heard().await, [], "nothing changed, and nothing is told");
    assert_eq!(bulk(&ids[..5], json!({ "labels": [] })).await.expect(200), json!({ "updated": 5 }));
    assert_eq!(desk.show(ids[3]).await["labels"], json!([]));

    let many: Vec<String> = (0..101).map(|number| format!("ENG-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = bulk(&many, json!({ "priority": "low" })).await;
    refused.refused(400, "Maximum 100 issues per bulk update");
    assert_eq!(bulk(&many[1..], json!({ "priority": "urgent" })).await.expect(200), json!({ "updated": 50 }));

    // Who is somebody else's is as good as nobody.
    let mixed = [&*elsewhere.issue, ids[0], "cunknown", "THE-1"];
    assert_eq!(bulk(&mixed, json!({ "priority": "low" })).await.expect(200), json!({ "updated": 1 }));
    let theirs = server.get(format!("/api/v1/issues/{}", elsewhere.issue));
    let theirs = theirs.with_token(&elsewhere.token).in_workspace(&elsewhere.workspace).send().await;
    assert_eq!(theirs.expect(200)["priority"], "none");
    let foreign = json!({ "assignee_type": "agent", "assignee_id": elsewhere.agent });
    assert_eq!(bulk(&ids[..2], foreign).await.expect(200), json!({ "updated": 0 }));
}
