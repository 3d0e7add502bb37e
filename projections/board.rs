//! The lists of missions and checkpoints, kept in order so that a page never scans.

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use taffrail_domain::checkpoint::CheckpointEvent;
use taffrail_domain::issue::IssueEvent;
use taffrail_domain::mission::{Mission, MissionEvent, Status};
use taffrail_domain::roster::RosterEvent;
use taffrail_domain::{CheckpointId, CrewId, Entry, Event, MissionId, Offset, Workspace};

use crate::ranked::Ranked;

/// One list: of a crew or of the whole workspace, of one status or of any.
type Shelf = (Option<CrewId>, Option<Status>);

/// Missions and checkpoints by creation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Board {
    missions: OrdMap<Shelf, Ranked<Offset>>,
    births: OrdMap<Offset, MissionId>,
    checkpoints: OrdSet<(MissionId, Offset)>,
    checkpoint_births: OrdMap<Offset, CheckpointId>,
}

impl Board {
    /// Missions, newest first: of a crew or all, of a status or any.
    pub fn missions<'a>(
        &'a self,
        crew: Option<&CrewId>,
        status: Option<Status>,
    ) -> impl Iterator<Item = &'a MissionId> + 'a {
        self.page(crew, status, 0)
    }

    /// The same without the first `skip`; however many they are, it costs next to nothing.
    pub fn page<'a>(
        &'a self,
        crew: Option<&CrewId>,
        status: Option<Status>,
        skip: usize,
    ) -> impl Iterator<Item = &'a MissionId> + 'a {
        let births = self.missions.get(&(crew.cloned(), status)).into_iter();
        births.flat_map(move |births| births.descending(skip)).filter_map(|born| self.births.get(&born))
    }

    /// How many missions a list has.
    #[must_use]
    pub fn count(&self, crew: Option<&CrewId>, status: Option<Status>) -> usize {
        self.missions.get(&(crew.cloned(), status)).map_or(0, Ranked::len)
    }

    /// Checkpoints of a mission, newest first.
    pub fn checkpoints<'a>(&'a self, mission: &MissionId) -> impl Iterator<Item = &'a CheckpointId> + 'a {
        let range = (mission.clone(), Offset(0))..=(mission.clone(), Offset(u64::MAX));
        self.checkpoints.range(range).rev().filter_map(|(_, born)| self.checkpoint_births.get(born))
    }

    /// Folds one entry in; `before` is the state it found.
    pub(crate) fn apply(&mut self, entry: &Entry, before: &Workspace) {
        match &entry.event {
            Some(Event::Mission(event)) => self.apply_mission(event, entry, before),
            Some(Event::Checkpoint(event)) => self.apply_checkpoint(event, entry, before),
            Some(Event::Issue(IssueEvent::IssueDeleted(_))) => {
                self.remove_checkpoints_of(&(&*entry.subject).into());
            }
            Some(Event::Roster(RosterEvent::CrewDeleted(_))) => {
                let crew = CrewId::from(&*entry.subject);
                let missions: Vec<MissionId> = self.missions(Some(&crew), None).cloned().collect();
                for id in missions {
                    before.missions.get(&id).into_iter().for_each(|mission| self.remove(mission));
                }
                before.issues.of_crew(&crew).for_each(|issue| self.remove_checkpoints_of(issue));
            }
            Some(
                Event::Roster(_)
                | Event::Instance(_)
                | Event::Marker(_)
                | Event::Work(_)
                | Event::Approval(_)
                | Event::Chat(_)
                | Event::Escalation(_)
                | Event::Issue(_)
                | Event::Tracker(_)
                | Event::Routine(_),
            )
            | None => {}
        }
    }

    fn apply_mission(&mut self, event: &MissionEvent, entry: &Entry, before: &Workspace) {
        let mission = before.missions.get(&*entry.subject);
        match event {
            MissionEvent::MissionCreated(created) => {
                self.births.insert(entry.offset, (&*entry.subject).into());
                for shelf in shelves(&created.crew_id, Status::Planning) {
                    self.put(shelf, entry.offset);
                }
            }
            MissionEvent::MissionStatusChanged(moved) => {
                let Some(mission) = mission else { return };
                for crew in [None, Some(mission.crew_id.clone())] {
                    self.take((crew.clone(), Some(moved.from)), mission.born);
                    self.put((crew, Some(moved.to)), mission.born);
                }
            }
            MissionEvent::MissionDeleted(_) => mission.into_iter().for_each(|mission| self.remove(mission)),
            MissionEvent::MissionUpdated(_)
            | MissionEvent::TaskCreated(_)
            | MissionEvent::TaskUpdated(_)
            | MissionEvent::TaskStatusChanged(_) => {}
        }
    }

    fn apply_checkpoint(&mut self, event: &CheckpointEvent, entry: &Entry, before: &Workspace) {
        match event {
            CheckpointEvent::CheckpointCreated(created) => {
                self.checkpoint_births.insert(entry.offset, (&*entry.subject).into());
                self.checkpoints.insert((created.mission_id.clone(), entry.offset));
            }
            CheckpointEvent::CheckpointDeleted(_) => {
                let Some(checkpoint) = before.checkpoints.get(&*entry.subject) else { return };
                self.checkpoint_births.remove(&checkpoint.born);
                self.checkpoints.remove(&(checkpoint.mission_id.clone(), checkpoint.born));
            }
            CheckpointEvent::CheckpointRestored(_) | CheckpointEvent::Forked(_) => {}
        }
    }

    fn put(&mut self, shelf: Shelf, born: Offset) {
        self.missions.entry(shelf).or_default().insert(born);
    }

    fn take(&mut self, shelf: Shelf, born: Offset) {
        let Some(births) = self.missions.get_mut(&shelf) else { return };
        births.remove(born);
        if births.len() == 0 {
            // Lists of crews that are gone leave nothing behind.
            self.missions.remove(&shelf);
        }
    }

    fn remove(&mut self, mission: &Mission) {
        self.births.remove(&mission.born);
        for shelf in shelves(&mission.crew_id, mission.status) {
            self.take(shelf, mission.born);
        }
        self.remove_checkpoints_of(&mission.id);
    }

    fn remove_checkpoints_of(&mut self, mission: &MissionId) {
        let range = (mission.clone(), Offset(0))..=(mission.clone(), Offset(u64::MAX));
        let checkpoints: Vec<_> = self.checkpoints.range(range).cloned().collect();
        for row in checkpoints {
            self.checkpoint_births.remove(&row.1);
            self.checkpoints.remove(&row);
        }
    }
}

fn shelves(crew: &CrewId, status: Status) -> [Shelf; 4] {
    let crew = Some(crew.clone());
    [(None, None), (None, Some(status)), (crew.clone(), None), (crew, Some(status))]
}
