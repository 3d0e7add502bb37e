//! Clients of streams.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use taffrail::boot::Taffrail;
use taffrail::http;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// An instance that listens; it stops when this is dropped.
pub(super) struct Listening {
    pub(super) address: String,
    _stop: watch::Sender<bool>,
}

impl Listening {
    pub(super) async fn start(app: &Arc<Taffrail>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, mut stopped) = watch::channel(false);
        let until = async move { drop(stopped.wait_for(|stop| *stop).await) };
        tokio::spawn(http::serve(listener, http::service(Arc::clone(app)), until));
        Self { address, _stop: stop }
    }
}

/// Who listens, and to what.
#[derive(Clone)]
pub(crate) struct Ear {
    pub(crate) address: String,
    pub(crate) token: String,
    pub(crate) workspace: String,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) data: Value,
}

/// A stream of server-sent events. Asked for over HTTP/1.0, so that the body is what comes until the end.
pub(super) struct Sse {
    pub(super) status: u16,
    lines: BufReader<TcpStream>,
}

impl Ear {
    pub(super) async fn sse(&self, query: &str, last: Option<&str>) -> Sse {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "GET /api/v1/journal/stream?workspace_id={}&{query} HTTP/1.0\r\nHost: {}\r\n\
             Authorization: Bearer {}\r\nAccept: text/event-stream\r\n{last}\r\n",
            self.workspace, self.address, self.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        lines.read_line(&mut line).await.unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line.trim() != "" {
            line.clear();
            lines.read_line(&mut line).await.unwrap();
        }
        Sse { status, lines }
    }

    /// A ticket for a socket.
    pub(super) async fn ticket(&self) -> String {
        let url = format!("http://{}/api/v1/ws-token", self.address);
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.token).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// A socket that said who it is first.
    pub(crate) async fn socket(&self) -> Socket {
        let mut socket = self.mute_socket("").await.unwrap();
        let ticket = self.ticket().await;
        socket.say(json!({ "type": "auth", "token": ticket })).await;
        socket
    }

    /// A socket that said nothing; the query may hold a ticket.
    pub(super) async fn mute_socket(&self, query: &str) -> Result<Socket, u16> {
        self.socket_from(query, None).await
    }

    pub(super) async fn socket_from(&self, query: &str, origin: Option<&str>) -> Result<Socket, u16> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let mut request = format!("ws://{}/ws{query}", self.address).into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers()["connection"].to_str().unwrap().to_lowercase(), "upgrade");
                assert!(!answer.headers().contains_key("sec-websocket-extensions"));
                Ok(Socket(socket))
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Sse {
    /// The next event; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Event> {
        let mut event = Event { id: String::new(), name: String::new(), data: Value::Null };
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("", _)) => {}
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                Some(other) => panic!("{other:?}"),
                None if event.data != Value::Null => return Some(event),
                None => {}
            }
        }
    }

    /// The ids of the next events.
    pub(super) async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = vec![];
        while ids.len() < count {
            ids.push(self.next().await.unwrap().id);
        }
        ids
    }

    /// All that is left of a refusal.
    pub(super) async fn body(mut self) -> String {
        let mut text = String::new();
        self.lines.read_to_string(&mut text).await.unwrap();
        text
    }
}

pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    pub(super) async fn say(&mut self, frame: Value) {
        self.say_raw(&frame.to_string()).await;
    }

    pub(super) async fn say_raw(&mut self, text: &str) {
        // A server that hung up is noticed where it is listened to.
        drop(self.0.send(Message::Text(text.into())).await);
    }

    pub(crate) async fn subscribe(&mut self, channel: &str) {
        self.say(json!({ "type": "subscribe", "channel": channel, "payload": {} })).await;
        let frame = self.next().await.unwrap();
        assert_eq!((&frame["type"], &frame["channel"]), (&json!("subscribed"), &json!(channel)), "{frame}");
    }

    /// The next frame as text; `None` once it is closed.
    pub(super) async fn next_text(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next frame that is no ping.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let frame: Value = serde_json::from_str(&self.next_text().await?).unwrap();
            if frame["type"] != "ping" {
                return Some(frame);
            }
        }
    }

    /// The next frame of a type.
    pub(super) async fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("no {kind}"));
            if frame["type"] == kind {
                return frame;
            }
        }
    }
}
