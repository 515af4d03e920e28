use super::*;

fn rename(name: &str) -> JournalKind {
    JournalKind::UpdateHandle { handle: handle(name) }
}

#[tokio::test]
async fn a_did_has_one_open_row() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let open = |writer: &Writer, kind| world.store.journal_open(writer.id, journal_row(&writer.did, kind));
    let id = open(&alice, JournalKind::Submit).await.unwrap();
    assert_eq!(open(&alice, rename("carol")).await, Err(OpenJournal::Conflict));
    world.store.journal_posted(id, NOW).await.unwrap();
    assert_eq!(open(&alice, JournalKind::Submit).await, Err(OpenJournal::Conflict));
    assert!(open(&bob, JournalKind::Submit).await.is_ok());
    world.store.journal_apply(id, JournalEffect::Events(Vec::new()), NOW, None).await.unwrap();
    assert!(open(&alice, JournalKind::Submit).await.is_ok());
}

#[tokio::test]
async fn an_open_rename_holds_its_handle_until_it_settles() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let open = |writer: &Writer, name| world.store.journal_open(writer.id, journal_row(&writer.did, rename(name)));
    let id = open(&alice, "carol").await.unwrap();
    assert!(world.store.handle_is_held(&handle("carol")).await.unwrap());
    assert_eq!(open(&bob, "carol").await, Err(OpenJournal::HandleTaken(handle("carol"))));
    let row = journal_row(&did(3), JournalKind::CreateAccount);
    let refused = world.store.begin_account(new_account(3, "carol"), row).await;
    assert_eq!(refused, Err(CreateConflict::HandleTaken(handle("carol"))));
    let set = world.store.set_handle(bob.id, &handle("carol"), Vec::new(), None).await;
    assert_eq!(set, Err(CreateConflict::HandleTaken(handle("carol"))));
    world.store.journal_fail(id, "PLC said no", NOW).await.unwrap();
    assert!(!world.store.handle_is_held(&handle("carol")).await.unwrap());
    assert!(open(&bob, "carol").await.is_ok());
}

#[tokio::test]
async fn a_change_is_applied_once_with_its_events() {
    let world = World::new();
    let alice = world.account(1, "alice").await;
    let before = *world.store.latest_seq().borrow();
    let id = world.store.journal_open(alice.id, journal_row(&alice.did, rename("carol"))).await.unwrap();
    let effect = JournalEffect::UpdateHandle(handle("carol"), vec![identity_event(&alice, NOW)]);
    for _ in 0..2 {
        world.store.journal_apply(id, effect.clone(), NOW, None).await.unwrap();
        assert_eq!(*world.store.latest_seq().borrow(), before + 1);
    }
    assert_eq!(world.store.account_by_id(alice.id).await.unwrap().unwrap().handle, handle("carol"));
    let row = world.store.journal_row(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.posts), (JournalState::Applied, 0));
    // A settled row does not change any more.
    world.store.journal_fail(id, "late", NOW).await.unwrap();
    world.store.journal_posted(id, NOW).await.unwrap();
    assert_eq!(world.store.journal_row(id).await.unwrap().unwrap().state, JournalState::Applied);
}

#[tokio::test]
async fn a_creation_is_applied_once_and_a_failed_one_frees_what_it_held() {
    let world = World::new();
    let begin = || {
        let row = journal_row(&did(1), JournalKind::CreateAccount);
        world.store.begin_account(new_account(1, "alice"), row)
    };
    let (first, journal) = begin().await.unwrap();
    world.store.journal_fail(journal, "refused", NOW).await.unwrap();
    assert!(world.store.account_by_id(first).await.unwrap().is_none());
    let late = JournalEffect::CreateAccount(world.genesis(&Writer { id: first, did: did(1) }));
    assert!(matches!(world.store.journal_apply(journal, late, NOW, None).await, Err(CreateConflict::Store(_))));
    assert_eq!(world.store.journal_row(journal).await.unwrap().unwrap().state, JournalState::Failed);

    let (id, journal) = begin().await.unwrap();
    assert_ne!(id, first);
    let effect = JournalEffect::CreateAccount(world.genesis(&Writer { id, did: did(1) }));
    for _ in 0..2 {
        world.store.journal_apply(journal, effect.clone(), NOW, None).await.unwrap();
        assert_eq!(*world.store.latest_seq().borrow(), 1);
    }
    assert!(world.store.head(id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_failed_rename_that_appears_later_is_applied_unless_its_handle_has_gone() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let mut rows = Vec::new();
    for name in ["carol", "dave"] {
        let row = journal_row(&alice.did, rename(name));
        let id = world.store.journal_open(alice.id, row).await.unwrap();
        world.store.journal_fail(id, "gone", NOW).await.unwrap();
        rows.push(id);
    }
    world.store.set_handle(bob.id, &handle("carol"), Vec::new(), None).await.unwrap();
    let effect = |name| JournalEffect::UpdateHandle(handle(name), Vec::new());
    let taken = world.store.journal_apply(rows[0], effect("carol"), NOW, None).await;
    assert_eq!(taken, Err(CreateConflict::HandleTaken(handle("carol"))));
    assert_eq!(world.store.journal_row(rows[0]).await.unwrap().unwrap().state, JournalState::Failed);
    world.store.journal_apply(rows[1], effect("dave"), NOW, None).await.unwrap();
    assert_eq!(world.store.account_by_id(alice.id).await.unwrap().unwrap().handle, handle("dave"));
}

#[tokio::test]
async fn open_rows_survive_a_restart_with_all_that_is_needed_to_finish_them() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let mut row = journal_row(&alice.did, rename("carol"));
    row.prev = Some(Cid::of_cbor(b"before"));
    let first = world.store.journal_open(alice.id, row.clone()).await.unwrap();
    let second = world.store.journal_open(bob.id, journal_row(&bob.did, JournalKind::Submit)).await.unwrap();
    world.store.journal_posted(first, NOW).await.unwrap();
    world.store.journal_posted(first, NOW).await.unwrap();
    world.store.journal_refused(first, NOW).await.unwrap();
    world.store.journal_refused(first, Timestamp::EPOCH).await.unwrap();
    let world = world.reopen().await;
    let open = world.store.journal_open_rows(10).await.unwrap();
    assert_eq!(open.iter().map(|row| row.id).collect::<Vec<_>>(), [first, second]);
    let found = &open[0];
    assert_eq!((found.state, found.posts, found.refused_at), (JournalState::Posted, 2, Some(NOW)));
    assert_eq!((found.account, &found.change.kind, found.change.prev), (alice.id, &row.kind, row.prev));
    assert_eq!((&found.change.operation, found.change.operation_cid), (&row.operation, row.operation_cid));
    assert_eq!(world.store.journal_open_rows(1).await.unwrap().len(), 1);
}
