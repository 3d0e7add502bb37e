//! The OpenAPI document: what it says of a request is held against every answer that the tests of this
//! room get ([`check`]), and it is stored beside the schemas of the entries.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

/// The document, parsed.
pub(super) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(taffrail::http::openapi()).unwrap());

/// Refusals of the pipeline, before any route: the document has them as `default`.
const BEFORE_ANY_ROUTE: [&str; 5] =
    ["origin_rejected", "path_climbs", "body_too_large", "uri_too_long", "route_not_found"];

/// One operation of the document.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) told: &'static Value,
}

impl Operation {
    /// The parameters in one place: their names.
    pub(super) fn parameters(&self, place: &str) -> Vec<&'static str> {
        let all = self.told["parameters"].as_array().unwrap().iter();
        all.filter(|parameter| parameter["in"] == place).map(|parameter| text(&parameter["name"])).collect()
    }

    /// The schema of its body, references resolved.
    pub(super) fn body(&self) -> Option<&'static Value> {
        let schema = self.told.pointer("/requestBody/content/application~1json/schema")?;
        Some(resolved(schema))
    }

    pub(super) fn method(&self) -> Method {
        self.method.to_uppercase().parse().unwrap()
    }
}

fn text(value: &'static Value) -> &'static str {
    value.as_str().unwrap()
}

fn resolved(schema: &'static Value) -> &'static Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Every operation there is.
pub(super) fn operations() -> Vec<Operation> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, told)| Operation { method, path, told })
        })
        .collect()
}

/// The operation that a request is for; the more literal path wins, as in the router.
fn operation_of(method: &Method, path: &str) -> Option<Operation> {
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |operation: &Operation| {
        let pattern: Vec<&str> = operation.path.split('/').collect();
        pattern.len() == segments.len()
            && pattern.iter().zip(&segments).all(|(want, have)| want.starts_with('{') || want == have)
    };
    let method = if method == Method::HEAD { Method::GET } else { method.clone() };
    let candidates =
        operations().into_iter().filter(|operation| operation.method() == method && fits(operation));
    candidates.min_by_key(|operation| operation.path.matches('{').count())
}

/// Holds an answer against the document.
#[track_caller]
pub(super) fn check(method: &Method, path: &str, status: u16, body: &Value) {
    let Some(operation) = operation_of(method, path) else { return };
    let declared = operation.told["responses"].get(status.to_string());
    if declared.is_none() {
        let code = body["code"].as_str().unwrap_or_default();
        assert!(BEFORE_ANY_ROUTE.contains(&code), "{method} {path} may not answer {status}: {body}");
        return;
    }
    if *method == Method::HEAD || status == 304 || status == 204 {
        assert_eq!(*body, Value::Null, "{method} {path}");
        return;
    }
    if status < 300
        && operation.told["responses"][status.to_string()].pointer("/content/application~1json").is_none()
    {
        return; // A stream, or a text.
    }
    let validator = validator(operation, status);
    let wrong: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{method} {path} {status}: {wrong:#?} in {body:#}");
}

fn validator(operation: Operation, status: u16) -> Arc<Validator> {
    type Known = HashMap<(&'static str, &'static str, u16), Arc<Validator>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || {
        let response = resolved(&operation.told["responses"][status.to_string()]);
        let schema = response.pointer("/content/application~1json/schema").unwrap();
        let whole = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        Arc::new(jsonschema::validator_for(&whole).unwrap())
    };
    Arc::clone(known.entry((operation.method, operation.path, status)).or_insert_with(compile))
}

#[test]
fn the_stored_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, taffrail::http::openapi()).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == taffrail::http::openapi(), "schemas/openapi.json is stale: UPDATE_GOLDEN=1 cargo test");
}

#[test]
fn every_operation_is_told_whole() {
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.path);
        assert!(ids.insert(operation.told["operationId"].as_str().unwrap()), "{name}: its id is taken");
        let named: Vec<&str> =
            operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(operation.parameters("path"), named, "{name}");
        let responses = operation.told["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        let is_public = operation.told["security"] == json!([]);
        assert_ne!(is_public, responses.contains_key("401"), "{name}");
        let writes = operation.method != "get";
        assert_eq!(writes, operation.parameters("header").contains(&"Idempotency-Key"), "{name}");
        for place in ["query", "header"] {
            let all = operation.told["parameters"].as_array().unwrap().iter();
            for parameter in all.filter(|parameter| parameter["in"] == place) {
                assert!(parameter["description"].is_string(), "{name}: {parameter}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| walk(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut references = vec![];
    walk(&DOCUMENT, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(DOCUMENT.pointer(pointer).is_some(), "{reference}");
    }
}
