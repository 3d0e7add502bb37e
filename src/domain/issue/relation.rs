//! Links between issues (`issues.md` 11). What one blocks, the other is blocked by: it is stored once.

use serde::{Deserialize, Serialize};

use super::decide::issue_not_found;
use super::{Action, Cause, Issue, IssueChanges, IssueUpdated, Named, Related, RelationDraft, Unrelated};
use crate::entry::words;
use crate::unfolding::Unfolding;
use crate::{Actor, Draft, MissionId, Offset, Rejection, RelationId, Time, Workspace};

words! {
    /// How two issues are linked, as it is stored.
    RelationType {
        /// The source has to be done first.
        #[default]
        Blocks = "blocks",
        /// They have to do with each other.
        RelatesTo = "relates_to",
        /// The source says what the target says.
        DuplicateOf = "duplicate_of",
    }
}

/// A link as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// Its id.
    pub id: RelationId,
    /// From which issue.
    pub source: MissionId,
    /// To which.
    pub target: MissionId,
    /// How.
    pub relation_type: RelationType,
    /// Since when.
    pub created_at: Time,
    /// Offset of its beginning: the order of lists.
    pub born: Offset,
}

impl Relation {
    /// What it is, seen from one of its ends.
    #[must_use]
    pub fn seen_from(&self, issue: &MissionId) -> &'static str {
        match self.relation_type {
            RelationType::Blocks if *issue == self.target => "blocked_by",
            other => other.as_str(),
        }
    }

    /// Where it stands among those of its ends.
    pub(super) fn places(&self) -> [(MissionId, Offset, RelationId); 2] {
        [&self.source, &self.target].map(|end| (end.clone(), self.born, self.id.clone()))
    }

    /// The end that is not this one.
    #[must_use]
    pub fn other_end(&self, issue: &MissionId) -> &MissionId {
        if *issue == self.source { &self.target } else { &self.source }
    }
}

/// A type as it is wished, and whether the ends change places.
fn wished(word: &str) -> Option<(RelationType, bool)> {
    match word {
        "blocked_by" => Some((RelationType::Blocks, true)),
        other => RelationType::parse(other).map(|found| (found, false)),
    }
}

impl Workspace {
    /// Whether a link says nothing new. Both directions of `relates_to` are one, and two issues that block
    /// each other would both wait for ever.
    pub(super) fn is_related(&self, source: &MissionId, target: &MissionId, how: RelationType) -> bool {
        self.issues.relations_on(source).any(|found| {
            let is_same = found.source == *source && found.target == *target;
            let is_reverse = found.source == *target && found.target == *source;
            found.relation_type == how && (is_same || (is_reverse && how != RelationType::DuplicateOf))
        })
    }
}

impl Unfolding<'_> {
    pub(super) fn relate(&mut self, named: &Named, draft: &RelationDraft) -> Result<(), Rejection> {
        let word = draft.relation_type.as_deref().unwrap_or_default();
        // People say so by the parent of an issue.
        let is_person = matches!(self.context.actor, Actor::User(_));
        if word == "sub_issue_of" && !is_person {
            return self.put_below(named, draft);
        }
        let (how, is_swapped) = wished(word).ok_or_else(|| {
            let also = if is_person { "" } else { ", sub_issue_of" };
            let detail = format!("relation_type must be: blocks, blocked_by, relates_to, duplicate_of{also}");
            Rejection::invalid("relation.type", detail)
        })?;
        let from = self
            .state
            .issue(named)
            .map_err(|_| Rejection::not_found("issue.not_found", "Source issue not found"))?;
        let from = from.clone();
        let to = self.target_of(draft)?;
        if from.id == to.id {
            let detail = "Cannot relate an issue to itself";
            return Err(Rejection::invalid("relation.itself", detail));
        }
        let (source, target) = if is_swapped { (&to, &from) } else { (&from, &to) };
        if self.state.is_related(&source.id, &target.id, how) {
            return Err(Rejection::conflict("relation.exists", "Relation already exists"));
        }
        let related = Related {
            relation_id: self.context.mint.cuid().into(),
            source_id: source.id.clone(),
            target_id: target.id.clone(),
            relation_type: how,
        };
        self.add(Draft::internal(source.id.as_str(), related));
        let added = Action::RelationAdded(format!("{word} {}", to.identifier).into());
        let actor = self.context.actor.clone();
        self.note_issue(&from, &added, &actor);
        Ok(())
    }

    fn target_of(&self, draft: &RelationDraft) -> Result<std::sync::Arc<Issue>, Rejection> {
        let name = draft.target_identifier.as_deref().unwrap_or_default();
        let found = self.state.issues.named(name).cloned();
        found
            .ok_or_else(|| Rejection::not_found("issue.not_found", format!("Target issue not found: {name}")))
    }

    pub(super) fn unrelate(&mut self, id: &RelationId) -> Result<(), Rejection> {
        let found = self.state.issues.relations.get(id).cloned();
        let found = found.ok_or_else(|| Rejection::not_found("relation.not_found", "Relation not found"))?;
        let ends = |id: &MissionId| self.state.issues.all.get(id).cloned().ok_or_else(issue_not_found);
        let (source, target) = (ends(&found.source)?, ends(&found.target)?);
        let unrelated =
            Unrelated { relation_id: id.clone(), source_id: source.id.clone(), target_id: target.id.clone() };
        self.add(Draft::internal(source.id.as_str(), unrelated));
        let actor = self.context.actor.clone();
        for (end, other) in [(&source, &target), (&target, &source)] {
            let removed = format!("{} {}", found.seen_from(&end.id), other.identifier);
            self.note_issue(end, &Action::RelationRemoved(removed.into()), &actor);
        }
        Ok(())
    }

    /// An agent makes an issue a part of another one (`issues.md` 19).
    fn put_below(&mut self, named: &Named, draft: &RelationDraft) -> Result<(), Rejection> {
        let source = Rejection::not_found("issue.not_found", "Source issue not found");
        let issue = self.state.issue(named).map_err(|_| source)?.clone();
        let parent = self.target_of(draft)?;
        self.state.require_no_circle(&issue, &parent.id).map_err(|_| {
            Rejection::invalid("issue.parent_cycle", "sub_issue_of would create a parent cycle")
        })?;
        if issue.facts.parent_issue_id.as_ref() == Some(&parent.id) {
            return Ok(());
        }
        let below =
            IssueChanges { parent_issue_id: Some(Some(parent.id.clone())), ..IssueChanges::default() };
        let updated =
            IssueUpdated { cause: Cause::Agent, changes: Some(below.into()), ..IssueUpdated::default() };
        self.update_issue(&issue.id, updated);
        let actor = self.context.actor.clone();
        self.note_issue(&issue, &Action::ParentChanged(parent.identifier.clone()), &actor);
        Ok(())
    }
}
