//! Whether a mission's tasks can be worked in some order (`missions.md` 7).

use std::collections::HashMap;

use crate::undertaking::Undertaking;
use crate::{Rejection, TaskId};

impl Undertaking {
    /// The DAG rules of start: every dependency exists, and none is circular.
    ///
    /// # Errors
    /// `Invalid task DAG: …` with the first rule broken.
    pub(crate) fn validate_dag(&self) -> Result<(), Rejection> {
        self.validate_dag_with(None)
    }

    /// The same, with other dependencies for one task.
    pub(crate) fn validate_dag_with(&self, changed: Option<(&TaskId, &[TaskId])>) -> Result<(), Rejection> {
        let mut edges: HashMap<&TaskId, &[TaskId]> =
            self.tasks.values().map(|task| (&task.id, task.depends_on.as_slice())).collect();
        edges.extend(changed);
        for task in self.tasks_in_order() {
            if let Some(missing) = edges[&task.id].iter().find(|id| !self.tasks.contains_key(*id)) {
                return Err(invalid(format!(
                    "task {:?} depends on nonexistent task {:?}",
                    task.title,
                    missing.as_str()
                )));
            }
        }
        match unreachable(&edges) {
            0 => Ok(()),
            stuck => Err(invalid(format!("circular dependency detected: {stuck} tasks involved in cycle"))),
        }
    }
}

impl Undertaking {
    /// The tasks that wait for each task.
    pub(crate) fn dependents(&self) -> HashMap<&TaskId, Vec<&TaskId>> {
        let edges = self.tasks.values().map(|task| (&task.id, task.depends_on.as_slice()));
        dependents(edges)
    }
}

fn dependents<'a>(
    edges: impl Iterator<Item = (&'a TaskId, &'a [TaskId])>,
) -> HashMap<&'a TaskId, Vec<&'a TaskId>> {
    let mut dependents: HashMap<&TaskId, Vec<&TaskId>> = HashMap::new();
    for (id, needs) in edges {
        needs.iter().for_each(|need| dependents.entry(need).or_default().push(id));
    }
    dependents
}

/// Tasks that a topological sort never reaches: the members of a cycle and all downstream of one.
fn unreachable(edges: &HashMap<&TaskId, &[TaskId]>) -> usize {
    let mut open: HashMap<&TaskId, usize> = edges.iter().map(|(id, needs)| (*id, needs.len())).collect();
    let dependents = dependents(edges.iter().map(|(id, needs)| (*id, *needs)));
    let mut ready: Vec<&TaskId> = open.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
    let mut reached = 0;
    while let Some(id) = ready.pop() {
        reached += 1;
        for dependent in dependents.get(id).into_iter().flatten() {
            if let Some(count) = open.get_mut(dependent) {
                *count -= 1;
                if *count == 0 {
                    ready.push(dependent);
                }
            }
        }
    }
    edges.len() - reached
}

fn invalid(reason: String) -> Rejection {
    Rejection::invalid("mission.invalid_dag", format!("Invalid task DAG: {reason}"))
}
