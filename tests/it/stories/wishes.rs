//! What agents wish for and ask people, as time passes (`periphery.md` 7 and 11, `platform.md` 8.3).

use taffrail_domain::approval::ApprovalStatus;
use taffrail_domain::chat::ChatCommand;
use taffrail_domain::escalation::{
    EscalationCommand, EscalationStatus, EscalationType, Question, Resolution,
};
use taffrail_domain::mission::{MissionCommand, MissionDraft, Proposal};
use taffrail_domain::roster::{Autonomy, PolicyDraft, RosterCommand, Ruling, Wished};
use taffrail_domain::work::{AssignmentStatus, Delegation, QUERY_MS_MAX, WorkCommand};
use taffrail_domain::{Actor, ApprovalId, EscalationId, Json, MissionId, Rejection, Time};

use super::kit::{LEAD, WORKER, crew, mission};
use super::play::{Play, done};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn agent() -> Actor {
    Actor::Agent(LEAD.into())
}

/// A mission that the crew's policy holds, and the question about it.
fn held(play: &mut Play) -> (MissionId, ApprovalId) {
    let draft = PolicyDraft { autonomy_level: Some("strict".into()), ..PolicyDraft::default() };
    play.manager(RosterCommand::SetPolicy { crew: crew(), draft });
    let draft = MissionDraft {
        title: Some("Wished".into()),
        lead_agent_id: Some(LEAD.into()),
        ..MissionDraft::default()
    };
    let proposal = Proposal { crew: crew(), draft, plan: None, tasks: vec![], tasks_max: 16, active_max: 6 };
    let made = play.wish(&agent(), MissionCommand::Propose(proposal.into())).expect("granted");
    let id = MissionId::from(&*made[0].subject);
    let hold = play.world.state.approvals.hold_on(id.as_str()).expect("it is held");
    let approval = hold.id.clone();
    (id, approval)
}

fn status_of(play: &Play, approval: &ApprovalId) -> ApprovalStatus {
    play.world.state.approvals.all[approval].status
}

fn raise(play: &mut Play) -> EscalationId {
    let question = Question {
        crew: crew(),
        agent: LEAD.into(),
        chat: mission().as_str().into(),
        reason: "Which?".into(),
        context: None,
        escalation_type: EscalationType::Text,
        metadata: Json::default(),
    };
    let made = play.wish(&agent(), EscalationCommand::Raise(question.into())).expect("granted");
    (&*made[0].subject).into()
}

/// What the public sees of the last entry.
fn last_payload(play: &Play) -> serde_json::Value {
    let face = play.entries.last().and_then(|entry| entry.face.as_ref()).expect("a public entry");
    serde_json::from_str(face.payload.get()).expect("JSON")
}

#[test]
fn the_table_of_the_policy_is_that_of_the_page() {
    use Ruling::{Autonomous, Held, Refused, Routine, Told};
    for (wished, rulings) in [
        (Wished::Mission, [Held, Told, Routine, Autonomous]),
        (Wished::Assignment, [Held, Told, Routine, Autonomous]),
        (Wished::Crew, [Refused, Held, Held, Told]),
        (Wished::Agent, [Refused, Held, Held, Told]),
    ] {
        let levels = [Autonomy::Strict, Autonomy::Guided, Autonomy::Trusted, Autonomy::Full];
        assert_eq!(levels.map(|level| level.ruling(wished)), rulings, "{wished}");
    }
}

#[test]
fn what_nobody_decides_lapses_after_a_week_and_stays_inert() {
    let mut play = Play::begin();
    let (id, approval) = held(&mut play);
    play.now = Time(play.now.0 + 7 * DAY_MS - 1);
    play.engine();
    assert_eq!(status_of(&play, &approval), ApprovalStatus::Pending);
    play.now = Time(play.now.0 + 1);
    play.engine();
    assert_eq!(status_of(&play, &approval), ApprovalStatus::Timeout);
    let start = MissionCommand::Start { crew: crew(), mission: id, seen: None };
    assert_eq!(play.wish(&agent(), start).unwrap_err().code, "mission.held");
}

#[test]
fn nobody_decides_about_a_mission_that_is_gone() {
    let mut play = Play::begin();
    let (id, approval) = held(&mut play);
    play.manager(MissionCommand::Delete { crew: crew(), mission: id });
    assert_eq!(status_of(&play, &approval), ApprovalStatus::Cancelled);
}

#[test]
fn a_held_mission_does_not_begin_by_the_back_door() {
    let mut play = Play::begin();
    let (id, _) = held(&mut play);
    let clone = MissionCommand::Clone { crew: crew(), mission: id.clone(), title: None };
    play.manager(clone);
    for command in [
        MissionCommand::Restart { crew: crew(), mission: id.clone() },
        MissionCommand::Resume { crew: crew(), mission: id.clone() },
    ] {
        assert!(play.wish(&agent(), command).is_err());
    }
}

#[test]
fn people_may_answer_when_the_agent_has_given_up_but_not_for_ever() {
    let mut play = Play::begin();
    let (late, never) = (raise(&mut play), raise(&mut play));
    play.now = Time(play.now.0 + 301_000);
    let answer = Resolution { text: "this".into(), ..Resolution::default() };
    let resolve = EscalationCommand::Resolve { escalation: late.clone(), answer: answer.clone() };
    play.manager(resolve.clone());
    let told = last_payload(&play);
    assert_eq!(told["agent_still_waiting"], false);
    assert!(told["agent_gave_up_at"].is_string(), "{told}");
    play.now = Time(play.now.0 + DAY_MS);
    play.engine();
    assert_eq!(play.world.state.escalations.all[&never].status(), EscalationStatus::Expired);
    assert_eq!(play.world.state.escalations.all[&late].status(), EscalationStatus::Resolved);
    let resolve = EscalationCommand::Resolve { escalation: never, answer };
    assert_eq!(play.wish(&agent(), resolve).unwrap_err().code, "escalation.not_pending");
}

#[test]
fn nobody_answers_for_a_mission_that_is_over() {
    let mut play = Play::begin();
    play.task("a", &[]);
    play.start();
    let id = raise(&mut play);
    play.patch_mission("CANCELLED");
    let found = &play.world.state.escalations.all[&id];
    assert_eq!(found.status(), EscalationStatus::Cancelled);
    assert_eq!(last_payload(&play)["resolution"], "the mission is over");
}

#[test]
fn a_question_to_an_agent_that_is_never_answered_is_withdrawn() {
    let mut play = Play::begin();
    ask(&mut play, None, LEAD).expect("granted");
    let held = play.claim().expect("the question");
    play.now = Time(play.now.0 + QUERY_MS_MAX);
    play.engine();
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    play.report(&held, done()).expect("noted, though late");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
}

/// An agent asks another one.
fn ask(play: &mut Play, asker: Option<&str>, target: &str) -> Result<(), Rejection> {
    let open = ChatCommand::Open {
        agent: LEAD.into(),
        chat: Some("chat".into()),
        mode: None,
        origin: None,
        metadata: Json::default(),
    };
    play.manager(open);
    let question = Delegation {
        target_slug: play.world.state.roster.agents[target].facts.slug.clone(),
        task: "Is it safe?".into(),
        crew: crew(),
        chat: "chat".into(),
        mission: None,
        actor: asker.map(Into::into),
        is_question: true,
    };
    play.wish(&Actor::Orchestrator, WorkCommand::Delegate(question.into())).map(drop)
}

#[test]
fn two_agents_do_not_ask_each_other_for_ever() {
    let mut play = Play::begin();
    let mut pair = [LEAD, WORKER];
    for _ in 0..2 {
        ask(&mut play, Some(pair[0]), pair[1]).expect("not too deep yet");
        play.claim().expect("the question");
        pair.reverse();
    }
    let refused = ask(&mut play, Some(pair[0]), pair[1]).unwrap_err();
    assert_eq!((refused.code, &*refused.detail), ("query.too_deep", "depth must be at most 2"));
}
