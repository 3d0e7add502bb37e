//! Which markers stand after a fact.

use super::{Marker, MarkerEvent};
use crate::Workspace;

impl Workspace {
    pub(crate) fn apply_marker(&mut self, event: &MarkerEvent) {
        let MarkerEvent::PriorityChanged(changed) = event;
        self.markers.insert(changed.target, Marker { priority: changed.new, changes: changed.change });
    }
}
