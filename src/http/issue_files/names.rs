//! The names in a file, read as those of this workspace, and the words of other trackers as ours.

use taffrail_domain::issue::{
    ImportedComment, ImportedIssue, ImportedRelation, IssueDraft, IssueStatus, Party, PartyType, RelationType,
};
use taffrail_domain::{CrewId, Time, Workspace};

use super::{Portable, PortableComment, PortableRelation, dates};

/// Reads names as those of this workspace.
pub(super) struct Names<'a> {
    state: &'a Workspace,
    now: Time,
    /// What was named and is not here, and what was done instead.
    pub(super) unknown: Vec<String>,
}

impl<'a> Names<'a> {
    pub(super) fn of(state: &'a Workspace, now: Time) -> Self {
        Self { state, now, unknown: vec![] }
    }
}

impl Names<'_> {
    /// An issue of a file, by the ids of this workspace.
    ///
    /// # Errors
    /// Why it cannot be read: a status or a time that is none.
    pub(super) fn read(&mut self, portable: Portable) -> Result<ImportedIssue, String> {
        self.unknown.extend(portable.notes);
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
        let relations =
            portable.relations.into_iter().filter_map(|relation| self.relation(relation)).collect();
        let routine = portable.routine.as_deref().and_then(|slug| self.routine(slug));
        if portable.project.as_deref().is_none_or(str::is_empty)
            && let Some(milestone) = portable.milestone.as_deref().filter(|name| !name.is_empty())
        {
            self.unknown.push(format!("milestone {milestone:?} has no project: it is left out"));
        }
        let draft = IssueDraft {
            title: Some(portable.title),
            description: portable.description,
            priority: portable.priority.map(|word| priority_of(&word)),
            assignee_type: assignee.as_ref().map(|party| party.kind.to_string()),
            assignee_id: assignee.map(|party| party.id.to_string()),
            due_date: portable.due_date.map(|text| dates::due(&text)),
            estimate: portable.estimate,
            // Nothing asks for the inputs of a routine that is not here.
            routine_inputs: portable.routine_inputs.filter(|_| routine.is_some()),
            routine_id: routine,
            ..IssueDraft::default()
        };
        let named = |name: Option<String>| name.filter(|name| !name.is_empty()).map(Into::into);
        Ok(ImportedIssue {
            crew,
            labels: portable.labels.into_iter().map(Into::into).collect(),
            project: named(portable.project),
            milestone: named(portable.milestone),
            identifier: named(portable.identifier),
            external_id: named(portable.external_id),
            draft,
            parent: named(portable.parent),
            relations,
            status,
            sort_order: portable.sort_order.unwrap_or(0.0),
            created_at: self.moment("created_at", portable.created_at.as_deref())?,
            started_at: self.moment("started_at", portable.started_at.as_deref())?,
            completed_at: self.moment("completed_at", portable.completed_at.as_deref())?,
            comments,
        })
    }

    fn crew(&mut self, named: Option<&str>) -> Option<CrewId> {
        let slugs = &self.state.roster.crew_slugs;
        let found =
            named.and_then(|slug| slugs.get(slug).or_else(|| slugs.get(slug.to_lowercase().as_str())));
        let found = found.cloned();
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
        let created_at = self.moment("created_at of a comment", comment.created_at.as_deref())?;
        Ok(ImportedComment { author, body: comment.body.into(), created_at })
    }

    fn relation(&mut self, relation: PortableRelation) -> Option<ImportedRelation> {
        let how = RelationType::parse(&relation.relation_type);
        if how.is_none() {
            self.miss("relation_type", Some(&relation.relation_type), "it is left out");
        }
        Some(ImportedRelation { how: how?, target: relation.target.into() })
    }

    /// A time; nothing has happened yet to come.
    fn moment(&mut self, what: &str, text: Option<&str>) -> Result<Option<Time>, String> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let found =
            dates::moment(text).ok_or_else(|| format!("{what} {text:?} is no time that is known here"))?;
        if found > self.now {
            self.unknown.push(format!("{what} {text:?} is yet to come: it is now"));
        }
        Ok(Some(found.min(self.now)))
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

    fn routine(&mut self, slug: &str) -> Option<String> {
        let found = self.state.routines.named(slug).map(|routine| routine.id.to_string());
        if found.is_none() {
            self.miss("routine", Some(slug), "none is bound");
        }
        found
    }
}

/// A status by our word, or by those that other trackers use.
fn status_of(word: &str) -> Option<IssueStatus> {
    let plain = word.trim().to_uppercase().replace([' ', '-'], "_");
    IssueStatus::parse(&plain).or(match plain.as_str() {
        "OPEN" | "REOPENED" | "TO_DO" | "UNSTARTED" | "SELECTED_FOR_DEVELOPMENT" => Some(IssueStatus::Todo),
        "TRIAGE" => Some(IssueStatus::Backlog),
        "STARTED" => Some(IssueStatus::InProgress),
        "IN_REVIEW" => Some(IssueStatus::Review),
        "CLOSED" | "COMPLETED" | "RESOLVED" => Some(IssueStatus::Done),
        "CANCELED" | "DUPLICATE" | "WON'T_DO" => Some(IssueStatus::Cancelled),
        _ => None,
    })
}

/// A priority by our word, or by those that other trackers use (Linear's have numbers); what it is not is refused later.
fn priority_of(word: &str) -> String {
    let plain = word.trim().to_lowercase();
    match plain.as_str() {
        "" | "no priority" | "0" => "none",
        "lowest" | "minor" | "trivial" | "4" => "low",
        "3" => "medium",
        "major" | "2" => "high",
        "highest" | "critical" | "blocker" | "1" => "urgent",
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
