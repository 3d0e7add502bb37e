//! Wishes about what issues are sorted by and made from. The drafts are the request bodies: absent and null
//! mean the same (`issues.md` 1), and an empty text clears what may be empty. A PATCH looks for what it is
//! about before it looks at its body, so the body travels as a result.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{LabelId, MilestoneId, RecurringId, Rejection, SavedViewId, Text, Time, TriageRuleId};

/// A body that is looked at only after what it is about was found.
pub type Body<T> = Result<T, Rejection>;

/// A wish about what issues are sorted by and made from.
#[derive(Clone, Debug)]
pub enum TrackerCommand {
    /// `POST /labels`
    CreateLabel(LabelDraft),
    /// `PATCH /labels/{id}`
    UpdateLabel {
        /// Which.
        label: LabelId,
        /// What is to change.
        patch: Body<LabelDraft>,
    },
    /// `DELETE /labels/{id}`
    DeleteLabel {
        /// Which.
        label: LabelId,
    },
    /// `POST /projects`
    CreateProject(Box<ProjectDraft>),
    /// `PATCH /projects/{id}`
    UpdateProject {
        /// Which, by id or slug.
        project: Text,
        /// What is to change.
        patch: Body<Box<ProjectDraft>>,
    },
    /// `DELETE /projects/{id}`
    DeleteProject {
        /// Which, by id or slug.
        project: Text,
    },
    /// `POST /projects/{id}/milestones`
    CreateMilestone {
        /// Of which project, by id or slug.
        project: Text,
        /// What it is to be.
        draft: Body<MilestoneDraft>,
    },
    /// `PATCH /milestones/{id}`
    UpdateMilestone {
        /// Which.
        milestone: MilestoneId,
        /// What is to change.
        patch: Body<MilestoneDraft>,
    },
    /// `DELETE /milestones/{id}`
    DeleteMilestone {
        /// Which.
        milestone: MilestoneId,
    },
    /// `POST /saved-views`
    CreateView(SavedViewDraft),
    /// `PATCH /saved-views/{id}`
    UpdateView {
        /// Which.
        view: SavedViewId,
        /// What is to change.
        patch: Body<SavedViewDraft>,
    },
    /// `DELETE /saved-views/{id}`
    DeleteView {
        /// Which.
        view: SavedViewId,
    },
    /// `POST /triage-rules`
    CreateRule(Box<TriageRuleDraft>),
    /// `PATCH /triage-rules/{id}`
    UpdateRule {
        /// Which.
        rule: TriageRuleId,
        /// What is to change.
        patch: Body<Box<TriageRuleDraft>>,
    },
    /// `DELETE /triage-rules/{id}`
    DeleteRule {
        /// Which.
        rule: TriageRuleId,
    },
    /// `POST /triage/process`
    ProcessTriage,
    /// `POST /recurring-issues`
    CreateRecurring(Box<RecurringDraft>),
    /// `PATCH /recurring-issues/{id}`
    UpdateRecurring {
        /// Which.
        recurring: RecurringId,
        /// What is to change.
        patch: Body<Box<RecurringDraft>>,
    },
    /// `DELETE /recurring-issues/{id}`
    DeleteRecurring {
        /// Which.
        recurring: RecurringId,
    },
    /// A template's time has come: the engine's.
    FireRecurring {
        /// Which.
        recurring: RecurringId,
        /// The time that has come.
        due: Time,
    },
}

/// Body of create and update label.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LabelDraft {
    /// What it is called; required on create, unique in the workspace.
    pub name: Option<String>,
    /// Its color; required on create.
    pub color: Option<String>,
    /// What it is shown with; empty clears.
    pub label_group: Option<String>,
}

/// Body of create and update project.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectDraft {
    /// What it is called; required on create. Its slug follows.
    pub name: Option<String>,
    /// What it is about; empty clears.
    pub description: Option<String>,
    /// Icon name; empty clears.
    pub icon: Option<String>,
    /// Its color; `blue` if none is said.
    pub color: Option<String>,
    /// `backlog`, `planned`, `in_progress`, `paused`, `completed` or `cancelled`.
    pub status: Option<String>,
    /// `none`, `low`, `medium`, `high` or `urgent`.
    pub priority: Option<String>,
    /// `on_track`, `at_risk` or `off_track`.
    pub health: Option<String>,
    /// `user` or `agent`.
    pub lead_type: Option<String>,
    /// Who leads it; empty clears.
    pub lead_id: Option<String>,
    /// When it begins; empty clears.
    pub start_date: Option<String>,
    /// When it is to be done; empty clears.
    pub target_date: Option<String>,
}

/// Body of create and update milestone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MilestoneDraft {
    /// What it is called; required on create.
    pub name: Option<String>,
    /// What it is about; empty clears.
    pub description: Option<String>,
    /// When it is to be reached; empty clears.
    pub target_date: Option<String>,
    /// `active`, `completed` or `cancelled`.
    pub status: Option<String>,
    /// Its place among the milestones of its project; not looked at on create, where it comes last.
    pub position: Option<i64>,
}

/// Body of create and update saved view.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SavedViewDraft {
    /// What it is called; required on create.
    pub name: Option<String>,
    /// What it shows, a text of the caller's own; required on create.
    pub filters_json: Option<String>,
    /// In which order, a text of the caller's own; empty clears.
    pub sort_json: Option<String>,
    /// `list` or `board`.
    pub view_type: Option<String>,
    /// Whether it is its owner's first of its type.
    pub is_default: Option<bool>,
    /// Whether others see it.
    pub shared: Option<bool>,
}

/// Body of create and update triage rule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TriageRuleDraft {
    /// What it is called; required on create.
    pub name: Option<String>,
    /// What a title is held against; required on create.
    pub pattern: Option<String>,
    /// `contains`, `regex` or `exact`; required on create.
    pub match_type: Option<String>,
    /// The crew that gets the issue; empty clears.
    pub crew_id: Option<String>,
    /// The agent that gets it; empty clears.
    pub assignee_id: Option<String>,
    /// How much it matters; empty clears.
    pub priority: Option<String>,
    /// The project it becomes part of; empty clears.
    pub project_id: Option<String>,
    /// A JSON list of ids of labels it gets; empty clears.
    pub labels_json: Option<String>,
    /// Its place among the rules; not looked at on create, where it comes last.
    pub position: Option<i64>,
    /// Whether it counts; not looked at on create.
    pub enabled: Option<bool>,
}

/// Body of create and update recurring issue.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RecurringDraft {
    /// Whose issues it makes; required on create.
    pub crew_id: Option<String>,
    /// What they are called; required on create.
    pub title: Option<String>,
    /// When: five fields, UTC; required on create.
    pub cron_expression: Option<String>,
    /// What they are about; empty clears.
    pub description: Option<String>,
    /// How much they matter.
    pub priority: Option<String>,
    /// `user` or `agent`.
    pub assignee_type: Option<String>,
    /// Who is on them; empty clears.
    pub assignee_id: Option<String>,
    /// The project they are part of; empty clears.
    pub project_id: Option<String>,
    /// The milestone they are part of; empty clears.
    pub milestone_id: Option<String>,
    /// A JSON list of ids of their labels; empty clears.
    pub labels_json: Option<String>,
    /// Whether it is switched on; not looked at on create.
    pub enabled: Option<bool>,
}
