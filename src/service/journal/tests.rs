//! Faults of the directory, and death of the process at every step: in the end directory and database agree.

use std::time::Duration;

use super::*;
use crate::{
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    event::Frame,
    plc::UnsignedOperation,
    service::{
        accounts::{SignUpError, create_account as sign_up},
        identity::{UpdateHandleError, update_endpoint, update_handle},
        testing::{Fault, World, policy},
    },
    store::AccountState,
};

const STEPS: [Step; 4] = [Step::Prepared, Step::Posted, Step::Sent, Step::Applied];

fn handle(text: &str) -> Handle {
    text.parse().unwrap()
}

/// No row is open, the account is there under this handle, and the directory says the same.
async fn agrees(world: &World, name: &str) -> Account {
    assert!(world.server.store.journal_open_rows(10).await.unwrap().is_empty(), "a row is open");
    let account = world.server.store.account_by_handle(&handle(name)).await.unwrap().unwrap();
    assert_eq!(account.state, AccountState::Active);
    let state = world.directory.current(&account.did);
    assert_eq!(state.handle(), Some(name));
    assert_eq!(state.signing_key(), Some(account.signing_key.as_str()));
    assert!(account.head.is_some(), "an account in use has a repository");
    account
}

fn kinds(events: &[Frame]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event {
            Frame::Commit(_) => "commit",
            Frame::Sync(_) => "sync",
            Frame::Identity(_) => "identity",
            Frame::Account(_) => "account",
            Frame::Info(_) | Frame::Error(_) => "other",
        })
        .collect()
}

const SIGN_UP_EVENTS: [&str; 4] = ["identity", "account", "commit", "sync"];

#[tokio::test]
async fn a_sign_up_is_announced_as_identity_account_commit_and_sync() {
    let world = World::new().await;
    let account = world.account("alice").await;
    assert_eq!(kinds(&world.events().await), SIGN_UP_EVENTS);
    assert_eq!(agrees(&world, "alice.test").await.did, account.did);
    assert_eq!(world.directory.posts(), 1);
}

#[tokio::test]
async fn a_definite_refusal_frees_handle_and_address() {
    let world = World::new().await;
    world.directory.fail_next(Fault::Refuse);
    let refused = sign_up(&world.server, World::sign_up("alice")).await.unwrap_err();
    assert_eq!(refused, SignUpError::Journal(JournalError::Rejected("the test refuses".to_owned())));
    assert!(world.events().await.is_empty());
    world.account("alice").await;
    agrees(&world, "alice.test").await;
}

#[tokio::test]
async fn a_directory_that_is_down_changes_nothing() {
    let world = World::new().await;
    world.directory.set_down(true);
    let refused = sign_up(&world.server, World::sign_up("alice")).await.unwrap_err();
    assert!(matches!(refused, SignUpError::Journal(JournalError::Unavailable(_))), "{refused:?}");
    world.directory.set_down(false);
    world.account("alice").await;
    agrees(&world, "alice.test").await;
}

#[tokio::test]
async fn an_operation_that_was_taken_before_the_connection_broke_is_applied_at_once() {
    for fault in [Fault::AcceptThenHangUp, Fault::AcceptThenFail] {
        let world = World::new().await;
        world.directory.fail_next(fault);
        world.account("alice").await;
        agrees(&world, "alice.test").await;
        assert_eq!(world.directory.posts(), 1, "nothing is posted twice");
    }
}

#[tokio::test]
async fn an_operation_that_may_have_been_lost_holds_the_handle_until_it_is_posted_again() {
    for fault in [Fault::HangUp, Fault::Fail] {
        let world = World::new().await;
        world.directory.fail_next(fault);
        let pending = sign_up(&world.server, World::sign_up("alice")).await.unwrap_err();
        assert_eq!(pending, SignUpError::Journal(JournalError::Pending));
        let mut second = World::sign_up("alice");
        second.email = Some("other@example.com".to_owned());
        let refused = sign_up(&world.server, second).await.unwrap_err();
        assert_eq!(refused.to_string(), "Handle already taken: alice.test");
        assert!(world.server.store.account_by_handle(&handle("alice.test")).await.unwrap().is_none(), "nobody sees it");
        let done = reconcile(&world.server).await.unwrap();
        assert_eq!((done.applied, done.failed, done.open), (1, 0, 0));
        agrees(&world, "alice.test").await;
        assert_eq!(kinds(&world.events().await), SIGN_UP_EVENTS);
    }
}

#[tokio::test]
async fn a_sign_up_that_dies_at_any_step_is_finished_after_the_restart() {
    for step in STEPS {
        let world = World::new().await;
        let died = crashing_at(step, sign_up(&world.server, World::sign_up("alice"))).await;
        assert!(died.is_err(), "{step:?}");
        let world = world.restart().await;
        reconcile(&world.server).await.unwrap();
        let account = agrees(&world, "alice.test").await;
        assert_eq!(kinds(&world.events().await), SIGN_UP_EVENTS, "{step:?}");
        assert_eq!(world.directory.log(&account.did).len(), 1, "{step:?}");
        assert_eq!(world.directory.dids(), 1, "{step:?}");
    }
}

#[tokio::test]
async fn a_handle_change_that_dies_at_any_step_is_finished_after_the_restart() {
    for step in STEPS {
        let world = World::new().await;
        let alice = world.account("alice").await;
        let died = crashing_at(step, update_handle(&world.server, &alice, "carol.test")).await;
        assert!(died.is_err(), "{step:?}");
        let world = world.restart().await;
        reconcile(&world.server).await.unwrap();
        assert_eq!(agrees(&world, "carol.test").await.did, alice.did);
        assert_eq!(world.directory.log(&alice.did).len(), 2, "{step:?}");
        assert_eq!(kinds(&world.events().await)[4..], ["identity"], "{step:?}");
        assert!(world.server.store.account_by_handle(&handle("alice.test")).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_reconciler_that_dies_at_any_step_is_as_good_as_none() {
    for first in STEPS {
        for second in STEPS {
            let world = World::new().await;
            let alice = world.account("alice").await;
            drop(crashing_at(first, update_handle(&world.server, &alice, "carol.test")).await);
            let world = world.restart().await;
            drop(crashing_at(second, reconcile(&world.server)).await);
            let world = world.restart().await;
            reconcile(&world.server).await.unwrap();
            assert_eq!(agrees(&world, "carol.test").await.did, alice.did, "{first:?} {second:?}");
            assert_eq!(world.directory.log(&alice.did).len(), 2, "{first:?} {second:?}");
            assert_eq!(kinds(&world.events().await)[4..], ["identity"], "{first:?} {second:?}");
        }
    }
}

#[tokio::test]
async fn a_repeated_refusal_counts_only_when_two_readings_a_minute_apart_confirm_it() {
    let world = World::new().await;
    drop(crashing_at(Step::Posted, sign_up(&world.server, World::sign_up("alice"))).await);
    let world = world.restart().await;
    world.directory.fail_next(Fault::Refuse);
    assert_eq!(reconcile(&world.server).await.unwrap().open, 1);
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(reconcile(&world.server).await.unwrap().open, 1);
    assert!(world.server.store.handle_is_held(&handle("alice.test")).await.unwrap());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(reconcile(&world.server).await.unwrap().failed, 1);
    assert_eq!(world.directory.posts(), 1, "while the refusal is confirmed nothing is posted");
    assert!(!world.server.store.handle_is_held(&handle("alice.test")).await.unwrap());
}

#[tokio::test]
async fn an_operation_that_turns_up_while_a_refusal_is_confirmed_is_applied() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    drop(crashing_at(Step::Posted, update_handle(&world.server, &alice, "carol.test")).await);
    let world = world.restart().await;
    world.directory.fail_next(Fault::Refuse);
    assert_eq!(reconcile(&world.server).await.unwrap().open, 1);
    turn_up(&world, &alice).await;
    assert_eq!(reconcile(&world.server).await.unwrap().applied, 1);
    agrees(&world, "carol.test").await;
}

#[tokio::test]
async fn a_failed_change_whose_operation_turns_up_later_is_still_applied() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.directory.fail_next(Fault::HangUp);
    assert!(update_handle(&world.server, &alice, "carol.test").await.is_err());
    world.directory.fail_next(Fault::Refuse);
    reconcile(&world.server).await.unwrap();
    world.clock.advance(Duration::from_mins(1));
    let row = world.server.store.journal_open_rows(1).await.unwrap().remove(0);
    assert_eq!(reconcile(&world.server).await.unwrap().failed, 1);
    assert_eq!(world.reread(&alice).await.handle, alice.handle);
    world.directory.accept(&alice.did, &serde_json::from_str(&row.change.operation).unwrap());
    let done = reconcile(&world.server).await.unwrap();
    assert_eq!((done.applied, done.watched), (1, 0));
    agrees(&world, "carol.test").await;
}

/// The directory shows the operation of the open row after all.
async fn turn_up(world: &World, account: &Account) {
    let row = world.server.store.journal_open_rows(1).await.unwrap().remove(0);
    world.directory.accept(&account.did, &serde_json::from_str(&row.change.operation).unwrap());
}

/// An operation by the server's key that gives the DID these rotation keys besides the server's.
fn with_weaker_key(world: &World, account: &Account, weaker: &SigningKey) -> Operation {
    let mut state = next(world, account);
    state.rotation_keys.push(weaker.did_key().to_string());
    state.sign(&world.server.rotation_key)
}

fn next(world: &World, account: &Account) -> UnsignedOperation {
    let mut state = world.directory.current(&account.did);
    state.prev = world.directory.log(&account.did).iter().rfind(|entry| !entry.nullified).map(|entry| entry.cid);
    state
}

#[tokio::test]
async fn a_head_that_moved_while_the_server_was_dead_is_a_conflict() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    drop(crashing_at(Step::Prepared, update_handle(&world.server, &alice, "carol.test")).await);
    let foreign = with_weaker_key(&world, &alice, &SigningKey::generate(Curve::K256, &SeededEntropy::new(77)));
    world.directory.accept(&alice.did, &foreign);
    let world = world.restart().await;
    let done = reconcile(&world.server).await.unwrap();
    assert_eq!((done.applied, done.failed, done.open), (0, 1, 0));
    assert_eq!(world.directory.posts(), 1, "a stale operation is never posted");
    agrees(&world, "alice.test").await;
    assert!(!world.server.store.handle_is_held(&handle("carol.test")).await.unwrap());
}

#[tokio::test]
async fn an_operation_that_undid_another_at_the_last_instant_is_told() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let weaker = SigningKey::generate(Curve::K256, &SeededEntropy::new(77));
    world.directory.accept(&alice.did, &with_weaker_key(&world, &alice, &weaker));
    let mut foreign = next(&world, &alice);
    foreign.also_known_as.push("https://example.com".to_owned());
    let foreign = foreign.sign(&weaker);
    world.directory.accept_before_next_post(&alice.did, foreign.clone());
    let mut own = next(&world, &alice);
    own.set_handle(&handle("carol.test"));
    let own = own.sign(&world.server.rotation_key);
    let kind = JournalKind::UpdateHandle { handle: handle("carol.test") };
    let applied = submit(&world.server, &alice, kind, &own).await.unwrap();
    assert_eq!(applied.nullified, [foreign.cid()]);
    world.deliver().await;
    assert!(world.mailbox.last().contains(&foreign.cid().to_string()), "the owner is mailed");
    agrees(&world, "carol.test").await;
}

#[tokio::test]
async fn a_second_change_while_one_is_open_is_a_conflict() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    world.directory.fail_next(Fault::HangUp);
    let pending = update_handle(&world.server, &alice, "carol.test").await;
    assert_eq!(pending, Err(UpdateHandleError::Journal(JournalError::Pending)));
    let refused = update_handle(&world.server, &alice, "dave.test").await;
    assert_eq!(refused, Err(UpdateHandleError::Journal(JournalError::Conflict(UNDER_WAY))));
    reconcile(&world.server).await.unwrap();
    agrees(&world, "carol.test").await;
}

#[tokio::test]
async fn two_changes_at_once_give_one_change_and_one_conflict() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let (one, two) = tokio::join!(
        update_handle(&world.server, &alice, "carol.test"),
        update_handle(&world.server, &alice, "dave.test")
    );
    assert_ne!(one.is_ok(), two.is_ok(), "{one:?} {two:?}");
    agrees(&world, if one.is_ok() { "carol.test" } else { "dave.test" }).await;
    assert_eq!(world.directory.log(&alice.did).len(), 2);
}

#[tokio::test]
async fn a_change_ends_although_its_caller_has_gone() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let mut own = next(&world, &alice);
    own.set_handle(&handle("carol.test"));
    let own = own.sign(&world.server.rotation_key);
    {
        let kind = JournalKind::UpdateHandle { handle: handle("carol.test") };
        let mut call = std::pin::pin!(submit(&world.server, &alice, kind, &own));
        assert!(futures_util::poll!(&mut call).is_pending());
    }
    world.server.tasks.finished().await;
    agrees(&world, "carol.test").await;
}

#[tokio::test]
async fn the_endpoint_of_a_seeded_account_moves_by_a_second_operation() {
    let mut seeded = policy();
    seeded.genesis_endpoint = Some("http://localhost:2583".parse().unwrap());
    let world = World::with(seeded).await;
    let alice = world.account("alice").await;
    assert_eq!(world.directory.current(&alice.did).pds(), Some("http://localhost:2583"));
    assert_eq!(update_endpoint(&world.server, &alice).await, Ok(true));
    assert_eq!(world.directory.current(&alice.did).pds(), Some("https://pds.example.com"));
    assert_eq!(update_endpoint(&world.server, &alice).await, Ok(false));
    assert_eq!(kinds(&world.events().await)[4..], ["identity"]);
}

#[tokio::test]
async fn the_reconciler_ends_what_it_finds_at_start_and_stops_when_told() {
    let world = World::new().await;
    drop(crashing_at(Step::Prepared, sign_up(&world.server, World::sign_up("alice"))).await);
    let world = world.restart().await;
    let mut seq = world.server.store.latest_seq();
    start_reconciler(&world.server);
    seq.wait_for(|seq| *seq > 0).await.unwrap();
    world.server.tasks.stop();
    world.server.tasks.finished().await;
    agrees(&world, "alice.test").await;
}

#[tokio::test]
async fn the_reconciler_leaves_alone_what_a_request_carries() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let reconciled = async {
        while world.server.store.journal_open_rows(1).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        reconcile(&world.server).await.unwrap()
    };
    let (updated, reconciled) = tokio::join!(update_handle(&world.server, &alice, "carol.test"), reconciled);
    assert_eq!(updated, Ok(()));
    assert_eq!((reconciled.applied, reconciled.failed), (0, 0));
    assert_eq!(world.directory.posts(), 2, "one sign-up, one change, nothing twice");
    agrees(&world, "carol.test").await;
}
