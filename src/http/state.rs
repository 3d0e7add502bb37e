//! A mission as it was (`journal.md` 11.2): the same fold as live, up to a point.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::mission::Mission;
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

const NOT_IN_LIFE: &str = "at is not in the life of this mission";
const NOT_IN_LIFE_CODE: &str = "mission.not_in_life";

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

/// `GET /api/v1/missions/{missionId}/state?at=<j_…|chk_…|RFC 3339 time>`
pub(super) async fn get_state(
    member: Member<ReadState>,
    Path(mission): Path<MissionId>,
    Query(query): Query<StateQuery>,
) -> Result<Refusing<Told<StateView>, 409>, Problem> {
    let world = member.world();
    let living = world.state.bookmarkable(&mission)?;
    let point = point(&world, living, &query)?;
    let then = member.app.mission_as_of(&world, &mission, point).await?.ok_or_else(not_in_its_life)?;
    let stands_at = last_shown(&world, &mission, point).ok_or_else(not_in_its_life)?;
    let view = StateView {
        mission: MissionView::of(&then, &world.state.roster, Depth::Tasks, &member.id),
        offset: world.entry_id(stands_at),
        state_hash: then.state_hash(),
    };
    Ok(Refusing(Told::new(&view)))
}

/// The offset that `at` names, which must lie in the mission's life.
fn point(world: &WorkspaceWorld, mission: &Mission, query: &StateQuery) -> Result<Offset, Problem> {
    let at = query.at.get().ok_or_else(|| Problem::invalid("state.at_required", "at is required"))?;
    if at.starts_with("chk_") {
        let checkpoint = world.state.checkpoint(&CheckpointId::from(at))?;
        if checkpoint.mission_id != mission.id {
            return Err(not_in_its_life());
        }
        return Ok(checkpoint.boundary);
    }
    if at.starts_with("j_") {
        if EntryId::parse(at).is_none() {
            return Err(Problem::invalid("state.bad_at", format!("bad at: {at:?} is not an entry id")));
        }
        let offset = public_offset(world, at)?;
        return Ok(entry_of_its_life(world, &mission.id, offset)?);
    }
    let time =
        time::not_after(at).map_err(|error| Problem::invalid("state.bad_at", format!("bad at: {error}")))?;
    Ok(world.timeline.until(time))
}

/// An entry of the mission, its creation included: what state and checkpoints can stand at.
///
/// # Errors
/// 409 for any other.
pub(super) fn entry_of_its_life(
    world: &WorkspaceWorld,
    mission: &MissionId,
    offset: Offset,
) -> Result<Offset, Rejection> {
    let history = world.state.histories.get(mission).filter(|history| history.shows(offset));
    history.map(|_| offset).ok_or_else(|| Rejection::conflict(NOT_IN_LIFE_CODE, NOT_IN_LIFE))
}

/// The mission's last public entry up to a point.
fn last_shown(world: &WorkspaceWorld, mission: &MissionId, point: Offset) -> Option<Offset> {
    let public = &world.state.histories.get(mission)?.public;
    let count = public.binary_search(&point).map_or_else(|insert_at| insert_at, |found| found + 1);
    public.get(count.checked_sub(1)?).copied()
}

fn not_in_its_life() -> Problem {
    Problem::new(StatusCode::CONFLICT, NOT_IN_LIFE_CODE, NOT_IN_LIFE)
}
