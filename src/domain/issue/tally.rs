//! How the issues of a project or milestone stand, counted as they change: a list of projects counts nothing
//! (`issues.md` 15.2, 22).

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::{Issue, IssueStatus, Issues};
use crate::{MilestoneId, MissionId, ProjectId};

/// How many issues there are, and how far they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All of them.
    pub total: u64,
    /// Those in `REVIEW`.
    pub review: u64,
    /// Those in `DONE`.
    pub done: u64,
}

impl Tally {
    /// Those in `DONE` or `REVIEW`: what a project calls done.
    #[must_use]
    pub fn done_or_in_review(self) -> u64 {
        self.done + self.review
    }

    /// How many of a hundred are done or in review, rounded down.
    #[must_use]
    pub fn progress(self) -> u64 {
        (self.done_or_in_review() * 100).checked_div(self.total).unwrap_or_default()
    }

    /// With one issue more, or one less.
    fn step(&mut self, status: IssueStatus, is_new: bool) {
        let step = |count: &mut u64| match is_new {
            true => *count = count.saturating_add(1),
            false => *count = count.saturating_sub(1),
        };
        step(&mut self.total);
        match status {
            IssueStatus::Done => step(&mut self.done),
            IssueStatus::Review => step(&mut self.review),
            IssueStatus::Backlog
            | IssueStatus::Todo
            | IssueStatus::InProgress
            | IssueStatus::Failed
            | IssueStatus::Cancelled => {}
        }
    }
}

/// Tallies of all projects and milestones that have issues, and what waits for triage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tallies {
    by_project: OrdMap<ProjectId, Tally>,
    by_milestone: OrdMap<MilestoneId, Tally>,
    /// Issues in `BACKLOG` that nobody is on.
    pub untriaged: OrdSet<MissionId>,
}

impl Tallies {
    /// Of a project.
    #[must_use]
    pub fn of_project(&self, project: &ProjectId) -> Tally {
        self.by_project.get(project).copied().unwrap_or_default()
    }

    /// Of a milestone.
    #[must_use]
    pub fn of_milestone(&self, milestone: &MilestoneId) -> Tally {
        self.by_milestone.get(milestone).copied().unwrap_or_default()
    }
}

fn step<K: Ord + Clone>(tallies: &mut OrdMap<K, Tally>, key: Option<&K>, status: IssueStatus, is_new: bool) {
    let Some(key) = key else { return };
    let mut tally = tallies.get(key).copied().unwrap_or_default();
    tally.step(status, is_new);
    // What has no issues has no tally: a recount must come to the same.
    if tally.total == 0 {
        tallies.remove(key);
    } else {
        tallies.insert(key.clone(), tally);
    }
}

impl Issues {
    /// An issue counts from here on, as it is.
    pub(super) fn count_in(&mut self, issue: &Issue) {
        self.recount(issue, true);
    }

    /// It does not any more, as it was.
    pub(super) fn count_out(&mut self, issue: &Issue) {
        self.recount(issue, false);
    }

    fn recount(&mut self, issue: &Issue, is_new: bool) {
        match is_new {
            true => drop(self.columns.insert(issue.board_place())),
            false => drop(self.columns.remove(&issue.board_place())),
        }
        let tallies = &mut self.tallies;
        step(&mut tallies.by_project, issue.facts.project_id.as_ref(), issue.status, is_new);
        step(&mut tallies.by_milestone, issue.facts.milestone_id.as_ref(), issue.status, is_new);
        if issue.status == IssueStatus::Backlog && issue.facts.assignee.is_none() {
            match is_new {
                true => drop(tallies.untriaged.insert(issue.id.clone())),
                false => drop(tallies.untriaged.remove(&issue.id)),
            }
        }
    }
}
