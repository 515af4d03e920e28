use super::*;

#[tokio::test]
async fn a_taken_over_account_is_active_as_it_was_and_announced_to_nobody() {
    let world = World::new();
    let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(9));
    let account = NewAccount {
        did: did(7),
        handle: handle("alice"),
        email: Some("alice@example.com".to_owned()),
        password_hash: "00ff:11".to_owned(),
        sealed_signing_key: vec![1],
        signing_key: key.did_key().to_string(),
        invite_code: None,
        created_at: Timestamp::from_secs(1_600_000_000),
    };
    let confirmed = Timestamp::from_secs(1_600_000_001);
    let id = world.store.take_over_account(account.clone(), Some(confirmed)).await.unwrap();
    let found = world.store.account_by_did(&did(7)).await.unwrap().unwrap();
    assert_eq!((found.id, found.state, found.email_confirmed_at), (id, AccountState::Active, Some(confirmed)));
    assert_eq!((found.password_hash.as_str(), found.created_at), ("00ff:11", account.created_at));
    assert_eq!(*world.store.latest_seq().borrow(), 0);
    let again = world.store.take_over_account(account, None).await;
    assert_eq!(again, Err(CreateConflict::DidTaken));
}

#[tokio::test]
async fn numbers_go_on_behind_those_of_the_other_server_also_after_a_restart() {
    let world = World::new();
    let frame = event::identity(&did(1), None, NOW).number(41);
    world.store.take_over_events(vec![(StoredEvent { seq: 41, frame: frame.clone() }, NOW)]).await.unwrap();
    world.store.continue_after(1_041).await.unwrap();
    world.store.continue_after(7).await.unwrap();
    world.store.close().await;
    let store = Store::open(&options(world.dir.path()), &Tasks::new()).unwrap();
    assert_eq!(*store.latest_seq().borrow(), 1_041);
    store.announce(AccountId(1), vec![event::identity(&did(1), None, NOW)]).await.unwrap();
    let events = store.events_after(0, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [41, 1_042]);
    assert_eq!(events[0].frame, frame);
}

#[tokio::test]
async fn invite_codes_keep_their_uses() {
    let world = World::new();
    let invite = NewInvite {
        code: "a-b".to_owned(),
        uses: 2,
        for_account: "admin".to_owned(),
        created_by: "admin".to_owned(),
        created_at: NOW,
    };
    let used = InviteCode { invite: invite.clone(), disabled: false, used_by: vec![(did(1), NOW), (did(2), NOW)] };
    let off =
        InviteCode { invite: NewInvite { code: "c".to_owned(), ..invite.clone() }, disabled: true, used_by: vec![] };
    let open = InviteCode { invite: NewInvite { code: "d".to_owned(), ..invite }, disabled: false, used_by: vec![] };
    world.store.take_over_invites(vec![used, off, open]).await.unwrap();
    for (code, available) in [("a-b", false), ("c", false), ("d", true)] {
        assert_eq!(world.store.invite_is_available(code).await.unwrap(), available, "{code}");
    }
}

#[tokio::test]
async fn a_linked_blob_takes_no_room_and_its_source_stays() {
    let world = World::new();
    let source = world.dir.path().join("elsewhere");
    std::fs::write(&source, "content").unwrap();
    let cid = Cid::of_raw(b"content");
    assert!(world.store.blob_files().link(&source, &cid).await.unwrap());
    assert!(world.store.blob_files().link(&source, &cid).await.unwrap(), "twice is once");
    let row = world.store.put_blob(AccountId(1), cid, "text/plain", 7, NOW).await.unwrap();
    assert_eq!(row.size, 7);
    assert_eq!(world.store.blob_files().open(&cid).await.unwrap().unwrap().size, 7);
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(&source).unwrap()), 2);
    let missing = world.dir.path().join("missing");
    assert!(world.store.blob_files().link(&missing, &Cid::of_raw(b"x")).await.is_err());
}
