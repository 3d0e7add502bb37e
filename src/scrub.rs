//! Takes credentials out of what agents put out, before anybody else reads it.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

const REDACTED: &str = "***REDACTED***";
/// Values of the environment shorter than this are too common to be taken out.
const SECRET_CHARS_MIN: usize = 8;

/// Tokens that are known by their form.
static KNOWN_FORMS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"crewship_(?:cli|admin)_[0-9a-f]{16,}",
        r"|\b(?:wsv1|crwv1|agtv1)\.[A-Za-z0-9_.-]{16,}",
        r"|\bsk-[A-Za-z0-9_-]{16,}|\bsk_(?:live|test)_[A-Za-z0-9]{16,}",
        r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}",
        r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAKIA[0-9A-Z]{16}\b|\bAIza[A-Za-z0-9_-]{30,}",
        r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    ))
    .expect("a constant pattern")
});

/// A value behind a name that says it is secret; the name stays. In quotes it ends where they end, also
/// within a string of JSON, where the quotes are escaped.
static NAMED: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    let name = r#"(?:password|passwd|secret|token|api[_-]?key|authorization)\\?["']?\s*[:=]\s*"#;
    let bare = format!(r"(?:{name}(?:bearer\s+)?|\bbearer\s+)");
    [
        format!(r#"(?i)({name}\\")(?:[^"\\\n]|\\[^"\n]){{8,}}"#),
        format!(r#"(?i)({name}")(?:[^"\\\n]|\\.){{8,}}"#),
        format!("(?i)({name}')[^'\n]{{8,}}"),
        format!(r#"(?i)({bare})[^\s"'\\,;&]{{8,}}"#),
    ]
    .map(|pattern| Regex::new(&pattern).expect("a constant pattern"))
});

/// What is to be taken out: what is known by its form or its name, and these values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrubber {
    secrets: Vec<String>,
}

impl Scrubber {
    /// With values that are known to be secret.
    pub(crate) fn knowing(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> =
            secrets.into_iter().filter(|secret| secret.chars().count() >= SECRET_CHARS_MIN).collect();
        // The longest first: one may hold another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    pub(crate) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), REDACTED));
            }
        }
        if KNOWN_FORMS.is_match(&text) {
            text = Cow::Owned(KNOWN_FORMS.replace_all(&text, REDACTED).into_owned());
        }
        for named in NAMED.iter() {
            if named.is_match(&text) {
                text = Cow::Owned(named.replace_all(&text, format!("${{1}}{REDACTED}")).into_owned());
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_by_form_name_or_value_is_taken_out_and_the_rest_stays() {
        let scrubber = Scrubber::knowing(["hunter2hunter2".to_owned(), "no".to_owned()]);
        for (text, expected) in [
            ("no secrets here, only tokens: 5", "no secrets here, only tokens: 5"),
            ("use crewship_cli_0123456789abcdef0123 now", "use ***REDACTED*** now"),
            ("key sk-abcdefghijklmnopqrstu.", "key ***REDACTED***."),
            ("the value is hunter2hunter2!", "the value is ***REDACTED***!"),
            ("API_KEY=abcdefgh1234", "API_KEY=***REDACTED***"),
            (r#"{"password": "correct horse"}"#, r#"{"password": "***REDACTED***"}"#),
            (r#"{"password": "a \"b c d e", "n": 1}"#, r#"{"password": "***REDACTED***", "n": 1}"#),
            (r#"{"o":"{\"secret\":\"correct horse\"}"}"#, r#"{"o":"{\"secret\":\"***REDACTED***\"}"}"#),
            ("passwd = 'correct horse' and more", "passwd = '***REDACTED***' and more"),
            ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***REDACTED***"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc", "***REDACTED***"),
            ("token: \"short\"", "token: \"short\""),
        ] {
            assert_eq!(scrubber.scrub(text), expected);
            assert_eq!(scrubber.scrub(&scrubber.scrub(text)), expected, "twice is once");
        }
    }
}
