//! Uploads of one client against each other and the committer.

#![expect(
    clippy::unwrap_used,
    reason = "tests; the lint spares only functions that are marked as one"
)]

use shuttle::thread;

use super::*;
use crate::{
    activity::fail,
    domain::{
        EventKind,
        testing::{event, first, submitted},
    },
    sync::{
        atomic::{AtomicU32, Ordering},
        schedules::walk,
    },
};

const PLACES: u32 = 2;
const BYTES: u64 = 25;
const QUOTA: Quota = Quota {
    uploads_max: None,
    jobs_queued_max: Some(PLACES),
    spool_bytes_max: Some(BYTES),
    requests_per_s: None,
};

/// An upload that becomes a job, which then ends by a cancel.
fn run(quotas: &Quotas, claim: Claim) {
    let mut spec = submitted(1);
    (spec.id, spec.client, spec.payload.length) = (claim.id, claim.client.clone(), 10);
    let (job, submit) = first(spec);
    quotas.committed(&[Committed { job: Arc::new(job.clone()), events: vec![submit] }]);
    drop(claim);
    let asked = event(&job, EventKind::CancelRequested);
    let job = job.next(&asked).unwrap();
    let ended = event(&job, EventKind::Completed(Box::new(fail(None))));
    let job = Arc::new(job.next(&ended).unwrap());
    quotas.committed(&[Committed { job, events: vec![asked, ended] }]);
}

#[test]
fn uploads_and_jobs_keep_to_the_quota_and_leave_nothing_of_it_taken() {
    walk(|| {
        let quotas = Arc::new(Quotas::default());
        // Counted a little longer than the quota counts them, or a little shorter: between the two.
        let most = Arc::new(AtomicU32::new(0));
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (quotas, most) = (quotas.clone(), most.clone());
                thread::spawn(move || {
                    let claimed = quotas.claim("c", QUOTA, JobId::generate(), false, Some(10));
                    let Ok(claim) = claimed else { return };
                    let used = *quotas.state().clients.get("c").unwrap();
                    assert!(used.places <= PLACES && used.bytes <= BYTES, "{used:?}");
                    let fits = claim.meter()(10).is_ok();
                    if fits && number % 2 == 0 {
                        most.fetch_add(1, Ordering::SeqCst);
                        run(&quotas, claim);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        let state = quotas.state();
        assert!(state.clients.is_empty() && state.places.is_empty());
    });
}
