//! What an agent's process said, read: the last JSON line of its stdout, or all of it as text.

use serde_json::{Map, Value, json};

/// A result, as far as the output tells one.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What came out, as text.
    pub(super) result: String,
    /// The members of a report that the output says: tokens, cost, confidence, …
    pub(super) members: Map<String, Value>,
    /// The agent says of itself that it failed.
    pub(super) failed: Option<String>,
}

impl Answer {
    pub(super) fn read(stdout: &str) -> Self {
        let text = stdout.trim();
        let last = text.lines().next_back().map(str::trim).filter(|line| line.starts_with('{'));
        let said: Option<Map<String, Value>> = last.and_then(|line| serde_json::from_str(line).ok());
        match said {
            Some(said) => Self::of(&said, text),
            None => Self { result: text.to_owned(), ..Self::default() },
        }
    }

    /// The words that the known command lines use, and ours.
    fn of(said: &Map<String, Value>, text: &str) -> Self {
        let first =
            |names: &[&str]| names.iter().find_map(|name| said.get(*name).filter(|value| !value.is_null()));
        let words = |names: &[&str]| first(names).and_then(Value::as_str);
        let mut members = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            value.into_iter().for_each(|value| drop(members.insert(name.to_owned(), value)));
        };
        set("confidence", first(&["confidence"]).filter(|value| value.is_number()).cloned());
        set("output_path", words(&["output_path"]).map(Into::into));
        let cost = first(&["cost_usd", "total_cost_usd", "estimated_cost"]).and_then(Value::as_f64);
        set("estimated_cost", cost.map(Into::into));
        set("token_count", tokens(said).map(Into::into));
        let plans = ["plan", "tasks", "verdict", "evaluations"];
        if plans.iter().any(|name| said.contains_key(*name)) {
            set("answer", Some(Value::Object(said.clone())));
        }
        let metadata = ["model", "session_id", "cli_version"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), said.get(*name)?.clone())));
        let metadata: Map<String, Value> = metadata.collect();
        set("metadata", (!metadata.is_empty()).then_some(Value::Object(metadata)));
        let calls = first(&["llm_calls"]).filter(|calls| calls.is_array()).cloned();
        set("usage", calls.or_else(|| usage(said, cost)));
        let result = words(&["result", "summary", "response", "output", "text"]);
        let is_error = said.get("is_error").and_then(Value::as_bool).unwrap_or_default();
        let failed = words(&["error", "error_message"]).map(str::to_owned);
        let failed =
            failed.or_else(|| is_error.then(|| result.unwrap_or("the agent reports an error").to_owned()));
        let before = || {
            let whole = text.rsplit_once('\n').map_or("", |(before, _)| before).trim();
            if whole.is_empty() { text.to_owned() } else { whole.to_owned() }
        };
        Self { result: result.map_or_else(before, str::to_owned), members, failed }
    }
}

fn tokens(said: &Map<String, Value>) -> Option<i64> {
    let named = ["token_count", "tokens", "total_tokens"];
    let whole = named.iter().find_map(|name| said.get(*name).and_then(Value::as_i64));
    whole.or_else(|| {
        let usage = said.get("usage")?;
        let part = |name: &str| usage.get(name).and_then(Value::as_i64);
        Some(part("input_tokens")? + part("output_tokens").unwrap_or_default())
    })
}

/// One call of a model, where the output tells of one.
fn usage(said: &Map<String, Value>, cost: Option<f64>) -> Option<Value> {
    let usage = said.get("usage")?.as_object()?;
    let part = |name: &str| usage.get(name).and_then(Value::as_i64).unwrap_or_default();
    let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or("unknown");
    Some(json!([{
        "provider": text("provider"), "model": text("model"), "input_tokens": part("input_tokens"),
        "output_tokens": part("output_tokens"), "cached_input_tokens": part("cache_read_input_tokens"),
        "cache_creation_tokens": part("cache_creation_input_tokens"), "cost_usd": cost.unwrap_or_default(),
    }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_the_result() {
        let answer = Answer::read("  all done\n{not json\n");
        assert_eq!((&*answer.result, answer.members.len(), answer.failed), ("all done\n{not json", 0, None));
    }

    #[test]
    fn the_last_json_line_says_the_rest() {
        let answer = Answer::read(
            "working\n{\"result\":\"done\",\"confidence\":0.8,\"tokens\":12,\"cost_usd\":0.5,\"model\":\"m\"}\n",
        );
        assert_eq!(answer.result, "done");
        assert_eq!(answer.members["confidence"], 0.8);
        assert_eq!(
            (&answer.members["token_count"], &answer.members["estimated_cost"]),
            (&json!(12), &json!(0.5))
        );
        assert_eq!(answer.members["metadata"], json!({ "model": "m" }));
    }

    #[test]
    fn what_a_known_command_line_says_is_understood() {
        let answer = Answer::read(
            r#"{"type":"result","is_error":true,"result":"no","total_cost_usd":0.1,
"usage":{}}"#
                .replace('\n', "")
                .as_str(),
        );
        assert_eq!(answer.failed.as_deref(), Some("no"));
        let answer = Answer::read(r#"{"result":"x","usage":{"input_tokens":3,"output_tokens":4}}"#);
        assert_eq!(answer.members["token_count"], 7);
        assert_eq!(answer.members["usage"][0]["output_tokens"], 4);
    }

    #[test]
    fn a_plan_is_handed_on_as_data() {
        let answer = Answer::read("I thought about it.\n{\"plan\":\"p\",\"tasks\":[{\"title\":\"a\"}]}");
        assert_eq!(answer.members["answer"]["tasks"][0]["title"], "a");
        assert_eq!(answer.result, "I thought about it.");
    }
}
