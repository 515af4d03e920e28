use std::time::Duration;

use super::*;
use crate::limits::store::EVENT_RING_COUNT;

async fn announce(world: &World, writer: &Writer, times: impl IntoIterator<Item = i64>) {
    for time in times {
        let event = identity_event(writer, Timestamp::from_secs(time));
        world.store.announce(writer.id, vec![event]).await.unwrap();
    }
}

fn numbers(events: &[StoredEvent]) -> Vec<i64> {
    events.iter().map(|event| event.seq).collect()
}

#[tokio::test]
async fn frames_are_the_same_from_memory_and_from_disk() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    world.write(&writer, &[create("com.example.a/1", "1")]).await;
    announce(&world, &writer, [1, 2, 3]).await;
    let from_memory = world.store.events_after(0, 100).await.unwrap();
    let world = world.reopen().await;
    let from_disk = world.store.events_after(0, 100).await.unwrap();
    assert_eq!(from_memory, from_disk);
    assert_eq!(numbers(&from_disk), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&world.store.events_after(2, 2).await.unwrap()), [3, 4]);
    assert!(world.store.events_after(5, 100).await.unwrap().is_empty());
    assert!(world.store.events_after(99, 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_subscriber_is_woken_after_the_event_can_be_read() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let mut latest = world.store.latest_seq();
    let seen = *latest.borrow_and_update();
    announce(&world, &writer, [1]).await;
    latest.changed().await.unwrap();
    assert_eq!(*latest.borrow(), seen + 1);
    assert_eq!(numbers(&world.store.events_after(seen, 10).await.unwrap()), [seen + 1]);
}

#[tokio::test]
async fn events_that_left_memory_are_read_from_disk_without_a_gap() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let event = identity_event(&writer, NOW);
    let many = i64::try_from(EVENT_RING_COUNT).unwrap() + 100;
    for _ in 0..10 {
        let events = vec![event.clone(); usize::try_from(many / 10).unwrap()];
        world.store.announce(writer.id, events).await.unwrap();
    }
    assert!(world.store.inner.shared.ring.after(0, 1).is_none());
    let latest = *world.store.latest_seq().borrow();
    let mut after = 0;
    while after < latest {
        let page = world.store.events_after(after, 1000).await.unwrap();
        assert_eq!(page.first().unwrap().seq, after + 1);
        after = page.last().unwrap().seq;
    }
    assert_eq!(after, latest);
}

#[tokio::test]
async fn pruning_removes_slices_of_old_events_and_never_reuses_a_number() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    announce(&world, &writer, 2_000_000_000..2_000_000_010).await;
    let last = *world.store.latest_seq().borrow();
    let all = Timestamp::from_secs(3_000_000_000);
    let middle = Timestamp::from_secs(2_000_000_005);
    assert_eq!(world.store.seq_before(middle).await.unwrap(), last - 5);
    assert_eq!(world.store.seq_before(all).await.unwrap(), last);
    assert_eq!(world.store.seq_before(Timestamp::EPOCH).await.unwrap(), 0);
    assert_eq!(world.store.prune_events(middle, 4).await.unwrap(), 4);
    assert_eq!(world.store.prune_events(middle, 100).await.unwrap(), usize::try_from(last - 5 - 4).unwrap());
    assert_eq!(world.store.prune_events(middle, 100).await.unwrap(), 0);
    assert_eq!(world.store.prune_events(all, 100).await.unwrap(), 5);
    let world = world.reopen().await;
    assert_eq!(*world.store.latest_seq().borrow(), last);
    announce(&world, &writer, [2_000_000_020]).await;
    assert_eq!(numbers(&world.store.events_after(0, 10).await.unwrap()), [last + 1]);
    assert_eq!(world.store.seq_before(Timestamp::from_secs(2_000_000_000)).await.unwrap(), last);
}

#[tokio::test]
async fn a_commit_is_dated_by_its_revision() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let committed = world.write(&writer, &[create("com.example.a/1", "1")]).await;
    let later = NOW.plus(Duration::from_secs(1));
    assert_eq!(world.store.seq_before(later).await.unwrap(), committed.last_seq);
    assert_eq!(world.store.seq_before(NOW).await.unwrap(), 0);
}
