//! What a word is: a run of letters and digits in lower case, and its English stem.
//!
//! Index, tail and streams all take texts apart here, so that they cannot differ in what they find.

use std::borrow::Cow;
use std::ops::Range;

use taffrail_domain::Face;
use tantivy::tokenizer::{Language, LowerCaser, SimpleTokenizer, Stemmer, TextAnalyzer, TokenStream};

/// Longer words are cut: no query can hold one (its 200 bytes are fewer), and the index takes no longer ones
/// than 64 KiB.
const WORD_BYTES_MAX: usize = 255;

/// Takes texts apart.
pub(super) struct Splitter {
    lower: TextAnalyzer,
    stems: TextAnalyzer,
}

impl Default for Splitter {
    fn default() -> Self {
        let lower = TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser).build();
        let stems = TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser);
        Self { lower, stems: stems.filter(Stemmer::new(Language::English)).build() }
    }
}

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// In lower case.
    pub(super) written: String,
    /// `deploy` of `deploying`; the same as written, if it has no other.
    pub(super) stem: String,
    /// Where it stands, in bytes.
    pub(super) place: Range<usize>,
}

impl Word {
    /// Whether it is a form of the word with this stem.
    pub(super) fn is(&self, stem: &str) -> bool {
        self.stem == stem || self.written == stem
    }
}

impl Splitter {
    /// The words of a text, in order.
    pub(super) fn words(&mut self, text: &str) -> Vec<Word> {
        let mut written = self.lower.token_stream(text);
        let mut stems = self.stems.token_stream(text);
        let mut words = vec![];
        // Stemming neither splits nor drops a word: the two go in step.
        while written.advance() && stems.advance() {
            let token = written.token();
            words.push(Word {
                written: cut(&token.text).to_owned(),
                stem: cut(&stems.token().text).to_owned(),
                place: token.offset_from..token.offset_to,
            });
        }
        words
    }

    /// The stems of a text, each with a blank before and behind it.
    fn join(&mut self, text: &str, out: &mut String) {
        out.push(' ');
        let mut stems = self.stems.token_stream(text);
        while stems.advance() {
            out.push_str(cut(&stems.token().text));
            out.push(' ');
        }
    }
}

fn cut(word: &str) -> &str {
    &word[..word.floor_char_boundary(WORD_BYTES_MAX.min(word.len()))]
}

/// The words of an entry: those of its summary and those of its payload, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryWords(Box<str>);

impl EntryWords {
    pub(super) fn of(face: &Face, splitter: &mut Splitter) -> Self {
        let mut joined = String::new();
        splitter.join(&face.summary, &mut joined);
        if !face.payload.is_empty() {
            joined.push('\n');
            splitter.join(&spoken(face.payload.get()), &mut joined);
        }
        Self(joined.into())
    }

    /// Summary and payload, as they are indexed: no phrase reaches from one into the other.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.split('\n')
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// Words that must follow one another in one text (`journal.md` 3.1): operators and quotes are plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    stems: Vec<String>,
    joined: String,
}

impl Phrase {
    /// The words of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut splitter = Splitter::default();
        let stems = splitter.words(text).into_iter().map(|word| word.stem).collect();
        let mut joined = String::new();
        splitter.join(text, &mut joined);
        Self { stems, joined }
    }

    pub(super) fn stems(&self) -> &[String] {
        &self.stems
    }

    /// Whether they stand in the summary or in the payload. A phrase without a word is nowhere.
    pub(super) fn is_in(&self, words: &EntryWords) -> bool {
        // Blanks stand around every word, and only there.
        !self.stems.is_empty() && words.0.contains(&self.joined)
    }
}

/// JSON as it is read out: `\n` and the like are no letters of the word behind them.
fn spoken(json: &str) -> Cow<'_, str> {
    if !json.contains('\\') {
        return json.into();
    }
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (char, length) = escaped(&rest[at..]);
        text.push(char);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text.into()
}

/// The character that an escape stands for, and how many bytes it takes. Those with one letter are no letters.
fn escaped(text: &str) -> (char, usize) {
    let unit = |from: usize| u16::from_str_radix(text.get(from..from + 4)?, 16).ok();
    let Some(first) = unit(2).filter(|_| text[1..].starts_with('u')) else {
        let next = text.chars().nth(1).map_or(0, char::len_utf8);
        return (' ', 1 + next);
    };
    let second = unit(8).filter(|_| text[6..].starts_with("\\u"));
    let mut decoded = char::decode_utf16([Some(first), second].into_iter().flatten());
    match decoded.next() {
        Some(Ok(char)) => (char, 6 * char.len_utf16()),
        _ => (' ', 6),
    }
}

/// A text without case, as parts of words are looked for in it. Small letters of capitals: so `ς` is a `σ`,
/// and `ß` is `ss`.
#[must_use]
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(summary: &str, payload: serde_json::Value) -> EntryWords {
        let face = Face { summary: summary.into(), payload: payload.into(), ..Face::default() };
        EntryWords::of(&face, &mut Splitter::default())
    }

    #[test]
    fn a_phrase_is_found_whole_in_order_and_in_one_of_the_two_texts() {
        let entry = entry("Deploying the beta", json!({ "details": "Servers are ready" }));
        let finds = |text: &str| Phrase::of(text).is_in(&entry);
        assert!(finds("deploy") && finds("DEPLOYED THE BETA") && finds("details server") && finds("ready"));
        assert!(finds("\"the\" AND-beta") != finds("the beta"), "operators are plain text");
        assert!(!finds("beta the") && !finds("deploy beta") && !finds("beta details") && !finds("eta"));
        assert!(!finds("…") && !finds("") && !finds("NOT deploy"));
    }

    #[test]
    fn escapes_in_a_payload_part_words() {
        let entry = entry("x", json!({ "body": "one\ntwo \"three\" caf\u{e9}\u{1}four \\ five" }));
        assert!(Phrase::of("one two three café four five").is_in(&entry));
        assert_eq!(spoken(r#""\ud83d\ude00\u00e9\n""#), "\"\u{1f600}\u{e9} \"");
        assert_eq!(spoken(r"\ud83d \"), "   ");
    }

    #[test]
    fn a_very_long_word_is_cut_and_keeps_its_place() {
        let long = "é".repeat(WORD_BYTES_MAX);
        let words = Splitter::default().words(&format!("a {long} b"));
        assert_eq!((words.len(), words[1].written.len()), (3, WORD_BYTES_MAX - 1));
        assert!(Phrase::of("b").is_in(&entry(&long, json!({ "a": "b" }))));
    }

    #[test]
    fn a_word_knows_where_it_stands() {
        let words = Splitter::default().words("Über-Fixes");
        let told: Vec<_> =
            words.iter().map(|word| (&*word.written, &*word.stem, word.place.clone())).collect();
        assert_eq!(told, [("über", "über", 0..5), ("fixes", "fix", 6..11)]);
    }
}
