//! Every named error, with nothing changed.

use super::*;

/// The request is refused with this name, and nothing was posted or written.
async fn refused(alice: &Alice, method: &str, input: &Json, name: &str) {
    let (posts, events) = (alice.world.directory.posts(), alice.world.events().await.len());
    let answer = alice.post(method, input).await;
    assert_eq!(answer.json["error"], name, "{method}: {}", answer.json);
    assert_eq!((alice.world.directory.posts(), alice.world.events().await.len()), (posts, events), "{name}");
}

#[tokio::test]
async fn a_statement_of_the_wrong_shape_is_named() {
    let first = key(KeyType::P256, 1);
    let alice = Alice::new().await;
    let good = alice.claim(&first, None);
    let changed = |name: &str, value: Json| {
        let mut statement = good.clone();
        statement[name] = value;
        json!({ "statement": statement })
    };
    for input in [
        changed("more", json!(1)),
        changed("endorsement", Json::Null),
        changed("$type", json!("dev.housekey.delegation.defs#appData")),
        changed("did", json!("did:plc:ewvi7nxzyoun6zhxrhs64oiz")),
        changed("id", json!("Not An Id")),
        changed("prev", Json::Null),
        changed("createdAt", json!("2099-01-01T00:00:00.000Z")),
        json!({ "statement": 7 }),
    ] {
        refused(&alice, CREATE, &input, "InvalidStatement").await;
    }
    refused(&alice, DELETE, &json!({ "statement": good }), "InvalidStatement").await;
    refused(&alice, CREATE, &changed("id", json!("atproto_label")), "ReservedDelegationId").await;
    refused(&alice, DELETE, &json!({ "id": "atproto" }), "ReservedDelegationId").await;
}

#[tokio::test]
async fn null_is_not_taken_for_absent() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let statement = alice.claim(&second, Some(&first));
    let ending = alice.ending(&first);
    for (method, input, name) in [
        (UPDATE, json!({ "statement": statement, "token": null }), "InvalidRequest"),
        (UPDATE, json!({ "statement": statement, "operation": null }), "InvalidOperation"),
        (UPDATE, json!({ "statement": statement, "appData": null }), "InvalidRequest"),
        (UPDATE, json!({ "statement": null }), "InvalidStatement"),
        (DELETE, json!({ "statement": ending, "token": null }), "InvalidRequest"),
        (DELETE, json!({ "statement": ending, "operation": null }), "InvalidOperation"),
        (DELETE, json!({ "statement": ending, "id": null }), "InvalidRequest"),
        (DELETE, json!({ "statement": null, "id": alice.id, "token": "AAAAA-AAAAA" }), "InvalidRequest"),
        (TOKEN, json!({ "statement": statement, "id": null }), "InvalidRequest"),
        (TOKEN, json!({ "statement": null }), "InvalidStatement"),
    ] {
        refused(&alice, method, &input, name).await;
    }
    alice.post(UPDATE, &json!({ "statement": statement })).await.ok();
}

#[tokio::test]
async fn what_does_not_fit_the_present_state_is_named() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::new().await;
    let statement = json!({ "statement": alice.claim(&first, None) });
    refused(&alice, UPDATE, &statement, "DelegationNotFound").await;
    refused(&alice, TOKEN, &json!({ "id": "e2ee" }), "DelegationNotFound").await;
    let stale = alice.claim(&second, None);
    alice.post(CREATE, &statement).await.ok();
    refused(&alice, CREATE, &json!({ "statement": alice.claim(&second, None) }), "DelegationExists").await;
    refused(&alice, UPDATE, &json!({ "statement": stale }), "StaleStatement").await;
    let answer = alice.post(UPDATE, &json!({ "statement": stale })).await;
    assert!(answer.message().contains(&alice.head().to_string()), "{}", answer.message());
}

#[tokio::test]
async fn keys_that_a_server_could_use_are_refused() {
    let owner = rotation_key();
    let alice = with_rotation_key(&owner).await;
    let account = alice.world.server.signing_key(&alice.account).unwrap();
    for held in [&account, &owner, &alice.world.server.rotation_key] {
        let key_type = crate::crypto::DelegateKey::from(held.did_key()).key_type();
        let held = DelegateSigningKey::from_bytes(key_type, &*held.to_bytes()).unwrap();
        refused(&alice, CREATE, &json!({ "statement": alice.claim(&held, None) }), "KeyNotUserHeld").await;
    }
    // One that was a rotation key before: readers would refuse it for good.
    let mut next = UnsignedOperation { prev: Some(alice.head()), ..alice.world.directory.current(&alice.account.did) };
    next.rotation_keys.remove(0);
    alice.world.directory.accept(&alice.account.did, &next.sign(&alice.world.server.rotation_key));
    let old = DelegateSigningKey::from_bytes(KeyType::P256, &*owner.to_bytes()).unwrap();
    refused(&alice, CREATE, &json!({ "statement": alice.claim(&old, None) }), "KeyNotUserHeld").await;
}

#[tokio::test]
async fn keys_of_other_kinds_and_of_small_order_are_refused() {
    let alice = Alice::new().await;
    let good = alice.claim(&key(KeyType::Ed25519, 1), None);
    let did_key = |prefix: [u8; 2], raw: &[u8]| {
        format!("did:key:z{}", bs58::encode([prefix.as_slice(), raw].concat()).into_string())
    };
    let mut identity = [0; 32];
    identity[0] = 1;
    // X25519; P-384; Ed25519 of small order and not canonical; P-256 off its curve.
    for named in [
        did_key([0xec, 0x01], &[9; 32]),
        did_key([0x81, 0x24], &[2; 49]),
        did_key([0xed, 0x01], &identity),
        did_key([0xed, 0x01], &[0xff; 32]),
        did_key([0x80, 0x24], &[[2].as_slice(), &[0xff; 32]].concat()),
    ] {
        let mut statement = good.clone();
        statement["key"] = json!(named);
        refused(&alice, CREATE, &json!({ "statement": statement }), "UnsupportedKeyType").await;
    }
}

#[tokio::test]
async fn a_high_s_is_refused_and_the_same_signature_with_its_low_s_taken() {
    for kind in [KeyType::P256, KeyType::K256] {
        let (first, alice) = (key(kind, 1), Alice::new().await);
        let good = alice.claim(&first, None);
        let statement = Statement::from_json(&good).unwrap();
        let low = first.sign(&statement.signed_bytes());
        let mut high = good.clone();
        high["claim"] = json!({ "$bytes": data_encoding::BASE64_NOPAD.encode(&with_high_s(kind, low)) });
        refused(&alice, CREATE, &json!({ "statement": high }), "InvalidClaim").await;
        assert_eq!(alice.post(CREATE, &json!({ "statement": good })).await.ok()["state"], "active");
    }
}

/// The other signature with the same r, which the mathematics takes as well.
fn with_high_s(kind: KeyType, low: [u8; 64]) -> [u8; 64] {
    if kind == KeyType::P256 {
        let (r, s) = p256::ecdsa::Signature::from_slice(&low).unwrap().split_scalars();
        return p256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().into();
    }
    let (r, s) = k256::ecdsa::Signature::from_slice(&low).unwrap().split_scalars();
    k256::ecdsa::Signature::from_scalars(r, -s).unwrap().to_bytes().into()
}

#[tokio::test]
async fn a_fifth_delegation_is_refused() {
    let mut alice = Alice::new().await;
    for (number, id) in ["one", "two", "three", "four"].into_iter().enumerate() {
        alice.id = id.parse().unwrap();
        let key = key(KeyType::Ed25519, u64::try_from(number).unwrap());
        alice.post(CREATE, &json!({ "statement": alice.claim(&key, None) })).await.ok();
    }
    alice.id = "five".parse().unwrap();
    let fifth = json!({ "statement": alice.claim(&key(KeyType::Ed25519, 5), None) });
    refused(&alice, CREATE, &fifth, "TooManyDelegations").await;
}

#[tokio::test]
async fn signatures_must_be_the_keys_own() {
    let (first, second, third) = (key(KeyType::P256, 1), key(KeyType::P256, 2), key(KeyType::P256, 3));
    let alice = Alice::new().await;
    let forged = alice.draft(Some(&first)).sign(Some(&second), None).unwrap().to_json();
    refused(&alice, CREATE, &json!({ "statement": forged }), "InvalidClaim").await;
    let nobody = alice.claim(&first, Some(&second));
    refused(&alice, CREATE, &json!({ "statement": nobody }), "InvalidEndorsement").await;
    alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await.ok();
    let stranger = alice.claim(&second, Some(&third));
    refused(&alice, UPDATE, &json!({ "statement": stranger }), "InvalidEndorsement").await;
}

#[tokio::test]
async fn the_directorys_budget_is_counted_before_anything_is_posted() {
    let alice = Alice::new().await;
    let keys: Vec<DelegateSigningKey> = (0..10).map(|number| key(KeyType::Ed25519, number)).collect();
    alice.post(CREATE, &json!({ "statement": alice.claim(&keys[0], None) })).await.ok();
    // The genesis operation and the first key are two.
    for pair in keys.windows(2).take(8) {
        alice.post(UPDATE, &json!({ "statement": alice.claim(&pair[1], Some(&pair[0])) })).await.ok();
    }
    let next = json!({ "statement": alice.claim(&keys[9], Some(&keys[8])) });
    refused(&alice, UPDATE, &next, "PlcRateLimited").await;
    assert_eq!(alice.post(UPDATE, &next).await.status, 429);
    alice.world.clock.advance(Duration::from_mins(61));
    alice.world.clock.advance(Duration::from_mins(0));
    assert_eq!(alice.post(UPDATE, &next).await.ok()["state"], "active");
}

#[tokio::test]
async fn what_never_was_is_not_found() {
    let alice = Alice::new().await;
    for method in ["getDelegation", "getAssociatedData"] {
        assert_eq!(alice.get(method).await.error(), (404, "DelegationNotFound"));
        let target = format!("dev.housekey.delegation.{method}?actor=nobody.test");
        assert_eq!(alice.world.get(&target, As::Nobody).await.error(), (404, "DelegationNotFound"));
    }
    assert_eq!(alice.get("listDelegations").await.ok()["delegations"], json!([]));
}
