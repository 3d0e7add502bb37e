//! Recurring issues: templates that make an issue whenever their time comes (`issues.md` 17).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cron::Schedule;
use super::fields::{asked, description, not_empty, room};
use super::{
    Body, RecurringCreated, RecurringDeleted, RecurringDraft, RecurringFired, RecurringUpdated,
    TrackerCommand,
};
use crate::issue::{IssueDraft, IssueFacts, IssuePriority, Origin, Party, via};
use crate::roster::audit;
use crate::unfolding::Unfolding;
use crate::{
    Command, Context, CrewId, Draft, Face, LabelId, MilestoneId, MissionId, Offset, ProjectId, RecurringId,
    Rejection, Severity, Text, Time, Workspace,
};

/// Most templates of a workspace: the end of a project changes those that name it, in one batch.
const TEMPLATES_MAX: usize = 500;
/// Most templates that fire in one go, the oldest first.
const DUE_MAX: usize = 100;

/// What people set of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecurringFacts {
    /// Whose issues it makes.
    pub crew_id: CrewId,
    /// What they are called.
    pub title: Text,
    /// What they are about.
    pub description: Option<Text>,
    /// How much they matter.
    pub priority: IssuePriority,
    /// The project they are part of.
    pub project_id: Option<ProjectId>,
    /// The milestone they are part of.
    pub milestone_id: Option<MilestoneId>,
    /// Who is on them.
    pub assignee: Option<Party>,
    /// Their labels.
    pub labels: Vec<LabelId>,
    /// When: five fields, UTC.
    pub cron_expression: Text,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// A template as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurring {
    /// Its id.
    pub id: RecurringId,
    /// What people set of it.
    pub facts: RecurringFacts,
    /// Who made it: the author of what it makes.
    pub author: Option<Party>,
    /// When it is due; never while it is switched off.
    pub next_run: Option<Time>,
    /// When it last made an issue.
    pub last_run: Option<Time>,
    /// Why its last time made none, if so.
    pub last_error: Option<Text>,
    /// How many issues it made.
    pub run_count: u64,
    /// When it was made.
    pub created_at: Time,
    /// Offset of its creation.
    pub born: Offset,
}

fn required<'a>(wish: Option<&'a String>, detail: &'static str) -> Result<&'a str, Rejection> {
    let said = super::fields::said(wish);
    said.ok_or_else(|| Rejection::invalid("recurring.field_required", detail))
}

fn invalid_cron(reason: &str) -> Rejection {
    Rejection::invalid("recurring.cron", format!("Invalid cron expression: {reason}"))
}

/// When an expression is due after now.
fn next_run(cron: &str, now: Time) -> Result<Time, Rejection> {
    let schedule = Schedule::parse(cron).map_err(|reason| invalid_cron(&reason))?;
    schedule.next_after(now).ok_or_else(|| invalid_cron("it is never due"))
}

impl Workspace {
    /// A template.
    ///
    /// # Errors
    /// `Recurring issue not found`.
    pub fn recurring(&self, id: &str) -> Result<&Recurring, Rejection> {
        let found = self.tracker.recurring.get(id).map(|recurring| &**recurring);
        found.ok_or_else(|| Rejection::not_found("recurring.not_found", "Recurring issue not found"))
    }

    /// Templates whose time has come, each with the name of its request: one for each time.
    #[must_use]
    pub fn recurring_due(&self, now: Time) -> Vec<(String, Command)> {
        let due = self.tracker.schedule.iter().take_while(|(due, _)| *due <= now).take(DUE_MAX);
        due.map(|(due, id)| {
            let fire = TrackerCommand::FireRecurring { recurring: id.clone(), due: *due };
            (format!("recurring:{id}:{}", due.0), fire.into())
        })
        .collect()
    }

    pub(super) fn create_recurring(
        &self,
        draft: &RecurringDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let crew_id = required(draft.crew_id.as_ref(), "crew_id is required")?;
        let nothing = RecurringFacts {
            crew_id: crew_id.into(),
            title: crate::issue::title(draft.title.as_deref())?,
            cron_expression: required(draft.cron_expression.as_ref(), "cron_expression is required")?.into(),
            description: None,
            priority: IssuePriority::default(),
            project_id: None,
            milestone_id: None,
            assignee: None,
            labels: vec![],
            enabled: true,
        };
        let next_run = next_run(&nothing.cron_expression, context.now)?;
        let draft = RecurringDraft { title: None, cron_expression: None, enabled: None, ..draft.clone() };
        let recurring = self.recurring_with(&nothing, &draft, |assignee| {
            self.assignee_of_draft(assignee.assignee_type.as_deref(), assignee.assignee_id.as_deref())
        })?;
        room(self.tracker.recurring.len(), TEMPLATES_MAX, "recurring issues")?;
        let id = RecurringId::from(context.mint.cuid());
        let face = audit("created", "RECURRING_ISSUE", id.as_str(), &recurring.title, context.actor);
        let author = Origin::of(context.actor).author;
        let created = RecurringCreated { recurring: recurring.into(), author, next_run: Some(next_run) };
        Ok(vec![Draft::public(id.as_str(), created, face)])
    }

    /// Another expression, or switching it on, counts from now: what passed meanwhile was not missed.
    pub(super) fn update_recurring(
        &self,
        id: &RecurringId,
        patch: &Body<Box<RecurringDraft>>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let before = self.recurring(id.as_str())?;
        let patch = asked(patch)?;
        let old = &before.facts;
        let recurring = self.recurring_with(old, patch, |patch| {
            let id = patch.assignee_id.as_ref().map(|id| Some(id.clone()));
            self.assignee_of_patch(patch.assignee_type.as_deref(), id.as_ref(), old.assignee.as_ref())
        })?;
        let is_other = recurring.cron_expression != old.cron_expression;
        let next_run = match recurring.enabled {
            true if is_other || !old.enabled => Some(next_run(&recurring.cron_expression, context.now)?),
            true => before.next_run,
            false if is_other => {
                next_run(&recurring.cron_expression, context.now)?;
                None
            }
            false => None,
        };
        not_empty(patch)?;
        if recurring == *old {
            return Ok(vec![]);
        }
        let face = audit("updated", "RECURRING_ISSUE", id.as_str(), &recurring.title, context.actor);
        let updated = RecurringUpdated { recurring: recurring.into(), next_run };
        Ok(vec![Draft::public(id.as_str(), updated, face)])
    }

    pub(super) fn delete_recurring(
        &self,
        id: &RecurringId,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let title = self.recurring(id.as_str())?.facts.title.clone();
        let face = audit("deleted", "RECURRING_ISSUE", id.as_str(), &title, context.actor);
        Ok(vec![Draft::public(id.as_str(), RecurringDeleted { title }, face)])
    }

    fn recurring_with(
        &self,
        before: &RecurringFacts,
        patch: &RecurringDraft,
        assignee: impl FnOnce(&RecurringDraft) -> Result<Option<Party>, Rejection>,
    ) -> Result<RecurringFacts, Rejection> {
        let mut facts = before.clone();
        if let Some(title) = &patch.title {
            facts.title = crate::issue::title(Some(title))?;
        }
        if let Some(cron) = &patch.cron_expression {
            facts.cron_expression = required(Some(cron), "cron_expression is required")?.into();
        }
        if let Some(id) = &patch.crew_id {
            facts.crew_id = self.template_crew(id)?;
        }
        facts.assignee = assignee(patch)?;
        self.sort_template(&mut facts, patch)?;
        if let Some(word) = &patch.priority {
            facts.priority = super::fields::priority(word)?.unwrap_or_default();
        }
        if let Some(text) = &patch.labels_json {
            facts.labels = self.labels_of_json(text)?;
        }
        if let Some(text) = &patch.description {
            facts.description = description(text)?;
        }
        facts.enabled = patch.enabled.unwrap_or(facts.enabled);
        Ok(facts)
    }

    fn template_crew(&self, id: &str) -> Result<CrewId, Rejection> {
        let found = self.roster.live_crew(id).map(|crew| crew.id.clone());
        found.ok_or_else(|| Rejection::invalid("recurring.crew_not_found", "Crew not found in workspace"))
    }

    /// Project and milestone go together as they do on issues (`issues.md` 15.3).
    fn sort_template(&self, facts: &mut RecurringFacts, patch: &RecurringDraft) -> Result<(), Rejection> {
        if let Some(id) = &patch.project_id {
            facts.project_id = self.project_ref(id)?;
        }
        if let Some(id) = &patch.milestone_id {
            facts.milestone_id = self.milestone_ref(id)?;
        }
        let sets_milestone = patch.milestone_id.as_deref().is_some_and(|id| !id.is_empty());
        let mut agreed = IssueFacts {
            project_id: facts.project_id.clone(),
            milestone_id: facts.milestone_id.clone(),
            ..IssueFacts::default()
        };
        self.agree_on_project(&mut agreed, sets_milestone)?;
        (facts.project_id, facts.milestone_id) = (agreed.project_id, agreed.milestone_id);
        Ok(())
    }
}

impl RecurringFacts {
    /// What it wants made.
    fn draft(&self) -> IssueDraft {
        IssueDraft {
            title: Some(self.title.to_string()),
            description: self.description.as_ref().map(ToString::to_string),
            priority: Some(self.priority.to_string()),
            assignee_type: self.assignee.as_ref().map(|party| party.kind.to_string()),
            assignee_id: self.assignee.as_ref().map(|party| party.id.to_string()),
            project_id: self.project_id.as_ref().map(ToString::to_string),
            milestone_id: self.milestone_id.as_ref().map(ToString::to_string),
            labels: Some(self.labels.iter().map(ToString::to_string).collect()),
            ..IssueDraft::default()
        }
    }
}

impl Unfolding<'_> {
    /// A template's time has come: one issue, however often its time came meanwhile, and its next time, in
    /// one batch. Whatever keeps it from making one is kept with it, and it goes on.
    pub(super) fn fire_recurring(&mut self, id: &RecurringId, due: Time) {
        let found = self.state.tracker.recurring.get(id).cloned();
        // Asked again, or too early: the schedule has moved on.
        let is_due = |found: &Recurring| found.next_run == Some(due) && due <= self.context.now;
        let Some(template) = found.filter(|found| is_due(found)) else { return };
        let next_run = next_run(&template.facts.cron_expression, self.context.now);
        let made = match &next_run {
            Ok(_) => self.make_of(&template),
            Err(refused) => Err(refused.clone()),
        };
        let next_run = next_run.ok();
        match made {
            Ok(issue) => {
                let fired = RecurringFired { due, issue_id: Some(issue), error: None, next_run };
                self.add(Draft::internal(id.as_str(), fired));
            }
            Err(refused) => {
                let error = Text::from(&*refused.detail);
                let face = audit("updated", "RECURRING_ISSUE", id.as_str(), &error, self.context.actor);
                let face = Face { severity: Severity::Warn, ..face };
                let fired = RecurringFired { due, issue_id: None, error: Some(error), next_run };
                self.add(Draft::public(id.as_str(), fired, face));
            }
        }
    }

    fn make_of(&mut self, template: &Recurring) -> Result<MissionId, Rejection> {
        let origin = Origin { author: template.author.clone(), via: via::RECURRING };
        self.create_issue_for(&template.facts.crew_id, &template.facts.draft(), origin)
    }

    /// What templates lose when it goes.
    pub(super) fn change_templates(&mut self, change: impl Fn(&mut RecurringFacts)) {
        let all: Vec<Recurring> =
            self.state.tracker.recurring.values().map(|found| (**found).clone()).collect();
        for before in all {
            let mut recurring = before.facts.clone();
            change(&mut recurring);
            if recurring != before.facts {
                let updated = RecurringUpdated { recurring: recurring.into(), next_run: before.next_run };
                self.add(Draft::internal(before.id.as_str(), updated));
            }
        }
    }
}
