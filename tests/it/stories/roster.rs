//! Members, crews and agents (`platform.md` 3, 6.6, 6.7).

use taffrail_domain::Event;
use taffrail_domain::roster::{
    AgentPatch, AgentRole, CrewChanges, CrewPatch, CrewUpdated, Permission, Role, RosterCommand, RosterEvent,
};
use taffrail_projections::World;

use super::kit::{CREW, LEAD, WORKER, given, member};

fn crew_named(name: &str, slug: &str) -> CrewPatch {
    CrewPatch { name: Some(name.into()), slug: Some(slug.into()), ..CrewPatch::default() }
}

fn agent_named(slug: &str) -> AgentPatch {
    AgentPatch {
        name: Some("Somebody".into()),
        slug: Some(slug.into()),
        crew_id: Some(Some(CREW.into())),
        ..AgentPatch::default()
    }
}

fn promote(agent: &str) -> RosterCommand {
    let patch = AgentPatch { agent_role: Some("LEAD".into()), ..AgentPatch::default() };
    RosterCommand::UpdateAgent { agent: agent.into(), patch }
}

#[test]
fn the_roles_allow_what_the_seed_says() {
    let may = |permission| Role::ALL.iter().filter(move |role| role.allows(permission)).count();
    assert_eq!([may(Permission::Read), may(Permission::Create), may(Permission::Manage)], [5, 3, 2]);
    assert!(Role::Manager.allows(Permission::Create) && !Role::Manager.allows(Permission::Manage));
}

#[test]
fn managers_create_and_update_crews_but_do_not_delete_them() {
    let create = || RosterCommand::CreateCrew(crew_named("Docs", "docs"));
    let update = || RosterCommand::UpdateCrew { crew: CREW.into(), patch: crew_named("Other", "other") };
    let delete = || RosterCommand::DeleteCrew { crew: CREW.into() };
    for role in Role::ALL {
        let allowed = |command: RosterCommand| given([]).when_by(&member(*role), command).outcome.is_ok();
        assert_eq!(allowed(create()), *role >= Role::Manager, "{role} creates");
        assert_eq!(allowed(update()), *role >= Role::Manager, "{role} updates");
        assert_eq!(allowed(delete()), *role >= Role::Admin, "{role} deletes");
    }
}

#[test]
fn a_crew_has_a_name_and_a_slug_of_the_rule() {
    let refused = |name: &str, slug: &str, detail: &str| {
        let outcome = given([]).when(RosterCommand::CreateCrew(crew_named(name, slug))).outcome;
        assert_eq!(outcome.expect_err("refused").detail, detail, "{name} {slug}");
    };
    refused("D", "docs", "name must be 2-100 characters");
    refused(&"x".repeat(101), "docs", "name must be 2-100 characters");
    refused("Docs", "d", "slug must be 2-50 characters");
    let alphabet = "slug must contain only lowercase letters, numbers, hyphens, and underscores";
    for slug in ["Docs", "-docs", "_docs", "do cs", "döcs"] {
        refused("Docs", slug, alphabet);
    }
    refused("Docs", "platform", "Crew slug already taken in this workspace");
}

#[test]
fn a_crews_fields_have_bounds() {
    let refused = |patch: CrewPatch, code: &str| {
        let wish = RosterCommand::UpdateCrew { crew: CREW.into(), patch };
        assert_eq!(given([]).when(wish).outcome.expect_err("refused").code, code);
    };
    let base = CrewPatch::default;
    refused(CrewPatch { container_memory_mb: Some(5), ..base() }, "crew.container_memory_mb");
    refused(CrewPatch { container_cpus: Some(513.0), ..base() }, "crew.container_cpus");
    refused(CrewPatch { container_ttl_hours: Some(Some(-1)), ..base() }, "crew.container_ttl_hours");
    refused(CrewPatch { network_mode: Some("open".into()), ..base() }, "crew.network_mode");
    refused(CrewPatch { allowed_domains: Some(vec!["a b".into()]), ..base() }, "crew.allowed_domains");
    refused(CrewPatch { issue_prefix: Some(Some("1X".into())), ..base() }, "crew.issue_prefix");
    refused(CrewPatch { mcp_config_json: Some(Some("{}".into())), ..base() }, "crew.mcp_config_json");
    refused(CrewPatch { max_ephemeral_agents: Some(101), ..base() }, "crew.max_ephemeral_agents");
    let thresholds = r#"{"auto_approve_threshold":0.5,"require_approval_below":0.6}"#;
    refused(
        CrewPatch { escalation_config: Some(Some(thresholds.into())), ..base() },
        "crew.escalation_config",
    );
}

#[test]
fn a_deleted_crews_slug_is_free_again_and_its_agents_are_gone() {
    let world =
        given([]).when_by(&member(Role::Owner), RosterCommand::DeleteCrew { crew: CREW.into() }).world();
    assert!(world.state.roster.live_crew(CREW).is_none());
    assert!(world.state.roster.live_agent(LEAD).is_none());
    assert!(world.state.roster.agents.contains_key(LEAD), "history still names it");
    let roster = &world.state.roster;
    assert_eq!((roster.crew_slugs.len(), roster.agent_slugs.len(), roster.leads.len()), (1, 1, 1));
    assert_eq!(roster.agents_in(&CREW.into()).count(), 0);
}

#[test]
fn a_crew_has_one_lead() {
    let second = AgentPatch { agent_role: Some("LEAD".into()), ..agent_named("second") };
    given([])
        .when(RosterCommand::CreateAgent(second))
        .then_rejected("agent.lead_taken", "Crew already has a lead agent");
}

#[test]
fn promoting_an_agent_demotes_the_present_lead_in_the_same_batch() {
    let then = given([]).when(promote(WORKER));
    let world = then.world();
    let role = |id: &str| world.state.roster.agents[id].facts.agent_role;
    assert_eq!((role(LEAD), role(WORKER)), (AgentRole::Agent, AgentRole::Lead));
    assert_eq!(world.state.roster.leads[CREW], WORKER.into());
}

#[test]
fn a_demoted_lead_leaves_the_crew_without_one() {
    let patch = AgentPatch { agent_role: Some("AGENT".into()), ..AgentPatch::default() };
    let world = given([]).when(RosterCommand::UpdateAgent { agent: LEAD.into(), patch }).world();
    assert!(!world.state.roster.leads.contains_key(CREW));
}

#[test]
fn a_lead_needs_a_crew() {
    let patch = AgentPatch { crew_id: Some(None), ..AgentPatch::default() };
    given([])
        .when(RosterCommand::UpdateAgent { agent: LEAD.into(), patch: patch.clone() })
        .then_rejected("agent.lead_without_crew", "LEAD role requires crew_id");
    let world = given([]).when(RosterCommand::UpdateAgent { agent: WORKER.into(), patch }).world();
    assert_eq!(world.state.roster.agents[WORKER].facts.crew_id, None);
}

#[test]
fn a_patch_that_names_no_field_is_refused_and_one_that_changes_nothing_is_no_fact() {
    let update = |patch| RosterCommand::UpdateAgent { agent: LEAD.into(), patch };
    given([]).when(update(AgentPatch::default())).then_rejected("agent.no_fields", "No fields to update");
    given([]).when(update(AgentPatch { name: Some(LEAD.into()), ..AgentPatch::default() })).then_nothing();
}

#[test]
fn an_agents_words_are_checked_in_the_documented_order() {
    let refused = |patch: AgentPatch, detail: &str| {
        let outcome = given([]).when(RosterCommand::CreateAgent(patch)).outcome;
        assert_eq!(outcome.expect_err("refused").detail, detail);
    };
    let word = || Some("NOPE".to_owned());
    let all_wrong = AgentPatch {
        agent_role: word(),
        cli_adapter: word(),
        llm_provider: Some(word()),
        tool_profile: word(),
        crew_id: Some(word()),
        ..agent_named("new")
    };
    refused(all_wrong.clone(), "Invalid crew_id");
    let all_wrong = AgentPatch { crew_id: Some(Some(CREW.into())), ..all_wrong };
    refused(all_wrong.clone(), "agent_role must be AGENT or LEAD");
    let adapters =
        "cli_adapter must be CLAUDE_CODE, OPENCODE, CODEX_CLI, GEMINI_CLI, CURSOR_CLI, or FACTORY_DROID";
    let all_wrong = AgentPatch { agent_role: None, ..all_wrong };
    refused(all_wrong.clone(), adapters);
    let all_wrong = AgentPatch { cli_adapter: None, ..all_wrong };
    refused(all_wrong.clone(), "llm_provider must be ANTHROPIC, OPENAI, GOOGLE, CURSOR, FACTORY, or OLLAMA");
    let all_wrong = AgentPatch { llm_provider: None, ..all_wrong };
    refused(all_wrong.clone(), "tool_profile must be MINIMAL, CODING, or FULL");
    refused(
        AgentPatch { lead_mode: Some(word()), ..agent_named("new") },
        "lead_mode must be 'active' or 'passive'",
    );
    refused(agent_named(LEAD), "Agent slug already taken in this workspace");
    let both_taken = AgentPatch { agent_role: Some("LEAD".into()), ..agent_named(LEAD) };
    refused(both_taken, "Crew already has a lead agent");
}

#[test]
fn an_update_stores_only_what_changed() {
    let patch = CrewPatch { color: Some(Some("teal".into())), ..crew_named("Platform", "platform") };
    let events = given([]).when(RosterCommand::UpdateCrew { crew: CREW.into(), patch }).events();
    let changes = CrewChanges { color: Some(Some("teal".into())), ..CrewChanges::default() };
    assert_eq!(events, [CrewUpdated { changes: changes.into() }.into()]);
}

#[test]
fn a_crew_is_created_without_what_only_an_update_sets() {
    let patch = CrewPatch { max_ephemeral_agents: Some(500), ..crew_named("Docs", "docs") };
    let world = given([]).when(RosterCommand::CreateCrew(patch)).world();
    assert_eq!(world.state.roster.crews["new1"].facts.max_ephemeral_agents, 10);
}

#[test]
fn the_first_batch_opens_the_workspace_once() {
    let open = RosterCommand::Open {
        id: "ws".into(),
        name: "Acme".into(),
        slug: "acme".into(),
        preferred_language: None,
        owner: "founder".into(),
    };
    given([]).when_by(&taffrail_domain::Actor::System, open.clone()).then_nothing();
    let fresh = taffrail_projections::WorkspaceWorld::empty(super::kit::LOG);
    let mut stage = given([]);
    stage.world = fresh;
    let events = stage.when_by(&taffrail_domain::Actor::System, open).events();
    let kinds: Vec<_> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, ["workspace.opened", "member.added"]);
    assert!(
        matches!(&events[1], Event::Roster(RosterEvent::MemberAdded(added)) if added.role == Role::Owner)
    );
}

#[test]
fn only_an_owner_grants_admin_and_nobody_grants_owner() {
    let add = |role| RosterCommand::AddMember { user: "new".into(), role };
    let by = |actor, role| given([]).when_by(&member(actor), add(role)).outcome.map_err(|no| no.code);
    assert_eq!(by(Role::Admin, Role::Admin).expect_err("refused"), "member.admin_by_owner");
    assert!(by(Role::Owner, Role::Admin).is_ok() && by(Role::Admin, Role::Viewer).is_ok());
    assert_eq!(by(Role::Owner, Role::Owner).expect_err("refused"), "member.role");
}

#[test]
fn nobody_moves_who_ranks_above_or_grants_what_they_do_not_outrank() {
    let row = |role: Role| format!("member-{}", role.as_str().to_lowercase());
    for own in Role::ALL {
        let by = |wish| given([]).when_by(&member(*own), wish).outcome.map_err(|no| no.code);
        for of in [Role::Admin, Role::Manager, Role::Member, Role::Viewer] {
            let remove = by(RosterCommand::RemoveMember { member: row(of).as_str().into() });
            let may = *own == Role::Owner || (*own == Role::Admin && of < Role::Admin);
            assert_eq!(remove.is_ok(), may, "{own} removes {of}");
            for to in Role::ALL {
                let change = RosterCommand::ChangeRole { member: row(of).as_str().into(), role: *to };
                let may = *own == Role::Owner || (*own >= Role::Manager && of <= *own && to < own);
                assert_eq!(by(change).is_ok(), may, "{own} makes {of} {to}");
            }
        }
    }
    let change = |of: Role, role| RosterCommand::ChangeRole { member: row(of).as_str().into(), role };
    given([])
        .when_by(&member(Role::Manager), change(Role::Admin, Role::Viewer))
        .then_rejected("member.ranked_above", "You cannot modify a member ranked above your own role");
    given([])
        .when_by(&member(Role::Manager), change(Role::Viewer, Role::Manager))
        .then_rejected("member.role_above_own", "You cannot grant a role at or above your own");
    let remove = RosterCommand::RemoveMember { member: row(Role::Admin).as_str().into() };
    given([])
        .when_by(&member(Role::Admin), remove)
        .then_rejected("member.ranked_above", "Cannot remove a member ranked at or above your own role");
}

#[test]
fn the_last_owner_stays() {
    let remove = RosterCommand::RemoveMember { member: "member-owner".into() };
    given([])
        .when_by(&member(Role::Owner), remove)
        .then_rejected("member.is_owner", "Cannot remove workspace owner");
    let demote = RosterCommand::ChangeRole { member: "member-owner".into(), role: Role::Viewer };
    given([])
        .when_by(&member(Role::Owner), demote)
        .then_rejected("member.last_owner", "Cannot demote the last owner of the workspace");
}
