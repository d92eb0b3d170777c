//! The documents against the program: codes, links, keys, and the tour as a reader pastes it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test; the lint spares only functions that are marked as one"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use cvrsd::{
    audit,
    config::Config,
    cvrs::{
        Miss, Reason,
        sample::{Model, Sample},
    },
    error::{Code, Kind},
};

const FOLDERS: [&str; 3] = ["", "docs", "docs/errors"];
const ERRORS: &str = "docs/errors/README.md";
/// How codes begin.
const CODES: [&str; 5] = ["CVRS-", "DATA", "REQD", "DNTS", "BUSR"];
/// Cells of a row that are nobody else's: both ids, the date of birth, the street.
const PERSONAL: [usize; 4] = [0, 3, 7, 9];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One of our documents.
struct Document {
    path: PathBuf,
    text: String,
}

/// Every document, by its path below the root.
fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Document { path, text });
            }
        }
    }
    assert!(found.len() >= 6, "the documents were found");
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Blocks between fences, with the word behind the opening one.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// The text without its blocks.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        let fence = line.starts_with("```");
        inside ^= fence;
        if !inside && !fence {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Code spans of the prose.
fn spans(text: &str) -> Vec<String> {
    prose(text).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The cells of a row of a table.
fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split(" | ").map(|c| c.trim().replace('`', "")).collect()
}

/// The rows of the tables of codes, by code.
fn code_table() -> BTreeMap<String, Vec<String>> {
    let mut table = BTreeMap::new();
    let is_row = |line: &&str| CODES.iter().any(|kind| line.starts_with(&format!("| `{kind}")));
    let has_page = |line: &&str| line.starts_with("| [`CVRS-");
    for line in read(ERRORS).lines().filter(|line| has_page(line) || is_row(line)) {
        let mut cells = cells(line);
        if has_page(&line) {
            let code = cells[0].split(['[', ']']).nth(1).unwrap().to_owned();
            assert_eq!(cells[0], format!("[{code}]({code}.md)"), "it leads to its page");
            cells[0] = code;
        }
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
        assert!(table.insert(cells[0].clone(), cells).is_none(), "{line} stands twice");
    }
    table
}

/// Every code of a refusal, a job or a row.
fn known_codes() -> BTreeSet<&'static str> {
    let refusals = Code::ALL.iter().map(|code| code.as_str());
    let misses = Miss::ALL.iter().map(|miss| miss.code());
    refusals.chain(Reason::codes()).chain(misses).collect()
}

/// What a code of that kind answers over REST and gRPC; nothing where it is no refusal.
fn statuses(kind: Kind) -> Option<[&'static str; 2]> {
    Some(match kind {
        Kind::Invalid => ["400", "INVALID_ARGUMENT"],
        Kind::TooLarge => ["413", "INVALID_ARGUMENT"],
        Kind::Unsupported => ["415", "INVALID_ARGUMENT"],
        Kind::Timeout => ["408", "DEADLINE_EXCEEDED"],
        Kind::Unauthenticated => ["401", "UNAUTHENTICATED"],
        Kind::Forbidden => ["403", "PERMISSION_DENIED"],
        Kind::NotFound => ["404", "NOT_FOUND"],
        Kind::MethodNotAllowed => ["405", "UNIMPLEMENTED"],
        Kind::Conflict => ["409", "ALREADY_EXISTS"],
        Kind::OutOfRange => ["400", "OUT_OF_RANGE"],
        Kind::Range => ["416", "OUT_OF_RANGE"],
        Kind::Exhausted => ["429", "RESOURCE_EXHAUSTED"],
        Kind::Full => ["507", "RESOURCE_EXHAUSTED"],
        Kind::Unavailable => ["503", "UNAVAILABLE"],
        Kind::Internal => ["500", "INTERNAL"],
        Kind::Job => return None,
    })
}

#[test]
fn every_code_of_ours_has_a_page_with_its_statuses_and_an_example() {
    let mut pages = BTreeSet::new();
    for entry in fs::read_dir(root().join("docs/errors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        pages.extend(name.strip_suffix(".md").filter(|name| *name != "README").map(str::to_owned));
    }
    let ours = known_codes().into_iter().filter(|code| code.starts_with("CVRS-"));
    assert_eq!(pages, ours.map(str::to_owned).collect());
    for name in pages {
        let text = read(&format!("docs/errors/{name}.md"));
        assert!(text.starts_with(&format!("# {name}\n\n")), "{name}");
        for part in ["\n## When\n", "\n## What to do\n", "\n## Example\n"] {
            assert!(text.contains(part), "{name}: {part}");
        }
        check_page(&name, &text);
    }
}

/// Holds statuses and example of a page against the code.
fn check_page(name: &str, text: &str) {
    let statuses = Code::from_text(name).and_then(|code| statuses(code.kind()));
    let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    let expected: Vec<_> =
        statuses.iter().map(|[rest, grpc]| format!("| {rest} | `{grpc}` |")).collect();
    assert_eq!(table, expected, "{name}");
    let [(language, example)] = &blocks(text)[..] else { panic!("{name}: one example") };
    let [rest, grpc] = statuses.unwrap_or_default();
    if language == "text" {
        assert!(example.starts_with(&format!("{grpc}: ")) && example.contains(name), "{name}");
        return;
    }
    let example: serde_json::Value = serde_json::from_str(example).unwrap();
    assert_eq!(example["code"], name);
    if statuses.is_some() {
        assert_eq!(example["status"].to_string(), rest, "{name}");
        assert_eq!(example["type"], format!("urn:cvrsd:error:{name}"));
        assert!(example["title"].is_string() && example["detail"].is_string(), "{name}");
    } else {
        assert!(example["message"].is_string(), "{name}");
    }
}

#[test]
fn every_code_is_explained_and_no_other() {
    let known = known_codes();
    let table = code_table();
    let told: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(told, known);
    for document in documents() {
        for span in spans(&document.text).iter().filter(|s| s.starts_with("CVRS-")) {
            let plain = span.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            assert!(!plain || known.contains(span.as_str()), "{}: {span}", document.path.display());
        }
    }
}

#[test]
fn every_refusal_is_listed_with_its_statuses() {
    let table = code_table();
    for code in Code::ALL {
        let Some(statuses) = statuses(code.kind()) else {
            assert_eq!(table[code.as_str()].len(), 3, "{code} is no refusal");
            continue;
        };
        assert_eq!(table[code.as_str()][1..3], statuses, "{code}");
        assert_eq!(table[code.as_str()].len(), 5, "{code}");
    }
}

/// The anchor that a heading makes.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut checked = 0;
    for document in documents() {
        let (text, folder) = (prose(&document.text), document.path.parent().unwrap());
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") {
                continue;
            }
            checked += 1;
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { document.path.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", document.path.display());
            if !place.is_empty() {
                let text = prose(&fs::read_to_string(target).unwrap());
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let there = headings.any(|heading| anchor(heading) == place);
                assert!(there, "{}: {link} has no such heading", document.path.display());
            }
        }
    }
    assert!(checked > 20, "links were found");
}

/// `section.key` where it looks like one of the configuration. Kinds of entries of the audit log do too.
fn as_key<'a>(span: &'a str, defaults: &serde_json::Value) -> Option<(&'a str, &'a str)> {
    let span = span.split([' ', '=']).next()?;
    if audit::Kind::ALL.iter().any(|kind| kind.as_str() == span) {
        return None;
    }
    let (section, key) = span.split_once('.')?;
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (plain && defaults.get(section).is_some()).then_some((section, key))
}

#[test]
fn every_configuration_key_that_is_named_exists() {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut checked = 0;
    for document in documents() {
        let name = document.path.display();
        for span in spans(&document.text) {
            if let Some((section, key)) = as_key(&span, &defaults) {
                checked += 1;
                assert!(defaults[section].get(key).is_some(), "{name}: there is no key {span}");
            }
        }
        for rest in prose(&document.text).split("CVRSD__").skip(1) {
            let variable: String =
                rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            let (section, key) = variable.split_once("__").unwrap();
            if (section, key) != ("SECTION", "KEY") {
                let (section, key) = (section.to_lowercase(), key.to_lowercase());
                assert!(defaults[section].get(key).is_some(), "{name}: CVRSD__{variable}");
            }
        }
    }
    assert!(checked > 20, "keys were found");
}

/// A part of the README.
fn part(name: &str) -> String {
    part_of("README.md", name)
}

/// A part of a document.
fn part_of(document: &str, name: &str) -> String {
    let text = read(document);
    let from = text.split_once(&format!("\n## {name}\n")).unwrap().1;
    from.split("\n## ").next().unwrap().to_owned()
}

/// The shell blocks of a text, as one script that stops at the first failure.
fn script(text: &str) -> String {
    let shell = blocks(text).into_iter().filter(|(language, _)| language == "sh");
    // However it ends, no daemon is left behind, which would keep our pipes open.
    let mut script =
        "set -euo pipefail; trap 'kill \"${daemon:-}\" 2> /dev/null || :' EXIT\n".to_owned();
    for (_, block) in shell {
        // The program is built already, and the path says where.
        if !block.contains("cargo build") {
            script.push_str(&block);
        }
    }
    script
}

/// A port below those that the system gives out, so that no other test gets it meanwhile.
fn free_port() -> u16 {
    let mut random = fastrand::Rng::new();
    let mut ports = std::iter::repeat_with(|| random.u16(15_000..30_000));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Pastes a script into a shell whose `cvrsd` is ours, on ports of its own, with files below `home`.
fn paste(script: &str, home: &Path) -> Output {
    let bin = home.join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_cvrsd"), bin.join("cvrsd")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let [grpc, rest, admin] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .env("PATH", path)
        .env("TMPDIR", home)
        .env("CVRSD_SERVER", format!("http://{grpc}"))
        .env("CVRSD_ADMIN", format!("http://{admin}"))
        .env("CVRSD_REST", format!("http://{rest}"))
        .env("CVRSD__GRPC__LISTEN", grpc)
        .env("CVRSD__REST__LISTEN", rest)
        .env("CVRSD__ADMIN__LISTEN", admin)
        .env("CVRSD__LOG__LEVEL", "trace")
        .env_remove("CVRSD_TOKEN")
        .stdin(Stdio::null());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_tour_runs_as_pasted_and_its_log_tells_of_nobody() {
    let home = tempfile::tempdir().unwrap();
    let output = paste(&script(&part("A tour")), home.path());
    let (out, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{notes}");
    assert!(out.contains("rows        1,000 read, 1,000 valid, 1,000 applied"), "{out}");
    assert!(out.contains("rows        1,200 read, 1,200 valid, 1,000 applied"), "{out}");
    assert!(out.contains("\nlocal\tNON_REDACTED_DB\t0\n"), "{out}");
    assert!(out.contains("1001 live.tsv\n"), "{out}");
    assert!(out.contains("failure     not a cvrs header"), "{out}");
    assert!(out.contains("\nlocal\tREDACTED_DB\t200000\n"), "{out}");
    assert_eq!(out.matches("exit code 1\n").count(), 3, "{out}");
    assert!(notes.contains("(CVRS-REQUEST-CONFLICT)"), "{notes}");
    check_log(home.path());
}

/// Looks for the people of the tour in everything that its daemon logged.
fn check_log(home: &Path) {
    let folders = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    let log = folders.map(|folder| folder.join("serve.log")).find(|log| log.exists()).unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("job completed") && log.contains("drained"), "{log}");
    let people = Sample::new(1, Model::Identified);
    for index in 0..1_200 {
        let mut row = Vec::new();
        people.write_row(index, &mut row);
        let row = text(&row);
        let cells: Vec<&str> = row.split('\t').collect();
        for place in PERSONAL {
            let value = cells[place];
            assert!(value.len() > 6 && !log.contains(value), "column {place} of row {index}");
        }
    }
}

#[test]
fn the_examples_of_the_configuration_run_as_pasted() {
    let home = tempfile::tempdir().unwrap();
    let output = paste(&script(&part("Configuration")), home.path());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "ok\nexit code 64\n");
    assert!(text(&output.stderr).contains("the nearest known one is \"rest.listen\""));
}

#[test]
fn the_operations_run_as_pasted() {
    let home = tempfile::tempdir().unwrap();
    let output = paste(&script(&read("docs/OPERATIONS.md")), home.path());
    let (out, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{notes}");
    assert!(out.contains("\nlocal\tNON_REDACTED_DB\t480\n"), "the records are back: {out}");
}

#[test]
fn a_wrong_deletion_is_put_right_and_a_lawful_one_stays() {
    const CANCEL: &str = "cvrsd cancel \"$job\"\n";
    let [start, backup, deletion] = ["Install", "Back up and restore", "A wrong deletion"]
        .map(|name| part_of("docs/OPERATIONS.md", name));
    assert_eq!(deletion.matches(CANCEL).count(), 1);
    // The job is over before somebody notices. Its file is one that spells and orders as it likes, with a row twice.
    let sent = "cp people.txt rows.txt
        awk -F '\\t' -v OFS='\\t' 'NR == 1 { printf \"\\357\\273\\277\" }
            { $1 = toupper($1); print $4, $1 \"\\r\" } NR == 30 { print \"\" } NR == 40 { print $4, $1 }' \\
            rows.txt > people.txt
        job=$(cvrsd submit delete people.txt)\n";
    let ended = format!("cvrsd watch \"$job\"\n{CANCEL}");
    let deletion = deletion
        .replace("job=$(cvrsd submit delete people.txt)\n", sent)
        .replace(CANCEL, &ended)
        .replace("cvrsd submit create again.txt", "wc -l again.txt; cvrsd submit create again.txt");
    let home = tempfile::tempdir().unwrap();
    let check = "\n```sh\ncut -f 1 moved.txt | grep -c -F -f - again.txt\n```\n";
    let deletion = deletion.replace("\n**Write down**", &format!("{check}\n**Write down**"));
    let output = paste(&script(&(start + &backup + &deletion)), home.path());
    let (out, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{notes}");
    assert!(
        out.contains("501 read, 501 valid, 480 applied"),
        "all but 20 and the second of two: {out}"
    );
    assert!(out.contains("\n481 again.txt\n"), "{out}");
    assert!(out.contains("\nlocal\tNON_REDACTED_DB\t480\n"), "{out}");
    assert!(notes.contains("480 of 480 rows are in the backup\n"), "{notes}");
    assert!(
        out.ends_with("\n1\n"),
        "of those who were deleted lawfully there is the header alone: {out}"
    );
}

#[test]
fn a_deletion_that_was_cancelled_in_its_queue_brings_nobody_back() {
    const SUBMIT: &str = "job=$(cvrsd submit delete people.txt)\n";
    const WATCH: &str = "cvrsd watch \"$job\" || echo \"the job was cancelled\"\n";
    let [start, backup, deletion] = ["Install", "Back up and restore", "A wrong deletion"]
        .map(|name| part_of("docs/OPERATIONS.md", name));
    assert_eq!(deletion.matches(SUBMIT).count(), 1);
    assert_eq!(deletion.matches(WATCH).count(), 1);
    let deletion = deletion
        .replace(SUBMIT, &format!("cvrsd admin pause --all --reason test\n{SUBMIT}"))
        .replace(WATCH, &format!("{WATCH}cvrsd admin resume --all\n"))
        .replace("cvrsd submit create again.txt", "wc -l again.txt; cvrsd submit create again.txt");
    let home = tempfile::tempdir().unwrap();
    let output = paste(&script(&(start + &backup + &deletion)), home.path());
    let (out, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{notes}");
    assert!(out.contains("the job was cancelled\n"), "{out}");
    assert!(out.contains("\n1 again.txt\n"), "the header alone: {out}");
    assert!(out.ends_with("\nlocal\tNON_REDACTED_DB\t480\nlocal\tREDACTED_DB\t480\n"), "{out}");
}

/// Whoever pastes has no `pipefail`, and may not notice that the job could not be asked.
#[test]
fn rows_are_not_taken_for_none_where_the_job_does_not_tell() {
    let deletion = part_of("docs/OPERATIONS.md", "A wrong deletion");
    let (_, step) = deletion.split_once("processed=$(").unwrap();
    let (step, _) = step.split_once("```").unwrap();
    let step = step.replace("cvrsd submit create again.txt --watch", "echo it is created");
    let home = tempfile::tempdir().unwrap();
    let there = home.path().display();
    for (said, goes_on, told) in [
        ("false", false, "the job does not say what it processed in REDACTED_DB"),
        (
            "echo 'storage     NON_REDACTED_DB: 1 processed, 0 errors'",
            false,
            "the job does not say",
        ),
        (
            "echo 'storage     REDACTED_DB: 2 processed, 0 errors'",
            false,
            "1 rows are not in the report, 2",
        ),
        (
            "echo 'storage     REDACTED_DB: 1 processed, 0 errors'",
            true,
            "1 of 1 rows are in the backup",
        ),
    ] {
        let files = "printf 'line\\tkind\\n' > report.tsv
            printf 'vax_event_id\\nA\\n' | tee people.txt > before.tsv";
        let script = format!(
            "cd {there}; storage=REDACTED_DB job=x; {files}; cvrsd() {{ {said}; }}\nprocessed=$({step}"
        );
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        let (out, notes) = (text(&output.stdout), text(&output.stderr));
        assert!(notes.contains(told), "{said}: {notes}");
        assert_eq!(out.contains("it is created"), goes_on, "{said}: {out}");
    }
}

#[test]
fn every_alert_leads_to_what_to_do() {
    let operations = read("docs/OPERATIONS.md");
    let headings = prose(&operations);
    let headings: BTreeSet<String> =
        headings.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    let alerts = read("docs/prometheus/alerts.yml");
    let alerts: Vec<_> = alerts.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10, "alerts were found");
    for alert in alerts {
        let place =
            alert.split_once("runbook: OPERATIONS.md#").unwrap_or_else(|| panic!("{alert}")).1;
        assert!(headings.contains(place.lines().next().unwrap()), "{alert}");
    }
}

#[test]
fn every_command_of_the_package_is_one_that_is_tried() {
    let tried = read("packaging/try.sh");
    let tried: BTreeSet<&str> = tried.lines().map(str::trim).collect();
    let shell = blocks(&read("docs/OPERATIONS.md"));
    let shell = shell.iter().filter(|(language, _)| language == "sh package");
    let mut checked = 0;
    for line in shell.flat_map(|(_, block)| block.lines()) {
        checked += 1;
        assert!(tried.contains(line.trim()), "{line}");
    }
    assert!(checked > 3, "commands were found");
}

#[test]
fn a_command_of_the_documents_has_the_options_that_it_is_given() {
    let mut checked = 0;
    for document in documents() {
        let shell =
            blocks(&document.text).into_iter().filter(|(language, _)| language.starts_with("sh"));
        for (_, block) in shell {
            // What ends like it in a path is none.
            let called =
                block.match_indices("cvrsd ").filter(|(at, _)| !block[..*at].ends_with('/'));
            for (at, name) in called {
                let call = &block[at + name.len()..];
                let call = call.split(['\n', ')', '|', '>', '&']).next().unwrap();
                checked += check_options(call);
            }
        }
    }
    assert!(checked > 10, "options were found");
}

/// Holds the options of one call against the command's help; returns how many there were.
fn check_options(call: &str) -> usize {
    let mut words =
        call.split_whitespace().filter(|w| w.starts_with(|c: char| c.is_ascii_graphic()));
    let command: Vec<&str> = words.by_ref().take_while(|w| !w.starts_with('-')).collect();
    let options: Vec<&str> = call.split_whitespace().filter(|w| w.starts_with("--")).collect();
    let Some(first) = command.first() else { return 0 };
    let nested =
        ["admin", "audit", "client", "records"].contains(first).then(|| command.get(1)).flatten();
    let mut help = Command::new(env!("CARGO_BIN_EXE_cvrsd"));
    let help = help.arg(first).args(nested).arg("--help").output().unwrap();
    assert!(help.status.success(), "there is no command {first}: {call}");
    let help = text(&help.stdout);
    for option in &options {
        assert!(help.contains(option), "cvrsd {first} has no {option}");
    }
    options.len()
}
