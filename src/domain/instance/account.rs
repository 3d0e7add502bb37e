//! What a person gives to get an account, and its rules (`platform.md` 5.1).

use std::fmt;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Rejection;

const NAME_CHARS: RangeInclusive<usize> = 2..=100;
const EMAIL_BYTES_MAX: usize = 254;
const PASSWORD_CHARS: RangeInclusive<usize> = 8..=256;

/// Body of bootstrap; null and absent are empty. Never printed: it holds a password.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AccountDraft {
    /// What people call them.
    pub full_name: Option<String>,
    /// Their e-mail.
    pub email: Option<String>,
    /// Their password.
    pub password: Option<String>,
}

/// An account whose parts keep their rules: only [`AccountDraft::account`] makes one.
#[derive(Clone)]
pub struct Account {
    full_name: String,
    email: String,
    password: String,
}

impl fmt::Debug for AccountDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountDraft(…)")
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(…)")
    }
}

impl AccountDraft {
    /// The account, name and e-mail trimmed.
    ///
    /// # Errors
    /// The first part that breaks its rule, in the order of the API page.
    pub fn account(self) -> Result<Account, Rejection> {
        let full_name = self.full_name.unwrap_or_default().trim().to_owned();
        let email = self.email.unwrap_or_default().trim().to_owned();
        let password = self.password.unwrap_or_default();
        let (name_chars, password_chars) = (full_name.chars().count(), password.chars().count());
        ensure(name_chars >= *NAME_CHARS.start(), "account.name", "Name must be at least 2 characters")?;
        ensure(name_chars <= *NAME_CHARS.end(), "account.name", "Name must be at most 100 characters")?;
        ensure(is_email(&email), "account.email", "Invalid email address")?;
        let (code, least) = ("account.password", "Password must be at least 8 characters");
        ensure(password_chars >= *PASSWORD_CHARS.start(), code, least)?;
        let most = "Password must be at most 256 characters";
        ensure(password_chars <= *PASSWORD_CHARS.end(), code, most)?;
        Ok(Account { full_name, email, password })
    }
}

impl Account {
    /// What people call them.
    #[must_use]
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Their e-mail, as they wrote it.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Their password, on its way to its hash.
    #[must_use]
    pub fn into_password(self) -> String {
        self.password
    }
}

fn ensure(holds: bool, code: &'static str, detail: &'static str) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::invalid(code, detail)) }
}

/// `^[a-zA-Z0-9._%+\-]+@[a-zA-Z0-9.\-]+\.[a-zA-Z]{2,}$`, and no longer than an address may be.
fn is_email(text: &str) -> bool {
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte);
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let Some((name, domain)) = text.split_once('@') else { return false };
    let Some((site, top)) = domain.rsplit_once('.') else { return false };
    text.len() <= EMAIL_BYTES_MAX
        && !name.is_empty()
        && name.bytes().all(local)
        && !site.is_empty()
        && site.bytes().all(host)
        && top.len() >= 2
        && top.bytes().all(|byte| byte.is_ascii_alphabetic())
}
