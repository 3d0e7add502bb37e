//! Times on the wire: RFC 3339 in UTC, always with `Z` and a fixed number of digits.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use taffrail_domain::Time;

/// Second precision: resources (`missions.md` 1.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Time);

/// Millisecond precision: the journal (`journal.md` 1.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Millis(pub(super) Time);

const SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
const MILLIS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
/// `9999-12-31T23:59:59.999Z` has no more.
const TEXT_BYTES: usize = 24;

/// A time's text, where it costs no allocation: an answer has dozens.
struct Text {
    letters: [u8; TEXT_BYTES],
    len: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.letters[..self.len]).unwrap_or_default()
    }
}

impl jiff::fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> Result<(), jiff::Error> {
        let end = self.len + part.len();
        if let Some(room) = self.letters.get_mut(self.len..end) {
            room.copy_from_slice(part.as_bytes());
            self.len = end;
        }
        Ok(())
    }
}

macro_rules! printed {
    ($($name:ident by $printer:ident,)*) => {$(
        impl $name {
            fn text(self) -> Text {
                let mut text = Text { letters: [0; TEXT_BYTES], len: 0 };
                // Every time has a text that fits.
                let _ = $printer.print_timestamp(&timestamp(self.0), &mut text);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text().as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.text().as_str())
            }
        }
    )*};
}
printed! { Seconds by SECONDS, Millis by MILLIS, }

macro_rules! date_time {
    ($($name:ident)*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "date-time" })
            }
        }
    )*};
}
date_time!(Seconds Millis);

/// A time past the year 9999 shows as the last one that has a text.
fn timestamp(time: Time) -> Timestamp {
    i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

/// The first millisecond not before an RFC 3339 time: how `since` rounds.
pub(super) fn not_before(text: &str) -> Result<Time, jiff::Error> {
    let time: Timestamp = text.parse()?;
    let whole = time.subsec_nanosecond() % 1_000_000 == 0;
    Ok(from_epoch(time.as_millisecond() + i64::from(!whole && time.as_nanosecond() >= 0)))
}

/// The last millisecond not after an RFC 3339 time: how `until` and a point in time round.
pub(super) fn not_after(text: &str) -> Result<Time, jiff::Error> {
    let time: Timestamp = text.parse()?;
    Ok(from_epoch(time.as_millisecond()))
}

/// The moment that a time of an answer means: answers show whole seconds, so one without a fraction is all of
/// its second. What is shown to have been made then is there.
pub(super) fn seen_at(text: &str) -> Result<Time, jiff::Error> {
    let Time(ms) = not_after(text)?;
    let is_whole = !text.contains(['.', ',']);
    Ok(Time(if is_whole { ms.saturating_add(999) } else { ms }))
}

/// No entry is older than the epoch, so every earlier time bounds the journal alike.
fn from_epoch(ms: i64) -> Time {
    Time(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_show_seconds_and_the_journal_milliseconds() {
        let time = Time(1_700_000_000_999);
        assert_eq!(Seconds(time).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Millis(time).to_string(), "2023-11-14T22:13:20.999Z");
        assert_eq!(Millis(Time(1_700_000_000_000)).to_string(), "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn a_time_between_two_milliseconds_rounds_inwards() {
        assert_eq!(not_before("2023-11-14T22:13:20.0001Z").ok(), Some(Time(1_700_000_000_001)));
        assert_eq!(not_after("2023-11-14T22:13:20.0009Z").ok(), Some(Time(1_700_000_000_000)));
        assert_eq!(not_before("2023-11-14T23:13:20+01:00").ok(), Some(Time(1_700_000_000_000)));
        assert!(not_before("yesterday").is_err());
        assert_eq!(seen_at("2023-11-14T22:13:20Z").ok(), Some(Time(1_700_000_000_999)));
        assert_eq!(seen_at("2023-11-14T22:13:20.000Z").ok(), Some(Time(1_700_000_000_000)));
    }
}
