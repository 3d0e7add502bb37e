//! Step 9, first half: opening the shelf, or moving it aside and beginning an empty one.

use std::fs;
use std::io;

use super::Recovery;
use crate::segment::disk;
use crate::segment::format::Heads;
use crate::segment::shelf::Shelf;

impl Recovery<'_> {
    /// The shelf is opened first, because it knows which groups were durable. Whatever is wrong with
    /// it, its files stay where they are until the segments are proven without it.
    pub(super) fn open_shelf(&mut self) {
        if !self.options.shelf {
            return;
        }
        if !self.has_free_bytes() {
            // sled writes while it opens, and a sled that saw a full disk is not to be trusted again.
            let why = "there is no room on the disk to open it".to_owned();
            self.repaired(format!("the shelf is left alone until the next start: {why}"));
            self.found.shelf_missing = Some(why);
            return;
        }
        if self.folder.shelf_abandoned().exists() {
            self.shelf_failed = Some("it was given up by the process before".to_owned());
            return;
        }
        match Shelf::open(self.folder, self.options.shelf_deadline, self.lock.clone()) {
            Ok((_, Some(shelved))) if shelved.store != self.store => {
                self.shelf_failed = Some("it belongs to another store".to_owned());
            }
            Ok((shelf, shelved)) => {
                self.shelved = shelved;
                self.found.shelf = Some(shelf);
            }
            Err(why) => self.shelf_failed = Some(why),
        }
    }

    fn has_free_bytes(&self) -> bool {
        let free = (self.options.free_bytes)(self.folder.data());
        free.map_or(true, |free| free >= self.options.free_bytes_min)
    }

    /// Whether there is a shelf that may have seen more than the segments show, but was not asked.
    pub(super) fn left_shelf_alone(&self) -> bool {
        self.found.shelf_missing.is_some() && self.folder.shelf().exists()
    }

    /// Moves the shelf aside and begins an empty one, which the shelver fills from segment 1. Only for
    /// segments that are proven.
    pub(super) fn replace_shelf(&mut self, why: &str) {
        (self.found.shelf, self.shelved, self.found.shelved_heads) = (None, None, Heads::new());
        let fresh = self
            .move_shelf_aside()
            .map_err(|error| error.to_string())
            .and_then(|()| Shelf::open(self.folder, self.options.shelf_deadline, self.lock.clone()));
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

    /// A shelf that was still being filled goes; what was put aside for it may hold more and stays.
    fn move_shelf_aside(&self) -> io::Result<()> {
        let (shelf, aside) = (self.folder.shelf(), self.folder.shelf_aside());
        if shelf.exists() {
            if self.folder.shelf_filling().exists() {
                fs::remove_dir_all(&shelf)?;
            } else {
                if aside.is_dir() {
                    fs::remove_dir_all(&aside)?;
                }
                fs::rename(&shelf, &aside)?;
            }
        }
        disk::replace_file(&self.folder.shelf_filling(), &[])?;
        match fs::remove_file(self.folder.shelf_abandoned()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => disk::sync_folder(self.folder.data()),
        }
    }
}
