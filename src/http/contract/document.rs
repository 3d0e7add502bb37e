//! The OpenAPI document around the operations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Operation, Schemas};
use crate::http::problem::ProblemView;

const DESCRIPTION: &str = "Event-sourced missions for crews of AI agents. Every write takes an \
    Idempotency-Key and answers with Taffrail-Cursor; every failure is one problem object.";

/// Operations by path and method.
pub(super) struct Document {
    pub(super) schemas: Schemas,
    paths: BTreeMap<String, Map<String, Value>>,
    ids: Vec<String>,
}

impl Document {
    pub(super) fn new() -> Self {
        Self { schemas: Schemas::new(), paths: BTreeMap::new(), ids: vec![] }
    }

    /// Adds an operation. A second method of one handler is named by its method, since ids are unique.
    pub(super) fn add(&mut self, mut operation: Operation) {
        if self.ids.contains(&operation.id) {
            operation.id = format!("{}_by_{}", operation.id, operation.method.as_str().to_lowercase());
        }
        self.ids.push(operation.id.clone());
        let methods = self.paths.entry(operation.path.clone()).or_default();
        methods.insert(operation.method.as_str().to_lowercase(), operation.into_value());
    }

    pub(super) fn text(mut self) -> String {
        let problem = self.schemas.answer::<ProblemView>();
        let whole = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Taffrail",
                "version": env!("CARGO_PKG_VERSION"),
                "description": DESCRIPTION,
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "paths": self.paths,
            "components": {
                "securitySchemes": { "token": {
                    "type": "http", "scheme": "bearer", "description": "A CLI token, crewship_cli_…",
                } },
                "responses": { "Problem": {
                    "description": "Nothing was changed, unless the code is outcome_unknown",
                    "headers": { "X-Request-Id": {
                        "description": "Names the request in the log", "schema": { "type": "string" },
                    } },
                    "content": {
                        "application/json": { "schema": problem },
                        "application/problem+json": { "schema": problem },
                    },
                } },
                "schemas": self.schemas.named(),
            },
        });
        serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
    }
}
