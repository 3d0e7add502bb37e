//! What a CLI token may do: its scopes as a set of powers (`platform.md` 2.2).
//!
//! A token without scopes may do all that its user may. Scopes only narrow: the role counts as well.

use std::ops::BitOr;

use crate::Text;
use crate::roster::Role;

/// A group of routes that a scope opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Agents.
    Agents,
    /// Crews.
    Crews,
    /// Missions with their tasks and states.
    Missions,
    /// Checkpoints, restores and forks.
    Checkpoints,
    /// The journal.
    Journal,
    /// Credentials.
    Credentials,
    /// Skills.
    Skills,
    /// Webhooks.
    Webhooks,
    /// Issues.
    Issues,
    /// The workspace itself.
    Workspace,
    /// Assignments, as their workers.
    Work,
}

/// Reading or changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reading.
    Read,
    /// Changing.
    Write,
}

/// A set of (area, verb): one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Powers(u32);

/// Bits of one verb; the areas fit well inside.
const READ_BITS: u32 = 0x0000_ffff;

impl Powers {
    const NONE: Self = Self(0);
    const ALL: Self = Self(u32::MAX);
    const READ_ALL: Self = Self(READ_BITS);

    fn of(area: Area, verb: Verb) -> Self {
        let bit = match verb {
            Verb::Read => area as u32,
            Verb::Write => area as u32 + READ_BITS.count_ones(),
        };
        Self(1 << bit)
    }

    fn writing(areas: &[Area]) -> Self {
        areas.iter().map(|area| Self::of(*area, Verb::Write)).fold(Self::NONE, Self::bitor)
    }

    fn reading(areas: &[Area]) -> Self {
        areas.iter().map(|area| Self::of(*area, Verb::Read)).fold(Self::NONE, Self::bitor)
    }

    /// Whether nothing in `other` goes beyond this.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What one scope opens; `None` is a word that is no scope.
    ///
    /// The old scopes opened every read, since reads were not checked; they still do. The ones we
    /// add open what they name: `missions:*` the missions with their tasks, checkpoints and states.
    #[must_use]
    pub fn of_scope(scope: &str) -> Option<Self> {
        use Area::{Agents, Checkpoints, Credentials, Crews, Issues, Journal, Missions, Skills, Webhooks};
        let (name, action) = match scope {
            "*" => return Some(Self::ALL),
            "*:read" => return Some(Self::READ_ALL),
            "agents:run" => return Some(Self::READ_ALL),
            // A worker reads nothing but what it is given.
            WORKER => return Some(Self::of(Area::Work, Verb::Write)),
            "workspace:admin" => ("workspace", "*"),
            _ => scope.split_once(':')?,
        };
        if name == WORKER {
            return (!action.is_empty()).then(|| Self::of(Area::Work, Verb::Write));
        }
        let (areas, is_old): (&[Area], bool) = match name {
            "agents" => (&[Agents], true),
            "crews" => (&[Crews, Missions, Issues], true),
            "credentials" => (&[Credentials], true),
            "skills" => (&[Skills], true),
            "webhooks" => (&[Webhooks], true),
            "workspace" if action != "write" => (&[Area::Workspace, Checkpoints, Issues, Journal], true),
            "missions" => (&[Missions, Checkpoints], false),
            "issues" => (&[Issues], false),
            "journal" if action == "read" => (&[Journal], false),
            _ => return None,
        };
        match action {
            "read" => Some(Self::reading(areas)),
            "write" | "*" if is_old => Some(Self::writing(areas) | Self::READ_ALL),
            "write" | "*" => Some(Self::writing(areas) | Self::reading(areas)),
            _ => None,
        }
    }

    /// What a token's scopes open together. A stored word that is no scope opens nothing.
    #[must_use]
    pub fn of_scopes(scopes: Option<&[Text]>) -> Self {
        let Some(scopes) = scopes else { return Self::ALL };
        scopes.iter().filter_map(|scope| Self::of_scope(scope)).fold(Self::NONE, Self::bitor)
    }

    /// Whether they open an area for a verb.
    #[must_use]
    pub fn allow(self, area: Area, verb: Verb) -> bool {
        self.contains(Self::of(area, verb))
    }
}

impl BitOr for Powers {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The scope of workers: alone for all crews, with `:<crew>` for one, by id or slug.
const WORKER: &str = "worker";

/// The crews that a token's scopes let it work for; `None` is all of them.
#[must_use]
pub fn worker_crews(scopes: Option<&[Text]>) -> Option<Vec<Text>> {
    let scopes = scopes?;
    let is_wide = |scope: &&Text| {
        scope.split_once(':').is_none_or(|(name, _)| name != WORKER)
            && Powers::of_scope(scope).is_some_and(|powers| powers.allow(Area::Work, Verb::Write))
    };
    if scopes.iter().any(|scope| is_wide(&scope)) {
        return None;
    }
    let crews = scopes.iter().filter_map(|scope| scope.split_once(':'));
    Some(crews.filter(|(name, _)| *name == WORKER).map(|(_, crew)| crew.into()).collect())
}

/// Whether one scope is covered by a token's own, crews of workers included.
pub(super) fn covers(own: Option<&[Text]>, scope: &str) -> bool {
    let within = Powers::of_scope(scope).is_some_and(|child| Powers::of_scopes(own).contains(child));
    let of_worker = scope.split_once(':').filter(|(name, _)| *name == WORKER).map(|(_, crew)| crew);
    within
        && match (worker_crews(own), of_worker) {
            (None, _) => true,
            (Some(crews), Some(crew)) => crews.iter().any(|own| **own == *crew),
            (Some(_), None) => scope != WORKER,
        }
}

/// The least role that may hand out a scope.
#[must_use]
pub fn role_for(scope: &str) -> Role {
    match scope {
        "*" | "workspace:*" | "workspace:admin" => Role::Admin,
        _ if scope.ends_with(":read") => Role::Viewer,
        _ => Role::Manager,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn powers(scope: &str) -> Powers {
        Powers::of_scope(scope).expect("a scope")
    }

    #[test]
    fn old_write_scopes_open_their_routes_and_every_read() {
        assert!(powers("crews:write").allow(Area::Missions, Verb::Write));
        assert!(powers("crews:write").allow(Area::Journal, Verb::Read));
        assert!(!powers("crews:write").allow(Area::Checkpoints, Verb::Write));
        assert!(!powers("crews:write").allow(Area::Agents, Verb::Write));
        assert!(powers("workspace:admin").allow(Area::Checkpoints, Verb::Write));
    }

    #[test]
    fn new_scopes_open_only_what_they_name() {
        assert!(powers("missions:write").allow(Area::Checkpoints, Verb::Write));
        assert!(!powers("missions:write").allow(Area::Agents, Verb::Read));
        assert!(powers("crews:read").allow(Area::Crews, Verb::Read));
        assert!(!powers("crews:read").allow(Area::Crews, Verb::Write));
        assert!(powers("*:read").allow(Area::Workspace, Verb::Read));
        assert!(!powers("*:read").allow(Area::Workspace, Verb::Write));
    }

    #[test]
    fn a_narrower_scope_is_covered_and_a_wider_one_is_not() {
        assert!(powers("crews:write").contains(powers("crews:read")));
        assert!(!powers("crews:read").contains(powers("crews:write")));
        assert!(!powers("crews:write").contains(powers("missions:write")));
        assert!(powers("*").contains(Powers::of_scopes(None)));
    }

    #[test]
    fn a_worker_works_for_its_crews_and_hands_out_no_more() {
        let own: [Text; 2] = ["worker:red".into(), "worker:blue".into()];
        assert!(Powers::of_scopes(Some(&own)).allow(Area::Work, Verb::Write));
        assert!(!Powers::of_scopes(Some(&own)).allow(Area::Missions, Verb::Read));
        assert_eq!(worker_crews(Some(&own)), Some(vec!["red".into(), "blue".into()]));
        assert_eq!(worker_crews(Some(&["worker".into()])), None);
        assert_eq!(worker_crews(Some(&["*".into()])), None);
        assert_eq!(worker_crews(None), None);
        assert!(covers(Some(&own), "worker:red") && !covers(Some(&own), "worker:green"));
        assert!(!covers(Some(&own), "worker") && covers(None, "worker:green"));
        assert!(covers(Some(&["worker".into()]), "worker:green"));
        assert!(!covers(Some(&["crews:write".into()]), "worker:red"));
    }

    #[test]
    fn a_word_that_is_no_scope_opens_nothing() {
        for word in ["", "crews", "crews:", "crews:delete", "workspace:write", "journal:write", "users:read"]
        {
            assert_eq!(Powers::of_scope(word), None, "{word}");
        }
        assert!(!Powers::of_scopes(Some(&["nonsense".into()])).allow(Area::Crews, Verb::Read));
    }
}
