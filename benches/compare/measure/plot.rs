//! The growth table as pictures: `rows.svg` and `store.svg` beside it.

use std::{collections::BTreeMap, fs, path::Path};

use plotters::{prelude::*, style::text_anchor};

use crate::{Bench, Result, report};

/// Pixels of a picture with two charts.
const SIZE: (u32, u32) = (1_100, 460);
const COLOURS: [(&str, RGBColor); 2] =
    [("create", RGBColor(0, 90, 160)), ("delete", RGBColor(200, 80, 0))];

type Points = Vec<(f64, f64)>;

/// One line of the table.
struct Row<'a> {
    curve: &'a str,
    operation: &'a str,
    rows: f64,
    store: f64,
    us: f64,
    peak_mib: f64,
}

pub fn run(bench: &mut Bench) -> Result<()> {
    let table = &bench.args.table;
    let text = fs::read_to_string(table).map_err(|e| format!("{}: {e}", table.display()))?;
    let mut rows = Vec::new();
    for line in text.lines().skip(1) {
        rows.push(parse(line).ok_or_else(|| format!("{line:?} is no line of the table"))?);
    }
    let pictures = [
        ("rows", "rows of the job, into or out of a store of as many"),
        ("store", "live rows of the store, a job of 100,000"),
    ];
    for (curve, axis) in pictures {
        let path = table.with_file_name(format!("{curve}.svg"));
        draw(&path, curve, axis, &rows)?;
        report::say("picture", &path.display().to_string())?;
    }
    Ok(())
}

fn parse(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [curve, operation, rows, store, _run, _seconds, us, mib, _bytes] = cells.as_slice() else {
        return None;
    };
    Some(Row {
        curve,
        operation,
        rows: rows.parse().ok()?,
        store: store.parse().ok()?,
        us: us.parse().ok()?,
        peak_mib: mib.parse().ok()?,
    })
}

fn draw(path: &Path, curve: &str, axis: &str, rows: &[Row<'_>]) -> Result<()> {
    let on_curve: Vec<_> = rows.iter().filter(|row| row.curve == curve).collect();
    let place = |row: &Row<'_>| if curve == "rows" { row.rows } else { row.store / 1e6 };
    let (mut times, mut memory) = (BTreeMap::new(), BTreeMap::new());
    for row in on_curve {
        let at = place(row);
        let operation = row.operation;
        times.entry(operation).or_insert_with(Points::new).push((at, row.us));
        memory.entry(operation).or_insert_with(Points::new).push((at, row.peak_mib));
    }
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    let axis = if curve == "rows" { axis.to_owned() } else { format!("millions of {axis}") };
    chart(&left, "time of a row, µs", &axis, curve == "rows", &times)?;
    chart(&right, "peak memory, MiB", &axis, curve == "rows", &memory)?;
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn chart(
    area: &Area<'_>,
    title: &str,
    axis: &str,
    by_powers: bool,
    lines: &BTreeMap<&str, Points>,
) -> Result<()> {
    let all = || lines.values().flatten();
    let most = |of: fn(&(f64, f64)) -> f64| all().map(of).fold(0.0, f64::max);
    let (x_most, y_most) = (most(|p| p.0).max(1e-3), most(|p| p.1).max(1e-3) * 1.1);
    // Powers of ten are drawn as their exponents, which leaves 0 out.
    let x = |value: f64| if by_powers { value.max(1.0).log10() } else { value };
    let x_least = if by_powers { x(all().map(|p| p.0).fold(x_most, f64::min)) } else { 0.0 };
    let mut builder = ChartBuilder::on(area);
    builder.caption(title, ("sans-serif", 18)).margin(14);
    builder.x_label_area_size(44).y_label_area_size(60);
    let mut chart =
        builder.build_cartesian_2d(x_least..x(x_most).max(x_least + 1e-3), 0.0..y_most)?;
    let name = |value: &f64| if by_powers { power(*value) } else { format!("{value:.0}") };
    chart.configure_mesh().x_desc(axis).x_label_formatter(&name).light_line_style(WHITE).draw()?;
    for (row, (operation, colour)) in (0_i32..).zip(COLOURS) {
        let Some(points) = lines.get(operation) else { continue };
        let mut points: Points = points.iter().map(|(at, value)| (x(*at), *value)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|at| Circle::new(*at, 4, colour.filled())))?;
        let anchor = text_anchor::Pos::new(text_anchor::HPos::Right, text_anchor::VPos::Top);
        let style = ("sans-serif", 14).into_text_style(area).color(&colour).pos(anchor);
        let right = i32::try_from(area.dim_in_pixel().0)? - 24;
        area.draw_text(operation, &style, (right, 46 + 18 * row))?;
    }
    Ok(())
}

/// `10 k` for 4; nothing between the powers of ten.
fn power(exponent: f64) -> String {
    if (exponent - exponent.round()).abs() > 0.01 {
        return String::new();
    }
    match 10_f64.powf(exponent.round()) {
        v if v >= 1e6 => format!("{:.0} M", v / 1e6),
        v => format!("{:.0} k", v / 1e3),
    }
}
