//! Issues from a file, and their places on boards (`issues.md` 22).

use taffrail_domain::issue::{
    ImportedComment, ImportedIssue, IssueCommand, IssueDraft, IssuePatch, IssueStatus, Party, Place,
};
use taffrail_domain::{Entry, MissionId, Rejection, Time};

use super::desk::{change, detail, line, named, refused, titled, to};
use super::kit::{OTHER_CREW, WORKER, crew};
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
    import(&mut play, vec![with("PLA-7")]).expect("granted");
    assert_eq!(called(&play, "PLA-7").number, 20, "a number below the highest may have been somebody's");
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
    import(&mut play, vec![below("late", "leaf"), below("later", "eng-5")]).expect("of before");
    let parent = |title: &str| called(&play, title).facts.parent_issue_id.clone();
    assert_eq!(parent("late"), Some(called(&play, "leaf").id.clone()));
    assert_eq!(parent("later"), Some(called(&play, "top").id.clone()));
    let outcome = import(&mut play, vec![below("x", "y"), below("y", "x")]);
    assert_eq!(refused(outcome).0, "issue.parent_cycle");
    let outcome = import(&mut play, vec![row("fine"), below("x", "nowhere")]);
    assert_eq!(detail(outcome), "issue 2: parent_issue_id does not exist in this workspace");
    assert_eq!(play.world.state.issues.all.len(), 5, "all of a file or nothing");
    play.holds_together();
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
