//! Saved views (`issues.md` 16).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::tracker::{SavedView, SavedViewDraft, TrackerCommand, TrackerEvent, ViewType};
use taffrail_domain::{Entry, Event, SavedViewId, Text, UserId};

use super::answer::{Created, Done, Gone, Listed};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{DropViews, ReadIssues, WriteTracker};
use super::problem::Problem;
use super::time::Seconds;

/// A saved view on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SavedView")]
pub(super) struct ViewView {
    id: SavedViewId,
    name: Text,
    filters_json: Text,
    sort_json: Option<Text>,
    view_type: ViewType,
    is_default: bool,
    shared: bool,
    created_at: Seconds,
    /// Whose it is: additive.
    owner_id: UserId,
    /// Whether it is the caller's: additive.
    mine: bool,
}

impl ViewView {
    fn of(view: &SavedView, user: &UserId) -> Self {
        let facts = view.facts.clone();
        Self {
            id: view.id.clone(),
            name: facts.name,
            filters_json: facts.filters_json,
            sort_json: facts.sort_json,
            view_type: facts.view_type,
            is_default: facts.is_default,
            shared: facts.shared,
            created_at: Seconds(view.created_at),
            owner_id: view.owner.clone(),
            mine: view.owner == *user,
        }
    }
}

/// `GET /api/v1/saved-views`: own and shared ones.
pub(super) async fn list_saved_views(member: Member<ReadIssues>) -> Listed<Vec<ViewView>> {
    let world = member.world();
    let views: Vec<_> = world
        .state
        .views_for(member.user())
        .into_iter()
        .map(|view| ViewView::of(view, member.user()))
        .collect();
    Listed::whole(&views, views.len())
}

/// `POST /api/v1/saved-views`
pub(super) async fn create_saved_view(
    member: Member<WriteTracker>,
    sent: Sent<Required<SavedViewDraft>>,
) -> Result<Created<ViewView>, Problem> {
    let done = member.execute(TrackerCommand::CreateView(sent.json()?), &sent).await?;
    // Another default may have ended before it.
    let made = done.entries.iter().find(|entry| makes_a_view(entry)).ok_or_else(Problem::internal)?;
    let view = done.world.state.saved_view(&made.subject)?;
    Ok(Created::new(&done, &ViewView::of(view, member.user())))
}

fn makes_a_view(entry: &Entry) -> bool {
    matches!(&entry.event, Some(Event::Tracker(TrackerEvent::SavedViewCreated(_))))
}

/// `PATCH /api/v1/saved-views/{viewId}`
pub(super) async fn update_saved_view(
    member: Member<WriteTracker>,
    Path(id): Path<SavedViewId>,
    sent: Sent<Required<SavedViewDraft>>,
) -> Result<Done<ViewView>, Problem> {
    let command = TrackerCommand::UpdateView { view: id.clone(), patch: sent.json() };
    let done = member.execute(command, &sent).await?;
    Ok(Done::new(&done, &ViewView::of(done.world.state.saved_view(id.as_str())?, member.user())))
}

/// `DELETE /api/v1/saved-views/{viewId}`
pub(super) async fn delete_saved_view(
    member: Member<DropViews>,
    Path(view): Path<SavedViewId>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let done = member.execute(TrackerCommand::DeleteView { view }, &sent).await?;
    Ok(Gone::of(&done))
}
