//! Recovery, steps 6 to 9: from files on a disk to a journal that is believed.
//!
//! Nothing is believed before it is proven, nothing acknowledged is ever cut: a group may only go
//! if nothing whole stands behind it and the shelf never saw it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use bytes::Bytes;

use super::disk;
use super::folder::Folder;
use super::format::{HEADER_BLOCK, Header, Heads, Kind, Lead, Seal, StoreId};
use super::index::Held;
use super::options::{OpenError, Options};
use super::requests::{self, Requests};
use super::shelf::{Shelf, Shelved};
use super::walk::{self, Break, Groups, Point, Survey};
use crate::seal::Hash;
use crate::{Frame, LogId, Position};

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
    /// Segments in which a scrub found damage.
    suspects: Vec<u64>,
    /// Whether the shelf's digest was found where it belongs.
    shelf_fits: bool,
    found: Recovered,
}

/// What is to be known of a segment without reading its groups.
pub(crate) struct Ends {
    pub(crate) seal: Seal,
    pub(crate) last_group: u64,
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
        // From the highest down, so that a crash in between leaves no gap.
        for segment in unused.into_iter().rev() {
            fs::remove_file(self.folder.segment(segment))
                .map_err(OpenError::io("remove an unused segment"))?;
            disk::sync_folder(&self.folder.segments()).map_err(OpenError::io("sync the folder"))?;
        }
        Ok(self.found)
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

    // Step 9, first half: the shelf is opened first, because it knows which groups were durable.

    fn open_shelf(&mut self) {
        if !self.options.shelf {
            return;
        }
        if self.folder.shelf_abandoned().exists() {
            self.replace_shelf("it was given up by the process before");
            return;
        }
        match Shelf::open(&self.folder.shelf(), self.options.shelf_deadline, self.lock.clone()) {
            Ok((_, Some(shelved))) if shelved.store != self.store => {
                self.replace_shelf("it belongs to another store");
            }
            Ok((shelf, shelved)) => {
                self.shelved = shelved;
                self.found.shelf = Some(shelf);
            }
            Err(why) => self.replace_shelf(&why),
        }
    }

    /// Moves the shelf aside and begins an empty one, which the shelver fills from segment 1.
    fn replace_shelf(&mut self, why: &str) {
        (self.found.shelf, self.shelved, self.found.shelved_heads) = (None, None, Heads::new());
        let fresh = self
            .move_shelf_aside()
            .map_err(|error| error.to_string())
            .and_then(|()| Shelf::open(&self.folder.shelf(), self.options.shelf_deadline, self.lock.clone()));
        match fresh {
            Ok((shelf, _)) => {
                self.repaired(format!("the shelf was moved aside and is being rebuilt: {why}"));
                self.found.shelf = Some(shelf);
            }
            Err(error) => {
                self.repaired(format!("the shelf is out of use: {why}; a fresh one: {error}"));
                self.found.shelf_missing = Some(error);
            }
        }
    }

    fn move_shelf_aside(&self) -> io::Result<()> {
        let (shelf, aside) = (self.folder.shelf(), self.folder.shelf_aside());
        if shelf.exists() {
            if aside.is_dir() {
                fs::remove_dir_all(&aside)?;
            }
            fs::rename(&shelf, &aside)?;
        }
        match fs::remove_file(self.folder.shelf_abandoned()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => disk::sync_folder(self.folder.data()),
        }
    }

    fn repaired(&mut self, sentence: String) {
        tracing::warn!("{sentence}");
        self.found.repairs.push(sentence);
    }

    // Which segments there should be.

    /// The last segment that ever held a group, and the files behind it that never did.
    fn last_segment(&mut self) -> Result<(u64, Vec<u64>), OpenError> {
        let files = self.folder.numbers()?;
        let (mut unused, mut torn) = (Vec::new(), Vec::new());
        let mut last = 0;
        for number in files.iter().rev() {
            let Some(survey) = self.survey_unused(*number)? else {
                last = *number;
                break;
            };
            unused.insert(0, *number);
            torn.extend((!survey.clean_end).then_some((*number, survey.broken_at)));
        }
        let shelved_in = self.ask_shelf(|shelf, shelved| shelf.segment_of(shelved.group)).flatten();
        last = last.max(shelved_in.unwrap_or(0));
        unused.retain(|number| *number > last);
        // At most the active segment and the one prepared behind it can be without a group.
        if unused.iter().zip(last + 1..).any(|(number, expected)| *number != expected) || unused.len() > 2 {
            let why = "a segment behind it was prepared, so it must have been there".to_owned();
            return Err(OpenError::Damaged { segment: last + 1, byte: 0, group: 0, why });
        }
        for (segment, byte) in torn.into_iter().filter(|(number, _)| *number > last) {
            self.repaired(torn_group_cut(segment, byte));
        }
        Ok((last, unused))
    }

    /// What stands in a segment that holds no whole group; `None` if it holds one.
    fn survey_unused(&self, number: u64) -> Result<Option<Survey>, OpenError> {
        let bytes = self.load(number)?;
        let ours = match Header::read(&bytes) {
            Ok(header) => header.store == self.store && header.segment == number,
            Err(error) if error.0.contains("newer") => return Err(OpenError::Format(error.0)),
            Err(_) => true,
        };
        let survey = Survey::of(&bytes, &self.store, number);
        Ok((ours && survey.is_empty()).then_some(survey))
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
            Ok(_) => self.adopt(segment, point, scan, frames),
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
                let seal = seal.bytes(&self.store, segment, point.group);
                disk::replace_file(&self.folder.segment(segment), &[&mended.bytes, &seal])
                    .map_err(OpenError::io(format!("write segment {segment} anew")))?;
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

    /// Whether a snapshot or the shelf still needs its frames.
    fn is_needed(&self, ends: &Ends) -> bool {
        let shelf_needs = self.found.shelf.is_some()
            && self.shelved.is_none_or(|shelved| ends.last_group > shelved.group.min(shelved.requests_group));
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
        if self.shelved.is_some() && !self.shelf_fits {
            self.replace_shelf("its digest is not the journal's");
        } else if let Some(why) = self.found.shelf.as_ref().and_then(Shelf::abandoned) {
            self.replace_shelf(&why);
        }
        if !self.unproven.is_empty() {
            let mut logs: Vec<_> = self.unproven.keys().copied().collect();
            logs.sort_unstable();
            return Err(OpenError::SnapshotMismatch { logs });
        }
        Ok(())
    }

    // Steps 6 to 8: put a segment together again from what is whole and what the shelf has.

    fn mend(&self, segment: u64, bytes: &Bytes, broken: &Break, last: bool) -> Result<Mended, OpenError> {
        let first_group = self.found.point.group + 1;
        if let Err(error) = Header::read(bytes)
            && error.0.contains("newer")
        {
            return Err(OpenError::Format(error.0));
        }
        let survey = Survey::of(bytes, &self.store, segment);
        let refuse = |group, why: String| {
            let byte = if survey.is_empty() { broken.byte } else { survey.broken_at as u64 };
            Err(damaged(segment, Break { byte, group, why }))
        };
        let end = match self.known_end(segment, &survey)? {
            Some(end) => Some(end),
            // Only a file that is still this segment's can be believed to have ended where it breaks.
            None if last && (Header::read(bytes).is_ok() || !survey.groups.is_empty()) => None,
            None if last || bytes.is_empty() => {
                return refuse(first_group, "the segment is gone and nothing says where it ended".into());
            }
            None => return refuse(first_group, broken.why.clone()),
        };
        let highest = survey.groups.keys().next_back().copied().unwrap_or(0);
        let last_group = match &end {
            Some((last_group, _)) => *last_group,
            None => highest.max(self.shelved_in(segment)),
        };
        if highest > last_group || last_group < first_group {
            return refuse(last_group + 1, broken.why.clone());
        }
        let mut out = Header::new(self.store, segment, first_group, self.found.point.digest()).block();
        let mut refilled = 0u64;
        for group in first_group..=last_group {
            if let Some(range) = survey.groups.get(&group) {
                out.extend_from_slice(&bytes[range.clone()]);
            } else if self.refill(segment, group, &mut out) {
                refilled += 1;
            } else {
                return refuse(group, format!("{}, and the shelf does not have it", broken.why));
            }
        }
        let mut notes = Vec::new();
        if refilled > 0 {
            notes.push(format!("segment {segment}: {refilled} groups were refilled from the shelf"));
        } else if end.is_some() {
            notes.push(format!("segment {segment}: header or seal was written anew ({})", broken.why));
        } else if !survey.clean_end {
            notes.push(torn_group_cut(segment, survey.broken_at));
        }
        Ok(Mended { bytes: out.into(), digest: end.and_then(|(_, digest)| digest), notes })
    }

    /// Where a segment ended, if anything says so: the header behind it, its own seal, the shelf, or
    /// the first group behind it.
    fn known_end(&self, segment: u64, survey: &Survey) -> Result<Option<(u64, Option<Hash>)>, OpenError> {
        let next = self.load(segment + 1)?;
        if let Ok(header) = Header::read(&next)
            && header.store == self.store
            && header.segment == segment + 1
        {
            return Ok(Some((header.first_group.saturating_sub(1), Some(header.digest))));
        }
        if let Some((last_group, seal)) = &survey.seal {
            return Ok(Some((*last_group, Some(seal.digest))));
        }
        if let Some(end) = self.ask_shelf(|shelf, _| shelf.end_of(segment)).flatten() {
            return Ok(Some((end.last_group, Some(end.digest))));
        }
        let behind = Groups::new(&next, &self.store, segment + 1).next();
        Ok(behind.filter(|(lead, ..)| lead.kind == Kind::Group).map(|(lead, ..)| (lead.number - 1, None)))
    }

    /// The last group that the shelf saw in this segment; 0 if none.
    fn shelved_in(&self, segment: u64) -> u64 {
        let last = self.ask_shelf(|shelf, shelved| Ok((shelf.segment_of(shelved.group)?, shelved.group)));
        last.filter(|(in_segment, _)| *in_segment == Some(segment)).map_or(0, |(_, group)| group)
    }

    fn refill(&self, segment: u64, group: u64, out: &mut Vec<u8>) -> bool {
        let shelved = self.ask_shelf(|shelf, _| shelf.group(group)).flatten();
        let Some(shelved) = shelved.filter(|shelved| shelved.segment == segment) else { return false };
        let Ok(len) = u32::try_from(shelved.body.len()) else { return false };
        let lead = Lead { kind: Kind::Group, number: group, count: shelved.count, len };
        out.extend_from_slice(&lead.bytes(&self.store, segment, crc32c::crc32c(&shelved.body)));
        out.extend_from_slice(&shelved.body);
        true
    }
}

/// A segment put together again, without its seal.
struct Mended {
    bytes: Bytes,
    /// The digest it must end with, if that is known.
    digest: Option<Hash>,
    notes: Vec<String>,
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

/// Proves the groups of a segment that has no seal yet, and makes the seal.
fn check_groups(
    bytes: &Bytes,
    store: &StoreId,
    segment: u64,
    point: &mut Point,
    scan: &mut Scan,
) -> Result<Seal, Break> {
    let first_group = point.group + 1;
    for (lead, range, body) in Groups::new(bytes, store, segment) {
        walk::check_group(bytes, &lead, range.start, body, point, &mut scan.each())?;
    }
    Ok(Seal::new(first_group, point.time_ms, &point.heads))
}

fn torn_group_cut(segment: u64, byte: usize) -> String {
    format!("segment {segment}: a torn group was cut at byte {byte}")
}

fn damaged(segment: u64, Break { byte, group, why }: Break) -> OpenError {
    OpenError::Damaged { segment, byte, group, why }
}

/// Reads only the header and the seal of a segment file; `None` if they are not there or not whole.
pub(crate) fn read_ends(
    path: &std::path::Path,
    store: &StoreId,
    segment: u64,
) -> io::Result<Option<(Vec<u8>, Ends)>> {
    use std::os::unix::fs::FileExt;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let len = file.metadata()?.len();
    if len < (HEADER_BLOCK + Seal::len_for(0)) as u64 {
        return Ok(None);
    }
    let mut header = vec![0; HEADER_BLOCK];
    file.read_exact_at(&mut header, 0)?;
    let mut seal_len = [0; 4];
    file.read_exact_at(&mut seal_len, len - 4)?;
    let seal_len = u64::from(u32::from_be_bytes(seal_len));
    if seal_len < Seal::len_for(0) as u64 || seal_len > len - HEADER_BLOCK as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; seal_len as usize];
    file.read_exact_at(&mut bytes, len - seal_len)?;
    let Some((lead, body)) = Lead::read(&bytes, store, segment) else { return Ok(None) };
    let Ok(seal) = Seal::read(body) else { return Ok(None) };
    let ends = Ends { seal, last_group: lead.number };
    Ok((lead.kind == Kind::Seal).then_some((header, ends)))
}
