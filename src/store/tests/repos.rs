use std::collections::BTreeMap;

use super::*;
use crate::{
    entropy::{Entropy, random_bytes},
    repo::{BlockSource, MemoryBlocks, mst, proof},
};

/// Everything that is stored agrees: the tree walked from the head has exactly the listed records.
async fn assert_consistent(world: &World, writer: &Writer, expected: &BTreeMap<String, Cid>) {
    let head = world.store.head(writer.id).await.unwrap().unwrap();
    // A second store's view would be the same: nothing here comes from the cache.
    let conn = Connection::open(world.dir.path().join("data/housekey.sqlite")).unwrap();
    let cache = node_cache::NodeCache::default();
    let mut reader = nodes::NodeReader::open(writer.id, head.data, &cache, &conn);
    let mut walk = mst::Walk::new(head.data);
    let (mut entries, mut nodes) = (BTreeMap::new(), 0);
    while let Some(step) = walk.step(&mut reader).unwrap() {
        match step {
            mst::Step::Node(cid, block) => {
                assert!(cid.matches(&block));
                nodes += 1;
            }
            mst::Step::Entry(key, cid) => {
                entries.insert(String::from(&*key), cid);
            }
        }
    }
    assert_eq!(&entries, expected);
    let stored: i64 =
        conn.query_row("SELECT count(*) FROM nodes WHERE tree = ?1", [writer.id.0], |row| row.get(0)).unwrap();
    assert_eq!(stored, nodes, "rows of nodes that the tree does not use");
    for (key, cid) in expected {
        let record = world.store.record(writer.id, &path(key)).await.unwrap().unwrap();
        assert_eq!(record.cid, *cid);
        assert!(cid.matches(&record.value));
    }
}

#[tokio::test]
async fn random_writes_keep_tree_rows_and_records_in_agreement() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let random = SeededEntropy::new(7);
    let mut model = BTreeMap::new();
    let byte = |random: &SeededEntropy| random_bytes::<1>(random)[0];
    for round in 0..120_usize {
        let mut ops = Vec::new();
        let mut touched = std::collections::BTreeSet::new();
        for _ in 0..=(byte(&random) % 6) {
            let collection = ["com.example.a", "com.example.a.b", "com.example.b"][usize::from(byte(&random)) % 3];
            let key = format!("{collection}/{}", byte(&random) % 60);
            if !touched.insert(key.clone()) {
                continue;
            }
            let text = format!("{round}");
            match (model.contains_key(&key), byte(&random) % 3) {
                (false, _) => {
                    model.insert(key.clone(), record(&text).0);
                    ops.push(create(&key, &text));
                }
                (true, 0) => {
                    model.insert(key.clone(), record(&text).0);
                    ops.push(update(&key, &text));
                }
                (true, _) => {
                    model.remove(&key);
                    ops.push(delete(&key));
                }
            }
        }
        if round % 10 == 3 {
            world.store.inner.shared.nodes.forget_all();
        }
        world.write(&writer, &ops).await;
        if round % 8 == 0 {
            assert_consistent(&world, &writer, &model).await;
        }
    }
    for key in model.keys().cloned().collect::<Vec<_>>() {
        world.write(&writer, &[delete(&key)]).await;
    }
    assert_consistent(&world, &writer, &BTreeMap::new()).await;
    assert!(world.store.collections(writer.id).await.unwrap().is_empty());
    let mut filler = [0; 4];
    random.fill(&mut filler);
}

#[tokio::test]
async fn a_stale_head_is_refused_and_nothing_changes() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let head = world.store.head(writer.id).await.unwrap().unwrap();
    let late = world.plan_on(&writer, &head, &[create("com.example.a/late", "late")]).await;
    world.write(&writer, &[create("com.example.a/first", "first")]).await;
    let current = world.store.head(writer.id).await.unwrap().unwrap();
    let seq = *world.store.latest_seq().borrow();
    for change in [late.clone(), {
        world.store.inner.shared.nodes.forget_all();
        late
    }] {
        let refused = world.store.commit(change).await.unwrap_err();
        assert_eq!(refused, CommitRefused::StaleHead { current: current.commit });
    }
    assert_eq!(world.records(&writer, "com.example.a").await, ["first"]);
    assert_eq!(*world.store.latest_seq().borrow(), seq);
    assert_eq!(world.store.head(writer.id).await.unwrap(), Some(current));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_commits_to_many_accounts_all_become_true() {
    let world = Arc::new(World::new());
    let mut writers = Vec::new();
    for n in 0..16 {
        writers.push(world.account(n, &format!("user{n}")).await);
    }
    let before = *world.store.latest_seq().borrow();
    let tasks = Tasks::new();
    for writer in &writers {
        let (world, writer) = (Arc::clone(&world), writer.clone());
        tasks.spawn(async move {
            for n in 0..20 {
                world.write(&writer, &[create(&format!("com.example.a/{n:03}"), &format!("{n}"))]).await;
            }
        });
    }
    tasks.finished().await;
    assert_eq!(*world.store.latest_seq().borrow(), before + 16 * 20);
    let events = world.store.events_after(before, 1000).await.unwrap();
    let numbers: Vec<i64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (before + 1..=before + 320).collect::<Vec<_>>());
    for writer in &writers {
        assert_eq!(world.records(writer, "com.example.a").await.len(), 20);
    }
}

#[tokio::test]
async fn listing_goes_both_ways_from_a_cursor() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let ops: Vec<WriteOp> = (0..9).map(|n| create(&format!("com.example.a/k{n}"), "x")).collect();
    world.write(&writer, &ops).await;
    world.write(&writer, &[create("com.example.b/other", "y")]).await;
    let list = |cursor: Option<&str>, reverse| {
        let list = ListRecords {
            account: writer.id,
            collection: "com.example.a".parse().unwrap(),
            cursor: cursor.map(str::to_owned),
            limit: 3,
            reverse,
        };
        let store = world.store.clone();
        async move {
            let listed = store.list_records(list).await.unwrap();
            listed.into_iter().map(|record| record.rkey.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        }
    };
    assert_eq!(list(None, false).await, "k8 k7 k6");
    assert_eq!(list(Some("k6"), false).await, "k5 k4 k3");
    assert_eq!(list(None, true).await, "k0 k1 k2");
    assert_eq!(list(Some("k7"), true).await, "k8");
    assert_eq!(list(Some("k0"), false).await, "");
    let names: Vec<String> =
        world.store.collections(writer.id).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["com.example.a", "com.example.b"]);
}

#[tokio::test]
async fn deleting_one_of_two_equal_records_keeps_the_other() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    world.write(&writer, &[create("com.example.a/one", "same"), create("com.example.a/two", "same")]).await;
    let (cid, bytes) = record("same");
    assert_eq!(world.store.repo_stats(writer.id).await.unwrap().records, 2);
    world.write(&writer, &[delete("com.example.a/one")]).await;
    assert_eq!(world.store.blocks(writer.id, &[cid]).await.unwrap(), [(cid, bytes)]);
    world.write(&writer, &[delete("com.example.a/two")]).await;
    assert!(world.store.blocks(writer.id, &[cid]).await.unwrap().is_empty());
}

#[tokio::test]
async fn blocks_are_found_by_cid_in_the_order_asked_and_only_in_their_account() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let other = world.account(2, "bob").await;
    world.write(&writer, &[create("com.example.a/one", "one"), create("com.example.a/two", "two")]).await;
    let head = world.store.head(writer.id).await.unwrap().unwrap();
    let wanted = [record("two").0, head.data, record("nowhere").0, head.commit, record("one").0, head.data];
    let found = world.store.blocks(writer.id, &wanted).await.unwrap();
    let cids: Vec<Cid> = found.iter().map(|(cid, _)| *cid).collect();
    assert_eq!(cids, [wanted[0], wanted[1], wanted[3], wanted[4], wanted[5]]);
    assert!(found.iter().all(|(cid, bytes)| cid.matches(bytes)));
    assert!(world.store.blocks(other.id, &wanted).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_proof_shows_presence_and_absence_from_one_snapshot() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let ops: Vec<WriteOp> = (0..50).map(|n| create(&format!("com.example.a/k{n}"), &format!("{n}"))).collect();
    world.write(&writer, &ops).await;
    world.store.inner.shared.nodes.forget_all();
    for (key, present) in [("com.example.a/k7", true), ("com.example.a/zz", false)] {
        let (head, commit, shown) = world.store.record_proof(writer.id, &path(key)).await.unwrap().unwrap();
        assert!(head.commit.matches(&commit));
        assert_eq!(shown.cid.is_some(), present);
        let mut blocks = MemoryBlocks(shown.nodes.iter().cloned().collect());
        assert!(blocks.block(&head.data).unwrap().is_some());
        let again = proof::record_proof(&mut blocks, &head.data, &path(key)).unwrap();
        assert_eq!(again.cid, shown.cid);
    }
}

#[tokio::test]
async fn backlinks_find_duplicates_until_the_record_goes() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let link = Backlink { path: "subject".to_owned(), target: "did:plc:abc".to_owned() };
    let mut change =
        world.plan(&writer, &[create("com.example.follow/1", "1"), create("com.example.follow/2", "2")]).await;
    for record in &mut change.records {
        record.put.as_mut().unwrap().backlinks = vec![link.clone()];
    }
    world.store.commit(change).await.unwrap();
    let found = |link: Backlink| {
        let store = world.store.clone();
        let collection = "com.example.follow".parse().unwrap();
        async move {
            let keys = store.backlinks(writer.id, &collection, &link).await.unwrap();
            keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(found(link.clone()).await, ["1", "2"]);
    assert!(found(Backlink { path: "other".to_owned(), ..link.clone() }).await.is_empty());
    let writer = Writer { id: writer.id, did: did(1) };
    world.write(&writer, &[delete("com.example.follow/1"), update("com.example.follow/2", "no link")]).await;
    assert!(found(link).await.is_empty());
}

#[tokio::test]
async fn repositories_are_listed_by_collection_and_state() {
    let world = World::new();
    let (alice, bob) = (world.account(1, "alice").await, world.account(2, "bob").await);
    world.write(&alice, &[create("com.example.a/1", "1")]).await;
    world.write(&bob, &[create("com.example.a/1", "1")]).await;
    let suspended = AccountState::Suspended;
    world.store.set_account_state(bob.id, suspended.clone(), Vec::new()).await.unwrap();
    let collection = "com.example.a".parse().unwrap();
    let with = world.store.list_repos_by_collection(&collection, AccountId(0), 10).await.unwrap();
    assert_eq!(with, [(alice.id, alice.did.clone())]);
    let all = world.store.list_repos(AccountId(0), 10).await.unwrap();
    assert_eq!(all.iter().map(|repo| repo.id).collect::<Vec<_>>(), [alice.id, bob.id]);
    assert_eq!(all[1].state, suspended);
    assert_eq!(Some(all[0].head), world.store.head(alice.id).await.unwrap());
    assert_eq!(world.store.list_repos(alice.id, 10).await.unwrap().len(), 1);
}
