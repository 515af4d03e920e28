//! `housekey account export|verify|import` by the real binary: an account out of one server and into another.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its server does, and spawns what stands before it"
)]

mod support;
#[path = "support/website.rs"]
mod website;

use housekey::{
    crypto::{Curve, SigningKey},
    entropy::OsEntropy,
    outbound::{OutboundOptions, PlcClient},
    plc::{Service, UnsignedOperation},
    syntax::Did,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use support::{BINARY, Client, Running, free_port, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use website::Website;

/// Two servers, their directory, and an owner with a rotation key of her own.
struct World {
    dir: tempfile::TempDir,
    plc: Running,
    old: Running,
    new: Running,
    alice: Client,
    did: Did,
    rotation: SigningKey,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plc = Running::dev(&["--accounts", "nobody"]);
        let server = |name: &str| {
            let data = dir.path().join(name);
            fs::create_dir(&data).unwrap();
            let mut command = serve(&data, free_port(), plc.text("plc"));
            // The website of a did:web is on loopback too.
            Running::start(command.env("HOUSEKEY_OUTBOUND_ALLOW_PRIVATE_ADDRESSES", "true"))
        };
        let (old, new) = (server("old"), server("new"));
        let rotation = SigningKey::generate(Curve::K256, &OsEntropy);
        let input = json!({
            "handle": "alice.test", "email": "alice@example.com", "password": "correct horse",
            "recoveryKey": rotation.did_key().to_string(),
        });
        let client = Client::new(old.text("pds"));
        let made = client.post("com.atproto.server.createAccount", &input).await.unwrap();
        let alice = client.with_token(made["accessJwt"].as_str().unwrap());
        let did = made["did"].as_str().unwrap().parse().unwrap();
        fs::write(dir.path().join("password"), "correct horse").unwrap();
        Self { dir, plc, old, new, alice, did, rotation }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY).args(arguments).current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// The JSON of a success.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn export(&self, more: &[&str]) -> Output {
        let who =
            ["account", "export", "alice.test", "--plc", self.plc.text("plc"), "--resolver", self.old.text("pds")];
        self.run(&[&who[..], more].concat())
    }

    async fn records(&self, server: &Running) -> Value {
        let query = format!("com.atproto.repo.listRecords?repo={}&collection=com.example.post&limit=100", self.did);
        Client::new(server.text("pds")).get(&query).await.unwrap()["records"].clone()
    }

    /// Posts, a picture, preferences, a delegation.
    async fn fill(&self) -> Vec<String> {
        let mut pictures = Vec::new();
        for n in 0..3 {
            let picture = format!("picture {n}");
            let blob =
                self.alice.upload("com.atproto.repo.uploadBlob", "text/plain", picture.as_bytes()).await.unwrap();
            pictures.push(blob["blob"]["ref"]["$link"].as_str().unwrap().to_owned());
            let record = json!({"text": n, "picture": blob["blob"]});
            let input = json!({"repo": self.did, "collection": "com.example.post", "record": record});
            self.alice.post("com.atproto.repo.createRecord", &input).await.unwrap();
        }
        self.alice.post("app.bsky.actor.putPreferences", &preferences()).await.unwrap();
        let made = self.run(&["key", "new", "a.key", "--type", "ed25519", "--no-words", "--json"]);
        assert!(made.status.success(), "{}", said(&made));
        let account =
            ["delegate", "create", "--identifier", "alice.test", "--password-file", "password", "--key", "a.key"];
        let servers = ["--plc", self.plc.text("plc"), "--server", self.old.text("pds")];
        let delegated = self.run(&[&account[..], &servers].concat());
        assert!(delegated.status.success(), "{}", said(&delegated));
        pictures
    }

    /// The old server's word for an account at the new one, in a file.
    async fn get_proof(&self) {
        let described = Client::new(self.new.text("pds")).get("com.atproto.server.describeServer").await.unwrap();
        let proof = format!(
            "com.atproto.server.getServiceAuth?aud={}&lxm=com.atproto.server.createAccount",
            described["did"].as_str().unwrap()
        );
        let proof = self.alice.get(&proof).await.unwrap()["token"].as_str().unwrap().to_owned();
        fs::write(self.path("proof"), proof).unwrap();
    }

    /// Lets the DID name the new server and its key, signed by the owner's own key.
    async fn change_identity(&self, credentials: &Value) {
        let plc = PlcClient::new(&self.plc.text("plc").parse().unwrap(), &OutboundOptions::default()).unwrap();
        let log = plc.audit_log(&self.did).await.unwrap();
        let last = log.last().unwrap();
        let mut next = UnsignedOperation { prev: Some(last.cid), ..last.operation.normalized().unwrap() };
        let text = |pointer: &str| credentials.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        next.verification_methods.insert("atproto".to_owned(), text("/verificationMethods/atproto"));
        let (kind, endpoint) = (text("/services/atproto_pds/type"), text("/services/atproto_pds/endpoint"));
        next.services.insert("atproto_pds".to_owned(), Service { kind, endpoint });
        next.rotation_keys.push(text("/rotationKeys/0"));
        next.rotation_keys.dedup();
        plc.post(&self.did, &serde_json::to_string(&next.sign(&self.rotation)).unwrap()).await.unwrap();
    }
}

fn preferences() -> Value {
    json!({"preferences": [
        {"$type": "app.bsky.actor.defs#personalDetailsPref", "birthDate": "1990-05-05T00:00:00.000Z"},
        {"$type": "app.bsky.actor.defs#adultContentPref", "enabled": false},
    ]})
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

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

/// A server in front of another, which is gone for good as soon as a method was asked for so many times: requests before
/// that are answered, that one is not.
async fn gone_at(server: &Running, method: &'static str, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let behind = server.text("pds").strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1");
    tokio::spawn(async move {
        let fuse = Arc::new(Fuse { wanted: format!("POST /xrpc/{method} "), left: times.into(), gone: Notify::new() });
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                // What is open is aborted with its set.
                () = fuse.gone.notified() => return,
                stream = listener.accept() => {
                    open.spawn(pass(stream.unwrap().0, behind.clone(), Arc::clone(&fuse)));
                }
            }
        }
    });
    url
}

struct Fuse {
    wanted: String,
    left: AtomicUsize,
    gone: Notify,
}

async fn pass(mut near: TcpStream, behind: String, fuse: Arc<Fuse>) {
    let mut far = TcpStream::connect(&behind).await.unwrap();
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = near.read(&mut up) => {
                let Some(read) = read.ok().filter(|read| *read > 0) else { return };
                let is_wanted = up[..read].windows(fuse.wanted.len()).any(|text| text == fuse.wanted.as_bytes());
                if is_wanted && fuse.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    fuse.gone.notify_one();
                    return;
                }
                far.write_all(&up[..read]).await.unwrap();
            }
            read = far.read(&mut down) => {
                let Some(read) = read.ok().filter(|read| *read > 0) else { return };
                near.write_all(&down[..read]).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_whose_server_went_away_goes_on_when_the_same_command_is_run_again() {
    let world = World::new().await;
    world.fill().await;
    let exported = world.export(&["--output", "alice.tar", "--password-file", "password"]);
    assert!(exported.status.success(), "{}", said(&exported));
    world.get_proof().await;
    let import = |server: &str| {
        let command = ["account", "import", "alice.tar", "--server", server, "--password-file", "password", "--json"];
        let home = ["--proof-file", "proof", "--handle", "alice.test", "--email", "alice@example.com"];
        world.run(&[&command[..], &home].concat())
    };
    // Before the repository; after it and before any picture; between two pictures; after the last.
    for (method, times, missing) in [
        ("com.atproto.repo.importRepo", 1, None),
        ("com.atproto.repo.uploadBlob", 1, Some(3)),
        ("com.atproto.repo.uploadBlob", 2, Some(2)),
        ("app.bsky.actor.putPreferences", 1, Some(0)),
    ] {
        let server = gone_at(&world.new, method, times).await;
        let gone = import(&server);
        assert_eq!(gone.status.code(), Some(1), "{method}: {}", said(&gone));
        assert!(said(&gone).contains("run this again, it goes on"), "{method}: {}", said(&gone));
        let input = json!({"identifier": world.did, "password": "correct horse"});
        let there = Client::new(world.new.text("pds"));
        let session = there.post("com.atproto.server.createSession", &input).await.unwrap();
        let alice = there.with_token(session["accessJwt"].as_str().unwrap());
        let status = alice.get("com.atproto.server.checkAccountStatus").await.unwrap();
        let wanted = missing.map_or((0, 0), |missing| (4, 3 - missing));
        let counted = (&status["indexedRecords"], &status["importedBlobs"]);
        assert_eq!(counted, (&json!(wanted.0), &json!(wanted.1)), "{method} {times}: {status}");
    }
    let whole = import(world.new.text("pds"));
    assert!(whole.status.success(), "{}", said(&whole));
    let restored: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!([&restored["records"], &restored["blobs"]], [&json!(4), &json!(0)]);
    assert_eq!((&restored["missingBlobs"], &restored["preferences"]), (&json!([]), &json!(true)));
    // Another's password opens nothing, and then the refusal is what is said.
    fs::write(world.path("password"), "another horse").unwrap();
    let refused = import(world.new.text("pds"));
    assert!(refused.status.code() == Some(1) && !said(&refused).contains("going on"), "{}", said(&refused));
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
