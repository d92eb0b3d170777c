//! Compares cvrsd with what else could do the same work, both sides in one run.
//!
//! `cargo bench --bench compare -- NAME… [--runs N] [--rows N] [--json FILE]`; without a name it lists
//! them. Each measurement runs the real program as a child process, with real files and real gRPC, and
//! alternates with its yardstick. No ratio fails a run; a wrong result does (exit code 1).

mod args;
mod bare;
mod child;
mod client;
mod daemon;
mod figures;
mod inputs;
mod machine;
mod measure;
mod report;
mod scratch;
mod yardstick;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use self::{
    args::{Args, Name},
    inputs::Inputs,
    report::Report,
    scratch::Scratch,
};

/// Whatever can go wrong; it is only ever shown.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// What every measurement works with.
struct Bench {
    args: Args,
    scratch: Scratch,
    inputs: Inputs,
    report: Report,
}

impl Bench {
    /// Runs of each side, unless the command line says otherwise.
    fn runs(&self, default: usize) -> usize {
        self.args.runs.unwrap_or(default).max(1)
    }

    /// Rows of the input, unless the command line says otherwise.
    fn rows(&self, default: u64) -> u64 {
        self.args.rows.unwrap_or(default).max(1)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::from)
        .and_then(|runtime| {
            let ended = runtime.block_on(start(args));
            runtime.shutdown_timeout(Duration::from_secs(5));
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::note(&format!("compare: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn start(args: Args) -> Result<()> {
    if let Some(dir) = &args.serve_bare {
        return bare::serve(dir).await;
    }
    let names = args.chosen();
    if names.is_empty() {
        return args::list();
    }
    let scratch = Scratch::new(args.dir.as_deref())?;
    child::end_with_signals()?;
    let mut report = Report::new(args.json.as_deref())?;
    report.machine(scratch.path())?;
    let inputs = Inputs::new(scratch.path().join("inputs"))?;
    let mut bench = Bench { args, scratch, inputs, report };
    for name in names {
        run(&mut bench, name).await.map_err(|e| format!("{}: {e}", name.as_str()))?;
    }
    Ok(())
}

async fn run(bench: &mut Bench, name: Name) -> Result<()> {
    bench.report.begin(name)?;
    match name {
        Name::Delete => measure::delete::run(bench).await,
        Name::Create => measure::create::run(bench).await,
        Name::Jobs => measure::jobs::run(bench, measure::jobs::MANY).await,
        Name::Lane => measure::jobs::run(bench, measure::jobs::ONE).await,
        Name::Latency => measure::latency::run(bench).await,
        Name::Share => measure::share::run(bench).await,
        Name::Submit => measure::submit::run(bench).await,
        Name::Memory => measure::memory::run(bench).await,
        Name::Start => measure::start::run(bench).await,
        Name::Watch => measure::watch::run(bench).await,
        Name::Crowd => measure::crowd::run(bench).await,
        Name::Validate => measure::validate::run(bench).await,
        Name::Trickle => measure::trickle::run(bench).await,
        Name::Stalls => measure::stalls::run(bench).await,
        Name::Growth => measure::growth::run(bench).await,
        Name::Plot => measure::plot::run(bench),
    }
}
