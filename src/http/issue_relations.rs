//! Links between issues (`issues.md` 11).

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::issue::{IssueCommand, IssueEvent, Relation, RelationDraft};
use taffrail_domain::{CrewId, Event, MissionId, RelationId, Text, Workspace};

use super::answer::{Created, Done, Listed, Refusing};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ReadIssues, WriteIssues, WriteTracker};
use super::issues::named;
use super::problem::Problem;
use super::time::Seconds;

/// A link, seen from one of its ends.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Relation")]
pub(super) struct RelationView {
    id: RelationId,
    source_id: MissionId,
    target_id: MissionId,
    /// As this end sees it.
    relation_type: &'static str,
    /// Whether this end is the source (`outgoing`) or the target (`incoming`).
    direction: &'static str,
    /// The other issue.
    target_identifier: Text,
    target_title: Text,
    target_status: &'static str,
    created_at: Seconds,
}

/// A link was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RelationMade")]
pub(super) struct MadeView {
    id: RelationId,
    status: &'static str,
}

/// Done.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StatusOk")]
pub(super) struct OkView {
    status: &'static str,
}

impl OkView {
    pub(super) const OK: Self = Self { status: "ok" };
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/relations`: oldest first.
pub(super) async fn list_relations(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
) -> Result<Listed<Vec<RelationView>>, Problem> {
    let world = member.world();
    let issue = world.state.issue(&named(path))?;
    let links = world.state.issues.relations_on(&issue.id);
    let views: Vec<_> = links.filter_map(|link| RelationView::of(link, &issue.id, &world.state)).collect();
    Ok(Listed::whole(&views, views.len()))
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/relations`
pub(super) async fn create_relation(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    sent: Sent<Required<RelationDraft>>,
) -> Result<Refusing<Created<MadeView>, { StatusCode::CONFLICT.as_u16() }>, Problem> {
    let draft = sent.json()?;
    let done = member.execute(IssueCommand::Relate { issue: named(path), draft }, &sent).await?;
    let id = done.entries.iter().find_map(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::Related(related))) => Some(related.relation_id.clone()),
        _ => None,
    });
    let id = id.ok_or_else(Problem::internal)?;
    Ok(Refusing(Created::new(&done, &MadeView { id, status: "ok" })))
}

/// `DELETE /api/v1/relations/{relationId}`
pub(super) async fn delete_relation(
    member: Member<WriteTracker>,
    Path(relation): Path<RelationId>,
    sent: Sent<Ignored>,
) -> Result<Done<OkView>, Problem> {
    let done = member.execute(IssueCommand::Unrelate { relation }, &sent).await?;
    Ok(Done::new(&done, &OkView::OK))
}

impl RelationView {
    fn of(link: &Relation, seen_from: &MissionId, state: &Workspace) -> Option<Self> {
        let other = state.issues.all.get(link.other_end(seen_from))?;
        Some(Self {
            id: link.id.clone(),
            source_id: link.source.clone(),
            target_id: link.target.clone(),
            relation_type: link.seen_from(seen_from),
            direction: if link.source == *seen_from { "outgoing" } else { "incoming" },
            target_identifier: other.identifier.clone(),
            target_title: other.title.clone(),
            target_status: other.status.as_str(),
            created_at: Seconds(link.created_at),
        })
    }
}
