//! CLI tokens: issue, check, list, revoke (`platform.md` 2.2).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::instance::{Token, TokenDraft};
use taffrail_domain::{LogTag, Text, Time, TokenId, UserId};

use super::answer::{Done, Listed, Told};
use super::body::{Ignored, Required, Sent};
use super::caller::Caller;
use super::problem::Problem;
use super::time::Seconds;

/// A fresh token; the secret is shown this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssuedToken")]
pub(super) struct IssuedView {
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
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
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

/// A person's tokens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tokens")]
pub(super) struct TokensView {
    data: Vec<TokenView>,
}

/// A token that is no more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RevokedToken")]
pub(super) struct RevokedView {
    status: &'static str,
}

/// Whose credential this is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ValidToken")]
pub(super) struct ValidView {
    valid: bool,
    user_id: UserId,
    user_email: String,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Seconds>,
}

/// `POST /api/v1/auth/cli-token`: 200, not 201, which the known client takes for no token (`client.md` 8, trap 2).
pub(super) async fn create_token(
    caller: Caller,
    sent: Sent<Required<TokenDraft>>,
) -> Result<Done<IssuedView>, Problem> {
    let draft = sent.json()?;
    let request = sent.request(caller.user().as_str());
    let issued = caller.app.issue_token(&caller.session, &draft, request).await?;
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
    Ok(Done::secret(LogTag::INSTANCE, issued.entry_head, &view))
}

/// `GET /api/v1/auth/cli-token/validate`
pub(super) async fn validate_token(caller: Caller) -> Told<ValidView> {
    let profile = caller.app.vault().profile(caller.user());
    let email = profile.map(|profile| profile.email.clone()).unwrap_or_default();
    Told::new(&ValidView {
        valid: true,
        user_id: caller.user().clone(),
        user_email: email.clone(),
        email,
        expires_at: caller.session.expires_at.map(Seconds),
    })
}

/// `GET /api/v1/auth/cli-tokens`: the caller's own, newest first, revoked ones included.
pub(super) async fn list_tokens(caller: Caller) -> Listed<TokensView> {
    let world = caller.app.instance().world();
    let vault = caller.app.vault();
    let tokens = world.tokens_of(caller.user());
    let rows = tokens.map(|token| TokenView::of(token, vault.last_used_at(&token.id)));
    let view = TokensView { data: rows.collect() };
    Listed::whole(&view, view.data.len())
}

/// `DELETE /api/v1/auth/cli-tokens/{token}`
pub(super) async fn revoke_token(
    caller: Caller,
    Path(token): Path<TokenId>,
    sent: Sent<Ignored>,
) -> Result<Done<RevokedView>, Problem> {
    let request = sent.request(caller.user().as_str());
    let done = caller.app.revoke_token(caller.user(), &token, request).await?;
    Ok(Done::new(&done, &RevokedView { status: "revoked" }))
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
