//! People as others see them: what the vault still knows.

use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::UserId;

use super::unset::Unset;
use crate::vault::Vault;

/// A person.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Person")]
pub(super) struct PersonView {
    id: UserId,
    /// Empty once they are forgotten.
    email: String,
    full_name: Option<String>,
    avatar_url: Unset,
}

impl PersonView {
    pub(super) fn of(user: &UserId, vault: &Vault) -> Self {
        let profile = vault.profile(user);
        Self {
            id: user.clone(),
            email: profile.as_ref().map(|profile| profile.email.clone()).unwrap_or_default(),
            full_name: profile.map(|profile| profile.full_name.clone()),
            avatar_url: Unset,
        }
    }
}
