//! An entry as subscribers get it: rendered once, shared by all.

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use serde_json::json;
use taffrail_domain::{Entry, Offset};
use taffrail_projections::{WorkspaceWorld, is_noise};

use super::Render;

/// What is told of one offset. An entry that the public does not see has neither event nor frames.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) offset: Offset,
    /// As an event of a server-sent stream.
    pub(super) event: Option<Bytes>,
    /// As frames of a socket, each for the subscribers of one channel.
    pub(super) frames: Vec<(Box<str>, Utf8Bytes)>,
}

/// What a post takes beside its texts.
const POST_BYTES: usize = 128;

impl Post {
    pub(super) fn of(entry: &Entry, world: &WorkspaceWorld, render: Render) -> Self {
        let id = world.entry_id(entry.offset);
        let Some(shown) = render(entry, world) else {
            return Self { offset: entry.offset, event: None, frames: told(entry, world) };
        };
        let mut event = Vec::with_capacity(shown.len() + 64);
        event.extend_from_slice(format!("id: {id}\nevent: entry\ndata: ").as_bytes());
        event.extend_from_slice(&shown);
        event.extend_from_slice(b"\n\n");
        let mut frames = told(entry, world);
        let entry_type = entry.face.as_ref().map(|face| &*face.entry_type).unwrap_or_default();
        if let (false, Some(opened)) = (is_noise(entry_type), &world.state.roster.opened) {
            let channel = format!("journal:{}", opened.id);
            let mut frame = Vec::with_capacity(shown.len() + 128);
            let head =
                format!(r#"{{"type":"journal.entry","channel":"{channel}","offset":"{id}","payload":"#);
            frame.extend_from_slice(head.as_bytes());
            frame.extend_from_slice(&shown);
            frame.push(b'}');
            // JSON is UTF-8.
            frames.extend(Utf8Bytes::try_from(Bytes::from(frame)).ok().map(|frame| (channel.into(), frame)));
        }
        Self { offset: entry.offset, event: Some(event.into()), frames }
    }

    pub(super) fn bytes(&self) -> usize {
        let frames = self.frames.iter().map(|(channel, frame)| channel.len() + frame.as_str().len() + 48);
        POST_BYTES + self.event.as_ref().map_or(0, Bytes::len) + frames.sum::<usize>()
    }
}

/// The frames of what happened, each with the place of its entry (ruling R18).
fn told(entry: &Entry, world: &WorkspaceWorld) -> Vec<(Box<str>, Utf8Bytes)> {
    let offset = world.entry_id(entry.offset);
    let notices = world.notices(entry).into_iter();
    notices
        .map(|notice| {
            let frame = json!({
                "type": notice.event, "channel": notice.channel, "payload": notice.payload, "offset": offset,
            });
            (notice.channel.into(), Utf8Bytes::from(frame.to_string()))
        })
        .collect()
}
