//! Triage rules (`issues.md` 16).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::issue::IssuePriority;
use taffrail_domain::tracker::{
    MatchType, TrackerCommand, TrackerEvent, TriageProcessed, TriageRule, TriageRuleDraft,
};
use taffrail_domain::{AgentId, CrewId, Entry, Event, LabelId, ProjectId, Text, TriageRuleId};

use super::answer::{Created, Done, Gone, Listed, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageTracker, ReadIssues, WriteTracker};
use super::problem::Problem;
use super::time::Seconds;

/// A triage rule on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TriageRule")]
pub(super) struct RuleView {
    id: TriageRuleId,
    name: Text,
    pattern: Text,
    match_type: MatchType,
    crew_id: Option<CrewId>,
    assignee_id: Option<AgentId>,
    priority: Option<IssuePriority>,
    project_id: Option<ProjectId>,
    /// A JSON list of ids, as a text.
    labels_json: Option<String>,
    position: i64,
    enabled: bool,
    match_count: u64,
    created_at: Seconds,
}

/// What became of a processing.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TriageOutcome")]
pub(super) struct OutcomeView {
    /// How many issues were looked at.
    processed: u64,
    /// How many of them a rule changed.
    matched: u64,
    /// Whether there are more, for another call: additive.
    more: bool,
}

/// Ids of labels as a JSON text; none is null.
pub(super) fn labels_json(labels: &[LabelId]) -> Option<String> {
    (!labels.is_empty()).then(|| serde_json::to_string(labels).unwrap_or_default())
}

impl RuleView {
    fn of(rule: &TriageRule) -> Self {
        let facts = rule.facts.clone();
        Self {
            id: rule.id.clone(),
            name: facts.name,
            pattern: facts.pattern,
            match_type: facts.match_type,
            crew_id: facts.crew_id,
            assignee_id: facts.assignee_id,
            priority: facts.priority,
            project_id: facts.project_id,
            labels_json: labels_json(&facts.labels),
            position: facts.position,
            enabled: facts.enabled,
            match_count: rule.match_count,
            created_at: Seconds(rule.created_at),
        }
    }
}

/// `GET /api/v1/triage-rules`: by place and age.
pub(super) async fn list_triage_rules(member: Member<ReadIssues>) -> Listed<Vec<RuleView>> {
    let world = member.world();
    let views: Vec<_> = world.state.rules_in_order().into_iter().map(RuleView::of).collect();
    Listed::whole(&views, views.len())
}

/// `POST /api/v1/triage-rules`
pub(super) async fn create_triage_rule(
    member: Member<WriteTracker>,
    sent: Sent<Required<TriageRuleDraft>>,
) -> Result<Created<RuleView>, Problem> {
    let done = member.execute(TrackerCommand::CreateRule(sent.json()?.into()), &sent).await?;
    let rule = done.world.state.triage_rule(&first_entry(&done)?.subject)?;
    Ok(Created::new(&done, &RuleView::of(rule)))
}

/// `PATCH /api/v1/triage-rules/{ruleId}`
pub(super) async fn update_triage_rule(
    member: Member<WriteTracker>,
    Path(id): Path<TriageRuleId>,
    sent: Sent<Required<TriageRuleDraft>>,
) -> Result<Done<RuleView>, Problem> {
    let command = TrackerCommand::UpdateRule { rule: id.clone(), patch: sent.json().map(Box::new) };
    let done = member.execute(command, &sent).await?;
    Ok(Done::new(&done, &RuleView::of(done.world.state.triage_rule(id.as_str())?)))
}

/// `DELETE /api/v1/triage-rules/{ruleId}`
pub(super) async fn delete_triage_rule(
    member: Member<ManageTracker>,
    Path(rule): Path<TriageRuleId>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let done = member.execute(TrackerCommand::DeleteRule { rule }, &sent).await?;
    Ok(Gone::of(&done))
}

/// `POST /api/v1/triage/process`: a body is not looked at.
pub(super) async fn process_triage(
    member: Member<WriteTracker>,
    sent: Sent<Ignored>,
) -> Result<Done<OutcomeView>, Problem> {
    let done = member.execute(TrackerCommand::ProcessTriage, &sent).await?;
    let view = match done.entries.iter().find_map(processed) {
        Some(told) => {
            OutcomeView { processed: told.processed, matched: told.matched, more: told.left_at.is_some() }
        }
        // Without a new fact it went through all there is, in the world it was decided in.
        None => OutcomeView { processed: done.world.state.triage_ahead(), matched: 0, more: false },
    };
    Ok(Done::new(&done, &view))
}

fn processed(entry: &Entry) -> Option<&TriageProcessed> {
    match &entry.event {
        Some(Event::Tracker(TrackerEvent::TriageProcessed(told))) => Some(told),
        _ => None,
    }
}
