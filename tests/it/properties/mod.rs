//! What must hold after any history that deciders could have made.

mod checks;
mod history;
mod issue_lists;
mod issues;
mod numbers;
mod schedules;
mod tallies;

use proptest::prelude::*;

use checks::{
    board_equals_a_recount, checkpoints_state_is_the_past, divergence_equals_a_recount, forks_equal_the_past,
    priorities_are_the_last_markers, replay_equals_live, snapshot_and_tail_equal_live,
    state_at_any_offset_was_live_there, timeline_equals_a_scan,
};
use history::{History, any_wishes};
use numbers::metrics_equal_a_recount;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_replays_to_the_same_world(wishes in any_wishes(), cut in any::<prop::sample::Index>()) {
        let history = History::of(&wishes);
        replay_equals_live(&history)?;
        snapshot_and_tail_equal_live(&history, cut)?;
    }

    #[test]
    fn the_state_at_any_offset_is_what_was_live_there(wishes in any_wishes()) {
        let history = History::of(&wishes);
        state_at_any_offset_was_live_there(&history)?;
        checkpoints_state_is_the_past(&history)?;
    }

    #[test]
    fn a_fork_is_the_past_of_its_source(wishes in any_wishes()) {
        forks_equal_the_past(&History::of(&wishes))?;
    }

    #[test]
    fn lists_equal_a_recount_from_the_journal(wishes in any_wishes()) {
        let history = History::of(&wishes);
        board_equals_a_recount(&history)?;
        timeline_equals_a_scan(&history)?;
        priorities_are_the_last_markers(&history)?;
        divergence_equals_a_recount(&history)?;
    }

    #[test]
    fn metrics_equal_a_recount_from_the_journal(wishes in any_wishes()) {
        metrics_equal_a_recount(&History::of(&wishes))?;
    }
}
