//! Acting for another client, and what a client's own settings mean for its jobs.

use cvrsd::proto::admin::CountRecordsRequest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    bench::{ALL, Bench, JOBS, asked, client, id_of, problem, refused, token_of},
    support::files,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_on_behalf_of_another_is_the_others() {
    let more = client("AGG", "TAGG", "act_for = [\"A\", \"V\"]")
        + &client(
            "V",
            "TV",
            "storages = [\"REDACTED_DB\"]\nvalidate_only = true\nscopes = [\"DELETE\"]",
        );
    let bench = Bench::new(&more);
    let behalf = async |other: &str, scopes: &[&str]| {
        let mut body = asked("AGG", scopes);
        body["onBehalfOfClientID"] = json!(other);
        bench.post("/v0/token/gen", body).await
    };
    let acting = token_of(behalf("A", ALL).await).await;
    let job = bench.run(Method::POST, &acting, 0..3).await;
    assert_eq!(job["outcome"], "SUCCEEDED");
    let path = format!("{JOBS}/{}", job["id"].as_str().unwrap());
    let (own, other) = (bench.token("A", ALL).await, bench.token("AGG", ALL).await);
    assert_eq!(bench.get(&path, &own).await.status(), 200);
    assert_eq!(problem(bench.get(&path, &other).await).await, refused(404, "CVRS-JOB-NOT-FOUND"));

    let validating = token_of(behalf("V", &["DELETE"]).await).await;
    let job = bench.run(Method::DELETE, &validating, 0..3).await;
    assert_eq!((&job["storageResult"], &job["rowsValid"]), (&json!({}), &json!(3)));

    assert_eq!(problem(behalf("B", ALL).await).await, refused(403, "CVRS-ON-BEHALF"));
    assert_eq!(problem(behalf("nobody", ALL).await).await, refused(403, "CVRS-ON-BEHALF"));
    assert_eq!(problem(behalf("V", ALL).await).await, refused(403, "CVRS-SCOPE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn acting_for_a_client_that_may_do_more_widens_nothing() {
    let redacted = "storages = [\"REDACTED_DB\"]\nact_for = [\"A\", \"F\"]";
    let more = client("R", "TR", redacted)
        + &client("CHECK", "TC", "validate_only = true\nact_for = [\"A\"]")
        + &client("F", "TF", "storages = [\"NON_REDACTED_DB\"]");
    let bench = Bench::new(&more);
    let behalf = async |client: &str, other: &str| {
        let mut body = asked(client, ALL);
        body["onBehalfOfClientID"] = json!(other);
        bench.post("/v0/token/gen", body).await
    };
    let redacted = token_of(behalf("R", "A").await).await;
    let job = bench.run(Method::POST, &redacted, 0..3).await;
    let results = job["storageResult"].as_object().unwrap();
    assert_eq!(results.keys().collect::<Vec<_>>(), ["REDACTED_DB"]);

    let checking = token_of(behalf("CHECK", "A").await).await;
    let job = bench.run(Method::DELETE, &checking, 0..3).await;
    assert_eq!((&job["storageResult"], &job["rowsValid"]), (&json!({}), &json!(3)));

    assert_eq!(problem(behalf("R", "F").await).await, refused(403, "CVRS-ON-BEHALF"));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_client_touch_its_own_storages_only_and_its_tenant_sees_them() {
    let bench = Bench::new(&client("R", "TA", "storages = [\"REDACTED_DB\"]"));
    let (redacted, both) = (bench.token("R", ALL).await, bench.token("A", ALL).await);
    let job = bench.run(Method::POST, &redacted, 0..3).await;
    let results = job["storageResult"].as_object().unwrap();
    assert_eq!(results.keys().collect::<Vec<_>>(), ["REDACTED_DB"]);
    let path = format!("{JOBS}/{}", job["id"].as_str().unwrap());
    assert_eq!(bench.get(&path, &both).await.status(), 200);
    bench.run(Method::POST, &both, 3..5).await;
    let counts = async |token: &str| {
        let request = CountRecordsRequest::default();
        let reply = bench.records(token).await.count_records(request).await.unwrap();
        let counts = reply.into_inner().counts.into_iter();
        counts.map(|c| (c.tenant, c.storage, c.count)).collect::<Vec<_>>()
    };
    let of = |storage: &str, count| ("TA".to_owned(), storage.to_owned(), count);
    assert_eq!(counts(&both).await, [of("NON_REDACTED_DB", 2), of("REDACTED_DB", 5)]);
    assert_eq!(counts(&redacted).await, [of("REDACTED_DB", 5)]);
    assert_eq!(counts(&bench.token("B", ALL).await).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_other_storages_cannot_repeat_anothers_request() {
    let more = client("R", "TA", "storages = [\"REDACTED_DB\"]") + &client("A2", "TA", "");
    let bench = Bench::new(&more);
    let send = async |client: &str, key: &str| {
        let token = bench.token(client, ALL).await;
        let request = bench.request(Method::POST, JOBS, &token).header("idempotency-key", key);
        let request = request.header("content-type", "text/plain");
        request.body(files::text(1, 0..2)).send().await.unwrap()
    };
    for (key, first, other) in [("k1", "A", "R"), ("k2", "R", "A")] {
        let job = id_of(send(first, key).await).await;
        let refusal: Value = send(other, key).await.json().await.unwrap();
        assert_eq!(refusal["code"], "CVRS-REQUEST-CONFLICT");
        let detail = refusal["detail"].as_str().unwrap();
        for part in [&*job, "create in REDACTED_DB,", "create in NON_REDACTED_DB and REDACTED_DB,"]
        {
            assert!(detail.contains(part), "{detail}");
        }
        assert_eq!(id_of(send(first, key).await).await, job);
    }
    let job = id_of(send("A", "k3").await).await;
    assert_eq!(id_of(send("A2", "k3").await).await, job, "one with the same storages can");
}
