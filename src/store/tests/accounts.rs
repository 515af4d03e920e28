use super::*;

#[tokio::test]
async fn an_account_is_found_by_every_name_once_it_is_no_longer_pending() {
    let world = World::new();
    let row = journal_row(&did(1), JournalKind::CreateAccount);
    let (id, journal) = world.store.begin_account(new_account(1, "alice"), row).await.unwrap();
    assert!(world.store.account_by_did(&did(1)).await.unwrap().is_none());
    assert!(world.store.account_by_handle(&handle("alice")).await.unwrap().is_none());
    assert!(world.store.account_by_email("alice@example.com").await.unwrap().is_none());
    let pending = world.store.account_by_id(id).await.unwrap().unwrap();
    assert_eq!((pending.state, pending.head), (AccountState::Pending, None));
    assert_eq!(world.store.count_accounts().await.unwrap(), 0);
    let writer = Writer { id, did: did(1) };
    let effect = JournalEffect::CreateAccount(world.genesis(&writer));
    world.store.journal_apply(journal, effect, NOW, None).await.unwrap();
    let by_did = world.store.account_by_did(&did(1)).await.unwrap().unwrap();
    assert_eq!((by_did.id, &by_did.state), (id, &AccountState::Active));
    assert_eq!(by_did.head, world.store.head(id).await.unwrap());
    assert_eq!(world.store.account_by_handle(&handle("alice")).await.unwrap().unwrap().id, id);
    assert_eq!(world.store.account_by_email("alice@example.com").await.unwrap().unwrap().id, id);
    assert_eq!(world.store.count_accounts().await.unwrap(), 1);
}

#[tokio::test]
async fn did_handle_and_address_are_held_from_the_beginning() {
    let world = World::new();
    let begin = |n: usize, name: &str, email: &str| {
        let account = NewAccount { email: Some(email.to_owned()), ..new_account(n, name) };
        let row = journal_row(&account.did, JournalKind::CreateAccount);
        world.store.begin_account(account, row)
    };
    assert!(!world.store.handle_is_held(&handle("alice")).await.unwrap());
    begin(1, "alice", "a@example.com").await.unwrap();
    assert!(world.store.handle_is_held(&handle("alice")).await.unwrap());
    assert_eq!(begin(1, "other", "o@example.com").await, Err(CreateConflict::DidTaken));
    assert_eq!(begin(2, "alice", "o@example.com").await, Err(CreateConflict::HandleTaken(handle("alice"))));
    assert_eq!(begin(2, "other", "a@example.com").await, Err(CreateConflict::EmailTaken("a@example.com".to_owned())));
    assert!(begin(2, "other", "o@example.com").await.is_ok());
}

#[tokio::test]
async fn states_survive_with_what_belongs_to_them() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let states = [
        AccountState::Deactivated { delete_after: None },
        AccountState::Deactivated { delete_after: Some(NOW) },
        AccountState::Takendown { reference: "case 7".to_owned() },
        AccountState::Suspended,
        AccountState::Active,
    ];
    for state in states {
        let seq = *world.store.latest_seq().borrow();
        let event = identity_event(&writer, NOW);
        world.store.set_account_state(writer.id, state.clone(), vec![event]).await.unwrap();
        assert_eq!(world.store.account_by_id(writer.id).await.unwrap().unwrap().state, state);
        assert_eq!(*world.store.latest_seq().borrow(), seq + 1);
    }
}

#[tokio::test]
async fn a_handle_moves_only_to_a_free_one() {
    let world = World::new();
    let (alice, _bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let taken = world.store.set_handle(alice.id, &handle("bob"), Vec::new(), None).await;
    assert_eq!(taken, Err(CreateConflict::HandleTaken(handle("bob"))));
    let event = identity_event(&alice, NOW);
    world.store.set_handle(alice.id, &handle("carol"), vec![event], None).await.unwrap();
    world.store.set_handle(alice.id, &handle("carol"), Vec::new(), None).await.unwrap();
    assert!(world.store.account_by_handle(&handle("alice")).await.unwrap().is_none());
    assert!(!world.store.handle_is_held(&handle("alice")).await.unwrap());
}

#[tokio::test]
async fn whose_a_handle_is_stays_right_in_memory_when_it_moves_and_when_its_account_goes() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let whose = async |name: &str| world.store.did_by_handle(&handle(name)).await.unwrap();
    for _ in 0..2 {
        assert_eq!((whose("alice").await, whose("carol").await), (Some(did(1)), None));
    }
    world.store.set_handle(alice.id, &handle("carol"), Vec::new(), None).await.unwrap();
    world.store.set_handle(bob.id, &handle("alice"), Vec::new(), None).await.unwrap();
    for _ in 0..2 {
        assert_eq!((whose("alice").await, whose("carol").await), (Some(did(2)), Some(did(1))));
    }
    world
        .store
        .write(move |work| sql::execute(work.conn, "DELETE FROM accounts WHERE id = ?1", [bob.id.0]))
        .await
        .unwrap();
    assert_eq!(whose("alice").await, None);
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_learnt_after_it() {
    let handles = shared::Handles::default();
    let before = handles.get(&handle("alice")).unwrap_err();
    handles.forget();
    handles.learn(&handle("alice"), &did(1), before);
    let now = handles.get(&handle("alice")).unwrap_err();
    handles.learn(&handle("alice"), &did(2), now);
    assert_eq!(handles.get(&handle("alice")), Ok(did(2)));
}

#[tokio::test]
async fn accounts_are_listed_in_pages_and_searched() {
    let world = World::new();
    for (n, name) in ["alice", "bob", "carol"].into_iter().enumerate() {
        world.account(n, name).await;
    }
    let names = |search: Option<&'static str>, after: AccountId, limit| {
        let store = world.store.clone();
        async move {
            let found = store.list_accounts(search, after, limit).await.unwrap();
            let names: Vec<String> = found.iter().map(|account| account.handle.as_str().to_owned()).collect();
            (names.join(" "), found.last().map_or(after, |account| account.id))
        }
    };
    let (first, cursor) = names(None, AccountId(0), 2).await;
    assert_eq!(first, "alice.example.com bob.example.com");
    assert_eq!(names(None, cursor, 2).await.0, "carol.example.com");
    assert_eq!(names(Some("ob@ex"), AccountId(0), 9).await.0, "bob.example.com");
    assert_eq!(names(Some("%"), AccountId(0), 9).await.0, "");
}

#[tokio::test]
async fn the_first_key_reserved_for_a_did_stays() {
    let world = World::new();
    let alice = did(1);
    let reserve = |did: Option<&'static str>, key: &'static str| {
        let did: Option<Did> = did.map(|did| did.parse().unwrap());
        let store = world.store.clone();
        async move { store.reserve_signing_key(did.as_ref(), key, key.as_bytes().to_vec(), NOW).await.unwrap() }
    };
    let text: &'static str = Box::leak(alice.as_str().to_owned().into_boxed_str());
    assert_eq!(reserve(Some(text), "did:key:one").await, "did:key:one");
    assert_eq!(reserve(Some(text), "did:key:two").await, "did:key:one");
    assert_eq!(reserve(None, "did:key:three").await, "did:key:three");
    assert_eq!(reserve(None, "did:key:four").await, "did:key:four");
    assert_eq!(world.store.reserved_signing_key("did:key:one").await.unwrap().as_deref(), Some(&b"did:key:one"[..]));
    assert_eq!(world.store.reserved_signing_key("did:key:two").await.unwrap(), None);
}

#[tokio::test]
async fn a_new_password_begins_a_new_epoch_and_another_hash_of_the_same_one_does_not() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let account = async || world.store.account_by_id(writer.id).await.unwrap().unwrap();
    world.store.set_password(writer.id, "new".to_owned(), noted(SecurityKind::PasswordChanged)).await.unwrap();
    assert_eq!((account().await.password_hash.as_str(), account().await.session_epoch), ("new", 1));
    world.store.rehash_password(writer.id, "old".to_owned(), "late".to_owned()).await.unwrap();
    assert_eq!(account().await.password_hash, "new", "the password was changed meanwhile");
    world.store.rehash_password(writer.id, "new".to_owned(), "better".to_owned()).await.unwrap();
    assert_eq!((account().await.password_hash.as_str(), account().await.session_epoch), ("better", 1));
}

#[tokio::test]
async fn the_directory_appends_only_to_the_log_that_the_caller_has_seen() {
    let world = World::new();
    let mut latest = world.store.directory_latest();
    latest.borrow_and_update();
    let cid = |n: u8| Cid::of_cbor(&[n]);
    let append = |len: usize, n: u8, nullifies: Vec<Cid>| {
        world.store.directory_append(&ALICE_DID, len, format!("{{\"n\":{n}}}"), cid(n), nullifies, NOW)
    };
    assert_eq!(append(0, 1, Vec::new()).await, Ok(DirectoryAppend::Done));
    assert_eq!(append(0, 2, Vec::new()).await, Ok(DirectoryAppend::Moved));
    assert_eq!(append(1, 2, Vec::new()).await, Ok(DirectoryAppend::Done));
    assert_eq!(append(2, 3, vec![cid(2)]).await, Ok(DirectoryAppend::Done));
    assert!(latest.has_changed().unwrap());
    let log = world.store.directory_log(&ALICE_DID).await.unwrap();
    let shown: Vec<(i64, bool)> = log.iter().map(|entry| (entry.seq, entry.nullified)).collect();
    assert_eq!(shown, [(1, false), (2, true), (3, false)]);
    assert!(log.windows(2).all(|pair| pair[0].created_at.as_micros() / 1000 < pair[1].created_at.as_micros() / 1000));
    let after = world.store.directory_export_after_time(log[0].created_at, 9).await.unwrap();
    assert_eq!(after, log[1..]);
    assert_eq!(world.store.directory_export_after_seq(1, 1).await.unwrap(), log[1..2]);
    let world = world.reopen().await;
    assert_eq!(*world.store.directory_latest().borrow(), 3);
}

static ALICE_DID: std::sync::LazyLock<Did> = std::sync::LazyLock::new(|| did(1));
