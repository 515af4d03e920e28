//! The bodies of all fuzz targets over the committed corpus and over damaged copies of it, so that a machine without a
//! fuzzer covers them too.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a broken checkout may stop this test with a backtrace"
)]

use housekey::{client::archive, crypto, delegation, event, ipld, lexicon, plc, repo, syntax};
use std::{collections::BTreeSet, fs, path::Path};

/// A target's name and body.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("cbor", ipld::fuzzing::cbor),
    ("json", ipld::fuzzing::json),
    ("car", ipld::fuzzing::car),
    ("syntax", syntax::fuzzing::syntax),
    ("did_key", crypto::fuzzing::did_key),
    ("service_token", crypto::fuzzing::service_token),
    ("operation", plc::fuzzing::operation),
    ("audit_log", plc::fuzzing::audit_log),
    ("node", repo::fuzzing::node),
    ("commit", repo::fuzzing::commit),
    ("frame", event::fuzzing::frame),
    ("statement", delegation::fuzzing::statement),
    ("app_data", delegation::fuzzing::app_data),
    ("verdict", delegation::fuzzing::verdict),
    ("lexicon", lexicon::fuzzing::lexicon),
    ("archive", archive::fuzzing::archive),
];

/// Damaged copies that are made of each corpus file: enough to reach every branch of a header, few enough to be quick.
const DAMAGED_COPIES: usize = 200;

#[test]
fn no_target_panics_on_its_corpus_or_on_damaged_copies_of_it() {
    for (name, body) in TARGETS {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "fuzz/corpus/{name} is empty");
        for seed in seeds {
            body(&seed);
            for copy in 0..DAMAGED_COPIES {
                body(&damaged(&seed, copy));
            }
        }
    }
}

#[test]
fn every_target_takes_the_corpus_of_every_other() {
    let all: Vec<Vec<u8>> = TARGETS.iter().flat_map(|(name, _)| corpus(name)).collect();
    for (_, body) in TARGETS {
        for seed in &all {
            body(seed);
        }
    }
}

#[test]
fn every_target_here_is_a_fuzz_target_and_the_other_way_round() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let files: BTreeSet<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, listed);
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// A copy with one byte changed, cut off or put in, by a fixed rule.
fn damaged(seed: &[u8], copy: usize) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    if bytes.is_empty() {
        return vec![u8::try_from(copy % 256).unwrap()];
    }
    let at = copy.wrapping_mul(7919) % bytes.len();
    let value = u8::try_from(copy.wrapping_mul(31) % 256).unwrap();
    match copy % 3 {
        0 => bytes[at] = value,
        1 => bytes.truncate(at),
        _ => bytes.insert(at, value),
    }
    bytes
}
