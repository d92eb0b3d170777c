//! Why a job does not move.

use crate::{
    bench::{admin, explain, run, submit},
    support::http::Server,
};

#[test]
fn a_job_that_is_not_there_is_refused_like_anywhere() {
    let server = Server::new();
    for (job, code) in
        [("0190", "CVRS-JOB-ID"), ("01900000-0000-7000-8000-000000000000", "CVRS-JOB-NOT-FOUND")]
    {
        for command in ["explain", "release"] {
            let output = run(&server.daemon, &["admin", command, job]);
            assert_eq!(output.status.code(), Some(1));
            let line = String::from_utf8(output.stderr).unwrap();
            assert!(line.contains(code) && line.lines().count() == 1, "{line}");
        }
    }
}

#[test]
fn an_explanation_is_one_sentence_and_its_facts_in_both_forms() {
    let server = Server::with(&[("CVRSD__DATA__RESERVE_BYTES", "0")]);
    let job = submit(&server, 3);
    server.wait(&job);
    let told = explain(&server.daemon, &job);
    assert_eq!(told["summary"], "the job has ended: SUCCEEDED");
    assert_eq!((&told["status"], &told["workers"]), (&"COMPLETED".into(), &4.into()));
    assert_eq!((&told["jobs_ahead"], &told["held"]), (&serde_json::Value::Null, &false.into()));
    assert_eq!(
        (&told["quota"]["client"], &told["below_disk_reserve"]),
        (&"local".into(), &false.into())
    );
    let text = admin(&server.daemon, &["explain", &job]);
    assert!(text.starts_with("the job has ended: SUCCEEDED\n\njob         "), "{text}");
}
