//! PostgreSQL 15, in a cluster of its own that is thrown away.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{columns, unzip};
use crate::{
    Result,
    child::{self, Guarded},
    scratch::Scratch,
};

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// The user of Debian's package; the server refuses to be root.
const USER: &str = "postgres";
/// What differs from Debian's defaults, to the good of PostgreSQL. `fsync`, `synchronous_commit` and
/// `full_page_writes` stay on.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("shared_buffers", "2GB"),
    ("max_wal_size", "8GB"),
    ("maintenance_work_mem", "512MB"),
    ("work_mem", "256MB"),
    ("temp_buffers", "1GB"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("autovacuum", "off"),
];
/// Nothing but that no port is opened.
const STOCK: &[(&str, &str)] = &[("listen_addresses", "")];
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server.
pub struct Postgres {
    /// Dropped first: it must end before its directory goes.
    _server: Guarded,
    dir: PathBuf,
    settings: &'static [(&'static str, &'static str)],
}

impl Postgres {
    /// Makes a cluster and starts it, `stock` with its defaults; `None` where it is not installed.
    pub fn start(scratch: &Scratch, stock: bool) -> Result<Option<Self>> {
        let programs = Path::new(PROGRAMS);
        if unzip::version().is_none() || !programs.join("initdb").exists() {
            return Ok(None);
        }
        let dir = scratch.fresh("postgres")?;
        let user = rustix::process::getuid().is_root().then_some(USER);
        if let Some(user) = user {
            child::output("chown", Command::new("chown").arg(user).arg(&dir))?;
        }
        let mut initdb = child::tied_as(programs.join("initdb"), user, "KILL");
        let options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER];
        child::output("initdb", initdb.current_dir("/").args(options).arg(dir.join("cluster")))?;
        let mut server = child::tied_as(programs.join("postgres"), user, "QUIT");
        server.current_dir("/").arg("-D").arg(dir.join("cluster")).arg("-k").arg(&dir);
        let settings = if stock { STOCK } else { SETTINGS };
        for (name, value) in settings {
            server.arg("-c").arg(format!("{name}={value}"));
        }
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Guarded::spawn_with("postgres", &mut server, Signal::QUIT)?;
        wait(&mut server, &dir)?;
        Ok(Some(Self { _server: server, dir, settings }))
    }

    /// Version and settings.
    pub fn told(&self) -> Result<String> {
        let version = self.sql("SHOW server_version")?;
        let told: Vec<_> = self.settings.iter().map(|(n, value)| format!("{n}={value}")).collect();
        Ok(format!("PostgreSQL {}; {}, else its defaults", version.trim(), told.join(" ")))
    }

    /// Seconds to load a zip into a new table with a primary key.
    pub fn load(&self, zip: &Path, rows: u64) -> Result<f64> {
        let table = table("records", "TABLE");
        let told = self.pipe(
            zip,
            &format!(
                "DROP TABLE IF EXISTS records;\nBEGIN;\n{table}\n\
                 \\copy records FROM pstdin WITH (FORMAT text, HEADER)\n\
                 ALTER TABLE records ADD PRIMARY KEY (vax_event_id);\nCOMMIT;\n"
            ),
        )?;
        check(&told.text, &format!("COPY {rows}"))?;
        Ok(told.seconds)
    }

    /// Puts the table at rest, as one that was loaded long ago.
    pub fn rest(&self) -> Result<()> {
        self.sql("VACUUM ANALYZE records")?;
        self.sql("CHECKPOINT").map(drop)
    }

    /// Seconds to read a zip, all columns, into a temporary table and delete what it names.
    pub fn delete(&self, zip: &Path, rows: u64) -> Result<f64> {
        let table = table("named", "TEMPORARY TABLE");
        let told = self.pipe(
            zip,
            &format!(
                "BEGIN;\n{table}\n\\copy named FROM pstdin WITH (FORMAT text, HEADER)\n\
                 ANALYZE named;\n\
                 DELETE FROM records USING named WHERE records.vax_event_id = named.vax_event_id;\n\
                 COMMIT;\n"
            ),
        )?;
        check(&told.text, &format!("COPY {rows}"))?;
        check(&told.text, &format!("DELETE {rows}"))?;
        Ok(told.seconds)
    }

    /// Runs a script whose standard input is the text of a zip.
    fn pipe(&self, zip: &Path, script: &str) -> Result<Told> {
        let file = self.dir.join("script.sql");
        fs::write(&file, script)?;
        rustix::fs::sync();
        let began = Instant::now();
        let mut source = Guarded::spawn("unzip", unzip::command(zip).stdout(Stdio::piped()))?;
        let mut psql = psql(&self.dir);
        psql.arg("-f").arg(&file).stdin(source.take_stdout()?);
        let text = child::output_of("psql", &mut psql)?;
        source.finish()?;
        Ok(Told { seconds: began.elapsed().as_secs_f64(), text })
    }

    fn sql(&self, statement: &str) -> Result<String> {
        child::output("psql", psql(&self.dir).args(["-At", "-c", statement]))
    }
}

struct Told {
    seconds: f64,
    text: String,
}

fn psql(dir: &Path) -> Command {
    let mut command = child::tied(Path::new(PROGRAMS).join("psql"));
    command.args(["-X", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", "postgres", "-h"]).arg(dir);
    command
}

fn table(name: &str, kind: &str) -> String {
    let columns: Vec<_> = columns().map(|column| format!("{column} text")).collect();
    format!("CREATE {kind} {name} ({});", columns.join(", "))
}

fn check(told: &str, line: &str) -> Result<()> {
    if told.lines().any(|l| l == line) {
        return Ok(());
    }
    Err(format!("WRONG RESULT: PostgreSQL did not answer {line}").into())
}

fn wait(server: &mut Guarded, dir: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while child::output("psql", psql(dir).args(["-c", "SELECT 1"])).is_err() {
        if !server.runs()? || Instant::now() > deadline {
            return Err("the cluster of PostgreSQL does not start".into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
