//! Routines and their runs, as time passes (`periphery.md` 10 and 11).

use serde_json::{Map, Value, json};
use taffrail_domain::issue::{
    Detached, IssueCommand, IssueDraft, IssueEvent, IssuePatch, MentionState, Named,
};
use taffrail_domain::roster::{PolicyDraft, Role, RosterCommand};
use taffrail_domain::routine::{
    Fetched, Routine, RoutineCommand, RoutineDraft, RoutineEvent, RoutineRun, RoutineRunStatus,
    RoutineStatus, RunDraft, StepStatus,
};
use taffrail_domain::{Actor, Entry, Event, Face, Rejection, RoutineId, RoutineRunId, Text, Time};
use taffrail_projections::{WorkspaceWorld, World};

use super::kit::{LEAD, LOG, WORKER, crew, member};
use super::play::Play;

pub(crate) const HOUR_MS: u64 = 60 * 60 * 1_000;

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

pub(crate) fn draft(slug: &str, definition: Value) -> RoutineDraft {
    RoutineDraft { slug: Some(slug.into()), definition: Some(object(definition)), ..RoutineDraft::default() }
}

pub(crate) fn save(draft: RoutineDraft) -> RoutineCommand {
    RoutineCommand::Save { draft: draft.into(), is_tested: true }
}

/// The play with routines of its own.
pub(crate) struct Stage(pub(crate) Play);

impl Stage {
    pub(crate) fn begin() -> Self {
        Self(Play::begin())
    }

    /// A routine of these steps, which nobody has to look at.
    #[track_caller]
    pub(crate) fn routine(&mut self, slug: &str, steps: Value) -> RoutineId {
        let draft = draft(slug, json!({ "steps": steps }));
        let draft = RoutineDraft { skip_governance_gate: Some(true), ..draft };
        let made = self.0.wish(&member(Role::Owner), save(draft)).expect("saved");
        (&*made[0].subject).into()
    }

    pub(crate) fn found(&self, slug: &str) -> &Routine {
        self.0.world.state.routine(slug).expect("a routine")
    }

    #[track_caller]
    pub(crate) fn run(&mut self, slug: &str, inputs: Value) -> RoutineRunId {
        let draft = RunDraft { inputs: Some(object(inputs)), ..RunDraft::default() };
        let made = self.0.manager(RoutineCommand::Run { slug: slug.into(), draft: draft.into() });
        (&*made[0].subject).into()
    }

    pub(crate) fn of(&self, run: &RoutineRunId) -> &RoutineRun {
        self.0.world.state.routine_run(run.as_str()).expect("a run")
    }

    pub(crate) fn output(&self, run: &RoutineRunId, step: &str) -> Value {
        let output = self.of(run).outputs.get(step).unwrap_or_else(|| panic!("{step} yielded nothing"));
        serde_json::from_str(output.get()).expect("JSON")
    }

    pub(crate) fn is(&self, run: &RoutineRunId) -> RoutineRunStatus {
        self.of(run).status
    }

    pub(crate) fn why(&self, run: &RoutineRunId) -> (Option<&str>, Option<&str>) {
        let run = self.of(run);
        (run.failed_at_step.as_deref(), run.error_message.as_deref())
    }

    /// What the engine wishes until nothing is due; the most frames of one command.
    pub(crate) fn engine(&mut self) -> usize {
        let mut most = 0;
        loop {
            let due = self.0.world.state.routines_due(self.0.now);
            if due.is_empty() {
                return most;
            }
            for (_, command) in due {
                let made = self.0.wish(&Actor::Orchestrator, command).expect("granted");
                assert!(!made.is_empty(), "what is due does something");
                most = most.max(made.len());
            }
        }
    }

    fn after(&mut self, ms: u64) {
        self.0.now = Time(self.0.now.0 + ms);
        self.engine();
    }

    fn waitpoint(&self, run: &RoutineRunId) -> Text {
        self.of(run).waitpoint().cloned().expect("it waits for people")
    }

    fn decide(&mut self, waitpoint: &Text, approved: bool) -> Result<Vec<Entry>, Rejection> {
        let (waitpoint, comment) = (waitpoint.clone(), Some("because".into()));
        let payload = Some(json!([1]));
        let command = RoutineCommand::DecideWaitpoint { waitpoint, approved, comment, payload };
        self.0.wish(&member(Role::Manager), command)
    }

    /// Reports for another server.
    fn hear(&mut self, run: &RoutineRunId, outcome: Fetched) -> Vec<Entry> {
        let fetch = self.0.world.state.fetch_of(run).expect("it waits for a server");
        let (step, fence) = (fetch.step, fetch.fence);
        let command = RoutineCommand::StepDone { run: run.clone(), step, fence, outcome };
        self.0.wish(&Actor::Orchestrator, command).expect("granted")
    }

    fn issue(&mut self, title: &str, routine: Option<&RoutineId>, inputs: Option<Value>) -> Text {
        let draft = IssueDraft {
            title: Some(title.into()),
            routine_id: routine.map(ToString::to_string),
            routine_inputs: inputs,
            ..IssueDraft::default()
        };
        let made = self.0.manager(IssueCommand::Create { crew: crew(), draft: draft.into() });
        self.0.world.state.issues.all[&*made[0].subject].identifier.clone()
    }

    /// Types of the public entries from this one on.
    fn faces(&self, from: usize) -> Vec<String> {
        let faces = self.0.entries[from..].iter().filter_map(|entry| entry.face.as_ref());
        faces.map(|face| face.entry_type.to_string()).collect()
    }

    /// The fold of all that was decided is the world, and no face names a waitpoint.
    pub(crate) fn check(self) {
        let mut world = WorkspaceWorld::empty(LOG);
        let stage = Play::begin().world;
        world.clone_from(&stage);
        self.0.entries.iter().for_each(|entry| world.apply(entry));
        assert_eq!(world.state.routines, self.0.world.state.routines);
        let waitpoints = self.0.entries.iter().filter_map(|entry| match &entry.event {
            Some(Event::Routine(RoutineEvent::WaitpointCreated(created))) => Some(created.waitpoint.clone()),
            _ => None,
        });
        for waitpoint in waitpoints {
            let told = |entry: &Entry| {
                entry.face.as_ref().is_some_and(|face| face.payload.get().contains(&*waitpoint))
            };
            assert!(!self.0.entries.iter().any(told), "a waitpoint is in a face");
        }
    }
}

pub(crate) fn transform(id: &str, input: Value) -> Value {
    json!({ "id": id, "type": "transform", "input": input })
}

#[test]
fn a_routine_is_saved_only_after_a_test_and_under_a_name_for_paths() {
    let mut stage = Stage::begin();
    let wish = |stage: &mut Stage, draft: RoutineDraft, is_tested| {
        let command = RoutineCommand::Save { draft: draft.into(), is_tested };
        let refused = stage.0.wish(&member(Role::Manager), command).expect_err("refused");
        refused.detail.into_owned()
    };
    let steps = json!({ "steps": [transform("a", json!(1))] });
    assert_eq!(wish(&mut stage, RoutineDraft::default(), true), "slug + definition required");
    let slug = "slug must match ^[a-z0-9][a-z0-9_-]{0,63}$";
    assert_eq!(wish(&mut stage, draft("Bad", steps.clone()), true), slug);
    assert_eq!(wish(&mut stage, draft("waitpoints", steps.clone()), true), "slug waitpoints is reserved");
    assert_eq!(wish(&mut stage, draft("a", json!({})), true), "\"steps\" must be a non-empty array");
    let untested =
        "save requires a fresh, passing test_run within 5 minutes (or skip_test_gate for OWNER/ADMIN)";
    assert_eq!(wish(&mut stage, draft("a", steps.clone()), false), untested);
    let skipping = RoutineDraft { skip_test_gate: Some(true), ..draft("a", steps.clone()) };
    assert_eq!(wish(&mut stage, skipping.clone(), false), "Forbidden");
    let command = RoutineCommand::Save { draft: skipping.into(), is_tested: false };
    stage.0.wish(&member(Role::Admin), command).expect("an ADMIN may skip the test");
    let foreign = RoutineDraft { author_crew_id: Some("none".into()), ..draft("b", steps) };
    assert_eq!(wish(&mut stage, foreign, true), "author_crew_id does not exist in this workspace");
    stage.check();
}

#[test]
fn a_slug_is_one_routine_until_it_is_deleted() {
    let mut stage = Stage::begin();
    let first = stage.routine("nightly", json!([transform("a", json!(1))]));
    let hash = stage.found("nightly").facts.definition_hash.clone();
    assert_eq!(stage.routine("nightly", json!([transform("a", json!(2))])), first);
    assert_ne!(stage.found("nightly").facts.definition_hash, hash);
    let same = draft("nightly", json!({ "steps": [transform("a", json!(2))] }));
    assert_eq!(stage.0.manager(save(same)), vec![], "the same once more is no news");
    let slug = || Text::from("nightly");
    let manager = stage.0.wish(&member(Role::Manager), RoutineCommand::Delete { slug: slug() });
    assert_eq!(manager.unwrap_err().code, "forbidden");
    stage.0.wish(&member(Role::Admin), RoutineCommand::Delete { slug: slug() }).expect("deleted");
    assert!(stage.0.world.state.routines.live(first.as_str()).is_none());
    assert_eq!(stage.0.world.state.routine("nightly").unwrap_err().detail, "pipeline not found");
    assert_ne!(stage.routine("nightly", json!([transform("a", json!(1))])), first);
    stage.check();
}

#[test]
fn a_new_risk_waits_for_somebody_and_a_disabled_routine_stays_disabled() {
    let mut stage = Stage::begin();
    let http = |url: &str| draft("hook", json!({ "steps": [{ "id": "a", "type": "http", "url": url }] }));
    let status = |stage: &Stage| stage.found("hook").status;
    let slug = || Text::from("hook");
    stage.0.manager(save(http("http://one.example")));
    assert_eq!(status(&stage), RoutineStatus::Proposed);
    assert_eq!(stage.found("hook").risk_reasons, ["http_step".into()]);
    let run = RoutineCommand::Run { slug: slug(), draft: Box::default() };
    let refused = stage.0.wish(&member(Role::Manager), run.clone()).unwrap_err();
    assert_eq!((refused.code, &*refused.detail), ("routine.proposed", "routine is awaiting approval"));
    assert_eq!(refused.facts["routine_status"], "proposed");
    stage.0.manager(RoutineCommand::Approve { slug: slug() });
    stage.0.manager(save(RoutineDraft { name: Some("Hook".into()), ..http("http://one.example") }));
    assert_eq!(status(&stage), RoutineStatus::Active, "what was agreed to is no new risk");
    let sending = |headers: Value, targets: Value| {
        let step = json!({ "id": "a", "type": "http", "url": "http://one.example", "headers": headers });
        draft("hook", json!({ "steps": [step], "egress_targets": targets }))
    };
    let saved = |stage: &mut Stage, draft: RoutineDraft| {
        stage.0.manager(save(draft));
        let now = status(stage);
        if now == RoutineStatus::Proposed {
            stage.0.manager(RoutineCommand::Approve { slug: slug() });
        }
        now
    };
    let (none, targets) = (json!({}), json!(["one.example", "two.example"]));
    assert_eq!(
        saved(&mut stage, sending(json!({ "x": "1" }), json!([]))),
        RoutineStatus::Proposed,
        "sends more"
    );
    assert_eq!(saved(&mut stage, sending(none.clone(), targets)), RoutineStatus::Proposed, "two servers");
    let fewer = sending(none.clone(), json!(["one.example"]));
    assert_eq!(saved(&mut stage, fewer), RoutineStatus::Active, "one of them less is no risk");
    assert_eq!(
        saved(&mut stage, sending(none, json!([]))),
        RoutineStatus::Proposed,
        "no list is every server"
    );
    stage.0.manager(save(http("http://two.example")));
    assert_eq!(status(&stage), RoutineStatus::Proposed, "another server is");
    stage.0.manager(RoutineCommand::Reject { slug: slug() });
    assert_eq!(status(&stage), RoutineStatus::Disabled);
    let again = RoutineCommand::Approve { slug: slug() };
    let refused = stage.0.wish(&member(Role::Manager), again).unwrap_err();
    assert_eq!(&*refused.detail, "routine is not awaiting approval");
    let skips = RoutineDraft { skip_governance_gate: Some(true), ..http("http://three.example") };
    stage.0.wish(&member(Role::Owner), save(skips)).expect("saved");
    assert_eq!(status(&stage), RoutineStatus::Disabled);
    let refused = stage.0.wish(&member(Role::Manager), run).unwrap_err();
    assert_eq!((refused.code, &*refused.detail), ("routine.disabled", "routine is disabled"));
    let enable = RoutineCommand::Enable { slug: slug() };
    assert_eq!(stage.0.wish(&member(Role::Manager), enable.clone()).unwrap_err().code, "forbidden");
    stage.0.wish(&member(Role::Admin), enable).expect("enabled");
    assert_eq!(status(&stage), RoutineStatus::Active);
    stage.check();
}

#[test]
fn pure_steps_are_done_in_the_batch_that_began_them() {
    let mut stage = Stage::begin();
    let definition = json!({
        "inputs": [{ "name": "team", "default": "platform" }, { "name": "loud", "default": false }],
        "steps": [
            transform("first", json!({ "who": "{{ inputs.team }}", "list": [1, 2] })),
            { "id": "count", "type": "transform", "input": "{{ steps.first.output }}", "expression": ".list | length" },
            { "id": "shout", "type": "notify", "title": "never", "if": "{{ inputs.loud }}" },
            { "id": "tell", "type": "notify", "title": "{{ steps.first.output.who }}: {{ steps.count.output }}" },
        ],
    });
    stage.0.manager(save(draft("report", definition)));
    let from = stage.0.entries.len();
    let run = stage.run("report", json!({ "team": "ops" }));
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    assert_eq!(stage.output(&run, "count"), json!(2));
    assert_eq!(stage.output(&run, "tell"), json!({ "delivered": true, "title": "ops: 2" }));
    let statuses: Vec<_> = stage.of(&run).steps.iter().map(|step| step.status).collect();
    use StepStatus::{Completed, Skipped};
    assert_eq!(statuses, [Completed, Completed, Skipped, Completed]);
    let expected = [
        "run.started",
        "step.started",
        "step.completed",
        "step.started",
        "step.completed",
        "step.skipped",
        "step.started",
        "notification.delivered",
        "step.completed",
        "run.completed",
    ];
    let expected: Vec<String> = expected
        .map(|word| if word.starts_with("not") { word.to_owned() } else { format!("pipeline.{word}") })
        .into();
    assert_eq!(stage.faces(from), expected);
    let face = stage.0.entries[from].face.as_ref().expect("public");
    assert_eq!(face.actor_id.as_deref(), Some(run.as_str()), "journal.md 2.1: the run is the actor");
    assert_eq!(stage.found("report").invocation_count, 1);
    stage.check();
}

#[test]
fn a_failed_step_fails_the_run_unless_it_says_to_go_on() {
    let mut stage = Stage::begin();
    let bad = |goes_on: bool| json!({ "id": "bad", "type": "transform", "input": 1, "expression": ".a", "continue_on_error": goes_on });
    stage.routine("strict", json!([bad(false), transform("after", json!(1))]));
    stage.routine("lenient", json!([bad(true), transform("after", json!("{{ steps.bad.output }}!"))]));
    let strict = stage.run("strict", json!({}));
    assert_eq!(stage.is(&strict), RoutineRunStatus::Failed);
    assert_eq!(stage.why(&strict), (Some("bad"), Some("cannot index number with \"a\"")));
    let lenient = stage.run("lenient", json!({}));
    assert_eq!(stage.is(&lenient), RoutineRunStatus::Completed);
    assert_eq!(stage.output(&lenient, "after"), json!("!"));
    for (kind, more) in
        [("code", json!({})), ("script", json!({})), ("agent_run", json!({ "agent": "a", "prompt": "p" }))]
    {
        let mut step = json!({ "id": "a", "type": kind });
        step.as_object_mut().unwrap().extend(object(more));
        stage.routine("runtime", json!([step]));
        let run = stage.run("runtime", json!({}));
        let expected = format!("{kind} needs a runtime");
        assert_eq!(stage.why(&run), (Some("a"), Some(&*expected)));
    }
    let large = json!({ "id": "a", "type": "transform", "input": "{{ inputs.x }}{{ inputs.x }}" });
    stage.routine("large", json!([large]));
    let run = stage.run("large", json!({ "x": "x".repeat(40_000) }));
    assert_eq!(stage.why(&run), (Some("a"), Some("output is larger than 64 KiB")));
    stage.check();
}

#[test]
fn a_loop_does_its_step_for_each_item() {
    let mut stage = Stage::begin();
    let each = |goes_on: bool| {
        json!([{
            "id": "each", "type": "foreach", "items": "{{ inputs.list }}",
            "step": {
                "type": "transform", "input": "{{ item }}", "expression": ".n",
                "if": "{{ item }}", "continue_on_error": goes_on,
            },
        }])
    };
    stage.routine("loop", each(true));
    let run = stage.run("loop", json!({ "list": [{ "n": 1 }, 0, "text", { "n": [2] }] }));
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    assert_eq!(stage.output(&run, "each"), json!([1, null, null, [2]]));
    stage.routine("loop", each(false));
    let run = stage.run("loop", json!({ "list": [{ "n": 1 }, "text"] }));
    assert_eq!(stage.why(&run), (Some("each"), Some("cannot index string with \"n\"")));
    let run = stage.run("loop", json!({ "list": "no" }));
    assert_eq!(stage.why(&run), (Some("each"), Some("items is no list")));
    let run = stage.run("loop", json!({ "list": vec![0; 501] }));
    assert_eq!(stage.why(&run), (Some("each"), Some("items are more than 500")));
    stage.check();
}

#[test]
fn a_routine_calls_others_up_to_a_depth() {
    let mut stage = Stage::begin();
    stage.routine("double", json!([transform("a", json!("{{ inputs.x }}{{ inputs.x }}"))]));
    let call = |slug: &str| json!({ "id": "call", "type": "call_pipeline", "slug": slug, "inputs": { "x": "{{ inputs.y }}" } });
    stage.routine("outer", json!([call("double"), transform("b", json!("<{{ steps.call.output }}>"))]));
    let run = stage.run("outer", json!({ "y": "ab" }));
    assert_eq!(stage.output(&run, "b"), json!("<abab>"));
    let called = stage.found("double").last_run.clone().expect("called");
    let called = stage.of(&called);
    assert_eq!((&*called.facts.triggered_via, called.facts.depth), ("call_pipeline", 1));
    assert_eq!(called.facts.triggered_by_id.as_deref(), Some(run.as_str()));
    stage.routine("endless", json!([call("endless")]));
    let run = stage.run("endless", json!({}));
    let (step, error) = stage.why(&run);
    assert_eq!(step, Some("call"));
    assert!(
        error.is_some_and(|error| error.ends_with("call_pipeline is nested deeper than 10")),
        "{error:?}"
    );
    assert_eq!(stage.found("endless").invocation_count, 11);
    stage.routine("lost", json!([call("nowhere")]));
    let run = stage.run("lost", json!({}));
    assert_eq!(stage.why(&run), (Some("call"), Some("pipeline not found: nowhere")));
    stage.check();
}

#[test]
fn what_does_not_fit_into_one_batch_is_gone_on_with() {
    let mut stage = Stage::begin();
    stage.routine("one", json!([{ "id": "n", "type": "notify", "title": "{{ inputs.n }}" }]));
    let call = json!({ "type": "call_pipeline", "slug": "one", "inputs": { "n": "{{ item }}" } });
    stage.routine(
        "many",
        json!([
            { "id": "each", "type": "foreach", "items": "{{ inputs.list }}", "step": call },
            transform("last", json!("done")),
        ]),
    );
    let list: Vec<u32> = (0..400).collect();
    let from = stage.0.entries.len();
    let run = stage.run("many", json!({ "list": list }));
    let first = stage.0.entries.len() - from;
    assert!((1_000..2_000).contains(&first), "{first}");
    assert!(stage.0.world.state.routines_due_at().is_some());
    let most = stage.engine();
    assert!(most < 2_000, "{most}");
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    assert_eq!(stage.output(&run, "last"), json!("done"));
    assert_eq!(stage.found("one").invocation_count, 400);
    assert_eq!(stage.0.world.state.routines_due_at(), None);
    stage.check();
}

#[test]
fn a_waitpoint_is_decided_once() {
    let mut stage = Stage::begin();
    let wait =
        json!({ "id": "ask", "type": "wait", "kind": "approval", "prompt": "Ship {{ inputs.what }}?" });
    stage.routine("gate", json!([wait, transform("after", json!("{{ steps.ask.output.payload }}"))]));
    let run = stage.run("gate", json!({ "what": "it" }));
    assert_eq!(stage.is(&run), RoutineRunStatus::Waiting);
    let token = stage.waitpoint(&run);
    assert_eq!(token.len(), 32);
    let no_one = stage.0.wish(
        &member(Role::Member),
        RoutineCommand::DecideWaitpoint {
            waitpoint: token.clone(),
            approved: true,
            comment: None,
            payload: None,
        },
    );
    assert_eq!(no_one.unwrap_err().code, "forbidden");
    stage.decide(&token, true).expect("decided");
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    assert_eq!(stage.output(&run, "after"), json!([1]));
    let late = stage.decide(&token, false).unwrap_err();
    assert_eq!(&*late.detail, "waitpoint: already decided or expired");
    let unknown = stage.decide(&"0".repeat(32).into(), true).unwrap_err();
    assert_eq!(unknown, late, "no oracle");

    let run = stage.run("gate", json!({}));
    let token = stage.waitpoint(&run);
    stage.decide(&token, false).expect("decided");
    assert_eq!(stage.why(&run), (Some("ask"), Some("waitpoint denied: because")));
    stage.check();
}

#[test]
fn a_waitpoint_that_nobody_decides_times_out() {
    let mut stage = Stage::begin();
    let wait = json!({ "id": "ask", "type": "wait", "kind": "approval", "continue_on_error": true });
    stage.routine("gate", json!([wait, transform("after", json!("went on"))]));
    let run = stage.run("gate", json!({}));
    let token = stage.waitpoint(&run);
    stage.after(24 * HOUR_MS - 1);
    assert_eq!(stage.is(&run), RoutineRunStatus::Waiting);
    stage.0.now = Time(stage.0.now.0 + 1);
    assert!(stage.decide(&token, true).is_err(), "its time is over, swept or not");
    stage.engine();
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    assert_eq!(stage.of(&run).steps[0].error.as_deref(), Some("waitpoint timed out"));
    stage.check();
}

#[test]
fn a_wait_for_a_time_is_over_when_it_comes() {
    let mut stage = Stage::begin();
    let wait = |more: Value| {
        let mut step = json!({ "id": "wait", "type": "wait", "kind": "datetime" });
        step.as_object_mut().unwrap().extend(object(more));
        json!([step])
    };
    stage.routine("hour", wait(json!({ "seconds": 3600 })));
    let run = stage.run("hour", json!({}));
    let due = Time(stage.0.now.0 + HOUR_MS);
    assert_eq!(stage.0.world.state.routines_due_at(), Some(due));
    stage.after(HOUR_MS - 1);
    assert_eq!(stage.is(&run), RoutineRunStatus::Waiting);
    stage.after(1);
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    assert_eq!(stage.output(&run, "wait"), json!({ "waited_until": due.to_string() }));

    stage.routine("past", wait(json!({ "until": "{{ inputs.at }}" })));
    let run = stage.run("past", json!({ "at": "1969-07-20T20:17:40Z" }));
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    let run = stage.run("past", json!({ "at": "tomorrow" }));
    assert_eq!(stage.why(&run), (Some("wait"), Some("until is no RFC 3339 time")));

    stage.routine("late", wait(json!({ "seconds": 3600, "timeout_seconds": 60 })));
    let run = stage.run("late", json!({}));
    stage.after(60_000);
    assert_eq!(stage.why(&run), (Some("wait"), Some("wait timed out")));
    stage.check();
}

#[test]
fn another_server_is_asked_by_the_engine_and_a_late_answer_is_not_heard() {
    let mut stage = Stage::begin();
    let http = json!({
        "id": "ask", "type": "http", "method": "post", "url": "http://example.com/{{ inputs.x }}",
        "headers": { "x-run": "{{ run.id }}" }, "body": { "x": "{{ inputs.x }}" }, "continue_on_error": true,
    });
    stage.routine("hook", json!([http, transform("after", json!("{{ steps.ask.output.status }}"))]));
    let run = stage.run("hook", json!({ "x": 7 }));
    assert_eq!(stage.is(&run), RoutineRunStatus::Waiting);
    let fetch = stage.0.world.state.fetch_of(&run).expect("to be asked");
    assert_eq!((&*fetch.method, &*fetch.url), ("POST", "http://example.com/7"));
    assert_eq!((&*fetch.headers["x-run"], fetch.body), (run.as_str(), Some(json!({ "x": 7 }))));
    let told = RoutineCommand::StepDone {
        run: run.clone(),
        step: "ask".into(),
        fence: fetch.fence,
        outcome: Fetched::Failed("no".into()),
    };
    let refused = stage.0.wish(&member(Role::Owner), told).unwrap_err();
    assert_eq!(refused.code, "forbidden", "nobody but the engine tells");
    stage.hear(&run, Fetched::Answer { status: 200, body: "{\"ok\":[1]}".into() });
    assert_eq!(
        stage.output(&run, "ask"),
        json!({ "status": 200, "body": { "ok": [1] }, "truncated": false })
    );
    assert_eq!(stage.output(&run, "after"), json!(200));

    let run = stage.run("hook", json!({}));
    stage.hear(&run, Fetched::Answer { status: 404, body: "\u{1}".repeat(100_000) });
    assert_eq!(stage.of(&run).steps[0].error.as_deref(), Some("the server answered 404"));
    assert_eq!(stage.output(&run, "after"), json!(404), "what it said is there all the same");
    assert_eq!(stage.output(&run, "ask")["truncated"], json!(true));

    let run = stage.run("hook", json!({}));
    let fence = stage.0.world.state.fetch_of(&run).expect("to be asked").fence;
    stage.0.wish(&member(Role::Admin), RoutineCommand::Cancel { run: run.clone() }).expect("cancelled");
    assert_eq!(stage.is(&run), RoutineRunStatus::Cancelled);
    let outcome = Fetched::Answer { status: 200, body: String::new() };
    let late = RoutineCommand::StepDone { run: run.clone(), step: "ask".into(), fence, outcome };
    assert_eq!(stage.0.wish(&Actor::Orchestrator, late).expect("not heard"), vec![]);
    let again = stage.0.wish(&member(Role::Admin), RoutineCommand::Cancel { run }).unwrap_err();
    assert_eq!(&*again.detail, "pipeline run has already ended (cancelled)");
    stage.check();
}

#[test]
fn a_stopped_run_ends_what_it_called_and_fails_the_step_that_called_it() {
    let mut stage = Stage::begin();
    stage.routine("gate", json!([{ "id": "ask", "type": "wait", "kind": "approval" }]));
    let call = json!({ "id": "call", "type": "call_pipeline", "slug": "gate", "continue_on_error": true });
    stage.routine("outer", json!([call, transform("after", json!("went on"))]));
    let outer = stage.run("outer", json!({}));
    let inner = stage.found("gate").last_run.clone().expect("called");
    assert_eq!((stage.is(&outer), stage.is(&inner)), (RoutineRunStatus::Waiting, RoutineRunStatus::Waiting));
    let cancel = |run: &RoutineRunId| RoutineCommand::Cancel { run: run.clone() };
    assert_eq!(stage.0.wish(&member(Role::Manager), cancel(&outer)).unwrap_err().code, "forbidden");
    stage.0.wish(&member(Role::Admin), cancel(&outer)).expect("cancelled");
    assert_eq!(
        (stage.is(&outer), stage.is(&inner)),
        (RoutineRunStatus::Cancelled, RoutineRunStatus::Cancelled)
    );

    let outer = stage.run("outer", json!({}));
    let inner = stage.found("gate").last_run.clone().expect("called");
    let token = stage.waitpoint(&inner);
    stage.0.wish(&member(Role::Admin), cancel(&inner)).expect("cancelled");
    assert_eq!(stage.is(&outer), RoutineRunStatus::Completed);
    assert_eq!(stage.of(&outer).steps[0].error.as_deref(), Some("gate: cancelled"));
    assert!(stage.decide(&token, true).is_err());

    let outer = stage.run("outer", json!({}));
    let token = stage.waitpoint(&stage.found("gate").last_run.clone().expect("called"));
    stage.decide(&token, true).expect("decided");
    assert_eq!(stage.is(&outer), RoutineRunStatus::Completed);
    stage.check();
}

#[test]
fn steps_change_issues_on_behalf_of_who_started_them() {
    let mut stage = Stage::begin();
    let steps = json!([
        { "id": "make", "type": "crewship", "action": "issue.create",
          "params": { "crew": "platform", "title": "Fix {{ inputs.what }}", "priority": "high", "estimate": "{{ inputs.points }}" } },
        { "id": "move", "type": "crewship", "action": "issue.update",
          "params": { "issue": "{{ steps.make.output.identifier }}", "status": "IN_PROGRESS" } },
        { "id": "say", "type": "crewship", "action": "issue.comment",
          "params": { "issue": "{{ steps.make.output.id }}", "body": "made by {{ run.pipeline_slug }}" } },
    ]);
    stage.routine("triage", steps);
    let from = stage.0.entries.len();
    let run = stage.run("triage", json!({ "what": "it", "points": 3 }));
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed, "{:?}", stage.why(&run));
    let identifier = stage.output(&run, "make")["identifier"].as_str().expect("one").to_owned();
    let issues = &stage.0.world.state.issues;
    let issue = issues.named(&identifier).expect("made").clone();
    assert_eq!((&*issue.title, &*issue.authored_via, issue.facts.estimate), ("Fix it", "routine", Some(3)));
    assert_eq!(issue.status.as_str(), "IN_PROGRESS");
    assert_eq!(
        issue.author.as_ref().and_then(|author| author.as_user()).as_ref(),
        member(Role::Manager).user()
    );
    assert_eq!(&*issues.comments_on(&issue.id).next().expect("said").body, "made by triage");
    let about = |entry: &&Entry| entry.face.as_ref().is_some_and(|face| face.mission_id.is_some());
    let traces = stage.0.entries[from..].iter().filter(about).filter_map(|entry| entry.face.as_ref());
    traces.for_each(|face| assert_eq!(face.trace_id.as_deref(), Some(run.as_str())));

    stage.routine(
        "bad",
        json!([{ "id": "a", "type": "crewship", "action": "issue.create", "params": { "title": "x" } }]),
    );
    let run = stage.run("bad", json!({}));
    assert_eq!(stage.why(&run), (Some("a"), Some("crew_id is required")));
    let params = json!({ "issue": identifier, "status": "BACKLOG" });
    stage.routine(
        "bad",
        json!([{ "id": "a", "type": "crewship", "action": "issue.update", "params": params }]),
    );
    let run = stage.run("bad", json!({}));
    assert_eq!(stage.why(&run), (Some("a"), Some("Invalid status transition from IN_PROGRESS to BACKLOG")));
    stage.check();
}

#[test]
fn whoever_a_step_speaks_for_calls_whom_it_names() {
    let mut stage = Stage::begin();
    let strict = PolicyDraft {
        autonomy_level: Some("strict".into()),
        reason: Some("a story".into()),
        ..PolicyDraft::default()
    };
    let strict = RosterCommand::SetPolicy { crew: crew(), draft: strict };
    stage.0.wish(&member(Role::Owner), strict).expect("granted");
    let issue = stage.issue("Fix it", None, None);
    let body = format!("[@x](crewship:agent/{WORKER}) please");
    let say = json!({
        "id": "say", "type": "crewship", "action": "issue.comment", "params": { "issue": issue, "body": body },
    });
    let call = RoutineDraft {
        skip_governance_gate: Some(true),
        author_agent_id: Some(LEAD.into()),
        ..draft("call", json!({ "steps": [say] }))
    };
    stage.0.wish(&member(Role::Owner), save(call)).expect("saved");
    // By itself it speaks for the agent that wrote it, and the crew's policy holds whom agents call.
    let ways = [
        (Actor::Orchestrator, MentionState::Held, Actor::Agent(LEAD.into())),
        (member(Role::Manager), MentionState::Dispatched, member(Role::Manager)),
    ];
    for (starter, state, caller) in ways {
        let run = RoutineCommand::Run { slug: "call".into(), draft: RunDraft::default().into() };
        let made = stage.0.wish(&starter, run).expect("granted");
        let called = made.iter().find_map(|entry| match &entry.event {
            Some(Event::Issue(IssueEvent::Mentioned(mentioned))) => Some(mentioned.dispatch_state),
            _ => None,
        });
        assert_eq!(called, Some(state), "{starter:?}");
        let mut faces = made.iter().filter_map(|entry| entry.face.as_ref());
        let line = faces.find(|face| &*face.entry_type == "agent.mentioned").expect("a line");
        let by = Face::new("", &caller, "", "");
        assert_eq!((line.actor_type, &line.actor_id), (by.actor_type, &by.actor_id), "{starter:?}");
    }
    stage.check();
}

#[test]
fn an_issue_runs_its_routine_with_its_own_inputs() {
    let mut stage = Stage::begin();
    let say = json!({ "id": "say", "type": "crewship", "action": "issue.comment", "params": { "body": "{{ inputs.a }}{{ inputs.b }}" } });
    let routine = stage.routine("hello", json!([say]));
    let bound = stage.issue("Bound", Some(&routine), Some(json!({ "a": 1, "b": 2 })));
    let free = stage.issue("Free", None, None);
    let wish = |name: &Text| RoutineCommand::RunForIssue {
        issue: Named { crew: Some(crew()), name: name.clone() },
        inputs: object(json!({ "b": "x" })),
    };
    let refused = stage.0.wish(&member(Role::Manager), wish(&free)).unwrap_err();
    assert_eq!((refused.code, &*refused.detail), ("issue.no_routine", "Issue has no routine bound"));
    assert_eq!(stage.0.wish(&member(Role::Member), wish(&bound)).unwrap_err().code, "forbidden");
    let elsewhere = RoutineCommand::RunForIssue {
        issue: Named { crew: Some("other-crew".into()), name: bound.clone() },
        inputs: Map::new(),
    };
    assert_eq!(&*stage.0.wish(&member(Role::Manager), elsewhere).unwrap_err().detail, "Issue not found");
    let made = stage.0.manager(wish(&bound));
    let run = RoutineRunId::from(&*made[0].subject);
    let facts = &stage.of(&run).facts;
    assert_eq!((&*facts.triggered_via, facts.triggered_by_id.as_ref()), ("issue", Some(&bound)));
    let noted = made.iter().find_map(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::IssueNoted(noted))) => Some(noted),
        _ => None,
    });
    let noted = noted.expect("a line of activity in the same batch");
    assert_eq!((&*noted.action, noted.details.as_deref()), ("routine_started", Some(run.as_str())));
    let issues = &stage.0.world.state.issues;
    let id = issues.named(&bound).expect("there").id.clone();
    assert_eq!(&*issues.comments_on(&id).next().expect("said").body, "1x");
    stage.check();
}

#[test]
fn a_deleted_routine_leaves_its_issues_in_one_go_and_ends_its_runs() {
    let mut stage = Stage::begin();
    let routine = stage.routine("gate", json!([{ "id": "ask", "type": "wait", "kind": "approval" }]));
    let bound: Vec<Text> = (0..3).map(|n| stage.issue(&format!("I{n}"), Some(&routine), None)).collect();
    let run = stage.run("gate", json!({}));
    let made =
        stage.0.wish(&member(Role::Owner), RoutineCommand::Delete { slug: "gate".into() }).expect("deleted");
    let detached: Vec<_> = made
        .iter()
        .filter_map(|entry| match &entry.event {
            Some(Event::Issue(IssueEvent::IssuesDetached(detached))) => Some(detached),
            _ => None,
        })
        .collect();
    assert_eq!(detached.len(), 1);
    assert_eq!((&detached[0].from, detached[0].issues.len()), (&Detached::Routine(routine.clone()), 3));
    let issues = &stage.0.world.state.issues;
    assert!(bound.iter().all(|name| issues.named(name).expect("there").facts.routine_id.is_none()));
    assert_eq!(stage.is(&run), RoutineRunStatus::Cancelled);
    assert!(stage.0.world.state.routines.waitpoints.is_empty());
    let patch = IssuePatch { routine_id: Some(routine.to_string()), ..IssuePatch::default() };
    let issue = Named { crew: Some(crew()), name: bound[0].clone() };
    let refused = stage.0.wish(&member(Role::Manager), IssueCommand::Update { issue, patch: patch.into() });
    assert_eq!(&*refused.unwrap_err().detail, "routine_id does not exist in this workspace");
    stage.check();
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let mut stage = Stage::begin();
    let definition = json!({
        "inputs": { "n": { "default": 5 } },
        "steps": [{ "id": "ask", "type": "http", "url": "http://example.com" }, { "id": "c", "type": "call_pipeline", "slug": "x" }],
    });
    let skips = RoutineDraft { skip_governance_gate: Some(true), ..draft("hook", definition) };
    stage.0.wish(&member(Role::Owner), save(skips)).expect("saved");
    let planned = stage.0.world.state.plan_of("hook", &Map::new()).expect("planned");
    let expected = json!({ "step_id": "ask", "type": "http", "method": "GET", "url": "http://example.com" });
    assert_eq!((&planned.steps[0], planned.inputs["n"].as_u64()), (&expected, Some(5)));
    assert_eq!((planned.calls, planned.risks), (vec!["x".to_owned()], vec!["http_step"]));
    assert_eq!(stage.found("hook").invocation_count, 0);
    let dry = RoutineCommand::DryRun { slug: "hook".into(), inputs: Map::new() };
    assert_eq!(stage.0.wish(&member(Role::Member), dry.clone()).unwrap_err().code, "forbidden");
    let made = stage.0.manager(dry);
    assert!(made.iter().all(|entry| entry.event.is_none()), "a line for people is no fact");
    assert_eq!(stage.faces(stage.0.entries.len() - 1), ["pipeline.dry_run"]);
    stage.check();
}

#[test]
fn runs_of_one_routine_are_bounded() {
    let mut stage = Stage::begin();
    stage.routine("gate", json!([{ "id": "ask", "type": "wait", "kind": "approval" }]));
    let first = stage.run("gate", json!({}));
    (1..100).for_each(|_| drop(stage.run("gate", json!({}))));
    let one_more = RoutineCommand::Run { slug: "gate".into(), draft: Box::default() };
    let refused = stage.0.wish(&member(Role::Manager), one_more).unwrap_err();
    assert_eq!(refused.code, "routine.too_many_runs");
    let token = stage.waitpoint(&first);
    stage.decide(&token, true).expect("decided");
    stage.run("gate", json!({}));
    stage.check();
}

#[test]
fn those_who_listen_are_told_of_routines_and_their_runs() {
    let mut stage = Stage::begin();
    let from = stage.0.entries.len();
    let steps = json!([{ "id": "ask", "type": "wait", "kind": "approval" }, { "id": "t", "type": "notify", "title": "x" }]);
    stage.routine("gate", steps);
    let run = stage.run("gate", json!({}));
    let token = stage.waitpoint(&run);
    stage.decide(&token, true).expect("decided");
    stage.0.wish(&member(Role::Owner), RoutineCommand::Delete { slug: "gate".into() }).expect("deleted");
    let world = &stage.0.world;
    let notices: Vec<_> = stage.0.entries[from..].iter().flat_map(|entry| world.notices(entry)).collect();
    let events: Vec<&str> = notices.iter().map(|notice| notice.event).collect();
    let expected = [
        "pipeline.saved",
        "pipeline.run.started",
        "pipeline.run.waiting",
        "inbox.updated",
        "inbox.updated",
        "inbox.updated",
        "pipeline.run.completed",
        "pipeline.deleted",
    ];
    assert_eq!(events, expected);
    assert!(notices.iter().all(|notice| notice.channel == "workspace:ws"));
    assert!(notices.iter().all(|notice| !notice.payload.to_string().contains(&*token)));
    let payload = json!({
        "run_id": run, "pipeline_id": stage.of(&run).facts.routine_id, "pipeline_slug": "gate",
        "status": "completed",
    });
    assert_eq!(notices[6].payload, payload);
    stage.check();
}
