//! The HTTP surface: routes, who may call them, what they read, what they answer, and how they say no.
//!
//! A handler extracts, runs one command, builds one view. Rules live in the domain; a rule here is a
//! rule in the wrong room. Nothing here knows how entries are stored.

mod agents;
mod body;
mod bootstrap;
mod caller;
mod checkpoints;
mod crews;
mod freshness;
mod gate;
mod health;
mod idempotency;
mod journal;
mod missions;
mod pipeline;
mod problem;
mod query;
mod repeat;
mod state;
mod tasks;
mod time;
mod tokens;
mod unset;
mod written;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, patch, post};

use crate::boot::Taffrail;
use pipeline::BODY_BYTES_MAX;
use problem::Problem;

/// What every handler is given: the running instance.
type App = Arc<Taffrail>;

/// The whole API over one running instance, pipeline included.
pub fn router(app: Arc<Taffrail>) -> Router {
    let routes = Router::new()
        .merge(accounts())
        .merge(roster())
        .merge(missions())
        .merge(history())
        .with_state(Arc::clone(&app))
        .merge(health::routes(app))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    pipeline::around(routes)
}

fn accounts() -> Router<App> {
    Router::new()
        .route("/api/v1/bootstrap", post(bootstrap::bootstrap))
        .route("/api/v1/auth/cli-token", post(tokens::create_token))
        .route("/api/v1/auth/cli-token/validate", get(tokens::validate_token))
        .route("/api/v1/auth/cli-tokens", get(tokens::list_tokens))
        .route("/api/v1/auth/cli-tokens/{token}", delete(tokens::revoke_token))
}

fn roster() -> Router<App> {
    Router::new()
        .route("/api/v1/crews", get(crews::list_crews).post(crews::create_crew))
        .route(
            "/api/v1/crews/{crew}",
            get(crews::get_crew).patch(crews::update_crew).put(crews::update_crew).delete(crews::delete_crew),
        )
        .route("/api/v1/agents", get(agents::list_agents).post(agents::create_agent))
        .route(
            "/api/v1/agents/{agent}",
            get(agents::get_agent).patch(agents::update_agent).delete(agents::delete_agent),
        )
}

fn missions() -> Router<App> {
    Router::new()
        .route("/api/v1/missions", get(missions::list_missions))
        .route(
            "/api/v1/crews/{crew}/missions",
            get(missions::list_crew_missions).post(missions::create_mission),
        )
        .route(
            "/api/v1/crews/{crew}/missions/{mission}",
            get(missions::get_mission).patch(missions::update_mission).delete(missions::delete_mission),
        )
        .route("/api/v1/crews/{crew}/missions/{mission}/start", post(missions::start_mission))
        .route("/api/v1/crews/{crew}/missions/{mission}/tasks", post(tasks::create_task))
        .route("/api/v1/crews/{crew}/missions/{mission}/tasks/{task}", patch(tasks::update_task))
}

fn history() -> Router<App> {
    Router::new()
        .route(
            "/api/v1/missions/{mission}/checkpoints",
            get(checkpoints::list_checkpoints).post(checkpoints::create_checkpoint),
        )
        .route("/api/v1/missions/{mission}/state", get(state::get_state))
        .route(
            "/api/v1/checkpoints/{checkpoint}",
            get(checkpoints::get_checkpoint).delete(checkpoints::delete_checkpoint),
        )
        .route("/api/v1/checkpoints/{checkpoint}/restore", post(checkpoints::restore_checkpoint))
        .route("/api/v1/checkpoints/{checkpoint}/fork", post(checkpoints::fork_checkpoint))
        .route("/api/v1/journal", get(journal::list_entries))
        .route("/api/v1/journal/count", get(journal::count_entries))
        .route("/api/v1/journal/{entry}", get(journal::get_entry))
}

async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "Not found")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "method_not_allowed")
}
