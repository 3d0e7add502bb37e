//! The names in a file, read as those of this workspace, and the words of other trackers as ours.

use taffrail_domain::issue::{ImportedComment, ImportedIssue, IssueDraft, IssueStatus, Party, PartyType};
use taffrail_domain::{CrewId, Time, Workspace};

use super::{Portable, PortableComment};
use crate::http::time;

/// Reads names as those of this workspace.
pub(super) struct Names<'a> {
    state: &'a Workspace,
    /// What was named and is not here, and what was done instead.
    pub(super) unknown: Vec<String>,
}

impl<'a> Names<'a> {
    pub(super) fn of(state: &'a Workspace) -> Self {
        Self { state, unknown: vec![] }
    }
}

impl Names<'_> {
    /// An issue of a file, by the ids of this workspace.
    ///
    /// # Errors
    /// Why it cannot be read: a status, a routine or a time that is none.
    pub(super) fn read(&mut self, portable: Portable) -> Result<ImportedIssue, String> {
        let status = match portable.status.as_deref().filter(|word| !word.is_empty()) {
            None => IssueStatus::Backlog,
            Some(word) => status_of(word).ok_or_else(|| format!("unknown status {word:?}"))?,
        };
        let crew = self.crew(portable.crew.as_deref());
        let assignee = self.party(portable.assignee_type.as_deref(), portable.assignee.as_deref());
        if assignee.is_none() {
            self.miss("assignee", portable.assignee.as_deref(), "nobody is assigned");
        }
        let comments = portable.comments.into_iter().map(|comment| self.comment(comment));
        let comments = comments.collect::<Result<_, _>>()?;
        let draft = IssueDraft {
            title: Some(portable.title),
            description: portable.description,
            priority: portable.priority.map(|word| priority_of(&word)),
            assignee_type: assignee.as_ref().map(|party| party.kind.to_string()),
            assignee_id: assignee.map(|party| party.id.to_string()),
            due_date: portable.due_date,
            estimate: portable.estimate,
            routine_id: portable.routine.as_deref().map(|slug| self.routine(slug)).transpose()?,
            routine_inputs: portable.routine_inputs,
            ..IssueDraft::default()
        };
        let named = |name: Option<String>| name.filter(|name| !name.is_empty()).map(Into::into);
        Ok(ImportedIssue {
            crew,
            labels: portable.labels.into_iter().map(Into::into).collect(),
            project: named(portable.project),
            milestone: named(portable.milestone),
            identifier: portable.identifier.map(Into::into),
            external_id: portable.external_id.filter(|id| !id.is_empty()).map(Into::into),
            draft,
            parent: portable.parent.filter(|parent| !parent.is_empty()).map(Into::into),
            status,
            sort_order: portable.sort_order.unwrap_or(0.0),
            created_at: moment(portable.created_at.as_deref())?,
            started_at: moment(portable.started_at.as_deref())?,
            completed_at: moment(portable.completed_at.as_deref())?,
            comments,
        })
    }

    fn crew(&mut self, named: Option<&str>) -> Option<CrewId> {
        let found = named.and_then(|slug| self.state.roster.crew_slugs.get(slug)).cloned();
        if found.is_none() {
            self.miss("crew", named, "the crew of the path has it");
        }
        found
    }

    fn comment(&mut self, comment: PortableComment) -> Result<ImportedComment, String> {
        let author = self.party(comment.author_type.as_deref(), comment.author.as_deref());
        if author.is_none() {
            self.miss("author of a comment", comment.author.as_deref(), "it is yours");
        }
        let created_at = moment(comment.created_at.as_deref())?;
        Ok(ImportedComment { author, body: comment.body.into(), created_at })
    }

    fn miss(&mut self, what: &str, named: Option<&str>, instead: &str) {
        if let Some(name) = named.filter(|name| !name.is_empty()) {
            self.unknown.push(format!("unknown {what} {name:?}: {instead}"));
        }
    }

    /// Somebody of this workspace, if they are; else nobody.
    fn party(&self, kind: Option<&str>, name: Option<&str>) -> Option<Party> {
        let name = name.filter(|name| !name.is_empty())?;
        let roster = &self.state.roster;
        let agent = || {
            let id = roster.agent_slugs.get(name).or_else(|| roster.live_agent(name).map(|agent| &agent.id));
            id.map(Party::agent)
        };
        let user = || roster.members.get(name).map(|member| Party::user(&member.user));
        match kind.and_then(PartyType::parse) {
            Some(PartyType::User) => user(),
            Some(PartyType::Agent) => agent(),
            None => agent().or_else(user),
        }
    }

    fn routine(&self, slug: &str) -> Result<String, String> {
        let found = self.state.routines.named(slug).map(|routine| routine.id.to_string());
        found.ok_or_else(|| format!("unknown routine {slug:?}"))
    }
}

fn moment(text: Option<&str>) -> Result<Option<Time>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    time::not_after(text).map(Some).map_err(|error| format!("bad time {text:?}: {error}"))
}

/// A status by our word, or by those that other trackers use.
fn status_of(word: &str) -> Option<IssueStatus> {
    let plain = word.trim().to_uppercase().replace([' ', '-'], "_");
    IssueStatus::parse(&plain).or(match plain.as_str() {
        "OPEN" | "TO_DO" | "UNSTARTED" => Some(IssueStatus::Todo),
        "TRIAGE" => Some(IssueStatus::Backlog),
        "STARTED" => Some(IssueStatus::InProgress),
        "IN_REVIEW" => Some(IssueStatus::Review),
        "CLOSED" | "COMPLETED" | "RESOLVED" => Some(IssueStatus::Done),
        "CANCELED" | "DUPLICATE" | "WON'T_DO" => Some(IssueStatus::Cancelled),
        _ => None,
    })
}

/// A priority by our word, or by those that other trackers use; what it is not is refused later.
fn priority_of(word: &str) -> String {
    let plain = word.trim().to_lowercase();
    match plain.as_str() {
        "" | "no priority" => "none",
        "lowest" | "minor" => "low",
        "major" => "high",
        "highest" | "critical" | "blocker" => "urgent",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_other_trackers_are_read_as_ours() {
        assert_eq!(status_of("In Progress"), Some(IssueStatus::InProgress));
        assert_eq!(priority_of("Highest"), "urgent");
    }
}
