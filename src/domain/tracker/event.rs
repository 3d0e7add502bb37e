//! Facts about what issues are sorted by and made from. The subject is the label, project and so on.
//!
//! What was created and what was updated both carry all that people may set: a fold needs nothing before it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LabelFacts, MilestoneFacts, ProjectFacts, RecurringFacts, SavedViewFacts, TriageRuleFacts};
use crate::event::events;
use crate::issue::Party;
use crate::{MilestoneId, MissionId, ProjectId, Text, Time, TriageRuleId, UserId};

events! {
    /// Facts about what issues are sorted by and made from.
    TrackerEvent {
        /// A label was created.
        "label.created" => LabelCreated,
        /// A label is another now.
        "label.updated" => LabelUpdated,
        /// A label is gone.
        "label.deleted" => LabelDeleted,
        /// A project was created.
        "project.created" => ProjectCreated,
        /// A project is another now.
        "project.updated" => ProjectUpdated,
        /// A project is gone, with its milestones.
        "project.deleted" => ProjectDeleted,
        /// A milestone was created.
        "milestone.created" => MilestoneCreated,
        /// A milestone is another now.
        "milestone.updated" => MilestoneUpdated,
        /// A milestone is gone.
        "milestone.deleted" => MilestoneDeleted,
        /// A view was saved.
        "saved_view.created" => SavedViewCreated,
        /// A view is another now.
        "saved_view.updated" => SavedViewUpdated,
        /// A view is gone.
        "saved_view.deleted" => SavedViewDeleted,
        /// A triage rule was made.
        "triage_rule.created" => TriageRuleCreated,
        /// A triage rule is another now.
        "triage_rule.updated" => TriageRuleUpdated,
        /// A triage rule is gone.
        "triage_rule.deleted" => TriageRuleDeleted,
        /// The rules were applied to what nobody is on.
        "triage.processed" => TriageProcessed,
        /// A template of issues was made.
        "recurring_issue.created" => RecurringCreated,
        /// A template is another now.
        "recurring_issue.updated" => RecurringUpdated,
        /// A template is gone; what it made stays.
        "recurring_issue.deleted" => RecurringDeleted,
        /// A template's time had come.
        "recurring_issue.fired" => RecurringFired,
    }
}

/// Subject: the label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LabelCreated {
    /// All about it.
    pub label: LabelFacts,
}

/// Subject: the label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LabelUpdated {
    /// All about it.
    pub label: LabelFacts,
}

/// Subject: the label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LabelDeleted {
    /// Its name, free again.
    pub name: Text,
}

/// Subject: the project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectCreated {
    /// All about it.
    pub project: Box<ProjectFacts>,
}

/// Subject: the project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectUpdated {
    /// All about it.
    pub project: Box<ProjectFacts>,
}

/// Subject: the project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectDeleted {
    /// Its slug, free again.
    pub slug: Text,
    /// The milestones that are gone with it.
    pub milestones: Vec<MilestoneId>,
}

/// Subject: the milestone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MilestoneCreated {
    /// The project it is part of.
    pub project_id: ProjectId,
    /// All about it.
    pub milestone: MilestoneFacts,
}

/// Subject: the milestone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MilestoneUpdated {
    /// The project it is part of.
    pub project_id: ProjectId,
    /// All about it.
    pub milestone: MilestoneFacts,
}

/// Subject: the milestone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MilestoneDeleted {
    /// The project it was part of.
    pub project_id: ProjectId,
}

/// Subject: the view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SavedViewCreated {
    /// Whose it is.
    pub owner_id: UserId,
    /// All about it.
    pub view: SavedViewFacts,
}

/// Subject: the view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SavedViewUpdated {
    /// All about it.
    pub view: SavedViewFacts,
}

/// Subject: the view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SavedViewDeleted {
    /// Whose it was.
    pub owner_id: UserId,
}

/// Subject: the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriageRuleCreated {
    /// All about it.
    pub rule: Box<TriageRuleFacts>,
}

/// Subject: the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriageRuleUpdated {
    /// All about it.
    pub rule: Box<TriageRuleFacts>,
}

/// Subject: the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriageRuleDeleted {
    /// What it was called.
    pub name: Text,
}

/// Subject: the workspace. What became of each issue stands in entries of its own before this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriageProcessed {
    /// How many issues were looked at.
    pub processed: u64,
    /// How many of them a rule changed.
    pub matched: u64,
    /// How many each rule changed.
    pub rules: Vec<RuleMatches>,
    /// The last issue looked at, if there are more: the next time begins behind it.
    pub left_at: Option<MissionId>,
}

/// How many issues a rule changed in one go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleMatches {
    /// Which.
    pub rule_id: TriageRuleId,
    /// How many.
    pub count: u64,
}

/// Subject: the template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecurringCreated {
    /// All about it.
    pub recurring: Box<RecurringFacts>,
    /// Who made it: the author of what it makes.
    pub author: Option<Party>,
    /// When it is due.
    pub next_run: Option<Time>,
}

/// Subject: the template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecurringUpdated {
    /// All about it.
    pub recurring: Box<RecurringFacts>,
    /// When it is due; never while it is switched off.
    pub next_run: Option<Time>,
}

/// Subject: the template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecurringDeleted {
    /// What it was called.
    pub title: Text,
}

/// Subject: the template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecurringFired {
    /// When it was due.
    pub due: Time,
    /// What it made.
    pub issue_id: Option<MissionId>,
    /// Why it made nothing.
    pub error: Option<Text>,
    /// When it is due again; never again if its schedule makes no sense any more.
    pub next_run: Option<Time>,
}
