//! Files of which is known what each row is from how it was made, not from reading it.

use std::{io::Write, sync::OnceLock};

use cvrsd::{
    cvrs::sample::{Model, Sample},
    domain::{MediaType, Operation, Storage},
};
use sha2::{Digest, Sha256};
use zip::{ZipWriter, write::SimpleFileOptions};

/// People of most files, so that files often name the same ones.
pub const PEOPLE: u32 = 40;
/// What else their rows can say.
const VARIANTS: u32 = 3;
/// First of the people of a file whose rows are staged.
const CROWD: u32 = 1_000;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Zip,
    /// No CVRS file at all.
    Letter,
    /// More rows than a job applies in file order.
    Crowd,
}

/// What is odd about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    None,
    /// The id in capital letters, which is the same id.
    Capitals,
    WrongSex,
    NoEventId,
    NoRecipient,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub line: u64,
    /// As the row spells it.
    pub event_id: String,
    pub recip_id: String,
    oddity: Oddity,
    text: String,
}

#[derive(Debug)]
pub struct File {
    pub media_type: MediaType,
    pub body: Vec<u8>,
    pub sha256: [u8; 32],
    pub rows: Vec<Row>,
    pub is_letter: bool,
}

impl Row {
    /// The column of its one error.
    pub fn error(&self, operation: Operation) -> Option<&'static str> {
        match self.oddity {
            Oddity::None | Oddity::Capitals => None,
            Oddity::WrongSex => Some("recip_sex"),
            Oddity::NoEventId => Some("vax_event_id"),
            Oddity::NoRecipient if operation == Operation::Delete => None,
            Oddity::NoRecipient => Some("recip_id"),
        }
    }

    pub fn key(&self) -> String {
        self.event_id.to_ascii_lowercase()
    }

    /// The record that the row makes, as that storage shows it.
    pub fn shown(&self, storage: Storage) -> String {
        const HIDDEN: [&str; 6] = [
            "recip_first_name",
            "recip_middle_name",
            "recip_last_name",
            "recip_address_street",
            "recip_address_street_2",
            "recip_address_city",
        ];
        if storage == Storage::NonRedacted {
            return self.text.clone();
        }
        let show = |(name, cell)| if HIDDEN.contains(&name) { "Redacted" } else { cell };
        let cells: Vec<_> = header().split('\t').zip(self.text.split('\t')).map(show).collect();
        cells.join("\t")
    }
}

impl File {
    pub fn new(shape: Shape, rows: u32, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let rows = match shape {
            Shape::Letter => Vec::new(),
            Shape::Crowd => (0..10_001).map(|n| row(CROWD + n, 0, Oddity::None)).collect(),
            Shape::Text | Shape::Zip => (0..rows).map(|_| random_row(&mut random)).collect(),
        };
        let mut rows: Vec<Row> = rows;
        let mut text = header().to_owned();
        for (line, row) in (2..).zip(&mut rows) {
            row.line = line;
            text.push('\n');
            text.push_str(&row.text);
        }
        if random.bool() {
            text.push('\n');
        }
        if shape == Shape::Letter {
            text = format!("Dear registry, please find {seed} attached\n");
        }
        let (media_type, body) = match shape {
            Shape::Zip => (MediaType::Zip, zipped(&text)),
            _ => (MediaType::Text, text.into_bytes()),
        };
        let sha256 = Sha256::digest(&body).into();
        Self { media_type, body, sha256, rows, is_letter: shape == Shape::Letter }
    }
}

/// The id of one of the people.
pub fn event_id(number: u32) -> String {
    row(number, 0, Oddity::None).event_id
}

fn random_row(random: &mut fastrand::Rng) -> Row {
    let oddity = match random.u8(..24) {
        0 => Oddity::WrongSex,
        1 => Oddity::NoEventId,
        2 => Oddity::NoRecipient,
        3..6 => Oddity::Capitals,
        _ => Oddity::None,
    };
    row(random.u32(..PEOPLE), random.u32(..VARIANTS), oddity)
}

fn row(number: u32, variant: u32, oddity: Oddity) -> Row {
    static ROWS: OnceLock<Vec<String>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| (0..PEOPLE * VARIANTS).map(sample).collect());
    let text = match rows.get((number * VARIANTS + variant) as usize) {
        Some(text) => text.clone(),
        None => sample(number * VARIANTS + variant),
    };
    let mut cells: Vec<String> = text.split('\t').map(str::to_owned).collect();
    match oddity {
        Oddity::None => {}
        Oddity::Capitals => cells[0].make_ascii_uppercase(),
        Oddity::WrongSex => "X".clone_into(cell(&mut cells, "recip_sex")),
        Oddity::NoEventId => cells[0].clear(),
        Oddity::NoRecipient => cell(&mut cells, "recip_id").clear(),
    }
    let (event_id, recip_id) = (cells[0].clone(), cell(&mut cells, "recip_id").clone());
    Row { line: 0, event_id, recip_id, oddity, text: cells.join("\t") }
}

/// A row of the generator; those of one person have one id.
fn sample(index: u32) -> String {
    let write = |index: u32| {
        let mut row = Vec::new();
        Sample::new(3, Model::Identified).write_row(u64::from(index), &mut row);
        String::from_utf8(row).unwrap()
    };
    let (row, first) = (write(index), write(index - index % VARIANTS));
    let id = first.split('\t').next().unwrap();
    let rest = row.split_once('\t').unwrap().1;
    format!("{id}\t{rest}")
}

fn cell<'a>(cells: &'a mut [String], name: &str) -> &'a mut String {
    let at = header().split('\t').position(|column| column == name).unwrap();
    &mut cells[at]
}

fn header() -> &'static str {
    Sample::new(3, Model::Identified).header_line()
}

fn zipped(text: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("rows.txt", SimpleFileOptions::default()).unwrap();
    zip.write_all(text.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}
