//! People in crews (`platform.md` 6.6): nobody needs to be one to read a crew; it can only raise a role.

use serde::{Deserialize, Serialize};

use super::decide::audit;
use super::{
    CrewMemberAdded, CrewMemberDraft, CrewMemberPatch, CrewMemberRemoved, CrewMemberRoleChanged, Role,
};
use crate::{Actor, Context, CrewId, CrewMemberId, Draft, Face, Offset, Rejection, Time, UserId, Workspace};

/// A person's place in a crew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrewMember {
    /// Row id; the routes name members by it.
    pub id: CrewMemberId,
    /// Who.
    pub user: UserId,
    /// As what, if not as in the workspace.
    pub role: Option<Role>,
    /// Since when.
    pub created_at: Time,
    /// Offset of joining: the order of lists.
    pub born: Offset,
}

impl Workspace {
    pub(super) fn add_crew_member(
        &self,
        crew: &CrewId,
        draft: &CrewMemberDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let crew = self.crew(crew.as_str())?;
        let user = draft.user_id.as_deref().filter(|user| !user.is_empty());
        let user = user
            .ok_or_else(|| Rejection::invalid("crew_member.user_required", "user_id is required"))?
            .into();
        let role = role(draft.role.as_deref())?;
        if self.roster.role(&user).is_none() {
            let detail = "User is not a member of this workspace";
            return Err(Rejection::invalid("crew_member.not_a_member", detail));
        }
        self.grants_at_most_own(role, &crew.id, context.actor)?;
        if self.roster.crew_members.contains_key(&(crew.id.clone(), user.clone())) {
            let detail = "User is already a member of this crew";
            return Err(Rejection::conflict("crew_member.exists", detail));
        }
        let added = CrewMemberAdded { member_id: context.mint.cuid().into(), user_id: user, role };
        let details = role.map_or("", Role::as_str);
        let face = face("created", &crew.id, &added.member_id, details, context.actor);
        Ok(vec![Draft::public(crew.id.as_str(), added, face)])
    }

    pub(super) fn change_crew_member(
        &self,
        crew: &CrewId,
        member: &str,
        patch: &CrewMemberPatch,
        actor: &Actor,
    ) -> Result<Vec<Draft>, Rejection> {
        let member = self.crew_member(crew, member)?;
        self.modifies_none_above(member, crew, actor)?;
        let to = role(patch.role.as_deref())?;
        self.grants_at_most_own(to, crew, actor)?;
        if member.role == to {
            return Ok(vec![]);
        }
        let changed = CrewMemberRoleChanged { member_id: member.id.clone(), from: member.role, to };
        let word = |role: Option<Role>| role.map_or("none", Role::as_str);
        let details = format!("{} → {}", word(member.role), word(to));
        let face = face("updated", crew, &member.id, &details, actor);
        Ok(vec![Draft::public(crew.as_str(), changed, face)])
    }

    pub(super) fn remove_crew_member(
        &self,
        crew: &CrewId,
        member: &str,
        actor: &Actor,
    ) -> Result<Vec<Draft>, Rejection> {
        let member = self.crew_member(crew, member)?;
        self.modifies_none_above(member, crew, actor)?;
        let face = face("deleted", crew, &member.id, "", actor);
        let removed = CrewMemberRemoved { member_id: member.id.clone() };
        Ok(vec![Draft::public(crew.as_str(), removed, face)])
    }

    /// A member of a live crew by row id, or by user where no row has that id.
    ///
    /// # Errors
    /// `Crew not found`, `Crew member not found`.
    pub fn crew_member(&self, crew: &CrewId, id: &str) -> Result<&CrewMember, Rejection> {
        let crew = self.crew(crew.as_str())?;
        let by_row = self.roster.members_of(&crew.id).find(|member| member.id.as_str() == id);
        let by_user = || self.roster.crew_members.get(&(crew.id.clone(), UserId::from(id)));
        by_row
            .or_else(by_user)
            .ok_or_else(|| Rejection::not_found("crew_member.not_found", "Crew member not found"))
    }

    /// The rank of a person in a crew is the higher of their two roles (`platform.md` 3.1).
    fn modifies_none_above(
        &self,
        member: &CrewMember,
        crew: &CrewId,
        actor: &Actor,
    ) -> Result<(), Rejection> {
        let rank = self.roster.effective_role(&member.user, Some(crew));
        rank.map_or(Ok(()), |rank| self.roster.modifies_none_above(rank, Some(crew), actor))
    }

    fn grants_at_most_own(&self, role: Option<Role>, crew: &CrewId, actor: &Actor) -> Result<(), Rejection> {
        match (role, self.roster.rank(actor, Some(crew))) {
            (Some(role), Some(own)) if role > own => {
                let detail = "You cannot grant a role above your own";
                Err(Rejection::forbidden_because("crew_member.role_above_own", detail))
            }
            _ => Ok(()),
        }
    }
}

fn role(word: Option<&str>) -> Result<Option<Role>, Rejection> {
    let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(None) };
    let detail = "role must be OWNER, ADMIN, MANAGER, MEMBER, or VIEWER";
    Role::parse(word).map(Some).ok_or_else(|| Rejection::invalid("crew_member.role", detail))
}

fn face(verb: &str, crew: &CrewId, member: &CrewMemberId, details: &str, actor: &Actor) -> Face {
    Face { crew_id: Some(crew.clone()), ..audit(verb, "CREW_MEMBER", member.as_str(), details, actor) }
}
