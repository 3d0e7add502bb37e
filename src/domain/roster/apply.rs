//! Who is there after a fact.

use super::{Agent, AgentFacts, AgentRole, Crew, Member, Opened, Role, Roster, RosterEvent};
use crate::{AgentId, CrewId, Entry, Workspace};

impl Workspace {
    pub(crate) fn apply_roster(&mut self, event: &RosterEvent, entry: &Entry) {
        self.roster.apply(event, entry);
        if let RosterEvent::CrewDeleted(_) = event {
            self.forget_missions_of(&(&*entry.subject).into());
        }
    }

    /// A deleted crew's missions and their checkpoints answer 404; the journal keeps both (`journal.md` 5.7).
    fn forget_missions_of(&mut self, crew: &CrewId) {
        let gone: Vec<_> = self
            .missions
            .values()
            .filter(|mission| mission.crew_id == *crew)
            .map(|mission| mission.id.clone())
            .collect();
        for mission in gone {
            self.missions.remove(&mission);
            self.forget_checkpoints_of(mission.as_str());
        }
    }
}

impl Roster {
    fn apply(&mut self, event: &RosterEvent, entry: &Entry) {
        let subject = &*entry.subject;
        match event {
            RosterEvent::WorkspaceOpened(workspace) => {
                let (name, slug) = (workspace.name.clone(), workspace.slug.clone());
                self.opened = Some(Opened { name, slug, at: entry.time });
            }
            RosterEvent::MemberAdded(added) => {
                let member = Member {
                    id: added.member_id.clone(),
                    user: subject.into(),
                    role: added.role,
                    created_at: entry.time,
                    updated_at: entry.time,
                    born: entry.offset,
                };
                self.members.insert(member.user.clone(), member);
            }
            RosterEvent::MemberRemoved(_) => {
                self.members.remove(subject);
            }
            RosterEvent::MemberRoleChanged(changed) => self.change_role(changed.to, entry),
            RosterEvent::CrewCreated(created) => {
                let crew = Crew {
                    id: subject.into(),
                    facts: created.crew.clone(),
                    created_at: entry.time,
                    updated_at: entry.time,
                    deleted_at: None,
                    born: entry.offset,
                };
                self.crew_slugs.insert(crew.facts.slug.clone(), crew.id.clone());
                self.crews.insert(crew.id.clone(), crew);
            }
            RosterEvent::CrewUpdated(updated) => {
                if let Some(crew) = self.crews.get_mut(subject) {
                    self.crew_slugs.remove(&crew.facts.slug);
                    self.crew_slugs.insert(updated.crew.slug.clone(), crew.id.clone());
                    crew.facts = updated.crew.clone();
                    crew.updated_at = entry.time;
                }
            }
            RosterEvent::CrewDeleted(_) => self.delete_crew(entry),
            RosterEvent::AgentCreated(created) => {
                let agent = Agent {
                    id: subject.into(),
                    facts: created.agent.clone(),
                    created_by: created.created_by.clone(),
                    created_at: entry.time,
                    updated_at: entry.time,
                    deleted_at: None,
                    born: entry.offset,
                };
                self.index_agent(&agent.id, &agent.facts);
                self.agents.insert(agent.id.clone(), agent);
            }
            RosterEvent::AgentUpdated(updated) => self.update_agent(&updated.agent, entry),
            RosterEvent::AgentDeleted(_) => self.delete_agent(&subject.into(), entry),
        }
    }

    fn change_role(&mut self, role: Role, entry: &Entry) {
        if let Some(member) = self.members.get_mut(&*entry.subject) {
            (member.role, member.updated_at) = (role, entry.time);
        }
    }

    fn delete_crew(&mut self, entry: &Entry) {
        let Some(crew) = self.crews.get_mut(&*entry.subject) else { return };
        crew.deleted_at = Some(entry.time);
        let crew = crew.clone();
        self.crew_slugs.remove(&crew.facts.slug);
        let members = self.agents.values().filter(|agent| agent.facts.crew_id.as_ref() == Some(&crew.id));
        let members: Vec<AgentId> =
            members.filter(|agent| agent.deleted_at.is_none()).map(|agent| agent.id.clone()).collect();
        members.iter().for_each(|agent| self.delete_agent(agent, entry));
    }

    fn update_agent(&mut self, facts: &AgentFacts, entry: &Entry) {
        let Some(agent) = self.agents.get_mut(&*entry.subject) else { return };
        let before = std::mem::replace(&mut agent.facts, facts.clone());
        agent.updated_at = entry.time;
        let id = agent.id.clone();
        self.unindex_agent(&id, &before);
        self.index_agent(&id, facts);
    }

    fn delete_agent(&mut self, id: &AgentId, entry: &Entry) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.deleted_at = Some(entry.time);
        let facts = agent.facts.clone();
        self.unindex_agent(id, &facts);
    }

    fn index_agent(&mut self, id: &AgentId, facts: &AgentFacts) {
        self.agent_slugs.insert(facts.slug.clone(), id.clone());
        if let (AgentRole::Lead, Some(crew)) = (facts.agent_role, &facts.crew_id) {
            self.leads.insert(crew.clone(), id.clone());
        }
    }

    fn unindex_agent(&mut self, id: &AgentId, facts: &AgentFacts) {
        self.agent_slugs.remove(&facts.slug);
        if let Some(crew) = facts.crew_id.as_ref().filter(|crew| self.leads.get(*crew) == Some(id)) {
            self.leads.remove(crew);
        }
    }
}
