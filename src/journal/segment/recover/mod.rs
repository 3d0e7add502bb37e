//! Recovery, steps 6 to 9: from files on a disk to a journal that is believed.
//!
//! Nothing is believed before it is proven, nothing acknowledged is ever cut: a group may only go
//! if nothing whole stands behind it and the shelf never saw it.

mod aside;
mod ends;
mod mend;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use bytes::Bytes;

use super::disk;
use super::folder::Folder;
use super::format::{HEADER_BLOCK, Header, HeaderError, Heads, StoreId};
use super::index::Held;
use super::options::{OpenError, Options};
use super::requests::{self, Requests};
use super::shelf::{Shelf, Shelved};
use super::walk::{self, Break, Point, Survey};
use crate::{Frame, LogId, Position};
use ends::Ends;
pub(crate) use ends::read_ends;
use mend::check_groups;

/// What recovery found.
pub(crate) struct Recovered {
    pub(crate) point: Point,
    pub(crate) segments: BTreeMap<u64, Held>,
    pub(crate) requests: Requests,
    /// Segments that nobody needed and whose groups were not looked at yet.
    pub(crate) unscanned: Vec<u64>,
    pub(crate) shelf: Option<Shelf>,
    /// All heads at the last group that the shelf holds.
    pub(crate) shelved_heads: Heads,
    /// Why there is no shelf although there should be one.
    pub(crate) shelf_missing: Option<String>,
    pub(crate) repairs: Vec<String>,
}

/// Recovery under way.
pub(crate) struct Recovery<'a> {
    options: &'a Options,
    folder: &'a Folder,
    store: StoreId,
    lock: &'a Arc<File>,
    from: &'a HashMap<LogId, Position>,
    /// Snapshot positions not yet seen on a chain.
    unproven: HashMap<LogId, Position>,
    shelved: Option<Shelved>,
    /// Why the shelf cannot be used; it is replaced once the segments are proven.
    shelf_failed: Option<String>,
    /// Prepared files behind the last segment that were never begun.
    blank: Vec<u64>,
    /// Segments in which a scrub found damage.
    suspects: Vec<u64>,
    /// Whether the shelf's digest was found where it belongs.
    shelf_fits: bool,
    found: Recovered,
}

impl<'a> Recovery<'a> {
    pub(crate) fn new(
        options: &'a Options,
        folder: &'a Folder,
        store: StoreId,
        lock: &'a Arc<File>,
        from: &'a HashMap<LogId, Position>,
    ) -> Self {
        let found = Recovered {
            point: Point::default(),
            segments: BTreeMap::new(),
            requests: Requests::new(options.requests_kept, options.requests_max, 0),
            unscanned: Vec::new(),
            shelf: None,
            shelved_heads: Heads::new(),
            shelf_missing: None,
            repairs: Vec::new(),
        };
        let unproven =
            from.iter().filter(|(_, position)| position.offset > 0).map(|(l, p)| (*l, *p)).collect();
        Self {
            options,
            folder,
            store,
            lock,
            from,
            unproven,
            shelved: None,
            shelf_failed: None,
            blank: Vec::new(),
            suspects: folder.suspects(),
            shelf_fits: false,
            found,
        }
    }

    /// Goes over all segments; frames beyond `from` are sent in commit order, segment by segment.
    pub(crate) fn run(mut self, frames: &SyncSender<Vec<Frame>>) -> Result<Recovered, OpenError> {
        self.remove_temporary_files()?;
        self.open_shelf();
        let (last, unused) = self.last_segment()?;
        for segment in 1..=last {
            self.take_in(segment, segment == last, frames)?;
        }
        self.check_the_end(last)?;
        self.folder.clear_suspects().map_err(OpenError::io("clear the list of suspects"))?;
        self.remove_unused(&unused)?;
        Ok(self.found)
    }

    /// From the highest down, so that a crash in between leaves no gap.
    fn remove_unused(&self, unused: &[u64]) -> Result<(), OpenError> {
        for segment in unused.iter().rev() {
            match fs::remove_file(self.folder.segment(*segment)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(OpenError::io("remove an unused segment")(error));
                }
                _ => disk::sync_folder(&self.folder.segments()).map_err(OpenError::io("sync the folder"))?,
            }
        }
        Ok(())
    }

    fn remove_temporary_files(&self) -> Result<(), OpenError> {
        let failed = || OpenError::io("remove a temporary file");
        for entry in fs::read_dir(self.folder.segments()).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(path).map_err(failed())?;
            }
        }
        Ok(())
    }

    fn repaired(&mut self, sentence: String) {
        tracing::warn!("{sentence}");
        self.found.repairs.push(sentence);
    }

    // Which segments there should be.

    /// The last segment that ever held a group, and the files behind it that never did.
    fn last_segment(&mut self) -> Result<(u64, Vec<u64>), OpenError> {
        let files = self.folder.numbers()?;
        let mut unused = Vec::new();
        let mut last = 0;
        for number in files.iter().rev() {
            let Some(found) = self.survey_unused(*number)? else {
                last = *number;
                break;
            };
            unused.insert(0, found);
        }
        let shelved_in = self.ask_shelf(|shelf, shelved| shelf.segment_of(shelved.group)).flatten();
        last = last.max(shelved_in.unwrap_or(0));
        unused.retain(|found| found.number > last);
        if let Some(why) = never_so(&unused, last) {
            return Err(OpenError::Damaged { segment: last + 1, byte: 0, group: 0, why: why.into() });
        }
        for Unused { number, len, survey, .. } in &unused {
            if !survey.clean_end {
                self.repaired(torn_group_cut(*number, survey.broken_at));
            } else if *len < self.options.segment_bytes {
                self.repaired(cut_short(*number, *len));
            }
        }
        self.blank = unused.iter().filter(|found| !found.has_header).map(|found| found.number).collect();
        Ok((last, unused.into_iter().map(|found| found.number).collect()))
    }

    /// What stands in a segment that holds no whole group; `None` if it holds one.
    fn survey_unused(&self, number: u64) -> Result<Option<Unused>, OpenError> {
        let bytes = self.load(number)?;
        let header = match Header::read(&bytes) {
            Err(newer @ HeaderError::Newer(_)) => return Err(OpenError::Format(newer.to_string())),
            header => header.ok(),
        };
        let ours = header.is_none_or(|header| header.store == self.store && header.segment == number);
        let survey = Survey::of(&bytes, &self.store, number);
        let has_header = header.is_some() && bytes.len() >= HEADER_BLOCK;
        let len = bytes.len() as u64;
        Ok((ours && survey.is_empty()).then_some(Unused { number, len, has_header, survey }))
    }

    /// The bytes of a segment; none if the file is missing.
    fn load(&self, segment: u64) -> Result<Bytes, OpenError> {
        match fs::read(self.folder.segment(segment)) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bytes::new()),
            Err(error) => Err(OpenError::io(format!("read segment {segment}"))(error)),
        }
    }

    /// Asks the shelf, if there is one that ever got a step; a failing shelf knows nothing.
    fn ask_shelf<T>(&self, question: impl FnOnce(&Shelf, &Shelved) -> Result<T, String>) -> Option<T> {
        question(self.found.shelf.as_ref()?, self.shelved.as_ref()?).ok()
    }

    // Step 6: one segment after the other.

    fn take_in(
        &mut self,
        segment: u64,
        last: bool,
        frames: &SyncSender<Vec<Frame>>,
    ) -> Result<(), OpenError> {
        if let Some(ends) = self.ends_of(segment)?
            && !self.suspects.contains(&segment)
            && !self.is_needed(&ends)
        {
            self.adopt_unscanned(segment, &ends);
            return Ok(());
        }
        let bytes = self.load(segment)?;
        let mut scan = Scan::default();
        let mut point = self.found.point.clone();
        let checked = walk::check_sealed(&bytes, &self.store, segment, &mut point, &mut scan.each());
        match checked {
            Ok(end) => {
                if end < bytes.len() {
                    let trimmed = disk::trim(&self.folder.segment(segment), end as u64);
                    trimmed.map_err(OpenError::io(format!("cut off the rest of segment {segment}")))?;
                }
                self.adopt(segment, point, scan, frames)
            }
            Err(mut broken) => {
                if bytes.is_empty() {
                    broken.why = "the file is missing or empty".to_owned();
                }
                let mended = self.mend(segment, &bytes, &broken, last)?;
                let mut scan = Scan::default();
                let mut point = self.found.point.clone();
                let seal = check_groups(&mended.bytes, &self.store, segment, &mut point, &mut scan)
                    .map_err(|broken| damaged(segment, broken))?;
                if mended.digest.is_some_and(|digest| digest != point.digest()) {
                    let why = "what could be put together does not end where the next segment begins".into();
                    return Err(damaged(segment, Break { byte: 0, group: point.group, why }));
                }
                if last {
                    // It is known now what the segment held, and what was only prepared takes room.
                    self.remove_unused(&self.blank)?;
                }
                let seal = seal.bytes(&self.store, segment, point.group);
                disk::replace_file(&self.folder.segment(segment), &[&mended.bytes, &seal])
                    .map_err(|error| not_written(segment, error))?;
                mended.notes.into_iter().for_each(|note| self.repaired(note));
                self.adopt(segment, point, scan, frames)
            }
        }
    }

    /// Header and seal, if both are whole and fit behind the segment before.
    fn ends_of(&self, segment: u64) -> Result<Option<Ends>, OpenError> {
        let ends = read_ends(&self.folder.segment(segment), &self.store, segment);
        let ends = ends.map_err(OpenError::io(format!("read segment {segment}")))?;
        let Some((header, ends)) = ends else { return Ok(None) };
        let fits = walk::check_header(&header, &self.store, segment, &self.found.point).is_ok()
            && ends.seal.first_group == self.found.point.group + 1;
        Ok(fits.then_some(ends))
    }

    /// Whether a snapshot or the shelf still needs its frames. Without a shelf that can be asked,
    /// everything is: nobody else knows the old requests.
    fn is_needed(&self, ends: &Ends) -> bool {
        let shelf_needs =
            self.shelved.is_none_or(|shelved| ends.last_group > shelved.group.min(shelved.requests_group));
        let covered = |log: &LogId, end: &Position| {
            let before = self.found.point.heads.get(log).map_or(0, |position| position.offset);
            end.offset == before || end.offset <= self.from.get(log).map_or(0, |position| position.offset)
        };
        shelf_needs || !ends.seal.heads.iter().all(|(log, end)| covered(log, end))
    }

    fn adopt_unscanned(&mut self, segment: u64, ends: &Ends) {
        let point = Point {
            heads: ends.seal.heads(),
            group: ends.last_group,
            time_ms: self.found.point.time_ms.max(ends.seal.last_time_ms),
        };
        self.unproven.retain(|log, position| point.heads.get(log) != Some(position));
        self.note_shelved(point.group, &point.heads);
        self.found.unscanned.push(segment);
        self.found.requests.set_missing_to(point.group);
        self.move_to(segment, point);
    }

    fn adopt(
        &mut self,
        segment: u64,
        point: Point,
        scan: Scan,
        frames: &SyncSender<Vec<Frame>>,
    ) -> Result<(), OpenError> {
        let (mut of_group, mut noted) = (0, Vec::new());
        for (group, frame) in &scan.frames {
            let header = &frame.header;
            if *group != of_group {
                self.found.requests.add(of_group, &noted);
                noted.clear();
                of_group = *group;
            }
            if let Some(request) = &header.request {
                requests::note(&mut noted, header.log, header.offset, request);
            }
            if self.unproven.get(&header.log) == Some(&Position { offset: header.offset, chain: frame.chain })
            {
                self.unproven.remove(&header.log);
            }
        }
        self.found.requests.add(of_group, &noted);
        self.found.requests.evict(self.shelved.map_or(0, |shelved| shelved.requests_group));
        if let Some(shelved) = self.shelved
            && self.found.point.group < shelved.group
            && shelved.group <= point.group
        {
            let heads = scan.heads_at(&self.found.point, shelved.group);
            self.note_shelved(shelved.group, &heads);
        }
        self.move_to(segment, point);
        let beyond = |frame: &Frame| {
            self.from.get(&frame.header.log).is_none_or(|position| frame.header.offset > position.offset)
        };
        let wanted: Vec<_> = scan.frames.into_iter().map(|(_, frame)| frame).filter(beyond).collect();
        let stopped = || OpenError::io("hand frames over")(io::ErrorKind::BrokenPipe.into());
        frames.send(wanted).map_err(|_| stopped())
    }

    fn move_to(&mut self, segment: u64, point: Point) {
        let before = &self.found.point;
        let held = Held::between(&before.heads, &point.heads, before.group + 1, point.group);
        self.found.segments.insert(segment, held);
        self.found.point = point;
    }

    fn note_shelved(&mut self, group: u64, heads: &Heads) {
        if let Some(shelved) = self.shelved
            && shelved.group == group
            && shelved.digest == crate::seal::digest(heads)
        {
            self.shelf_fits = true;
            self.found.shelved_heads.clone_from(heads);
        }
    }

    /// Step 7 for the very end, step 9's digest, and the snapshots nobody saw.
    fn check_the_end(&mut self, last: u64) -> Result<(), OpenError> {
        let group = self.found.point.group;
        if let Some(shelved) = self.shelved
            && shelved.group > group
        {
            let why = format!("the shelf has seen group {}", shelved.group);
            return Err(OpenError::Damaged { segment: last, byte: 0, group: group + 1, why });
        }
        self.check_nothing_is_missing(last)?;
        if !self.unproven.is_empty() {
            let mut logs: Vec<_> = self.unproven.keys().copied().collect();
            logs.sort_unstable();
            return Err(OpenError::SnapshotMismatch { logs });
        }
        let why = if self.shelved.is_some() && !self.shelf_fits {
            Some("its digest is not the journal's".to_owned())
        } else {
            self.shelf_failed.take().or_else(|| self.found.shelf.as_ref().and_then(Shelf::abandoned))
        };
        if let Some(why) = why {
            self.replace_shelf(&why);
        }
        Ok(())
    }

    /// A snapshot is only made of what is durable: one beyond the end says that acknowledged entries
    /// are gone.
    fn check_nothing_is_missing(&self, last: u64) -> Result<(), OpenError> {
        let head = |log| self.found.point.heads.get(log).map_or(0, |position| position.offset);
        let beyond = self.unproven.iter().filter(|(log, position)| position.offset > head(log));
        let Some((log, position)) = beyond.min_by_key(|(log, _)| **log) else { return Ok(()) };
        let why = format!(
            "a snapshot of log {log} stands at offset {}, the journal ends at {}; \
             only a start without the folder `snapshots` goes on without the entries between",
            position.offset,
            head(log)
        );
        Err(OpenError::Damaged { segment: last, byte: 0, group: self.found.point.group + 1, why })
    }
}

/// A segment without a whole group.
struct Unused {
    number: u64,
    len: u64,
    has_header: bool,
    survey: Survey,
}

/// Why these files behind segment `last` cannot be all that ever was: at most the active segment and
/// the one prepared behind it are without a group, and that one is prepared only once the header of
/// the active one is durable.
fn never_so(unused: &[Unused], last: u64) -> Option<&'static str> {
    let has_gap = unused.iter().zip(last + 1..).any(|(found, expected)| found.number != expected);
    match unused {
        _ if has_gap || unused.len() > 2 => {
            Some("a segment behind it was prepared, so it must have been there")
        }
        [active, _] if !active.has_header => {
            Some("its header was durable before the segment behind it was prepared")
        }
        [_, behind] if behind.has_header => {
            Some("the segment behind it was begun, so it must have held groups")
        }
        _ => None,
    }
}

/// The frames of one segment with their groups, held back until all of it is proven.
#[derive(Default)]
struct Scan {
    frames: Vec<(u64, Frame)>,
}

impl Scan {
    fn each(&mut self) -> impl FnMut(u64, Frame) {
        |group, frame| self.frames.push((group, frame))
    }

    /// All heads after `group`, starting from the point before the segment.
    fn heads_at(&self, before: &Point, group: u64) -> Heads {
        let mut heads = before.heads.clone();
        for (_, frame) in self.frames.iter().take_while(|(of, _)| *of <= group) {
            heads.insert(frame.header.log, Position { offset: frame.header.offset, chain: frame.chain });
        }
        heads
    }
}

fn cut_short(segment: u64, len: u64) -> String {
    format!("segment {segment}: its file was cut short, at byte {len}")
}

fn torn_group_cut(segment: u64, byte: usize) -> String {
    format!("segment {segment}: a torn group was cut at byte {byte}")
}

fn not_written(segment: u64, error: io::Error) -> OpenError {
    let what = match error.kind() {
        io::ErrorKind::StorageFull => format!("there is no room on the disk to write segment {segment} anew"),
        _ => format!("write segment {segment} anew"),
    };
    OpenError::io(what)(error)
}

fn damaged(segment: u64, Break { byte, group, why }: Break) -> OpenError {
    OpenError::Damaged { segment, byte, group, why }
}
