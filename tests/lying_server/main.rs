//! The lying server and the lying directory over HTTP: an honest one behind a face that lies, and `housekey verify`, which
//! only sees the face. Each test names what caught it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where its server does")]

mod stage;
#[path = "../support/mod.rs"]
mod support;

use housekey::{crypto::DelegateSigningKey, ipld::Map};
use serde_json::{Value, json};
use stage::{Stage, new_key, text};

#[tokio::test]
async fn a_swap_with_fresh_statements_is_caught_by_the_log_which_dates_the_reset() {
    let (first, evil) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    let fresh = stage.claim(Some(&evil), None).await;
    stage.swap(Some(&evil)).await;
    stage.pds.tells([fresh]);
    let at = json!(stage.log().await.last().unwrap())["createdAt"].clone();
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.status(), seen.vs_pin()), (1, "verified", "reset"));
    assert_eq!((&seen.verdict["resets"][0]["at"], seen.resets()), (&at, vec![text(&evil)]));
    assert_eq!(seen.verdict["complete"], false, "the first key has no statement any more");
    let newcomer = stage.verify();
    assert_eq!((newcomer.code, newcomer.resets()), (1, vec![text(&evil)]), "newcomers see it too");
}

#[tokio::test]
async fn swapped_and_swapped_back_is_caught_by_the_log_as_an_interruption() {
    let (first, evil) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    let honest = stage.statements().await;
    stage.swap(Some(&evil)).await;
    stage.swap(Some(&first)).await;
    stage.pds.tells(honest);
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.status(), seen.vs_pin()), (2, "unproven", "interrupted"));
    assert_eq!(seen.resets(), [text(&evil), text(&first)]);
}

#[tokio::test]
async fn ended_and_created_again_is_caught_because_an_end_does_not_hide_the_key_before() {
    let (first, evil) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    stage.swap(None).await;
    assert_eq!(stage.verify().status(), "ended");
    let fresh = stage.claim(Some(&evil), None).await;
    stage.swap(Some(&evil)).await;
    stage.pds.tells([fresh]);
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.status(), seen.vs_pin()), (1, "verified", "reset"));
    assert_eq!(seen.resets(), [text(&evil)]);
}

#[tokio::test]
async fn swapped_used_and_nullified_is_caught_by_the_log_which_keeps_nullified_operations() {
    let (first, evil) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    let (before, honest) = (stage.head().await, stage.statements().await);
    let fresh = stage.claim(Some(&evil), None).await;
    stage.swap(Some(&evil)).await;
    stage.pds.tells([fresh]);
    assert_eq!(stage.verify_with("victim").status(), "verified", "used meanwhile");
    // The one who swapped has the stronger key and covers the traces; the key is set again from the same place.
    stage.recover(before, &first).await;
    stage.pds.tells(honest);
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.vs_pin(), seen.nullified()), (1, "same", vec![text(&evil)]));
    assert_eq!(stage.verify_with("victim").vs_pin(), "rollback", "who was shown the other key learns of it");
}

#[tokio::test]
async fn an_honest_rotation_that_a_stronger_key_nullifies_is_caught_as_a_rollback() {
    let (first, second, evil) = (new_key(), new_key(), new_key());
    let stage = Stage::with(&first).await;
    let before = stage.head().await;
    stage.rotate(&second, &first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    stage.recover(before, &evil).await;
    let fresh = stage.claim(Some(&evil), None).await;
    stage.pds.tells([stage.statements().await, vec![fresh]].concat());
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.vs_pin(), seen.nullified()), (1, "rollback", vec![text(&second)]));
    assert_eq!(seen.resets(), [text(&evil)]);
}

#[tokio::test]
async fn a_dropped_statement_makes_things_look_worse_and_the_log_names_the_key_without_it() {
    let (first, second) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    let honest = stage.statements().await;
    stage.rotate(&second, &first).await;
    stage.pds.tells(honest);
    let seen = stage.verify();
    assert_eq!((seen.code, seen.status(), &seen.verdict["complete"]), (2, "unproven", &json!(false)));
    assert_eq!(seen.resets(), [text(&second)]);
}

#[tokio::test]
async fn a_changed_a_forged_and_a_stripped_statement_are_caught_by_their_signatures() {
    let (first, second, evil) = (new_key(), new_key(), new_key());
    let stage = Stage::with(&first).await;
    let old = stage.statements().await;
    stage.rotate(&second, &first).await;
    let statements = stage.statements().await;
    let honest = statements.iter().find(|one| !old.contains(one)).unwrap().clone();

    let mut changed = honest.clone();
    changed["createdAt"] = json!("2020-01-01T00:00:00.000Z");
    stage.pds.tells([old.clone(), vec![changed]].concat());
    let seen = stage.verify();
    assert_eq!(seen.status(), "unproven");
    assert!(seen.text.contains("1 × not signed by its key"), "{}", seen.text);

    let mut forged = stage.claim_at(honest["prev"].as_str().unwrap().parse().unwrap(), Some(&evil), Some(&evil));
    forged["key"] = honest["key"].clone();
    stage.pds.tells([old.clone(), vec![forged]].concat());
    let seen = stage.verify();
    assert_eq!(seen.status(), "unproven");
    assert!(seen.text.contains("1 × not signed by its key"), "{}", seen.text);

    let mut stripped = honest;
    stripped.as_object_mut().unwrap().remove("endorsement");
    stage.pds.tells([old.clone(), vec![stripped.clone()]].concat());
    assert_eq!(stage.verify().status(), "unproven", "it says that it is endorsed, and is not: no statement at all");
    stripped["endorsed"] = json!(false);
    stage.pds.tells([old, vec![stripped]].concat());
    let seen = stage.verify();
    assert_eq!((seen.status(), seen.resets()), ("unproven", vec![text(&second)]));
    assert!(seen.text.contains("1 × not signed by its key"), "{}", seen.text);
    stage.pds.is_honest_again();
    assert_eq!(stage.verify().code, 0);
}

#[tokio::test]
async fn a_retired_key_over_one_that_nobody_endorsed_is_caught_as_an_endorsement_of_the_wrong_key() {
    let (first, evil, last) = (new_key(), new_key(), new_key());
    let stage = Stage::with(&first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    let mut statements = stage.statements().await;
    stage.swap(Some(&evil)).await;
    // The first key was stolen after it was replaced: it vouches for the third.
    statements.push(stage.claim(Some(&last), Some(&first)).await);
    stage.swap(Some(&last)).await;
    stage.pds.tells(statements);
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.status(), seen.vs_pin()), (2, "unproven", "reset"));
    assert_eq!(seen.resets(), [text(&evil), text(&last)]);
    assert!(seen.text.contains("1 × its endorsement is not that of the key before"), "{}", seen.text);
}

#[tokio::test]
async fn one_key_for_alice_and_another_for_bob_is_caught_when_they_compare_what_they_remember() {
    let (first, for_alice, for_bob) = (new_key(), new_key(), new_key());
    let stage = Stage::with(&first).await;
    let (log, head, mut statements) = (stage.log().await, stage.head().await, stage.statements().await);
    let shown = |key: &DelegateSigningKey| {
        let operation = stage.naming(&log, head, Some(&key.public()), &stage.rotation);
        stage.forked(&log, [operation])
    };
    let (alices, bobs) = (shown(&for_alice), shown(&for_bob));
    statements.extend([&for_alice, &for_bob].map(|key| stage.claim_at(head, Some(key), None)));
    for (name, log) in [("alice", &alices), ("bob", &bobs)] {
        stage.mirror.shows(log);
        let hidden = text(if name == "alice" { &for_bob } else { &for_alice });
        stage.pds.tells(statements.iter().filter(|one| one["key"] != hidden).cloned());
        assert_eq!(stage.verify_with(name).status(), "verified", "each log verifies by itself");
    }
    // Bob's log is still shown, and Alice tells what she remembers.
    let seen = stage.verify_with("alice");
    assert_eq!((seen.code, seen.status(), seen.vs_pin()), (2, "mismatch", "rollback"));
}

#[tokio::test]
async fn a_private_log_is_caught_by_a_statement_that_speaks_of_the_public_one() {
    let first = new_key();
    let stage = Stage::with(&first).await;
    let (log, head) = (stage.log().await, stage.head().await);
    // In public an operation comes that the private log does not have, and the key speaks at it.
    stage.swap(Some(&new_key())).await;
    stage.swap(Some(&first)).await;
    let public = stage.claim(Some(&first), None).await;
    let private = stage.forked(&log, [stage.naming(&log, head, None, &stage.rotation)]);
    let again = stage.naming(&private, private.last().unwrap().cid, Some(&first.public()), &stage.rotation);
    stage.mirror.shows(&stage.forked(&private, [again]));
    stage.pds.tells([stage.statements().await, vec![public]].concat());
    let seen = stage.verify();
    assert_eq!((seen.code, seen.status()), (2, "mismatch"));
    assert!(seen.text.contains("a part of the log is hidden"), "{}", seen.text);
}

#[tokio::test]
async fn a_directory_that_cuts_its_log_is_caught_by_the_remembered_head_and_by_statements() {
    let (first, second) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    let old = stage.log().await;
    stage.rotate(&second, &first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    stage.mirror.shows(&old);
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.status(), seen.vs_pin()), (2, "mismatch", "rollback"), "the head that was remembered");
    // A newcomer sees a statement that speaks of what was cut, as soon as there is one.
    let third = new_key();
    stage.rotate(&third, &second).await;
    let back = stage.claim(Some(&first), Some(&third)).await;
    stage.pds.tells([stage.statements().await, vec![back]].concat());
    let seen = stage.verify();
    assert_eq!(
        (seen.code, seen.status()),
        (2, "mismatch"),
        "a statement of the key that is shown, on a hidden operation"
    );
    // Cut in the middle, it does not verify at all.
    let mut log = stage.log().await;
    log.remove(1);
    stage.mirror.shows(&log);
    let seen = stage.verify();
    assert_eq!((seen.code, seen.status()), (2, "mismatch"));
    assert!(seen.text.contains("not one that an honest directory serves"), "{}", seen.text);
}

#[tokio::test]
async fn a_moved_domain_is_caught_by_the_signature_of_its_entry() {
    let (first, evil) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    let app = housekey::delegation::DOMAIN_APP;
    let domain = |name: &str| [("domain", name)].into_iter().collect::<Map>();
    let mut changed = stage.entry(app, domain("keys.example.com"), &first);
    changed["data"]["domain"] = json!("evil.example.com");
    for (entry, fault) in [(changed, "Signature"), (stage.entry(app, domain("evil.example.com"), &evil), "OtherKey")] {
        stage.pds.lies(move |path, answer| {
            if path.contains("getAssociatedData?") {
                answer["apps"][app] = entry.clone();
                answer["domain"] = json!("evil.example.com");
            }
        });
        let seen = stage.verify();
        assert_eq!((seen.code, seen.status()), (0, "verified"), "the key is what it was");
        assert!(!seen.text.contains("ask evil.example.com"), "{}", seen.text);
        assert!(seen.text.contains(&format!("does not count ({fault})")), "{}", seen.text);
    }
}

#[tokio::test]
async fn old_associated_data_is_caught_by_its_rev() {
    let first = new_key();
    let stage = Stage::with(&first).await;
    let app = "com.example.chat";
    let old = stage.entry(app, Map::new(), &first);
    stage.put(&old).await;
    let new = stage.entry(app, [("new", true)].into_iter().collect(), &first);
    stage.put(&new).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    stage.pds.lies(move |path, answer| {
        if path.contains("getAssociatedData?") {
            answer["apps"]["com.example.chat"] = old.clone();
        }
    });
    let seen = stage.verify_with("friend");
    assert!(seen.text.contains("com.example.chat: does not count (Replayed)"), "{}", seen.text);
    // A newcomer is not protected from that before the entry expires.
    assert!(stage.verify().text.contains("com.example.chat: holds until"));
}

#[tokio::test]
async fn a_poisoned_recovery_is_caught_because_the_attackers_key_does_not_stand() {
    let (first, evil, next) = (new_key(), new_key(), new_key());
    let stage = Stage::with(&first).await;
    assert_eq!(stage.verify_with("friend").code, 0);
    let (before, old) = (stage.head().await, stage.statements().await);
    stage.swap(Some(&evil)).await;
    // The attacker's key vouches for the owner's next key, so that its own time looks like a link of the chain.
    let poisoned = [stage.head().await, before].map(|prev| stage.claim_at(prev, Some(&next), Some(&evil)));
    let honest = stage.claim_at(before, Some(&next), Some(&first));
    stage.recover(before, &next).await;
    stage.pds.tells([old.clone(), poisoned.to_vec()].concat());
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.status(), seen.nullified()), (2, "unproven", vec![text(&evil)]));
    assert!(seen.text.contains("its endorsement is not that of the key before"), "{}", seen.text);
    stage.pds.tells([old, poisoned.to_vec(), vec![honest]].concat());
    let seen = stage.verify_with("friend");
    assert_eq!((seen.code, seen.status(), seen.vs_pin()), (1, "verified", "successor"));
    assert!(seen.resets().is_empty(), "{:?}", seen.resets());
}

#[tokio::test]
async fn statements_removed_before_a_move_are_missed_and_count_again_once_the_owner_puts_them_back() {
    let (first, second) = (new_key(), new_key());
    let stage = Stage::with(&first).await;
    stage.rotate(&second, &first).await;
    let kept = stage.statements().await;
    // A server that is none of ours, as after a move: it knows no delegation methods, and the records are gone.
    let moved = |records: Vec<Value>| {
        stage.pds.lies(move |path, answer| {
            if path.contains("dev.housekey.delegation.") && path.contains("/xrpc/dev.") {
                *answer = json!({ "error": "MethodNotImplemented", "message": "no" });
            } else if path.contains("listRecords?") && path.contains("delegation.statement") {
                *answer = json!({ "records": records });
            }
        });
    };
    moved(Vec::new());
    let seen = stage.verify();
    assert_eq!((seen.code, seen.status()), (2, "unproven"));
    let records = kept.iter().enumerate().map(|(number, statement)| {
        let uri = format!("at://{}/dev.housekey.delegation.statement/e2ee:{number}", stage.did);
        let value = json!({ "$type": "dev.housekey.delegation.statement", "statement": statement });
        json!({ "uri": uri, "cid": "bafyreif", "value": value })
    });
    moved(records.collect());
    let seen = stage.verify();
    assert_eq!((seen.code, seen.status(), &seen.verdict["complete"]), (0, "verified", &json!(true)));
}

#[tokio::test]
async fn junk_and_far_future_statements_that_a_move_brought_change_nothing() {
    let (first, second, stranger) = (new_key(), new_key(), new_key());
    let stage = Stage::with(&first).await;
    stage.rotate(&second, &first).await;
    let honest = stage.verify();
    let head = stage.head().await;
    let mut future = stage.claim_at(head, Some(&second), None);
    future["createdAt"] = json!("9999-01-01T00:00:00.000Z");
    let nowhere = stage.claim_at(housekey::ipld::Cid::of_cbor(b"no operation"), Some(&stranger), Some(&stranger));
    let planted = vec![
        future,
        nowhere,
        stage.claim_at(head, Some(&stranger), Some(&stranger)),
        stage.claim_at(head, None, Some(&stranger)),
        json!({ "$type": "dev.housekey.delegation.defs#statement" }),
        json!("junk"),
    ];
    stage.pds.tells([planted.clone(), stage.statements().await, planted].concat());
    let seen = stage.verify();
    assert_eq!((seen.code, &seen.verdict), (0, &honest.verdict));
}

#[tokio::test]
async fn a_key_of_the_accounts_own_is_caught_by_the_log_which_lists_it() {
    for held in ["rotation", "owner"] {
        let stage = Stage::new().await;
        let private = if held == "rotation" { &stage.rotation } else { &stage.owner };
        let key_type = housekey::crypto::DelegateKey::from(private.did_key()).key_type();
        let key = DelegateSigningKey::from_bytes(key_type, private.to_bytes().as_slice()).unwrap();
        let fresh = stage.claim(Some(&key), None).await;
        stage.swap(Some(&key)).await;
        stage.pds.lies(move |path, answer| {
            if path.contains("getDelegation?") {
                *answer = json!({ "statements": [fresh] });
            }
        });
        let seen = stage.verify();
        assert_eq!((seen.code, seen.status()), (2, "mismatch"), "{held}");
        assert!(seen.text.contains("SERVER could use this key"), "{}", seen.text);
    }
}
