use std::{fs, future::Future, path::PathBuf, pin::pin, task::Poll};

use tokio::sync::oneshot;

use super::*;
use crate::{
    event::Frame,
    limits::store::{WAL_FILE_BYTES, WRITE_QUEUE},
};

fn send<T: Send>(value: T) -> T {
    value
}

/// Copies database and log as they are, as a crash leaves them, and opens the copy.
fn crash(world: &World) -> (TempDir, Store) {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir_all(copy.path().join("data")).unwrap();
    for file in ["housekey.sqlite", "housekey.sqlite-wal"] {
        fs::copy(world.dir.path().join("data").join(file), copy.path().join("data").join(file)).unwrap();
    }
    let store = Store::open(&options(copy.path()), &Tasks::new()).unwrap();
    (copy, store)
}

#[tokio::test]
async fn after_a_crash_every_acknowledged_write_is_there_and_heads_and_events_agree() {
    let world = World::with(Durability::Full);
    let writer = world.account(1, "alice").await;
    for n in 0..30 {
        world.write(&writer, &[create(&format!("com.example.a/{n:02}"), &format!("{n}"))]).await;
        if n % 10 != 9 {
            continue;
        }
        let (_copy, survivor) = crash(&world);
        let list = ListRecords {
            account: writer.id,
            collection: "com.example.a".parse().unwrap(),
            cursor: None,
            limit: 100,
            reverse: true,
        };
        assert_eq!(survivor.list_records(list).await.unwrap().len(), n + 1);
        let head = survivor.head(writer.id).await.unwrap().unwrap();
        assert_eq!(Some(head), world.store.head(writer.id).await.unwrap());
        let last = *survivor.latest_seq().borrow();
        let event = survivor.events_after(last - 1, 1).await.unwrap().remove(0);
        let Frame::Commit(frame) = Frame::decode(&event.frame).unwrap() else { panic!("not a commit") };
        assert_eq!((frame.seq, frame.commit, frame.rev), (last, head.commit, head.rev));
    }
}

#[tokio::test]
async fn a_closed_store_answers_closed_and_can_be_opened_again() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    world.write(&writer, &[create("com.example.a/1", "1")]).await;
    let seq = *world.store.latest_seq().borrow();
    world.store.close().await;
    assert_eq!(world.store.ping().await, Err(StoreError::Closed));
    assert_eq!(world.store.setting_or_insert("x", vec![1]).await, Err(StoreError::Closed));
    let world = world.reopen().await;
    assert_eq!(world.store.ping().await, Ok(()));
    assert_eq!(*world.store.latest_seq().borrow(), seq);
    assert_eq!(world.write(&writer, &[create("com.example.a/2", "2")]).await.last_seq, seq + 1);
    let wal = fs::metadata(world.dir.path().join("data/housekey.sqlite-wal")).map_or(0, |file| file.len());
    assert!(wal < 1_000_000, "the log was not emptied: {wal}");
}

#[tokio::test]
async fn a_second_process_is_refused_in_a_sentence_that_names_the_directory() {
    let world = World::new();
    let refused = Store::open(&options(world.dir.path()), &Tasks::new()).unwrap_err();
    let data: PathBuf = world.dir.path().join("data");
    assert_eq!(refused, OpenError::InUse(data.clone()));
    assert!(refused.to_string().contains(&*data.to_string_lossy()), "{refused}");
}

#[tokio::test]
async fn a_failing_job_of_a_group_leaves_its_neighbours_alone() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let before = *world.store.latest_seq().borrow();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (started, running) = oneshot::channel();
    let store = &world.store;
    // The first job holds the writer until all others wait, so that they share the next transaction.
    let blocker = store.write(move |_| {
        started.send(()).unwrap();
        assert!(held.recv().is_err());
        Ok::<_, StoreError>(())
    });
    let event = identity_event(&writer, NOW);
    let announce = |fail: bool| {
        let events = vec![(event.clone(), NOW)];
        store.write(move |work| {
            work.announce(&events)?;
            sql::execute(work.conn, "INSERT INTO settings (name, value) VALUES (?1, x'00')", [format!("{fail}")])?;
            if fail { Err(StoreError::Damaged("on purpose".to_owned())) } else { Ok(()) }
        })
    };
    let release = async {
        running.await.unwrap();
        drop(hold);
    };
    let later = async { tokio::join!(announce(false), announce(true), async { tokio::task::yield_now().await }) };
    let (first, (good, bad, ()), ()) = tokio::join!(blocker, later, release);
    assert_eq!((first, good), (Ok(()), Ok(())));
    assert_eq!(bad, Err(StoreError::Damaged("on purpose".to_owned())));
    assert_eq!(*store.latest_seq().borrow(), before + 1);
    assert_eq!(store.events_after(before, 10).await.unwrap().len(), 1);
    assert!(store.setting("false").await.unwrap().is_some());
    assert!(store.setting("true").await.unwrap().is_none());
}

#[tokio::test]
async fn a_full_queue_answers_busy() {
    let world = World::new();
    let store = &world.store;
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (started, running) = oneshot::channel();
    let blocker = store.write(move |_| {
        started.send(()).unwrap();
        assert!(held.recv().is_err());
        Ok::<_, StoreError>(())
    });
    let crowd = async {
        running.await.unwrap();
        let mut waiting = Vec::new();
        let mut busy = 0;
        for _ in 0..WRITE_QUEUE + 3 {
            let mut job = Box::pin(store.write(|_| Ok::<_, StoreError>(())));
            match std::future::poll_fn(|context| Poll::Ready(job.as_mut().poll(context))).await {
                Poll::Ready(answer) => busy += usize::from(answer == Err(StoreError::Busy)),
                Poll::Pending => waiting.push(job),
            }
        }
        drop(hold);
        for job in waiting {
            job.await.unwrap();
        }
        busy
    };
    let (first, busy) = tokio::join!(blocker, crowd);
    assert_eq!(first, Ok(()));
    assert_eq!(busy, 3);
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_whole() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let change = world.plan(&writer, &[create("com.example.a/1", "1"), create("com.example.a/2", "2")]).await;
    let (hold, held) = std::sync::mpsc::channel::<()>();
    {
        // The first job holds the writer, so that the second one cannot be done when its caller goes.
        let blocker = world.store.write(move |_| {
            assert!(held.recv().is_err());
            Ok::<_, StoreError>(())
        });
        let mut abandoned = (pin!(blocker), pin!(world.store.commit(change)));
        let pending = std::future::poll_fn(|context| {
            let first = abandoned.0.as_mut().poll(context).is_pending();
            Poll::Ready(first && abandoned.1.as_mut().poll(context).is_pending())
        });
        assert!(pending.await);
    }
    drop(hold);
    // A later write is answered after it.
    world.store.setting_or_insert("after", Vec::new()).await.unwrap();
    assert_eq!(world.records(&writer, "com.example.a").await, ["1", "2"]);
    world.write(&writer, &[create("com.example.a/3", "3")]).await;
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_loses_nothing() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    world.write(&writer, &[create("com.example.a/1", "1")]).await;
    limit_pages(&world.store, 0).await;
    let seq = *world.store.latest_seq().borrow();
    let big = "x".repeat(200_000);
    let change = world.plan(&writer, &[create("com.example.a/2", &big)]).await;
    assert_eq!(world.store.commit(change).await, Err(CommitRefused::Store(StoreError::DiskFull)));
    assert_eq!(world.records(&writer, "com.example.a").await, ["1"]);
    assert_eq!(*world.store.latest_seq().borrow(), seq);
    limit_pages(&world.store, 1_000_000).await;
    assert_eq!(world.write(&writer, &[create("com.example.a/2", &big)]).await.last_seq, seq + 1);
}

/// Lets the database have no more pages than it has, or `more`.
async fn limit_pages(store: &Store, more: i64) {
    let set = move |work: &mut Work<'_>| {
        let now: i64 = work.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(sql::failed)?;
        let limit = format!("PRAGMA max_page_count = {}", now + more);
        work.conn.query_row(&limit, [], |_| Ok(())).map_err(sql::failed)
    };
    store.write(set).await.unwrap();
}

#[tokio::test]
async fn store_operations_can_move_between_threads() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let change = world.plan(&writer, &[create("com.example.a/1", "1")]).await;
    assert!(send(world.store.commit(change)).await.is_ok());
    assert!(send(world.store.open_export(writer.id, None)).await.is_ok());
    assert!(send(world.store.sweep_blobs(NOW, 1)).await.is_ok());
    assert!(send(world.store.record_proof(writer.id, &path("com.example.a/1"))).await.is_ok());
}

#[tokio::test]
async fn the_write_ahead_log_stays_bounded_under_steady_writes() {
    let world = World::new();
    let log = world.dir.path().join("data/housekey.sqlite-wal");
    let mut longest = 0;
    for n in 0..2500 {
        world.store.setting_or_insert(&format!("{n}"), vec![7; 65_536]).await.unwrap();
        longest = longest.max(fs::metadata(&log).unwrap().len());
    }
    assert!(longest < 2 * WAL_FILE_BYTES + 1_048_576, "{longest}");
    assert_eq!(world.store.setting("2499").await.unwrap().map(|value| value.len()), Some(65_536));
}

#[tokio::test]
async fn settings_keep_their_first_value() {
    let world = World::new();
    assert_eq!(world.store.setting("a").await, Ok(None));
    assert_eq!(world.store.setting_or_insert("a", vec![1]).await, Ok(vec![1]));
    assert_eq!(world.store.setting_or_insert("a", vec![2]).await, Ok(vec![1]));
    assert_eq!(world.store.setting("a").await, Ok(Some(vec![1])));
}
