use super::*;
use crate::{
    service::testing::{As, World},
    store::{Account, AuditReader},
};
use serde_json::json;
use std::path::PathBuf;

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n a picture, more or less";

/// A world with an account that has posts, a follow and a picture; and the account.
async fn lived_in() -> (World, Account) {
    let world = World::new().await;
    let alice = world.signed_up("alice").await;
    let token = alice.tokens.access_jwt.clone();
    let did = alice.account.did.to_string();
    let create = async |collection: &str, record: serde_json::Value| {
        let body = json!({"repo": did, "collection": collection, "record": record, "validate": false});
        world.post("com.atproto.repo.createRecord", As::Bearer(&token), &body).await.ok();
    };
    let at = "2026-11-22T12:00:00Z";
    for n in 0..40 {
        create("app.bsky.feed.post", json!({"text": format!("post {n}"), "createdAt": at})).await;
    }
    create("app.bsky.graph.follow", json!({"subject": "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "createdAt": at})).await;
    let picture =
        world.post_bytes("com.atproto.repo.uploadBlob", As::Bearer(&token), "image/png", PICTURE.to_vec()).await.ok();
    create("com.example.picture", json!({"picture": picture["blob"]})).await;
    (world, alice.account)
}

fn audited(world: &World) -> Audit {
    let dir = world.data_dir();
    audit(&AuditReader::open(dir, &dir.join("blobs")).unwrap(), Blobs::Read, &mut |_| {}).unwrap()
}

/// The only file of a blob.
fn blob_file(world: &World) -> PathBuf {
    let shards = std::fs::read_dir(world.data_dir().join("blobs")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = shards
        .filter(|shard| !shard.ends_with("tmp"))
        .flat_map(|shard| std::fs::read_dir(shard).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

/// What an audit says after somebody changed the database behind the server's back.
async fn after(sql: &str) -> String {
    let (world, _) = lived_in().await;
    let conn = rusqlite::Connection::open(world.data_dir().join("housekey.sqlite")).unwrap();
    assert!(conn.execute(sql, []).unwrap() > 0, "nothing was changed by {sql}");
    drop(conn);
    let found = audited(&world);
    assert!(!found.is_good());
    found.problems.join("\n")
}

#[tokio::test]
async fn a_sound_server_is_found_sound_while_it_runs() {
    let (world, _) = lived_in().await;
    let mut steps = Vec::new();
    let dir = world.data_dir();
    let reader = AuditReader::open(dir, &dir.join("blobs")).unwrap();
    let found = audit(&reader, Blobs::Read, &mut |step| steps.push(step)).unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!((found.accounts, found.records, found.blobs, found.missing_blobs), (1, 42, 1, 0));
    assert!(found.nodes > 10 && found.events >= 43, "{found:?}");
    assert_eq!(steps.first(), Some(&Progress::Database));
    assert!(steps.contains(&Progress::Accounts { done: 1, all: 1 }));
}

#[tokio::test]
async fn a_record_that_was_changed_is_named() {
    let problems = after("UPDATE records SET value = x'a0' WHERE rkey = (SELECT min(rkey) FROM records)").await;
    assert!(problems.contains("its bytes are not those of"), "{problems}");
}

#[tokio::test]
async fn a_record_that_is_gone_or_came_by_itself_makes_another_tree() {
    let gone = after("DELETE FROM records WHERE rkey = (SELECT min(rkey) FROM records)").await;
    assert!(gone.contains("the commit names"), "{gone}");
    let came = after(
        "INSERT INTO records SELECT tree, collection, 'stray', digest, rev, value, links, blobs FROM records LIMIT 1",
    )
    .await;
    assert!(came.contains("the commit names"), "{came}");
}

#[tokio::test]
async fn nodes_that_are_missing_changed_or_misplaced_are_named() {
    let missing = after("DELETE FROM nodes WHERE first = (SELECT max(first) FROM nodes)").await;
    assert!(missing.contains("is missing"), "{missing}");
    let changed = after("UPDATE nodes SET block = x'a0' WHERE first = (SELECT max(first) FROM nodes)").await;
    assert!(changed.contains("its bytes are not those of"), "{changed}");
    let moved = after("UPDATE nodes SET first = first || 'z' WHERE first = (SELECT max(first) FROM nodes)").await;
    assert!(moved.contains("its smallest key is another one"), "{moved}");
    let stray =
        after("INSERT INTO nodes SELECT tree, 'zzz', 9, zeroblob(32), rev, x'a2616580616cf6' FROM nodes LIMIT 1").await;
    assert!(stray.contains("no tree uses it"), "{stray}");
}

#[tokio::test]
async fn a_commit_that_the_key_did_not_sign_is_named() {
    let other = "did:key:zQ3shqwJEJyMBsBXCWyCBpUBMqxcon9oHB7mCvx4sSpMdLJwc";
    let problems = after(&format!("UPDATE accounts SET signing_key = '{other}'")).await;
    assert!(problems.contains("the commit's signature is not valid"), "{problems}");
}

#[tokio::test]
async fn a_head_that_was_rewound_contradicts_the_commit_and_the_log() {
    let problems = after("UPDATE repos SET rev = rev - 1024").await;
    assert!(problems.contains("it does not say what the repository's row says"), "{problems}");
    assert!(problems.contains("the log leaves the repository at"), "{problems}");
}

#[tokio::test]
async fn indexes_that_do_not_say_what_the_records_say_are_named() {
    let links = after("UPDATE records SET links = NULL WHERE links IS NOT NULL").await;
    assert!(links.contains("the index of links"), "{links}");
    let blobs = after("UPDATE records SET blobs = NULL WHERE blobs IS NOT NULL").await;
    assert!(blobs.contains("the index of blobs"), "{blobs}");
    let uses = after("DELETE FROM record_blobs").await;
    assert!(uses.contains("0 records use it"), "{uses}");
    let listed = after("DELETE FROM account_collections").await;
    assert!(listed.contains("those listed are not those of the records"), "{listed}");
}

#[tokio::test]
async fn a_blob_that_nobody_has_is_counted_and_no_problem_by_itself() {
    let (world, _) = lived_in().await;
    let conn = rusqlite::Connection::open(world.data_dir().join("housekey.sqlite")).unwrap();
    assert_eq!(conn.execute("DELETE FROM blobs", []).unwrap(), 1);
    let found = audited(&world);
    assert_eq!((found.missing_blobs, found.problems), (1, Vec::new()));
}

#[tokio::test]
async fn a_blob_whose_file_is_lost_cut_or_changed_is_named() {
    let (world, _) = lived_in().await;
    let file = blob_file(&world);
    std::fs::write(&file, PICTURE.to_ascii_uppercase()).unwrap();
    assert!(audited(&world).problems[0].contains("its file holds something else"));
    std::fs::write(&file, &PICTURE[..5]).unwrap();
    assert!(audited(&world).problems[0].contains("its file has 5 bytes"));
    std::fs::remove_file(&file).unwrap();
    assert!(audited(&world).problems[0].contains("its file is missing"));
}

#[tokio::test]
async fn a_hole_in_the_event_log_and_a_frame_of_another_number_are_named() {
    let hole = after("DELETE FROM events WHERE seq = 20").await;
    assert!(hole.contains("event 21: it does not follow revision"), "{hole}");
    let number = after("UPDATE events SET seq = 1000 WHERE seq = (SELECT max(seq) FROM events)").await;
    assert!(number.contains("event 1000: the frame says number"), "{number}");
    assert!(number.contains("it has a number that was not given yet"), "{number}");
}

#[tokio::test]
async fn a_database_of_another_version_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let missing = AuditReader::open(dir.path(), dir.path()).unwrap_err().to_string();
    assert!(missing.contains("housekey.sqlite"), "{missing}");
    let conn = rusqlite::Connection::open(dir.path().join("housekey.sqlite")).unwrap();
    conn.execute_batch("CREATE TABLE x (y)").unwrap();
    let old = AuditReader::open(dir.path(), dir.path()).unwrap_err().to_string();
    assert!(old.contains("start the server once"), "{old}");
    conn.execute_batch("PRAGMA user_version = 999").unwrap();
    let new = AuditReader::open(dir.path(), dir.path()).unwrap_err().to_string();
    assert!(new.contains("schema version 999"), "{new}");
}
