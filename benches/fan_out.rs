//! Question: how soon does a subscriber hear of an entry, and what does each one cost?
//! Guess: a millisecond for one, growing with their number, since all are woken on the same cores; some ten
//! kilobytes each.
//!
//! Subscribers are real connections to a served instance in this process, half over SSE and half over
//! WebSocket; so memory counts both ends. Commit is when the writer has answered, wish is before it was asked. `cargo bench --bench fan_out`

mod kit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use taffrail::boot::{Options, Session, Taffrail};
use taffrail::http;
use taffrail::vault::Profile;
use taffrail::writer::Wish;
use taffrail_domain::instance::{InstanceCommand, NewUser, TokenDraft};
use taffrail_domain::mission::{MissionCommand, MissionPatch};
use taffrail_domain::{Actor, LogTag, UserId};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

const PROBES: usize = 200;
const PACE: Duration = Duration::from_millis(20);

fn main() {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let limit = rustix::process::Rlimit { current: most, maximum: most };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("files enough");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for subscribers in [1, 100, 1_000] {
        runtime.block_on(figures(subscribers));
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4_096
}

async fn figures(subscribers: usize) {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    let owner = UserId::from("cmi4q0x2a0000000000000001");
    drop(kit::seed(folder.path(), &owner, 1_000));
    let app = Taffrail::open(Options::new(folder.path())).await.expect("opens");
    let token = enter(&app, &owner).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("an address").to_string();
    let serving =
        tokio::spawn(http::serve(listener, http::service(Arc::clone(&app)), std::future::pending()));
    let workspace = app.workspace_of_log(LogTag(1)).expect("it was seeded");
    let world = workspace.world();
    let id = world.state.roster.opened.as_ref().expect("open").id.to_string();
    let mission = world.board.missions(None, None).next().expect("it was seeded").clone();
    let crew = world.state.missions[&mission].crew_id.clone();
    let before = resident();
    let (heard, mut hearing) = mpsc::unbounded_channel();
    for number in 0..subscribers {
        if number % 2 == 0 {
            sse(&address, &token, &id, heard.clone()).await;
        } else {
            socket(&app, &address, &id, &owner, heard.clone()).await;
        }
    }
    let each = resident().saturating_sub(before) / subscribers;
    let (mut first, mut all, mut whole) = (vec![], vec![], vec![]);
    for probe in 0..PROBES {
        let title = format!("probe {probe}");
        let patch = MissionPatch { title: Some(title.clone()), ..MissionPatch::default() };
        let command = MissionCommand::Update { crew: crew.clone(), mission: mission.clone(), patch };
        let actor = Actor::User(owner.clone());
        let wished = Instant::now();
        workspace.execute(Wish { command: command.into(), actor, request: None }).await.expect("accepted");
        let committed = Instant::now();
        for count in 0..subscribers {
            let at: Instant = hearing.recv().await.expect("heard");
            let after = at.saturating_duration_since(committed);
            if count == 0 {
                first.push(after);
            }
            all.push(after);
            whole.push(at - wished);
        }
        tokio::time::sleep(PACE).await;
    }
    first.sort_unstable();
    all.sort_unstable();
    whole.sort_unstable();
    let at = |all: &[Duration], share: usize| all[(all.len() - 1) * share / 100].as_micros();
    println!(
        "{subscribers:>5} subscribers: commit -> heard p50 {} us, p99 {} us (the first p50 {} us); wish -> heard \
         p50 {} us, p99 {} us; {each} B each, both ends",
        at(&all, 50),
        at(&all, 99),
        at(&first, 50),
        at(&whole, 50),
        at(&whole, 99),
    );
    app.close_streams();
    serving.abort();
    app.drain().await;
}

/// The owner with a token.
async fn enter(app: &Arc<Taffrail>, owner: &UserId) -> String {
    let email = "owner@example.org".to_owned();
    let email_key = app.vault().email_key(&email);
    let hash = serde_json::json!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g");
    let password_hash = serde_json::from_value(hash).expect("a hash");
    let profile = Profile { email, full_name: "Owner".into(), password_hash };
    app.vault().put_user(owner, profile).await.expect("kept");
    if !app.instance().world().state.users.contains_key(owner) {
        let command = InstanceCommand::CreateUser(NewUser { id: owner.clone(), email_key });
        let wish = Wish { command, actor: Actor::System, request: None };
        app.instance().execute(wish).await.expect("accepted");
    }
    let session = Session { user: owner.clone(), token: "none".into(), scopes: None, expires_at: None };
    let issued = app.issue_token(&session, &TokenDraft::default(), None).await.expect("issued");
    issued.secret.reveal().to_owned()
}

/// Tells when each probe is heard.
async fn sse(address: &str, token: &str, workspace: &str, heard: mpsc::UnboundedSender<Instant>) {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let head = format!(
        "GET /api/v1/journal/stream?workspace_id={workspace}&entry_type=mission.updated HTTP/1.0\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("asks");
    let mut greeting = [0; 1_024];
    let mut seen = String::new();
    while !seen.contains(": following") {
        let count = stream.read(&mut greeting).await.expect("greets");
        seen.push_str(&String::from_utf8_lossy(&greeting[..count]));
        assert!(count > 0, "{seen}");
    }
    tokio::spawn(async move {
        let (mut buffer, mut tail) = ([0; 1_024], Vec::new());
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            let now = Instant::now();
            tail.extend_from_slice(&buffer[..count]);
            while let Some(end) = tail.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = tail.drain(..end + 2).collect();
                if event.starts_with(b"id:") && heard.send(now).is_err() {
                    return;
                }
            }
        }
    });
}

async fn socket(
    app: &Arc<Taffrail>,
    address: &str,
    workspace: &str,
    owner: &UserId,
    heard: mpsc::UnboundedSender<Instant>,
) {
    let ticket = ticket(address, app, owner).await;
    let stream = TcpStream::connect(address).await.expect("connects");
    let url = format!("ws://{address}/ws?token={ticket}");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("upgrades");
    let subscribe = format!(r#"{{"type":"subscribe","channel":"journal:{workspace}","payload":{{}}}}"#);
    socket.send(Message::Text(subscribe.into())).await.expect("subscribes");
    socket.next().await.expect("acknowledged").expect("acknowledged");
    tokio::spawn(async move {
        while let Some(Ok(frame)) = socket.next().await {
            if frame.to_text().is_ok_and(|text| text.contains("mission.updated"))
                && heard.send(Instant::now()).is_err()
            {
                return;
            }
        }
    });
}

/// Asked for over HTTP, as everybody does.
async fn ticket(address: &str, app: &Arc<Taffrail>, owner: &UserId) -> String {
    let token = enter(app, owner).await;
    let url = format!("http://{address}/api/v1/ws-token");
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("answers");
    let answer: serde_json::Value = answer.json().await.expect("JSON");
    answer["token"].as_str().expect("a ticket").to_owned()
}
