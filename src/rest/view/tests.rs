use super::{super::openapi::examples, *};
use crate::{
    cvrs::{Profile, Rules},
    domain::{
        Applied, Ending, Event, EventKind, JobId, MediaType, Operation, Origin, Payload,
        PerStorage, StorageSet, Submitted, Tenant, Validated,
    },
    error::Code,
};

const ID: &str = "0192b3c4-d5e6-7f80-9a1b-2c3d4e5f6071";

/// A job that was just submitted.
fn submitted(validate_only: bool) -> Job {
    let spec = Submitted {
        id: ID.parse::<JobId>().unwrap(),
        tenant: Tenant::local(),
        client: String::new(),
        operation: Operation::Delete,
        storages: StorageSet::ALL,
        validate_only,
        request_id: None,
        payload: Payload { media_type: MediaType::Text, length: 9, sha256: [0; 32], inline: false },
        order: 1,
        rules: Rules {
            profile: Profile::Dch2021,
            admin_date_min: jiff::civil::date(2020, 12, 2),
            admin_type_max: 42,
            submission_date: jiff::civil::date(2026, 11, 23),
            future_tolerance_days: 1,
        },
        origin: Origin::default(),
    };
    let kind = EventKind::Submitted(Box::new(spec));
    Job::first(&Event { seq: 1, time_us: 1_700_000_000_000_000, kind }).unwrap()
}

fn after(job: Job, kinds: impl IntoIterator<Item = EventKind>) -> Job {
    kinds.into_iter().fold(job, |job, kind| {
        let event = Event { seq: job.seq + 1, time_us: job.update_time_us + 1, kind };
        job.next(&event).unwrap()
    })
}

fn validated() -> Validated {
    Validated {
        line: 5,
        rows: 4,
        rows_valid: 3,
        errors: 2,
        keys_length: 9,
        report_length: 9,
        report_crc: 7,
    }
}

/// A job whose valid rows are being applied.
fn processing(validate_only: bool) -> Job {
    let started = EventKind::ProcessingStarted {
        validated: validated(),
        warnings: vec!["column x is ignored".to_owned()],
    };
    after(submitted(validate_only), [EventKind::DeQueued, EventKind::ValidationStarted, started])
}

fn ended(job: Job, outcome: Outcome, validated: Validated, applied: Applied) -> Job {
    let failure = (outcome == Outcome::Failed)
        .then(|| Failure::new(Code::HeaderMalformed, "line 1 is not a header"));
    let ending = Ending { outcome, validated, applied, report_length: 1, report_crc: 1, failure };
    after(job, [EventKind::Completed(Box::new(ending))])
}

/// A job that ended with errors of every kind.
pub(in crate::rest) fn partial() -> Job {
    let applied = Applied {
        position: 3,
        rows_applied: 2,
        processed: PerStorage { non_redacted: 1, redacted: 1 },
        errors: PerStorage { non_redacted: 2, redacted: 2 },
    };
    ended(processing(false), Outcome::Partial, validated(), applied)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn lists() -> Inline {
    Inline {
        validation: vec!["v".to_owned()],
        processing: PerStorage { non_redacted: vec!["n".to_owned()], redacted: vec![] },
        truncated: true,
    }
}

#[test]
fn at_submit_the_four_last_properties_and_the_storage_result_are_null() {
    assert_eq!(
        json(&Six::new(&submitted(false), Some(Inline::default()))),
        format!(
            r#"{{"id":"{ID}","status":"QUEUED","storageResult":null,"totalRecords":null,"validationErrors":null,"validationErrorsCount":null}}"#
        )
    );
}

#[test]
fn while_validating_nothing_is_counted_yet() {
    let job = after(submitted(false), [EventKind::DeQueued]);
    let plain = json(&Plain::new(&job, Some(Inline::default())));
    assert_eq!(
        plain,
        format!(
            r#"{{"id":"{ID}","status":"DE-QUEUED","storageResult":null,"totalRecords":null,"validationErrors":null,"validationErrorsCount":null,"truncated":false}}"#
        )
    );
    let job =
        after(job, [EventKind::ValidationStarted, EventKind::ValidationAdvanced(validated())]);
    assert_eq!(
        json(&Plain::new(&job, Some(Inline::default()))),
        plain.replace("DE-QUEUED", "VALIDATING")
    );
    assert_eq!(listed_errors(&job), 0);
}

#[test]
fn after_validation_counts_are_there_and_the_storage_result_is_not() {
    let job = processing(false);
    let mut lists = lists();
    lists.processing = PerStorage::default();
    assert_eq!(
        json(&Plain::new(&job, Some(lists))),
        format!(
            r#"{{"id":"{ID}","status":"PROCESSING","storageResult":null,"totalRecords":4,"validationErrors":["v"],"validationErrorsCount":2,"truncated":true}}"#
        )
    );
    assert_eq!(listed_errors(&job), 2);
}

#[test]
fn at_completed_each_storage_has_its_result_in_listing_order() {
    let job = partial();
    assert_eq!(
        json(&Plain::new(&job, Some(lists()))),
        format!(
            r#"{{"id":"{ID}","status":"COMPLETED","storageResult":{{"NON_REDACTED_DB":{{"status":"SUCCESS","recordsProcessed":1,"processingErrorsCount":2,"processingErrors":["n"]}},"REDACTED_DB":{{"status":"SUCCESS","recordsProcessed":1,"processingErrorsCount":2,"processingErrors":[]}}}},"totalRecords":4,"validationErrors":["v"],"validationErrorsCount":2,"truncated":true}}"#
        )
    );
    assert_eq!(listed_errors(&job), 6);
}

#[test]
fn a_failed_file_has_no_records_one_error_and_failed_storages() {
    let job = ended(processing(false), Outcome::Failed, validated(), Applied::default());
    let lists = Inline { validation: vec!["line#1".to_owned()], ..Inline::default() };
    assert_eq!(
        json(&Plain::new(&job, Some(lists))),
        format!(
            r#"{{"id":"{ID}","status":"COMPLETED","storageResult":{{"NON_REDACTED_DB":{{"status":"FAILED","recordsProcessed":0,"processingErrorsCount":0,"processingErrors":[]}},"REDACTED_DB":{{"status":"FAILED","recordsProcessed":0,"processingErrorsCount":0,"processingErrors":[]}}}},"totalRecords":0,"validationErrors":["line#1"],"validationErrorsCount":1,"truncated":false}}"#
        )
    );
    assert_eq!(listed_errors(&job), 1);
}

#[test]
fn a_validate_only_job_has_an_empty_storage_result() {
    for (outcome, rows) in [(Outcome::Partial, 4), (Outcome::Failed, 0)] {
        let job = ended(processing(true), outcome, validated(), Applied::default());
        let body = json(&Six::new(&job, Some(Inline::default())));
        assert!(
            body.contains(&format!(r#""storageResult":{{}},"totalRecords":{rows},"#)),
            "{body}"
        );
    }
}

#[test]
fn a_job_cancelled_before_it_was_validated_has_all_six_properties_with_zeros() {
    let job = after(submitted(false), [EventKind::CancelRequested]);
    let job = ended(job, Outcome::Cancelled, Validated::default(), Applied::default());
    let body = json(&Six::new(&job, Some(Inline::default())));
    assert!(!body.contains("null"), "{body}");
    assert!(body.contains(r#""totalRecords":0,"validationErrors":[],"validationErrorsCount":0"#));
    assert!(body.contains(r#""REDACTED_DB":{"status":"SUCCESS","recordsProcessed":0,"#));
}

#[test]
fn a_job_shows_only_the_storages_that_it_touches() {
    let mut job = partial();
    job.spec.storages = [Storage::Redacted].into_iter().collect();
    let body = json(&Six::new(&job, Some(Inline::default())));
    assert!(!body.contains("NON_REDACTED_DB"));
    assert!(body.contains(r#""storageResult":{"REDACTED_DB":{"#));
}

#[test]
fn the_full_view_adds_ours_after_the_plain_one() {
    let job = partial();
    let plain = json(&Plain::new(&job, Some(lists())));
    let full = format!(
        r#"{},"operation":"delete","outcome":"PARTIAL","seq":5,"submitTime":"2023-11-14T22:13:20Z","endTime":"2023-11-14T22:13:20.000004Z","rowsValid":3,"rowsApplied":2,"warnings":["column x is ignored"],"failure":null}}"#,
        plain.strip_suffix('}').unwrap()
    );
    assert_eq!(json(&Full::new(&job, Some(lists()))), full);
    assert_eq!(
        json(&Cancelled::new(&job, Some(lists()), false)),
        format!(r#"{},"cancelled":false}}"#, full.strip_suffix('}').unwrap())
    );
}

/// Names of all members, in their order.
fn members(json: &str) -> Vec<&str> {
    let quoted: Vec<&str> = json.split('"').collect();
    let pairs = quoted.windows(2).skip(1).step_by(2);
    pairs.filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0]).collect()
}

#[test]
fn the_examples_of_the_document_have_the_members_of_real_answers() {
    let job = partial();
    let listed = json(&Full::new(&job, None));
    for (real, example) in [
        (json(&Six::new(&submitted(false), Some(Inline::default()))), examples::queued()),
        (json(&Plain::new(&job, Some(lists()))), examples::plain()),
        (json(&Full::new(&job, Some(lists()))), examples::full()),
        (json(&Cancelled::new(&job, Some(lists()), false)), examples::cancelled()),
        (json(&Batch::new(&job, lists())), examples::batch()),
        (format!(r#"{{"jobs":[{listed}],"nextPageToken":""}}"#), examples::page()),
    ] {
        assert_eq!(members(&real), members(&json(&example)));
    }
    assert!(examples::events().contains(r#""validationErrors":null"#));
}

#[test]
fn the_full_view_names_the_failure() {
    let job = ended(processing(false), Outcome::Failed, validated(), Applied::default());
    let body = json(&Full::new(&job, Some(Inline::default())));
    let end = r#""rowsValid":0,"rowsApplied":0,"warnings":["column x is ignored"],"failure":{"code":"CVRS-HEADER","message":"line 1 is not a header"}}"#;
    assert!(body.ends_with(end), "{body}");
}

#[test]
fn without_lists_both_are_null_counts_stay_and_errors_count_as_left_out() {
    let body = json(&Full::new(&partial(), None));
    assert_eq!(body.matches(r#""processingErrors":null"#).count(), 2);
    assert!(body.contains(r#""validationErrors":null,"validationErrorsCount":2,"truncated":true"#));
    let clean = json(&Full::new(&submitted(false), None));
    assert!(clean.contains(r#""truncated":false"#));
}
