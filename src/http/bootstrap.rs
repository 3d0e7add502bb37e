//! The first person of an empty instance (`platform.md` 5.1).

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::instance::AccountDraft;
use taffrail_domain::{LogTag, UserId, WorkspaceId};
use taffrail_projections::World;

use super::App;
use super::answer::{Created, Refusing};
use super::body::{Required, Sent};
use super::problem::Problem;

/// Whose idempotency keys these are: nobody is there yet to own them.
const PRINCIPAL: &str = "bootstrap";

/// What bootstrap made; the token is shown this once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Bootstrapped")]
pub(super) struct BootstrapView {
    user_id: UserId,
    email: String,
    workspace_id: WorkspaceId,
    cli_token: String,
}

/// `POST /api/v1/bootstrap`
pub(super) async fn bootstrap(
    State(app): State<App>,
    sent: Sent<Required<AccountDraft>>,
) -> Result<Refusing<Created<BootstrapView>, 410>, Problem> {
    let account = sent.json()?.account()?;
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
    Ok(Refusing(Created::secret(log, head, &view)))
}
