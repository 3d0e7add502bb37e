//! Probes, without authentication: for people, for process managers, for load balancers (`platform.md` 10.1).

use std::time::Instant;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::App;

/// The name under which known clients look for the service.
const SERVICE: &str = "crewshipd";

/// Routes that need no caller.
pub(super) fn routes(app: App) -> Router {
    let started = Instant::now();
    Router::new()
        .route("/api/health", get(get_health))
        .route("/healthz", get(async move || get_liveness(started)))
        .route("/readyz", get(async move || get_readiness(&app)))
}

/// `GET /api/health`: exactly this, whatever the store does.
async fn get_health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /healthz`: the process answers.
fn get_liveness(started: Instant) -> Json<Value> {
    let uptime = started.elapsed().as_secs();
    Json(json!({
        "status": "ok", "service": SERVICE, "uptime": format!("{uptime}s"), "uptime_seconds": uptime,
    }))
}

/// What a probe is told of the journal: whether and how much; why is in the log.
#[derive(Serialize)]
struct Checks {
    journal_poisoned: bool,
    journal_full: bool,
    shelver_lag_groups: u64,
    shelver_lag_bytes: u64,
    shelf_abandoned: bool,
    repairs: usize,
    clock_behind_ms: u64,
}

/// `GET /readyz`: whether writes can be taken. A full disk is not the end: reads go on, and writes come
/// back with the room.
fn get_readiness(app: &App) -> Response {
    let journal = app.journal().health();
    let checks = Checks {
        journal_poisoned: journal.poisoned.is_some(),
        journal_full: journal.full,
        shelver_lag_groups: journal.shelver_lag_groups,
        shelver_lag_bytes: journal.shelver_lag_bytes,
        shelf_abandoned: journal.shelf_abandoned.is_some(),
        repairs: journal.repairs.len(),
        clock_behind_ms: app.clock_behind_ms(),
    };
    let ready = !checks.journal_poisoned && app.failure().is_none();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "status": ready, "service": SERVICE, "checks": checks }))).into_response()
}
