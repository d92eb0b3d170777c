//! Dates as cells hold them.

use std::cmp::Ordering;

use jiff::civil::Date;

/// A day, or a month of which the day is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartialDate {
    year: i16,
    month: i8,
    /// `None` in `YYYY-MM`.
    day: Option<i8>,
}

impl PartialDate {
    /// Reads `YYYY-MM-DD` or `YYYY-MM`; `None` where the text is neither or no such day or month
    /// is in the calendar.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (&[y1, y2, y3, y4, b'-', m1, m2], rest) = text.split_first_chunk::<7>()? else {
            return None;
        };
        let year = i16::from(pair(y1, y2)?) * 100 + i16::from(pair(y3, y4)?);
        let month = pair(m1, m2).filter(|m| (1..=12).contains(m))?;
        let day = match *rest {
            [] => None,
            [b'-', d1, d2] => Some(pair(d1, d2).filter(|d| (1..=days(year, month)).contains(d))?),
            _ => return None,
        };
        (year > 0).then_some(Self { year, month, day })
    }

    /// Whether the day is known.
    pub(super) fn has_day(self) -> bool {
        self.day.is_some()
    }

    /// Orders two dates, by month where the day of one of them is not known.
    pub(super) fn compare(self, other: Self) -> Ordering {
        let months = (self.year, self.month).cmp(&(other.year, other.month));
        let (Some(mine), Some(its)) = (self.day, other.day) else { return months };
        months.then(mine.cmp(&its))
    }
}

impl From<Date> for PartialDate {
    fn from(date: Date) -> Self {
        Self { year: date.year(), month: date.month(), day: Some(date.day()) }
    }
}

/// The number that two ASCII digits spell.
fn pair(tens: u8, ones: u8) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| (byte - b'0').cast_signed());
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// Days of a month.
fn days(year: i16, month: i8) -> i8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<PartialDate> {
        PartialDate::parse(text.as_bytes())
    }

    #[test]
    fn only_days_and_months_of_the_calendar_are_read() {
        for good in
            ["2021-01-31", "2020-02-29", "2000-02-29", "2021-12", "0001-01-01", "9999-12-31"]
        {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2021",
            "2021-",
            "2021-1",
            "2021-13",
            "2021-00",
            "2021-02-29",
            "1900-02-29",
            "2021-04-31",
            "2021-01-00",
            "2021-01-32",
            "2021-1-1",
            "2021-01-1",
            "2021-01-",
            "2021/01/01",
            "01/02/2021",
            "20210102",
            " 2021-01-02",
            "2021-01-02 ",
            "2021-01-02T00",
            "+021-01-02",
            "0000-01-01",
            "２０２１-01",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_month_is_compared_with_a_day_by_month() {
        let compare = |a: &str, b: &str| parse(a).unwrap().compare(parse(b).unwrap());
        assert_eq!(compare("2021-03-31", "2021-04-01"), Ordering::Less);
        assert_eq!(compare("2021-03-31", "2021-03-30"), Ordering::Greater);
        assert_eq!(compare("2021-03", "2021-03-30"), Ordering::Equal);
        assert_eq!(compare("2021-03-01", "2021-03"), Ordering::Equal);
        assert_eq!(compare("2021-04", "2021-03-30"), Ordering::Greater);
        assert_eq!(compare("2020-12", "2021-03"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(year in 1_i16..=9999, month in 0_i8..=13, day in 0_i8..=32) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            let expected = Date::new(year, month, day).ok().map(PartialDate::from);
            prop_assert_eq!(parse(&text), expected);
        }
    }
}
