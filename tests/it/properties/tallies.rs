//! What is counted as issues change equals what a recount says, whatever was wished in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use taffrail_domain::issue::{IssueCommand, IssueStatus, Named, Tally};
use taffrail_domain::roster::RosterCommand;
use taffrail_domain::tracker::TrackerCommand;
use taffrail_projections::WorkspaceWorld;

use crate::stories::kit::{CREW, LEAD};
use crate::stories::tracker::Desk;

#[derive(Clone, Debug)]
enum Wish {
    Create(Index, bool),
    Move(Index, IssueStatus),
    Sort(Index, Index),
    Reach(Index, Index),
    Assign(Index, bool),
    Delete(Index),
    DropProject(Index),
    DropMilestone(Index),
    DropCrew,
}

fn any_wishes() -> impl Strategy<Value = Vec<Wish>> {
    let i = any::<Index>;
    let wish = prop_oneof![
        8 => (i(), any::<bool>()).prop_map(|(place, reaches)| Wish::Create(place, reaches)),
        16 => (i(), prop::sample::select(IssueStatus::ALL)).prop_map(|(issue, to)| Wish::Move(issue, to)),
        6 => (i(), i()).prop_map(|(issue, project)| Wish::Sort(issue, project)),
        6 => (i(), i()).prop_map(|(issue, milestone)| Wish::Reach(issue, milestone)),
        3 => (i(), any::<bool>()).prop_map(|(issue, on)| Wish::Assign(issue, on)),
        3 => i().prop_map(Wish::Delete),
        1 => i().prop_map(Wish::DropProject),
        1 => i().prop_map(Wish::DropMilestone),
        1 => Just(Wish::DropCrew),
    ];
    prop::collection::vec(wish, 0..60)
}

/// A workspace with two projects of two milestones each.
struct Stage {
    desk: Desk,
    projects: Vec<String>,
    milestones: Vec<String>,
    issues: Vec<String>,
}

impl Stage {
    fn set() -> Self {
        let mut desk = Desk::set();
        let projects: Vec<String> = ["One", "Two"].iter().map(|name| desk.project(name)).collect();
        let milestones =
            projects.iter().chain(&projects).map(|project| desk.milestone(project, "m")).collect();
        Self { desk, projects, milestones, issues: vec![] }
    }

    /// Much of what is wished is refused, and that is fine.
    fn wish(&mut self, wish: &Wish) {
        let issue = |index: &Index| (!self.issues.is_empty()).then(|| index.get(&self.issues).clone());
        let named = |issue: &str| Named { crew: None, name: issue.into() };
        match wish {
            Wish::Create(place, reaches) => {
                if !self.desk.world.state.roster.leads.contains_key(CREW) {
                    return;
                }
                let milestone = place.get(&self.milestones);
                let is_there = self.desk.world.state.milestone(milestone).is_ok();
                let milestone = (*reaches && is_there).then_some(milestone);
                let made = self.desk.issue(json!({ "title": "Issue", "milestone_id": milestone }));
                self.issues.push(made);
            }
            Wish::Move(index, to) => {
                issue(index).map(|issue| self.desk.patch(&issue, json!({ "status": to })));
            }
            Wish::Sort(index, project) => {
                let project = project.get(&self.projects);
                issue(index).map(|issue| self.desk.patch(&issue, json!({ "project_id": project })));
            }
            Wish::Reach(index, milestone) => {
                let milestone = milestone.get(&self.milestones);
                issue(index).map(|issue| self.desk.patch(&issue, json!({ "milestone_id": milestone })));
            }
            Wish::Assign(index, on) => {
                let agent = if *on { LEAD } else { "" };
                issue(index).map(|issue| self.desk.patch(&issue, json!({ "assignee_id": agent })));
            }
            Wish::Delete(index) => {
                issue(index).map(|issue| self.desk.wish(IssueCommand::Delete { issue: named(&issue) }));
            }
            Wish::DropProject(index) => {
                let project = index.get(&self.projects).as_str().into();
                let _ = self.desk.wish(TrackerCommand::DeleteProject { project });
            }
            Wish::DropMilestone(index) => {
                let milestone = index.get(&self.milestones).as_str().into();
                let _ = self.desk.wish(TrackerCommand::DeleteMilestone { milestone });
            }
            Wish::DropCrew => {
                let _ = self.desk.wish(RosterCommand::DeleteCrew { crew: CREW.into() });
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let world = &self.desk.world;
        for project in &self.projects {
            let expected = recount(world).0.remove(project).unwrap_or_default();
            prop_assert_eq!(world.state.project_tally(&project.as_str().into()), expected);
        }
        for milestone in &self.milestones {
            let expected = recount(world).1.remove(milestone).unwrap_or_default();
            prop_assert_eq!(world.state.milestone_tally(&milestone.as_str().into()), expected);
        }
        let waits = world
            .state
            .issues
            .all
            .values()
            .filter(|issue| issue.status == IssueStatus::Backlog && issue.facts.assignee.is_none());
        let expected: Vec<_> = waits.map(|issue| issue.id.clone()).collect();
        let found: Vec<_> = world.state.issues.tallies.untriaged.iter().cloned().collect();
        prop_assert_eq!(found, expected);
        Ok(())
    }
}

type Recount = BTreeMap<String, Tally>;

/// By project and by milestone, in the plainest way there is.
fn recount(world: &WorkspaceWorld) -> (Recount, Recount) {
    let (mut projects, mut milestones) = (Recount::new(), Recount::new());
    for issue in world.state.issues.all.values() {
        let add = |counts: &mut Recount, key: Option<String>| {
            let Some(tally) = key.map(|key| counts.entry(key).or_default()) else { return };
            tally.total += 1;
            tally.review += u64::from(issue.status == IssueStatus::Review);
            tally.done += u64::from(issue.status == IssueStatus::Done);
        };
        add(&mut projects, issue.facts.project_id.as_ref().map(ToString::to_string));
        add(&mut milestones, issue.facts.milestone_id.as_ref().map(ToString::to_string));
    }
    (projects, milestones)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tallies_equal_a_recount(wishes in any_wishes()) {
        let mut stage = Stage::set();
        for wish in &wishes {
            stage.wish(wish);
            stage.check()?;
        }
    }
}
