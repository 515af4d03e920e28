//! An import that is interrupted, by its server or in the middle of itself, and run again.

use super::{
    support::{Client, PATIENCE, Running},
    world::{World, names_in, preferences, said},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// What stops: the request before the server sees it, or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stops {
    Request,
    Answer,
}

/// Stands in front of a server and passes everything on until a method was asked for so many times: that request, or its
/// answer, stops here. The server is gone for good when this is dropped.
struct Front {
    url: String,
    fuse: Arc<Fuse>,
    passing: JoinHandle<()>,
}

struct Fuse {
    wanted: String,
    left: AtomicUsize,
    stops: Stops,
    blown: Notify,
}

impl Front {
    async fn of(server: &Running, method: &str, times: usize, stops: Stops) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let behind = server.text("pds").strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1");
        let wanted = format!("POST /xrpc/{method} ");
        let fuse = Arc::new(Fuse { wanted, left: times.into(), stops, blown: Notify::new() });
        let shared = Arc::clone(&fuse);
        let passing = tokio::spawn(async move {
            // What is open is aborted with its set.
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                open.spawn(pass(near, behind.clone(), Arc::clone(&shared)));
            }
        });
        Self { url, fuse, passing }
    }

    /// Until the request, or its answer, is held here.
    async fn blown(&self) {
        timeout(PATIENCE, self.fuse.blown.notified()).await.unwrap();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

async fn pass(mut near: TcpStream, behind: String, fuse: Arc<Fuse>) {
    let mut far = TcpStream::connect(&behind).await.unwrap();
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut stops_answer = false;
    loop {
        tokio::select! {
            read = near.read(&mut up) => {
                let Some(read) = read.ok().filter(|read| *read > 0) else { return };
                let is_wanted = up[..read].windows(fuse.wanted.len()).any(|text| text == fuse.wanted.as_bytes());
                if is_wanted && fuse.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    if fuse.stops == Stops::Request {
                        break;
                    }
                    stops_answer = true;
                }
                far.write_all(&up[..read]).await.unwrap();
            }
            read = far.read(&mut down) => {
                let Some(read) = read.ok().filter(|read| *read > 0) else { return };
                if stops_answer {
                    break;
                }
                near.write_all(&down[..read]).await.unwrap();
            }
        }
    }
    fuse.blown.notify_one();
    std::future::pending::<()>().await;
}

/// The command that brings the archive to a server, making the account first.
fn import_to(server: &str) -> Vec<&str> {
    let command = ["account", "import", "alice.tar", "--server", server, "--password-file", "password", "--json"];
    let home = ["--proof-file", "proof", "--handle", "alice.test", "--email", "alice@example.com"];
    [&command[..], &home].concat()
}

/// A client of the account at the new server.
async fn alice(world: &World) -> Client {
    let there = Client::new(world.new.text("pds"));
    let input = json!({"identifier": world.did, "password": "correct horse"});
    let session = there.post("com.atproto.server.createSession", &input).await.unwrap();
    there.with_token(session["accessJwt"].as_str().unwrap())
}

async fn status(world: &World) -> Value {
    alice(world).await.get("com.atproto.server.checkAccountStatus").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_whose_server_went_away_goes_on_when_the_same_command_is_run_again() {
    let world = World::new().await;
    world.fill().await;
    let exported = world.export(&["--output", "alice.tar", "--password-file", "password"]);
    assert!(exported.status.success(), "{}", said(&exported));
    world.get_proof().await;
    let import = |server: &str| -> Output { world.run(&import_to(server)) };
    // Before the repository; after it and before any picture; between two pictures; after the last.
    for (method, times, missing) in [
        ("com.atproto.repo.importRepo", 1, None),
        ("com.atproto.repo.uploadBlob", 1, Some(3)),
        ("com.atproto.repo.uploadBlob", 2, Some(2)),
        ("app.bsky.actor.putPreferences", 1, Some(0)),
    ] {
        let front = Front::of(&world.new, method, times, Stops::Request).await;
        let url = front.url.clone();
        tokio::spawn(async move {
            front.blown().await;
            drop(front);
        });
        let gone = import(&url);
        assert_eq!(gone.status.code(), Some(1), "{method}: {}", said(&gone));
        assert!(said(&gone).contains("run this again, it goes on"), "{method}: {}", said(&gone));
        let status = status(&world).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on_when_the_same_command_is_run_again() {
    let world = World::new().await;
    let pictures = world.fill().await;
    let exported = world.export(&["--output", "alice.tar", "--password-file", "password"]);
    assert!(exported.status.success(), "{}", said(&exported));
    world.get_proof().await;
    let scratch = tempfile::tempdir().unwrap();
    // Each goes on from where the one before was killed. What is there then: records, pictures; none: no account.
    for (method, times, stops, there) in [
        ("com.atproto.server.createAccount", 1, Stops::Request, None),
        ("com.atproto.server.createAccount", 1, Stops::Answer, Some((0, 0))),
        ("com.atproto.repo.importRepo", 1, Stops::Request, Some((0, 0))),
        ("com.atproto.repo.importRepo", 1, Stops::Answer, Some((4, 0))),
        ("com.atproto.repo.uploadBlob", 1, Stops::Request, Some((4, 0))),
        ("com.atproto.repo.uploadBlob", 2, Stops::Answer, Some((4, 2))),
        ("com.atproto.repo.uploadBlob", 1, Stops::Request, Some((4, 2))),
        ("com.atproto.repo.uploadBlob", 1, Stops::Answer, Some((4, 3))),
        ("app.bsky.actor.putPreferences", 1, Stops::Request, Some((4, 3))),
        ("app.bsky.actor.putPreferences", 1, Stops::Answer, Some((4, 3))),
    ] {
        let front = Front::of(&world.new, method, times, stops).await;
        let mut command = world.command(&import_to(&front.url));
        let quiet = command.env("TMPDIR", scratch.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = quiet.spawn().unwrap();
        front.blown().await;
        running.kill().unwrap();
        assert_eq!(running.wait().unwrap().signal(), Some(9), "{method} {stops:?}: it was still at work");
        let Some((records, blobs)) = there else {
            let listed = Client::new(world.new.text("pds")).get("com.atproto.sync.listRepos").await.unwrap();
            assert_eq!(listed["repos"], json!([]));
            continue;
        };
        let status = status(&world).await;
        let counted = (&status["indexedRecords"], &status["importedBlobs"]);
        assert_eq!(counted, (&json!(records), &json!(blobs)), "{method} {times} {stops:?}: {status}");
        assert_eq!(names_in(scratch.path()), [""; 0], "nothing is left in the directory for scratch files");
    }
    let whole = world.run(&import_to(world.new.text("pds")));
    assert!(whole.status.success(), "{}", said(&whole));
    let restored: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!([&restored["records"], &restored["blobs"]], [&json!(4), &json!(0)]);
    assert_eq!((&restored["missingBlobs"], &restored["preferences"]), (&json!([]), &json!(true)));
    let alice = alice(&world).await;
    for (n, cid) in pictures.iter().enumerate() {
        let query = format!("com.atproto.sync.getBlob?did={}&cid={cid}", world.did);
        assert_eq!(alice.bytes(&query).await, format!("picture {n}").as_bytes());
    }
    let kept = alice.get("app.bsky.actor.getPreferences").await.unwrap();
    assert_eq!(kept["preferences"].as_array().unwrap()[..2], preferences()["preferences"].as_array().unwrap()[..]);
}
