//! People in crews and links between crews (`platform.md` 3.2, 6.6).

use taffrail_domain::roster::{
    AgentPatch, ConnectionDraft, CrewMemberAdded, CrewMemberDraft, CrewMemberPatch, CrewMemberRoleChanged,
    CrewsConnected, CrewsDisconnected, Direction, Role, RosterCommand,
};
use taffrail_domain::{Command, Draft, Rejection};
use taffrail_projections::WorkspaceWorld;

use super::kit::{CREW, Given, OTHER_CREW, OTHER_LEAD, WORKER, crew, given, member};

fn join(user: &str, role: Option<&str>) -> RosterCommand {
    let draft = CrewMemberDraft { user_id: Some(user.into()), role: role.map(Into::into) };
    RosterCommand::AddCrewMember { crew: crew(), draft }
}

fn promote(row: &str, role: &str) -> RosterCommand {
    let patch = CrewMemberPatch { role: Some(role.into()) };
    RosterCommand::ChangeCrewMemberRole { crew: crew(), member: row.into(), patch }
}

fn leave(row: &str) -> RosterCommand {
    RosterCommand::RemoveCrewMember { crew: crew(), member: row.into() }
}

/// The viewer's seat in the crew.
fn seat(role: Option<Role>) -> Draft {
    let added = CrewMemberAdded { member_id: "seat".into(), user_id: "viewer".into(), role };
    Draft::internal(CREW, added)
}

fn by(role: Role, given: Given, command: impl Into<Command>) -> Result<Vec<Draft>, Rejection> {
    given.when_by(&member(role), command).outcome
}

fn code(outcome: Result<Vec<Draft>, Rejection>) -> &'static str {
    outcome.expect_err("must be refused").code
}

#[test]
fn managers_seat_people_and_admins_move_and_remove_them() {
    for role in Role::ALL {
        let seated = || given([seat(None)]);
        assert_eq!(by(*role, given([]), join("viewer", None)).is_ok(), *role >= Role::Manager, "{role}");
        assert_eq!(by(*role, seated(), promote("seat", "VIEWER")).is_ok(), *role >= Role::Admin, "{role}");
        assert_eq!(by(*role, seated(), leave("seat")).is_ok(), *role >= Role::Admin, "{role}");
    }
}

#[test]
fn a_seat_is_for_a_member_of_the_workspace_and_there_is_one_each() {
    let refused = |drafts: Vec<Draft>, wish: RosterCommand, code: &str, detail: &str| {
        given(drafts).when(wish).then_rejected(code, detail);
    };
    for nobody in [None, Some(String::new())] {
        let draft = CrewMemberDraft { user_id: nobody, role: Some("KING".into()) };
        let wish = RosterCommand::AddCrewMember { crew: crew(), draft };
        refused(vec![], wish, "crew_member.user_required", "user_id is required");
    }
    let words = "role must be OWNER, ADMIN, MANAGER, MEMBER, or VIEWER";
    refused(vec![], join("stranger", Some("KING")), "crew_member.role", words);
    let stranger = "User is not a member of this workspace";
    refused(vec![], join("stranger", None), "crew_member.not_a_member", stranger);
    let taken = "User is already a member of this crew";
    refused(vec![seat(None)], join("viewer", Some("MEMBER")), "crew_member.exists", taken);
    let nowhere = RosterCommand::AddCrewMember { crew: "nowhere".into(), draft: CrewMemberDraft::default() };
    refused(vec![], nowhere, "crew.not_found", "Crew not found");
}

#[test]
fn nobody_grants_a_role_above_their_own() {
    for own in [Role::Manager, Role::Admin, Role::Owner] {
        for role in Role::ALL {
            let outcome = by(own, given([]), join("viewer", Some(role.as_str())));
            assert_eq!(outcome.is_ok(), *role <= own, "{own} seats a {role}");
        }
    }
    given([])
        .when(join("viewer", Some("ADMIN")))
        .then_rejected("crew_member.role_above_own", "You cannot grant a role above your own");
    let outcome = by(Role::Admin, given([seat(None)]), promote("seat", "OWNER"));
    assert_eq!(code(outcome), "crew_member.role_above_own");
}

#[test]
fn nobody_moves_or_removes_who_ranks_above_them_in_the_crew() {
    // Raised in this crew, a viewer is above an admin here.
    let raised = || given([seat(Some(Role::Owner))]);
    let detail = "You cannot modify a member ranked above your own role";
    for wish in [promote("seat", ""), leave("seat")] {
        raised().when_by(&member(Role::Admin), wish.clone()).then_rejected("member.ranked_above", detail);
        assert!(by(Role::Owner, raised(), wish).is_ok());
    }
    let added =
        CrewMemberAdded { member_id: "owners".into(), user_id: "owner".into(), role: Some(Role::Viewer) };
    let owners = || given([Draft::internal(CREW, added.clone())]);
    owners().when_by(&member(Role::Admin), leave("owners")).then_rejected("member.ranked_above", detail);
}

#[test]
fn a_seat_is_found_by_its_row_or_by_its_user() {
    let admin = member(Role::Admin);
    for id in ["seat", "viewer"] {
        let changed = CrewMemberRoleChanged { member_id: "seat".into(), from: None, to: Some(Role::Manager) };
        given([seat(None)]).when_by(&admin, promote(id, "MANAGER")).then([changed]);
        let world = given([seat(None)]).when_by(&admin, leave(id)).world();
        assert!(world.state.roster.crew_members.is_empty());
    }
    let detail = "Crew member not found";
    given([seat(None)]).when_by(&admin, leave("member")).then_rejected("crew_member.not_found", detail);
}

#[test]
fn an_empty_role_clears_the_seats_and_the_same_one_is_no_fact() {
    let admin = member(Role::Admin);
    let seated = || given([seat(Some(Role::Manager))]);
    let cleared = CrewMemberRoleChanged { member_id: "seat".into(), from: Some(Role::Manager), to: None };
    seated().when_by(&admin, promote("seat", "")).then([cleared]);
    seated().when_by(&admin, promote("seat", "MANAGER")).then_nothing();
}

#[test]
fn who_leaves_the_workspace_leaves_its_crews_and_a_deleted_crew_has_no_seats() {
    let remove = RosterCommand::RemoveMember { member: "member-viewer".into() };
    for wish in [remove, RosterCommand::DeleteCrew { crew: crew() }] {
        let world = given([seat(Some(Role::Manager))]).when_by(&member(Role::Owner), wish).world();
        assert!(world.state.roster.crew_members.is_empty());
    }
}

fn create_agent(crew: Option<&str>) -> RosterCommand {
    let crew_id = Some(crew.map(Into::into));
    RosterCommand::CreateAgent(AgentPatch { name: Some("Ada".into()), crew_id, ..AgentPatch::default() })
}

fn update_agent(agent: &str, patch: AgentPatch) -> RosterCommand {
    RosterCommand::UpdateAgent { agent: agent.into(), patch }
}

#[test]
fn a_viewer_with_a_role_in_a_crew_creates_and_changes_agents_of_that_crew_only() {
    let renamed = || AgentPatch { name: Some("Grace".into()), ..AgentPatch::default() };
    let moved = |crew: Option<&str>| {
        update_agent(WORKER, AgentPatch { crew_id: Some(crew.map(Into::into)), ..AgentPatch::default() })
    };
    let viewer = |role, wish: RosterCommand| by(Role::Viewer, given([seat(role)]), wish);
    let elevated = Some(Role::Manager);
    assert!(viewer(elevated, create_agent(Some(CREW))).is_ok());
    assert!(viewer(elevated, update_agent(WORKER, renamed())).is_ok());
    for wish in [
        create_agent(Some(OTHER_CREW)),
        create_agent(None),
        update_agent(OTHER_LEAD, renamed()),
        moved(Some(OTHER_CREW)),
        moved(None),
        RosterCommand::DeleteAgent { agent: WORKER.into() },
    ] {
        assert_eq!(code(viewer(elevated, wish.clone())), "forbidden", "{wish:?}");
    }
    for too_low in [None, Some(Role::Member)] {
        assert_eq!(code(viewer(too_low, create_agent(Some(CREW)))), "forbidden");
        assert_eq!(code(viewer(too_low, update_agent(WORKER, renamed()))), "forbidden");
    }
    let wish = RosterCommand::DeleteAgent { agent: WORKER.into() };
    assert!(viewer(Some(Role::Admin), wish).is_ok(), "an ADMIN of the crew deletes its agents");
}

#[test]
fn a_role_in_a_crew_never_lowers_the_one_in_the_workspace() {
    let added =
        CrewMemberAdded { member_id: "seat".into(), user_id: "manager".into(), role: Some(Role::Viewer) };
    let drafts = [Draft::internal(CREW, added)];
    assert!(given(drafts).when(create_agent(Some(CREW))).outcome.is_ok());
}

fn connect(from: Option<&str>, to: Option<&str>, direction: Option<&str>) -> RosterCommand {
    RosterCommand::Connect(ConnectionDraft {
        from_crew_id: from.map(Into::into),
        to_crew_id: to.map(Into::into),
        direction: direction.map(Into::into),
    })
}

fn linked(direction: Direction) -> Draft {
    let connected = CrewsConnected { from_crew_id: crew(), to_crew_id: OTHER_CREW.into(), direction };
    Draft::internal("link", connected)
}

fn links(world: &WorkspaceWorld) -> usize {
    world.state.roster.connections.len()
}

#[test]
fn a_link_goes_between_two_live_crews() {
    let refused = |wish, code: &str, detail: &str| given([]).when(wish).then_rejected(code, detail);
    for nowhere in [None, Some(""), Some("nowhere")] {
        let from = connect(nowhere, nowhere, Some("sideways"));
        refused(from, "connection.from_not_found", "Invalid from_crew_id");
        let to = connect(Some(CREW), nowhere, Some("sideways"));
        refused(to, "connection.to_not_found", "Invalid to_crew_id");
    }
    let words = "direction must be 'bidirectional' or 'unidirectional'";
    refused(connect(Some(CREW), Some(CREW), Some("sideways")), "connection.direction", words);
    let itself = "A crew cannot be connected to itself";
    refused(connect(Some(CREW), Some(CREW), None), "connection.itself", itself);
}

#[test]
fn a_link_goes_both_ways_unless_it_is_said_not_to() {
    let facts = |direction| CrewsConnected { from_crew_id: crew(), to_crew_id: OTHER_CREW.into(), direction };
    for (word, direction) in [
        (None, Direction::Bidirectional),
        (Some(""), Direction::Bidirectional),
        (Some("bidirectional"), Direction::Bidirectional),
        (Some("unidirectional"), Direction::Unidirectional),
    ] {
        given([]).when(connect(Some(CREW), Some(OTHER_CREW), word)).then([facts(direction)]);
    }
}

#[test]
fn a_repeated_link_is_no_new_fact_but_the_other_way_is_another() {
    let again =
        |from, to| given([linked(Direction::Bidirectional)]).when(connect(Some(from), Some(to), None));
    again(CREW, OTHER_CREW).then_nothing();
    assert_eq!(links(&again(OTHER_CREW, CREW).world()), 2);
}

#[test]
fn managers_link_crews_and_admins_unlink_them() {
    let unlink = |id: &str| RosterCommand::Disconnect { connection: id.into() };
    let stage = || given([linked(Direction::Unidirectional)]);
    for role in Role::ALL {
        let linking = by(*role, given([]), connect(Some(CREW), Some(OTHER_CREW), None));
        assert_eq!(linking.is_ok(), *role >= Role::Manager, "{role}");
        assert_eq!(by(*role, stage(), unlink("link")).is_ok(), *role >= Role::Admin, "{role}");
    }
    let admin = member(Role::Admin);
    let gone = CrewsDisconnected { from_crew_id: crew(), to_crew_id: OTHER_CREW.into() };
    stage().when_by(&admin, unlink("link")).then([gone]);
    assert_eq!(links(&stage().when_by(&admin, unlink("link")).world()), 0);
    let detail = "Crew connection not found";
    given([]).when_by(&admin, unlink("link")).then_rejected("connection.not_found", detail);
}

#[test]
fn a_deleted_crew_drops_its_links_at_both_ends() {
    for id in [CREW, OTHER_CREW] {
        let wish = RosterCommand::DeleteCrew { crew: id.into() };
        let stage = given([linked(Direction::Bidirectional)]);
        assert_eq!(links(&stage.when_by(&member(Role::Admin), wish).world()), 0);
    }
}
