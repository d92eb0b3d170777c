//! The locks whose hand-offs a test walks through schedule by schedule: those of the standard library, and in
//! unit tests with the feature `interleavings` those of shuttle. Its condition variable never times out, so a
//! wake-up that is missing shows as a deadlock.

#[cfg(all(test, feature = "interleavings"))]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(all(test, feature = "interleavings")))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(all(test, feature = "interleavings"))]
#[expect(clippy::unwrap_used, clippy::print_stdout, reason = "only tests call it")]
pub(crate) mod schedules {
    use shuttle::{Config, Runner, scheduler::RandomScheduler};

    /// Schedules of the short run.
    const SCHEDULES: usize = 500;

    /// Walks through `CVRSD_SCHEDULES` schedules, or some hundred, from a seed that is printed.
    pub(crate) fn walk(test: impl Fn() + Send + Sync + 'static) {
        let setting = |name| std::env::var(name).ok();
        let schedules = setting("CVRSD_SCHEDULES").map_or(SCHEDULES, |text| text.parse().unwrap());
        let seed = setting("CVRSD_SCHEDULE_SEED").map(|text| text.parse().unwrap());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("CVRSD_SCHEDULE_SEED={seed}, {schedules} schedules");
        let random = RandomScheduler::new_from_seed(seed, schedules);
        Runner::new(random, Config::default()).run(test);
    }
}
