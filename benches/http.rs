//! Question: how much of a bare axum handler's rate does the API reach, for durable writes and for reads?
//! Guess: writes wait for the disk and share it, so the more callers the closer; reads pay for rendering.
//!
//! Everything runs in one process on loopback TCP with keep-alive connections and one load generator;
//! the bare handler reads the body and answers the bytes that Taffrail answered. Rounds take turns.
//! Targets: reads 0.6 of it, durable writes 0.25 at 64 clients and 0.4 at 256.
//!
//! `cargo bench --bench http [-- NAME]` — medians of the rounds; ratio is Taffrail over bare. `NAME` picks
//! the rows whose name holds it.

mod kit;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::any;
use kit::load::{self, Client, Rate};
use serde_json::{Value, json};
use taffrail::boot::{Options, Taffrail};
use taffrail::http;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

const ROUNDS: usize = 3;
/// Missions of the list that is read, and what it grows to.
const FEW: usize = 100;
const MANY: usize = 100_000;

fn null() -> std::fs::File {
    std::fs::OpenOptions::new().write(true).open("/dev/null").expect("every system has it")
}

fn main() {
    // As `taffrail serve` logs by default, a system call a line; only the terminal is left out.
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("info")).with_ansi(false);
    log.with_target(false).with_writer(std::sync::Mutex::new(null())).init();
    let server = runtime("taffrail");
    println!("{:>34} {:>10} {:>10} {:>6}  cpu us/answer, p50/p99 us", "", "taffrail/s", "bare/s", "ratio");
    beside_a_bare_handler(&server);
    if is_picked("page of missions") {
        lists_that_grow(&server);
    }
}

/// Its threads have a name, so that a profile can tell them from the others.
fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread().enable_all().thread_name(name).build().expect("a runtime")
}

fn is_picked(name: &str) -> bool {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    wanted.is_none_or(|wanted| name.contains(&wanted))
}

/// An instance on the disk under test, served over TCP as the program serves it.
struct Instance {
    app: Arc<Taffrail>,
    address: SocketAddr,
    token: String,
    workspace: String,
    _data: TempDir,
}

impl Instance {
    async fn open(data: TempDir) -> Self {
        let app = Taffrail::open(Options::new(data.path())).await.expect("opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(http::serve(listener, http::service(Arc::clone(&app)), std::future::pending()));
        Self { app, address, token: String::new(), workspace: String::new(), _data: data }
    }

    async fn bootstrapped() -> Self {
        let mut instance = Self::open(TempDir::new_in(".").expect("a folder on the disk under test")).await;
        let body = json!({ "full_name": "Ada", "email": "ada@example.org", "password": "engine-no-1" });
        let made = instance.send("POST", "/api/v1/bootstrap", &body).await;
        instance.token = text(&made, "cli_token");
        instance.workspace = text(&made, "workspace_id");
        instance
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if !self.token.is_empty() {
            head +=
                &format!("Authorization: Bearer {}\r\nX-Workspace-ID: {}\r\n", self.token, self.workspace);
        }
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = Client::connect(self.address).await.ask(&self.request(method, path, body)).await;
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// A crew with a LEAD: their ids.
    async fn crew(&self) -> (String, String) {
        let crew = self.send("POST", "/api/v1/crews", &json!({ "name": "Crew", "slug": "crew" })).await;
        let crew = text(&crew, "id");
        let lead = json!({ "name": "Lead", "slug": "lead", "crew_id": crew, "agent_role": "LEAD" });
        let lead = self.send("POST", "/api/v1/agents", &lead).await;
        (crew, text(&lead, "id"))
    }

    /// A mission with tasks: its path, and its tasks' paths.
    async fn mission(&self, (crew, lead): &(String, String), tasks: usize) -> (String, Vec<String>) {
        let body = json!({ "title": "Move billing to the new ledger", "lead_agent_id": lead });
        let missions = format!("/api/v1/crews/{crew}/missions");
        let path = format!("{missions}/{}", text(&self.send("POST", &missions, &body).await, "id"));
        let mut paths = vec![];
        for order in 0..tasks {
            let task = json!({ "title": format!("Step {order}: copy a table"), "task_order": order });
            let made = self.send("POST", &format!("{path}/tasks"), &task).await;
            paths.push(format!("{path}/tasks/{}", text(&made, "id")));
        }
        (path, paths)
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}

/// A handler that does nothing but read and answer.
async fn bare(answer: Vec<u8>) -> SocketAddr {
    let answer = Bytes::from(answer);
    let handler = move |body: Bytes| {
        std::hint::black_box(body);
        let answer = answer.clone();
        async move { ([(CONTENT_TYPE, "application/json")], answer) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let router = Router::new().fallback(any(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn beside_a_bare_handler(server: &Runtime) {
    let instance = server.block_on(Instance::bootstrapped());
    let crew = server.block_on(instance.crew());
    let (mission, _) = server.block_on(instance.mission(&crew, 6));
    let none = Value::Null;
    for (name, path) in [("GET mission of 6 tasks", mission), ("GET list of 20", "/api/v1/missions".into())] {
        while server
            .block_on(instance.send("GET", "/api/v1/missions", &none))
            .as_array()
            .expect("a list")
            .len()
            < 20
        {
            server.block_on(instance.mission(&crew, 0));
        }
        let request = instance.request("GET", &path, &none);
        compare(server, &instance, &format!("{name}, 64 clients"), 0.6, vec![vec![request]; 64]);
    }
    for (clients, target) in [(64, 0.25), (256, 0.4)] {
        let lanes: Vec<_> = (0..clients).map(|_| server.block_on(instance.mission(&crew, 1))).collect();
        let create = |(mission, _): &(String, Vec<String>)| {
            let task = json!({ "title": "One more step: compare the sums", "task_order": 3 });
            vec![instance.request("POST", &format!("{mission}/tasks"), &task)]
        };
        let change = |(_, tasks): &(String, Vec<String>)| {
            let patch = |tokens| instance.request("PATCH", &tasks[0], &json!({ "token_count": tokens }));
            vec![patch(4_210), patch(4_211)]
        };
        let changes = lanes.iter().map(change).collect();
        compare(server, &instance, &format!("PATCH task, {clients} clients"), target, changes);
        let creates = lanes.iter().map(create).collect();
        compare(server, &instance, &format!("POST task, {clients} clients"), target, creates);
    }
    server.block_on(instance.app.drain());
}

/// Rounds in turn, and their medians.
fn compare(server: &Runtime, instance: &Instance, name: &str, target: f64, clients: Vec<Vec<Vec<u8>>>) {
    if !is_picked(name) {
        return;
    }
    let first = clients[0][0].clone();
    let answer = server.block_on(async { Client::connect(instance.address).await.ask(&first).await });
    let other = runtime("bare");
    let bare = other.block_on(bare(answer));
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        kit::settle();
        ours.push(load::round(instance.address, &clients));
        theirs.push(load::round(bare, &clients));
    }
    let (ours, theirs) = (load::median(ours), load::median(theirs));
    let ratio = ours.per_second / theirs.per_second;
    println!(
        "{name:>34} {:>10.0} {:>10.0} {ratio:>6.2}  {:>5.1}/{:<5.1} {}/{} (target {target})",
        ours.per_second, theirs.per_second, ours.cpu_us, theirs.cpu_us, ours.p50_us, ours.p99_us
    );
}

fn lists_that_grow(server: &Runtime) {
    let [few, many] = [FEW, MANY].map(|missions| {
        let before = kit::resident_mib();
        let instance = server.block_on(full_of(missions));
        let rates = [0, missions - 20].map(|offset| {
            let path = format!("/api/v1/missions?offset={offset}");
            let request = instance.request("GET", &path, &Value::Null);
            load::round(instance.address, &vec![vec![request]; 64])
        });
        let resident = kit::resident_mib().saturating_sub(before);
        server.block_on(instance.app.drain());
        (rates, resident)
    });
    let show = |name: &str, few: Rate, many: Rate| {
        println!(
            "{name:>34} {:>10.0} of {FEW}, {:>10.0} of {MANY}: {:.2}  {}/{} us",
            few.per_second,
            many.per_second,
            many.per_second / few.per_second,
            many.p50_us,
            many.p99_us
        );
    };
    show("first page of missions", few.0[0], many.0[0]);
    show("last page of missions", few.0[1], many.0[1]);
    println!("{:>34} {:>10} MiB", "resident for 100 k missions", many.1);
}

/// An instance with this many missions in its workspace, seeded as a crash would have left it.
async fn full_of(missions: usize) -> Instance {
    let folder = TempDir::new_in(".").expect("a folder on the disk under test");
    // The owner's token comes from the API, so the instance begins with a bootstrap and is seeded behind it.
    let mut instance = Instance::open(folder).await;
    let body = json!({ "full_name": "Ada", "email": "ada@example.org", "password": "engine-no-1" });
    let made = instance.send("POST", "/api/v1/bootstrap", &body).await;
    (instance.token, instance.workspace) = (text(&made, "cli_token"), text(&made, "workspace_id"));
    let (crew, lead) = instance.crew().await;
    let writer = instance.app.workspace(&instance.workspace.as_str().into()).expect("it is open");
    kit::many_missions(&writer, &text(&made, "user_id").as_str().into(), &crew, &lead, missions).await;
    // The shelver would go on beside the first reads.
    while instance.app.journal().health().shelver_lag_bytes > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    instance
}
