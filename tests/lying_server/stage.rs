//! An honest server and an honest directory, what lies in front of each, and a reader who asks only those in front.

use crate::support::{BINARY, Client, PATIENCE, Running, free_port, serve};
use housekey::{
    clock::{Clock, SystemClock},
    crypto::{Curve, DelegateKey, DelegateSigningKey, KeyType, SigningKey},
    delegation::{AppDataDraft, DelegationId, Draft, Statement},
    entropy::OsEntropy,
    ipld::{Cid, Map},
    outbound::{OutboundOptions, PlcClient},
    plc::{Entry, Operation, UnsignedOperation, log::standing},
    syntax::{Did, Tid},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// What is done to an answer: the path that was asked for, and the answer's JSON.
type Lie = Box<dyn Fn(&str, &mut Value) + Send>;

/// Stands before a server, passes every request on, and tells of the answers what it likes.
pub(crate) struct Face {
    pub(crate) url: String,
    lie: Arc<Mutex<Lie>>,
}

impl Face {
    fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let lie: Arc<Mutex<Lie>> = Arc::new(Mutex::new(Box::new(|_, _| {})));
        let told = Arc::clone(&lie);
        // Lives as long as the test's process.
        drop(thread::spawn(move || {
            for stream in listener.incoming() {
                let told = Arc::clone(&told);
                drop(thread::spawn(move || pass_on(stream.unwrap(), port, &told)));
            }
        }));
        Self { url, lie }
    }

    /// From now on the answers are changed so.
    pub(crate) fn lies(&self, lie: impl Fn(&str, &mut Value) + Send + 'static) {
        *self.lie.lock().unwrap() = Box::new(lie);
    }

    pub(crate) fn is_honest_again(&self) {
        self.lies(|_, _| {});
    }

    /// Answers about one delegation give these statements.
    pub(crate) fn tells(&self, statements: impl IntoIterator<Item = Value>) {
        let statements: Vec<Value> = statements.into_iter().collect();
        self.lies(move |path, answer| {
            if path.contains("getDelegation?") {
                answer["statements"] = json!(statements);
            }
        });
    }

    /// The log of every DID is this one.
    pub(crate) fn shows(&self, log: &[Entry]) {
        let log = json!(log);
        self.lies(move |path, answer| {
            if path.ends_with("/log/audit") {
                *answer = log.clone();
            }
        });
    }
}

fn pass_on(mut stream: TcpStream, port: u16, lie: &Mutex<Lie>) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(count @ 1..) => request.extend_from_slice(&piece[..count]),
            Ok(0) | Err(_) => return,
        }
    }
    let head = String::from_utf8(request).unwrap();
    let path = head.split_whitespace().nth(1).unwrap().to_owned();
    let mut behind = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(behind, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    behind.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[..end]).lines().next().unwrap().to_owned();
    let mut body = answer[end + 4..].to_vec();
    if let Ok(mut json) = serde_json::from_slice::<Value>(&body) {
        lie.lock().unwrap()(&path, &mut json);
        body = serde_json::to_vec(&json).unwrap();
    }
    // A lie may turn a refusal into an answer, and the other way round.
    let is_error = serde_json::from_slice::<Value>(&body).is_ok_and(|json| json.get("error").is_some());
    let status = if is_error || status.contains(" 200 ") { status } else { "HTTP/1.1 200 OK".to_owned() };
    let status = if is_error && status.contains(" 200 ") { "HTTP/1.1 400 Bad Request".to_owned() } else { status };
    let head = format!(
        "{status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    drop(stream.write_all(head.as_bytes()));
    drop(stream.write_all(&body));
}

/// What a reader found out.
pub(crate) struct Seen {
    /// The exit code.
    pub(crate) code: i32,
    /// The verdict.
    pub(crate) verdict: Value,
    /// What people read.
    pub(crate) text: String,
}

impl Seen {
    pub(crate) fn status(&self) -> &str {
        self.verdict["status"].as_str().unwrap()
    }

    pub(crate) fn vs_pin(&self) -> &str {
        self.verdict["vsPin"].as_str().unwrap()
    }

    /// The keys of the resets, in the order of the log.
    pub(crate) fn resets(&self) -> Vec<String> {
        let resets = self.verdict["resets"].as_array().unwrap();
        resets.iter().map(|reset| reset["key"].as_str().unwrap().to_owned()).collect()
    }

    /// The keys that nullified operations had named.
    pub(crate) fn nullified(&self) -> Vec<String> {
        let nullified = self.verdict["nullified"].as_array().unwrap();
        nullified.iter().map(|one| one["key"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Everything: whoever runs `server` has its rotation key, the owner has a stronger one and the delegate keys.
pub(crate) struct Stage {
    pub(crate) did: Did,
    pub(crate) id: DelegationId,
    /// The server's rotation key.
    pub(crate) rotation: SigningKey,
    /// The owner's own, which outranks it.
    pub(crate) owner: SigningKey,
    /// What stands before the server.
    pub(crate) pds: Face,
    /// What stands before the directory.
    pub(crate) mirror: Face,
    pub(crate) session: Client,
    plc: PlcClient,
    dir: TempDir,
    _running: [Running; 2],
}

impl Stage {
    /// With a delegation of this key, made as its owner does.
    pub(crate) async fn with(first: &DelegateSigningKey) -> Self {
        let stage = Self::new().await;
        let statement = stage.claim(Some(first), None).await;
        stage
            .session
            .post("dev.housekey.delegation.createDelegation", &json!({ "statement": statement }))
            .await
            .unwrap();
        stage
    }

    pub(crate) async fn new() -> Self {
        let directory = Running::dev(&["--accounts", "", "--no-plc-limits"]);
        let plc_port = directory.text("plc").rsplit(':').next().unwrap().parse().unwrap();
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let (pds, mirror) = (Face::before(port), Face::before(plc_port));
        let (rotation, owner) =
            (SigningKey::generate(Curve::K256, &OsEntropy), SigningKey::generate(Curve::P256, &OsEntropy));
        let hex = data_encoding::HEXLOWER.encode(rotation.to_bytes().as_slice());
        let mut command = serve(dir.path(), port, directory.text("plc"));
        command
            .env("HOUSEKEY_SERVER_PUBLIC_URL", &pds.url)
            .env("HOUSEKEY_IDENTITY_ROTATION_KEY", hex)
            .env("HOUSEKEY_IDENTITY_RECOVERY_DID_KEY", owner.did_key().to_string());
        let server = Running::start(&mut command);
        let (session, did) = Client::new(&format!("http://localhost:{port}")).sign_up("olivia.test").await;
        let plc = PlcClient::new(&directory.text("plc").parse().unwrap(), &OutboundOptions::default()).unwrap();
        Self {
            did: did.parse().unwrap(),
            id: DelegationId::default(),
            rotation,
            owner,
            pds,
            mirror,
            session,
            plc,
            dir,
            _running: [directory, server],
        }
    }

    /// The true log.
    pub(crate) async fn log(&self) -> Vec<Entry> {
        self.plc.audit_log(&self.did).await.unwrap()
    }

    pub(crate) async fn head(&self) -> Cid {
        standing(&self.log().await).next_back().unwrap().cid
    }

    /// A statement at the head of the log.
    pub(crate) async fn claim(&self, key: Option<&DelegateSigningKey>, endorser: Option<&DelegateSigningKey>) -> Value {
        self.claim_at(self.head().await, key, endorser)
    }

    /// A statement with this `prev`.
    pub(crate) fn claim_at(
        &self,
        prev: Cid,
        key: Option<&DelegateSigningKey>,
        endorser: Option<&DelegateSigningKey>,
    ) -> Value {
        let public = key.map(DelegateSigningKey::public);
        let (did, id, created_at) = (self.did.clone(), self.id.clone(), SystemClock.now());
        let draft = Draft { did, id, key: public, prev: Some(prev), created_at };
        draft.sign(key, endorser).unwrap().to_json()
    }

    /// The owner names the next key in the way of the contract.
    pub(crate) async fn rotate(&self, next: &DelegateSigningKey, endorser: &DelegateSigningKey) {
        let statement = self.claim(Some(next), Some(endorser)).await;
        self.session
            .post("dev.housekey.delegation.updateDelegation", &json!({ "statement": statement }))
            .await
            .unwrap();
    }

    /// The operation after `prev` by which the id names this key, or none.
    pub(crate) fn naming(&self, log: &[Entry], prev: Cid, key: Option<&DelegateKey>, signer: &SigningKey) -> Operation {
        let before = log.iter().find(|entry| entry.cid == prev).unwrap();
        let mut next = UnsignedOperation { prev: Some(prev), ..before.operation.normalized().unwrap() };
        match key {
            Some(key) => next.verification_methods.insert(self.id.to_string(), key.to_string()),
            None => next.verification_methods.remove(self.id.as_str()),
        };
        next.sign(signer)
    }

    /// Whoever runs the server makes the id name this key, without asking its owner.
    pub(crate) async fn swap(&self, key: Option<&DelegateSigningKey>) {
        let (log, head) = (self.log().await, self.head().await);
        let public = key.map(DelegateSigningKey::public);
        self.post(&self.naming(&log, head, public.as_ref(), &self.rotation)).await;
    }

    /// Whoever has the stronger rotation key rewrites what followed `prev`.
    pub(crate) async fn recover(&self, prev: Cid, key: &DelegateSigningKey) {
        let log = self.log().await;
        self.post(&self.naming(&log, prev, Some(&key.public()), &self.owner)).await;
    }

    pub(crate) async fn post(&self, operation: &Operation) {
        self.plc.post(&self.did, &serde_json::to_string(operation).unwrap()).await.unwrap();
    }

    /// A log that the server could have made in secret: the true one up to here, and then these.
    pub(crate) fn forked(&self, log: &[Entry], operations: impl IntoIterator<Item = Operation>) -> Vec<Entry> {
        let mut forked = log.to_vec();
        for operation in operations {
            let after = forked.last().unwrap().created_at.plus(Duration::from_secs(1));
            forked.push(Entry::new(self.did.clone(), operation, after));
        }
        forked
    }

    /// An entry of associated data that is signed now.
    pub(crate) fn entry(&self, app: &str, data: Map, key: &DelegateSigningKey) -> Value {
        let now = SystemClock.now();
        let draft = AppDataDraft {
            did: self.did.clone(),
            id: self.id.clone(),
            app: app.parse().unwrap(),
            rev: Tid::new(now, 0),
            data: Some(data),
            expires_at: now.plus(Duration::from_hours(24)),
        };
        draft.sign(key).to_json()
    }

    pub(crate) async fn put(&self, entry: &Value) {
        self.session.post("dev.housekey.delegation.putAssociatedData", &json!({ "entry": entry })).await.unwrap();
    }

    /// What a newcomer concludes from what stands before server and directory.
    pub(crate) fn verify(&self) -> Seen {
        self.look(None)
    }

    /// What somebody concludes who remembers what the file of this name holds.
    pub(crate) fn verify_with(&self, pins: &str) -> Seen {
        self.look(Some(self.dir.path().join(format!("{pins}.pins"))))
    }

    fn look(&self, pins: Option<PathBuf>) -> Seen {
        // Each look may learn: the first one, for what people are shown, has a copy.
        let copy = pins.as_ref().map(|pins| {
            let copy = pins.with_extension("copy");
            drop(std::fs::copy(pins, &copy));
            copy
        });
        let text = self.housekey(&[], copy);
        let json = self.housekey(&["--json"], pins);
        Seen {
            code: json.status.code().unwrap(),
            verdict: serde_json::from_slice(&json.stdout).unwrap(),
            text: String::from_utf8([text.stdout, text.stderr].concat()).unwrap(),
        }
    }

    fn housekey(&self, form: &[&str], pins: Option<PathBuf>) -> Output {
        let pins = pins.map(|pins| ["--pin".into(), pins.into_os_string()]);
        Command::new(BINARY)
            .args(["verify", self.did.as_str(), "--plc", &self.mirror.url])
            .args(form)
            .args(pins.into_iter().flatten())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Every statement that the honest server has.
    pub(crate) async fn statements(&self) -> Vec<Value> {
        let asked = format!("dev.housekey.delegation.getDelegation?actor={}", self.did);
        let waiting = async { self.session.get(&asked).await.unwrap()["statements"].as_array().unwrap().clone() };
        let statements = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
        assert!(statements.iter().all(|statement| Statement::from_json(statement).is_ok()));
        statements
    }
}

pub(crate) fn new_key() -> DelegateSigningKey {
    DelegateSigningKey::generate(KeyType::Ed25519, &OsEntropy)
}

pub(crate) fn text(key: &DelegateSigningKey) -> String {
    key.public().to_string()
}
