//! In: all of a file, or nothing of it.

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taffrail_domain::issue::{ImportedIssue, IssueCommand, IssueEvent};
use taffrail_domain::{CrewId, Event, MissionId, Text};

use super::cells::read_csv;
use super::names::Names;
use super::{Format, Portable};
use crate::http::answer::{Created, Refusing};
use crate::http::body::{Raw, Sent};
use crate::http::caller::Member;
use crate::http::gate::WriteIssues;
use crate::http::problem::Problem;
use crate::http::query::{Query, Word};

/// Most issues of one file: all of them are one batch.
const IMPORT_MAX: usize = 1_000;

/// How a file is read.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::http) struct ImportQuery {
    /// `ndjson` (the default) or `csv`.
    format: Word,
}

/// What became of a file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssuesImported")]
pub(in crate::http) struct ImportedView {
    /// How many issues were made.
    created: usize,
    /// How many were there already, by their `external_id`.
    skipped: usize,
    issues: Vec<MadeView>,
    /// What the file names and this workspace does not have, and what was done instead.
    warnings: Vec<String>,
}

/// An issue that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IssueImported")]
struct MadeView {
    id: MissionId,
    identifier: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<Text>,
}

/// `POST /api/v1/crews/{crewId}/issues/import`: all of a file, or nothing of it.
pub(in crate::http) async fn import_issues(
    member: Member<WriteIssues>,
    Path(crew): Path<CrewId>,
    Query(query): Query<ImportQuery>,
    sent: Sent<Raw>,
) -> Result<Refusing<Created<ImportedView>, 422>, Problem> {
    let format = Format::parse(query.format.get())?;
    let portables = read(format, &sent.bytes())?;
    let world = member.world();
    let mut warnings = vec![];
    let issues: Result<Vec<ImportedIssue>, Problem> = (1..)
        .zip(portables)
        .map(|(line, portable)| {
            let mut names = Names::of(&world.state);
            let read = names.read(portable).map_err(|why| in_line(line, &why));
            warnings.extend(names.unknown.iter().map(|unknown| format!("issue {line}: {unknown}")));
            read
        })
        .collect();
    let issues = issues?;
    let total = issues.len();
    let done = member.execute(IssueCommand::Import { crew, issues }, &sent).await?;
    let made = done.entries.iter().filter_map(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::IssueCreated(created))) => Some(MadeView {
            id: (&*entry.subject).into(),
            identifier: created.identifier.clone(),
            external_id: created.imported.as_ref().and_then(|imported| imported.external_id.clone()),
        }),
        _ => None,
    });
    let issues: Vec<MadeView> = made.collect();
    let view = ImportedView { created: issues.len(), skipped: total - issues.len(), issues, warnings };
    Ok(Refusing(Created::new(&done, &view)))
}

pub(super) fn in_line(line: usize, why: &str) -> Problem {
    Problem::invalid("issue.import", format!("issue {line}: {why}"))
}

fn read(format: Format, bytes: &[u8]) -> Result<Vec<Portable>, Problem> {
    let portables = match format {
        Format::Ndjson => read_ndjson(bytes)?,
        Format::Csv => read_csv(bytes)?,
    };
    match portables.len() {
        0 => Err(Problem::invalid("issue.import", "the file has no issues")),
        count if count > IMPORT_MAX => {
            let detail = format!("the file has {count} issues, at most {IMPORT_MAX} are taken at once");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "issue.import_too_large", detail))
        }
        _ => Ok(portables),
    }
}

fn read_ndjson(bytes: &[u8]) -> Result<Vec<Portable>, Problem> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    (1..)
        .zip(lines)
        .map(|(line, text)| serde_json::from_slice(text).map_err(|error| in_line(line, &error.to_string())))
        .collect()
}
