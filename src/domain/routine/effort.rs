//! What it costs to fill in templates and to reshape JSON, in bytes read and written. A writer has others to
//! serve: a step may cost so much and no more, and so may all that one command does.

use std::cell::Cell;

/// Most that the expression of one step may cost.
pub(super) const STEP_MAX: usize = 1 << 20;
/// Past this a command begins no further step: the engine goes on in another one.
pub(super) const COMMAND_MAX: usize = 16 << 20;

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Effort(Cell<usize>);

impl Effort {
    pub(super) fn add(&self, bytes: usize) {
        self.0.set(self.0.get().saturating_add(bytes));
    }

    pub(super) fn so_far(&self) -> usize {
        self.0.get()
    }
}
