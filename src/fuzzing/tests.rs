//! Every input that is kept.

use std::{fs, path::Path};

use super::*;

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let data = fs::read(path).unwrap();
        assert!(std::panic::catch_unwind(|| run(&data)).is_ok(), "{name}");
        inputs += 1;
    }
    assert!(inputs > 0, "nothing is kept for {target}");
}

#[test]
fn every_kept_upload_is_accepted_or_refused_as_promised() {
    replay("upload", upload);
}

#[test]
fn every_kept_zip_is_accepted_or_refused_as_promised() {
    replay("zip", zip);
}

#[test]
fn every_kept_text_is_checked_as_promised() {
    replay("rows", rows);
}

#[test]
fn every_kept_value_is_decoded_or_refused_as_promised() {
    replay("envelopes", envelopes);
}

#[test]
fn every_kept_configuration_is_loaded_or_refused_as_promised() {
    replay("configuration", configuration);
}

#[test]
fn every_kept_token_and_request_is_taken_or_refused_as_promised() {
    replay("tokens", tokens);
}
