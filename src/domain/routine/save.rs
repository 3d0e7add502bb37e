//! A routine is saved, and goes (`periphery.md` 10).

use std::sync::Arc;

use serde_json::Value;

use super::definition::Definition;
use super::machine::Machine;
use super::template::fits;
use super::{
    Routine, RoutineDeleted, RoutineDraft, RoutineFacts, RoutineSaved, RoutineStatus, definition_hash,
};
use crate::issue::{Detached, via};
use crate::unfolding::Unfolding;
use crate::{AgentId, CrewId, Draft, MissionId, Rejection, RoutineId, RoutineRunId, Text, Workspace};

/// Longest name and longest change summary, in letters.
const NAME_CHARS_MAX: usize = 200;
const SUMMARY_CHARS_MAX: usize = 1_000;
const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// Most routines of a workspace.
const ROUTINES_MAX: usize = 1_000;
/// Largest definition, as JSON: each run that is not over may hold one of its own.
const DEFINITION_BYTES_MAX: usize = 256 << 10;
/// Words that stand where slugs do in paths.
const RESERVED: [&str; 4] = ["runs", "save", "test_run", "waitpoints"];

fn unfit(detail: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::unprocessable("routine.invalid", detail)
}

/// `^[a-z0-9][a-z0-9_-]{0,63}$`, and no word that paths need for themselves.
fn slug(wish: &str) -> Result<Text, Rejection> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_slug = (1..=64).contains(&wish.len())
        && wish.bytes().next().is_some_and(is_letter)
        && wish.bytes().all(|byte| is_letter(byte) || matches!(byte, b'_' | b'-'));
    if !is_slug {
        return Err(unfit("slug must match ^[a-z0-9][a-z0-9_-]{0,63}$"));
    }
    if RESERVED.contains(&wish) {
        return Err(unfit(format!("slug {wish} is reserved")));
    }
    Ok(wish.into())
}

fn within(field: &str, text: &str, most: usize) -> Result<Text, Rejection> {
    if text.chars().count() > most {
        return Err(unfit(format!("{field} must be at most {most} characters")));
    }
    Ok(text.into())
}

fn sent(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl Workspace {
    fn author_crew(&self, id: Option<&str>) -> Result<Option<CrewId>, Rejection> {
        let Some(id) = id else { return Ok(None) };
        let found = self.roster.live_crew(id).map(|crew| Some(crew.id.clone()));
        found.ok_or_else(|| {
            let detail = "author_crew_id does not exist in this workspace";
            Rejection::invalid("routine.author_crew", detail)
        })
    }

    fn author_agent(&self, id: Option<&str>) -> Result<Option<AgentId>, Rejection> {
        let Some(id) = id else { return Ok(None) };
        let found = self.roster.live_agent(id).map(|agent| Some(agent.id.clone()));
        found.ok_or_else(|| {
            let detail = "author_agent_id does not exist in this workspace";
            Rejection::invalid("routine.author_agent", detail)
        })
    }
}

impl Unfolding<'_> {
    /// A new routine, or another version of the one with this slug. What is so already is no new fact.
    pub(super) fn save_routine(&mut self, draft: &RoutineDraft, is_tested: bool) -> Result<(), Rejection> {
        let (Some(wish), Some(definition)) = (sent(draft.slug.as_ref()), &draft.definition) else {
            return Err(Rejection::invalid("routine.required", "slug + definition required"));
        };
        let slug = slug(wish)?;
        let definition = Value::Object(definition.clone());
        if definition.to_string().len() > DEFINITION_BYTES_MAX || !fits(&definition) {
            return Err(unfit("definition is larger than 256 KiB, or too deep"));
        }
        let read = Definition::read(&definition).map_err(unfit)?;
        let routine = self.routine_facts(&slug, draft, definition)?;
        if !is_tested && draft.skip_test_gate != Some(true) {
            return Err(Rejection::unprocessable(
                "routine.untested",
                "save requires a fresh, passing test_run within 5 minutes (or skip_test_gate for OWNER/ADMIN)",
            ));
        }
        let change_summary = sent(draft.change_summary.as_ref());
        let change_summary =
            change_summary.map(|text| within("change_summary", text, SUMMARY_CHARS_MAX)).transpose()?;
        let before = self.state.routines.named(&slug).cloned();
        if before.is_none() && self.state.routines.all.len() >= ROUTINES_MAX {
            let detail = format!("there are {ROUTINES_MAX} routines already, which is the most");
            return Err(Rejection::invalid("routine.too_many", detail));
        }
        let skips_governance = draft.skip_governance_gate == Some(true);
        let saved = governed(before.as_deref(), routine, &read, skips_governance, change_summary);
        if before.as_deref().is_some_and(|before| is_as_before(before, &saved)) {
            return Ok(());
        }
        let id = match &before {
            Some(before) => before.id.clone(),
            None => RoutineId::from(self.context.mint.cuid()),
        };
        let was_proposed = before.is_some_and(|before| before.status == RoutineStatus::Proposed);
        let asks = saved.status == RoutineStatus::Proposed && !was_proposed;
        let face = saved.face(&id, self.context.actor);
        self.add(Draft::public(id.as_str(), saved, face));
        if asks {
            self.ask_about_routine(&id);
        }
        Ok(())
    }

    fn routine_facts(
        &self,
        slug: &Text,
        draft: &RoutineDraft,
        definition: Value,
    ) -> Result<RoutineFacts, Rejection> {
        let own = |field: &str| definition.get(field).and_then(Value::as_str).map(str::to_owned);
        let (own_name, own_description) = (own("name"), own("description"));
        let name = sent(draft.name.as_ref()).or(own_name.as_deref()).unwrap_or(slug);
        let description = sent(draft.description.as_ref()).or(own_description.as_deref());
        let description = description.map(|text| within("description", text, DESCRIPTION_CHARS_MAX));
        Ok(RoutineFacts {
            slug: slug.clone(),
            name: within("name", name, NAME_CHARS_MAX)?,
            description: description.transpose()?,
            definition_hash: definition_hash(&definition).into(),
            definition: Arc::new(definition.into()),
            author_crew_id: self.state.author_crew(sent(draft.author_crew_id.as_ref()))?,
            author_agent_id: self.state.author_agent(sent(draft.author_agent_id.as_ref()))?,
            author_user_id: self.context.actor.user().cloned(),
            authored_via: if self.context.actor.user().is_some() {
                via::USER_API.into()
            } else {
                via::AGENT_TOOL_CALL.into()
            },
        })
    }

    /// A routine goes; issues lose it, and runs of it that are not over end with it.
    pub(super) fn delete_routine(&mut self, routine: &Arc<Routine>) {
        let bound = crate::index::under(&self.state.issues.by_routine, &routine.id);
        let issues: Vec<MissionId> = bound.cloned().collect();
        self.detach(&Detached::Routine(routine.id.clone()), issues);
        let face = routine.deleted_face(self.context.actor);
        let deleted = RoutineDeleted { slug: routine.facts.slug.clone() };
        self.add(Draft::public(routine.id.as_str(), deleted, face));
        let live: Vec<RoutineRunId> = self.state.routines.live_runs_of(&routine.id).cloned().collect();
        let mut machine = Machine::of(self);
        for id in live {
            // The engine ends the others, and goes on with those that called them.
            if machine.is_full() {
                return;
            }
            // The end of one may have been the end of another.
            let run = machine.run(&id).filter(|run| run.status.is_live());
            run.iter().for_each(|run| drop(machine.stop(run)));
        }
    }
}

/// What somebody has to agree to stops a routine until they have; one that is disabled stays so.
fn governed(
    before: Option<&Routine>,
    routine: RoutineFacts,
    read: &Definition,
    skips_governance: bool,
    change_summary: Option<Text>,
) -> RoutineSaved {
    let risks = read.risks_one_by_one();
    let agreed = before.map(|before| before.accepted.as_slice()).unwrap_or_default();
    let accepted = match skips_governance {
        true => risks.clone(),
        false => risks.iter().filter(|risk| agreed.contains(risk)).cloned().collect(),
    };
    let status = match before.map(|before| before.status) {
        Some(RoutineStatus::Disabled) => RoutineStatus::Disabled,
        _ if accepted.len() < risks.len() => RoutineStatus::Proposed,
        _ => RoutineStatus::Active,
    };
    let risk_reasons = read.risks().into_iter().map(Into::into).collect();
    RoutineSaved { routine: routine.into(), status, risk_reasons, accepted, change_summary }
}

fn is_as_before(before: &Routine, saved: &RoutineSaved) -> bool {
    // Who saves the same once more is no news.
    let facts = RoutineFacts {
        author_user_id: before.facts.author_user_id.clone(),
        authored_via: before.facts.authored_via.clone(),
        ..(*saved.routine).clone()
    };
    before.facts == facts && before.status == saved.status && before.accepted == saved.accepted
}
