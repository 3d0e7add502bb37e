//! Files at issues (`issues.md` 18): what the rules say of them once their bytes are in the store.

use taffrail_domain::issue::{AttachedFile, IssueCommand, file_name, media_type};
use taffrail_domain::roster::{Role, RosterCommand};
use taffrail_domain::{Actor, AttachmentId, Entry, MissionId, Rejection, RejectionKind};

use super::desk::{create, detail, line, named, refused, titled};
use super::kit::{OTHER_CREW, member};
use super::play::Play;

const SUM: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn file(name: &str, sha256: &str) -> AttachedFile {
    let content_type = media_type(name).expect("taken").into();
    AttachedFile { filename: name.into(), content_type, size_bytes: 5, sha256: sha256.into() }
}

fn attach(play: &mut Play, issue: &MissionId, file: AttachedFile) -> Result<Vec<Entry>, Rejection> {
    play.ask(IssueCommand::Attach { issue: named(issue), file })
}

fn take(play: &mut Play, issue: &MissionId, attachment: &AttachmentId) -> Result<Vec<Entry>, Rejection> {
    play.ask(IssueCommand::TakeAttachment { issue: named(issue), attachment: attachment.clone() })
}

fn at(play: &Play, issue: &MissionId) -> Vec<(AttachmentId, String)> {
    let found = play.world.state.issues.attachments_at(issue);
    found.map(|attachment| (attachment.id.clone(), attachment.file.filename.to_string())).collect()
}

fn names_bytes(play: &Play, sha256: &str) -> bool {
    play.world.state.issues.names_bytes(&sha256.into())
}

#[test]
fn a_file_is_at_its_issue_until_it_is_taken_away_and_the_log_says_both() {
    let mut play = Play::desk();
    let issue = play.issue("Fix it");
    let before = play.found(&issue).clone();
    attach(&mut play, &issue, file("trace.log", SUM)).expect("granted");
    let added = line("attachment_added", "trace.log (text/plain; charset=utf-8, 5 bytes)");
    assert_eq!(play.last_line(&issue), added);
    let (id, name) = at(&play, &issue).remove(0);
    assert_eq!(name, "trace.log");
    assert_eq!(play.world.state.issues.attachments[&id].uploaded_by.as_actor(), member(Role::Manager));
    assert_eq!(*play.found(&issue), before, "what is put at an issue is no change of it");
    take(&mut play, &issue, &id).expect("granted");
    let removed = line("attachment_removed", "trace.log (text/plain; charset=utf-8, 5 bytes)");
    assert_eq!(play.last_line(&issue), removed);
    assert!(at(&play, &issue).is_empty() && !names_bytes(&play, SUM));
    assert_eq!(detail(take(&mut play, &issue, &id)), "Attachment not found");
    play.holds_together();
}

#[test]
fn the_same_bytes_under_the_same_name_are_nothing_new_at_the_same_issue() {
    let mut play = Play::desk();
    let (issue, other) = (play.issue("a"), play.issue("b"));
    attach(&mut play, &issue, file("a.txt", SUM)).expect("granted");
    assert_eq!(attach(&mut play, &issue, file("a.txt", SUM)), Ok(vec![]));
    for (issue, file) in [
        (&issue, file("b.txt", SUM)),
        (&issue, file("a.txt", &SUM.replace('a', "b"))),
        (&other, file("a.txt", SUM)),
    ] {
        assert_eq!(attach(&mut play, issue, file).map(|made| made.len()), Ok(2));
    }
    assert_eq!(at(&play, &issue).len(), 3);
    // Bytes are named as long as anything names them.
    for (id, _) in at(&play, &issue) {
        take(&mut play, &issue, &id).expect("granted");
    }
    assert!(names_bytes(&play, SUM));
    play.holds_together();
}

#[test]
fn a_file_is_found_only_through_its_own_issue() {
    let mut play = Play::desk();
    let (issue, other) = (play.issue("a"), play.issue("b"));
    attach(&mut play, &issue, file("a.txt", SUM)).expect("granted");
    let (id, _) = at(&play, &issue).remove(0);
    let not_found = ("attachment.not_found", "Attachment not found".to_owned());
    assert_eq!(refused(take(&mut play, &other, &id)), not_found);
    assert_eq!(detail(take(&mut play, &"PLA-9".into(), &id)), "Issue not found");
    assert_eq!(detail(attach(&mut play, &"PLA-9".into(), file("a.txt", SUM))), "Issue not found");
    let below = IssueCommand::Attach { issue: named(&issue), file: file("b.txt", SUM) };
    assert_eq!(detail(play.wish(&member(Role::Member), below.clone())), "Forbidden");
    assert_eq!(detail(play.wish(&Actor::System, below)), "Forbidden");
    assert_eq!(at(&play, &issue).len(), 1);
}

#[test]
fn files_go_with_their_issue_and_with_its_crew() {
    let mut play = Play::desk();
    let issue = play.issue("a");
    attach(&mut play, &issue, file("a.txt", SUM)).expect("granted");
    play.delete_issue(&issue).expect("granted");
    assert!(play.world.state.issues.attachments.is_empty() && !names_bytes(&play, SUM));
    let created = IssueCommand::Create { crew: OTHER_CREW.into(), draft: titled("b").into() };
    let made = play.ask(created).expect("granted");
    let issue = MissionId::from(&*made[0].subject);
    attach(&mut play, &issue, file("a.txt", SUM)).expect("granted");
    play.wish(&member(Role::Owner), RosterCommand::DeleteCrew { crew: OTHER_CREW.into() }).expect("granted");
    assert!(play.world.state.issues.attachments.is_empty() && !names_bytes(&play, SUM));
    let issues = &play.world.state.issues;
    assert!(issues.attachments_of.is_empty() && issues.attachments_by_hash.is_empty());
    play.holds_together();
}

#[test]
fn an_issue_holds_so_many_files() {
    let mut play = Play::desk();
    let issue = play.issue("a");
    play.ask(create(titled("b"))).expect("granted");
    for number in 0..500 {
        attach(&mut play, &issue, file(&format!("{number}.txt"), SUM)).expect("granted");
    }
    let full = attach(&mut play, &issue, file("one.txt", SUM));
    assert_eq!(refused(full), ("attachment.too_many", "An issue holds at most 500 attachments".into()));
}

#[test]
fn a_name_is_one_name_without_folders_and_tricks() {
    for (sent, name) in [
        ("a.txt", "a.txt"),
        ("../../etc/a.txt", "a.txt"),
        ("C:\\Users\\ada\\a b.txt", "a b.txt"),
        (" ř.txt ", "ř.txt"),
        ("..a.txt", "..a.txt"),
    ] {
        assert_eq!(file_name(sent).as_deref(), Ok(name), "{sent}");
    }
    let long = "x".repeat(256);
    for sent in [
        "",
        " ",
        ".",
        "..",
        "a/",
        "a\\..",
        "a\0.txt",
        "a\n.txt",
        "exe\u{202e}gpj.txt",
        "\u{61c}a.txt",
        "a\u{2028}.txt",
        &long,
    ] {
        assert_eq!(detail(file_name(sent)), "Invalid filename", "{sent:?}");
    }
}

#[test]
fn the_ending_alone_says_what_a_file_is() {
    assert_eq!(media_type("A.PNG"), Ok("image/png"));
    assert_eq!(media_type("a.tar.gz"), Ok("application/gzip"));
    for name in ["a.html", "a.svg", "a.exe", "txt", "a.", "a.png.js", "a.txt "] {
        let refused = media_type(name).expect_err("not taken");
        assert_eq!((refused.kind, refused.code), (RejectionKind::Unsupported, "attachment.type"), "{name}");
        assert!(refused.detail.starts_with("Unsupported file type; allowed: .txt, .log, .md"), "{name}");
        assert!(refused.detail.ends_with(".gz, .tgz"), "{name}");
    }
}
