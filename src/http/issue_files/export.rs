//! Out: what is there, written as it is asked for.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use taffrail_domain::issue::{Issue, Party};
use taffrail_domain::{MissionId, Text, Time, Workspace};
use taffrail_projections::{IssueOrder, WorkspaceWorld};

use super::cells::{csv_line, header};
use super::{Format, Portable, PortableComment, PortableRelation};
use crate::http::caller::Member;
use crate::http::contract::{self, Answers, Operation, Schemas};
use crate::http::gate::ReadIssues;
use crate::http::issues::{IssueConditions, says};
use crate::http::journal::scan;
use crate::http::problem::Problem;
use crate::http::query::{Query, Word};
use crate::http::time::Seconds;

/// A file goes out in pieces of so many bytes, and the rest of the issue that passes them: no answer holds more
/// of it.
const PIECE_BYTES: usize = 64 << 10;

/// Which issues of an export, and how.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::http) struct ExportQuery {
    /// `ndjson` (the default) or `csv`.
    format: Word,
    #[serde(flatten)]
    issues: IssueConditions,
}

/// A file as it is written.
pub(in crate::http) struct File {
    format: Format,
    body: Body,
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let (media_type, name) = match self.format {
            Format::Ndjson => ("application/x-ndjson", "attachment; filename=\"issues.ndjson\""),
            Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"issues.csv\""),
        };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (CONTENT_DISPOSITION, HeaderValue::from_static(name)),
        ];
        (headers, self.body).into_response()
    }
}

impl Answers for File {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.succeeds(StatusCode::OK, contract::Response::of("application/x-ndjson").or("text/csv"));
        operation.refuses([StatusCode::BAD_REQUEST]);
    }
}

/// `GET /api/v1/issues/export`: all that match, oldest first; one moment of the workspace, however long it
/// takes to write.
pub(in crate::http) async fn export_issues(
    member: Member<ReadIssues>,
    Query(query): Query<ExportQuery>,
) -> Result<File, Problem> {
    let format = Format::parse(query.format.get())?;
    let world = member.world();
    let (filter, needle) = query.issues.read(&member, &world).await?;
    let select = move |world: &WorkspaceWorld| {
        let fits = needle.as_deref().map(says);
        let fits = fits.as_ref().map(|fits| fits as &dyn Fn(&Issue) -> bool);
        let oldest_first = IssueOrder { is_ascending: true, ..IssueOrder::default() };
        world.issues.page(&filter, fits, oldest_first, (0, None), usize::MAX - 1, &world.state)
    };
    let found = scan(&world, select).await?;
    let first = match format {
        Format::Ndjson => vec![],
        Format::Csv => header(),
    };
    let mut ids = found.ids.into_iter();
    let pieces = (0..).map_while(move |count: u64| {
        let first = if count == 0 { first.clone() } else { vec![] };
        Some(piece(&world, &mut ids, first, format)).filter(|piece| !piece.is_empty())
    });
    let pieces = pieces.map(Ok::<_, std::convert::Infallible>);
    Ok(File { format, body: Body::from_stream(stream::iter(pieces)) })
}

/// The next lines of a file, behind those that it begins with; nothing at its end.
fn piece(
    world: &WorkspaceWorld,
    ids: &mut impl Iterator<Item = MissionId>,
    mut lines: Vec<u8>,
    format: Format,
) -> Vec<u8> {
    while lines.len() < PIECE_BYTES
        && let Some(id) = ids.next()
    {
        let Some(issue) = world.state.issues.all.get(&id) else { continue };
        let portable = Portable::of(issue, &world.state);
        match format {
            // Structs of texts and numbers always have a JSON form.
            Format::Ndjson => {
                lines.extend(serde_json::to_vec(&portable).unwrap_or_default());
                lines.push(b'\n');
            }
            Format::Csv => lines.extend(csv_line(&portable.cells())),
        }
    }
    lines
}

impl Portable {
    fn of(issue: &Issue, state: &Workspace) -> Self {
        let facts = &issue.facts;
        let text = |text: &Text| text.to_string();
        let named = |id: &MissionId| state.issues.all.get(id).map(|issue| issue.identifier.to_string());
        let label = |id| state.tracker.labels.get(id).map(|label| label.facts.name.to_string());
        let project = facts.project_id.as_ref().and_then(|id| state.tracker.projects.get(id));
        let milestone = facts.milestone_id.as_ref().and_then(|id| state.tracker.milestones.get(id));
        let routine = facts.routine_id.as_ref().and_then(|id| state.routines.live(id.as_str()));
        let at = |time: Time| Seconds(time).to_string();
        Self {
            identifier: Some(text(&issue.identifier)),
            external_id: issue.external_id.as_ref().map(text),
            crew: state.roster.crews.get(&issue.crew_id).map(|crew| text(&crew.facts.slug)),
            title: text(&issue.title),
            description: issue.description.as_ref().map(text),
            status: Some(issue.status.to_string()),
            priority: Some(facts.priority.to_string()),
            assignee_type: facts.assignee.as_ref().map(|party| party.kind.to_string()),
            assignee: facts.assignee.as_ref().map(|party| name_of(party, state)),
            due_date: facts.due_date.as_ref().map(text),
            sort_order: Some(facts.sort_order),
            project: project.map(|project| text(&project.facts.name)),
            milestone: milestone.map(|milestone| text(&milestone.facts.name)),
            parent: facts.parent_issue_id.as_ref().and_then(named),
            estimate: facts.estimate,
            labels: facts.labels.iter().filter_map(label).collect(),
            routine: routine.map(|routine| text(&routine.facts.slug)),
            routine_inputs: routine.and_then(|_| serde_json::from_str(facts.routine_inputs.get()).ok()),
            created_at: Some(at(issue.created_at)),
            started_at: issue.started_at.map(at),
            completed_at: issue.completed_at.map(at),
            relations: state
                .issues
                .relations_on(&issue.id)
                .filter(|relation| relation.source == issue.id)
                .filter_map(|relation| {
                    let relation_type = relation.relation_type.to_string();
                    Some(PortableRelation { relation_type, target: named(&relation.target)? })
                })
                .collect(),
            notes: vec![],
            comments: state
                .issues
                .comments_on(&issue.id)
                .map(|comment| PortableComment {
                    author_type: Some(comment.author.kind.to_string()),
                    author: Some(name_of(&comment.author, state)),
                    body: comment.body.to_string(),
                    created_at: Some(at(comment.created_at)),
                })
                .collect(),
        }
    }
}

fn name_of(party: &Party, state: &Workspace) -> String {
    let agent = party.as_agent().and_then(|agent| state.roster.agents.get(&agent));
    agent.map_or_else(|| party.id.to_string(), |agent| agent.facts.slug.to_string())
}
