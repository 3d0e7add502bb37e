//! The activity log of each issue: where its lines stand in the journal.

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::IssueEvent;
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::{CrewId, Entry, Event, MissionId, Offset, Workspace};

/// Lines of activity, by issue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IssueLog {
    lines: OrdMap<MissionId, Vector<Offset>>,
}

impl IssueLog {
    /// The lines of an issue before an offset, newest first.
    pub fn before<'a>(&'a self, issue: &MissionId, before: Offset) -> impl Iterator<Item = Offset> + 'a {
        let lines = self.lines.get(issue).into_iter().flat_map(|lines| lines.iter().rev().copied());
        lines.skip_while(move |offset| *offset >= before)
    }

    /// Folds one entry in; `before` is the state it found.
    pub(crate) fn apply(&mut self, entry: &Entry, before: &Workspace) {
        match &entry.event {
            Some(Event::Issue(IssueEvent::IssueCreated(_) | IssueEvent::IssueNoted(_))) => {
                self.lines.entry((&*entry.subject).into()).or_default().push_back(entry.offset);
            }
            // Parts of what is gone: one entry is a line of each.
            Some(Event::Issue(IssueEvent::IssuesDetached(detached))) if detached.from.is_parent() => {
                for issue in &detached.issues {
                    self.lines.entry(issue.clone()).or_default().push_back(entry.offset);
                }
            }
            Some(Event::Issue(IssueEvent::IssueDeleted(_))) => drop(self.lines.remove(&*entry.subject)),
            Some(Event::Roster(RosterEvent::CrewDeleted(_))) => {
                let crew = CrewId::from(&*entry.subject);
                before.issues.of_crew(&crew).for_each(|issue| drop(self.lines.remove(issue)));
            }
            _ => {}
        }
    }
}
