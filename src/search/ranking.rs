//! How well an issue fits a query, and the place in it that shows why.
//!
//! The index says who may fit; here is said who does, and how well. An issue that is not in the index yet is
//! measured by the same.

use std::ops::Range;

use taffrail_domain::MissionId;
use taffrail_domain::issue::Issue;
use taffrail_projections::WorkspaceWorld;
use tantivy::Score;

use super::grammar::{IssueQuery, Wanted};
use super::near::{begins_near, is_near};
use super::snippet;
use super::words::{Splitter, Word};

/// What a word counts in title, identifier, description and comments.
pub(super) const FIELDS: [Score; 4] = [8.0, 6.0, 3.0, 1.5];
const TITLE: Score = FIELDS[0];
const IDENTIFIER: Score = FIELDS[1];
const DESCRIPTION: Score = FIELDS[2];
const COMMENT: Score = FIELDS[3];
/// What a word counts that only begins so, is one slip away, or both.
const BEGUN: Score = 0.6;
const NEAR: Score = 0.25;
const BEGUN_NEAR: Score = 0.2;
/// What a word counts in the texts beside the one where it counts most.
const ELSEWHERE: Score = 0.1;
/// An issue that was named by its identifier is before all others.
const NAMED: Score = 100.0;
/// What a word counts that the index found and that stands behind what is looked at.
const UNSEEN: Score = COMMENT * NEAR;
/// Bytes of one text that are looked at, and of all texts of one issue.
const TEXT_BYTES_MAX: usize = 16 << 10;
const ISSUE_BYTES_MAX: usize = 64 << 10;
/// Words whose lengths differ more are not one letter apart: a letter has four bytes at most.
const LETTER_BYTES_MAX: usize = 4;

/// An issue that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which.
    pub issue: MissionId,
    /// How well it fits, beside others of the same answer.
    pub score: Score,
    /// HTML: a piece of its text with `<mark>` around what was found.
    pub snippet: String,
}

/// One text of an issue.
struct Field<'a> {
    weight: Score,
    text: &'a str,
    words: Vec<Word>,
    marks: Vec<Range<usize>>,
    /// How much of what is wanted stands here.
    found: usize,
}

/// Looks at issues, word by word, as long as there is room: a search costs about the same whatever people
/// wrote. Behind what is looked at the index is believed.
pub(super) struct Looking<'a> {
    world: &'a WorkspaceWorld,
    query: &'a IssueQuery,
    splitter: Splitter,
    /// Bytes that may still be looked at.
    left: usize,
}

/// The texts of an issue, as far as they were looked at.
struct Fields<'a> {
    all: Vec<Field<'a>>,
    is_whole: bool,
}

impl<'a> Looking<'a> {
    /// Looks at so many bytes at most, and at titles in any case.
    pub(super) fn at(world: &'a WorkspaceWorld, query: &'a IssueQuery, bytes_max: usize) -> Self {
        Self { world, query, splitter: Splitter::default(), left: bytes_max }
    }

    /// The issue, if it has all that is wanted. `is_indexed` says that the index has seen it as it is.
    pub(super) fn hit(&mut self, issue: &Issue, is_indexed: bool) -> Option<Hit> {
        let mut fields = self.fields(issue);
        let is_believed = is_indexed && !fields.is_whole;
        let score = score(&mut fields.all, self.query, if is_believed { UNSEEN } else { 0.0 })?;
        Some(Hit { issue: issue.id.clone(), score, snippet: shown(&fields.all) })
    }

    /// The issue that the query names, whatever its texts say.
    pub(super) fn named(&mut self, issue: &Issue) -> Hit {
        let plain = || Hit { issue: issue.id.clone(), score: 0.0, snippet: snippet::of(&issue.title, &[]) };
        let hit = self.hit(issue, false).unwrap_or_else(plain);
        Hit { score: NAMED + hit.score, ..hit }
    }

    /// The newest comments count before older ones where there is no room for all.
    fn fields<'i>(&mut self, issue: &'i Issue) -> Fields<'i>
    where
        'a: 'i,
    {
        let described = issue.description.iter().map(|text| (DESCRIPTION, &**text));
        let comments = self.world.state.issues.comments_on(&issue.id).rev();
        let comments = comments.map(|comment| (COMMENT, &*comment.body));
        let mut room = ISSUE_BYTES_MAX.min(self.left);
        let mut fields = Fields { all: vec![], is_whole: true };
        for (weight, text) in [(TITLE, &*issue.title), (IDENTIFIER, &*issue.identifier)] {
            fields.all.push(self.field(weight, text));
        }
        let named = fields.all.len();
        for (weight, text) in described.chain(comments) {
            let seen = &text[..text.floor_char_boundary(room.min(TEXT_BYTES_MAX))];
            fields.is_whole &= seen.len() == text.len();
            if seen.is_empty() && !text.is_empty() {
                break;
            }
            room -= seen.len();
            self.left -= seen.len();
            fields.all.push(self.field(weight, seen));
        }
        // Of two comments that show as much, the older one is shown.
        let first_comment = named + usize::from(issue.description.is_some());
        if let Some(comments) = fields.all.get_mut(first_comment..) {
            comments.reverse();
        }
        fields
    }

    fn field<'i>(&mut self, weight: Score, text: &'i str) -> Field<'i> {
        Field { weight, text, words: self.splitter.words(text), marks: vec![], found: 0 }
    }
}

/// How well texts have all that is wanted; what none of them has counts `unseen`, and without that nothing.
fn score(fields: &mut [Field<'_>], query: &IssueQuery, unseen: Score) -> Option<Score> {
    let mut score = 0.0;
    for wanted in query.wanted() {
        let (mut best, mut all) = (0.0_f32, 0.0);
        for field in &mut *fields {
            let value = field.look_for(wanted);
            best = best.max(value);
            all += value;
        }
        if best == 0.0 && unseen == 0.0 {
            return None;
        }
        score += best.max(unseen) + ELSEWHERE * (all - best);
    }
    Some(score)
}

/// The text that shows most of what was found: a body before the title, which is shown anyway.
fn shown(fields: &[Field<'_>]) -> String {
    let is_body = |field: &Field<'_>| field.weight == DESCRIPTION || field.weight == COMMENT;
    let bodies = fields.iter().filter(|field| is_body(field) && field.found > 0);
    // The last of equals wins: the first text, from behind.
    let best = bodies.rev().max_by_key(|field| field.found);
    let best = best.or_else(|| fields.iter().find(|field| field.weight == TITLE));
    best.map(|field| snippet::of(field.text, &field.marks)).unwrap_or_default()
}

impl Field<'_> {
    /// What it counts that this stands here; 0 if it does not.
    fn look_for(&mut self, wanted: &Wanted) -> Score {
        let found = match wanted {
            Wanted::Phrase(phrase) => in_order(&self.words, phrase),
            Wanted::Word { word, .. } => {
                let places =
                    self.words.iter().map(|here| (closeness(wanted, word, here), here.place.clone()));
                places.filter(|(closeness, _)| *closeness > 0.0).collect()
            }
        };
        let closest = found.iter().fold(0.0, |closest: Score, (closeness, _)| closest.max(*closeness));
        if closest == 0.0 {
            return 0.0;
        }
        self.found += 1;
        self.marks
            .extend(found.into_iter().filter(|(closeness, _)| *closeness == closest).map(|(_, place)| place));
        self.weight * closest * brevity(self.words.len())
    }
}

/// A word says more of a short text than of a long one.
fn brevity(words: usize) -> Score {
    #[expect(clippy::cast_precision_loss, reason = "a measure, not a count")]
    let words = words as Score;
    1.0 / (1.0 + words.ln_1p() / 8.0)
}

fn in_order(words: &[Word], phrase: &[Word]) -> Vec<(Score, Range<usize>)> {
    let fits = |window: &&[Word]| window.iter().zip(phrase).all(|(here, wanted)| here.is(&wanted.stem));
    let windows = words.windows(phrase.len().max(1)).filter(fits);
    windows.map(|window| (1.0, window[0].place.start..window[window.len() - 1].place.end)).collect()
}

/// How close a word is to the one that is wanted; 0 if it is another.
fn closeness(wanted: &Wanted, word: &Word, here: &Word) -> Score {
    let forms = [&here.written, &here.stem];
    let any = |fits: &dyn Fn(&str) -> bool| forms.iter().any(|form| fits(form));
    let written = &*word.written;
    if here.is(&word.stem) {
        1.0
    } else if wanted.counts_begun() && any(&|form| form.starts_with(written)) {
        BEGUN
    } else if wanted.counts_near()
        && any(&|form| form.len().abs_diff(written.len()) <= LETTER_BYTES_MAX && is_near(written, form))
    {
        NEAR
    } else if wanted.counts_begun_near()
        && any(&|form| form.len() + LETTER_BYTES_MAX >= written.len() && begins_near(written, form))
    {
        BEGUN_NEAR
    } else {
        0.0
    }
}
