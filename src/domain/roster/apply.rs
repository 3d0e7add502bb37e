//! Who is there after a fact.

use super::{
    Agent, AgentChanges, AgentFacts, AgentRole, AgentStatus, Connection, Crew, CrewMember, CrewMemberAdded,
    Member, Opened, Policy, Role, Roster, RosterEvent,
};
use crate::{AgentId, CrewId, CrewMemberId, Entry, UserId, Workspace};

impl Workspace {
    pub(crate) fn apply_roster(&mut self, event: &RosterEvent, entry: &Entry) {
        self.roster.apply(event, entry);
        if let RosterEvent::CrewDeleted(_) = event {
            let crew = (&*entry.subject).into();
            self.forget_missions_of(&crew);
            let issues = self.issues.forget_crew(&crew);
            issues.iter().for_each(|issue| self.forget_checkpoints_of(issue));
        }
    }

    /// A deleted crew's missions and their checkpoints answer 404; the journal keeps both (`journal.md` 5.7).
    fn forget_missions_of(&mut self, crew: &CrewId) {
        let gone: Vec<_> = self.missions_of(crew).cloned().collect();
        gone.iter().for_each(|mission| self.forget_mission(mission));
    }
}

impl Roster {
    fn apply(&mut self, event: &RosterEvent, entry: &Entry) {
        let subject = &*entry.subject;
        match event {
            RosterEvent::WorkspaceOpened(workspace) => {
                self.opened = Some(Opened {
                    id: subject.into(),
                    name: workspace.name.clone(),
                    slug: workspace.slug.clone(),
                    preferred_language: workspace.preferred_language.clone(),
                    at: entry.time,
                    changed: entry.offset,
                });
            }
            RosterEvent::MemberAdded(added) => {
                let member = Member {
                    id: added.member_id.clone(),
                    user: subject.into(),
                    role: added.role,
                    capabilities: None,
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
                let user = UserId::from(subject);
                self.leave_crews(|(_, member)| *member == user);
            }
            RosterEvent::MemberRoleChanged(changed) => self.change_role(changed.to, entry),
            RosterEvent::CapabilitiesChanged(changed) => {
                if let Some(member) = self.members.get_mut(subject) {
                    member.capabilities.clone_from(&changed.to);
                    member.updated_at = entry.time;
                }
            }
            RosterEvent::CrewCreated(created) => {
                let crew = Crew {
                    id: subject.into(),
                    facts: (*created.crew).clone(),
                    policy: Policy::default(),
                    created_at: entry.time,
                    updated_at: entry.time,
                    deleted_at: None,
                    born: entry.offset,
                    changed: entry.offset,
                };
                self.crew_slugs.insert(crew.facts.slug.clone(), crew.id.clone());
                self.crews.insert(crew.id.clone(), crew);
            }
            RosterEvent::CrewUpdated(updated) => {
                if let Some(crew) = self.crews.get_mut(subject) {
                    self.crew_slugs.remove(&crew.facts.slug);
                    crew.facts.change(&updated.changes);
                    self.crew_slugs.insert(crew.facts.slug.clone(), crew.id.clone());
                    (crew.updated_at, crew.changed) = (entry.time, entry.offset);
                }
            }
            RosterEvent::PolicyChanged(changed) => {
                if let Some(crew) = self.crews.get_mut(subject) {
                    crew.policy = Policy {
                        autonomy: changed.autonomy,
                        behavior: changed.behavior,
                        set_by: entry.actor.user().cloned(),
                        set_at: Some(entry.time),
                        reason: changed.reason.clone(),
                    };
                }
            }
            RosterEvent::CrewDeleted(_) => self.delete_crew(entry),
            RosterEvent::AgentCreated(created) => {
                let agent = Agent {
                    id: subject.into(),
                    facts: (*created.agent).clone(),
                    status: AgentStatus::Idle,
                    webhook_secret: None,
                    created_by: created.created_by.clone(),
                    created_at: entry.time,
                    updated_at: entry.time,
                    deleted_at: None,
                    born: entry.offset,
                    changed: entry.offset,
                };
                self.index_agent(&agent.id, &agent.facts);
                self.agents.insert(agent.id.clone(), agent);
            }
            RosterEvent::AgentUpdated(updated) => self.update_agent(&updated.changes, entry),
            RosterEvent::AgentDeleted(_) => self.delete_agent(&subject.into(), entry),
            RosterEvent::AgentStatusChanged(moved) => {
                self.change_agent(entry, |agent| agent.status = moved.to);
            }
            RosterEvent::WebhookSecretRotated(rotated) => {
                self.change_agent(entry, |agent| agent.webhook_secret = Some(rotated.secret_id.clone()));
            }
            RosterEvent::CrewMemberAdded(added) => self.add_crew_member(added, entry),
            RosterEvent::CrewMemberRoleChanged(changed) => {
                let key = self.crew_seat(&subject.into(), &changed.member_id);
                if let Some(member) = key.and_then(|key| self.crew_members.get_mut(&key)) {
                    member.role = changed.to;
                }
            }
            RosterEvent::CrewMemberRemoved(removed) => {
                let key = self.crew_seat(&subject.into(), &removed.member_id);
                key.into_iter().for_each(|key| drop(self.crew_members.remove(&key)));
            }
            RosterEvent::CrewsConnected(connected) => {
                let link = Connection {
                    id: subject.into(),
                    from: connected.from_crew_id.clone(),
                    to: connected.to_crew_id.clone(),
                    direction: connected.direction,
                    created_at: entry.time,
                    born: entry.offset,
                };
                self.connections.insert(link.id.clone(), link);
            }
            RosterEvent::CrewsDisconnected(_) => drop(self.connections.remove(subject)),
        }
    }

    fn add_crew_member(&mut self, added: &CrewMemberAdded, entry: &Entry) {
        let member = CrewMember {
            id: added.member_id.clone(),
            user: added.user_id.clone(),
            role: added.role,
            created_at: entry.time,
            born: entry.offset,
        };
        self.crew_members.insert(((&*entry.subject).into(), added.user_id.clone()), member);
    }

    /// Where a row of a crew's members stands.
    fn crew_seat(&self, crew: &CrewId, row: &CrewMemberId) -> Option<(CrewId, UserId)> {
        let member = self.members_of(crew).find(|member| member.id == *row)?;
        Some((crew.clone(), member.user.clone()))
    }

    /// Some people leave some crews.
    fn leave_crews(&mut self, leaves: impl Fn(&(CrewId, UserId)) -> bool) {
        let gone: Vec<_> = self.crew_members.keys().filter(|key| leaves(key)).cloned().collect();
        gone.iter().for_each(|key| drop(self.crew_members.remove(key)));
    }

    fn change_agent(&mut self, entry: &Entry, change: impl FnOnce(&mut Agent)) {
        if let Some(agent) = self.agents.get_mut(&*entry.subject) {
            change(agent);
            (agent.updated_at, agent.changed) = (entry.time, entry.offset);
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
        self.leave_crews(|(of, _)| *of == crew.id);
        let is_gone = |link: &&Connection| link.from == crew.id || link.to == crew.id;
        let links: Vec<_> = self.connections.values().filter(is_gone).map(|link| link.id.clone()).collect();
        links.iter().for_each(|link| drop(self.connections.remove(link)));
    }

    fn update_agent(&mut self, changes: &AgentChanges, entry: &Entry) {
        let Some(agent) = self.agents.get_mut(&*entry.subject) else { return };
        let before = agent.facts.clone();
        agent.facts.change(changes);
        (agent.updated_at, agent.changed) = (entry.time, entry.offset);
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
