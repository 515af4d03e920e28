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
async fn an_entry_that_waits_for_a_rotation_to_be_written_is_checked_against_the_new_key() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let (locks, account) = (&alice.world.server.locks, alice.account.id);
    let (old, new) =
        (alice.entry(APP, Some(json!({})), &first, 0), alice.entry("com.example.mail", Some(json!({})), &second, 0));
    let statement = json!({ "statement": alice.claim(&second, Some(&first)) });
    let queued = async |places: usize| {
        while locks.waiting(account) < places {
            tokio::task::yield_now().await;
        }
    };
    let held = locks.lock(account).await;
    let (rotated, of_old, of_new, ()) = tokio::join!(
        alice.post(UPDATE, &statement),
        async {
            queued(1).await;
            alice.post(PUT, &json!({ "entry": old })).await
        },
        async {
            queued(2).await;
            alice.post(PUT, &json!({ "entry": new })).await
        },
        async {
            queued(3).await;
            drop(held);
        },
    );
    rotated.ok();
    assert_eq!(of_old.error(), (400, "InvalidAssociatedData"));
    of_new.ok();
    let path =
        format!("com.atproto.repo.listRecords?repo={}&collection=dev.housekey.delegation.data", alice.account.did);
    let records = alice.world.get(&path, As::Nobody).await.ok();
    assert_eq!(records["records"].as_array().unwrap().len(), 1, "{records}");
    assert_eq!(apps(&alice).await, json!({ "com.example.mail": new }));
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
async fn a_claim_brings_nothing_older_than_what_is_there_and_not_one_too_many() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::with(&first).await;
    let most = crate::limits::delegation::APP_DATA_MAX_ENTRIES;
    let app = |number: usize| format!("com.example.app{number}");
    for number in 0..most {
        let entry = alice.entry(&app(number), Some(json!({})), &first, 5);
        alice.post(PUT, &json!({ "entry": entry })).await.ok();
    }
    let before = apps(&alice).await;
    let statement = alice.claim(&first, None);
    let code = alice.code(&json!({ "statement": statement })).await;
    let claim = |entry: Json| json!({ "statement": statement, "token": code, "appData": [entry] });
    for (app, number, error) in
        [(app(0), 4, "StaleRevision"), (app(0), 5, "StaleRevision"), (app(most), 6, "InvalidAssociatedData")]
    {
        let refused = alice.post(CREATE, &claim(alice.entry(&app, Some(json!({})), &first, number))).await;
        assert_eq!(refused.error(), (400, error), "{app} {number}");
    }
    assert_eq!((apps(&alice).await, alice.records().await.len()), (before, 1), "nothing was changed");
    let later = alice.entry(&app(0), Some(json!({ "new": true })), &first, 6);
    alice.post(CREATE, &claim(later.clone())).await.ok();
    let after = apps(&alice).await;
    assert_eq!((&after[app(0)], after.as_object().unwrap().len()), (&later, most));
}

#[tokio::test]
async fn a_change_brings_along_as_much_as_an_id_may_have() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    // As many bytes as make 32 KiB with the map around them.
    let bytes = data_encoding::BASE64_NOPAD.encode(&vec![0xa5; 32 * 1024 - 6]);
    let data = json!({ "x": { "$bytes": bytes } });
    let entries: Vec<Json> = (0..crate::limits::delegation::APP_DATA_MAX_ENTRIES)
        .map(|number| alice.entry(&format!("com.example.app{number}"), Some(data.clone()), &second, 0))
        .collect();
    let statement = alice.claim(&second, Some(&first));
    alice.post(UPDATE, &json!({ "statement": statement, "appData": entries })).await.ok();
    assert_eq!(apps(&alice).await.as_object().unwrap().len(), entries.len());
}

#[tokio::test]
async fn an_expired_entry_is_not_shown() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::with(&first).await;
    alice.post(PUT, &json!({ "entry": alice.entry(APP, Some(json!({})), &first, 0) })).await.ok();
    alice.world.clock.advance(Duration::from_hours(24 * 30));
    assert_eq!(apps(&alice).await, json!({}));
}

#[tokio::test]
async fn a_thirty_third_app_is_refused_until_one_has_ended() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::with(&first).await;
    let app = |number: usize| format!("com.example.app{number}");
    let most = crate::limits::delegation::APP_DATA_MAX_ENTRIES;
    for number in 0..most {
        alice.post(PUT, &json!({ "entry": alice.entry(&app(number), Some(json!({})), &first, 0) })).await.ok();
    }
    let next = json!({ "entry": alice.entry(&app(most), Some(json!({})), &first, 0) });
    assert_eq!(alice.post(PUT, &next).await.error(), (400, "InvalidAssociatedData"));
    assert_eq!(apps(&alice).await.as_object().unwrap().len(), most);
    alice.post(PUT, &json!({ "entry": alice.entry(&app(7), None, &first, 1) })).await.ok();
    alice.post(PUT, &next).await.ok();
    let apps = apps(&alice).await;
    assert_eq!((apps.as_object().unwrap().len(), apps.get(app(7)), apps.get(app(most)).is_some()), (most, None, true));
}

#[tokio::test]
async fn what_is_too_large_too_long_lived_or_too_far_ahead_is_refused() {
    let first = key(KeyType::P256, 1);
    let alice = Alice::with(&first).await;
    let now = alice.world.clock.now();
    let draft = |rev: Tid, expires_in: Duration, data: Json| AppDataDraft {
        did: alice.account.did.clone(),
        id: alice.id.clone(),
        app: APP.parse().unwrap(),
        rev,
        data: Some(map(&data)),
        expires_at: now.plus(expires_in),
    };
    let (rev, day, ahead) = (Tid::new(now, 0), Duration::from_hours(24), Duration::from_mins(5));
    for (what, draft) in [
        ("oversize", draft(rev, day, json!({ "text": "x".repeat(32 * 1024) }))),
        ("long-lived", draft(rev, 90 * day + ahead + Duration::from_secs(1), json!({}))),
        ("expired", draft(rev, Duration::ZERO, json!({}))),
        ("ahead", draft(Tid::new(now.plus(ahead + Duration::from_secs(1)), 0), day, json!({}))),
    ] {
        let answer = alice.post(PUT, &json!({ "entry": draft.sign(&first).to_json() })).await;
        assert_eq!(answer.error(), (400, "InvalidAssociatedData"), "{what}");
    }
    assert_eq!(apps(&alice).await, json!({}));
    let last = draft(Tid::new(now.plus(ahead), 0), 90 * day, json!({}));
    alice.post(PUT, &json!({ "entry": last.sign(&first).to_json() })).await.ok();
}
