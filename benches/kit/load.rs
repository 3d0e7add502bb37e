//! The load generator: HTTP/1.1 over keep-alive connections, as cheap as a client can be, so that what
//! is measured is the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WARM_UP: Duration = Duration::from_millis(300);
const ROUND: Duration = Duration::from_millis(1_500);

/// What a round reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    /// What an answer cost the server, in microseconds of processor time: tells the same on a busy machine.
    pub(crate) cpu_us: f64,
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Vec::with_capacity(64 << 10) }
    }

    /// Sends a request and hands its answer's body out; it must be a success.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        let body = self.exchange(request).await;
        self.buffer[body..].to_vec()
    }

    /// Sends a request and reads its answer; says where its body begins in the buffer.
    async fn exchange(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).await.expect("it is connected");
        self.buffer.clear();
        let body = loop {
            self.read().await;
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        assert_eq!(self.buffer[9], b'2', "{}", String::from_utf8_lossy(&self.buffer));
        let length = content_length(&self.buffer[..body]);
        while self.buffer.len() < body + length {
            self.read().await;
        }
        body
    }

    async fn read(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await.expect("it is connected");
        assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&self.buffer));
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).expect("a head is text");
    let named = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(named).expect("every answer says its length")
}

/// One connection per list of requests, which it sends in turn for as long as a round takes.
pub(crate) fn round(address: SocketAddr, clients: &[Vec<Vec<u8>>]) -> Rate {
    let clients = clients.to_vec();
    let before = cpu_ns("/proc/self/task");
    // A thread of its own: the server's runtime has its threads for itself.
    let generator = std::thread::Builder::new().name("generator".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(all(address, clients))
    });
    let generator = generator.expect("a thread");
    let (rate, answers) = generator.join().expect("the generator works");
    // The generator's thread has ended, so its share is in neither sum.
    let server_ns = cpu_ns("/proc/self/task").saturating_sub(before);
    Rate { cpu_us: server_ns as f64 / 1_000.0 / answers as f64, ..rate }
}

/// Processor time of every living thread.
fn cpu_ns(tasks: &str) -> u64 {
    let threads = std::fs::read_dir(tasks).expect("a process has threads");
    threads.flatten().map(|thread| spent_ns(&thread.path().join("schedstat").to_string_lossy())).sum()
}

fn spent_ns(schedstat: &str) -> u64 {
    let text = std::fs::read_to_string(schedstat).unwrap_or_default();
    text.split(' ').next().and_then(|spent| spent.parse().ok()).unwrap_or(0)
}

async fn all(address: SocketAddr, clients: Vec<Vec<Vec<u8>>>) -> (Rate, usize) {
    let begins = Instant::now() + WARM_UP;
    let lanes: Vec<_> =
        clients.into_iter().map(|requests| tokio::spawn(lane(address, requests, begins))).collect();
    let (mut took, mut answers) = (vec![], 0);
    for lane in lanes {
        let (lane, all) = lane.await.expect("a lane works");
        took.extend(lane);
        answers += all;
    }
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or(0);
    let per_second = took.len() as f64 / ROUND.as_secs_f64();
    (Rate { per_second, p50_us: at(50), p99_us: at(99), cpu_us: 0.0 }, answers)
}

/// Microseconds that each answer of the round took, and how many answers there were in all.
async fn lane(address: SocketAddr, requests: Vec<Vec<u8>>, begins: Instant) -> (Vec<u64>, usize) {
    let mut client = Client::connect(address).await;
    let (mut took, mut answers) = (vec![], 0);
    for request in requests.iter().cycle() {
        let asked = Instant::now();
        client.exchange(request).await;
        answers += 1;
        let answered = Instant::now();
        if answered > begins + ROUND {
            break;
        }
        if asked >= begins {
            took.push(u64::try_from((answered - asked).as_micros()).unwrap_or(u64::MAX));
        }
    }
    (took, answers)
}

/// The round in the middle.
pub(crate) fn median(mut rounds: Vec<Rate>) -> Rate {
    rounds.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    rounds[rounds.len() / 2]
}
