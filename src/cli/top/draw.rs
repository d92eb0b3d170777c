//! One picture of the view.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, Table, Widget},
};

use super::view::{View, progress};
use crate::{
    cli::render,
    proto::{
        admin::{GetOverviewResponse, Lane},
        jobs::{Job, Status},
    },
};

/// Lines of health above the lanes.
const HEALTH_LINES: u16 = 5;
/// Lanes that are shown.
const LANES: usize = 8;
/// Characters of a bar.
const BAR: usize = 20;

/// A picture of the view.
pub(super) struct Frame<'a> {
    pub view: &'a View,
    pub colours: bool,
    /// A last line tells the keys.
    pub keys: bool,
}

impl Frame<'_> {
    /// Lines that show all jobs.
    pub(super) fn height(&self) -> u16 {
        let jobs = u16::try_from(self.view.jobs().len()).unwrap_or(u16::MAX);
        let fixed = 2 + self.health_lines() + self.lane_lines() + u16::from(self.keys);
        jobs.saturating_add(fixed)
    }

    fn overview(&self) -> Option<&GetOverviewResponse> {
        self.view.seen.as_ref()?.overview.as_ref()
    }

    fn health_lines(&self) -> u16 {
        if self.overview().is_some() { HEALTH_LINES } else { 1 }
    }

    /// With their heading, and a blank line after.
    fn lane_lines(&self) -> u16 {
        let lanes = self.overview().map_or(0, |overview| overview.lanes.len().min(LANES));
        if lanes == 0 { 1 } else { u16::try_from(lanes).unwrap_or(0) + 2 }
    }

    fn colour(&self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn heading(&self) -> Style {
        if self.colours { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() }
    }

    /// The first line: what it is, how it is, and what needs an eye.
    fn title(&self) -> Line<'static> {
        let mut parts = vec![Span::styled("cvrsd", self.heading())];
        if let Some(overview) = self.overview() {
            let up = overview.start_time.map(since).map(render::duration).unwrap_or_default();
            let serving = overview.phase == "serving";
            let colour = if serving { Color::Green } else { Color::Yellow };
            parts.push(format!(" {}  ", overview.version).into());
            parts.push(Span::styled(overview.phase.clone(), self.colour(colour)));
            parts.push(format!("  up {up}").into());
            for pause in &overview.pauses {
                let what = if pause.tenant.is_empty() { "everything" } else { &pause.tenant };
                let text = format!("  paused: {what}");
                parts.push(Span::styled(text, self.colour(Color::Yellow)));
            }
        }
        if let Some(trouble) = self.view.seen.as_ref().and_then(|seen| seen.trouble.as_ref()) {
            parts.push(Span::styled(format!("  {trouble}"), self.colour(Color::Red)));
        }
        Line::from(parts)
    }

    fn health(&self) -> Vec<Line<'static>> {
        let Some(overview) = self.overview() else { return Vec::new() };
        let jobs = overview.jobs.unwrap_or_default();
        let oldest = jobs.oldest_queued.map(since).map(render::duration);
        let oldest = oldest.map_or(String::new(), |age| format!(" (oldest {age})"));
        let count = render::count;
        let attention = |number: u64, name: &str| {
            let colour = if number > 0 { self.colour(Color::Red) } else { Style::new() };
            Span::styled(format!("  {name} {}", count(number)), colour)
        };
        let at_work = format!(
            "jobs     queued {}{oldest}  de-queued {}  validating {}  processing {}",
            count(jobs.queued),
            count(jobs.de_queued),
            count(jobs.validating),
            count(jobs.processing),
        );
        let ended = format!(
            "ended    succeeded {}  partial {}  failed {}  cancelled {}",
            count(overview.jobs_succeeded),
            count(overview.jobs_partial),
            count(overview.jobs_failed),
            count(overview.jobs_cancelled),
        );
        let (busy, all) = (u64::from(overview.workers_busy), u64::from(overview.workers));
        let rates = self.view.rows_per_s.map_or(String::new(), |(checked, processed)| {
            format!("  rows/s checked {} processed {}", count(checked), count(processed))
        });
        let workers = format!("workers  {} {busy} of {all} busy{rates}", bar(busy, all));
        let (free, reserve) = (overview.disk_free_bytes, overview.disk_reserve_bytes);
        let low = if free < reserve { self.colour(Color::Red) } else { Style::new() };
        let disk = format!("{} free, reserve {}", render::bytes(free), render::bytes(reserve));
        let rest = format!(
            "  journal {}  records {}  uploads {}  watchers {}",
            render::bytes(overview.journal_bytes),
            render::bytes(overview.records_bytes),
            overview.uploads,
            overview.watchers,
        );
        vec![
            Line::from(vec![
                at_work.into(),
                attention(jobs.retrying, "retrying"),
                attention(jobs.held, "held"),
            ]),
            Line::from(ended),
            Line::from(workers),
            Line::from(vec!["disk     ".into(), Span::styled(disk, low), rest.into()]),
            Line::default(),
        ]
    }

    fn lanes(&self) -> Option<Table<'static>> {
        let overview = self.overview().filter(|overview| !overview.lanes.is_empty())?;
        let state = |lane: &Lane| match lane {
            Lane { running: 1.., .. } => ("running", Color::Green),
            Lane { paused: true, .. } => ("paused", Color::Yellow),
            Lane { held: true, .. } => ("held", Color::Red),
            Lane { retrying: true, .. } => ("retrying", Color::Yellow),
            _ => ("waiting", Color::Reset),
        };
        let row = |lane: &Lane| {
            let (text, colour) = state(lane);
            Row::new(vec![
                Cell::from(lane.tenant.clone()),
                Cell::from(render::count(lane.waiting)),
                Cell::from(render::count(lane.running)),
                Cell::from(Span::styled(text, self.colour(colour))),
                Cell::from(lane.first_job_id.clone()),
            ])
        };
        let more = overview.lanes_total.saturating_sub(LANES as u64);
        let lane = if more > 0 { format!("lane (and {more} more)") } else { "lane".to_owned() };
        let header = ["waiting", "running", "state", "first job"].map(str::to_owned);
        let header = std::iter::once(lane).chain(header).collect::<Vec<_>>();
        let widths = [24, 10, 8, 9, 36].map(Constraint::Length);
        let rows = overview.lanes.iter().take(LANES).map(row);
        Some(Table::new(rows, widths).header(Row::new(header).style(self.heading())))
    }

    fn jobs(&self) -> Table<'static> {
        let rows = self.view.jobs().into_iter().map(|job| {
            let (done, all) = progress(job);
            let shown = match (job.status(), all) {
                (Status::Processing, Some(all)) => bar(done, all),
                _ => String::new(),
            };
            let rows = match all.filter(|all| *all != done) {
                Some(all) => format!("{}/{}", render::count(done), render::count(all)),
                None => render::count(done),
            };
            let rate = self.view.rate(job).map(render::count).unwrap_or_default();
            let (state, colour) = state(job);
            Row::new(vec![
                Cell::from(job.job_id.clone()),
                Cell::from(render::operation(job.operation)),
                Cell::from(Span::styled(state, self.colour(colour))),
                Cell::from(shown),
                Cell::from(rows),
                Cell::from(rate),
            ])
        });
        let header = ["job", "op", "status", "", "rows", "rows/s"];
        let bar = u16::try_from(BAR + 2).unwrap_or(0);
        let widths = [36, 6, 21, bar, 21, 9].map(Constraint::Length);
        Table::new(rows, widths).header(Row::new(header).style(self.heading()))
    }
}

impl Widget for Frame<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let keys = u16::from(self.keys);
        let heights = [
            Constraint::Length(1),
            Constraint::Length(self.health_lines()),
            Constraint::Length(self.lane_lines()),
            Constraint::Min(0),
            Constraint::Length(keys),
        ];
        let [title, health, lanes, jobs, last] = Layout::vertical(heights).areas(area);
        Paragraph::new(self.title()).render(title, buffer);
        Paragraph::new(self.health()).render(health, buffer);
        if let Some(table) = self.lanes() {
            Widget::render(table, lanes, buffer);
        }
        Widget::render(self.jobs(), jobs, buffer);
        if self.keys {
            let filter = self.view.filter_name();
            let text = format!("q quit   up/down scroll   left/right status: {filter}");
            Paragraph::new(Span::styled(text, self.colour(Color::Cyan))).render(last, buffer);
        }
    }
}

/// Where a job stands, in a word or two.
fn state(job: &Job) -> (String, Color) {
    let status = render::status(job.status);
    match render::outcome(job.outcome) {
        Some(outcome) => {
            let colour = match outcome {
                "SUCCEEDED" => Color::Green,
                "FAILED" => Color::Red,
                _ => Color::Yellow,
            };
            (format!("{status} {outcome}"), colour)
        }
        None if job.held => (format!("{status} held"), Color::Red),
        None if job.retry_time.is_some() => (format!("{status} retrying"), Color::Yellow),
        None => (status, Color::Reset),
    }
}

/// `[######              ]`; full where there is nothing to do.
fn bar(done: u64, all: u64) -> String {
    let full = (u128::from(done.min(all)) * BAR as u128).checked_div(u128::from(all));
    let full = full.and_then(|full| usize::try_from(full).ok()).unwrap_or(BAR);
    format!("[{}{}]", "#".repeat(full), " ".repeat(BAR - full))
}

/// How long ago that was; nothing where it lies ahead.
fn since(time: Timestamp) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = Duration::from_secs(u64::try_from(time.seconds).unwrap_or_default());
    now.saturating_sub(then)
}

/// A picture as plain lines.
pub(super) fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    let area = buffer.area;
    for y in area.top()..area.bottom() {
        let line: String = (area.left()..area.right())
            .filter_map(|x| buffer.cell((x, y)).map(ratatui::buffer::Cell::symbol))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::{
        cli::top::view::tests::{job, snapshot},
        proto::admin::{JobCounts, Pause},
    };

    fn view() -> View {
        let mut view = View::default();
        let jobs = vec![
            job("0190-a", Status::Processing, 1_000),
            job("0190-b", Status::Queued, 0),
            job("0190-c", Status::Completed, 4_000),
        ];
        let mut seen = snapshot(Instant::now(), jobs, 0);
        let overview = seen.overview.as_mut().unwrap();
        overview.version = "9.9.9".to_owned();
        overview.phase = "serving".to_owned();
        overview.jobs = Some(JobCounts { queued: 1_234, held: 1, ..JobCounts::default() });
        (overview.workers_busy, overview.workers) = (2, 4);
        (overview.disk_free_bytes, overview.disk_reserve_bytes) = (1 << 30, 2 << 30);
        overview.pauses = vec![Pause { tenant: "TA".to_owned(), ..Pause::default() }];
        overview.lanes_total = 11;
        let lane = Lane { tenant: "TA".to_owned(), waiting: 7, paused: true, ..Lane::default() };
        overview.lanes = vec![lane; 11];
        view.take(seen);
        view
    }

    fn drawn(view: &View, width: u16, height: u16, colours: bool) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let frame = |f: &mut ratatui::Frame<'_>| {
            f.render_widget(Frame { view, colours, keys: true }, f.area());
        };
        terminal.draw(frame).unwrap();
        terminal.backend().buffer().clone()
    }

    #[test]
    fn a_picture_has_health_lanes_jobs_with_bars_and_the_keys() {
        let shown = text(&drawn(&view(), 120, 30, false));
        for part in [
            "cvrsd 9.9.9  serving  up ",
            "paused: TA",
            "queued 1,234",
            "held 1",
            "[##########          ] 2 of 4 busy",
            "1.0 GiB free, reserve 2.0 GiB",
            "lane (and 3 more)",
            "TA                       7          0        paused",
            "0190-a                               delete PROCESSING            [#####               ] 1,000/4,000",
            "0190-c                               delete COMPLETED PARTIAL",
            "q quit   up/down scroll   left/right status: all",
        ] {
            assert!(shown.contains(part), "{part:?} is not in\n{shown}");
        }
    }

    #[test]
    fn a_terminal_of_any_size_is_drawn_on() {
        for (width, height) in [(1, 1), (20, 3), (80, 24), (300, 100)] {
            drawn(&view(), width, height, true);
            drawn(&View::default(), width, height, true);
        }
    }

    #[test]
    fn without_colours_no_cell_has_a_style() {
        let styled = |buffer: &Buffer| {
            let plain = |cell: &&ratatui::buffer::Cell| {
                cell.fg == Color::Reset && cell.modifier == Modifier::empty()
            };
            buffer.content.iter().filter(|cell| !plain(cell)).count()
        };
        assert_eq!(styled(&drawn(&view(), 120, 30, false)), 0);
        assert!(styled(&drawn(&view(), 120, 30, true)) > 0);
    }

    #[test]
    fn a_bar_is_as_full_as_its_job_is_done() {
        assert_eq!(bar(0, 10), format!("[{}]", " ".repeat(BAR)));
        assert_eq!(bar(9_999, 10_000).matches('#').count(), BAR - 1);
        for (done, all) in [(10, 10), (11, 10), (0, 0), (u64::MAX, u64::MAX)] {
            assert_eq!(bar(done, all), format!("[{}]", "#".repeat(BAR)), "{done} {all}");
        }
    }
}
