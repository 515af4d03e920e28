//! Faults of the directory and death of the process: document and statements agree in the end.

use super::*;
use crate::service::{
    journal::{Step, crashing_at, reconcile},
    testing::Fault,
};

const STEPS: [Step; 4] = [Step::Prepared, Step::Posted, Step::Sent, Step::Applied];

#[tokio::test]
async fn a_change_that_dies_at_any_step_is_finished_after_the_restart() {
    for step in STEPS {
        for rotate in [false, true] {
            let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::P256, 2));
            let alice = if rotate { Alice::with(&first).await } else { Alice::new().await };
            let statement = if rotate { alice.claim(&second, Some(&first)) } else { alice.claim(&first, None) };
            let wanted = if rotate { &second } else { &first };
            let method = if rotate { UPDATE } else { CREATE };
            let input = json!({ "statement": statement });
            let answer = crashing_at(step, alice.post(method, &input)).await;
            assert_eq!(answer.ok()["state"], "pending", "{step:?}");
            let Alice { world, account, jwt, refresh, id } = alice;
            let world = world.restart().await;
            reconcile(&world.server).await.unwrap();
            let alice = Alice { world, account, jwt, refresh, id };
            assert_eq!(alice.named(), Some(did_key(wanted)), "{step:?}");
            let found = alice.get("getDelegation").await.ok();
            assert_eq!((&found["state"], &found["key"]), (&json!("active"), &json!(did_key(wanted))), "{step:?}");
            assert_eq!(alice.records().await.len(), if rotate { 2 } else { 1 });
            assert_eq!(alice.world.directory.log(&alice.account.did).len(), if rotate { 3 } else { 2 }, "{step:?}");
            assert_eq!(alice.post(method, &input).await.ok()["state"], "active", "the same statement again");
        }
    }
}

#[tokio::test]
async fn a_pending_statement_is_not_served_and_the_next_change_is_a_conflict() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::new().await;
    alice.world.directory.fail_next(Fault::HangUp);
    let input = json!({ "statement": alice.claim(&first, None) });
    let pending = alice.post(CREATE, &input).await.ok();
    assert_eq!(pending["state"], "pending");
    assert_eq!(alice.get("getDelegation").await.error(), (404, "DelegationNotFound"));
    assert!(alice.records().await.is_empty());
    assert_eq!(alice.post(CREATE, &input).await.ok(), pending, "the same statement again");
    let other = alice.post(CREATE, &json!({ "statement": alice.claim(&second, None) })).await;
    assert_eq!(other.error(), (409, "PlcConflict"));
    reconcile(&alice.world.server).await.unwrap();
    assert_eq!(alice.get("getDelegation").await.ok()["key"], did_key(&first));
}

#[tokio::test]
async fn an_operation_that_was_taken_before_the_connection_broke_is_active_at_once() {
    for fault in [Fault::AcceptThenHangUp, Fault::AcceptThenFail] {
        let first = key(KeyType::Ed25519, 1);
        let alice = Alice::new().await;
        alice.world.directory.fail_next(fault);
        let made = alice.post(CREATE, &json!({ "statement": alice.claim(&first, None) })).await.ok();
        assert_eq!((&made["state"], alice.named()), (&json!("active"), Some(did_key(&first))));
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_directorys_words_and_the_same_statement_may_come_again() {
    let first = key(KeyType::Ed25519, 1);
    let alice = Alice::new().await;
    let input = json!({ "statement": alice.claim(&first, None) });
    alice.world.directory.fail_next(Fault::Refuse);
    let refused = alice.post(CREATE, &input).await;
    assert_eq!((refused.error(), refused.message()), ((400, "PlcRejected"), "the test refuses"));
    assert!(alice.records().await.is_empty());
    assert_eq!(alice.post(CREATE, &input).await.ok()["state"], "active");
}

#[tokio::test]
async fn a_directory_that_is_down_changes_nothing() {
    let alice = Alice::new().await;
    let input = json!({ "statement": alice.claim(&key(KeyType::Ed25519, 1), None) });
    alice.world.directory.set_down(true);
    assert_eq!(alice.post(CREATE, &input).await.error(), (502, "PlcUnavailable"));
    alice.world.directory.set_down(false);
    assert_eq!(alice.named(), None);
}

#[tokio::test]
async fn an_operation_that_comes_in_between_is_a_conflict_or_is_told() {
    let (first, owner) = (key(KeyType::Ed25519, 1), rotation_key());
    let alice = with_rotation_key(&owner).await;
    let mut other = UnsignedOperation { prev: Some(alice.head()), ..alice.world.directory.current(&alice.account.did) };
    other.set_handle(&"elsewhere.test".parse().unwrap());
    let other = other.sign(&alice.world.server.rotation_key);
    // The owner's key outranks the server's, so that the directory takes the change as a recovery.
    let operation = naming(&alice, Some(&first), &owner);
    let input = json!({ "statement": alice.claim(&first, None), "operation": operation });
    alice.world.directory.accept_before_next_post(&alice.account.did, other.clone());
    let made = alice.post(CREATE, &input).await.ok();
    assert_eq!((&made["state"], &made["nullified"]), (&json!("active"), &json!([other.cid()])));
}

#[tokio::test]
async fn a_change_of_ones_own_is_never_taken_for_a_strangers() {
    let (first, second) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    let alice = Alice::with(&first).await;
    let input = json!({ "statement": alice.claim(&second, Some(&first)) });
    crashing_at(Step::Sent, alice.post(UPDATE, &input)).await.ok();
    assert_eq!(alice.named(), Some(did_key(&second)), "the directory took it, and the answer was lost");
    alice.world.clock.advance(Duration::from_hours(25));
    let mails = alice.world.mailbox.len();
    let found = alice.get("getDelegation").await.ok();
    assert_eq!((&found["state"], &found["key"]), (&json!("active"), &json!(did_key(&first))));
    crate::service::delegation::watch_round(&alice.world.server).await.unwrap();
    alice.world.deliver().await;
    assert_eq!(alice.world.mailbox.len(), mails, "no false alarm");
    reconcile(&alice.world.server).await.unwrap();
    assert_eq!(alice.get("getDelegation").await.ok()["key"], did_key(&second));
}
