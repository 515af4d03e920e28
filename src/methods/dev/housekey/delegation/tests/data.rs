//! Associated data.

use super::*;

const APP: &str = "com.example.chat";

async fn apps(alice: &Alice) -> Json {
    alice.get("getAssociatedData").await.ok()["apps"].clone()
}

#[tokio::test]
async fn an_entry_is_set_replaced_and_ended() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::with(&first).await;
    let entry = alice.entry(APP, Some(json!({ "keyPackage": "abc" })), &first, 0);
    let put = alice.post(PUT, &json!({ "entry": entry })).await.ok();
    let uri = format!("at://{}/dev.housekey.delegation.data/e2ee:{APP}", alice.account.did);
    assert_eq!(put["uri"], uri.as_str());
    assert_eq!(apps(&alice).await, json!({ APP: entry }));
    let path = format!(
        "com.atproto.repo.getRecord?repo={}&collection=dev.housekey.delegation.data&rkey=e2ee:{APP}",
        alice.account.did
    );
    let record = alice.world.get(&path, As::Nobody).await.ok();
    assert_eq!((&record["cid"], &record["value"]["entry"]), (&put["cid"], &entry));
    let stale = alice.post(PUT, &json!({ "entry": entry })).await;
    assert_eq!(stale.error(), (400, "StaleRevision"));
    let ended = alice.entry(APP, None, &first, 1);
    alice.post(PUT, &json!({ "entry": ended })).await.ok();
    assert_eq!(apps(&alice).await, json!({ APP: ended }), "ending is signed too");
}

#[tokio::test]
async fn the_domain_is_shown_wherever_a_reader_asks() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::with(&first).await;
    let entry = alice.entry(crate::delegation::DOMAIN_APP, Some(json!({ "domain": "keys.example.com" })), &first, 0);
    alice.post(PUT, &json!({ "entry": entry })).await.ok();
    for method in ["getDelegation", "getAssociatedData"] {
        assert_eq!(alice.get(method).await.ok()["domain"], "keys.example.com");
    }
    assert_eq!(alice.get("listDelegations").await.ok()["delegations"][0]["domain"], "keys.example.com");
}

#[tokio::test]
async fn another_key_a_broken_signature_and_no_delegation_are_refused() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::new().await;
    let entry = alice.entry(APP, Some(json!({})), &first, 0);
    assert_eq!(alice.post(PUT, &json!({ "entry": entry })).await.error(), (404, "DelegationNotFound"));
    alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await.ok();
    let other = alice.entry(APP, Some(json!({})), &second, 0);
    let mut forged = entry.clone();
    forged["data"] = json!({ "keyPackage": "mine" });
    let mut unknown = entry.clone();
    unknown["more"] = json!(1);
    for entry in [other, forged, unknown, json!({})] {
        assert_eq!(alice.post(PUT, &json!({ "entry": entry })).await.error(), (400, "InvalidAssociatedData"));
    }
    assert_eq!(apps(&alice).await, json!({}));
}

#[tokio::test]
async fn entries_of_the_key_before_leave_unless_the_change_brings_them_along() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    for app in [APP, "com.example.mail"] {
        alice.post(PUT, &json!({ "entry": alice.entry(app, Some(json!({})), &first, 0) })).await.ok();
    }
    let stays = alice.entry(APP, Some(json!({ "new": true })), &second, 1);
    let statement = alice.claim(&second, Some(&first));
    let old = alice.entry(APP, Some(json!({})), &first, 1);
    let refused = alice.post(UPDATE, &json!({ "statement": statement, "appData": [old] })).await;
    assert_eq!(refused.error(), (400, "InvalidAssociatedData"));
    alice.post(UPDATE, &json!({ "statement": statement, "appData": [stays] })).await.ok();
    assert_eq!(apps(&alice).await, json!({ APP: stays }));
    alice.post(DELETE, &json!({ "statement": alice.ending(&second) })).await.ok();
    assert_eq!(apps(&alice).await, json!({}));
    let path =
        format!("com.atproto.repo.listRecords?repo={}&collection=dev.housekey.delegation.data", alice.account.did);
    assert_eq!(alice.world.get(&path, As::Nobody).await.ok()["records"], json!([]));
}

#[tokio::test]
async fn an_expired_entry_is_not_shown() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::with(&first).await;
    alice.post(PUT, &json!({ "entry": alice.entry(APP, Some(json!({})), &first, 0) })).await.ok();
    alice.world.clock.advance(Duration::from_hours(24 * 30));
    assert_eq!(apps(&alice).await, json!({}));
}
