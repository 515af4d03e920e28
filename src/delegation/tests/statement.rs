use super::*;
use crate::{
    clock::Timestamp,
    ipld::{Cid, Map, Value, cbor},
};

fn refused(change: impl FnOnce(&mut Map)) -> String {
    let mut map = world().statements[0].to_map();
    change(&mut map);
    Statement::from_map(&map).unwrap_err().to_string()
}

#[test]
fn the_signed_bytes_are_the_map_without_signatures_in_dag_cbor() {
    let statement = &world().statements[0];
    let mut map = statement.to_map();
    assert!(map.remove("claim").is_some());
    assert_eq!(statement.signed_bytes(), cbor::encode(&Value::Map(map)));
    assert_eq!(statement.cid(), Cid::of_cbor(&statement.signed_bytes()));
}

#[test]
fn another_signature_over_the_same_bytes_does_not_change_the_cid() {
    let world = world();
    let draft = world.draft(world.head(), Some(&key(1)));
    let (one, other) = (draft.clone().sign(Some(&key(1)), None).unwrap(), draft.sign(Some(&key(2)), None).unwrap());
    assert_ne!(one, other);
    assert_eq!(one.cid(), other.cid());
    assert_eq!(one.record_key(), other.record_key());
}

#[test]
fn a_statement_is_written_and_read_in_every_form() {
    let mut world = world();
    world.delegate(&key(2), Some(&key(1)));
    world.pass(hours(1));
    world.end(&key(2));
    for statement in &world.statements {
        assert_eq!(Statement::from_map(&statement.to_map()).as_ref(), Ok(statement));
        assert_eq!(Statement::from_json(&statement.to_json()).as_ref(), Ok(statement));
        assert_eq!(Statement::from_record(&statement.to_record()).as_ref(), Ok(statement));
        assert_eq!(Statement::from_record(&statement.to_map()).as_ref(), Ok(statement), "stored bare");
        assert_eq!(statement.record_key().as_str(), format!("e2ee:{}", statement.cid()));
    }
}

#[test]
fn a_record_s_type_is_its_collection() {
    let record = world().statements[0].to_record();
    assert_eq!(record.get("$type").and_then(Value::as_text), Some(STATEMENT_COLLECTION));
    let mut more = record;
    more.insert("other", true);
    assert!(Statement::from_record(&more).is_err());
}

#[test]
fn base64_is_written_without_padding_and_read_with_it() {
    let statement = &world().statements[0];
    let mut json = statement.to_json();
    let bytes = json["claim"]["$bytes"].as_str().unwrap().to_owned();
    assert!(!bytes.ends_with('='));
    json["claim"]["$bytes"] = format!("{bytes}==").into();
    assert_eq!(Statement::from_json(&json).as_ref(), Ok(statement));
}

#[test]
fn unknown_fields_are_refused_by_name() {
    assert!(refused(|map| drop(map.insert("extra", true))).contains("extra"));
}

#[test]
fn every_field_must_be_there_and_of_its_kind() {
    for field in ["$type", "did", "id", "key", "prev", "endorsed", "createdAt", "claim"] {
        let missing = refused(|map| drop(map.remove(field)));
        assert!(missing.contains(field), "{field}: {missing}");
        let number = refused(|map| drop(map.insert(field, 1)));
        assert!(number.contains(field), "{field}: {number}");
    }
    assert!(refused(|map| drop(map.insert("$type", "dev.housekey.delegation.defs#appData"))).contains("$type"));
}

#[test]
fn null_is_not_taken_for_absent() {
    for field in ["claim", "endorsement", "endorsed", "id"] {
        refused(|map| drop(map.insert(field, Value::Null)));
    }
}

#[test]
fn keys_prevs_and_times_have_one_form_only() {
    for key in ["", "did:key:", "did:web:example.com", "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"] {
        assert!(refused(|map| drop(map.insert("key", key))).contains("key"), "{key}");
    }
    let raw = Cid::of_raw(b"x").to_string();
    for prev in ["", "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n", raw.as_str()] {
        assert!(refused(|map| drop(map.insert("prev", prev))).contains("prev"), "{prev}");
    }
    for time in [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000+00:00",
        "2026-01-01T00:00:00.0000Z",
        "2026-01-01 00:00:00.000Z",
        "2026-02-30T00:00:00.000Z",
        "",
    ] {
        assert!(refused(|map| drop(map.insert("createdAt", time))).contains("createdAt"), "{time}");
    }
}

#[test]
fn a_did_plc_needs_a_prev_and_other_methods_have_no_statements() {
    assert!(refused(|map| drop(map.insert("prev", Value::Null))).contains("prev"));
    assert!(refused(|map| drop(map.insert("did", "did:key:z6Mk"))).contains("did"));
    let mut map = world().statements[0].to_map();
    map.insert("did", "did:web:alice.test");
    map.insert("prev", Value::Null);
    assert!(Statement::from_map(&map).is_ok());
}

#[test]
fn claim_endorsement_and_mark_agree_with_the_key() {
    let world = world();
    let ending = world.ending(&key(1)).to_map();
    let mut claimed_end = ending.clone();
    claimed_end.insert("claim", vec![0; 64]);
    assert!(Statement::from_map(&claimed_end).is_err());
    let mut bare_end = ending;
    bare_end.remove("endorsement");
    bare_end.insert("endorsed", false);
    assert!(Statement::from_map(&bare_end).is_err());
    assert!(refused(|map| drop(map.insert("endorsed", true))).contains("endorse"));
    assert!(refused(|map| drop(map.insert("endorsement", vec![0; 64]))).contains("endorse"));
}

#[test]
fn an_overlong_signature_is_refused_and_one_of_another_length_is_not_the_key_s() {
    assert!(refused(|map| drop(map.insert("claim", vec![0; 129]))).contains("claim"));
    let mut map = world().statements[0].to_map();
    map.insert("claim", vec![0; 71]);
    let statement = Statement::from_map(&map).unwrap();
    assert!(!statement.is_claimed_by(&NamedKey::from(key(1).public())));
}

#[test]
fn a_draft_cuts_its_time_to_milliseconds() {
    let world = world();
    let mut draft = world.draft(world.head(), Some(&key(1)));
    draft.created_at = Timestamp::from_micros(1_800_000_000_123_456);
    let bytes = draft.signed_bytes(false);
    let statement = draft.sign(Some(&key(1)), None).unwrap();
    assert_eq!(statement.created_at().as_str(), "2027-01-15T08:00:00.123Z");
    assert_eq!(statement.signed_bytes(), bytes);
}

#[test]
fn a_draft_without_what_belongs_to_it_gives_no_statement() {
    let world = world();
    let named = world.draft(world.head(), Some(&key(1)));
    let end = world.draft(world.head(), None);
    assert!(named.clone().sign(None, Some(&key(2))).is_err());
    assert!(end.clone().sign(Some(&key(1)), Some(&key(1))).is_err());
    assert!(end.sign(None, None).is_err());
    assert!(Draft { prev: None, ..named }.sign(Some(&key(1)), None).is_err());
}
