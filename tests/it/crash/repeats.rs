//! One `Idempotency-Key`, asked a hundred times of processes that are killed in between, acts once.

use std::collections::HashSet;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::hand::Fuse;
use crate::program::{Account, Client, Data, Program, seed};

const LIVES: usize = 10;
const REPEATS_A_LIFE: usize = 10;

/// A place with a crew whose process was killed.
struct Scene {
    data: Data,
    account: Account,
    crew: String,
    lead: String,
}

impl Scene {
    async fn new() -> Self {
        let data = Data::new();
        let program = Program::start(data.path());
        let account = Client::stranger(&program.url).bootstrap().await;
        let (crew, lead) = Client::of(&program.url, &account).crew("repeats").await;
        program.kill();
        Self { data, account, crew, lead }
    }

    /// Sends the same request a hundred times, ten at once to each of ten processes, each killed after
    /// some of its answers. Gives the one body that all of them answered.
    async fn repeat(&self, path: &str, body: Value) -> Value {
        let mut random = StdRng::seed_from_u64(seed());
        let mut bodies = HashSet::new();
        for _ in 0..LIVES {
            let program = Program::start(self.data.path());
            let fuse = Fuse::new(random.random_range(1..=REPEATS_A_LIFE), program.killer());
            let mut asking = JoinSet::new();
            for _ in 0..REPEATS_A_LIFE {
                let (client, fuse) = (Client::of(&program.url, &self.account), Arc::clone(&fuse));
                let (path, body) = (path.to_owned(), body.clone());
                asking.spawn(async move {
                    let answer = client.send(Method::POST, &path, Some(&body), Some("the-one")).await?;
                    fuse.acknowledged();
                    Some(answer.expect(201).to_string())
                });
            }
            bodies.extend(asking.join_all().await.into_iter().flatten());
            program.kill();
        }
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        serde_json::from_str(bodies.iter().next().unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_repeats_of_one_creation_across_kills_make_one_mission() {
    let scene = Scene::new().await;
    let body = json!({ "title": "The one", "lead_agent_id": scene.lead });
    let made = scene.repeat(&format!("/api/v1/crews/{}/missions", scene.crew), body).await;
    let program = Program::start(scene.data.path());
    let missions = Client::of(&program.url, &scene.account).missions().await;
    assert_eq!((missions.len(), &missions[0]["id"]), (1, &made["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_repeats_of_one_fork_across_kills_make_one_fork() {
    let scene = Scene::new().await;
    let program = Program::start(scene.data.path());
    let client = Client::of(&program.url, &scene.account);
    let source = client.mission(&scene.crew, &scene.lead, "Source").await;
    let tasks = format!("/api/v1/crews/{}/missions/{source}/tasks", scene.crew);
    for title in ["a", "b", "c"] {
        client.post(&tasks, json!({ "title": title })).await.expect(201);
    }
    let checkpoint = client.post(&format!("/api/v1/missions/{source}/checkpoints"), json!({})).await;
    let checkpoint = checkpoint.text("id");
    program.kill();
    let made = scene.repeat(&format!("/api/v1/checkpoints/{checkpoint}/fork"), json!({ "label": "x" })).await;
    let program = Program::start(scene.data.path());
    let client = Client::of(&program.url, &scene.account);
    let missions = client.missions().await;
    assert_eq!(missions.len(), 2);
    let fork = missions.iter().find(|mission| mission["id"] == made["new_mission_id"]).unwrap();
    assert_eq!((fork["title"].as_str(), fork["tasks"].as_array().unwrap().len()), (Some("Fork: Source"), 3));
    let list = client.read(&format!("/api/v1/missions/{}/checkpoints", fork["id"].as_str().unwrap())).await;
    assert_eq!((&list["count"], &list["checkpoints"][0]["id"]), (&json!(1), &made["new_checkpoint_id"]));
}
