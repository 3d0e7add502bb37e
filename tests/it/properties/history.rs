//! Random wishes on a small stage, and the history that deciding them makes.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use taffrail_domain::checkpoint::{AsOf, Bookmarked, CheckpointCommand, CheckpointDraft};
use taffrail_domain::marker::{MarkedEntry, MarkerCommand, MarkerDraft};
use taffrail_domain::mission::{
    Mission, MissionCommand, MissionDraft, MissionPatch, Status, TaskDraft, TaskPatch, TaskStatus,
};
use taffrail_domain::roster::{AgentPatch, CrewPatch, Role, RosterCommand};
use taffrail_domain::{
    CheckpointId, Command, Context, CrewId, Entry, MissionId, Offset, Priority, Rejection, TaskId, Time,
};
use taffrail_projections::{WorkspaceWorld, World};

use crate::stories::kit::{CREW, Counter, LEAD, LOG, OTHER_CREW, OTHER_LEAD, WORKER, member, stage};

/// Between two wishes: a history lasts many seconds, the precision of the metrics.
const STEP_MS: u64 = 707;

/// A wish before it is known what there is to wish about: indexes pick from what exists.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    CreateMission(bool),
    PatchMission(Index, Option<Status>, bool),
    DeleteMission(Index),
    Start(Index),
    Restart(Index),
    Resume(Index),
    Clone(Index),
    AddTask(Index, Vec<Index>, i64),
    PatchTask(Index, Index, Option<TaskStatus>, bool),
    Depend(Index, Index, Vec<Index>),
    Bookmark(Index),
    BookmarkPast(Index, Index),
    Restore(Index),
    Fork(Index),
    DeleteCheckpoint(Index),
    SetPriority(Index, Priority),
    Promote(bool),
    RenameCrew(bool),
    DeleteCrew(bool),
}

pub(crate) fn any_wishes() -> impl Strategy<Value = Vec<Wish>> {
    let i = any::<Index>;
    let some_of = || prop::collection::vec(any::<Index>(), 0..3);
    let status = prop::option::of(prop::sample::select(Status::ALL));
    let task_status = || prop::option::of(prop::sample::select(TaskStatus::ALL));
    let wish = prop_oneof![
        4 => any::<bool>().prop_map(Wish::CreateMission),
        4 => (i(), status, any::<bool>()).prop_map(|(m, s, edit)| Wish::PatchMission(m, s, edit)),
        1 => i().prop_map(Wish::DeleteMission),
        4 => i().prop_map(Wish::Start),
        3 => i().prop_map(Wish::Restart),
        3 => i().prop_map(Wish::Resume),
        2 => i().prop_map(Wish::Clone),
        10 => (i(), some_of(), -2..3i64).prop_map(|(m, needs, order)| Wish::AddTask(m, needs, order)),
        16 => (i(), i(), task_status(), any::<bool>())
            .prop_map(|(m, t, s, edit)| Wish::PatchTask(m, t, s, edit)),
        3 => (i(), i(), some_of()).prop_map(|(m, t, needs)| Wish::Depend(m, t, needs)),
        4 => i().prop_map(Wish::Bookmark),
        3 => (i(), i()).prop_map(|(m, at)| Wish::BookmarkPast(m, at)),
        3 => i().prop_map(Wish::Restore),
        4 => i().prop_map(Wish::Fork),
        1 => i().prop_map(Wish::DeleteCheckpoint),
        3 => (i(), prop::sample::select(Priority::ALL)).prop_map(|(e, p)| Wish::SetPriority(e, p)),
        1 => any::<bool>().prop_map(Wish::Promote),
        1 => any::<bool>().prop_map(Wish::RenameCrew),
        1 => any::<bool>().prop_map(Wish::DeleteCrew),
    ];
    prop::collection::vec(wish, 0..70)
}

/// All entries, and the world as it was published after each.
pub(crate) struct History {
    pub(crate) entries: Vec<Entry>,
    pub(crate) worlds: Vec<WorkspaceWorld>,
    /// New missions by fork, with the source as it was.
    pub(crate) forks: Vec<(MissionId, Arc<Mission>)>,
    mint: Counter,
}

impl History {
    pub(crate) fn of(wishes: &[Wish]) -> Self {
        let mut history = Self::on(stage());
        wishes.iter().for_each(|wish| history.wish(wish));
        history
    }

    /// Nothing has happened yet.
    pub(crate) fn on(stage: WorkspaceWorld) -> Self {
        Self { entries: vec![], worlds: vec![stage], forks: vec![], mint: Counter::default() }
    }

    pub(crate) fn world(&self) -> &WorkspaceWorld {
        self.worlds.last().expect("the stage is always there")
    }

    /// The world as it was when this offset was its head.
    pub(crate) fn world_at(&self, offset: Offset) -> &WorkspaceWorld {
        let stage = self.worlds[0].head();
        &self.worlds[usize::try_from(offset.0 - stage.0).expect("small")]
    }

    fn wish(&mut self, wish: &Wish) {
        let Some(command) = self.command(wish) else { return };
        let source = match &command {
            Command::Checkpoint(CheckpointCommand::Fork {
                source: Some(Bookmarked::Mission(source)),
                ..
            }) => Some(Arc::clone(source)),
            _ => None,
        };
        let Some(first) = self.play(&command) else { return };
        if let Some(source) = source {
            self.forks.push(((&*self.entries[first].subject).into(), source));
        }
    }

    /// Decides a command and folds what it makes; tells where its first entry stands, if it made any.
    pub(crate) fn play(&mut self, command: &Command) -> Option<usize> {
        let entries = self.decide(command).ok().filter(|entries| !entries.is_empty())?;
        let first = self.entries.len();
        for entry in entries {
            let mut world = self.world().clone();
            world.apply(&entry);
            self.worlds.push(world);
            self.entries.push(entry);
        }
        Some(first)
    }

    /// Decides, stores and reads back: what is folded live is what the journal will say.
    fn decide(&self, command: &Command) -> Result<Vec<Entry>, Rejection> {
        let world = self.world();
        let actor = member(Role::Owner);
        let now = Time(world.time().0 + STEP_MS);
        let next = world.head().plus(1);
        let context = Context { now, actor: &actor, log: LOG, next, mint: &self.mint };
        let drafts = world.decide(command, &context)?;
        let entries = drafts.into_iter().enumerate().map(|(index, draft)| {
            let stored = draft.encode().expect("encodes");
            let offset = next.plus(index as u64);
            let text = actor.to_string();
            let read =
                Entry::decode(offset, now, &draft.subject, &text, &stored.kind, stored.version, &stored.body);
            let read = read.expect("what was written can be read");
            assert_eq!(read, draft.at(offset, now, actor.clone()), "stored and read back");
            read
        });
        Ok(entries.collect())
    }

    /// The mission after `point`, as the journal tells it.
    pub(crate) fn as_of(&self, mission: &MissionId, point: Offset) -> Option<Mission> {
        let first = self.entries.first()?.offset;
        let changes = self.world().state.histories.get(mission)?.changes_until(point);
        let entries =
            changes.iter().map(|offset| &self.entries[usize::try_from(offset.0 - first.0).expect("small")]);
        entries.fold(None, Mission::fold)
    }

    fn command(&self, wish: &Wish) -> Option<Command> {
        let world = self.world();
        Some(match wish {
            Wish::CreateMission(other) => {
                let draft = MissionDraft {
                    title: Some("Mission".into()),
                    description: Some("What for".into()),
                    lead_agent_id: Some(if *other { OTHER_LEAD } else { LEAD }.into()),
                    workflow_template: None,
                };
                MissionCommand::Create { crew: one_of_two(*other), draft }.into()
            }
            Wish::PatchMission(index, status, edit) => {
                let patch = MissionPatch {
                    title: edit.then(|| format!("Title {}", world.head())),
                    plan: edit.then(|| "1. Do it".into()),
                    status: status.map(|status| status.to_string()),
                    ..MissionPatch::default()
                };
                let mission = self.mission(*index)?;
                MissionCommand::Update { crew: self.crew(&mission), mission, patch }.into()
            }
            Wish::DeleteMission(index) => {
                let mission = self.mission(*index)?;
                MissionCommand::Delete { crew: self.crew(&mission), mission }.into()
            }
            Wish::Start(index) => {
                let mission = self.mission(*index)?;
                MissionCommand::Start { crew: self.crew(&mission), mission, seen: None }.into()
            }
            Wish::Restart(index) => {
                let mission = self.mission(*index)?;
                MissionCommand::Restart { crew: self.crew(&mission), mission }.into()
            }
            Wish::Resume(index) => {
                let mission = self.mission(*index)?;
                MissionCommand::Resume { crew: self.crew(&mission), mission }.into()
            }
            Wish::Clone(index) => {
                let mission = self.mission(*index)?;
                MissionCommand::Clone { crew: self.crew(&mission), mission, title: None }.into()
            }
            Wish::AddTask(index, needs, order) => {
                let mission = self.mission(*index)?;
                let needs = needs.iter().filter_map(|need| self.task(&mission, *need));
                let draft = TaskDraft {
                    title: Some("Task".into()),
                    task_order: Some(*order),
                    depends_on: Some(needs.map(|id| id.to_string()).collect()),
                    assigned_agent_id: Some(WORKER.into()),
                    ..TaskDraft::default()
                };
                MissionCommand::AddTask { crew: self.crew(&mission), mission, draft: Ok(draft) }.into()
            }
            Wish::PatchTask(index, task, status, edit) => {
                let mission = self.mission(*index)?;
                let patch = TaskPatch {
                    status: status.map(|status| status.to_string()),
                    result_summary: edit.then(|| format!("Result {}", world.head())),
                    token_count: edit.then_some(10),
                    estimated_cost: edit.then_some(0.5),
                    ..TaskPatch::default()
                };
                let task = self.task(&mission, *task)?;
                MissionCommand::UpdateTask { crew: self.crew(&mission), mission, task, patch }.into()
            }
            Wish::Depend(index, task, needs) => {
                let mission = self.mission(*index)?;
                let needs: Vec<TaskId> = needs.iter().filter_map(|need| self.task(&mission, *need)).collect();
                let depends_on = Some(serde_json::to_string(&needs).expect("a list of texts"));
                let patch = TaskPatch { depends_on, ..TaskPatch::default() };
                let task = self.task(&mission, *task)?;
                MissionCommand::UpdateTask { crew: self.crew(&mission), mission, task, patch }.into()
            }
            Wish::Bookmark(index) => {
                let draft = Ok(CheckpointDraft::default());
                CheckpointCommand::Create { mission: self.mission(*index)?, draft, at: None }.into()
            }
            Wish::BookmarkPast(index, at) => self.bookmark_past(*index, *at)?.into(),
            Wish::Restore(index) => {
                CheckpointCommand::Restore { checkpoint: self.checkpoint(*index)? }.into()
            }
            Wish::Fork(index) => {
                let checkpoint = self.checkpoint(*index)?;
                let found = &world.state.checkpoints[&checkpoint];
                let source =
                    self.as_of(&found.mission_id, found.boundary).map(Arc::new).map(Bookmarked::Mission);
                CheckpointCommand::Fork { checkpoint, label: None, source }.into()
            }
            Wish::DeleteCheckpoint(index) => {
                CheckpointCommand::Delete { checkpoint: self.checkpoint(*index)? }.into()
            }
            Wish::SetPriority(index, priority) => self.set_priority(*index, *priority)?.into(),
            Wish::Promote(worker) => {
                let patch = AgentPatch { agent_role: Some("LEAD".into()), ..AgentPatch::default() };
                let agent = if *worker { WORKER } else { LEAD }.into();
                RosterCommand::UpdateAgent { agent, patch }.into()
            }
            Wish::RenameCrew(other) => {
                let name = Some(format!("Crew {}", world.head()));
                let patch = CrewPatch { name, ..CrewPatch::default() };
                RosterCommand::UpdateCrew { crew: one_of_two(*other), patch }.into()
            }
            Wish::DeleteCrew(other) => RosterCommand::DeleteCrew { crew: one_of_two(*other) }.into(),
        })
    }

    fn bookmark_past(&self, index: Index, at: Index) -> Option<CheckpointCommand> {
        let mission = self.mission(index)?;
        let public = &self.world().state.histories.get(&mission)?.public;
        let offset = *public.get(at.index(public.len()))?;
        let past = Bookmarked::Mission(self.as_of(&mission, offset)?.into());
        let draft = CheckpointDraft { label: None, at: Some(self.world().entry_id(offset).to_string()) };
        let at = Some(Ok(AsOf { offset, then: past }));
        Some(CheckpointCommand::Create { mission, draft: Ok(draft), at })
    }

    fn set_priority(&self, index: Index, priority: Priority) -> Option<MarkerCommand> {
        let public: Vec<_> =
            self.entries.iter().filter_map(|entry| Some((entry.offset, entry.face.as_ref()?))).collect();
        let (offset, face) = (!public.is_empty()).then(|| public[index.index(public.len())])?;
        let entry = MarkedEntry {
            offset,
            entry_type: face.entry_type.clone(),
            crew_id: face.crew_id.clone(),
            agent_id: face.agent_id.clone(),
            mission_id: face.mission_id.clone(),
        };
        let draft = MarkerDraft { priority: Some(priority.to_string()), reason: None };
        Some(MarkerCommand::SetPriority { entry: Some(entry), draft })
    }

    fn crew(&self, mission: &MissionId) -> CrewId {
        self.world().state.missions[mission].crew_id.clone()
    }

    fn mission(&self, index: Index) -> Option<MissionId> {
        pick(self.world().state.missions.keys(), index)
    }

    fn task(&self, mission: &MissionId, index: Index) -> Option<TaskId> {
        pick(self.world().state.missions.get(mission)?.tasks.keys(), index)
    }

    fn checkpoint(&self, index: Index) -> Option<CheckpointId> {
        pick(self.world().state.checkpoints.keys(), index)
    }
}

fn one_of_two(other: bool) -> CrewId {
    if other { OTHER_CREW } else { CREW }.into()
}

fn pick<'a, T: Clone + 'a>(from: impl Iterator<Item = &'a T>, index: Index) -> Option<T> {
    let all: Vec<&T> = from.collect();
    (!all.is_empty()).then(|| all[index.index(all.len())].clone())
}
