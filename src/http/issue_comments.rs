//! What is said of issues (`issues.md` 9).

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::issue::{Comment, CommentDraft, IssueCommand, IssueEvent, Named, PartyType};
use taffrail_domain::{CommentId, CrewId, Event, MissionId, Rejection, Text, UserId};

use super::answer::{Created, Done, Gone, Listed};
use super::body::{Ignored, Required, Sent};
use super::caller::Member;
use super::gate::{ReadIssues, WriteIssues};
use super::issue_view::Showing;
use super::issues::named;
use super::problem::Problem;
use super::time::Seconds;

/// A comment on the wire.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Comment")]
pub(super) struct CommentView {
    id: CommentId,
    mission_id: MissionId,
    author_type: PartyType,
    author_id: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_name: Option<Text>,
    body: Text,
    created_at: Seconds,
    updated_at: Seconds,
    /// Who imported it: that its author said so is then their word.
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_by: Option<UserId>,
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/comments`: oldest first.
pub(super) async fn list_comments(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
) -> Result<Listed<Vec<CommentView>>, Problem> {
    let world = member.world();
    let issue = world.state.issue(&named(path))?;
    let showing = member.showing(&world.state);
    let comments = world.state.issues.comments_on(&issue.id);
    let views: Vec<_> = comments.map(|comment| showing.comment(comment)).collect();
    Ok(Listed::whole(&views, views.len()))
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/comments`
pub(super) async fn create_comment(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    sent: Sent<Required<CommentDraft>>,
) -> Result<Created<CommentView>, Problem> {
    let draft = sent.json()?;
    let done = member.execute(IssueCommand::Comment { issue: named(path), draft }, &sent).await?;
    let said = done.entries.iter().find_map(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::Commented(commented))) => Some(&commented.comment_id),
        _ => None,
    });
    let comment =
        said.and_then(|id| done.world.state.issues.comments.get(id)).ok_or_else(Problem::internal)?;
    Ok(Created::new(&done, &member.showing(&done.world.state).comment(comment)))
}

/// `PATCH /api/v1/crews/{crewId}/issues/{identifier}/comments/{commentId}`: additive.
pub(super) async fn update_comment(
    member: Member<WriteIssues>,
    Path((crew, name, comment)): Path<(CrewId, Text, CommentId)>,
    sent: Sent<Required<CommentDraft>>,
) -> Result<Done<CommentView>, Problem> {
    let issue = Named { crew: Some(crew), name };
    let command = IssueCommand::EditComment { issue, comment: comment.clone(), draft: sent.json() };
    let done = member.execute(command, &sent).await?;
    // It said so already, and is gone since: a repeat that changed nothing finds nothing.
    let not_found = || Rejection::not_found("comment.not_found", "Comment not found");
    let comment = done.world.state.issues.comments.get(&comment).ok_or_else(not_found)?;
    Ok(Done::new(&done, &member.showing(&done.world.state).comment(comment)))
}

/// `DELETE /api/v1/crews/{crewId}/issues/{identifier}/comments/{commentId}`: additive.
pub(super) async fn delete_comment(
    member: Member<WriteIssues>,
    Path((crew, name, comment)): Path<(CrewId, Text, CommentId)>,
    sent: Sent<Ignored>,
) -> Result<Gone, Problem> {
    let issue = Named { crew: Some(crew), name };
    let done = member.execute(IssueCommand::DeleteComment { issue, comment }, &sent).await?;
    Ok(Gone::of(&done))
}

impl Showing<'_> {
    pub(super) fn comment(&self, comment: &Comment) -> CommentView {
        CommentView {
            id: comment.id.clone(),
            mission_id: comment.issue.clone(),
            author_type: comment.author.kind,
            author_id: comment.author.id.clone(),
            author_name: self.name_of(&comment.author),
            body: comment.body.clone(),
            created_at: Seconds(comment.created_at),
            updated_at: Seconds(comment.updated_at),
            imported_by: comment.importer.clone(),
        }
    }
}
