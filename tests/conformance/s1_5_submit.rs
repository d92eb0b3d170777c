//! Section 1.5: the answer to an asynchronous submit.

use crate::support::{
    http::{JOBS, Server},
    rows,
};

#[test]
fn s1_5_submit_answer_has_six_properties_and_nulls() {
    let server = Server::new();
    for method in ["POST", "PUT", "DELETE"] {
        let answer = server.upload(method, "text/plain", rows::events(&["EV1"]));
        let id = answer.accepted();
        assert_eq!(
            answer.body,
            format!(
                r#"{{"id":"{id}","status":"QUEUED","storageResult":null,"totalRecords":null,"validationErrors":null,"validationErrorsCount":null}}"#
            )
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn s1_5_submit_is_202_with_the_location_to_poll() {
    let server = Server::new();
    let answer = server.upload("DELETE", "text/plain", rows::ids(&["EV1"]));
    let id = answer.accepted();
    assert_eq!(answer.header("location"), Some(format!("{JOBS}/{id}").as_str()));
    assert_eq!(server.get(answer.header("location").unwrap()).json()["id"], id);
}

#[test]
fn s1_5_submit_is_200_where_that_is_set() {
    let server = Server::with(&[("CVRSD__REST__SUBMIT_STATUS", "200")]);
    let answer = server.upload("DELETE", "text/plain", rows::ids(&["EV1"]));
    assert_eq!(answer.status, 200);
    assert!(answer.header("location").unwrap().starts_with(JOBS));
    assert_eq!(answer.json()["status"], "QUEUED");
}

#[test]
fn s1_5_the_id_is_a_uuid_and_every_upload_has_its_own() {
    let server = Server::new();
    let [a, b] = [(); 2].map(|()| server.submit("DELETE", rows::ids(&["EV1"])));
    assert_ne!(a, b);
    for id in [a, b] {
        let groups: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(id.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit()), "{id}");
    }
}

#[test]
fn s1_5_no_request_parameter_but_ours_is_taken() {
    let server = Server::new();
    let text = [("Content-Type", "text/plain")];
    let body = rows::ids(&["EV1"]);
    for query in ["?validateonly=true", "?x=1"] {
        let answer = server.call("DELETE", &format!("{JOBS}{query}"), &text, body.as_bytes());
        assert_eq!(answer.problem(), (400, "CVRS-PARAMETER".to_owned()), "{query}");
    }
    server.call("DELETE", &format!("{JOBS}?validateOnly=true"), &text, body.as_bytes()).accepted();
}
