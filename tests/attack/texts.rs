//! Texts without a zip around them.

use crate::{
    run::{Attack, End, over_grpc, over_rest},
    support::{
        command,
        http::{JOBS, Server},
        ready,
    },
};

/// Files of which rows read as columns of the header: their lines end in a carriage return, or a row with
/// the name of a column stands first.
const ROWS_AS_COLUMNS: [&str; 4] = [
    "vax_event_id\trecip_first_name\trecip_last_name\rEV1\tJohn\tSmith\rEV2\tMary\tJones\r",
    "vax_event_id\trecip_last_name\trecip_sex\rEV1\tSmith\tF\rEV2\tSmith\tM",
    "EV1\tJohn\tserology\tJohn",
    "EV1\tJohn\tvax_event_id\tSmith\tMary\nEV2\tMary\tX\tJones\tJohn\n",
];
/// Values of their rows. The last file has its id in its third column.
const VALUES: [&str; 6] = ["EV1", "EV2", "John", "Smith", "Mary", "Jones"];

fn attack(name: &'static str, body: impl Into<Vec<u8>>, end: End) -> Attack {
    Attack { name, media: "text/plain", body: body.into(), end }
}

fn texts() -> Vec<Attack> {
    let header = End::Failed("CVRS-HEADER");
    let line = End::Failed("CVRS-FILE-LINE");
    let long = vec![b'x'; 100_000_000];
    let long_row = [b"vax_event_id\n", &long[..]].concat();
    let tabs = "\t".repeat(1_000_000);
    let names = |count: usize| -> String {
        (0..count).flat_map(|n| ["\tc".to_owned(), n.to_string()]).collect()
    };
    vec![
        attack("no byte", "", End::Refused(400, "CVRS-BODY-EMPTY")),
        attack("100 MB without a newline", long, line),
        attack("a row of 100 MB", long_row, line),
        attack("no newline at the end", "vax_event_id\nEV1", End::Read),
        attack("a byte-order mark", "\u{feff}vax_event_id\nEV1\n", End::Read),
        attack("two byte-order marks", "\u{feff}\u{feff}vax_event_id\nEV1\n", header),
        attack("a byte-order mark alone", "\u{feff}", header),
        attack("UTF-16", b"\xff\xfev\0a\0x\0".to_vec(), header),
        attack("a header that is not UTF-8", b"vax_event_id\t\xff\nEV1\n".to_vec(), header),
        attack(
            "rows that are not UTF-8",
            b"vax_event_id\n\xff\xfe\xc0\x80\nEV1\n".to_vec(),
            End::Read,
        ),
        attack("carriage returns alone", "vax_event_id\rEV1\rEV2\r", header),
        attack("carriage returns alone, and columns that are known", ROWS_AS_COLUMNS[0], header),
        attack("carriage returns alone, and a value twice", ROWS_AS_COLUMNS[1], header),
        attack(
            "a row in place of the header, and a value twice",
            ROWS_AS_COLUMNS[2],
            End::Failed("CVRS-HEADER-DUPLICATE"),
        ),
        attack("a row in place of the header", ROWS_AS_COLUMNS[3], End::Read),
        attack("newlines alone", "\n".repeat(100_000), header),
        attack("a NUL in the header", "vax_event_id\0\nEV1\n", header),
        attack("a NUL in a row", "vax_event_id\nE\0V1\n\0\n", End::Read),
        attack("a million columns without a name", format!("vax_event_id{tabs}\nEV1\n"), End::Read),
        attack("a million columns", format!("vax_event_id{tabs}x\nEV1\n"), header),
        attack("1,001 named columns", format!("vax_event_id{}\nEV1\n", names(1_000)), header),
        attack("1,000 named columns", format!("vax_event_id{}\nEV1\n", names(999)), End::Read),
        attack("a row of a million empty cells", format!("vax_event_id\nEV1{tabs}\n"), End::Read),
        attack(
            "a row of a million cells and one filled",
            format!("vax_event_id\nEV1{tabs}x\n"),
            End::Read,
        ),
        attack("a formula", "vax_event_id\n=cmd|' /C calc'!A0\n", End::Read),
    ]
}

#[test]
fn odd_texts_are_read_or_fail_the_job_over_rest() {
    over_rest(texts(), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_texts_are_read_or_fail_the_job_over_grpc() {
    over_grpc(texts(), &[]).await;
}

#[test]
fn rows_that_read_as_columns_show_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut command = command(&dir.path().join("data"), &[], &[("CVRSD__LOG__LEVEL", "trace")]);
    let output = std::fs::File::create(&log).unwrap();
    let child = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
    let daemon = ready(&dir.path().join("data"), child);
    let server = Server { daemon, dir };
    let outcomes = ["FAILED", "FAILED", "FAILED", "PARTIAL"];
    for (text, outcome) in ROWS_AS_COLUMNS.into_iter().zip(outcomes) {
        let job = server.submit("DELETE", text);
        let mut shown = server.wait(&job);
        assert_eq!(server.full(&job)["outcome"], outcome);
        for path in ["?view=full", "/errors", "/events"] {
            shown += &server.get(&format!("{JOBS}/{job}{path}")).body;
        }
        shown += &server.get(JOBS).body;
        let batch = [("Content-Type", "text/plain")];
        shown += &server.call("DELETE", "/v0/upload/cvrs/batch", &batch, text.as_bytes()).body;
        shown += &std::fs::read_to_string(&log).unwrap();
        for value in VALUES {
            assert!(!shown.contains(value), "{value} stands in {shown}");
        }
    }
}

#[test]
fn a_formula_in_an_id_prints_as_it_was_sent() {
    let server = Server::new();
    for id in ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "<script>", "%s%n", "' OR 1=1"] {
        let job = server.submit("DELETE", format!("vax_event_id\n{id}\n"));
        server.wait(&job);
        let report = server.get(&format!("{JOBS}/{job}/errors")).body;
        let cell = report.lines().nth(1).unwrap().split('\t').nth(3).unwrap();
        assert_eq!(cell, id);
    }
}
