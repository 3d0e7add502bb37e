//! What each kind of step does (`periphery.md` 10).

use serde_json::{Map, Value, json};

use super::definition::{Action, Step, Until, Verb};
use super::machine::{Acted, Machine};
use super::run::inputs_with_defaults;
use super::template::{render, render_value};
use super::{
    Caller, RoutineRun, RoutineRunFacts, RoutineStatus, RoutineStepWaiting, StepWaitsFor, WaitpointCreated,
    transform,
};
use crate::issue::{Issue, IssueDraft, IssuePatch, Party};
use crate::{Actor, CrewId, Draft, RoutineRunId, Text, Time};

/// How many calls may lead to a run.
const DEPTH_MAX: u32 = 10;
/// How long people may decide if nothing else is said (`periphery.md` 11): a day.
const DECISION_SECONDS: u64 = 24 * 60 * 60;
/// Longest title, prompt or body that people are told, in letters.
const TOLD_CHARS_MAX: usize = 2_000;

fn failed(error: impl Into<String>) -> Acted {
    Acted::Done(Err(error.into().into()))
}

fn told(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).collect()
}

impl Machine<'_, '_> {
    /// Does what a step says, for an item of a loop if there is one.
    pub(super) fn act(&mut self, run: &RoutineRun, step: &Step, item: Option<&Value>) -> Acted {
        let scope = self.known(&run.id).scope(item);
        match &step.action {
            Action::Transform { input, expression } => {
                let made = transform::apply(expression, &render_value(input, &scope), scope.effort);
                Acted::Done(made.map_err(Into::into))
            }
            Action::Notify { title, body } => {
                let body = body.as_ref().map(|body| told(&render(body, &scope))).unwrap_or_default();
                let title = told(&render(title, &scope));
                self.notify(run, step, &title, &body)
            }
            Action::CallPipeline { slug, inputs } => {
                let inputs = render_value(&Value::Object(inputs.clone()), &scope);
                self.call(run, step, slug, inputs)
            }
            Action::Crewship { verb, params } => {
                let params = render_value(&Value::Object(params.clone()), &scope);
                self.change_issues(run, *verb, params)
            }
            Action::Wait { until, prompt, timeout_seconds } => {
                let prompt = prompt.as_ref().map(|prompt| told(&render(prompt, &scope)));
                match until {
                    Until::Approval => self.ask_people(run, step, prompt, *timeout_seconds),
                    Until::Datetime(until) => match render(until, &scope).trim().parse::<jiff::Timestamp>() {
                        Ok(at) => {
                            let at = u64::try_from(at.as_millisecond()).unwrap_or_default();
                            self.wait_until(run, step, Time(at), *timeout_seconds)
                        }
                        Err(_) => failed("until is no RFC 3339 time"),
                    },
                    Until::Seconds(seconds) => {
                        let at = self.after(*seconds);
                        self.wait_until(run, step, at, *timeout_seconds)
                    }
                }
            }
            Action::Http { url, .. } => {
                let url = render(url, &scope);
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    return failed("url must begin with http:// or https://");
                }
                self.wait(run, step, StepWaitsFor::Http);
                Acted::Waits
            }
            Action::AgentRun { .. } | Action::Code | Action::Script => {
                failed(format!("{} needs a runtime", step.action.type_name()))
            }
            Action::ForEach { .. } => failed("a foreach cannot stand in a foreach"),
        }
    }

    fn after(&self, seconds: u64) -> Time {
        Time(self.unfolding.context.now.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    fn wait(&mut self, run: &RoutineRun, step: &Step, waits_for: StepWaitsFor) {
        let waiting = RoutineStepWaiting { step_id: (&*step.id).into(), waits_for };
        self.unfolding.add(Draft::internal(run.id.as_str(), waiting));
    }

    fn notify(&mut self, run: &RoutineRun, step: &Step, title: &str, body: &str) -> Acted {
        let face = run.told_face(&(&*step.id).into(), title, body, false);
        self.unfolding.add(Draft::shown(run.id.as_str(), face));
        Acted::Done(Ok(json!({ "delivered": true, "title": title })))
    }

    /// A time that is over is not waited for.
    fn wait_until(&mut self, run: &RoutineRun, step: &Step, at: Time, timeout: Option<u64>) -> Acted {
        if at <= self.unfolding.context.now {
            return Acted::Done(Ok(waited(at)));
        }
        let deadline = timeout.map(|seconds| self.after(seconds)).filter(|deadline| *deadline < at);
        let waits_for = StepWaitsFor::Time { at: deadline.unwrap_or(at), times_out: deadline.is_some() };
        self.wait(run, step, waits_for);
        Acted::Waits
    }

    fn ask_people(
        &mut self,
        run: &RoutineRun,
        step: &Step,
        prompt: Option<String>,
        timeout: Option<u64>,
    ) -> Acted {
        let step_id: Text = (&*step.id).into();
        let prompt = prompt.filter(|prompt| !prompt.trim().is_empty());
        let prompt = prompt.unwrap_or_else(|| format!("Approve {step_id} of {}?", run.slug));
        let mint = self.unfolding.context.mint;
        let created = WaitpointCreated {
            step_id: step_id.clone(),
            waitpoint: format!("{}{}", mint.hex16(), mint.hex16()).into(),
            prompt: prompt.as_str().into(),
            timeout_at: self.after(timeout.unwrap_or(DECISION_SECONDS)),
        };
        let title = format!("{} waits for approval", run.slug);
        let face = run.told_face(&step_id, &title, &prompt, true);
        self.unfolding.add(Draft::public(run.id.as_str(), created, face));
        Acted::Waits
    }

    /// Another routine runs first, as if its steps stood here.
    fn call(&mut self, run: &RoutineRun, step: &Step, slug: &str, inputs: Value) -> Acted {
        if run.facts.depth >= DEPTH_MAX {
            return failed(format!("call_pipeline is nested deeper than {DEPTH_MAX}"));
        }
        let Some(routine) = self.unfolding.state.routines.named(slug).cloned() else {
            return failed(format!("pipeline not found: {slug}"));
        };
        if routine.status != RoutineStatus::Active {
            return failed(format!("{slug}: {}", routine.refused().detail));
        }
        let Value::Object(inputs) = inputs else { return failed("inputs is no object") };
        let definition = match self.definition_of(&routine) {
            Ok(definition) => definition,
            Err(error) => return failed(error),
        };
        let inputs = match inputs_with_defaults(&definition, &inputs) {
            Ok(inputs) => inputs,
            Err(refused) => return failed(refused.detail),
        };
        let facts = RoutineRunFacts {
            routine_id: routine.id.clone(),
            definition_hash: routine.facts.definition_hash.clone(),
            inputs,
            triggered_via: "call_pipeline".into(),
            triggered_by_id: Some(run.id.as_str().into()),
            called_by: Some(Caller { run_id: run.id.clone(), step_id: (&*step.id).into() }),
            depth: run.facts.depth + 1,
            ..run.facts.clone()
        };
        let called = RoutineRunId::from(format!("run_{}", self.unfolding.context.mint.hex16()));
        self.wait(run, step, StepWaitsFor::Run { run_id: called.clone() });
        self.unfolding.begin_routine_run(&called, facts);
        Acted::Calls(called)
    }

    /// Issue changes carry the run as their trace (`journal.md` 2.1).
    fn change_issues(&mut self, run: &RoutineRun, verb: Verb, params: Value) -> Acted {
        let Value::Object(params) = params else { return failed("params is no object") };
        self.unfolding.trace = Some(run.id.as_str().into());
        let changed = match verb {
            Verb::Create => self.create_issue(run, params),
            Verb::Update => self.update_issue(run, params),
            Verb::Comment => self.comment_on_issue(run, &params),
        };
        self.unfolding.trace = None;
        Acted::Done(changed.map_err(Into::into))
    }

    fn create_issue(&mut self, run: &RoutineRun, mut params: Map<String, Value>) -> Result<Value, String> {
        let crew = self.crew_for(run, &mut params)?;
        let draft: IssueDraft = read(params)?;
        let author = self.author_of(run);
        let made = self.unfolding.create_issue_by_routine(&crew, &draft, author);
        let id = made.map_err(|refused| refused.detail.into_owned())?;
        let made = self.unfolding.state.issues.all.get(&id);
        Ok(made.map_or(Value::Null, |issue| shown(issue)))
    }

    fn update_issue(&mut self, run: &RoutineRun, mut params: Map<String, Value>) -> Result<Value, String> {
        let issue = self.issue_for(run, &mut params)?;
        let patch: IssuePatch = read(params)?;
        let actor = self.author_of(run).map_or(Actor::System, |author| author.as_actor());
        let updated = self.unfolding.update_issue_by_routine(&issue, patch, &actor);
        updated.map_err(|refused| refused.detail.into_owned())?;
        let updated = self.unfolding.state.issues.all.get(&issue.id);
        Ok(updated.map_or(Value::Null, |issue| shown(issue)))
    }

    fn comment_on_issue(&mut self, run: &RoutineRun, params: &Map<String, Value>) -> Result<Value, String> {
        let mut params = params.clone();
        let issue = self.issue_for(run, &mut params)?;
        let author = self.author_of(run).ok_or("nobody is there to comment as")?;
        let body = params.get("body").map(|body| match body {
            Value::String(body) => body.clone(),
            other => other.to_string(),
        });
        let said = self.unfolding.comment_by_routine(&issue, author, body.unwrap_or_default().into());
        let comment = said.map_err(|refused| refused.detail.into_owned())?;
        Ok(json!({ "comment_id": comment, "issue_id": issue.id, "identifier": issue.identifier }))
    }

    /// On whose behalf a run acts: whoever started it, else whoever the routine is of.
    fn author_of(&self, run: &RoutineRun) -> Option<Party> {
        let routine = || self.unfolding.state.routines.all.get(&run.facts.routine_id);
        let agent = || routine()?.facts.author_agent_id.as_ref().map(Party::agent);
        let user = || routine()?.facts.author_user_id.as_ref().map(Party::user);
        run.facts.started_by.clone().or_else(agent).or_else(user)
    }

    /// The crew a step names, else that of the issue the run is about, else the routine's own.
    fn crew_for(&self, run: &RoutineRun, params: &mut Map<String, Value>) -> Result<CrewId, String> {
        let state = &self.unfolding.state;
        match named(params, &["crew_id", "crew"]) {
            Some(name) => {
                let by_slug = state.roster.crew_slugs.get(&*name).map(|id| id.as_str());
                let found = state.roster.live_crew(by_slug.unwrap_or(&name));
                found.map(|crew| crew.id.clone()).ok_or_else(|| format!("crew not found: {name}"))
            }
            None => {
                let issue = run.facts.issue_id.as_ref().and_then(|id| state.issues.all.get(id));
                let routine = state.routines.all.get(&run.facts.routine_id);
                let own = || routine.and_then(|routine| routine.facts.author_crew_id.clone());
                issue.map(|issue| issue.crew_id.clone()).or_else(own).ok_or("crew_id is required".to_owned())
            }
        }
    }

    /// The issue a step names, else the one that the run is about.
    fn issue_for(
        &self,
        run: &RoutineRun,
        params: &mut Map<String, Value>,
    ) -> Result<std::sync::Arc<Issue>, String> {
        let issues = &self.unfolding.state.issues;
        match named(params, &["issue", "identifier", "issue_id"]) {
            Some(name) => issues.named(&name).cloned().ok_or_else(|| format!("issue not found: {name}")),
            None => {
                let own = run.facts.issue_id.as_ref().and_then(|id| issues.all.get(id));
                own.cloned().ok_or_else(|| "issue is required".to_owned())
            }
        }
    }
}

/// What a wait for a time yields.
pub(super) fn waited(at: Time) -> Value {
    json!({ "waited_until": at.to_string() })
}

fn shown(issue: &Issue) -> Value {
    json!({
        "id": issue.id, "identifier": issue.identifier, "title": issue.title, "status": issue.status,
        "crew_id": issue.crew_id,
    })
}

/// The first of these that names something, taken out.
fn named(params: &mut Map<String, Value>, names: &[&str]) -> Option<String> {
    let found = names.iter().filter_map(|name| params.remove(*name)).collect::<Vec<_>>();
    found.into_iter().find_map(|value| value.as_str().filter(|name| !name.is_empty()).map(str::to_owned))
}

fn read<T: serde::de::DeserializeOwned>(params: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(params)).map_err(|error| format!("params: {error}"))
}
