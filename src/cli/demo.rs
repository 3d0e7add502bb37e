//! A small workspace to play with, seeded through the same commands as any other.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use taffrail_domain::instance::{AccountDraft, TokenDraft};
use taffrail_domain::issue::{IssueCommand, IssueDraft};
use taffrail_domain::mission::{MissionCommand, MissionDraft, MissionEvent, TaskDraft};
use taffrail_domain::roster::{AgentPatch, CrewPatch, RosterCommand};
use taffrail_domain::{Actor, Command, CrewId, Entry, Event, Mint, MissionId, UserId, WorkspaceId};
use taffrail_journal::Request;
use taffrail_projections::WorkspaceWorld;

use super::demo_agent::FAILS_ONCE;
use crate::boot::{AccountError, Session, Taffrail};
use crate::config::{Adapter, Stdin};
use crate::durable;
use crate::mint::FreshIds;
use crate::writer::{ExecuteError, Wish, Writer};

const FILE: &str = "demo.json";
const EMAIL: &str = "demo@example.com";
const TOKEN_NAME: &str = "demo";
/// Title, and which tasks before it must be completed first.
const TASKS: [(&str, &[usize]); 5] = [
    ("List what the beta must do", &[]),
    ("Write the release notes", &[0]),
    ("Try the installation on a clean machine", &[0]),
    ("Fix what the trial found", &[2]),
    ("Publish", &[1, 3]),
];

/// Title, priority, and whether an agent is on it.
const ISSUES: [(&str, &str, bool); 3] = [
    ("Write the welcome mail", "high", true),
    ("Answer the first letters", "medium", false),
    ("Count who came back", "low", false),
];

/// Why the demo is not ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// There are users, but not the demo's: this is somebody's real instance.
    #[error("this data directory already has users of its own; choose another one with --data")]
    Occupied,
    /// The first account could not be made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A command of the demo was refused.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// `demo.json` could not be read or written.
    #[error("{FILE}: {0}")]
    Io(#[from] io::Error),
    /// The demo's workspace is not there any more.
    #[error("its workspace is gone; choose another data directory with --data")]
    Gone,
}

/// How to get in. Kept beside the journal, readable by its owner only, so that a later start can say
/// it again. Written before each step that cannot be taken twice.
#[derive(Serialize, Deserialize)]
pub(super) struct Demo {
    email: String,
    password: String,
    /// Known once the account is made.
    #[serde(flatten)]
    entrance: Option<Entrance>,
    /// Known once the workspace is seeded.
    seeded: Option<Seeded>,
    /// Whether this start made it.
    #[serde(skip)]
    is_new: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entrance {
    user_id: UserId,
    workspace_id: WorkspaceId,
    token: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Seeded {
    crew_id: CrewId,
    mission_id: MissionId,
}

/// Seeds the demo on first use; later finds it again. A start that was killed half-way goes on where
/// it stopped: the password is written down before it is used, a token that nobody saw is replaced,
/// and every command of the seeding has a name.
pub(super) async fn ready(app: &Arc<Taffrail>, data: &Path) -> Result<Demo, DemoError> {
    let path = data.join(FILE);
    let mut demo = match read(&path)? {
        Some(demo) => demo,
        None => begin(app, &path)?,
    };
    let entrance = match demo.entrance.clone() {
        Some(entrance) => entrance,
        None => {
            let entrance = enter(app, &demo).await?;
            (demo.entrance, demo.is_new) = (Some(entrance.clone()), true);
            write(&path, &demo)?;
            entrance
        }
    };
    if demo.seeded.is_none() {
        let workspace = open(app, &entrance.workspace_id)?;
        demo.seeded = Some(Seeding { workspace, user: entrance.user_id }.run().await?);
        write(&path, &demo)?;
    }
    Ok(demo)
}

fn begin(app: &Taffrail, path: &Path) -> Result<Demo, DemoError> {
    if !app.instance().world().state.users.is_empty() {
        return Err(DemoError::Occupied);
    }
    let (email, password) = (EMAIL.to_owned(), FreshIds.hex16());
    let demo = Demo { email, password, entrance: None, seeded: None, is_new: true };
    write(path, &demo)?;
    Ok(demo)
}

/// Makes the account, or goes in by the one that a killed start has made.
async fn enter(app: &Arc<Taffrail>, demo: &Demo) -> Result<Entrance, DemoError> {
    if !app.instance().world().state.users.is_empty() {
        return enter_again(app, demo).await;
    }
    let draft = AccountDraft {
        full_name: Some("Demo".to_owned()),
        email: Some(demo.email.clone()),
        password: Some(demo.password.clone()),
    };
    let account = draft.account().map_err(AccountError::from)?;
    let made = app.bootstrap(account, None).await?;
    let token = made.cli_token.reveal().to_owned();
    Ok(Entrance { user_id: made.user_id, workspace_id: made.workspace_id, token })
}

/// The only user of the instance is the demo's: nobody was told their token, so they get another one.
async fn enter_again(app: &Arc<Taffrail>, demo: &Demo) -> Result<Entrance, DemoError> {
    let world = app.instance().world();
    let state = &world.state;
    let is_alone = state.users.len() == 1;
    let user = state.emails.get(&app.vault().email_key(&demo.email)).filter(|_| is_alone);
    let user = user.ok_or(DemoError::Occupied)?;
    let workspace = state.workspaces.values().find(|workspace| workspace.owner == *user);
    let workspace_id = workspace.ok_or(DemoError::Gone)?.id.clone();
    let first = world.tokens_of(user).last().ok_or(DemoError::Gone)?;
    let issuer = Session { user: user.clone(), token: first.id.clone(), scopes: None, expires_at: None };
    let draft = TokenDraft { name: Some(TOKEN_NAME.to_owned()), ..TokenDraft::default() };
    let issued = app.issue_token(&issuer, &draft, None).await?;
    Ok(Entrance { user_id: user.clone(), workspace_id, token: issued.secret.reveal().to_owned() })
}

/// The demo's workspace; one that is registered waits for room.
fn open(app: &Taffrail, id: &WorkspaceId) -> Result<Writer<WorkspaceWorld>, DemoError> {
    let is_registered = app.instance().world().state.workspaces.contains_key(id);
    let closed = if is_registered { ExecuteError::Full.into() } else { DemoError::Gone };
    app.workspace(id).ok_or(closed)
}

fn read(path: &Path) -> io::Result<Option<Demo>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, demo: &Demo) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(demo)?;
    durable::replace(path, |file| file.write_all(&bytes))
}

/// The demo's agent, as an adapter like any other; `None` if this program cannot find itself.
pub(super) fn adapter() -> Option<Adapter> {
    let program = std::env::current_exe().ok()?;
    Some(Adapter {
        name: "demo".to_owned(),
        command: vec![program.to_str()?.to_owned(), "demo-agent".to_owned()],
        wrapper: vec![],
        cli_adapters: vec![],
        workdir: "{mission}/{agent}".to_owned(),
        env: vec![],
        stdin: Stdin::Json,
        timeout_seconds: 60,
        output_bytes: 1 << 20,
    })
}

/// The commands that make the workspace worth a look.
struct Seeding {
    workspace: Writer<WorkspaceWorld>,
    user: UserId,
}

impl Seeding {
    async fn run(&self) -> Result<Seeded, DemoError> {
        let crew = CrewId::from(&*self.make("crew", RosterCommand::CreateCrew(crew())).await?.subject);
        let (mut lead, mut grace) = (String::new(), String::new());
        for (name, slug, role, title) in [
            ("Ada", "ada", "LEAD", "Lead"),
            ("Grace", "grace", "AGENT", "Engineer"),
            ("Linus", "linus", "AGENT", "Tester"),
        ] {
            let agent = self.make(slug, RosterCommand::CreateAgent(agent(&crew, name, slug, role, title)));
            let agent = agent.await?.subject.to_string();
            match slug {
                "ada" => lead = agent,
                "grace" => grace = agent,
                _ => {}
            }
        }
        let draft = MissionDraft {
            title: Some("Ship the beta".to_owned()),
            description: Some("Everything a first user needs, and nothing else.".to_owned()),
            lead_agent_id: Some(lead),
            workflow_template: None,
        };
        let mission = self.make("mission", MissionCommand::Create { crew: crew.clone(), draft }).await?;
        let mission = MissionId::from(&*mission.subject);
        self.add_tasks(&crew, &mission).await?;
        self.add_issues(&crew, &grace).await?;
        Ok(Seeded { crew_id: crew, mission_id: mission })
    }

    async fn add_tasks(&self, crew: &CrewId, mission: &MissionId) -> Result<(), DemoError> {
        let mut ids: Vec<String> = vec![];
        for (order, (title, before)) in (1..).zip(TASKS) {
            let draft = TaskDraft {
                title: Some(title.to_owned()),
                task_order: Some(order),
                // The demo's agent fails this one once.
                max_iterations: (title == FAILS_ONCE).then_some(2),
                depends_on: Some(before.iter().map(|index| ids[*index].clone()).collect()),
                ..TaskDraft::default()
            };
            let add =
                MissionCommand::AddTask { crew: crew.clone(), mission: mission.clone(), draft: Ok(draft) };
            let entry = self.make(title, add).await?;
            let Some(Event::Mission(MissionEvent::TaskCreated(task))) = entry.event else {
                return Err(DemoError::Gone);
            };
            ids.push(task.task_id.to_string());
        }
        Ok(())
    }

    /// The first is somebody's already, and can be started.
    async fn add_issues(&self, crew: &CrewId, agent: &str) -> Result<(), DemoError> {
        for (title, priority, is_assigned) in ISSUES {
            let draft = IssueDraft {
                title: Some(title.to_owned()),
                priority: Some(priority.to_owned()),
                assignee_type: is_assigned.then(|| "agent".to_owned()),
                assignee_id: is_assigned.then(|| agent.to_owned()),
                ..IssueDraft::default()
            };
            self.make(title, IssueCommand::Create { crew: crew.clone(), draft: draft.into() }).await?;
        }
        Ok(())
    }

    /// Executes a command once, whatever happens in between; gives the entry it made.
    async fn make(&self, name: &str, command: impl Into<Command>) -> Result<Entry, DemoError> {
        let digest = Sha256::digest(format!("demo:{name}"));
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        let wish = Wish {
            command: command.into(),
            actor: Actor::User(self.user.clone()),
            request: Some(Request { id, fingerprint: [0; 8] }),
        };
        let entries = self.workspace.execute(wish).await?.entries;
        entries.into_iter().next().ok_or(DemoError::Gone)
    }
}

fn crew() -> CrewPatch {
    CrewPatch {
        name: Some("Release".to_owned()),
        slug: Some("release".to_owned()),
        description: Some(Some("Brings things to their users.".to_owned())),
        ..CrewPatch::default()
    }
}

fn agent(crew: &CrewId, name: &str, slug: &str, role: &str, title: &str) -> AgentPatch {
    AgentPatch {
        name: Some(name.to_owned()),
        slug: Some(slug.to_owned()),
        crew_id: Some(Some(crew.to_string())),
        agent_role: Some(role.to_owned()),
        role_title: Some(Some(title.to_owned())),
        ..AgentPatch::default()
    }
}

impl Demo {
    /// What a person needs to try it.
    pub(super) fn text(&self, address: SocketAddr) -> String {
        let (Some(entrance), Some(seeded)) = (&self.entrance, &self.seeded) else { return String::new() };
        let begin = match self.is_new {
            true => "A demo workspace was made for you.",
            false => "The demo workspace is still there.",
        };
        let Self { email, password, .. } = self;
        let Entrance { workspace_id, token, .. } = entrance;
        let Seeded { crew_id, mission_id } = seeded;
        format!(
            r#"
{begin}

  workspace  {workspace_id}
  login      {email} {password}
  token      {token}

Try it in another terminal:

  export TOKEN={token}
  export URL=http://{address}
  export WORKSPACE={workspace_id} CREW={crew_id} MISSION={mission_id} ISSUE=REL-1
  curl -H "Authorization: Bearer $TOKEN" "$URL/api/v1/missions?workspace_id=$WORKSPACE"
  curl -H "Authorization: Bearer $TOKEN" -X POST -d '{{"label":"before the start"}}' "$URL/api/v1/missions/$MISSION/checkpoints?workspace_id=$WORKSPACE"
  curl -H "Authorization: Bearer $TOKEN" -X POST "$URL/api/v1/crews/$CREW/missions/$MISSION/start?workspace_id=$WORKSPACE"
  curl -N --max-time 15 -H "Authorization: Bearer $TOKEN" "$URL/api/v1/journal/stream?workspace_id=$WORKSPACE" || true
  curl -H "Authorization: Bearer $TOKEN" "$URL/api/v1/issues?workspace_id=$WORKSPACE"
  curl -H "Authorization: Bearer $TOKEN" -X POST "$URL/api/v1/crews/$CREW/issues/$ISSUE/start?workspace_id=$WORKSPACE"
  curl -H "Authorization: Bearer $TOKEN" "$URL/api/v1/journal?workspace_id=$WORKSPACE"
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use taffrail_journal::MemoryJournal;

    use super::*;
    use crate::boot::Options;

    /// Every place where a start can be killed: what `demo.json` says then.
    #[tokio::test]
    async fn a_start_that_was_killed_half_way_goes_on_where_it_stopped() {
        let data = tempfile::tempdir().unwrap();
        let options = Options::new(data.path());
        let app = Taffrail::open_on(options, Arc::new(MemoryJournal::new())).await.unwrap();
        let path = data.path().join(FILE);
        let begun = begin(&app, &path).unwrap();
        let demo = ready(&app, data.path()).await.unwrap();
        assert_eq!(demo.password, begun.password, "written down before it was used");
        let (entrance, seeded) = (demo.entrance.unwrap(), demo.seeded.unwrap());

        // Killed after the account was made, before the file said so.
        write(&path, &begun).unwrap();
        let again = ready(&app, data.path()).await.unwrap();
        let found = again.entrance.clone().unwrap();
        assert_eq!((&found.user_id, &found.workspace_id), (&entrance.user_id, &entrance.workspace_id));
        assert_eq!(app.authenticate(&found.token).unwrap().user, entrance.user_id);
        assert_eq!(again.seeded.as_ref().unwrap().mission_id, seeded.mission_id, "seeded once");

        // Killed before it was seeded.
        write(&path, &Demo { seeded: None, ..again }).unwrap();
        let again = ready(&app, data.path()).await.unwrap();
        assert_eq!(again.entrance.unwrap().token, found.token);
        assert_eq!(again.seeded.unwrap().mission_id, seeded.mission_id);
    }

    #[tokio::test]
    async fn a_directory_with_users_of_its_own_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let options = Options::new(data.path());
        let app = Taffrail::open_on(options, Arc::new(MemoryJournal::new())).await.unwrap();
        let begun = begin(&app, &data.path().join(FILE)).unwrap();
        // The first start got no further; then somebody made an account of their own.
        let somebody = Demo { email: "ada@example.com".to_owned(), ..begun };
        enter(&app, &somebody).await.unwrap();
        let refused = ready(&app, data.path()).await;
        assert!(matches!(refused, Err(DemoError::Occupied)));
    }
}
