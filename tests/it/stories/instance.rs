//! Users, tokens and the registry of workspaces (`platform.md` 2.2, 5.1).

use taffrail_domain::instance::{Bootstrap, Instance, InstanceCommand, IssueToken, NewUser, NewWorkspace};
use taffrail_domain::{Actor, LogTag, Offset, RejectionKind, Time};

fn user(id: &str) -> NewUser {
    NewUser { id: id.into(), email_key: format!("key-{id}").into() }
}

fn workspace(id: &str) -> NewWorkspace {
    NewWorkspace { id: id.into(), name: id.into(), slug: id.into(), owner: "ada".into() }
}

fn token(id: &str) -> IssueToken {
    IssueToken { id: id.into(), user: "ada".into(), name: "cli".into(), scopes: None, expires_at: None }
}

fn bootstrap() -> InstanceCommand {
    let (user, workspace, token) = (user("ada"), workspace("first"), token("t1"));
    InstanceCommand::Bootstrap(Bootstrap { user, workspace, token })
}

/// Decides and folds; answers how many facts there were.
#[track_caller]
fn accept(instance: &mut Instance, time: u64, command: &InstanceCommand) -> usize {
    let drafts = instance.decide(command).expect("must be accepted");
    let count = drafts.len();
    for (index, draft) in drafts.into_iter().enumerate() {
        instance.apply(&draft.at(Offset(time * 100 + index as u64), Time(time), Actor::System));
    }
    count
}

#[test]
fn bootstrap_happens_once() {
    let mut instance = Instance::default();
    assert_eq!(accept(&mut instance, 1, &bootstrap()), 3);
    let again = instance.decide(&bootstrap()).expect_err("refused");
    assert_eq!(again.kind, RejectionKind::Gone);
    assert_eq!(again.detail, "Already initialized — please log in at /login instead");
}

#[test]
fn every_workspace_gets_the_next_tag() {
    let mut instance = Instance::default();
    accept(&mut instance, 1, &bootstrap());
    accept(&mut instance, 2, &InstanceCommand::RegisterWorkspace(workspace("second")));
    assert_eq!(instance.workspace("first").map(|found| found.tag), Some(LogTag(1)));
    assert_eq!(instance.workspace("second").map(|found| found.tag), Some(LogTag(2)));
    let taken = instance.decide(&InstanceCommand::RegisterWorkspace(workspace("second"))).expect_err("taken");
    assert_eq!(taken.detail, "Workspace slug already taken");
}

#[test]
fn an_email_belongs_to_one_user() {
    let mut instance = Instance::default();
    accept(&mut instance, 1, &InstanceCommand::CreateUser(user("ada")));
    let twice = instance.decide(&InstanceCommand::CreateUser(user("ada"))).expect_err("refused");
    assert_eq!((twice.kind, &*twice.detail), (RejectionKind::Conflict, "Email already registered"));
}

#[test]
fn a_revoked_token_stays_revoked_since_the_first_time() {
    let mut instance = Instance::default();
    accept(&mut instance, 1, &InstanceCommand::IssueToken(token("t1")));
    let revoke = InstanceCommand::RevokeToken { token: "t1".into(), user: "ada".into() };
    assert!(instance.tokens["t1"].is_live(Time(5)));
    assert_eq!(accept(&mut instance, 2, &revoke), 1);
    assert_eq!(accept(&mut instance, 3, &revoke), 0);
    assert_eq!(instance.tokens["t1"].revoked_at, Some(Time(2)));
    assert!(!instance.tokens["t1"].is_live(Time(2)));
}

#[test]
fn nobody_revokes_another_users_token() {
    let mut instance = Instance::default();
    accept(&mut instance, 1, &InstanceCommand::IssueToken(token("t1")));
    let revoke = InstanceCommand::RevokeToken { token: "t1".into(), user: "eve".into() };
    assert_eq!(instance.decide(&revoke).expect_err("refused").detail, "Token not found");
}

#[test]
fn a_token_ends_at_its_hour() {
    let mut instance = Instance::default();
    let wish = IssueToken { expires_at: Some(Time(10)), ..token("t1") };
    accept(&mut instance, 1, &InstanceCommand::IssueToken(wish));
    assert!(instance.tokens["t1"].is_live(Time(9)));
    assert!(!instance.tokens["t1"].is_live(Time(10)));
}
