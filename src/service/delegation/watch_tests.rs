//! What is seen of others' operations, over a real directory with and without an export stream.

use super::*;
use crate::{
    clock::Clock,
    crypto::{DelegateSigningKey, KeyType},
    delegation::{Draft, Purpose, Session, testing::delegate},
    event::Frame,
    outbound::Freshness,
    plc::{Operation, UnsignedOperation, log::standing},
    service::{
        delegation::{ChangeRequest, Changed, DelegationFailure, change},
        journal::{Step, crashing_at, reconcile},
        testing::World,
    },
    store::{Account, AccountState, DelegationState},
};

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), waiting).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}

/// An operation that somebody with the server's rotation key makes elsewhere.
fn elsewhere(world: &World, account: &Account, edit: impl FnOnce(&mut UnsignedOperation)) -> Operation {
    let head = standing(&world.directory.log(&account.did)).next_back().unwrap().cid;
    let mut next = UnsignedOperation { prev: Some(head), ..world.directory.current(&account.did) };
    edit(&mut next);
    let operation = next.sign(&world.server.rotation_key);
    world.directory.accept(&account.did, &operation);
    operation
}

fn swap(world: &World, account: &Account, key: Option<&DelegateSigningKey>) {
    elsewhere(world, account, |next| {
        match key {
            Some(key) => next.verification_methods.insert("e2ee".to_owned(), key.public().to_string()),
            None => next.verification_methods.remove("e2ee"),
        };
    });
}

fn rename(world: &World, account: &Account, handle: &str) {
    elsewhere(world, account, |next| next.set_handle(&handle.parse().unwrap()));
}

async fn name(
    world: &World,
    account: &Account,
    key: &DelegateSigningKey,
    endorser: Option<&DelegateSigningKey>,
) -> Result<Changed, DelegationFailure> {
    let draft = Draft {
        did: account.did.clone(),
        id: crate::delegation::DelegationId::default(),
        key: Some(key.public()),
        prev: standing(&world.directory.log(&account.did)).next_back().map(|entry| entry.cid),
        created_at: world.clock.now(),
    };
    let statement = draft.sign(Some(key), endorser).unwrap().to_json();
    let purpose = if endorser.is_some() { Purpose::Update } else { Purpose::Create };
    let request = ChangeRequest { statement, ..ChangeRequest::default() };
    change(&world.server, account, Session::Fresh { second_factor: false }, purpose, request).await
}

/// How many mails came.
async fn mails_of(world: &World) -> usize {
    world.deliver().await;
    world.mailbox.len()
}

/// How many times the identity of an account was announced.
async fn announced(world: &World, account: &Account) -> usize {
    let is_its = |frame: &Frame| matches!(frame, Frame::Identity(event) if event.did == account.did);
    world.events().await.iter().filter(|frame| is_its(frame)).count()
}

async fn state(world: &World, account: &Account) -> Option<DelegationState> {
    world.server.store.delegations(account.id).await.unwrap().first().map(|row| row.state)
}

/// A server that follows the directory's stream.
async fn following() -> World {
    watched().await.0
}

/// The same, and its watch.
async fn watched() -> (World, Arc<Watch>) {
    let world = World::new().await;
    world.directory.stream();
    let watch = Arc::new(Watch::new(Arc::clone(&world.server)));
    Arc::clone(&watch).start(WatchBy::Stream);
    until("the stream is open", async || !world.directory.streams().is_empty()).await;
    (world, watch)
}

/// Waits until all that the directory has accepted was read and looked at; returns the place in its stream after that.
async fn caught_up(world: &World, watch: &Watch) -> usize {
    let latest = world.directory.latest();
    until("everything is looked at", async || {
        let todo = watch.todo();
        todo.read == i64::try_from(latest).ok() && todo.is_done()
    })
    .await;
    latest
}

#[tokio::test]
async fn a_key_swapped_elsewhere_is_seen_by_the_stream_shown_as_unproven_and_mailed() {
    let world = following().await;
    let alice = world.account("alice").await;
    name(&world, &alice, &delegate(KeyType::Ed25519, 1), None).await.unwrap();
    let (mails, before) = (mails_of(&world).await, announced(&world, &alice).await);
    swap(&world, &alice, Some(&delegate(KeyType::Ed25519, 2)));
    until("the owner is told", async || mails_of(&world).await == mails + 1).await;
    assert!(world.mailbox.last().contains("from elsewhere"));
    assert_eq!(state(&world, &alice).await, Some(DelegationState::Unproven));
    assert_eq!(announced(&world, &alice).await, before + 1);
}

#[tokio::test]
async fn a_key_removed_elsewhere_is_mailed_too() {
    let world = following().await;
    let alice = world.account("alice").await;
    name(&world, &alice, &delegate(KeyType::P256, 1), None).await.unwrap();
    let mails = mails_of(&world).await;
    swap(&world, &alice, None);
    until("the owner is told", async || mails_of(&world).await == mails + 1).await;
    assert!(world.mailbox.last().contains("from elsewhere"));
    assert_eq!(state(&world, &alice).await, Some(DelegationState::Ended));
}

#[tokio::test]
async fn an_account_without_a_delegation_is_announced_and_its_cached_document_goes() {
    let world = following().await;
    let alice = world.account("alice").await;
    let (mails, before) = (mails_of(&world).await, announced(&world, &alice).await);
    let resolved = world.server.resolver.did(&alice.did, Freshness::Cached).await.unwrap();
    assert_eq!(resolved.handle.as_ref().map(ToString::to_string).as_deref(), Some("alice.test"));
    rename(&world, &alice, "elsewhere.test");
    until("it is announced", async || announced(&world, &alice).await == before + 1).await;
    until("the document is read again", async || {
        let resolved = world.server.resolver.did(&alice.did, Freshness::Cached).await.unwrap();
        resolved.handle.as_ref().map(ToString::to_string).as_deref() == Some("elsewhere.test")
    })
    .await;
    assert_eq!(mails_of(&world).await, mails);
}

#[tokio::test]
async fn what_this_server_submitted_is_announced_once_and_not_looked_at_again() {
    let world = following().await;
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (first, second) = (delegate(KeyType::Ed25519, 1), delegate(KeyType::K256, 2));
    name(&world, &alice, &first, None).await.unwrap();
    name(&world, &alice, &second, Some(&first)).await.unwrap();
    let (own, mails) = (announced(&world, &alice).await, mails_of(&world).await);
    let before = announced(&world, &bob).await;
    // What comes after it in the stream is seen: so was everything before it.
    rename(&world, &bob, "bobby.test");
    until("the last one is seen", async || announced(&world, &bob).await == before + 1).await;
    assert_eq!((announced(&world, &alice).await, mails_of(&world).await), (own, mails));
    watch_round(&world.server).await.unwrap();
    assert_eq!(
        (announced(&world, &alice).await, announced(&world, &bob).await),
        (own, before + 1),
        "by a round neither"
    );
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_from_where_it_was() {
    let (world, watch) = watched().await;
    let alice = world.account("alice").await;
    let before = announced(&world, &alice).await;
    rename(&world, &alice, "one.test");
    let read = caught_up(&world, &watch).await;
    assert_eq!(announced(&world, &alice).await, before + 1);
    world.directory.break_streams();
    rename(&world, &alice, "two.test");
    until("the second is seen", async || announced(&world, &alice).await == before + 2).await;
    assert_eq!(world.directory.streams(), [None, Some(read)]);
}

#[tokio::test]
async fn a_restart_goes_on_from_where_it_was_and_sees_what_happened_in_between() {
    let (world, watch) = watched().await;
    let alice = world.account("alice").await;
    let before = announced(&world, &alice).await;
    rename(&world, &alice, "one.test");
    let read = caught_up(&world, &watch).await;
    assert_eq!(announced(&world, &alice).await, before + 1);
    drop(watch);
    let world = world.restart().await;
    rename(&world, &alice, "two.test");
    start_watch(&world.server, WatchBy::Stream);
    until("the second is seen", async || announced(&world, &alice).await == before + 2).await;
    assert_eq!(world.directory.streams(), [None, Some(read)]);
}

#[tokio::test]
async fn a_place_that_the_directory_does_not_know_is_left_for_a_round_over_all_accounts() {
    let world = World::new().await;
    world.directory.stream();
    let alice = world.account("alice").await;
    let before = announced(&world, &alice).await;
    rename(&world, &alice, "one.test");
    let place =
        |directory: &str| serde_json::to_vec(&Place { directory: directory.to_owned(), cursor: 1_000_000 }).unwrap();
    world.server.store.put_setting(PLACE, place(world.directory.url().as_str())).await.unwrap();
    start_watch(&world.server, WatchBy::Stream);
    until("it is seen", async || announced(&world, &alice).await == before + 1).await;
    assert_eq!(world.directory.streams(), [Some(1_000_000), None]);
    // A place in another directory's stream is none here.
    let world = world.restart().await;
    world.server.store.put_setting(PLACE, place("https://plc.example")).await.unwrap();
    start_watch(&world.server, WatchBy::Stream);
    until("the stream is open", async || world.directory.streams().len() == 3).await;
    assert_eq!(world.directory.streams()[2], None);
}

#[tokio::test]
async fn where_there_is_no_stream_every_log_is_read_in_turn() {
    for by in [WatchBy::Stream, WatchBy::Rounds] {
        let world = World::new().await;
        let (alice, bob) = (world.account("alice").await, world.account("bob").await);
        name(&world, &bob, &delegate(KeyType::Ed25519, 1), None).await.unwrap();
        let (mails, before) = (mails_of(&world).await, announced(&world, &alice).await);
        rename(&world, &alice, "one.test");
        swap(&world, &bob, Some(&delegate(KeyType::Ed25519, 2)));
        start_watch(&world.server, by);
        until("both are seen", async || {
            announced(&world, &alice).await == before + 1 && mails_of(&world).await == mails + 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_round_is_given_up_while_the_directory_is_down_and_comes_again() {
    let world = World::new().await;
    for number in 0..=limits::WATCH_UNAVAILABLE_MAX {
        world.account(&format!("user{number}")).await;
    }
    let watch = Watch::new(Arc::clone(&world.server));
    world.directory.set_down(true);
    watch.begin_round();
    for _ in 0..limits::WATCH_UNAVAILABLE_MAX {
        assert!(watch.step().await.unwrap());
    }
    assert!(!watch.step().await.unwrap(), "the last account was not asked for");
    world.directory.set_down(false);
    world.clock.advance(limits::WATCH_EVERY);
    assert!(watch.step().await.unwrap(), "the next round begins when it is due");
}

#[tokio::test]
async fn what_comes_while_a_change_of_our_own_is_open_is_looked_at_after_it() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    let first = delegate(KeyType::Ed25519, 1);
    crashing_at(Step::Sent, name(&world, &alice, &first, None)).await.unwrap();
    swap(&world, &alice, Some(&delegate(KeyType::Ed25519, 2)));
    let watch = Watch::new(Arc::clone(&world.server));
    watch.todo().tell(alice.id);
    assert!(watch.step().await.unwrap());
    assert!(!watch.step().await.unwrap() && !watch.todo().is_done(), "it waits");
    assert_eq!(state(&world, &alice).await, None);
    reconcile(&world.server).await.unwrap();
    assert_eq!(state(&world, &alice).await, Some(DelegationState::Active));
    let mails = mails_of(&world).await;
    watch.tick().await;
    assert!(watch.step().await.unwrap());
    assert_eq!((state(&world, &alice).await, mails_of(&world).await), (Some(DelegationState::Unproven), mails + 1));
    assert!(watch.todo().is_done());
}

#[tokio::test]
async fn an_account_that_is_switched_off_here_is_not_announced() {
    let world = World::new().await;
    let alice = world.account("alice").await;
    name(&world, &alice, &delegate(KeyType::Ed25519, 1), None).await.unwrap();
    let off = AccountState::Deactivated { delete_after: None };
    world.server.store.set_account_state(alice.id, off, Vec::new()).await.unwrap();
    let (mails, before) = (mails_of(&world).await, announced(&world, &alice).await);
    swap(&world, &alice, Some(&delegate(KeyType::Ed25519, 2)));
    let watch = Watch::new(Arc::clone(&world.server));
    watch.todo().tell(alice.id);
    assert!(watch.step().await.unwrap());
    assert_eq!((mails_of(&world).await, announced(&world, &alice).await), (mails, before));
    assert_eq!(state(&world, &alice).await, Some(DelegationState::Unproven), "what is stored is right all the same");
}

#[test]
fn more_accounts_than_may_wait_become_a_round() {
    let mut todo = Todo::default();
    let most = i64::try_from(limits::WATCH_WAITING_MAX).unwrap();
    assert!((1..=most).all(|id| todo.tell(AccountId(id))));
    assert!(todo.round.is_none() && todo.tell(AccountId(most + 1)));
    assert_eq!((todo.told.len(), todo.round), (0, Some(AccountId(0))));
}
