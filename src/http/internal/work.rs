//! Worker operations over the socket (`platform.md` 8.4).

use axum::extract::Path;

use super::insider::Insider;
use crate::http::answer::Told;
use crate::http::body::{Raw, Required, Sent};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::work::{
    BeatDraft, BeginDraft, ClaimDraft, HandBackDraft, HandedBackView, LeaseView, Offered, OutputView,
    ReportDraft, ReportedView,
};
use crate::http::workers::PieceQuery;

const INVALID_JSON: &str = "Invalid JSON";

pub(super) async fn claim(insider: Insider, sent: Sent<Required<ClaimDraft>>) -> Result<Offered, Problem> {
    let draft = sent.json_or(INVALID_JSON)?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    inside.at_desk()?.claim(draft).await
}

pub(super) async fn beat(
    insider: Insider,
    Path(id): Path<String>,
    sent: Sent<Required<BeatDraft>>,
) -> Result<Told<LeaseView>, Problem> {
    insider.inside_of(&sent)?.at_desk()?.beat(&id, &sent.json_or(INVALID_JSON)?)
}

pub(super) async fn begin(
    insider: Insider,
    Path(id): Path<String>,
    sent: Sent<Required<BeginDraft>>,
) -> Result<Told<LeaseView>, Problem> {
    insider.inside_of(&sent)?.at_desk()?.begin(&id, &sent.json_or(INVALID_JSON)?).await
}

pub(super) async fn output(
    insider: Insider,
    Path(id): Path<String>,
    Query(query): Query<PieceQuery>,
    sent: Sent<Raw>,
) -> Result<Told<OutputView>, Problem> {
    insider.inside(None)?.at_desk()?.output(&id, query.fence.get(), query.offset(), sent.bytes()).await
}

pub(super) async fn hand_back(
    insider: Insider,
    Path(id): Path<String>,
    sent: Sent<Required<HandBackDraft>>,
) -> Result<Told<HandedBackView>, Problem> {
    insider.inside_of(&sent)?.at_desk()?.hand_back(&id, &sent.json_or(INVALID_JSON)?).await
}

pub(super) async fn report(
    insider: Insider,
    Path(id): Path<String>,
    sent: Sent<Required<ReportDraft>>,
) -> Result<Told<ReportedView>, Problem> {
    insider.inside_of(&sent)?.at_desk()?.report(&id, sent.json_or(INVALID_JSON)?).await
}
