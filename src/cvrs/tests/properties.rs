use proptest::{collection::vec, prelude::*, sample::subsequence};

use super::*;

/// Bytes among which those that mean something are frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\t".to_vec()),
        Just(b"\r".to_vec()),
        Just(b" ".to_vec()),
        Just("é\u{feff}".as_bytes().to_vec()),
        (0_usize..45).prop_map(|n| Field::ALL[n].name().as_bytes().to_vec()),
        vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

fn cell() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_filter("ends a cell or line", |b| !b"\t\r\n".contains(b)), 0..6)
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(first in bytes(), line in bytes()) {
        for header in [Need::All, Need::Key].into_iter().filter_map(|n| Header::parse(&first, n).ok()) {
            let _ = header.cell(&line, Field::RecipId);
        }
        let header = canonical();
        for kind in [RowKind::Full, RowKind::Delete] {
            let mut errors = Vec::new();
            Checker::new(&dch_2021(), &header, kind).check(2, &line, &mut errors);
            prop_assert!(errors.len() <= 45);
            Checker::new(&strict(), &header, kind).check(2, &line, &mut errors);
            for error in &errors {
                prop_assert!(Reason::codes().contains(error.reason.code()));
            }
        }
        let mut row = Vec::new();
        header.canonical(&line, &mut row);
        prop_assert_eq!(row.split(|b| *b == b'\t').count(), 45);
        let mut shown = String::new();
        id_text(header.event_id(&line), &mut shown);
        prop_assert!(shown.chars().count() <= 255 && !shown.contains(char::is_control));
    }

    #[test]
    fn a_row_is_checked_without_memory_of_the_one_before(one in bytes(), other in bytes()) {
        let header = canonical();
        let (mut alone, mut after) = (Vec::new(), Vec::new());
        Checker::new(&dch_2021(), &header, RowKind::Full).check(2, &other, &mut alone);
        let mut checker = Checker::new(&dch_2021(), &header, RowKind::Full);
        checker.check(2, &one, &mut Vec::new());
        checker.check(2, &other, &mut after);
        prop_assert_eq!(after, alone);
    }

    #[test]
    fn a_row_keeps_its_cells_whatever_the_order_of_columns(
        order in Just(Field::ALL.to_vec()).prop_shuffle(),
        cells in vec(cell(), 45),
    ) {
        let names: Vec<_> = order.iter().map(|f| f.name()).collect();
        let header = Header::parse(names.join("\t").as_bytes(), Need::All).unwrap();
        let line: Vec<_> = order.iter().map(|f| cells[f.index()].clone()).collect();
        let line = line.join(&b'\t');
        let mut row = Vec::new();
        header.canonical(&line, &mut row);
        prop_assert_eq!(&row, &cells.join(&b'\t'));
        let mut again = Vec::new();
        canonical().canonical(&row, &mut again);
        prop_assert_eq!(&again, &row);
        prop_assert_eq!(event_id_of(&row), &cells[0][..]);
        prop_assert_eq!(header.event_id(&line), &cells[0][..]);
    }

    #[test]
    fn a_header_with_fewer_columns_leaves_the_others_empty(
        fields in subsequence(Field::ALL[1..].to_vec(), 0..44),
        cells in vec(cell(), 45),
    ) {
        let fields: Vec<_> = [Field::VaxEventId].into_iter().chain(fields).collect();
        let names: Vec<_> = fields.iter().map(|f| f.name()).collect();
        let header = Header::parse(names.join("\t").as_bytes(), Need::Key).unwrap();
        let line: Vec<_> = fields.iter().map(|f| cells[f.index()].clone()).collect();
        let mut row = Vec::new();
        header.canonical(&line.join(&b'\t'), &mut row);
        for field in Field::ALL {
            let expected = if fields.contains(&field) { &cells[field.index()][..] } else { b"" };
            prop_assert_eq!(canonical().cell(&row, field), expected);
        }
    }

    #[test]
    fn one_bad_cell_makes_no_other_column_wrong(place in 0_usize..45, value in "[ -~]{0,12}") {
        let field = Field::ALL[place];
        let bad = row(&[(field, &value)]);
        for error in full(&dch_2021(), &bad) {
            // A birth is compared with the admin date, so a change of one may show at the other.
            let blamed = error.split(':').next().unwrap().to_owned();
            let partner = field == Field::AdminDate && blamed == "recip_dob";
            prop_assert!(partner || blamed == field.name(), "{} blamed for {}", blamed, field.name());
        }
    }
}
