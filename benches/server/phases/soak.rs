//! Mixed load for a long time, calm or with the server killed again and again, and an audit at the end.

use super::{Bench, fresh_number};
use crate::{
    account::{Account, POSTS, post, record_key},
    http::{self, Body, Connection},
    report::median,
    target::{BINARY, Own, Target},
};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    process::Command,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Accounts that write.
const WRITERS: usize = 12;
/// Connections that read.
const READERS: usize = 4;
/// Between two writes of one account.
const PACE: Duration = Duration::from_millis(15);
/// How often memory and log are looked at.
const SAMPLE: Duration = Duration::from_secs(2);
/// The write-ahead log may not grow past this, in MiB.
const LOG_MIB: f64 = 160.0;

/// What a record must be at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Truth {
    /// Acknowledged with this CID.
    Is(String),
    /// Acknowledged as deleted.
    Gone,
    /// The connection broke before the answer: either is right.
    Unclear,
}

struct Load {
    target: Target,
    accounts: Vec<Account>,
    truths: RefCell<BTreeMap<(String, String), Truth>>,
    errors: RefCell<BTreeMap<String, u64>>,
    done: RefCell<BTreeMap<&'static str, u64>>,
    until: Instant,
    /// Whether the server is being killed: broken connections are no errors then.
    killing: bool,
    stopped: Cell<bool>,
}

impl Load {
    fn over(&self) -> bool {
        self.stopped.get() || Instant::now() >= self.until
    }

    fn count(&self, what: &'static str) {
        *self.done.borrow_mut().entry(what).or_default() += 1;
    }

    fn error(&self, what: &str) {
        *self.errors.borrow_mut().entry(what.chars().take(200).collect()).or_default() += 1;
    }

    /// One request over a connection that is made anew when it breaks. `None`: no answer came.
    async fn call(&self, connection: &mut Option<Connection>, request: &[u8], body: Body) -> Option<http::Answer> {
        if connection.is_none() {
            match Connection::open(self.target.address).await {
                Ok(opened) => *connection = Some(opened),
                Err(cause) => {
                    if !self.killing {
                        self.error(&cause.to_string());
                    }
                    sleep(Duration::from_millis(20)).await;
                    return None;
                }
            }
        }
        match connection.as_mut()?.call(request, body).await {
            Ok(answer) => Some(answer),
            Err(cause) => {
                if !self.killing {
                    self.error(&cause.to_string());
                }
                *connection = None;
                None
            }
        }
    }

    /// Creates, overwrites and deletes records of one account, and remembers what was acknowledged.
    async fn write(self: Rc<Self>, index: usize) {
        let account = self.accounts[index].clone();
        let mut connection = None;
        let mut number = 0_u64;
        while !self.over() {
            number += 1;
            // Of ten writes seven create, two overwrite and one deletes.
            let (verb, key, body) = match number % 10 {
                8 | 9 => {
                    let key = record_key(number / 2);
                    let body =
                        json!({"repo": account.did, "collection": POSTS, "rkey": key, "record": post(number + 7)});
                    ("putRecord", key, body)
                }
                0 => {
                    let key = record_key(number / 3);
                    ("deleteRecord", key.clone(), json!({"repo": account.did, "collection": POSTS, "rkey": key}))
                }
                _ => {
                    let key = record_key(number + 1_000_000);
                    let body = json!({"repo": account.did, "collection": POSTS, "rkey": key, "record": post(number)});
                    ("createRecord", key, body)
                }
            };
            let path = format!("/xrpc/com.atproto.repo.{verb}");
            let request = http::post(&self.target.host, &path, Some(&account.token), &body);
            let truth = match self.call(&mut connection, &request, Body::Keep).await {
                None => Truth::Unclear,
                Some(answer) if answer.status < 300 => {
                    self.count("writes");
                    let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                    value["cid"].as_str().map_or(Truth::Gone, |cid| Truth::Is(cid.to_owned()))
                }
                Some(answer) => {
                    self.error(&format!("{verb}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
                    Truth::Unclear
                }
            };
            self.truths.borrow_mut().insert((account.did.clone(), key), truth);
            sleep(PACE).await;
        }
    }

    /// Reads at random.
    async fn read(self: Rc<Self>, index: usize) {
        let mut connection = None;
        let mut number = index;
        while !self.over() {
            number += 1;
            let did = &self.accounts[number % self.accounts.len()].did;
            let path = match number % 4 {
                0 => format!("/xrpc/com.atproto.repo.listRecords?repo={did}&collection={POSTS}&limit=50"),
                1 => format!("/xrpc/com.atproto.repo.describeRepo?repo={did}"),
                2 => format!("/xrpc/com.atproto.sync.getLatestCommit?did={did}"),
                _ => format!("/xrpc/com.atproto.sync.getRepo?did={did}"),
            };
            if let Some(answer) =
                self.call(&mut connection, &http::get(&self.target.host, &path, None), Body::Count).await
            {
                if answer.status < 300 {
                    self.count("reads");
                } else {
                    self.error(&format!("{path}: {}", String::from_utf8_lossy(&answer.body)));
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Uploads, uses and fetches blobs.
    async fn blobs(self: Rc<Self>) {
        let account = self.accounts[0].clone();
        let mut connection = None;
        let mut number = 0_u64;
        while !self.over() {
            number += 1;
            let bytes: Vec<u8> = format!("blob {number} ").into_bytes().repeat(4_000);
            let path = "/xrpc/com.atproto.repo.uploadBlob";
            let body = Some(("text/plain", bytes.as_slice()));
            let request = http::request("POST", &self.target.host, path, Some(&account.token), body);
            if let Some(answer) = self.call(&mut connection, &request, Body::Keep).await {
                let uploaded: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                let record = json!({"$type": "com.example.file", "file": uploaded["blob"]});
                let body =
                    json!({"repo": account.did, "collection": "com.example.file", "record": record, "validate": false});
                let path = "/xrpc/com.atproto.repo.createRecord";
                let request = http::post(&self.target.host, path, Some(&account.token), &body);
                match self.call(&mut connection, &request, Body::Keep).await {
                    Some(answer) if answer.status < 300 => self.count("blobs"),
                    Some(answer) => self.error(&String::from_utf8_lossy(&answer.body)),
                    None => {}
                }
            }
            sleep(Duration::from_millis(400)).await;
        }
    }

    /// New accounts now and then.
    async fn sign_ups(self: Rc<Self>) {
        let mut connection = None;
        while !self.over() {
            let body = crate::account::sign_up_body(&self.target, fresh_number() * 1_000);
            let path = "/xrpc/com.atproto.server.createAccount";
            let request = http::post(&self.target.host, path, None, &body);
            match self.call(&mut connection, &request, Body::Keep).await {
                Some(answer) if answer.status < 300 => self.count("sign-ups"),
                Some(answer) => self.error(&format!("createAccount: {}", String::from_utf8_lossy(&answer.body))),
                None => {}
            }
            sleep(Duration::from_secs(3)).await;
        }
    }
}

impl Bench {
    /// `kill_every`: how long the server lives before it is killed.
    pub(super) async fn soak(&mut self, kill_every: Option<Duration>) {
        let phase = if kill_every.is_some() { "soak-kill" } else { "soak" };
        let mut own = Own::start(self.options.dir.as_deref());
        let mut accounts = Vec::new();
        for _ in 0..WRITERS {
            accounts.push(Account::sign_up(&own.target, fresh_number() * 1_000).await);
        }
        let load = Rc::new(Load {
            target: own.target.copy(),
            accounts,
            truths: RefCell::default(),
            errors: RefCell::default(),
            done: RefCell::default(),
            until: Instant::now() + Duration::from_secs(self.options.minutes * 60),
            killing: kill_every.is_some(),
            stopped: Cell::new(false),
        });
        let local = tokio::task::LocalSet::new();
        for index in 0..WRITERS {
            local.spawn_local(Rc::clone(&load).write(index));
        }
        for index in 0..READERS {
            local.spawn_local(Rc::clone(&load).read(index));
        }
        local.spawn_local(Rc::clone(&load).blobs());
        local.spawn_local(Rc::clone(&load).sign_ups());
        let (memory, kills) = local.run_until(watch(&mut own, &load, kill_every)).await;
        local.await;
        self.soaked(phase, &load, &memory, kills);
        let lost = lost(&own.target, &load).await;
        if lost.is_empty() {
            self.own(phase, "acknowledged writes that were lost", 0.0, "");
        } else {
            self.report.fail(&own.target.name, phase, "acknowledged writes", &lost.join("; "));
        }
        self.audit(phase, &own, "beside the running server");
        own.stop();
        self.audit(phase, &own, "after it stopped");
    }

    fn soaked(&mut self, phase: &'static str, load: &Load, memory: &[(f64, f64)], kills: u32) {
        for (what, count) in load.done.borrow().iter() {
            self.own(phase, *what, *count as f64, "");
        }
        self.own(phase, "kills", f64::from(kills), "");
        for (what, times) in load.errors.borrow().iter() {
            self.report.fail(crate::target::OWN, phase, "error", &format!("{times}× {what}"));
        }
        let part = |from: usize, to: usize| -> Vec<f64> {
            memory[memory.len() * from / 4..memory.len() * to / 4].iter().map(|(resident, _)| *resident).collect()
        };
        let (early, late) = (median(&part(1, 2)), median(&part(3, 4)));
        self.own(phase, "memory in the second quarter", early, "MiB");
        self.own(phase, "memory in the last quarter", late, "MiB");
        if late > early * 1.25 + 16.0 {
            self.report.fail(crate::target::OWN, phase, "memory", "it grows");
        }
        let log = memory.iter().map(|(_, log)| *log).fold(0.0, f64::max);
        self.own(phase, "write-ahead log, at most", log, "MiB");
        if log > LOG_MIB {
            self.report.fail(crate::target::OWN, phase, "write-ahead log", "it is not bounded");
        }
    }

    fn audit(&mut self, phase: &'static str, own: &Own, when: &str) {
        let output = Command::new(BINARY)
            .args(["check", "--blobs", "--json", "--data-dir"])
            .arg(own.data_dir())
            .output()
            .expect("the binary starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let found: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if !output.status.success() {
            let why = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
            return self.report.fail(&own.target.name, phase, &format!("check {when}"), &why);
        }
        let records = found["records"].as_f64().unwrap_or(0.0);
        self.own(phase, format!("records audited and good, {when}"), records, "");
    }
}

/// Samples memory and log until the load is over, and kills the server every so often. Resident MiB and log MiB.
async fn watch(own: &mut Own, load: &Rc<Load>, kill_every: Option<Duration>) -> (Vec<(f64, f64)>, u32) {
    let mut samples = Vec::new();
    let mut kills = 0;
    let mut born = Instant::now();
    while !load.over() {
        sleep(SAMPLE).await;
        let log = std::fs::metadata(own.data_dir().join("housekey.sqlite-wal")).map_or(0, |file| file.len());
        samples.push((own.running.process().memory_mib(), log as f64 / 1024.0 / 1024.0));
        if kill_every.is_some_and(|span| born.elapsed() >= span) {
            own.kill_and_restart();
            kills += 1;
            born = Instant::now();
        }
    }
    load.stopped.set(true);
    (samples, kills)
}

/// Acknowledged writes that are not there.
async fn lost(target: &Target, load: &Load) -> Vec<String> {
    let mut connection = target.connect().await;
    let mut lost = Vec::new();
    let truths = load.truths.take();
    for ((did, key), truth) in &truths {
        let path = format!("/xrpc/com.atproto.repo.getRecord?repo={did}&collection={POSTS}&rkey={key}");
        let answer =
            connection.call(&http::get(&target.host, &path, None), Body::Keep).await.expect("the server answers");
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let is = match value["cid"].as_str() {
            Some(cid) => Truth::Is(cid.to_owned()),
            None => Truth::Gone,
        };
        if *truth != Truth::Unclear && *truth != is {
            lost.push(format!("{did} {key}: acknowledged {truth:?}, is {is:?}"));
        }
    }
    lost
}
