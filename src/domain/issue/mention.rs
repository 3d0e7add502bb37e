//! Agents that a comment names are called (`issues.md` 13): `[@name](crewship:agent/<id>)`.

use std::collections::BTreeSet;
use std::sync::Arc;

use pulldown_cmark::{Event as Markdown, LinkType, Parser, Tag, TagEnd};
use serde_json::json;

use super::{Action, Comment, Issue, Mentioned};
use crate::approval::Held;
use crate::entry::words;
use crate::roster::{AgentStatus, Ruling, Wished};
use crate::unfolding::Unfolding;
use crate::work::{Assignment, AssignmentFacts, AssignmentStatus, Purpose};
use crate::{AgentId, AssignmentId, CommentId, Draft, Workspace};

/// Most agents that one comment calls.
const MENTIONS_MAX: usize = 10;
/// Most of them that are given work at once: the instance's `delegation.max_fanout`.
const FANOUT_MAX: usize = 8;
/// How far a call may lead to further ones: the instance's `delegation.max_depth`.
const DEPTH_MAX: usize = 2;
const LABEL_CHARS_MAX: usize = 80;
const ID_BYTES_MAX: usize = 64;
const SCHEME: &str = "crewship:agent/";
/// Most of an answer that becomes a comment.
pub(super) const ANSWER_CHARS_MAX: usize = 8_000;

words! {
    /// What became of a call.
    MentionState {
        /// The agent was given work.
        #[default]
        Dispatched = "dispatched",
        /// It may not be given any.
        Refused = "refused",
        /// Nobody calls themselves.
        Skipped = "skipped",
        /// It will be given work once a person has said yes: the crew's policy holds what agents hand on.
        Held = "held",
    }
}

/// The agents that a text calls, each once, in its order. Code is never a call.
pub(super) fn agents_in(markdown: &str) -> Vec<AgentId> {
    let mut seen = BTreeSet::new();
    let mut found = vec![];
    let mut link: Option<(AgentId, String)> = None;
    for event in Parser::new(markdown) {
        match event {
            Markdown::Start(Tag::Link { link_type, dest_url, .. }) => {
                let is_link = !matches!(link_type, LinkType::Autolink | LinkType::Email);
                link = agent_named(&dest_url).filter(|_| is_link).map(|agent| (agent, String::new()));
            }
            Markdown::Text(text) => link.iter_mut().for_each(|(_, label)| label.push_str(&text)),
            Markdown::End(TagEnd::Link) => {
                if let Some((agent, label)) = link.take()
                    && label.starts_with('@')
                    && label.chars().count() <= LABEL_CHARS_MAX
                    && seen.insert(agent.clone())
                {
                    found.push(agent);
                }
            }
            _ => {}
        }
    }
    found
}

fn agent_named(url: &str) -> Option<AgentId> {
    let id = url.strip_prefix(SCHEME)?;
    let is_id = (1..=ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    is_id.then(|| id.into())
}

impl Workspace {
    /// Whether a person has to say yes to what an agent hands on: its own crew's policy rules, or the
    /// issue's, whichever is stricter.
    fn is_held_by_policy(&self, issue: &Issue, by: &AgentId) -> bool {
        let own = self.roster.live_agent(by.as_str()).and_then(|agent| agent.facts.crew_id.as_ref());
        let crews = own.into_iter().chain([&issue.crew_id]);
        let mut policies = crews.filter_map(|crew| self.roster.crews.get(crew)).map(|crew| &crew.policy);
        policies.any(|policy| policy.autonomy.ruling(Wished::Assignment) == Ruling::Held)
    }

    /// How many calls led to what an agent does now.
    fn depth_of(&self, agent: &AgentId) -> usize {
        let mut caller = Some(agent.clone());
        let mut depth = 0;
        while depth <= DEPTH_MAX
            && let Some(agent) = caller
        {
            let answers = |found: &&Arc<Assignment>| {
                found.facts.purpose == Purpose::Mention
                    && found.status == AssignmentStatus::Running
                    && found.facts.assigned_to == agent
            };
            let Some(call) = self.work.live().find(answers) else { break };
            depth += 1;
            caller = call.facts.assigned_by.clone();
        }
        depth
    }
}

impl Unfolding<'_> {
    /// Calls everybody a comment names. Who is not of this workspace is not told from nobody.
    pub(super) fn mention_all(&mut self, issue: &Arc<Issue>, comment: &CommentId) {
        let Some(said) = self.state.issues.comments.get(comment).cloned() else { return };
        let named = agents_in(&said.body);
        let is_too_many = named.len() > MENTIONS_MAX;
        let mut undelivered = vec![];
        let mut dispatched = 0;
        for agent in named.into_iter().take(MENTIONS_MAX) {
            if self.state.roster.live_agent(agent.as_str()).is_none() {
                continue;
            }
            let may = dispatched < FANOUT_MAX;
            match self.mention(issue, &said, &agent, may) {
                MentionState::Dispatched | MentionState::Held => dispatched += 1,
                MentionState::Refused => undelivered.push(agent),
                MentionState::Skipped => {}
            }
        }
        if (is_too_many || !undelivered.is_empty())
            && let Some(author) = said.author.as_user()
        {
            let title = format!("Not everybody you mentioned on {} was called", issue.identifier);
            let payload = json!({
                "target_user_id": author, "title": title, "comment_id": comment,
                "agent_ids": undelivered, "overflow": is_too_many,
            });
            self.tell_people(issue, &title, payload);
        }
    }

    /// Whoever said it calls, though a step of a routine may have said it for them.
    fn mention(&mut self, issue: &Arc<Issue>, said: &Comment, agent: &AgentId, may: bool) -> MentionState {
        let (actor, by) = (said.author.as_actor(), said.author.as_agent());
        let state = match &by {
            Some(by) if by == agent => MentionState::Skipped,
            Some(by) if self.state.depth_of(by) >= DEPTH_MAX => MentionState::Refused,
            // An agent calls nobody to what it may not begin itself.
            Some(_) if self.state.refuse_held_issue(&issue.id).is_err() => MentionState::Refused,
            _ if !may || !self.may_be_called(issue, agent) => MentionState::Refused,
            Some(by) if self.state.is_held_by_policy(issue, by) => MentionState::Held,
            _ => MentionState::Dispatched,
        };
        let is_work = matches!(state, MentionState::Dispatched | MentionState::Held);
        let assignment = is_work.then(|| AssignmentId::from(self.context.mint.cuid()));
        let mentioned = Mentioned {
            comment_id: said.id.clone(),
            agent_id: agent.clone(),
            dispatch_state: state,
            assignment_id: assignment.clone(),
        };
        self.add(Draft::internal(issue.id.as_str(), mentioned));
        self.note_issue(issue, &Action::Mentioned(agent.as_str().into()), &actor);
        if let Some(assignment) = assignment {
            let crew = self.state.roster.live_agent(agent.as_str()).and_then(|a| a.facts.crew_id.clone());
            let facts = AssignmentFacts {
                purpose: Purpose::Mention,
                chat_id: issue.id.as_str().into(),
                crew_id: crew,
                mission_id: Some(issue.id.clone()),
                task_id: None,
                iteration: 1,
                assigned_by: by,
                assigned_to: agent.clone(),
                task: format!("Mentioned on {}: {}", issue.identifier, issue.title).into(),
                prompt: Some(said.body.clone()),
            };
            if state == MentionState::Held {
                let reason = "An agent mentions another one, which the crew's policy holds".to_owned();
                let held = Held::Assignment { assignment_id: assignment, assignment: facts.into() };
                self.hold(held, reason, Some(&issue.crew_id));
            } else {
                self.assign_as(assignment, facts, AssignmentStatus::Pending);
            }
        }
        state
    }

    fn may_be_called(&self, issue: &Issue, agent: &AgentId) -> bool {
        let Some(found) = self.state.roster.live_agent(agent.as_str()) else { return false };
        let Some(crew) = &found.facts.crew_id else { return false };
        found.status != AgentStatus::PendingReview
            && (*crew == issue.crew_id || self.state.hands_work(&issue.crew_id, crew))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_link_with_an_at_sign_outside_of_code_calls_an_agent() {
        let text = "Hi [@Ann](crewship:agent/a1), `[@Bob](crewship:agent/b1)` and [Cy](crewship:agent/c1)\n\n\
                    ```\n[@Dan](crewship:agent/d1)\n```\n[@Ann again](crewship:agent/a1) \
                    [@**Eve**](crewship:agent/e_1-x) [@Fred](crewship:agent/f%201) [@Gil](https://example.org)";
        let found: Vec<String> = agents_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a1", "e_1-x"]);
    }
}
