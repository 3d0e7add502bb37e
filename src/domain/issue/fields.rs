//! What the fields of an issue may be, and what they may point to (`issues.md` 6.3, 6.4).
//!
//! A reference to another tenant is like one to nothing: both do not exist in this workspace.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Issue, IssueFacts, IssuePriority, Party, PartyType};
use crate::routine::INPUTS_BYTES_MAX;
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
    if is_date(text) {
        return Ok(text.into());
    }
    let detail = format!("{field} must be YYYY-MM-DD or an RFC 3339 timestamp");
    Err(Rejection::invalid("issue.date", detail))
}

/// Whether a text is a day, or a point in time as RFC 3339 writes it, and there is such a one. The parser
/// knows more ways to write either, which other programs do not read.
#[must_use]
pub fn is_date(text: &str) -> bool {
    let Some((day, time)) = text.split_at_checked(10) else { return false };
    if !has_form(day, "0000-00-00") {
        return false;
    }
    if time.is_empty() {
        return day.parse::<jiff::civil::Date>().is_ok();
    }
    is_time(time) && text.parse::<jiff::Timestamp>().is_ok()
}

/// `THH:MM:SS`, perhaps parts of a second, and how far from UTC.
fn is_time(text: &str) -> bool {
    let Some((clock, rest)) = text.split_at_checked(9) else { return false };
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(parts) => {
            let zone = parts.trim_start_matches(|letter: char| letter.is_ascii_digit());
            if zone.len() == parts.len() {
                return false;
            }
            zone
        }
    };
    let is_zone = matches!(zone, "Z" | "z") || has_form(zone, "+00:00") || has_form(zone, "-00:00");
    (has_form(clock, "T00:00:00") || has_form(clock, "t00:00:00")) && is_zone
}

/// Whether a text has digits where the form has zeros, and is the form elsewhere.
fn has_form(text: &str, form: &str) -> bool {
    let fits = |(letter, wanted): (u8, u8)| match wanted {
        b'0' => letter.is_ascii_digit(),
        other => letter == other,
    };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

/// A number or nothing; a number with a fraction is neither.
pub(super) fn estimate(wish: Option<&Value>) -> Result<Option<i64>, Rejection> {
    match wish {
        None | Some(Value::Null) => Ok(None),
        Some(value) => whole(value)
            .map(Some)
            .ok_or_else(|| Rejection::invalid("issue.estimate", "estimate must be a number or null")),
    }
}

/// `3.0` is 3: there are languages that write no other number.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    /// Up to here every whole number is one number only.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX)?;
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range")]
        Some(number as i64)
    })
}

pub(super) fn too_many_labels() -> Rejection {
    Rejection::invalid("label.too_many", format!("labels must be at most {LABELS_MAX}"))
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
            return Err(too_many_labels());
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

/// What a routine is given: an object and nothing else, and no more than a run takes.
pub(crate) fn routine_inputs(value: &Value) -> Result<Json, Rejection> {
    if !value.is_object() {
        return Err(Rejection::invalid("issue.routine_inputs", "routine_inputs is not valid JSON"));
    }
    let inputs = Json::from(value.clone());
    if inputs.get().len() > INPUTS_BYTES_MAX {
        let detail = "routine_inputs are larger than 64 KiB";
        return Err(Rejection::too_large("issue.routine_inputs_too_large", detail));
    }
    Ok(inputs)
}

pub(super) fn inputs_without_routine() -> Rejection {
    let detail = "routine_inputs provided without routine_id";
    Rejection::invalid("issue.inputs_without_routine", detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_date, whole};

    #[test]
    fn a_date_is_a_day_or_a_moment_of_rfc_3339_that_there_is() {
        for good in [
            "2026-02-28",
            "2024-02-29",
            "2026-11-26T01:02:03Z",
            "2026-11-26t01:02:03z",
            "2026-11-26T01:02:03.5+02:00",
            "2026-11-26T01:02:03.123456-11:30",
        ] {
            assert!(is_date(good), "{good}");
        }
        for bad in [
            "",
            "2026-02-29",
            "2026-13-01",
            "20260228",
            "2026-2-28",
            "tomorrow",
            "2026-11-26T01:02Z",
            "2026-11-26 01:02:03Z",
            "2026-11-26T01:02:03",
            "2026-11-26T01:02:03+0200",
            "2026-11-26T01:02:03,5Z",
            "2026-11-26T01:02:03.Z",
            "2026-11-26T25:02:03Z",
            "2026-11-26T01:02:03Z[UTC]",
            "+002026-11-26",
            "2026-11-2é",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        assert_eq!(whole(&json!(3)), Some(3));
        assert_eq!(whole(&json!(3.0)), Some(3));
        assert_eq!(whole(&json!(-2.0)), Some(-2));
        for none in [json!(3.5), json!("3"), json!(1e300), json!(true)] {
            assert_eq!(whole(&none), None, "{none}");
        }
    }
}
