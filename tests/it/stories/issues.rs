//! Issues: identifiers, create, the flow, delete (`issues.md` 4 to 6).

use serde_json::json;
use taffrail_domain::issue::{IssueCommand, IssueDraft, IssueStatus, Named, Party, Place};
use taffrail_domain::roster::{AgentPatch, Capability, CrewPatch, Role, RosterCommand};
use taffrail_domain::{Command, IfMatch, MissionId, Offset, Time};

use super::desk::{change, create, detail, line, named, refused, titled, to, way_to};
use super::kit::{CREW, LEAD, OTHER_CREW, WORKER, member};
use super::play::Play;

fn prefix(play: &mut Play, crew: &str, prefix: &str) {
    let patch = CrewPatch { issue_prefix: Some(Some(prefix.into())), ..CrewPatch::default() };
    play.manager(RosterCommand::UpdateCrew { crew: crew.into(), patch });
}

fn slug(play: &mut Play, crew: &str, slug: &str) {
    let patch = CrewPatch { slug: Some(slug.into()), ..CrewPatch::default() };
    play.manager(RosterCommand::UpdateCrew { crew: crew.into(), patch });
}

fn create_in(play: &mut Play, crew: &str) -> MissionId {
    let made = play.manager(IssueCommand::Create { crew: crew.into(), draft: titled("Fix it").into() });
    (&*made[0].subject).into()
}

#[test]
fn a_new_issue_is_in_the_backlog_and_carries_the_crews_prefix_and_lead() {
    let mut play = Play::desk();
    let made = play.manager(create(titled("  Fix it  ")));
    assert_eq!(made.len(), 1, "one entry");
    let id = MissionId::from(&*made[0].subject);
    let issue = play.found(&id);
    assert_eq!((&*issue.identifier, issue.number, issue.status), ("PLA-1", 1, IssueStatus::Backlog));
    assert_eq!((&*issue.title, issue.lead_agent_id.as_str()), ("Fix it", LEAD));
    assert_eq!(issue.author, Some(Party::user(&"manager".into())));
    assert_eq!(&*issue.authored_via, "user_api");
    assert!(issue.trace_id.starts_with("issue-"));
    assert!(issue.facts.labels.is_empty() && issue.facts.routine_inputs.is_empty());
    assert_eq!((issue.started_at, issue.completed_at), (None, None));
    assert_eq!(play.lines(&id), [line("created", "Fix it")]);
    let face = made[0].face.as_ref().expect("the public sees it");
    assert_eq!((&*face.entry_type, &*face.summary), ("mission.created", "created: Fix it"));
    let payload = json!({ "action": "created", "details": "Fix it", "identifier": "PLA-1" });
    assert_eq!(face.payload, payload.into());
    let refs = json!({ "mission_id": id, "activity_id": play.world.entry_id(made[0].offset) });
    assert_eq!(face.refs, refs.into());
    play.holds_together();
}

#[test]
fn the_prefix_is_the_crews_own_or_the_first_three_characters_of_its_slug() {
    for (name, expected) in [("engineering", "ENG-1"), ("ab", "AB-1"), ("a-team", "A-T-1"), ("a_b", "A_B-1")]
    {
        let mut play = Play::desk();
        slug(&mut play, CREW, name);
        let issue = play.issue("Fix it");
        assert_eq!(play.identifier(&issue), expected);
    }
    let mut play = Play::desk();
    prefix(&mut play, CREW, "ops");
    let issue = play.issue("Fix it");
    assert_eq!(play.identifier(&issue), "OPS-1");
}

#[test]
fn two_crews_of_one_prefix_share_one_sequence() {
    let mut play = Play::desk();
    slug(&mut play, CREW, "engineering");
    slug(&mut play, OTHER_CREW, "engine");
    let made = [CREW, OTHER_CREW, CREW].map(|crew| create_in(&mut play, crew));
    assert_eq!(made.each_ref().map(|id| play.identifier(id).to_owned()), ["ENG-1", "ENG-2", "ENG-3"]);
}

#[test]
fn a_new_prefix_begins_a_sequence_and_an_old_one_goes_on() {
    let mut play = Play::desk();
    let first = play.issue("Fix it");
    prefix(&mut play, CREW, "NEW");
    let second = play.issue("Fix it");
    prefix(&mut play, CREW, "");
    let third = play.issue("Fix it");
    let named = [&first, &second, &third].map(|id| play.identifier(id).to_owned());
    assert_eq!(named, ["PLA-1", "NEW-1", "PLA-2"], "and what has a name keeps it");
}

#[test]
fn a_number_is_never_given_twice_not_even_of_a_deleted_crew() {
    let mut play = Play::desk();
    play.issue("Fix it");
    let last = play.issue("Fix it");
    play.delete_issue(&last).expect("granted");
    let next = play.issue("Fix it");
    assert_eq!(play.identifier(&next), "PLA-3");
    prefix(&mut play, OTHER_CREW, "PLA");
    play.wish(&member(Role::Admin), RosterCommand::DeleteCrew { crew: CREW.into() }).expect("granted");
    let other = create_in(&mut play, OTHER_CREW);
    assert_eq!(play.identifier(&other), "PLA-4");
    play.holds_together();
}

#[test]
fn a_refused_create_leaves_no_gap() {
    let mut play = Play::desk();
    let draft = IssueDraft { parent_issue_id: Some("nowhere".into()), ..titled("Fix it") };
    play.ask(create(draft)).expect_err("refused");
    let issue = play.issue("Fix it");
    assert_eq!(play.identifier(&issue), "PLA-1");
}

#[test]
fn an_issue_is_found_by_its_identifier_in_any_case_and_by_its_id_but_only_in_its_crew() {
    let mut play = Play::desk();
    let id = play.issue("Fix it");
    let issues = &play.world.state.issues;
    for name in ["PLA-1", "pla-1", id.as_str()] {
        assert_eq!(issues.named(name).map(|found| found.id.clone()), Some(id.clone()), "{name}");
        let own = Named { crew: Some(CREW.into()), name: name.into() };
        assert!(play.world.state.issue(&own).is_ok());
        let other = Named { crew: Some(OTHER_CREW.into()), name: name.into() };
        assert_eq!(detail(play.world.state.issue(&other)), "Issue not found");
    }
    assert!(issues.named("PLA-2").is_none());
}

#[test]
fn what_is_wrong_with_a_new_issue_is_said_in_the_order_of_the_page() {
    let mut play = Play::desk();
    let nothing = IssueDraft::default();
    let in_crew = |crew: &str, draft: &IssueDraft| IssueCommand::Create {
        crew: crew.into(),
        draft: draft.clone().into(),
    };
    // Everything is wrong; one after the other is put right.
    let mut draft = IssueDraft {
        priority: Some("soon".into()),
        due_date: Some("tomorrow".into()),
        routine_inputs: Some(json!({})),
        assignee_id: Some("nobody".into()),
        parent_issue_id: Some("nowhere".into()),
        project_id: Some("none".into()),
        milestone_id: Some("none".into()),
        labels: Some(vec!["none".into()]),
        ..nothing
    };
    let ask = |play: &mut Play, crew: &str, draft: &IssueDraft| detail(play.ask(in_crew(crew, draft)));
    assert_eq!(ask(&mut play, "nowhere", &draft), "title is required");
    draft.title = Some("   ".into());
    assert_eq!(ask(&mut play, "nowhere", &draft), "title is required");
    draft.title = Some("x".repeat(501));
    assert_eq!(ask(&mut play, "nowhere", &draft), "title must be at most 500 characters");
    draft.title = Some("ž".repeat(500));
    assert_eq!(refused(play.ask(in_crew("nowhere", &draft))), ("crew.not_found", "Crew not found".into()));
    let promote = AgentPatch { agent_role: Some("AGENT".into()), ..AgentPatch::default() };
    play.manager(RosterCommand::UpdateAgent { agent: LEAD.into(), patch: promote });
    assert_eq!(ask(&mut play, CREW, &draft), "Crew has no lead agent");
    let promote = AgentPatch { agent_role: Some("LEAD".into()), ..AgentPatch::default() };
    play.manager(RosterCommand::UpdateAgent { agent: LEAD.into(), patch: promote });
    assert_eq!(ask(&mut play, CREW, &draft), "priority must be one of: none, low, medium, high, urgent");
    draft.priority = Some("high".into());
    let dates = "due_date must be YYYY-MM-DD or an RFC 3339 timestamp";
    assert_eq!(ask(&mut play, CREW, &draft), dates);
    draft.due_date = Some("2026-02-29".into());
    assert_eq!(ask(&mut play, CREW, &draft), dates, "a real day");
    draft.due_date = Some("2028-02-29".into());
    assert_eq!(ask(&mut play, CREW, &draft), "routine_inputs provided without routine_id");
    draft.routine_id = Some("none".into());
    assert_eq!(ask(&mut play, CREW, &draft), "routine_id does not exist in this workspace");
    (draft.routine_id, draft.routine_inputs) = (Some("r1".into()), Some(json!([1])));
    assert_eq!(ask(&mut play, CREW, &draft), "routine_inputs is not valid JSON");
    draft.routine_inputs = Some(json!({ "a": 1 }));
    let types = "assignee_type must be 'user' or 'agent' when assignee_id is set";
    assert_eq!(ask(&mut play, CREW, &draft), types);
    draft.assignee_type = Some("robot".into());
    assert_eq!(ask(&mut play, CREW, &draft), types);
    draft.assignee_type = Some("user".into());
    assert_eq!(ask(&mut play, CREW, &draft), "assignee_id does not exist in this workspace");
    draft.assignee_id = Some(WORKER.into());
    assert_eq!(ask(&mut play, CREW, &draft), "assignee_id does not exist in this workspace", "no user");
    draft.assignee_type = Some("agent".into());
    assert_eq!(ask(&mut play, CREW, &draft), "parent_issue_id does not exist in this workspace");
    draft.parent_issue_id = Some(String::new());
    assert_eq!(ask(&mut play, CREW, &draft), "project_id does not exist in this workspace");
    draft.project_id = Some("p1".into());
    assert_eq!(ask(&mut play, CREW, &draft), "milestone_id does not exist in this workspace");
    draft.milestone_id = Some("m2".into());
    assert_eq!(ask(&mut play, CREW, &draft), "milestone_id does not belong to project_id");
    draft.milestone_id = Some("m1".into());
    assert_eq!(ask(&mut play, CREW, &draft), "label none does not exist in this workspace");
    draft.labels = Some(vec!["bug".into(), "ui".into(), "bug".into()]);
    let id = play.create(draft);
    let facts = &play.found(&id).facts;
    assert_eq!(facts.labels, ["bug".into(), "ui".into()], "each once");
    assert_eq!(facts.due_date.as_deref(), Some("2028-02-29"), "as it was sent");
    assert_eq!(play.identifier(&id), "PLA-1", "nothing was used up");
    play.holds_together();
}

#[test]
fn a_deleted_crew_is_not_found_before_its_missing_lead() {
    let mut play = Play::desk();
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: CREW.into() }).expect("granted");
    assert_eq!(detail(play.ask(create(titled("Fix it")))), "Crew not found");
}

#[test]
fn empty_is_none_in_a_new_issue() {
    let mut play = Play::desk();
    let empty = || Some(String::new());
    let id = play.create(IssueDraft {
        priority: empty(),
        assignee_type: Some("agent".into()),
        assignee_id: empty(),
        due_date: empty(),
        project_id: empty(),
        parent_issue_id: empty(),
        milestone_id: empty(),
        routine_id: empty(),
        routine_inputs: Some(json!(null)),
        ..titled("Fix it")
    });
    assert_eq!(play.found(&id).facts, taffrail_domain::issue::IssueFacts::default());
}

#[test]
fn a_parent_may_be_of_another_crew_and_is_named_either_way() {
    let mut play = Play::desk();
    let parent = create_in(&mut play, OTHER_CREW);
    for name in ["oth-1", parent.as_str()] {
        let child = play.create(IssueDraft { parent_issue_id: Some(name.into()), ..titled("Part") });
        assert_eq!(play.found(&child).facts.parent_issue_id.as_ref(), Some(&parent));
    }
    assert_eq!(play.world.state.issues.children_of(&parent).count(), 2);
}

#[test]
fn members_read_managers_write_and_a_capability_lets_a_member_create() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    for role in Role::ALL {
        let may = *role >= Role::Manager;
        let wishes: Vec<Command> = vec![
            create(IssueDraft::default()).into(),
            IssueCommand::Delete { issue: Named { crew: None, name: "nothing".into() } }.into(),
            IssueCommand::Comment { issue: named(&issue), draft: Default::default() }.into(),
        ];
        for wish in wishes {
            let said = detail(play.wish(&member(*role), wish));
            assert_eq!(said == "Forbidden", !may, "{role}: {said}");
        }
    }
    let roster = &mut play.world.state.roster;
    let mut capable = roster.members["member"].clone();
    capable.capabilities = Some([Capability::IssueCreate].into());
    roster.members.insert("member".into(), capable);
    play.wish(&member(Role::Member), create(titled("Fix it"))).expect("granted");
    let comment = IssueCommand::Comment { issue: named(&issue), draft: Default::default() };
    assert_eq!(detail(play.wish(&member(Role::Member), comment)), "Forbidden");
}

#[test]
fn the_table_is_the_seeds() {
    let words = |from: IssueStatus| -> Vec<&str> {
        let all = IssueStatus::ALL.iter().copied();
        all.filter(|to| from.may_become(*to)).map(IssueStatus::as_str).collect()
    };
    assert_eq!(words(IssueStatus::Backlog), ["TODO", "IN_PROGRESS", "CANCELLED"]);
    assert_eq!(words(IssueStatus::Todo), ["BACKLOG", "IN_PROGRESS", "CANCELLED"]);
    assert_eq!(words(IssueStatus::InProgress), ["TODO", "REVIEW", "DONE", "FAILED", "CANCELLED"]);
    assert_eq!(words(IssueStatus::Review), ["TODO", "IN_PROGRESS", "DONE", "FAILED", "CANCELLED"]);
    assert_eq!(words(IssueStatus::Done), ["BACKLOG"]);
    assert_eq!(words(IssueStatus::Failed), ["BACKLOG", "TODO", "IN_PROGRESS"]);
    assert_eq!(words(IssueStatus::Cancelled), ["BACKLOG", "TODO"]);
}

#[test]
fn every_cell_of_the_table_holds_for_a_patch_and_the_same_status_is_refused() {
    for from in IssueStatus::ALL {
        let others = ["", "done", "DUPLICATE", "COMPLETED", "PLANNING", "RESUMING"];
        for wish in IssueStatus::ALL.iter().map(|status| status.as_str()).chain(others) {
            let mut play = Play::desk();
            let issue = play.issue_in(*from);
            let before = play.found(&issue).clone();
            let outcome = play.try_patch(&issue, to(wish));
            let allowed = IssueStatus::parse(wish).filter(|to| from.may_become(*to));
            let Some(allowed) = allowed else {
                let expected = format!("Invalid status transition from {from} to {wish}");
                assert_eq!(refused(outcome), ("issue.invalid_transition", expected));
                assert_eq!(*play.found(&issue), before);
                continue;
            };
            let made = outcome.expect("granted");
            assert_eq!(made.len(), 2, "the change and its line");
            assert_eq!(play.status(&issue), allowed);
            let text = format!("{from} → {wish}");
            assert_eq!(play.last_line(&issue), line("status_changed", &text));
            let face = made[1].face.as_ref().expect("the public sees the line");
            assert_eq!(&*face.entry_type, "mission.status_change");
            let payload = json!({ "action": "status_changed", "details": text, "from": from, "to": wish });
            assert_eq!(face.payload, payload.into());
        }
    }
}

#[test]
fn completed_at_is_set_exactly_while_the_issue_is_done_or_cancelled() {
    for status in IssueStatus::ALL {
        let mut play = Play::desk();
        let issue = play.issue_in(*status);
        let done = matches!(status, IssueStatus::Done | IssueStatus::Cancelled);
        assert_eq!(play.found(&issue).completed_at.is_some(), done, "{status}");
    }
    let mut play = Play::desk();
    let issue = play.issue_in(IssueStatus::Done);
    play.patch(&issue, to("BACKLOG"));
    assert_eq!(play.found(&issue).completed_at, None);
}

#[test]
fn started_at_is_the_first_time_it_came_into_progress() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    play.patch(&issue, to("IN_PROGRESS"));
    let began = play.found(&issue).started_at;
    assert_eq!(began, Some(play.now));
    play.now = Time(play.now.0 + 60_000);
    ["TODO", "IN_PROGRESS"].iter().for_each(|status| play.patch(&issue, to(status)));
    assert_eq!(play.found(&issue).started_at, began);
}

#[test]
fn only_what_is_in_the_backlog_or_cancelled_can_be_deleted() {
    for status in IssueStatus::ALL {
        let mut play = Play::desk();
        let issue = play.issue_in(*status);
        let outcome = play.delete_issue(&issue);
        if matches!(status, IssueStatus::Backlog | IssueStatus::Cancelled) {
            outcome.expect("granted");
            assert!(play.world.state.issues.named(issue.as_str()).is_none());
            assert!(play.world.state.issues.identifiers.is_empty());
            assert_eq!(detail(play.delete_issue(&issue)), "Issue not found");
        } else {
            assert_eq!(detail(outcome), "Only BACKLOG or CANCELLED issues can be deleted");
        }
        play.holds_together();
    }
}

#[test]
fn the_children_of_a_deleted_issue_live_on_alone() {
    let mut play = Play::desk();
    let parent = play.issue("Whole");
    let part = || IssueDraft { parent_issue_id: Some("PLA-1".into()), ..titled("Part") };
    let (one, two) = (play.create(part()), play.create(part()));
    play.patch(&two, to("IN_PROGRESS"));
    play.delete_issue(&parent).expect("granted");
    for child in [&one, &two] {
        assert_eq!(play.found(child).facts.parent_issue_id, None);
        assert_eq!(play.last_line(child), line("parent_changed", ""));
    }
    assert!(play.world.state.issues.children.is_empty());
    play.holds_together();
}

#[test]
fn an_issue_or_a_crew_with_more_parts_than_a_batch_has_room_for_is_deleted() {
    const PARTS: usize = 2_100;
    for whole in [false, true] {
        let mut play = Play::desk();
        let parent = play.issue("Whole");
        let part = || IssueDraft { parent_issue_id: Some("PLA-1".into()), ..titled("Part") };
        let parts: Vec<MissionId> = (0..PARTS)
            .map(|_| {
                let command = IssueCommand::Create { crew: OTHER_CREW.into(), draft: part().into() };
                (&*play.manager(command)[0].subject).into()
            })
            .collect();
        let made = match whole {
            true => play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: CREW.into() }),
            false => play.delete_issue(&parent),
        };
        assert!(made.expect("granted").len() < 10);
        assert!(play.world.state.issues.children.is_empty());
        assert_eq!(play.world.state.issues.all.len(), PARTS);
        assert_eq!(play.last_line(&parts[PARTS - 1]), line("parent_changed", ""));
        assert_eq!(play.world.issue_log.before(&parts[0], Offset(u64::MAX)).count(), 2);
    }
}

/// What a board shows: the issues of a status by their place, without asking the index.
fn board(play: &Play) -> Vec<MissionId> {
    let mut all: Vec<_> = play.world.state.issues.all.values().collect();
    all.sort_by(|one, two| {
        one.facts.sort_order.total_cmp(&two.facts.sort_order).then(one.born.cmp(&two.born))
    });
    all.into_iter().map(|issue| issue.id.clone()).collect()
}

#[test]
fn an_issue_is_moved_to_a_place_that_thousands_share_and_the_others_stay_in_order() {
    let mut play = Play::desk();
    let issues: Vec<MissionId> = (0..2_500).map(|number| play.issue(&format!("{number}"))).collect();
    let place = |before: Option<&MissionId>, after: Option<&MissionId>| Place {
        before: before.map(ToString::to_string),
        after: after.map(ToString::to_string),
    };
    let mut expected = issues.clone();
    for (place, to) in [(place(Some(&issues[3]), None), 3), (place(None, Some(&issues[1_000])), 1_001)] {
        let moved = expected.pop().expect("many");
        expected.insert(to + usize::from(to > 3), moved.clone());
        let made = play.ask(IssueCommand::Place { issue: named(&moved), place }).expect("granted");
        assert!(made.len() <= 2, "{}", made.len());
        assert!(made[0].face.is_some(), "a move is an entry that can be named");
        assert_eq!(board(&play), expected);
    }
    let newest: Vec<_> = play.world.state.issues.newest().map(|issue| issue.id.clone()).collect();
    assert!(newest.iter().eq(issues.iter().rev()), "whatever the ids are like");
    play.holds_together();
}

#[test]
fn a_crew_takes_its_issues_along_and_their_parts_elsewhere_live_on() {
    let mut play = Play::desk();
    let parent = play.issue("Whole");
    let part =
        |parent: &MissionId| IssueDraft { parent_issue_id: Some(parent.as_str().into()), ..titled("Part") };
    let here = play.create(part(&parent));
    let draft = part(&parent).into();
    let made = play.manager(IssueCommand::Create { crew: OTHER_CREW.into(), draft });
    let there = MissionId::from(&*made[0].subject);
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: CREW.into() }).expect("granted");
    let issues = &play.world.state.issues;
    assert_eq!(issues.all.keys().collect::<Vec<_>>(), [&there]);
    assert!(!issues.all.contains_key(&here) && issues.children.is_empty() && issues.by_crew.len() == 1);
    assert_eq!(play.found(&there).facts.parent_issue_id, None);
    assert_eq!(play.last_line(&there), line("parent_changed", ""));
    play.holds_together();
}

#[test]
fn what_the_caller_has_not_seen_is_not_changed() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let seen = play.found(&issue).changed;
    let comment = taffrail_domain::issue::CommentDraft { body: Some("Well".into()) };
    play.ask(IssueCommand::Comment { issue: named(&issue), draft: comment }).expect("granted");
    let rename = |title: &str| IssueCommand::Update {
        issue: named(&issue),
        patch: taffrail_domain::issue::IssuePatch { title: Some(title.into()), ..change() }.into(),
    };
    let only_if = |command: IssueCommand, seen| Command::IfMatch {
        tags: IfMatch::Offsets(vec![seen]),
        command: Box::new(command.into()),
    };
    let manager = member(Role::Manager);
    play.wish(&manager, only_if(rename("A"), seen)).expect("what is said changes nothing of it");
    let wishes = [
        rename("B"),
        IssueCommand::Delete { issue: named(&issue) },
        IssueCommand::Place { issue: named(&issue), place: Place { before: None, after: None } },
    ];
    let outcome = play.wish(&manager, only_if(wishes[0].clone(), seen));
    assert_eq!(refused(outcome).0, "precondition.failed");
    let outcome = play.wish(&manager, only_if(wishes[1].clone(), seen));
    assert_eq!(refused(outcome).0, "precondition.failed");
    let outcome = play.wish(&manager, only_if(wishes[2].clone(), seen));
    assert_eq!(refused(outcome).0, "issue.place", "what is refused anyway is refused for its own reason");
    let review = taffrail_domain::issue::ReviewDraft { action: Some("approve".into()), ..Default::default() };
    play.patch(
        &issue,
        taffrail_domain::issue::IssuePatch { assignee_id: Some(Some(WORKER.into())), ..change() },
    );
    let start = IssueCommand::Start { issue: named(&issue), seen: None };
    assert_eq!(refused(play.wish(&manager, only_if(start.clone(), seen))).0, "precondition.failed");
    let now = play.found(&issue).changed;
    play.wish(&manager, only_if(start, now)).expect("granted");
    let late = [
        IssueCommand::Stop { issue: named(&issue) },
        IssueCommand::Review { issue: named(&issue), draft: review },
    ];
    for command in late {
        assert_eq!(refused(play.wish(&manager, only_if(command, now))).0, "precondition.failed");
    }
}

#[test]
fn every_status_can_be_reached_along_the_table() {
    for status in IssueStatus::ALL {
        let mut play = Play::desk();
        let issue = play.issue_in(*status);
        assert_eq!(play.status(&issue), *status, "{:?}", way_to(*status));
        play.holds_together();
    }
}
