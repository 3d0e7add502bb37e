//! Files at issues (`issues.md` 18).

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use taffrail_domain::issue::{AttachedFile, Attachment, IssueCommand, IssueEvent, Named};
use taffrail_domain::{AgentId, AttachmentId, CrewId, Event, MissionId, Text, UserId, WorkspaceId};

use super::answer::{Created, Done, Listed};
use super::body::{Ignored, Sent};
use super::caller::Member;
use super::contract::{self, Answers, Operation, Schemas};
use super::gate::{ReadIssues, WriteIssues};
use super::issue_relations::OkView;
use super::issue_view::Showing;
use super::issues::named;
use super::problem::Problem;
use super::repeat;
use super::time::Seconds;
use super::upload::{Received, Upload};
use crate::attachments::{ReadError, Reading};

/// Only for whoever asked, and to be asked for again: it may be gone, and its reader no member any more.
const NOT_SHARED: HeaderValue = HeaderValue::from_static("private, no-cache");

/// A file at an issue.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attachment")]
pub(super) struct AttachmentView {
    id: AttachmentId,
    workspace_id: WorkspaceId,
    /// `issue`.
    owner_type: &'static str,
    owner_id: MissionId,
    filename: Text,
    content_type: Text,
    size_bytes: u64,
    sha256: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_by_user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_by_agent_id: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_by_name: Option<Text>,
    created_at: Seconds,
}

/// 201 for a new file, 200 for one that was there already.
pub(super) enum Uploaded {
    Now(Created<AttachmentView>),
    Before(Done<AttachmentView>),
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/attachments`: newest first.
pub(super) async fn list_attachments(
    member: Member<ReadIssues>,
    path: Path<(CrewId, Text)>,
) -> Result<Listed<Vec<AttachmentView>>, Problem> {
    let world = member.world();
    let issue = world.state.issue(&named(path))?;
    let showing = member.showing(&world.state);
    let attachments = world.state.issues.attachments_at(&issue.id).rev();
    let views: Vec<_> = attachments.map(|attachment| showing.attachment(attachment, &member.id)).collect();
    Ok(Listed::whole(&views, views.len()))
}

/// `POST /api/v1/crews/{crewId}/issues/{identifier}/attachments`: a form with the file in its part `file`.
pub(super) async fn create_attachment(
    member: Member<WriteIssues>,
    path: Path<(CrewId, Text)>,
    upload: Upload,
) -> Result<Uploaded, Problem> {
    let issue = named(path);
    // Nobody sends 25 MiB to learn that there is nothing to put them at.
    member.world().state.issue(&issue)?;
    let received = upload.receive(&member.app, &member.id).await?;
    let request = received.request(member.user().as_str());
    let Received { file, incoming, .. } = received;
    let whole = (issue.clone(), file.clone(), incoming);
    let done = member.app.attach((&member.id, member.writer()), member.user(), whole, request).await?;
    let done = repeat::with_what_is_gone(&member.app, done).await?;
    let (state, showing) = (&done.world.state, member.showing(&done.world.state));
    let added = done.entries.iter().find_map(|entry| match &entry.event {
        Some(Event::Issue(IssueEvent::AttachmentAdded(added))) => Some(&added.attachment_id),
        _ => None,
    });
    if let Some(id) = added {
        let attachment = state.issues.attachments.get(id).ok_or_else(Problem::internal)?;
        return Ok(Uploaded::Now(Created::new(&done, &showing.attachment(attachment, &member.id))));
    }
    let issue = state.issue(&issue)?;
    let same = state.issues.attachment_like(&issue.id, &file).ok_or_else(Problem::internal)?;
    Ok(Uploaded::Before(Done::new(&done, &showing.attachment(same, &member.id))))
}

/// `GET /api/v1/crews/{crewId}/issues/{identifier}/attachments/{attachmentId}`: its bytes.
pub(super) async fn download_attachment(
    member: Member<ReadIssues>,
    Path((crew, name, attachment)): Path<(CrewId, Text, AttachmentId)>,
) -> Result<Download, Problem> {
    let world = member.world();
    let issue = world.state.issue(&Named { crew: Some(crew), name })?;
    let attachment = world.state.issues.attachment_of(&issue.id, &attachment)?;
    let reading = match member.app.attachments().read(&member.id, &attachment.file).await {
        Ok(reading) => reading,
        Err(error) => {
            // Taken away since, and its bytes with it: that is no fault of the disk.
            member.world().state.issues.attachment_of(&issue.id, &attachment.id)?;
            return Err(unreadable(error, attachment));
        }
    };
    Ok(Download { file: attachment.file.clone(), reading })
}

/// `DELETE /api/v1/crews/{crewId}/issues/{identifier}/attachments/{attachmentId}`
pub(super) async fn delete_attachment(
    member: Member<WriteIssues>,
    Path((crew, name, attachment)): Path<(CrewId, Text, AttachmentId)>,
    sent: Sent<Ignored>,
) -> Result<Done<OkView>, Problem> {
    let issue = Named { crew: Some(crew), name };
    let done = member.execute(IssueCommand::TakeAttachment { issue, attachment }, &sent).await?;
    Ok(Done::new(&done, &OkView::OK))
}

/// What the journal names and the disk does not give is the operator's to mend, and worth telling apart.
fn unreadable(error: ReadError, attachment: &Attachment) -> Problem {
    let (id, sha256) = (attachment.id.as_str(), &*attachment.file.sha256);
    tracing::error!(attachment.id = id, sha256, %error, "an attachment could not be read");
    match error {
        ReadError::Missing => Problem::failed(
            "attachment.file_missing",
            "The file of this attachment is missing on this instance",
        ),
        ReadError::Damaged => Problem::failed(
            "attachment.file_damaged",
            "The file of this attachment is damaged on this instance",
        ),
        ReadError::Io(_) => Problem::internal(),
    }
}

impl Showing<'_> {
    fn attachment(&self, attachment: &Attachment, workspace: &WorkspaceId) -> AttachmentView {
        let file = &attachment.file;
        AttachmentView {
            id: attachment.id.clone(),
            workspace_id: workspace.clone(),
            owner_type: "issue",
            owner_id: attachment.issue.clone(),
            filename: file.filename.clone(),
            content_type: file.content_type.clone(),
            size_bytes: file.size_bytes,
            sha256: file.sha256.clone(),
            uploaded_by_user_id: attachment.uploaded_by.as_user(),
            uploaded_by_agent_id: attachment.uploaded_by.as_agent(),
            uploaded_by_name: self.name_of(&attachment.uploaded_by),
            created_at: Seconds(attachment.created_at),
        }
    }
}

impl IntoResponse for Uploaded {
    fn into_response(self) -> Response {
        match self {
            Self::Now(created) => created.into_response(),
            Self::Before(done) => done.into_response(),
        }
    }
}

impl Answers for Uploaded {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        Created::<AttachmentView>::describe(operation, schemas);
        Done::<AttachmentView>::describe(operation, schemas);
    }
}

/// The bytes of a file, always to be saved and never to be shown: it may be anything.
pub(super) struct Download {
    file: AttachedFile,
    reading: Reading,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let Self { file, reading } = self;
        let mut response = Body::from_stream(stream::unfold(reading, Reading::next)).into_response();
        let headers = response.headers_mut();
        let bytes = HeaderValue::from_static("application/octet-stream");
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(&file.content_type).unwrap_or(bytes));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(file.size_bytes));
        headers.insert(CONTENT_DISPOSITION, disposition(&file.filename));
        headers.insert(CACHE_CONTROL, NOT_SHARED);
        response
    }
}

impl Answers for Download {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let told = contract::Response::of("application/octet-stream")
            .header("Content-Disposition", "attachment, and the name of the file");
        operation.succeeds(StatusCode::OK, told);
        operation.refuses([StatusCode::INTERNAL_SERVER_ERROR]);
    }
}

/// `attachment` with the name twice (RFC 6266): plainly for old clients, and percent-encoded.
fn disposition(filename: &str) -> HeaderValue {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || " !#$&'()+,-.;=@[]^_`{}~".contains(char);
    let plain: String = filename.chars().map(|char| if is_plain(char) { char } else { '_' }).collect();
    let encoded: String = filename.bytes().map(encode).collect();
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// As RFC 8187 has it: letters, digits and a few marks stand for themselves.
fn encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_its_quotes() {
        assert_eq!(disposition("a b.txt"), "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
        let told = disposition("\"; x=\\\r\n%é.txt");
        assert_eq!(
            told,
            "attachment; filename=\"_; x=_____.txt\"; filename*=UTF-8''%22%3B%20x%3D%5C%0D%0A%25%C3%A9.txt"
        );
    }
}
