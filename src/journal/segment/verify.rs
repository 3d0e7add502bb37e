//! Proving a whole data directory from the outside, changing nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::folder::Folder;
use super::format::{HEADER_BLOCK, Header, Kind, StoreId};
use super::options::OpenError;
use super::walk::{self, Break, Groups, Point, Survey};
use crate::{LogId, Position};

/// What a data directory holds, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Every log with its head and chain.
    pub heads: BTreeMap<LogId, Position>,
    /// Segments that hold groups.
    pub segments: u64,
    /// Number of the last group.
    pub groups: u64,
    /// Segment and byte of a torn last group, which was never acknowledged; the next start cuts it.
    pub torn: Option<(u64, u64)>,
}

/// Why a data directory does not prove.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The named place does not check.
    #[error("segment {segment} breaks at byte {byte}, group {group}: {why}")]
    Broken {
        /// Number of the segment, as in its file name.
        segment: u64,
        /// Byte in that file.
        byte: u64,
        /// The first group that does not check.
        group: u64,
        /// What does not check.
        why: String,
    },
    /// It could not be read at all.
    #[error(transparent)]
    Unreadable(#[from] OpenError),
}

/// Walks over all segments of a data directory and checks headers, groups, frames, commitments,
/// chains and seals. Takes no lock and changes nothing; the shelf is not looked at. On a journal that
/// is being written to, the last group may look torn.
///
/// # Errors
/// The first break by name, or why something could not be read.
pub fn verify(data: &Path) -> Result<Verified, VerifyError> {
    let folder = Folder::new(data);
    let store = folder.read_store_id()?;
    let numbers = folder.numbers()?;
    let mut found = Verified { heads: BTreeMap::new(), segments: 0, groups: 0, torn: None };
    let mut point = Point::default();
    let broken =
        |segment, Break { byte, group, why }: Break| VerifyError::Broken { segment, byte, group, why };
    for (number, expected) in numbers.iter().zip(1..) {
        if *number != expected {
            let why = "the file is missing".to_owned();
            return Err(broken(expected, Break { byte: 0, group: point.group + 1, why }));
        }
        let read =
            fs::read(folder.segment(*number)).map_err(OpenError::io(format!("read segment {number}")))?;
        let bytes = Bytes::from(read);
        let before = point.group;
        let mut attempt = point.clone();
        match walk::check_sealed(&bytes, &store, *number, &mut attempt, &mut |_, _| ()) {
            Ok(_) => point = attempt,
            Err(broke) => {
                let behind = numbers.iter().filter(|later| *later > number);
                let last = behind.clone().count() <= 1
                    && behind.clone().all(|later| is_blank(&folder, &store, *later));
                if !last {
                    return Err(broken(*number, broke));
                }
                if behind.clone().count() == 1 && !is_begun(&bytes) {
                    let why = "its header was durable before the segment behind it was prepared".to_owned();
                    return Err(broken(*number, Break { byte: 0, group: point.group + 1, why }));
                }
                found.torn = check_open_end(&bytes, &store, *number, &mut point)
                    .map_err(|broke| broken(*number, broke))?
                    .map(|byte| (*number, byte));
            }
        }
        if point.group > before {
            found.segments = *number;
        } else {
            break;
        }
    }
    found.heads.clone_from(&point.heads);
    found.groups = point.group;
    Ok(found)
}

/// The last segment may be without a seal, and its last group may be torn: says at which byte.
fn check_open_end(
    bytes: &Bytes,
    store: &StoreId,
    segment: u64,
    point: &mut Point,
) -> Result<Option<u64>, Break> {
    let survey = Survey::of(bytes, store, segment);
    if survey.is_empty() && survey.clean_end {
        return Ok(None);
    }
    walk::check_header(bytes, store, segment, point)?;
    let mut groups = Groups::new(bytes, store, segment);
    let mut at = groups.at;
    while let Some((lead, range, body)) = groups.next() {
        if lead.kind == Kind::Seal {
            break;
        }
        walk::check_group(bytes, &lead, range.start, body, point, &mut |_, _| ())?;
        at = groups.at;
    }
    let higher = survey.groups.keys().next_back().is_some_and(|highest| *highest > point.group);
    if higher || survey.seal.is_some() {
        let why = "something whole stands behind what does not check".to_owned();
        return Err(Break { byte: at as u64, group: point.group + 1, why });
    }
    Ok((!survey.clean_end).then_some(at as u64))
}

/// Whether the block of its header is there: otherwise it can only be a segment that was prepared.
fn is_begun(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER_BLOCK && Header::read(bytes).is_ok()
}

/// Whether a segment was prepared but never held a group.
fn is_blank(folder: &Folder, store: &StoreId, segment: u64) -> bool {
    let Ok(bytes) = fs::read(folder.segment(segment)) else { return false };
    Header::read(&bytes).is_err() && Survey::of(&bytes, store, segment).is_empty()
}
