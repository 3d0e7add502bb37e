//! Users, tokens and the registry of workspaces (`platform.md` 2.2, 5.1).

use taffrail_domain::instance::{
    AccountDraft, Bootstrap, Instance, InstanceCommand, IssueToken, Issuer, NewUser, NewWorkspace,
    TokenDraft, TokenGrant,
};
use taffrail_domain::roster::Role;
use taffrail_domain::{Actor, LogTag, Offset, Rejection, RejectionKind, Time};

fn user(id: &str) -> NewUser {
    NewUser { id: id.into(), email_key: format!("key-{id}").into() }
}

fn workspace(id: &str) -> NewWorkspace {
    NewWorkspace {
        id: id.into(),
        name: id.into(),
        slug: id.into(),
        preferred_language: None,
        owner: "ada".into(),
    }
}

fn token(id: &str) -> IssueToken {
    IssueToken { id: id.into(), user: "ada".into(), grant: TokenGrant::unrestricted("cli") }
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
    let draft = TokenDraft { expires_in_seconds: Some(3_600), ..TokenDraft::default() };
    let grant = granted(&draft, &issuer(Role::Owner)).expect("granted");
    accept(&mut instance, 1, &InstanceCommand::IssueToken(IssueToken { grant, ..token("t1") }));
    let end = NOW.0 + 3_600_000;
    assert!(instance.tokens["t1"].is_live(Time(end - 1)));
    assert!(!instance.tokens["t1"].is_live(Time(end)));
}

const NOW: Time = Time(1_000);

/// Somebody whose credential may do all that they may.
fn issuer(best_role: Role) -> Issuer {
    Issuer { best_role: Some(best_role), ..Issuer::default() }
}

fn granted(draft: &TokenDraft, issuer: &Issuer) -> Result<TokenGrant, Rejection> {
    TokenGrant::new(draft, issuer, NOW)
}

fn scoped(scopes: &[&str]) -> TokenDraft {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    TokenDraft { scopes: Some(scopes), ..TokenDraft::default() }
}

#[track_caller]
fn refused(outcome: Result<TokenGrant, Rejection>, kind: RejectionKind, detail: &str) {
    let rejection = outcome.expect_err("must be refused");
    assert_eq!((rejection.kind, &*rejection.detail), (kind, detail));
}

#[test]
fn a_token_names_at_most_thirty_two_scopes_and_keeps_each_once() {
    let mut instance = Instance::default();
    let grant = granted(&scoped(&["crews:read", "agents:run", "crews:read"]), &issuer(Role::Owner)).unwrap();
    accept(&mut instance, 1, &InstanceCommand::IssueToken(IssueToken { grant, ..token("t1") }));
    let kept = instance.tokens["t1"].scopes.as_deref().unwrap();
    assert_eq!(kept, ["crews:read".into(), "agents:run".into()]);
    assert!(granted(&scoped(&["crews:read"; 32]), &issuer(Role::Owner)).is_ok());
    let many = granted(&scoped(&["crews:read"; 33]), &issuer(Role::Owner));
    refused(many, RejectionKind::Invalid, "at most 32 scopes");
    let none = granted(&scoped(&[]), &issuer(Role::Owner));
    refused(none, RejectionKind::Invalid, "scopes must not be empty");
    let unknown = granted(&scoped(&["crews:fly"]), &issuer(Role::Owner));
    refused(unknown, RejectionKind::Invalid, "unknown scope: crews:fly");
}

#[test]
fn a_scope_is_granted_within_the_role() {
    let forbidden = RejectionKind::Forbidden;
    let detail = "scope crews:write exceeds your workspace role";
    refused(granted(&scoped(&["crews:write"]), &issuer(Role::Member)), forbidden, detail);
    assert!(granted(&scoped(&["crews:write"]), &issuer(Role::Manager)).is_ok());
    assert!(granted(&scoped(&["crews:read"]), &issuer(Role::Viewer)).is_ok());
    let detail = "scope * exceeds your workspace role";
    refused(granted(&scoped(&["*"]), &issuer(Role::Manager)), forbidden, detail);
    let detail = "issuing user has no workspace membership; cannot grant scoped token";
    refused(granted(&scoped(&["crews:read"]), &Issuer::default()), forbidden, detail);
}

#[test]
fn a_token_hands_on_no_more_than_it_has() {
    let forbidden = RejectionKind::Forbidden;
    let narrow = Issuer { scopes: Some(vec!["crews:write".into()]), ..issuer(Role::Owner) };
    assert!(granted(&scoped(&["crews:read"]), &narrow).is_ok());
    let detail = "scope agents:write exceeds the issuing token's scopes";
    refused(granted(&scoped(&["agents:write"]), &narrow), forbidden, detail);
    let detail = "a scoped token cannot issue an unrestricted one";
    refused(granted(&TokenDraft::default(), &narrow), forbidden, detail);
    let brief = Issuer { expires_at: Some(Time(NOW.0 + 60_000)), ..issuer(Role::Owner) };
    let lasting = |seconds| TokenDraft { expires_in_seconds: seconds, ..TokenDraft::default() };
    assert!(granted(&lasting(Some(60)), &brief).is_ok());
    for longer in [Some(61), None] {
        let detail = "expiry exceeds that of the issuing token";
        refused(granted(&lasting(longer), &brief), forbidden, detail);
    }
}

#[test]
fn a_token_has_a_short_name_a_known_tier_and_a_sensible_end() {
    let invalid = |draft: TokenDraft, detail: &str| {
        refused(granted(&draft, &issuer(Role::Owner)), RejectionKind::Invalid, detail);
    };
    let named = |name: String| TokenDraft { name: Some(name), ..TokenDraft::default() };
    assert!(granted(&named("é".repeat(200)), &issuer(Role::Owner)).is_ok());
    invalid(named("é".repeat(201)), "name must be at most 200 characters");
    let gold = TokenDraft { tier: Some("GOLD".into()), ..TokenDraft::default() };
    invalid(gold, "tier must be STANDARD or ADMIN");
    for seconds in [0, -1, 3_155_760_001] {
        let draft = TokenDraft { expires_in_seconds: Some(seconds), ..TokenDraft::default() };
        invalid(draft, "expires_in_seconds must be 1-3155760000");
    }
}

fn account(full_name: &str, email: &str, password: &str) -> Result<(String, String), &'static str> {
    let text = |text: &str| Some(text.to_owned());
    let draft = AccountDraft { full_name: text(full_name), email: text(email), password: text(password) };
    let trimmed = draft.account().map(|made| (made.full_name().to_owned(), made.email().to_owned()));
    trimmed.map_err(|rejection| rejection.code)
}

#[test]
fn an_account_has_a_name_an_address_and_a_password_checked_in_this_order() {
    let (name, email, password) = ("Ada", "ada@example.org", "12345678");
    let kept = account(" Ada ", " ada@example.org ", password).unwrap();
    assert_eq!(kept, (name.to_owned(), email.to_owned()));
    for short_or_long in ["", " A ", &"é".repeat(101)] {
        assert_eq!(account(short_or_long, "", ""), Err("account.name"));
    }
    assert_eq!(account(name, "ada@", ""), Err("account.email"));
    for short_or_long in ["1234567", &"é".repeat(257)] {
        assert_eq!(account(name, email, short_or_long), Err("account.password"));
    }
    assert!(account(&"é".repeat(100), email, &"é".repeat(256)).is_ok());
}

#[test]
fn an_address_has_a_name_a_site_and_a_top_level() {
    assert!(account("Ada", "a.b+c%d@mail-1.example.org", "12345678").is_ok());
    let long = format!("{}@example.org", "a".repeat(243));
    for text in
        ["", "a", "a@b", "@b.org", "a@.org", "a@b.o", "a@b.o1", "a b@c.org", "a@b@c.org", "ä@b.org", &long]
    {
        assert_eq!(account("Ada", text, "12345678"), Err("account.email"), "{text}");
    }
}

#[test]
fn a_password_is_not_printed() {
    let draft = AccountDraft { password: Some("12345678".into()), ..AccountDraft::default() };
    assert_eq!(format!("{draft:?}"), "AccountDraft(…)");
}
