//! When a cron expression is next due: five fields, UTC, and no clock of its own.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::Offset;

use crate::Time;

/// Longest expression: more says nothing that fewer letters could not.
const LETTERS_MAX: usize = 100;

/// A cron expression that was understood.
pub(super) struct Schedule(Cron);

impl Schedule {
    /// Reads minute, hour, day of month, month and day of week.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields = text.split_whitespace().count();
        if fields != 5 {
            return Err(format!("expected exactly 5 fields, found {fields}"));
        }
        let is_known = |letter: char| letter.is_ascii_alphanumeric() || " \t*,-/#?".contains(letter);
        if text.len() > LETTERS_MAX || !text.chars().all(is_known) {
            return Err("unknown letters, or too many".to_owned());
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        // A field that is left open may be written either way.
        let fields = text.split_whitespace().map(|field| if field == "?" { "*" } else { field });
        let text = fields.collect::<Vec<_>>().join(" ");
        parser.parse(&text).map(Self).map_err(|error| error.to_string())
    }

    /// The first time after `time`; none if there is none.
    pub(super) fn next_after(&self, time: Time) -> Option<Time> {
        let ms = i64::try_from(time.0).ok()?;
        let after = Offset::UTC.to_datetime(Timestamp::from_millisecond(ms).ok()?);
        let next = self.0.find_next_occurrence(&after, false).ok()?;
        let next = Offset::UTC.to_timestamp(next).ok()?;
        u64::try_from(next.as_millisecond()).ok().map(Time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(text: &str, after: &str) -> Option<String> {
        let after: Timestamp = after.parse().expect("a time");
        let ms = u64::try_from(after.as_millisecond()).expect("after the epoch");
        Schedule::parse(text).expect("a schedule").next_after(Time(ms)).map(|time| time.to_string())
    }

    #[test]
    fn the_next_time_is_always_later() {
        for (text, after, expected) in [
            ("0 9 * * 1", "2026-03-02T08:59:59.999Z", "2026-03-02T09:00:00Z"),
            ("0 9 * * 1", "2026-03-02T09:00:00Z", "2026-03-09T09:00:00Z"),
            ("*/15 * * * *", "2026-12-31T23:45:00.001Z", "2027-01-01T00:00:00Z"),
            ("30 6 1,15 * *", "2026-02-15T06:30:00Z", "2026-03-01T06:30:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 * JAN SUN", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            ("0 0 13 * ?", "2026-02-01T00:00:00Z", "2026-02-13T00:00:00Z"),
            ("? ? ? * 5", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z"),
            // Either day will do, as in every cron.
            ("0 0 13 * 5", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z"),
        ] {
            assert_eq!(next(text, after).as_deref(), Some(expected), "{text} after {after}");
        }
        assert_eq!(next("0 0 30 2 *", "2026-01-01T00:00:00Z"), None, "there is no such day");
    }

    #[test]
    fn what_is_no_expression_is_refused_with_a_reason() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "@daily",
            "60 * * * *",
            "x y z a b",
            "* * * * é",
            "5-1-2 * * * *",
            "5? * * * *",
        ] {
            assert!(Schedule::parse(text).is_err_and(|reason| !reason.is_empty()), "{text}");
        }
        assert!(Schedule::parse(&format!("0 0 1 1 {}1", "1,".repeat(99))).is_err());
    }
}
