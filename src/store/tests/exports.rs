use std::collections::HashSet;

use super::*;
use crate::repo::{MemoryBlocks, mst};

async fn drain(export: &mut Export) -> Vec<(Cid, Bytes)> {
    let mut blocks = Vec::new();
    loop {
        let page = export.next_page().await.unwrap();
        if page.is_empty() {
            return blocks;
        }
        blocks.extend(page);
    }
}

/// The CIDs of an export in the order that a walk gives: commit, then nodes before what is below them, records in place.
fn walked(head: &Head, blocks: &[(Cid, Bytes)]) -> Vec<Cid> {
    let mut source = MemoryBlocks(blocks.iter().cloned().collect());
    let mut walk = mst::Walk::new(head.data);
    let mut cids = vec![head.commit];
    while let Some(step) = walk.step(&mut source).unwrap() {
        cids.push(match step {
            mst::Step::Node(cid, _) | mst::Step::Entry(_, cid) => cid,
        });
    }
    cids
}

fn cids(blocks: &[(Cid, Bytes)]) -> Vec<Cid> {
    blocks.iter().map(|(cid, _)| *cid).collect()
}

fn many(collection: &str, count: usize, size: usize) -> Vec<WriteOp> {
    let text = "x".repeat(size);
    (0..count).map(|n| create(&format!("{collection}/k{n:04}"), &format!("{n}{text}"))).collect()
}

async fn rows(world: &World, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    world.store.page(move |conn| number(conn, &query)).await.unwrap()
}

#[tokio::test]
async fn an_export_is_in_tree_order_and_whole() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    let mut empty = world.store.open_export(writer.id, None).await.unwrap().unwrap();
    let blocks = drain(&mut empty).await;
    assert_eq!(cids(&blocks), walked(empty.head(), &blocks));
    for collection in ["com.example.note", "com.example.note.deep", "com.example.a"] {
        world.write(&writer, &many(collection, 150, 10)).await;
    }
    let mut export = world.store.open_export(writer.id, None).await.unwrap().unwrap();
    let blocks = drain(&mut export).await;
    assert!(blocks.iter().all(|(cid, block)| cid.matches(block)));
    assert_eq!(cids(&blocks), walked(export.head(), &blocks));
    assert!(export.next_page().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_export_is_of_one_revision_while_writes_go_on() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    world.write(&writer, &many("com.example.a", 120, 9000)).await;
    world.write(&writer, &many("com.example.b", 120, 9000)).await;
    let mut first = world.store.open_export(writer.id, None).await.unwrap().unwrap();
    let mut blocks = first.next_page().await.unwrap();
    assert!(blocks.len() < 100, "a page is not the whole");
    let mut second = None;
    let (mut round, mut second_blocks) = (0, Vec::new());
    loop {
        let a = format!("com.example.a/k{:04}", 3 * round);
        let b = format!("com.example.b/k{:04}", 3 * round + 1);
        let ops = [
            update(&a, "changed"),
            delete(&b),
            create(&format!("com.example.a/n{round}"), "new"),
            create(&format!("com.example.aa/n{round}"), "new"),
        ];
        world.write(&writer, &ops).await;
        if round == 1 {
            second = world.store.open_export(writer.id, None).await.unwrap();
        }
        let page = first.next_page().await.unwrap();
        if page.is_empty() {
            break;
        }
        blocks.extend(page);
        if let Some(second) = &mut second {
            second_blocks.extend(second.next_page().await.unwrap());
        }
        round += 1;
    }
    assert!(round > 2);
    assert_eq!(cids(&blocks), walked(first.head(), &blocks));
    drop(first);
    world.write(&writer, &many("com.example.c", 5, 10)).await;
    let mut second = second.unwrap();
    second_blocks.extend(drain(&mut second).await);
    assert_eq!(cids(&second_blocks), walked(second.head(), &second_blocks));
    assert!(rows(&world, "retired_nodes").await > 0);
    drop(second);
    // The writer sweeps before it takes the second of two writes that come one after the other.
    for n in 0..20 {
        world.write(&writer, &[create(&format!("com.example.d/{n}"), "d")]).await;
    }
    assert_eq!(rows(&world, "retired_nodes").await, 0);
    assert_eq!(rows(&world, "retired_records").await, 0);
}

#[tokio::test]
async fn since_gives_only_what_was_written_after_it() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    world.write(&writer, &many("com.example.a", 60, 10)).await;
    let before = world.store.head(writer.id).await.unwrap().unwrap();
    let mut full = world.store.open_export(writer.id, None).await.unwrap().unwrap();
    let old = drain(&mut full).await;
    world.write(&writer, &[create("com.example.b/new", "new"), delete("com.example.a/k0007")]).await;
    let mut export = world.store.open_export(writer.id, Some(before.rev)).await.unwrap().unwrap();
    let new = drain(&mut export).await;
    let known: HashSet<Cid> = old.iter().map(|(cid, _)| *cid).collect();
    assert!(new.iter().all(|(cid, _)| !known.contains(cid)));
    assert!(cids(&new).contains(&record("new").0));
    let both: Vec<(Cid, Bytes)> = old.into_iter().chain(new).collect();
    let walked = walked(export.head(), &both);
    assert_eq!(walked.len(), walked.iter().collect::<HashSet<_>>().len());
    let now = *export.head();
    let mut nothing = world.store.open_export(writer.id, Some(now.rev)).await.unwrap().unwrap();
    assert!(drain(&mut nothing).await.is_empty());
}

#[tokio::test]
async fn an_account_without_repository_has_no_export() {
    let world = World::new();
    assert!(world.store.open_export(AccountId(7), None).await.unwrap().is_none());
}

#[tokio::test]
async fn what_an_interrupted_export_left_goes_at_the_next_start() {
    let world = World::new();
    let writer = world.account(1, "alice").await;
    world.write(&writer, &many("com.example.a", 20, 10)).await;
    let export = world.store.open_export(writer.id, None).await.unwrap().unwrap();
    world.write(&writer, &[delete("com.example.a/k0003")]).await;
    assert_eq!(rows(&world, "retired_records").await, 1);
    world.store.close().await;
    drop(export);
    let world = world.reopen().await;
    assert_eq!(rows(&world, "retired_records").await, 0);
    assert_eq!(rows(&world, "retired_nodes").await, 0);
}
