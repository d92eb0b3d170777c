//! Keeps sentences within what a journal value holds: a long one must not stop the journal.

use crate::{
    domain::{EventKind, Failure},
    limits::{SENTENCE_CHARS_MAX, WARNINGS_BYTES_MAX, WARNINGS_MAX},
};

/// The event with its sentences cut to their limits.
pub(super) fn bound(mut kind: EventKind) -> EventKind {
    match &mut kind {
        EventKind::ProcessingStarted { warnings, .. } => bound_warnings(warnings),
        EventKind::AttemptFailed { failure, .. } | EventKind::Held(failure) => {
            bound_failure(failure);
        }
        EventKind::Completed(ending) => {
            if let Some(failure) = &mut ending.failure {
                bound_failure(failure);
            }
        }
        _ => {}
    }
    kind
}

/// Whole warnings from the front, as many as fit.
fn bound_warnings(warnings: &mut Vec<String>) {
    warnings.truncate(WARNINGS_MAX);
    let mut bytes = 0;
    warnings.retain_mut(|warning| {
        cut(warning);
        bytes += warning.len();
        bytes <= WARNINGS_BYTES_MAX
    });
}

fn bound_failure(failure: &mut Failure) {
    cut(&mut failure.message);
}

fn cut(sentence: &mut String) {
    if let Some((end, _)) = sentence.char_indices().nth(SENTENCE_CHARS_MAX) {
        sentence.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Validated, error::Code};

    fn warnings_of(warnings: Vec<String>) -> Vec<String> {
        let kind = EventKind::ProcessingStarted { validated: Validated::default(), warnings };
        let EventKind::ProcessingStarted { warnings, .. } = bound(kind) else { panic!() };
        warnings
    }

    #[test]
    fn a_sentence_keeps_its_limit_and_not_one_character_more() {
        for (given, kept) in [(SENTENCE_CHARS_MAX, 300), (SENTENCE_CHARS_MAX + 1, 300), (5, 5)] {
            let failure = Failure::new(Code::JobIo, "ä".repeat(given));
            let EventKind::Held(failure) = bound(EventKind::Held(failure)) else { panic!() };
            assert_eq!(failure.message, "ä".repeat(kept));
        }
    }

    #[test]
    fn warnings_keep_their_number() {
        let many = |n: usize| vec!["w".to_owned(); n];
        assert_eq!(warnings_of(many(WARNINGS_MAX)), many(WARNINGS_MAX));
        assert_eq!(warnings_of(many(WARNINGS_MAX + 1)), many(WARNINGS_MAX));
    }

    #[test]
    fn warnings_keep_their_bytes() {
        let fitting = vec!["w".repeat(256); 6];
        assert_eq!(256 * 6, WARNINGS_BYTES_MAX);
        assert_eq!(warnings_of(fitting.clone()), fitting);
        let one_more = [fitting.clone(), vec!["w".to_owned()]].concat();
        assert_eq!(warnings_of(one_more), fitting);
    }
}
