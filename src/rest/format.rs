//! An error report as TSV or NDJSON.

use std::io::Write;

use axum::http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{engine::ReportRow, error::Error};

/// Columns of the TSV and members of the NDJSON, in this order.
const TSV_HEADER: &str = "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage\n";

/// In what form a report is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Tsv,
    Ndjson,
}

/// One line of the error report in NDJSON.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportEntry)]
pub(super) struct Entry<'a> {
    /// Line of the file; the header is line 1.
    #[schema(minimum = 1)]
    line: u64,
    /// `validation` or `processing`.
    #[schema(pattern = "^(validation|processing)$")]
    kind: &'static str,
    /// The storage of a processing error, else empty.
    storage: &'static str,
    /// As the row spells it; empty where it is missing.
    vax_event_id: &'a str,
    /// As the row spells it; empty where it is missing.
    recip_id: &'a str,
    /// The column of a validation error; empty where the whole row or file is meant.
    field: &'a str,
    /// Stable code: one of ours, or under the profile `strict` one of its validator's.
    #[schema(pattern = "^[A-Z][A-Z0-9-]+$")]
    code: &'a str,
    /// The same as a sentence.
    message: &'a str,
}

impl<'a> Entry<'a> {
    fn new(row: &'a ReportRow) -> Self {
        Self {
            line: row.line,
            kind: if row.storage.is_some() { "processing" } else { "validation" },
            storage: row.storage.map_or("", |s| s.as_str()),
            vax_event_id: &row.vax_event_id,
            recip_id: &row.recip_id,
            field: &row.field,
            code: &row.code,
            message: &row.message,
        }
    }
}

impl Format {
    /// NDJSON where the caller names it and does not prefer TSV (RFC 9110, section 12.5.1), else TSV.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
        let ranges: Vec<_> = values.flat_map(|v| v.split(',')).map(weighed).collect();
        let of = |name: &str| {
            let named = ranges.iter().filter(|(range, _)| range.eq_ignore_ascii_case(name));
            named.map(|(_, weight)| *weight).reduce(f32::max)
        };
        // The most specific range counts.
        let tsv = ["text/tab-separated-values", "text/*", "*/*"].into_iter().find_map(of);
        let ndjson = ["application/x-ndjson", "application/ndjson"].into_iter().filter_map(of);
        let ndjson = ndjson.reduce(f32::max).unwrap_or_default();
        if ndjson > 0.0 && ndjson >= tsv.unwrap_or_default() { Self::Ndjson } else { Self::Tsv }
    }

    /// Its name inside entity tags.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tsv => "tsv",
            Self::Ndjson => "ndjson",
        }
    }

    /// What `Content-Type` says.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Tsv => "text/tab-separated-values; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What stands before the first error.
    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Tsv => TSV_HEADER,
            Self::Ndjson => "",
        }
    }

    /// These errors, one line each.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(super) fn page(self, rows: &[ReportRow]) -> Result<Vec<u8>, Error> {
        let mut page = Vec::new();
        for row in rows {
            self.write(&mut page, &Entry::new(row))?;
        }
        Ok(page)
    }

    fn write(self, page: &mut Vec<u8>, entry: &Entry<'_>) -> Result<(), Error> {
        match self {
            Self::Tsv => {
                let Entry { line, kind, storage, vax_event_id, recip_id, field, code, message } =
                    entry;
                writeln!(
                    page,
                    "{line}\t{kind}\t{storage}\t{vax_event_id}\t{recip_id}\t{field}\t{code}\t{message}"
                )
                .map_err(Error::internal)
            }
            Self::Ndjson => {
                serde_json::to_writer(&mut *page, entry).map_err(Error::internal)?;
                page.push(b'\n');
                Ok(())
            }
        }
    }
}

/// A media range without its parameters, and its weight: 1 where it has none, or none that is a weight.
fn weighed(media_range: &str) -> (&str, f32) {
    let mut parts = media_range.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let weights = parts.filter_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('='));
    let mut weights = weights.filter_map(|weight| weight.parse().ok());
    (range, weights.find(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::domain::Storage;

    fn rows() -> [ReportRow; 2] {
        let row = ReportRow {
            line: 2,
            storage: None,
            vax_event_id: "EV1".to_owned(),
            recip_id: String::new(),
            field: "recip_dob".to_owned(),
            code: "X".to_owned(),
            message: "a \"b\"".to_owned(),
        };
        let missing = ReportRow {
            line: 3,
            storage: Some(Storage::Redacted),
            recip_id: "P1".to_owned(),
            field: String::new(),
            message: "Record does not exist".to_owned(),
            ..row.clone()
        };
        [row, missing]
    }

    fn page(format: Format) -> String {
        String::from_utf8(format.page(&rows()).unwrap()).unwrap()
    }

    #[test]
    fn tsv_has_a_header_and_one_line_for_each_error() {
        assert_eq!(
            format!("{}{}", Format::Tsv.head(), page(Format::Tsv)),
            "line\tkind\tstorage\tvax_event_id\trecip_id\tfield\tcode\tmessage\n\
             2\tvalidation\t\tEV1\t\trecip_dob\tX\ta \"b\"\n\
             3\tprocessing\tREDACTED_DB\tEV1\tP1\t\tX\tRecord does not exist\n"
        );
    }

    #[test]
    fn ndjson_has_the_same_members_in_the_same_order() {
        assert_eq!(Format::Ndjson.head(), "");
        assert_eq!(
            page(Format::Ndjson),
            concat!(
                r#"{"line":2,"kind":"validation","storage":"","vax_event_id":"EV1","recip_id":"","field":"recip_dob","code":"X","message":"a \"b\""}"#,
                "\n",
                r#"{"line":3,"kind":"processing","storage":"REDACTED_DB","vax_event_id":"EV1","recip_id":"P1","field":"","code":"X","message":"Record does not exist"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn ndjson_is_sent_only_where_accept_names_it() {
        for (accept, format) in [
            ("application/x-ndjson", Format::Ndjson),
            ("text/html, Application/NDJSON;q=0.5", Format::Ndjson),
            ("*/*", Format::Tsv),
            ("application/json", Format::Tsv),
            ("text/tab-separated-values", Format::Tsv),
            ("application/x-ndjson;q=0, text/tab-separated-values", Format::Tsv),
            ("application/x-ndjson;q=0", Format::Tsv),
            ("application/x-ndjson; q=0.000, application/ndjson", Format::Ndjson),
            ("text/tab-separated-values, application/x-ndjson;q=0.1", Format::Tsv),
            ("text/tab-separated-values;q=0.1, application/x-ndjson;v=1;Q=0.2", Format::Ndjson),
            ("text/tab-separated-values, application/x-ndjson", Format::Ndjson),
            ("application/x-ndjson, */*", Format::Ndjson),
            ("application/x-ndjson;q=0.5, text/*;q=0.6, */*;q=0.1", Format::Tsv),
            ("application/x-ndjson;q=0.5, text/*;q=0.4, */*", Format::Ndjson),
            ("application/x-ndjson;q=nan", Format::Ndjson),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Format::accepted(&headers), format, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Tsv);
    }
}
