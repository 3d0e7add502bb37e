//! Issues from a file: all of them in one batch, each once (`issues.md` 22).

use std::collections::{BTreeMap, BTreeSet};

use super::create::{Door, Origin};
use super::event::Imported;
use super::fields::too_many_labels;
use super::{ImportedComment, ImportedIssue, IssueDraft, LABELS_MAX, Related, RelationType, via};
use crate::unfolding::Unfolding;
use crate::{CrewId, Draft, MissionId, Rejection, Text, Time, Workspace};

/// Longest prefix that is kept, as crews may have it.
const PREFIX_BYTES_MAX: usize = 10;
/// Highest number that is kept: it leaves the crew's own ones enough room.
const NUMBER_MAX: u64 = 999_999_999;
/// A batch takes no more (`DESIGN.md` 3): what is decided behind them would only hold the writer.
const ENTRIES_MAX: usize = 4_096;

/// Which issue of a file a name in it means: an identifier or an external id.
pub struct ImportedNames<'a> {
    /// What two have names nobody.
    identifiers: BTreeMap<&'a str, Option<usize>>,
    /// Of two the first: the second is the same issue once more.
    external: BTreeMap<&'a str, usize>,
}

impl<'a> ImportedNames<'a> {
    /// Those of a file.
    #[must_use]
    pub fn of(issues: &'a [ImportedIssue]) -> Self {
        let mut names = Self { identifiers: BTreeMap::new(), external: BTreeMap::new() };
        for (place, issue) in issues.iter().enumerate() {
            if let Some(id) = &issue.identifier {
                names.identifiers.entry(id).and_modify(|place| *place = None).or_insert(Some(place));
            }
            if let Some(id) = &issue.external_id {
                names.external.entry(id).or_insert(place);
            }
        }
        names
    }

    /// The place in the file of the one issue that is meant.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.identifiers.get(name).copied().flatten().or_else(|| self.external.get(name).copied())
    }
}

/// The numbers that issues of a file keep: nothing fresh takes them.
#[derive(Default)]
struct Kept {
    by_place: BTreeMap<usize, (Text, u64)>,
    /// The highest of each prefix.
    highest: BTreeMap<Text, u64>,
}

impl Workspace {
    /// Numbers are free as long as nobody had them before the file came, in whatever order it has them.
    fn kept_numbers(&self, issues: &[ImportedIssue]) -> Kept {
        let mut kept = Kept::default();
        let mut taken = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for (place, issue) in issues.iter().enumerate() {
            if let Some(id) = &issue.external_id
                && (self.issues.external.contains_key(id) || !seen.insert(id))
            {
                continue;
            }
            let Some(wish) = issue.identifier.as_ref() else { continue };
            let Some((prefix, number)) = self.free_identifier(wish).filter(|_| taken.insert(wish)) else {
                continue;
            };
            let highest = kept.highest.entry(prefix).or_default();
            *highest = number.max(*highest);
            kept.by_place.insert(place, (wish.clone(), number));
        }
        kept
    }

    /// Prefix and number of an identifier that an issue had elsewhere, if it is one and nobody has it, or ever
    /// had.
    fn free_identifier(&self, wish: &str) -> Option<(Text, u64)> {
        let (prefix, digits) = wish.rsplit_once('-')?;
        let is_letter = |letter: u8| {
            letter.is_ascii_uppercase() || letter.is_ascii_digit() || matches!(letter, b'-' | b'_')
        };
        let is_prefix = (1..=PREFIX_BYTES_MAX).contains(&prefix.len()) && prefix.bytes().all(is_letter);
        let number: u64 = digits.parse().ok().filter(|number| (1..=NUMBER_MAX).contains(number))?;
        let used = self.issues.counters.get(prefix).copied().unwrap_or_default();
        let is_free = number > used && !self.issues.identifiers.contains_key(wish);
        let is_canonical = number.to_string() == digits;
        (is_prefix && is_canonical && is_free).then(|| (prefix.into(), number))
    }
}

impl Unfolding<'_> {
    /// What was imported before is left as it is. Identifiers are kept where they are free.
    pub(super) fn import_issues(&mut self, crew: &CrewId, issues: &[ImportedIssue]) -> Result<(), Rejection> {
        self.state.require_crew(crew)?;
        let names = ImportedNames::of(issues);
        let kept = self.state.kept_numbers(issues);
        let mut there: Vec<Option<MissionId>> = vec![None; issues.len()];
        let mut fresh = BTreeSet::new();
        for place in parents_first(issues, &names)? {
            let issue = &issues[place];
            let known = issue.external_id.as_ref().and_then(|id| self.state.issues.external.get(id));
            if let Some(known) = known {
                there[place] = Some(known.clone());
                continue;
            }
            let parent = issue.parent.as_ref().and_then(|name| self.meant(name, &names, &there));
            let id = self.import_issue(crew, issue, parent, (place, &kept));
            let id = id.map_err(|refused| Rejection {
                detail: format!("issue {}: {}", place + 1, refused.detail).into(),
                ..refused
            })?;
            fresh.insert(id.clone());
            there[place] = Some(id);
            if self.len() > ENTRIES_MAX {
                let detail = format!("the file makes more than {ENTRIES_MAX} entries");
                return Err(Rejection::too_large("issue.import_too_large", detail));
            }
        }
        self.relate_imported(issues, &names, &there, &fresh);
        Ok(())
    }

    /// Two that were there before keep what is between them. One of any other two is fresh, so that all there is
    /// between them stands in this file: nobody reads over what an issue with many links has.
    fn relate_imported(
        &mut self,
        issues: &[ImportedIssue],
        names: &ImportedNames<'_>,
        there: &[Option<MissionId>],
        fresh: &BTreeSet<MissionId>,
    ) {
        let mut related = BTreeSet::new();
        for (issue, source) in issues.iter().zip(there) {
            let Some(source) = source else { continue };
            for relation in &issue.relations {
                let Some(target) = self.meant(&relation.target, names, there) else { continue };
                let is_new = fresh.contains(source) || fresh.contains(&target);
                let mut ends = (source.clone(), target.clone());
                // As everywhere: both directions of all others are one.
                if relation.how != RelationType::DuplicateOf && ends.0 > ends.1 {
                    ends = (ends.1, ends.0);
                }
                if is_new && *source != target && related.insert((relation.how.as_str(), ends)) {
                    let related = Related {
                        relation_id: self.context.mint.cuid().into(),
                        source_id: source.clone(),
                        target_id: target,
                        relation_type: relation.how,
                    };
                    self.add(Draft::internal(source.as_str(), related));
                }
            }
        }
    }

    /// The issue that a name in a file means: one of the file, else one that came by another file. What this
    /// workspace calls an issue says nothing: elsewhere it may be the name of any other.
    fn meant(
        &self,
        name: &Text,
        names: &ImportedNames<'_>,
        there: &[Option<MissionId>],
    ) -> Option<MissionId> {
        let in_file = names.place(name).and_then(|place| there.get(place)?.clone());
        in_file.or_else(|| self.state.issues.external.get(name).cloned())
    }

    fn import_issue(
        &mut self,
        crew: &CrewId,
        issue: &ImportedIssue,
        parent: Option<MissionId>,
        (place, kept): (usize, &Kept),
    ) -> Result<MissionId, Rejection> {
        let crew = issue.crew.as_ref().unwrap_or(crew);
        let mut draft = issue.draft.clone();
        self.sort_imported(issue, &mut draft)?;
        draft.parent_issue_id = parent.map(|id| id.to_string());
        let origin = Origin { via: via::IMPORTED, ..Origin::of(self.context.actor) };
        let trace = format!("issue-{}", self.context.mint.cuid()).into();
        let mut created = self.state.created_of_draft(crew, &draft, Door::Public, origin, trace)?;
        created.facts.sort_order = issue.sort_order;
        (created.identifier, created.number) = match kept.by_place.get(&place) {
            Some(kept) => kept.clone(),
            None => fresh_identifier((created.identifier, created.number), kept),
        };
        created.imported = Some(Box::new(Imported {
            external_id: issue.external_id.clone(),
            status: issue.status,
            created_at: self.past(issue.created_at),
            started_at: self.past(issue.started_at),
            completed_at: self.past(issue.completed_at),
        }));
        let importer = created.author.clone();
        let id = self.add_issue(created);
        let Some(made) = self.state.issues.all.get(&id).cloned() else { return Ok(id) };
        for comment in &issue.comments {
            let Some(author) = comment.author.clone().or_else(|| importer.clone()) else { continue };
            let comment = ImportedComment { created_at: self.past(comment.created_at), ..comment.clone() };
            self.say(&made, author, comment.body.clone(), Some(&comment));
        }
        Ok(id)
    }

    /// Nothing in a file has happened yet to come.
    fn past(&self, time: Option<Time>) -> Option<Time> {
        time.map(|time| time.min(self.context.now))
    }

    /// What a file sorts by is found by its name, or made.
    fn sort_imported(&mut self, issue: &ImportedIssue, draft: &mut IssueDraft) -> Result<(), Rejection> {
        let distinct: BTreeSet<&str> = issue.labels.iter().map(|name| name.trim()).collect();
        // Before any of them is made.
        if distinct.len() > LABELS_MAX {
            return Err(too_many_labels());
        }
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
}

/// The crew's next number, behind all that the file keeps.
fn fresh_identifier((next, number): (Text, u64), kept: &Kept) -> (Text, u64) {
    let Some((prefix, _)) = next.rsplit_once('-') else { return (next, number) };
    match kept.highest.get(prefix) {
        Some(highest) if *highest >= number => (format!("{prefix}-{}", highest + 1).into(), highest + 1),
        _ => (next, number),
    }
}

/// The places of a file so that every parent in it comes before its sub-issues, else as they are.
fn parents_first(issues: &[ImportedIssue], names: &ImportedNames<'_>) -> Result<Vec<usize>, Rejection> {
    let mut order = vec![];
    let mut is_placed = vec![false; issues.len()];
    for place in 0..issues.len() {
        let mut line = vec![];
        let mut on_line = BTreeSet::new();
        let mut next = Some(place);
        while let Some(place) = next.filter(|place| !is_placed[*place]) {
            if !on_line.insert(place) {
                let detail = format!("issue {}: parent_issue_id would create a cycle", place + 1);
                return Err(Rejection::invalid("issue.parent_cycle", detail));
            }
            line.push(place);
            next = issues[place].parent.as_ref().and_then(|parent| names.place(parent));
        }
        line.iter().for_each(|place| is_placed[*place] = true);
        order.extend(line.into_iter().rev());
    }
    Ok(order)
}
