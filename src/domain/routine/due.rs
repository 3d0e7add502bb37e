//! What runs wait for that only the engine does: times, other servers, and the rest of what did not fit into
//! one batch. What is due follows from what is true, and not from what was asked before.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::definition::Action;
use super::effort::Effort;
use super::known::{Known, read};
use super::template::{render, render_value};
use super::{RoutineCommand, RoutineRun, WaitOn};
use crate::{Command, Offset, RoutineRunId, Text, Time, Workspace};

/// What another server is to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// For which run.
    pub run: RoutineRunId,
    /// For which step.
    pub step: Text,
    /// Where the wait was written down.
    pub fence: Offset,
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    pub method: String,
    /// Where.
    pub url: String,
    /// Values by the names of headers.
    pub headers: BTreeMap<String, String>,
    /// What is sent along: text as it is, anything else as JSON.
    pub body: Option<Value>,
    /// The only hosts that may be asked, unless there are none.
    pub egress_targets: Vec<String>,
}

impl Workspace {
    /// Runs that are to go on, each with the name of its request.
    #[must_use]
    pub fn routines_due(&self, now: Time) -> Vec<(String, Command)> {
        let routines = &self.routines;
        let come = routines.waking.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id);
        let going = routines.running.iter().chain(come).filter(|id| !routines.orphans.contains(*id));
        let due = routines.orphans.iter().chain(going).filter_map(|id| routines.runs.get(id));
        let wake = |run: &RoutineRun| {
            let command = RoutineCommand::Wake { run: run.id.clone() };
            (format!("routine:{}:{}", run.id, run.changed), command.into())
        };
        due.map(|run| wake(run)).collect()
    }

    /// When the next run is to go on, if nothing happens before.
    #[must_use]
    pub fn routines_due_at(&self) -> Option<Time> {
        if !self.routines.running.is_empty() || !self.routines.orphans.is_empty() {
            return Some(Time(0));
        }
        self.routines.waking.get_min().map(|(at, _)| *at)
    }

    /// What a run that waits for another server asks it; made anew from what is known of the run, and so the
    /// same each time.
    #[must_use]
    pub fn fetch_of(&self, run: &RoutineRunId) -> Option<Fetch> {
        let run = self.routines.runs.get(run)?;
        let waiting = run.waiting.as_ref().filter(|waiting| waiting.on == WaitOn::Http)?;
        let known = Known::of(run, read(&run.definition).ok()?, Rc::new(Effort::default()));
        let definition = &known.definition;
        let Action::Http { method, url, headers, body } = &definition.steps.get(run.steps.len())?.action
        else {
            return None;
        };
        let scope = known.scope(None);
        Some(Fetch {
            run: run.id.clone(),
            step: waiting.step_id.clone(),
            fence: waiting.fence,
            method: method.clone(),
            url: render(url, &scope),
            headers: headers.iter().map(|(name, value)| (name.clone(), render(value, &scope))).collect(),
            body: body.as_ref().map(|body| render_value(body, &scope)),
            egress_targets: definition.egress_targets.clone(),
        })
    }
}
