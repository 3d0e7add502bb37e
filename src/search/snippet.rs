//! A piece of a text, as HTML: everything escaped but the marks around what was found.

use std::cmp::Reverse;
use std::ops::Range;

/// Bytes that are shown, about.
const SHOWN_BYTES: usize = 200;
/// Of those, before the first mark.
const BEFORE_BYTES: usize = 60;

/// The piece around the first of these places; they may overlap and come in any order.
pub(super) fn of(text: &str, places: &[Range<usize>]) -> String {
    let mut places = places.to_vec();
    places.sort_unstable_by_key(|place| (place.start, Reverse(place.end)));
    let first = places.first().map_or(0, |place| place.start);
    let window = window(text, first);
    let mut html = String::with_capacity(2 * SHOWN_BYTES);
    if window.start > 0 {
        html.push('…');
    }
    let mut at = window.start;
    for place in places {
        let place = place.start.max(at)..place.end.min(window.end);
        if place.is_empty() {
            continue;
        }
        escape(&text[at..place.start], &mut html);
        html.push_str("<mark>");
        escape(&text[place.clone()], &mut html);
        html.push_str("</mark>");
        at = place.end;
    }
    escape(&text[at..window.end], &mut html);
    if window.end < text.len() {
        html.push('…');
    }
    html
}

/// About so much of the text, whole words where there are any.
fn window(text: &str, first: usize) -> Range<usize> {
    let mut start = text.floor_char_boundary(first.saturating_sub(BEFORE_BYTES));
    if start > 0 {
        let blank = text[start..first].find(char::is_whitespace);
        start = blank.map_or(start, |blank| start + blank);
        start += text[start..].len() - text[start..].trim_start().len();
    }
    let mut end = text.floor_char_boundary((start + SHOWN_BYTES).min(text.len()));
    if end < text.len() {
        let blank = text[start..end].rfind(char::is_whitespace).map(|blank| start + blank);
        end = blank.filter(|blank| *blank > first).unwrap_or(end);
    }
    start..end.max(start)
}

fn escape(text: &str, html: &mut String) {
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' | '\r' | '\t' => html.push(' '),
            char => html.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everything_but_the_marks_is_escaped() {
        let text = "<b>login</b> & \"log\"";
        let html = "&lt;b&gt;<mark>login</mark>&lt;/b&gt; &amp; &quot;<mark>log</mark>&quot;";
        assert_eq!(of(text, &[16..19, 3..8, 3..6]), html);
        assert_eq!(of(text, &[]), "&lt;b&gt;login&lt;/b&gt; &amp; &quot;log&quot;");
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_mark() {
        let text = format!("{}needle {}", "straw ".repeat(100), "hay ".repeat(100));
        let html = of(&text, std::slice::from_ref(&(600..606)));
        assert!(
            html.starts_with("…straw ")
                && html.contains(" <mark>needle</mark> hay")
                && html.ends_with("hay…")
        );
        assert!(html.len() < 300, "{html}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_and_no_place_breaks_it(text in "(é|<| |ab|\u{1f600}){0,200}", at in 0_usize..400, length in 0_usize..40) {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            let html = of(&text, std::slice::from_ref(&(start..end)));
            let opened = html.matches("<mark>").count();
            prop_assert_eq!(opened, html.matches("</mark>").count());
            prop_assert_eq!(html.matches('<').count(), 2 * opened);
        }
    }
}
