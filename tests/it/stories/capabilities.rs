//! What members may do beside what their role allows (`periphery.md` 0).

use std::collections::BTreeSet;

use taffrail_domain::issue::{CommentDraft, IssueCommand, IssueDraft, Named};
use taffrail_domain::roster::{
    CapabilitiesChanged, CapabilitiesDraft, Capability, MemberRemoved, MemberRoleChanged, Role, RosterCommand,
};
use taffrail_domain::{Actor, Draft, Rejection};
use taffrail_projections::WorkspaceWorld;

use super::kit::{CREW, crew, given, member};

use Capability::{
    Chat, CredentialCreate, CredentialRotate, CredentialsReveal, IssueCreate, MemoryWrite, PageCreate,
    RoutineCreate, RoutineRun, SkillCreate,
};

fn set(capabilities: &[Capability]) -> Option<BTreeSet<Capability>> {
    Some(capabilities.iter().copied().collect())
}

/// The member got these before; `None` is back to the role's.
fn has(user: &str, to: Option<BTreeSet<Capability>>) -> Draft {
    let changed = CapabilitiesChanged { member_id: format!("member-{user}").into(), from: None, to };
    Draft::internal(user, changed)
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

fn sets(given: &[&str]) -> CapabilitiesDraft {
    CapabilitiesDraft { set: words(given), ..CapabilitiesDraft::default() }
}

fn grants(given: &[&str]) -> CapabilitiesDraft {
    CapabilitiesDraft { grant: words(given), ..CapabilitiesDraft::default() }
}

fn revokes(given: &[&str]) -> CapabilitiesDraft {
    CapabilitiesDraft { revoke: words(given), ..CapabilitiesDraft::default() }
}

fn preset(name: &str) -> CapabilitiesDraft {
    CapabilitiesDraft { preset: Some(name.into()), ..CapabilitiesDraft::default() }
}

fn change(user: &str, draft: CapabilitiesDraft) -> RosterCommand {
    RosterCommand::ChangeCapabilities { user: user.into(), draft: Ok(draft) }
}

/// What an admin's wish makes of a member: all they may do after it.
#[track_caller]
fn made(before: Vec<Draft>, user: &str, draft: CapabilitiesDraft) -> BTreeSet<Capability> {
    let world = given(before).when_by(&member(Role::Admin), change(user, draft)).world();
    effective(&world, user)
}

fn effective(world: &WorkspaceWorld, user: &str) -> BTreeSet<Capability> {
    world.state.roster.members[user].effective_capabilities()
}

#[test]
fn while_nothing_was_said_the_role_says_it() {
    let world = given([]).world;
    let admin =
        [Chat, RoutineCreate, SkillCreate, CredentialCreate, CredentialRotate, IssueCreate, MemoryWrite];
    for (user, expected) in [
        ("owner", &admin[..]),
        ("admin", &admin),
        ("manager", &[Chat, RoutineCreate, IssueCreate, MemoryWrite]),
        ("member", &[Chat]),
        ("viewer", &[Chat]),
    ] {
        assert_eq!(Some(effective(&world, user)), set(expected), "{user}");
        for capability in Capability::ALL {
            let actor = Actor::User(user.into());
            let is_capable = world.state.roster.is_capable(&actor, *capability);
            assert_eq!(is_capable, expected.contains(capability), "{user} {capability}");
        }
    }
    for nobody in [Actor::User("stranger".into()), Actor::System, Actor::Agent("lead".into())] {
        assert!(!world.state.roster.is_capable(&nobody, Chat), "{nobody:?}");
    }
}

#[test]
fn a_set_that_was_said_is_all_there_is_and_always_holds_chat() {
    let world = given([has("manager", set(&[]))]).world;
    assert_eq!(Some(effective(&world, "manager")), set(&[Chat]), "not what the role says");
    let changed = CapabilitiesChanged {
        member_id: "member-member".into(),
        from: None,
        to: set(&[Chat, PageCreate, CredentialsReveal]),
    };
    let wish = sets(&["page.create", "credentials:reveal", "page.create"]);
    given([]).when_by(&member(Role::Admin), change("member", wish)).then([changed]);
}

#[test]
fn grants_and_revocations_go_on_from_what_is() {
    let own = made(vec![], "manager", grants(&["routine.run"]));
    assert_eq!(Some(own), set(&[Chat, RoutineCreate, RoutineRun, IssueCreate, MemoryWrite]));
    let own = made(vec![], "manager", revokes(&["issue.create", "routine.run"]));
    assert_eq!(Some(own), set(&[Chat, RoutineCreate, MemoryWrite]));
    let before = vec![has("member", set(&[Chat, PageCreate]))];
    assert_eq!(Some(made(before, "member", revokes(&["page.create"]))), set(&[Chat]));
}

#[test]
fn bundles_hold_what_the_page_says_and_the_default_forgets_them() {
    let power = [Chat, RoutineCreate, RoutineRun, IssueCreate, MemoryWrite];
    let admin = [&power[..], &[SkillCreate, CredentialCreate, CredentialRotate]].concat();
    assert_eq!(Some(made(vec![], "manager", preset("chat"))), set(&[Chat]));
    assert_eq!(Some(made(vec![], "viewer", preset("power"))), set(&power));
    assert_eq!(Some(made(vec![], "viewer", preset("admin"))), set(&admin));
    let said = || given([has("viewer", set(&power))]);
    let back = CapabilitiesChanged { member_id: "member-viewer".into(), from: set(&power), to: None };
    let wish = || change("viewer", preset("default"));
    said().when_by(&member(Role::Admin), wish()).then([back]);
    let world = said().when_by(&member(Role::Admin), wish()).world();
    assert_eq!(world.state.roster.members["viewer"].capabilities, None);
}

#[test]
fn what_is_so_already_is_no_new_fact() {
    let nothing = |before: Vec<Draft>, user: &str, draft| {
        given(before).when_by(&member(Role::Admin), change(user, draft)).then_nothing();
    };
    nothing(vec![], "member", preset("default"));
    nothing(vec![has("member", set(&[Chat, PageCreate]))], "member", sets(&["page.create"]));
    nothing(vec![has("member", set(&[Chat, PageCreate]))], "member", grants(&["chat"]));
    nothing(vec![has("member", set(&[Chat]))], "member", revokes(&["page.create"]));
}

#[test]
fn a_set_that_says_what_the_role_does_stays_when_the_role_changes() {
    let raised =
        MemberRoleChanged { member_id: "member-member".into(), from: Role::Member, to: Role::Manager };
    let before = given([]).when_by(&member(Role::Admin), change("member", sets(&["chat"]))).world();
    assert_eq!(before.state.roster.members["member"].capabilities, set(&[Chat]));
    let mut world = before;
    super::kit::fold(&mut world, Draft::internal("member", raised));
    assert_eq!(Some(effective(&world, "member")), set(&[Chat]));
}

#[test]
fn a_role_that_changes_leaves_a_set_alone_and_who_comes_back_begins_anew() {
    let changed =
        MemberRoleChanged { member_id: "member-member".into(), from: Role::Member, to: Role::Manager };
    let said = has("member", set(&[Chat, PageCreate]));
    let world = given([said.clone(), Draft::internal("member", changed.clone())]).world;
    assert_eq!(Some(effective(&world, "member")), set(&[Chat, PageCreate]));
    let world = given([Draft::internal("member", changed)]).world;
    assert!(effective(&world, "member").contains(&IssueCreate), "the new role's");
    let gone = Draft::internal("member", MemberRemoved { member_id: "member-member".into() });
    let back = RosterCommand::AddMember { user: "member".into(), role: Role::Viewer };
    let world = given([said, gone]).when_by(&member(Role::Owner), back).world();
    assert_eq!(Some(effective(&world, "member")), set(&[Chat]));
}

#[test]
fn only_who_manages_changes_them_and_neither_their_own_nor_an_owners() {
    for role in Role::ALL {
        let outcome = given([]).when_by(&member(*role), change("viewer", preset("power"))).outcome;
        assert_eq!(outcome.is_ok(), *role >= Role::Admin, "{role}");
    }
    let bad = || Err(Rejection::invalid("invalid_json", "Invalid JSON body"));
    let wish = |user: &str| RosterCommand::ChangeCapabilities { user: user.into(), draft: bad() };
    let refused = |user: &str, code: &str, detail: &str| {
        given([]).when_by(&member(Role::Admin), wish(user)).then_rejected(code, detail);
    };
    refused("admin", "capability.own", "cannot modify own capabilities");
    refused("stranger", "member.not_found", "Member not found");
    refused("owner", "capability.of_owner", "OWNER capabilities are immutable");
    refused("member", "invalid_json", "Invalid JSON body");
}

#[test]
fn a_wish_is_one_of_four_and_its_words_are_known() {
    let refused = |draft: CapabilitiesDraft, code: &str, detail: &str| {
        given([]).when_by(&member(Role::Admin), change("member", draft)).then_rejected(code, detail);
    };
    let one_of = "body must contain exactly one of: set, grant, revoke, preset";
    let two = CapabilitiesDraft { preset: Some("power".into()), ..sets(&["chat"]) };
    for draft in [CapabilitiesDraft::default(), sets(&[]), grants(&[]), revokes(&[]), preset(""), two] {
        refused(draft, "capability.one_of", one_of);
    }
    for draft in [sets(&["chat", "fly"]), grants(&["fly"]), revokes(&["chat", "fly"])] {
        refused(draft, "capability.unknown", "unknown capability: fly");
    }
    refused(preset("boss"), "capability.preset", "unknown preset: boss");
    let chat = "chat is implied and cannot be revoked; remove the member instead";
    refused(revokes(&["page.create", "chat"]), "capability.chat", chat);
}

#[test]
fn a_member_with_the_capability_creates_issues_and_does_nothing_else_to_them() {
    let draft = IssueDraft { title: Some("Ship".into()), ..IssueDraft::default() };
    let create = || IssueCommand::Create { crew: crew(), draft: draft.clone().into() };
    for user in [Role::Member, Role::Viewer] {
        given([]).when_by(&member(user), create()).then_rejected("forbidden", "Forbidden");
        let said = has(&user.as_str().to_lowercase(), set(&[Chat, IssueCreate]));
        let world = given([said]).when_by(&member(user), create()).world();
        let issue = world.state.issues.all.values().next().expect("it was made").clone();
        assert_eq!(issue.crew_id, CREW.into());
        let draft = CommentDraft { body: Some("Mine".into()) };
        let issue = Named { crew: None, name: issue.identifier.clone() };
        let comment = IssueCommand::Comment { issue, draft };
        let then = given([]).replace_world(world).when_by(&member(user), comment);
        then.then_rejected("forbidden", "Forbidden");
    }
    // A role that is enough needs no capability.
    let without = has("manager", set(&[Chat]));
    assert!(given([without]).when(create()).outcome.is_ok());
}
