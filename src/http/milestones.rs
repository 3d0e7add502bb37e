//! Milestones of projects (`issues.md` 15.3).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::tracker::{Milestone, MilestoneDraft, MilestoneStatus, TrackerCommand};
use taffrail_domain::{MilestoneId, ProjectId, Text, Workspace};

use super::answer::{Created, Done, Gone, Listed, first_entry};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ManageTracker, ReadIssues, WriteTracker};
use super::problem::Problem;
use super::time::Seconds;

/// A milestone on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Milestone")]
pub(super) struct MilestoneView {
    id: MilestoneId,
    project_id: ProjectId,
    name: Text,
    description: Option<Text>,
    target_date: Option<Text>,
    status: MilestoneStatus,
    position: i64,
    issue_count: u64,
    /// Those in `DONE`: here `REVIEW` does not count.
    done_count: u64,
    created_at: Seconds,
    updated_at: Seconds,
}

impl MilestoneView {
    pub(super) fn of(milestone: &Milestone, state: &Workspace) -> Self {
        let facts = milestone.facts.clone();
        let tally = state.milestone_tally(&milestone.id);
        Self {
            id: milestone.id.clone(),
            project_id: milestone.project_id.clone(),
            name: facts.name,
            description: facts.description,
            target_date: facts.target_date,
            status: facts.status,
            position: facts.position,
            issue_count: tally.total,
            done_count: tally.done,
            created_at: Seconds(milestone.created_at),
            updated_at: Seconds(milestone.updated_at),
        }
    }
}

/// `GET /api/v1/projects/{projectId}/milestones`: by place and age.
pub(super) async fn list_milestones(
    member: Member<ReadIssues>,
    Path(project): Path<Text>,
) -> Result<Listed<Vec<MilestoneView>>, Problem> {
    let world = member.world();
    let project = world.state.project(&project)?;
    let mut milestones: Vec<&Milestone> = world.state.tracker.milestones_of(&project.id).collect();
    milestones.sort_by_key(|milestone| (milestone.facts.position, milestone.born));
    let views: Vec<_> =
        milestones.into_iter().map(|milestone| MilestoneView::of(milestone, &world.state)).collect();
    Ok(Listed::whole(&views, views.len()))
}

/// `POST /api/v1/projects/{projectId}/milestones`
pub(super) async fn create_milestone(
    member: Member<WriteTracker>,
    Path(project): Path<Text>,
    sent: Sent<Required<MilestoneDraft>>,
) -> Result<Created<MilestoneView>, Problem> {
    let command = TrackerCommand::CreateMilestone { project, draft: sent.json() };
    let done = member.execute(command, &sent).await?;
    let state = &done.world.state;
    let milestone = state.milestone(&first_entry(&done)?.subject)?;
    Ok(Created::new(&done, &MilestoneView::of(milestone, state)))
}

/// `PATCH /api/v1/milestones/{milestoneId}`
pub(super) async fn update_milestone(
    member: Member<WriteTracker>,
    Path(id): Path<MilestoneId>,
    sent: Sent<Required<MilestoneDraft>>,
) -> Result<Done<MilestoneView>, Problem> {
    let command = TrackerCommand::UpdateMilestone { milestone: id.clone(), patch: sent.json() };
    let done = member.execute(command, &sent).await?;
    let state = &done.world.state;
    Ok(Done::new(&done, &MilestoneView::of(state.milestone(id.as_str())?, state)))
}

/// `DELETE /api/v1/milestones/{milestoneId}`
pub(super) async fn delete_milestone(
    member: Member<ManageTracker>,
    Path(milestone): Path<MilestoneId>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let done = member.execute(TrackerCommand::DeleteMilestone { milestone }, &sent).await?;
    Ok(Gone::of(&done))
}
