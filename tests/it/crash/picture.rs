//! A whole workspace as its API shows it after a start.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::program::Client;

/// All missions with their tasks, and a client to look at the rest.
pub(super) struct Picture {
    client: Client,
    pub(super) missions: BTreeMap<String, Value>,
    /// Ids of missions that nobody was told of.
    strays: BTreeSet<String>,
}

impl Picture {
    /// Looks at everything; `known` are the missions that hands were told of.
    pub(super) async fn of(client: &Client, known: &BTreeSet<String>) -> Self {
        let missions: BTreeMap<_, _> =
            client.missions().await.into_iter().map(|mission| (text(&mission, "id"), mission)).collect();
        let strays = missions.keys().filter(|id| !known.contains(*id)).cloned().collect();
        Self { client: client.clone(), missions, strays }
    }

    pub(super) fn strays(&self) -> usize {
        self.strays.len()
    }

    /// Missions with this title that nobody was told of.
    pub(super) fn strays_named(&self, title: &str) -> Vec<&Value> {
        let strays = self.strays.iter().map(|id| &self.missions[id]);
        strays.filter(|mission| mission["title"] == *title).collect()
    }

    pub(super) fn tasks_named(&self, mission: &str, title: &str) -> Vec<&Value> {
        tasks(&self.missions[mission]).iter().filter(|task| task["title"] == *title).collect()
    }

    /// A mission's checkpoints with this label.
    pub(super) async fn checkpoints_named(&self, mission: &str, label: &str) -> Vec<Value> {
        let path = format!("/api/v1/missions/{mission}/checkpoints?limit=200");
        let list = self.client.read(&path).await;
        let list = list["checkpoints"].as_array().unwrap().iter();
        list.filter(|checkpoint| checkpoint["label"] == *label).cloned().collect()
    }

    pub(super) async fn has_checkpoint(&self, id: &str) -> bool {
        let answer = self.client.get(&format!("/api/v1/checkpoints/{id}")).await;
        assert!(matches!(answer.status, 200 | 404), "{answer:?}");
        answer.status == 200
    }

    /// Whether an unknown fork is there: then it has all tasks of its source and its one checkpoint.
    pub(super) async fn whole_fork_of(&self, checkpoint: &str, label: &str, then: &Value) -> bool {
        let titles = |mission: &Value| -> Vec<String> {
            let mut titles: Vec<_> = tasks(mission).iter().map(|task| text(task, "title")).collect();
            titles.sort();
            titles
        };
        match &self.strays_named(&format!("Fork: {}", text(then, "title")))[..] {
            [] => false,
            [fork] => {
                assert_eq!((&fork["status"], titles(fork)), (&Value::from("PLANNING"), titles(then)));
                let own = self.checkpoints_named(&text(fork, "id"), label).await;
                assert!(own.len() == 1 && own[0]["fork_of"] == *checkpoint, "half a fork: {fork} {own:?}");
                true
            }
            many => panic!("forked more than once: {many:?}"),
        }
    }
}

/// A mission's tasks.
pub(super) fn tasks(mission: &Value) -> &Vec<Value> {
    mission["tasks"].as_array().unwrap()
}

pub(super) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned()
}
