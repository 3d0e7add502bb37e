//! Triage: rules that say what becomes of new issues by their titles (`issues.md` 16).

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{asked, name, not_empty, priority, room, some};
use super::folding::is_light;
use super::{
    Body, RuleMatches, TriageProcessed, TriageRuleCreated, TriageRuleDeleted, TriageRuleDraft,
    TriageRuleUpdated,
};
use crate::entry::words;
use crate::issue::{Issue, IssueFacts, IssuePriority, LABELS_MAX, Party, PartyType, Seat};
use crate::roster::audit;
use crate::unfolding::Unfolding;
use crate::{
    AgentId, Context, CrewId, Draft, LabelId, MissionId, Offset, ProjectId, Rejection, Text, Time,
    TriageRuleId, Workspace,
};

/// Most rules of a workspace: every title is held against each of them.
const RULES_MAX: usize = 100;
/// Longest pattern, in letters.
const PATTERN_CHARS_MAX: usize = 1_000;
/// Most memory of a compiled expression: what it takes to hold a letter against it grows with that.
/// `\w` alone, which knows every script, takes about half of it.
const EXPRESSION_BYTES_MAX: usize = 128 << 10;
/// Most memory of what it remembers of its work.
const MEMORY_BYTES_MAX: usize = 512 << 10;
/// Most issues changed in one go: five entries each, and one batch holds 4,096.
const TOUCHED_MAX: u64 = 500;
/// Most titles held against rules in one go: a writer has others to serve.
const COMPARISONS_MAX: u64 = 200_000;
/// Most that expressions may cost in one go: letters of titles times the KiB of what they are held against.
/// At its worst that is a second's work.
const EXPRESSIONS_COST_MAX: u64 = 3_000_000;
/// Sizes that a compiled expression is tried with, to know which one it has.
const EXPRESSION_SIZES: [usize; 4] = [2 << 10, 8 << 10, 32 << 10, EXPRESSION_BYTES_MAX];

words! {
    /// How a title is held against a pattern.
    MatchType {
        /// It has the pattern in it, capitals or not.
        #[default]
        Contains = "contains",
        /// The pattern is a regular expression.
        Regex = "regex",
        /// It is the pattern.
        Exact = "exact",
    }
}

/// What people set of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriageRuleFacts {
    /// What it is called.
    pub name: Text,
    /// What a title is held against.
    pub pattern: Text,
    /// How.
    pub match_type: MatchType,
    /// The crew that gets the issue.
    pub crew_id: Option<CrewId>,
    /// The agent that gets it.
    pub assignee_id: Option<AgentId>,
    /// How much it matters.
    pub priority: Option<IssuePriority>,
    /// The project it becomes part of.
    pub project_id: Option<ProjectId>,
    /// Labels it gets.
    pub labels: Vec<LabelId>,
    /// Its place among the rules: the first that matches wins.
    pub position: i64,
    /// Whether it counts.
    pub enabled: bool,
}

/// A rule as it is after its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriageRule {
    /// Its id.
    pub id: TriageRuleId,
    /// What people set of it.
    pub facts: TriageRuleFacts,
    /// How many issues it changed.
    pub match_count: u64,
    /// When it was made.
    pub created_at: Time,
    /// Offset of its creation.
    pub born: Offset,
}

/// A pattern, ready to be used.
enum Pattern {
    Contains(String),
    /// With its size in KiB.
    Expression(Regex, u64),
    Exact(Text),
}

/// An expression, and how many KiB it takes at most.
fn expression(pattern: &str) -> Result<(Regex, u64), regex::Error> {
    let built =
        |bytes: usize| RegexBuilder::new(pattern).size_limit(bytes).dfa_size_limit(MEMORY_BYTES_MAX).build();
    let mut refused = None;
    for bytes in EXPRESSION_SIZES {
        match built(bytes) {
            Ok(expression) => return Ok((expression, bytes as u64 >> 10)),
            Err(error @ regex::Error::CompiledTooBig(_)) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or(regex::Error::CompiledTooBig(EXPRESSION_BYTES_MAX)))
}

impl Pattern {
    fn of(match_type: MatchType, pattern: &str) -> Result<Self, Rejection> {
        Ok(match match_type {
            MatchType::Contains => Self::Contains(pattern.to_lowercase()),
            MatchType::Exact => Self::Exact(pattern.into()),
            MatchType::Regex => {
                if !is_light(pattern) {
                    let detail = "Invalid regex pattern: its classes hold too many letters for (?i)";
                    return Err(Rejection::invalid("triage_rule.regex", detail));
                }
                let (expression, size) = expression(pattern).map_err(|error| {
                    // The last line says what is wrong; those before draw where.
                    let text = error.to_string();
                    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    Rejection::invalid("triage_rule.regex", format!("Invalid regex pattern: {reason}"))
                })?;
                Self::Expression(expression, size)
            }
        })
    }

    /// What it costs to hold a title against it, where that is more than a look.
    fn cost(&self, title: &str) -> u64 {
        match self {
            Self::Expression(_, size) => size.saturating_mul(title.len() as u64),
            Self::Contains(_) | Self::Exact(_) => 0,
        }
    }

    fn fits(&self, title: &str, lowercase: &str) -> bool {
        match self {
            Self::Contains(part) => lowercase.contains(part),
            Self::Expression(expression, _) => expression.is_match(title),
            Self::Exact(whole) => *title == **whole,
        }
    }
}

fn match_type(wish: Option<&str>) -> Result<MatchType, Rejection> {
    MatchType::parse(wish.unwrap_or_default()).ok_or_else(|| {
        Rejection::invalid("triage_rule.match_type", "match_type must be: contains, regex, or exact")
    })
}

fn pattern(wish: Option<&str>) -> Result<Text, Rejection> {
    let pattern = wish.unwrap_or_default();
    if pattern.is_empty() {
        return Err(Rejection::invalid("triage_rule.pattern_required", "pattern is required"));
    }
    if pattern.chars().count() > PATTERN_CHARS_MAX {
        let detail = "pattern must be at most 1000 characters";
        return Err(Rejection::invalid("triage_rule.pattern_too_long", detail));
    }
    Ok(pattern.into())
}

impl Workspace {
    /// A rule.
    ///
    /// # Errors
    /// `Triage rule not found`.
    pub fn triage_rule(&self, id: &str) -> Result<&TriageRule, Rejection> {
        let found = self.tracker.rules.get(id).map(|rule| &**rule);
        found.ok_or_else(|| Rejection::not_found("triage_rule.not_found", "Triage rule not found"))
    }

    /// All rules, in the order they are asked.
    #[must_use]
    pub fn rules_in_order(&self) -> Vec<&TriageRule> {
        let mut rules: Vec<_> = self.tracker.rules.values().map(|rule| &**rule).collect();
        rules.sort_by_key(|rule| (rule.facts.position, rule.born));
        rules
    }

    /// How many issues the next processing has before it, beginning where the last one left off.
    #[must_use]
    pub fn triage_ahead(&self) -> u64 {
        if !self.tracker.rules.values().any(|rule| rule.facts.enabled) {
            return 0;
        }
        let behind = |id: &&MissionId| self.tracker.triage_left_at.as_ref().is_none_or(|left| left < *id);
        self.issues.tallies.untriaged.iter().filter(behind).count() as u64
    }

    pub(super) fn create_rule(
        &self,
        draft: &TriageRuleDraft,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let last = self.tracker.rules.values().map(|rule| rule.facts.position).max().unwrap_or_default();
        let nothing = TriageRuleFacts {
            name: name(draft.name.as_deref())?,
            pattern: pattern(draft.pattern.as_deref())?,
            match_type: match_type(draft.match_type.as_deref())?,
            crew_id: None,
            assignee_id: None,
            priority: None,
            project_id: None,
            labels: vec![],
            position: last.saturating_add(1),
            enabled: true,
        };
        let draft = TriageRuleDraft { name: None, position: None, enabled: None, ..draft.clone() };
        let rule = self.rule_with(&nothing, &draft)?;
        room(self.tracker.rules.len(), RULES_MAX, "triage rules")?;
        let id = TriageRuleId::from(context.mint.cuid());
        let face = audit("created", "TRIAGE_RULE", id.as_str(), &rule.name, context.actor);
        Ok(vec![Draft::public(id.as_str(), TriageRuleCreated { rule: rule.into() }, face)])
    }

    pub(super) fn update_rule(
        &self,
        id: &TriageRuleId,
        patch: &Body<Box<TriageRuleDraft>>,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let before = self.triage_rule(id.as_str())?;
        let patch = asked(patch)?;
        let rule = self.rule_with(&before.facts, patch)?;
        not_empty(patch)?;
        if rule == before.facts {
            return Ok(vec![]);
        }
        let face = audit("updated", "TRIAGE_RULE", id.as_str(), &rule.name, context.actor);
        Ok(vec![Draft::public(id.as_str(), TriageRuleUpdated { rule: rule.into() }, face)])
    }

    pub(super) fn delete_rule(
        &self,
        id: &TriageRuleId,
        context: &Context<'_>,
    ) -> Result<Vec<Draft>, Rejection> {
        let name = self.triage_rule(id.as_str())?.facts.name.clone();
        let face = audit("deleted", "TRIAGE_RULE", id.as_str(), &name, context.actor);
        Ok(vec![Draft::public(id.as_str(), TriageRuleDeleted { name }, face)])
    }

    fn rule_with(
        &self,
        before: &TriageRuleFacts,
        patch: &TriageRuleDraft,
    ) -> Result<TriageRuleFacts, Rejection> {
        let mut facts = before.clone();
        if let Some(wish) = &patch.name {
            facts.name = name(Some(wish))?;
        }
        if let Some(wish) = &patch.pattern {
            facts.pattern = pattern(Some(wish))?;
        }
        if let Some(wish) = &patch.match_type {
            facts.match_type = match_type(Some(wish))?;
        }
        // Either half may have made the pair one that makes no sense.
        Pattern::of(facts.match_type, &facts.pattern)?;
        if let Some(id) = &patch.crew_id {
            facts.crew_id = some(id).map(|id| self.crew_ref(&id)).transpose()?;
        }
        if let Some(id) = &patch.assignee_id {
            let agent = some(id).map(|id| self.party(PartyType::Agent, &id, "assignee_id")).transpose()?;
            facts.assignee_id = agent.as_ref().and_then(Party::as_agent);
        }
        if let Some(word) = &patch.priority {
            facts.priority = priority(word)?;
        }
        if let Some(id) = &patch.project_id {
            facts.project_id = self.project_ref(id)?;
        }
        if let Some(text) = &patch.labels_json {
            facts.labels = self.labels_of_json(text)?;
        }
        facts.position = patch.position.unwrap_or(facts.position);
        facts.enabled = patch.enabled.unwrap_or(facts.enabled);
        Ok(facts)
    }

    fn crew_ref(&self, id: &str) -> Result<CrewId, Rejection> {
        let found = self.roster.live_crew(id).map(|crew| crew.id.clone());
        found.ok_or_else(|| {
            Rejection::invalid("triage_rule.crew_not_found", "crew_id does not exist in this workspace")
        })
    }

    /// What a rule makes of an issue. What the rule names and is gone meanwhile is left as it is, and so
    /// is the crew where the other one has nobody to lead it.
    fn ruled(&self, rule: &TriageRuleFacts, issue: &Issue) -> Result<(Option<Seat>, IssueFacts), Rejection> {
        let mut facts = issue.facts.clone();
        let crew = rule.crew_id.as_ref().and_then(|crew| self.roster.live_crew(crew.as_str()));
        let seat = crew.filter(|crew| crew.id != issue.crew_id).and_then(|crew| {
            let lead_agent_id = self.live_lead(&crew.id)?;
            Some(Seat { crew_id: crew.id.clone(), lead_agent_id })
        });
        let agent = rule.assignee_id.as_ref().and_then(|agent| self.roster.live_agent(agent.as_str()));
        if let Some(agent) = agent {
            facts.assignee = Some(Party::agent(&agent.id));
        }
        facts.priority = rule.priority.unwrap_or(facts.priority);
        if rule.project_id.as_ref().is_some_and(|project| self.tracker.projects.contains_key(project)) {
            facts.project_id.clone_from(&rule.project_id);
            self.agree_on_project(&mut facts, false)?;
        }
        let new = self.tracker.labels_left(&rule.labels).into_iter();
        let new = new.filter(|label| !facts.labels.contains(label));
        let new: Vec<LabelId> = new.take(LABELS_MAX.saturating_sub(facts.labels.len())).collect();
        facts.labels.extend(new);
        Ok((seat, facts))
    }
}

impl Unfolding<'_> {
    /// Holds what nobody is on against the rules, from where the last time left off. The first rule that
    /// fits decides; an issue that already is as its rule wants it is left alone.
    pub(super) fn process_triage(&mut self) -> Result<(), Rejection> {
        let rules = self.state.rules_in_order().into_iter().filter(|rule| rule.facts.enabled).cloned();
        // A pattern was read when it was set; one that a later build does not read any more fits nothing.
        let rules: Vec<(TriageRule, Pattern)> = rules
            .filter_map(|rule| {
                let pattern = Pattern::of(rule.facts.match_type, &rule.facts.pattern).ok()?;
                Some((rule, pattern))
            })
            .collect();
        let Some(most) = COMPARISONS_MAX.checked_div(rules.len() as u64) else { return Ok(()) };
        let mut done = TriageProcessed { processed: 0, matched: 0, rules: vec![], left_at: None };
        let before = self.state.tracker.triage_left_at.clone();
        let waiting = self.state.issues.tallies.untriaged.clone();
        let first = before.clone().unwrap_or_else(|| "".into());
        let (mut last, mut cost) = (None, 0);
        for id in waiting.range(first..).filter(|id| Some(*id) != before.as_ref()) {
            if done.processed >= most || done.matched >= TOUCHED_MAX || cost >= EXPRESSIONS_COST_MAX {
                done.left_at = last;
                break;
            }
            done.processed += 1;
            last = Some(id.clone());
            if let Some(rule) = self.triage(id, &rules, &mut cost)? {
                done.count(&rule);
            }
        }
        let workspace = self.state.roster.opened.as_ref().map(|opened| opened.id.clone());
        if let Some(workspace) = workspace
            && (done.processed > 0 || done.left_at != before)
        {
            self.add(Draft::internal(workspace.as_str(), done));
        }
        Ok(())
    }

    /// Lets the first rule that fits decide; which one changed something.
    fn triage(
        &mut self,
        id: &MissionId,
        rules: &[(TriageRule, Pattern)],
        cost: &mut u64,
    ) -> Result<Option<TriageRuleId>, Rejection> {
        let Some(issue) = self.state.issues.all.get(id).cloned() else { return Ok(None) };
        let lowercase = issue.title.to_lowercase();
        let fits = |(_, pattern): &&(TriageRule, Pattern)| {
            *cost = cost.saturating_add(pattern.cost(&issue.title));
            pattern.fits(&issue.title, &lowercase)
        };
        let Some((rule, _)) = rules.iter().find(fits) else { return Ok(None) };
        let (seat, facts) = self.state.ruled(&rule.facts, &issue)?;
        Ok(self.triage_issue(&issue, seat, facts, &rule.facts.name).then(|| rule.id.clone()))
    }

    /// What rules lose when it goes.
    pub(super) fn change_rules(&mut self, change: impl Fn(&mut TriageRuleFacts)) {
        let rules: Vec<TriageRule> = self.state.tracker.rules.values().map(|rule| (**rule).clone()).collect();
        for before in rules {
            let mut rule = before.facts.clone();
            change(&mut rule);
            if rule != before.facts {
                self.add(Draft::internal(before.id.as_str(), TriageRuleUpdated { rule: rule.into() }));
            }
        }
    }
}

impl TriageProcessed {
    fn count(&mut self, rule: &TriageRuleId) {
        self.matched += 1;
        match self.rules.iter_mut().find(|matches| matches.rule_id == *rule) {
            Some(matches) => matches.count += 1,
            None => self.rules.push(RuleMatches { rule_id: rule.clone(), count: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_small_and_costs_by_its_size() {
        for pattern in [r"\bbug\b", r"(?i)^\[(crash|panic)\]", r"\d+", "[a-z]{3,8}-[0-9]+", r"\w+ error"] {
            assert!(Pattern::of(MatchType::Regex, pattern).is_ok(), "{pattern}");
        }
        let wide = format!("(?i){}", "[a-\u{10ffff}]".repeat(150));
        for pattern in [&*wide, r"(\w{50}){50}", r"(?:.*.*.*){100}x", r"\pL{200}", "("] {
            let refused = Pattern::of(MatchType::Regex, pattern).map(|_| ()).expect_err(pattern);
            assert!(refused.detail.starts_with("Invalid regex pattern: "), "{}", refused.detail);
        }
        let cost = |kind, pattern| Pattern::of(kind, pattern).map(|pattern| pattern.cost("ten bytes.")).ok();
        assert_eq!(cost(MatchType::Regex, "a"), Some(20));
        assert_eq!(cost(MatchType::Contains, "a"), Some(0));
        assert!(cost(MatchType::Regex, r"[a-z]{3}\w error").is_some_and(|cost| cost > 20));
    }
}
