//! Section 1.7: the synchronous uploads.

use crate::support::{
    files,
    http::{Answer, JOBS, Server},
    rows,
};

const BATCH: &str = "/v0/upload/cvrs/batch";
const TEXT: (&str, &str) = ("Content-Type", "text/plain");

fn batch(server: &Server, method: &str, text: impl AsRef<[u8]>) -> Answer {
    server.call(method, BATCH, &[TEXT], text.as_ref())
}

fn processed(count: u64) -> String {
    let db = format!(
        r#"{{"status":"SUCCESS","recordsProcessed":{count},"processingErrorsCount":0,"processingErrors":[]}}"#
    );
    format!(r#""storageResult":{{"NON_REDACTED_DB":{db},"REDACTED_DB":{db}}}"#)
}

#[test]
fn s1_1_row_7_synchronous_uploads_take_text_and_zip_by_every_verb() {
    let server = Server::new();
    let text = rows::events(&["EV1"]);
    let zip = files::zip(text.as_bytes());
    for (media, body) in [("text/plain", text.as_bytes()), ("application/zip", &zip)] {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = server.call(method, BATCH, &[("Content-Type", media)], body);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.contains(&processed(1)), "{method} {media}: {answer:?}");
        }
    }
}

#[test]
fn s1_7_the_answer_has_its_members_in_order_and_no_status() {
    let server = Server::new();
    let answer = batch(&server, "POST", rows::events(&["EV1", "EV2"]));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        answer.body,
        format!(
            r#"{{"id":"{id}",{},"totalRecords":2,"validationErrors":[],"validationErrorsCount":0,"truncated":false}}"#,
            processed(2)
        )
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn s1_7_a_processed_file_is_200_also_where_every_record_failed() {
    let server = Server::new();
    let answer = batch(&server, "DELETE", rows::ids(&["EV1", "EV2"]));
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["processingErrorsCount"], 2);
    assert_eq!(
        body["storageResult"]["REDACTED_DB"]["processingErrors"][1],
        "storage=REDACTED_DB vaxEventID=EV2 recipId= message=Record does not exist"
    );
    let bad = rows::file(&[rows::row(&[("cvx", "x")])]);
    let answer = batch(&server, "POST", bad);
    assert_eq!((answer.status, &answer.json()["validationErrorsCount"]), (200, &1.into()));
}

#[test]
fn s1_7_a_file_that_is_no_cvrs_is_200_with_one_error_of_line_1() {
    let answer = batch(&Server::new(), "POST", "a letter\n");
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!((&body["totalRecords"], &body["validationErrorsCount"]), (&0.into(), &1.into()));
    let text = body["validationErrors"][0].as_str().unwrap();
    assert!(text.starts_with("line#1: vaxEventId= recipId= field= message="), "{text}");
    assert_eq!(body["storageResult"]["NON_REDACTED_DB"]["status"], "FAILED");
}

#[test]
fn s1_7_what_the_upload_shows_is_refused() {
    let server = Server::new();
    let refusal = |media: &str, body: &[u8]| {
        server.call("POST", BATCH, &[("Content-Type", media)], body).problem()
    };
    assert_eq!(refusal("text/plain", b""), (400, "CVRS-BODY-EMPTY".to_owned()));
    assert_eq!(refusal("application/zip", b"x"), (400, "CVRS-ZIP-MALFORMED".to_owned()));
    assert_eq!(refusal("text/csv", b"x"), (415, "CVRS-MEDIA-TYPE-UNSUPPORTED".to_owned()));
    let get = server.get(BATCH).problem();
    assert_eq!(get, (405, "CVRS-METHOD".to_owned()));
}

#[test]
fn s1_7_the_job_is_visible_by_its_id_and_in_the_list() {
    let server = Server::new();
    let id = batch(&server, "POST", rows::events(&["EV1"])).json()["id"].clone();
    let id = id.as_str().unwrap();
    assert_eq!(server.full(id)["outcome"], "SUCCEEDED");
    assert_eq!(server.get(JOBS).json()["jobs"][0]["id"], id);
}

#[test]
fn s1_7_it_waits_its_turn_in_the_lane() {
    let server = Server::with(&[("CVRSD__ENGINE__CHECKPOINT_ROWS", "50")]);
    let ids: Vec<_> = (0..3_000).map(|n| format!("EV{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let first = server.submit("POST", rows::events(&ids));
    let answer = batch(&server, "DELETE", rows::ids(&ids));
    assert!(answer.body.contains(&processed(3_000)), "{answer:?}");
    assert_eq!(server.full(&first)["outcome"], "SUCCEEDED");
}

#[test]
fn s1_7_long_lists_are_cut_and_say_so() {
    let server = Server::new();
    let ids: Vec<_> = (0..200).map(|n| format!("EV{n}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let answer = batch(&server, "DELETE", rows::ids(&ids));
    assert!(answer.body.chars().count() <= 4_000, "{}", answer.body.len());
    let body = answer.json();
    assert_eq!(body["truncated"], true);
    assert_eq!(body["storageResult"]["REDACTED_DB"]["processingErrorsCount"], 200);
}

#[test]
fn s1_7_validate_only_checks_and_changes_nothing() {
    let server = Server::new();
    let path = format!("{BATCH}?validateOnly=true");
    let answer = server.call("POST", &path, &[TEXT], rows::events(&["EV1"]).as_bytes());
    let body = answer.json();
    assert!(answer.body.contains(r#""storageResult":{},"totalRecords":1,"#), "{answer:?}");
    assert_eq!(body["validationErrorsCount"], 0);
    assert!(batch(&server, "POST", rows::events(&["EV1"])).body.contains(&processed(1)));
}

#[test]
fn s1_7_a_repeat_under_its_key_answers_with_the_same_job() {
    let server = Server::new();
    let headers = [TEXT, ("Idempotency-Key", "k-1")];
    let file = rows::events(&["EV1"]);
    let [first, again] = [(); 2].map(|()| server.call("POST", BATCH, &headers, file.as_bytes()));
    assert_eq!(first.body, again.body);
    let other = server.call("PUT", BATCH, &headers, file.as_bytes());
    assert_eq!(other.problem(), (409, "CVRS-REQUEST-CONFLICT".to_owned()));
}

#[test]
fn s9_7_synchronous_delete_takes_a_zip_and_a_text() {
    let server = Server::new();
    let text = rows::events(&["EV1"]);
    for (media, body) in
        [("application/zip", files::zip(text.as_bytes())), ("text/plain", text.clone().into())]
    {
        batch(&server, "POST", &text);
        let answer = server.call("DELETE", BATCH, &[("Content-Type", media)], &body);
        assert!(answer.body.contains(&processed(1)), "{media}: {answer:?}");
    }
}
