//! The wall clock, in the one form that is stored.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, civil::Date, tz::Offset};

/// Microseconds since the Unix epoch; 0 for a clock set before it.
#[must_use]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The UTC day of that moment.
#[must_use]
pub fn utc_day(time_us: i64) -> Date {
    let moment = Timestamp::from_microsecond(time_us).unwrap_or(Timestamp::UNIX_EPOCH);
    Offset::UTC.to_datetime(moment).date()
}

/// RFC 3339 in UTC with microseconds.
#[must_use]
pub fn rfc3339(time_us: i64) -> String {
    Timestamp::from_microsecond(time_us).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
