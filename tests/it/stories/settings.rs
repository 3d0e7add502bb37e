//! What agents and new workspaces are set to: stop, derived slugs, schedules, forms, languages
//! (`platform.md` 6.2, 6.7).

use taffrail_domain::instance::WorkspaceDraft;
use taffrail_domain::roster::{
    AgentPatch, AgentStatus, AgentStatusChanged, Role, RosterCommand, RosterEvent,
};
use taffrail_domain::{Draft, Event};

use super::kit::{WORKER, crew, given, member};

fn stop(agent: &str) -> RosterCommand {
    RosterCommand::StopAgent { agent: agent.into() }
}

#[test]
fn a_stopped_agent_is_stopped_once() {
    let then = given([]).when(stop(WORKER));
    let face = then.faces().remove(0);
    assert_eq!(
        (&*face.entry_type, &*face.summary),
        ("agent.status_change", "status_changed: IDLE → STOPPED")
    );
    assert_eq!((face.crew_id, face.agent_id), (Some(crew()), Some(WORKER.into())));
    let payload = r#"{"details":"IDLE → STOPPED","prev":"IDLE","status":"STOPPED"}"#;
    assert_eq!(face.payload.get(), payload);
    let world = then.world();
    assert_eq!(world.state.roster.agents[WORKER].status, AgentStatus::Stopped);
    given([]).replace_world(world).when(stop(WORKER)).then_nothing();
    let moved = AgentStatusChanged { from: AgentStatus::Idle, to: AgentStatus::Stopped };
    given([]).when(stop(WORKER)).then([moved]);
}

#[test]
fn managers_stop_agents_that_are_there() {
    for role in Role::ALL {
        let then = given([]).when_by(&member(*role), stop("nobody"));
        if *role >= Role::Manager {
            then.then_rejected("agent.not_found", "Agent not found");
        } else {
            then.then_rejected("forbidden", "Forbidden");
        }
    }
}

fn create(name: &str, slug: Option<&str>) -> RosterCommand {
    let (name, slug) = (Some(name.into()), slug.map(Into::into));
    RosterCommand::CreateAgent(AgentPatch { name, slug, ..AgentPatch::default() })
}

/// The slugs that agents of these names get, one after the other.
fn slugs_of(names: &[&str]) -> Vec<String> {
    let (mut drafts, mut slugs) = (vec![], vec![]);
    for (index, name) in names.iter().enumerate() {
        match given(drafts.clone()).when(create(name, None)).events().remove(0) {
            Event::Roster(RosterEvent::AgentCreated(created)) => {
                slugs.push(created.agent.slug.to_string());
                drafts.push(Draft::internal(format!("agent{index}"), created));
            }
            other => panic!("not a new agent: {other:?}"),
        }
    }
    slugs
}

#[test]
fn an_agent_without_a_slug_gets_a_free_one_made_of_its_name() {
    assert_eq!(slugs_of(&["Ada Lovelace"; 3]), ["ada-lovelace", "ada-lovelace-2", "ada-lovelace-3"]);
    assert_eq!(slugs_of(&["  R2 -- D2!  "]), ["r2-d2"]);
    assert_eq!(slugs_of(&["Žž", "Žž"]), ["agent", "agent-2"]);
    assert_eq!(slugs_of(&["Worker"]), ["worker-2"], "the stage's worker has the first");
    let long = "x".repeat(60);
    assert_eq!(slugs_of(&[&*long, &*long]), ["x".repeat(50), format!("{}-2", "x".repeat(48))]);
}

#[test]
fn a_slug_that_is_given_is_not_changed() {
    given([])
        .when(create("Worker", Some(WORKER)))
        .then_rejected("agent.slug_taken", "Agent slug already taken in this workspace");
    assert_eq!(given([]).when(create("Worker", Some(""))).events().len(), 1, "an empty one is none");
}

fn update(patch: AgentPatch) -> RosterCommand {
    RosterCommand::UpdateAgent { agent: WORKER.into(), patch }
}

fn cron(text: Option<&str>) -> RosterCommand {
    update(AgentPatch { schedule_cron: Some(text.map(Into::into)), ..AgentPatch::default() })
}

fn forms(text: Option<&str>) -> RosterCommand {
    update(AgentPatch { ask_forms: Some(text.map(Into::into)), ..AgentPatch::default() })
}

#[test]
fn a_schedule_is_a_cron_expression_of_five_fields() {
    for text in ["* * * * *", "0 9 * * 1", "*/15 0-6,12 1 JAN MON-FRI", " 0  9 * * 1 "] {
        let world = given([]).when(cron(Some(text))).world();
        assert_eq!(world.state.roster.agents[WORKER].facts.schedule_cron.as_deref(), Some(text));
    }
    let detail = "schedule_cron must be a cron expression with five fields";
    for text in ["* * * *", "0 0 9 * * 1", "@daily", "0 9 * * ?", "0 9 * * ä", " "] {
        given([]).when(cron(Some(text))).then_rejected("agent.schedule_cron", detail);
    }
}

#[test]
fn forms_are_json() {
    for text in ["[]", r#"[{"label":"Topic"}]"#, "null"] {
        let world = given([]).when(forms(Some(text))).world();
        assert_eq!(world.state.roster.agents[WORKER].facts.ask_forms.as_deref(), Some(text));
    }
    for text in ["[", "topic", "{} {}", " "] {
        given([]).when(forms(Some(text))).then_rejected("agent.ask_forms", "ask_forms must be JSON");
    }
}

#[test]
fn an_empty_text_clears_a_schedule_and_forms_as_null_does() {
    for nothing in [None, Some("")] {
        let world = given([]).when(cron(Some("0 9 * * 1"))).world();
        let world = given([]).replace_world(world).when(forms(Some("[]"))).world();
        let world = given([]).replace_world(world).when(cron(nothing)).world();
        let world = given([]).replace_world(world).when(forms(nothing)).world();
        let facts = &world.state.roster.agents[WORKER].facts;
        assert_eq!((&facts.schedule_cron, &facts.ask_forms), (&None, &None));
        given([]).when(cron(nothing)).then_nothing();
    }
}

fn draft(name: &str, slug: Option<&str>, language: Option<&str>) -> WorkspaceDraft {
    let name = Some(name.to_owned());
    WorkspaceDraft { name, slug: slug.map(Into::into), preferred_language: language.map(Into::into) }
}

#[track_caller]
fn refused(draft: &WorkspaceDraft, code: &str, detail: &str) {
    let rejection = draft.grant().expect_err("must be refused");
    assert_eq!((rejection.code, &*rejection.detail), (code, detail));
}

#[test]
fn a_workspace_has_a_name_then_a_slug_then_a_language() {
    let name = "name must be 2-100 characters";
    refused(&WorkspaceDraft::default(), "workspace.name", name);
    refused(&draft("A", Some("!"), Some("xx")), "workspace.name", name);
    refused(&draft(&"é".repeat(101), None, None), "workspace.name", name);
    let alphabet = "slug must contain only lowercase letters, numbers, hyphens, and underscores";
    refused(&draft("Acme", Some("Acme!"), Some("xx")), "workspace.slug", alphabet);
    refused(&draft("Acme", Some("a"), None), "workspace.slug", "slug must be 2-50 characters");
    refused(&draft("Acme", Some(&"a".repeat(51)), None), "workspace.slug", "slug must be 2-50 characters");
    let language = "invalid language \"Klingonese\" — use a name (e.g. Czech) or ISO code (e.g. cs)";
    refused(&draft("Acme", None, Some("Klingonese")), "workspace.preferred_language", language);
    assert!(draft(&"é".repeat(100), Some("a_b-1"), None).grant().is_ok());
}

#[test]
fn a_workspace_without_a_slug_gets_one_made_of_its_name() {
    let slug = |name: &str, slug: Option<&str>| draft(name, slug, None).grant().unwrap().slug.to_string();
    assert_eq!(slug("Acme & Sons, Ltd.", None), "acme-sons-ltd");
    assert_eq!(slug("Acme", Some("")), "acme");
    assert_eq!(slug("日本", None), "workspace");
    assert_eq!(slug(&"ab ".repeat(30), None).len(), 50);
    assert_eq!(slug("Acme", Some("other_one")), "other_one");
}

#[test]
fn a_language_is_known_by_its_name_and_by_its_codes() {
    let language = |word: &str| draft("Acme", None, Some(word)).grant().unwrap().preferred_language;
    for word in ["Czech", "czech", "CZECH", "cs", "CS", "ces"] {
        assert_eq!(language(word).as_deref(), Some("Czech"), "{word}");
    }
    assert_eq!(language("de").as_deref(), Some("German"));
    assert_eq!(language(""), None);
    assert_eq!(draft("Acme", None, None).grant().unwrap().preferred_language, None);
    for word in ["cz", "Ili'uun", " cs", "c"] {
        assert!(draft("Acme", None, Some(word)).grant().is_err(), "{word}");
    }
}
