//! Random batches: the embedded store must say and hold what the model does.

use proptest::{collection::vec, prelude::*};

use super::support::*;
use crate::{
    domain::{Applied, JobId, Operation, PurgedJob, Storage, StorageSet, Tenant},
    records::{Batch, Entry, Misses, RecordStore, Row},
};

/// Ids that fold to few keys, so that rows meet.
const IDS: [&str; 14] =
    ["a", "A", "b", "B", "c", "d", "D", "e", "f", "g", "G", "h", "i", "averylongidentifier"];
const TENANTS: [&str; 2] = ["one", "two"];

#[derive(Clone, Debug)]
enum Step {
    /// A batch of a job; the number names one of the job's rows in `JOBS`.
    Apply {
        job: usize,
        ids: Vec<usize>,
    },
    /// A job of its own whose rows are staged, perhaps after a try that broke off.
    Staged {
        spec: Spec,
        ids: Vec<usize>,
        breaks_off: bool,
    },
    Forget {
        job: usize,
    },
    Purge {
        job: usize,
    },
    Reopen,
}

#[derive(Clone, Debug)]
struct Spec {
    tenant: usize,
    operation: Operation,
    storages: StorageSet,
}

fn spec() -> impl Strategy<Value = Spec> {
    let storages = prop::sample::select(vec![
        StorageSet::ALL,
        StorageSet::ALL,
        set(&[FULL]),
        set(&[REDACTED]),
        StorageSet::EMPTY,
    ]);
    let spec = (0..TENANTS.len(), prop::sample::select(Operation::ALL.to_vec()), storages);
    spec.prop_map(|(tenant, operation, storages)| Spec { tenant, operation, storages })
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    vec(spec(), 6)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let apply = (0..6_usize, vec(0..IDS.len(), 0..24));
    let staged = (spec(), vec(0..IDS.len(), 0..24), any::<bool>());
    let step = prop_oneof![
        12 => apply.prop_map(|(job, ids)| Step::Apply { job, ids }),
        4 => staged.prop_map(|(spec, ids, breaks_off)| Step::Staged { spec, ids, breaks_off }),
        1 => (0..6_usize).prop_map(|job| Step::Forget { job }),
        1 => (0..6_usize).prop_map(|job| Step::Purge { job }),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..24)
}

/// What a caller can see of a store.
#[derive(Debug, PartialEq)]
struct Seen {
    cursors: Vec<Applied>,
    misses: Vec<Misses>,
    counts: Vec<(Tenant, Storage, u64)>,
    exports: Vec<Vec<Vec<u8>>>,
    one_by_one: Vec<Option<Vec<u8>>>,
}

fn seen(store: &impl RecordStore, jobs: &[JobId]) -> Seen {
    let places: Vec<(Tenant, Storage)> =
        TENANTS.iter().flat_map(|name| Storage::ALL.map(|s| (tenant(name), s))).collect();
    let get = |(tenant, storage): &(Tenant, Storage), id: &str| {
        store.get(tenant, *storage, id.as_bytes()).unwrap()
    };
    Seen {
        cursors: jobs.iter().map(|job| store.cursor(*job).unwrap()).collect(),
        misses: jobs.iter().map(|job| store.misses(*job).unwrap()).collect(),
        counts: store.counts(None).unwrap(),
        exports: places.iter().map(|(tenant, s)| export(store, tenant, *s)).collect(),
        one_by_one: places.iter().flat_map(|at| IDS.map(|id| get(at, id))).collect(),
    }
}

fn apply(store: &impl RecordStore, job: JobId, spec: &Spec, mark: &str, ids: &[usize]) {
    let rows: Vec<Vec<u8>> = ids.iter().map(|id| row(IDS[*id], mark)).collect();
    let position = store.cursor(job).unwrap().position;
    let lines = u32::try_from(position).unwrap() + 2..;
    let entries: Vec<Entry<'_>> = ids
        .iter()
        .zip(&rows)
        .zip(lines)
        .map(|((id, row), line)| cells(store, IDS[*id], line, row))
        .collect();
    let (operation, storages) = (spec.operation, spec.storages);
    let tenant = tenant(TENANTS[spec.tenant]);
    let batch = Batch { job, tenant: &tenant, operation, storages, position, entries: &entries };
    store.apply(&batch).unwrap();
}

/// The store after a start, which forgets again what its end brought back.
fn reopened(expected: &impl RecordStore, embedded: &Embedded) -> crate::records::embedded::Store {
    let (store, known) = (embedded.open(), expected.remembered().unwrap());
    for job in store.remembered().unwrap() {
        if !known.contains(&job) {
            store.forget(job).unwrap();
        }
    }
    store
}

/// Runs a job whose rows are staged; a delete has none.
fn run_staged(store: &impl RecordStore, id: JobId, spec: &Spec, mark: &str, ids: &[usize]) {
    let ids: Vec<&str> = ids.iter().map(|id| IDS[*id]).collect();
    let job = Job { id, ..Job::new(spec.operation).of(&tenant(TENANTS[spec.tenant])) };
    let job = Job { storages: spec.storages, ..job };
    if spec.operation != Operation::Delete {
        let rows: Vec<_> = ids.iter().map(|id| (*id, mark)).collect();
        job.stage_if_new(store, &rows);
    }
    let keys = sorted(store, &ids);
    for batch in keys.chunks(5) {
        let entries: Vec<Entry<'_>> = batch
            .iter()
            .map(|(key, line)| Entry { key: *key, line: *line, row: Row::Staged })
            .collect();
        let position = store.cursor(id).unwrap().position;
        store.apply(&job.batch(position, &entries)).unwrap();
    }
}

fn break_off(store: &impl RecordStore, id: JobId, spec: &Spec, ids: &[usize]) {
    let job = Job { id, ..Job::new(spec.operation).of(&tenant(TENANTS[spec.tenant])) };
    let job = Job { storages: spec.storages, ..job };
    let rows: Vec<_> = ids.iter().map(|id| (IDS[*id], "lost")).collect();
    let last_line = u32::try_from(rows.len()).unwrap() + 1;
    if let Some(mut stage) = store.stage(&job.staged(last_line)).unwrap() {
        push_keys(store, &mut *stage, &rows);
        for line in stage.wanted().unwrap() {
            stage.row(line, &row("lost", "lost")).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_embedded_store_agrees_with_the_model(specs in specs(), steps in steps()) {
        let (model, embedded) = (Model::default(), Embedded::default());
        let mut jobs: Vec<JobId> = specs.iter().map(|_| JobId::generate()).collect();
        let expected = model.open();
        let mut store = Some(embedded.open());
        for (number, step) in steps.iter().enumerate() {
            let open = store.take().unwrap_or_else(|| reopened(&expected, &embedded));
            match step {
                Step::Apply { job, ids } => {
                    let mark = number.to_string();
                    apply(&expected, jobs[*job], &specs[*job], &mark, ids);
                    apply(&open, jobs[*job], &specs[*job], &mark, ids);
                }
                Step::Staged { spec, ids, breaks_off } => {
                    let (job, mark) = (JobId::generate(), number.to_string());
                    if *breaks_off && spec.operation != Operation::Delete {
                        break_off(&open, job, spec, ids);
                    }
                    run_staged(&expected, job, spec, &mark, ids);
                    run_staged(&open, job, spec, &mark, ids);
                    jobs.push(job);
                }
                Step::Forget { job } => {
                    expected.forget(jobs[*job]).unwrap();
                    open.forget(jobs[*job]).unwrap();
                }
                Step::Purge { job } => {
                    let Spec { tenant: name, operation, .. } = specs[*job];
                    let (id, tenant) = (jobs[*job], tenant(TENANTS[name]));
                    let purged = [PurgedJob { id, tenant, operation }];
                    expected.purge(&purged).unwrap();
                    open.purge(&purged).unwrap();
                }
                Step::Reopen => {
                    drop(open);
                    continue;
                }
            }
            prop_assert_eq!(seen(&expected, &jobs), seen(&open, &jobs));
            store = Some(open);
        }
        drop(store);
        prop_assert_eq!(seen(&expected, &jobs), seen(&reopened(&expected, &embedded), &jobs));
    }
}
