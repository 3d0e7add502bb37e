//! What a hand wishes, and how one sees from outside whether it happened: whole, or not at all.

use reqwest::Method;
use serde_json::{Value, json};

use super::picture::{Picture, tasks, text};

/// A checkpoint, and the mission as it was there.
#[derive(Clone, Debug)]
pub(super) struct Bookmark {
    pub(super) view: Value,
    pub(super) then: Value,
}

/// One change that is asked for.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Create {
        title: String,
    },
    Rename {
        mission: String,
        title: String,
    },
    Add {
        mission: String,
        title: String,
        needs: Vec<String>,
    },
    /// A task in a mission that every hand adds to.
    AddShared {
        mission: String,
        title: String,
    },
    Move {
        mission: String,
        task: String,
        to: &'static str,
    },
    Start {
        mission: String,
    },
    Bookmark {
        mission: String,
        label: String,
    },
    Restore {
        checkpoint: String,
    },
    Fork {
        checkpoint: String,
        label: String,
        then: Value,
    },
    Drop {
        checkpoint: String,
    },
    Delete {
        mission: String,
        checkpoints: Vec<String>,
    },
}

impl Wish {
    /// Method, path and body.
    pub(super) fn request(&self, crew: &str, lead: &str) -> (Method, String, Option<Value>) {
        let missions = format!("/api/v1/crews/{crew}/missions");
        let (method, path, body) = match self {
            Self::Create { title } => {
                (Method::POST, missions, json!({ "title": title, "lead_agent_id": lead }))
            }
            Self::Rename { mission, title } => {
                (Method::PATCH, format!("{missions}/{mission}"), json!({ "title": title }))
            }
            Self::Add { mission, title, needs } => {
                let body = json!({ "title": title, "depends_on": needs });
                (Method::POST, format!("{missions}/{mission}/tasks"), body)
            }
            Self::AddShared { mission, title } => {
                (Method::POST, format!("{missions}/{mission}/tasks"), json!({ "title": title }))
            }
            Self::Move { mission, task, to } => {
                (Method::PATCH, format!("{missions}/{mission}/tasks/{task}"), json!({ "status": to }))
            }
            Self::Start { mission } => (Method::POST, format!("{missions}/{mission}/start"), json!({})),
            Self::Bookmark { mission, label } => {
                (Method::POST, format!("/api/v1/missions/{mission}/checkpoints"), json!({ "label": label }))
            }
            Self::Restore { checkpoint } => {
                (Method::POST, format!("/api/v1/checkpoints/{checkpoint}/restore"), json!({}))
            }
            Self::Fork { checkpoint, label, .. } => {
                (Method::POST, format!("/api/v1/checkpoints/{checkpoint}/fork"), json!({ "label": label }))
            }
            Self::Drop { checkpoint } => {
                return (Method::DELETE, format!("/api/v1/checkpoints/{checkpoint}"), None);
            }
            Self::Delete { mission, .. } => return (Method::DELETE, format!("{missions}/{mission}"), None),
        };
        (method, path, Some(body))
    }

    /// The mission of the hand's own whose document it changes.
    pub(super) fn changes(&self) -> Option<&str> {
        match self {
            Self::Rename { mission, .. }
            | Self::Add { mission, .. }
            | Self::Move { mission, .. }
            | Self::Start { mission }
            | Self::Delete { mission, .. } => Some(mission),
            _ => None,
        }
    }

    /// Whether the picture shows it, given the mission's document before. Panics if it is there by half.
    /// A restore changes nothing that could be seen.
    pub(super) async fn is_in(&self, now: &Picture, before: Option<&Value>) -> Option<bool> {
        let changed = || now.missions.get(self.changes()?).filter(|now| Some(*now) != before);
        Some(match self {
            Self::Create { title } => match &now.strays_named(title)[..] {
                [] => false,
                [one] => {
                    assert_eq!((&one["status"], tasks(one).len()), (&json!("PLANNING"), 0), "{one}");
                    true
                }
                many => panic!("created more than once: {many:?}"),
            },
            Self::Rename { title, .. } => changed().is_some_and(|now| {
                assert_eq!(now["title"], **title);
                assert_same_but(now, before.unwrap(), &["title", "updated_at"]);
                true
            }),
            Self::Add { title, .. } => changed().is_some_and(|now| {
                let before = tasks(before.unwrap());
                let (new, old): (Vec<_>, Vec<_>) =
                    tasks(now).iter().partition(|task| task["title"] == **title);
                assert_eq!((new.len(), old.len()), (1, before.len()), "{now}");
                assert!(before.iter().all(|task| old.contains(&task)), "{now}");
                true
            }),
            Self::AddShared { mission, title } => now.tasks_named(mission, title).len() == 1,
            Self::Move { task, to, .. } => changed().is_some_and(|now| {
                let moved = tasks(now).iter().find(|found| found["id"] == **task).unwrap();
                assert_eq!(moved["status"], *to);
                assert_nobody_waits_in_vain(now);
                true
            }),
            Self::Start { .. } => changed().is_some_and(|now| {
                // Its tasks may all be completed before it starts: then it is up for review at once.
                let is_done = !tasks(now).is_empty() && tasks(now).iter().all(|t| t["status"] == "COMPLETED");
                assert_eq!(now["status"], if is_done { "REVIEW" } else { "IN_PROGRESS" });
                assert_same_but(now, before.unwrap(), &["status", "updated_at"]);
                true
            }),
            Self::Bookmark { mission, label } => now.checkpoints_named(mission, label).await.len() == 1,
            Self::Restore { .. } => return None,
            Self::Fork { checkpoint, label, then } => now.whole_fork_of(checkpoint, label, then).await,
            Self::Drop { checkpoint } => !now.has_checkpoint(checkpoint).await,
            Self::Delete { mission, checkpoints } => {
                let is_gone = !now.missions.contains_key(mission);
                for checkpoint in checkpoints {
                    assert_eq!(now.has_checkpoint(checkpoint).await, !is_gone, "a mission goes with its own");
                }
                assert!(is_gone || now.missions.get(mission) == before);
                is_gone
            }
        })
    }
}

fn assert_same_but(now: &Value, before: &Value, keys: &[&str]) {
    let rest = |value: &Value| {
        let mut rest = value.as_object().unwrap().clone();
        keys.iter().for_each(|key| drop(rest.remove(*key)));
        rest
    };
    assert_eq!(rest(now), rest(before));
}

/// A task is unblocked in the batch that completes the last one it waits for.
pub(super) fn assert_nobody_waits_in_vain(mission: &Value) {
    let is_completed =
        |id: &Value| tasks(mission).iter().any(|t| t["id"] == *id && t["status"] == "COMPLETED");
    for task in tasks(mission).iter().filter(|task| task["status"] == "BLOCKED") {
        let needs: Value = serde_json::from_str(&text(task, "depends_on")).unwrap();
        assert!(!needs.as_array().unwrap().iter().all(is_completed), "half a batch: {task}");
    }
}
