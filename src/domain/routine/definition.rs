//! A routine as its author wrote it: checked once, and typed from then on (`periphery.md` 10).
//!
//! Nothing is rendered here: whatever may hold templates is kept as it was written. A member that is null
//! counts as absent, save for an input's default.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::iter;

use serde_json::{Map, Value};

use super::transform;

/// How many steps a routine may have.
pub(super) const STEPS_MAX: usize = 500;

/// How long the name of a routine and the id of a step may be.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// How long a step may be told to wait, in seconds: a century, so that adding it to a date stays a date.
pub(super) const WAIT_SECONDS_MAX: u64 = 100 * 366 * 24 * 60 * 60;

/// How long people may be waited for, in seconds: 90 days.
pub(super) const DECISION_SECONDS_MAX: u64 = 90 * 24 * 60 * 60;

/// What may be asked of another server.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// How many characters of a wrong word an error repeats.
const QUOTED_MAX: usize = 64;

/// A routine whose shape has been checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    /// What the routine calls itself.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it can be given.
    pub inputs: Vec<Input>,
    /// What it does, in order; the ids are unique.
    pub steps: Vec<Step>,
    /// Where it wants to reach out to.
    pub egress_targets: Vec<String>,
    /// The credentials it needs.
    pub credentials: Vec<String>,
    /// The integrations it needs.
    pub integrations_required: Vec<String>,
}

/// Something a routine can be given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Input {
    /// What templates call it.
    pub name: String,
    /// What kind of value its author expects; a hint that nothing enforces.
    pub type_name: Option<String>,
    /// Whether its author expects it to be given; not enforced either.
    pub required: bool,
    /// What stands in when it is not given.
    pub default: Option<Value>,
}

/// One step of a routine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// What templates call it. The step within a `foreach` goes by the id of that one unless it has its own.
    pub id: String,
    /// The template of `if`: the step is skipped when `template::holds` denies it.
    pub condition: Option<String>,
    /// Whether the routine goes on when this step fails.
    pub continues_on_error: bool,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// `transform`: reshapes JSON.
    Transform {
        /// What to reshape; strings in it are templates.
        input: Value,
        /// How, as `transform::apply` reads it; checked.
        expression: String,
    },
    /// `wait`: holds the run up.
    Wait {
        /// What ends the wait.
        until: Until,
        /// A template: what to tell people who look at the wait.
        prompt: Option<String>,
        /// When to give up; at least 1.
        timeout_seconds: Option<u64>,
    },
    /// `notify`: puts something into the inbox.
    Notify {
        /// A template.
        title: String,
        /// A template.
        body: Option<String>,
    },
    /// `call_pipeline`: runs another routine.
    CallPipeline {
        /// Which one; no template.
        slug: String,
        /// What it is given; strings in it are templates.
        inputs: Map<String, Value>,
    },
    /// `foreach`: one step for each item of a list.
    ForEach {
        /// A template that must render to a list, or a list with templates in it.
        items: Value,
        /// What to do with each; never a `foreach`, a `wait` or an `http`.
        step: Box<Step>,
    },
    /// `crewship`: changes an issue.
    Crewship {
        /// How.
        verb: Verb,
        /// What to change; strings in it are templates.
        params: Map<String, Value>,
    },
    /// `http`: asks another server.
    Http {
        /// In capitals; `GET` where none was written.
        method: String,
        /// A template.
        url: String,
        /// Templates by the names of headers.
        headers: BTreeMap<String, String>,
        /// What to send; strings in it are templates.
        body: Option<Value>,
    },
    /// `agent_run`: puts an agent to work.
    AgentRun {
        /// The agent's slug.
        agent: String,
        /// A template.
        prompt: String,
    },
    /// `code`: whatever it says, it needs a runtime.
    Code,
    /// `script`: whatever it says, it needs a runtime.
    Script,
}

/// What ends a wait.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Until {
    /// Somebody decides.
    Approval,
    /// A time comes: a template that must render to RFC 3339.
    Datetime(String),
    /// So many seconds pass.
    Seconds(u64),
}

/// What a `crewship` step does to an issue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    /// `issue.create`.
    Create,
    /// `issue.update`.
    Update,
    /// `issue.comment`.
    Comment,
}

impl Definition {
    /// Checks a definition and types it.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, in a few words that name the step.
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let own = value.as_object().ok_or("definition must be an object")?;
        let fields = Fields { place: String::new(), own, nested: None };
        let name = fields.text("name")?;
        if name.is_some_and(|name| !is_name(name, u8::is_ascii_lowercase)) {
            return Err(name_fault("name", "lower-case letters"));
        }
        Ok(Self {
            name: name.map(str::to_owned),
            description: fields.text("description")?.map(str::to_owned),
            inputs: read_inputs(fields.get("inputs"))?,
            steps: read_steps(fields.get("steps"))?,
            egress_targets: fields.texts("egress_targets")?,
            credentials: fields.texts("credentials")?,
            integrations_required: fields.texts("integrations_required")?,
        })
    }

    /// Why somebody should look at the routine before it runs.
    pub(super) fn risks(&self) -> Vec<&'static str> {
        let has_step = |is_such: fn(&Action) -> bool| self.all_steps().any(|step| is_such(&step.action));
        let risks = [
            ("egress_targets", !self.egress_targets.is_empty()),
            ("http_step", has_step(|action| matches!(action, Action::Http { .. }))),
            ("code_step", has_step(|action| matches!(action, Action::Code | Action::Script))),
            ("credentials", !self.credentials.is_empty()),
            ("integrations", !self.integrations_required.is_empty()),
        ];
        risks.into_iter().filter_map(|(risk, applies)| applies.then_some(risk)).collect()
    }

    /// What was given, with the defaults of what was not. Required inputs are not enforced.
    pub(super) fn with_defaults(&self, given: &Map<String, Value>) -> Map<String, Value> {
        let mut inputs = given.clone();
        for input in &self.inputs {
            if let Some(default) = &input.default {
                inputs.entry(&input.name).or_insert_with(|| default.clone());
            }
        }
        inputs
    }

    /// The slugs of the routines this one calls, each once, in the order of the steps.
    pub(super) fn calls(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let slugs = self.all_steps().filter_map(|step| match &step.action {
            Action::CallPipeline { slug, .. } => Some(slug.as_str()),
            _ => None,
        });
        slugs.filter(|slug| seen.insert(*slug)).collect()
    }

    fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().flat_map(Step::with_inner)
    }
}

impl Input {
    fn read(name: &str, own: &Map<String, Value>) -> Result<Self, String> {
        let fields = Fields { place: format!("input {}: ", quoted(name)), own, nested: None };
        Ok(Self {
            name: name.to_owned(),
            type_name: fields.text("type")?.map(str::to_owned),
            required: fields.flag("required")?,
            default: own.get("default").cloned(),
        })
    }

    fn read_listed(value: &Value) -> Result<Self, String> {
        let own = value.as_object().ok_or("every input must be an object")?;
        let name = own.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        Self::read(name.ok_or("every input needs a \"name\"")?, own)
    }

    fn read_named((name, value): (&String, &Value)) -> Result<Self, String> {
        let own = value.as_object().ok_or_else(|| format!("input {}: must be an object", quoted(name)))?;
        Self::read(name, own)
    }
}

impl Step {
    fn read(value: &Value, position: usize) -> Result<Self, String> {
        let own = value.as_object().ok_or_else(|| format!("step {position}: must be an object"))?;
        let id = own.get("id").and_then(Value::as_str).filter(|id| is_id(id));
        let id = id.ok_or_else(|| format!("step {position}: {}", name_fault("id", "letters")))?;
        let fields = Fields { place: format!("step \"{id}\": "), own, nested: None };
        Self::read_as(id, fields.needed_text("type")?, &fields)
    }

    /// The step within a `foreach`.
    fn read_inner(outer: &Fields<'_>) -> Result<Self, String> {
        let fields = Fields {
            place: format!("{}its step: ", outer.place),
            own: outer.needed_object("step")?,
            nested: None,
        };
        let kind = fields.needed_text("type")?;
        if matches!(kind, "foreach" | "wait" | "http") {
            return Err(fields.fault(format_args!("type \"{kind}\" cannot stand in a foreach")));
        }
        let outer_id = outer.own.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = fields.text("id")?.unwrap_or(outer_id);
        if !is_id(id) {
            return Err(fields.fault(name_fault("id", "letters")));
        }
        Self::read_as(id, kind, &fields)
    }

    fn read_as(id: &str, kind: &str, fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            id: id.to_owned(),
            condition: fields.text("if")?.map(str::to_owned),
            continues_on_error: fields.flag("continue_on_error")?,
            action: Action::read(kind, fields)?,
        })
    }

    fn with_inner(&self) -> impl Iterator<Item = &Self> {
        let inner = match &self.action {
            Action::ForEach { step, .. } => Some(step.as_ref()),
            _ => None,
        };
        iter::once(self).chain(inner)
    }
}

impl Verb {
    /// The word for it in a definition.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Create => "issue.create",
            Self::Update => "issue.update",
            Self::Comment => "issue.comment",
        }
    }
}

impl Action {
    /// The word for it in a definition.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Transform { .. } => "transform",
            Self::Wait { .. } => "wait",
            Self::Notify { .. } => "notify",
            Self::CallPipeline { .. } => "call_pipeline",
            Self::ForEach { .. } => "foreach",
            Self::Crewship { .. } => "crewship",
            Self::Http { .. } => "http",
            Self::AgentRun { .. } => "agent_run",
            Self::Code => "code",
            Self::Script => "script",
        }
    }

    fn read(kind: &str, fields: &Fields<'_>) -> Result<Self, String> {
        let read: fn(&Fields<'_>) -> Result<Self, String> = match kind {
            "transform" => Self::transform,
            "wait" => Self::wait,
            "notify" => Self::notify,
            "call_pipeline" => Self::call_pipeline,
            "foreach" => Self::for_each,
            "crewship" => Self::crewship,
            "http" => Self::http,
            "agent_run" => Self::agent_run,
            "code" => return Ok(Self::Code),
            "script" => return Ok(Self::Script),
            unknown => return Err(fields.fault(format_args!("unknown type {}", quoted(unknown)))),
        };
        read(&fields.with_nested(kind)?)
    }

    fn transform(fields: &Fields<'_>) -> Result<Self, String> {
        let expression = fields.text("expression")?.unwrap_or(".").to_owned();
        transform::check(&expression)
            .map_err(|error| fields.fault(format_args!("\"expression\": {error}")))?;
        Ok(Self::Transform { input: fields.get("input").cloned().unwrap_or_default(), expression })
    }

    fn wait(fields: &Fields<'_>) -> Result<Self, String> {
        let timeout_seconds = fields.seconds("timeout_seconds")?;
        if timeout_seconds == Some(0) {
            return Err(fields.fault("\"timeout_seconds\" must be positive"));
        }
        let until = Until::read(fields)?;
        if until == Until::Approval && timeout_seconds > Some(DECISION_SECONDS_MAX) {
            return Err(fields.fault("\"timeout_seconds\" of an approval must be at most 90 days"));
        }
        Ok(Self::Wait { until, prompt: fields.text("prompt")?.map(str::to_owned), timeout_seconds })
    }

    fn notify(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self::Notify {
            title: fields.needed_text("title")?.to_owned(),
            body: fields.text("body")?.map(str::to_owned),
        })
    }

    fn call_pipeline(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self::CallPipeline {
            slug: fields.needed_text("slug")?.to_owned(),
            inputs: fields.object("inputs")?.cloned().unwrap_or_default(),
        })
    }

    fn for_each(fields: &Fields<'_>) -> Result<Self, String> {
        match fields.get("items") {
            Some(items @ (Value::String(_) | Value::Array(_))) => {
                Ok(Self::ForEach { items: items.clone(), step: Box::new(Step::read_inner(fields)?) })
            }
            Some(_) => Err(fields.fault("\"items\" must be a string or an array")),
            None => Err(fields.fault("needs \"items\"")),
        }
    }

    fn crewship(fields: &Fields<'_>) -> Result<Self, String> {
        let verb = match fields.needed_text("action")? {
            "issue.create" => Verb::Create,
            "issue.update" => Verb::Update,
            "issue.comment" => Verb::Comment,
            unknown => return Err(fields.fault(format_args!("unknown action {}", quoted(unknown)))),
        };
        Ok(Self::Crewship { verb, params: fields.needed_object("params")?.clone() })
    }

    fn http(fields: &Fields<'_>) -> Result<Self, String> {
        let mut headers = BTreeMap::new();
        for (name, value) in fields.object("headers")?.into_iter().flatten() {
            let text = value.as_str().ok_or_else(|| fields.fault("\"headers\" must hold strings"))?;
            headers.insert(name.clone(), text.to_owned());
        }
        let method = fields.text("method")?.unwrap_or("GET").to_uppercase();
        if !METHODS.contains(&&*method) {
            return Err(fields.fault(format_args!("\"method\" must be one of: {}", METHODS.join(", "))));
        }
        Ok(Self::Http {
            method,
            url: fields.needed_text("url")?.to_owned(),
            headers,
            body: fields.get("body").cloned(),
        })
    }

    fn agent_run(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self::AgentRun {
            agent: fields.needed_text("agent")?.to_owned(),
            prompt: fields.needed_text("prompt")?.to_owned(),
        })
    }
}

impl Until {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        match fields.needed_text("kind")? {
            "approval" => Ok(Self::Approval),
            "datetime" => match (fields.text("until")?, fields.seconds("seconds")?) {
                (Some(until), None) => Ok(Self::Datetime(until.to_owned())),
                (None, Some(seconds)) => Ok(Self::Seconds(seconds)),
                _ => Err(fields.fault("needs either \"until\" or \"seconds\"")),
            },
            unknown => Err(fields.fault(format_args!("unknown kind {}", quoted(unknown)))),
        }
    }
}

/// The members of an object that is being read, and what its errors begin with.
struct Fields<'a> {
    place: String,
    own: &'a Map<String, Value>,
    /// The object under the name of a step's type: it comes first, whatever it lacks may stand beside it.
    nested: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    fn with_nested(&self, kind: &str) -> Result<Self, String> {
        let (place, own) = (self.place.clone(), self.own);
        match own.get(kind) {
            None | Some(Value::Null) => Ok(Self { place, own, nested: None }),
            Some(Value::Object(nested)) => Ok(Self { place, own, nested: Some(nested) }),
            Some(_) => Err(self.wrong(kind, "an object")),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let among = |members: &'a Map<String, Value>| members.get(name).filter(|value| !value.is_null());
        self.nested.and_then(among).or_else(|| among(self.own))
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| self.wrong(name, "a string"));
        self.get(name).map(text).transpose()
    }

    fn needed_text(&self, name: &str) -> Result<&'a str, String> {
        let text = self.text(name)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| self.fault(format_args!("needs \"{name}\"")))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let owned = |item: &Value| item.as_str().map(str::to_owned);
        let texts = value.as_array().and_then(|items| items.iter().map(owned).collect());
        texts.ok_or_else(|| self.wrong(name, "an array of strings"))
    }

    fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, String> {
        let object = |value: &'a Value| value.as_object().ok_or_else(|| self.wrong(name, "an object"));
        self.get(name).map(object).transpose()
    }

    fn needed_object(&self, name: &str) -> Result<&'a Map<String, Value>, String> {
        self.object(name)?.ok_or_else(|| self.fault(format_args!("needs \"{name}\"")))
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| self.wrong(name, "a boolean"));
        self.get(name).map_or(Ok(false), flag)
    }

    fn seconds(&self, name: &str) -> Result<Option<u64>, String> {
        let seconds = |value: &Value| {
            let fitting = value.as_u64().filter(|seconds| *seconds <= WAIT_SECONDS_MAX);
            fitting.ok_or_else(|| self.wrong(name, &format!("a whole number up to {WAIT_SECONDS_MAX}")))
        };
        self.get(name).map(seconds).transpose()
    }

    fn wrong(&self, name: &str, expected: &str) -> String {
        self.fault(format_args!("\"{name}\" must be {expected}"))
    }

    fn fault(&self, text: impl Display) -> String {
        format!("{}{text}", self.place)
    }
}

fn read_inputs(value: Option<&Value>) -> Result<Vec<Input>, String> {
    let inputs: Vec<Input> = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(Input::read_listed).collect::<Result<_, _>>()?,
        Some(Value::Object(members)) => members.iter().map(Input::read_named).collect::<Result<_, _>>()?,
        Some(_) => return Err("\"inputs\" must be an array or an object".to_owned()),
    };
    match first_repeated(inputs.iter().map(|input| input.name.as_str())) {
        Some(name) => Err(format!("input {}: the name is used twice", quoted(name))),
        None => Ok(inputs),
    }
}

fn read_steps(value: Option<&Value>) -> Result<Vec<Step>, String> {
    let items = value.and_then(Value::as_array).filter(|items| !items.is_empty());
    let items = items.ok_or("\"steps\" must be a non-empty array")?;
    if items.len() > STEPS_MAX {
        return Err(format!("\"steps\" must be at most {STEPS_MAX}"));
    }
    let numbered = items.iter().zip(1..);
    let steps: Vec<Step> =
        numbered.map(|(item, position)| Step::read(item, position)).collect::<Result<_, _>>()?;
    // The step within a `foreach` that borrows its id repeats nothing.
    let ids = steps.iter().flat_map(|step| {
        let others = step.with_inner().skip(1).filter(|inner| inner.id != step.id);
        iter::once(step).chain(others).map(|step| step.id.as_str())
    });
    match first_repeated(ids) {
        Some(id) => Err(format!("step \"{id}\": the id is used twice")),
        None => Ok(steps),
    }
}

fn first_repeated<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}

fn is_id(text: &str) -> bool {
    is_name(text, u8::is_ascii_alphabetic)
}

fn is_name(text: &str, is_letter: fn(&u8) -> bool) -> bool {
    let begins = |byte: &u8| is_letter(byte) || byte.is_ascii_digit();
    text.len() <= NAME_BYTES_MAX
        && text.as_bytes().first().is_some_and(begins)
        && text.bytes().all(|byte| begins(&byte) || matches!(byte, b'_' | b'-'))
}

fn name_fault(name: &str, letters: &str) -> String {
    let rule = format!("1 to {NAME_BYTES_MAX} {letters}, digits, \"_\" and \"-\"");
    format!("\"{name}\" must be {rule}, beginning with a letter or digit")
}

fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(QUOTED_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(steps: Value) -> Result<Definition, String> {
        Definition::read(&json!({ "steps": steps }))
    }

    /// What one step does, with its members beside its id.
    fn action(kind: &str, mut members: Value) -> Result<Action, String> {
        members["id"] = json!("a");
        members["type"] = json!(kind);
        read(json!([members])).map(|mut definition| definition.steps.remove(0).action)
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_definition_is_read_whole() {
        let definition = Definition::read(&json!({
            "name": "nightly-report_2", "description": "Reports", "unknown": 1,
            "inputs": [
                { "name": "team", "type": "string", "required": true },
                { "name": "limit", "default": 5 },
            ],
            "steps": [{
                "id": "A-1", "type": "code", "code": "print()",
                "if": "{{ inputs.on }}", "continue_on_error": true,
            }],
            "egress_targets": ["example.com"], "credentials": ["TOKEN"], "integrations_required": ["github"],
        }));
        let input = |name: &str, type_name: Option<&str>, required, default| Input {
            name: name.to_owned(),
            type_name: type_name.map(str::to_owned),
            required,
            default,
        };
        let expected = Definition {
            name: Some("nightly-report_2".to_owned()),
            description: Some("Reports".to_owned()),
            inputs: vec![
                input("team", Some("string"), true, None),
                input("limit", None, false, Some(json!(5))),
            ],
            steps: vec![Step {
                id: "A-1".to_owned(),
                condition: Some("{{ inputs.on }}".to_owned()),
                continues_on_error: true,
                action: Action::Code,
            }],
            egress_targets: vec!["example.com".to_owned()],
            credentials: vec!["TOKEN".to_owned()],
            integrations_required: vec!["github".to_owned()],
        };
        assert_eq!(definition, Ok(expected));
    }

    #[test]
    fn a_step_may_say_what_it_does_flat_or_nested_under_its_type() {
        let text = str::to_owned;
        let (verb, prompt) = (Verb::Comment, Some(text("ok?")));
        let cases = [
            (json!({}), Action::Transform { input: Value::Null, expression: text(".") }),
            (
                json!({ "input": { "x": "{{ inputs.x }}" }, "expression": ".x" }),
                Action::Transform { input: json!({ "x": "{{ inputs.x }}" }), expression: text(".x") },
            ),
            (
                json!({ "kind": "approval", "prompt": "ok?", "timeout_seconds": 60 }),
                Action::Wait { until: Until::Approval, prompt, timeout_seconds: Some(60) },
            ),
            (
                json!({ "kind": "datetime", "until": "{{ inputs.at }}", "seconds": null }),
                Action::Wait {
                    until: Until::Datetime(text("{{ inputs.at }}")),
                    prompt: None,
                    timeout_seconds: None,
                },
            ),
            (
                json!({ "kind": "datetime", "seconds": 0 }),
                Action::Wait { until: Until::Seconds(0), prompt: None, timeout_seconds: None },
            ),
            (
                json!({ "title": "t", "body": "b" }),
                Action::Notify { title: text("t"), body: Some(text("b")) },
            ),
            (json!({ "slug": "other" }), Action::CallPipeline { slug: text("other"), inputs: Map::new() }),
            (
                json!({ "action": "issue.comment", "params": { "body": "b" } }),
                Action::Crewship { verb, params: object(json!({ "body": "b" })) },
            ),
            (
                json!({ "url": "u", "headers": { "accept": "*/*" }, "body": [1] }),
                Action::Http {
                    method: text("GET"),
                    url: text("u"),
                    headers: BTreeMap::from([(text("accept"), text("*/*"))]),
                    body: Some(json!([1])),
                },
            ),
            (
                json!({ "agent": "ada", "prompt": "p" }),
                Action::AgentRun { agent: text("ada"), prompt: text("p") },
            ),
            (json!({ "script": "ls" }), Action::Script),
        ];
        for (members, expected) in cases {
            let kind = expected.type_name();
            assert_eq!(action(kind, members.clone()), Ok(expected.clone()), "{kind} flat");
            assert_eq!(action(kind, json!({ kind: members })), Ok(expected), "{kind} nested");
        }
        let both = action(
            "notify",
            json!({ "notify": { "title": "inner", "body": null }, "title": "t", "body": "b" }),
        );
        assert_eq!(both, Ok(Action::Notify { title: text("inner"), body: Some(text("b")) }));
    }

    #[test]
    fn a_foreach_holds_a_step_that_may_borrow_its_id() {
        let step = json!({ "type": "notify", "notify": { "title": "{{ item }}" }, "if": "{{ item.on }}" });
        let inner = Step {
            id: "a".to_owned(),
            condition: Some("{{ item.on }}".to_owned()),
            continues_on_error: false,
            action: Action::Notify { title: "{{ item }}".to_owned(), body: None },
        };
        let expected = Action::ForEach { items: json!("{{ inputs.list }}"), step: Box::new(inner) };
        let members = json!({ "items": "{{ inputs.list }}", "step": step });
        assert_eq!(action("foreach", members.clone()), Ok(expected.clone()));
        assert_eq!(action("foreach", json!({ "foreach": members })), Ok(expected));

        let named = |id: &str| {
            let step = json!({ "id": id, "type": "code" });
            json!({ "id": "a", "type": "foreach", "items": [1], "step": step })
        };
        assert!(read(json!([named("each"), { "id": "b", "type": "code" }])).is_ok());
        let twice = read(json!([named("b"), { "id": "b", "type": "code" }]));
        assert_eq!(twice, Err("step \"b\": the id is used twice".to_owned()));
    }

    #[test]
    fn what_is_wrong_with_a_step_is_said_and_where() {
        for (kind, members, expected) in [
            ("x", json!({}), "unknown type \"x\""),
            ("", json!({}), "needs \"type\""),
            ("transform", json!({ "transform": "." }), "\"transform\" must be an object"),
            ("transform", json!({ "expression": 1 }), "\"expression\" must be a string"),
            ("transform", json!({ "if": false }), "\"if\" must be a string"),
            ("code", json!({ "continue_on_error": "yes" }), "\"continue_on_error\" must be a boolean"),
            ("wait", json!({}), "needs \"kind\""),
            ("wait", json!({ "kind": "event" }), "unknown kind \"event\""),
            ("wait", json!({ "kind": "datetime" }), "needs either \"until\" or \"seconds\""),
            (
                "wait",
                json!({ "kind": "datetime", "until": "u", "seconds": 1 }),
                "needs either \"until\" or \"seconds\"",
            ),
            (
                "wait",
                json!({ "kind": "datetime", "seconds": -1 }),
                "\"seconds\" must be a whole number up to 3162240000",
            ),
            (
                "wait",
                json!({ "kind": "datetime", "seconds": u64::MAX }),
                "\"seconds\" must be a whole number up to 3162240000",
            ),
            (
                "wait",
                json!({ "kind": "approval", "timeout_seconds": 0 }),
                "\"timeout_seconds\" must be positive",
            ),
            ("notify", json!({ "title": " " }), "needs \"title\""),
            ("call_pipeline", json!({ "slug": "s", "inputs": [] }), "\"inputs\" must be an object"),
            (
                "crewship",
                json!({ "action": "issue.delete", "params": {} }),
                "unknown action \"issue.delete\"",
            ),
            ("crewship", json!({ "action": "issue.create" }), "needs \"params\""),
            ("http", json!({}), "needs \"url\""),
            ("http", json!({ "url": "u", "headers": { "a": 1 } }), "\"headers\" must hold strings"),
            ("agent_run", json!({ "agent": "ada" }), "needs \"prompt\""),
            ("foreach", json!({ "step": {} }), "needs \"items\""),
            ("foreach", json!({ "items": 3 }), "\"items\" must be a string or an array"),
            ("foreach", json!({ "items": [] }), "needs \"step\""),
            ("foreach", json!({ "items": [], "step": {} }), "its step: needs \"type\""),
            (
                "foreach",
                json!({ "items": [], "step": { "type": "wait" } }),
                "its step: type \"wait\" cannot stand in a foreach",
            ),
            ("foreach", json!({ "items": [], "step": { "type": "y" } }), "its step: unknown type \"y\""),
        ] {
            assert_eq!(action(kind, members), Err(format!("step \"a\": {expected}")));
        }
        let long = action(&"y".repeat(1000), json!({})).unwrap_err();
        assert_eq!(long, format!("step \"a\": unknown type \"{}\"", "y".repeat(64)));
        let inner_id = json!({ "items": [], "step": { "id": "b c", "type": "code" } });
        assert!(action("foreach", inner_id).unwrap_err().starts_with("step \"a\": its step: \"id\" must be"));
    }

    #[test]
    fn what_is_wrong_with_a_definition_is_said() {
        let steps = json!([{ "id": "a", "type": "code" }]);
        let with =
            |name: &str, value: Value| Definition::read(&json!({ name: value, "steps": steps })).unwrap_err();
        assert_eq!(Definition::read(&json!([])).unwrap_err(), "definition must be an object");
        for name in ["", "Upper", "-a", "_a", "a b", &"a".repeat(65)] {
            assert!(
                with("name", json!(name)).starts_with("\"name\" must be 1 to 64 lower-case letters"),
                "{name}"
            );
        }
        assert_eq!(with("name", json!(1)), "\"name\" must be a string");
        assert_eq!(with("egress_targets", json!("x")), "\"egress_targets\" must be an array of strings");
        assert_eq!(with("credentials", json!([1])), "\"credentials\" must be an array of strings");
        assert_eq!(with("inputs", json!("x")), "\"inputs\" must be an array or an object");
        assert_eq!(with("inputs", json!([1])), "every input must be an object");
        assert_eq!(with("inputs", json!([{ "name": "" }])), "every input needs a \"name\"");
        assert_eq!(
            with("inputs", json!([{ "name": "x" }, { "name": "x" }])),
            "input \"x\": the name is used twice"
        );
        assert_eq!(with("inputs", json!({ "x": 1 })), "input \"x\": must be an object");
        assert_eq!(with("inputs", json!({ "x": { "type": 1 } })), "input \"x\": \"type\" must be a string");
    }

    #[test]
    fn steps_are_some_and_not_too_many_and_go_by_ids_of_their_own() {
        let many = |count: usize| -> Value {
            (0..count).map(|number| json!({ "id": format!("s{number}"), "type": "code" })).collect()
        };
        assert!(read(many(STEPS_MAX)).is_ok());
        assert_eq!(read(many(STEPS_MAX + 1)).unwrap_err(), "\"steps\" must be at most 500");
        for none in [json!([]), json!({}), Value::Null] {
            assert_eq!(read(none).unwrap_err(), "\"steps\" must be a non-empty array");
        }
        let first = json!({ "id": "a", "type": "code" });
        assert_eq!(read(json!([first, first])).unwrap_err(), "step \"a\": the id is used twice");
        assert_eq!(read(json!([first, 1])).unwrap_err(), "step 2: must be an object");
        for id in
            [Value::Null, json!(1), json!(""), json!("-a"), json!("a.b"), json!("é"), json!("a".repeat(65))]
        {
            let refused = read(json!([first, { "id": id, "type": "code" }])).unwrap_err();
            assert!(refused.starts_with("step 2: \"id\" must be 1 to 64 letters"), "{id}");
        }
    }

    #[test]
    fn risks_and_calls_are_found_within_loops_too() {
        let inside = |step: Value| json!({ "id": "loop", "type": "foreach", "items": [], "step": step });
        let call = |id: &str, slug: &str| json!({ "id": id, "type": "call_pipeline", "slug": slug });
        let quiet = read(json!([call("a", "one"), call("b", "two"), call("c", "one")])).unwrap();
        assert_eq!((quiet.risks(), quiet.calls()), (vec![], vec!["one", "two"]));
        let looping = read(json!([inside(call("x", "three")), call("a", "one")])).unwrap();
        assert_eq!(looping.calls(), ["three", "one"]);
        assert_eq!(read(json!([inside(json!({ "type": "script" }))])).unwrap().risks(), ["code_step"]);
        let all = Definition::read(&json!({
            "integrations_required": ["i"], "credentials": ["c"], "egress_targets": ["e"],
            "steps": [{ "id": "a", "type": "code" }, { "id": "b", "type": "http", "url": "u" }],
        }));
        let expected = ["egress_targets", "http_step", "code_step", "credentials", "integrations"];
        assert_eq!(all.unwrap().risks(), expected);
    }

    #[test]
    fn defaults_stand_in_only_for_what_is_not_given() {
        let definition = Definition::read(&json!({
            "inputs": {
                "a": { "default": 1 }, "b": { "default": [2] },
                "c": { "required": true }, "d": { "default": null },
            },
            "steps": [{ "id": "s", "type": "code" }],
        }));
        let definition = definition.unwrap();
        assert_eq!(definition.inputs.len(), 4);
        let filled = definition.with_defaults(&object(json!({ "b": null, "other": true })));
        assert_eq!(Value::Object(filled), json!({ "a": 1, "b": null, "d": null, "other": true }));
    }
}
