//! Jobs over gRPC.

use cvrsd::proto::{
    admin::{CountRecordsRequest, ExportRecordsRequest, GetRecordRequest},
    jobs::{
        ListJobsRequest, Operation, Outcome, Status, SubmitDeleteJobRequest, UploadChunk,
        UploadHeader, submit_delete_job_request::Part,
    },
};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{
    Daemon, files,
    jobs::{self, Upload},
    model::{Model, STORAGES},
    shared::shared,
    start, wait_empty,
};

async fn counts(daemon: &Daemon) -> Vec<u64> {
    let request = CountRecordsRequest { tenant: "local".to_owned() };
    let reply = daemon.records().await.count_records(request).await.unwrap().into_inner();
    reply.counts.iter().map(|c| c.count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_created_deleted_missed_created_again_and_updated() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let mut model = Model::default();
    let text = files::text(3, 0..500);
    let changed = String::from_utf8(text.clone()).unwrap().replace("\tLA\t", "\tRA\t");
    let steps = [
        (Operation::Create, text.clone(), Outcome::Succeeded),
        (Operation::Create, text.clone(), Outcome::Partial),
        (Operation::Delete, text.clone(), Outcome::Succeeded),
        (Operation::Delete, text.clone(), Outcome::Partial),
        (Operation::Update, text.clone(), Outcome::Partial),
        (Operation::Create, text.clone(), Outcome::Succeeded),
        (Operation::Update, changed.clone().into_bytes(), Outcome::Succeeded),
        (Operation::Delete, files::text(3, 450..550), Outcome::Partial),
    ];
    for (operation, text, outcome) in steps {
        let expected = model.apply(operation, &text);
        let job = jobs::run(&mut client, &Upload::zip(operation, &text)).await;
        assert_eq!(job.outcome(), outcome);
        expected.check(&job, &jobs::errors(&mut client, &job.job_id).await);
        assert_eq!(counts(&daemon).await, [model.live.len() as u64; 2]);
    }
    let mut records = daemon.records().await;
    let row = changed.lines().nth(1).unwrap();
    let vax_event_id = row.split('\t').next().unwrap().to_ascii_uppercase();
    let get = |storage: &str| GetRecordRequest {
        tenant: "local".to_owned(),
        storage: storage.to_owned(),
        vax_event_id: vax_event_id.clone(),
    };
    let full = records.get_record(get(STORAGES[0])).await.unwrap().into_inner().row;
    assert_eq!(full, row.as_bytes());
    let redacted = records.get_record(get(STORAGES[1])).await.unwrap().into_inner().row;
    let redacted = String::from_utf8(redacted).unwrap();
    let hidden: Vec<usize> = redacted
        .split('\t')
        .enumerate()
        .filter_map(|(n, cell)| (cell == "Redacted").then_some(n))
        .collect();
    assert_eq!(hidden, [4, 5, 6, 9, 10, 11]);
    let request =
        ExportRecordsRequest { tenant: "nobody".to_owned(), storage: STORAGES[0].to_owned() };
    let mut export = match records.export_records(request).await {
        Ok(reply) => reply.into_inner(),
        Err(status) => return assert_eq!(status.code(), Code::NotFound),
    };
    assert_eq!(export.next().await.unwrap().unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_cvrs_fails_whole_and_the_next_job_runs() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let not_cvrs: [&[u8]; 5] = [
        b"name,age\nx,1\n",
        b"\xef\xbb\xbf",
        b"\n\n\n",
        b"recip_id\trecip_dob\nP1\t2000-01-01\n",
        b"vax_event_id\tVAX_EVENT_ID\nE1\tE1\n",
    ];
    for text in not_cvrs {
        let job = jobs::run(&mut client, &Upload::text(Operation::Delete, text)).await;
        assert_eq!((job.status(), job.outcome()), (Status::Completed, Outcome::Failed));
        assert_eq!(job.rows.unwrap().total, 0);
        assert_eq!(job.rows.unwrap().validation_errors, 1);
        let errors = jobs::errors(&mut client, &job.job_id).await;
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].line, errors[0].vax_event_id.as_str()), (1, ""));
        assert_eq!(errors[0].message, job.failure.unwrap().message);
    }
    let header_only = Upload::zip(Operation::Create, &files::text(1, 0..0));
    assert_eq!(jobs::run(&mut client, &header_only).await.outcome(), Outcome::Succeeded);
    wait_empty(dir.path(), &["payloads", "work"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_noticed_while_reading_fails_the_file_before_any_row_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("CVRSD__INTAKE__MAX_ROWS", "100"), ("CVRSD__INTAKE__MAX_LINE_BYTES", "2000")];
    let daemon = start(dir.path(), &env);
    let mut client = daemon.jobs().await;
    let at = jobs::run(&mut client, &Upload::zip(Operation::Create, &files::text(1, 0..100))).await;
    assert_eq!(at.outcome(), Outcome::Succeeded);
    let over =
        jobs::run(&mut client, &Upload::zip(Operation::Delete, &files::text(1, 0..101))).await;
    assert_eq!(over.outcome(), Outcome::Failed);
    assert_eq!(over.failure.unwrap().code, "CVRS-FILE-ROWS");
    let mut long = files::text(1, 0..3);
    long.extend(std::iter::repeat_n(b'x', 2_001));
    let long = jobs::run(&mut client, &Upload::text(Operation::Delete, &long)).await;
    assert_eq!(long.failure.unwrap().code, "CVRS-FILE-LINE");
    assert_eq!(counts(&daemon).await, [100, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validate_only_job_counts_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let mut upload = Upload::zip(Operation::Create, &files::text(1, 0..50));
    upload.validate_only = true;
    let job = jobs::run(&mut client, &upload).await;
    assert_eq!(job.outcome(), Outcome::Succeeded);
    assert_eq!((job.rows.unwrap().total, job.rows.unwrap().applied), (50, 0));
    assert!(job.storages.is_empty());
    assert_eq!(counts(&daemon).await.iter().sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_gives_the_same_job_or_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let upload = Upload::zip(Operation::Create, &files::text(1, 0..5)).request_id("key-1");
    let (first, seq) = jobs::submit(&mut client, &upload).await.unwrap();
    assert_eq!(seq, 1);
    jobs::wait(&mut client, &first).await;
    let (again, seq) = jobs::submit(&mut client, &upload).await.unwrap();
    assert_eq!(again, first);
    assert!(seq > 1);
    let mut others = [upload.clone(), upload.clone(), upload.clone()];
    others[0].body = files::zip(&files::text(1, 0..6)).into();
    others[1].operation = Operation::Delete;
    others[2].validate_only = true;
    for other in &others {
        let status = jobs::submit(&mut client, other).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(status.get_details_error_info().unwrap().reason, "CVRS-REQUEST-CONFLICT");
    }
    let daemon = {
        daemon.kill();
        start(dir.path(), &[])
    };
    let (again, _) = jobs::submit(&mut daemon.jobs().await, &upload).await.unwrap();
    assert_eq!(again, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_has_a_code_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__INTAKE__MAX_BODY_BYTES", "100000")]);
    let mut client = daemon.jobs().await;
    let text = Upload::text(Operation::Delete, b"vax_event_id\nE1\n");
    let zip = Upload::zip(Operation::Delete, b"vax_event_id\nE1\n");
    let cases = [
        (Upload { body: "".into(), ..text.clone() }, "CVRS-BODY-EMPTY"),
        (Upload { media_type: "application/zip", ..text.clone() }, "CVRS-ZIP-MALFORMED"),
        (Upload { media_type: "text/plain", ..zip.clone() }, "CVRS-MEDIA-TYPE-MISMATCH"),
        (Upload { media_type: "text/csv", ..text.clone() }, "CVRS-MEDIA-TYPE-UNSUPPORTED"),
        (Upload { media_type: "", ..text.clone() }, "CVRS-MEDIA-TYPE-MISSING"),
        (Upload { body: vec![b'x'; 100_000].into(), ..text.clone() }, "CVRS-BODY-TOO-LARGE"),
        (text.clone().request_id("not visible"), "CVRS-REQUEST-ID"),
    ];
    for (upload, code) in cases {
        let status = jobs::submit(&mut client, &upload).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{code}");
        assert_eq!(status.get_details_error_info().unwrap().reason, code);
    }
    let just = Upload { body: vec![b'x'; 99_999].into(), ..text.clone() };
    jobs::run(&mut client, &just).await;
    wait_empty(dir.path(), &["spool", "payloads"]);
    let list = client.list_jobs(ListJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.jobs.len(), 1);
}

fn header(header: UploadHeader) -> SubmitDeleteJobRequest {
    SubmitDeleteJobRequest { part: Some(Part::Header(header)) }
}

fn chunk(offset: u64, data: &[u8]) -> SubmitDeleteJobRequest {
    let data = bytes::Bytes::copy_from_slice(data);
    SubmitDeleteJobRequest { part: Some(Part::Chunk(UploadChunk { offset, data })) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_out_of_order_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let plain = || UploadHeader { media_type: "text/plain".to_owned(), ..UploadHeader::default() };
    let length = |n| UploadHeader { content_length: Some(n), ..plain() };
    let digest = |d: &[u8]| UploadHeader { content_sha256: Some(d.to_vec()), ..plain() };
    let body = b"vax_event_id\nE1\n";
    let cases = [
        (vec![], "CVRS-UPLOAD-SEQUENCE"),
        (vec![chunk(0, body)], "CVRS-UPLOAD-SEQUENCE"),
        (vec![header(plain()), header(plain())], "CVRS-UPLOAD-SEQUENCE"),
        (vec![header(plain()), SubmitDeleteJobRequest { part: None }], "CVRS-UPLOAD-SEQUENCE"),
        (vec![header(plain()), chunk(1, body)], "CVRS-CHUNK-OFFSET"),
        (vec![header(plain()), chunk(0, body), chunk(0, body)], "CVRS-CHUNK-OFFSET"),
        (vec![header(plain()), chunk(0, &vec![b'x'; (1 << 20) + 1])], "CVRS-CHUNK-TOO-LARGE"),
        (vec![header(length(17)), chunk(0, body)], "CVRS-BODY-LENGTH"),
        (vec![header(length(15)), chunk(0, body)], "CVRS-BODY-LENGTH"),
        (vec![header(digest(&[0; 32])), chunk(0, body)], "CVRS-BODY-DIGEST"),
        (vec![header(digest(&[0; 31])), chunk(0, body)], "CVRS-UPLOAD-HEADER"),
    ];
    for (index, (messages, code)) in cases.into_iter().enumerate() {
        let status = client.submit_delete_job(tokio_stream::iter(messages)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "case {index}: {status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, code, "case {index}");
    }
    let chunks = [header(length(16)), chunk(0, &body[..4]), chunk(4, &body[4..])];
    client.submit_delete_job(tokio_stream::iter(chunks)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_newest_first_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[]);
    let mut client = daemon.jobs().await;
    let mut made = Vec::new();
    for n in 0..7 {
        let operation = if n % 2 == 0 { Operation::Create } else { Operation::Delete };
        made.push(
            jobs::run(&mut client, &Upload::zip(operation, &files::text(n, 0..2))).await.job_id,
        );
    }
    made.reverse();
    let mut listed = Vec::new();
    let mut request = ListJobsRequest { page_size: 3, ..ListJobsRequest::default() };
    loop {
        let page = client.list_jobs(request.clone()).await.unwrap().into_inner();
        assert!(page.jobs.len() <= 3);
        listed.extend(page.jobs.into_iter().map(|job| job.job_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, made);
    let deletes = ListJobsRequest {
        operation: Operation::Delete.into(),
        status: Status::Completed.into(),
        ..ListJobsRequest::default()
    };
    assert_eq!(client.list_jobs(deletes).await.unwrap().into_inner().jobs.len(), 3);
    let others = ListJobsRequest { tenant: "other".to_owned(), ..ListJobsRequest::default() };
    assert!(client.list_jobs(others).await.unwrap().into_inner().jobs.is_empty());
    let broken = ListJobsRequest { page_token: "x".to_owned(), ..ListJobsRequest::default() };
    assert_eq!(client.list_jobs(broken).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_good_file_has_its_six_errors_under_dch_2020() {
    let Some(path) = shared("samples/testgood.txt") else { return };
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path(), &[("CVRSD__VALIDATION__PROFILE", "dch-2020")]);
    let mut client = daemon.jobs().await;
    let text = std::fs::read(path).unwrap();
    let job = jobs::run(&mut client, &Upload::zip(Operation::Create, &text)).await;
    assert_eq!(job.rows.unwrap().validation_errors, 6);
    let errors = jobs::errors(&mut client, &job.job_id).await;
    let mut fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
    fields.sort_unstable();
    let zip = "recip_address_zip";
    let expected =
        ["recip_address_county", "recip_address_state", zip, zip, zip, "recip_middle_name"];
    assert_eq!(fields, expected);
    assert!(errors.iter().all(|e| e.message == "must not be null"));
}
