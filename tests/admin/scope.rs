//! Who may operate.

use cvrsd::proto::admin::{
    DrainRequest, ExplainJobRequest, GetConfigRequest, GetLogLevelRequest, GetOverviewRequest,
    ListPausesRequest, PauseRequest, ReleaseJobRequest, ResumeRequest, SetLogLevelRequest,
    admin_service_client::AdminServiceClient,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::{
    bench::{admin, run},
    support::{clients, http::Server},
};

/// Every scope but the operator's.
const OTHERS: [&str; 7] = [
    "UPLOAD",
    "UPDATE",
    "DELETE",
    "EXPORT_REDACTED",
    "EXPORT_NON_REDACTED",
    "EXPORT_SUMMARIZATION",
    "BACKUP",
];

/// Asks every method, and gives what each answered.
async fn every_method(server: &Server, token: Option<&str>) -> Vec<Result<(), Status>> {
    let url = format!("http://{}", server.daemon.admin);
    let mut admin = AdminServiceClient::connect(url).await.unwrap();
    let job_id = "01900000-0000-7000-8000-000000000000".to_owned();
    macro_rules! ask {
        ($method:ident, $message:expr) => {{
            let mut request = Request::new($message);
            if let Some(token) = token {
                request.metadata_mut().insert("authorization", token.parse().unwrap());
            }
            admin.$method(request).await.map(drop)
        }};
    }
    vec![
        ask!(pause, PauseRequest { everything: true, ..PauseRequest::default() }),
        ask!(resume, ResumeRequest { everything: true, ..ResumeRequest::default() }),
        ask!(list_pauses, ListPausesRequest {}),
        ask!(release_job, ReleaseJobRequest { job_id: job_id.clone() }),
        ask!(explain_job, ExplainJobRequest { job_id }),
        ask!(get_config, GetConfigRequest {}),
        ask!(get_log_level, GetLogLevelRequest {}),
        ask!(set_log_level, SetLogLevelRequest { level: "error".to_owned() }),
        ask!(get_overview, GetOverviewRequest {}),
        ask!(drain, DrainRequest {}),
    ]
}

fn reason(answer: &Result<(), Status>) -> (Code, String) {
    let status = answer.as_ref().unwrap_err();
    (status.code(), status.get_details_error_info().unwrap().reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_scope_is_refused_everywhere_and_one_with_it_nowhere() {
    let all = [&OTHERS[..], &["ADMIN"]].concat();
    let server = Server::with_clients(&clients::block("A", "TA", &all, ""));
    for scopes in OTHERS.map(|scope| vec![scope]).into_iter().chain([OTHERS.to_vec()]) {
        let token = clients::token(&server, "A", &scopes);
        for (n, answer) in every_method(&server, Some(&token)).await.iter().enumerate() {
            let expected = (Code::PermissionDenied, "CVRS-SCOPE".to_owned());
            assert_eq!(reason(answer), expected, "{scopes:?} {n}");
        }
    }
    for answer in every_method(&server, None).await {
        assert_eq!(reason(&answer), (Code::Unauthenticated, "CVRS-TOKEN-MISSING".to_owned()));
    }
    let token = clients::token(&server, "A", &["ADMIN"]);
    let paused = admin(&server.daemon, &["paused", "--token", &token, "--output", "json"]);
    assert_eq!(paused, "[]\n", "what was refused has paused nothing");
    assert_eq!(admin(&server.daemon, &["level", "--token", &token]), "warn\n");
    for (n, answer) in every_method(&server, Some(&token)).await.iter().enumerate() {
        // Release and explain ask about a job that is not there.
        match n {
            3 | 4 => assert_eq!(reason(answer), (Code::NotFound, "CVRS-JOB-NOT-FOUND".to_owned())),
            _ => assert!(answer.is_ok(), "{n}: {answer:?}"),
        }
    }
    assert!(server.daemon.wait().success());
}

#[test]
fn a_client_that_is_not_granted_the_scope_gets_no_token_for_it() {
    let server = Server::with_clients(&clients::block("A", "TA", &OTHERS, ""));
    let answer = clients::generate(&server, &clients::asked("A", &["ADMIN"]));
    assert_eq!(answer.problem(), (403, "CVRS-SCOPE".to_owned()));
    let token = clients::token(&server, "A", &OTHERS);
    let output = run(&server.daemon, &["admin", "pause", "--all", "--token", &token]);
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line, "cvrsd: the token does not have the scope ADMIN (CVRS-SCOPE)\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_a_browser_operates_the_daemon() {
    let server = Server::new();
    let url = format!("http://{}/cvrsd.admin.v1.AdminService/Pause", server.daemon.admin);
    // Pauses everything.
    let body = b"\x00\x00\x00\x00\x02\x10\x01".to_vec();
    for (kind, origin) in [
        ("text/plain", Some("https://elsewhere.example")),
        ("text/plain", None),
        ("application/grpc", Some("https://elsewhere.example")),
    ] {
        let mut request = reqwest::Client::new().post(&url).header("content-type", kind);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), reqwest::StatusCode::FORBIDDEN, "{kind} {origin:?}");
    }
    assert_eq!(admin(&server.daemon, &["resume", "--all"]), "no effect, it was not paused\n");
}
