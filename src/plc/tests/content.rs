//! What operations hold, how they are written, and what is shown of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::{crypto::DidKey, limits::plc as limits};

#[test]
fn an_operation_is_written_as_on_the_wire() {
    let directory = Directory::new();
    let update = directory.update(0, "bob", 0);
    let sig = update.sig().as_str().to_owned();
    assert_eq!(
        serde_json::to_value(&update).unwrap(),
        json!({
            "type": "plc_operation",
            "rotationKeys": [did_key(0), did_key(1), did_key(2)],
            "verificationMethods": {"atproto": did_key(9)},
            "alsoKnownAs": ["at://bob.test"],
            "services": {"atproto_pds": {"type": "AtprotoPersonalDataServer", "endpoint": "http://localhost:2583"}},
            "prev": directory.cid(0).to_string(),
            "sig": sig,
        })
    );
    let tombstone = Operation::tombstone(directory.cid(0), &key(0));
    assert_eq!(
        serde_json::to_value(&tombstone).unwrap(),
        json!({"type": "plc_tombstone", "prev": directory.cid(0).to_string(), "sig": tombstone.sig().as_str()})
    );
}

#[test]
fn the_bytes_that_are_hashed_are_the_dag_cbor_of_the_json() {
    let update = Directory::new().update(0, "bob", 0);
    for operation in [unsigned().sign(&key(1)), update.clone(), Operation::tombstone(update.cid(), &key(0))] {
        let json = serde_json::to_value(&operation).unwrap();
        let oracle: ipld_core::ipld::Ipld = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(operation.to_cbor(), serde_ipld_dagcbor::to_vec(&oracle).unwrap());
        let mut unsigned_json = json;
        unsigned_json.as_object_mut().unwrap().remove("sig");
        let oracle: ipld_core::ipld::Ipld = serde_json::from_value(unsigned_json).unwrap();
        assert_eq!(operation.to_unsigned_cbor(), serde_ipld_dagcbor::to_vec(&oracle).unwrap());
    }
}

#[test]
fn json_that_is_no_operation_is_refused() {
    let good = serde_json::to_value(Directory::new().update(0, "bob", 0)).unwrap();
    let parse = |json: &Value| serde_json::from_str::<Operation>(&json.to_string());
    assert!(parse(&good).is_ok());
    let sig = good["sig"].as_str().unwrap();
    for (field, bad) in [
        ("type", json!("plc_other")),
        ("type", json!("create")),
        ("type", Value::Null),
        ("extra", json!(1)),
        ("rotationKeys", json!("x")),
        ("verificationMethods", json!({"atproto": 1})),
        ("services", json!({"a": {"type": "x"}})),
        ("services", json!({"a": {"type": "x", "endpoint": "y", "more": 1}})),
        ("prev", json!("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")),
        ("prev", json!(good["prev"].as_str().unwrap().to_uppercase())),
        ("prev", json!("")),
        ("prev", json!(1)),
        ("sig", json!(format!("{sig}=="))),
        ("sig", json!(format!("{sig}\n"))),
        ("sig", json!(format!("{sig}*"))),
        ("sig", json!("A".repeat(limits::SIGNATURE_MAX_CHARS + 4))),
        ("sig", Value::Null),
    ] {
        let mut json = good.clone();
        json[field] = bad.clone();
        assert!(parse(&json).is_err(), "{field}: {bad}");
    }
    for field in ["type", "rotationKeys", "verificationMethods", "alsoKnownAs", "services", "prev", "sig"] {
        let mut json = good.clone();
        json.as_object_mut().unwrap().remove(field);
        assert!(parse(&json).is_err(), "without {field}");
    }
    let twice = good.to_string().replacen('{', r#"{"sig":"AA","#, 1);
    assert!(serde_json::from_str::<Operation>(&twice).is_err());
    assert!(parse(&json!({"type": "plc_tombstone", "prev": null, "sig": sig})).is_err());
}

#[test]
fn stray_bits_at_the_end_of_a_signature_are_refused() {
    let good = unsigned().sign(&key(1)).sig().as_str().to_owned();
    assert!(matches!(good.chars().last(), Some('A' | 'Q' | 'g' | 'w')), "64 bytes leave four bits");
    let mut bad = good;
    bad.pop();
    bad.push('B');
    assert_eq!(OpSignature::try_from(bad), Err(OpSignatureError));
}

#[test]
fn a_legacy_create_is_read_in_the_new_terms_and_taken_by_no_directory() {
    let json = json!({
        "type": "create", "signingKey": did_key(0), "recoveryKey": did_key(1), "handle": "alice.test",
        "service": "pds.test", "prev": null, "sig": "AA",
    });
    let create: Operation = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&create).unwrap(), json);
    let state = create.normalized().unwrap();
    assert_eq!(state.rotation_keys, [did_key(1), did_key(0)]);
    assert_eq!(state.signing_key(), Some(did_key(0).as_str()));
    assert_eq!(state.also_known_as, ["at://alice.test"]);
    assert_eq!(state.pds(), Some("https://pds.test"));
    assert_eq!((state.prev, create.prev()), (None, None));
    let refusal = directory::accept(&create.did_for_genesis(), &[], &create, NOW).unwrap_err();
    assert_eq!(refusal, directory::Refusal::Constraint(ConstraintError::LegacyCreate));
}

#[test]
fn content_at_the_bounds_is_taken_and_beyond_them_is_not() {
    let check = |change: &dyn Fn(&mut UnsignedOperation)| {
        let mut operation = unsigned();
        change(&mut operation);
        let signed = operation.clone().sign(&key(0));
        let before = validate_constraints(&operation);
        let accepted = directory::accept(&signed.did_for_genesis(), &[], &signed, NOW);
        let refused = before.clone().err().map(directory::Refusal::Constraint);
        assert_eq!(accepted.err(), refused, "the directory does not judge as the check before signing does");
        before.is_ok()
    };
    let text = |chars: usize| "é".repeat(chars);
    let names = |count: usize| (0..count).map(|n| format!("at://{n}.test")).collect::<Vec<_>>();
    assert!(check(&|_| ()));
    assert!(check(&|op| op.also_known_as = names(10)));
    assert!(!check(&|op| op.also_known_as = names(11)));
    assert!(!check(&|op| op.also_known_as = vec!["at://a.test".to_owned(); 2]));
    assert!(check(&|op| op.also_known_as = vec![text(258)]));
    assert!(!check(&|op| op.also_known_as = vec![text(259)]));
    assert!(check(&|op| op.rotation_keys = (0..10).map(did_key).collect()));
    assert!(!check(&|op| op.rotation_keys = (0..11).map(did_key).collect()));
    assert!(!check(&|op| op.rotation_keys.push("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK".to_owned())));
    let services = |count: usize, id: usize, kind: usize, endpoint: usize| {
        let service = Service { kind: text(kind), endpoint: text(endpoint) };
        (0..count).map(|n| (format!("{n:0>id$}"), service.clone())).collect::<BTreeMap<_, _>>()
    };
    for (count, id, kind, endpoint, good) in [
        (10, 2, 9, 9, true),
        (11, 2, 9, 9, false),
        (1, 32, 9, 9, true),
        (1, 33, 9, 9, false),
        (1, 2, 256, 9, true),
        (1, 2, 257, 9, false),
        (1, 2, 9, 512, true),
        (1, 2, 9, 513, false),
    ] {
        assert_eq!(
            check(&|op| op.services = services(count, id, kind, endpoint)),
            good,
            "{count} {id} {kind} {endpoint}"
        );
    }
    let ed25519 = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    let methods = |count: usize, id: usize, key: &str| {
        (0..count).map(|n| (format!("{n:0>id$}"), key.to_owned())).collect::<BTreeMap<_, _>>()
    };
    for (count, id, key, good) in [
        (10, 2, ed25519, true),
        (11, 2, ed25519, false),
        (1, 32, ed25519, true),
        (1, 33, ed25519, false),
        (1, 2, "did:key:", false),
        (1, 2, "did:web:x", false),
    ] {
        assert_eq!(check(&|op| op.verification_methods = methods(count, id, key)), good, "{count} {id} {key}");
    }
}

#[test]
fn the_size_bound_counts_the_signature() {
    let sized = |last: usize| {
        let mut operation = unsigned();
        operation.services = (0..7)
            .map(|n| {
                let endpoint = "x".repeat(if n == 0 { last } else { 512 });
                (format!("s{n}"), Service { kind: "t".to_owned(), endpoint })
            })
            .collect();
        operation
    };
    let base = sized(300).sign(&key(0)).to_cbor().len();
    let at_bound = 300 + limits::OPERATION_MAX_BYTES - base;
    assert!((256..512).contains(&at_bound), "{at_bound}");
    let fits = sized(at_bound);
    assert_eq!(fits.clone().sign(&key(0)).to_cbor().len(), limits::OPERATION_MAX_BYTES);
    assert_eq!(validate_constraints(&fits), Ok(()));
    assert_eq!(validate_constraints(&sized(at_bound + 1)), Err(ConstraintError::TooLarge));
    let too_large = sized(at_bound + 1).sign(&key(0));
    let refusal = directory::accept(&too_large.did_for_genesis(), &[], &too_large, NOW).unwrap_err();
    assert_eq!(refusal, directory::Refusal::Constraint(ConstraintError::TooLarge));
}

#[test]
fn no_operation_without_or_with_double_rotation_keys_is_signed() {
    let mut operation = unsigned();
    operation.rotation_keys.push(did_key(0));
    assert_eq!(validate_constraints(&operation), Err(ConstraintError::DuplicateRotationKey(did_key(0))));
    operation.rotation_keys.clear();
    assert_eq!(validate_constraints(&operation), Err(ConstraintError::NoRotationKey));
}

#[test]
fn changing_one_thing_leaves_the_others() {
    let mut operation = unsigned();
    operation.also_known_as = vec!["https://a.test".to_owned(), "at://old.test".to_owned(), "at://b.test".to_owned()];
    operation.verification_methods.insert("e2ee".to_owned(), did_key(5));
    operation.set_handle(&"new.test".parse().unwrap());
    operation.set_signing_key(&key(6).did_key());
    operation.set_pds("https://pds.test");
    assert_eq!(operation.also_known_as, ["https://a.test", "at://new.test", "at://b.test"]);
    assert_eq!(operation.verification_methods["e2ee"], did_key(5));
    assert_eq!(operation.signing_key(), Some(did_key(6).as_str()));
    assert_eq!(operation.pds(), Some("https://pds.test"));
}

#[test]
fn the_document_lists_keys_and_services_with_their_contexts() {
    let did = Directory::new().did;
    let mut state = unsigned();
    state
        .verification_methods
        .insert("e2ee".to_owned(), "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK".to_owned());
    state.verification_methods.insert("other".to_owned(), did_key(0));
    let key_of = |n: u64| did_key(n).replace("did:key:", "");
    let method = |name: &str, key: String| json!({"id": format!("{did}#{name}"), "type": "Multikey", "controller": did, "publicKeyMultibase": key});
    assert_eq!(
        serde_json::to_value(DidDocument::of(&did, &state)).unwrap(),
        json!({
            "@context": [
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/multikey/v1",
                "https://w3id.org/security/suites/ecdsa-2019/v1",
                "https://w3id.org/security/suites/secp256k1-2019/v1",
            ],
            "id": did,
            "alsoKnownAs": ["at://alice.test"],
            "verificationMethod": [
                method("atproto", key_of(9)),
                method("e2ee", "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK".to_owned()),
                method("other", key_of(0)),
            ],
            "service": [
                {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "http://localhost:2583"},
            ],
        })
    );
}

#[test]
fn the_data_view_holds_the_rotation_keys() {
    let did = Directory::new().did;
    assert_eq!(
        serde_json::to_value(document::Data::of(&did, &unsigned())).unwrap(),
        json!({
            "did": did,
            "verificationMethods": {"atproto": did_key(9)},
            "rotationKeys": [did_key(0), did_key(1), did_key(2)],
            "alsoKnownAs": ["at://alice.test"],
            "services": {"atproto_pds": {"type": "AtprotoPersonalDataServer", "endpoint": "http://localhost:2583"}},
        })
    );
}

#[test]
fn an_entry_is_written_with_milliseconds_and_extra_fields_are_passed_over() {
    let entry =
        Entry::new(Directory::new().did, unsigned().sign(&key(1)), Timestamp::from_micros(1_700_000_000_123_999));
    let mut json = serde_json::to_value(&entry).unwrap();
    assert_eq!(json["createdAt"], "2023-11-14T22:13:20.123Z");
    assert_eq!(json["nullified"], false);
    json["seq"] = json!(1);
    assert_eq!(serde_json::from_value::<Entry>(json).unwrap(), entry);
}

#[test]
fn the_fuzzing_bodies_accept_good_and_bad_input() {
    let mut directory = Directory::new();
    directory.post(&directory.update(0, "bob", 0), after(1)).unwrap();
    fuzzing::audit_log(&serde_json::to_vec(&directory.log).unwrap());
    for entry in &directory.log {
        fuzzing::operation(&serde_json::to_vec(&entry.operation).unwrap());
    }
    for bad in [&b""[..], b"{}", b"[]", b"null", br#"{"type":"plc_operation"}"#, b"[{}]"] {
        fuzzing::operation(bad);
        fuzzing::audit_log(bad);
    }
}

#[test]
fn rotation_keys_in_use_are_did_keys_of_both_curves() {
    let curves: Vec<_> = (0..2).map(|n| did_key(n).parse::<DidKey>().unwrap().curve()).collect();
    assert_eq!(curves, [Curve::K256, Curve::P256]);
}
