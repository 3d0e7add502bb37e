//! The HTTP surface: routes, who may call them, what they read, what they answer, and how they say no.
//!
//! A handler extracts, runs one command, builds one view. Rules live in the domain; a rule here is a
//! rule in the wrong room. Nothing here knows how entries are stored.

mod activity;
mod agents;
mod answer;
mod approvals;
mod attachments;
mod body;
mod bootstrap;
mod caller;
mod capabilities;
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
mod issue_changes;
mod issue_comments;
mod issue_files;
mod issue_past;
mod issue_relations;
mod issue_search;
mod issue_view;
mod issue_work;
mod issues;
mod journal;
mod labels;
mod lookup;
mod markers;
mod metrics;
mod milestones;
mod missions;
mod openapi;
mod page;
mod people;
mod pipeline;
mod policies;
mod problem;
mod projects;
mod query;
mod recurring;
mod rendered;
mod repeat;
mod routine_runs;
mod routines;
mod runs;
mod saved_views;
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
mod triage;
mod unset;
mod upload;
mod verify;
mod waitpoints;
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
    let api = routines(tracker(issues(workers(history(missions(roster(accounts(Api::new()))))))));
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
        .get("/api/v1/workspaces/{workspaceId}/members/capabilities", capabilities::list_capabilities)
        .get("/api/v1/workspaces/{workspaceId}/members/{userId}/capabilities", capabilities::get_capabilities)
        .patch(
            "/api/v1/workspaces/{workspaceId}/members/{userId}/capabilities",
            capabilities::update_capabilities,
        )
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
        .get("/api/v1/issues/search", issue_search::search_issues)
        .get("/api/v1/mission-metrics", metrics::get_mission_metrics)
        .get("/api/v1/metrics/timeseries", metrics::get_timeseries)
}

fn issues(api: Api) -> Api {
    let api = api
        .get("/api/v1/issues", issues::list_issues)
        .patch("/api/v1/issues/bulk", issues::update_issues)
        .get("/api/v1/issues/changes", issue_changes::list_issue_changes)
        .get("/api/v1/issues/export", issue_files::export_issues)
        .post("/api/v1/crews/{crewId}/issues/import", issue_files::import_issues)
        .get("/api/v1/issues/{identifier}", issues::get_issue)
        .post("/api/v1/crews/{crewId}/issues", issues::create_issue)
        .get("/api/v1/crews/{crewId}/issues/{identifier}", issues::get_crew_issue)
        .patch("/api/v1/crews/{crewId}/issues/{identifier}", issues::update_issue)
        .delete("/api/v1/crews/{crewId}/issues/{identifier}", issues::delete_issue)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/move", issues::move_issue)
        .get("/api/v1/crews/{crewId}/issues/{identifier}/subtasks", issues::list_subtasks);
    let api = api
        .post("/api/v1/crews/{crewId}/issues/{identifier}/start", issue_work::start_issue)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/retry", issue_work::retry_issue)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/stop", issue_work::stop_issue)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/review", issue_work::review_issue)
        .get("/api/v1/crews/{crewId}/issues/{identifier}/runs", issue_work::list_issue_runs)
        .get("/api/v1/crews/{crewId}/issues/{identifier}/activity", issue_past::list_issue_activity)
        .get("/api/v1/crews/{crewId}/issues/{identifier}/state", issue_past::get_issue_state)
        .get("/api/v1/crews/{crewId}/issues/{identifier}/diff", issue_past::get_issue_diff);
    api.get("/api/v1/crews/{crewId}/issues/{identifier}/comments", issue_comments::list_comments)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/comments", issue_comments::create_comment)
        .patch(
            "/api/v1/crews/{crewId}/issues/{identifier}/comments/{commentId}",
            issue_comments::update_comment,
        )
        .delete(
            "/api/v1/crews/{crewId}/issues/{identifier}/comments/{commentId}",
            issue_comments::delete_comment,
        )
        .get("/api/v1/crews/{crewId}/issues/{identifier}/relations", issue_relations::list_relations)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/relations", issue_relations::create_relation)
        .delete("/api/v1/relations/{relationId}", issue_relations::delete_relation)
        .get("/api/v1/crews/{crewId}/issues/{identifier}/attachments", attachments::list_attachments)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/attachments", attachments::create_attachment)
        .get(
            "/api/v1/crews/{crewId}/issues/{identifier}/attachments/{attachmentId}",
            attachments::download_attachment,
        )
        .delete(
            "/api/v1/crews/{crewId}/issues/{identifier}/attachments/{attachmentId}",
            attachments::delete_attachment,
        )
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

fn tracker(api: Api) -> Api {
    let api = api
        .get("/api/v1/labels", labels::list_labels)
        .post("/api/v1/labels", labels::create_label)
        .patch("/api/v1/labels/{labelId}", labels::update_label)
        .delete("/api/v1/labels/{labelId}", labels::delete_label)
        .get("/api/v1/projects", projects::list_projects)
        .post("/api/v1/projects", projects::create_project)
        .get("/api/v1/projects/{projectId}", projects::get_project)
        .patch("/api/v1/projects/{projectId}", projects::update_project)
        .delete("/api/v1/projects/{projectId}", projects::delete_project)
        .get("/api/v1/projects/{projectId}/stats", projects::get_project_stats)
        .get("/api/v1/projects/{projectId}/milestones", milestones::list_milestones)
        .post("/api/v1/projects/{projectId}/milestones", milestones::create_milestone)
        .patch("/api/v1/milestones/{milestoneId}", milestones::update_milestone)
        .delete("/api/v1/milestones/{milestoneId}", milestones::delete_milestone);
    api.get("/api/v1/saved-views", saved_views::list_saved_views)
        .post("/api/v1/saved-views", saved_views::create_saved_view)
        .patch("/api/v1/saved-views/{viewId}", saved_views::update_saved_view)
        .delete("/api/v1/saved-views/{viewId}", saved_views::delete_saved_view)
        .get("/api/v1/triage-rules", triage::list_triage_rules)
        .post("/api/v1/triage-rules", triage::create_triage_rule)
        .patch("/api/v1/triage-rules/{ruleId}", triage::update_triage_rule)
        .delete("/api/v1/triage-rules/{ruleId}", triage::delete_triage_rule)
        .post("/api/v1/triage/process", triage::process_triage)
        .get("/api/v1/recurring-issues", recurring::list_recurring_issues)
        .post("/api/v1/recurring-issues", recurring::create_recurring_issue)
        .patch("/api/v1/recurring-issues/{recurringId}", recurring::update_recurring_issue)
        .delete("/api/v1/recurring-issues/{recurringId}", recurring::delete_recurring_issue)
}

fn routines(api: Api) -> Api {
    const PIPELINES: &str = "/api/v1/workspaces/{workspaceId}/pipelines";
    const RUNS: &str = "/api/v1/workspaces/{workspaceId}/pipeline-runs";
    let path = |rest: &str| format!("{PIPELINES}{rest}");
    let api = api
        .get(PIPELINES, routines::list_routines)
        .post(&path("/test_run"), routines::test_routine)
        .post(&path("/save"), routines::save_routine)
        .get(&path("/{pipelineSlug}"), routines::get_routine)
        .delete(&path("/{pipelineSlug}"), routines::delete_routine)
        .post(&path("/{pipelineSlug}/approve"), routines::approve_routine)
        .post(&path("/{pipelineSlug}/reject"), routines::reject_routine)
        .post(&path("/{pipelineSlug}/enable"), routines::enable_routine)
        .post(&path("/{pipelineSlug}/disable"), routines::disable_routine);
    let api = api
        .post(&path("/{pipelineSlug}/run"), routine_runs::run_routine)
        .post(&path("/{pipelineSlug}/dry_run"), routine_runs::dry_run_routine)
        .get(&path("/{pipelineSlug}/runs"), routine_runs::list_routine_run_entries)
        .get(&path("/{pipelineSlug}/run-records"), routine_runs::list_runs_of_routine)
        .post(&path("/runs/{pipelineRunId}/cancel"), routine_runs::cancel_routine_run)
        .get(RUNS, routine_runs::list_routine_runs)
        .get(&format!("{RUNS}/{{pipelineRunId}}"), routine_runs::get_routine_run)
        .post("/api/v1/crews/{crewId}/issues/{identifier}/run-routine", routine_runs::run_issue_routine);
    api.get(&path("/waitpoints"), waitpoints::list_waitpoints)
        .post(&path("/waitpoints/{waitpointToken}/approve"), waitpoints::decide_waitpoint)
        .post("/api/v1/waitpoint-tokens/{waitpointToken}", waitpoints::decide_by_token)
}

async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "Not found")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "method_not_allowed")
}
