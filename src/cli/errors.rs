//! `cvrsd errors`: the complete error report of a job.

use serde_json::json;

use super::{
    Failure,
    client::{Target, refused},
    render::{self, Output},
};
use crate::proto::jobs::{GetJobRequest, ListJobErrorsRequest, RowError, RowErrorKind, Status};

const HEADER: &str = "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage\n";

/// Options of `errors`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id
    job: String,
    /// text is tab-separated with a header; json is one object a line
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

/// Writes the report as it comes.
///
/// # Errors
/// When there is no such job or no server. The report is then not complete.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut jobs = args.target.connect().await?;
    // Asked for before the report, so that a job which ends meanwhile is not taken for ended.
    let request = GetJobRequest { job_id: args.job.clone() };
    let job = jobs.get_job(request).await.map_err(|s| refused(&s))?.into_inner().job;
    let request = ListJobErrorsRequest { job_id: args.job };
    let mut stream = jobs.list_job_errors(request).await.map_err(|s| refused(&s))?.into_inner();
    if args.output == Output::Text {
        render::print(HEADER)?;
    }
    while let Some(piece) = stream.message().await.map_err(|s| refused(&s))? {
        let write = match args.output {
            Output::Text => tsv,
            Output::Json => ndjson,
        };
        render::print(piece.errors.iter().map(write).collect::<String>())?;
    }
    if job.is_none_or(|job| job.status() != Status::Completed) {
        render::note("the job had not ended: these were its errors so far");
    }
    Ok(())
}

/// `validation` or `processing`.
fn kind(error: &RowError) -> &'static str {
    match error.kind() {
        RowErrorKind::Validation => "validation",
        RowErrorKind::Processing => "processing",
        RowErrorKind::Unspecified => "",
    }
}

fn tsv(error: &RowError) -> String {
    let texts = [
        kind(error),
        &error.storage,
        &error.vax_event_id,
        &error.recip_id,
        &error.field,
        &error.code,
        &error.message,
    ];
    let mut line = error.line.to_string();
    for text in texts {
        line.push('\t');
        line.push_str(&render::cell(text));
    }
    line.push('\n');
    line
}

fn ndjson(error: &RowError) -> String {
    let object = json!({
        "line": error.line,
        "kind": kind(error),
        "storage": error.storage,
        "vax_event_id": error.vax_event_id,
        "recip_id": error.recip_id,
        "field": error.field,
        "code": error.code,
        "message": error.message,
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_of_eight_cells_in_both_forms() {
        let error = RowError {
            line: 7,
            kind: RowErrorKind::Processing.into(),
            storage: "REDACTED_DB".to_owned(),
            vax_event_id: "EV\t1".to_owned(),
            recip_id: String::new(),
            field: String::new(),
            code: "CVRS-X".to_owned(),
            message: "Record does not exist".to_owned(),
        };
        let line = tsv(&error);
        assert_eq!(line, "7\tprocessing\tREDACTED_DB\tEV?1\t\t\tCVRS-X\tRecord does not exist\n");
        assert_eq!(line.split('\t').count(), HEADER.split('\t').count());
        let object: serde_json::Value = serde_json::from_str(&ndjson(&error)).unwrap();
        assert_eq!(object["line"], 7);
        assert_eq!(object["vax_event_id"], "EV\t1");
        for name in HEADER.trim_end().split('\t') {
            assert!(object.get(name).is_some(), "{name}");
        }
    }
}
