//! Creating, rotating and ending, and what everybody sees then.

use super::*;
use crate::delegation::Status;

#[tokio::test]
async fn a_delegation_is_created_rotated_and_ended_with_each_kind_of_key() {
    for key_type in TYPES {
        let (first, second) = (key(key_type, 1), key(key_type, 2));
        let alice = Alice::new().await;
        let statement = alice.claim(&first, None);
        let made = alice.post(CREATE, &json!({ "statement": statement })).await.ok();
        let expected = json!({
            "did": alice.account.did, "id": "e2ee", "key": did_key(&first), "state": "active",
            "statement": Statement::from_json(&statement).unwrap().cid(), "operation": alice.head(),
        });
        assert_eq!(made, expected);
        agrees(&alice, Some(&first), "active", 1).await;

        let next = alice.claim(&second, Some(&first));
        let made = alice.post(UPDATE, &json!({ "statement": next })).await.ok();
        assert_eq!((&made["state"], &made["key"]), (&json!("active"), &json!(did_key(&second))));
        agrees(&alice, Some(&second), "active", 2).await;
        let verdict = alice.assess().await;
        assert_eq!(verdict.verdict.status, Status::Verified);
        assert!(verdict.verdict.complete && verdict.verdict.resets.is_empty());

        let made = alice.post(DELETE, &json!({ "statement": alice.ending(&second) })).await.ok();
        assert_eq!((&made["state"], made.get("key")), (&json!("ended"), None));
        agrees(&alice, None, "ended", 3).await;
        assert_eq!(alice.assess().await.verdict.status, Status::Ended);
    }
}

/// Document, records, `getDelegation`, `listDelegations` and `getAssociatedData` say the same.
async fn agrees(alice: &Alice, key: Option<&DelegateSigningKey>, state: &str, statements: usize) {
    let key = key.map(did_key);
    assert_eq!(alice.named(), key);
    assert_eq!(alice.records().await.len(), statements);
    let found = alice.get("getDelegation").await.ok();
    assert_eq!(found["key"].as_str(), key.as_deref());
    assert_eq!((&found["state"], found["statements"].as_array().unwrap().len()), (&json!(state), statements));
    let listed = alice.get("listDelegations").await.ok();
    assert_eq!(
        (&listed["delegations"][0]["state"], listed["delegations"][0]["key"].as_str()),
        (&json!(state), key.as_deref())
    );
    let data = alice.get("getAssociatedData").await.ok();
    assert_eq!(data["statement"]["key"].as_str(), key.as_deref());
    let target = format!("com.atproto.identity.resolveDid?did={}", alice.account.did);
    let methods = alice.world.get(&target, As::Nobody).await.ok()["didDoc"]["verificationMethod"].clone();
    let named = methods.as_array().unwrap().iter().any(|method| {
        key.as_deref().and_then(|key| key.strip_prefix("did:key:")) == method["publicKeyMultibase"].as_str()
    });
    assert_eq!(named, key.is_some());
}

#[tokio::test]
async fn the_commit_and_the_identity_are_announced_together() {
    let alice = Alice::new().await;
    let before = alice.world.events().await.len();
    alice.post(CREATE, &json!({ "statement": alice.claim(&key(KeyType::Ed25519, 1), None) })).await.ok();
    let events = alice.world.events().await;
    let kinds: Vec<&str> = events[before..]
        .iter()
        .map(|event| match event {
            crate::event::Frame::Commit(_) => "commit",
            crate::event::Frame::Identity(_) => "identity",
            crate::event::Frame::Sync(_)
            | crate::event::Frame::Account(_)
            | crate::event::Frame::Info(_)
            | crate::event::Frame::Error(_) => "other",
        })
        .collect();
    assert_eq!(kinds, ["commit", "identity"]);
}

#[tokio::test]
async fn the_same_statement_again_is_the_same_answer_and_nothing_more() {
    let first = key(KeyType::P256, 1);
    let alice = Alice::new().await;
    let input = json!({ "statement": alice.claim(&first, None) });
    let made = alice.post(CREATE, &input).await.ok();
    let (posts, events) = (alice.world.directory.posts(), alice.world.events().await.len());
    alice.wait();
    assert_eq!(alice.post(CREATE, &input).await.ok(), made);
    assert_eq!((alice.world.directory.posts(), alice.world.events().await.len()), (posts, events));
    let other = json!({ "statement": input["statement"], "operation": alice.world.directory.log(&alice.account.did)[0].operation });
    assert_eq!(alice.post(CREATE, &other).await.error(), (400, "InvalidOperation"));
}

#[tokio::test]
async fn every_accepted_change_is_mailed_to_the_owner() {
    let (first, second, third) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2), key(KeyType::K256, 3));
    let alice = Alice::new().await;
    let told = |mails: usize, keys: &[&DelegateSigningKey]| {
        assert_eq!(alice.world.mailbox.len(), mails + 1);
        let mail = alice.world.mailbox.last();
        let fingerprints = keys.iter().map(|key| crate::delegation::safety_number::fingerprint(&key.public()));
        assert!(mail.contains("alice@example.com"), "{mail}");
        for fingerprint in fingerprints {
            assert!(mail.contains(&fingerprint), "{fingerprint} {mail}");
        }
    };
    let mails = alice.world.mailbox.len();
    alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await.ok();
    told(mails, &[&first]);
    alice.post(UPDATE, &json!({ "statement": alice.claim(&second, Some(&first)) })).await.ok();
    told(mails + 1, &[&first, &second]);
    alice.post(DELETE, &json!({ "statement": alice.ending(&second) })).await.ok();
    told(mails + 2, &[&second]);
    let statement = alice.claim(&third, None);
    let code = alice.code(&json!({ "statement": statement })).await;
    alice.post(CREATE, &json!({ "statement": statement, "token": code })).await.ok();
    told(mails + 4, &[&third]);
    let code = alice.code(&json!({ "id": "e2ee" })).await;
    alice.post(DELETE, &json!({ "id": "e2ee", "token": code })).await.ok();
    told(mails + 6, &[&third]);
}

#[tokio::test]
async fn several_ids_stand_side_by_side_up_to_four() {
    let mut alice = Alice::new().await;
    for (number, id) in ["e2ee", "chat", "work", "home"].into_iter().enumerate() {
        alice.id = id.parse().unwrap();
        let own = key(KeyType::Ed25519, number as u64);
        alice.post(CREATE, &json!({ "statement": alice.claim(&own, None) })).await.ok();
    }
    assert_eq!(alice.get("listDelegations").await.ok()["delegations"].as_array().unwrap().len(), 4);
    alice.id = "fifth".parse().unwrap();
    let fifth = key(KeyType::Ed25519, 9);
    let refused = alice.post(CREATE, &json!({ "statement": alice.claim(&fifth, None) })).await;
    assert_eq!(refused.error(), (400, "TooManyDelegations"));
}

#[tokio::test]
async fn the_users_own_operation_is_submitted_unchanged() {
    let (first, owner) = (key(KeyType::Ed25519, 1), rotation_key());
    let alice = with_rotation_key(&owner).await;
    let operation = naming(&alice, Some(&first), &owner);
    let input = json!({ "statement": alice.claim(&first, None), "operation": operation });
    let made = alice.post(CREATE, &input).await.ok();
    assert_eq!((made["operation"].clone(), alice.head()), (json!(operation.cid()), operation.cid()));
    assert_eq!(alice.post(CREATE, &input).await.ok(), made, "the same again");
}

#[tokio::test]
async fn an_operation_that_does_more_or_other_is_refused() {
    let (first, owner) = (key(KeyType::Ed25519, 1), rotation_key());
    let alice = with_rotation_key(&owner).await;
    let statement = alice.claim(&first, None);
    let state = || UnsignedOperation { prev: Some(alice.head()), ..alice.world.directory.current(&alice.account.did) };
    let mut more = state();
    more.verification_methods.insert("e2ee".to_owned(), did_key(&first));
    more.set_pds("https://evil.example.com");
    let mut other = state();
    other.verification_methods.insert("e2ee".to_owned(), did_key(&key(KeyType::Ed25519, 2)));
    let mut stranger = state();
    stranger.verification_methods.insert("e2ee".to_owned(), did_key(&first));
    let stranger = stranger.sign(&SigningKey::generate(Curve::P256, &SeededEntropy::new(77)));
    let posts = alice.world.directory.posts();
    for operation in [json!(more.sign(&owner)), json!(other.sign(&owner)), json!(stranger), json!({ "type": "x" })] {
        let refused = alice.post(CREATE, &json!({ "statement": statement, "operation": operation })).await;
        assert_eq!(refused.error(), (400, "InvalidOperation"), "{operation}");
    }
    assert_eq!((alice.world.directory.posts(), alice.named()), (posts, None));
}

#[tokio::test]
async fn a_server_whose_key_left_the_did_says_plainly_what_to_do() {
    let (first, owner) = (key(KeyType::Ed25519, 1), rotation_key());
    let alice = with_rotation_key(&owner).await;
    let mut alone = UnsignedOperation { prev: Some(alice.head()), ..alice.world.directory.current(&alice.account.did) };
    alone.rotation_keys = vec![owner.did_key().to_string()];
    alice.world.directory.accept(&alice.account.did, &alone.sign(&owner));
    let refused = alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await;
    assert_eq!(refused.error(), (400, "InvalidOperation"));
    assert!(refused.message().contains("a rotation key of your own"), "{}", refused.message());
    let operation = naming(&alice, Some(&first), &owner);
    let input = json!({ "statement": alice.claim(&first, None), "operation": operation });
    assert_eq!(alice.post(CREATE, &input).await.ok()["state"], "active");
}

#[tokio::test]
async fn the_owners_log_says_what_became_of_each_delegation() {
    let (first, second) = (key(KeyType::P256, 1), key(KeyType::P256, 2));
    let alice = Alice::new().await;
    alice.wait();
    let statement = alice.claim(&first, None);
    let token = alice.code(&json!({ "statement": statement })).await;
    alice.post(CREATE, &json!({ "statement": statement, "token": token })).await.ok();
    alice.post(UPDATE, &json!({ "statement": alice.claim(&second, Some(&first)) })).await.ok();
    alice.post(DELETE, &json!({ "statement": alice.ending(&second) })).await.ok();
    let mut events = alice.world.server.store.security_events(alice.account.id, None, 4).await.unwrap();
    events.reverse();
    let noted: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.detail.as_deref())).collect();
    assert_eq!(
        noted,
        [
            ("delegationRequested", None),
            ("delegationChanged", Some("e2ee was created")),
            ("delegationChanged", Some("e2ee was changed")),
            ("delegationChanged", Some("e2ee was ended")),
        ]
    );
    assert!(events.iter().all(|event| event.address.is_some()), "the request is known to the task that carries it on");
}
