//! Who may ask, who may answer, and until when.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Escalation, EscalationCommand, EscalationEnded, EscalationRaised, EscalationStatus, EscalationType,
    Question, REDACTED_CREDENTIAL, Resolution, WAIT_SECONDS,
};
use crate::roster::Permission;
use crate::undertaking::Phase;
use crate::unfolding::Unfolding;
use crate::{
    Actor, AgentId, Context, CrewId, Draft, EscalationId, Face, MissionId, Rejection, Severity, Text, Time,
    Workspace,
};

/// How long people may answer: the spec leaves it open; a day, as for waitpoints (`periphery.md` 11).
const ANSWER_MS: u64 = 24 * 60 * 60 * 1_000;
const TEXT_CHARS_MAX: usize = 16_000;
const WORD_CHARS_MAX: usize = 64;

impl Workspace {
    pub(crate) fn decide_escalation(
        &self,
        command: &EscalationCommand,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        self.roster.require(context.actor, Permission::Create)?;
        let mut unfolding = Unfolding::of(self, context);
        match command {
            EscalationCommand::Raise(question) => unfolding.escalate(question)?,
            EscalationCommand::Resolve { escalation, answer } => {
                let found = self.open_escalation(escalation)?;
                let ended = self.resolution(found, answer, context)?;
                unfolding.end_escalation(found, ended, context.actor);
            }
            EscalationCommand::Cancel { escalation, reason } => {
                let found = self.open_escalation(escalation)?;
                let reason = reason.clone().filter(|reason| !reason.is_empty());
                let ended =
                    EscalationEnded { resolution: reason, ..ended(EscalationStatus::Cancelled, context) };
                unfolding.end_escalation(found, ended, context.actor);
            }
            EscalationCommand::Expire { escalation } => {
                let found = self.escalation(escalation)?;
                if found.ended.is_none() && context.now >= found.asked.answer_deadline_at {
                    let ended = ended(EscalationStatus::Expired, context);
                    unfolding.end_escalation(found, ended, context.actor);
                }
            }
        }
        Ok(unfolding.finish())
    }

    /// A question of this workspace's agents.
    ///
    /// # Errors
    /// `escalation not found`.
    pub fn escalation(&self, id: &EscalationId) -> Result<&Escalation, Rejection> {
        let found = self.escalations.all.get(id).map(|found| &**found);
        found.ok_or_else(|| Rejection::not_found("escalation.not_found", "escalation not found"))
    }

    fn open_escalation(&self, id: &EscalationId) -> Result<&Escalation, Rejection> {
        let found = self.escalation(id)?;
        if found.ended.is_some() {
            let detail = format!("escalation is not pending ({})", found.status());
            return Err(Rejection::conflict("escalation.not_pending", detail));
        }
        Ok(found)
    }

    fn resolution(
        &self,
        found: &Escalation,
        answer: &Resolution,
        context: &Context<'_>,
    ) -> Result<EscalationEnded, Rejection> {
        let is_secret = found.asked.escalation_type == EscalationType::Credential;
        if !is_secret && answer.text.trim().is_empty() {
            return Err(Rejection::invalid("escalation.resolution", "resolution is required"));
        }
        at_most("resolution", &answer.text, TEXT_CHARS_MAX)?;
        answer.action.as_deref().map_or(Ok(()), |action| at_most("action", action, WORD_CHARS_MAX))?;
        let redirect_to = answer.redirect_to.clone().filter(|slug| !slug.is_empty());
        if redirect_to.as_ref().is_some_and(|slug| !self.roster.agent_slugs.contains_key(slug)) {
            return Err(Rejection::invalid(
                "escalation.redirect_to",
                "redirect_to is no agent of this workspace",
            ));
        }
        Ok(EscalationEnded {
            resolution: Some(if is_secret { REDACTED_CREDENTIAL.into() } else { answer.text.clone() }),
            secret_id: answer.secret.clone().filter(|_| is_secret),
            action: answer.action.clone().filter(|action| !action.is_empty()),
            redirect_to,
            ..ended(EscalationStatus::Resolved, context)
        })
    }
}

impl Unfolding<'_> {
    fn escalate(&mut self, question: &Question) -> Result<(), Rejection> {
        if question.reason.trim().is_empty() {
            return Err(Rejection::invalid("escalation.reason", "reason is required"));
        }
        at_most("reason", &question.reason, TEXT_CHARS_MAX)?;
        question.context.as_deref().map_or(Ok(()), |context| at_most("context", context, TEXT_CHARS_MAX))?;
        let now = self.context.now.0;
        let raised = EscalationRaised {
            crew_id: question.crew.clone(),
            agent_id: question.agent.clone(),
            chat_id: question.chat.clone(),
            mission_id: Some(MissionId::from(question.chat.as_str()))
                .filter(|mission| self.state.undertaking(mission).is_some()),
            reason: question.reason.clone(),
            context: question.context.clone().filter(|context| !context.is_empty()),
            escalation_type: question.escalation_type,
            metadata: question.metadata.clone(),
            deadline_at: Time(now.saturating_add(WAIT_SECONDS * 1_000)),
            answer_deadline_at: Time(now.saturating_add(ANSWER_MS)),
        };
        let id = EscalationId::from(self.context.mint.cuid());
        let slug = self.state.roster.agents.get(&raised.agent_id).map(|agent| agent.facts.slug.clone());
        let payload = json!({
            "state": "pending", "reason": raised.reason, "context": raised.context,
            "escalation_type": raised.escalation_type, "metadata": raised.metadata, "from_slug": slug,
        });
        let actor = Actor::Agent(raised.agent_id.clone());
        let face = Face {
            severity: Severity::Warn,
            ..escalation_face(&id, &raised, payload, &actor, "escalated", &question.reason)
        };
        self.add(Draft::public(id.as_str(), raised, face));
        Ok(())
    }

    fn end_escalation(&mut self, found: &Escalation, ended: EscalationEnded, actor: &Actor) {
        let is_waiting = found.is_waited_for(self.context.now);
        let gave_up_at = (!is_waiting).then(|| found.asked.deadline_at.to_string());
        let word = ended.status.as_str().to_lowercase();
        let payload = json!({
            "state": word, "resolution": ended.resolution, "action": ended.action,
            "redirect_to": ended.redirect_to, "agent_still_waiting": is_waiting,
            "agent_gave_up_at": gave_up_at,
        });
        let face = Face {
            severity: Severity::Notice,
            ..escalation_face(&found.id, &found.asked, payload, actor, &word, &found.asked.reason)
        };
        self.add(Draft::public(found.id.as_str(), ended, face));
    }

    /// Nobody has to answer for a mission that is over, but to who is still at work there.
    pub(crate) fn withdraw_idle_escalations(&mut self, mission: &MissionId) {
        if self.state.undertaking(mission).is_none_or(|found| found.phase == Phase::Ended) {
            let live = self.state.work.live_of_mission(mission);
            let listening: BTreeSet<AgentId> = live.map(|found| found.facts.assigned_to.clone()).collect();
            self.withdraw_escalations("the mission is over", |asked| {
                asked.mission_id.as_ref() == Some(mission) && !listening.contains(&asked.agent_id)
            });
        }
    }

    /// Nobody has to answer an agent that does not work on this any more.
    pub(crate) fn withdraw_unheard_escalations(&mut self, mission: &MissionId) {
        let live = self.state.work.live_of_mission(mission);
        let listening: BTreeSet<AgentId> = live.map(|found| found.facts.assigned_to.clone()).collect();
        self.withdraw_escalations("nobody waits for the answer any more", |asked| {
            asked.mission_id.as_ref() == Some(mission) && !listening.contains(&asked.agent_id)
        });
    }

    /// A crew is gone, and with it those who asked.
    pub(crate) fn withdraw_escalations_of_crew(&mut self, crew: &CrewId) {
        let missions = self.state.missions.clone();
        let issues = self.state.issues.all.clone();
        self.withdraw_escalations("the crew was deleted", |asked| {
            let is_gone = |id: &MissionId| !missions.contains_key(id) && !issues.contains_key(id);
            asked.crew_id == *crew || asked.mission_id.as_ref().is_some_and(is_gone)
        });
    }

    fn withdraw_escalations(&mut self, why: &str, is_idle: impl Fn(&EscalationRaised) -> bool) {
        let open =
            self.state.escalations.open.iter().filter_map(|(_, id)| self.state.escalations.all.get(id));
        let own = open.filter(|found| is_idle(&found.asked));
        for found in own.cloned().collect::<Vec<_>>() {
            let text = Some(why.into());
            let ended = EscalationEnded {
                resolution: text,
                by: None,
                ..ended(EscalationStatus::Cancelled, self.context)
            };
            self.end_escalation(&found, ended, &Actor::Orchestrator);
        }
    }
}

fn ended(status: EscalationStatus, context: &Context<'_>) -> EscalationEnded {
    EscalationEnded {
        status,
        by: context.actor.user().cloned(),
        resolution: None,
        secret_id: None,
        action: None,
        redirect_to: None,
    }
}

fn escalation_face(
    id: &EscalationId,
    asked: &EscalationRaised,
    payload: Value,
    actor: &Actor,
    word: &str,
    details: &Text,
) -> Face {
    Face {
        crew_id: Some(asked.crew_id.clone()),
        agent_id: Some(asked.agent_id.clone()),
        mission_id: asked.mission_id.clone(),
        payload: payload.into(),
        refs: json!({ "escalation_id": id, "chat_id": asked.chat_id }).into(),
        ..Face::new("peer.escalation", actor, word, details)
    }
}

fn at_most(what: &str, text: &str, chars: usize) -> Result<(), Rejection> {
    if text.chars().count() <= chars {
        return Ok(());
    }
    Err(Rejection::invalid("escalation.too_long", format!("{what} must be at most {chars} characters")))
}
