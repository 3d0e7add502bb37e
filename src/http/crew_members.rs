//! People in crews (`platform.md` 6.6).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::roster::{CrewMember, CrewMemberDraft, CrewMemberPatch, Role, RosterCommand};
use taffrail_domain::{CrewId, CrewMemberId, UserId};
use taffrail_projections::WorkspaceWorld;

use super::answer::{Created, Done, Listed};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageCrews, ReadCrews, WriteCrews};
use super::people::PersonView;
use super::problem::Problem;
use super::success::Success;
use super::time::Seconds;
use crate::vault::Vault;

/// A person in a crew.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CrewMember")]
pub(super) struct CrewMemberView {
    id: CrewMemberId,
    crew_id: CrewId,
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    created_at: Seconds,
    /// The same, under the name that the known client reads (`client.md` 7, row 8).
    joined_at: Seconds,
    user: PersonView,
}

/// What a change of role tells.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CrewMemberUpdated")]
pub(super) struct UpdatedView {
    status: &'static str,
    role: Option<Role>,
}

/// `GET /api/v1/crews/{crewId}/members`: oldest first.
pub(super) async fn list_crew_members(
    member: Member<ReadCrews>,
    Path(crew): Path<CrewId>,
) -> Result<Listed<Vec<CrewMemberView>>, Problem> {
    let world = member.world();
    world.state.crew(crew.as_str())?;
    let mut people: Vec<&CrewMember> = world.state.roster.members_of(&crew).collect();
    people.sort_by_key(|person| person.born);
    let views: Vec<_> =
        people.into_iter().map(|person| CrewMemberView::of(person, &crew, member.app.vault())).collect();
    Ok(Listed::whole(&views, views.len()))
}

/// `POST /api/v1/crews/{crewId}/members`
pub(super) async fn add_crew_member(
    member: Member<WriteCrews>,
    Path(crew): Path<CrewId>,
    sent: Sent<Required<CrewMemberDraft>>,
) -> Result<Created<CrewMemberView>, Problem> {
    let draft = sent.json()?;
    let user = draft.user_id.clone().unwrap_or_default();
    let done = member.execute(RosterCommand::AddCrewMember { crew: crew.clone(), draft }, &sent).await?;
    let person = find(&done.world, &crew, &user)?;
    Ok(Created::new(&done, &CrewMemberView::of(person, &crew, member.app.vault())))
}

/// `PATCH /api/v1/crews/{crewId}/members/{memberId}`
pub(super) async fn update_crew_member(
    member: Member<ManageCrews>,
    Path((crew, id)): Path<(CrewId, String)>,
    sent: Sent<Required<CrewMemberPatch>>,
) -> Result<Done<UpdatedView>, Problem> {
    let patch = sent.json()?;
    let command = RosterCommand::ChangeCrewMemberRole { crew: crew.clone(), member: id.clone(), patch };
    let done = member.execute(command, &sent).await?;
    let role = find(&done.world, &crew, &id)?.role;
    Ok(Done::new(&done, &UpdatedView { status: "updated", role }))
}

/// `DELETE /api/v1/crews/{crewId}/members/{memberId}`
pub(super) async fn remove_crew_member(
    member: Member<ManageCrews>,
    Path((crew, id)): Path<(CrewId, String)>,
    sent: Sent<Ignored>,
) -> Result<Done<Success>, Problem> {
    let done = member.execute(RosterCommand::RemoveCrewMember { crew, member: id }, &sent).await?;
    Ok(Done::new(&done, &Success::YES))
}

fn find<'a>(world: &'a WorkspaceWorld, crew: &CrewId, id: &str) -> Result<&'a CrewMember, Problem> {
    Ok(world.state.crew_member(crew, id)?)
}

impl CrewMemberView {
    fn of(person: &CrewMember, crew: &CrewId, vault: &Vault) -> Self {
        Self {
            id: person.id.clone(),
            crew_id: crew.clone(),
            user_id: person.user.clone(),
            role: person.role,
            created_at: Seconds(person.created_at),
            joined_at: Seconds(person.created_at),
            user: PersonView::of(&person.user, vault),
        }
    }
}
