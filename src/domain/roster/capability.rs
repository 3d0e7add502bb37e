//! What a member may do beside what their role allows: a second layer (`periphery.md` 0).
//!
//! A role of `MANAGER` or above passes most gates by itself. Capabilities open single ones of them to
//! others, and a few that no role opens alone.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::decide::audit;
use super::{CapabilitiesChanged, Member, Role};
use crate::entry::words;
use crate::{Actor, Draft, Rejection, UserId, Workspace};

words! {
    /// A single thing that a member may do; in the order of their names, as lists show them.
    Capability {
        /// Talk to agents: every member may.
        #[default]
        Chat = "chat",
        /// Store a credential.
        CredentialCreate = "credential.create",
        /// Give a credential another value.
        CredentialRotate = "credential.rotate",
        /// See the value of a credential.
        CredentialsReveal = "credentials:reveal",
        /// Create an issue.
        IssueCreate = "issue.create",
        /// Write into agents' memories.
        MemoryWrite = "memory.write",
        /// Create a page.
        PageCreate = "page.create",
        /// Create a routine.
        RoutineCreate = "routine.create",
        /// Run a routine.
        RoutineRun = "routine.run",
        /// Import a skill.
        SkillCreate = "skill.create",
    }
}

use Capability::{
    Chat, CredentialCreate, CredentialRotate, IssueCreate, MemoryWrite, RoutineCreate, RoutineRun,
    SkillCreate,
};

/// The word of a PATCH that forgets what was set. Ours: no other wish leads back there.
const ROLE_DEFAULT: &str = "default";

/// A bundle by its name. None holds `credentials:reveal` or `page.create`: those are given one by one.
fn bundle(name: &str) -> Option<&'static [Capability]> {
    match name {
        "chat" => Some(&[Chat]),
        "power" => Some(&[Chat, RoutineCreate, RoutineRun, IssueCreate, MemoryWrite]),
        "admin" => Some(&[
            Chat,
            RoutineCreate,
            RoutineRun,
            IssueCreate,
            MemoryWrite,
            SkillCreate,
            CredentialCreate,
            CredentialRotate,
        ]),
        _ => None,
    }
}

impl Role {
    /// What a member of this role may do while nothing else was said.
    #[must_use]
    pub fn capabilities(self) -> &'static [Capability] {
        match self {
            Self::Owner | Self::Admin => &[
                Chat,
                RoutineCreate,
                SkillCreate,
                CredentialCreate,
                CredentialRotate,
                IssueCreate,
                MemoryWrite,
            ],
            Self::Manager => &[Chat, RoutineCreate, IssueCreate, MemoryWrite],
            Self::Member | Self::Viewer => &[Chat],
        }
    }
}

impl Member {
    /// Whether they may do it: by what was set, else by the default of their role. `chat` always holds.
    #[must_use]
    pub fn is_capable(&self, capability: Capability) -> bool {
        let held = || match &self.capabilities {
            Some(set) => set.contains(&capability),
            None => self.role.capabilities().contains(&capability),
        };
        capability == Chat || held()
    }

    /// All that they may do.
    #[must_use]
    pub fn effective_capabilities(&self) -> BTreeSet<Capability> {
        Capability::ALL.iter().copied().filter(|capability| self.is_capable(*capability)).collect()
    }
}

/// Body of change capabilities: exactly one of the four; an empty one is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CapabilitiesDraft {
    /// All of them.
    pub set: Option<Vec<String>>,
    /// These too.
    pub grant: Option<Vec<String>>,
    /// These no more.
    pub revoke: Option<Vec<String>>,
    /// A bundle: `chat`, `power` or `admin`; `default` is what the role says.
    pub preset: Option<String>,
}

/// The one thing that a draft asks for.
enum Wish<'a> {
    Set(&'a [String]),
    Grant(&'a [String]),
    Revoke(&'a [String]),
    Preset(&'a str),
}

impl CapabilitiesDraft {
    fn wish(&self) -> Result<Wish<'_>, Rejection> {
        let is_said = |words: &&[String]| !words.is_empty();
        let wishes = [
            self.set.as_deref().filter(is_said).map(Wish::Set),
            self.grant.as_deref().filter(is_said).map(Wish::Grant),
            self.revoke.as_deref().filter(is_said).map(Wish::Revoke),
            self.preset.as_deref().filter(|name| !name.is_empty()).map(Wish::Preset),
        ];
        let mut wishes = wishes.into_iter().flatten();
        match (wishes.next(), wishes.next()) {
            (Some(wish), None) => Ok(wish),
            _ => {
                let detail = "body must contain exactly one of: set, grant, revoke, preset";
                Err(Rejection::invalid("capability.one_of", detail))
            }
        }
    }

    /// What a member is to have: a whole set, which holds `chat`, or the default of their role.
    fn outcome(&self, member: &Member) -> Result<Option<BTreeSet<Capability>>, Rejection> {
        let mut set = match self.wish()? {
            Wish::Set(words) => known(words)?,
            Wish::Grant(words) => &member.effective_capabilities() | &known(words)?,
            Wish::Revoke(words) => {
                let revoked = known(words)?;
                if revoked.contains(&Chat) {
                    let detail = "chat is implied and cannot be revoked; remove the member instead";
                    return Err(Rejection::invalid("capability.chat", detail));
                }
                &member.effective_capabilities() - &revoked
            }
            Wish::Preset(ROLE_DEFAULT) => return Ok(None),
            Wish::Preset(name) => {
                let unknown = || Rejection::invalid("capability.preset", format!("unknown preset: {name}"));
                bundle(name).ok_or_else(unknown)?.iter().copied().collect()
            }
        };
        set.insert(Chat);
        Ok(Some(set))
    }
}

fn known(words: &[String]) -> Result<BTreeSet<Capability>, Rejection> {
    let read = |word: &String| {
        let unknown = || Rejection::invalid("capability.unknown", format!("unknown capability: {word}"));
        Capability::parse(word).ok_or_else(unknown)
    };
    words.iter().map(read).collect()
}

impl Workspace {
    /// Nobody moves their own, and an owner's do not move at all. What is so already is no new fact.
    pub(super) fn change_capabilities(
        &self,
        user: &UserId,
        draft: &Result<CapabilitiesDraft, Rejection>,
        actor: &Actor,
    ) -> Result<Vec<Draft>, Rejection> {
        if actor.user() == Some(user) {
            let detail = "cannot modify own capabilities";
            return Err(Rejection::forbidden_because("capability.own", detail));
        }
        let member = self.member_of(user)?;
        if member.role == Role::Owner {
            let detail = "OWNER capabilities are immutable";
            return Err(Rejection::forbidden_because("capability.of_owner", detail));
        }
        let to = draft.as_ref().map_err(Clone::clone)?.outcome(member)?;
        // What was set stays when the role changes, and its default does not: even the same set is news.
        if to == member.capabilities {
            return Ok(vec![]);
        }
        let details = to.as_ref().map_or_else(|| "role default".to_owned(), said);
        let face = audit("updated", "WORKSPACE_MEMBER", member.id.as_str(), &details, actor);
        let changed =
            CapabilitiesChanged { member_id: member.id.clone(), from: member.capabilities.clone(), to };
        Ok(vec![Draft::public(user.as_str(), changed, face)])
    }

    /// A member by their user.
    ///
    /// # Errors
    /// `Member not found`.
    pub fn member_of(&self, user: &UserId) -> Result<&Member, Rejection> {
        let found = self.roster.members.get(user);
        found.ok_or_else(|| Rejection::not_found("member.not_found", "Member not found"))
    }
}

fn said(set: &BTreeSet<Capability>) -> String {
    set.iter().map(|capability| capability.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stand_in_the_order_of_their_names() {
        assert!(Capability::ALL.is_sorted_by_key(|capability| capability.as_str()));
        assert!(Capability::ALL.is_sorted());
    }
}
