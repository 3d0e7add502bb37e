//! What is said of issues, and who is called by it (`issues.md` 9, 13).

use serde_json::json;
use taffrail_domain::issue::{CommentDraft, IssueCommand, IssueEvent, MentionState};
use taffrail_domain::roster::{ConnectionDraft, PolicyDraft, Role, RosterCommand};
use taffrail_domain::work::{AssignmentStatus, Purpose};
use taffrail_domain::{Actor, AgentId, CommentId, Entry, Event, MissionId, Rejection};

use super::desk::{detail, line, named, refused};
use super::kit::{CREW, LEAD, OTHER_CREW, OTHER_LEAD, WORKER, member};
use super::play::{Play, done, failed};

fn say(play: &mut Play, actor: &Actor, issue: &MissionId, body: &str) -> Result<Vec<Entry>, Rejection> {
    let draft = CommentDraft { body: Some(body.into()) };
    play.wish(actor, IssueCommand::Comment { issue: named(issue), draft })
}

/// The id of what a manager said.
#[track_caller]
fn said(play: &mut Play, issue: &MissionId, body: &str) -> CommentId {
    let made = say(play, &member(Role::Manager), issue, body).expect("granted");
    comment_in(&made)
}

fn comment_in(made: &[Entry]) -> CommentId {
    match &made[0].event {
        Some(Event::Issue(IssueEvent::Commented(commented))) => commented.comment_id.clone(),
        other => panic!("no comment: {other:?}"),
    }
}

fn edit(
    play: &mut Play,
    actor: &Actor,
    issue: &MissionId,
    id: &CommentId,
    body: &str,
) -> Result<Vec<Entry>, Rejection> {
    let draft = Ok(CommentDraft { body: Some(body.into()) });
    play.wish(actor, IssueCommand::EditComment { issue: named(issue), comment: id.clone(), draft })
}

fn delete(
    play: &mut Play,
    actor: &Actor,
    issue: &MissionId,
    id: &CommentId,
) -> Result<Vec<Entry>, Rejection> {
    play.wish(actor, IssueCommand::DeleteComment { issue: named(issue), comment: id.clone() })
}

fn call(agents: &[&str]) -> String {
    agents.iter().map(|id| format!("[@{id}](crewship:agent/{id})")).collect::<Vec<_>>().join(" ")
}

/// What became of the calls in these entries.
fn calls(made: &[Entry]) -> Vec<(String, MentionState, bool)> {
    let events = made.iter().filter_map(|entry| entry.event.as_ref());
    events
        .filter_map(|event| match event {
            Event::Issue(IssueEvent::Mentioned(call)) => {
                Some((call.agent_id.to_string(), call.dispatch_state, call.assignment_id.is_some()))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_comment_is_an_entry_and_no_line_and_leaves_the_issue_as_it_was() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let before = play.found(&issue).clone();
    let body = "ž".repeat(201);
    let made = say(&mut play, &member(Role::Manager), &issue, &body).expect("granted");
    assert_eq!(made.len(), 1);
    let face = made[0].face.as_ref().expect("the public hears it");
    assert_eq!((&*face.entry_type, face.actor_id.as_deref()), ("mission.comment", Some("manager")));
    let payload: serde_json::Value = serde_json::from_str(face.payload.get()).expect("JSON");
    assert_eq!(payload["body"], json!("ž".repeat(200)));
    assert_eq!(payload["mission_id"], json!(issue));
    assert_eq!(play.lines(&issue).len(), 1);
    let after = play.found(&issue);
    assert_eq!((after.comment_count, before.comment_count), (1, 0));
    assert_eq!((after.updated_at, after.changed), (before.updated_at, before.changed));
    play.holds_together();
}

#[test]
fn a_body_is_required_before_the_issue_is_looked_for() {
    let mut play = Play::desk();
    let nowhere = MissionId::from("PLA-9");
    let manager = member(Role::Manager);
    for body in ["", "  \n"] {
        let outcome = say(&mut play, &manager, &nowhere, body);
        assert_eq!(refused(outcome), ("comment.body_required", "body is required".into()));
    }
    assert_eq!(detail(say(&mut play, &manager, &nowhere, "x")), "Issue not found");
    let outcome = play.ask(IssueCommand::Comment { issue: named(&nowhere), draft: CommentDraft::default() });
    assert_eq!(detail(outcome), "body is required");
}

#[test]
fn comments_are_listed_by_time_whatever_their_ids() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let bodies: Vec<String> = (0..12).map(|number| format!("comment {number}")).collect();
    bodies.iter().for_each(|body| drop(said(&mut play, &issue, body)));
    assert_eq!(play.said(&issue), bodies);
}

#[test]
fn who_said_it_says_it_better_and_nobody_is_called_again() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let id = said(&mut play, &issue, "Well");
    let manager = member(Role::Manager);
    let made = edit(&mut play, &manager, &issue, &id, &call(&[WORKER])).expect("granted");
    assert_eq!(made.len(), 1, "nobody is called");
    assert_eq!(play.said(&issue), [call(&[WORKER])]);
    assert_eq!(edit(&mut play, &manager, &issue, &id, &call(&[WORKER])).expect("granted"), vec![]);
    assert_eq!(detail(edit(&mut play, &manager, &issue, &id, " ")), "body is required");
    for role in [Role::Owner, Role::Admin] {
        let outcome = edit(&mut play, &member(role), &issue, &id, "");
        assert_eq!(refused(outcome), ("comment.not_author", "Only the author can edit a comment".into()));
    }
    assert_eq!(detail(edit(&mut play, &member(Role::Member), &issue, &id, "x")), "Forbidden");
    let other = play.issue("Other");
    assert_eq!(detail(edit(&mut play, &manager, &other, &id, "x")), "Comment not found");
    play.holds_together();
}

#[test]
fn who_said_it_or_who_manages_takes_it_back_and_nothing_is_left() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let manager = member(Role::Manager);
    let by_manager = said(&mut play, &issue, "Well");
    delete(&mut play, &manager, &issue, &by_manager).expect("the author's");
    assert_eq!(detail(delete(&mut play, &manager, &issue, &by_manager)), "Comment not found");
    let by_owner = comment_in(&say(&mut play, &member(Role::Owner), &issue, "Well").expect("granted"));
    let refusal = "Only the author or an admin can delete a comment";
    assert_eq!(detail(delete(&mut play, &manager, &issue, &by_owner)), refusal);
    delete(&mut play, &member(Role::Admin), &issue, &by_owner).expect("an admin's");
    let agent = Actor::Agent(WORKER.into());
    let by_agent = comment_in(&say(&mut play, &agent, &issue, "Done").expect("granted"));
    for actor in [&manager, &agent] {
        assert_eq!(detail(delete(&mut play, actor, &issue, &by_agent)), refusal, "{actor}");
    }
    delete(&mut play, &member(Role::Owner), &issue, &by_agent).expect("an owner's");
    assert_eq!(play.found(&issue).comment_count, 0);
    let issues = &play.world.state.issues;
    assert!(issues.comments.is_empty() && issues.comments_of.is_empty());
    play.holds_together();
}

#[test]
fn a_call_is_work_for_the_agent_and_its_answer_is_a_comment() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let body = format!("What do you think, {}?", call(&[WORKER]));
    let made = say(&mut play, &member(Role::Manager), &issue, &body).expect("granted");
    assert_eq!(calls(&made), [(WORKER.to_owned(), MentionState::Dispatched, true)]);
    assert_eq!(play.last_line(&issue), line("mentioned", WORKER));
    let types: Vec<_> =
        made.iter().filter_map(|entry| entry.face.as_ref()).map(|face| &*face.entry_type).collect();
    assert_eq!(types[..2], ["mission.comment", "agent.mentioned"]);
    assert_eq!(play.found(&issue).facts.assignee, None, "it stays nobody's");
    assert!(play.messages().is_empty());
    let held = play.claim_of(WORKER);
    let found = play.assignment(&held).clone();
    assert_eq!((found.facts.purpose, found.facts.assigned_by.as_ref()), (Purpose::Mention, None));
    let brief = play.world.state.brief(&found).expect("told");
    assert!(brief.prompt.contains("You were mentioned in a comment. Answer it:\n<<<\nWhat do you think"));
    play.report(&held, taffrail_domain::work::Report { result: Some(" I think so. ".into()), ..done() })
        .expect("heard");
    assert_eq!(play.said(&issue)[1..], ["I think so."]);
    assert_eq!(play.last_line(&issue), line("task_completed", "I think so."));
    assert_eq!(play.status(&issue).as_str(), "BACKLOG");
    play.holds_together();
}

#[test]
fn a_call_that_fails_is_told_as_a_comment() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    said(&mut play, &issue, &call(&[WORKER]));
    let held = play.claim_of(WORKER);
    play.report(&held, failed()).expect("heard");
    let told = "**worker encountered an issue.** Error: no luck";
    assert_eq!(play.said(&issue)[1..], [told]);
    assert_eq!(play.last_line(&issue), line("task_failed", told));
}

#[test]
fn ten_agents_are_called_and_eight_of_them_are_given_work() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let hired: Vec<AgentId> = (0..12).map(|number| play.hire_here(&format!("agent-{number}"))).collect();
    let ids: Vec<&str> = hired.iter().map(AgentId::as_str).collect();
    let body = format!("{} {}", call(&ids), call(&ids[..1]));
    let made = say(&mut play, &member(Role::Manager), &issue, &body).expect("granted");
    let states: Vec<_> = calls(&made).into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(states.len(), 10, "each once, and ten at most");
    assert_eq!(states[..8], [MentionState::Dispatched; 8]);
    assert_eq!(states[8..], [MentionState::Refused; 2]);
    let message = play.messages();
    assert_eq!(message.len(), 1, "one for the comment");
    let payload: serde_json::Value = serde_json::from_str(message[0].payload.get()).expect("JSON");
    assert_eq!(payload["target_user_id"], json!("manager"));
    assert_eq!(payload["overflow"], json!(true));
    assert_eq!(payload["agent_ids"], json!(ids[8..10]));
    play.holds_together();
}

#[test]
fn who_is_unknown_is_dropped_without_a_trace_and_who_may_not_work_is_refused() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    assert_eq!(say(&mut play, &member(Role::Manager), &issue, &call(&["nobody"])).expect("granted").len(), 1);
    assert!(play.messages().is_empty());
    let made = say(&mut play, &member(Role::Manager), &issue, &call(&[OTHER_LEAD])).expect("granted");
    assert_eq!(calls(&made), [(OTHER_LEAD.to_owned(), MentionState::Refused, false)]);
    assert_eq!(play.messages().len(), 1);
    let link = ConnectionDraft {
        from_crew_id: Some(CREW.into()),
        to_crew_id: Some(OTHER_CREW.into()),
        direction: Some("unidirectional".into()),
    };
    play.manager(RosterCommand::Connect(link));
    let made = say(&mut play, &member(Role::Manager), &issue, &call(&[OTHER_LEAD])).expect("granted");
    assert_eq!(calls(&made), [(OTHER_LEAD.to_owned(), MentionState::Dispatched, true)]);
    let draft = PolicyDraft { autonomy_level: Some("guided".into()), ..PolicyDraft::default() };
    play.wish(&member(Role::Owner), RosterCommand::SetPolicy { crew: CREW.into(), draft }).expect("granted");
}

#[test]
fn calls_lead_two_steps_far_and_nobody_calls_themselves() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let (b, c) = (play.hire_here("agent-b"), play.hire_here("agent-c"));
    said(&mut play, &issue, &call(&[WORKER]));
    play.claim_of(WORKER);
    let by = |agent: &str| Actor::Agent(agent.into());
    let made = say(&mut play, &by(WORKER), &issue, &call(&[WORKER, b.as_str()])).expect("granted");
    let states: Vec<_> = calls(&made).into_iter().map(|(_, state, _)| state).collect();
    assert_eq!(states, [MentionState::Skipped, MentionState::Dispatched]);
    play.claim_of(b.as_str());
    let made = say(&mut play, &by(b.as_str()), &issue, &call(&[c.as_str()])).expect("granted");
    assert_eq!(calls(&made), [(c.to_string(), MentionState::Refused, false)]);
    assert!(play.messages().is_empty(), "agents are told nothing");
    // A person begins anew.
    let made = say(&mut play, &member(Role::Manager), &issue, &call(&[c.as_str()])).expect("granted");
    assert_eq!(calls(&made), [(c.to_string(), MentionState::Dispatched, true)]);
    play.holds_together();
}

#[test]
fn code_and_plain_links_call_nobody() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let link = call(&[WORKER]);
    for body in [
        format!("`{link}`"),
        format!("```\n{link}\n```"),
        format!("    {link}"),
        "[worker](crewship:agent/worker)".to_owned(),
        "@worker".to_owned(),
        format!("[@{}](crewship:agent/worker)", "x".repeat(80)),
    ] {
        let made = say(&mut play, &member(Role::Manager), &issue, &body).expect("granted");
        assert_eq!(calls(&made), [], "{body}");
    }
    let longest = format!("[@{}](crewship:agent/worker)", "x".repeat(79));
    assert_eq!(calls(&say(&mut play, &member(Role::Manager), &issue, &longest).expect("granted")).len(), 1);
}

#[test]
fn work_of_a_deleted_issue_or_crew_is_over() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    said(&mut play, &issue, &call(&[WORKER]));
    let held = play.claim_of(WORKER);
    play.delete_issue(&issue).expect("granted");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    play.report(&held, done()).expect("noted");
    // The crew of the issue goes, the agent that was called is another one's.
    let link = ConnectionDraft {
        from_crew_id: Some(CREW.into()),
        to_crew_id: Some(OTHER_CREW.into()),
        direction: None,
    };
    play.manager(RosterCommand::Connect(link));
    let issue = play.issue("Fix it");
    said(&mut play, &issue, &call(&[OTHER_LEAD, LEAD]));
    let held = play.claim_of(OTHER_LEAD);
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: CREW.into() }).expect("granted");
    assert_eq!(play.assignment(&held).status, AssignmentStatus::Cancelled);
    assert_eq!(play.world.state.work.live().count(), 0);
    play.holds_together();
}
