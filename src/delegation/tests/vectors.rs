use data_encoding::HEXLOWER;
use serde_json::Value as Json;

use super::*;
use crate::{
    crypto::DelegateKey,
    delegation::{
        safety_number::{Side, safety_number},
        vectors,
        web::WebDocument,
    },
    plc::Entry,
    syntax::{Datetime, Did},
};

fn committed() -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/delegation-vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json[name].as_array().unwrap()
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap()
}

fn bytes(json: &Json, name: &str) -> Vec<u8> {
    HEXLOWER.decode(text(json, name).as_bytes()).unwrap()
}

#[test]
fn the_committed_file_is_what_the_program_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/delegation-vectors.json");
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == vectors::text(), "run: cargo run --example delegation_vectors > docs/delegation-vectors.json");
}

#[test]
fn keys_and_signatures_are_as_the_file_says() {
    let file = committed();
    for key in list(&file, "keys") {
        let key_type = KeyType::ALL.into_iter().find(|kind| kind.name() == key["type"]).unwrap();
        let private = DelegateSigningKey::from_bytes(key_type, &bytes(key, "privateKey")).unwrap();
        assert_eq!(private.public().to_string(), text(key, "didKey"));
    }
    for key in list(&file, "refusedKeys") {
        assert!(text(key, "didKey").parse::<DelegateKey>().is_err(), "{}", key["why"]);
    }
    for vector in list(&file, "signatures") {
        let key: DelegateKey = text(vector, "key").parse().unwrap();
        let valid = key.verify(&bytes(vector, "message"), &bytes(vector, "signature")).is_ok();
        assert_eq!(valid, vector["valid"], "{}", vector["why"]);
    }
}

#[test]
fn statements_and_entries_are_as_the_file_says() {
    let file = committed();
    for vector in list(&file, "statements") {
        let statement = Statement::from_json(&vector["statement"]).unwrap();
        assert_eq!(statement.signed_bytes(), bytes(vector, "signedBytes"), "{}", vector["name"]);
        assert_eq!(statement.cid().to_string(), text(vector, "cid"));
        if let Some(key) = statement.key() {
            assert!(statement.is_claimed_by(key));
        }
    }
    for vector in list(&file, "refusedStatements") {
        assert!(Statement::from_json(&vector["statement"]).is_err(), "{}", vector["why"]);
    }
    for vector in list(&file, "appData") {
        let entry = AppData::from_json(&vector["entry"]).unwrap();
        assert_eq!(entry.signed_bytes(), bytes(vector, "signedBytes"));
        assert!(entry.is_signed());
    }
}

#[test]
fn verdicts_follow_from_the_file_alone() {
    let file = committed();
    let statements = |vector: &Json| -> Vec<Statement> {
        list(vector, "statements").iter().map(|statement| Statement::from_json(statement).unwrap()).collect()
    };
    for (vector, is_web) in list(&file, "histories")
        .iter()
        .map(|vector| (vector, false))
        .chain(list(&file, "webHistories").iter().map(|vector| (vector, true)))
    {
        let did: Did = text(vector, "did").parse().unwrap();
        let log: Vec<Entry> = serde_json::from_value(vector["log"].clone()).unwrap_or_default();
        let pin: Option<Pin> = serde_json::from_value(vector["pin"].clone()).unwrap();
        let now = vector["now"].as_str().map_or(testing::START, |now| now.parse::<Datetime>().unwrap().timestamp());
        let document = WebDocument { key: vector["key"].as_str(), server_keys: &[] };
        let seen = assess(&Evidence {
            did: &did,
            id: &text(vector, "id").parse().unwrap(),
            source: if is_web { Source::Web(document) } else { Source::Plc(&log) },
            statements: Some(&statements(vector)),
            entries: &[],
            pin: pin.as_ref(),
            declaration: None,
            now,
        });
        assert_eq!(serde_json::to_value(seen.verdict).unwrap(), vector["verdict"], "{}", vector["name"]);
    }
}

#[test]
fn the_histories_of_the_file_have_the_verdicts_that_their_names_promise() {
    let file = committed();
    for (name, status, vs_pin, resets) in [
        ("nothing was ever delegated", "none", "none", 0),
        ("Ed25519: one key", "verified", "none", 0),
        ("P-256: an endorsed successor", "verified", "successor", 0),
        ("ended by an endorsed statement", "ended", "interrupted", 0),
        ("a swap with fresh statements", "verified", "reset", 1),
        ("swapped and swapped back", "verified", "interrupted", 2),
        ("ended and re-created with the same key", "verified", "interrupted", 0),
        ("ended and re-created with another key", "verified", "reset", 1),
        ("swapped, then nullified by the owner", "verified", "same", 0),
        ("a retired key bridges one that nobody endorsed", "unproven", "reset", 2),
        ("a statement was dropped", "unproven", "reset", 1),
        ("the log lacks what a statement speaks of", "mismatch", "same", 0),
        ("the log lacks the head that was remembered, and has another key", "mismatch", "rollback", 0),
    ] {
        let vector = list(&file, "histories").iter().find(|vector| vector["name"] == name).unwrap();
        let verdict = &vector["verdict"];
        assert_eq!((text(verdict, "status"), text(verdict, "vsPin")), (status, vs_pin), "{name}");
        assert_eq!(list(verdict, "resets").len(), resets, "{name}");
    }
}

#[test]
fn the_example_in_the_document_is_the_first_vector() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/delegation.md");
    let document = std::fs::read_to_string(path).unwrap();
    let block = document.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let first = &list(&committed(), "statements")[0].clone();
    assert_eq!(serde_json::from_str::<Json>(block).unwrap(), first["statement"]);
    assert!(document.contains(text(first, "cid")));
    for name in DelegationError::NAMES {
        assert!(document.contains(&format!("`{name}`")), "{name} is not in the document");
    }
}

#[test]
fn safety_numbers_are_as_the_file_says() {
    for vector in list(&committed(), "safetyNumbers") {
        let parts = |side: &Json| -> (Did, DelegationId, DelegateKey) {
            (text(side, "did").parse().unwrap(), text(side, "id").parse().unwrap(), text(side, "key").parse().unwrap())
        };
        let (one, other) = (parts(&vector["one"]), parts(&vector["other"]));
        let number = safety_number(
            Side { did: &one.0, id: &one.1, key: &one.2 },
            Side { did: &other.0, id: &other.1, key: &other.2 },
        );
        assert_eq!(number, text(vector, "safetyNumber"));
    }
}
