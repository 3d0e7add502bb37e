//! An agent and its rules (`platform.md` 6.7).

use serde::{Deserialize, Serialize};

use super::AgentPatch;
use super::command::{clearing, name, set, set_some, slug};
use crate::entry::words;
use crate::facts::facts;
use crate::{AgentId, CrewId, Offset, Rejection, SecretId, Text, Time, UserId};

words! {
    /// Whether an agent leads its crew.
    AgentRole {
        /// Works tasks.
        #[default]
        Agent = "AGENT",
        /// Plans and reviews; at most one live per crew.
        Lead = "LEAD",
    }
}

words! {
    /// What an agent does (`platform.md` 6.7).
    AgentStatus {
        /// Nothing.
        #[default]
        Idle = "IDLE",
        /// It works.
        Running = "RUNNING",
        /// Its last run failed.
        Error = "ERROR",
        /// Somebody stopped it.
        Stopped = "STOPPED",
        /// Its hiring waits for approval.
        PendingReview = "PENDING_REVIEW",
    }
}

const CLI_ADAPTERS: [&str; 6] =
    ["CLAUDE_CODE", "OPENCODE", "CODEX_CLI", "GEMINI_CLI", "CURSOR_CLI", "FACTORY_DROID"];
const LLM_PROVIDERS: [&str; 6] = ["ANTHROPIC", "OPENAI", "GOOGLE", "CURSOR", "FACTORY", "OLLAMA"];
const TOOL_PROFILES: [&str; 3] = ["MINIMAL", "CODING", "FULL"];
const TIMEOUT_SECONDS_DEFAULT: i64 = 1_800;

/// An agent as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// What a create or update sets.
    pub facts: AgentFacts,
    /// What it does.
    pub status: AgentStatus,
    /// The secret of its webhook, once it has one.
    pub webhook_secret: Option<SecretId>,
    /// Who created it.
    pub created_by: Option<UserId>,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
    /// Offset of its creation: the order of lists.
    pub born: Offset,
    /// Offset of its last change.
    pub changed: Offset,
}

facts! {
    /// What a create or update sets.
    AgentFacts,
    /// What an update changed, with its new value.
    AgentChanges {
        /// What people call it.
        name: Text,
        /// Its name in URLs; unique among the live agents of a workspace.
        slug: Text,
        /// Its crew; `None` is crewless.
        crew_id: Option<CrewId>,
        /// Free text.
        description: Option<Text>,
        /// What it does, for people.
        role_title: Option<Text>,
        /// Whether it leads its crew.
        agent_role: AgentRole,
        /// `active` or `passive`, for a LEAD.
        lead_mode: Option<Text>,
        /// Which command line runs it.
        cli_adapter: Text,
        /// Whose model.
        llm_provider: Option<Text>,
        /// Which model.
        llm_model: Option<Text>,
        /// Its standing instructions.
        system_prompt: Option<Text>,
        /// Seed of its avatar.
        avatar_seed: Option<Text>,
        /// Style of its avatar.
        avatar_style: Option<Text>,
        /// Address of its avatar.
        avatar_url: Option<Text>,
        /// Longest run, seconds.
        timeout_seconds: i64,
        /// Which tools it gets.
        tool_profile: Text,
        /// Whether it keeps a memory.
        memory_enabled: bool,
        /// What to ask it, a suggestion a line.
        suggested_prompts: Option<Text>,
        /// Forms to ask it by, JSON text.
        ask_forms: Option<Text>,
        /// When it is to run by itself, as a cron expression.
        schedule_cron: Option<Text>,
        /// What it is to do then.
        schedule_prompt: Option<Text>,
        /// Whether it is to.
        schedule_enabled: bool,
        /// Whether its webhook refuses calls without a time.
        webhook_require_timestamp: bool,
    }
}

impl Default for AgentFacts {
    fn default() -> Self {
        Self {
            name: "".into(),
            slug: "".into(),
            crew_id: None,
            description: None,
            role_title: None,
            agent_role: AgentRole::Agent,
            lead_mode: None,
            cli_adapter: "CLAUDE_CODE".into(),
            llm_provider: None,
            llm_model: None,
            system_prompt: None,
            avatar_seed: None,
            avatar_style: None,
            avatar_url: None,
            timeout_seconds: TIMEOUT_SECONDS_DEFAULT,
            tool_profile: "CODING".into(),
            memory_enabled: false,
            suggested_prompts: None,
            ask_forms: None,
            schedule_cron: None,
            schedule_prompt: None,
            schedule_enabled: false,
            webhook_require_timestamp: false,
        }
    }
}

impl AgentFacts {
    /// These facts with a patch on top. Whether a new crew exists is the roster's to say.
    ///
    /// # Errors
    /// The first field that breaks its rule, in the order of the API page.
    pub fn with(
        &self,
        patch: &AgentPatch,
        crew_exists: impl FnOnce(&CrewId) -> bool,
    ) -> Result<Self, Rejection> {
        let mut facts = self.clone();
        set(&mut facts.name, patch.name.as_deref());
        set(&mut facts.slug, patch.slug.as_deref());
        if let Some(crew) = &patch.crew_id {
            facts.crew_id = crew.as_deref().filter(|id| !id.is_empty()).map(Into::into);
        }
        set_some(&mut facts.description, &patch.description);
        set_some(&mut facts.role_title, &patch.role_title);
        set_some(&mut facts.lead_mode, &patch.lead_mode);
        set(&mut facts.cli_adapter, patch.cli_adapter.as_deref().filter(|adapter| !adapter.is_empty()));
        set_some(&mut facts.llm_provider, &patch.llm_provider);
        set_some(&mut facts.llm_model, &patch.llm_model);
        set_some(&mut facts.system_prompt, &patch.system_prompt);
        set_some(&mut facts.avatar_seed, &patch.avatar_seed);
        set_some(&mut facts.avatar_style, &patch.avatar_style);
        set_some(&mut facts.avatar_url, &patch.avatar_url);
        set(&mut facts.tool_profile, patch.tool_profile.as_deref().filter(|profile| !profile.is_empty()));
        if let Some(seconds) = patch.timeout_seconds {
            facts.timeout_seconds = if seconds == 0 { TIMEOUT_SECONDS_DEFAULT } else { seconds };
        }
        if let Some(enabled) = patch.memory_enabled {
            facts.memory_enabled = enabled;
        }
        set_some(&mut facts.suggested_prompts, &clearing(&patch.suggested_prompts));
        set_some(&mut facts.ask_forms, &clearing(&patch.ask_forms));
        set_some(&mut facts.schedule_cron, &clearing(&patch.schedule_cron));
        set_some(&mut facts.schedule_prompt, &clearing(&patch.schedule_prompt));
        facts.schedule_enabled = patch.schedule_enabled.unwrap_or(facts.schedule_enabled);
        facts.webhook_require_timestamp =
            patch.webhook_require_timestamp.unwrap_or(facts.webhook_require_timestamp);
        name("agent.name", &facts.name)?;
        slug("agent.slug", &facts.slug, "slug must contain only lowercase letters, numbers, and hyphens")?;
        let new_crew = facts.crew_id.as_ref().filter(|_| facts.crew_id != self.crew_id);
        if new_crew.is_some_and(|crew| !crew_exists(crew)) {
            return Err(Rejection::invalid("agent.crew_not_found", "Invalid crew_id"));
        }
        if let Some(role) = &patch.agent_role {
            facts.agent_role = AgentRole::parse(role)
                .ok_or_else(|| Rejection::invalid("agent.agent_role", "agent_role must be AGENT or LEAD"))?;
        }
        if facts.agent_role == AgentRole::Lead && facts.crew_id.is_none() {
            return Err(Rejection::invalid("agent.lead_without_crew", "LEAD role requires crew_id"));
        }
        facts.check_words()?;
        facts.lead_mode = match facts.agent_role {
            AgentRole::Agent => None,
            AgentRole::Lead => facts.lead_mode.or_else(|| Some("active".into())),
        };
        Ok(facts)
    }

    fn check_words(&self) -> Result<(), Rejection> {
        let lead_modes = ["active", "passive"];
        one_of(self.lead_mode.as_ref(), &lead_modes, "agent.lead_mode", || {
            "lead_mode must be 'active' or 'passive'".into()
        })?;
        one_of(Some(&self.cli_adapter), &CLI_ADAPTERS, "agent.cli_adapter", || {
            listed("cli_adapter", &CLI_ADAPTERS)
        })?;
        one_of(self.llm_provider.as_ref(), &LLM_PROVIDERS, "agent.llm_provider", || {
            listed("llm_provider", &LLM_PROVIDERS)
        })?;
        one_of(Some(&self.tool_profile), &TOOL_PROFILES, "agent.tool_profile", || {
            listed("tool_profile", &TOOL_PROFILES)
        })?;
        if !(1..=86_400).contains(&self.timeout_seconds) {
            return Err(Rejection::invalid("agent.timeout_seconds", "timeout_seconds must be 1-86400"));
        }
        if !self.ask_forms.as_deref().is_none_or(is_json) {
            return Err(Rejection::invalid("agent.ask_forms", "ask_forms must be JSON"));
        }
        if !self.schedule_cron.as_deref().is_none_or(is_cron) {
            let detail = "schedule_cron must be a cron expression with five fields";
            return Err(Rejection::invalid("agent.schedule_cron", detail));
        }
        Ok(())
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Five fields of the letters that cron knows; what they mean is for whoever runs the schedule.
fn is_cron(text: &str) -> bool {
    let is_field = |field: &str| {
        field.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'/' | b',' | b'-'))
    };
    text.split_ascii_whitespace().count() == 5 && text.split_ascii_whitespace().all(is_field)
}

fn one_of(
    word: Option<&Text>,
    words: &[&str],
    code: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), Rejection> {
    match word {
        Some(word) if !words.contains(&&**word) => Err(Rejection::invalid(code, detail())),
        _ => Ok(()),
    }
}

/// `x must be A, B, or C`
fn listed(field: &str, words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) => format!("{field} must be {}, or {last}", rest.join(", ")),
        None => format!("{field} must be empty"),
    }
}
