//! Probes, without authentication: for people, for process managers, for load balancers (`platform.md` 10.1).

use std::sync::LazyLock;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::answer::Told;
use super::contract::{self, Answers, Operation, Schemas};

/// The name under which known clients look for the service.
const SERVICE: &str = "crewshipd";

/// When this process was first asked for its routes: it serves since then.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Exactly this.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Health")]
pub(super) struct HealthView {
    status: &'static str,
}

/// The process answers.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Liveness")]
pub(super) struct LivenessView {
    status: &'static str,
    service: &'static str,
    uptime: String,
    uptime_seconds: u64,
}

/// Whether writes can be taken.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Readiness")]
pub(super) struct ReadinessView {
    status: bool,
    service: &'static str,
    checks: Checks,
}

/// What a probe is told of the journal and its indexes: whether and how much; why is in the log.
#[derive(Serialize, JsonSchema)]
struct Checks {
    journal_poisoned: bool,
    journal_full: bool,
    shelver_lag_groups: u64,
    shelver_lag_bytes: u64,
    shelf_abandoned: bool,
    repairs: usize,
    clock_behind_ms: u64,
    search_lag_entries: u64,
}

/// Notes when the process began to serve.
pub(super) fn begin() {
    LazyLock::force(&STARTED);
}

/// `GET /api/health`: exactly this, whatever the store does.
pub(super) async fn get_health() -> Told<HealthView> {
    Told::new(&HealthView { status: "ok" })
}

/// `GET /healthz`: the process answers.
pub(super) async fn get_liveness() -> Told<LivenessView> {
    let uptime_seconds = STARTED.elapsed().as_secs();
    let uptime = format!("{uptime_seconds}s");
    Told::new(&LivenessView { status: "ok", service: SERVICE, uptime, uptime_seconds })
}

/// `GET /readyz`: whether writes can be taken. A full disk is not the end: reads go on, and writes come
/// back with the room.
pub(super) async fn get_readiness(State(app): State<App>) -> Ready {
    let journal = app.journal().health();
    let checks = Checks {
        journal_poisoned: journal.poisoned.is_some(),
        journal_full: journal.full,
        shelver_lag_groups: journal.shelver_lag_groups,
        shelver_lag_bytes: journal.shelver_lag_bytes,
        shelf_abandoned: journal.shelf_abandoned.is_some(),
        repairs: journal.repairs.len(),
        clock_behind_ms: app.clock_behind_ms(),
        search_lag_entries: app.search_lag_entries(),
    };
    let status = !checks.journal_poisoned && app.failure().is_none();
    Ready { is_ready: status, told: Told::new(&ReadinessView { status, service: SERVICE, checks }) }
}

/// 200 or 503, each with the checks.
pub(super) struct Ready {
    is_ready: bool,
    told: Told<ReadinessView>,
}

impl IntoResponse for Ready {
    fn into_response(self) -> Response {
        let status = if self.is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, self.told).into_response()
    }
}

impl Answers for Ready {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        for status in [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE] {
            let told = contract::Response::json(schemas.answer::<ReadinessView>());
            operation.succeeds(status, told);
        }
    }
}
