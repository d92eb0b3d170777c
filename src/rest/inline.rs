//! The error lists inside a status body, cut so that the whole body fits its budget.

use serde::Serialize;

use super::view::listed_errors;
use crate::{
    domain::{Job, PerStorage, Storage},
    engine::Service,
    error::{Code, Error},
};

/// The error lists of a status body.
#[derive(Debug, Default)]
pub(super) struct Inline {
    /// Validation errors by line.
    pub validation: Vec<String>,
    /// Processing errors by storage.
    pub processing: PerStorage<Vec<String>>,
    /// An entry was left out.
    pub truncated: bool,
}

impl Inline {
    fn list(&mut self, storage: Option<Storage>) -> &mut Vec<String> {
        match storage {
            None => &mut self.validation,
            Some(storage) => self.processing.get_mut(storage),
        }
    }
}

/// The view of a job with as many whole entries from the front of its report as fit into
/// `budget_chars` characters of compact JSON.
///
/// # Errors
/// When the report cannot be read.
pub(super) async fn fit<V: Serialize>(
    service: &Service,
    job: &Job,
    budget_chars: usize,
    view: impl Fn(Inline) -> V,
) -> Result<V, Error> {
    let total = listed_errors(job);
    if total == 0 {
        return Ok(view(Inline::default()));
    }
    let bare = json_chars(&view(Inline { truncated: true, ..Inline::default() }))?;
    let mut cut = Cut::new(budget_chars.saturating_sub(bare), total);
    let mut reader = match service.report(job).await {
        // The counts are all that is left of it.
        Err(Error { code: Code::ReportPurged, .. }) => return Ok(view(cut.finish())),
        reader => reader?,
    };
    'report: while let Some(page) = reader.next_page().await? {
        for row in &page {
            if !cut.offer(row.storage, row.text())? {
                break 'report;
            }
        }
    }
    Ok(view(cut.finish()))
}

/// Takes entries as long as there is room.
struct Cut {
    /// Characters that are left beside the body without entries that says `"truncated":true`.
    room: usize,
    /// Entries that the lists hold when nothing is left out.
    total: u64,
    taken: u64,
    lists: Inline,
}

impl Cut {
    fn new(room: usize, total: u64) -> Self {
        Self { room, total, taken: 0, lists: Inline::default() }
    }

    /// Takes the next entry, or says that no further one is taken.
    fn offer(&mut self, storage: Option<Storage>, text: String) -> Result<bool, Error> {
        if self.taken == self.total {
            return Ok(false);
        }
        let completes = self.taken + 1 == self.total;
        let list = self.lists.list(storage);
        let comma = usize::from(!list.is_empty());
        let longer_flag = usize::from(completes); // `false` has one character more than `true`
        let Some(room) = self.room.checked_sub(json_chars(&text)? + comma + longer_flag) else {
            return Ok(false);
        };
        self.room = room;
        self.taken += 1;
        list.push(text);
        Ok(true)
    }

    fn finish(mut self) -> Inline {
        self.lists.truncated = self.taken < self.total;
        self.lists
    }
}

fn json_chars(value: &impl Serialize) -> Result<usize, Error> {
    let json = serde_json::to_string(value).map_err(Error::internal)?;
    Ok(json.chars().count())
}

#[cfg(test)]
mod tests {
    use super::{
        super::view::{Full, Plain, tests::partial},
        *,
    };

    /// What `fit` makes of these entries.
    fn fitted<V: Serialize>(
        entries: &[(Option<Storage>, &str)],
        budget_chars: usize,
        view: impl Fn(Inline) -> V,
    ) -> String {
        let bare = json_chars(&view(Inline { truncated: true, ..Inline::default() })).unwrap();
        let mut cut = Cut::new(budget_chars.saturating_sub(bare), entries.len() as u64);
        for (storage, text) in entries {
            if !cut.offer(*storage, (*text).to_owned()).unwrap() {
                break;
            }
        }
        serde_json::to_string(&view(cut.finish())).unwrap()
    }

    const ENTRIES: [(Option<Storage>, &str); 6] = [
        (None, "line#2: one"),
        (None, "line#3: \"zwei\" \\ ü€😀"),
        (Some(Storage::NonRedacted), "storage=NON_REDACTED_DB x"),
        (Some(Storage::NonRedacted), "y"),
        (Some(Storage::Redacted), "storage=REDACTED_DB"),
        (Some(Storage::Redacted), ""),
    ];

    /// The body with exactly the first `taken` entries.
    fn body<V: Serialize>(taken: usize, view: impl Fn(Inline) -> V) -> String {
        let mut lists = Inline { truncated: taken < ENTRIES.len(), ..Inline::default() };
        for (storage, text) in &ENTRIES[..taken] {
            lists.list(*storage).push((*text).to_owned());
        }
        serde_json::to_string(&view(lists)).unwrap()
    }

    fn check_every_boundary<V: Serialize>(view: impl Fn(Inline) -> V + Copy) {
        for taken in 1..=ENTRIES.len() {
            let whole = body(taken, view);
            let chars = whole.chars().count();
            assert_eq!(fitted(&ENTRIES, chars, view), whole, "{taken} entries fit exactly");
            let short = fitted(&ENTRIES, chars - 1, view);
            assert!(short.chars().count() < chars);
            assert_eq!(short, body(taken - 1, view), "one character less leaves out one entry");
        }
    }

    #[test]
    fn entries_fill_the_budget_to_the_character_and_not_one_beyond() {
        let job = partial();
        check_every_boundary(|lists| Plain::new(&job, Some(lists)));
        check_every_boundary(|lists| Full::new(&job, Some(lists)));
    }

    #[test]
    fn no_budget_leaves_every_entry_out_and_says_so() {
        let job = partial();
        let view = |lists| Plain::new(&job, Some(lists));
        assert_eq!(fitted(&ENTRIES, 0, view), body(0, view));
        assert!(body(0, view).ends_with(r#""truncated":true}"#));
    }

    #[test]
    fn an_unbounded_budget_leaves_nothing_out() {
        let job = partial();
        let view = |lists| Plain::new(&job, Some(lists));
        assert_eq!(fitted(&ENTRIES, usize::MAX, view), body(ENTRIES.len(), view));
        assert!(body(ENTRIES.len(), view).ends_with(r#""truncated":false}"#));
    }

    #[test]
    fn after_an_entry_that_does_not_fit_no_later_one_is_taken() {
        let mut cut = Cut::new(8, 3);
        assert!(cut.offer(None, "abc".to_owned()).unwrap());
        assert!(!cut.offer(None, "too long".to_owned()).unwrap());
        let lists = cut.finish();
        assert_eq!(lists.validation, ["abc"]);
        assert!(lists.truncated);
    }
}
