//! Readers of a feed against the committer that fills it.

#![expect(
    clippy::unwrap_used,
    reason = "tests; the lint spares only functions that are marked as one"
)]

use shuttle::thread;

use super::*;
use crate::{
    domain::{
        Event, EventKind, Outcome, StorageSet, Validated,
        testing::{all_applied, ending, event, first, submitted},
    },
    journal::{Committed, Observer},
    sync::schedules::walk,
};

/// A job from its submit to its end, as the committer tells of it: some events come together.
fn commits() -> Vec<Committed> {
    let validated =
        |rows| Validated { line: rows + 1, rows, rows_valid: rows, ..Validated::default() };
    let started = EventKind::ProcessingStarted { validated: validated(3), warnings: Vec::new() };
    let end = ending(Outcome::Succeeded, validated(3), all_applied(StorageSet::ALL, 3), None);
    let (mut job, submit) = first(submitted(1));
    let mut commits = vec![Committed { job: Arc::new(job.clone()), events: vec![submit] }];
    for kinds in [
        vec![EventKind::DeQueued, EventKind::ValidationStarted],
        vec![EventKind::ValidationAdvanced(validated(1))],
        vec![EventKind::ValidationAdvanced(validated(2)), started],
        vec![end],
    ] {
        let mut events: Vec<Event> = Vec::new();
        for kind in kinds {
            let event = event(&job, kind);
            job = job.next(&event).unwrap();
            events.push(event);
        }
        commits.push(Committed { job: Arc::new(job.clone()), events });
    }
    commits
}

/// Reads from wherever the job stands to its end, as a watcher does.
fn read(feed: Arc<Feed>) {
    let latest = feed.subscribe();
    let mut told = Arc::clone(&latest.borrow());
    let mut live = Live { feed, latest };
    while !told.is_terminal() {
        let newest = Arc::clone(&live.latest.borrow_and_update());
        if newest.seq == told.seq {
            thread::yield_now();
            continue;
        }
        let Message::Event { job, coalesced } = live.event_after(told.seq, newest) else {
            panic!("no event")
        };
        assert_eq!((job.seq, coalesced), (told.seq + 1, 0), "a gap, or an event twice");
        told = job;
    }
}

#[test]
fn a_reader_of_a_feed_hears_of_every_event_once() {
    walk(|| {
        let hub = Arc::new(Hub::default());
        let commits = commits();
        let id = commits[0].job.spec.id;
        // The submit makes the feed.
        hub.committed(&commits[..1]);
        let readers = [(); 2].map(|()| {
            let feed = hub.feed(id).unwrap();
            thread::spawn(move || read(feed))
        });
        for committed in &commits[1..] {
            hub.committed(std::slice::from_ref(committed));
        }
        for reader in readers {
            reader.join().unwrap();
        }
        assert!(hub.is_empty());
    });
}
