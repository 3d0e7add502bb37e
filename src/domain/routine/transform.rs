//! The expressions of `transform` steps: the part of jq that needs no program (`periphery.md` 10).
//!
//! A pipe only puts one operation after another, so an expression is read into one flat list of them.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Deserializer, Value};

use super::effort::{Effort, STEP_MAX};
use super::template;

/// How long an expression may be; it bounds the number of operations as well.
pub(super) const EXPRESSION_BYTES_MAX: usize = 1000;

/// What a path that leads nowhere leads to.
const MISSING: &Value = &Value::Null;

/// What the expression makes of the input: paths such as `.a.b[0]`, `.a["b c"]` and `.[-1]`, and `length`,
/// `keys`, `tostring`, `tojson` (or `@json`) and `fromjson`, with `|` between them. A blank one is `.`.
///
/// # Errors
///
/// What is wrong with the expression, or where it does not suit the input, in a few words; or that it takes
/// more work than a step may.
pub(super) fn apply(expression: &str, input: &Value, effort: &Effort) -> Result<Value, String> {
    let most = effort.so_far().saturating_add(STEP_MAX);
    let mut value = Cow::Borrowed(input);
    for operation in Reader::read(expression)? {
        // A path into what is here anyway costs nothing; everything else reads all of it.
        let reads = if let Operation::Select(_) = operation { 1 } else { template::size(&value) };
        effort.add(reads);
        if effort.so_far() > most {
            return Err("the expression takes too much work".to_owned());
        }
        value = match value {
            Cow::Borrowed(value) => operation.apply(value)?,
            Cow::Owned(value) => Cow::Owned(operation.apply_to(value)?),
        };
        if let (Cow::Owned(made), false) = (&value, matches!(operation, Operation::Select(_))) {
            effort.add(template::size(made));
        }
    }
    Ok(value.into_owned())
}

/// Reads an expression and does nothing with it.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn check(expression: &str) -> Result<(), String> {
    Reader::read(expression).map(drop)
}

#[derive(Debug, PartialEq)]
enum Operation {
    Select(Key),
    Length,
    Keys,
    ToString,
    ToJson,
    FromJson,
}

impl Operation {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "length" => Ok(Self::Length),
            "keys" => Ok(Self::Keys),
            "tostring" => Ok(Self::ToString),
            "tojson" | "@json" => Ok(Self::ToJson),
            "fromjson" => Ok(Self::FromJson),
            other => Err(format!("unknown function \"{other}\"")),
        }
    }

    /// The same for what nobody else has: a part of it is taken out, not copied.
    fn apply_to(&self, value: Value) -> Result<Value, String> {
        match self {
            Self::Select(key) => key.take(value),
            _ => self.apply(&value).map(Cow::into_owned),
        }
    }

    fn apply<'a>(&self, value: &'a Value) -> Result<Cow<'a, Value>, String> {
        let made = match self {
            Self::Select(key) => return key.select(value).map(Cow::Borrowed),
            Self::ToString if value.is_string() => return Ok(Cow::Borrowed(value)),
            Self::Length => length(value)?,
            Self::Keys => keys(value)?,
            Self::ToString | Self::ToJson => Value::String(value.to_string()),
            Self::FromJson => from_json(value)?,
        };
        // Each `tojson` escapes what the one before escaped: unchecked, a short chain would fill the memory.
        if template::fits(&made) {
            Ok(Cow::Owned(made))
        } else {
            Err("result is too large or too deep".to_owned())
        }
    }
}

#[derive(Debug, PartialEq)]
enum Key {
    Member(String),
    /// From the end if negative.
    Index(i64),
}

impl Key {
    fn select<'a>(&self, value: &'a Value) -> Result<&'a Value, String> {
        match (value, self) {
            (Value::Null, _) => Ok(MISSING),
            (Value::Object(members), Self::Member(name)) => Ok(members.get(name).unwrap_or(MISSING)),
            (Value::Array(items), Self::Index(index)) => {
                Ok(place(items.len(), *index).and_then(|place| items.get(place)).unwrap_or(MISSING))
            }
            _ => Err(self.unfit(value)),
        }
    }

    fn take(&self, mut value: Value) -> Result<Value, String> {
        let taken = match (&mut value, self) {
            (Value::Null, _) => None,
            (Value::Object(members), Self::Member(name)) => members.remove(name),
            (Value::Array(items), Self::Index(index)) => {
                let place = place(items.len(), *index).filter(|place| *place < items.len());
                place.map(|place| items.swap_remove(place))
            }
            _ => return Err(self.unfit(&value)),
        };
        Ok(taken.unwrap_or_default())
    }

    fn unfit(&self, value: &Value) -> String {
        format!("cannot index {} with {self}", type_name(value))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(name) => write!(formatter, "{name:?}"),
            Self::Index(_) => formatter.write_str("number"),
        }
    }
}

/// Which place an index means, if one at all; it may lie behind the last one.
fn place(len: usize, index: i64) -> Option<usize> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { len.checked_sub(distance) } else { Some(distance) }
}

fn length(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::Null => Value::from(0),
        Value::Bool(_) => return Err("boolean has no length".to_owned()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::from(integer.unsigned_abs()),
            (None, Some(float)) if number.is_f64() => Value::from(float.abs()),
            // Only a whole number beyond `i64` is left, and none of those is negative.
            _ => value.clone(),
        },
        Value::String(text) => Value::from(text.chars().count()),
        Value::Array(items) => Value::from(items.len()),
        Value::Object(members) => Value::from(members.len()),
    })
}

fn keys(value: &Value) -> Result<Value, String> {
    match value {
        Value::Object(members) => {
            // A map of `serde_json` is sorted only as long as nobody in the build asks it to keep its order.
            let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
            names.sort_unstable();
            Ok(Value::from(names))
        }
        Value::Array(items) => Ok((0..items.len()).collect()),
        other => Err(format!("{} has no keys", type_name(other))),
    }
}

fn from_json(value: &Value) -> Result<Value, String> {
    let Value::String(text) = value else {
        return Err(format!("fromjson needs a string, not {}", type_name(value)));
    };
    serde_json::from_str(text).map_err(|error| format!("fromjson: {error}"))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Reads an expression from left to right.
struct Reader<'a> {
    expression: &'a str,
    rest: &'a str,
    operations: Vec<Operation>,
}

impl<'a> Reader<'a> {
    fn read(expression: &'a str) -> Result<Vec<Operation>, String> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("expression is longer than {EXPRESSION_BYTES_MAX} bytes"));
        }
        let mut reader = Self { expression, rest: expression.trim_start(), operations: Vec::new() };
        while !reader.rest.is_empty() {
            reader.stage()?;
            if reader.eat_blanks().is_empty() {
                break;
            }
            reader.need('|')?;
            if reader.eat_blanks().is_empty() {
                return Err(reader.unexpected());
            }
        }
        Ok(reader.operations)
    }

    fn stage(&mut self) -> Result<(), String> {
        if self.rest.starts_with('.') {
            return self.path();
        }
        let name = self.eat_while(|character| character == '@' || is_of_name(character));
        if name.is_empty() {
            return Err(self.unexpected());
        }
        self.operations.push(Operation::named(name)?);
        Ok(())
    }

    fn path(&mut self) -> Result<(), String> {
        let mut is_first = true;
        loop {
            if self.eat('[') {
                let key = self.bracket()?;
                self.operations.push(Operation::Select(key));
            } else if self.eat('.') {
                if let Some(name) = self.member()? {
                    self.operations.push(Operation::Select(Key::Member(name)));
                } else if !self.rest.starts_with('[') {
                    // A dot that names nothing is the input itself, but only at the start.
                    return if is_first { Ok(()) } else { Err(self.unexpected()) };
                }
            } else {
                return Ok(());
            }
            is_first = false;
        }
    }

    fn member(&mut self) -> Result<Option<String>, String> {
        if self.rest.starts_with('"') {
            return self.string().map(Some);
        }
        if self.rest.starts_with(|character: char| character.is_ascii_digit()) {
            return Ok(None);
        }
        let name = self.eat_while(is_of_name);
        Ok((!name.is_empty()).then(|| name.to_owned()))
    }

    fn bracket(&mut self) -> Result<Key, String> {
        self.eat_blanks();
        let key =
            if self.rest.starts_with('"') { Key::Member(self.string()?) } else { Key::Index(self.index()?) };
        self.eat_blanks();
        self.need(']')?;
        Ok(key)
    }

    fn index(&mut self) -> Result<i64, String> {
        let sign = if self.eat('-') { "-" } else { "" };
        let digits = self.eat_while(|character| character.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.unexpected());
        }
        format!("{sign}{digits}").parse().map_err(|_| format!("index {sign}{digits} is too large"))
    }

    /// A string as JSON writes it; the caller has seen its opening quote.
    fn string(&mut self) -> Result<String, String> {
        let mut strings = Deserializer::from_str(self.rest).into_iter::<String>();
        let Some(Ok(string)) = strings.next() else {
            return Err(format!("bad string at byte {}", self.position()));
        };
        self.rest = &self.rest[strings.byte_offset()..];
        Ok(string)
    }

    fn eat(&mut self, character: char) -> bool {
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn need(&mut self, character: char) -> Result<(), String> {
        if self.eat(character) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn eat_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !belongs(character)).unwrap_or(self.rest.len());
        let (eaten, rest) = self.rest.split_at(end);
        self.rest = rest;
        eaten
    }

    /// What is left after the blanks.
    fn eat_blanks(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn position(&self) -> usize {
        self.expression.len() - self.rest.len()
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            Some(character) => format!("unexpected {:?} at byte {}", character.to_string(), self.position()),
            None => "expression ends too early".to_owned(),
        }
    }
}

fn is_of_name(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(expression: &str, input: &Value) -> Result<Value, String> {
        super::apply(expression, input, &Effort::default())
    }

    fn failed(expression: &str, input: Value) -> String {
        apply(expression, &input).expect_err(expression)
    }

    #[test]
    fn a_path_leads_to_what_it_names_or_to_null() {
        let input = json!({ "a": { "b": [1, { "c": "x" }], "b c": 2, "é|]\"": 3 }, "_1": 4, "none": null });
        for (expression, expected) in [
            (".", input.clone()),
            ("", input.clone()),
            (" . ", input.clone()),
            (".a.b[0]", json!(1)),
            (".a.b[1].c", json!("x")),
            (".a.b[-1].c", json!("x")),
            (".a.b.[ -2 ]", json!(1)),
            (".[\"a\"][\"b c\"]", json!(2)),
            (".a.\"b c\"", json!(2)),
            (".a[\"\\u00e9|]\\\"\"]", json!(3)),
            ("._1", json!(4)),
            (".a|.b |.[0]", json!(1)),
            (".a.b[2]", Value::Null),
            (".a.b[-3]", Value::Null),
            (".a.b[-9223372036854775808]", Value::Null),
            (".missing.further[0]", Value::Null),
            (".none.a", Value::Null),
        ] {
            assert_eq!(apply(expression, &input), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn functions_say_how_long_what_is_in_it_and_how_it_is_written() {
        for (expression, input, expected) in [
            ("length", json!("žluť"), json!(4)),
            ("length", json!([1, 2]), json!(2)),
            ("length", json!({ "a": 1 }), json!(1)),
            ("length", Value::Null, json!(0)),
            ("length", json!(-5), json!(5)),
            ("length", json!(i64::MIN), json!(i64::MIN.unsigned_abs())),
            ("length", json!(u64::MAX), json!(u64::MAX)),
            ("length", json!(-1.5), json!(1.5)),
            ("keys", json!({ "b": 1, "a": 2, "B": 3 }), json!(["B", "a", "b"])),
            ("keys", json!(["x", "y"]), json!([0, 1])),
            ("tostring", json!("x"), json!("x")),
            ("tostring", json!({ "a": [1, null] }), json!("{\"a\":[1,null]}")),
            ("tojson", json!("x"), json!("\"x\"")),
            ("@json", Value::Null, json!("null")),
            ("fromjson", json!(" {\"a\": 1} "), json!({ "a": 1 })),
            (".a | fromjson | .b | keys | length", json!({ "a": "{\"b\":{\"c\":1,\"d\":2}}" }), json!(2)),
            ("tojson|tojson|fromjson|fromjson", json!({ "a": "\"" }), json!({ "a": "\"" })),
        ] {
            assert_eq!(apply(expression, &input), Ok(expected), "{expression} of {input}");
        }
    }

    #[test]
    fn what_does_not_suit_the_input_is_said() {
        for (expression, input, expected) in [
            (".a", json!(1), "cannot index number with \"a\""),
            (".a", json!([1]), "cannot index array with \"a\""),
            (".[0]", json!({}), "cannot index object with number"),
            (".a[0]", json!({ "a": "x" }), "cannot index string with number"),
            (".[\"b c\"]", json!(true), "cannot index boolean with \"b c\""),
            ("length", json!(true), "boolean has no length"),
            ("keys", json!("x"), "string has no keys"),
            ("keys", Value::Null, "null has no keys"),
            ("fromjson", json!(1), "fromjson needs a string, not number"),
            ("fromjson", json!(""), "fromjson: EOF while parsing a value at line 1 column 0"),
        ] {
            assert_eq!(failed(expression, input), expected, "{expression}");
        }
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_refused() {
        for (expression, expected) in [
            ("a", "unknown function \"a\""),
            ("@base64", "unknown function \"@base64\""),
            ("select(.a)", "unknown function \"select\""),
            ("..", "unexpected \".\" at byte 1"),
            (".a.", "expression ends too early"),
            (".a..b", "unexpected \".\" at byte 3"),
            (".a-b", "unexpected \"-\" at byte 2"),
            (".a b", "unexpected \"b\" at byte 3"),
            (".1", "unexpected \"1\" at byte 1"),
            (".a |", "expression ends too early"),
            ("| .a", "unexpected \"|\" at byte 0"),
            (".a || .b", "unexpected \"|\" at byte 4"),
            (".[]", "unexpected \"]\" at byte 2"),
            (".[1.5]", "unexpected \".\" at byte 3"),
            (".[1", "expression ends too early"),
            (".[-]", "unexpected \"]\" at byte 3"),
            (".[99999999999999999999]", "index 99999999999999999999 is too large"),
            (".[\"a]", "bad string at byte 2"),
            (".\"\\(1)\"", "bad string at byte 1"),
            ("é", "unexpected \"é\" at byte 0"),
            ("length.a", "unexpected \".\" at byte 6"),
        ] {
            assert_eq!(failed(expression, json!({})), expected, "{expression}");
        }
    }

    #[test]
    fn neither_the_expression_nor_what_it_makes_grows_without_end() {
        let long = format!(".{}", "a".repeat(EXPRESSION_BYTES_MAX - 1));
        assert_eq!(apply(&long, &json!({})), Ok(Value::Null));
        assert_eq!(failed(&format!("{long}a"), json!({})), "expression is longer than 1000 bytes");
        let chain = ["@json"; 150].join("|");
        assert_eq!(failed(&chain, json!("\"")), "result is too large or too deep");
        let deep = |levels: usize| json!("[".repeat(levels) + &"]".repeat(levels));
        assert!(apply("fromjson", &deep(template::LEVELS_MAX)).is_ok());
        assert_eq!(failed("fromjson", deep(template::LEVELS_MAX + 1)), "result is too large or too deep");
        assert!(failed("fromjson", deep(10_000)).contains("recursion limit"));
    }

    #[test]
    fn an_expression_costs_what_it_reads_and_writes_and_no_more_than_a_step_may() {
        let effort = Effort::default();
        let input = json!({ "a": vec![0; 1_000] });
        super::apply(".a", &input, &effort).expect("a path");
        assert_eq!(effort.so_far(), 1);
        super::apply(".a | tojson | length", &input, &effort).expect("short");
        assert!((6_000..20_000).contains(&effort.so_far()), "{}", effort.so_far());
        // Back and forth as often as an expression has room for.
        let chain = ["tojson|fromjson"; 60].join("|");
        let much = json!(vec![0; 50_000]);
        let before = effort.so_far();
        let refused = super::apply(&chain, &much, &effort).expect_err("too much");
        assert_eq!(refused, "the expression takes too much work");
        assert!(effort.so_far() - before < STEP_MAX + 2 * template::BYTES_MAX);
        assert_eq!(apply("tojson|fromjson|.a[1].b", &json!({ "a": [0, { "b": 5 }] })), Ok(json!(5)));
        assert_eq!(apply("tojson|fromjson|.a[-3].b", &json!({ "a": [0] })), Ok(Value::Null));
        assert_eq!(failed("tojson|fromjson|.a.b", json!({ "a": [0] })), "cannot index array with \"b\"");
    }
}
