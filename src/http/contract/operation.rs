//! One operation of the API, as the types of its handler tell it.

use std::collections::BTreeSet;

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::Schemas;
use crate::http::problem::Problem;

/// What an extractor tells of the requests it takes.
pub(in crate::http) trait Asks {
    /// Adds parameters, body and refusals to an operation.
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

/// What an answer tells of itself.
pub(in crate::http) trait Answers {
    /// Adds the success to an operation.
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

/// One operation.
pub(in crate::http) struct Operation {
    pub(in crate::http) method: Method,
    pub(super) path: String,
    pub(super) id: String,
    tag: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    success: Vec<(u16, Value)>,
    refusals: BTreeSet<u16>,
    needs_caller: bool,
    extensions: Map<String, Value>,
}

/// A success: its headers and what stands in it.
#[derive(Default)]
pub(in crate::http) struct Response {
    headers: Vec<(&'static str, &'static str)>,
    content: Vec<(&'static str, Value)>,
}

impl Response {
    /// With a JSON body.
    pub(in crate::http) fn json(schema: Value) -> Self {
        Self { headers: vec![], content: vec![("application/json", schema)] }
    }

    /// With a body of another type.
    pub(in crate::http) fn of(media_type: &'static str) -> Self {
        Self { headers: vec![], content: vec![] }.or(media_type)
    }

    /// Or with one of this type, as the caller asks.
    pub(in crate::http) fn or(mut self, media_type: &'static str) -> Self {
        self.content.push((media_type, json!({ "type": "string" })));
        self
    }

    /// With a header, and what it says.
    pub(in crate::http) fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push((name, description));
        self
    }
}

impl Operation {
    /// `handler` is the full name of the handling function: `…::room::verb_noun`.
    pub(super) fn new(method: Method, path: &str, handler: &str) -> Self {
        let mut names = handler.rsplit("::");
        let id = names.next().unwrap_or_default().to_owned();
        let tag = names.next().unwrap_or_default().to_owned();
        let mut operation = Self {
            method,
            path: path.to_owned(),
            id,
            tag,
            parameters: vec![],
            body: None,
            success: vec![],
            refusals: BTreeSet::new(),
            needs_caller: false,
            extensions: Map::new(),
        };
        let named = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        named.for_each(|name| operation.parameter("path", name, json!({ "type": "string" }), true, ""));
        operation
    }

    /// A parameter in `place`: `path`, `query` or `header`.
    pub(in crate::http) fn parameter(
        &mut self,
        place: &str,
        name: &str,
        schema: Value,
        is_required: bool,
        description: &str,
    ) {
        let mut parameter = json!({ "in": place, "name": name, "required": is_required, "schema": schema });
        if !description.is_empty() {
            parameter["description"] = description.into();
        }
        self.parameters.push(parameter);
    }

    /// The members of a query.
    pub(in crate::http) fn query<T: JsonSchema>(&mut self, schemas: &mut Schemas) {
        for (name, schema, is_required) in schemas.members::<T>() {
            let mut schema = schema.to_value();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let description = description.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            self.parameter("query", &name, schema, is_required, &description);
        }
    }

    /// A JSON body.
    pub(in crate::http) fn body(&mut self, schema: Value, is_required: bool) {
        let content = json!({ "application/json": { "schema": schema } });
        self.body = Some(json!({ "required": is_required, "content": content }));
    }

    /// A body of bytes, of one of these types.
    pub(in crate::http) fn bytes(&mut self, media_types: impl IntoIterator<Item = &'static str>) {
        let content: Map<String, Value> =
            media_types.into_iter().map(|name| (name.to_owned(), json!({ "schema": {} }))).collect();
        self.body = Some(json!({ "required": true, "content": content }));
    }

    /// A form with a file in it.
    pub(in crate::http) fn form_with(&mut self, part: &str) {
        let file = json!({ "type": "string", "contentMediaType": "application/octet-stream" });
        let schema = json!({ "type": "object", "required": [part], "properties": { part: file } });
        let content = json!({ "multipart/form-data": { "schema": schema } });
        self.body = Some(json!({ "required": true, "content": content }));
    }

    /// It is only for callers with a credential.
    pub(in crate::http) fn needs_caller(&mut self) {
        self.needs_caller = true;
    }

    /// A fact that OpenAPI has no word for.
    pub(in crate::http) fn extension(&mut self, name: &str, value: impl Into<Value>) {
        self.extensions.insert(format!("x-taffrail-{name}"), value.into());
    }

    /// Answers that are problems.
    pub(in crate::http) fn refuses(&mut self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.refusals.extend(statuses.into_iter().map(|status| status.as_u16()));
    }

    /// An answer that is none.
    pub(in crate::http) fn succeeds(&mut self, status: StatusCode, response: Response) {
        let mut told = json!({ "description": status.canonical_reason().unwrap_or_default() });
        if !response.headers.is_empty() {
            let header = |text: &str| json!({ "description": text, "schema": { "type": "string" } });
            let headers = response.headers.iter().map(|(name, text)| ((*name).to_owned(), header(text)));
            told["headers"] = Value::Object(headers.collect());
        }
        for (media_type, schema) in response.content {
            told["content"][media_type] = json!({ "schema": schema });
        }
        self.success.push((status.as_u16(), told));
    }

    /// As it stands in the document.
    pub(super) fn into_value(self) -> Value {
        let problem = json!({ "$ref": "#/components/responses/Problem" });
        let mut responses: Map<String, Value> = Map::new();
        responses.extend(self.refusals.iter().map(|status| (status.to_string(), problem.clone())));
        responses.extend(self.success.into_iter().map(|(status, told)| (status.to_string(), told)));
        responses.insert("default".to_owned(), problem);
        let mut operation = json!({
            "operationId": self.id,
            "summary": sentence(&self.id),
            "tags": [self.tag],
            "parameters": self.parameters,
            "responses": responses,
        });
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation["security"] = if self.needs_caller { json!([{ "token": [] }]) } else { json!([]) };
        for (name, value) in self.extensions {
            operation[name] = value;
        }
        operation
    }
}

/// `create_crew` is "Create crew".
fn sentence(id: &str) -> String {
    let words = id.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A path names something that may not be there.
impl<T> Asks for Path<T> {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.refuses([StatusCode::NOT_FOUND]);
    }
}

impl<T> Asks for axum::extract::State<T> {
    fn describe(_: &mut Operation, _: &mut Schemas) {}
}

impl<T: JsonSchema> Answers for axum::Json<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.succeeds(StatusCode::OK, Response::json(schemas.answer::<T>()));
    }
}

impl<T: Answers> Answers for Result<T, Problem> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        T::describe(operation, schemas);
    }
}
