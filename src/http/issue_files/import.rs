//! In: all of a file, or nothing of it.

use std::collections::HashSet;

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use taffrail_domain::issue::{ImportedIssue, ImportedNames, IssueCommand, IssueEvent};
use taffrail_domain::{CrewId, Event, MissionId, Text, Workspace};

use super::cells::read_csv;
use super::names::Names;
use super::row::Row;
use super::{Format, Portable};
use crate::http::answer::{Created, Refusing};
use crate::http::body::{Form, Sent};
use crate::http::caller::Member;
use crate::http::contract::{Operation, Schemas};
use crate::http::gate::WriteIssues;
use crate::http::problem::Problem;
use crate::http::query::{Query, Word};

/// Most issues of one file: all of them are one batch.
const IMPORT_MAX: usize = 1_000;
/// Most issues, comments and links of one file: each is an entry, and a batch takes 4,096 (`DESIGN.md` 3). What is
/// left is for the labels, projects and milestones that have to be made.
const ENTRIES_MAX: usize = 4_000;

/// How a file is read.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::http) struct ImportQuery {
    /// `ndjson` or `csv`; if left out, what the body's media type says, and NDJSON if that says nothing.
    format: Word,
}

/// The body is a file.
pub(in crate::http) struct IssueFile;

impl Form for IssueFile {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.bytes(["application/x-ndjson", "text/csv"]);
    }
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
    sent: Sent<IssueFile>,
) -> Result<Refusing<Created<ImportedView>, 422>, Problem> {
    let format = match query.format.get() {
        None if sent.is_of_type("text/csv") => Format::Csv,
        word => Format::parse(word)?,
    };
    let portables = read(format, &sent.bytes())?;
    let world = member.world();
    let mut names = Names::of(&world.state, member.now());
    let mut told = vec![];
    let issues: Result<Vec<ImportedIssue>, Problem> = (1..)
        .zip(portables)
        .map(|(line, portable)| {
            let read = names.read(portable).map_err(|why| in_line(line, &why));
            told.extend(names.unknown.drain(..).map(|unknown| (line, unknown)));
            read
        })
        .collect();
    let issues = issues?;
    told.extend(strangers(&issues, &world.state));
    let wishes: Vec<Wish> = issues.iter().map(Wish::of).collect();
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
    let warnings = warnings(told, &wishes, &issues);
    let view = ImportedView { created: issues.len(), skipped: total - issues.len(), issues, warnings };
    Ok(Refusing(Created::new(&done, &view)))
}

/// What an issue of a file wishes to be called.
struct Wish {
    external_id: Option<Text>,
    identifier: Option<Text>,
}

impl Wish {
    /// What is no identifier at all is no wish.
    fn of(issue: &ImportedIssue) -> Self {
        let is_identifier = |wish: &Text| {
            let digits = wish.rsplit_once('-').map(|(_, digits)| digits);
            digits.is_some_and(|text| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()))
        };
        let identifier = issue.identifier.clone().filter(is_identifier);
        Self { external_id: issue.external_id.clone(), identifier }
    }
}

/// Parents and ends of links that are neither in the file nor here.
fn strangers(issues: &[ImportedIssue], state: &Workspace) -> Vec<(usize, String)> {
    let names = ImportedNames::of(issues);
    let is_strange = |name: &Text| names.place(name).is_none() && !state.issues.external.contains_key(name);
    let mut told = vec![];
    for (line, issue) in (1..).zip(issues) {
        let parent = issue.parent.iter().filter(|name| is_strange(name));
        told.extend(parent.map(|name| (line, format!("unknown parent {name:?}: it has none"))));
        let targets = issue.relations.iter().map(|relation| &relation.target).filter(|name| is_strange(name));
        told.extend(targets.map(|name| (line, format!("unknown issue {name:?}: it is not linked to it"))));
    }
    told
}

/// What is told of the issues that were made, in the order of the file. Of what is skipped nothing was lost.
fn warnings(mut told: Vec<(usize, String)>, wishes: &[Wish], made: &[MadeView]) -> Vec<String> {
    let mut externals: HashSet<&Text> = made.iter().filter_map(|issue| issue.external_id.as_ref()).collect();
    let mut kept: HashSet<&Text> = made.iter().map(|issue| &issue.identifier).collect();
    let mut skipped = HashSet::new();
    for (line, wish) in (1..).zip(wishes) {
        if wish.external_id.as_ref().is_some_and(|id| !externals.remove(id)) {
            skipped.insert(line);
        } else if let Some(identifier) = wish.identifier.as_ref().filter(|wish| !kept.remove(wish)) {
            told.push((line, format!("{identifier} is not free here: it has a new identifier")));
        }
    }
    told.retain(|(line, _)| !skipped.contains(line));
    told.sort_by_key(|(line, _)| *line);
    told.into_iter().map(|(line, warning)| format!("issue {line}: {warning}")).collect()
}

pub(super) fn in_line(line: usize, why: &str) -> Problem {
    Problem::invalid("issue.import", format!("issue {line}: {why}"))
}

/// An issue that is read takes many times the bytes of an empty line: how many there are is settled first.
pub(super) fn require_few(count: usize) -> Result<(), Problem> {
    if count > IMPORT_MAX { Err(too_large(&format!("{count} issues"), IMPORT_MAX)) } else { Ok(()) }
}

fn too_large(counted: &str, max: usize) -> Problem {
    let detail = format!("the file has {counted}, at most {max} are taken at once");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "issue.import_too_large", detail)
}

fn read(format: Format, bytes: &[u8]) -> Result<Vec<Portable>, Problem> {
    let portables = match format {
        Format::Ndjson => read_ndjson(bytes)?,
        Format::Csv => read_csv(bytes)?,
    };
    let count = portables.len();
    let beside: usize = portables.iter().map(|issue| issue.comments.len() + issue.relations.len()).sum();
    match count {
        0 => Err(Problem::invalid("issue.import", "the file has no issues")),
        _ if count + beside > ENTRIES_MAX => {
            let all = count + beside;
            Err(too_large(&format!("{all} issues, comments and links together"), ENTRIES_MAX))
        }
        _ => Ok(portables),
    }
}

/// One object a line; a whole list is taken too, as `gh` writes it.
fn read_ndjson(bytes: &[u8]) -> Result<Vec<Portable>, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let inside = bytes.trim_ascii_start().strip_prefix(b"[");
    let is_list = inside.is_some_and(|inside| inside.trim_ascii_start().starts_with(b"{"));
    let objects: Vec<Map<String, Value>> = if is_list {
        let bad =
            |error| Problem::invalid("issue.import", format!("the file is no list of objects: {error}"));
        serde_json::from_slice(bytes).map_err(bad)?
    } else {
        let lines = || bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        require_few(lines().count())?;
        let hint = if inside.is_none() && !bytes.trim_ascii_start().starts_with(b"{") {
            " (CSV is read with format=csv)"
        } else {
            ""
        };
        let bad = |error| format!("the line is no JSON object: {error}{hint}");
        let object = |(line, text)| serde_json::from_slice(text).map_err(|error| in_line(line, &bad(error)));
        (1..).zip(lines()).map(object).collect::<Result<_, _>>()?
    };
    require_few(objects.len())?;
    let portable = |(line, object)| Row::of(object).issue().map_err(|why| in_line(line, &why));
    (1..).zip(objects).map(portable).collect()
}
