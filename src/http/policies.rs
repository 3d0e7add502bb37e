//! How much a crew's agents may do without asking (`periphery.md` 7).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::roster::{Autonomy, BehaviorMode, Crew, PolicyDraft, RosterCommand};
use taffrail_domain::{CrewId, Rejection, Text, UserId};
use taffrail_projections::WorkspaceWorld;

use super::answer::{Done, Listed, Told};
use super::body::{Required, Sent};
use super::caller::Member;
use super::gate::{ReadCrews, WriteCrews};
use super::problem::Problem;
use super::time::Seconds;

/// A crew's policy on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub(super) struct PolicyView {
    crew_id: CrewId,
    autonomy_level: Autonomy,
    behavior_mode: BehaviorMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_by_user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text>,
}

impl PolicyView {
    fn of(crew: &Crew) -> Self {
        let policy = crew.policy.clone();
        Self {
            crew_id: crew.id.clone(),
            autonomy_level: policy.autonomy,
            behavior_mode: policy.behavior,
            set_by_user_id: policy.set_by,
            set_at: policy.set_at.map(Seconds),
            reason: policy.reason,
        }
    }
}

fn crew<'a>(world: &'a WorkspaceWorld, id: &CrewId) -> Result<&'a Crew, Rejection> {
    let found = world.state.roster.live_crew(id.as_str());
    found.ok_or_else(|| Rejection::not_found("crew.not_found", "crew not found"))
}

/// `GET /api/v1/policies`: every crew's, by name.
pub(super) async fn list_policies(member: Member<ReadCrews>) -> Listed<Vec<PolicyView>> {
    let world = member.world();
    let mut crews: Vec<&Crew> =
        world.state.roster.crews.values().filter(|crew| crew.deleted_at.is_none()).collect();
    crews.sort_by_cached_key(|crew| (crew.facts.name.to_lowercase(), crew.born));
    let total = crews.len();
    Listed::whole(&crews.into_iter().map(PolicyView::of).collect(), total)
}

/// `GET /api/v1/crews/{crewId}/policy`
pub(super) async fn get_policy(
    member: Member<ReadCrews>,
    Path(id): Path<CrewId>,
) -> Result<Told<PolicyView>, Problem> {
    Ok(Told::new(&PolicyView::of(crew(&member.world(), &id)?)))
}

/// `PUT /api/v1/crews/{crewId}/policy`: replaces all of it.
pub(super) async fn set_policy(
    member: Member<WriteCrews>,
    Path(id): Path<CrewId>,
    sent: Sent<Required<PolicyDraft>>,
) -> Result<Done<PolicyView>, Problem> {
    let draft = sent.json_or("invalid JSON body")?;
    crew(&member.world(), &id)?;
    let done = member.execute(RosterCommand::SetPolicy { crew: id.clone(), draft }, &sent).await?;
    Ok(Done::new(&done, &PolicyView::of(crew(&done.world, &id)?)))
}
