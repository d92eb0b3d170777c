//! How long what a job leaves is kept.

use std::{cmp::Ordering, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// What a clock says that never runs out.
const NEVER: &str = "never";

/// How long what a job leaves is kept. All clocks run from its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Its body. `0s` removes it with the end of the job.
    pub payloads: Clock,
    /// Its error report.
    pub reports: Clock,
    /// The job, its events, its idempotency key and what is noted of the rows that it changed.
    pub jobs: Clock,
}

impl Default for Retention {
    fn default() -> Self {
        Self { payloads: Clock::days(0), reports: Clock::days(90), jobs: Clock::days(400) }
    }
}

/// How long something is kept after the end of its job; `never` sorts last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// So long.
    After(Duration),
    /// For ever.
    Never,
}

impl Clock {
    const fn days(days: u64) -> Self {
        Self::After(Duration::from_hours(24 * days))
    }

    /// How long; `None` for ever.
    #[must_use]
    pub fn time(self) -> Option<Duration> {
        match self {
            Self::After(time) => Some(time),
            Self::Never => None,
        }
    }
}

impl PartialOrd for Clock {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Clock {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.time(), other.time()) {
            (Some(one), Some(two)) => one.cmp(&two),
            (one, two) => one.is_none().cmp(&two.is_none()),
        }
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::After(time) => humantime_serde::re::humantime::format_duration(*time).fmt(f),
            Self::Never => f.write_str(NEVER),
        }
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == NEVER {
            return Ok(Self::Never);
        }
        let time = humantime_serde::re::humantime::parse_duration(&text);
        time.map(Self::After).map_err(|e| D::Error::custom(format!("{e}, or \"{NEVER}\"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Clock, serde_json::Error> {
        serde_json::from_value(text.into())
    }

    #[test]
    fn a_clock_reads_back_and_one_that_never_runs_out_is_the_longest() {
        let clocks = ["0s", "1s", "90days", "400days", "never"].map(|text| read(text).unwrap());
        assert!(clocks.is_sorted());
        for clock in clocks {
            assert_eq!(read(&clock.to_string()).unwrap(), clock);
        }
        assert_eq!(clocks.map(Clock::time)[4], None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "90", "soon", "Never", "-1s"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
