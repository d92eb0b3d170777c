//! `cvrsd admin level`.

use serde_json::json;

use crate::{
    cli::{
        Failure,
        client::{AdminTarget, refused},
        render::{self, Output},
    },
    proto::admin::{GetLogLevelRequest, SetLogLevelRequest},
};

/// Options of `level`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A level (off, error, warn, info, debug, trace) or a target=level list with commas
    level: Option<String>,
    /// Go back to the configured level
    #[arg(long, conflicts_with = "level")]
    reset: bool,
    /// How to write the levels
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: AdminTarget,
}

/// Sets the level where one is given, and prints it.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let mut admin = args.target.connect().await?;
    let (level, configured) = if let Some(level) = args.level.or(args.reset.then(String::new)) {
        let request = SetLogLevelRequest { level };
        let answer = admin.set_log_level(request).await.map_err(|s| refused(&s))?.into_inner();
        (answer.level, answer.configured)
    } else {
        let request = GetLogLevelRequest {};
        let answer = admin.get_log_level(request).await.map_err(|s| refused(&s))?.into_inner();
        (answer.level, answer.configured)
    };
    match args.output {
        Output::Json => render::print_line(json!({ "level": level, "configured": configured })),
        Output::Text if level == configured => render::print_line(level),
        Output::Text => render::print_line(format_args!("{level} (configured: {configured})")),
    }
}
