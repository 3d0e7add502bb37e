//! An issue begins (`issues.md` 4, 6.3).

use serde_json::json;

use super::fields::{date, inputs_without_routine, priority, routine_inputs, title};
use super::{IssueCreated, IssueDraft, IssueFacts, Party, via};
use crate::approval::Held;
use crate::roster::{Autonomy, Crew, Ruling, Wished};
use crate::unfolding::Unfolding;
use crate::{Actor, AgentId, CrewId, Draft, Face, MissionId, Rejection, Severity, Text, Workspace};

/// What the two ways to create an issue call a crew that nobody leads (`issues.md` 6.3, 19).
#[derive(Clone, Copy)]
pub(super) enum Door {
    Public,
    Agents,
}

impl Door {
    fn no_lead(self) -> Rejection {
        let detail = match self {
            Self::Public => "Crew has no lead agent",
            Self::Agents => "Crew has no LEAD agent",
        };
        Rejection::invalid("issue.no_lead", detail)
    }
}

/// Who created an issue, and how.
pub(crate) struct Origin {
    pub(crate) author: Option<Party>,
    pub(crate) via: &'static str,
}

impl Origin {
    pub(crate) fn of(actor: &Actor) -> Self {
        match actor {
            Actor::User(user) => Self { author: Some(Party::user(user)), via: via::USER_API },
            Actor::Agent(agent) => Self { author: Some(Party::agent(agent)), via: via::AGENT_TOOL_CALL },
            Actor::Orchestrator | Actor::System => Self { author: None, via: via::USER_API },
        }
    }
}

impl Workspace {
    pub(super) fn require_crew(&self, crew: &CrewId) -> Result<&Crew, Rejection> {
        let found = self.roster.live_crew(crew.as_str());
        found.ok_or_else(|| Rejection::not_found("crew.not_found", "Crew not found"))
    }

    pub(crate) fn live_lead(&self, crew: &CrewId) -> Option<AgentId> {
        let lead = self.roster.leads.get(crew)?;
        self.roster.live_agent(lead.as_str()).map(|lead| lead.id.clone())
    }

    /// The identifier that the next issue of a crew gets. One allocator for all who create: it stands in
    /// the same state that the creation changes, so no two get the same.
    pub(super) fn next_identifier(&self, crew: &CrewId) -> (Text, u64) {
        let crew = self.roster.crews.get(crew);
        let prefix = crew.map(|crew| crew.facts.effective_issue_prefix()).unwrap_or_default();
        let number = self.issues.counters.get(&prefix).copied().unwrap_or_default() + 1;
        (format!("{prefix}-{number}").into(), number)
    }

    fn facts_of_draft(&self, draft: &IssueDraft) -> Result<IssueFacts, Rejection> {
        let mut facts = IssueFacts::default();
        if let Some(word) = draft.priority.as_deref().filter(|word| !word.is_empty()) {
            facts.priority = priority(word)?;
        }
        if let Some(day) = draft.due_date.as_deref().filter(|day| !day.is_empty()) {
            facts.due_date = Some(date("due_date", day)?);
        }
        let inputs = draft.routine_inputs.as_ref().filter(|inputs| !inputs.is_null());
        let routine = draft.routine_id.as_deref().filter(|id| !id.is_empty());
        match (routine, inputs) {
            (None, Some(_)) => return Err(inputs_without_routine()),
            (Some(routine), inputs) => {
                facts.routine_id = self.routine_ref(routine)?;
                facts.routine_inputs = inputs.map_or(Ok(facts.routine_inputs), routine_inputs)?;
            }
            (None, None) => {}
        }
        facts.assignee =
            self.assignee_of_draft(draft.assignee_type.as_deref(), draft.assignee_id.as_deref())?;
        facts.parent_issue_id = self.parent_ref(draft.parent_issue_id.as_deref().unwrap_or_default())?;
        facts.project_id = self.project_ref(draft.project_id.as_deref().unwrap_or_default())?;
        facts.milestone_id = self.milestone_ref(draft.milestone_id.as_deref().unwrap_or_default())?;
        self.agree_on_project(&mut facts, true)?;
        facts.labels = self.label_refs(draft.labels.as_deref().unwrap_or_default())?;
        facts.estimate = draft.estimate;
        Ok(facts)
    }

    /// All that a draft has to satisfy, in the order of the page.
    pub(super) fn created_of_draft(
        &self,
        crew: &CrewId,
        draft: &IssueDraft,
        door: Door,
        origin: Origin,
        trace_id: Text,
    ) -> Result<IssueCreated, Rejection> {
        let title = title(draft.title.as_deref())?;
        let found = self.require_crew(crew)?;
        let lead_agent_id = self.live_lead(&found.id).ok_or_else(|| door.no_lead())?;
        let facts = self.facts_of_draft(draft)?;
        let (identifier, number) = self.next_identifier(&found.id);
        Ok(IssueCreated {
            identifier,
            number,
            crew_id: found.id.clone(),
            lead_agent_id,
            trace_id,
            title,
            description: draft.description.as_deref().map(Into::into),
            facts: facts.into(),
            author: origin.author,
            authored_via: origin.via.into(),
            imported: None,
        })
    }
}

impl Unfolding<'_> {
    /// One batch: number, issue and its first line of activity.
    pub(super) fn create_issue(
        &mut self,
        crew: &CrewId,
        draft: &IssueDraft,
        door: Door,
        origin: Origin,
    ) -> Result<MissionId, Rejection> {
        let trace = format!("issue-{}", self.context.mint.cuid()).into();
        let created = self.state.created_of_draft(crew, draft, door, origin, trace)?;
        Ok(self.add_issue(created))
    }

    /// What a template or a routine's step creates: on whose behalf is said, not asked.
    pub(crate) fn create_issue_for(
        &mut self,
        crew: &CrewId,
        draft: &IssueDraft,
        origin: Origin,
    ) -> Result<MissionId, Rejection> {
        self.create_issue(crew, draft, Door::Public, origin)
    }

    pub(super) fn add_issue(&mut self, created: IssueCreated) -> MissionId {
        let id = MissionId::from(self.context.mint.cuid());
        let activity = self.context.entry_id(self.next());
        let actor = match &created.author {
            Some(author) => author.as_actor(),
            None => Actor::System,
        };
        let face = created.face(&id, activity, &actor);
        self.add(Draft::public(id.as_str(), created, face));
        id
    }

    /// An agent creates an issue, if its crew's policy lets it (`periphery.md` 7).
    pub(super) fn propose_issue(&mut self, crew: &CrewId, draft: &IssueDraft) -> Result<(), Rejection> {
        let autonomy = self.state.roster.crews.get(crew).map(|crew| crew.policy.autonomy).unwrap_or_default();
        let ruling = autonomy.ruling(Wished::Issue);
        // Whoever comes through the agents' door is no person, named or not.
        let origin = Origin { via: via::AGENT_TOOL_CALL, ..Origin::of(self.context.actor) };
        let id = self.create_issue(crew, draft, Door::Agents, origin)?;
        if ruling == Ruling::Held {
            let reason = "The crew's policy holds issues of agents until a person approves them".to_owned();
            self.hold(Held::Issue { issue_id: id.clone() }, reason, Some(crew));
        }
        self.audit_issue(&id, crew, ruling, autonomy);
        Ok(())
    }

    fn audit_issue(&mut self, id: &MissionId, crew: &CrewId, ruling: Ruling, autonomy: Autonomy) {
        let title = self.state.issues.all.get(id).map(|issue| issue.title.clone()).unwrap_or_default();
        let metadata = json!({
            "decision": ruling, "autonomy_level": autonomy, "policy_action": "issue_write",
            "policy_crew_id": crew, "title": title, "crew_id": crew,
            "pending_review": ruling == Ruling::Held,
        });
        let payload = json!({
            "action": "issue.created", "entity_type": "ISSUE", "entity_id": id, "metadata": metadata,
        });
        let face = Face {
            severity: Severity::Notice,
            crew_id: Some(crew.clone()),
            payload: payload.into(),
            refs: json!({ "entity_type": "ISSUE", "entity_id": id }).into(),
            ..Face::new("audit.entity_created", self.context.actor, "issue created", &title)
        };
        self.add(Draft::shown(id.as_str(), face));
    }
}

impl Party {
    /// As whom it acts.
    #[must_use]
    pub fn as_actor(&self) -> Actor {
        match (self.as_user(), self.as_agent()) {
            (Some(user), _) => Actor::User(user),
            (_, Some(agent)) => Actor::Agent(agent),
            (None, None) => Actor::System,
        }
    }
}
