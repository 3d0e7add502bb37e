//! The internal token, and those that are bound to a workspace, a crew or an agent (`platform.md` 8.1).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use taffrail_domain::{AgentId, CrewId, WorkspaceId};

use crate::boot::Taffrail;
use crate::vault::same_secret;

/// Names the master, where the operator chose it.
const VARIABLE: &str = "TAFFRAIL_INTERNAL_TOKEN";

/// What a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// Nothing: the daemon's own.
    Master,
    /// One workspace.
    Workspace(WorkspaceId),
    /// One crew of it.
    Crew(WorkspaceId, CrewId),
    /// One agent of it.
    Agent(WorkspaceId, AgentId),
}

/// The master token of an instance: the operator's, else one made of the instance's key.
#[must_use]
pub fn internal_token(app: &Taffrail) -> String {
    let chosen = std::env::var(VARIABLE).ok().filter(|token| !token.is_empty());
    chosen.unwrap_or_else(|| app.vault().internal_token())
}

/// The token that an agent's process is given: it speaks for this agent and for nobody else.
#[must_use]
pub(in crate::http) fn agent_token(app: &Taffrail, workspace: &WorkspaceId, agent: &AgentId) -> String {
    Binding::Agent(workspace.clone(), agent.clone()).token(&internal_token(app))
}

impl Binding {
    /// What a token opens; `None` for one that was never given out.
    pub(super) fn of(token: &str, master: &str) -> Option<Self> {
        if same_secret(token, master) {
            return Some(Self::Master);
        }
        let mut parts = token.split('.');
        let (kind, workspace) = (parts.next()?, parts.next()?);
        let (binding, bound) = match kind {
            "wsv1" => (Self::Workspace(workspace.into()), format!("workspace binding v1\0{workspace}")),
            "crwv1" => {
                let crew = parts.next()?;
                (Self::Crew(workspace.into(), crew.into()), format!("crew binding v1\0{workspace}\0{crew}"))
            }
            "agtv1" => {
                let agent = parts.next()?;
                (
                    Self::Agent(workspace.into(), agent.into()),
                    format!("agent binding v1\0{workspace}\0{agent}"),
                )
            }
            _ => return None,
        };
        let (given, rest) = (parts.next()?, parts.next());
        let is_ours = rest.is_none() && same_secret(given, &mac(master, &bound));
        is_ours.then_some(binding)
    }

    /// The token of this binding.
    fn token(&self, master: &str) -> String {
        match self {
            Self::Master => master.to_owned(),
            Self::Workspace(workspace) => {
                format!("wsv1.{workspace}.{}", mac(master, &format!("workspace binding v1\0{workspace}")))
            }
            Self::Crew(workspace, crew) => {
                format!(
                    "crwv1.{workspace}.{crew}.{}",
                    mac(master, &format!("crew binding v1\0{workspace}\0{crew}"))
                )
            }
            Self::Agent(workspace, agent) => {
                format!(
                    "agtv1.{workspace}.{agent}.{}",
                    mac(master, &format!("agent binding v1\0{workspace}\0{agent}"))
                )
            }
        }
    }
}

fn mac(master: &str, bound: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(master.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("crewship internal-token {bound}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_what_it_is_bound_to_and_a_forged_one_nothing() {
        for binding in [
            Binding::Master,
            Binding::Workspace("w".into()),
            Binding::Crew("w".into(), "c".into()),
            Binding::Agent("w".into(), "a".into()),
        ] {
            let token = binding.token("master");
            assert_eq!(Binding::of(&token, "master"), Some(binding));
            assert_eq!(Binding::of(&token, "another"), None);
            assert_eq!(Binding::of(&format!("{token}0"), "master"), None);
        }
        let other = Binding::Workspace("w".into()).token("master").replace("wsv1.w.", "wsv1.x.");
        assert_eq!(Binding::of(&other, "master"), None);
        assert_eq!(Binding::of("", "master"), None);
    }
}
