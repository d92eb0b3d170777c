//! `cvrsd admin explain`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::pause::pause_json;
use crate::{
    cli::{
        Failure,
        client::{AdminTarget, refused},
        render::{self, Output},
    },
    proto::admin::{ExplainJobRequest, ExplainJobResponse, QuotaUse},
};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Job id, of any tenant
    job: String,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: AdminTarget,
}

/// Prints one sentence, and what it is made of.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let mut admin = args.target.connect().await?;
    let request = ExplainJobRequest { job_id: args.job };
    let answer = admin.explain_job(request).await.map_err(|s| refused(&s))?.into_inner();
    match args.output {
        Output::Text => render::print(text(&answer)),
        Output::Json => render::print_line(in_json(&answer)),
    }
}

fn reason(answer: &ExplainJobResponse) -> &'static str {
    answer.reason().as_str_name().trim_start_matches("WAIT_REASON_")
}

fn in_json(answer: &ExplainJobResponse) -> Value {
    let quota = answer.quota.clone().unwrap_or_default();
    let failure = (!answer.failure_code.is_empty())
        .then(|| json!({ "code": answer.failure_code, "message": answer.failure_message }));
    json!({
        "summary": answer.summary,
        "reason": reason(answer),
        "job_id": answer.job_id,
        "tenant": answer.tenant,
        "status": answer.status,
        "cancel_requested": answer.cancel_requested,
        "jobs_ahead": answer.jobs_ahead,
        "first_job_id": (!answer.first_job_id.is_empty()).then_some(&answer.first_job_id),
        "pauses": answer.pauses.iter().map(pause_json).collect::<Vec<_>>(),
        "held": answer.held,
        "attempt": answer.attempt,
        "attempts_max": answer.attempts_max,
        "retry_time": answer.retry_time.map(render::time),
        "failure": failure,
        "workers_busy": answer.workers_busy,
        "workers": answer.workers,
        "quota": {
            "client": quota.client,
            "uploads": quota.uploads,
            "uploads_max": quota.uploads_max,
            "jobs": quota.jobs,
            "jobs_max": quota.jobs_max,
            "spool_bytes": quota.spool_bytes,
            "spool_bytes_max": quota.spool_bytes_max,
        },
        "below_disk_reserve": answer.below_disk_reserve,
    })
}

fn text(answer: &ExplainJobResponse) -> String {
    let mut text = format!("{}\n\n", answer.summary);
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11} {value}");
    };
    let held = if answer.held { ", held" } else { "" };
    let cancel = if answer.cancel_requested { ", cancel requested" } else { "" };
    fact("job", answer.job_id.clone());
    fact("tenant", answer.tenant.clone());
    fact("status", format!("{}{held}{cancel}", answer.status));
    fact("reason", reason(answer).to_owned());
    if let Some(ahead) = answer.jobs_ahead {
        fact("jobs ahead", render::count(ahead));
    }
    fact("attempt", format!("{} of {}", answer.attempt, answer.attempts_max));
    if let Some(at) = answer.retry_time {
        fact("next try", render::time(at));
    }
    if !answer.failure_code.is_empty() {
        fact("failure", format!("{} ({})", answer.failure_message, answer.failure_code));
    }
    fact("workers", format!("{} of {} busy", answer.workers_busy, answer.workers));
    if let Some(quota) = &answer.quota {
        fact("client", client(quota));
    }
    if answer.below_disk_reserve {
        fact("disk", "below the reserve, uploads are refused".to_owned());
    }
    text
}

/// What the client has on its way, each with its bound where there is one.
fn client(quota: &QuotaUse) -> String {
    let of =
        |max: Option<u64>| max.map_or(String::new(), |max| format!(" of {}", render::count(max)));
    format!(
        "{}: {}{} uploads, {}{} jobs, {}{} bytes",
        if quota.client.is_empty() { "-" } else { &quota.client },
        quota.uploads,
        of(quota.uploads_max.map(u64::from)),
        quota.jobs,
        of(quota.jobs_max.map(u64::from)),
        render::count(quota.spool_bytes),
        of(quota.spool_bytes_max),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::admin::{Pause, WaitReason};

    fn answer() -> ExplainJobResponse {
        let quota =
            QuotaUse { client: "c".to_owned(), jobs: 2, jobs_max: Some(5), ..<_>::default() };
        ExplainJobResponse {
            summary: "everything is paused by me".to_owned(),
            reason: WaitReason::Paused.into(),
            job_id: "0190".to_owned(),
            status: "QUEUED".to_owned(),
            jobs_ahead: Some(3),
            pauses: vec![Pause { by: "me".to_owned(), ..Pause::default() }],
            attempts_max: 10,
            quota: Some(quota),
            ..ExplainJobResponse::default()
        }
    }

    #[test]
    fn the_sentence_comes_first_and_facts_that_are_not_there_are_left_out() {
        let text = text(&answer());
        assert!(text.starts_with("everything is paused by me\n\njob         0190\n"), "{text}");
        assert!(text.contains("reason      PAUSED\njobs ahead  3\n"), "{text}");
        assert!(text.contains("c: 0 uploads, 2 of 5 jobs, 0 bytes\n"), "{text}");
        assert!(!text.contains("failure") && !text.contains("next try"), "{text}");
    }

    #[test]
    fn json_has_every_member_and_null_for_what_is_not_there() {
        let json = in_json(&answer());
        assert_eq!((&json["reason"], &json["jobs_ahead"]), (&"PAUSED".into(), &3.into()));
        assert_eq!(json["pauses"][0]["tenant"], Value::Null);
        assert_eq!((&json["failure"], &json["retry_time"]), (&Value::Null, &Value::Null));
        assert_eq!(json["quota"]["jobs_max"], 5);
    }
}
