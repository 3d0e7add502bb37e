//! Schemas of bodies and answers, from the types themselves.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// Where OpenAPI keeps named schemas.
const COMPONENTS: &str = "/components/schemas";

/// What is read and what is written have schemas of their own kind: a member that may be left out of a
/// body is always there in an answer.
pub(in crate::http) struct Schemas {
    bodies: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = COMPONENTS.into();
        settings.meta_schema = None;
        Self {
            bodies: settings.clone().for_deserialize().into_generator(),
            answers: settings.for_serialize().into_generator(),
        }
    }

    /// The schema of a request's body, by its name.
    pub(in crate::http) fn body<T: JsonSchema>(&mut self) -> Value {
        self.bodies.subschema_for::<T>().to_value()
    }

    /// The schema of an answer, by its name.
    pub(in crate::http) fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    /// The members of a query: name, schema, and whether it must be there.
    pub(in crate::http) fn members<T: JsonSchema>(&mut self) -> Vec<(String, Schema, bool)> {
        let mut whole = T::json_schema(&mut self.bodies).to_value();
        let required: Vec<Value> =
            whole.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let members = whole.get_mut("properties").and_then(Value::as_object_mut).map(std::mem::take);
        let members = members.unwrap_or_default().into_iter();
        members
            .filter_map(|(name, schema)| {
                let is_required = required.iter().any(|required| *required == name);
                Some((name, Schema::try_from(schema).ok()?, is_required))
            })
            .collect()
    }

    /// Every schema with a name. What is read and what is written share the names, so that a debug build,
    /// which every test runs, stops where one name stands for two things.
    pub(super) fn named(mut self) -> Map<String, Value> {
        let mut named = self.bodies.take_definitions(true);
        for (name, schema) in self.answers.take_definitions(true) {
            let before = named.insert(name.clone(), schema);
            debug_assert!(before.is_none_or(|before| before == named[&name]), "two schemas named {name}");
        }
        named
    }
}
