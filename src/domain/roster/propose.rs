//! Crews and agents that agents wish for: their crew's policy decides whether they are made, and whether
//! they are inert until a person has said yes (`platform.md` 8.3, `periphery.md` 7).

use serde_json::json;

use super::command::{SLUG_CHARS_MAX, slug_of};
use super::{
    AgentPatch, AgentStatus, Autonomy, BehaviorMode, Crew, CrewPatch, PolicyChanged, Ruling, Wished,
    agent_moved, policy_changed,
};
use crate::approval::Held;
use crate::unfolding::Unfolding;
use crate::{Actor, AgentId, Context, CrewId, Draft, Rejection, Workspace};

/// What rules over a wish.
#[derive(Clone, Copy)]
struct Rule<'a> {
    wished: Wished,
    /// Whose policy it is.
    crew: Option<&'a CrewId>,
    autonomy: Autonomy,
}

impl Rule<'_> {
    /// What becomes of the wish.
    ///
    /// # Errors
    /// The refusal of `platform.md` 8.3, with what the caller may want to know.
    fn ruling(&self) -> Result<Ruling, Rejection> {
        let ruling = self.autonomy.ruling(self.wished);
        if ruling == Ruling::Refused {
            let refused = Rejection::forbidden_because(
                "policy.rejected",
                format!("{} rejected by policy", self.wished),
            );
            return Err(refused.telling(json!({
                "reason": format!("autonomy_level {} does not allow {}", self.autonomy, self.wished),
                "crew_id": self.crew, "autonomy_level": self.autonomy, "policy_action": self.wished,
            })));
        }
        Ok(ruling)
    }

    /// The fact that something was made, with what ruled over it in its audit row.
    fn noted(&self, mut draft: Draft, ruling: Ruling) -> Draft {
        if let Some(face) = &mut draft.face {
            let metadata = json!({
                "decision": ruling, "autonomy_level": self.autonomy, "policy_action": self.wished,
                "policy_crew_id": self.crew, "pending_review": ruling == Ruling::Held,
            });
            face.payload = face.payload.with("metadata", metadata);
        }
        draft
    }

    fn reason(&self, name: &str) -> String {
        format!("An agent made {name:?}, which the crew's policy holds until a person has said yes")
    }
}

impl Workspace {
    /// A crew that is held is pinned to `strict` until its approval; one that is not takes over the level
    /// of the crew that made it.
    pub(super) fn propose_crew(
        &self,
        by: Option<&CrewId>,
        patch: &CrewPatch,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let by = by.and_then(|by| self.roster.live_crew(by.as_str())).or_else(|| self.crew_of(context.actor));
        let policy = by.map(|by| by.policy.clone()).unwrap_or_default();
        let rule = Rule { wished: Wished::Crew, crew: by.map(|by| &by.id), autonomy: policy.autonomy };
        let ruling = rule.ruling()?;
        let name = patch.name.as_deref().unwrap_or_default();
        let slug =
            patch.slug.clone().filter(|slug| !slug.is_empty()).unwrap_or_else(|| slug_of(name, "crew"));
        if self.roster.crew_slugs.contains_key(slug.as_str()) {
            let detail = format!("crew with slug '{slug}' already exists");
            return Err(Rejection::conflict("crew.slug_taken", detail));
        }
        let patch = CrewPatch {
            name: patch.name.clone(),
            slug: Some(slug),
            description: patch.description.clone(),
            icon: patch.icon.clone(),
            color: patch.color.clone(),
            ..CrewPatch::default()
        };
        let mut unfolding = Unfolding::of(self, context);
        for created in self.create_crew(&patch, context)? {
            let crew = CrewId::from(&*created.subject);
            unfolding.add(rule.noted(created, ruling));
            let (autonomy, behavior) = match ruling {
                Ruling::Held => (Autonomy::Strict, BehaviorMode::default()),
                _ => (policy.autonomy, policy.behavior),
            };
            let changed = PolicyChanged { autonomy, behavior, reason: None };
            unfolding.add(policy_changed(&crew, changed, context.actor));
            if ruling == Ruling::Held {
                let (autonomy, behavior) = (policy.autonomy, policy.behavior);
                unfolding.hold(
                    Held::Crew { crew_id: crew, autonomy, behavior },
                    rule.reason(name),
                    rule.crew,
                );
            }
        }
        Ok(unfolding.finish())
    }

    /// The stricter of two policies rules: that of the agent's own crew, and that of the crew it wishes the
    /// new one into.
    pub(super) fn propose_agent(
        &self,
        crew: &CrewId,
        patch: &AgentPatch,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let joins = self.crew(crew.as_str())?;
        let own = self.crew_of(context.actor);
        let stricter = own.filter(|own| own.policy.autonomy < joins.policy.autonomy).unwrap_or(joins);
        let autonomy = stricter.policy.autonomy;
        let rule = Rule { wished: Wished::Agent, crew: Some(&stricter.id), autonomy };
        let ruling = rule.ruling()?;
        let name = patch.name.as_deref().unwrap_or_default();
        let ending = format!("-{}", joins.facts.slug);
        let room = SLUG_CHARS_MAX.saturating_sub(ending.len());
        let made = || slug_of(name, "agent").chars().take(room).collect();
        let stem: String = patch.slug.clone().filter(|slug| !slug.is_empty()).unwrap_or_else(made);
        let slug = format!("{stem}{ending}");
        if self.roster.agent_slugs.contains_key(slug.as_str()) {
            let detail = format!("agent with slug '{slug}' already exists");
            return Err(Rejection::conflict("agent.slug_taken", detail));
        }
        let patch = AgentPatch { slug: Some(slug), crew_id: Some(Some(crew.to_string())), ..patch.clone() };
        let mut unfolding = Unfolding::of(self, context);
        for created in self.create_agent(&patch, context)? {
            let agent = AgentId::from(&*created.subject);
            unfolding.add(rule.noted(created, ruling));
            if ruling == Ruling::Held {
                unfolding.move_agent(&agent, AgentStatus::PendingReview);
                unfolding.hold(Held::Agent { agent_id: agent }, rule.reason(name), rule.crew);
            }
        }
        Ok(unfolding.finish())
    }
}

impl Workspace {
    /// The crew of the agent that acts.
    fn crew_of(&self, actor: &Actor) -> Option<&Crew> {
        let Actor::Agent(agent) = actor else { return None };
        self.roster.live_crew(self.roster.live_agent(agent.as_str())?.facts.crew_id.as_ref()?.as_str())
    }
}

impl Unfolding<'_> {
    /// An agent does something else now, unless it does so already.
    pub(crate) fn move_agent(&mut self, id: &AgentId, to: AgentStatus) {
        let Some(agent) = self.state.roster.live_agent(id.as_str()).filter(|agent| agent.status != to) else {
            return;
        };
        let draft = agent_moved(agent, to, self.context.actor);
        self.add(draft);
    }
}
