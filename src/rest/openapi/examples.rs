//! Examples of answers. A test beside the views holds their members against real ones.

use serde_json::{Value, json};

const ID: &str = "01a20a7e-8fe6-7017-999d-d0e3e00dabf6";
const MISSING: &str = "must not be null";

/// Who asks for a token.
pub(in crate::rest) fn token_request() -> Value {
    json!({"clientID": "CV1-UPLOAD", "clientSecret": "…", "scopes": ["UPLOAD", "DELETE"]})
}

/// A token.
pub(in crate::rest) fn token() -> Value {
    json!({"token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.e30.c2ln", "expiration": 1_634_291_135})
}

/// What a submit answers.
pub(in crate::rest) fn queued() -> Value {
    six("QUEUED", None, None, None, None)
}

fn six(
    status: &str,
    results: Option<[Value; 2]>,
    total: Option<u64>,
    error: Option<&str>,
    count: Option<u64>,
) -> Value {
    let results =
        results.map(|[first, second]| json!({"NON_REDACTED_DB": first, "REDACTED_DB": second}));
    json!({
        "id": ID,
        "status": status,
        "storageResult": results,
        "totalRecords": total,
        "validationErrors": error.map(|error| [error]),
        "validationErrorsCount": count,
    })
}

/// A finished delete of three rows, one of them invalid and one unknown.
pub(in crate::rest) fn plain() -> Value {
    let results = ["NON_REDACTED_DB", "REDACTED_DB"].map(|storage| {
        let text = "vaxEventID=EV1003 recipId=P3 message=Record does not exist";
        result(Some(&format!("storage={storage} {text}")))
    });
    let error = format!("line#2: vaxEventId= recipId=P1 field=vax_event_id message={MISSING}");
    let six = six("COMPLETED", Some(results), Some(3), Some(&error), Some(1));
    with(six, json!({"truncated": false}))
}

fn result(error: Option<&str>) -> Value {
    json!({
        "status": "SUCCESS",
        "recordsProcessed": 1,
        "processingErrorsCount": 1,
        "processingErrors": error.map(|error| [error]),
    })
}

fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

fn ours() -> Value {
    json!({
        "operation": "delete",
        "outcome": "PARTIAL",
        "seq": 6,
        "submitTime": "2026-11-24T09:30:00.125Z",
        "endTime": "2026-11-24T09:30:00.25Z",
        "rowsValid": 2,
        "rowsApplied": 1,
        "warnings": [],
        "failure": null,
    })
}

/// The same in the full view.
pub(in crate::rest) fn full() -> Value {
    with(plain(), ours())
}

/// What a synchronous upload of the same file answers.
pub(in crate::rest) fn batch() -> Value {
    let mut job = plain();
    if let Value::Object(members) = &mut job {
        members.shift_remove("status");
    }
    job
}

/// A cancel that came too late.
pub(in crate::rest) fn cancelled() -> Value {
    with(full(), json!({"cancelled": false}))
}

/// The job as lists and events show it.
fn listed() -> Value {
    let results = [result(None), result(None)];
    let six = six("COMPLETED", Some(results), Some(3), None, Some(1));
    with(with(six, json!({"truncated": true})), ours())
}

/// The last page of a list.
pub(in crate::rest) fn page() -> Value {
    json!({"jobs": [listed()], "nextPageToken": ""})
}

/// The last event of a job.
pub(in crate::rest) fn events() -> String {
    format!("event: job\nid: 6\ndata: {}\n\n", listed())
}

/// The report of the same job.
pub(in crate::rest) fn report_tsv() -> String {
    let mut text = "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage\n".to_owned();
    for entry in report() {
        text.push_str(&entry.join("\t"));
        text.push('\n');
    }
    text
}

/// The same as NDJSON.
pub(in crate::rest) fn report_ndjson() -> String {
    let lines =
        report().map(|[line, kind, storage, vax_event_id, recip_id, field, code, message]| {
            let entry = json!({
                "line": line.parse::<u64>().ok(),
                "kind": kind,
                "storage": storage,
                "vax_event_id": vax_event_id,
                "recip_id": recip_id,
                "field": field,
                "code": code,
                "message": message,
            });
            format!("{entry}\n")
        });
    lines.concat()
}

fn report() -> [[&'static str; 8]; 3] {
    let unknown = |storage| {
        [
            "4",
            "processing",
            storage,
            "EV1003",
            "P3",
            "",
            "CVRS-ROW-UNKNOWN",
            "Record does not exist",
        ]
    };
    [
        ["2", "validation", "", "", "P1", "vax_event_id", "CVRS-ROW-NULL", MISSING],
        unknown("NON_REDACTED_DB"),
        unknown("REDACTED_DB"),
    ]
}
