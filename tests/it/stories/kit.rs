//! The stage of every story: one workspace with a member of each role, a crew, its LEAD and a worker,
//! and another crew with a LEAD of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use taffrail_domain::mission::{
    MissionCreated, MissionEvent, MissionStatusChanged, Reason, Status, TaskCreated, TaskStatus,
    TaskStatusChanged, TaskUpdated,
};
use taffrail_domain::roster::{
    AgentCreated, AgentFacts, AgentRole, CrewCreated, CrewFacts, MemberAdded, Role, WorkspaceOpened,
};
use taffrail_domain::{
    Actor, Command, Context, CrewId, Draft, Entry, Event, Face, LogTag, Mint, MissionId, Rejection, TaskId,
    Time,
};
use taffrail_projections::{WorkspaceWorld, World};

pub(crate) const CREW: &str = "crew";
pub(crate) const OTHER_CREW: &str = "other-crew";
pub(crate) const LEAD: &str = "lead";
pub(crate) const OTHER_LEAD: &str = "other-lead";
pub(crate) const WORKER: &str = "worker";
pub(crate) const MISSION: &str = "mission";
pub(crate) const LOG: LogTag = LogTag(1);

/// Ids in order, so that a story can name them: `new1`, `new2`, …
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Mint for Counter {
    fn cuid(&self) -> String {
        format!("new{}", self.next())
    }

    fn hex16(&self) -> String {
        format!("{:016x}", self.next())
    }
}

pub(crate) fn crew() -> CrewId {
    CREW.into()
}

pub(crate) fn mission() -> MissionId {
    MISSION.into()
}

/// The id of the member who has this role.
pub(crate) fn member(role: Role) -> Actor {
    Actor::User(role.as_str().to_lowercase().into())
}

/// A world with the stage set and nothing else.
pub(crate) fn stage() -> WorkspaceWorld {
    let mut world = WorkspaceWorld::empty(LOG);
    let mut drafts = vec![Draft::internal(
        "ws",
        WorkspaceOpened { name: "Acme".into(), slug: "acme".into(), preferred_language: None },
    )];
    for role in Role::ALL {
        let id = role.as_str().to_lowercase();
        let added = MemberAdded { member_id: format!("member-{id}").into(), role: *role };
        drafts.push(Draft::internal(id, added));
    }
    for (id, lead) in [(CREW, LEAD), (OTHER_CREW, OTHER_LEAD)] {
        let slug = if id == CREW { "platform" } else { id };
        let facts = CrewFacts { name: "Platform".into(), slug: slug.into(), ..CrewFacts::default() };
        drafts.push(Draft::internal(id, CrewCreated { crew: facts.into() }));
        drafts.push(agent(lead, id, AgentRole::Lead));
    }
    drafts.push(agent(WORKER, CREW, AgentRole::Agent));
    drafts.into_iter().for_each(|draft| fold(&mut world, draft));
    world
}

fn agent(id: &str, crew: &str, agent_role: AgentRole) -> Draft {
    let facts = AgentFacts {
        name: id.into(),
        slug: id.into(),
        crew_id: Some(crew.into()),
        agent_role,
        lead_mode: (agent_role == AgentRole::Lead).then(|| "active".into()),
        ..AgentFacts::default()
    };
    Draft::internal(id, AgentCreated { agent: facts.into(), created_by: None })
}

/// Folds a draft in as the next entry, a second after the last.
pub(crate) fn fold(world: &mut WorkspaceWorld, draft: Draft) {
    let time = Time(world.time().0 + 1_000);
    let entry = draft.at(world.head().plus(1), time, member(Role::Owner));
    world.apply(&entry);
}

pub(crate) fn given(drafts: impl IntoIterator<Item = Draft>) -> Given {
    let mut world = stage();
    drafts.into_iter().for_each(|draft| fold(&mut world, draft));
    Given { world, mint: Counter::default() }
}

/// What had happened.
pub(crate) struct Given {
    pub(crate) world: WorkspaceWorld,
    mint: Counter,
}

impl Given {
    pub(crate) fn replace_world(mut self, world: WorkspaceWorld) -> Self {
        self.world = world;
        self
    }

    /// A manager wishes.
    pub(crate) fn when(self, command: impl Into<Command>) -> Then {
        self.when_by(&member(Role::Manager), command)
    }

    /// Somebody wishes.
    pub(crate) fn when_by(self, actor: &Actor, command: impl Into<Command>) -> Then {
        let context = Context {
            now: Time(self.world.time().0 + 1_000),
            actor,
            log: LOG,
            next: self.world.head().plus(1),
            mint: &self.mint,
        };
        let outcome = self.world.decide(&command.into(), &context);
        Then { outcome, before: self.world, actor: actor.clone() }
    }
}

/// What came of it.
pub(crate) struct Then {
    pub(crate) outcome: Result<Vec<Draft>, Rejection>,
    before: WorkspaceWorld,
    actor: Actor,
}

impl Then {
    #[track_caller]
    pub(crate) fn then_rejected(self, code: &str, detail: &str) {
        let rejection = self.outcome.expect_err("must be refused");
        assert_eq!((rejection.code, &*rejection.detail), (code, detail));
    }

    #[track_caller]
    pub(crate) fn then_nothing(self) {
        assert_eq!(self.outcome.expect("must be accepted"), vec![]);
    }

    #[track_caller]
    pub(crate) fn events(self) -> Vec<Event> {
        let drafts = self.outcome.expect("must be accepted");
        drafts.into_iter().filter_map(|draft| draft.event).collect()
    }

    #[track_caller]
    pub(crate) fn then<E: Into<Event>>(self, expected: impl IntoIterator<Item = E>) {
        let expected: Vec<Event> = expected.into_iter().map(Into::into).collect();
        assert_eq!(self.events(), expected);
    }

    #[track_caller]
    pub(crate) fn faces(&self) -> Vec<Face> {
        let drafts = self.outcome.as_ref().expect("must be accepted");
        drafts.iter().filter_map(|draft| draft.face.clone()).collect()
    }

    /// The world with the outcome folded in, as one batch at one time.
    #[track_caller]
    pub(crate) fn world(self) -> WorkspaceWorld {
        let mut world = self.before;
        let time = Time(world.time().0 + 1_000);
        for draft in self.outcome.expect("must be accepted") {
            let entry: Entry = draft.at(world.head().plus(1), time, self.actor.clone());
            world.apply(&entry);
        }
        world
    }
}

/// A mission of the stage's crew, in PLANNING.
pub(crate) fn created(title: &str) -> Draft {
    let created = MissionCreated {
        crew_id: crew(),
        lead_agent_id: LEAD.into(),
        trace_id: "mission-trace".into(),
        title: title.into(),
        description: None,
        plan: None,
        workflow_template: None,
        fork_of: None,
        cloned_from: None,
    };
    public(created)
}

pub(crate) fn moved(from: Status, to: Status) -> Draft {
    public(MissionStatusChanged::new(from, to, Reason::Patch))
}

/// The mission, brought to a status along a path the table allows.
pub(crate) fn in_status(status: Status) -> Vec<Draft> {
    let (planning, running, review) = (Status::Planning, Status::InProgress, Status::Review);
    let path: &[(Status, Status)] = match status {
        Status::Planning => &[],
        Status::InProgress => &[(planning, running)],
        Status::Review => &[(planning, running), (running, review)],
        Status::Completed => &[(planning, running), (running, review), (review, Status::Completed)],
        Status::Failed => &[(planning, running), (running, Status::Failed)],
        Status::Cancelled => &[(planning, Status::Cancelled)],
    };
    std::iter::once(created("Ship the beta")).chain(path.iter().map(|(from, to)| moved(*from, *to))).collect()
}

pub(crate) fn task_created(id: &str, status: TaskStatus, depends_on: &[&str]) -> TaskCreated {
    TaskCreated {
        task_id: id.into(),
        title: format!("Task {id}").into(),
        description: None,
        assigned_agent_id: None,
        status,
        task_order: 0,
        depends_on: depends_on.iter().map(|id| TaskId::from(*id)).collect(),
        max_iterations: None,
        approval_required: false,
        outcome: None,
    }
}

pub(crate) fn task(id: &str, status: TaskStatus, depends_on: &[&str]) -> Draft {
    public(task_created(id, status, depends_on))
}

pub(crate) fn task_moved(id: &str, from: TaskStatus, to: TaskStatus) -> Draft {
    public(task_move(id, from, to, Reason::Patch))
}

pub(crate) fn task_move(id: &str, from: TaskStatus, to: TaskStatus, reason: Reason) -> TaskStatusChanged {
    TaskStatusChanged {
        task_id: id.into(),
        from,
        to,
        iteration: 1,
        reason,
        error_message: None,
        assignment_id: None,
        report: None,
        approval: None,
    }
}

/// A change of a task that changes nothing yet.
pub(crate) fn task_update(id: &str) -> TaskUpdated {
    TaskUpdated::of(id.into())
}

/// A fact about the stage's mission, with a face that names the mission.
pub(crate) fn public(event: impl Into<Event>) -> Draft {
    let event: Event = event.into();
    let face =
        Face { mission_id: Some(mission()), ..Face::new(event.kind(), &member(Role::Owner), "given", "") };
    Draft::public(MISSION, event, face)
}

#[track_caller]
pub(crate) fn only_mission_event(mut events: Vec<Event>) -> MissionEvent {
    assert_eq!(events.len(), 1, "{events:?}");
    match events.remove(0) {
        Event::Mission(event) => event,
        other => panic!("not about a mission: {other:?}"),
    }
}
