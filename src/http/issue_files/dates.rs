//! Times as the files of other trackers write them. What says no offset is UTC.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use taffrail_domain::Time;

use crate::http::time::{self, Seconds};

/// With an offset: Jira's REST, the texts of JavaScript (Linear), mail.
const WITH_OFFSET: [&str; 3] =
    ["%Y-%m-%dT%H:%M:%S%.f%z", "%a %b %d %Y %H:%M:%S GMT%z", "%a, %d %b %Y %H:%M:%S %z"];
/// Without one. Two digits of a year come before four, which would take them too.
const WITHOUT_OFFSET: [&str; 11] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%d/%b/%y %I:%M %p",
    "%d/%b/%Y %I:%M %p",
    "%d/%b/%y %H:%M",
    "%d/%b/%Y %H:%M",
    "%d/%b/%y",
    "%d/%b/%Y",
    "%b %d, %Y",
];

/// The moment that a text means.
pub(super) fn moment(text: &str) -> Option<Time> {
    let text = text.trim();
    time::not_after(text).ok().or_else(|| with_offset(text)).or_else(|| utc(without_offset(text)?))
}

/// A day, or a time, as issues have it.
pub(super) fn due(text: &str) -> String {
    let text = text.trim();
    let is_ours = text.parse::<jiff::civil::Date>().is_ok() && text.len() == "2026-01-31".len();
    if is_ours || time::not_after(text).is_ok() {
        return text.to_owned();
    }
    match without_offset(text) {
        Some(day) if day.time() == jiff::civil::Time::midnight() => day.date().to_string(),
        found => {
            let found = found.and_then(utc).or_else(|| with_offset(text));
            found.map_or_else(|| text.to_owned(), |found| Seconds(found).to_string())
        }
    }
}

fn with_offset(text: &str) -> Option<Time> {
    // JavaScript names the zone once more, in brackets.
    let text = text.split(" (").next().unwrap_or(text);
    let found =
        WITH_OFFSET.iter().find_map(|form| BrokenDownTime::parse(form, text).ok()?.to_timestamp().ok());
    time::not_after(&found?.to_string()).ok()
}

fn without_offset(text: &str) -> Option<DateTime> {
    WITHOUT_OFFSET.iter().find_map(|form| {
        let parts = BrokenDownTime::parse(form, text).ok()?;
        let day = parts.to_date().ok()?;
        Some(day.to_datetime(parts.to_time().unwrap_or(jiff::civil::Time::midnight())))
    })
}

fn utc(moment: DateTime) -> Option<Time> {
    let found = moment.to_zoned(TimeZone::UTC).ok()?.timestamp();
    time::not_after(&found.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_other_trackers_are_read() {
        for (text, expected) in [
            ("2024-05-14T09:31:00Z", "2024-05-14T09:31:00Z"),
            ("2024-05-14T11:31:00.000+0200", "2024-05-14T09:31:00Z"),
            ("2024-05-14 09:31:00", "2024-05-14T09:31:00Z"),
            ("2024-05-14 09:31", "2024-05-14T09:31:00Z"),
            ("2024-05-14", "2024-05-14T00:00:00Z"),
            ("14/May/24 9:31 AM", "2024-05-14T09:31:00Z"),
            ("04/may/24 12:05 am", "2024-05-04T00:05:00Z"),
            ("14/May/2024 21:31", "2024-05-14T21:31:00Z"),
            ("14/May/24", "2024-05-14T00:00:00Z"),
            ("Tue May 14 2024 11:31:00 GMT+0200 (Central European Summer Time)", "2024-05-14T09:31:00Z"),
            ("Tue, 14 May 2024 09:31:00 +0000", "2024-05-14T09:31:00Z"),
            ("May 14, 2024", "2024-05-14T00:00:00Z"),
        ] {
            let found = moment(text).map(|time| Seconds(time).to_string());
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for text in ["", "soon", "5/14/2024", "31/Feb/24", "14/May/24 25:00", "2024-13-01"] {
            assert!(moment(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_due_day_stays_a_day() {
        for (text, expected) in [
            ("2024-05-14", "2024-05-14"),
            ("2024-05-14T09:31:00+02:00", "2024-05-14T09:31:00+02:00"),
            ("14/May/24 12:00 AM", "2024-05-14"),
            ("14/May/24 1:00 PM", "2024-05-14T13:00:00Z"),
            ("14/May/24", "2024-05-14"),
            ("soon", "soon"),
        ] {
            assert_eq!(due(text), expected, "{text}");
        }
    }
}
