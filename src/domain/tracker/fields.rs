//! What several sorts of things here have in common: names, words, texts and references.

use super::{Body, Tracker};
use crate::issue::{IssuePriority, LABELS_MAX};
use crate::{LabelId, Rejection, Text, Workspace};

/// Longest name, in letters.
const NAME_CHARS_MAX: usize = 200;
/// Longest color, icon or group, in letters.
const SHORT_CHARS_MAX: usize = 100;
/// Longest description, in letters: what goes takes all that name it along in one batch.
const DESCRIPTION_CHARS_MAX: usize = 10_000;

/// A name that says something.
pub(super) fn name(wish: Option<&str>) -> Result<Text, Rejection> {
    let name = wish.unwrap_or_default().trim();
    if name.is_empty() {
        return Err(Rejection::invalid("tracker.name_required", "name is required"));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Rejection::invalid("tracker.name_too_long", "name must be at most 200 characters"));
    }
    Ok(name.into())
}

/// Nothing, where a text is empty.
pub(super) fn some(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| text.into())
}

fn bounded(field: &str, text: &str, most: usize) -> Result<Option<Text>, Rejection> {
    if text.chars().count() > most {
        let detail = format!("{field} must be at most {most} characters");
        return Err(Rejection::invalid("tracker.text_too_long", detail));
    }
    Ok(some(text))
}

/// A word or two; nothing where it is empty.
pub(super) fn short(field: &str, text: &str) -> Result<Option<Text>, Rejection> {
    bounded(field, text, SHORT_CHARS_MAX)
}

/// What something is about; nothing where it is empty.
pub(super) fn description(text: &str) -> Result<Option<Text>, Rejection> {
    bounded("description", text, DESCRIPTION_CHARS_MAX)
}

/// What a body says, if it says it.
pub(super) fn said(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// A day or a time, or nothing where the text is empty.
pub(super) fn date(field: &'static str, text: &str) -> Result<Option<Text>, Rejection> {
    if text.is_empty() { Ok(None) } else { crate::issue::date(field, text).map(Some) }
}

/// The priority, or nothing where the text is empty.
pub(super) fn priority(word: &str) -> Result<Option<IssuePriority>, Rejection> {
    if word.is_empty() { Ok(None) } else { crate::issue::priority(word).map(Some) }
}

/// A word out of a few.
pub(super) fn word<T>(
    parsed: Option<T>,
    field: &'static str,
    all: impl IntoIterator<Item = &'static str>,
) -> Result<T, Rejection> {
    parsed.ok_or_else(|| {
        let all: Vec<&str> = all.into_iter().collect();
        Rejection::invalid("tracker.word", format!("{field} must be one of: {}", all.join(", ")))
    })
}

/// The body of a PATCH that asks for something.
pub(super) fn asked<T: Default + PartialEq>(patch: &Body<T>) -> Result<&T, Rejection> {
    patch.as_ref().map_err(Clone::clone)
}

/// Refuses a PATCH that asks for nothing, after its fields were looked at.
pub(super) fn not_empty<T: Default + PartialEq>(patch: &T) -> Result<(), Rejection> {
    if *patch == T::default() {
        return Err(Rejection::invalid("tracker.no_fields", "No fields to update"));
    }
    Ok(())
}

/// Refuses one more where there are as many as there may be.
pub(super) fn room(count: usize, max: usize, what: &str) -> Result<(), Rejection> {
    if count < max {
        return Ok(());
    }
    Err(Rejection::invalid("tracker.too_many", format!("there are {max} {what} already, which is the most")))
}

/// The labels that a JSON text lists.
fn label_ids(text: &str) -> Result<Vec<String>, Rejection> {
    if text.is_empty() {
        return Ok(vec![]);
    }
    let ids: Vec<String> = serde_json::from_str(text).map_err(|_| {
        Rejection::invalid("tracker.labels_json", "labels_json must be a JSON array of label ids")
    })?;
    if ids.len() > LABELS_MAX {
        return Err(Rejection::invalid("tracker.labels_json", "labels_json must name at most 100 labels"));
    }
    Ok(ids)
}

impl Workspace {
    /// Labels of this workspace, each once, as a JSON text names them.
    pub(super) fn labels_of_json(&self, text: &str) -> Result<Vec<LabelId>, Rejection> {
        self.label_refs(&label_ids(text)?)
    }
}

impl Tracker {
    /// The labels of these that there are still.
    pub(super) fn labels_left(&self, labels: &[LabelId]) -> Vec<LabelId> {
        labels.iter().filter(|label| self.labels.contains_key(*label)).cloned().collect()
    }
}
