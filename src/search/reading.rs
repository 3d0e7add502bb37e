//! What a reader takes: the committed index, and what is not in it yet.

use std::collections::HashSet;

use imbl::{OrdMap, Vector};
use taffrail_domain::issue::Issue;
use taffrail_domain::{MissionId, Offset};
use taffrail_projections::{IssueOrder, SortBy, WorkspaceWorld};
use tantivy::query::{
    BooleanQuery, BoostQuery, EmptyQuery, EnableScoring, FuzzyTermQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Score, Searcher, SegmentReader, Term};

use super::grammar::{IssueQuery, Wanted};
use super::index::{Fields, GRAM_CHARS, GRAMS_END, ISSUE, OFFSET};
use super::ranking::{FIELDS, Hit, Looking};
use super::words::{EntryWords, Phrase, folded};

/// Issues that are looked at word by word, of those that the index ranks highest.
const LOOKED_AT_MAX: usize = 256;
/// Bytes of their texts that are looked at, and as many of those that are not in the index yet.
const LOOKED_AT_BYTES_MAX: usize = 2 << 20;
/// What a word counts that only begins so, is near, or begins near, beside one that is the same: the index
/// only chooses whom to look at.
const BEGUN_BOOST: Score = 0.6;
const NEAR_BOOST: Score = 0.4;
const BEGUN_NEAR_BOOST: Score = 0.3;

/// An entry that is not in the index yet.
#[derive(Debug)]
pub(super) struct Tailed {
    pub(super) offset: Offset,
    pub(super) words: EntryWords,
}

/// One moment of the index; cheap to clone.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) searcher: Searcher,
    pub(super) fields: Fields,
    /// The last entry in the index.
    pub(super) committed: Offset,
    /// The public entries behind that, ascending.
    pub(super) tail: Vector<std::sync::Arc<Tailed>>,
    /// Issues whose text changed behind that, and where last.
    pub(super) touched: OrdMap<MissionId, Offset>,
}

impl Reading {
    /// The entries behind `after` that hold a phrase, ascending.
    pub(super) fn entries(&self, phrase: &Phrase, after: Offset) -> tantivy::Result<Vec<Offset>> {
        let mut found = if after < self.committed { self.indexed_entries(phrase, after)? } else { vec![] };
        let tail = self.tail.iter().filter(|entry| entry.offset > after && phrase.is_in(&entry.words));
        found.extend(tail.map(|entry| entry.offset));
        Ok(found)
    }

    fn indexed_entries(&self, phrase: &Phrase, after: Offset) -> tantivy::Result<Vec<Offset>> {
        let query = in_order(self.fields.entry, phrase.stems().iter().map(String::as_str));
        let mut found = vec![];
        self.each_match(&*query, &mut |segment, docs| {
            let offsets = segment.fast_fields().u64(OFFSET)?;
            let offsets = docs.iter().filter_map(|doc| offsets.first(*doc)).map(Offset);
            found.extend(offsets.filter(|offset| *offset > after));
            Ok(())
        })?;
        found.sort_unstable();
        Ok(found)
    }

    /// Issues of this world that may hold a part of a word; `None` if there is nothing to look up.
    pub(super) fn candidates(
        &self,
        world: &WorkspaceWorld,
        text: &str,
    ) -> tantivy::Result<Option<Vec<MissionId>>> {
        let text: Vec<char> = folded(text).chars().collect();
        if text.is_empty() || text.contains(&GRAMS_END) {
            return Ok(None);
        }
        let query = match text.len() < GRAM_CHARS {
            // At every place of a text a gram begins, at its last ones too.
            true => {
                let begun = Term::from_field_text(self.fields.grams, &text.iter().collect::<String>());
                Box::new(FuzzyTermQuery::new_prefix(begun, 0, false)) as Box<dyn Query>
            }
            false => {
                let grams: HashSet<String> =
                    text.windows(GRAM_CHARS).map(|gram| gram.iter().collect()).collect();
                let grams = grams.iter().map(|gram| term(self.fields.grams, gram, IndexRecordOption::Basic));
                Box::new(BooleanQuery::intersection(grams.collect()))
            }
        };
        let mut found = vec![];
        self.each_match(&*query, &mut |segment, docs| {
            found.extend(ids(segment, docs.iter().copied())?);
            Ok(())
        })?;
        found.retain(|id| !self.touched.contains_key(id));
        found.extend(self.touched.keys().cloned());
        found.retain(|id| world.state.issues.all.contains_key(id));
        Ok(Some(found))
    }

    /// The issues of this world that a query means, best first.
    pub(super) fn issues(
        &self,
        world: &WorkspaceWorld,
        query: &IssueQuery,
        limit: usize,
    ) -> tantivy::Result<Vec<Hit>> {
        let all = &world.state.issues.all;
        let named = query.named(world);
        let is_meant = |issue: &&Issue| query.allows(issue) && !named.contains(&issue.id);
        let mut hits: Vec<Hit> = vec![];
        let mut looking = Looking::at(world, query, LOOKED_AT_BYTES_MAX);
        if query.wanted().is_empty() && query.has_operators() {
            // Nothing to rank by: what stands out is what changed last.
            let last_changed = IssueOrder { by: SortBy::Updated, is_ascending: false };
            let is_meant = |issue: &Issue| is_meant(&issue);
            let filter = query.filter();
            let found =
                world.issues.page(&filter, Some(&is_meant), last_changed, (0, None), limit, &world.state);
            let found = found.ids.iter().filter_map(|id| all.get(id));
            hits.extend(found.filter_map(|issue| looking.hit(issue, false)));
        } else if !query.wanted().is_empty() {
            let best = self.ranked(query)?.into_iter().filter(|(_, id)| !self.touched.contains_key(id));
            let best = best.filter_map(|(_, id)| all.get(&id).map(|issue| &**issue)).filter(is_meant);
            hits.extend(best.take(LOOKED_AT_MAX.max(limit)).filter_map(|issue| looking.hit(issue, true)));
            let touched = self.touched.keys().filter_map(|id| all.get(id).map(|issue| &**issue));
            let mut looking = Looking::at(world, query, LOOKED_AT_BYTES_MAX);
            hits.extend(touched.filter(is_meant).filter_map(|issue| looking.hit(issue, false)));
            let born = |hit: &Hit| all.get(&hit.issue).map(|issue| issue.born);
            hits.sort_by(|one, other| {
                other.score.total_cmp(&one.score).then_with(|| born(other).cmp(&born(one)))
            });
        }
        let named = named.iter().filter_map(|id| all.get(id)).filter(|issue| query.allows(issue));
        let mut looking = Looking::at(world, query, LOOKED_AT_BYTES_MAX);
        let named = named.map(|issue| looking.named(issue));
        Ok(named.chain(hits).take(limit).collect())
    }

    /// Every issue in the index that has all that is wanted, best first by the index's own measure.
    fn ranked(&self, query: &IssueQuery) -> tantivy::Result<Vec<(Score, MissionId)>> {
        let all = query.wanted().iter().map(|wanted| (Occur::Must, self.somewhere(wanted)));
        let weight =
            BooleanQuery::new(all.collect()).weight(EnableScoring::enabled_from_searcher(&self.searcher))?;
        let mut found = vec![];
        for segment in self.searcher.segment_readers() {
            let mut scored = vec![];
            weight.for_each(segment, &mut |doc, score| {
                if !segment.is_deleted(doc) {
                    scored.push((doc, score));
                }
            })?;
            let scores = scored.iter().map(|(_, score)| *score);
            found.extend(scores.zip(ids(segment, scored.iter().map(|(doc, _)| *doc))?));
        }
        found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        Ok(found)
    }

    /// In any of the texts of an issue.
    fn somewhere(&self, wanted: &Wanted) -> Box<dyn Query> {
        let Fields { identifier, title, description, comments, .. } = self.fields;
        let fields = [title, identifier, description, comments].into_iter().zip(FIELDS);
        let forms = fields.flat_map(|(field, weight)| {
            let boosted = move |(boost, query): (Score, Box<dyn Query>)| -> (Occur, Box<dyn Query>) {
                (Occur::Should, Box::new(BoostQuery::new(query, boost * weight)))
            };
            forms(field, wanted).into_iter().map(boosted)
        });
        Box::new(BooleanQuery::new(forms.collect()))
    }

    /// Hands out the documents that match and are not deleted, segment by segment.
    fn each_match(
        &self,
        query: &dyn Query,
        take: &mut dyn FnMut(&SegmentReader, &[u32]) -> tantivy::Result<()>,
    ) -> tantivy::Result<()> {
        let weight = query.weight(EnableScoring::disabled_from_searcher(&self.searcher))?;
        for segment in self.searcher.segment_readers() {
            let mut found = vec![];
            weight.for_each_no_score(segment, &mut |docs| {
                found.extend(docs.iter().copied().filter(|doc| !segment.is_deleted(*doc)));
            })?;
            take(segment, &found)?;
        }
        Ok(())
    }
}

/// The ways in which a field may hold what is wanted; each is looked at again word by word (`ranking`).
fn forms(field: Field, wanted: &Wanted) -> Vec<(Score, Box<dyn Query>)> {
    match wanted {
        Wanted::Phrase(words) => vec![(1.0, in_order(field, words.iter().map(|word| &*word.stem)))],
        Wanted::Word { word, .. } => {
            let written = || Term::from_field_text(field, &word.written);
            let mut forms = vec![(1.0, term(field, &word.stem, IndexRecordOption::WithFreqs))];
            let mut add = |boost, query: FuzzyTermQuery| forms.push((boost, Box::new(query)));
            if wanted.counts_begun() {
                add(BEGUN_BOOST, FuzzyTermQuery::new_prefix(written(), 0, true));
            }
            if wanted.counts_near() {
                add(NEAR_BOOST, FuzzyTermQuery::new(written(), 1, true));
            }
            if wanted.counts_begun_near() {
                add(BEGUN_NEAR_BOOST, FuzzyTermQuery::new_prefix(written(), 1, true));
            }
            forms
        }
    }
}

fn term(field: Field, text: &str, option: IndexRecordOption) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, text), option))
}

/// Words that follow one another; without a word, nothing.
fn in_order<'a>(field: Field, stems: impl Iterator<Item = &'a str>) -> Box<dyn Query> {
    let mut terms: Vec<Term> = stems.map(|stem| Term::from_field_text(field, stem)).collect();
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => Box::new(TermQuery::new(terms.remove(0), IndexRecordOption::WithFreqs)),
        _ => Box::new(PhraseQuery::new(terms)),
    }
}

/// The issues that documents are of, in their order.
fn ids(segment: &SegmentReader, docs: impl Iterator<Item = u32>) -> tantivy::Result<Vec<MissionId>> {
    let Some(names) = segment.fast_fields().str(ISSUE)? else { return Ok(vec![]) };
    let ords: Vec<u64> = docs.filter_map(|doc| names.term_ords(doc).next()).collect();
    let mut places: Vec<usize> = (0..ords.len()).collect();
    places.sort_unstable_by_key(|place| ords[*place]);
    let sorted: Vec<u64> = places.iter().map(|place| ords[*place]).collect();
    let mut ids = vec![MissionId::from(""); ords.len()];
    let mut next = places.into_iter();
    names.dictionary().sorted_ords_to_term_cb(&sorted, |name| {
        if let (Some(place), Ok(name)) = (next.next(), std::str::from_utf8(name)) {
            ids[place] = name.into();
        }
    })?;
    Ok(ids)
}

/// Every issue that the index knows.
pub(super) fn indexed_issues(searcher: &Searcher) -> tantivy::Result<Vec<MissionId>> {
    let mut found = vec![];
    for segment in searcher.segment_readers() {
        found.extend(ids(segment, segment.doc_ids_alive())?);
    }
    Ok(found)
}
