//! Everything reads back, nothing damaged is taken for whole, the longest value fits.

use jiff::civil::Date;
use proptest::{collection::vec, option, prelude::*, sample};
use prost::Message;

use super::*;
use crate::{
    cvrs::{Profile, Rules},
    domain::{
        Applied, Ending, EventKind, Face, Failure, MediaType, Operation, Origin, Outcome, Payload,
        PerStorage, Status, StorageSet, Submitted, Tenant, Trace, Validated, testing,
    },
    error::Code,
    limits::{
        AUDIT_FORWARDED_CHARS_MAX, NAME_CHARS_MAX, REQUEST_ID_CHARS_MAX, SENTENCE_CHARS_MAX,
        WARNINGS_BYTES_MAX, WARNINGS_MAX,
    },
};

fn an_id() -> impl Strategy<Value = JobId> {
    any::<[u8; 16]>().prop_map(JobId::from_bytes)
}

fn a_date() -> impl Strategy<Value = Date> {
    (-9999_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(y, m, d)| Date::new(y, m, d).unwrap())
}

fn rules() -> impl Strategy<Value = Rules> {
    (prop::sample::select(&Profile::ALL[..]), a_date(), any::<u32>(), a_date(), any::<u32>())
        .prop_map(
            |(profile, admin_date_min, admin_type_max, submission_date, future_tolerance_days)| {
                Rules {
                    profile,
                    admin_date_min,
                    admin_type_max,
                    submission_date,
                    future_tolerance_days,
                }
            },
        )
}

fn payload() -> impl Strategy<Value = Payload> {
    let media_type = prop::sample::select(vec![MediaType::Zip, MediaType::Text]);
    let all = (media_type, any::<u64>(), any::<[u8; 32]>(), any::<bool>());
    all.prop_map(|(media_type, length, sha256, inline)| Payload {
        media_type,
        length,
        sha256,
        inline,
    })
}

fn submitted(id: JobId) -> impl Strategy<Value = Submitted> {
    (
        "[A-Za-z0-9._-]{1,64}",
        "[A-Za-z0-9._-]{0,64}",
        prop::sample::select(&Operation::ALL[..]),
        0_u32..4,
        any::<bool>(),
        option::of("[!-~]{1,255}"),
        payload(),
        any::<u64>(),
        rules(),
        origin(),
    )
        .prop_map(
            move |(
                tenant,
                client,
                operation,
                storages,
                validate_only,
                request_id,
                payload,
                order,
                rules,
                origin,
            )| {
                Submitted {
                    id,
                    tenant: Tenant::new(&tenant).unwrap(),
                    client,
                    operation,
                    storages: StorageSet::from_bits(storages).unwrap(),
                    validate_only,
                    request_id,
                    payload,
                    order,
                    rules,
                    origin,
                }
            },
        )
}

fn origin() -> impl Strategy<Value = Origin> {
    let face = option::of(sample::select(vec![Face::Grpc, Face::Rest, Face::Admin]));
    let peer = option::of((any::<[u8; 16]>(), any::<u16>()));
    let trace = option::of((1..=u128::MAX, 1..=u64::MAX, any::<bool>()));
    (face, peer, option::of("[ -~]{1,200}"), trace).prop_map(|(face, peer, forwarded, trace)| {
        Origin {
            face,
            peer: peer.map(|(ip, port)| (ip, port).into()),
            forwarded: forwarded.map(Into::into),
            trace: trace.map(|(id, span, sampled)| Trace { id, span, sampled }),
        }
    })
}

fn validated() -> impl Strategy<Value = Validated> {
    let numbers = (any::<[u64; 6]>(), any::<u32>());
    numbers.prop_map(
        |([line, rows, rows_valid, errors, keys_length, report_length], report_crc)| Validated {
            line,
            rows,
            rows_valid,
            errors,
            keys_length,
            report_length,
            report_crc,
        },
    )
}

fn applied() -> impl Strategy<Value = Applied> {
    any::<[u64; 6]>().prop_map(|[position, rows_applied, a, b, c, d]| Applied {
        position,
        rows_applied,
        processed: PerStorage { non_redacted: a, redacted: b },
        errors: PerStorage { non_redacted: c, redacted: d },
    })
}

fn failure() -> impl Strategy<Value = Failure> {
    (prop::sample::select(Code::ALL), ".{0,40}")
        .prop_map(|(code, message)| Failure::new(code, message))
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(&Outcome::ALL[..])
}

fn ending() -> impl Strategy<Value = Ending> {
    (outcome(), validated(), applied(), any::<u64>(), any::<u32>(), option::of(failure())).prop_map(
        |(outcome, validated, applied, report_length, report_crc, failure)| Ending {
            outcome,
            validated,
            applied,
            report_length,
            report_crc,
            failure,
        },
    )
}

fn kind(id: JobId) -> impl Strategy<Value = EventKind> {
    prop_oneof![
        submitted(id).prop_map(|spec| EventKind::Submitted(Box::new(spec))),
        Just(EventKind::DeQueued),
        Just(EventKind::ValidationStarted),
        validated().prop_map(EventKind::ValidationAdvanced),
        (validated(), vec(".{0,30}", 0..5)).prop_map(|(validated, warnings)| {
            EventKind::ProcessingStarted { validated, warnings }
        }),
        applied().prop_map(EventKind::ProcessingAdvanced),
        ending().prop_map(|ending| EventKind::Completed(Box::new(ending))),
        Just(EventKind::CancelRequested),
        Just(EventKind::AttemptStarted),
        (failure(), any::<i64>())
            .prop_map(|(failure, retry_at_us)| EventKind::AttemptFailed { failure, retry_at_us }),
        failure().prop_map(EventKind::Held),
        Just(EventKind::Released),
    ]
}

fn an_event() -> impl Strategy<Value = (JobId, Event)> {
    (an_id(), any::<u64>(), any::<i64>()).prop_flat_map(|(id, seq, time_us)| {
        kind(id).prop_map(move |kind| (id, Event { seq, time_us, kind }))
    })
}

fn standing() -> impl Strategy<Value = (Status, Option<Outcome>)> {
    prop_oneof![
        prop::sample::select(&Status::ALL[..4]).prop_map(|status| (status, None)),
        outcome().prop_map(|outcome| (Status::Completed, Some(outcome))),
    ]
}

fn a_job() -> impl Strategy<Value = Job> {
    let times = (any::<i64>(), option::of(1..i64::MAX), option::of(1..i64::MAX), any::<i64>());
    let points = (validated(), applied(), vec(".{0,30}", 0..5));
    let attempts = (
        any::<bool>(),
        any::<u32>(),
        option::of(1..i64::MAX),
        any::<bool>(),
        option::of(failure()),
    );
    let rest = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>());
    (an_id().prop_flat_map(submitted), standing(), times, points, attempts, rest).prop_map(
        |(spec, (status, outcome), times, points, attempts, rest)| {
            let mut job = Job::stored(spec, status, outcome);
            (job.submit_time_us, job.start_time_us, job.end_time_us, job.update_time_us) = times;
            (job.validated, job.applied, job.warnings) = points;
            (job.cancel_requested, job.attempt, job.retry_at_us, job.held, job.failure) = attempts;
            (job.seq, job.checkpoints, job.report_length, job.report_crc) = rest;
            job
        },
    )
}

proptest! {
    #[test]
    fn every_event_reads_back(
        (id, event) in an_event(),
        previous: [u8; 32],
    ) {
        let bytes = encode_event(id, &previous, &event).unwrap();
        let stored = decode_event(id, event.seq, &bytes).unwrap();
        prop_assert_eq!(stored.event, event);
        prop_assert_eq!(stored.previous, previous);
    }

    #[test]
    fn every_job_reads_back(job in a_job(), head: [u8; 32]) {
        let bytes = encode_job(&job, &head).unwrap();
        let stored = decode_job(job.spec.id, &bytes).unwrap();
        prop_assert_eq!(stored.job, job);
        prop_assert_eq!(stored.head, head);
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let id = JobId::from_bytes([1; 16]);
        prop_assert!(decode_job(id, &bytes).is_err());
        prop_assert!(decode_event(id, 1, &bytes).is_err());
        prop_assert!(decode_counters(&bytes).is_err());
        let sealed = envelope::seal(&[&bytes]);
        prop_assert!(decode_job(id, &sealed).is_err());
    }

    #[test]
    fn a_flipped_bit_of_an_event_is_noticed(
        (id, event) in an_event(),
        place: prop::sample::Index,
        bit in 0_u32..8,
    ) {
        let mut bytes = encode_event(id, &NO_HASH, &event).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1_u8 << bit;
        let error = decode_event(id, event.seq, &bytes).unwrap_err();
        prop_assert!(matches!(error, Error::Damaged(_)));
        prop_assert!(error.to_string().contains(&id.to_string()));
    }
}

#[test]
fn a_damaged_value_is_named_by_job_and_number_and_nothing_of_it_is_told() {
    let (job, event) = testing::first(testing::submitted(1));
    let id = job.spec.id;
    let bytes = encode_event(id, &NO_HASH, &event).unwrap();
    let error = decode_event(id, 2, &bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("journal is damaged: event 2 of job {id}: its number is not that of its key")
    );
    let other = JobId::generate();
    let error = decode_job(other, &encode_job(&job, &NO_HASH).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("journal is damaged: job {other}: its job id is not that of its key")
    );
}

/// A stored job whose message was changed before it was sealed.
fn job_with(change: impl FnOnce(&mut storage::Job)) -> Result<StoredJob, Error> {
    let (job, _) = testing::first(testing::submitted(1));
    let mut message = job::to_proto(&job);
    change(&mut message);
    let stored = storage::StoredJob { job: Some(message), head: NO_HASH.to_vec() };
    decode_job(job.spec.id, &envelope::seal(&[&stored.encode_to_vec()]))
}

#[test]
fn unknown_numbers_and_missing_parts_are_refused() {
    fn spec(job: &mut storage::Job) -> &mut storage::Submitted {
        job.submitted.as_mut().unwrap()
    }
    type Change = fn(&mut storage::Job);
    let changes: [(&str, Change); 18] = [
        ("operation", |j| spec(j).operation = 4),
        ("operation", |j| spec(j).operation = 0),
        ("storage", |j| spec(j).storages = 4),
        ("media type", |j| spec(j).media_type = 3),
        ("profile", |j| spec(j).rules.as_mut().unwrap().profile = 4),
        ("date", |j| spec(j).rules.as_mut().unwrap().admin_date_min = i32::MAX),
        ("rules", |j| spec(j).rules = None),
        ("tenant", |j| spec(j).tenant = "a b".to_owned()),
        ("digest", |j| spec(j).content_sha256.truncate(31)),
        ("job id", |j| spec(j).job_id.truncate(15)),
        ("submit", |j| j.submitted = None),
        ("status", |j| j.status = 6),
        ("status", |j| j.status = 5),
        ("outcome", |j| j.outcome = 5),
        ("outcome", |j| j.outcome = 1),
        ("validation", |j| j.validated = None),
        ("two storages", |j| j.applied.as_mut().unwrap().errors.push(0)),
        ("failure", |j| {
            j.failure =
                Some(storage::Failure { code: "CVRS-NEW".to_owned(), message: String::new() });
        }),
    ];
    assert!(job_with(|_| {}).is_ok());
    for (named, change) in changes {
        let error = job_with(change).unwrap_err();
        assert!(matches!(error, Error::Damaged(_)), "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
}

#[test]
fn a_job_stored_before_clients_had_names_reads_with_an_empty_one() {
    let named = |name: &str| job_with(|j| j.submitted.as_mut().unwrap().client = name.to_owned());
    assert_eq!(named("CV1-UPLOAD").unwrap().job.spec.client, "CV1-UPLOAD");
    assert_eq!(named("").unwrap().job.spec.client, "");
}

#[test]
fn an_event_of_an_unknown_kind_is_refused() {
    let body = storage::Event { seq: 1, time_us: 1, kind: None }.encode_to_vec();
    let bytes = envelope::seal(&[&NO_HASH, &body]);
    let error = decode_event(JobId::generate(), 1, &bytes).unwrap_err();
    assert!(error.to_string().ends_with("its kind is unknown"), "{error}");
}

#[test]
fn a_value_of_a_later_version_is_a_matter_of_format() {
    let id = JobId::generate();
    let mut bytes = vec![2];
    bytes.extend_from_slice(&crc32fast::hash(&[2]).to_be_bytes());
    assert!(matches!(decode_event(id, 1, &bytes), Err(Error::Format(_))));
}

#[test]
fn counters_read_back() {
    let numbers = [0, u64::MAX, 7];
    assert_eq!(decode_counters(&encode_counters(numbers)).unwrap(), numbers);
    let short = envelope::seal(&[&[0; 16]]);
    assert!(matches!(decode_counters(&short), Err(Error::Damaged(_))));
}

/// A job with every part as long as its limit allows and every number as large as it can be.
fn longest_job() -> Job {
    let most = Validated {
        line: u64::MAX,
        rows: u64::MAX,
        rows_valid: u64::MAX,
        errors: u64::MAX,
        keys_length: u64::MAX,
        report_length: u64::MAX,
        report_crc: u32::MAX,
    };
    let both = PerStorage { non_redacted: u64::MAX, redacted: u64::MAX };
    let mut spec = testing::submitted(u64::MAX);
    spec.tenant = Tenant::new(&"t".repeat(NAME_CHARS_MAX)).unwrap();
    spec.client = "c".repeat(NAME_CHARS_MAX);
    spec.request_id = Some("r".repeat(REQUEST_ID_CHARS_MAX));
    let trace = Some(Trace { id: u128::MAX, span: u64::MAX, sampled: true });
    let peer = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535".parse().ok();
    let forwarded = "f".repeat(AUDIT_FORWARDED_CHARS_MAX);
    spec.origin = Origin::new(Face::Admin, peer, Some(forwarded.as_bytes()), trace);
    spec.payload.length = u64::MAX;
    spec.validate_only = true;
    spec.rules.admin_date_min = Date::MIN;
    spec.rules.submission_date = Date::MIN;
    spec.rules.admin_type_max = u32::MAX;
    spec.rules.future_tolerance_days = u32::MAX;
    let mut job = Job::stored(spec, Status::Completed, Some(Outcome::Cancelled));
    let time = i64::MIN;
    (job.submit_time_us, job.update_time_us) = (time, time);
    (job.start_time_us, job.end_time_us, job.retry_at_us) = (Some(time), Some(time), Some(time));
    job.validated = most;
    job.applied =
        Applied { position: u64::MAX, rows_applied: u64::MAX, processed: both, errors: both };
    job.warnings = vec!["w".repeat(WARNINGS_BYTES_MAX / WARNINGS_MAX); WARNINGS_MAX];
    job.failure = Some(Failure::new(Code::MediaTypeUnsupported, "😀".repeat(SENTENCE_CHARS_MAX)));
    (job.cancel_requested, job.held) = (true, true);
    (job.seq, job.report_length) = (u64::MAX, u64::MAX);
    (job.attempt, job.checkpoints, job.report_crc) = (u32::MAX, u32::MAX, u32::MAX);
    job
}

#[test]
fn the_longest_job_that_the_limits_allow_fits() {
    assert!(encode_job(&longest_job(), &NO_HASH).unwrap().len() <= JOURNAL_VALUE_BYTES_MAX);
}

#[test]
fn a_value_of_the_limit_is_stored_and_one_byte_more_is_not() {
    let mut job = longest_job();
    let used = encode_job(&job, &NO_HASH).unwrap().len();
    let warning = &mut job.warnings[0];
    // The warning's length then takes one byte more in its own and in each outer message.
    warning.push_str(&"w".repeat(JOURNAL_VALUE_BYTES_MAX - used - 1));
    let length = encode_job(&job, &NO_HASH).map(|b| b.len());
    assert_eq!(length.unwrap(), JOURNAL_VALUE_BYTES_MAX);
    job.warnings[0].push('w');
    let error = encode_job(&job, &NO_HASH).unwrap_err();
    assert!(matches!(error, Error::Storage(_)), "{error}");
    assert!(error.to_string().contains("takes 4097 bytes"), "{error}");
}
