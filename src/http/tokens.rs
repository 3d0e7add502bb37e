//! CLI tokens: issue, check, list, revoke (`platform.md` 2.2).

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taffrail_domain::instance::Token;
use taffrail_domain::roster::Role;
use taffrail_domain::{LogTag, Rejection, Text, Time, TokenId, UserId};

use super::body::Sent;
use super::caller::Caller;
use super::problem::Problem;
use super::scope::{self, Powers};
use super::time::Seconds;
use super::written::Written;
use crate::boot::TokenWish;

const NAME_DEFAULT: &str = "CLI token";
const NAME_CHARS_MAX: usize = 200;
/// A hundred years: enough for anybody, and still a time that can be written down.
const EXPIRES_IN_SECONDS_MAX: u64 = 3_155_760_000;

/// Body of create token.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenDraft {
    name: Option<String>,
    tier: Option<String>,
    expires_in_seconds: Option<i64>,
    scopes: Option<Vec<String>>,
}

/// A fresh token; the secret is shown this once.
#[derive(Serialize)]
struct IssuedView {
    token: String,
    id: TokenId,
    name: Text,
    tier: Text,
    created_at: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<Text>>,
}

/// A token in its owner's list: no secret, no hash.
#[derive(Serialize)]
struct TokenView {
    id: TokenId,
    name: Text,
    tier: Text,
    created_at: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<Text>>,
}

/// Whose credential this is.
#[derive(Serialize)]
pub(super) struct ValidView {
    valid: bool,
    user_id: UserId,
    user_email: String,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Seconds>,
}

/// `POST /api/v1/auth/cli-token`: 200, not 201, which the known client takes for no token (`client.md` 8, trap 2).
pub(super) async fn create_token(caller: Caller, sent: Sent) -> Result<impl IntoResponse, Problem> {
    let wish = sent.json::<TokenDraft>()?.wish(&caller)?;
    let request = sent.request(caller.user().as_str());
    let issued = caller.app.issue_token(caller.user(), wish, request).await?;
    let token = issued.token;
    let view = IssuedView {
        token: issued.secret.reveal().to_owned(),
        id: token.id,
        name: token.name,
        tier: token.tier,
        created_at: Seconds(token.created_at),
        expires_at: token.expires_at.map(Seconds),
        scopes: token.scopes,
    };
    let written = Written::at(StatusCode::OK, LogTag::INSTANCE, issued.entry_head, view);
    Ok(([(CACHE_CONTROL, "no-store")], written))
}

/// `GET /api/v1/auth/cli-token/validate`
pub(super) async fn validate_token(caller: Caller) -> Json<ValidView> {
    let profile = caller.app.vault().profile(caller.user());
    let email = profile.map(|profile| profile.email.clone()).unwrap_or_default();
    Json(ValidView {
        valid: true,
        user_id: caller.user().clone(),
        user_email: email.clone(),
        email,
        expires_at: caller.session.expires_at.map(Seconds),
    })
}

/// `GET /api/v1/auth/cli-tokens`: the caller's own, newest first, revoked ones included.
pub(super) async fn list_tokens(caller: Caller) -> Json<Value> {
    let world = caller.app.instance().world();
    let vault = caller.app.vault();
    let tokens = world.tokens_of(caller.user());
    let rows = tokens.map(|token| TokenView::of(token, vault.last_used_at(&token.id)));
    Json(json!({ "data": rows.collect::<Vec<_>>() }))
}

/// `DELETE /api/v1/auth/cli-tokens/{token}`
pub(super) async fn revoke_token(
    caller: Caller,
    Path(token): Path<TokenId>,
    sent: Sent,
) -> Result<impl IntoResponse, Problem> {
    let request = sent.request(caller.user().as_str());
    let done = caller.app.revoke_token(caller.user(), &token, request).await?;
    Ok(Written::ok(&done, json!({ "status": "revoked" })))
}

impl TokenView {
    fn of(token: &Token, last_used_at: Option<Time>) -> Self {
        Self {
            id: token.id.clone(),
            name: token.name.clone(),
            tier: token.tier.clone(),
            created_at: Seconds(token.created_at),
            expires_at: token.expires_at.map(Seconds),
            last_used_at: last_used_at.map(Seconds),
            revoked_at: token.revoked_at.map(Seconds),
            scopes: token.scopes.clone(),
        }
    }
}

impl TokenDraft {
    fn wish(self, caller: &Caller) -> Result<TokenWish, Problem> {
        self.check_tier()?;
        self.check_name()?;
        self.check_scopes(caller)?;
        let expires_at = self.expires_at(caller.app.now())?;
        // What a token may hand on ends when it does.
        let own_end = caller.session.expires_at;
        if own_end.is_some_and(|own| expires_at.is_none_or(|end| end > own)) {
            return Err(refused("token.expiry_exceeds", "expiry exceeds that of the issuing token".into()));
        }
        let name = self.name.filter(|name| !name.is_empty());
        Ok(TokenWish {
            name: name.as_deref().unwrap_or(NAME_DEFAULT).into(),
            scopes: self.scopes.map(|scopes| scopes.iter().map(|scope| scope.as_str().into()).collect()),
            expires_at,
        })
    }

    fn check_tier(&self) -> Result<(), Problem> {
        match self.tier.as_deref().unwrap_or_default() {
            "" | "STANDARD" => Ok(()),
            "ADMIN" => Err(Problem::unavailable("token.admin_unavailable", "admin key not configured")),
            _ => Err(Rejection::invalid("token.tier", "tier must be STANDARD or ADMIN").into()),
        }
    }

    fn check_name(&self) -> Result<(), Rejection> {
        let chars = self.name.as_deref().map_or(0, |name| name.chars().count());
        if chars > NAME_CHARS_MAX {
            return Err(Rejection::invalid("token.name", "name must be at most 200 characters"));
        }
        Ok(())
    }

    /// Known words, within the caller's role, and for a scoped caller within its own scopes.
    fn check_scopes(&self, caller: &Caller) -> Result<(), Problem> {
        let own = caller.powers();
        let Some(scopes) = &self.scopes else {
            if own.contains(Powers::of_scopes(None)) {
                return Ok(());
            }
            let detail = "a scoped token cannot issue an unrestricted one";
            return Err(refused("token.scope_exceeds", detail.into()));
        };
        if scopes.is_empty() {
            return Err(Problem::invalid("token.scopes", "scopes must not be empty"));
        }
        for scope in scopes {
            if Powers::of_scope(scope).is_none() {
                return Err(Problem::invalid("token.unknown_scope", format!("unknown scope: {scope}")));
            }
        }
        let role = highest_role(caller).ok_or_else(|| {
            let detail = "issuing user has no workspace membership; cannot grant scoped token";
            refused("token.no_membership", detail.into())
        })?;
        for scope in scopes {
            if role < scope::role_for(scope) {
                let detail = format!("scope {scope} exceeds your workspace role");
                return Err(refused("token.scope_exceeds_role", detail));
            }
            if !Powers::of_scope(scope).is_some_and(|child| own.contains(child)) {
                let detail = format!("scope {scope} exceeds the issuing token's scopes");
                return Err(refused("token.scope_exceeds", detail));
            }
        }
        Ok(())
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

/// Tokens act in every workspace of their user, each time with the role there; at grant the best counts.
fn highest_role(caller: &Caller) -> Option<Role> {
    let workspaces = caller.app.workspaces_of(caller.user());
    workspaces.iter().filter_map(|(_, writer)| writer.world().state.roster.role(caller.user())).max()
}

fn refused(code: &'static str, detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, detail)
}
