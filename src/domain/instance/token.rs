//! What a CLI token may be granted, and by whom (`platform.md` 2.2).

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::{Powers, covers, role_for};
use crate::entry::words;
use crate::roster::Role;
use crate::{Rejection, Text, Time};

const NAME_DEFAULT: &str = "CLI token";
const NAME_CHARS_MAX: usize = 200;
/// More than there are scopes; each is stored and looked at on every request.
const SCOPES_MAX: usize = 32;
/// A hundred years: enough for anybody, and still a time that can be written down.
const EXPIRES_IN_SECONDS_MAX: u64 = 3_155_760_000;

words! {
    /// How far a token reaches.
    Tier {
        /// What its user may do in their workspaces.
        #[default]
        Standard = "STANDARD",
        /// The instance itself.
        Admin = "ADMIN",
    }
}

/// Body of create token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TokenDraft {
    /// What the user calls it.
    pub name: Option<String>,
    /// `STANDARD` or `ADMIN`; empty is `STANDARD`.
    pub tier: Option<String>,
    /// How long it works.
    pub expires_in_seconds: Option<i64>,
    /// What it may do; without, everything its user may.
    pub scopes: Option<Vec<String>>,
}

/// Who grants: a token hands on no more than it has, a person no more than their role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuer {
    /// What the issuing credential may do; `None` is everything its user may.
    pub scopes: Option<Vec<Text>>,
    /// When the issuing credential ends.
    pub expires_at: Option<Time>,
    /// The best role of the user: tokens act in every workspace, each time with the role there.
    pub best_role: Option<Role>,
}

/// What a token of the tier `STANDARD` may do and for how long: only the rules make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    pub(super) name: Text,
    pub(super) scopes: Option<Vec<Text>>,
    pub(super) expires_at: Option<Time>,
}

impl TokenDraft {
    /// The tier it asks for.
    ///
    /// # Errors
    /// A word that is none.
    pub fn tier(&self) -> Result<Tier, Rejection> {
        match self.tier.as_deref().unwrap_or_default() {
            "" => Ok(Tier::Standard),
            word => Tier::parse(word)
                .ok_or_else(|| Rejection::invalid("token.tier", "tier must be STANDARD or ADMIN")),
        }
    }

    fn name(&self) -> Result<Text, Rejection> {
        let name = self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(NAME_DEFAULT);
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(Rejection::invalid("token.name", "name must be at most 200 characters"));
        }
        Ok(name.into())
    }

    fn expires_at(&self, now: Time) -> Result<Option<Time>, Rejection> {
        let Some(seconds) = self.expires_in_seconds else { return Ok(None) };
        let seconds = u64::try_from(seconds).ok().filter(|n| (1..=EXPIRES_IN_SECONDS_MAX).contains(n));
        let seconds = seconds.ok_or_else(|| {
            let detail = format!("expires_in_seconds must be 1-{EXPIRES_IN_SECONDS_MAX}");
            Rejection::invalid("token.expires_in_seconds", detail)
        })?;
        Ok(Some(Time(now.0.saturating_add(seconds * 1_000))))
    }
}

impl TokenGrant {
    /// All that its user may, without an end: what the first person of an instance gets.
    #[must_use]
    pub fn unrestricted(name: &str) -> Self {
        Self { name: name.into(), scopes: None, expires_at: None }
    }

    /// What a draft asks for, if its issuer may give it.
    ///
    /// # Errors
    /// The first rule that is broken, in the order of the API page.
    pub fn new(draft: &TokenDraft, issuer: &Issuer, now: Time) -> Result<Self, Rejection> {
        draft.tier()?;
        let name = draft.name()?;
        let scopes = issuer.grant_scopes(draft.scopes.as_deref())?;
        let expires_at = draft.expires_at(now)?;
        if issuer.expires_at.is_some_and(|own| expires_at.is_none_or(|end| end > own)) {
            let detail = "expiry exceeds that of the issuing token";
            return Err(Rejection::forbidden_because("token.expiry_exceeds", detail));
        }
        Ok(Self { name, scopes, expires_at })
    }
}

impl Issuer {
    /// Known words, each once, within the role, and for a scoped issuer within its own scopes.
    fn grant_scopes(&self, wanted: Option<&[String]>) -> Result<Option<Vec<Text>>, Rejection> {
        let own = Powers::of_scopes(self.scopes.as_deref());
        let Some(wanted) = wanted else {
            if own.contains(Powers::of_scopes(None)) {
                return Ok(None);
            }
            let detail = "a scoped token cannot issue an unrestricted one";
            return Err(Rejection::forbidden_because("token.scope_exceeds", detail));
        };
        let scopes = known_scopes(wanted)?;
        let role = self.best_role.ok_or_else(|| {
            let detail = "issuing user has no workspace membership; cannot grant scoped token";
            Rejection::forbidden_because("token.no_membership", detail)
        })?;
        for scope in &scopes {
            if role < role_for(scope) {
                let detail = format!("scope {scope} exceeds your workspace role");
                return Err(Rejection::forbidden_because("token.scope_exceeds_role", detail));
            }
            if !covers(self.scopes.as_deref(), scope) {
                let detail = format!("scope {scope} exceeds the issuing token's scopes");
                return Err(Rejection::forbidden_because("token.scope_exceeds", detail));
            }
        }
        Ok(Some(scopes))
    }
}

/// The scopes named, each once, in the order of their first naming.
fn known_scopes(wanted: &[String]) -> Result<Vec<Text>, Rejection> {
    if wanted.is_empty() {
        return Err(Rejection::invalid("token.scopes", "scopes must not be empty"));
    }
    if wanted.len() > SCOPES_MAX {
        return Err(Rejection::invalid("token.scopes", format!("at most {SCOPES_MAX} scopes")));
    }
    let mut scopes: Vec<Text> = vec![];
    for scope in wanted {
        if Powers::of_scope(scope).is_none() {
            return Err(Rejection::invalid("token.unknown_scope", format!("unknown scope: {scope}")));
        }
        if !scopes.iter().any(|known| **known == **scope) {
            scopes.push(scope.as_str().into());
        }
    }
    Ok(scopes)
}
