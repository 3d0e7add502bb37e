//! Who is there after a fact.

use super::{Agent, AgentChanges, AgentFacts, AgentRole, Crew, Member, Opened, Role, Roster, RosterEvent};
use crate::index::under;
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
        let gone: Vec<_> = under(&self.missions_by_crew, crew).cloned().collect();
        gone.iter().for_each(|mission| self.forget_mission(mission));
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
                self.member_rows.insert(member.id.clone(), member.user.clone());
                self.members.insert(member.user.clone(), member);
            }
            RosterEvent::MemberRemoved(removed) => {
                self.member_rows.remove(&removed.member_id);
                self.members.remove(subject);
            }
            RosterEvent::MemberRoleChanged(changed) => self.change_role(changed.to, entry),
            RosterEvent::CrewCreated(created) => {
                let crew = Crew {
                    id: subject.into(),
                    facts: (*created.crew).clone(),
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
                    crew.facts.change(&updated.changes);
                    self.crew_slugs.insert(crew.facts.slug.clone(), crew.id.clone());
                    crew.updated_at = entry.time;
                }
            }
            RosterEvent::CrewDeleted(_) => self.delete_crew(entry),
            RosterEvent::AgentCreated(created) => {
                let agent = Agent {
                    id: subject.into(),
                    facts: (*created.agent).clone(),
                    created_by: created.created_by.clone(),
                    created_at: entry.time,
                    updated_at: entry.time,
                    deleted_at: None,
                    born: entry.offset,
                };
                self.index_agent(&agent.id, &agent.facts);
                self.agents.insert(agent.id.clone(), agent);
            }
            RosterEvent::AgentUpdated(updated) => self.update_agent(&updated.changes, entry),
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
        let agents: Vec<AgentId> = self.agents_in(&crew.id).cloned().collect();
        agents.iter().for_each(|agent| self.delete_agent(agent, entry));
    }

    fn update_agent(&mut self, changes: &AgentChanges, entry: &Entry) {
        let Some(agent) = self.agents.get_mut(&*entry.subject) else { return };
        let before = agent.facts.clone();
        agent.facts.change(changes);
        agent.updated_at = entry.time;
        let (id, after) = (agent.id.clone(), agent.facts.clone());
        self.unindex_agent(&id, &before);
        self.index_agent(&id, &after);
    }

    fn delete_agent(&mut self, id: &AgentId, entry: &Entry) {
        let Some(agent) = self.agents.get_mut(id) else { return };
        agent.deleted_at = Some(entry.time);
        let facts = agent.facts.clone();
        self.unindex_agent(id, &facts);
    }

    fn index_agent(&mut self, id: &AgentId, facts: &AgentFacts) {
        self.agent_slugs.insert(facts.slug.clone(), id.clone());
        let Some(crew) = &facts.crew_id else { return };
        self.agents_by_crew.insert((crew.clone(), id.clone()));
        if facts.agent_role == AgentRole::Lead {
            self.leads.insert(crew.clone(), id.clone());
        }
    }

    fn unindex_agent(&mut self, id: &AgentId, facts: &AgentFacts) {
        self.agent_slugs.remove(&facts.slug);
        let Some(crew) = &facts.crew_id else { return };
        self.agents_by_crew.remove(&(crew.clone(), id.clone()));
        if self.leads.get(crew) == Some(id) {
            self.leads.remove(crew);
        }
    }
}
