//! `housekey key`, `verify` and `watch`, as their user meets them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where its server does")]

mod support;

use housekey::{
    clock::{Clock, SystemClock},
    crypto::{Curve, DelegateSigningKey, KeyType, SigningKey},
    delegation::{DelegationId, Draft, Statement, VerifiedLog, plan_operation},
    entropy::OsEntropy,
    outbound::{OutboundOptions, PlcClient},
    plc::{Operation, UnsignedOperation},
    syntax::Did,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};
use support::{BINARY, Client, Running};

fn housekey(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

fn verify(server: &Running, actor: &str, more: &[&str]) -> Output {
    let asked = ["verify", actor, "--plc", server.text("plc"), "--resolver", server.text("pds")];
    housekey(&[&asked[..], more].concat())
}

fn id() -> DelegationId {
    DelegationId::default()
}

/// A DID in a directory whose rotation key the test has.
struct Owned {
    did: Did,
    rotation: SigningKey,
    plc: PlcClient,
}

impl Owned {
    fn new(did: Did, rotation: SigningKey, server: &Running) -> Self {
        let plc = PlcClient::new(&server.text("plc").parse().unwrap(), &OutboundOptions::default()).unwrap();
        Self { did, rotation, plc }
    }

    /// A DID of its own, at a PDS that is nobody's.
    async fn made(server: &Running, pds: &str) -> Self {
        let rotation = SigningKey::generate(Curve::K256, &OsEntropy);
        let signing = SigningKey::generate(Curve::K256, &OsEntropy).did_key();
        let handle = "dora.test".parse().unwrap();
        let genesis =
            UnsignedOperation::genesis(&signing, &handle, pds, vec![rotation.did_key().to_string()]).sign(&rotation);
        let owned = Self::new(genesis.did_for_genesis(), rotation, server);
        owned.plc.post(&owned.did, &serde_json::to_string(&genesis).unwrap()).await.unwrap();
        owned
    }

    /// Names a key, or none, without asking any server; gives a statement of the change.
    async fn name(&self, key: Option<&DelegateSigningKey>, endorser: Option<&DelegateSigningKey>) -> Option<Statement> {
        let (operation, statement) = self.prepare(key, endorser).await;
        self.post(&operation).await;
        statement
    }

    /// The operation for that and the statement.
    async fn prepare(
        &self,
        key: Option<&DelegateSigningKey>,
        endorser: Option<&DelegateSigningKey>,
    ) -> (Operation, Option<Statement>) {
        let entries = self.plc.audit_log(&self.did).await.unwrap();
        let log = VerifiedLog::new(&self.did, &entries).unwrap();
        let public = key.map(DelegateSigningKey::public);
        let operation = plan_operation(&log, &id(), public.as_ref()).unwrap().sign(&self.rotation);
        let (did, prev, created_at) = (self.did.clone(), Some(log.head()), SystemClock.now());
        let draft = Draft { did, id: id(), key: public, prev, created_at };
        (operation, draft.sign(key, endorser).ok())
    }

    async fn post(&self, operation: &Operation) {
        self.plc.post(&self.did, &serde_json::to_string(operation).unwrap()).await.unwrap();
    }
}

/// A PDS that says what it is told to say of one delegation.
struct FakePds {
    url: String,
    statements: Arc<Mutex<Vec<Statement>>>,
    answered: mpsc::Receiver<()>,
}

impl FakePds {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let statements: Arc<Mutex<Vec<Statement>>> = Arc::default();
        let said = Arc::clone(&statements);
        let (answers, answered) = mpsc::channel();
        // Lives as long as the test's process.
        drop(thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut piece = [0; 1024];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let count = stream.read(&mut piece).unwrap();
                    if count == 0 {
                        break;
                    }
                    request.extend_from_slice(piece.get(..count).unwrap());
                }
                let (status, body) = answer(&String::from_utf8_lossy(&request), &said.lock().unwrap());
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                drop(stream.write_all(format!("{head}{body}").as_bytes()));
                if answers.send(()).is_err() {
                    return;
                }
            }
        }));
        Self { url, statements, answered }
    }

    /// Waits until a reader has its three answers: statements, data, declaration.
    fn asked(&self) {
        for _ in 0..3 {
            self.answered.recv_timeout(support::PATIENCE).unwrap();
        }
    }

    fn says(&self, statements: impl IntoIterator<Item = Statement>) {
        *self.statements.lock().unwrap() = statements.into_iter().collect();
    }
}

fn answer(request: &str, statements: &[Statement]) -> (&'static str, String) {
    if request.contains("/xrpc/dev.housekey.delegation.getDelegation?") {
        let statements: Vec<_> = statements.iter().map(Statement::to_json).collect();
        ("200 OK", json!({"statements": statements}).to_string())
    } else if request.contains("/xrpc/dev.housekey.delegation.getAssociatedData?") {
        ("200 OK", json!({"apps": {}}).to_string())
    } else {
        ("400 Bad Request", json!({"error": "RecordNotFound", "message": "no"}).to_string())
    }
}

#[test]
fn a_new_key_is_its_owners_alone_is_never_overwritten_and_comes_back_from_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for kind in ["ed25519", "p256", "k256"] {
        let (file, again, words_file) = (path(kind), path(&format!("{kind}.again")), path(&format!("{kind}.words")));
        let made = housekey(&["key", "new", &file, "--type", kind, "--json"]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let made = json_of(&made);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = housekey(&["key", "new", &file, "--type", kind]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("exists"), "{}", text(&refused.stderr));
        std::fs::write(&words_file, made["words"].as_str().unwrap()).unwrap();
        let key = made["key"].as_str().unwrap();
        let restored = housekey(&["key", "restore", &again, "--words-file", &words_file, "--expect", key]);
        assert!(restored.status.success(), "{}", text(&restored.stderr));
        let shown = json_of(&housekey(&["key", "show", &again, "--json"]));
        assert_eq!(shown["key"], made["key"]);
        assert_eq!(shown["fingerprint"], made["fingerprint"]);
    }
}

#[test]
fn a_locked_key_shows_its_public_half_and_its_words_only_for_the_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (file, right, wrong) = (path("key"), path("right"), path("wrong"));
    std::fs::write(&right, "correct horse\n").unwrap();
    std::fs::write(&wrong, "battery staple\n").unwrap();
    let made = json_of(&housekey(&["key", "new", &file, "--passphrase-file", &right, "--json"]));
    assert_eq!(json_of(&housekey(&["key", "show", &file, "--json"]))["key"], made["key"]);
    let words =
        |passphrase: &str| housekey(&["key", "show", &file, "--words", "--json", "--passphrase-file", passphrase]);
    assert_eq!(json_of(&words(&right))["words"], made["words"]);
    let refused = words(&wrong);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("passphrase"), "{}", text(&refused.stderr));
}

#[test]
fn an_account_without_a_delegation_is_none_and_a_stranger_is_unavailable() {
    let server = Running::dev(&["--accounts", "alice"]);
    let none = verify(&server, "alice.test", &["--json"]);
    assert_eq!(none.status.code(), Some(4), "{}", text(&none.stderr));
    let wanted = r#"{"status":"none","log":"plc","complete":true,"resets":[],"nullified":[],"recent":false,"vsPin":"none","declaration":"absent"}"#;
    assert_eq!(text(&none.stdout).trim(), wanted);
    for stranger in ["nobody.test", "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"] {
        let unknown = verify(&server, stranger, &["--json"]);
        assert_eq!(unknown.status.code(), Some(3), "{stranger}");
        assert_eq!(json_of(&unknown)["status"], "unavailable", "{stranger}");
    }
    let plain = verify(&server, "alice.test", &[]);
    assert!(text(&plain.stdout).contains("NONE"), "{}", text(&plain.stdout));
}

#[tokio::test]
async fn a_key_in_the_document_without_a_statement_is_unproven() {
    let server = Running::dev(&["--accounts", ""]);
    let rotation = SigningKey::generate(Curve::P256, &OsEntropy);
    let request = json!({
        "handle": "carol.test", "email": "carol@example.com", "password": "correct horse",
        "recoveryKey": rotation.did_key().to_string(),
    });
    let made = Client::new(server.text("pds")).post("com.atproto.server.createAccount", &request).await.unwrap();
    let carol = Owned::new(made["did"].as_str().unwrap().parse().unwrap(), rotation, &server);
    let key = DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy);
    carol.name(Some(&key), None).await;
    let unproven = verify(&server, "carol.test", &["--json"]);
    assert_eq!(unproven.status.code(), Some(2), "{}", text(&unproven.stderr));
    let verdict = json_of(&unproven);
    assert_eq!((&verdict["status"], &verdict["complete"]), (&json!("unproven"), &json!(false)));
    assert!(text(&verify(&server, "carol.test", &[]).stdout).contains(&key.public().to_string()));
}

#[tokio::test]
async fn what_was_remembered_is_compared_and_a_warning_stays_until_it_is_accepted() {
    let server = Running::dev(&["--accounts", ""]);
    let pds = FakePds::start();
    let dora = Owned::made(&server, &pds.url).await;
    let keys: Vec<_> = KeyType::ALL.iter().map(|kind| DelegateSigningKey::generate(*kind, &OsEntropy)).collect();
    let dir = tempfile::tempdir().unwrap();
    let pin = dir.path().join("pins.json");
    let pin = pin.to_str().unwrap();
    let look = |more: &[&str]| {
        let output = verify(&server, dora.did.as_str(), &[&["--json", "--pin", pin], more].concat());
        let verdict = json_of(&output);
        assert_eq!(verdict["status"], "verified", "{}", text(&output.stderr));
        (output.status.code().unwrap(), verdict["vsPin"].as_str().unwrap().to_owned())
    };

    let first = dora.name(Some(&keys[0]), None).await.unwrap();
    pds.says([first.clone()]);
    assert_eq!(look(&[]), (0, "none".into()));
    assert_eq!(look(&[]), (0, "same".into()));

    let second = dora.name(Some(&keys[1]), Some(&keys[0])).await.unwrap();
    pds.says([first.clone(), second.clone()]);
    assert_eq!(look(&[]), (0, "successor".into()));
    assert_eq!(look(&[]), (0, "same".into()));

    let third = dora.name(Some(&keys[2]), None).await.unwrap();
    pds.says([first, second, third]);
    assert_eq!(look(&[]), (1, "reset".into()));
    assert_eq!(look(&[]), (1, "reset".into()), "a warning does not go away by itself");
    assert_eq!(look(&["--accept"]), (1, "reset".into()));
    assert_eq!(look(&[]), (1, "same".into()), "the reset stays in the history for good");
    assert_eq!(std::fs::read_dir(Path::new(pin).parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_ended_delegation_is_told_from_one_that_never_was() {
    let server = Running::dev(&["--accounts", ""]);
    let pds = FakePds::start();
    let dora = Owned::made(&server, &pds.url).await;
    let key = DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy);
    let first = dora.name(Some(&key), None).await.unwrap();
    let end = dora.name(None, Some(&key)).await.unwrap();
    pds.says([first, end]);
    let ended = verify(&server, dora.did.as_str(), &[]);
    assert_eq!(ended.status.code(), Some(4));
    assert!(text(&ended.stdout).contains("ended by the key"), "{}", text(&ended.stdout));
}

#[test]
fn who_does_not_read_to_the_end_breaks_nothing_and_what_cannot_be_written_is_told() {
    let server = Running::dev(&["--accounts", "alice"]);
    let asked = |stdout: Stdio| {
        let mut command = Command::new(BINARY);
        command.args(["verify", "alice.test", "--plc", server.text("plc"), "--resolver", server.text("pds")]);
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), text(&output.stderr))
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(asked(writer.into()), (4, String::new()), "the verdict is the same for nobody");
    let (code, said) = asked(std::fs::File::create("/dev/full").unwrap().into());
    assert_eq!((code, said.lines().count()), (3, 1), "{said}");
    assert!(said.starts_with("error: standard output cannot be written"), "{said}");
}

#[test]
fn no_failure_of_verify_looks_like_a_key_that_was_verified() {
    let server = Running::dev(&["--accounts", "alice"]);
    let dir = tempfile::tempdir().unwrap();
    let pin = dir.path().join("pins.json");
    std::fs::write(&pin, "something else").unwrap();
    let broken = verify(&server, "alice.test", &["--pin", pin.to_str().unwrap()]);
    assert_eq!(broken.status.code(), Some(3), "{}", text(&broken.stderr));
    assert_eq!(text(&broken.stdout), "");
    let missing = verify(&server, "alice.test", &["--ca-file", "/nonexistent"]);
    assert_eq!(missing.status.code(), Some(3), "{}", text(&missing.stderr));
    for wrong in [["--id", "UPPER"], ["--plc", "nowhere"], ["--pins", "x"]] {
        assert_eq!(verify(&server, "alice.test", &wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn an_id_of_the_protocols_own_is_no_delegation_for_any_command() {
    for command in [
        &["verify", "alice.test"][..],
        &["watch", "alice.test"],
        &["delegate", "create", "--identifier", "alice.test", "--key", "a.key"],
        &["delegate", "rotate", "--identifier", "alice.test", "--lost", "--next", "a.key"],
        &["delegate", "end", "--identifier", "alice.test", "--lost"],
        &["delegate", "data", "--identifier", "alice.test", "--key", "a.key", "--domain", "example.com"],
    ] {
        for id in ["atproto", "atproto_label"] {
            let refused = housekey(&[command, &["--id", id]].concat());
            assert_eq!(refused.status.code(), Some(2), "{command:?}");
            assert!(text(&refused.stderr).contains("belong to the protocol"), "{}", text(&refused.stderr));
        }
    }
}

#[test]
fn every_command_of_a_delegation_shows_examples() {
    for command in [
        &["key"][..],
        &["key", "new"],
        &["key", "show"],
        &["key", "restore"],
        &["delegate"],
        &["delegate", "create"],
        &["delegate", "rotate"],
        &["delegate", "end"],
        &["delegate", "show"],
        &["delegate", "data"],
        &["verify"],
        &["watch"],
    ] {
        let help = housekey(&[command, &["--help"]].concat());
        let help = text(&help.stdout);
        let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{command:?}: {help}"));
        assert!(examples.contains(&format!("  housekey {} ", command.join(" "))), "{command:?}: {examples}");
    }
}

/// `housekey watch` of one DID, connected: its lines, until it is dropped.
struct Watching {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Watching {
    fn start(server: &Running, did: &Did, more: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["watch", did.as_str(), "--json", "--plc", server.text("plc")])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines: Some(lines) }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.as_mut().unwrap().next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn a_watcher_tells_a_reset_and_runs_its_hook() {
    let server = Running::dev(&["--accounts", ""]);
    let pds = FakePds::start();
    let dora = Owned::made(&server, &pds.url).await;
    let keys: Vec<_> = (0..3).map(|_| DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy)).collect();
    let first = dora.name(Some(&keys[0]), None).await.unwrap();
    pds.says([first.clone()]);
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("told");
    let hook = format!("echo $DELEGATION_KIND $DELEGATION_STATUS $DELEGATION_KEY >> {}", told.display());
    let mut watching = Watching::start(&server, &dora.did, &["--hook", &hook]);
    pds.asked();

    // Said before it is posted, as a server with a statement at hand does.
    let second = dora.prepare(Some(&keys[1]), Some(&keys[0])).await;
    pds.says([first.clone(), second.1.clone().unwrap()]);
    dora.post(&second.0).await;
    let line = watching.next();
    assert_eq!((&line["kind"], &line["status"]), (&json!("endorsed"), &json!("verified")), "{line}");
    assert_eq!(line["key"], keys[1].public().to_string());

    let third = dora.prepare(Some(&keys[2]), None).await;
    pds.says([first, second.1.unwrap(), third.1.unwrap()]);
    dora.post(&third.0).await;
    let line = watching.next();
    assert_eq!((&line["kind"], &line["status"]), (&json!("reset"), &json!("verified")), "{line}");
    drop(watching);
    let told = std::fs::read_to_string(&told).unwrap();
    assert!(told.starts_with(&format!("endorsed verified {}", keys[1].public())), "{told}");
}

#[tokio::test]
async fn a_watcher_that_nobody_reads_says_so_and_ends() {
    let server = Running::dev(&["--accounts", ""]);
    let pds = FakePds::start();
    let dora = Owned::made(&server, &pds.url).await;
    let key = DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy);
    let mut watching = Watching::start(&server, &dora.did, &[]);
    pds.asked();
    drop(watching.lines.take());
    let (operation, statement) = dora.prepare(Some(&key), None).await;
    pds.says(statement);
    dora.post(&operation).await;
    assert_eq!(watching.child.wait().unwrap().code(), Some(1));
}
