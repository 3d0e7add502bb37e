//! What people type to find issues: words, `"phrases"`, identifiers, and operators like `is:open`.

use taffrail_domain::issue::{Issue, IssueStatus};
use taffrail_domain::{CrewId, LabelId, MissionId, ProjectId, Text, UserId, Workspace};
use taffrail_projections::{IssueFilter, Wanted as AnyOf, WorkspaceWorld};

use super::words::{Splitter, Word};

/// Shorter words are not tolerant: most of them are one slip away from another word.
const NEAR_CHARS_MIN: usize = 4;
/// A beginning may have a slip in it from so many letters on.
const BEGUN_NEAR_CHARS_MIN: usize = 5;
/// One letter begins a good part of all words.
const BEGUN_CHARS_MIN: usize = 2;

/// What an issue must hold, somewhere in its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A word, in any of its forms.
    Word {
        word: Word,
        /// Whether it may still be being typed.
        is_last: bool,
    },
    /// Words that follow one another.
    Phrase(Vec<Word>),
}

impl Wanted {
    /// Whether both are the same words, wherever they stand.
    fn is_written_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Word { word, .. }, Self::Word { word: other, .. }) => word.written == other.written,
            (Self::Phrase(words), Self::Phrase(others)) => {
                words.iter().map(|word| &word.written).eq(others.iter().map(|word| &word.written))
            }
            (Self::Word { .. }, Self::Phrase(_)) | (Self::Phrase(_), Self::Word { .. }) => false,
        }
    }

    /// Whether words that begin so count.
    pub(super) fn counts_begun(&self) -> bool {
        matches!(self, Self::Word { word, is_last: true } if word.written.chars().nth(BEGUN_CHARS_MIN - 1).is_some())
    }

    /// Whether words that are one slip away count. Not of numbers: 2026 is not 2025.
    pub(super) fn counts_near(&self) -> bool {
        let Self::Word { word, .. } = self else { return false };
        word.written.chars().nth(NEAR_CHARS_MIN - 1).is_some()
            && word.written.chars().all(char::is_alphabetic)
    }

    /// Whether words that begin so but for one slip count.
    pub(super) fn counts_begun_near(&self) -> bool {
        let is_long = |word: &Word| word.written.chars().nth(BEGUN_NEAR_CHARS_MIN - 1).is_some();
        self.counts_begun() && self.counts_near() && matches!(self, Self::Word { word, .. } if is_long(word))
    }
}

/// What an operator asks of an issue. A name that nothing has is nobody's: nothing matches.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Is(Vec<IssueStatus>),
    Assignee(Option<Text>),
    Label(Option<LabelId>),
    NotLabel(Option<LabelId>),
    Project(Option<ProjectId>),
    Crew(Option<CrewId>),
}

impl Condition {
    fn holds(&self, issue: &Issue) -> bool {
        let has = |label: &Option<LabelId>| label.as_ref().is_some_and(|id| issue.facts.labels.contains(id));
        match self {
            Self::Is(statuses) => statuses.contains(&issue.status),
            Self::Assignee(who) => issue.facts.assignee.as_ref().map(|party| &party.id) == who.as_ref(),
            Self::Label(label) => has(label),
            Self::NotLabel(label) => !has(label),
            Self::Project(project) => project.is_some() && issue.facts.project_id == *project,
            Self::Crew(crew) => crew.as_ref() == Some(&issue.crew_id),
        }
    }
}

/// A query for issues, read in a workspace.
#[derive(Clone, Debug, Default)]
pub struct IssueQuery {
    wanted: Vec<Wanted>,
    conditions: Vec<Condition>,
    /// The plain words, as they were typed: they may name an issue.
    plain: String,
}

impl IssueQuery {
    /// Reads what was typed; `me` is who typed it. An operator that is none, or of a value that it does not
    /// take, is plain words.
    #[must_use]
    pub fn parse(text: &str, me: &UserId, state: &Workspace) -> Self {
        let mut query = Self::default();
        let mut splitter = Splitter::default();
        for item in items(text) {
            match item {
                Item::Quoted(phrase) => {
                    let words = splitter.words(phrase);
                    if !words.is_empty() {
                        query.want(Wanted::Phrase(words));
                    }
                }
                Item::Plain(text) => match condition(text, me, state) {
                    Some(condition) => query.add(condition),
                    None => query.add_words(text, &mut splitter),
                },
            }
        }
        // Operators behind it are set once, by a click or from memory; the words are what is being typed.
        if let Some(Wanted::Word { is_last, .. }) = query.wanted.last_mut() {
            *is_last = true;
        }
        query
    }

    /// Several `is:` are any of them; everything else is all of them.
    fn add(&mut self, condition: Condition) {
        if let Condition::Is(more) = &condition
            && let Some(Condition::Is(statuses)) =
                self.conditions.iter_mut().find(|known| matches!(known, Condition::Is(_)))
        {
            statuses.extend(more);
            return;
        }
        self.conditions.push(condition);
    }

    fn add_words(&mut self, text: &str, splitter: &mut Splitter) {
        self.plain.push_str(text);
        splitter.words(text).into_iter().for_each(|word| self.want(Wanted::Word { word, is_last: false }));
    }

    /// Each thing once, where it was said last: every one is held against all that is looked at.
    fn want(&mut self, wanted: Wanted) {
        self.wanted.retain(|known| !known.is_written_as(&wanted));
        self.wanted.push(wanted);
    }

    pub(super) fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// What the board of issues can tell of the operators: at least all that they let through.
    pub(super) fn filter(&self) -> IssueFilter {
        let mut filter = IssueFilter::default();
        for condition in &self.conditions {
            match condition.clone() {
                Condition::Is(statuses) => {
                    filter.statuses = AnyOf::any_of(statuses.into_iter().map(Some));
                }
                Condition::Assignee(who) => filter.assignees = AnyOf::any_of([Some(who)]),
                Condition::Label(label) => filter.labels = AnyOf::any_of([label.map(Some)]),
                Condition::NotLabel(label) => filter.labels_excluded.extend(label),
                Condition::Project(project) => filter.projects = AnyOf::any_of([project.map(Some)]),
                Condition::Crew(crew) => filter.crews = AnyOf::any_of([crew]),
            }
        }
        filter
    }

    pub(super) fn has_operators(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether all operators let it through.
    pub(super) fn allows(&self, issue: &Issue) -> bool {
        self.conditions.iter().all(|condition| condition.holds(issue))
    }

    /// The issues that the plain words name: `ENG-42`, `eng42`, or `42` of any crew.
    pub(super) fn named(&self, world: &WorkspaceWorld) -> Vec<MissionId> {
        let issues = &world.state.issues;
        let typed = self.plain.trim_start_matches('#').to_uppercase();
        let digits = typed.trim_start_matches(|char: char| !char.is_ascii_digit());
        let numbered = |prefix: &Text| {
            let prefix = prefix.to_uppercase();
            let behind = if digits.len() == typed.len() { &typed } else { typed.strip_prefix(&*prefix)? };
            let number: u64 = behind.strip_prefix('-').unwrap_or(behind).parse().ok()?;
            issues.identifiers.get(format!("{prefix}-{number}").as_str())
        };
        let exact = issues.identifiers.get(typed.as_str());
        let numbered = issues.counters.keys().filter_map(numbered).filter(|id| Some(*id) != exact);
        exact.into_iter().chain(numbered).cloned().collect()
    }
}

/// A piece of what was typed.
enum Item<'a> {
    Quoted(&'a str),
    Plain(&'a str),
}

/// Pieces between blanks; quotes hold them together, those of an operator's value too.
fn items(text: &str) -> Vec<Item<'_>> {
    let mut items = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (phrase, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
            items.push(Item::Quoted(phrase));
            rest = behind.trim_start();
            continue;
        }
        let blank = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let quote = rest[..blank].find(":\"").map(|at| at + 2);
        let close = quote.map(|quote| rest[quote..].find('"').map_or(rest.len(), |end| quote + end + 1));
        let (piece, behind) = rest.split_at(close.unwrap_or(blank));
        items.push(Item::Plain(piece));
        rest = behind.trim_start();
    }
    items
}

fn condition(text: &str, me: &UserId, state: &Workspace) -> Option<Condition> {
    let (key, value) = text.split_once(':')?;
    let value = value.trim_matches('"');
    if value.is_empty() {
        return None;
    }
    Some(match key.to_ascii_lowercase().as_str() {
        "is" => Condition::Is(statuses(value)?),
        "assignee" => Condition::Assignee(match value {
            "none" => None,
            "me" => Some(me.as_str().into()),
            name => Some(agent_named(state, name).unwrap_or_else(|| name.into())),
        }),
        "label" => Condition::Label(label_named(state, value)),
        "-label" => Condition::NotLabel(label_named(state, value)),
        "project" => Condition::Project(project_named(state, value)),
        "crew" => Condition::Crew(crew_named(state, value)),
        _ => return None,
    })
}

/// `open` is all that people are not done with: failed ones need somebody to look (`issues.md` 5).
fn statuses(value: &str) -> Option<Vec<IssueStatus>> {
    let all = IssueStatus::ALL.iter().copied();
    match value.to_ascii_lowercase().as_str() {
        "open" => Some(all.filter(|status| !status.is_completed()).collect()),
        "closed" => Some(all.filter(|status| status.is_completed()).collect()),
        word => IssueStatus::parse(&word.to_ascii_uppercase().replace('-', "_")).map(|status| vec![status]),
    }
}

/// A label by name, in any case, or by id.
fn label_named(state: &Workspace, name: &str) -> Option<LabelId> {
    let by_name = || {
        let mut all = state.tracker.labels_by_name();
        all.find(|label| label.facts.name.to_lowercase() == name.to_lowercase()).map(|label| label.id.clone())
    };
    state
        .tracker
        .label_names
        .get(name)
        .cloned()
        .or_else(by_name)
        .or_else(|| state.tracker.labels.get(name).map(|label| label.id.clone()))
}

/// A project by slug or id.
fn project_named(state: &Workspace, name: &str) -> Option<ProjectId> {
    state.tracker.project(name).map(|project| project.id.clone())
}

/// A crew by slug or id.
fn crew_named(state: &Workspace, name: &str) -> Option<CrewId> {
    let by_slug = state.roster.crew_slugs.get(name).cloned();
    by_slug.or_else(|| state.roster.live_crew(name).map(|crew| crew.id.clone()))
}

/// An agent by slug; an id is told by itself.
fn agent_named(state: &Workspace, name: &str) -> Option<Text> {
    state.roster.agent_slugs.get(name).map(|agent| agent.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> IssueQuery {
        IssueQuery::parse(text, &"cme".into(), &Workspace::default())
    }

    fn told(query: &IssueQuery) -> Vec<String> {
        let wanted = query.wanted.iter().map(|wanted| match wanted {
            Wanted::Word { word, is_last } => format!("{}{}", word.stem, if *is_last { "…" } else { "" }),
            Wanted::Phrase(words) => words.iter().map(|word| &*word.stem).collect::<Vec<_>>().join("+"),
        });
        wanted.collect()
    }

    #[test]
    fn words_phrases_and_operators_are_told_apart() {
        let query = read(r#"login "server errors" is:open -label:"needs review" time"#);
        assert_eq!(told(&query), ["login", "server+error", "time…"]);
        assert_eq!(query.conditions.len(), 2);
        assert_eq!(query.conditions[1], Condition::NotLabel(None));
        let query = read("is:todo is:in-progress assignee:me");
        let statuses = vec![IssueStatus::Todo, IssueStatus::InProgress];
        assert_eq!(query.conditions, [Condition::Is(statuses), Condition::Assignee(Some("cme".into()))]);
        assert!(query.wanted.is_empty());
    }

    #[test]
    fn what_is_said_twice_is_wanted_once() {
        assert_eq!(told(&read("that log That in-that")), ["log", "in", "that…"]);
        assert_eq!(told(&read("\"a b\" c \"A  b\" \"b a\" b")), ["c", "a+b", "b+a", "b…"]);
    }

    #[test]
    fn what_is_no_operator_is_plain_words() {
        assert_eq!(
            told(&read("foo:bar is:banana label: \"open")),
            ["foo", "bar", "is", "banana", "label", "open"]
        );
        assert_eq!(told(&read("node.js")), ["node", "js…"]);
        assert_eq!(told(&read("welc is:open")), ["welc…"], "whatever operator stands behind");
        assert!(read("").wanted.is_empty() && read("\"\" …").wanted.is_empty());
    }

    #[test]
    fn only_the_last_word_may_be_begun_and_only_long_words_may_slip() {
        let query = read("deployment app authe");
        let told: Vec<_> = query
            .wanted
            .iter()
            .map(|wanted| (wanted.counts_begun(), wanted.counts_near(), wanted.counts_begun_near()))
            .collect();
        assert_eq!(told, [(false, true, false), (false, false, false), (true, true, true)]);
        assert!(!read("a").wanted[0].counts_begun() && !read("2026").wanted[0].counts_near());
    }
}
