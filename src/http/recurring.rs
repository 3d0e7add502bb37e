//! Recurring issues (`issues.md` 17).

use std::cmp::Reverse;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::{IssuePriority, PartyType};
use taffrail_domain::tracker::{Recurring, RecurringDraft, TrackerCommand};
use taffrail_domain::{CrewId, MilestoneId, ProjectId, RecurringId, Text, Workspace};

use super::answer::{Created, Done, Gone, Listed, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageTracker, ReadIssues, WriteTracker};
use super::problem::Problem;
use super::query::{Query, Word};
use super::time::Seconds;
use super::triage::labels_json;

/// A recurring issue on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecurringIssue")]
pub(super) struct RecurringView {
    id: RecurringId,
    crew_id: CrewId,
    #[serde(skip_serializing_if = "Option::is_none")]
    crew_name: Option<Text>,
    title: Text,
    description: Option<Text>,
    priority: IssuePriority,
    project_id: Option<ProjectId>,
    milestone_id: Option<MilestoneId>,
    assignee_type: Option<PartyType>,
    assignee_id: Option<Text>,
    /// A JSON list of ids, as a text.
    labels_json: Option<String>,
    cron_expression: Text,
    enabled: bool,
    /// Null while it is switched off.
    next_run: Option<Seconds>,
    last_run: Option<Seconds>,
    /// Why its last time made no issue: additive.
    last_error: Option<Text>,
    run_count: u64,
    created_at: Seconds,
}

/// Whose.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RecurringQuery {
    /// Only those of this crew.
    crew_id: Word,
}

impl RecurringView {
    fn of(recurring: &Recurring, state: &Workspace) -> Self {
        let facts = recurring.facts.clone();
        let assignee = facts.assignee.as_ref();
        Self {
            id: recurring.id.clone(),
            crew_name: state.roster.crews.get(&facts.crew_id).map(|crew| crew.facts.name.clone()),
            crew_id: facts.crew_id,
            title: facts.title,
            description: facts.description,
            priority: facts.priority,
            project_id: facts.project_id,
            milestone_id: facts.milestone_id,
            assignee_type: assignee.map(|party| party.kind),
            assignee_id: assignee.map(|party| party.id.clone()),
            labels_json: labels_json(&facts.labels),
            cron_expression: facts.cron_expression,
            enabled: facts.enabled,
            next_run: recurring.next_run.map(Seconds),
            last_run: recurring.last_run.map(Seconds),
            last_error: recurring.last_error.clone(),
            run_count: recurring.run_count,
            created_at: Seconds(recurring.created_at),
        }
    }
}

/// `GET /api/v1/recurring-issues`: newest first.
pub(super) async fn list_recurring_issues(
    member: Member<ReadIssues>,
    Query(query): Query<RecurringQuery>,
) -> Listed<Vec<RecurringView>> {
    let world = member.world();
    let is_meant =
        |found: &&Recurring| query.crew_id.get().is_none_or(|crew| found.facts.crew_id.as_str() == crew);
    let all = world.state.tracker.recurring.values().map(|found| &**found);
    let mut meant: Vec<&Recurring> = all.filter(is_meant).collect();
    meant.sort_by_key(|found| Reverse(found.born));
    let views: Vec<_> = meant.into_iter().map(|found| RecurringView::of(found, &world.state)).collect();
    Listed::whole(&views, views.len())
}

/// `POST /api/v1/recurring-issues`
pub(super) async fn create_recurring_issue(
    member: Member<WriteTracker>,
    sent: Sent<Required<RecurringDraft>>,
) -> Result<Created<RecurringView>, Problem> {
    let done = member.execute(TrackerCommand::CreateRecurring(sent.json()?.into()), &sent).await?;
    let state = &done.world.state;
    let recurring = state.recurring(&first_entry(&done)?.subject)?;
    Ok(Created::new(&done, &RecurringView::of(recurring, state)))
}

/// `PATCH /api/v1/recurring-issues/{recurringId}`
pub(super) async fn update_recurring_issue(
    member: Member<WriteTracker>,
    Path(id): Path<RecurringId>,
    sent: Sent<Required<RecurringDraft>>,
) -> Result<Done<RecurringView>, Problem> {
    let patch = sent.json().map(Box::new);
    let command = TrackerCommand::UpdateRecurring { recurring: id.clone(), patch };
    let done = member.execute(command, &sent).await?;
    let state = &done.world.state;
    Ok(Done::new(&done, &RecurringView::of(state.recurring(id.as_str())?, state)))
}

/// `DELETE /api/v1/recurring-issues/{recurringId}`
pub(super) async fn delete_recurring_issue(
    member: Member<ManageTracker>,
    Path(recurring): Path<RecurringId>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let done = member.execute(TrackerCommand::DeleteRecurring { recurring }, &sent).await?;
    Ok(Gone::of(&done))
}
