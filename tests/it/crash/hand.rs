//! One client at work: it changes only what is its own, so it knows exactly what must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::Value;

use super::picture::{Picture, tasks, text};
use super::wish::{Bookmark, Wish};
use crate::program::{Answer, Client};

/// Own missions at which a hand rather deletes than creates.
const MISSIONS_MAX: usize = 12;
/// Tasks at which a mission gets no more.
const TASKS_MAX: usize = 5;

/// Where hands work in one life of the process.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) client: Client,
    pub(super) crew: String,
    pub(super) lead: String,
    /// The mission that all of them add tasks to.
    pub(super) shared: String,
    /// Counts what is acknowledged, and acts when there is enough.
    pub(super) fuse: Arc<Fuse>,
}

/// Does something at the `at`-th acknowledged request: a moment in the work, not in time.
pub(super) struct Fuse {
    acknowledged: AtomicUsize,
    at: usize,
    act: Box<dyn Fn() + Send + Sync>,
}

impl Fuse {
    pub(super) fn new(at: usize, act: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { acknowledged: AtomicUsize::new(0), at, act: Box::new(act) })
    }

    pub(super) fn acknowledged(&self) {
        if self.acknowledged.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            (self.act)();
        }
    }
}

/// A wish that was sent and whose outcome is not yet read back.
struct Open {
    wish: Wish,
    key: String,
    answer: Option<Answer>,
}

/// One client, and all it was ever told.
pub(super) struct Hand {
    name: String,
    random: StdRng,
    wishes: u64,
    open: Option<Open>,
    missions: BTreeMap<String, Value>,
    checkpoints: BTreeMap<String, Bookmark>,
    /// Tasks it added to shared missions, by mission.
    shared: BTreeMap<String, Vec<Value>>,
    /// Missions it deleted.
    gone: BTreeSet<String>,
    /// Cursors of all acknowledged writes, ascending.
    pub(super) cursors: Vec<String>,
}

impl Hand {
    pub(super) fn new(number: u64, seed: u64) -> Self {
        Self {
            name: format!("h{number}"),
            random: StdRng::seed_from_u64(seed ^ (number << 32)),
            wishes: 0,
            open: None,
            missions: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            shared: BTreeMap::new(),
            gone: BTreeSet::new(),
            cursors: vec![],
        }
    }

    /// Ids of the missions it was told of.
    pub(super) fn known(&self) -> impl Iterator<Item = &String> {
        self.missions.keys()
    }

    /// Tasks it was told of in a shared mission, and the title of one whose fate it does not know.
    pub(super) fn shared_tasks(&self, mission: &str) -> (&[Value], Option<&str>) {
        let told = self.shared.get(mission).map_or(&[][..], |tasks| tasks);
        let open = self.open.as_ref().and_then(|open| match &open.wish {
            Wish::AddShared { mission: of, title } if of == mission => Some(&**title),
            _ => None,
        });
        (told, open)
    }

    /// Works until the process is gone.
    pub(super) async fn work(mut self, bench: Bench) -> Self {
        loop {
            let wish = self.next_wish(&bench);
            let key = format!("{}-{}", self.name, self.wishes);
            self.open = Some(Open { wish, key, answer: None });
            if self.send(&bench).await.is_none() || self.read_back(&bench).await.is_none() {
                return self;
            }
        }
    }

    /// Sends the open wish; `None` if nobody answers.
    async fn send(&mut self, bench: &Bench) -> Option<()> {
        let open = self.open.as_mut()?;
        let (method, path, body) = open.wish.request(&bench.crew, &bench.lead);
        let answer = bench.client.send(method, &path, body.as_ref(), Some(&open.key)).await?;
        assert!(answer.is_done(), "{:?}: {answer:?}", open.wish);
        let cursor = answer.cursor.clone().unwrap();
        assert!(self.cursors.last().is_none_or(|last| *last < cursor), "{:?} {cursor}", self.cursors.last());
        self.cursors.push(cursor);
        open.answer = Some(answer);
        bench.fuse.acknowledged();
        Some(())
    }

    /// Reads what the answered wish made: exactly what was answered. `None` if nobody answers any more.
    async fn read_back(&mut self, bench: &Bench) -> Option<()> {
        let open = self.open.as_ref()?;
        let answered = &open.answer.as_ref()?.body;
        let mission = async |id: &str| {
            let path = format!("/api/v1/crews/{}/missions/{id}", bench.crew);
            bench.client.send(Method::GET, &path, None, None).await
        };
        let checkpoint = async |id: &str| {
            bench.client.send(Method::GET, &format!("/api/v1/checkpoints/{id}"), None, None).await
        };
        match open.wish.clone() {
            Wish::Create { .. } => {
                let found = mission(&text(answered, "id")).await?.expect(200);
                assert_holds(&found, answered);
                self.missions.insert(text(&found, "id"), found);
            }
            Wish::Rename { mission: id, .. } | Wish::Start { mission: id } => {
                let found = mission(&id).await?.expect(200);
                assert_holds(&found, answered);
                self.missions.insert(id, found);
            }
            Wish::Add { mission: id, .. } | Wish::Move { mission: id, .. } => {
                let found = mission(&id).await?.expect(200);
                assert!(tasks(&found).contains(answered), "{answered} in {found}");
                self.missions.insert(id, found);
            }
            Wish::AddShared { mission, .. } => {
                let answered = answered.clone();
                self.shared.entry(mission).or_default().push(answered);
            }
            Wish::Bookmark { mission, .. } => {
                let view = checkpoint(&text(answered, "id")).await?.expect(200);
                assert_eq!(view, *answered);
                let then = self.missions[&mission].clone();
                self.checkpoints.insert(text(&view, "id"), Bookmark { view, then });
            }
            Wish::Restore { .. } => {}
            Wish::Fork { checkpoint: source, .. } => {
                let found = mission(&text(answered, "new_mission_id")).await?.expect(200);
                let view = checkpoint(&text(answered, "new_checkpoint_id")).await?.expect(200);
                assert_eq!((&view["fork_of"], &view["mission_id"]), (&source.into(), &found["id"]));
                self.checkpoints.insert(text(&view, "id"), Bookmark { view, then: found.clone() });
                self.missions.insert(text(&found, "id"), found);
            }
            Wish::Drop { checkpoint: id } => {
                checkpoint(&id).await?.expect(404);
                self.forget_checkpoint(&id);
            }
            Wish::Delete { mission: id, checkpoints } => {
                mission(&id).await?.expect(404);
                checkpoints.iter().for_each(|checkpoint| self.forget_checkpoint(checkpoint));
                self.missions.remove(&id);
                self.gone.insert(id);
            }
        }
        self.open = None;
        Some(())
    }

    /// A fork outlives its source, which it then names no more.
    fn forget_checkpoint(&mut self, id: &str) {
        self.checkpoints.remove(id);
        for bookmark in self.checkpoints.values_mut().filter(|bookmark| bookmark.view["fork_of"] == *id) {
            bookmark.view.as_object_mut().unwrap().remove("fork_of");
        }
    }

    /// After a start: all it was told is there, exactly; the open wish is there whole or not at all.
    /// Says whether the open wish explains a mission that nobody was told of.
    pub(super) async fn check(&mut self, now: &Picture, client: &Client) -> bool {
        let touched = self.open.as_ref().and_then(|open| open.wish.changes());
        for (id, document) in &self.missions {
            if touched != Some(id) {
                assert_eq!(now.missions.get(id), Some(document), "mission {id}");
            }
        }
        assert!(self.gone.iter().all(|id| !now.missions.contains_key(id)), "a deleted mission came back");
        for (mission, told) in &self.shared {
            let there = tasks(&now.missions[mission]);
            assert!(told.iter().all(|task| there.contains(task)), "mission {mission}");
        }
        let open = self.open.as_ref();
        let spared: Vec<&String> = match open.map(|open| &open.wish) {
            Some(Wish::Drop { checkpoint }) => vec![checkpoint],
            Some(Wish::Delete { checkpoints, .. }) => checkpoints.iter().collect(),
            _ => vec![],
        };
        for (id, bookmark) in self.checkpoints.iter().filter(|(id, _)| !spared.contains(id)) {
            let is_in_doubt = spared.iter().any(|spared| bookmark.view["fork_of"] == **spared);
            let found = client.read(&format!("/api/v1/checkpoints/{id}")).await;
            assert!(is_in_doubt || found == bookmark.view, "{found} {}", bookmark.view);
        }
        let Some(open) = open else { return false };
        let before = open.wish.changes().and_then(|id| self.missions.get(id));
        let seen = open.wish.is_in(now, before).await;
        if open.answer.is_some() {
            assert_ne!(seen, Some(false), "acknowledged and gone: {:?}", open.wish);
        }
        let makes_mission = matches!(open.wish, Wish::Create { .. } | Wish::Fork { .. });
        makes_mission && seen == Some(true)
    }

    /// Sends the open wish again under its name: it acts if, and only if, it had not.
    pub(super) async fn settle(&mut self, now: &Picture, bench: &Bench) {
        let Some(open) = &self.open else { return };
        let before = open.wish.changes().and_then(|id| self.missions.get(id)).cloned();
        let seen = match open.answer {
            Some(_) => Some(true),
            None => open.wish.is_in(now, before.as_ref()).await,
        };
        let first = open.answer.clone();
        if first.is_some() {
            // The repeat has the cursor of the first time.
            self.cursors.pop();
        }
        self.send(bench).await.unwrap();
        let again = self.open.as_ref().and_then(|open| open.answer.clone()).unwrap();
        assert!(seen.is_none_or(|seen| seen == again.is_replayed), "{seen:?} {again:?}");
        if let Some(first) = first {
            assert_eq!((first.status, first.body, first.cursor), (again.status, again.body, again.cursor));
        }
        self.read_back(bench).await.unwrap();
    }

    fn next_wish(&mut self, bench: &Bench) -> Wish {
        self.wishes += 1;
        let unique = format!("{}-{}", self.name, self.wishes);
        let own: Vec<&Value> = self.missions.values().collect();
        let marks: Vec<&String> = self.checkpoints.keys().collect();
        let (Some(mission), true) = (own.choose(&mut self.random), own.len() < MISSIONS_MAX) else {
            return match own.iter().find(|mission| mission["status"] == "PLANNING") {
                Some(mission) if own.len() >= MISSIONS_MAX => self.deletion_of(&text(mission, "id")),
                _ if own.is_empty() => Wish::Create { title: format!("Mission {unique}") },
                _ => Wish::AddShared { mission: bench.shared.clone(), title: format!("Task {unique}") },
            };
        };
        let id = text(mission, "id");
        let is_planning = mission["status"] == "PLANNING";
        let takes_tasks = is_planning || mission["status"] == "IN_PROGRESS";
        match self.random.random_range(0..100) {
            0..14 => Wish::Create { title: format!("Mission {unique}") },
            14..22 => Wish::Rename { mission: id, title: format!("Mission {unique}") },
            22..42 if takes_tasks && tasks(mission).len() < TASKS_MAX => {
                let needs = tasks(mission).last().map(|task| text(task, "id")).into_iter().collect();
                Wish::Add { mission: id, title: format!("Task {unique}"), needs }
            }
            42..56 => next_move(mission).unwrap_or(Wish::AddShared {
                mission: bench.shared.clone(),
                title: format!("Task {unique}"),
            }),
            56..64 if is_planning => Wish::Start { mission: id },
            64..74 if !tasks(mission).is_empty() => {
                Wish::Bookmark { mission: id, label: format!("Label {unique}") }
            }
            74..88 if !marks.is_empty() => {
                let checkpoint = (*marks.choose(&mut self.random).unwrap()).clone();
                let then = self.checkpoints[&checkpoint].then.clone();
                match self.random.random_range(0..4) {
                    0 => Wish::Restore { checkpoint },
                    1 => Wish::Drop { checkpoint },
                    _ => Wish::Fork { checkpoint, label: format!("Label {unique}"), then },
                }
            }
            88..92 if is_planning => self.deletion_of(&id),
            _ => Wish::AddShared { mission: bench.shared.clone(), title: format!("Task {unique}") },
        }
    }

    fn deletion_of(&self, mission: &str) -> Wish {
        let of = self.checkpoints.iter().filter(|(_, bookmark)| bookmark.view["mission_id"] == *mission);
        Wish::Delete { mission: mission.to_owned(), checkpoints: of.map(|(id, _)| id.clone()).collect() }
    }
}

/// The next step of work on a mission's first unfinished task.
fn next_move(mission: &Value) -> Option<Wish> {
    let task = tasks(mission).iter().find(|task| task["status"] != "COMPLETED")?;
    let to = match task["status"].as_str()? {
        "PENDING" => "IN_PROGRESS",
        "IN_PROGRESS" => "COMPLETED",
        _ => return None,
    };
    Some(Wish::Move { mission: text(mission, "id"), task: text(task, "id"), to })
}

/// Whatever was answered is read.
fn assert_holds(found: &Value, answered: &Value) {
    for (key, value) in answered.as_object().unwrap() {
        assert_eq!(found[key], *value, "{key}");
    }
}
