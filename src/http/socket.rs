//! `GET /ws` and its tickets (`journal.md` 9, `platform.md` 2.3, ruling R17).

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::App;
use super::answer::Told;
use super::caller::Caller;
use super::problem::Problem;
use super::{query, talk};
use crate::boot::Session;
use crate::live::Access;

/// How long a client may take to say who it is.
const AUTH_PATIENCE: Duration = Duration::from_secs(10);
/// Largest frame of a client.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// Buffers of one socket: a thousand of them must be cheap.
const READ_BUFFER_BYTES: usize = 4 << 10;
const WRITE_BUFFER_BYTES: usize = 16 << 10;

/// A ticket.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SocketTicket")]
pub(super) struct TicketView {
    token: String,
}

/// `GET /api/v1/ws-token`
pub(super) async fn issue_ticket(caller: Caller) -> Result<Told<TicketView>, Problem> {
    let issued = caller.app.live.tickets.issue(caller.session.clone());
    let token = issued.map_err(|error| {
        tracing::error!(%error, "no ticket could be made");
        Problem::internal()
    })?;
    Ok(Told::new(&TicketView { token }))
}

/// The socket's route: an upgrade is no request that the document could tell of.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/ws", get(upgrade))
}

/// `GET /ws`
async fn upgrade(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    if !is_our_own(&headers) {
        return text(StatusCode::FORBIDDEN, "request origin not allowed");
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return text(refused.into_response().status(), "missing token"),
    };
    let upgrade = upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES);
    match query::text(&uri, "token") {
        Some(ticket) => match redeem(&app, &ticket) {
            Ok(session) => upgrade.on_upgrade(move |socket| talk_to(app, socket, session)),
            Err(why) => text(StatusCode::UNAUTHORIZED, why),
        },
        None => upgrade.on_upgrade(move |socket| greet(app, socket)),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    // The pipeline would make a problem of a plain refusal; what stands here is what clients look for.
    Problem::new(status, "socket.refused", text).into_response()
}

fn redeem(app: &App, ticket: &str) -> Result<Session, &'static str> {
    let session = app.live.tickets.redeem(ticket).ok_or("invalid token")?;
    let world = app.instance().world();
    let is_live = world.state.tokens.get(&session.token).is_some_and(|token| token.is_live(app.now()));
    if is_live { Ok(session) } else { Err("session_revoked") }
}

#[derive(Deserialize)]
struct Auth {
    r#type: String,
    token: String,
}

/// A client that brought no ticket says who it is first.
async fn greet(app: App, mut socket: WebSocket) {
    let refusal = match timeout(AUTH_PATIENCE, first_text(&mut socket)).await {
        Err(_) => Some(refused("no auth message received within 10s (handshake timed out)")),
        Ok(None) => return,
        Ok(Some(said)) => match serde_json::from_str::<Auth>(&said).ok().filter(|auth| auth.r#type == "auth")
        {
            None => Some(refused(r#"invalid auth message (expected {"type":"auth","token":...})"#)),
            Some(auth) => match redeem(&app, &auth.token) {
                Ok(session) => return talk_to(app, socket, session).await,
                Err("session_revoked") => {
                    Some(json!({ "type": "session_revoked", "payload": { "message": "session_revoked" } }))
                }
                Err(_) => Some(refused("invalid or expired ws-token")),
            },
        },
    };
    if let Some(refusal) = refusal {
        // It may be gone already.
        drop(timeout(AUTH_PATIENCE, socket.send(Message::Text(refusal.to_string().into()))).await);
        drop(timeout(AUTH_PATIENCE, socket.send(Message::Close(None))).await);
    }
}

async fn first_text(socket: &mut WebSocket) -> Option<String> {
    loop {
        match socket.recv().await? {
            Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn refused(text: &str) -> Value {
    json!({ "type": "error", "payload": { "message": text, "error": text } })
}

async fn talk_to(app: App, socket: WebSocket, session: Session) {
    let access = Access::new(&app, session);
    let dialogue = talk::Conversations::new(&app);
    app.live.listen(socket, access, dialogue).await;
}

/// Programs name no origin; a page must come from the same host, whichever port, or from this machine: the
/// listener speaks plain HTTP, so a page of a proxy in front of it has the proxy's host.
fn is_our_own(headers: &HeaderMap) -> bool {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !headers.contains_key(ORIGIN) {
        return true;
    }
    let Some(origin) = value(ORIGIN).and_then(|origin| origin.parse::<Uri>().ok()) else { return false };
    let Some(origin) = origin.host().map(str::to_ascii_lowercase) else { return false };
    let own = value(HOST).and_then(|host| host.parse::<axum::http::uri::Authority>().ok());
    let is_same = own.is_some_and(|own| own.host().eq_ignore_ascii_case(&origin));
    is_same || matches!(origin.as_str(), "localhost" | "127.0.0.1")
}
