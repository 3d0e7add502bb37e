//! Issues as files, out and in again (`issues.md` 22): NDJSON, one object a line, and CSV.
//!
//! Both name things as people do (slugs, names, identifiers), so that a file means the same in another
//! workspace. What was exported and imported again says the same.

mod cells;
mod dates;
mod export;
mod import;
mod names;
mod row;

use serde::Serialize;
use serde_json::Value;

pub(super) use export::export_issues;
pub(super) use import::import_issues;

use super::problem::Problem;

/// Which of the two sorts of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Ndjson,
    Csv,
}

impl Format {
    fn parse(word: Option<&str>) -> Result<Self, Problem> {
        match word {
            None | Some("ndjson") => Ok(Self::Ndjson),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(Problem::invalid("issue.format", "format must be: ndjson, csv")),
        }
    }
}

/// An issue in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Portable {
    identifier: Option<String>,
    external_id: Option<String>,
    crew: Option<String>,
    title: String,
    description: Option<String>,
    status: Option<String>,
    priority: Option<String>,
    assignee_type: Option<String>,
    /// An agent's slug, a person's id.
    assignee: Option<String>,
    due_date: Option<String>,
    sort_order: Option<f64>,
    /// Its name, or its slug.
    project: Option<String>,
    milestone: Option<String>,
    /// Identifier or external id.
    parent: Option<String>,
    estimate: Option<i64>,
    labels: Vec<String>,
    routine: Option<String>,
    routine_inputs: Option<Value>,
    created_at: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    /// Those that it is the source of.
    relations: Vec<PortableRelation>,
    comments: Vec<PortableComment>,
    /// What of it could not be taken as it was.
    #[serde(skip)]
    notes: Vec<String>,
}

/// A link in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct PortableRelation {
    relation_type: String,
    /// Identifier or external id.
    target: String,
}

/// A comment in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct PortableComment {
    author_type: Option<String>,
    /// An agent's slug, a person's id.
    author: Option<String>,
    body: String,
    created_at: Option<String>,
}
