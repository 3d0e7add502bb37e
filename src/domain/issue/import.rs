//! Issues from a file: all of them in one batch, each once (`issues.md` 22).

use std::collections::BTreeMap;

use imbl::OrdMap;

use super::create::{Door, Origin};
use super::event::Imported;
use super::{ImportedIssue, IssueDraft, Party, via};
use crate::unfolding::Unfolding;
use crate::{CrewId, MissionId, Rejection, Text};

/// Longest prefix that is kept, as crews may have it.
const PREFIX_BYTES_MAX: usize = 10;
/// Highest number that is kept: it leaves the crew's own ones enough room.
const NUMBER_MAX: u64 = 999_999_999;

impl Unfolding<'_> {
    /// What was imported before is left as it is. Identifiers are kept where they are free.
    pub(super) fn import_issues(&mut self, crew: &CrewId, issues: &[ImportedIssue]) -> Result<(), Rejection> {
        self.state.require_crew(crew)?;
        let mut made: BTreeMap<Text, MissionId> = BTreeMap::new();
        // Numbers are free as long as nobody had them before the file came, in whatever order it has them.
        let counters = self.state.issues.counters.clone();
        for place in parents_first(issues)? {
            let issue = &issues[place];
            let crew = issue.crew.as_ref().unwrap_or(crew);
            let id = self.import_issue(crew, issue, &made, &counters).map_err(|refused| Rejection {
                detail: format!("issue {}: {}", place + 1, refused.detail).into(),
                ..refused
            })?;
            let names = issue.external_id.iter().chain(&issue.identifier);
            made.extend(names.map(|name| (name.clone(), id.clone())));
        }
        Ok(())
    }

    fn import_issue(
        &mut self,
        crew: &CrewId,
        issue: &ImportedIssue,
        made: &BTreeMap<Text, MissionId>,
        counters: &OrdMap<Text, u64>,
    ) -> Result<MissionId, Rejection> {
        let known = issue.external_id.as_ref().and_then(|id| self.state.issues.external.get(id));
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let mut draft = issue.draft.clone();
        self.sort_imported(issue, &mut draft)?;
        if let Some(parent) = &issue.parent {
            let found = made.get(parent).cloned();
            let found = found.or_else(|| self.state.issues.external.get(parent).cloned());
            draft.parent_issue_id =
                Some(found.map_or_else(|| parent.to_string(), |found| found.as_str().to_owned()));
        }
        let origin = Origin { author: author_of(self.context.actor), via: via::IMPORTED };
        let trace = format!("issue-{}", self.context.mint.cuid()).into();
        let mut created = self.state.created_of_draft(crew, &draft, Door::Public, origin, trace)?;
        created.facts.sort_order = issue.sort_order;
        if let Some((identifier, number)) = self.free_identifier(issue.identifier.as_deref(), counters) {
            (created.identifier, created.number) = (identifier, number);
        }
        created.imported = Some(Box::new(Imported {
            external_id: issue.external_id.clone(),
            status: issue.status,
            created_at: issue.created_at,
            started_at: issue.started_at,
            completed_at: issue.completed_at,
        }));
        let author = created.author.clone();
        let id = self.add_issue(created);
        if let Some(issue_now) = self.state.issues.all.get(&id).cloned() {
            for comment in &issue.comments {
                let Some(author) = comment.author.clone().or_else(|| author.clone()) else { continue };
                self.say(&issue_now, author, comment.body.clone(), comment.created_at);
            }
        }
        Ok(id)
    }

    /// What a file sorts by is found by its name, or made.
    fn sort_imported(&mut self, issue: &ImportedIssue, draft: &mut IssueDraft) -> Result<(), Rejection> {
        let labels = issue.labels.iter().map(|name| self.label_named(name).map(|id| id.to_string()));
        draft.labels = Some(labels.collect::<Result<_, _>>()?);
        let Some(project) = &issue.project else { return Ok(()) };
        let project = self.project_named(project)?;
        draft.project_id = Some(project.to_string());
        if let Some(milestone) = &issue.milestone {
            draft.milestone_id = Some(self.milestone_named(&project, milestone)?.to_string());
        }
        Ok(())
    }

    /// The identifier that an issue had elsewhere, if it is one and nobody has it, or ever had.
    fn free_identifier(&self, wish: Option<&str>, counters: &OrdMap<Text, u64>) -> Option<(Text, u64)> {
        let wish = wish?;
        let (prefix, digits) = wish.rsplit_once('-')?;
        let is_letter = |letter: u8| {
            letter.is_ascii_uppercase() || letter.is_ascii_digit() || matches!(letter, b'-' | b'_')
        };
        let is_prefix = (1..=PREFIX_BYTES_MAX).contains(&prefix.len()) && prefix.bytes().all(is_letter);
        let number: u64 = digits.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number))?;
        let used = counters.get(prefix).copied().unwrap_or_default();
        let is_free = number > used && !self.state.issues.identifiers.contains_key(wish);
        let is_canonical = number.to_string() == digits;
        (is_prefix && is_canonical && is_free).then(|| (wish.into(), number))
    }
}

/// The places of a file so that every parent in it comes before its sub-issues, else as they are.
fn parents_first(issues: &[ImportedIssue]) -> Result<Vec<usize>, Rejection> {
    let named = |(place, issue): (usize, &ImportedIssue)| {
        let names: Vec<Text> = issue.external_id.iter().chain(&issue.identifier).cloned().collect();
        names.into_iter().map(move |name| (name, place))
    };
    // Of two of one name the first is meant.
    let places: BTreeMap<Text, usize> = issues.iter().enumerate().rev().flat_map(named).collect();
    let mut order = vec![];
    let mut is_placed = vec![false; issues.len()];
    for place in 0..issues.len() {
        let mut line = vec![];
        let mut next = Some(place);
        while let Some(place) = next.filter(|place| !is_placed[*place]) {
            if line.contains(&place) {
                let detail = format!("issue {}: parent_issue_id would create a cycle", place + 1);
                return Err(Rejection::invalid("issue.parent_cycle", detail));
            }
            line.push(place);
            next = issues[place].parent.as_ref().and_then(|parent| places.get(parent)).copied();
        }
        line.iter().for_each(|place| is_placed[*place] = true);
        order.extend(line.into_iter().rev());
    }
    Ok(order)
}

fn author_of(actor: &crate::Actor) -> Option<Party> {
    Origin::of(actor).author
}
