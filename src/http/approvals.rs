//! Questions that people decide (`periphery.md` 11).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::approval::{Approval, ApprovalCommand, ApprovalKind, ApprovalStatus};
use taffrail_domain::{AgentId, ApprovalId, CrewId, Json, MissionId, Text, UserId, WorkspaceId};

use super::answer::{Done, Shown, Told};
use super::body::{Optional, Required, Sent};
use super::caller::Member;
use super::gate::{DecideApprovals, ReadApprovals};
use super::problem::Problem;
use super::query::{Number, Query, Word};
use super::time::Seconds;

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 200;

/// A question on the wire, in both spellings that clients know (`client.md` 7, row 7).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Approval")]
pub(super) struct ApprovalView {
    #[serde(flatten)]
    row: Row,
    #[serde(flatten)]
    spelled: Spelled,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Row {
    id: ApprovalId,
    workspace_id: WorkspaceId,
    crew_id: Option<CrewId>,
    agent_id: Option<AgentId>,
    mission_id: Option<MissionId>,
    requested_by: Text,
    kind: ApprovalKind,
    reason: Text,
    payload: Json,
    status: ApprovalStatus,
    decided_by: Option<UserId>,
    decided_at: Option<Seconds>,
    decision_comment: Option<Text>,
    timeout_at: Option<Seconds>,
    created_at: Seconds,
    timeout_secs: u64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
struct Spelled {
    #[serde(rename = "ID")]
    id: ApprovalId,
    #[serde(rename = "WorkspaceID")]
    workspace_id: WorkspaceId,
    #[serde(rename = "CrewID")]
    crew_id: Text,
    #[serde(rename = "AgentID")]
    agent_id: Text,
    #[serde(rename = "MissionID")]
    mission_id: Text,
    requested_by: Text,
    kind: ApprovalKind,
    reason: Text,
    payload: Json,
    status: ApprovalStatus,
    decided_by: Text,
    decided_at: Option<Seconds>,
    decision_comment: Text,
    timeout_at: Option<Seconds>,
    created_at: Seconds,
    timeout_secs: u64,
}

impl ApprovalView {
    fn of(found: &Approval, workspace: &WorkspaceId) -> Self {
        let request = &found.request;
        let row = Row {
            id: found.id.clone(),
            workspace_id: workspace.clone(),
            crew_id: request.crew_id.clone(),
            agent_id: request.agent_id.clone(),
            mission_id: request.mission_id.clone(),
            requested_by: request.requested_by.clone(),
            kind: request.kind,
            reason: request.reason.clone(),
            payload: request.payload.clone(),
            status: found.status,
            decided_by: found.decided_by.clone(),
            decided_at: found.decided_at.map(Seconds),
            decision_comment: found.comment.clone(),
            timeout_at: request.timeout_at.map(Seconds),
            created_at: Seconds(found.created_at),
            timeout_secs: 0,
        };
        let text = |id: Option<&str>| Text::from(id.unwrap_or_default());
        let spelled = Spelled {
            id: row.id.clone(),
            workspace_id: row.workspace_id.clone(),
            crew_id: text(row.crew_id.as_ref().map(|id| id.as_str())),
            agent_id: text(row.agent_id.as_ref().map(|id| id.as_str())),
            mission_id: text(row.mission_id.as_ref().map(|id| id.as_str())),
            requested_by: row.requested_by.clone(),
            kind: row.kind,
            reason: row.reason.clone(),
            payload: row.payload.clone(),
            status: row.status,
            decided_by: text(row.decided_by.as_ref().map(|id| id.as_str())),
            decided_at: row.decided_at,
            decision_comment: text(row.decision_comment.as_deref()),
            timeout_at: row.timeout_at,
            created_at: row.created_at,
            timeout_secs: 0,
        };
        Self { row, spelled }
    }
}

/// Questions, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Approvals")]
pub(super) struct ApprovalsView {
    rows: Vec<ApprovalView>,
    status: String,
    count: usize,
}

/// Which questions.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ApprovalQuery {
    /// `pending` (the default), `approved`, `denied`, `timeout`, `cancelled` or `all`.
    status: Word,
    /// Most rows, 1 to 200; 50 without it.
    limit: Number,
}

/// Body of decide.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct DecisionDraft {
    /// `approved` or `denied`; required.
    status: Option<String>,
    /// Why.
    comment: Option<String>,
}

/// Body of cancel.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CancelDraft {
    /// Why.
    pub(super) reason: Option<String>,
}

/// A decision.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Decision")]
pub(super) struct DecisionView {
    status: ApprovalStatus,
    decided_by: UserId,
}

/// A withdrawal.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Withdrawal")]
pub(super) struct CancelledView {
    status: ApprovalStatus,
    cancelled_by: UserId,
}

/// `GET /api/v1/approvals`
pub(super) async fn list_approvals(
    member: Member<ReadApprovals>,
    Query(query): Query<ApprovalQuery>,
) -> Told<ApprovalsView> {
    let wanted = query.status.get().unwrap_or("pending");
    let status = if wanted == "all" { "" } else { wanted };
    let limit = query.limit.get().and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| (1..=PAGE_MAX).contains(limit)).unwrap_or(PAGE_DEFAULT);
    let world = member.world();
    let approvals = &world.state.approvals;
    let newest = approvals.by_birth.values().rev().filter_map(|id| approvals.all.get(id));
    let matching = newest.filter(|found| status.is_empty() || found.status.as_str() == status);
    let rows: Vec<_> = matching.take(limit).map(|found| ApprovalView::of(found, &member.id)).collect();
    let count = rows.len();
    Told::new(&ApprovalsView { rows, status: status.to_owned(), count })
}

/// `GET /api/v1/approvals/{approvalId}`
pub(super) async fn get_approval(
    member: Member<ReadApprovals>,
    Path(id): Path<ApprovalId>,
) -> Result<Shown<ApprovalView>, Problem> {
    let world = member.world();
    let found = world.state.approval(&id)?;
    Ok(Shown::new(found.changed, &ApprovalView::of(found, &member.id)))
}

/// `POST /api/v1/approvals/{approvalId}/decide`
pub(super) async fn decide_approval(
    member: Member<DecideApprovals>,
    Path(approval): Path<ApprovalId>,
    sent: Sent<Required<DecisionDraft>>,
) -> Result<Done<DecisionView>, Problem> {
    let draft = sent.json_or("bad json")?;
    let approved = match draft.status.as_deref() {
        Some("approved") => true,
        Some("denied") => false,
        _ => return Err(Problem::invalid("approval.status", "status must be approved or denied")),
    };
    let command = ApprovalCommand::Decide { approval, approved, comment: draft.comment.map(Into::into) };
    let done = member.execute(command, &sent).await?;
    let status = if approved { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
    Ok(Done::new(&done, &DecisionView { status, decided_by: member.user().clone() }))
}

/// `POST /api/v1/approvals/{approvalId}/cancel`
pub(super) async fn cancel_approval(
    member: Member<DecideApprovals>,
    Path(approval): Path<ApprovalId>,
    sent: Sent<Optional<CancelDraft>>,
) -> Result<Done<CancelledView>, Problem> {
    let draft = sent.json()?;
    let command = ApprovalCommand::Cancel { approval, reason: draft.reason.map(Into::into) };
    let done = member.execute(command, &sent).await?;
    let view = CancelledView { status: ApprovalStatus::Cancelled, cancelled_by: member.user().clone() };
    Ok(Done::new(&done, &view))
}
