//! A workspace with a past in several segments, made once, copied and hurt many times.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::program::{Account, Client, Data, Ended, Program, eventually};

/// Bytes before a segment's first group.
const HEADER_BYTES: usize = 4096;
/// Bytes before a group's body; its length stands at 16.
const LEAD_BYTES: usize = 24;
/// Processes that wrote the past: each start seals what was before.
const LIVES: usize = 4;

/// What a data directory must say, whatever was done to it.
pub(super) struct Scene {
    data: Data,
    account: Account,
    crew: String,
    lead: String,
    missions: Vec<Value>,
    journal: Vec<String>,
}

impl Scene {
    /// The scene that tests share. Its processes were killed but for the last one, which drained: what a
    /// killed one has not flushed is not on the shelf, however small the lag it told.
    pub(super) async fn shared() -> &'static Self {
        static SCENE: OnceCell<Scene> = OnceCell::const_new();
        SCENE.get_or_init(Self::make).await
    }

    async fn make() -> Self {
        let data = Data::new();
        let program = Program::start(data.path());
        let account = Client::stranger(&program.url).bootstrap().await;
        let (crew, lead) = Client::of(&program.url, &account).crew("faults").await;
        program.kill();
        let mut scene = Self { data, account, crew, lead, missions: vec![], journal: vec![] };
        for life in 0..LIVES {
            let program = Program::start(scene.data.path());
            let client = scene.client(&program);
            for number in 0..3 {
                let id = client.mission(&scene.crew, &scene.lead, &format!("{life}-{number}")).await;
                let tasks = format!("/api/v1/crews/{}/missions/{id}/tasks", scene.crew);
                for task in ["a", "b"] {
                    client
                        .post(&tasks, json!({ "title": task, "description": "x".repeat(200) }))
                        .await
                        .expect(201);
                }
            }
            (scene.missions, scene.journal) = (client.missions().await, client.journal().await);
            if life < LIVES - 1 {
                program.kill()
            } else {
                program.stop()
            };
        }
        // Whatever they cover would not be looked at.
        scene.data.remove("snapshots");
        assert!(scene.data.used_segments().len() > LIVES);
        scene
    }

    fn client(&self, program: &Program) -> Client {
        Client::of(&program.url, &self.account)
    }

    /// A copy to hurt.
    pub(super) fn copy(&self) -> Data {
        self.data.copy()
    }

    /// A copy without the reading copy: nothing can be restored.
    pub(super) fn without_shelf(&self) -> Data {
        let copy = self.copy();
        copy.remove("shelf");
        copy
    }

    /// A copy whose last group the shelf never saw; the scene is from before that group.
    pub(super) async fn with_an_unshelved_group(&self) -> Data {
        let copy = self.without_shelf();
        let program = Program::start(copy.path());
        self.client(&program).mission(&self.crew, &self.lead, "The last group").await;
        eventually("the next segment is prepared", || copy.segments().len() > copy.used_segments().len());
        program.kill();
        copy.remove("shelf");
        copy
    }

    /// Starts it, finds everything and nothing else, and that work goes on. Says what it said.
    pub(super) async fn nothing_is_lost(&self, data: &Data) -> Found {
        let program = Program::start(data.path());
        let client = self.client(&program);
        assert_eq!(client.missions().await, self.missions);
        assert_eq!(client.journal().await, self.journal);
        self.read_every_entry(&client).await;
        let checks = client.checks().await;
        client.mission(&self.crew, &self.lead, "Work goes on").await;
        client.until_shelved().await;
        let ended = program.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        data.verify();
        // What was put right serves the next start.
        let program = Program::start(data.path());
        assert_eq!(self.client(&program).missions().await.len(), self.missions.len() + 1);
        program.kill();
        Found { checks, ended }
    }

    /// Old bodies come from shelf or segments, not from memory.
    async fn read_every_entry(&self, client: &Client) {
        for id in self.journal.iter().step_by(7) {
            assert_eq!(client.read(&format!("/api/v1/journal/{id}")).await["id"], **id);
        }
    }
}

/// What a start said about what it found.
pub(super) struct Found {
    checks: Value,
    ended: Ended,
}

impl Found {
    /// It was repaired, and both health and log say so.
    pub(super) fn assert_repaired(&self, sentence: &str) {
        assert!(self.checks["repairs"].as_u64().unwrap() > 0, "{}", self.checks);
        assert!(self.ended.stderr.contains(sentence), "{sentence} in {}", self.ended.stderr);
    }

    /// Nothing had to be repaired.
    pub(super) fn assert_untouched(&self) {
        assert_eq!(self.checks["repairs"], 0, "{}", self.ended.stderr);
    }

    pub(super) fn log(&self) -> &str {
        &self.ended.stderr
    }
}

/// A start that refuses, with exit code 1 and one sentence that holds all of this.
pub(super) fn assert_refused(data: &Data, words: &[&str]) {
    let ended = Program::try_start(data.path(), &[]).err().expect("it must refuse to start");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sentence = ended.stderr.lines().find(|line| line.starts_with("taffrail: cannot start:"));
    let sentence = sentence.unwrap_or_else(|| panic!("no sentence in {}", ended.stderr));
    for word in words {
        assert!(sentence.contains(word), "{word:?} in {sentence:?}");
    }
}

/// Where the groups of a segment begin, and where the last one ends.
pub(super) fn group_starts(segment: &[u8]) -> Vec<usize> {
    let mut at = HEADER_BYTES;
    let mut starts = vec![at];
    while segment.get(at..at + 4) == Some(b"TFGR") {
        at += LEAD_BYTES + u32::from_be_bytes(segment[at + 16..at + 20].try_into().unwrap()) as usize;
        starts.push(at);
    }
    starts
}

/// Changes a file.
pub(super) fn hurt(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Flips one bit in the middle of these bytes.
pub(super) fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
}
