//! Full-text search from outside: the journal's `q` (`journal.md` 3.1) and the search for issues
//! (`issues.md` 22).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use taffrail::search::folded;
use taffrail::writer::Wish;
use taffrail_domain::issue::{CommentDraft, IssueCommand, IssueDraft, IssuePatch, Named};
use taffrail_domain::{Actor, MissionId, UserId, WorkspaceId};
use taffrail_projections::World;

use super::server::{OnMission, Server};

/// Longest wait for a commit of the index.
const COMMITTED_WITHIN: Duration = Duration::from_secs(20);

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn list(server: &Server, q: &str, more: &str) -> Value {
    server.get(format!("/api/v1/journal?q={}&{more}", encoded(q))).send().await.expect(200)
}

fn summaries(page: &Value) -> Vec<&str> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry["summary"].as_str().unwrap()).collect()
}

async fn count(server: &Server, q: &str) -> u64 {
    let path = format!("/api/v1/journal/count?q={}", encoded(q));
    server.get(path).send().await.expect(200)["total"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_summary_and_payload_are_found_in_their_forms() {
    let server = Server::begin().await;
    let mission = server.mission("forms").await;
    mission.task("Deploying the new servers", &[]).await;
    // The words of one phrase stand in one text, in order; operators and quotes are text.
    for q in
        ["deploy", "DEPLOYED", "deploying the", "  new  server ", "the-new", "title deploying", "pending"]
    {
        assert_eq!(count(&server, q).await, 1, "{q}");
    }
    for q in ["servers new", "deploy server", "deploy OR nothing", "NOT zebra", "deploy*", "eploy", "…"] {
        let expected = u64::from(q == "deploy*");
        assert_eq!(count(&server, q).await, expected, "{q}");
    }
    assert_eq!(count(&server, "   ").await, count(&server, "").await);
    let page = list(&server, "\"new server\"", "").await;
    assert_eq!(page["count"], 1, "{page}");
    for path in ["/api/v1/journal", "/api/v1/journal/count", "/api/v1/journal/stream"] {
        let reply = server.get(format!("{path}?q={}", "x".repeat(201))).send().await;
        reply.refused(400, "q parameter exceeds 200 characters");
    }
    assert_eq!(count(&server, &"é".repeat(100)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phrase_goes_with_all_other_filters_and_pages_in_both_orders() {
    let server = Server::begin().await;
    let mission = server.mission("pages").await;
    let other = mission.another("Something else").await;
    for number in 0..9 {
        mission.task(&format!("needle {number}"), &[]).await;
        mission.task(&format!("straw {number}"), &[]).await;
    }
    other.task("needle elsewhere", &[]).await;
    assert_eq!(count(&server, "needle").await, 10);
    let narrowed = list(&server, "needle", &format!("mission_id={}", mission.id)).await;
    assert_eq!(narrowed["count"], 9);
    assert_eq!(list(&server, "needle", "entry_type=mission.created").await["count"], 0);
    assert_eq!(list(&server, "needle", "entry_type=task.created&severity=info").await["count"], 10);
    let all = list(&server, "needle", "order=asc").await;
    for order in ["asc", "desc"] {
        let (mut seen, mut cursor) = (vec![], String::new());
        loop {
            let more = format!("limit=4&order={order}&cursor={}", encoded(&cursor));
            let page = list(&server, "needle", &more).await;
            seen.extend(summaries(&page).into_iter().map(str::to_owned));
            cursor = page["next_cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, summaries(&all), "{order}");
    }
    let third = all["entries"][2]["id"].as_str().unwrap();
    assert_eq!(list(&server, "needle", &format!("after={third}")).await["count"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_found_at_once() {
    let server = Server::begin().await;
    let mission = server.mission("fresh").await;
    for number in 0..200 {
        mission.task(&format!("fresh{number}"), &[]).await;
        assert_eq!(count(&server, &format!("fresh{number}")).await, 1, "{number}");
    }
    assert_eq!(
        server.get("/readyz").without_token().send().await.expect(200)["checks"]["search_lag_entries"],
        0
    );
}

/// The folder of the workspace's index.
fn folder(server: &Server) -> PathBuf {
    let workspace = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    server.data().join("search").join(workspace.log().0.to_string())
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let Ok(files) = std::fs::read_dir(folder) else { return vec![] };
    let files = files.map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|ending| ending == "pos" || ending == "idx")).collect()
}

/// Waits until all that was written is in the files of the index.
async fn committed(server: &Server) {
    let workspace = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    let head = format!("\\\"offset\\\":{}", workspace.world().head().0);
    let meta = folder(server).join("meta.json");
    let is_there = async {
        while !std::fs::read_to_string(&meta).is_ok_and(|meta| meta.contains(&head)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(COMMITTED_WITHIN, is_there).await.expect("a commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_outlives_a_restart_and_one_that_is_gone_or_damaged_is_made_anew() {
    let mut server = Server::begin().await;
    let mission = server.mission("outlives").await;
    mission.task("needle one", &[]).await;
    committed(&server).await;
    let folder = folder(&server);
    let kept = segments(&folder);
    assert!(!kept.is_empty());

    server = server.reopened().await;
    assert_eq!(count(&server, "needle").await, 1);
    assert!(segments(&folder).iter().any(|file| kept.contains(file)), "it was kept");
    // Written, and the process is gone before the commit.
    let path = format!("/api/v1/journal?q={}", encoded("needle two"));
    let crew = server.get("/api/v1/crews").send().await.expect(200)[0]["id"].as_str().unwrap().to_owned();
    server
        .post("/api/v1/crews")
        .json(json!({ "name": "Needle two", "slug": "two" }))
        .send()
        .await
        .expect(201);
    server = server.reopened().await;
    assert_eq!(server.get(&path).send().await.expect(200)["count"], 1, "{crew}");

    committed(&server).await;
    let damage = |_: &Path| {
        let files = segments(&folder);
        assert!(!files.is_empty());
        for file in files {
            let mut bytes = std::fs::read(&file).unwrap();
            bytes.iter_mut().take(8).for_each(|byte| *byte ^= 0xff);
            std::fs::write(&file, bytes).unwrap();
        }
    };
    server = server.reopened_after(damage).await;
    assert_eq!(count(&server, "needle").await, 2);
    server = server.reopened_after(|data| std::fs::remove_dir_all(data.join("search")).unwrap()).await;
    assert_eq!(count(&server, "needle").await, 2);
    committed(&server).await;
    server = server.reopened_after(|_| std::fs::write(folder.join("meta.json"), "{").unwrap()).await;
    assert_eq!(count(&server, "needle").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_everything_but_search_works() {
    let server = Server::begin().await;
    let mission = server.mission("none").await;
    committed(&server).await;
    let (crew, id) = (mission.crew.clone(), mission.id.clone());
    let put_in_the_way = |data: &Path| {
        let place = data.join("search");
        std::fs::remove_dir_all(&place).unwrap();
        std::fs::write(&place, "in the way").unwrap();
    };
    let server = server.reopened_after(put_in_the_way).await;
    server.get(format!("/api/v1/crews/{crew}/missions/{id}")).send().await.expect(200);
    server.get("/api/v1/journal").send().await.expect(200);
    let reply = server.get("/api/v1/journal?q=needle").send().await;
    assert_eq!((reply.status, reply.text("code")), (503, "search.unavailable".to_owned()));
    let reply = server.get("/api/v1/issues/search?q=needle").send().await;
    assert_eq!((reply.status, reply.text("code")), (503, "search.unavailable".to_owned()));
}

/// Issues, until their routes are used here: commands of the owner, straight to the writer.
struct Tracker<'a> {
    server: &'a Server,
    on: OnMission<'a>,
}

impl<'a> Tracker<'a> {
    async fn begin(server: &'a Server, slug: &str) -> Self {
        Self { server, on: server.mission(slug).await }
    }

    async fn wish(&self, command: IssueCommand) -> MissionId {
        let writer = self.server.app.workspace(&WorkspaceId::from(self.server.workspace.as_str())).unwrap();
        let actor = Actor::User(UserId::from(self.server.owner.as_str()));
        let wish = Wish { command: command.into(), actor, request: None };
        MissionId::from(&*writer.execute(wish).await.unwrap().entries[0].subject)
    }

    async fn issue(&self, title: &str, description: &str) -> MissionId {
        let draft = IssueDraft {
            title: Some(title.into()),
            description: Some(description.into()),
            ..IssueDraft::default()
        };
        self.wish(IssueCommand::Create { crew: self.on.crew.as_str().into(), draft: Box::new(draft) }).await
    }

    async fn comment(&self, issue: &MissionId, body: &str) {
        let draft = CommentDraft { body: Some(body.into()) };
        self.wish(IssueCommand::Comment { issue: named(issue), draft }).await;
    }

    async fn change(&self, issue: &MissionId, patch: IssuePatch) {
        self.wish(IssueCommand::Update { issue: named(issue), patch: Box::new(patch) }).await;
    }

    async fn found(&self, q: &str) -> Value {
        let path = format!("/api/v1/issues/search?q={}", encoded(q));
        self.server.get(path).send().await.expect(200)
    }

    /// Titles, best first.
    async fn titles(&self, q: &str) -> Vec<String> {
        let found = self.found(q).await;
        let titles =
            found.as_array().unwrap().iter().map(|issue| issue["title"].as_str().unwrap().to_owned());
        titles.collect()
    }
}

fn named(issue: &MissionId) -> Named {
    Named { crew: None, name: issue.as_str().into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_are_ranked_by_where_words_stand_and_forgive_slips() {
    let server = Server::begin().await;
    let tracker = Tracker::begin(&server, "ranks").await;
    let commented = tracker.issue("Nightly job", "Runs at two").await;
    let described = tracker.issue("Slow page", "The authentication <b>takes</b> seconds & more").await;
    tracker.issue("Authentication fails", "").await;
    tracker.comment(&commented, "Broke again: authenticating against staging").await;
    for round in ["in the tail", "in the index"] {
        let ranked = ["Authentication fails", "Slow page", "Nightly job"];
        assert_eq!(tracker.titles("authentication").await, ranked, "{round}");
        assert_eq!(tracker.titles("authenticate").await, ranked, "stemming, {round}");
        assert_eq!(tracker.titles("authen").await, ranked, "a beginning, {round}");
        assert_eq!(tracker.titles("authentcation").await[..2], ranked[..2], "a slip, {round}");
        assert_eq!(tracker.titles("athenticati").await[..2], ranked[..2], "a beginning with a slip, {round}");
        assert_eq!(tracker.titles("staging broke").await, ["Nightly job"], "{round}");
        assert_eq!(tracker.titles("\"against staging\"").await, ["Nightly job"], "{round}");
        assert_eq!(tracker.titles("\"staging against\"").await, [""; 0], "{round}");
        assert_eq!(tracker.titles("authentication seconds fails").await, [""; 0], "all words, {round}");
        let found = tracker.found("authentication takes").await;
        let snippet =
            "The <mark>authentication</mark> &lt;b&gt;<mark>takes</mark>&lt;/b&gt; seconds &amp; more";
        assert_eq!(
            (&found[0]["snippet"], &found[0]["issue_id"]),
            (&json!(snippet), &json!(described)),
            "{round}"
        );
        if round == "in the tail" {
            committed(&server).await;
        }
    }
    tracker
        .change(&described, IssuePatch { title: Some("Quick page".into()), ..IssuePatch::default() })
        .await;
    assert_eq!(tracker.titles("quick").await, ["Quick page"]);
    assert_eq!(tracker.titles("slow").await, [""; 0]);
    tracker.wish(IssueCommand::Delete { issue: named(&described) }).await;
    assert_eq!(tracker.titles("quick").await, [""; 0]);
    committed(&server).await;
    assert_eq!(tracker.titles("authentication").await, ["Authentication fails", "Nightly job"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_comes_first_and_operators_narrow() {
    let server = Server::begin().await;
    let tracker = Tracker::begin(&server, "jumps").await;
    let first = tracker.issue("First", "").await;
    tracker.issue("Second", "").await;
    let third = tracker.issue("Third mentions 1 and 2", "").await;
    let identifier = tracker.found("first").await[0]["identifier"].as_str().unwrap().to_owned();
    for q in [identifier.to_lowercase(), identifier.replace('-', "").to_lowercase(), "1".into(), "#1".into()]
    {
        assert_eq!(tracker.titles(&q).await[0], "First", "{q}");
    }
    assert_eq!(tracker.titles("2").await, ["Second", "Third mentions 1 and 2"]);
    tracker.change(&first, IssuePatch { status: Some("CANCELLED".into()), ..IssuePatch::default() }).await;
    let mine = Some(Some(server.owner.clone()));
    tracker.change(&third, IssuePatch { assignee_id: mine, ..IssuePatch::default() }).await;
    assert_eq!(tracker.titles("is:closed").await, ["First"]);
    assert_eq!(tracker.titles("is:open").await, ["Third mentions 1 and 2", "Second"]);
    assert_eq!(tracker.titles("assignee:me").await, ["Third mentions 1 and 2"]);
    assert_eq!(tracker.titles("is:open assignee:none").await, ["Second"]);
    assert_eq!(tracker.titles("1 is:open").await, ["Third mentions 1 and 2"]);
    assert_eq!(tracker.titles("is:backlog is:cancelled crew:jumps").await.len(), 3);
    assert_eq!(tracker.titles("crew:elsewhere").await, [""; 0]);
    assert_eq!(tracker.titles("label:bug").await, [""; 0]);
    assert_eq!(tracker.titles("-label:bug").await.len(), 3);
    assert_eq!(tracker.titles("project:none").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_without_words_or_with_too_many_is_refused() {
    let server = Server::begin().await;
    for q in ["", "q=", "q=%20%20"] {
        server.get(format!("/api/v1/issues/search?{q}")).send().await.refused(400, "q is required");
    }
    let reply = server.get(format!("/api/v1/issues/search?q={}", "x".repeat(201))).send().await;
    reply.refused(400, "q parameter exceeds 200 characters");
    server.get("/api/v1/issues/search?q=x").without_token().send().await.refused(401, "no_credentials");
    let tracker = Tracker::begin(&server, "many").await;
    for number in 0..23 {
        tracker.issue(&format!("needle {number}"), "").await;
    }
    let length = async |limit: &str| {
        let path = format!("/api/v1/issues/search?q=needle&{limit}");
        server.get(path).send().await.expect(200).as_array().unwrap().len()
    };
    assert_eq!((length("").await, length("limit=5").await, length("limit=900").await), (20, 5, 23));
    assert_eq!((length("limit=0").await, length("limit=x").await), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_are_seeded_into_an_index_that_is_made_anew_and_go_with_their_crew() {
    let server = Server::begin().await;
    let tracker = Tracker::begin(&server, "seeded").await;
    let issue = tracker.issue("Straße gesperrt", "Umleitung über Köln").await;
    tracker.comment(&issue, "needle").await;
    let crew = tracker.on.crew.clone();
    let server = server.reopened_after(|data| std::fs::remove_dir_all(data.join("search")).unwrap()).await;
    let titles = async |q: &str| {
        let path = format!("/api/v1/issues/search?q={}", encoded(q));
        server.get(path).send().await.expect(200).as_array().unwrap().len()
    };
    assert_eq!((titles("needle").await, titles("köln").await, titles("STRASSE").await), (1, 1, 0));
    let workspace = server.app.workspace(&WorkspaceId::from(server.workspace.as_str())).unwrap();
    let search = server.app.search(workspace.log()).unwrap();
    let candidates = async |text: &str| search.substring_candidates(&workspace.world(), text).await;
    assert_eq!(candidates("TRASSE").await, Some(vec![issue.clone()]));
    assert_eq!(candidates("TRAßE GE").await, Some(vec![issue.clone()]));
    assert_eq!(candidates("ßE").await, Some(vec![issue.clone()]), "three letters once folded");
    assert_eq!(candidates("SE").await, Some(vec![issue.clone()]), "two letters, within");
    assert_eq!(candidates("T").await, Some(vec![issue.clone()]), "one letter, at the end");
    assert_eq!(candidates("").await, None, "nothing to look up");
    assert_eq!(folded("TRAßE İ"), "trasse i\u{307}");
    server.delete(format!("/api/v1/crews/{crew}")).send().await;
    assert_eq!((titles("needle").await, candidates("straße").await), (0, Some(vec![])));
    committed(&server).await;
    assert_eq!(titles("needle").await, 0);
}
