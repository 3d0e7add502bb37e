//! What agents ask people, and what people answer (`platform.md` 8.3, `journal.md` 2.4).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::escalation::{
    Escalation, EscalationCommand, EscalationStatus, EscalationType, Resolution,
};
use taffrail_domain::roster::Roster;
use taffrail_domain::{AgentId, ChatId, CrewId, EscalationId, Json, MissionId, Text, UserId, Workspace};

use super::answer::{Done, Listed, Shown};
use super::approvals::CancelDraft;
use super::body::{Optional, Required, Sent};
use super::caller::Member;
use super::gate::{AnswerAgents, ReadCrews, ReadEscalations};
use super::page::PageQuery;
use super::problem::Problem;
use super::query::Query;
use super::time::Seconds;

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;

/// A question of an agent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Escalation")]
pub(super) struct EscalationView {
    id: EscalationId,
    crew_id: CrewId,
    agent_id: AgentId,
    from_slug: Text,
    from_name: Text,
    chat_id: ChatId,
    mission_id: Option<MissionId>,
    /// What the agent needs.
    reason: Text,
    /// What it was doing.
    context: Option<Text>,
    /// What the answer has to be.
    r#type: EscalationType,
    metadata: Json,
    status: EscalationStatus,
    /// What was said; a credential is never shown.
    resolution: Option<Text>,
    action: Option<Text>,
    redirect_to: Option<Text>,
    resolved_by: Option<UserId>,
    /// Until when the agent waits.
    deadline_at: Seconds,
    /// Until when it may be answered.
    answer_deadline_at: Seconds,
    created_at: Seconds,
    resolved_at: Option<Seconds>,
}

impl EscalationView {
    fn of(found: &Escalation, roster: &Roster) -> Self {
        let asked = found.asked.clone();
        let agent = roster.agents.get(&asked.agent_id);
        let ended = found.ended.as_ref();
        Self {
            id: found.id.clone(),
            from_slug: agent.map(|agent| agent.facts.slug.clone()).unwrap_or_default(),
            from_name: agent.map(|agent| agent.facts.name.clone()).unwrap_or_default(),
            crew_id: asked.crew_id,
            agent_id: asked.agent_id,
            chat_id: asked.chat_id,
            mission_id: asked.mission_id,
            reason: asked.reason,
            context: asked.context,
            r#type: asked.escalation_type,
            metadata: asked.metadata,
            status: found.status(),
            resolution: ended.and_then(|ended| ended.resolution.clone()),
            action: ended.and_then(|ended| ended.action.clone()),
            redirect_to: ended.and_then(|ended| ended.redirect_to.clone()),
            resolved_by: ended.and_then(|ended| ended.by.clone()),
            deadline_at: Seconds(asked.deadline_at),
            answer_deadline_at: Seconds(asked.answer_deadline_at),
            created_at: Seconds(found.created_at),
            resolved_at: found.ended_at.map(Seconds),
        }
    }

    fn find(state: &Workspace, id: &EscalationId) -> Result<Self, Problem> {
        Ok(Self::of(state.escalation(id)?, &state.roster))
    }
}

/// Body of resolve.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ResolutionDraft {
    /// The answer; required. A credential is told to the agent, while it waits, and kept nowhere else.
    resolution: Option<String>,
    /// What the agent is to do.
    action: Option<String>,
    /// Slug of the agent that is to go on instead.
    redirect_to: Option<String>,
}

/// `GET /api/v1/crews/{crewId}/escalations`: newest first.
pub(super) async fn list_escalations(
    member: Member<ReadCrews>,
    Path(crew): Path<CrewId>,
    Query(page): Query<PageQuery>,
) -> Result<Listed<Vec<EscalationView>>, Problem> {
    let world = member.world();
    world.state.crew(crew.as_str())?;
    let page = page.page(PAGE_DEFAULT, PAGE_MAX);
    let own: Vec<_> = world.state.escalations.newest().filter(|found| found.asked.crew_id == crew).collect();
    let shown = own.iter().skip(page.offset).take(page.limit);
    let views = shown.map(|found| EscalationView::of(found, &world.state.roster)).collect();
    Ok(Listed::page(&views, own.len(), page))
}

/// `GET /api/v1/escalations/{escalationId}`
pub(super) async fn get_escalation(
    member: Member<ReadEscalations>,
    Path(id): Path<EscalationId>,
) -> Result<Shown<EscalationView>, Problem> {
    let world = member.world();
    let changed = world.state.escalation(&id)?.changed;
    Ok(Shown::new(changed, &EscalationView::find(&world.state, &id)?))
}

/// `POST /api/v1/escalations/{escalationId}/resolve`: who comes second is too late.
pub(super) async fn resolve_escalation(
    member: Member<AnswerAgents>,
    Path(id): Path<EscalationId>,
    sent: Sent<Required<ResolutionDraft>>,
) -> Result<Done<EscalationView>, Problem> {
    let draft = sent.json()?;
    let text = draft.resolution.filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| Problem::invalid("escalation.resolution", "resolution is required"))?;
    let answer = Resolution {
        text: text.into(),
        secret: None,
        action: draft.action.map(Into::into),
        redirect_to: draft.redirect_to.map(Into::into),
    };
    let request = sent.request(member.user().as_str());
    let asked = (id.clone(), answer);
    let done = member.app.answer_escalation(member.writer(), member.user(), asked, request).await?;
    Ok(Done::new(&done, &EscalationView::find(&done.world.state, &id)?))
}

/// `POST /api/v1/escalations/{escalationId}/cancel`: it does not matter any more.
pub(super) async fn cancel_escalation(
    member: Member<AnswerAgents>,
    Path(id): Path<EscalationId>,
    sent: Sent<Optional<CancelDraft>>,
) -> Result<Done<EscalationView>, Problem> {
    let reason = sent.json()?.reason.map(Into::into);
    let command = EscalationCommand::Cancel { escalation: id.clone(), reason };
    let done = member.execute(command, &sent).await?;
    Ok(Done::new(&done, &EscalationView::find(&done.world.state, &id)?))
}
