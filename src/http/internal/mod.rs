//! The internal API: what runs beside agents speaks it, over a Unix socket, with a token of its own
//! (`platform.md` 8). The ordinary listener answers 404 to all of it.
//!
//! These routes are no part of the public contract, so the OpenAPI document does not tell of them.

mod assignments;
mod door;
mod escalations;
mod insider;
mod issues;
mod limits;
mod missions;
mod runs;
mod token;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, patch, post};

use super::problem::Problem;
use super::{App, Pipeline, Surface, pipeline};
use crate::boot::Taffrail;

pub(super) use limits::Limits;
pub(super) use token::agent_token;
pub use token::internal_token;

/// The internal API over one running instance, pipeline included.
pub fn internal_service(taffrail: Arc<Taffrail>) -> Pipeline {
    let app: App = Arc::new(Surface::of(taffrail));
    let routes = routes().with_state(app).fallback(not_found);
    pipeline::around(routes)
}

/// Its routes, to be served where they may be.
pub(super) fn routes() -> Router<App> {
    let at = |path: &str| format!("/api/v1/internal/{path}");
    Router::new()
        .route(&at("tasks/claim"), post(work::claim))
        .route(&at("tasks/{id}/heartbeat"), post(work::beat))
        .route(&at("tasks/{id}/begin"), post(work::begin))
        .route(&at("tasks/{id}/output"), post(work::output))
        .route(&at("tasks/{id}/hand-back"), post(work::hand_back))
        .route(&at("tasks/{id}"), patch(work::report))
        .route(&at("missions"), post(missions::propose))
        .route(&at("missions/{id}"), get(missions::show))
        .route(&at("missions/{id}/start"), post(missions::start))
        .route(&at("issues"), get(issues::list).post(issues::propose))
        .route(&at("issues/{identifier}"), get(issues::show).patch(issues::change))
        .route(&at("issues/{identifier}/comments"), post(issues::comment))
        .route(&at("issues/{identifier}/relations"), post(issues::relate))
        .route(&at("assignments"), post(assignments::delegate))
        .route(&at("assignments/{id}"), get(assignments::show))
        .route(&at("queries"), post(assignments::query))
        .route(&at("report-confidence"), post(assignments::report_confidence))
        .route(&at("escalations"), post(escalations::raise))
        .route(&at("escalations/{id}/wait"), get(escalations::wait))
        .route(&at("runs"), post(runs::begin))
        .route(&at("runs/{id}"), patch(runs::end))
        .route(&at("journal/emit"), post(runs::emit))
        .route(&at("cost/record"), post(runs::record_cost))
        .route(&at("crews"), get(door::list_crews).post(door::create_crew))
        .route(&at("agents"), post(door::create_agent))
        .method_not_allowed_fallback(not_found)
}

/// An unknown path and a wrong method are one answer, and no `Allow` tells them apart.
async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "Not Found")
}
