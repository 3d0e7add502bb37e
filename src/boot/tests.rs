//! Stories of a whole instance, without HTTP.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use taffrail_domain::instance::{
    Account, AccountDraft, Bootstrap, InstanceCommand, InstanceEvent, IssueToken, NewUser, NewWorkspace,
    TokenDraft, TokenGrant, WorkspaceRegistered,
};
use taffrail_domain::issue::{AttachedFile, IssueCommand, IssueDraft, Named};
use taffrail_domain::mission::{MissionCommand, MissionDraft, MissionPatch};
use taffrail_domain::roster::{AgentPatch, CrewPatch, Role, RosterCommand};
use taffrail_domain::{Actor, Command, CrewId, Event, MissionId, Offset, RejectionKind, UserId};
use taffrail_journal::memory::Faults;
use taffrail_journal::{LogId, MemoryJournal, Request, Unsealed};
use tempfile::TempDir;

use taffrail_projections::WorkspaceWorld;

use super::*;
use crate::vault::{Profile, TokenSecret};
use crate::writer::{ExecuteError, Wish};

fn ada() -> Account {
    let draft = AccountDraft {
        full_name: Some("Ada Lovelace".to_owned()),
        email: Some(" Ada@Example.com ".to_owned()),
        password: Some("correct horse".to_owned()),
    };
    draft.account().unwrap()
}

fn named(id: u8, fingerprint: u8) -> Option<Request> {
    Some(Request { id: [id; 16], fingerprint: [fingerprint; 8] })
}

/// A fresh data directory and an instance in memory.
async fn in_memory() -> (TempDir, Arc<Taffrail>) {
    let data = tempfile::tempdir().unwrap();
    let app = Taffrail::open_on(Options::new(data.path()), Arc::new(MemoryJournal::new())).await.unwrap();
    (data, app)
}

async fn on_disk(data: &Path) -> Arc<Taffrail> {
    Taffrail::open(Options::new(data)).await.unwrap()
}

/// Ends an instance without a drain, as a kill does, and waits until it holds the data directory no more.
async fn kill(app: Arc<Taffrail>) {
    let journal = Arc::downgrade(app.journal());
    drop(app);
    while journal.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}

fn only_workspace(app: &Taffrail) -> Writer<WorkspaceWorld> {
    let id = app.instance().world().state.workspaces.keys().next().unwrap().clone();
    app.workspace(&id).unwrap()
}

async fn act(workspace: &Writer<WorkspaceWorld>, user: &UserId, command: impl Into<Command>) -> String {
    let wish = Wish { command: command.into(), actor: Actor::User(user.clone()), request: None };
    workspace.execute(wish).await.unwrap().entries[0].subject.to_string()
}

/// A crew with a lead and one mission.
async fn mission(workspace: &Writer<WorkspaceWorld>, user: &UserId) -> (CrewId, MissionId) {
    let (name, slug) = (Some("Release".to_owned()), Some("release".to_owned()));
    let crew = CrewPatch { name: name.clone(), slug: slug.clone(), ..CrewPatch::default() };
    let crew = act(workspace, user, RosterCommand::CreateCrew(crew)).await;
    let (crew_id, agent_role) = (Some(Some(crew.clone())), Some("LEAD".to_owned()));
    let lead = AgentPatch { name, slug, crew_id, agent_role, ..AgentPatch::default() };
    let lead_agent_id = Some(act(workspace, user, RosterCommand::CreateAgent(lead)).await);
    let draft = MissionDraft { title: Some("First".to_owned()), lead_agent_id, ..MissionDraft::default() };
    let crew = CrewId::from(crew);
    let mission = act(workspace, user, MissionCommand::Create { crew: crew.clone(), draft }).await;
    (crew, mission.into())
}

async fn retitle(workspace: &Writer<WorkspaceWorld>, user: &UserId, of: &(CrewId, MissionId), title: &str) {
    let patch = MissionPatch { title: Some(title.to_owned()), ..MissionPatch::default() };
    let (crew, mission) = of.clone();
    act(workspace, user, MissionCommand::Update { crew, mission, patch }).await;
}

#[tokio::test]
async fn bootstrap_makes_a_person_a_workspace_and_a_token() {
    let (_data, app) = in_memory().await;
    let made = app.bootstrap(ada(), None).await.unwrap();
    assert_eq!(made.email, "ada@example.com");
    assert_eq!(app.vault().profile(&made.user_id).unwrap().full_name, "Ada Lovelace");
    let world = app.workspace(&made.workspace_id).unwrap().world();
    let opened = world.state.roster.opened.as_ref().unwrap();
    assert_eq!(&*opened.name, "Ada Lovelace's Workspace");
    assert_eq!(opened.slug, format!("ada-{}", &made.workspace_id.as_str()[..8]).into());
    assert_eq!(world.state.roster.role(&made.user_id), Some(Role::Owner));
    assert_eq!(app.workspaces_of(&made.user_id).len(), 1);
    let session = app.authenticate(made.cli_token.reveal()).unwrap();
    assert_eq!((session.user, session.scopes), (made.user_id, None));
    assert!(app.vault().last_used_at(&session.token).is_some());
}

#[tokio::test]
async fn only_one_of_two_bootstraps_wins_and_the_other_leaves_nothing_behind() {
    let (_data, app) = in_memory().await;
    let (one, two) = tokio::join!(app.bootstrap(ada(), None), app.bootstrap(ada(), None));
    assert!(one.is_ok() != two.is_ok());
    let refused = one.and(two).unwrap_err();
    let AccountError::Execute(ExecuteError::Rejected(rejection)) = refused else { panic!("{refused:?}") };
    assert_eq!(rejection.kind, RejectionKind::Gone);
    assert_eq!(app.vault().sweep(|_| false, |_| false, |_| false).await.unwrap(), 2, "one person, one token");
}

#[tokio::test(start_paused = true)]
async fn a_bootstrap_that_loses_its_room_half_way_still_tells_its_secret() {
    for seed in 0..100 {
        let data = tempfile::tempdir().unwrap();
        let journal = MemoryJournal::with_faults(Faults { seed, full_per_mille: 500, ..Faults::default() });
        let app = Taffrail::open_on(Options::new(data.path()), Arc::new(journal)).await.unwrap();
        let Ok(made) = app.bootstrap(ada(), None).await else { continue };
        if app.workspace(&made.workspace_id).is_some() {
            continue; // Both batches found room.
        }
        let workspace = app.writer_of(LogTag(1)).unwrap();
        assert!(app.authenticate(made.cli_token.reveal()).is_ok());
        let mut published = workspace.watch();
        published.wait_for(|world| world.state.roster.opened.is_some()).await.unwrap();
        assert_eq!(workspace.world().state.roster.role(&made.user_id), Some(Role::Owner));
        return;
    }
    panic!("no seed refuses the second batch only");
}

#[tokio::test]
async fn a_secret_is_shown_once() {
    let (_data, app) = in_memory().await;
    let made = app.bootstrap(ada(), named(1, 1)).await.unwrap();
    let again = app.bootstrap(ada(), named(1, 1)).await.unwrap_err();
    assert!(matches!(again, AccountError::SecretShown), "{again:?}");
    let other = app.bootstrap(ada(), named(1, 2)).await.unwrap_err();
    assert!(matches!(other, AccountError::Execute(ExecuteError::KeyReused)), "{other:?}");
    let session = app.authenticate(made.cli_token.reveal()).unwrap();
    let draft = TokenDraft::default();
    let issue = || app.issue_token(&session, &draft, named(2, 1));
    let (one, two) = tokio::join!(issue(), issue());
    let refused = one.and(two).unwrap_err();
    assert!(matches!(refused, AccountError::SecretShown), "{refused:?}");
    assert_eq!(app.instance().world().tokens_of(&made.user_id).count(), 2);
    assert_eq!(app.vault().sweep(|_| true, |_| false, |_| true).await.unwrap(), 2, "none for the repeat");
}

#[tokio::test]
async fn a_token_that_finds_no_room_in_the_vault_takes_its_person_along() {
    let (data, app) = in_memory().await;
    let folder = |name: &str| data.path().join("vault").join(name);
    std::fs::remove_dir(folder("tokens")).unwrap();
    assert!(matches!(app.bootstrap(ada(), None).await, Err(AccountError::Io(_))));
    assert_eq!(std::fs::read_dir(folder("users")).unwrap().count(), 0, "on the disk");
    assert_eq!(app.vault().sweep(|_| false, |_| false, |_| false).await.unwrap(), 0, "in memory");
}

#[tokio::test]
async fn a_token_is_made_whole_though_its_caller_hangs_up() {
    let (_data, app) = in_memory().await;
    let made = app.bootstrap(ada(), None).await.unwrap();
    let session = app.authenticate(made.cli_token.reveal()).unwrap();
    let draft = TokenDraft::default();
    tokio::select! {
        biased;
        issued = app.issue_token(&session, &draft, None) => panic!("at once: {issued:?}"),
        () = std::future::ready(()) => {}
    }
    app.drain().await;
    assert_eq!(app.instance().world().tokens_of(&made.user_id).count(), 2);
}

#[tokio::test]
async fn the_bootstrap_window_closes() {
    let data = tempfile::tempdir().unwrap();
    let options = Options { bootstrap_window: Some(Duration::ZERO), ..Options::new(data.path()) };
    let app = Taffrail::open_on(options, Arc::new(MemoryJournal::new())).await.unwrap();
    assert!(matches!(app.bootstrap(ada(), None).await, Err(AccountError::WindowClosed)));
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked_or_expires() {
    let data = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&now);
    let options =
        Options { clock: Arc::new(move || Time(clock.load(Ordering::Relaxed))), ..Options::new(data.path()) };
    let app = Taffrail::open_on(options, Arc::new(MemoryJournal::new())).await.unwrap();
    let made = app.bootstrap(ada(), None).await.unwrap();
    let (user, session) = (made.user_id, app.authenticate(made.cli_token.reveal()).unwrap());
    let draft = TokenDraft { expires_in_seconds: Some(1), ..TokenDraft::default() };
    let issued = app.issue_token(&session, &draft, None).await.unwrap();
    let secret = issued.secret.reveal();
    assert_eq!(app.authenticate(secret).unwrap().token, issued.token.id);
    assert_eq!(app.authenticate("crewship_cli_0"), Err(AuthError::Invalid));
    now.store(2_000, Ordering::Relaxed);
    assert_eq!(app.authenticate(secret), Err(AuthError::Expired));
    let stranger = app.revoke_token(&"somebody".into(), &issued.token.id, None).await;
    assert!(matches!(stranger, Err(ExecuteError::Rejected(_))));
    app.revoke_token(&user, &issued.token.id, None).await.unwrap();
    assert_eq!(app.authenticate(secret), Err(AuthError::Revoked));
    assert!(app.revoke_token(&user, &issued.token.id, None).await.unwrap().entries.is_empty());
}

/// The instance batch of a bootstrap whose process died before the workspace's own.
async fn half_a_bootstrap(journal: &Arc<dyn Journal>, data: &Path) -> TokenSecret {
    let surroundings = Surroundings {
        journal: Arc::clone(journal),
        clock: Arc::new(|| Time(1_000)),
        alarm: Alarm::default(),
    };
    let vault = Vault::open(data).unwrap();
    let secret = TokenSecret::fresh().unwrap();
    let password_hash = serde_json::from_str("\"x\"").unwrap();
    let profile = Profile { email: "ada@example.com".into(), full_name: "Ada".into(), password_hash };
    vault.put_user(&"u1".into(), profile.clone()).await.unwrap();
    vault.put_user(&"orphan".into(), profile).await.unwrap();
    vault.put_token(&"t1".into(), &secret).await.unwrap();
    let owner = UserId::from("u1");
    let command = InstanceCommand::Bootstrap(Bootstrap {
        user: NewUser { id: owner.clone(), email_key: vault.email_key("ada@example.com") },
        workspace: NewWorkspace {
            id: "w1".into(),
            name: "Ada's".into(),
            slug: "ada".into(),
            preferred_language: None,
            owner: owner.clone(),
        },
        token: IssueToken { id: "t1".into(), user: owner, grant: TokenGrant::unrestricted("b") },
    });
    let (writer, running) = writer::start(InstanceWorld::empty(LogTag::INSTANCE), &surroundings);
    writer.execute(Wish { command, actor: Actor::System, request: None }).await.unwrap();
    running.stop().await;
    secret
}

#[tokio::test]
async fn a_crash_between_the_two_logs_of_bootstrap_is_finished_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let secret = half_a_bootstrap(&journal, data.path()).await;
    for _ in 0..2 {
        let app = Taffrail::open_on(Options::new(data.path()), Arc::clone(&journal)).await.unwrap();
        let workspace = app.workspace(&"w1".into()).unwrap().world();
        assert_eq!(workspace.state.roster.role(&"u1".into()), Some(Role::Owner));
        assert_eq!(workspace.head(), Offset(2), "opened once, not again");
        assert_eq!(app.authenticate(secret.reveal()).unwrap().user, "u1".into());
        assert!(app.vault().profile(&"orphan".into()).is_none(), "swept: no fact was ever appended");
        app.drain().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_without_room_opens_a_registered_workspace_when_there_is_room() {
    let data = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryJournal::new());
    let journal: Arc<dyn Journal> = Arc::clone(&memory) as _;
    let secret = half_a_bootstrap(&journal, data.path()).await;
    memory.set_room(false);
    let app = Taffrail::open_on(Options::new(data.path()), journal).await.unwrap();
    assert!(app.authenticate(secret.reveal()).is_ok(), "what needs no room goes on");
    assert!(app.workspace(&"w1".into()).is_none());
    memory.set_room(true);
    let mut published = app.writer_of(LogTag(1)).unwrap().watch();
    published.wait_for(|world| world.state.roster.opened.is_some()).await.unwrap();
    assert!(app.workspace(&"w1".into()).is_some());
}

/// What the journal makes in a data directory, by its own rules.
const THE_JOURNALS: [&str; 4] = ["lock", "segments", "shelf", "store"];
/// Where a library makes its files with its own permissions: the folder is what keeps others out.
const INDEXES: &str = "search";

fn assert_only_the_owner_may_open(path: &Path) {
    let mode = std::fs::metadata(path).unwrap().permissions().mode() & PERMISSIONS;
    assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    if path.is_dir() && !path.ends_with(INDEXES) {
        let below = std::fs::read_dir(path).unwrap().map(|file| file.unwrap());
        let own = below.filter(|file| !THE_JOURNALS.iter().any(|name| file.file_name() == *name));
        own.for_each(|file| assert_only_the_owner_may_open(&file.path()));
    }
}

#[tokio::test]
async fn only_the_owner_may_open_what_is_in_the_data_directory() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let app = on_disk(&data).await;
    app.bootstrap(ada(), None).await.unwrap();
    app.drain().await;
    for path in ["snapshots/0-3.snap", "vault/key", "vault/users", "vault/tokens"] {
        assert!(data.join(path).exists(), "{path}");
    }
    assert_only_the_owner_may_open(&data);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let app = on_disk(data.path()).await;
    let made = app.bootstrap(ada(), None).await.unwrap();
    let workspace = app.workspace(&made.workspace_id).unwrap();
    let first = mission(&workspace, &made.user_id).await;
    let lived = (app.instance().world(), workspace.world());
    app.drain().await;
    drop(workspace);
    kill(app).await;
    // From a snapshot, then with a tail behind it that a killed process left.
    let app = on_disk(data.path()).await;
    assert_eq!((&app.instance().world(), &only_workspace(&app).world()), (&lived.0, &lived.1));
    retitle(&only_workspace(&app), &made.user_id, &first, "Second").await;
    let lived = only_workspace(&app).world();
    kill(app).await;
    let app = on_disk(data.path()).await;
    assert_eq!(only_workspace(&app).world(), lived, "snapshot and tail");
    kill(app).await;
    // And from zero.
    std::fs::remove_dir_all(data.path().join("snapshots")).unwrap();
    let app = on_disk(data.path()).await;
    assert_eq!(only_workspace(&app).world(), lived, "from zero");
    assert!(app.authenticate(made.cli_token.reveal()).is_ok());
}

#[tokio::test]
async fn a_journal_poisoned_at_the_drain_is_a_failure() {
    let data = tempfile::tempdir().unwrap();
    let journal = Arc::new(MemoryJournal::new());
    let app = Taffrail::open_on(Options::new(data.path()), Arc::clone(&journal) as _).await.unwrap();
    app.bootstrap(ada(), None).await.unwrap();
    assert_eq!(app.failure(), None);
    journal.poison("the last sync failed");
    app.drain().await;
    assert_eq!(app.failure().as_deref(), Some("the last sync failed"));
}

#[tokio::test]
async fn bytes_that_the_journal_may_name_stay_for_the_next_start_to_tell() {
    let data = tempfile::tempdir().unwrap();
    let journal = Arc::new(MemoryJournal::new());
    let app = Taffrail::open_on(Options::new(data.path()), Arc::clone(&journal) as _).await.unwrap();
    app.bootstrap(ada(), None).await.unwrap();
    let workspace = only_workspace(&app);
    let id = app.instance().world().state.workspaces.keys().next().unwrap().clone();
    let user = app.instance().world().state.users.keys().next().unwrap().clone();
    let (crew, _) = mission(&workspace, &user).await;
    let draft = IssueDraft { title: Some("With files".to_owned()), ..IssueDraft::default() };
    let issue = act(&workspace, &user, IssueCommand::Create { crew, draft: draft.into() }).await;
    let incoming = app.receive_attachment(&id).await.unwrap().take("hello".into()).await.unwrap();
    let (sha256, size_bytes) = (incoming.sha256(), incoming.len());
    let (filename, content_type) = ("a.txt".into(), "text/plain".into());
    let file = AttachedFile { filename, content_type, size_bytes, sha256: sha256.clone() };
    journal.poison("the last sync failed");
    let issue = Named { crew: None, name: issue.into() };
    let attached = app.attach((&id, &workspace), &user, (issue, file, incoming), None).await;
    assert!(matches!(attached, Err(AttachError::Execute(ExecuteError::Unavailable))), "{attached:?}");
    // Another is refused the same bytes, or loses them.
    app.release(&id, &workspace, std::slice::from_ref(&sha256)).await;
    assert!(data.path().join("attachments").join(id.as_str()).join(&*sha256).exists());
}

#[tokio::test]
async fn a_damaged_or_foreign_snapshot_costs_time_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let app = on_disk(data.path()).await;
    let user = app.bootstrap(ada(), None).await.unwrap().user_id;
    mission(&only_workspace(&app), &user).await;
    let lived = only_workspace(&app).world();
    app.drain().await;
    kill(app).await;
    let folder = data.path().join("snapshots");
    let path = folder.join(format!("1-{}.snap", lived.head()));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let unfinished = folder.join("1-99.snap.tmp");
    std::fs::write(&unfinished, "what a killed save left").unwrap();
    let app = on_disk(data.path()).await;
    assert_eq!(only_workspace(&app).world(), lived);
    assert!(!unfinished.exists());
    kill(app).await;
    // A snapshot that is whole, but of a chain that this journal never had.
    let snapshots = Snapshots::open(data.path()).unwrap();
    let position = Position { offset: lived.head().0, chain: [9; 32] };
    snapshots.save([0; 16], position, &*lived).unwrap();
    let app = on_disk(data.path()).await;
    assert_eq!(only_workspace(&app).world(), lived);
}

#[tokio::test]
async fn an_entry_of_a_newer_taffrail_stops_the_start_by_name() {
    let data = tempfile::tempdir().unwrap();
    let journal = MemoryJournal::new();
    let newer = Unsealed {
        time_ms: 1,
        kind: "user.created".into(),
        version: 99,
        subject: "u1".into(),
        actor: "system".into(),
        request: None,
        body: "{}".into(),
    };
    journal.append(LogId(0), 0, vec![newer]).await.unwrap();
    let error = Taffrail::open_on(Options::new(data.path()), Arc::new(journal)).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("log 0 offset 1") && said.contains("user.created has version 99"), "{said}");
}

#[tokio::test]
async fn a_clock_far_behind_stops_the_start_unless_it_is_accepted() {
    let data = tempfile::tempdir().unwrap();
    let app = on_disk(data.path()).await;
    app.bootstrap(ada(), None).await.unwrap();
    app.drain().await;
    kill(app).await;
    let early = Options { clock: Arc::new(|| Time(1_000)), ..Options::new(data.path()) };
    let error = Taffrail::open(early.clone()).await.unwrap_err();
    assert!(matches!(error, BootError::Clock(_)) && error.to_string().contains("--accept-clock"), "{error}");
    let app = Taffrail::open(Options { accept_clock: true, ..early }).await.unwrap();
    assert!(app.clock_behind_ms() > 24 * 60 * 60 * 1_000);
}

#[tokio::test]
async fn a_mission_can_be_read_as_it_was() {
    let (_data, app) = in_memory().await;
    let user = app.bootstrap(ada(), None).await.unwrap().user_id;
    let workspace = only_workspace(&app);
    let of = mission(&workspace, &user).await;
    let first = workspace.world();
    retitle(&workspace, &user, &of, "Second").await;
    let second = workspace.world();
    let then = app.mission_as_of(&second, &of.1, first.head()).await.unwrap().unwrap();
    assert_eq!(then, first.state.missions[&of.1]);
    let now = app.mission_as_of(&second, &of.1, second.head()).await.unwrap().unwrap();
    assert_eq!(now, second.state.missions[&of.1]);
    assert_eq!(app.mission_as_of(&second, &of.1, Offset(2)).await.unwrap(), None);
    assert_eq!(app.mission_as_of(&second, &"nobody".into(), Offset(9)).await.unwrap(), None);
}

#[tokio::test]
async fn entries_are_read_in_the_order_asked() {
    let (_data, app) = in_memory().await;
    app.bootstrap(ada(), None).await.unwrap();
    let entries = app.entries_at(LogTag::INSTANCE, vec![Offset(2), Offset(1)]).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.offset.0).collect::<Vec<_>>(), [2, 1]);
    let registered = Event::Instance(InstanceEvent::WorkspaceRegistered(WorkspaceRegistered {
        tag: LogTag(1),
        ..match &entries[0].event {
            Some(Event::Instance(InstanceEvent::WorkspaceRegistered(event))) => event.clone(),
            other => panic!("{other:?}"),
        }
    }));
    assert_eq!(entries[0].event, Some(registered));
    assert!(app.entries_at(LogTag::INSTANCE, vec![Offset(9)]).await.is_err());
}

#[tokio::test]
async fn a_person_who_joins_or_leaves_is_known_at_once_and_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let app = on_disk(data.path()).await;
    app.bootstrap(ada(), None).await.unwrap();
    let workspace = only_workspace(&app);
    let grace = UserId::from("grace");
    let change = async |workspace: &Writer<WorkspaceWorld>, command: RosterCommand| {
        let wish = Wish { command: command.into(), actor: Actor::System, request: None };
        workspace.execute(wish).await.unwrap();
    };
    assert!(app.workspaces_of(&grace).is_empty());
    change(&workspace, RosterCommand::AddMember { user: grace.clone(), role: Role::Viewer }).await;
    assert_eq!(app.workspaces_of(&grace).len(), 1);
    app.drain().await;
    drop(workspace);
    kill(app).await;

    let app = on_disk(data.path()).await;
    let (_, workspace) = app.workspaces_of(&grace).pop().unwrap();
    let member = workspace.world().state.roster.members[&grace].id.clone();
    change(&workspace, RosterCommand::ChangeRole { member: member.clone(), role: Role::Manager }).await;
    assert_eq!(app.overview.workspaces_of(&grace).len(), 1);
    change(&workspace, RosterCommand::RemoveMember { member }).await;
    assert!(app.overview.workspaces_of(&grace).is_empty());
}

#[tokio::test]
async fn the_clock_is_behind_the_last_entry_of_whichever_log() {
    let data = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&now);
    let clock: writer::Clock = Arc::new(move || Time(clock.load(Ordering::Relaxed)));
    let options = Options { clock, ..Options::new(data.path()) };
    let app = Taffrail::open_on(options, Arc::new(MemoryJournal::new())).await.unwrap();
    let user = app.bootstrap(ada(), None).await.unwrap().user_id;
    now.store(5_000, Ordering::Relaxed);
    mission(&only_workspace(&app), &user).await;
    assert_eq!(app.clock_behind_ms(), 0);
    now.store(2_000, Ordering::Relaxed);
    assert_eq!(app.clock_behind_ms(), 3_000);
}
