//! Links between crews (`platform.md` 6.6).

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::roster::{Connection, ConnectionDraft, Direction, Roster, RosterCommand};
use taffrail_domain::{ConnectionId, CrewId, Text};

use super::answer::{Created, Done, Gone, Listed};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::contract::{Answers, Operation, Schemas};
use super::gate::{ManageCrews, ReadCrews, WriteCrews};
use super::problem::Problem;
use super::time::Seconds;

/// A link between two crews.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CrewConnection")]
pub(super) struct ConnectionView {
    id: ConnectionId,
    from_crew_id: CrewId,
    to_crew_id: CrewId,
    from_crew_slug: Text,
    to_crew_slug: Text,
    direction: Direction,
    /// A link that stands is active.
    status: &'static str,
    created_at: Seconds,
}

/// A link by its id.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CrewConnectionId")]
pub(super) struct IdView {
    id: ConnectionId,
}

/// 201 for a new link, 200 for one that stood already.
pub(super) enum Linked {
    Now(Created<IdView>),
    Before(Done<IdView>),
}

/// `GET /api/v1/crew-connections`: oldest first.
pub(super) async fn list_connections(member: Member<ReadCrews>) -> Listed<Vec<ConnectionView>> {
    let world = member.world();
    let roster = &world.state.roster;
    let mut links: Vec<&Connection> = roster.connections.values().collect();
    links.sort_by_key(|link| link.born);
    let views: Vec<_> = links.into_iter().map(|link| ConnectionView::of(link, roster)).collect();
    Listed::whole(&views, views.len())
}

/// `POST /api/v1/crew-connections`
pub(super) async fn connect_crews(
    member: Member<WriteCrews>,
    sent: Sent<Required<ConnectionDraft>>,
) -> Result<Linked, Problem> {
    let draft = sent.json()?;
    let ends = (draft.from_crew_id.clone(), draft.to_crew_id.clone());
    let done = member.execute(RosterCommand::Connect(draft), &sent).await?;
    if let Some(entry) = done.entries.first() {
        return Ok(Linked::Now(Created::new(&done, &IdView { id: (&*entry.subject).into() })));
    }
    let (from, to) = (CrewId::from(ends.0.unwrap_or_default()), CrewId::from(ends.1.unwrap_or_default()));
    let link = done.world.state.connection_between(&from, &to).ok_or_else(Problem::internal)?;
    Ok(Linked::Before(Done::new(&done, &IdView { id: link.id.clone() })))
}

/// `DELETE /api/v1/crew-connections/{connectionId}`
pub(super) async fn disconnect_crews(
    member: Member<ManageCrews>,
    Path(connection): Path<ConnectionId>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let done = member.execute(RosterCommand::Disconnect { connection }, &sent).await?;
    Ok(Gone::of(&done))
}

impl ConnectionView {
    fn of(link: &Connection, roster: &Roster) -> Self {
        let slug = |crew: &CrewId| {
            roster.crews.get(crew).map_or_else(|| Text::from(""), |crew| crew.facts.slug.clone())
        };
        Self {
            id: link.id.clone(),
            from_crew_id: link.from.clone(),
            to_crew_id: link.to.clone(),
            from_crew_slug: slug(&link.from),
            to_crew_slug: slug(&link.to),
            direction: link.direction,
            status: "active",
            created_at: Seconds(link.created_at),
        }
    }
}

impl IntoResponse for Linked {
    fn into_response(self) -> Response {
        match self {
            Self::Now(created) => created.into_response(),
            Self::Before(done) => done.into_response(),
        }
    }
}

impl Answers for Linked {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        Created::<IdView>::describe(operation, schemas);
        Done::<IdView>::describe(operation, schemas);
        operation.refuses([StatusCode::CONFLICT]);
    }
}
