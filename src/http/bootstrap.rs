//! The first person of an empty instance (`platform.md` 5.1).

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use taffrail_domain::{LogTag, Rejection, UserId, WorkspaceId};
use taffrail_projections::World;

use super::App;
use super::body::Sent;
use super::problem::Problem;
use super::written::Written;
use crate::boot::Account;

/// Whose idempotency keys these are: nobody is there yet to own them.
const PRINCIPAL: &str = "bootstrap";
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=100;
const EMAIL_BYTES_MAX: usize = 254;
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=256;

/// Body of bootstrap; null and absent are empty.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct BootstrapDraft {
    full_name: Option<String>,
    email: Option<String>,
    password: Option<String>,
}

/// What bootstrap made; the token is shown this once.
#[derive(Serialize)]
struct BootstrapView {
    user_id: UserId,
    email: String,
    workspace_id: WorkspaceId,
    cli_token: String,
}

/// `POST /api/v1/bootstrap`
pub(super) async fn bootstrap(State(app): State<App>, sent: Sent) -> Result<impl IntoResponse, Problem> {
    let account = sent.json::<BootstrapDraft>()?.account()?;
    let made = app.bootstrap(account, sent.request(PRINCIPAL)).await?;
    // The workspace's log is the one the caller reads next.
    let (log, head) = match app.workspace(&made.workspace_id).map(|writer| writer.world()) {
        Some(world) => (world.log(), world.head()),
        None => (LogTag::INSTANCE, app.instance().world().head()),
    };
    let view = BootstrapView {
        user_id: made.user_id,
        email: made.email,
        workspace_id: made.workspace_id,
        cli_token: made.cli_token.reveal().to_owned(),
    };
    let written = Written::at(StatusCode::CREATED, log, head, view);
    Ok(([(CACHE_CONTROL, "no-store")], written))
}

impl BootstrapDraft {
    /// An account whose parts keep their rules, checked in the order of the API page.
    fn account(self) -> Result<Account, Rejection> {
        let full_name = self.full_name.unwrap_or_default().trim().to_owned();
        let email = self.email.unwrap_or_default().trim().to_owned();
        let password = self.password.unwrap_or_default();
        let refuse = |code, detail: &'static str| Err(Rejection::invalid(code, detail));
        let (name_chars, password_chars) = (full_name.chars().count(), password.chars().count());
        if name_chars < *NAME_CHARS.start() {
            return refuse("account.name", "Name must be at least 2 characters");
        }
        if name_chars > *NAME_CHARS.end() {
            return refuse("account.name", "Name must be at most 100 characters");
        }
        if !is_email(&email) {
            return refuse("account.email", "Invalid email address");
        }
        if password_chars < *PASSWORD_CHARS.start() {
            return refuse("account.password", "Password must be at least 8 characters");
        }
        if password_chars > *PASSWORD_CHARS.end() {
            return refuse("account.password", "Password must be at most 256 characters");
        }
        Ok(Account { full_name, email, password: password.into() })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_a_site_and_a_top_level() {
        assert!(is_email("a.b+c%d@mail-1.example.org"));
        for text in
            ["", "a", "a@b", "@b.org", "a@.org", "a@b.o", "a@b.o1", "a b@c.org", "a@b@c.org", "ä@b.org"]
        {
            assert!(!is_email(text), "{text}");
        }
    }
}
