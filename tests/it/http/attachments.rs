//! Files at issues from outside (`issues.md` 18): up, down, and away.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::server::{Asking, Reply, Server};

const MIB_25: usize = 25 << 20;

/// A form as browsers send it.
pub(crate) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    /// A form whose only part is a file.
    pub(crate) fn with(part: &str, filename: &str, bytes: &[u8]) -> Self {
        Self::bounded("----taffrail", part, filename, bytes)
    }

    fn bounded(boundary: &str, part: &str, filename: &str, bytes: &[u8]) -> Self {
        let disposition = format!("form-data; name=\"{part}\"; filename=\"{filename}\"");
        Self { boundary: boundary.into(), body: vec![] }.and(&disposition, bytes).end()
    }

    fn and(mut self, disposition: &str, bytes: &[u8]) -> Self {
        let head = format!(
            "--{}\r\nContent-Disposition: {disposition}\r\nContent-Type: text/html\r\n\r\n",
            self.boundary
        );
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(bytes);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    fn end(mut self) -> Self {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self
    }
}

impl Asking<'_> {
    pub(crate) fn form(self, form: Form) -> Self {
        let announced = form.body.len().to_string();
        self.header("content-type", format!("multipart/form-data; boundary={}", form.boundary))
            .header("content-length", announced)
            .body(form.body)
    }
}

impl Server {
    /// Puts a file at an issue, whose path this is.
    pub(crate) async fn upload(&self, issue: &str, filename: &str, bytes: &[u8]) -> Reply {
        let asking = self.post(format!("{issue}/attachments"));
        asking.form(Form::with("file", filename, bytes)).send().await
    }

    /// The path of a fresh issue of a fresh crew.
    async fn issue_of(&self, slug: &str) -> String {
        let desk = self.desk(slug).await;
        desk.at(&desk.issue("With files").await)
    }

    /// Where bytes lie.
    fn place_of(&self, bytes: &[u8]) -> PathBuf {
        self.data().join("attachments").join(&self.workspace).join(sum(bytes))
    }

    /// Files that arrive, or did not arrive whole.
    fn arriving(&self) -> usize {
        fs::read_dir(self.data().join("attachments/.incoming")).unwrap().count()
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn path_of(issue: &str, attachment: &Value) -> String {
    format!("{issue}/attachments/{}", attachment["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_up_is_listed_comes_down_as_it_was_and_goes_away() {
    let server = Server::begin().await;
    let issue = server.issue_of("files").await;
    let bytes: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
    let first = server.upload(&issue, "C:\\shots\\Screen 1.PNG", &bytes).await.expect(201);
    let id = server.get(&*issue).send().await.text("id");
    for (key, value) in [
        ("workspace_id", json!(server.workspace)),
        ("owner_type", json!("issue")),
        ("owner_id", json!(id)),
        ("content_type", json!("image/png")),
        ("size_bytes", json!(bytes.len())),
        ("sha256", json!(sum(&bytes))),
        ("uploaded_by_user_id", json!(server.owner)),
        ("uploaded_by_name", json!("Ada Lovelace")),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert!(first.get("uploaded_by_agent_id").is_none());
    let again = server.upload(&issue, "C:\\shots\\Screen 1.PNG", &bytes).await.expect(200);
    assert_eq!(again, first, "the same bytes under the same name");
    let second = server.upload(&issue, "notes.txt", b"hello").await.expect(201);
    let list = server.get(format!("{issue}/attachments")).send().await.expect(200);
    assert_eq!(list, json!([second, first]), "newest first");

    let shown = server.get(path_of(&issue, &first)).send().await;
    assert_eq!((shown.status, shown.bytes == bytes), (200, true));
    let length = bytes.len().to_string();
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", &length),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, no-cache"),
    ] {
        assert_eq!(shown.header(name), Some(value), "{name}");
    }
    assert!(
        shown.header("content-disposition").unwrap().starts_with("attachment; filename=\"Screen 1.PNG\"")
    );
    let text = server.get(path_of(&issue, &second)).send().await;
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"), "not what was claimed");
    let disposition = "attachment; filename=\"notes.txt\"; filename*=UTF-8''notes.txt";
    assert_eq!((text.header("content-disposition"), &*text.bytes), (Some(disposition), &b"hello"[..]));

    let other = server.issue_of("others").await;
    for asking in [server.get(path_of(&other, &first)), server.delete(path_of(&other, &first))] {
        asking.send().await.refused(404, "Attachment not found");
    }
    let gone = server.delete(path_of(&issue, &first)).send().await;
    assert!(gone.header("taffrail-cursor").is_some());
    assert_eq!(gone.expect(200), json!({ "status": "ok" }));
    for asking in [server.get(path_of(&issue, &first)), server.delete(path_of(&issue, &first))] {
        asking.send().await.refused(404, "Attachment not found");
    }
    let lines = server.get(format!("{issue}/activity")).send().await.expect(200);
    let said: Vec<_> = lines.as_array().unwrap().iter().map(|line| &line["action"]).collect();
    assert_eq!(said[..3], ["attachment_removed", "attachment_added", "attachment_added"]);
    assert_eq!(lines[1]["details"], "notes.txt (text/plain; charset=utf-8, 5 bytes)");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_lie_there_while_anything_names_them_and_no_longer() {
    let server = Server::begin().await;
    let desk = server.desk("files").await;
    let (one, two) = (desk.at(&desk.issue("one").await), desk.at(&desk.issue("two").await));
    let first = server.upload(&one, "a.txt", b"shared").await.expect(201);
    server.upload(&two, "b.txt", b"shared").await.expect(201);
    server.upload(&two, "c.txt", b"alone").await.expect(201);
    server.delete(path_of(&one, &first)).send().await.expect(200);
    server.app.free_attachments().await;
    assert!(server.place_of(b"shared").exists() && server.place_of(b"alone").exists());
    server.delete(&*two).send().await.expect(204);
    server.app.free_attachments().await;
    assert!(!server.place_of(b"shared").exists() && !server.place_of(b"alone").exists());
    server.upload(&one, "a.txt", b"shared").await.expect(201);
    assert!(server.place_of(b"shared").exists());
    server.delete(format!("/api/v1/crews/{}", desk.crew)).send().await.expect(200);
    server.app.free_attachments().await;
    assert!(!server.place_of(b"shared").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_file_while_it_goes_gets_it_or_learns_that_it_is_gone() {
    let server = Server::begin().await;
    let issue = server.issue_of("files").await;
    for round in 0..20 {
        let made = server.upload(&issue, "a.txt", b"hello").await.expect(201);
        let remove = async {
            server.delete(path_of(&issue, &made)).send().await.expect(200);
            server.app.free_attachments().await;
        };
        let show = async || server.get(path_of(&issue, &made)).send().await;
        let ((), first, second, third) = tokio::join!(remove, show(), show(), show());
        for shown in [first, second, third] {
            let is_whole = shown.status == 200 && shown.bytes == b"hello";
            assert!(is_whole || shown.status == 404, "{round}: {shown:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_for_an_issue_is_refused_and_leaves_nothing() {
    let server = Server::begin().await;
    let issue = server.issue_of("files").await;
    let path = format!("{issue}/attachments");
    let send = async |form: Form| server.post(&*path).form(form).send().await;
    let invalid = "Invalid multipart form";
    server.post(&*path).body("{}").send().await.refused(400, invalid);
    let json = server.post(&*path).header("content-type", "application/json").body("{}").send().await;
    json.refused(400, invalid);
    let unbounded = server.post(&*path).header("content-type", "multipart/form-data").send().await;
    unbounded.refused(400, invalid);
    let other = Form { boundary: "other".into(), ..Form::with("file", "a.txt", b"a") };
    send(other).await.refused(400, invalid);
    let mut cut = Form::with("file", "a.txt", &vec![7; 300_000]);
    cut.body.truncate(200_000);
    send(cut).await.refused(400, invalid);
    let endless = Form { boundary: "b".into(), body: [b"--b\r\nX: ".to_vec(), vec![b'x'; 3 << 20]].concat() };
    send(endless).await.refused(400, invalid);

    let required = "file field is required";
    send(Form { boundary: "b".into(), body: b"--b--\r\n".to_vec() }).await.refused(400, required);
    send(Form::with("image", "a.txt", b"a")).await.refused(400, required);
    let field = Form { boundary: "b".into(), body: vec![] }.and("form-data; name=\"file\"", b"a").end();
    send(field).await.refused(400, required);
    for name in ["..", "a/..", "a/", "x\u{202e}gpj.txt"] {
        server.upload(&issue, name, b"a").await.refused(400, "Invalid filename");
    }
    for name in ["a.html", "a.svg", "a.exe", "Makefile"] {
        let refused = server.upload(&issue, name, b"<script>").await;
        assert_eq!(refused.status, 415, "{name}");
        assert!(refused.text("detail").starts_with("Unsupported file type; allowed: .txt, .log"), "{name}");
    }
    let unknown = server.upload(&format!("{issue}9"), "a.txt", b"a").await;
    unknown.refused(404, "Issue not found");
    let list = server.get(&*path).send().await.expect(200);
    assert_eq!((list, server.arriving()), (json!([]), 0));
    assert!(!server.data().join("attachments").join(&server.workspace).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_may_have_25_mib_and_not_a_byte_more() {
    let server = Server::begin().await;
    let issue = server.issue_of("files").await;
    let mut bytes = vec![0x5a; MIB_25 + 1];
    let too_large = "File larger than 25 MiB";
    server.upload(&issue, "a.zip", &bytes).await.refused(413, too_large);
    // Announced, and never read.
    let asking =
        server.post(format!("{issue}/attachments")).header("content-length", (100 << 20).to_string());
    let announced = asking.header("content-type", "multipart/form-data; boundary=b").send().await;
    announced.refused(413, too_large);
    // Not announced, and larger than a form may be even without its file.
    let form =
        Form { boundary: "b".into(), body: vec![] }.and("form-data; name=\"x\"", &vec![1; 26 << 20]).end();
    let asking = server.post(format!("{issue}/attachments")).body(form.body);
    asking.header("content-type", "multipart/form-data; boundary=b").send().await.refused(413, too_large);
    assert_eq!(server.arriving(), 0);
    bytes.pop();
    let made = server.upload(&issue, "a.zip", &bytes).await.expect(201);
    assert_eq!(made["size_bytes"], MIB_25);
    let shown = server.get(path_of(&issue, &made)).send().await;
    assert!(shown.bytes == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_puts_one_file_there_whatever_its_boundary() {
    let server = Server::begin().await;
    let issue = server.issue_of("files").await;
    let send = async |boundary: &str, name: &str, bytes: &[u8]| {
        let asking = server.post(format!("{issue}/attachments")).header("idempotency-key", "once");
        asking.form(Form::bounded(boundary, "file", name, bytes)).send().await
    };
    let first = send("one", "a.txt", b"hello").await.expect(201);
    let again = send("two", "a.txt", b"hello").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(201), first);
    let reused = "Idempotency-Key was used for another request";
    send("one", "b.txt", b"hello").await.refused(422, reused);
    send("one", "a.txt", b"other").await.refused(422, reused);
    assert!(!server.place_of(b"other").exists(), "what nothing names does not stay");
    assert!(server.place_of(b"hello").exists());
    server.delete(path_of(&issue, &first)).send().await.expect(200);
    // It did what it says, and does not do it twice.
    assert_eq!(send("one", "a.txt", b"hello").await.expect(201), first);
    assert_eq!(server.get(format!("{issue}/attachments")).send().await.expect(200), json!([]));
    server.app.free_attachments().await;
    assert!(!server.place_of(b"hello").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_keeps_what_is_named_removes_what_is_not_and_a_lost_file_is_said_to_be_lost() {
    let server = Server::begin().await;
    let issue = server.issue_of("files").await;
    let made = server.upload(&issue, "a.txt", b"hello").await.expect(201);
    let (orphan, half) = (server.place_of(b"orphan"), server.data().join("attachments/.incoming/x.tmp"));
    fs::write(&orphan, b"orphan").unwrap();
    fs::write(&half, b"half").unwrap();
    let list = server.get(format!("{issue}/attachments")).send().await.expect(200);
    let server = server.reopened_without_snapshots().await;
    assert!(!orphan.exists() && !half.exists());
    assert_eq!(server.get(format!("{issue}/attachments")).send().await.expect(200), list);
    let server = server.reopened().await;
    assert_eq!(server.get(path_of(&issue, &made)).send().await.bytes, b"hello");

    fs::write(server.place_of(b"hello"), b"hell").unwrap();
    let damaged = "The file of this attachment is damaged on this instance";
    server.get(path_of(&issue, &made)).send().await.refused(500, damaged);
    fs::remove_file(server.place_of(b"hello")).unwrap();
    let missing = "The file of this attachment is missing on this instance";
    server.get(path_of(&issue, &made)).send().await.refused(500, missing);
    // The same bytes, sent again, mend it.
    server.upload(&issue, "a.txt", b"hello").await.expect(200);
    assert_eq!(server.get(path_of(&issue, &made)).send().await.bytes, b"hello");
    // And one that is lost can be taken away.
    fs::remove_file(server.place_of(b"hello")).unwrap();
    server.delete(path_of(&issue, &made)).send().await.expect(200);
    server.app.free_attachments().await;
}
