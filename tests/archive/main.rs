//! `housekey account export|verify|import` by the real binary: an account out of one server and into another.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its server does, and spawns what stands before it"
)]

mod interrupted;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/website.rs"]
mod website;
mod world;

use housekey::{
    crypto::{Curve, SigningKey},
    entropy::OsEntropy,
};
use serde_json::{Value, json};
use std::{fs, path::Path};
use support::Client;
use website::Website;
use world::{World, names_in, preferences, said};

#[tokio::test]
async fn an_account_leaves_one_server_in_a_file_and_comes_into_another_with_everything() {
    let world = World::new().await;
    let pictures = world.fill().await;
    let exported = world.export(&["--output", "alice.tar", "--password-file", "password", "--json"]);
    assert!(exported.status.success(), "{}", said(&exported));
    let verified = world.json(&["account", "verify", "alice.tar"]);
    let did = world.did.as_str();
    assert_eq!((&verified["did"], &verified["handle"]), (&json!(did), &json!("alice.test")));
    // Three posts and the statement.
    assert_eq!(
        [&verified["records"], &verified["blobs"], &verified["missingBlobs"]],
        [4, 3, 0].map(|n: u64| json!(n)).each_ref()
    );
    assert_eq!(verified["delegations"], json!([{"id": "e2ee", "status": "verified", "statements": 1}]));
    assert_eq!((&verified["preferences"], &verified["signedBy"]), (&json!(true), &json!("present")));
    let in_words = said(&world.run(&["account", "verify", "alice.tar"]));
    assert!(
        in_words.contains("What no archive can prove:") && in_words.contains("nullified within 72 hours"),
        "{in_words}"
    );

    // A second one, made beside the running server from its data directory, says the same.
    let here = world.export(&["--output", "here.tar", "--data-dir", "old", "--json"]);
    assert!(here.status.success(), "{}", said(&here));
    let here = world.json(&["account", "verify", "here.tar"]);
    for field in ["did", "handle", "rev", "root", "records", "blobs", "blobBytes", "delegations", "preferences"] {
        assert_eq!(here[field], verified[field], "{field}");
    }

    // Into the other server, which the old one vouches for.
    let new = world.new.text("pds");
    world.get_proof().await;
    let import = ["account", "import", "alice.tar", "--server", new, "--password-file", "password"];
    let dry = world.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(dry["records"], 4);
    let there = || async { Client::new(new).get("com.atproto.sync.listRepos").await.unwrap()["repos"].clone() };
    assert_eq!(there().await, json!([]));
    let home = ["--proof-file", "proof", "--handle", "alice.test", "--email", "alice@example.com"];
    let restored = world.json(&[&import[..], &home].concat());
    assert_eq!([&restored["records"], &restored["blobs"]], [&json!(4), &json!(3)]);
    assert_eq!((&restored["missingBlobs"], &restored["preferences"]), (&json!([]), &json!(true)));
    // Run again, it goes on: everything is there.
    assert_eq!(world.json(&import)["blobs"], 0);

    let input = json!({"identifier": did, "password": "correct horse"});
    let session = Client::new(new).post("com.atproto.server.createSession", &input).await.unwrap();
    let alice = Client::new(new).with_token(session["accessJwt"].as_str().unwrap());
    let credentials = alice.get("com.atproto.identity.getRecommendedDidCredentials").await.unwrap();
    world.change_identity(&credentials).await;
    alice.post("com.atproto.server.activateAccount", &Value::Null).await.unwrap();
    assert_eq!(world.records(&world.new).await, world.records(&world.old).await);
    for (n, cid) in pictures.iter().enumerate() {
        let query = format!("com.atproto.sync.getBlob?did={did}&cid={cid}");
        assert_eq!(Client::new(new).bytes(&query).await, format!("picture {n}").as_bytes());
    }
    let kept = alice.get("app.bsky.actor.getPreferences").await.unwrap();
    assert_eq!(kept["preferences"].as_array().unwrap()[..2], preferences()["preferences"].as_array().unwrap()[..]);
    let judged = world.run(&["verify", did, "--plc", world.plc.text("plc"), "--json"]);
    assert_eq!(judged.status.code(), Some(0), "{}", said(&judged));
    // An active account is left alone.
    let refused = world.run(&import);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("deactivate it first"), "{}", said(&refused));
    assert_eq!(names_in(world.dir.path()), ["a.key", "alice.tar", "here.tar", "new", "old", "password", "proof"]);
}

#[tokio::test]
async fn an_archive_of_a_did_web_has_its_document_in_place_of_a_log() {
    let world = World::new().await;
    let website = Website::start();
    let carol = website.moves_to(&world.old).await;
    for n in 0..2 {
        let input = json!({"repo": website.did, "collection": "com.example.post", "record": {"text": n}});
        carol.post("com.atproto.repo.createRecord", &input).await.unwrap();
    }
    let who = ["account", "export", &website.did, "--plc", world.plc.text("plc"), "--output"];
    let exported = world.run(&[&who[..], &["carol.tar", "--password-file", "password"]].concat());
    assert!(exported.status.success(), "{}", said(&exported));
    let here = world.run(&[&who[..], &["here.tar", "--data-dir", "old"]].concat());
    assert!(here.status.success(), "{}", said(&here));
    for name in ["carol.tar", "here.tar"] {
        let verified = world.json(&["account", "verify", name]);
        assert_eq!((&verified["did"], &verified["handle"]), (&json!(website.did), &json!("carol.test")), "{name}");
        assert_eq!((&verified["records"], &verified["signedBy"]), (&json!(2), &json!("present")), "{name}");
        let bytes = fs::read(world.path(name)).unwrap();
        let parts = tar::Archive::new(&bytes[..])
            .entries()
            .unwrap()
            .map(|part| part.unwrap().path().unwrap().into_owned())
            .collect::<Vec<_>>();
        assert!(parts.iter().any(|part| part == Path::new("did.json")), "{parts:?}");
        assert!(!parts.iter().any(|part| part == Path::new("plc.json")), "{parts:?}");
    }
    // The document's key is another one now: nothing says that the repository is the account's.
    let stranger = SigningKey::generate(Curve::K256, &OsEntropy).did_key().to_string();
    website.names(website.method("atproto", &stranger));
    let refused = world.run(&[&who[..], &["other.tar", "--password-file", "password"]].concat());
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(!world.path("other.tar").exists());
}

#[tokio::test]
async fn an_archive_that_is_not_good_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    world.fill().await;
    let exported = world.export(&["--output", "alice.tar", "--password-file", "password"]);
    assert!(exported.status.success(), "{}", said(&exported));
    let whole = fs::read(world.path("alice.tar")).unwrap();
    // One bit of a picture; half of the file; a link in front of it.
    let mut flipped = whole.clone();
    let at = whole.windows(9).position(|window| window == b"picture 1").unwrap();
    flipped[at] ^= 1;
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_path("repo.car").unwrap();
    link.set_link_name("/etc/passwd").unwrap();
    link.set_size(0);
    link.set_cksum();
    for (bytes, words) in [
        (flipped, "holds something else than its name says"),
        (whole[..whole.len() / 2].to_vec(), "cut off"),
        ([&link.as_bytes()[..], &whole].concat(), "which is not a plain file"),
    ] {
        fs::write(world.path("bad.tar"), bytes).unwrap();
        // Nobody listens there: nothing is asked.
        let import = ["account", "import", "bad.tar", "--server", "http://127.0.0.1:9", "--password-file", "password"];
        for command in [&["account", "verify", "bad.tar"][..], &import] {
            let refused = world.run(command);
            assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
            assert!(said(&refused).starts_with("error: ") && said(&refused).contains(words), "{}", said(&refused));
        }
    }
}

#[tokio::test]
async fn an_export_that_fails_leaves_nothing() {
    let world = World::new().await;
    fs::write(world.path("wrong"), "another horse").unwrap();
    let refused = world.export(&["--output", "alice.tar", "--password-file", "wrong"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let nobody = world.run(&["account", "export", "nobody.test", "--data-dir", "old"]);
    assert!(said(&nobody).contains("there is no account nobody.test"), "{}", said(&nobody));
    fs::write(world.path("there.tar"), "mine").unwrap();
    let there = world.export(&["--output", "there.tar", "--password-file", "password"]);
    assert!(said(&there).contains("is there already"), "{}", said(&there));
    assert_eq!(fs::read(world.path("there.tar")).unwrap(), b"mine");
    assert_eq!(names_in(world.dir.path()), ["new", "old", "password", "there.tar", "wrong"]);
}
