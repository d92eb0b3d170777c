//! `cvrsd top`: jobs, lanes and health, as they change. It looks and changes nothing.

mod draw;
mod screen;
mod snapshot;
mod view;

use std::time::Duration;

use ratatui::{buffer::Buffer, layout::Rect, widgets::Widget};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use self::{draw::Frame, snapshot::Snapshot, view::View};
use super::{
    Failure,
    client::{Admin, Jobs, Targets},
    render,
};
use crate::exit::Exit;

/// Columns of what is printed once.
const COLUMNS: u16 = 120;

/// Options of `top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one picture as plain text and end; so it is too where standard output is no terminal
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    #[command(flatten)]
    targets: Targets,
}

/// Shows until `q`, or once.
///
/// # Errors
/// When there is no server, it refuses, or the terminal cannot be used.
pub async fn run(args: Args) -> Result<(), Failure> {
    let (mut jobs, mut admin) = args.targets.connect().await?;
    let every = Duration::from_secs(args.every);
    let first = snapshot::take(&mut jobs, &mut admin).await?;
    if args.once || !render::draws(&std::io::stdout()) {
        return render::print(plain(first));
    }
    let (sender, snapshots) = watch::channel(first);
    let stop = CancellationToken::new();
    let looking = tokio::spawn(look(jobs, admin, every, sender));
    let ended_from_outside = tokio::spawn(signals(stop.clone()));
    let colours = render::colours(&std::io::stdout());
    // The terminal is read and drawn on a thread of its own.
    let shown = tokio::task::spawn_blocking(move || screen::show(&snapshots, &stop, colours)).await;
    looking.abort();
    ended_from_outside.abort();
    let failed = |e: std::io::Error| Failure::new(Exit::Failed, format!("the terminal: {e}"));
    shown.map_err(|e| Failure::new(Exit::Failed, e.to_string()))?.map_err(failed)
}

/// One picture, without colours.
fn plain(snapshot: Snapshot) -> String {
    let mut view = View::default();
    view.take(snapshot);
    let frame = Frame { view: &view, colours: false, keys: false };
    let area = Rect::new(0, 0, COLUMNS, frame.height());
    let mut buffer = Buffer::empty(area);
    frame.render(area, &mut buffer);
    draw::text(&buffer)
}

/// Looks again and again. What cannot be seen is told, and looked for again.
async fn look(mut jobs: Jobs, mut admin: Admin, every: Duration, seen: watch::Sender<Snapshot>) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match snapshot::take(&mut jobs, &mut admin).await {
            Ok(snapshot) => drop(seen.send_replace(snapshot)),
            Err(failure) => seen.send_modify(|last| last.trouble = Some(failure.message)),
        }
    }
}

/// Ends the view on a signal, so that the terminal is as it was.
async fn signals(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    stop.cancel();
}
