//! Issues from a file, and their places on boards (`issues.md` 22).

use serde_json::{Value, json};
use taffrail_domain::issue::{
    ImportedComment, ImportedIssue, ImportedRelation, IssueCommand, IssueDraft, IssueEvent, IssuePatch,
    IssueStatus, Named, Party, Place, RelationType,
};
use taffrail_domain::roster::Role;
use taffrail_domain::{Actor, Entry, Event, MissionId, Rejection, Time};

use super::desk::{change, detail, line, named, refused, titled, to};
use super::kit::{OTHER_CREW, WORKER, crew, member};
use super::play::Play;

fn row(title: &str) -> ImportedIssue {
    ImportedIssue { draft: titled(title), ..ImportedIssue::default() }
}

fn import(play: &mut Play, issues: Vec<ImportedIssue>) -> Result<Vec<Entry>, Rejection> {
    play.ask(IssueCommand::Import { crew: crew(), issues })
}

fn called<'a>(play: &'a Play, title: &str) -> &'a taffrail_domain::issue::Issue {
    play.world.state.issues.all.values().find(|found| &*found.title == title).expect("it is there")
}

fn identifiers(play: &Play) -> Vec<(String, String)> {
    let mut all: Vec<_> = play.world.state.issues.all.values().collect();
    all.sort_by_key(|issue| issue.born);
    all.iter().map(|issue| (issue.title.to_string(), issue.identifier.to_string())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(title, name)| ((*title).to_owned(), (*name).to_owned())).collect()
}

#[test]
fn an_imported_issue_stands_where_it_stood_and_keeps_its_times() {
    let mut play = Play::desk();
    let done = ImportedIssue {
        identifier: Some("LIN-7".into()),
        external_id: Some("gh-1".into()),
        status: IssueStatus::Done,
        sort_order: 2.5,
        created_at: Some(Time(1_000)),
        started_at: Some(Time(2_000)),
        completed_at: Some(Time(3_000)),
        draft: IssueDraft { priority: Some("low".into()), labels: Some(vec!["bug".into()]), ..titled("Old") },
        comments: vec![
            ImportedComment { author: None, body: "later".into(), created_at: Some(Time(2_600)) },
            ImportedComment {
                author: Some(Party::agent(&WORKER.into())),
                body: "[@x](crewship:agent/worker)".into(),
                created_at: Some(Time(2_500)),
            },
        ],
        ..ImportedIssue::default()
    };
    import(&mut play, vec![done]).expect("granted");
    let issue = called(&play, "Old").clone();
    assert_eq!((&*issue.identifier, issue.number, issue.status), ("LIN-7", 7, IssueStatus::Done));
    assert_eq!(
        (issue.created_at, issue.started_at, issue.completed_at),
        (Time(1_000), Some(Time(2_000)), Some(Time(3_000)))
    );
    assert_eq!((&*issue.authored_via, issue.facts.sort_order), ("imported", 2.5));
    assert_eq!(play.said(&issue.id), ["[@x](crewship:agent/worker)", "later"], "by the time it was said");
    assert_eq!(issue.comment_count, 2);
    assert_eq!(play.world.state.work.live().count(), 0, "nobody is called");
    assert_eq!(play.lines(&issue.id), [line("created", "Old")]);
    let open = ImportedIssue { status: IssueStatus::InProgress, ..row("Open") };
    import(&mut play, vec![open]).expect("granted");
    let issue = called(&play, "Open");
    assert_eq!(issue.completed_at, None);
    assert!(!play.world.state.issues.working.contains(&issue.id), "nobody was put on it");
    play.holds_together();
}

#[test]
fn what_was_imported_before_is_left_as_it_is() {
    let mut play = Play::desk();
    let file = || vec![ImportedIssue { external_id: Some("gh-1".into()), ..row("One") }, row("Two")];
    import(&mut play, file()).expect("granted");
    let one = called(&play, "One").id.clone();
    play.patch(&one, to("TODO"));
    import(&mut play, file()).expect("granted");
    assert_eq!(play.world.state.issues.all.len(), 3, "what has no name elsewhere is new each time");
    assert_eq!(play.status(&one), IssueStatus::Todo);
    let twice = ImportedIssue { external_id: Some("gh-2".into()), ..row("Three") };
    import(&mut play, vec![twice.clone(), twice]).expect("granted");
    assert_eq!(play.world.state.issues.all.len(), 4);
}

#[test]
fn identifiers_are_kept_where_they_are_free_in_whatever_order_the_file_has_them() {
    let mut play = Play::desk();
    play.issue("Here");
    let with = |name: &str| ImportedIssue { identifier: Some(name.into()), ..row(name) };
    let names = [
        "PLA-9",
        "PLA-4",
        "PLA-1",
        "PLA-4",
        "ENG-3",
        "eng-2",
        "A-T-5",
        "ENG-01",
        "ENG-0",
        "ENG",
        "-3",
        "TOOLONGPREFIX-1",
        "ENG-18446744073709551615",
        "ENG-1000000000",
    ];
    import(&mut play, names.iter().map(|name| with(name)).collect()).expect("granted");
    let expected = pairs(&[
        ("Here", "PLA-1"),
        ("PLA-9", "PLA-9"),
        ("PLA-4", "PLA-4"),
        ("PLA-1", "PLA-10"),
        ("PLA-4", "PLA-11"),
        ("ENG-3", "ENG-3"),
        ("eng-2", "PLA-12"),
        ("A-T-5", "A-T-5"),
        ("ENG-01", "PLA-13"),
        ("ENG-0", "PLA-14"),
        ("ENG", "PLA-15"),
        ("-3", "PLA-16"),
        ("TOOLONGPREFIX-1", "PLA-17"),
        ("ENG-18446744073709551615", "PLA-18"),
        ("ENG-1000000000", "PLA-19"),
    ]);
    assert_eq!(identifiers(&play), expected);
    // What names none comes first, and takes no number that another one of the file had.
    import(&mut play, vec![row("fresh"), with("PLA-20"), row("also"), with("PLA-25")]).expect("granted");
    let numbers: Vec<u64> =
        ["fresh", "PLA-20", "also", "PLA-25"].map(|title| called(&play, title).number).into();
    assert_eq!(numbers, [26, 20, 27, 25]);
    // An issue that is skipped wishes for nothing.
    let known = || ImportedIssue { external_id: Some("known".into()), ..with("PLA-30") };
    import(&mut play, vec![known()]).expect("granted");
    let again = ImportedIssue { external_id: Some("known".into()), ..with("PLA-40") };
    import(&mut play, vec![again, row("next")]).expect("granted");
    assert_eq!(called(&play, "next").number, 31);
    import(&mut play, vec![with("PLA-7")]).expect("granted");
    assert_eq!(called(&play, "PLA-7").number, 32, "a number below the highest may have been somebody's");
    play.holds_together();
}

#[test]
fn parents_of_the_file_are_made_before_their_parts() {
    let mut play = Play::desk();
    let below = |title: &str, parent: &str| ImportedIssue {
        external_id: Some(title.into()),
        parent: Some(parent.into()),
        ..row(title)
    };
    let top = ImportedIssue { identifier: Some("ENG-5".into()), ..row("top") };
    import(&mut play, vec![below("leaf", "middle"), below("middle", "ENG-5"), top]).expect("granted");
    let parent = |title: &str| called(&play, title).facts.parent_issue_id.clone();
    assert_eq!(parent("leaf"), Some(called(&play, "middle").id.clone()));
    assert_eq!(parent("middle"), Some(called(&play, "top").id.clone()));
    import(&mut play, vec![below("late", "leaf"), below("later", "ENG-5")]).expect("of before");
    let parent = |title: &str| called(&play, title).facts.parent_issue_id.clone();
    assert_eq!(parent("late"), Some(called(&play, "leaf").id.clone()));
    assert_eq!(parent("later"), None, "elsewhere ENG-5 may be any issue");
    let outcome = import(&mut play, vec![below("x", "y"), below("y", "x")]);
    assert_eq!(refused(outcome).0, "issue.parent_cycle");
    let outcome = import(&mut play, vec![row("fine"), row(" ")]);
    assert_eq!(detail(outcome), "issue 2: title is required");
    assert_eq!(play.world.state.issues.all.len(), 5, "all of a file or nothing");
    play.holds_together();
}

#[test]
fn nobody_becomes_a_parent_by_chance() {
    let mut play = Play::desk();
    play.issue("Here");
    let id = called(&play, "Here").id.to_string();
    let below = |title: &str, parent: &str| ImportedIssue { parent: Some(parent.into()), ..row(title) };
    let twin = |title: &str| ImportedIssue { identifier: Some("ENG-1".into()), ..row(title) };
    let named = ImportedIssue {
        identifier: Some("ENG-7".into()),
        external_id: Some("ENG-9".into()),
        ..row("by identifier")
    };
    let other = ImportedIssue { external_id: Some("ENG-7".into()), ..row("by external id") };
    let file = vec![
        below("of an identifier here", "PLA-1"),
        below("of an id here", &id),
        below("of a number", "1"),
        twin("one"),
        twin("two"),
        below("of two", "ENG-1"),
        other,
        named,
        below("of one", "ENG-7"),
    ];
    import(&mut play, file).expect("granted");
    let parent = |title: &str| called(&play, title).facts.parent_issue_id.clone();
    for title in ["of an identifier here", "of an id here", "of a number", "of two"] {
        assert_eq!(parent(title), None, "{title}");
    }
    assert_eq!(parent("of one"), Some(called(&play, "by identifier").id.clone()));
    play.holds_together();
}

#[test]
fn an_imported_comment_is_the_importers_word_whoever_is_said_to_have_said_it() {
    let mut play = Play::desk();
    let claimed = |author: Party, body: &str| ImportedComment {
        author: Some(author),
        body: body.into(),
        created_at: None,
    };
    let owner = Party::user(&"owner".into());
    let worker = Party::agent(&WORKER.into());
    let comments = vec![claimed(owner.clone(), "I approve"), claimed(worker, "Done")];
    let made = import(&mut play, vec![ImportedIssue { comments, ..row("One") }]).expect("granted");
    let said: Vec<&Entry> = made
        .iter()
        .filter(|entry| matches!(entry.event, Some(Event::Issue(IssueEvent::Commented(_)))))
        .collect();
    for entry in &said {
        let face = entry.face.as_ref().expect("the public hears it");
        assert_eq!(face.actor_id.as_deref(), Some("manager"));
        let payload: Value = serde_json::from_str(face.payload.get()).expect("JSON");
        assert_eq!(payload["imported"], true);
    }
    let payload: Value =
        serde_json::from_str(said[0].face.as_ref().expect("a face").payload.get()).expect("JSON");
    assert_eq!(payload["author"], json!({ "type": "user", "id": "owner" }));
    let issue = called(&play, "One").id.clone();
    let comments: Vec<_> = play.world.state.issues.comments_on(&issue).cloned().collect();
    assert_eq!((&comments[0].author, comments[0].importer.clone()), (&owner, Some("manager".into())));
    // Who manages nothing takes back what they brought, and nobody else's.
    let take = |play: &mut Play, comment: &taffrail_domain::CommentId| {
        let named = Named { crew: None, name: issue.as_str().into() };
        play.wish(
            &member(Role::Manager),
            IssueCommand::DeleteComment { issue: named, comment: comment.clone() },
        )
    };
    comments.iter().for_each(|comment| drop(take(&mut play, &comment.id).expect("their own word")));
    assert!(play.said(&issue).is_empty());
    let draft = taffrail_domain::issue::CommentDraft { body: Some("Mine".into()) };
    let said = play
        .wish(&Actor::User("owner".into()), IssueCommand::Comment { issue: named(&issue), draft })
        .expect("granted");
    let Some(Event::Issue(IssueEvent::Commented(commented))) = &said[0].event else { panic!("{said:?}") };
    assert_eq!(refused(take(&mut play, &commented.comment_id)).0, "comment.not_author");
    play.holds_together();
}

#[test]
fn links_of_a_file_are_made_once_between_whom_they_name() {
    let mut play = Play::desk();
    let linked = |title: &str, links: &[(RelationType, &str)]| ImportedIssue {
        external_id: Some(title.into()),
        relations: links
            .iter()
            .map(|(how, target)| ImportedRelation { how: *how, target: (*target).into() })
            .collect(),
        ..row(title)
    };
    let file = || {
        vec![
            linked(
                "a",
                &[(RelationType::Blocks, "b"), (RelationType::Blocks, "a"), (RelationType::Blocks, "x")],
            ),
            linked("b", &[(RelationType::RelatesTo, "a"), (RelationType::RelatesTo, "a")]),
        ]
    };
    import(&mut play, file()).expect("granted");
    let links = |play: &Play| {
        let found = play.world.state.issues.relations.values();
        let title = |id| play.found(id).title.to_string();
        let mut all: Vec<_> = found
            .map(|link| (title(&link.source), link.relation_type.as_str(), title(&link.target)))
            .collect();
        all.sort();
        all
    };
    let expected = [("a".into(), "blocks", "b".into()), ("b".into(), "relates_to", "a".into())];
    assert_eq!(links(&play), expected);
    // What was taken apart since stays so; what is new is linked to what was there.
    let ids: Vec<_> = play.world.state.issues.relations.keys().cloned().collect();
    ids.into_iter()
        .for_each(|relation| drop(play.ask(IssueCommand::Unrelate { relation }).expect("granted")));
    let mut more = file();
    more.push(linked("c", &[(RelationType::DuplicateOf, "a")]));
    import(&mut play, more).expect("granted");
    assert_eq!(links(&play), [("c".into(), "duplicate_of", "a".into())]);
    assert_eq!(play.lines(&called(&play, "c").id).len(), 1, "no line of its own");
    play.holds_together();
}

#[test]
fn an_issue_with_many_links_gets_those_of_a_file_once_each_in_either_direction() {
    let mut play = Play::desk();
    let row = |name: &str, links: &[(RelationType, &str)]| {
        let link =
            |(how, target): &(RelationType, &str)| ImportedRelation { how: *how, target: (*target).into() };
        let relations = links.iter().map(link).collect();
        ImportedIssue { external_id: Some(name.into()), relations, ..row(name) }
    };
    import(&mut play, vec![row("hub", &[]), row("old", &[(RelationType::Blocks, "hub")])]).expect("granted");
    let links = [
        (RelationType::Blocks, "new"),
        (RelationType::RelatesTo, "new"),
        (RelationType::DuplicateOf, "new"),
        (RelationType::Blocks, "old"),
    ];
    let back =
        [(RelationType::Blocks, "hub"), (RelationType::RelatesTo, "hub"), (RelationType::DuplicateOf, "hub")];
    import(&mut play, vec![row("hub", &links), row("new", &back)]).expect("granted");
    let hub = called(&play, "hub").id.clone();
    let mut of_hub: Vec<_> = play
        .world
        .state
        .issues
        .relations_on(&hub)
        .map(|link| (play.found(&link.source).title.to_string(), link.relation_type.as_str()))
        .collect();
    of_hub.sort();
    let expected = [
        ("hub", "blocks"),
        ("hub", "duplicate_of"),
        ("hub", "relates_to"),
        ("new", "duplicate_of"),
        ("old", "blocks"),
    ];
    assert_eq!(of_hub, pairs(&expected).iter().map(|(a, b)| (a.clone(), b.as_str())).collect::<Vec<_>>());
    play.holds_together();
}

#[test]
fn a_file_that_makes_more_than_a_batch_takes_is_refused_before_all_of_it_is_made() {
    let mut play = Play::desk();
    let before = play.world.state.tracker.labels.len();
    let labels = |from: usize, count: usize| {
        (from..from + count).map(|number| format!("l{number}").into()).collect::<Vec<_>>()
    };
    let one = ImportedIssue { labels: labels(0, 101), ..row("One") };
    assert_eq!(detail(import(&mut play, vec![one])), "issue 1: labels must be at most 100");
    let spaced = ["a", " a", "a "].iter().cycle().take(300).map(|name| (*name).into()).collect();
    import(&mut play, vec![ImportedIssue { labels: spaced, ..row("Same") }]).expect("one label");
    // The one that is wrong is never come to.
    let mut many: Vec<_> =
        (0..45).map(|place| ImportedIssue { labels: labels(place * 100, 100), ..row("Many") }).collect();
    many.push(row(""));
    let (code, said) = refused(import(&mut play, many));
    assert_eq!((code, &*said), ("issue.import_too_large", "the file makes more than 4096 entries"));
    assert_eq!(play.world.state.tracker.labels.len(), before + 1);
}

#[test]
fn a_milestone_with_space_around_its_name_is_made_once() {
    let mut play = Play::desk();
    let before = play.world.state.tracker.milestones.len();
    let of = |title: &str, milestone: &str| ImportedIssue {
        project: Some("App".into()),
        milestone: Some(milestone.into()),
        ..row(title)
    };
    import(&mut play, vec![of("a", " v1 "), of("b", "v1"), of("c", "v1 ")]).expect("granted");
    assert_eq!(play.world.state.tracker.milestones.len(), before + 1);
}

#[test]
fn what_is_said_to_come_later_came_now() {
    let mut play = Play::desk();
    let later = Some(Time(u64::MAX));
    let comments = vec![ImportedComment { author: None, body: "soon".into(), created_at: later }];
    let issue = ImportedIssue {
        status: IssueStatus::Done,
        created_at: later,
        started_at: later,
        completed_at: later,
        comments,
        ..row("Later")
    };
    import(&mut play, vec![issue]).expect("granted");
    let (now, issue) = (play.now, called(&play, "Later").clone());
    assert_eq!((issue.created_at, issue.started_at, issue.completed_at), (now, Some(now), Some(now)));
    let said = play.world.state.issues.comments_on(&issue.id).next().expect("it is said").created_at;
    assert_eq!(said, now);
}

#[test]
fn two_names_that_make_one_slug_are_of_one_project() {
    let mut play = Play::desk();
    let of = |name: &str| ImportedIssue { project: Some(name.into()), ..row(name) };
    let names = ["Mobile App", "mobile-app", "Mobile-App!", " Mobile App "];
    import(&mut play, names.iter().map(|name| of(name)).collect()).expect("granted");
    let projects: std::collections::BTreeSet<_> =
        names.iter().map(|name| called(&play, name.trim()).facts.project_id.clone()).collect();
    assert_eq!((projects.len(), projects.contains(&None)), (1, false));
}

#[test]
fn each_issue_of_a_file_may_have_a_crew_of_its_own() {
    let mut play = Play::desk();
    let other = ImportedIssue { crew: Some(OTHER_CREW.into()), ..row("Other") };
    import(&mut play, vec![row("Ours"), other]).expect("granted");
    assert_eq!(identifiers(&play), pairs(&[("Ours", "PLA-1"), ("Other", "OTH-1")]));
    let nowhere = ImportedIssue { crew: Some("nowhere".into()), ..row("x") };
    assert_eq!(detail(import(&mut play, vec![nowhere])), "issue 1: Crew not found");
}

fn place(
    play: &mut Play,
    issue: &MissionId,
    before: Option<&MissionId>,
    after: Option<&MissionId>,
) -> Result<Vec<Entry>, Rejection> {
    let text = |id: Option<&MissionId>| id.map(ToString::to_string);
    let place = Place { before: text(before), after: text(after) };
    play.ask(IssueCommand::Place { issue: named(issue), place })
}

/// The titles of a column, as boards show it.
fn column(play: &Play) -> String {
    let mut all: Vec<_> = play.world.state.issues.all.values().collect();
    all.sort_by(|one, other| {
        one.facts.sort_order.total_cmp(&other.facts.sort_order).then(one.born.cmp(&other.born))
    });
    all.iter().map(|issue| &*issue.title).collect()
}

#[test]
fn an_issue_is_put_before_or_after_another_one_wherever_they_stand() {
    let mut play = Play::desk();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|title| play.issue(title));
    assert_eq!(column(&play), "abcd", "all on one number, by age");
    place(&mut play, &d, Some(&b), None).expect("granted");
    assert_eq!(column(&play), "adbc");
    place(&mut play, &a, None, Some(&b)).expect("granted");
    assert_eq!(column(&play), "dbac");
    place(&mut play, &c, Some(&d), None).expect("granted");
    assert_eq!(column(&play), "cdba");
    place(&mut play, &c, None, Some(&a)).expect("granted");
    assert_eq!(column(&play), "dbac");
    for _ in 0..200 {
        // Again and again between the same two: numbers get closer and are given room.
        place(&mut play, &a, Some(&b), None).expect("granted");
        assert_eq!(column(&play), "dabc");
        place(&mut play, &b, Some(&a), None).expect("granted");
        assert_eq!(column(&play), "dbac");
    }
    assert_eq!(play.lines(&a).len(), 1, "places have no line");
    play.holds_together();
}

#[test]
fn issues_that_have_come_too_close_stay_in_order_when_they_are_given_room() {
    let mut play = Play::desk();
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|title| play.issue(title));
    for issue in [&a, &b, &c, &d, &e] {
        // Not at zero, where numbers are closest.
        play.patch(issue, IssuePatch { sort_order: Some(1.0), ..change() });
    }
    let others = [(&b, "b"), (&c, "c"), (&d, "d"), (&e, "e")];
    for round in 0..300 {
        // Always the last one comes first: each time the way from `a` on is halved.
        place(&mut play, others[3 - round % 4].0, None, Some(&a)).expect("granted");
        let order: String = (0..4).map(|at| others[(3 - round % 4 + at) % 4].1).collect();
        assert_eq!(column(&play), format!("a{order}"), "round {round}");
    }
    play.holds_together();
}

#[test]
fn a_place_is_beside_exactly_one_other_issue() {
    let mut play = Play::desk();
    let (a, b) = (play.issue("a"), play.issue("b"));
    let one = "exactly one of before and after is required";
    assert_eq!(detail(place(&mut play, &a, None, None)), one);
    assert_eq!(detail(place(&mut play, &a, Some(&b), Some(&b))), one);
    assert_eq!(detail(place(&mut play, &a, Some(&a), None)), "before does not exist in this workspace");
    let nothing = MissionId::from("nothing");
    assert_eq!(detail(place(&mut play, &a, None, Some(&nothing))), "after does not exist in this workspace");
}

#[test]
fn a_place_is_in_the_column_of_the_other_issue() {
    let mut play = Play::desk();
    let [a, b, c] = ["a", "b", "c"].map(|title| play.issue(title));
    for (issue, order) in [(&a, 1.0), (&b, 3.0), (&c, 2.0)] {
        play.patch(issue, IssuePatch { sort_order: Some(order), ..change() });
    }
    play.patch(&c, to("TODO"));
    place(&mut play, &c, Some(&b), None).expect("granted");
    assert_eq!(play.found(&c).facts.sort_order, 2.0, "between a and b");
    assert_eq!(play.status(&c), IssueStatus::Todo);
    place(&mut play, &c, None, Some(&b)).expect("granted");
    assert_eq!(play.found(&c).facts.sort_order, 4.0);
}

#[test]
fn names_that_make_one_slug_are_one_project() {
    let mut play = Play::desk();
    let of = |title: &str, project: &str| ImportedIssue { project: Some(project.into()), ..row(title) };
    let before = play.world.state.tracker.projects.len();
    let file = vec![
        of("One", "Mobile App"),
        of("Two", "mobile app "),
        of("Three", "mobile-app"),
        of("Four", "日本"),
    ];
    import(&mut play, file).expect("granted");
    let project = |title: &str| called(&play, title).facts.project_id.clone();
    assert!(project("One").is_some());
    assert_eq!((project("One"), project("One")), (project("Two"), project("Three")));
    assert_eq!(play.world.state.tracker.projects.len(), before + 2);
}

#[test]
fn blanks_around_a_name_make_no_other_thing_of_it() {
    let mut play = Play::desk();
    let sorted = |title: &str, blank: &str| ImportedIssue {
        project: Some(format!("{blank}Apollo{blank}").into()),
        milestone: Some(format!("{blank}v1{blank}").into()),
        labels: vec![format!("{blank}paperwork{blank}").into()],
        ..row(title)
    };
    let counts = |play: &Play| {
        let tracker = &play.world.state.tracker;
        [tracker.projects.len(), tracker.milestones.len(), tracker.labels.len()]
    };
    let before = counts(&play);
    import(&mut play, vec![sorted("One", " "), sorted("Two", " "), sorted("Three", "")]).expect("granted");
    assert_eq!(counts(&play), before.map(|count| count + 1));
    play.holds_together();
}
