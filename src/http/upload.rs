//! A form with a file in it, as browsers and `curl -F` send it (`issues.md` 18): written down as it arrives,
//! never held as a whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use futures_util::Stream;
use multer::{Constraints, Field, Multipart, SizeLimit};
use taffrail_domain::WorkspaceId;
use taffrail_domain::issue::{ATTACHMENT_BYTES_MAX, AttachedFile, file_name, media_type};
use taffrail_journal::Request;

use super::App;
use super::body::describe_write;
use super::contract::{Asks, Operation, Schemas};
use super::idempotency::Key;
use super::problem::Problem;
use crate::attachments::Incoming;

/// How long a file may take to arrive: the largest one over a line of 1 Mbit/s, and some more.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// What a form may hold beside its file: boundaries, headers, other fields.
const FORM_BYTES_MAX: u64 = 64 << 10;
/// What the parser is given at once.
const PIECE_BYTES: usize = 64 << 10;
/// What it may have without having found a piece of a field in it.
const UNREAD_BYTES_MAX: usize = 4 * PIECE_BYTES;
/// The part that is the file.
const FILE: &str = "file";

/// A form that has not been read yet: who may send it, and whether there is something to put it at, is
/// settled first.
pub(super) struct Upload {
    parts: Parts,
    pieces: Pieces,
}

/// A file that has arrived.
pub(super) struct Received {
    pub(super) file: AttachedFile,
    pub(super) incoming: Incoming,
    key: Option<Key>,
}

impl FromRequest<App> for Upload {
    type Rejection = Problem;

    async fn from_request(request: HttpRequest, _: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Ok(Self { parts, pieces: Pieces::of(body.into_data_stream()) })
    }
}

impl Upload {
    /// Reads the form and writes its file down.
    ///
    /// # Errors
    /// The texts of the page; 408 if it takes too long.
    pub(super) async fn receive(self, app: &App, workspace: &WorkspaceId) -> Result<Received, Problem> {
        let Self { parts, pieces } = self;
        // A name that cannot be one is refused before the file is read.
        Key::of(&parts, &[])?;
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let boundary = header(CONTENT_TYPE).and_then(|text| multer::parse_boundary(text).ok());
        let boundary = boundary.ok_or_else(invalid_form)?;
        let announced = header(CONTENT_LENGTH).and_then(|digits| digits.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > ATTACHMENT_BYTES_MAX + FORM_BYTES_MAX) {
            return Err(Problem::file_too_large());
        }
        let read = tokio::time::timeout(UPLOAD_PATIENCE, read((app, workspace), pieces, boundary));
        let (file, incoming) = read.await.map_err(|_| Problem::too_slow())??;
        // The bytes of a form differ each time, by its boundary; what it says does not.
        let key = Key::of(&parts, format!("{}\0{}", file.filename, file.sha256).as_bytes())?;
        Ok(Received { file, incoming, key })
    }
}

impl Received {
    /// The name of this request, if its caller gave it one.
    pub(super) fn request(&self, principal: &str) -> Option<Request> {
        self.key.as_ref().map(|key| key.request(principal))
    }
}

/// For which workspace a file arrives.
type Room<'a> = (&'a App, &'a WorkspaceId);

/// The first file of the form; what else is in it is read over.
async fn read(room: Room<'_>, pieces: Pieces, boundary: String) -> Result<(AttachedFile, Incoming), Problem> {
    let unread = Arc::clone(&pieces.unread);
    let limit = SizeLimit::new().whole_stream(ATTACHMENT_BYTES_MAX + FORM_BYTES_MAX);
    let mut form = Multipart::with_constraints(pieces, boundary, Constraints::new().size_limit(limit));
    let mut received = None;
    while let Some(mut field) = form.next_field().await.map_err(refused)? {
        let sent = field.file_name().filter(|name| field.name() == Some(FILE) && !name.is_empty());
        match sent.filter(|_| received.is_none()).map(str::to_owned) {
            Some(sent) => received = Some(take(room, &mut field, &sent, &unread).await?),
            None => while piece(&mut field, &unread).await?.is_some() {},
        }
    }
    received.ok_or_else(|| Problem::invalid("attachment.file_required", "file field is required"))
}

async fn take(
    (app, workspace): Room<'_>,
    field: &mut Field<'_>,
    sent: &str,
    unread: &AtomicUsize,
) -> Result<(AttachedFile, Incoming), Problem> {
    let filename = file_name(sent)?;
    let content_type = media_type(&filename)?.into();
    let mut incoming = app.receive_attachment(workspace).await?;
    while let Some(piece) = piece(field, unread).await? {
        if incoming.len() + piece.len() as u64 > ATTACHMENT_BYTES_MAX {
            return Err(Problem::file_too_large());
        }
        incoming = incoming.take(piece).await?;
    }
    let (size_bytes, sha256) = (incoming.len(), incoming.sha256());
    Ok((AttachedFile { filename, content_type, size_bytes, sha256 }, incoming))
}

async fn piece(field: &mut Field<'_>, unread: &AtomicUsize) -> Result<Option<Bytes>, Problem> {
    let piece = field.chunk().await.map_err(refused)?;
    unread.store(0, Relaxed);
    Ok(piece)
}

fn refused(error: multer::Error) -> Problem {
    match error {
        multer::Error::StreamSizeExceeded { .. } => Problem::file_too_large(),
        _ => invalid_form(),
    }
}

fn invalid_form() -> Problem {
    Problem::invalid("attachment.form", "Invalid multipart form")
}

/// A body in small pieces, one for each time that it is asked: the parser takes all that is ready, and
/// would otherwise hold as much of a file as a fast sender has sent.
struct Pieces {
    body: BodyDataStream,
    rest: Bytes,
    must_rest: bool,
    unread: Arc<AtomicUsize>,
}

impl Pieces {
    fn of(body: BodyDataStream) -> Self {
        Self { body, rest: Bytes::new(), must_rest: false, unread: Arc::default() }
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.must_rest) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        let len = self.rest.len().min(PIECE_BYTES);
        if self.unread.fetch_add(len, Relaxed) > UNREAD_BYTES_MAX {
            return Poll::Ready(Some(Err("the form has no end of a header, or no boundary".into())));
        }
        // Before the end is told too: the parser has to look at a piece first, or it finds no boundary.
        self.must_rest = true;
        Poll::Ready(Some(Ok(self.rest.split_to(len))))
    }
}

impl Asks for Upload {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.form_with(FILE);
        describe_write(operation);
        operation.refuses([StatusCode::UNSUPPORTED_MEDIA_TYPE]);
    }
}
