//! Templates: `{{ inputs.x }}` and its like, filled in from what a run knows (`periphery.md` 10).
//!
//! Only what a [`Scope`] holds can be named. `env`, `secrets` and `routine.state` are no part of it, so they
//! render empty like every other name that leads nowhere. What was filled in is never read again.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde_json::{Map, Value};

use super::effort::Effort;

/// How much one rendering may yield: steps feed each other, and doubling would otherwise have no end. It is
/// four times what a step may yield.
pub(super) const BYTES_MAX: usize = 256 << 10;

/// How deep a rendered value may nest: `serde_json` reads 128 levels back, and what is kept is wrapped.
pub(super) const LEVELS_MAX: usize = 100;

/// What a number, a boolean or a null takes of [`BYTES_MAX`].
const SCALAR_BYTES: usize = 4;

/// What a list or an object takes beside its items.
const BRACKETS_BYTES: usize = 2;

/// What an item of a list takes beside itself; a member takes its name as well.
const ITEM_BYTES: usize = 1;

/// All that a template can name.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The run's inputs, for `inputs.x`.
    pub inputs: &'a Map<String, Value>,
    /// What each finished step yielded, by its id, for `steps.id.output`.
    pub steps: &'a BTreeMap<String, Value>,
    /// What the run may tell about itself, for `run.id` and its like.
    pub run: &'a Value,
    /// The item at hand within a `foreach`, for `item`.
    pub item: Option<&'a Value>,
    /// Where it is noted what that costs.
    pub effort: &'a Effort,
}

impl<'a> Scope<'a> {
    fn find(&self, reference: &str) -> Option<&'a Value> {
        let reference = reference.trim();
        let (root, path) = reference.split_at(reference.find(['.', '[']).unwrap_or(reference.len()));
        match root {
            "inputs" => {
                let (name, path) = member(path)?;
                walk(self.inputs.get(name)?, path)
            }
            "steps" => {
                let (id, path) = member(path)?;
                let (word, path) = member(path)?;
                if word == "output" { walk(self.steps.get(id)?, path) } else { None }
            }
            "run" => walk(self.run, path),
            "item" => walk(self.item?, path),
            _ => None,
        }
    }
}

/// The text with every `{{ … }}` filled in: strings as they are, null and the unknown as nothing, the rest as
/// compact JSON. What goes beyond [`BYTES_MAX`] is cut off.
pub(super) fn render(text: &str, scope: &Scope<'_>) -> String {
    let mut renderer = Renderer { scope, room: Room(BYTES_MAX) };
    let text = renderer.text(text);
    renderer.note();
    text
}

/// The value with every string in it rendered. A string that is exactly one `{{ … }}` becomes what it names,
/// of whatever type that is, or `""` if it names nothing. Names of members stay as they are. Once
/// [`BYTES_MAX`] is used up the rest is left out, and what nests deeper than [`LEVELS_MAX`] is null.
pub(super) fn render_value(value: &Value, scope: &Scope<'_>) -> Value {
    let mut renderer = Renderer { scope, room: Room(BYTES_MAX) };
    let value = renderer.value(value, LEVELS_MAX);
    renderer.note();
    value
}

/// Whether a step's `if` lets it run: rendered, it is neither blank nor `false`, `0` or `null`.
pub(super) fn holds(condition: &str, scope: &Scope<'_>) -> bool {
    !matches!(render(condition, scope).trim(), "" | "false" | "0" | "null")
}

/// How much of [`BYTES_MAX`] a value takes; all of it where it takes more.
pub(super) fn size(value: &Value) -> usize {
    let mut room = Room(BYTES_MAX);
    room.takes_value(value, LEVELS_MAX);
    BYTES_MAX - room.0
}

/// Whether a value keeps to [`BYTES_MAX`] and [`LEVELS_MAX`], so that it can be what a step yields.
pub(super) fn fits(value: &Value) -> bool {
    Room(BYTES_MAX).takes_value(value, LEVELS_MAX)
}

struct Renderer<'a> {
    scope: &'a Scope<'a>,
    room: Room,
}

impl Renderer<'_> {
    /// What was written; what was read of templates is noted meanwhile.
    fn note(&self) {
        self.scope.effort.add(BYTES_MAX - self.room.0);
    }

    fn value(&mut self, value: &Value, levels: usize) -> Value {
        match value {
            Value::String(text) => self.string(text, levels),
            Value::Array(items) if levels > 0 && self.room.takes(BRACKETS_BYTES) => {
                let fitting = items
                    .iter()
                    .map_while(|item| self.room.takes(ITEM_BYTES).then(|| self.value(item, levels - 1)));
                fitting.collect()
            }
            Value::Object(members) if levels > 0 && self.room.takes(BRACKETS_BYTES) => {
                let fitting = members.iter().map_while(|(name, member)| {
                    let has_room = self.room.takes(ITEM_BYTES + name.len());
                    has_room.then(|| (name.clone(), self.value(member, levels - 1)))
                });
                Value::Object(fitting.collect())
            }
            Value::Array(_) | Value::Object(_) => Value::Null,
            scalar => {
                if self.room.takes(SCALAR_BYTES) {
                    scalar.clone()
                } else {
                    Value::Null
                }
            }
        }
    }

    fn string(&mut self, text: &str, levels: usize) -> Value {
        let named = match next_reference(text) {
            Some(("", reference, "")) => self.scope.find(reference).filter(|value| !value.is_string()),
            _ => None,
        };
        match named {
            Some(value) if self.room.takes_value(value, levels) => value.clone(),
            Some(_) => Value::Null,
            None => Value::String(self.text(text)),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut page = Page { text: String::new(), room: self.room.0 };
        // An error only says that the page is full: what is on it stands.
        let _ = self.write(text, &mut page);
        self.room.0 = page.room;
        page.text
    }

    fn write(&self, text: &str, page: &mut Page) -> fmt::Result {
        self.scope.effort.add(text.len());
        let mut rest = text;
        while let Some((before, reference, after)) = next_reference(rest) {
            page.write_str(before)?;
            match self.scope.find(reference) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => page.write_str(text)?,
                Some(value) => write!(page, "{value}")?,
            }
            rest = after;
        }
        page.write_str(rest)
    }
}

/// How many bytes are left. Once something did not fit there are none, so that work is bounded as output is.
struct Room(usize);

impl Room {
    fn takes(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    fn takes_value(&mut self, value: &Value, levels: usize) -> bool {
        match value {
            Value::String(text) => self.takes(text.len()),
            Value::Array(items) => {
                levels > 0
                    && self.takes(BRACKETS_BYTES)
                    && items.iter().all(|item| self.takes(ITEM_BYTES) && self.takes_value(item, levels - 1))
            }
            Value::Object(members) => {
                levels > 0
                    && self.takes(BRACKETS_BYTES)
                    && members.iter().all(|(name, member)| {
                        self.takes(ITEM_BYTES + name.len()) && self.takes_value(member, levels - 1)
                    })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.takes(SCALAR_BYTES),
        }
    }
}

/// Text that stops growing, between two characters, when its room is used up.
struct Page {
    text: String,
    room: usize,
}

impl Write for Page {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fitting = &text[..text.floor_char_boundary(self.room)];
        self.text.push_str(fitting);
        if fitting.len() < text.len() {
            // Nothing shorter may slip in after the cut.
            self.room = 0;
            return Err(fmt::Error);
        }
        self.room -= fitting.len();
        Ok(())
    }
}

/// What stands before, within and after the first `{{ … }}`.
fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (reference, after) = rest.split_once("}}")?;
    Some((before, reference, after))
}

fn walk<'a>(mut value: &'a Value, mut path: &str) -> Option<&'a Value> {
    while !path.is_empty() {
        (value, path) = if let Some(rest) = path.strip_prefix('[') {
            let (index, rest) = rest.split_once(']')?;
            (value.get(index.parse::<usize>().ok()?)?, rest)
        } else {
            let (name, rest) = member(path)?;
            (value.get(name)?, rest)
        };
    }
    Some(value)
}

/// The name after the path's leading dot, and the rest of the path.
fn member(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('.')?;
    let end = path.find(['.', '[']).unwrap_or(path.len());
    (end > 0).then(|| path.split_at(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Known {
        inputs: Map<String, Value>,
        steps: BTreeMap<String, Value>,
        run: Value,
        item: Value,
        effort: Effort,
    }

    impl Known {
        fn new(inputs: Value) -> Self {
            let output = json!({ "a": { "b": [10, { "c": "deep" }] }, "none": null });
            Self {
                inputs: inputs.as_object().cloned().unwrap_or_default(),
                steps: BTreeMap::from([("step-1".to_owned(), output)]),
                run: json!({ "id": "run_1" }),
                item: json!({ "id": 7 }),
                effort: Effort::default(),
            }
        }

        fn scope(&self) -> Scope<'_> {
            let item = Some(&self.item);
            Scope { inputs: &self.inputs, steps: &self.steps, run: &self.run, item, effort: &self.effort }
        }

        fn render(&self, text: &str) -> String {
            render(text, &self.scope())
        }

        fn render_value(&self, value: Value) -> Value {
            render_value(&value, &self.scope())
        }
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn references_are_filled_in_from_the_scope() {
        let known = Known::new(json!({ "x": "žluť", "list": [1, "b"], "odd name": true }));
        for (text, expected) in [
            ("plain", "plain"),
            ("<{{ inputs.x }}|{{inputs.x}}>", "<žluť|žluť>"),
            ("{{ inputs.list }} {{ inputs.list[1] }} {{ inputs.odd name }}", "[1,\"b\"] b true"),
            ("{{ steps.step-1.output.a.b[1].c }}", "deep"),
            ("{{ steps.step-1.output.a.b }}", "[10,{\"c\":\"deep\"}]"),
            ("{{ run.id }} {{ item.id }} {{ item }}", "run_1 7 {\"id\":7}"),
        ] {
            assert_eq!(known.render(text), expected, "{text}");
        }
    }

    #[test]
    fn what_leads_nowhere_renders_empty() {
        let known = Known::new(json!({ "x": "text", "env": { "HOME": "/root" } }));
        for reference in [
            "",
            "x",
            "inputs",
            "inputs.",
            "inputs.y",
            "inputs.x.y",
            "inputs.x[0]",
            "inputs..x",
            "inputs[0]",
            "inputs.x }",
            "steps",
            "steps.step-1",
            "steps.step-1.status",
            "steps.other.output",
            "steps.step-1.outputs",
            "steps.step-1.output.none",
            "steps.step-1.output.a.b[9]",
            "steps.step-1.output.a.b[-1]",
            "steps.step-1.output.a.b[1",
            "steps.step-1.output.a.b[]",
            "run.secret",
            "item.no",
            "env.HOME",
            "secrets.token",
            "routine.state.k",
            "{{ inputs.x",
        ] {
            assert_eq!(known.render(&format!("<{{{{ {reference} }}}}>")), "<>", "{reference}");
        }
        let outside = Scope { item: None, ..known.scope() };
        assert_eq!(render("<{{ item }}>", &outside), "<>");
    }

    #[test]
    fn braces_that_do_not_close_stand_as_they_are() {
        let known = Known::new(json!({ "x": 1 }));
        for (text, expected) in [
            ("a {{ inputs.x", "a {{ inputs.x"),
            ("{{ inputs.x }} {{", "1 {{"),
            ("}} { } {{ inputs.x }}}", "}} { } 1}"),
        ] {
            assert_eq!(known.render(text), expected, "{text}");
        }
    }

    #[test]
    fn what_was_filled_in_is_not_a_template() {
        let known = Known::new(
            json!({ "x": "{{ inputs.y }}", "y": "secret", "open": "{{ inputs", "close": ".y }}" }),
        );
        assert_eq!(known.render("{{ inputs.x }}"), "{{ inputs.y }}");
        assert_eq!(known.render("{{ inputs.open }}{{ inputs.close }}"), "{{ inputs.y }}");
        assert_eq!(known.render_value(json!("{{ inputs.x }}")), "{{ inputs.y }}");
    }

    #[test]
    fn a_string_that_is_one_reference_keeps_the_type_of_what_it_names() {
        let known = Known::new(json!({ "n": 3, "list": [1], "no": null, "s": "3" }));
        let template = json!({
            "{{ inputs.n }}": ["{{ inputs.n }}", "{{inputs.list}}", "{{ inputs.no }}", "{{ inputs.s }}"],
            "mixed": ["{{ inputs.n }} ", "{{ inputs.n }}{{ inputs.n }}", "{{ inputs.n }}}"],
            "empty": ["{{ inputs.y }}", "{{ secrets.token }}"],
            "literal": [1.5, true, null, {}],
        });
        let expected = json!({
            "{{ inputs.n }}": [3, [1], null, "3"],
            "mixed": ["3 ", "33", "3}"],
            "empty": ["", ""],
            "literal": [1.5, true, null, {}],
        });
        assert_eq!(known.render_value(template), expected);
    }

    #[test]
    fn a_condition_holds_unless_it_renders_to_something_false() {
        let known = Known::new(json!({ "yes": true, "no": false, "zero": 0, "null": null, "list": [] }));
        for (condition, expected) in [
            ("{{ inputs.yes }}", true),
            ("{{ inputs.list }}", true),
            ("00", true),
            ("{{ inputs.no }}", false),
            (" {{ inputs.zero }} ", false),
            ("{{ inputs.null }}", false),
            ("{{ inputs.missing }}", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(holds(condition, &known.scope()), expected, "{condition}");
        }
    }

    #[test]
    fn a_rendering_ends_at_its_limit_between_two_characters() {
        let half = "é".repeat(BYTES_MAX / 4);
        let known = Known::new(json!({ "half": half, "list": vec![half.clone(); 3] }));
        let text = known.render("x{{ inputs.half }}{{ inputs.half }}y");
        assert_eq!((text.len(), text.ends_with('é')), (BYTES_MAX - 1, true));
        assert_eq!(known.render("{{ inputs.half }}{{ inputs.half }}y").len(), BYTES_MAX);
        assert_eq!(known.render("{{ inputs.list }}").len(), BYTES_MAX - 1);
        assert_eq!(known.render(&"a".repeat(BYTES_MAX + 1)).len(), BYTES_MAX);
        assert_eq!(known.render_value(json!("{{ inputs.list }}")), Value::Null);

        let value =
            known.render_value(json!(["{{ inputs.half }}", "{{ inputs.half }}", "{{ inputs.half }}", 1]));
        let lengths: Vec<_> =
            value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().len()).collect();
        assert_eq!(lengths, [BYTES_MAX / 2, BYTES_MAX / 2 - 4]);
        assert!(fits(&value));
        let whole = Known::new(json!({ "whole": "a".repeat(BYTES_MAX) }));
        assert_eq!(whole.render_value(json!("{{ inputs.whole }}")), whole.inputs["whole"]);
    }

    #[test]
    fn many_references_to_much_cost_no_more_than_the_limit() {
        let known = Known::new(json!({ "much": vec![0; BYTES_MAX], "none": "" }));
        assert_eq!(known.render_value(json!(vec!["{{ inputs.much }}"; 50_000])), json!([null]));
        assert_eq!(known.render(&"{{ inputs.none }}".repeat(50_000)), "");
        assert_eq!(known.render(&"{{ inputs.much }}".repeat(50_000)).len(), BYTES_MAX);
        assert_eq!(known.render(&"{{".repeat(100_000)).len(), 200_000);
    }

    #[test]
    fn what_is_read_and_written_is_noted() {
        let known = Known::new(json!({ "x": "abc", "much": vec![0; BYTES_MAX] }));
        known.render("<{{ inputs.x }}>");
        assert_eq!(known.effort.so_far(), "<{{ inputs.x }}>".len() + "<abc>".len());
        let before = known.effort.so_far();
        known.render_value(json!("{{ inputs.much }}"));
        assert_eq!(known.effort.so_far() - before, BYTES_MAX, "what did not fit was looked at as well");
        assert_eq!((size(&json!("abc")), size(&known.inputs["much"])), (3, BYTES_MAX));
    }

    #[test]
    fn what_nests_too_deeply_is_null() {
        assert!(fits(&nested(LEVELS_MAX)));
        assert!(!fits(&nested(LEVELS_MAX + 1)));
        let known = Known::new(json!({ "deep": nested(LEVELS_MAX) }));
        assert_eq!(known.render_value(json!("{{ inputs.deep }}")), nested(LEVELS_MAX));
        assert_eq!(known.render_value(json!({ "a": "{{ inputs.deep }}" })), json!({ "a": null }));
        assert!(fits(&known.render_value(nested(LEVELS_MAX + 20))));
    }
}
