//! Who is slow is not waited for; time is paused, so that nobody here waits either.

use std::time::Duration;

use taffrail::http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::server::Server;

/// A connection to a served instance.
async fn connected(server: &Server) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = http::service(server.app.clone());
    tokio::spawn(http::serve(listener, service, std::future::pending()));
    TcpStream::connect(address).await.unwrap()
}

/// All that comes until the server hangs up.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = vec![];
    // A connection that is cut may end with a reset.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let server = Server::begin().await;
    let mut stream = connected(&server).await;
    stream.write_all(b"GET /api/health HTTP/1.1\r\nHo").await.unwrap();
    tokio::time::pause();
    let began = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_body_that_never_comes_is_answered() {
    let server = Server::begin().await;
    let mut stream = connected(&server).await;
    let head = format!(
        "POST /api/v1/crews HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nX-Workspace-ID: {}\r\n\
         Content-Length: 50\r\n\r\n{{\"name\"",
        server.token, server.workspace
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::pause();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("Request body did not arrive in time"), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_a_connection_may_idle() {
    let server = Server::begin().await;
    let mut stream = connected(&server).await;
    for _ in 0..2 {
        stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 2_048];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));
    }
    let large = format!("GET /api/health HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(40_000));
    stream.write_all(large.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_cut_off() {
    let server = Server::begin().await;
    let mut stream = connected(&server).await;
    // Far more than the system buffers for a reader that sleeps.
    const ASKED: usize = 200;
    let ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(&ask.repeat(ASKED)).await.unwrap();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let taken = rest(&mut stream).await;
    let begun = taken.matches("HTTP/1.1 200 ").count();
    assert!(begun > 0 && begun < ASKED, "{begun} answers");
}

#[tokio::test]
async fn a_connection_idles_for_two_minutes_after_its_last_answer() {
    let server = Server::begin().await;
    for asked in [1, 3] {
        let mut stream = connected(&server).await;
        stream.write_all(&b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(asked)).await.unwrap();
        tokio::time::pause();
        let began = Instant::now();
        let answers = rest(&mut stream).await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), asked);
        assert_eq!(began.elapsed().as_secs(), 120);
        tokio::time::resume();
    }
}
