//! Counts, single records, exports.

use std::ops::ControlFlow;

use super::support::*;
use crate::{
    domain::{Operation, Tenant},
    records::RecordStore,
};

pub(super) fn a_tenant_that_never_had_a_record_is_not_counted(subject: &impl Subject) {
    let store = subject.open();
    assert_eq!(store.counts(None).unwrap(), []);
    delete(&store, &["A"]);
    update(&store, &[("A", "1")]);
    assert_eq!(store.counts(None).unwrap(), []);
    assert_eq!(store.counts(Some(&Tenant::local())).unwrap(), []);
    assert_eq!(get(&store, FULL, "A"), None);
}

pub(super) fn counts_are_by_tenant_and_storage(subject: &impl Subject) {
    let store = subject.open();
    let (one, two) = (tenant("one"), tenant("two"));
    Job::new(Operation::Create).of(&two).apply(&store, &[("A", "1"), ("B", "1")]);
    Job::new(Operation::Create).of(&one).on(&[REDACTED]).apply(&store, &[("A", "1")]);
    Job::new(Operation::Delete).of(&two).on(&[FULL]).apply(&store, &[("A", ""), ("B", "")]);
    let all = [
        (one.clone(), FULL, 0),
        (one.clone(), REDACTED, 1),
        (two.clone(), FULL, 0),
        (two.clone(), REDACTED, 2),
    ];
    assert_eq!(store.counts(None).unwrap(), all);
    assert_eq!(store.counts(Some(&one)).unwrap(), all[..2]);
    assert_eq!(store.counts(Some(&two)).unwrap(), all[2..]);
    assert_eq!(store.counts(Some(&tenant("three"))).unwrap(), []);
    Job::new(Operation::Delete).of(&one).apply(&store, &[("A", "")]);
    let counts = store.counts(Some(&one)).unwrap();
    assert_eq!(counts, [(one.clone(), FULL, 0), (one, REDACTED, 0)]);
}

pub(super) fn a_record_is_shown_as_received(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("eV1", " as sent ")]);
    assert_eq!(get(&store, FULL, "EV1"), Some(row("eV1", " as sent ")));
    assert_eq!(get(&store, FULL, "EV2"), None);
    assert_eq!(store.get(&tenant("nobody"), FULL, b"EV1").unwrap(), None);
}

pub(super) fn the_redacted_storage_hides_six_cells(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("EV1", "1")]);
    let shown = get(&store, REDACTED, "EV1").unwrap();
    assert_eq!(shown, redacted("EV1", "1"));
    assert_eq!(export(&store, &Tenant::local(), REDACTED), [shown]);
    assert_eq!(get(&store, FULL, "EV1"), Some(row("EV1", "1")));
}

pub(super) fn an_export_shows_each_live_record_once(subject: &impl Subject) {
    let store = subject.open();
    let ids: Vec<String> = (0..500).map(|n| format!("EV{n:03}")).collect();
    let rows: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "1")).collect();
    let creates = Job::new(Operation::Create);
    for part in rows.chunks(70) {
        creates.apply(&store, part);
    }
    let even: Vec<&str> = ids.iter().step_by(2).map(String::as_str).collect();
    delete(&store, &even);
    update(&store, &[("EV001", "2")]);
    let mut expected = vec![row("EV001", "2")];
    expected.extend(ids.iter().skip(3).step_by(2).map(|id| row(id, "1")));
    assert_eq!(export(&store, &Tenant::local(), FULL), expected);
}

pub(super) fn an_export_stops_when_told(subject: &impl Subject) {
    let store = subject.open();
    create(&store, &[("A", "1"), ("B", "1"), ("C", "1")]);
    let mut visits = 0;
    let mut visit = |_: &[u8]| {
        visits += 1;
        if visits == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.export(&Tenant::local(), FULL, &mut visit).unwrap();
    assert_eq!(visits, 2);
}

pub(super) fn an_export_of_nothing_visits_nothing(subject: &impl Subject) {
    let store = subject.open();
    assert_eq!(export(&store, &Tenant::local(), FULL), Vec::<Vec<u8>>::new());
    Job::new(Operation::Create).on(&[FULL]).apply(&store, &[("A", "1")]);
    assert_eq!(export(&store, &Tenant::local(), REDACTED), Vec::<Vec<u8>>::new());
    delete(&store, &["A"]);
    assert_eq!(export(&store, &Tenant::local(), FULL), Vec::<Vec<u8>>::new());
}
