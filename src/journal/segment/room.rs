//! Room on the disk: the next segment, prepared before it is needed, and free bytes.

use std::fs;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::disk;
use super::folder::Folder;
use super::options::Options;

/// How long a failed preparation waits before it is tried again by itself.
const RETRY: Duration = Duration::from_secs(1);

/// What is known of the next segment's file.
#[derive(Debug)]
enum Next {
    /// Nobody asked for one yet.
    None,
    Wanted(u64),
    /// Wanted again after a failure: there is no room until it is ready.
    Retried(u64),
    Ready,
    Failed(u64, String),
    Stopped,
}

/// Room for new work.
pub(crate) struct Room {
    options: Options,
    folder: Folder,
    next: Mutex<Next>,
    changed: Condvar,
    /// Sealed segments with the bytes they need.
    trims: Mutex<Vec<(u64, u64)>>,
}

impl Room {
    pub(crate) fn new(options: &Options, folder: &Folder) -> Arc<Self> {
        let (options, folder) = (options.clone(), folder.clone());
        Arc::new(Self {
            options,
            folder,
            next: Mutex::new(Next::None),
            changed: Condvar::new(),
            trims: Mutex::default(),
        })
    }

    /// The thread that prepares segments.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let room = self.clone();
        thread::Builder::new().name("journal-room".into()).spawn(move || room.run())
    }

    fn lock(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn set(&self, next: Next) {
        *self.lock() = next;
        self.changed.notify_all();
    }

    /// Has the unused rest of a sealed segment cut off, when there is time for it.
    pub(crate) fn trim(&self, segment: u64, len: u64) {
        self.trims.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((segment, len));
        self.changed.notify_all();
    }

    /// Cuts what is to be cut. What fails is done by the next start.
    fn trim_now(&self) {
        let trims = std::mem::take(&mut *self.trims.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for (segment, len) in trims {
            if let Err(error) = disk::trim(&self.folder.segment(segment), len) {
                tracing::warn!(segment, %error, "the rest of a sealed segment could not be cut off");
            }
        }
    }

    /// Asks for the file of this segment.
    pub(crate) fn want(&self, segment: u64) {
        self.set(Next::Wanted(segment));
    }

    pub(crate) fn stop(&self) {
        self.set(Next::Stopped);
    }

    /// Waits until the file of this segment is there. After a failure it is tried once more.
    pub(crate) fn take(&self, segment: u64) -> Result<(), String> {
        let mut next = self.lock();
        if matches!(*next, Next::Failed(..)) {
            *next = Next::Retried(segment);
            self.changed.notify_all();
        }
        loop {
            match &*next {
                Next::Ready => return Ok(()),
                Next::Failed(_, why) => return Err(why.clone()),
                Next::Stopped => return Err("the journal is being closed".into()),
                Next::None | Next::Wanted(_) | Next::Retried(_) => {}
            }
            next = self.changed.wait(next).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Whether there is room for new work. Anybody may ask, so that asking changes nothing.
    pub(crate) fn has_room(&self) -> bool {
        let is_out_of_room = matches!(*self.lock(), Next::Failed(..) | Next::Retried(_) | Next::Stopped);
        !is_out_of_room && self.has_free_bytes()
    }

    /// Whether enough is free on the disk. A disk that does not say is taken as having room: the
    /// next segment still has to be made before it is needed.
    pub(crate) fn has_free_bytes(&self) -> bool {
        let free = (self.options.free_bytes)(self.folder.data());
        free.map_or(true, |free| free >= self.options.free_bytes_min)
    }

    fn run(&self) {
        self.prepare_on_demand();
        self.trim_now();
    }

    fn prepare_on_demand(&self) {
        let mut next = self.lock();
        loop {
            match *next {
                Next::Stopped => return,
                Next::Wanted(segment) | Next::Retried(segment) => {
                    drop(next);
                    let prepared = self.prepare(segment);
                    self.trim_now();
                    next = self.lock();
                    // Somebody may have stopped us, or asked for another one meanwhile.
                    if matches!(*next, Next::Wanted(wanted) | Next::Retried(wanted) if wanted == segment) {
                        *next = match prepared {
                            Ok(()) => Next::Ready,
                            Err(error) => Next::Failed(segment, error.to_string()),
                        };
                        self.changed.notify_all();
                    }
                    continue;
                }
                Next::Failed(segment, _) => {
                    let waited = self.changed.wait_timeout(next, RETRY);
                    let (guard, timeout) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
                    next = guard;
                    if timeout.timed_out() && matches!(*next, Next::Failed(..)) && self.has_free_bytes() {
                        *next = Next::Retried(segment);
                    }
                    continue;
                }
                Next::None | Next::Ready => {}
            }
            next = self.changed.wait(next).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Temporary file of zeros, synced, renamed, folder synced. A failure leaves nothing behind.
    fn prepare(&self, segment: u64) -> io::Result<()> {
        let path = self.folder.segment(segment);
        let temporary = path.with_extension("tmp");
        let made = self.options.disk.zero_file(&temporary, self.options.segment_bytes).and_then(|()| {
            fs::rename(&temporary, &path)?;
            disk::sync_folder(&self.folder.segments())
        });
        if let Err(error) = &made {
            tracing::warn!(segment, %error, "the next segment could not be prepared");
            // What could be written of it takes room that others need now.
            drop(fs::remove_file(&temporary));
        }
        made
    }
}
