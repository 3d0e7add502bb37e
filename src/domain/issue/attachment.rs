//! Files at an issue (`issues.md` 18). The journal says what a file is and the hash of its bytes; the bytes
//! lie beside it, and are there before the fact that names them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, AttachmentAdded, AttachmentRemoved, Issue, Issues, Party};
use crate::unfolding::Unfolding;
use crate::{Actor, AttachmentId, Draft, Entry, MissionId, Offset, Rejection, Text, Time};

/// Largest file (`issues.md` 18): 25 MiB.
pub const ATTACHMENT_BYTES_MAX: u64 = 25 << 20;
/// Most files at one issue: they are listed in one piece.
const ATTACHMENTS_MAX: usize = 500;
/// What file systems take.
const NAME_BYTES_MAX: usize = 255;

/// What is taken, by the ending of the name, and what it is served as. Nothing here runs in a browser.
const MEDIA_TYPES: [(&str, &str); 22] = [
    ("txt", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("json", "application/json"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("toml", "application/toml"),
    ("xml", "application/xml"),
    ("diff", "text/plain; charset=utf-8"),
    ("patch", "text/plain; charset=utf-8"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tgz", "application/gzip"),
];

/// A file as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttachedFile {
    /// What its owner calls it: one name, without folders.
    pub filename: Text,
    /// What it is served as: of its ending, never what the uploader claims.
    pub content_type: Text,
    /// How long it is.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, in hex: where they lie.
    pub sha256: Text,
}

impl AttachedFile {
    /// As the activity log words it (`issues.md` 10.2).
    fn details(&self) -> Text {
        format!("{} ({}, {} bytes)", self.filename, self.content_type, self.size_bytes).into()
    }
}

/// A file at an issue, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Where it is.
    pub issue: MissionId,
    /// What it is.
    pub file: AttachedFile,
    /// Who put it there.
    pub uploaded_by: Party,
    /// When.
    pub created_at: Time,
    /// Offset of its first entry: the order of lists.
    pub born: Offset,
}

impl Attachment {
    pub(super) fn of(added: &AttachmentAdded, entry: &Entry) -> Self {
        Self {
            id: added.attachment_id.clone(),
            issue: (&*entry.subject).into(),
            file: added.file.clone(),
            uploaded_by: added.uploaded_by.clone(),
            created_at: entry.time,
            born: entry.offset,
        }
    }

    /// Where it stands among those at its issue.
    fn place(&self) -> (MissionId, Offset, AttachmentId) {
        (self.issue.clone(), self.born, self.id.clone())
    }
}

/// The name of an upload: what stands behind the last slash of either kind, since some send whole paths.
///
/// # Errors
/// `Invalid filename`.
pub fn file_name(sent: &str) -> Result<Text, Rejection> {
    let name = sent.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let is_name = !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES_MAX;
    // Some characters turn the reading direction, so that `gpj.exe` reads as `exe.jpg`; two end a line.
    let hides = |char: char| {
        char.is_control()
            || matches!(char, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if is_name && !name.contains(hides) {
        Ok(name.into())
    } else {
        Err(Rejection::invalid("attachment.filename", "Invalid filename"))
    }
}

/// What a file of this name is served as.
///
/// # Errors
/// 415 with what is taken.
pub fn media_type(filename: &str) -> Result<&'static str, Rejection> {
    let ending = filename.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let found = ending.and_then(|ending| MEDIA_TYPES.iter().find(|(known, _)| *known == ending));
    found.map(|(_, media_type)| *media_type).ok_or_else(|| {
        let taken: Vec<String> = MEDIA_TYPES.iter().map(|(ending, _)| format!(".{ending}")).collect();
        let detail = format!("Unsupported file type; allowed: {}", taken.join(", "));
        Rejection::unsupported("attachment.type", detail)
    })
}

impl Unfolding<'_> {
    /// The same bytes under the same name are there already: nothing new.
    pub(super) fn attach(&mut self, issue: &Issue, file: &AttachedFile) -> Result<(), Rejection> {
        let actor = self.context.actor.clone();
        let uploaded_by = match &actor {
            Actor::User(user) => Party::user(user),
            Actor::Agent(agent) => Party::agent(agent),
            Actor::Orchestrator | Actor::System => return Err(Rejection::forbidden()),
        };
        let issues = &self.state.issues;
        if issues.attachment_like(&issue.id, file).is_some() {
            return Ok(());
        }
        if issues.attachments_at(&issue.id).count() >= ATTACHMENTS_MAX {
            let detail = format!("An issue holds at most {ATTACHMENTS_MAX} attachments");
            return Err(Rejection::conflict("attachment.too_many", detail));
        }
        let attachment_id = AttachmentId::from(self.context.mint.cuid());
        let added = AttachmentAdded { attachment_id, file: file.clone(), uploaded_by };
        self.add(Draft::internal(issue.id.as_str(), added));
        self.note_issue(issue, &Action::AttachmentAdded(file.details()), &actor);
        Ok(())
    }

    pub(super) fn take_attachment(&mut self, issue: &Issue, id: &AttachmentId) -> Result<(), Rejection> {
        let attachment = self.state.issues.attachment_of(&issue.id, id)?.clone();
        self.add(Draft::internal(issue.id.as_str(), AttachmentRemoved { attachment_id: id.clone() }));
        let actor = self.context.actor.clone();
        self.note_issue(issue, &Action::AttachmentRemoved(attachment.file.details()), &actor);
        Ok(())
    }
}

impl Issues {
    /// A file of an issue; another issue's is as good as none.
    ///
    /// # Errors
    /// `Attachment not found`.
    pub fn attachment_of(&self, issue: &MissionId, id: &AttachmentId) -> Result<&Arc<Attachment>, Rejection> {
        let found = self.attachments.get(id).filter(|attachment| attachment.issue == *issue);
        found.ok_or_else(|| Rejection::not_found("attachment.not_found", "Attachment not found"))
    }

    /// The file at an issue with these bytes and this name.
    #[must_use]
    pub fn attachment_like<'a>(
        &'a self,
        issue: &'a MissionId,
        file: &AttachedFile,
    ) -> Option<&'a Arc<Attachment>> {
        let is_same = |known: &AttachedFile| known.sha256 == file.sha256 && known.filename == file.filename;
        self.attachments_at(issue).find(move |attachment| is_same(&attachment.file))
    }

    pub(super) fn put_attachment(&mut self, attachment: Attachment) {
        self.attachments_of.insert(attachment.place());
        self.attachments_by_hash.insert((attachment.file.sha256.clone(), attachment.id.clone()));
        self.attachments.insert(attachment.id.clone(), Arc::new(attachment));
    }

    pub(super) fn drop_attachment(&mut self, id: &AttachmentId) {
        let Some(attachment) = self.attachments.remove(id) else { return };
        self.attachments_of.remove(&attachment.place());
        self.attachments_by_hash.remove(&(attachment.file.sha256.clone(), id.clone()));
    }
}
