//! Links between crews: who may hand work to whom (`platform.md` 6.6, `missions.md` 9.4).

use serde::{Deserialize, Serialize};

use super::decide::audit;
use super::{ConnectionDraft, CrewsConnected, CrewsDisconnected};
use crate::entry::words;
use crate::{Actor, ConnectionId, Context, CrewId, Draft, Face, Offset, Rejection, Time, Workspace};

words! {
    /// Which way work goes.
    Direction {
        /// Both ways.
        #[default]
        Bidirectional = "bidirectional",
        /// Only from the first to the second.
        Unidirectional = "unidirectional",
    }
}

/// A link between two live crews.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Who hands work out.
    pub from: CrewId,
    /// Who takes it.
    pub to: CrewId,
    /// Whether it goes the other way too.
    pub direction: Direction,
    /// Since when.
    pub created_at: Time,
    /// Offset of its creation: the order of lists.
    pub born: Offset,
}

impl Workspace {
    /// Nothing new where the two are linked already.
    pub(super) fn connect(
        &self,
        draft: &ConnectionDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let crew = |id: &Option<String>, code, detail| {
            let found = id.as_deref().and_then(|id| self.roster.live_crew(id));
            found.map(|crew| &crew.id).ok_or_else(|| Rejection::invalid(code, detail))
        };
        let from = crew(&draft.from_crew_id, "connection.from_not_found", "Invalid from_crew_id")?;
        let to = crew(&draft.to_crew_id, "connection.to_not_found", "Invalid to_crew_id")?;
        let direction = direction(draft.direction.as_deref())?;
        if from == to {
            let detail = "A crew cannot be connected to itself";
            return Err(Rejection::invalid("connection.itself", detail));
        }
        if self.connection_between(from, to).is_some() {
            return Ok(vec![]);
        }
        let id = ConnectionId::from(context.mint.cuid());
        let connected = CrewsConnected { from_crew_id: from.clone(), to_crew_id: to.clone(), direction };
        let face = face("created", &id, from, direction.as_str(), context.actor);
        Ok(vec![Draft::public(id.as_str(), connected, face)])
    }

    /// The link from one crew to another.
    #[must_use]
    pub fn connection_between(&self, from: &CrewId, to: &CrewId) -> Option<&Connection> {
        self.roster.connections.values().find(|link| link.from == *from && link.to == *to)
    }

    pub(super) fn disconnect(&self, id: &ConnectionId, actor: &Actor) -> Result<Vec<Draft>, Rejection> {
        let found = self.roster.connections.get(id);
        let link =
            found.ok_or_else(|| Rejection::not_found("connection.not_found", "Crew connection not found"))?;
        let gone = CrewsDisconnected { from_crew_id: link.from.clone(), to_crew_id: link.to.clone() };
        let face = face("deleted", id, &link.from, link.direction.as_str(), actor);
        Ok(vec![Draft::public(id.as_str(), gone, face)])
    }
}

fn direction(word: Option<&str>) -> Result<Direction, Rejection> {
    let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(Direction::default()) };
    let detail = "direction must be 'bidirectional' or 'unidirectional'";
    Direction::parse(word).ok_or_else(|| Rejection::invalid("connection.direction", detail))
}

fn face(verb: &str, id: &ConnectionId, from: &CrewId, details: &str, actor: &Actor) -> Face {
    Face { crew_id: Some(from.clone()), ..audit(verb, "CREW_CONNECTION", id.as_str(), details, actor) }
}
