//! Labels (`issues.md` 15.1).

use axum::extract::Path;
use axum::http::StatusCode;
use taffrail_domain::LabelId;
use taffrail_domain::tracker::{LabelDraft, TrackerCommand};

use super::answer::{Created, Done, Gone, Listed, Refusing, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageTracker, ReadIssues, WriteTracker};
use super::issue_view::LabelView;
use super::problem::Problem;

/// 409, where a name or slug is taken.
pub(super) const CONFLICT: u16 = StatusCode::CONFLICT.as_u16();

/// `GET /api/v1/labels`: by name.
pub(super) async fn list_labels(member: Member<ReadIssues>) -> Listed<Vec<LabelView>> {
    let world = member.world();
    let views: Vec<_> = world.state.tracker.labels_by_name().map(LabelView::of).collect();
    Listed::whole(&views, views.len())
}

/// `POST /api/v1/labels`
pub(super) async fn create_label(
    member: Member<WriteTracker>,
    sent: Sent<Required<LabelDraft>>,
) -> Result<Refusing<Created<LabelView>, CONFLICT>, Problem> {
    let done = member.execute(TrackerCommand::CreateLabel(sent.json()?), &sent).await?;
    let label = done.world.state.label(&first_entry(&done)?.subject)?;
    Ok(Refusing(Created::new(&done, &LabelView::of(label))))
}

/// `PATCH /api/v1/labels/{labelId}`
pub(super) async fn update_label(
    member: Member<WriteTracker>,
    Path(id): Path<LabelId>,
    sent: Sent<Required<LabelDraft>>,
) -> Result<Refusing<Done<LabelView>, CONFLICT>, Problem> {
    let command = TrackerCommand::UpdateLabel { label: id.clone(), patch: sent.json() };
    let done = member.execute(command, &sent).await?;
    Ok(Refusing(Done::new(&done, &LabelView::of(done.world.state.label(id.as_str())?))))
}

/// `DELETE /api/v1/labels/{labelId}`
pub(super) async fn delete_label(
    member: Member<ManageTracker>,
    Path(label): Path<LabelId>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let done = member.execute(TrackerCommand::DeleteLabel { label }, &sent).await?;
    Ok(Gone::of(&done))
}
