//! A PLC directory in this process, by the rules of [`crate::plc::directory`], with faults.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    clock::{Clock, ManualClock},
    plc::{self, Entry, Operation, UnsignedOperation, directory},
    syntax::Did,
    tasks::Tasks,
};

/// What the directory does with the next POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 400, and nothing changes.
    Refuse,
    /// The connection breaks, and nothing changes.
    HangUp,
    /// The operation is taken, and the connection breaks.
    AcceptThenHangUp,
    /// The operation is taken, and the answer is 500.
    AcceptThenFail,
    /// 500, and nothing changes.
    Fail,
}

/// A directory on loopback.
#[derive(Clone)]
pub(crate) struct TestDirectory {
    url: url::Url,
    state: Arc<Mutex<State>>,
    clock: Arc<ManualClock>,
    tasks: Tasks,
}

#[derive(Default)]
struct State {
    logs: HashMap<Did, Vec<Entry>>,
    faults: VecDeque<Fault>,
    is_down: bool,
    posts: usize,
    // Taken at the next POST, before it: somebody else's operation that comes in between.
    ahead: Option<(Did, Operation)>,
}

/// What is answered: nothing means that the connection breaks.
type Answer = Option<(u16, serde_json::Value)>;

impl TestDirectory {
    /// An empty directory.
    pub(crate) async fn start(clock: Arc<ManualClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let own = Self { url, state: Arc::default(), clock, tasks: Tasks::new() };
        let served = own.clone();
        own.tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = served.clone();
                served.clone().tasks.spawn(async move { served.serve(stream).await });
            }
        });
        own
    }

    /// Where it is.
    pub(crate) const fn url(&self) -> &url::Url {
        &self.url
    }

    /// The next POST goes wrong; called twice, the two next do.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push_back(fault);
    }

    /// Every request is answered 503 (true), or is served again (false).
    pub(crate) fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    /// How many operations were posted.
    pub(crate) fn posts(&self) -> usize {
        self.state.lock().unwrap().posts
    }

    /// The log of a DID.
    pub(crate) fn log(&self, did: &Did) -> Vec<Entry> {
        self.state.lock().unwrap().logs.get(did).cloned().unwrap_or_default()
    }

    /// How many DIDs are registered.
    pub(crate) fn dids(&self) -> usize {
        self.state.lock().unwrap().logs.len()
    }

    /// The state of a DID.
    pub(crate) fn current(&self, did: &Did) -> UnsignedOperation {
        directory::current(did, &self.log(did)).unwrap()
    }

    /// Takes an operation that somebody else made.
    pub(crate) fn accept(&self, did: &Did, operation: &Operation) {
        self.state.lock().unwrap().accept(did, operation, self.clock.as_ref()).unwrap();
    }

    /// Takes somebody else's operation in the instant before the next POST.
    pub(crate) fn accept_before_next_post(&self, did: &Did, operation: Operation) {
        self.state.lock().unwrap().ahead = Some((did.clone(), operation));
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let Some((post, path, body)) = read_request(&mut stream).await else { return };
        let Some((status, body)) = self.answer(post, &path, &body) else { return };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        drop(stream.get_mut().write_all(format!("{head}{body}").as_bytes()).await);
        drop(stream.get_mut().shutdown().await);
    }

    fn answer(&self, post: bool, path: &str, body: &[u8]) -> Answer {
        let mut state = self.state.lock().unwrap();
        let message = |status: u16, text: &str| Some((status, serde_json::json!({ "message": text })));
        if state.is_down {
            return message(503, "down");
        }
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let Ok(did) = parts.next().unwrap_or_default().replace("%3A", ":").parse::<Did>() else {
            return message(400, "not a DID");
        };
        if post {
            return state.take(&did, body, self.clock.as_ref());
        }
        let log = state.logs.get(&did).cloned().unwrap_or_default();
        drop(state);
        if log.is_empty() {
            return message(404, &format!("DID not registered: {did}"));
        }
        match parts.next() {
            Some("log/audit") => Some((200, serde_json::to_value(log).unwrap())),
            None => match directory::current(&did, &log) {
                Ok(state) => Some((200, serde_json::to_value(plc::DidDocument::of(&did, &state)).unwrap())),
                Err(refusal) => message(refusal.status(), &refusal.to_string()),
            },
            Some(other) => message(404, other),
        }
    }
}

impl State {
    fn take(&mut self, did: &Did, body: &[u8], clock: &ManualClock) -> Answer {
        self.posts += 1;
        if let Some((did, operation)) = self.ahead.take() {
            self.accept(&did, &operation, clock).unwrap();
        }
        let fault = self.faults.pop_front();
        let message = |status: u16, text: &str| Some((status, serde_json::json!({ "message": text })));
        match fault {
            Some(Fault::Refuse) => return message(400, "the test refuses"),
            Some(Fault::HangUp) => return None,
            Some(Fault::Fail) => return message(500, "the test fails"),
            Some(Fault::AcceptThenHangUp | Fault::AcceptThenFail) | None => {}
        }
        let Ok(operation) = serde_json::from_slice::<Operation>(body) else { return message(400, "not an operation") };
        if let Err(refusal) = self.accept(did, &operation, clock) {
            return message(refusal.status(), &refusal.to_string());
        }
        match fault {
            Some(Fault::AcceptThenHangUp) => None,
            Some(Fault::AcceptThenFail) => message(500, "the test fails"),
            Some(Fault::Refuse | Fault::HangUp | Fault::Fail) | None => Some((200, serde_json::json!({}))),
        }
    }

    fn accept(&mut self, did: &Did, operation: &Operation, clock: &ManualClock) -> Result<(), directory::Refusal> {
        let log = self.logs.entry(did.clone()).or_default();
        let accepted = directory::accept(did, log, operation, clock.now());
        if log.is_empty() && accepted.is_err() {
            self.logs.remove(did);
            return accepted.map(|_| ());
        }
        let accepted = accepted?;
        for entry in log.iter_mut().filter(|entry| accepted.nullifies.contains(&entry.cid)) {
            entry.nullified = true;
        }
        log.push(accepted.entry);
        Ok(())
    }
}

/// Whether it is a POST, the path, and the body.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(bool, String, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (post, path) = (words.next()? == "POST", words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((post, path, body))
}
