//! A plain checker to compare with: memchr splits text in memory into lines and 45 cells, each cell is
//! checked by its kind. One thread, no report, no keys, nothing written.

use memchr::memchr;

use crate::{Result, figures::float};

/// What a cell must be.
#[derive(Clone, Copy)]
enum Check {
    /// At most so many bytes; not empty where `true`.
    Text(usize, bool),
    /// `YYYY-MM-DD` or `YYYY-MM`; not empty where `true`.
    Date(bool),
    /// One of a short list; not empty where `true`.
    OneOf(&'static [&'static [u8]], bool),
    /// So many digits, or nothing.
    Digits(usize),
    /// Two letters, or nothing.
    State,
    /// Five digits, or nine with a hyphen, or nothing.
    Zip,
    /// A number up to that.
    Number(u32),
}

use Check::{Date, Digits, Number, OneOf, State, Text, Zip};

const TEXT: Check = Text(255, false);
const FULL: Check = Text(255, true);
const RACES: &[&[u8]] =
    &[b"1002-5", b"2028-9", b"2054-5", b"2076-8", b"2106-3", b"2131-1", b"POL", b"UNK"];
const RACE: Check = OneOf(RACES, false);
const YES_NO: &[&[u8]] = &[b"NO", b"YES", b"UNK"];
const SITES: &[&[u8]] =
    &[b"LD", b"RD", b"LA", b"RA", b"LT", b"RT", b"LVL", b"RVL", b"LG", b"RG", b"LLFA", b"RLFA"];
const ROUTES: &[&[u8]] =
    &[b"C28161", b"IM", b"C38238", b"ID", b"C38284", b"NS", b"C38288", b"PO", b"C38299", b"SC"];
const DOSES: &[&[u8]] = &[b"1", b"2", b"3", b"4", b"5", b"6", b"UNK"];

/// In the order of the columns.
#[rustfmt::skip]
const CHECKS: [Check; 45] = [
    FULL, OneOf(&[b"I", b"D", b"P"], true), Text(100, false), FULL, FULL, FULL, FULL, Date(true),
    OneOf(&[b"M", b"F", b"U"], true), FULL, FULL, FULL, Digits(5), State, Zip,
    OneOf(RACES, true), RACE, RACE, RACE, RACE, RACE, OneOf(&[b"2135-2", b"2186-5", b"UNK", b"POL"], true),
    Date(true), Number(999), Text(50, false), Text(10, false), TEXT, Date(false),
    OneOf(SITES, false), OneOf(ROUTES, false), OneOf(DOSES, false), OneOf(YES_NO, false),
    FULL, FULL, Digits(6), Number(42), TEXT, TEXT, TEXT, Digits(5), State, Zip,
    OneOf(YES_NO, true), OneOf(YES_NO, true), OneOf(YES_NO, true),
];

/// Cells of a row that must not be before one another: birth, administration.
const BIRTH: usize = 7;
const ADMINISTERED: usize = 22;

/// Rows read, and how many of them have a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub rows: u64,
    pub faulty: u64,
}

/// Checks a text whose columns stand in canonical order.
pub fn check(text: &[u8]) -> Found {
    let mut found = Found { rows: 0, faulty: 0 };
    let mut rest = skip_line(text);
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if line.is_empty() {
            continue;
        }
        found.rows += 1;
        found.faulty += u64::from(!is_sound(line));
    }
    found
}

/// That many rows a second, in one pass.
pub fn rows_per_second(text: &[u8], rows: u64) -> Result<f64> {
    let began = std::time::Instant::now();
    let found = check(text);
    let seconds = began.elapsed().as_secs_f64();
    if found != (Found { rows, faulty: 0 }) {
        return Err(format!("WRONG RESULT: the plain checker found {found:?}").into());
    }
    Ok(float(rows) / seconds)
}

fn skip_line(text: &[u8]) -> &[u8] {
    memchr(b'\n', text).and_then(|at| text.get(at + 1..)).unwrap_or_default()
}

fn is_sound(line: &[u8]) -> bool {
    let mut rest = Some(line);
    let (mut born, mut given) = (&b""[..], &b""[..]);
    for (place, check) in CHECKS.iter().enumerate() {
        let Some(cells) = rest else { return false };
        let end = memchr(b'\t', cells);
        let (cell, after) = cells.split_at(end.unwrap_or(cells.len()));
        rest = end.and(after.get(1..));
        if !holds(*check, cell) {
            return false;
        }
        match place {
            BIRTH => born = cell,
            ADMINISTERED => given = cell,
            _ => {}
        }
    }
    let length = born.len().min(given.len());
    rest.is_none() && born.get(..length) <= given.get(..length)
}

fn holds(check: Check, cell: &[u8]) -> bool {
    match check {
        Text(most, required) => cell.len() <= most && !(required && cell.is_empty()),
        Date(required) => {
            if cell.is_empty() {
                !required
            } else {
                is_date(cell)
            }
        }
        OneOf(values, required) => {
            if cell.is_empty() {
                !required
            } else {
                values.contains(&cell)
            }
        }
        Digits(count) => cell.is_empty() || (cell.len() == count && are_digits(cell)),
        State => cell.is_empty() || (cell.len() == 2 && cell.iter().all(u8::is_ascii_alphabetic)),
        Zip => match cell {
            [] => true,
            [five @ .., b'-', a, b, c, d] => {
                five.len() == 5 && are_digits(five) && are_digits(&[*a, *b, *c, *d])
            }
            five => five.len() == 5 && are_digits(five),
        },
        Number(most) => number(cell).is_some_and(|n| (1..=most).contains(&n)),
    }
}

fn are_digits(cell: &[u8]) -> bool {
    cell.iter().all(u8::is_ascii_digit)
}

fn number(cell: &[u8]) -> Option<u32> {
    if cell.is_empty() || cell.len() > 9 || !are_digits(cell) {
        return None;
    }
    Some(cell.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')))
}

fn is_date(cell: &[u8]) -> bool {
    let (Some(year), Some(b'-'), Some(month)) = (cell.get(..4), cell.get(4), cell.get(5..7)) else {
        return false;
    };
    let (Some(year), Some(month)) = (number(year), number(month)) else { return false };
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    match cell.get(7..) {
        Some([]) => true,
        Some([b'-', day @ ..]) => {
            day.len() == 2 && number(day).is_some_and(|day| (1..=days).contains(&day))
        }
        _ => false,
    }
}
