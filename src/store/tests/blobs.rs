use std::time::Duration;

use futures_util::TryStreamExt;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

async fn stage(world: &World, content: &[u8]) -> StagedBlob {
    let mut write = world.store.blob_files().begin().await.unwrap();
    for chunk in content.chunks(100_000) {
        write.write(chunk).await.unwrap();
    }
    write.finish().await.unwrap()
}

async fn keep(world: &World, content: &[u8]) -> Cid {
    let staged = stage(world, content).await;
    let cid = staged.cid;
    world.store.blob_files().keep(staged).await.unwrap();
    cid
}

async fn upload(world: &World, writer: &Writer, content: &[u8], at: Timestamp) -> Cid {
    let cid = keep(world, content).await;
    world.store.put_blob(writer.id, cid, "image/png", content.len() as u64, at).await.unwrap();
    cid
}

async fn is_there(world: &World, cid: &Cid) -> bool {
    world.store.blob_files().open(cid).await.unwrap().is_some()
}

/// Writes a record that references blobs.
async fn reference(world: &World, writer: &Writer, op: WriteOp, blobs: &[Cid]) -> Result<Committed, CommitRefused> {
    let mut change = world.plan(writer, &[op]).await;
    change.records[0].put.as_mut().unwrap().blobs = blobs.to_vec();
    world.store.commit(change).await
}

fn files_in(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn a_blob_is_hashed_measured_and_kept_at_its_name() {
    let world = World::with(Durability::Full);
    let content: Vec<u8> = (0..700_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let staged = stage(&world, &content).await;
    assert_eq!(staged.cid, Cid::of_raw(&content));
    assert_eq!((staged.size, &staged.head[..]), (700_000, &content[..4096]));
    let cid = staged.cid;
    assert!(!is_there(&world, &cid).await);
    world.store.blob_files().keep(staged).await.unwrap();
    let read = async |span| {
        let blob = world.store.blob_files().open(&cid).await.unwrap().unwrap();
        assert_eq!(blob.size, 700_000);
        blob.read(span).map_ok(|piece| piece.to_vec()).try_concat().await.unwrap()
    };
    assert_eq!(read(0..700_000).await, content);
    assert_eq!(read(299_999..600_001).await, content[299_999..600_001]);
    assert_eq!(read(699_999..800_000).await, content[699_999..]);
    assert!(read(5..5).await.is_empty());
    assert_eq!(keep(&world, &content).await, cid);
    assert_eq!(files_in(&world.dir.path().join("blobs/tmp")), 0);
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_no_file_and_leftovers_go_at_the_next_start() {
    let world = World::new();
    let temp = world.dir.path().join("blobs/tmp");
    let write = world.store.blob_files().begin().await.unwrap();
    assert_eq!(files_in(&temp), 1);
    drop(write);
    drop(stage(&world, b"staged").await);
    assert_eq!(files_in(&temp), 0);
    std::fs::write(temp.join("leftover"), "x").unwrap();
    let world = world.reopen().await;
    assert_eq!(files_in(&world.dir.path().join("blobs/tmp")), 0);
}

#[tokio::test]
async fn a_record_needs_its_blobs_uploaded_by_its_own_account_and_makes_them_permanent() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let cid = upload(&world, &alice, b"one", NOW).await;
    let refused = reference(&world, &bob, create("com.example.a/1", "1"), &[cid]).await;
    assert_eq!(refused, Err(CommitRefused::BlobMissing(cid)));
    assert!(world.records(&bob, "com.example.a").await.is_empty());
    assert!(!world.store.blob(alice.id, &cid).await.unwrap().unwrap().permanent);
    reference(&world, &alice, create("com.example.a/1", "1"), &[cid]).await.unwrap();
    assert!(world.store.blob(alice.id, &cid).await.unwrap().unwrap().permanent);
    assert_eq!(world.store.list_blobs(alice.id, None, None, 10).await.unwrap(), [cid]);
    assert_eq!(world.store.list_blobs(alice.id, None, Some(cid), 10).await.unwrap(), []);
    let head = world.store.head(alice.id).await.unwrap().unwrap();
    assert_eq!(world.store.list_blobs(alice.id, Some(head.rev), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_blob_is_temporary_again_when_its_last_record_goes() {
    let world = World::new();
    let alice = world.account(1, "alice").await;
    let old = NOW.minus(100 * HOUR);
    let cid = upload(&world, &alice, b"one", old).await;
    reference(&world, &alice, create("com.example.a/1", "1"), &[cid]).await.unwrap();
    reference(&world, &alice, create("com.example.a/2", "2"), &[cid]).await.unwrap();
    reference(&world, &alice, update("com.example.a/2", "still"), &[cid]).await.unwrap();
    world.write(&alice, &[delete("com.example.a/1")]).await;
    assert!(world.store.blob(alice.id, &cid).await.unwrap().unwrap().permanent);
    world.write(&alice, &[update("com.example.a/2", "no blob")]).await;
    let row = world.store.blob(alice.id, &cid).await.unwrap().unwrap();
    assert!(!row.permanent);
    assert!(row.created_at >= NOW, "its age is fresh");
    assert_eq!(world.store.sweep_blobs(NOW.minus(HOUR), 100).await.unwrap(), 0);
    assert!(is_there(&world, &cid).await);
    assert_eq!(world.store.sweep_blobs(NOW.plus(HOUR), 100).await.unwrap(), 1);
    assert!(!is_there(&world, &cid).await);
    assert!(world.store.blob(alice.id, &cid).await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_stays_while_any_account_names_it() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    let cid = upload(&world, &alice, b"shared", NOW).await;
    upload(&world, &bob, b"shared", NOW).await;
    reference(&world, &bob, create("com.example.a/1", "1"), &[cid]).await.unwrap();
    assert_eq!(world.store.sweep_blobs(NOW.plus(HOUR), 100).await.unwrap(), 0);
    assert!(world.store.blob(alice.id, &cid).await.unwrap().is_none());
    assert!(is_there(&world, &cid).await);
    world.write(&bob, &[delete("com.example.a/1")]).await;
    assert_eq!(world.store.sweep_blobs(NOW.plus(2 * HOUR), 100).await.unwrap(), 1);
    assert!(!is_there(&world, &cid).await);
}

#[tokio::test]
async fn a_blob_that_is_uploaded_again_while_it_is_swept_does_not_vanish_under_its_row() {
    let world = World::new();
    let alice = world.account(1, "alice").await;
    let old = NOW.minus(10 * HOUR);
    let cid = upload(&world, &alice, b"again", old).await;
    // The second upload has its file but not yet its row when the sweeper comes, twice.
    assert_eq!(keep(&world, b"again").await, cid);
    assert_eq!(world.store.sweep_blobs(NOW, 100).await.unwrap(), 0);
    assert!(is_there(&world, &cid).await);
    let row = world.store.put_blob(alice.id, cid, "image/png", 5, NOW).await.unwrap();
    assert_eq!(row.created_at, NOW);
    assert_eq!(world.store.sweep_blobs(NOW, 100).await.unwrap(), 0);
    assert!(is_there(&world, &cid).await);
    // An upload whose file went is told so, and has no row.
    std::fs::remove_dir_all(world.dir.path().join("blobs")).unwrap();
    world.store.sweep_blobs(NOW.plus(HOUR), 100).await.unwrap();
    let refused = world.store.put_blob(alice.id, cid, "image/png", 5, NOW).await;
    assert!(matches!(refused, Err(PutBlobError::Store(StoreError::File(_)))), "{refused:?}");
    assert!(world.store.blob(alice.id, &cid).await.unwrap().is_none());
}

#[tokio::test]
async fn uploading_again_renews_a_temporary_age_and_leaves_a_permanent_blob_alone() {
    let world = World::new();
    let alice = world.account(1, "alice").await;
    let cid = upload(&world, &alice, b"one", NOW).await;
    let renewed = world.store.put_blob(alice.id, cid, "other/type", 3, NOW.plus(HOUR)).await.unwrap();
    assert_eq!((renewed.created_at, renewed.mime_type.as_str()), (NOW.plus(HOUR), "image/png"));
    reference(&world, &alice, create("com.example.a/1", "1"), &[cid]).await.unwrap();
    let kept = world.store.put_blob(alice.id, cid, "other/type", 3, NOW.plus(9 * HOUR)).await.unwrap();
    assert_eq!((kept.created_at, kept.permanent), (NOW.plus(HOUR), true));
}

#[tokio::test]
async fn files_that_never_had_a_row_are_found_over_several_sweeps() {
    let world = World::new();
    let alice = world.account(1, "alice").await;
    let cid = keep(&world, b"orphan").await;
    let kept = upload(&world, &alice, b"kept", NOW.plus(HOUR)).await;
    // After a restart no upload is under way.
    let world = world.reopen().await;
    let mut gone = 0;
    for _ in 0..1024_usize.div_ceil(crate::limits::store::SWEEP_DIRECTORIES) {
        gone += world.store.sweep_blobs(NOW, 100).await.unwrap();
    }
    assert_eq!(gone, 1);
    assert!(!is_there(&world, &cid).await);
    assert!(is_there(&world, &kept).await);
}

#[tokio::test]
async fn blobs_that_records_reference_without_an_upload_are_missing_until_they_come() {
    let world = World::new();
    let alice = world.account(1, "alice").await;
    let cid = upload(&world, &alice, b"one", NOW).await;
    reference(&world, &alice, create("com.example.a/1", "1"), &[cid]).await.unwrap();
    assert_eq!(world.store.missing_blobs(alice.id, None, 10).await.unwrap(), []);
    // As after an import, which takes records before their blobs.
    let forget = |work: &mut Work<'_>| sql::execute(work.conn, "DELETE FROM blobs", []).map(drop);
    world.store.write(forget).await.unwrap();
    let missing = world.store.missing_blobs(alice.id, None, 10).await.unwrap();
    assert_eq!(missing, [MissingBlob { cid, record: path("com.example.a/1") }]);
    let stats = world.store.repo_stats(alice.id).await.unwrap();
    assert_eq!((stats.expected_blobs, stats.imported_blobs, stats.records), (1, 0, 1));
    let row = world.store.put_blob(alice.id, cid, "image/png", 3, NOW).await.unwrap();
    assert!(row.permanent);
    assert_eq!(world.store.repo_stats(alice.id).await.unwrap().imported_blobs, 1);
}
