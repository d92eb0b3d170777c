//! What becomes of files and rows that are odd: each case is a row of the table "Row and file
//! oddities" in `docs/VALIDATION.md`.

use std::collections::BTreeSet;

use super::{
    super::{Error, ReportRow},
    store::Kind,
    support::{Fault, Place, ROWS_PER_CHECKPOINT, Task},
    text::Text,
};
use crate::{
    cvrs::{Field, Profile, canonical_header, with_cell},
    domain::{MediaType, Operation},
    error::Code,
};

/// Line, code and column of a validation error.
type Told = (u64, &'static str, &'static str);

/// What becomes of a file.
enum End {
    /// It is read: so many rows, these errors, so many warnings.
    Read(u64, Vec<Told>, usize),
    /// It fails as a whole.
    Fails(Code),
}

use End::{Fails, Read};

fn header() -> String {
    canonical_header().to_owned()
}

/// A valid row without an empty cell at its end.
fn row(number: u64) -> String {
    String::from_utf8(Text::new().row(number)).unwrap()
}

fn edited(number: u64, field: Field, value: &[u8]) -> Vec<u8> {
    with_cell(row(number).as_bytes(), field, value)
}

/// A file of these lines, each with a line feed.
fn lines(lines: &[&[u8]]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect()
}

fn good(rows: u64) -> End {
    Read(rows, vec![], 0)
}

fn one(line: u64, code: &'static str, field: &'static str) -> End {
    Read(1, vec![(line, code, field)], 0)
}

/// Under a header as it should be.
fn body(body: &[&[u8]]) -> Vec<u8> {
    lines(&[&[header().as_bytes()], body].concat())
}

/// With that header and one row.
fn headed(header: &str, row: &str) -> Vec<u8> {
    lines(&[header.as_bytes(), row.as_bytes()])
}

fn reversed(line: &str) -> String {
    line.split('\t').rev().collect::<Vec<_>>().join("\t")
}

/// The line with a cell put in before that column.
fn inserted(line: &str, before: Field, cell: &str) -> String {
    let mut cells: Vec<_> = line.split('\t').collect();
    cells.insert(before.index(), cell);
    cells.join("\t")
}

/// That many names that no profile knows.
fn others(count: u32) -> String {
    (0..count).fold(String::new(), |names, n| names + "\tc" + &n.to_string())
}

fn headers() -> Vec<(&'static str, Vec<u8>, End)> {
    let (h, r) = (header(), row(1));
    let suffixed = |line: &str, cell: &str| inserted(line, Field::VaxRefusal, cell);
    let first = suffixed(&inserted(&h, Field::Serology, "recip_missed_appt"), "vax_prov_suffix");
    let first_row = suffixed(&inserted(&r, Field::Serology, "NO"), "RN");
    let many: String = (0..1_000_000).map(|_| "c\t").collect();
    vec![
        ("header in upper case", headed(&h.to_uppercase(), &r), good(1)),
        ("header names with spaces around them", headed(&h.replace('\t', " \t "), &r), good(1)),
        ("columns in another order", headed(&reversed(&h), &reversed(&r)), good(1)),
        ("byte-order mark before the header", headed(&format!("\u{feff}{h}"), &r), good(1)),
        (
            "two byte-order marks",
            headed(&format!("\u{feff}\u{feff}{h}"), &r),
            Fails(Code::HeaderColumn),
        ),
        ("47 columns of version 1", headed(&first, &first_row), Read(1, vec![], 2)),
        (
            "46 columns",
            headed(&suffixed(&h, "vax_prov_suffix"), &suffixed(&r, "RN")),
            Read(1, vec![], 1),
        ),
        (
            "other columns",
            headed(&format!("{h}\tnote\tmy_note"), &format!("{r}\tx\ty")),
            Read(1, vec![], 2),
        ),
        ("a name twice", headed(&format!("{h}\tCVX"), &r), Fails(Code::HeaderDuplicate)),
        ("a name missing", headed(&h.replace("\tcvx", ""), &r), Fails(Code::HeaderColumn)),
        (
            "an empty name between others",
            headed(&h.replace("\tcvx", "\t\tcvx"), &r),
            Fails(Code::HeaderMalformed),
        ),
        ("empty names at the end", headed(&format!("{h}\t\t"), &r), good(1)),
        (
            "1,000,000 empty names at the end",
            headed(&format!("{h}{}", "\t".repeat(1_000_000)), &r),
            good(1),
        ),
        ("1,000,000 names", headed(&many, &r), Fails(Code::FileLine)),
        ("1,001 names", headed(&format!("{h}{}", others(956)), &r), Fails(Code::HeaderMalformed)),
        ("no header, rows at once", lines(&[r.as_bytes()]), Fails(Code::HeaderMalformed)),
        (
            "cells separated by commas",
            headed(&h.replace('\t', ","), &r),
            Fails(Code::HeaderMalformed),
        ),
        (
            "UTF-16",
            h.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Fails(Code::HeaderMalformed),
        ),
    ]
}

fn files() -> Vec<(&'static str, Vec<u8>, End)> {
    let (h, r) = (header(), row(1));
    let whole = headed(&h, &r);
    let unix = String::from_utf8(body(&[r.as_bytes(), row(2).as_bytes()])).unwrap();
    vec![
        ("CRLF at line ends", unix.replace('\n', "\r\n").into_bytes(), good(2)),
        (
            "only CR at line ends",
            unix.replace('\n', "\r").into_bytes(),
            Fails(Code::HeaderMalformed),
        ),
        (
            "a control character in a header name",
            headed(&h.replace("cvx", "c\u{b}vx"), &row(1)),
            Fails(Code::HeaderMalformed),
        ),
        ("no final line end", whole.trim_ascii_end().to_vec(), good(1)),
        ("an empty last line", [&whole[..], b"\n"].concat(), good(1)),
        ("a last line of only a carriage return", [&whole[..], b"\r\n"].concat(), good(1)),
        (
            "empty lines between rows",
            body(&[b"", r.as_bytes(), b"\r", b"", &edited(2, Field::Cvx, b"")]),
            Read(2, vec![(6, "CVRS-ROW-NULL", "cvx")], 0),
        ),
        ("header only", lines(&[h.as_bytes()]), good(0)),
        ("header only, without a line end", h.clone().into_bytes(), good(0)),
        ("no byte, as a zip can have it", vec![], Fails(Code::FileEmpty)),
        ("only a byte-order mark", b"\xef\xbb\xbf".to_vec(), Fails(Code::HeaderMalformed)),
        ("only line ends", b"\n\r\n\n".to_vec(), Fails(Code::HeaderMalformed)),
        ("only NUL bytes", vec![0; 64], Fails(Code::HeaderMalformed)),
        (
            "a line over intake.max_line_bytes",
            body(&[&edited(1, Field::AdminName, &vec![b'x'; 1 << 20])]),
            Fails(Code::FileLine),
        ),
    ]
}

fn rows() -> Vec<(&'static str, Vec<u8>, End)> {
    let r = row(1);
    let bytes = r.as_bytes();
    let (cells, utf8) = ("CVRS-ROW-CELLS", "CVRS-ROW-UTF8");
    let nulls = |from: usize| {
        // Under dch-2021 these may be null, the doses as nothing says that there was a shot.
        let may =
            [2, 12, 16, 17, 18, 19, 20, 24, 25, 26, 27, 28, 29, 30, 31, 34, 36, 37, 38, 39, 40, 41];
        let field = |at: usize| (!may.contains(&at)).then(|| Field::ALL[at].name());
        (from..45).filter_map(field).map(|name| (2, "CVRS-ROW-NULL", name)).collect::<Vec<_>>()
    };
    let short = r.rsplit_once('\t').unwrap().0.as_bytes().to_vec();
    let tab = bytes.iter().position(|byte| *byte == b'\t').unwrap();
    vec![
        ("a tab at the end of each row", body(&[format!("{r}\t").as_bytes()]), good(1)),
        ("a row that is too short", body(&[&short]), one(2, "CVRS-ROW-NULL", "serology")),
        ("a row of one cell", body(&[&bytes[..tab]]), Read(1, nulls(1), 0)),
        ("empty cells beyond the header", body(&[format!("{r}\t\t\t").as_bytes()]), good(1)),
        (
            "1,000,000 empty cells beyond the header",
            body(&[format!("{r}{}", "\t".repeat(1_000_000)).as_bytes()]),
            good(1),
        ),
        (
            "a filled cell beyond the header",
            body(&[format!("{r}\tx").as_bytes()]),
            one(2, cells, ""),
        ),
        ("a tab inside a cell", body(&[&edited(1, Field::AdminName, b"a\tb")]), one(2, cells, "")),
        (
            "a line feed inside a cell",
            body(&[&edited(1, Field::VaxEventId, b"E\n1")]),
            Read(2, nulls(1), 0),
        ),
        (
            "a carriage return inside a cell",
            body(&[&edited(1, Field::AdminName, b"a\rb")]),
            good(1),
        ),
        (
            "control characters in a cell",
            body(&[&edited(1, Field::AdminName, b"a\x01\x1bb")]),
            good(1),
        ),
        ("NUL bytes in a cell", body(&[&edited(1, Field::AdminName, b"a\0b")]), good(1)),
        (
            "a byte-order mark in a cell",
            body(&[&edited(1, Field::AdminName, b"\xef\xbb\xbfa")]),
            good(1),
        ),
        ("quotes around a cell", body(&[&edited(1, Field::AdminName, br#""a""#)]), good(1)),
        (
            "bytes that are not UTF-8",
            body(&[&with_cell(&edited(1, Field::RecipLastName, b"M\xfcller"), Field::Cvx, b"x")]),
            one(2, utf8, "recip_last_name"),
        ),
        ("a row of only tabs", body(&[&[b'\t'; 44]]), Read(1, nulls(0), 0)),
        ("a row of a single space", body(&[b" "]), Read(1, nulls(1), 0)),
        ("a cell of a single space", body(&[&edited(1, Field::RecipMiddleName, b" ")]), good(1)),
        (
            "a coded cell of a single space",
            body(&[&edited(1, Field::RecipSex, b" ")]),
            one(2, "CVRS-ROW-VALUE", "recip_sex"),
        ),
    ]
}

fn told(report: &[ReportRow]) -> Vec<(u64, &str, &str)> {
    report.iter().map(|row| (row.line, &*row.code, &*row.field)).collect()
}

fn run(place: &Place, media: MediaType, file: &[u8]) -> Result<Task, Code> {
    let mut text = Text::new();
    text.replace(file);
    let mut task = place.task(Operation::Create, media, &text);
    match task.validate(place) {
        Ok(()) => Ok(task),
        Err(Error::File(failure)) => Err(failure.code),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn each_oddity_has_its_answer() {
    let mut place = Place::new(Kind::Memory);
    // Rows of tabs alone are compressed very well.
    place.intake.max_ratio = 1_000_000;
    for (name, file, expected) in [headers(), files(), rows()].into_iter().flatten() {
        for media in [MediaType::Text, MediaType::Zip] {
            match (run(&place, media, &file), &expected) {
                (Err(code), Fails(expected)) => assert_eq!(code, *expected, "{name}"),
                (Ok(task), Read(rows, errors, warnings)) => {
                    assert_eq!(task.job().validated.rows, *rows, "{name}");
                    assert_eq!(told(&task.report(&place)), *errors, "{name}");
                    assert_eq!(task.warnings.len(), *warnings, "{name}");
                }
                (Err(code), Read(..)) => panic!("{name}: {code}"),
                (Ok(_), Fails(_)) => panic!("{name} did not fail"),
            }
        }
    }
}

#[test]
fn the_document_tells_of_each_oddity() {
    let cases = [headers(), files(), rows()];
    let names: Vec<_> = cases.iter().flatten().map(|(name, ..)| *name).collect();
    let document = include_str!("../../../docs/VALIDATION.md");
    let table = document.split("## Row and file oddities").nth(1).unwrap();
    let told: Vec<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .filter(|cell| *cell != "what")
        .map(|cell| cell.replace('`', ""))
        .collect();
    assert_eq!(told, names);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn strict_finds_an_id_twice_also_across_a_restart() {
    let rows = 3 * ROWS_PER_CHECKPOINT as u64;
    let mut text = Text::of(0..rows);
    text.empty("\n");
    (0..rows).for_each(|number| text.valid(number));
    let mut reports = Vec::new();
    for restarts in [&[][..], &[1], &[2, 1], &[4]] {
        let place = Place::new(Kind::Memory);
        let mut task = place.task(Operation::Create, MediaType::Zip, &text).under(Profile::Strict);
        for checkpoint in restarts {
            task.fail_at(*checkpoint, Fault::After);
            task.validate(&place).unwrap_err();
            task.restart(&place);
        }
        task.validate(&place).unwrap();
        assert_eq!(task.job().validated.rows_valid, rows);
        let report = task.report(&place);
        let expected = (0..rows).map(|n| (rows + 3 + n, n + 2));
        assert_eq!(report.len() as u64, rows);
        for (row, (line, first)) in report.iter().zip(expected) {
            assert_eq!((row.line, &*row.code), (line, "BUSR013"));
            let text = format!("Value of vax_event_id duplicates vax_event_id at line {first}");
            assert_eq!(row.message, text);
        }
        reports.push(task.report_bytes(&place));
    }
    assert!(reports.windows(2).all(|two| two[0] == two[1]));
}
