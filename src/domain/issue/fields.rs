//! What the fields of an issue may be, and what they may point to (`issues.md` 6.3, 6.4).
//!
//! A reference to another tenant is like one to nothing: both do not exist in this workspace.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Issue, IssueFacts, IssuePriority, Party, PartyType};
use crate::{Json, LabelId, MilestoneId, MissionId, ProjectId, Rejection, RoutineId, Text, Workspace};

/// Longest title, in letters (`issues.md` 6.3).
const TITLE_CHARS_MAX: usize = 500;
/// Most labels of an issue, of a rule or of a template.
pub(crate) const LABELS_MAX: usize = 100;
/// More levels of parents than anybody has: further up is a circle (`issues.md` 6.4).
const ANCESTORS_MAX: usize = 64;

pub(crate) fn title(wish: Option<&str>) -> Result<Text, Rejection> {
    let title = wish.unwrap_or_default().trim();
    if title.is_empty() {
        return Err(Rejection::invalid("issue.title_required", "title is required"));
    }
    if title.chars().count() > TITLE_CHARS_MAX {
        return Err(Rejection::invalid("issue.title_too_long", "title must be at most 500 characters"));
    }
    Ok(title.into())
}

/// Shared with projects, templates and rules, which have the same priorities.
pub(crate) fn priority(word: &str) -> Result<IssuePriority, Rejection> {
    IssuePriority::parse(word).ok_or_else(|| {
        let detail = "priority must be one of: none, low, medium, high, urgent";
        Rejection::invalid("issue.priority", detail)
    })
}

/// A day, or a point in time, that there is; kept as it was sent.
pub(crate) fn date(field: &'static str, text: &str) -> Result<Text, Rejection> {
    let is_day = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    if is_day || text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(text.into());
    }
    let detail = format!("{field} must be YYYY-MM-DD or an RFC 3339 timestamp");
    Err(Rejection::invalid("issue.date", detail))
}

/// A number or nothing; a number with a fraction is neither.
pub(super) fn estimate(wish: Option<&Value>) -> Result<Option<i64>, Rejection> {
    match wish {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .map(Some)
            .ok_or_else(|| Rejection::invalid("issue.estimate", "estimate must be a number or null")),
    }
}

fn missing(code: &'static str, field: &str) -> Rejection {
    Rejection::invalid(code, format!("{field} does not exist in this workspace"))
}

impl Workspace {
    /// Who is meant: a member, or a live agent, of this workspace.
    pub(crate) fn party(&self, kind: PartyType, id: &str, field: &str) -> Result<Party, Rejection> {
        let is_here = match kind {
            PartyType::User => self.roster.members.contains_key(id),
            PartyType::Agent => self.roster.live_agent(id).is_some(),
        };
        if is_here {
            return Ok(Party { kind, id: id.into() });
        }
        Err(missing("issue.assignee_not_found", field))
    }

    /// The assignee of a new issue: an id needs a type; a type alone is nobody.
    pub(crate) fn assignee_of_draft(
        &self,
        kind: Option<&str>,
        id: Option<&str>,
    ) -> Result<Option<Party>, Rejection> {
        let Some(id) = id.filter(|id| !id.is_empty()) else { return Ok(None) };
        let kind = kind.and_then(PartyType::parse).ok_or_else(assignee_type_needed)?;
        self.party(kind, id, "assignee_id").map(Some)
    }

    /// The assignee that a patch leaves: a type that is not said is found out, members first.
    pub(crate) fn assignee_of_patch(
        &self,
        kind: Option<&str>,
        id: Option<&Option<String>>,
        before: Option<&Party>,
    ) -> Result<Option<Party>, Rejection> {
        let parsed = kind.map(|kind| PartyType::parse(kind).ok_or_else(assignee_type_needed)).transpose();
        match id.map(|id| id.as_deref().filter(|id| !id.is_empty())) {
            Some(None) => Ok(None),
            Some(Some(id)) => match parsed? {
                Some(kind) => self.party(kind, id, "assignee_id").map(Some),
                None => {
                    let found = self.party(PartyType::User, id, "assignee_id");
                    found.or_else(|_| self.party(PartyType::Agent, id, "assignee_id")).map(Some)
                }
            },
            None => {
                let is_other = |kind| before.is_some_and(|before| before.kind != kind);
                if parsed?.is_some_and(is_other) {
                    let detail = "assignee_type does not match assignee_id";
                    return Err(Rejection::invalid("issue.assignee_type", detail));
                }
                Ok(before.cloned())
            }
        }
    }

    pub(crate) fn project_ref(&self, id: &str) -> Result<Option<ProjectId>, Rejection> {
        if id.is_empty() {
            return Ok(None);
        }
        let found = self.tracker.projects.get(id);
        found.map(|found| Some(found.id.clone())).ok_or_else(|| missing("project.not_here", "project_id"))
    }

    pub(crate) fn milestone_ref(&self, id: &str) -> Result<Option<MilestoneId>, Rejection> {
        if id.is_empty() {
            return Ok(None);
        }
        let found = self.tracker.milestones.get(id);
        found.map(|found| Some(found.id.clone())).ok_or_else(|| missing("milestone.not_here", "milestone_id"))
    }

    pub(super) fn parent_ref(&self, id: &str) -> Result<Option<MissionId>, Rejection> {
        if id.is_empty() {
            return Ok(None);
        }
        let found = self.issues.named(id);
        found
            .map(|found| Some(found.id.clone()))
            .ok_or_else(|| missing("issue.parent_not_found", "parent_issue_id"))
    }

    pub(super) fn routine_ref(&self, id: &str) -> Result<Option<RoutineId>, Rejection> {
        if id.is_empty() {
            return Ok(None);
        }
        let found = self.routines.live(id);
        found
            .map(|found| Some(found.id.clone()))
            .ok_or_else(|| missing("issue.routine_not_found", "routine_id"))
    }

    /// Each label once, in the order they were named.
    pub(crate) fn label_refs(&self, ids: &[String]) -> Result<Vec<LabelId>, Rejection> {
        let mut seen = BTreeSet::new();
        let distinct: Vec<&String> = ids.iter().filter(|id| seen.insert(id.as_str())).collect();
        if distinct.len() > LABELS_MAX {
            let detail = format!("labels must be at most {LABELS_MAX}");
            return Err(Rejection::invalid("label.too_many", detail));
        }
        distinct
            .into_iter()
            .map(|id| match self.tracker.labels.get(id.as_str()) {
                Some(label) => Ok(label.id.clone()),
                None => Err(missing("label.not_here", &format!("label {id}"))),
            })
            .collect()
    }

    /// A parent that is not the issue itself and not below it. An old circle elsewhere is none of its
    /// business.
    pub(super) fn require_no_circle(&self, issue: &Issue, parent: &MissionId) -> Result<(), Rejection> {
        if *parent == issue.id {
            let detail = "parent_issue_id cannot be the issue itself";
            return Err(Rejection::invalid("issue.own_parent", detail));
        }
        let mut seen = BTreeSet::new();
        let mut next = Some(parent.clone());
        while let Some(id) = next.filter(|id| seen.insert(id.clone())) {
            if id == issue.id || seen.len() > ANCESTORS_MAX {
                let detail = "parent_issue_id would create a cycle";
                return Err(Rejection::invalid("issue.parent_cycle", detail));
            }
            next = self.issues.all.get(&id).and_then(|found| found.facts.parent_issue_id.clone());
        }
        Ok(())
    }

    /// A milestone belongs to its project (`issues.md` 15.3): one that is set without a project brings its
    /// own, and one whose project is left is left with it.
    pub(crate) fn agree_on_project(
        &self,
        facts: &mut IssueFacts,
        sets_milestone: bool,
    ) -> Result<(), Rejection> {
        let Some(milestone) = facts.milestone_id.as_ref().and_then(|id| self.tracker.milestones.get(id))
        else {
            return Ok(());
        };
        let is_foreign = facts.project_id.as_ref() != Some(&milestone.project_id);
        match (&facts.project_id, sets_milestone) {
            _ if !is_foreign => Ok(()),
            (None, true) => {
                facts.project_id = Some(milestone.project_id.clone());
                Ok(())
            }
            (_, true) => Err(Rejection::invalid(
                "issue.milestone_of_other_project",
                "milestone_id does not belong to project_id",
            )),
            (_, false) => {
                facts.milestone_id = None;
                Ok(())
            }
        }
    }
}

fn assignee_type_needed() -> Rejection {
    let detail = "assignee_type must be 'user' or 'agent' when assignee_id is set";
    Rejection::invalid("issue.assignee_type", detail)
}

/// What a routine is given: an object and nothing else.
pub(crate) fn routine_inputs(value: &Value) -> Result<Json, Rejection> {
    match value {
        Value::Object(_) => Ok(value.clone().into()),
        _ => Err(Rejection::invalid("issue.routine_inputs", "routine_inputs is not valid JSON")),
    }
}

pub(super) fn inputs_without_routine() -> Rejection {
    let detail = "routine_inputs provided without routine_id";
    Rejection::invalid("issue.inputs_without_routine", detail)
}
