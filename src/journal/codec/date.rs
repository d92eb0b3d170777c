//! Days since 1970-01-01.

use jiff::{SignedDuration, civil::Date};

const EPOCH: Date = Date::constant(1970, 1, 1);
const HOURS_A_DAY: i64 = 24;

/// How many days after 1970-01-01 the date lies; negative before.
pub(super) fn to_days(date: Date) -> i32 {
    let days = date.duration_since(EPOCH).as_hours() / HOURS_A_DAY;
    // The years of a civil date have four digits, so the days always fit.
    i32::try_from(days).unwrap_or_default()
}

/// The date that many days after 1970-01-01; `None` outside the years -9999 to 9999.
pub(super) fn from_days(days: i32) -> Option<Date> {
    let hours = i64::from(days).checked_mul(HOURS_A_DAY)?;
    EPOCH.checked_add(SignedDuration::from_hours(hours)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_are_counted_right() {
        for (date, days) in [
            (Date::constant(1970, 1, 1), 0),
            (Date::constant(1970, 1, 2), 1),
            (Date::constant(1969, 12, 31), -1),
            (Date::constant(2020, 12, 2), 18_598),
            (Date::constant(2000, 2, 29), 11_016),
        ] {
            assert_eq!(to_days(date), days, "{date}");
            assert_eq!(from_days(days), Some(date), "{days}");
        }
    }

    #[test]
    fn the_first_and_last_date_read_back_and_none_is_beyond() {
        for date in [Date::MIN, Date::MAX] {
            assert_eq!(from_days(to_days(date)), Some(date));
        }
        assert_eq!(from_days(to_days(Date::MAX) + 1), None);
        assert_eq!(from_days(to_days(Date::MIN) - 1), None);
        assert_eq!(from_days(i32::MAX), None);
    }
}
