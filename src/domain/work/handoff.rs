//! What an agent says at the end of its output to those behind it (`missions.md` 9.5).

use crate::Text;

const BEGIN: &str = "---HANDOFF---";
const END: &str = "---END HANDOFF---";

/// The last hand-off block of an output; valid only with a summary and a confidence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Handoff {
    pub(crate) summary: Text,
    /// The level as it was said.
    pub(crate) level: Text,
    /// What was made, as it was said.
    pub(crate) artifacts: Option<Text>,
    /// `None` for a word that is no level.
    pub(crate) confidence: Option<f64>,
    pub(crate) needs_review: bool,
}

impl Handoff {
    pub(crate) fn read(output: &str) -> Option<Self> {
        let (_, block) = output.rsplit_once(BEGIN)?;
        let block = block.split_once(END).map(|(block, _)| block)?;
        let line = |name: &str| {
            let mut values = block.lines().filter_map(|line| {
                let (key, value) = line.trim().split_once(':')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            });
            values.next().filter(|value| !value.is_empty())
        };
        let (summary, level) = (line("summary")?, line("confidence")?);
        let confidence = match level.to_ascii_lowercase().as_str() {
            "high" => Some(0.9),
            "medium" => Some(0.7),
            "low" => Some(0.4),
            _ => None,
        };
        let needs_review = level.eq_ignore_ascii_case("low");
        Some(Self {
            summary: summary.into(),
            level: level.to_ascii_lowercase().into(),
            artifacts: line("artifacts").map(Into::into),
            confidence,
            needs_review,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_counts_and_needs_both_lines() {
        let text = "work\n---HANDOFF---\nsummary: first\nconfidence: high\n---END HANDOFF---\nmore\n\
                    ---HANDOFF---\nsummary: done: all of it\nConfidence: LOW\nartifacts: a.md\n---END HANDOFF---";
        let expected = Handoff {
            summary: "done: all of it".into(),
            level: "low".into(),
            artifacts: Some("a.md".into()),
            confidence: Some(0.4),
            needs_review: true,
        };
        assert_eq!(Handoff::read(text), Some(expected));
        assert_eq!(Handoff::read("---HANDOFF---\nsummary: x\n---END HANDOFF---"), None);
        assert_eq!(Handoff::read("---HANDOFF---\nsummary: x\nconfidence: high"), None);
        let unknown = Handoff::read("---HANDOFF---\nsummary: x\nconfidence: sure\n---END HANDOFF---");
        assert_eq!(unknown.and_then(|handoff| handoff.confidence), None);
    }
}
