//! Workers on other machines: the worker operations over the ordinary listener, with a token (issue: a token
//! scoped to `worker` may do this and nothing else).

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use taffrail_domain::instance::scope::worker_crews;
use taffrail_domain::{CrewId, Text};

use super::App;
use super::answer::Told;
use super::body::{Raw, Required, Sent};
use super::caller::Member;
use super::contract::{Asks, Operation, Schemas};
use super::gate::Work;
use super::problem::Problem;
use super::query::{Number, Query, Word};
use super::work::{
    AtDesk, BeatDraft, BeginDraft, ClaimDraft, HandBackDraft, HandedBackView, LeaseView, Offered, OutputView,
    ReportDraft, ReportedView,
};

impl FromRequestParts<App> for AtDesk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let member = Member::<Work>::from_request_parts(parts, app).await?;
        let crews = match worker_crews(member.scopes()) {
            None => None,
            Some(names) => {
                let crews: Vec<CrewId> = names.iter().filter_map(|name| crew(&member, name)).collect();
                if crews.is_empty() {
                    // No condition would mean every crew.
                    return Err(Problem::forbidden("forbidden.scope"));
                }
                Some(crews)
            }
        };
        let writer = member.writer().clone();
        let desk = app.desk(writer.log()).ok_or_else(Problem::internal)?;
        Ok(Self { app: member.app, writer, desk, crews, workspace: None })
    }
}

/// A crew that a scope names; one that is gone opens nothing.
fn crew(member: &Member<Work>, name: &Text) -> Option<CrewId> {
    let world = member.world();
    let roster = &world.state.roster;
    let by_slug = || roster.crew_slugs.get(name).cloned();
    roster.live_crew(name).map(|crew| crew.id.clone()).or_else(by_slug)
}

impl Asks for AtDesk {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        Member::<Work>::describe(operation, schemas);
    }
}

/// Where a piece of output belongs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PieceQuery {
    /// What the claim answered; required.
    pub(super) fence: Word,
    /// Bytes before it; 0 without it.
    pub(super) offset: Number,
}

impl PieceQuery {
    pub(super) fn offset(&self) -> u64 {
        self.offset.get().and_then(|offset| u64::try_from(offset).ok()).unwrap_or_default()
    }
}

/// `POST /api/v1/worker/tasks/claim`
pub(super) async fn claim_work(at: AtDesk, sent: Sent<Required<ClaimDraft>>) -> Result<Offered, Problem> {
    at.claim(sent.json()?).await
}

/// `POST /api/v1/worker/tasks/{id}/heartbeat`
pub(super) async fn renew_claim(
    at: AtDesk,
    Path(id): Path<String>,
    sent: Sent<Required<BeatDraft>>,
) -> Result<Told<LeaseView>, Problem> {
    at.beat(&id, &sent.json()?)
}

/// `POST /api/v1/worker/tasks/{id}/begin`
pub(super) async fn begin_work(
    at: AtDesk,
    Path(id): Path<String>,
    sent: Sent<Required<BeginDraft>>,
) -> Result<Told<LeaseView>, Problem> {
    at.begin(&id, &sent.json()?).await
}

/// `POST /api/v1/worker/tasks/{id}/output`: the body is the piece itself.
pub(super) async fn append_output(
    at: AtDesk,
    Path(id): Path<String>,
    Query(query): Query<PieceQuery>,
    sent: Sent<Raw>,
) -> Result<Told<OutputView>, Problem> {
    at.output(&id, query.fence.get(), query.offset(), sent.bytes()).await
}

/// `POST /api/v1/worker/tasks/{id}/hand-back`
pub(super) async fn hand_work_back(
    at: AtDesk,
    Path(id): Path<String>,
    sent: Sent<Required<HandBackDraft>>,
) -> Result<Told<HandedBackView>, Problem> {
    at.hand_back(&id, &sent.json()?).await
}

/// `PATCH /api/v1/worker/tasks/{id}`
pub(super) async fn report_work(
    at: AtDesk,
    Path(id): Path<String>,
    sent: Sent<Required<ReportDraft>>,
) -> Result<Told<ReportedView>, Problem> {
    at.report(&id, sent.json()?).await
}
