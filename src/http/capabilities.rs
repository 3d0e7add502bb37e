//! What members may do beside what their role allows (`periphery.md` 0).

use std::collections::BTreeSet;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::roster::{CapabilitiesDraft, Capability, Member as Row, Role, RosterCommand};
use taffrail_domain::{Rejection, UserId};

use super::answer::{Done, Told};
use super::body::{Required, Sent};
use super::caller::Member;
use super::gate::{ManageCapabilities, ReadCapabilities};
use super::problem::Problem;

/// More than a body that names every capability four times.
const BODY_BYTES_MAX: usize = 16 << 10;

/// What one member may do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MemberCapabilities")]
pub(super) struct CapabilitiesView {
    user_id: UserId,
    role: Role,
    /// All of them, by name, whether they were set or come with the role.
    capabilities: BTreeSet<Capability>,
}

impl CapabilitiesView {
    fn of(row: &Row) -> Self {
        Self { user_id: row.user.clone(), role: row.role, capabilities: row.effective_capabilities() }
    }
}

/// What everybody may do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MembersCapabilities")]
pub(super) struct AllView {
    members: Vec<CapabilitiesView>,
}

/// `GET /api/v1/workspaces/{workspaceId}/members/capabilities`: oldest member first.
pub(super) async fn list_capabilities(member: Member<ReadCapabilities>) -> Told<AllView> {
    let world = member.world();
    let mut rows: Vec<&Row> = world.state.roster.members.values().collect();
    rows.sort_by_key(|row| row.born);
    Told::new(&AllView { members: rows.into_iter().map(CapabilitiesView::of).collect() })
}

/// `GET /api/v1/workspaces/{workspaceId}/members/{userId}/capabilities`
pub(super) async fn get_capabilities(
    member: Member<ReadCapabilities>,
    Path((_, user)): Path<(String, UserId)>,
) -> Result<Told<CapabilitiesView>, Problem> {
    Ok(Told::new(&CapabilitiesView::of(member.world().state.member_of(&user)?)))
}

/// `PATCH /api/v1/workspaces/{workspaceId}/members/{userId}/capabilities`
pub(super) async fn update_capabilities(
    member: Member<ManageCapabilities>,
    Path((_, user)): Path<(String, UserId)>,
    sent: Sent<Required<CapabilitiesDraft>>,
) -> Result<Done<CapabilitiesView>, Problem> {
    let too_large = || Rejection::too_large("body_too_large", "Request body too large");
    let fits = |draft| if sent.len() <= BODY_BYTES_MAX { Ok(draft) } else { Err(too_large()) };
    let draft = sent.json().and_then(fits);
    let command = RosterCommand::ChangeCapabilities { user: user.clone(), draft };
    let done = member.execute(command, &sent).await?;
    Ok(Done::new(&done, &CapabilitiesView::of(done.world.state.member_of(&user)?)))
}
