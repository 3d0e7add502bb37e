//! The HTTP surface: routes, who may call them, what they read, what they answer, and how they say no.
//!
//! A handler extracts, runs one command, builds one view. Rules live in the domain; a rule here is a
//! rule in the wrong room. Nothing here knows how entries are stored.

mod activity;
mod agents;
mod answer;
mod approvals;
mod body;
mod bootstrap;
mod caller;
mod chats;
mod checkpoints;
mod connections;
mod contract;
mod crew_members;
mod crews;
mod escalations;
mod freshness;
mod gate;
mod health;
mod idempotency;
mod internal;
mod journal;
mod lookup;
mod markers;
mod metrics;
mod missions;
mod openapi;
mod page;
mod people;
mod pipeline;
mod policies;
mod problem;
mod query;
mod rendered;
mod repeat;
mod runs;
mod serve;
mod socket;
mod state;
mod stream;
mod success;
mod tag;
mod talk;
mod tasks;
mod time;
mod tokens;
mod unset;
mod verify;
mod work;
mod workers;
mod workspaces;

use std::ops::Deref;
use std::sync::Arc;

use axum::http::StatusCode;

use crate::boot::Taffrail;
use crate::live::Live;
use contract::Api;
use problem::Problem;
use rendered::Renderings;

pub use internal::{internal_service, internal_token};
pub use openapi::document as openapi;
pub use pipeline::Pipeline;
pub use serve::{Listen, serve};

/// What every handler is given.
type App = Arc<Surface>;

/// The running instance, and what is kept of what was shown of it.
struct Surface {
    taffrail: Arc<Taffrail>,
    renderings: Renderings,
    live: Live,
    insiders: internal::Limits,
}

impl Surface {
    fn of(taffrail: Arc<Taffrail>) -> Self {
        let live = Live::new(Arc::clone(&taffrail), journal::shown);
        Self { taffrail, renderings: Renderings::default(), live, insiders: internal::Limits::default() }
    }
}

impl Deref for Surface {
    type Target = Arc<Taffrail>;

    fn deref(&self) -> &Arc<Taffrail> {
        &self.taffrail
    }
}

/// The whole API over one running instance, pipeline included.
pub fn service(taffrail: Arc<Taffrail>) -> Pipeline {
    health::begin();
    let app = Arc::new(Surface::of(taffrail));
    let (routes, _) = api().finish();
    let routes = routes
        .merge(socket::routes())
        .with_state(app)
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method);
    pipeline::around(routes)
}

/// The same with the internal API beside it: for a listener that only this machine reaches.
pub fn service_with_internal(taffrail: Arc<Taffrail>) -> Pipeline {
    health::begin();
    let (routes, _) = api().finish();
    let routes =
        routes.merge(socket::routes()).merge(internal::routes()).with_state(Arc::new(Surface::of(taffrail)));
    pipeline::around(routes.fallback(no_such_route).method_not_allowed_fallback(wrong_method))
}

/// Every route there is.
fn api() -> Api {
    let api = workers(history(missions(roster(accounts(Api::new())))));
    let api = api.get("/api/health", health::get_health).get("/healthz", health::get_liveness);
    api.get("/readyz", health::get_readiness).get("/api/v1/openapi.json", openapi::get_openapi)
}

fn accounts(api: Api) -> Api {
    api.post("/api/v1/bootstrap", bootstrap::bootstrap)
        .post("/api/v1/auth/cli-token", tokens::create_token)
        .get("/api/v1/auth/cli-token/validate", tokens::validate_token)
        .get("/api/v1/auth/cli-tokens", tokens::list_tokens)
        .get("/api/v1/ws-token", socket::issue_ticket)
        .delete("/api/v1/auth/cli-tokens/{tokenId}", tokens::revoke_token)
}

fn roster(api: Api) -> Api {
    agents(crews(api))
        .get("/api/v1/workspaces", workspaces::list_workspaces)
        .post("/api/v1/workspaces", workspaces::create_workspace)
        .get("/api/v1/workspaces/{workspaceId}", workspaces::get_workspace)
}

fn crews(api: Api) -> Api {
    api.get("/api/v1/crews", crews::list_crews)
        .post("/api/v1/crews", crews::create_crew)
        .get("/api/v1/crews/{crewId}", crews::get_crew)
        .patch("/api/v1/crews/{crewId}", crews::update_crew)
        .put("/api/v1/crews/{crewId}", crews::update_crew)
        .delete("/api/v1/crews/{crewId}", crews::delete_crew)
        .get("/api/v1/crews/{crewId}/members", crew_members::list_crew_members)
        .post("/api/v1/crews/{crewId}/members", crew_members::add_crew_member)
        .patch("/api/v1/crews/{crewId}/members/{memberId}", crew_members::update_crew_member)
        .delete("/api/v1/crews/{crewId}/members/{memberId}", crew_members::remove_crew_member)
        .get("/api/v1/crews/{crewId}/assignments", activity::list_assignments)
        .get("/api/v1/crews/{crewId}/policy", policies::get_policy)
        .put("/api/v1/crews/{crewId}/policy", policies::set_policy)
        .get("/api/v1/policies", policies::list_policies)
        .get("/api/v1/crews/{crewId}/escalations", escalations::list_escalations)
        .get("/api/v1/crews/{crewId}/peer-conversations", activity::list_peer_conversations)
        .get("/api/v1/crew-connections", connections::list_connections)
        .post("/api/v1/crew-connections", connections::connect_crews)
        .delete("/api/v1/crew-connections/{connectionId}", connections::disconnect_crews)
}

fn agents(api: Api) -> Api {
    api.get("/api/v1/agents", agents::list_agents)
        .post("/api/v1/agents", agents::create_agent)
        .get("/api/v1/agents/{agentId}", agents::get_agent)
        .patch("/api/v1/agents/{agentId}", agents::update_agent)
        .delete("/api/v1/agents/{agentId}", agents::delete_agent)
        .post("/api/v1/agents/{agentId}/stop", agents::stop_agent)
        .get("/api/v1/agents/{agentId}/runs", agents::list_agent_runs)
        .get("/api/v1/agents/{agentId}/chats", chats::list_chats)
        .post("/api/v1/agents/{agentId}/chats", chats::open_chat)
        .get("/api/v1/chats/{chatId}/messages", chats::list_messages)
        .post("/api/v1/agents/{agentId}/webhook-secret/rotate", agents::rotate_webhook_secret)
}

fn missions(api: Api) -> Api {
    api.get("/api/v1/missions", missions::list_missions)
        .get("/api/v1/crews/{crewId}/missions", missions::list_crew_missions)
        .post("/api/v1/crews/{crewId}/missions", missions::create_mission)
        .get("/api/v1/crews/{crewId}/missions/{missionId}", missions::get_mission)
        .patch("/api/v1/crews/{crewId}/missions/{missionId}", missions::update_mission)
        .delete("/api/v1/crews/{crewId}/missions/{missionId}", missions::delete_mission)
        .post("/api/v1/crews/{crewId}/missions/{missionId}/start", missions::start_mission)
        .post("/api/v1/crews/{crewId}/missions/{missionId}/restart", missions::restart_mission)
        .post("/api/v1/crews/{crewId}/missions/{missionId}/resume", missions::resume_mission)
        .post("/api/v1/crews/{crewId}/missions/{missionId}/clone", missions::clone_mission)
        .post("/api/v1/crews/{crewId}/missions/{missionId}/tasks", tasks::create_task)
        .patch("/api/v1/crews/{crewId}/missions/{missionId}/tasks/{taskId}", tasks::update_task)
        .post("/api/v1/crews/{crewId}/missions/{missionId}/tasks/{taskId}/approve", tasks::approve_task)
        .get("/api/v1/mission-metrics", metrics::get_mission_metrics)
        .get("/api/v1/metrics/timeseries", metrics::get_timeseries)
}

fn history(api: Api) -> Api {
    api.get("/api/v1/missions/{missionId}/checkpoints", checkpoints::list_checkpoints)
        .post("/api/v1/missions/{missionId}/checkpoints", checkpoints::create_checkpoint)
        .get("/api/v1/missions/{missionId}/state", state::get_state)
        .get("/api/v1/checkpoints/{checkpointId}", checkpoints::get_checkpoint)
        .delete("/api/v1/checkpoints/{checkpointId}", checkpoints::delete_checkpoint)
        .post("/api/v1/checkpoints/{checkpointId}/restore", checkpoints::restore_checkpoint)
        .post("/api/v1/checkpoints/{checkpointId}/fork", checkpoints::fork_checkpoint)
        .get("/api/v1/journal", journal::list_entries)
        .get("/api/v1/journal/count", journal::count_entries)
        .get("/api/v1/journal/lookup", lookup::look_up)
        .get("/api/v1/journal/stream", stream::follow_journal)
        .get("/api/v1/journal/{entryId}", journal::get_entry)
        .post("/api/v1/journal/{entryId}/priority", markers::set_priority)
        .get("/api/v1/admin/journal/verify", verify::verify_journal)
}

fn workers(api: Api) -> Api {
    let api = api
        .get("/api/v1/runs", runs::list_runs)
        .get("/api/v1/runs/insights", runs::get_run_insights)
        .get("/api/v1/runs/{runId}", runs::get_run)
        .get("/api/v1/runs/{runId}/output", runs::get_run_output)
        .get("/api/v1/activity", activity::list_activity)
        .get("/api/v1/escalations/{escalationId}", escalations::get_escalation)
        .post("/api/v1/escalations/{escalationId}/resolve", escalations::resolve_escalation)
        .post("/api/v1/escalations/{escalationId}/cancel", escalations::cancel_escalation)
        .get("/api/v1/approvals", approvals::list_approvals)
        .get("/api/v1/approvals/{approvalId}", approvals::get_approval)
        .post("/api/v1/approvals/{approvalId}/decide", approvals::decide_approval)
        .post("/api/v1/approvals/{approvalId}/cancel", approvals::cancel_approval);
    api.post("/api/v1/worker/tasks/claim", workers::claim_work)
        .post("/api/v1/worker/tasks/{assignmentId}/heartbeat", workers::renew_claim)
        .post("/api/v1/worker/tasks/{assignmentId}/begin", workers::begin_work)
        .post("/api/v1/worker/tasks/{assignmentId}/output", workers::append_output)
        .post("/api/v1/worker/tasks/{assignmentId}/hand-back", workers::hand_work_back)
        .patch("/api/v1/worker/tasks/{assignmentId}", workers::report_work)
}

async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "Not found")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "method_not_allowed")
}
