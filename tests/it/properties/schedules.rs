//! A schedule is understood or refused, whatever is sent, and what is due is due later than now.

use proptest::prelude::*;
use taffrail_domain::tracker::{RecurringDraft, TrackerCommand};
use taffrail_projections::World;

use crate::stories::kit::CREW;
use crate::stories::tracker::Desk;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_breaks_anything(
        fields in prop::collection::vec("[0-9*,/?#LWA-Z-]{1,8}|\\*|[0-9]{1,2}|\\*/[0-9]{1,3}", 5),
        text in "\\PC{0,20}",
        is_text in prop::bool::weighted(0.2),
    ) {
        let cron = if is_text { text } else { fields.join(" ") };
        let mut desk = Desk::set();
        let draft = RecurringDraft {
            crew_id: Some(CREW.into()),
            title: Some("Title".into()),
            cron_expression: Some(cron.clone()),
            ..RecurringDraft::default()
        };
        match desk.wish(TrackerCommand::CreateRecurring(draft.into())) {
            Ok(drafts) => {
                let found = desk.world.state.recurring(&drafts[0].subject).expect("made");
                prop_assert!(found.next_run > Some(desk.world.time()), "{}", cron);
            }
            Err(refused) => prop_assert!(
                refused.code == "recurring.cron" || refused.code == "recurring.field_required",
                "{}: {:?}", cron, refused
            ),
        }
    }
}
