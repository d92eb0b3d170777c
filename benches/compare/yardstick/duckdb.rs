//! DuckDB, from PyPI, in an environment of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{columns, installed, unzip};
use crate::{Result, child, scratch::Scratch};

const SCRIPT: &str = include_str!("duckdb.py");

/// A database in a file.
pub struct DuckDb {
    python: PathBuf,
    script: PathBuf,
    dir: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Answer {
    seconds: f64,
    rows: u64,
}

impl DuckDb {
    /// `None` where it is not installed.
    pub fn find(scratch: &Scratch) -> Result<Option<Self>> {
        let python = installed("duckdb/bin/python");
        let (Some(python), Some(_)) = (python, unzip::version()) else { return Ok(None) };
        let dir = scratch.fresh("duckdb")?;
        let script = dir.join("duckdb_side.py");
        fs::write(&script, SCRIPT)?;
        Ok(Some(Self { python, script, dir }))
    }

    pub fn told(&self) -> Result<String> {
        let code = "import duckdb; print('DuckDB', duckdb.__version__)";
        let text = child::output("python", child::tied(&self.python).args(["-c", code]))?;
        Ok(format!("{}, a file on disk, its defaults", text.trim()))
    }

    /// Seconds to load a zip into a new database, without a key.
    pub fn load(&self, zip: &Path, rows: u64) -> Result<f64> {
        self.run("load", zip, rows)
    }

    /// Seconds to read a zip and delete what it names.
    pub fn delete(&self, zip: &Path, rows: u64) -> Result<f64> {
        self.run("delete", zip, rows)
    }

    fn run(&self, what: &str, zip: &Path, rows: u64) -> Result<f64> {
        rustix::fs::sync();
        let mut command = child::tied(&self.python);
        command.arg(&self.script).arg(what).arg(self.dir.join("records.duckdb")).arg(zip);
        command.args(columns());
        let text = child::output("DuckDB", &mut command)?;
        let answer: Answer = serde_json::from_str(&text)?;
        if answer.rows != rows {
            let found = answer.rows;
            return Err(format!("WRONG RESULT: DuckDB: {what} of {found} rows, not {rows}").into());
        }
        Ok(answer.seconds)
    }
}
