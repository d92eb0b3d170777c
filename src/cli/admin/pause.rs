//! `cvrsd admin pause`, `resume` and `paused`.

use serde_json::{Value, json};

use crate::{
    cli::{
        Failure,
        client::{AdminTarget, refused},
        render::{self, Output},
    },
    proto::admin::{ListPausesRequest, Pause as Paused, PauseRequest, ResumeRequest},
};

const HEADER: [&str; 4] = ["paused", "since", "by", "reason"];

/// Options of `pause`.
#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    #[command(flatten)]
    lanes: Lanes,
    /// Why, for whoever looks later; at most 200 characters
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Jobs that run stop at their next checkpoint, too; else they go on to their end
    #[arg(long)]
    now: bool,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: AdminTarget,
}

/// Options of `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    #[command(flatten)]
    lanes: Lanes,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: AdminTarget,
}

/// Options of `paused`.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// How to write the pauses
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    target: AdminTarget,
}

/// Whose jobs.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Lanes {
    /// Those of this tenant
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
    /// Those of every tenant; pauses of single tenants are apart from it
    #[arg(long)]
    all: bool,
}

/// Pauses, and prints the pause.
pub(super) async fn pause(args: Pause) -> Result<(), Failure> {
    let mut admin = args.target.connect().await?;
    let Lanes { tenant, all: everything } = args.lanes;
    let tenant = tenant.unwrap_or_default();
    let request = PauseRequest { tenant, everything, reason: args.reason, now: args.now };
    let answer = admin.pause(request).await.map_err(|s| refused(&s))?.into_inner();
    let pause = answer.pause.unwrap_or_default();
    match args.output {
        Output::Text => render::print_line(table(&[pause])),
        Output::Json => render::print_line(pause_json(&pause)),
    }
}

/// Resumes, and says whether that changed anything and what is still paused.
pub(super) async fn resume(args: Resume) -> Result<(), Failure> {
    let mut admin = args.target.connect().await?;
    let Lanes { tenant, all: everything } = args.lanes;
    let request = ResumeRequest { tenant: tenant.unwrap_or_default(), everything };
    let answer = admin.resume(request).await.map_err(|s| refused(&s))?.into_inner();
    let pauses = &answer.pauses;
    if args.output == Output::Json {
        let left = pauses.iter().map(pause_json).collect::<Vec<_>>();
        return render::print_line(json!({ "resumed": answer.resumed, "pauses": left }));
    }
    render::print_line(if answer.resumed { "resumed" } else { "no effect, it was not paused" })?;
    if pauses.is_empty() {
        return Ok(());
    }
    render::print_line(format_args!("still paused:\n{}", table(pauses)))
}

/// Lists what is paused.
pub(super) async fn list(args: List) -> Result<(), Failure> {
    let mut admin = args.target.connect().await?;
    let answer = admin.list_pauses(ListPausesRequest {}).await.map_err(|s| refused(&s))?;
    let pauses = answer.into_inner().pauses;
    match args.output {
        Output::Text => render::print_line(table(&pauses)),
        Output::Json => {
            let pauses = pauses.iter().map(pause_json).collect::<Vec<_>>();
            render::print_line(Value::from(pauses))
        }
    }
}

fn table(pauses: &[Paused]) -> String {
    let row = |pause: &Paused| {
        let tenant = if pause.tenant.is_empty() { "everything" } else { &pause.tenant };
        let since = pause.since.map(render::time).unwrap_or_default();
        vec![tenant.to_owned(), since, pause.by.clone(), render::cell(&pause.reason)]
    };
    render::table(&HEADER, pauses.iter().map(row)).trim_fmt()
}

/// A pause with the members of its message; everything has no tenant.
pub(super) fn pause_json(pause: &Paused) -> Value {
    json!({
        "tenant": (!pause.tenant.is_empty()).then_some(&pause.tenant),
        "since": pause.since.map(render::time),
        "by": pause.by,
        "reason": pause.reason,
    })
}
