use super::*;

/// What the account uses by counting it.
fn counted(world: &World, writer: &Writer) -> Usage {
    let conn = Connection::open(world.dir.path().join("data/housekey.sqlite")).unwrap();
    let number = |query: &str| -> u64 {
        let number: i64 = conn.query_row(query, [writer.id.0], |row| row.get(0)).unwrap();
        number.unsigned_abs()
    };
    Usage {
        records: number("SELECT count(*) FROM records WHERE tree = (SELECT tree FROM repos WHERE account = ?1)"),
        record_bytes: number(
            "SELECT coalesce(sum(length(value)), 0) FROM records WHERE tree = (SELECT tree FROM repos WHERE account = ?1)",
        ),
        blobs: number("SELECT count(*) FROM blobs WHERE account = ?1"),
        blob_bytes: number("SELECT coalesce(sum(size), 0) FROM blobs WHERE account = ?1"),
    }
}

async fn upload(world: &World, writer: &Writer, content: &[u8]) -> Result<BlobRow, PutBlobError> {
    let mut write = world.store.blob_files().begin().await.unwrap();
    write.write(content).await.unwrap();
    let staged = write.finish().await.unwrap();
    let cid = staged.cid;
    world.store.blob_files().keep(staged).await.unwrap();
    world.store.put_blob(writer.id, cid, "image/png", content.len() as u64, NOW).await
}

async fn write(world: &World, writer: &Writer, ops: &[WriteOp]) -> Result<Committed, CommitRefused> {
    let change = world.plan(writer, ops).await;
    world.store.commit(change).await
}

#[tokio::test]
async fn what_is_counted_is_what_is_there_after_every_kind_of_change() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let steps: [&[WriteOp]; 4] = [
        &[create("a.b.c/1", "one"), create("a.b.c/2", "two"), create("a.b.c/3", "three")],
        &[update("a.b.c/1", "something much longer than before"), delete("a.b.c/2")],
        &[update("a.b.c/1", "x"), create("a.b.c/2", "again")],
        &[delete("a.b.c/1"), delete("a.b.c/2"), delete("a.b.c/3")],
    ];
    for ops in steps {
        write(&world, &alice, ops).await.unwrap();
        assert_eq!(world.store.usage(alice.id).await.unwrap(), counted(&world, &alice));
    }
    for content in [&b"one"[..], b"two", b"one"] {
        upload(&world, &alice, content).await.unwrap();
    }
    upload(&world, &bob, b"one").await.unwrap();
    let (of_alice, of_bob) = (counted(&world, &alice), counted(&world, &bob));
    assert_eq!((of_alice.blobs, of_alice.blob_bytes, of_bob.blob_bytes), (2, 6, 3));
    assert_eq!(world.store.usage(alice.id).await.unwrap(), of_alice);
    world.store.sweep_blobs(NOW.plus(std::time::Duration::from_hours(1)), 100).await.unwrap();
    assert_eq!(world.store.usage(alice.id).await.unwrap(), counted(&world, &alice));
    assert_eq!(counted(&world, &alice).blobs, 0);
}

#[tokio::test]
async fn what_would_be_too_much_changes_nothing_and_what_makes_room_is_always_taken() {
    let world = World::new();
    let alice = world.account(1, "alice").await;
    world.store.limit_accounts(Quota { records: Some(2), blob_bytes: Some(10), blobs: Some(2), ..Quota::default() });
    write(&world, &alice, &[create("a.b.c/1", "one"), create("a.b.c/2", "two")]).await.unwrap();
    let before = world.store.head(alice.id).await.unwrap();
    let refused = write(&world, &alice, &[create("a.b.c/3", "three")]).await;
    assert_eq!(refused, Err(CommitRefused::OverQuota(QuotaExceeded { what: "records", limit: 2, wanted: 3 })));
    assert_eq!(world.store.head(alice.id).await.unwrap(), before);
    assert_eq!(world.store.usage(alice.id).await.unwrap(), counted(&world, &alice));
    write(&world, &alice, &[update("a.b.c/2", "changed")]).await.unwrap();
    write(&world, &alice, &[delete("a.b.c/2"), create("a.b.c/3", "three")]).await.unwrap();

    upload(&world, &alice, b"12345678").await.unwrap();
    let refused = upload(&world, &alice, b"123").await;
    let full = QuotaExceeded { what: "bytes of uploaded files", limit: 10, wanted: 11 };
    assert_eq!(refused, Err(PutBlobError::OverQuota(full)));
    upload(&world, &alice, b"12345678").await.unwrap();
    upload(&world, &alice, b"12").await.unwrap();
    assert!(upload(&world, &alice, b"").await.is_err(), "a third file");
    assert_eq!(world.store.usage(alice.id).await.unwrap().blobs, 2);
}

#[tokio::test]
async fn writes_that_race_for_the_last_place_get_it_once() {
    let world = World::new();
    let writers = [world.account(1, "alice").await, world.account(2, "bob").await];
    world.store.limit_accounts(Quota { blobs: Some(1), ..Quota::default() });
    for writer in &writers {
        let uploads = [&b"a"[..], b"b", b"c", b"d"].map(|content| upload(&world, writer, content));
        let kept = futures_util::future::join_all(uploads).await.iter().filter(|kept| kept.is_ok()).count();
        assert_eq!((kept, world.store.usage(writer.id).await.unwrap().blobs), (1, 1));
    }
}

#[test]
fn an_account_that_is_over_its_quota_already_may_still_shrink() {
    let quota = Quota { records: Some(5), ..Quota::default() };
    let usage = |records| Usage { records, ..Usage::default() };
    assert!(quota.check(&usage(9), &usage(8)).is_ok());
    assert!(quota.check(&usage(9), &usage(9)).is_ok());
    assert!(quota.check(&usage(9), &usage(10)).is_err());
    assert!(quota.check(&usage(4), &usage(5)).is_ok());
    let said = quota.check(&usage(5), &usage(6)).unwrap_err().to_string();
    assert!(said.contains("at most 5 records") && said.contains("would have 6"), "{said}");
}
