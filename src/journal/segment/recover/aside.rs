//! Step 9, first half: opening the shelf, or moving it aside and beginning an empty one.

use std::fs;
use std::io;

use super::Recovery;
use crate::segment::disk;
use crate::segment::format::Heads;
use crate::segment::shelf::Shelf;

impl Recovery<'_> {
    /// The shelf is opened first, because it knows which groups were durable.
    pub(super) fn open_shelf(&mut self) {
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
    pub(super) fn replace_shelf(&mut self, why: &str) {
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
}
