use super::*;
use crate::{
    error::Code,
    limits::{HEADER_COLUMNS_MAX, SENTENCE_CHARS_MAX, WARNINGS_MAX},
};

fn parse(line: &str, need: Need) -> Result<Header, HeaderError> {
    Header::parse(line.as_bytes(), need)
}

fn refusal(line: &str, need: Need) -> (Code, String) {
    let error = parse(line, need).unwrap_err();
    assert!(error.message.chars().count() <= SENTENCE_CHARS_MAX, "{}", error.message);
    (error.code, error.message)
}

#[test]
fn mark_case_order_spaces_and_line_end_do_not_matter() {
    let mut names: Vec<_> = Field::ALL.iter().map(|f| format!("  {} ", f.name())).collect();
    names.reverse();
    let line = format!("\u{feff}{}\r", names.join("\t").to_uppercase());
    let header = parse(&line, Need::All).unwrap();
    assert_eq!(header.place(Field::Serology), Some(0));
    assert_eq!(header.place(Field::VaxEventId), Some(44));
    assert!(header.warnings().is_empty());
}

#[test]
fn empty_names_are_taken_only_at_the_end() {
    let header = parse(&format!("{}\t\t  \t", canonical_header()), Need::All).unwrap();
    assert_eq!(header.columns().len(), 45);
    let (code, message) = refusal("vax_event_id\t \trecip_id", Need::Key);
    assert_eq!(code, Code::HeaderMalformed);
    assert_eq!(message, "column 2 of the header has no name");
}

#[test]
fn a_name_twice_fails_the_file_whatever_its_case() {
    let (code, message) = refusal("vax_event_id\trecip_id\t Vax_Event_ID", Need::Key);
    assert_eq!(code, Code::HeaderDuplicate);
    assert_eq!(message, "vax_event_id stands twice in the header, as column 1 and 3");
    for other in ["Jane Doe", "Doe", "jane_doe"] {
        let (code, message) = refusal(&format!("vax_event_id\t{other}\t{other}"), Need::Key);
        assert_eq!(code, Code::HeaderDuplicate);
        assert_eq!(message, "a column stands twice in the header, as column 2 and 3");
    }
}

#[test]
fn what_has_no_known_column_is_no_header() {
    for line in
        ["", "\r", "\u{feff}", "\t\t", "This is not a\r", "vax_event_id,ext_type", "x\ty", "{}"]
    {
        let (code, message) = refusal(line, Need::Key);
        assert_eq!(code, Code::HeaderMalformed, "{line:?}");
        assert!(message.starts_with("not a cvrs header"), "{message}");
    }
    let utf_16: Vec<u8> = canonical_header().bytes().flat_map(|byte| [byte, 0]).collect();
    assert_eq!(Header::parse(&utf_16, Need::All).unwrap_err().code, Code::HeaderMalformed);
    let error = Header::parse(b"vax_event_id\t\xff", Need::Key).unwrap_err();
    assert_eq!(error.message, "not a cvrs header: the first line is not UTF-8 text");
}

#[test]
fn a_control_character_in_a_name_makes_the_line_no_header_and_shows_nothing_of_it() {
    for control in ["\r", "\0", "\u{b}", "\u{c}", "\u{1b}", "\u{7f}", "\u{85}"] {
        let line = format!("vax_event_id\trecip_last_name{control}EV1\tSmith{control}EV2\tSmith");
        for (line, place) in [
            (line.clone(), 2),
            (format!("{line}\r"), 2),
            (format!("{control}vax_event_id\trecip_id"), 1),
            (format!("vax_event_id{control}\r"), 1),
            (format!("vax_event_id\trecip_id\t{control}\t"), 3),
        ] {
            let (code, message) = refusal(&line, Need::Key);
            assert_eq!(code, Code::HeaderMalformed, "{line:?}");
            let what = format!("the first line has a control character in column {place}");
            assert_eq!(message, format!("not a cvrs header: {what}"), "{line:?}");
        }
    }
    assert!(parse("vax_event_id\trecip_id\r", Need::Key).is_ok());
}

#[test]
fn a_header_with_too_many_columns_is_none() {
    let with = |count: usize| {
        let others: Vec<_> = (1..count).map(|n| format!("\tother_{n}")).collect();
        format!("vax_event_id{}\t\t", others.concat())
    };
    let most = parse(&with(HEADER_COLUMNS_MAX), Need::Key).unwrap();
    assert_eq!(most.columns().len(), HEADER_COLUMNS_MAX);
    let (code, message) = refusal(&with(HEADER_COLUMNS_MAX + 1), Need::Key);
    assert_eq!(code, Code::HeaderMalformed);
    assert_eq!(message, "not a cvrs header: the first line has 1001 columns, more than 1000");
}

#[test]
fn a_delete_needs_the_key_and_everything_else_all_columns() {
    let header = parse("recip_id\tvax_event_id", Need::Key).unwrap();
    assert_eq!(header.place(Field::VaxEventId), Some(1));
    assert_eq!(header.place(Field::Cvx), None);
    let missing = (Code::HeaderColumn, "the header lacks vax_event_id".to_owned());
    assert_eq!(refusal("recip_id", Need::Key), missing);
    let one_less = canonical_header().replace("\tserology", "");
    let missing = (Code::HeaderColumn, "the header lacks serology".to_owned());
    assert_eq!(refusal(&one_less, Need::All), missing);
}

#[test]
fn a_message_names_eight_missing_columns_and_counts_the_rest() {
    let without = |count: usize| {
        let names: Vec<_> = Field::ALL.iter().skip(count).map(|f| f.name()).collect();
        refusal(&names.join("\t"), Need::All).1
    };
    assert!(without(8).ends_with("recip_last_name, recip_dob"), "{}", without(8));
    assert!(without(9).ends_with("recip_last_name, recip_dob and 1 more"), "{}", without(9));
}

#[test]
fn other_columns_are_ignored_with_a_warning() {
    let others = ["vax_prov_suffix", "Jane Doe", "Smith", "1980_01_01", "a_b-c"].join("\t");
    let line = format!("{}\t{others}\tx_{}", canonical_header(), "x".repeat(63));
    assert_eq!(
        parse(&line, Need::All).unwrap().warnings(),
        [
            "column 46 (vax_prov_suffix) is not of cvrs v2 and is ignored",
            "column 47 is not of cvrs v2 and is ignored",
            "column 48 is not of cvrs v2 and is ignored",
            "column 49 is not of cvrs v2 and is ignored",
            "column 50 is not of cvrs v2 and is ignored",
            "column 51 is not of cvrs v2 and is ignored",
        ]
    );
    let longest = format!("x_{}", "x".repeat(62));
    let line = format!("{}\t{longest}", canonical_header());
    let warnings = parse(&line, Need::All).unwrap().warnings().to_vec();
    assert!(warnings.iter().all(|w| w.contains(&longest) && w.len() <= SENTENCE_CHARS_MAX));
}

#[test]
fn warnings_are_bounded_and_the_last_one_counts_the_rest() {
    let with = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("other_{n}")).collect();
        let line = format!("vax_event_id\t{}", names.join("\t"));
        parse(&line, Need::Key).unwrap().warnings().to_vec()
    };
    let all = with(WARNINGS_MAX);
    assert_eq!(all.len(), WARNINGS_MAX);
    assert!(all.last().unwrap().contains("other_19"));
    let cut = with(WARNINGS_MAX + 1);
    assert_eq!(cut.len(), WARNINGS_MAX);
    assert_eq!(cut.last().unwrap(), "2 more columns are not of cvrs v2 and are ignored");
}
