//! The first account: two logs and a vault, killed in between.

use std::fs;

use taffrail::boot::{Options, Taffrail};
use taffrail::vault::{Profile, TokenSecret};
use taffrail::writer::Wish;
use taffrail_domain::instance::{Bootstrap, InstanceCommand, IssueToken, NewUser, NewWorkspace, TokenGrant};
use taffrail_domain::roster::Role;
use taffrail_domain::{Actor, TokenId, UserId, WorkspaceId};
use taffrail_projections::World;

use super::offline;
use crate::program::{Account, Client, Data, Folded, PASSWORD, Program, eventually};

const EMAIL: &str = "ada@example.org";

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_was_registered_and_not_opened_is_there_at_the_next_start() {
    let data = Data::new();
    let account = register_only(&data).await;
    assert_eq!(data.copy().verify().heads.len(), 1, "only the instance log was written");
    let program = Program::start(data.path());
    let client = Client::of(&program.url, &account);
    assert_eq!(client.missions().await.len(), 0);
    let (crew, lead) = client.crew("late").await;
    client.mission(&crew, &lead, "After all").await;
    assert_eq!(client.try_bootstrap().await.unwrap().status, 410);
    let before = Folded::opened(&data.killed(program).copy()).await;
    // It was opened once: a further start adds nothing.
    drop(Program::start(data.path()));
    assert!(Folded::opened(&data.copy()).await == before);
    offline::prove(&data, &[]).await;
}

/// What a process leaves that is killed between the two logs of bootstrap.
async fn register_only(data: &Data) -> Account {
    let app = Taffrail::open(Options::new(data.path())).await.unwrap();
    let (user, token) =
        (UserId::from("cuser0000000000000000000a"), TokenId::from("ctoken000000000000000000a"));
    let workspace = WorkspaceId::from("cworkspace00000000000000a");
    let password_hash = app.vault().passwords().hash(PASSWORD.to_owned().into()).await.unwrap();
    let profile = Profile { email: EMAIL.into(), full_name: "Ada Lovelace".into(), password_hash };
    app.vault().put_user(&user, profile).await.unwrap();
    let secret = TokenSecret::fresh().unwrap();
    app.vault().put_token(&token, &secret).await.unwrap();
    let command = InstanceCommand::Bootstrap(Bootstrap {
        user: NewUser { id: user.clone(), email_key: app.vault().email_key(EMAIL) },
        workspace: NewWorkspace {
            id: workspace.clone(),
            name: "Ada's Workspace".into(),
            slug: "ada".into(),
            preferred_language: None,
            owner: user.clone(),
        },
        token: IssueToken { id: token, user: user.clone(), grant: TokenGrant::unrestricted("bootstrap") },
    });
    let wish = Wish { command, actor: Actor::User(user.clone()), request: None };
    app.instance().execute(wish).await.unwrap();
    app.drain().await;
    Account { workspace: workspace.to_string(), token: secret.reveal().to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_bootstrap_at_once_are_told_201_and_410() {
    let data = Data::new();
    let program = Program::start(data.path());
    let client = Client::stranger(&program.url);
    let (one, other) = tokio::join!(client.try_bootstrap(), client.try_bootstrap());
    let mut answers = [one.unwrap(), other.unwrap()];
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers.each_ref().map(|answer| answer.status), [201, 410]);
    let files = |folder| fs::read_dir(data.join(folder)).unwrap().count();
    // The other one's files went with its refusal.
    assert_eq!((files("vault/users"), files("vault/tokens")), (1, 1));
    let [made, _] = answers;
    let account = Account { workspace: made.text("workspace_id"), token: made.text("cli_token") };
    Client::of(&program.url, &account).missions().await;
}

/// Whether a moment of bootstrap has come, seen from the data directory.
type Moment = fn(&Data) -> bool;

fn has_file(data: &Data, folder: &str) -> bool {
    fs::read_dir(data.join(folder)).unwrap().next().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_during_bootstrap_leaves_a_whole_account_or_none() {
    let moments: [(&str, Moment); 4] = [
        ("at once", |_| true),
        ("the user's file", |data| has_file(data, "vault/users")),
        ("the token's file", |data| has_file(data, "vault/tokens")),
        ("the first group", |data| !data.used_segments().is_empty()),
    ];
    for (name, has_come) in moments {
        let data = Data::new();
        let program = Program::start(data.path());
        let client = Client::stranger(&program.url);
        let asking = tokio::spawn(async move { client.try_bootstrap().await });
        eventually(name, || has_come(&data));
        program.kill();
        let acknowledged = asking.await.unwrap();
        let program = Program::start(data.path());
        let again = Client::stranger(&program.url).try_bootstrap().await.unwrap();
        match again.status {
            // None was left: the second one has all to itself.
            201 => assert!(acknowledged.is_none(), "{name}: acknowledged and gone"),
            410 => {}
            _ => panic!("{name}: {again:?}"),
        }
        program.kill();
        assert_one_whole_account(&data).await;
        offline::prove(&data, &[]).await;
    }
}

/// One user with one profile, one live token with one digest, one workspace that they own.
async fn assert_one_whole_account(data: &Data) {
    let copy = data.copy();
    let app = Taffrail::open(Options::new(copy.path())).await.unwrap();
    let instance = app.instance().world();
    let state = &instance.state;
    assert_eq!((state.users.len(), state.workspaces.len(), state.tokens.len()), (1, 1, 1));
    let user = state.users.keys().next().unwrap();
    assert_eq!(app.vault().profile(user).unwrap().email, EMAIL);
    let (id, writer) = app.workspaces_of(user).pop().unwrap();
    assert_eq!(state.workspaces.keys().next(), Some(&id));
    assert_eq!(writer.world().state.roster.role(user), Some(Role::Owner));
    assert!(writer.world().head().0 > 0);
    for (folder, id) in
        [("vault/users", user.as_str()), ("vault/tokens", state.tokens.keys().next().unwrap().as_str())]
    {
        let names: Vec<_> =
            fs::read_dir(data.join(folder)).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(names, [id], "{folder}");
    }
    app.drain().await;
}

impl Data {
    /// The directory after its process was killed.
    fn killed(&self, program: Program) -> &Self {
        program.kill();
        self
    }
}
