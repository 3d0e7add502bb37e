//! A crew and its rules (`platform.md` 6.6).

use serde::{Deserialize, Serialize};

use super::command::{clearing, name, set, set_some, slug};
use super::{CrewPatch, Policy};
use crate::facts::facts;
use crate::{CrewId, Offset, Rejection, Text, Time};

/// A crew as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crew {
    /// Its id.
    pub id: CrewId,
    /// What its members may change.
    pub facts: CrewFacts,
    /// How much its agents may do without asking.
    pub policy: Policy,
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
    CrewFacts,
    /// What an update changed, with its new value.
    CrewChanges {
        /// What people call it.
        name: Text,
        /// Its name in URLs; unique among the live crews of a workspace.
        slug: Text,
        /// Free text.
        description: Option<Text>,
        /// Palette colour.
        color: Option<Text>,
        /// Icon name.
        icon: Option<Text>,
        /// Style of its agents' avatars.
        avatar_style: Option<Text>,
        /// Memory of its container, MB.
        container_memory_mb: i64,
        /// Processors of its container.
        container_cpus: f64,
        /// Hours its container may live.
        container_ttl_hours: Option<i64>,
        /// `free` or `restricted`.
        network_mode: Text,
        /// Hosts it may reach when restricted.
        allowed_domains: Vec<Text>,
        /// Image of its container.
        runtime_image: Option<Text>,
        /// Stored as is.
        devcontainer_config: Option<Text>,
        /// Stored as is.
        mise_config: Option<Text>,
        /// Stored as is.
        services_json: Option<Text>,
        /// Prefix of its issues' identifiers, if not made from the slug.
        issue_prefix: Option<Text>,
        /// Servers of the model context protocol.
        mcp_config_json: Option<Text>,
        /// Approval thresholds, JSON text.
        escalation_config: Option<Text>,
        /// Most hired agents at a time.
        max_ephemeral_agents: i64,
    }
}

const MEMORY_MB_DEFAULT: i64 = 4_096;
const CPUS_DEFAULT: f64 = 2.0;
const EPHEMERAL_AGENTS_DEFAULT: i64 = 10;
const DEVCONTAINER_BYTES_MAX: usize = 100 << 10;
const MISE_BYTES_MAX: usize = 10 << 10;
const SERVICES_BYTES_MAX: usize = 64 << 10;

impl Default for CrewFacts {
    fn default() -> Self {
        Self {
            name: "".into(),
            slug: "".into(),
            description: None,
            color: None,
            icon: None,
            avatar_style: None,
            container_memory_mb: MEMORY_MB_DEFAULT,
            container_cpus: CPUS_DEFAULT,
            container_ttl_hours: None,
            network_mode: "free".into(),
            allowed_domains: vec![],
            runtime_image: None,
            devcontainer_config: None,
            mise_config: None,
            services_json: None,
            issue_prefix: None,
            mcp_config_json: None,
            escalation_config: None,
            max_ephemeral_agents: EPHEMERAL_AGENTS_DEFAULT,
        }
    }
}

impl CrewFacts {
    /// The prefix its issues get: its own, else the first three characters of the slug, uppercase.
    #[must_use]
    pub fn effective_issue_prefix(&self) -> Text {
        let from_slug = || self.slug.chars().take(3).collect::<String>().to_uppercase().into();
        self.issue_prefix.clone().unwrap_or_else(from_slug)
    }

    /// These facts with a patch on top.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn with(&self, patch: &CrewPatch) -> Result<Self, Rejection> {
        let mut facts = self.clone();
        set(&mut facts.name, patch.name.as_deref());
        set(&mut facts.slug, patch.slug.as_deref());
        set_some(&mut facts.description, &patch.description);
        set_some(&mut facts.color, &patch.color);
        set_some(&mut facts.icon, &patch.icon);
        set_some(&mut facts.avatar_style, &patch.avatar_style);
        set_some(&mut facts.runtime_image, &clearing(&patch.runtime_image));
        set_some(&mut facts.devcontainer_config, &clearing(&patch.devcontainer_config));
        set_some(&mut facts.mise_config, &clearing(&patch.mise_config));
        set_some(&mut facts.services_json, &clearing(&patch.services_json));
        set_some(&mut facts.mcp_config_json, &clearing(&patch.mcp_config_json));
        set_some(&mut facts.escalation_config, &clearing(&patch.escalation_config));
        set(&mut facts.network_mode, patch.network_mode.as_deref());
        if let Some(hours) = patch.container_ttl_hours {
            facts.container_ttl_hours = hours;
        }
        if let Some(megabytes) = patch.container_memory_mb {
            facts.container_memory_mb = if megabytes == 0 { MEMORY_MB_DEFAULT } else { megabytes };
        }
        if let Some(cpus) = patch.container_cpus {
            facts.container_cpus = if cpus == 0.0 { CPUS_DEFAULT } else { cpus };
        }
        if let Some(domains) = &patch.allowed_domains {
            facts.allowed_domains = domains.iter().map(|domain| domain.as_str().into()).collect();
        }
        if let Some(prefix) = &patch.issue_prefix {
            let prefix = prefix.as_deref().filter(|prefix| !prefix.is_empty());
            facts.issue_prefix = prefix.map(|prefix| prefix.to_uppercase().into());
        }
        if let Some(count) = patch.max_ephemeral_agents {
            facts.max_ephemeral_agents = count;
        }
        facts.check()?;
        Ok(facts)
    }

    fn check(&self) -> Result<(), Rejection> {
        name("crew.name", &self.name)?;
        let alphabet = "slug must contain only lowercase letters, numbers, hyphens, and underscores";
        slug("crew.slug", &self.slug, alphabet)?;
        ensure((6..=262_144).contains(&self.container_memory_mb), "crew.container_memory_mb", || {
            "container_memory_mb must be 6-262144".into()
        })?;
        ensure((0.01..=512.0).contains(&self.container_cpus), "crew.container_cpus", || {
            "container_cpus must be 0.01-512".into()
        })?;
        ensure(self.container_ttl_hours.is_none_or(|hours| hours >= 0), "crew.container_ttl_hours", || {
            "container_ttl_hours must be 0 or more".into()
        })?;
        ensure(matches!(&*self.network_mode, "free" | "restricted"), "crew.network_mode", || {
            "network_mode must be 'free' or 'restricted'".into()
        })?;
        if let Some(domain) = self.allowed_domains.iter().find(|domain| !is_host_name(domain)) {
            return Err(Rejection::invalid("crew.allowed_domains", format!("invalid domain: {domain:?}")));
        }
        at_most(
            &self.devcontainer_config,
            DEVCONTAINER_BYTES_MAX,
            "devcontainer_config must be at most 100 KB",
        )?;
        at_most(&self.mise_config, MISE_BYTES_MAX, "mise_config must be at most 10 KB")?;
        at_most(&self.services_json, SERVICES_BYTES_MAX, "services_json must be at most 64 KB")?;
        ensure(self.issue_prefix.as_deref().is_none_or(is_issue_prefix), "crew.issue_prefix", || {
            "issue_prefix must be a letter and up to nine letters or digits".into()
        })?;
        ensure(
            self.mcp_config_json.as_deref().is_none_or(names_mcp_servers),
            "crew.mcp_config_json",
            || "mcp_config_json must be a JSON object with mcpServers".into(),
        )?;
        self.escalation_config.as_deref().map_or(Ok(()), check_escalation)?;
        ensure((0..=100).contains(&self.max_ephemeral_agents), "crew.max_ephemeral_agents", || {
            "max_ephemeral_agents must be 0-100".into()
        })
    }
}

fn ensure(holds: bool, code: &'static str, detail: impl FnOnce() -> String) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::invalid(code, detail())) }
}

fn at_most(text: &Option<Text>, bytes: usize, detail: &'static str) -> Result<(), Rejection> {
    ensure(text.as_ref().is_none_or(|text| text.len() <= bytes), "crew.too_long", || detail.to_owned())
}

fn is_host_name(domain: &str) -> bool {
    let name = domain.strip_prefix("*.").unwrap_or(domain);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn is_issue_prefix(prefix: &str) -> bool {
    prefix.len() <= 10
        && prefix.starts_with(|first: char| first.is_ascii_uppercase())
        && prefix.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn names_mcp_servers(text: &str) -> bool {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    parsed.is_ok_and(|value| value.get("mcpServers").is_some())
}

fn check_escalation(text: &str) -> Result<(), Rejection> {
    let parsed: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(text);
    let config = parsed.map_err(|_| {
        Rejection::invalid("crew.escalation_config", "escalation_config must be a JSON object")
    })?;
    let threshold = |key: &str| -> Result<Option<f64>, Rejection> {
        let Some(value) = config.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
        share.map(Some).ok_or_else(|| {
            Rejection::invalid("crew.escalation_config", format!("{key} must be a number from 0 to 1"))
        })
    };
    threshold("notify_threshold")?;
    let (auto, require) = (threshold("auto_approve_threshold")?, threshold("require_approval_below")?);
    match (auto, require) {
        (Some(auto), Some(require)) if auto > 0.0 && require > 0.0 && auto <= require => {
            Err(Rejection::invalid(
                "crew.escalation_config",
                "auto_approve_threshold must be greater than require_approval_below",
            ))
        }
        _ => Ok(()),
    }
}
