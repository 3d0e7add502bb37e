//! A mission as it was (`journal.md` 11.2): the same fold as live, up to a point.

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::{CheckpointId, EntryId, MissionId, Offset, Rejection};
use taffrail_projections::WorkspaceWorld;

use super::answer::{Refusing, Told};
use super::caller::Member;
use super::gate::ReadState;
use super::journal::public_offset;
use super::missions::{Depth, MissionView};
use super::problem::Problem;
use super::query::{Query, Word};
use super::time;

/// The mission with its tasks as of then, the entry it stands at, and its hash.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MissionState")]
pub(super) struct StateView {
    #[serde(flatten)]
    mission: MissionView,
    offset: EntryId,
    state_hash: String,
}

/// Which point of the past.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct StateQuery {
    /// An entry of the mission (`j_…`), a checkpoint of it (`chk_…`) or a time (RFC 3339); required.
    at: Word,
}

impl StateQuery {
    /// # Errors
    /// 400 without one.
    pub(super) fn point(&self) -> Result<Point<'_>, Problem> {
        let required = || Problem::invalid("state.at_required", "at is required");
        Ok(Point { name: "at", text: self.at.get().ok_or_else(required)? })
    }
}

/// A point of the past as somebody names it, and the parameter they do it in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'a> {
    pub(super) name: &'static str,
    pub(super) text: &'a str,
}

impl Point<'_> {
    fn unreadable(&self, why: impl std::fmt::Display) -> Problem {
        Problem::invalid("state.bad_at", format!("bad {}: {why}", self.name))
    }

    /// The point that was named is none of this mission, or issue.
    pub(super) fn not_in_its_life(&self, world: &WorkspaceWorld, id: &MissionId) -> Rejection {
        not_in_its_life(self.name, world, id)
    }
}

/// `GET /api/v1/missions/{missionId}/state?at=<j_…|chk_…|RFC 3339 time>`
pub(super) async fn get_state(
    member: Member<ReadState>,
    Path(mission): Path<MissionId>,
    Query(query): Query<StateQuery>,
) -> Result<Refusing<Told<StateView>, 409>, Problem> {
    let world = member.world();
    // An issue's has a route of its own.
    let not_found = || Rejection::not_found("mission.not_found", "mission not found");
    let living = world.state.missions.get(&mission).ok_or_else(not_found)?;
    let named = query.point()?;
    let point = point(&world, &living.id, named)?;
    let not_in_its_life = || named.not_in_its_life(&world, &mission);
    let then = member.app.mission_as_of(&world, &mission, point).await?.ok_or_else(not_in_its_life)?;
    let stands_at = last_shown(&world, &mission, point).ok_or_else(not_in_its_life)?;
    let view = StateView {
        mission: MissionView::of(&then, &world.state.roster, Depth::Tasks, &member.id),
        offset: world.entry_id(stands_at),
        state_hash: then.state_hash(),
    };
    Ok(Refusing(Told::new(&view)))
}

/// The offset of a point, which must lie in the mission's life.
pub(super) fn point(
    world: &WorkspaceWorld,
    mission: &MissionId,
    named: Point<'_>,
) -> Result<Offset, Problem> {
    let at = named.text;
    if at.starts_with("chk_") {
        let checkpoint = world.state.checkpoint(&CheckpointId::from(at))?;
        if checkpoint.mission_id != *mission {
            return Err(named.not_in_its_life(world, mission).into());
        }
        return Ok(checkpoint.boundary);
    }
    if at.starts_with("j_") {
        if EntryId::parse(at).is_none() {
            return Err(named.unreadable(format_args!("{at:?} is not an entry id")));
        }
        let offset = public_offset(world, at)?;
        return Ok(entry_of_its_life(named.name, world, mission, offset)?);
    }
    let time = time::seen_at(at).map_err(|error| named.unreadable(error))?;
    Ok(world.timeline.until(time))
}

/// An entry of the mission, its creation included: what state and checkpoints can stand at.
///
/// # Errors
/// 409 for any other.
pub(super) fn entry_of_its_life(
    name: &str,
    world: &WorkspaceWorld,
    mission: &MissionId,
    offset: Offset,
) -> Result<Offset, Rejection> {
    let history = world.state.histories.get(mission).filter(|history| history.shows(offset));
    history.map(|_| offset).ok_or_else(|| not_in_its_life(name, world, mission))
}

/// The mission's last public entry up to a point.
pub(super) fn last_shown(world: &WorkspaceWorld, mission: &MissionId, point: Offset) -> Option<Offset> {
    let public = &world.state.histories.get(mission)?.public;
    let count = public.binary_search(&point).map_or_else(|insert_at| insert_at, |found| found + 1);
    public.get(count.checked_sub(1)?).copied()
}

fn not_in_its_life(name: &str, world: &WorkspaceWorld, id: &MissionId) -> Rejection {
    let (code, what) = match world.state.issues.all.contains_key(id) {
        true => ("issue.not_in_life", "issue"),
        false => ("mission.not_in_life", "mission"),
    };
    Rejection::conflict(code, format!("{name} is not in the life of this {what}"))
}
