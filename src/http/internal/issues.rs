//! The agents' door to issues (`issues.md` 19).

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use taffrail_domain::issue::{
    Comment, CommentDraft, Issue, IssueCommand, IssueDraft, IssueEvent, IssuePatch, IssueStatus, Named,
    Party, Relation, RelationDraft,
};
use taffrail_domain::roster::Wished;
use taffrail_domain::{Actor, CrewId, Event, MissionId, Rejection, Workspace};
use taffrail_projections::WorkspaceWorld;

use super::insider::{Inside, Insider, clean};
use crate::http::answer::first_entry;
use crate::http::body::{Required, Sent};
use crate::http::journal::scan;
use crate::http::page::{Page, PageQuery};
use crate::http::problem::Problem;
use crate::http::query::{Csv, Query, Word};
use crate::http::time::Seconds;

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 100;
/// What all of them are; missions have a door of their own.
const MISSION_TYPE: &str = "issue";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    crew_id: Word,
    status: Csv,
    assignee_id: Word,
    mission_type: Word,
    q: Word,
    #[serde(flatten)]
    page: PageQuery,
}

impl ListQuery {
    /// What a text of the query says of an issue. Nothing in `q` is a wildcard.
    fn filter(&self) -> impl Fn(&Issue) -> bool + '_ {
        let sought = self.q.get().map(|text| text.trim().to_lowercase());
        move |issue| {
            let assignee = issue.facts.assignee.as_ref().map(|party| &*party.id);
            let holds = |text: &str, sought: &str| text.to_lowercase().contains(sought);
            let is_sought = |sought: &String| {
                holds(&issue.title, sought) || holds(issue.description.as_deref().unwrap_or_default(), sought)
            };
            (self.status.0.is_empty() || self.status.0.iter().any(|status| *status == *issue.status.as_str()))
                && self.assignee_id.get().is_none_or(|id| assignee == Some(id))
                && self.mission_type.get().is_none_or(|word| word == MISSION_TYPE)
                && sought.as_ref().is_none_or(is_sought)
        }
    }
}

/// `GET`: newest first; a token that is bound to a crew lists that crew's.
pub(super) async fn list(insider: Insider, Query(query): Query<ListQuery>) -> Result<Json<Value>, Problem> {
    let inside = insider.inside(None)?;
    let crew = match (inside.bound_crew(), query.crew_id.get()) {
        (Some(_), named) => Some(inside.crew(named)?),
        (None, named) => named.map(Into::into),
    };
    let Page { limit, offset } = query.page.page(LIMIT, LIMIT_MAX);
    let select = move |world: &WorkspaceWorld| {
        let is_wanted = query.filter();
        let issues = world.state.issues.newest();
        let issues = issues.filter(|issue| crew.as_ref().is_none_or(|crew| issue.crew_id == *crew));
        let issues = issues.filter(|issue| is_wanted(issue)).skip(offset).take(limit);
        issues.map(|issue| view(issue)).collect::<Vec<_>>()
    };
    // Few may be wanted, and then all are looked at.
    Ok(Json(scan(&inside.world(), select).await?.into()))
}

/// `GET /{identifier}`: with what was said of it and what it has to do with.
pub(super) async fn show(insider: Insider, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let inside = insider.inside(None)?;
    let issue = find(&inside, &name)?;
    if !reaches(&inside, &issue) {
        return Err(not_found().into());
    }
    let world = inside.world();
    let issues = &world.state.issues;
    let mut shown = view(&issue);
    shown["comments"] = issues.comments_on(&issue.id).map(|said| comment_view(said)).collect();
    let relations = issues.relations_on(&issue.id);
    shown["relations"] = relations.filter_map(|link| relation_view(link, &issue.id, &world.state)).collect();
    Ok(Json(shown))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ProposalDraft {
    workspace_id: Option<String>,
    crew_id: Option<String>,
    title: Option<String>,
    description: Option<String>,
    priority: Option<String>,
    assignee_type: Option<String>,
    assignee_id: Option<String>,
    labels: Option<Vec<String>>,
    author_agent_id: Option<String>,
}

/// `POST`: made, or made and held until somebody has said yes.
pub(super) async fn propose(
    insider: Insider,
    sent: Sent<Required<ProposalDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json()?;
    let missing = || {
        let detail = "title, crew_id, and workspace_id are required";
        Problem::invalid("issue.incomplete", detail)
    };
    let title = said(draft.title.as_deref()).ok_or_else(missing)?;
    let inside = insider.inside_or(draft.workspace_id.as_deref(), missing)?;
    let named = draft.crew_id.as_deref().filter(|crew| !crew.is_empty());
    let crew = match inside.bound_crew() {
        Some(_) => inside.crew(named)?,
        None => inside.world().state.crew(named.ok_or_else(missing)?)?.id.clone(),
    };
    let actor = actor(&inside, draft.author_agent_id.as_deref(), author_foreign)?;
    if !is_of_crew(&inside, &actor, &crew) {
        return Err(author_foreign().into());
    }
    let issue = IssueDraft {
        title: Some(clean(title).to_string()),
        description: draft.description.as_deref().map(|text| clean(text).to_string()),
        priority: draft.priority,
        assignee_type: draft.assignee_type,
        assignee_id: draft.assignee_id,
        labels: draft.labels,
        ..IssueDraft::default()
    };
    let done =
        inside.execute(IssueCommand::Propose { crew: crew.clone(), draft: issue.into() }, actor).await?;
    let id = MissionId::from(&*first_entry(&done)?.subject);
    let state = &done.world.state;
    let made = state.issues.all.get(&id).ok_or_else(Problem::internal)?;
    let mut body = json!({ "id": id, "identifier": made.identifier, "status": IssueStatus::Backlog });
    let Some(hold) = state.approvals.hold_on(id.as_str()) else {
        return Ok((StatusCode::CREATED, Json(body)).into_response());
    };
    let autonomy = state.crew(crew.as_str())?.policy.autonomy;
    body["decision"] = json!(autonomy.ruling(Wished::Issue));
    body["autonomy_level"] = json!(autonomy);
    body["pending_review"] = json!(true);
    body["approval_id"] = json!(hold.id);
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ChangeDraft {
    workspace_id: Option<String>,
    agent_id: Option<String>,
    comment: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// `PATCH /{identifier}`: what agents may change of one, and what they say of it.
pub(super) async fn change(
    insider: Insider,
    Path(name): Path<String>,
    sent: Sent<Required<ChangeDraft>>,
) -> Result<Json<Value>, Problem> {
    let draft = sent.json()?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let issue = find_writable(&inside, &name)?;
    let actor = actor(&inside, draft.agent_id.as_deref(), author_not_found)?;
    let patch: IssuePatch = serde_json::from_value(Value::Object(draft.rest))
        .map_err(|_| Problem::invalid("invalid_json", "Invalid JSON body"))?;
    let comment = said(draft.comment.as_deref()).map(clean);
    let command = IssueCommand::AgentUpdate { issue: by_id(&issue), patch: patch.into(), comment };
    inside.execute(command, actor).await?;
    Ok(Json(json!({ "status": "ok" })))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RemarkDraft {
    workspace_id: Option<String>,
    agent_id: Option<String>,
    body: Option<String>,
}

/// `POST /{identifier}/comments`: somebody must have said it.
pub(super) async fn comment(
    insider: Insider,
    Path(name): Path<String>,
    sent: Sent<Required<RemarkDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json()?;
    let missing = || Problem::invalid("comment.incomplete", "body and workspace_id are required");
    let body = said(draft.body.as_deref()).ok_or_else(missing)?;
    let inside = insider.inside_or(draft.workspace_id.as_deref(), missing)?;
    let actor = actor(&inside, draft.agent_id.as_deref(), author_not_found)?;
    if !matches!(actor, Actor::Agent(_)) {
        return Err(Problem::invalid("comment.agent_required", "agent_id is required"));
    }
    let issue = find_reached(&inside, &name)?;
    let draft = CommentDraft { body: Some(clean(body).to_string()) };
    let done = inside.execute(IssueCommand::Comment { issue: by_id(&issue), draft }, actor).await?;
    let Some(Event::Issue(IssueEvent::Commented(commented))) = &first_entry(&done)?.event else {
        return Err(Problem::internal());
    };
    let said = done.world.state.issues.comments.get(&commented.comment_id).ok_or_else(Problem::internal)?;
    Ok((StatusCode::CREATED, Json(comment_view(said))).into_response())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LinkDraft {
    workspace_id: Option<String>,
    agent_id: Option<String>,
    #[serde(flatten)]
    relation: RelationDraft,
}

/// `POST /{identifier}/relations`: a link, or a place below another issue.
pub(super) async fn relate(
    insider: Insider,
    Path(name): Path<String>,
    sent: Sent<Required<LinkDraft>>,
) -> Result<Response, Problem> {
    let draft = sent.json()?;
    let inside = insider.inside(draft.workspace_id.as_deref())?;
    let issue = find_writable(&inside, &name)?;
    let actor = actor(&inside, draft.agent_id.as_deref(), author_not_found)?;
    let word = draft.relation.relation_type.clone();
    let command = IssueCommand::Relate { issue: by_id(&issue), draft: draft.relation };
    let done = inside.execute(command, actor).await?;
    let body = match done.entries.first().map(|entry| &entry.event) {
        Some(Some(Event::Issue(IssueEvent::Related(related)))) => {
            // As it was wished: what blocks the other way round is stored with its ends swapped.
            json!({ "id": related.relation_id, "status": "ok", "relation_type": word })
        }
        // It may be there already: then there is nothing to write.
        _ => {
            let below = done.world.state.issues.all.get(&issue.id);
            let parent = below.and_then(|below| below.facts.parent_issue_id.as_ref());
            json!({ "status": "ok", "relation_type": word, "parent_id": parent })
        }
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Who acts: the agent that a body names, or that the token speaks for; without one it is Taffrail itself
/// (`issues.md` 19).
fn actor(
    inside: &Inside,
    named: Option<&str>,
    unknown: impl FnOnce() -> Rejection,
) -> Result<Actor, Problem> {
    let Some(named) = named.filter(|id| !id.is_empty()) else {
        return Ok(match inside.actor(None) {
            Actor::Orchestrator => Actor::System,
            agent => agent,
        });
    };
    if inside.world().state.roster.live_agent(named).is_none() {
        return Err(unknown().into());
    }
    inside.agent(Some(named)).map(Actor::Agent)
}

/// Whoever creates an issue is of its crew; what is no agent is of none.
fn is_of_crew(inside: &Inside, actor: &Actor, crew: &CrewId) -> bool {
    let Actor::Agent(agent) = actor else { return true };
    let world = inside.world();
    world
        .state
        .roster
        .live_agent(agent.as_str())
        .is_some_and(|agent| agent.facts.crew_id.as_ref() == Some(crew))
}

fn author_foreign() -> Rejection {
    let detail = "author agent does not belong to the specified crew/workspace";
    Rejection::invalid("issue.author_foreign", detail)
}

fn author_not_found() -> Rejection {
    Rejection::not_found("agent.not_found", "author agent not found in this workspace")
}

fn not_found() -> Rejection {
    Rejection::not_found("issue.not_found", "Issue not found")
}

/// A text with something in it.
fn said(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

fn find(inside: &Inside, name: &str) -> Result<Arc<Issue>, Rejection> {
    inside.world().state.issue(&Named { crew: None, name: name.into() }).cloned()
}

/// Whether the token reaches it: it is of its crew, or its agent works on it.
fn reaches(inside: &Inside, issue: &Issue) -> bool {
    inside.mission(issue.id.as_str()).is_some()
}

/// An issue that the token may speak of.
fn find_reached(inside: &Inside, name: &str) -> Result<Arc<Issue>, Problem> {
    let issue = find(inside, name)?;
    if reaches(inside, &issue) { Ok(issue) } else { Err(crew_mismatch()) }
}

/// An issue that the token may change: its own crew's. Whoever works for another crew reads and comments.
fn find_writable(inside: &Inside, name: &str) -> Result<Arc<Issue>, Problem> {
    let issue = find(inside, name)?;
    if inside.reaches(Some(&issue.crew_id)) { Ok(issue) } else { Err(crew_mismatch()) }
}

fn crew_mismatch() -> Problem {
    let detail = "crew does not match the crew bound to the internal token";
    Problem::new(StatusCode::FORBIDDEN, "internal.crew_mismatch", detail)
}

fn by_id(issue: &Issue) -> Named {
    Named { crew: None, name: issue.id.as_str().into() }
}

fn view(issue: &Issue) -> Value {
    let facts = &issue.facts;
    json!({
        "id": issue.id, "identifier": issue.identifier, "title": issue.title,
        "description": issue.description, "status": issue.status, "priority": facts.priority,
        "assignee_type": facts.assignee.as_ref().map(|party| party.kind),
        "assignee_id": facts.assignee.as_ref().map(|party| &party.id),
        "crew_id": issue.crew_id, "lead_agent_id": issue.lead_agent_id, "mission_type": MISSION_TYPE,
        "parent_issue_id": facts.parent_issue_id, "labels": facts.labels, "due_date": facts.due_date,
        "estimate": facts.estimate, "comment_count": issue.comment_count,
        "created_at": Seconds(issue.created_at), "updated_at": Seconds(issue.updated_at),
    })
}

fn comment_view(said: &Comment) -> Value {
    let Party { kind, id } = &said.author;
    json!({
        "id": said.id, "mission_id": said.issue, "author_type": kind, "author_id": id, "body": said.body,
        "created_at": Seconds(said.created_at), "updated_at": Seconds(said.updated_at),
    })
}

/// A link as one of its ends sees it, with the other end.
fn relation_view(link: &Relation, seen_from: &MissionId, state: &Workspace) -> Option<Value> {
    let other = state.issues.all.get(link.other_end(seen_from))?;
    Some(json!({
        "id": link.id, "relation_type": link.seen_from(seen_from), "target_id": other.id,
        "target_identifier": other.identifier, "target_title": other.title, "target_status": other.status,
    }))
}
