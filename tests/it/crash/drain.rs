//! SIGTERM: what was asked is answered, and the next start has nothing to do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::hand::Fuse;
use super::offline;
use crate::program::{Account, Client, Data, Program};

/// A program with an account and a crew.
async fn begin(data: &Data) -> (Program, Account, String, String) {
    let program = Program::start(data.path());
    let account = Client::stranger(&program.url).bootstrap().await;
    let (crew, lead) = Client::of(&program.url, &account).crew("drain").await;
    (program, account, crew, lead)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_under_way_at_sigterm_is_answered_and_stays() {
    let data = Data::new();
    let (mut program, account, crew, lead) = begin(&data).await;
    let body = json!({ "title": "Late", "lead_agent_id": lead }).to_string();
    let address = program.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /api/v1/crews/{crew}/missions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         x-workspace-id: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        account.token,
        account.workspace,
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    // The server asks for the body: the request is in its hands.
    let mut interim = [0; 25];
    connection.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));
    program.terminate();
    program.logged("draining").unwrap();
    connection.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    connection.shutdown(Shutdown::Both).ok();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let program = Program::start(data.path());
    let missions = Client::of(&program.url, &account).missions().await;
    assert_eq!(missions[0]["title"], "Late");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_a_drain_answers_exactly_what_it_does_and_leaves_nothing_to_replay() {
    let data = Data::new();
    let (mut program, account, crew, lead) = begin(&data).await;
    let fuse = Fuse::new(40, program.terminator());
    let mut asking = JoinSet::new();
    for number in 0..16 {
        let (client, fuse) = (Client::of(&program.url, &account), fuse.clone());
        let (path, lead) = (format!("/api/v1/crews/{crew}/missions"), lead.clone());
        asking.spawn(async move {
            let mut answered = vec![];
            for count in 0.. {
                let body = json!({ "title": format!("{number}-{count}"), "lead_agent_id": lead });
                let answer = client.send(reqwest::Method::POST, &path, Some(&body), None).await;
                let Some(answer) = answer else { break };
                answered.push(answer.expect(201));
                fuse.acknowledged();
            }
            answered
        });
    }
    let mut answered: Vec<Value> = asking.join_all().await.into_iter().flatten().collect();
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("drained.shelved=true drained.sealed=true"), "{}", ended.stderr);
    assert_eq!(data.snapshots().len(), 2, "instance and workspace");
    offline::prove(&data, &[]).await;
    let program = Program::start(data.path());
    let folded = program.logged("the journal is folded").unwrap();
    assert!(folded.contains("entries=0 "), "{folded}");
    // What was not answered was not done.
    let mut there: Vec<_> = Client::of(&program.url, &account).missions().await;
    let id = |mission: &Value| mission["id"].as_str().unwrap().to_owned();
    answered.sort_by_key(id);
    there.sort_by_key(id);
    assert_eq!(there.iter().map(id).collect::<Vec<_>>(), answered.iter().map(id).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_without_work_ends_at_once_and_twice_over() {
    let data = Data::new();
    for _ in 0..2 {
        let ended = Program::start(data.path()).stop();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}
