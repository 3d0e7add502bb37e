//! Files at issues: bytes in a store and facts in a log, killed in between.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::program::{Account, Client, Data, Program, eventually};

const BOUNDARY: &str = "taffrail";

fn form(bytes: &[u8]) -> Vec<u8> {
    let head =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n");
    [head.as_bytes(), bytes, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

/// Sends this much of an upload, and leaves the connection open.
fn upload(url: &str, account: &Account, path: &str, form: &[u8], sent: usize) -> TcpStream {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let (token, workspace, length) = (&account.token, &account.workspace, form.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nX-Workspace-ID: {workspace}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&form[..sent]).unwrap();
    stream
}

fn files(data: &Data, folder: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(data.join(folder)).into_iter().flatten();
    found.map(|file| file.unwrap().path()).collect()
}

async fn listed(client: &Client, path: &str) -> Vec<Value> {
    client.read(path).await.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_file_survives_a_kill_and_a_half_sent_one_leaves_nothing() {
    let data = Data::new();
    let program = Program::start(data.path());
    let account = Client::stranger(&program.url).bootstrap().await;
    let client = Client::of(&program.url, &account);
    let (crew, _) = client.crew("files").await;
    let issues = format!("/api/v1/crews/{crew}/issues");
    let issue = client.post(&issues, json!({ "title": "With files" })).await.text("identifier");
    let path = format!("{issues}/{issue}/attachments");
    let store = format!("attachments/{}", account.workspace);

    // The fact is the last step: once it is told, both are there.
    let whole = form(b"[\"hello\"]");
    let open = upload(&program.url, &account, &path, &whole, whole.len());
    let mut told = vec![];
    while told.is_empty() {
        told = listed(&client, &path).await;
    }
    let half = form(&vec![b'x'; 1 << 20]);
    let stuck = upload(&program.url, &account, &path, &half, half.len() / 2);
    let has_begun = || {
        files(&data, "attachments/.incoming")
            .iter()
            .any(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0))
    };
    eventually("a file arrives", has_begun);
    program.kill();
    drop((open, stuck));
    assert_eq!(files(&data, "attachments/.incoming").len(), 1);
    // What a kill between the two steps leaves.
    fs::write(data.join(&store).join("0".repeat(64)), "nameless").unwrap();

    let program = Program::start(data.path());
    let client = Client::of(&program.url, &account);
    assert_eq!(listed(&client, &path).await, told);
    let id = told[0]["id"].as_str().unwrap();
    assert_eq!(client.read(&format!("{path}/{id}")).await, json!(["hello"]));
    assert!(files(&data, "attachments/.incoming").is_empty());
    let kept: Vec<PathBuf> = files(&data, &store);
    assert_eq!(kept, [data.join(&store).join(told[0]["sha256"].as_str().unwrap())]);
}
