//! Data directories that were hurt between two lives: what can be restored is, what cannot is refused by
//! name, and nothing acknowledged goes missing in silence (`DESIGN.md` 3, steps 1 and 6 to 11).

mod full;
mod scene;
mod sealed;
mod shelf;
mod snapshots;
mod store;
mod tail;
mod tmpfs;
mod vault;
