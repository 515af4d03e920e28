//! What others do to the DID, and what the generic methods may not.

use super::*;

const SIGN: &str = "com.atproto.identity.signPlcOperation";
const SUBMIT: &str = "com.atproto.identity.submitPlcOperation";

fn swap(alice: &Alice, key: Option<&DelegateSigningKey>) {
    let operation = naming(alice, key, &alice.world.server.rotation_key);
    alice.world.directory.accept(&alice.account.did, &operation);
}

/// As long as a resolver may keep a document.
fn much_later(alice: &Alice) {
    alice.world.clock.advance(Duration::from_hours(25));
}

#[tokio::test]
async fn a_key_that_somebody_swapped_is_unproven_and_the_owner_is_told() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let (mails, events) = (alice.world.mailbox.len(), alice.world.events().await.len());
    swap(&alice, Some(&second));
    crate::service::delegation::watch_round(&alice.world.server).await.unwrap();
    let found = alice.get("getDelegation").await.ok();
    assert_eq!((&found["state"], &found["key"]), (&json!("unproven"), &json!(did_key(&second))));
    assert_eq!((alice.world.mailbox.len(), alice.world.events().await.len()), (mails + 1, events + 1));
    assert!(alice.world.mailbox.last().contains("from elsewhere"));
    crate::service::delegation::watch_round(&alice.world.server).await.unwrap();
    alice.world.deliver().await;
    assert_eq!((alice.world.mailbox.len(), alice.world.events().await.len()), (mails + 1, events + 1), "once");
}

#[tokio::test]
async fn a_reader_sees_it_as_soon_as_the_document_is_read_again() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    swap(&alice, Some(&second));
    much_later(&alice);
    assert_eq!(alice.get("getDelegation").await.ok()["state"], "unproven");
    assert!(alice.world.mailbox.last().contains("from elsewhere"));
}

#[tokio::test]
async fn a_key_that_was_set_elsewhere_is_claimed_without_an_operation() {
    let first = key(KeyType::K256, 1);
    let alice = Alice::new().await;
    swap(&alice, Some(&first));
    much_later(&alice);
    let mut alice = alice;
    let login = json!({ "identifier": "alice.test", "password": crate::service::testing::PASSWORD });
    let opened = alice.world.post("com.atproto.server.createSession", As::Nobody, &login).await.ok();
    alice.jwt = opened["accessJwt"].as_str().unwrap().to_owned();
    assert_eq!(alice.get("getDelegation").await.ok()["state"], "unproven");
    let statement = alice.claim(&first, None);
    let refused = alice.post(CREATE, &json!({ "statement": statement })).await;
    assert_eq!(refused.error(), (400, "TokenRequired"));
    let code = alice.code(&json!({ "statement": statement })).await;
    let posts = alice.world.directory.posts();
    let made = alice.post(CREATE, &json!({ "statement": statement, "token": code })).await.ok();
    assert_eq!((&made["state"], made.get("operation")), (&json!("active"), None));
    assert_eq!(alice.world.directory.posts(), posts);
    assert_eq!(alice.get("getDelegation").await.ok()["state"], "active");
    assert_eq!(alice.assess().await.verdict.status, crate::delegation::Status::Verified);
    assert_eq!(alice.post(CREATE, &json!({ "statement": statement })).await.ok(), made, "the same again");
}

#[tokio::test]
async fn the_generic_methods_keep_the_key_and_refuse_to_change_it() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let code = async || {
        alice.post("com.atproto.identity.requestPlcOperationSignature", &Json::Null).await.ok_empty();
        alice.world.mailbox.code()
    };
    let token = code().await;
    let omitted = json!({ "token": token, "verificationMethods": { "atproto": alice.account.signing_key } });
    let signed = alice.post(SIGN, &omitted).await.ok();
    assert_eq!(signed["operation"]["verificationMethods"]["e2ee"], did_key(&first));
    let token = code().await;
    let changed = json!({ "token": token, "verificationMethods": { "atproto": alice.account.signing_key, "e2ee": did_key(&second) } });
    assert_eq!(alice.post(SIGN, &changed).await.error(), (400, "DelegationProtected"));
    for key in [Some(&second), None] {
        let operation = naming(&alice, key, &alice.world.server.rotation_key);
        let refused = alice.post(SUBMIT, &json!({ "operation": operation })).await;
        assert_eq!(refused.error(), (400, "DelegationProtected"));
    }
    assert_eq!(alice.named(), Some(did_key(&first)));
    swap(&alice, Some(&second));
    let back = naming(&alice, Some(&first), &alice.world.server.rotation_key);
    alice.post(SUBMIT, &json!({ "operation": back })).await.ok_empty();
    assert_eq!(alice.named(), Some(did_key(&first)), "back to the latest statement's key is allowed");
}

#[tokio::test]
async fn a_standard_migration_keeps_the_delegation() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::with(&first).await;
    let target = "com.atproto.identity.getRecommendedDidCredentials";
    let said = alice.world.get(target, As::Bearer(&alice.jwt)).await.ok();
    assert_eq!(said["verificationMethods"], json!({ "atproto": alice.account.signing_key, "e2ee": did_key(&first) }));
    alice.world.directory.set_down(true);
    assert_eq!(alice.world.get(target, As::Bearer(&alice.jwt)).await.error(), (502, "PlcUnavailable"));
}

#[tokio::test]
async fn the_two_collections_belong_to_the_delegation_methods() {
    let alice = Alice::with(&key(KeyType::Ed25519, 1)).await;
    let did = &alice.account.did;
    for collection in ["dev.housekey.delegation.statement", "dev.housekey.delegation.data"] {
        let record = json!({ "$type": collection });
        let base = json!({ "repo": did, "collection": collection, "rkey": "e2ee:x", "record": record });
        let batch = json!({ "repo": did, "writes": [
            { "$type": "com.atproto.repo.applyWrites#delete", "collection": collection, "rkey": "e2ee:x" },
        ] });
        for (method, input) in
            [("createRecord", &base), ("putRecord", &base), ("deleteRecord", &base), ("applyWrites", &batch)]
        {
            let refused = alice.post(&format!("com.atproto.repo.{method}"), input).await;
            assert_eq!(refused.error(), (400, "ReservedCollection"), "{method} {collection}");
        }
    }
    assert_eq!(alice.records().await.len(), 1);
}
