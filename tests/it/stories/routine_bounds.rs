//! What routines may take: work, room, frames and time (`periphery.md` 10 and 11).

use serde_json::{Value, json};
use taffrail_domain::roster::Role;
use taffrail_domain::routine::{RoutineCommand, RoutineRunStatus, RunDraft};
use taffrail_domain::{Entry, RoutineRunId};

use super::kit::member;
use super::routines::{Stage, draft, object, save, transform};

/// What entries take in a journal, about.
fn bytes(entries: &[Entry]) -> usize {
    let stored = entries.iter().map(|entry| taffrail_domain::Draft {
        subject: entry.subject.clone(),
        event: entry.event.clone(),
        face: entry.face.clone(),
    });
    stored.map(|draft| draft.encode().expect("encodes").body.len()).sum()
}

fn each(items: &str, mut step: Value) -> Value {
    step["if"] = json!("yes");
    json!({ "id": "each", "type": "foreach", "items": items, "step": step })
}

#[test]
fn costly_expressions_are_spread_over_commands_and_one_too_costly_fails() {
    let mut stage = Stage::begin();
    let chain = |times: usize| vec!["tojson|fromjson"; times].join("|");
    let costly = |times: usize| json!({ "type": "transform", "input": "{{ inputs.x }}", "expression": chain(times) + "|length" });
    let (x, list) = ("x".repeat(60_000), (0..60).collect::<Vec<u32>>());
    stage.routine("spread", json!([each("{{ inputs.list }}", costly(2))]));
    let run = stage.run("spread", json!({ "x": x, "list": list }));
    assert_eq!(stage.is(&run), RoutineRunStatus::Running, "the rest is for another command");
    assert!(stage.of(&run).looping.as_ref().is_some_and(|looping| !looping.outputs.is_empty()));
    stage.engine();
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed);
    assert_eq!(stage.output(&run, "each"), json!(vec![60_000; 60]));
    stage.routine("costly", json!([each("{{ inputs.list }}", costly(40))]));
    let run = stage.run("costly", json!({ "x": x, "list": list }));
    assert_eq!(stage.why(&run), (Some("each"), Some("the expression takes too much work")));
    stage.check();
}

#[test]
fn whatever_steps_lead_to_fits_into_batches() {
    let mut stage = Stage::begin();
    let params = json!({ "crew": "platform", "title": "Issue {{ item }}", "description": "{{ inputs.x }}" });
    let make = json!({ "type": "crewship", "action": "issue.create", "params": params });
    stage.routine("many", json!([each("{{ inputs.list }}", make)]));
    let list: Vec<u32> = (0..200).collect();
    let from = stage.0.entries.len();
    let run = stage.run("many", json!({ "x": "x".repeat(60_000), "list": list }));
    let first = bytes(&stage.0.entries[from..]);
    assert!((4 << 20..6 << 20).contains(&first), "{first}");
    assert_eq!(stage.is(&run), RoutineRunStatus::Running);
    stage.engine();
    assert_eq!(stage.is(&run), RoutineRunStatus::Completed, "{:?}", stage.why(&run));
    stage.check();
}

#[test]
fn a_run_and_all_it_leads_to_yield_so_much_and_no_more() {
    let mut stage = Stage::begin();
    stage.routine("leaf", json!([transform("a", json!("{{ inputs.x }}")), transform("b", json!(1))]));
    let call = json!({ "type": "call_pipeline", "slug": "leaf", "inputs": { "x": "{{ inputs.x }}" } });
    stage.routine("tree", json!([each("{{ inputs.list }}", call)]));
    let list: Vec<u32> = (0..200).collect();
    let run = stage.run("tree", json!({ "x": "x".repeat(60_000), "list": list }));
    stage.engine();
    assert_eq!(stage.is(&run), RoutineRunStatus::Failed);
    let (_, error) = stage.why(&run);
    assert!(error.is_some_and(|error| error.ends_with("is larger than 16 MiB")), "{error:?}");
    assert!(stage.of(&run).tree_bytes < 17 << 20);
    stage.check();
}

#[test]
fn runs_that_are_over_make_room_whosever_they_are() {
    let mut stage = Stage::begin();
    let steps: Value = (0..17).map(|n| transform(&format!("s{n}"), json!("{{ inputs.x }}"))).collect();
    stage.routine("large", steps);
    stage.routine("small", json!([transform("a", json!(1))]));
    let small = stage.run("small", json!({}));
    let x = "x".repeat(60_000);
    let first = stage.run("large", json!({ "x": x }));
    assert_eq!(stage.is(&first), RoutineRunStatus::Completed);
    assert_eq!(stage.of(&first).definition.get(), "{}", "what is over does nothing any more");
    (0..70).for_each(|_| drop(stage.run("large", json!({ "x": x }))));
    let routines = &stage.0.world.state.routines;
    assert!(routines.over_bytes <= 64 << 20 && routines.over.len() > 50, "{}", routines.over_bytes);
    assert!(routines.runs.get(&small).is_none() && routines.runs.get(&first).is_none(), "the oldest go");
    assert_eq!(routines.runs.len(), routines.over.len());
    stage.check();
}

#[test]
fn a_deleted_routine_keeps_its_newest_runs_and_a_workspace_has_so_many_routines() {
    let mut stage = Stage::begin();
    stage.routine("busy", json!([transform("a", json!(1))]));
    let runs: Vec<RoutineRunId> = (0..130).map(|_| stage.run("busy", json!({}))).collect();
    stage.0.wish(&member(Role::Owner), RoutineCommand::Delete { slug: "busy".into() }).expect("deleted");
    let kept = |id: &&RoutineRunId| stage.0.world.state.routine_run(id.as_str()).is_ok();
    assert_eq!(runs.iter().filter(kept).collect::<Vec<_>>(), runs[30..].iter().collect::<Vec<_>>());
    for n in 0..1_000 {
        stage.0.manager(save(draft(&format!("r{n}"), json!({ "steps": [transform("a", json!(n))] }))));
    }
    let one_more = save(draft("more", json!({ "steps": [transform("a", json!(1))] })));
    let refused = stage.0.wish(&member(Role::Owner), one_more).unwrap_err();
    assert_eq!(refused.code, "routine.too_many");
    stage.0.manager(save(draft("r7", json!({ "steps": [transform("a", json!("other"))] }))));
    let large = save(draft("r7", json!({ "steps": [transform("a", json!("x".repeat(300_000)))] })));
    let refused = stage.0.wish(&member(Role::Owner), large).unwrap_err();
    assert_eq!(&*refused.detail, "definition is larger than 256 KiB, or too deep");
    stage.check();
}

#[test]
fn a_routine_with_many_runs_under_way_goes_in_one_batch_and_the_engine_ends_the_rest() {
    let mut stage = Stage::begin();
    stage.routine("gate", json!([{ "id": "ask", "type": "wait", "kind": "approval" }]));
    let call = json!({ "id": "call", "type": "call_pipeline", "slug": "gate", "continue_on_error": true });
    let after: Vec<Value> = (0..20).map(|n| transform(&format!("s{n}"), json!(n))).collect();
    let outer: Vec<RoutineRunId> = (0..6)
        .flat_map(|n| {
            let slug = format!("outer{n}");
            stage.routine(&slug, json!([vec![call.clone()], after.clone()].concat()));
            (0..100).map(|_| stage.run(&slug, json!({}))).collect::<Vec<_>>()
        })
        .collect();
    let made = stage.0.wish(&member(Role::Owner), RoutineCommand::Delete { slug: "gate".into() });
    let made = made.expect("deleted").len();
    assert!((1_000..1_100).contains(&made), "{made}");
    assert!(!stage.0.world.state.routines.orphans.is_empty());
    assert!(stage.0.world.state.routines_due_at().is_some());
    stage.engine();
    let state = &stage.0.world.state;
    assert!(state.routines.orphans.is_empty() && state.routines.live_of.is_empty());
    assert!(state.routines.waitpoints.is_empty());
    assert!(outer.iter().all(|run| stage.is(run) == RoutineRunStatus::Completed), "they went on");
    stage.check();
}

#[test]
fn what_a_step_says_is_checked_when_it_is_saved() {
    let mut stage = Stage::begin();
    let deep = (0..110).fold(json!(1), |inner, _| json!([inner]));
    for (step, expected) in [
        (
            json!({ "id": "a", "type": "transform", "expression": ".a |" }),
            "step \"a\": \"expression\": expression ends too early",
        ),
        (
            json!({ "id": "a", "type": "http", "url": "http://x", "method": "BREW" }),
            "step \"a\": \"method\" must be one of: GET, POST, PUT, PATCH, DELETE, HEAD",
        ),
        (
            json!({ "id": "a", "type": "wait", "kind": "approval", "timeout_seconds": 7_776_001 }),
            "step \"a\": \"timeout_seconds\" of an approval must be at most 90 days",
        ),
        (transform("a", deep), "definition is larger than 256 KiB, or too deep"),
    ] {
        let refused = stage.0.wish(&member(Role::Manager), save(draft("bad", json!({ "steps": [step] }))));
        assert_eq!(&*refused.unwrap_err().detail, expected);
    }
    stage.check();
}

#[test]
fn what_is_given_to_a_run_is_neither_large_nor_deep() {
    let mut stage = Stage::begin();
    stage.routine("gate", json!([{ "id": "ask", "type": "wait", "kind": "approval" }]));
    let deep = (0..110).fold(json!(1), |inner, _| json!([inner]));
    let code = |stage: &mut Stage, draft: RunDraft| {
        let run = RoutineCommand::Run { slug: "gate".into(), draft: draft.into() };
        stage.0.wish(&member(Role::Manager), run).unwrap_err().code
    };
    let inputs = RunDraft { inputs: Some(object(json!({ "x": deep }))), ..RunDraft::default() };
    assert_eq!(code(&mut stage, inputs), "routine.inputs_too_large");
    let metadata = RunDraft { metadata: Some(object(json!({ "x": deep }))), ..RunDraft::default() };
    assert_eq!(code(&mut stage, metadata), "routine.metadata_too_large");
    let run = stage.run("gate", json!({}));
    let waitpoint = stage.of(&run).waitpoint().cloned().expect("it waits");
    let command =
        RoutineCommand::DecideWaitpoint { waitpoint, approved: true, comment: None, payload: Some(deep) };
    let refused = stage.0.wish(&member(Role::Manager), command).unwrap_err();
    assert_eq!(refused.code, "waitpoint.payload_too_large");
    stage.check();
}
