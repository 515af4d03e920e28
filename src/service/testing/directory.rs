//! A PLC directory in this process, by the rules of [`crate::plc::directory`], with faults.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use futures_util::SinkExt;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use crate::{
    clock::{Clock, ManualClock},
    ipld::Cid,
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
    /// 429, and nothing changes.
    RateLimit,
}

/// A directory on loopback.
#[derive(Clone)]
pub(crate) struct TestDirectory {
    url: url::Url,
    state: Arc<Mutex<State>>,
    clock: Arc<ManualClock>,
    tasks: Tasks,
    // Changes when the export stream has more to say, or is to break.
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    // Every operation in the order in which it was taken, for the export stream.
    export: Vec<(Did, Cid)>,
    // The cursors that the export stream was asked for, once there is one.
    streams: Option<Vec<Option<usize>>>,
    // Streams of an earlier number have broken.
    connection: u64,
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
        let own = Self { url, state: Arc::default(), clock, tasks: Tasks::new(), news: watch::Sender::new(0) };
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

    /// What was to go wrong does not.
    pub(crate) fn mend(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// Every request is answered 503 (true), or is served again (false).
    pub(crate) fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    /// From now on there is an export stream.
    pub(crate) fn stream(&self) {
        self.state.lock().unwrap().streams.get_or_insert_default();
    }

    /// The cursors that the export stream was asked for so far.
    pub(crate) fn streams(&self) -> Vec<Option<usize>> {
        self.state.lock().unwrap().streams.clone().unwrap_or_default()
    }

    /// How many operations the directory has taken: the number of the latest.
    pub(crate) fn latest(&self) -> usize {
        self.state.lock().unwrap().export.len()
    }

    /// Breaks every export stream.
    pub(crate) fn break_streams(&self) {
        self.state.lock().unwrap().connection += 1;
        self.news.send_modify(|news| *news += 1);
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
        self.news.send_modify(|news| *news += 1);
    }

    /// Takes somebody else's operation in the instant before the next POST.
    pub(crate) fn accept_before_next_post(&self, did: &Did, operation: Operation) {
        self.state.lock().unwrap().ahead = Some((did.clone(), operation));
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let Some(Request { post, path, key, body }) = read_request(&mut stream).await else { return };
        if let Some((key, cursor)) = key.zip(self.stream_from(&path)) {
            self.tell(stream, &key, cursor).await;
            return;
        }
        let answer = self.answer(post, &path, &body);
        self.news.send_modify(|news| *news += 1);
        let Some((status, body)) = answer else { return };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        drop(stream.get_mut().write_all(format!("{head}{body}").as_bytes()).await);
        drop(stream.get_mut().shutdown().await);
    }

    /// The cursor of a request for the export stream, if this is one and there is a stream.
    fn stream_from(&self, path: &str) -> Option<Cursor> {
        let query = path.strip_prefix("/export/stream")?;
        let cursor = Cursor(query.strip_prefix("?cursor=").map(|cursor| cursor.parse().unwrap()));
        self.state.lock().unwrap().open_stream(cursor)
    }

    async fn tell(&self, mut stream: BufReader<TcpStream>, key: &str, Cursor(cursor): Cursor) {
        let mut news = self.news.subscribe();
        let (connection, latest) = {
            let state = self.state.lock().unwrap();
            (state.connection, state.export.len())
        };
        let head = format!(
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        drop(stream.get_mut().write_all(head.as_bytes()).await);
        let mut socket = WebSocketStream::from_raw_socket(stream.into_inner(), Role::Server, None).await;
        let mut next = cursor.unwrap_or(latest);
        while cursor.is_none_or(|cursor| cursor <= latest) {
            let (lines, is_over) = {
                let state = self.state.lock().unwrap();
                (state.export.get(next..).unwrap_or_default().to_vec(), state.connection != connection)
            };
            if is_over {
                return;
            }
            for (did, cid) in lines {
                next += 1;
                let line = serde_json::json!({ "seq": next, "type": "sequenced_op", "did": did, "cid": cid });
                if socket.send(Message::text(line.to_string())).await.is_err() {
                    return;
                }
            }
            if news.changed().await.is_err() {
                return;
            }
        }
        drop(socket.close(None).await);
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

/// Where an export stream is to begin; now without one.
#[derive(Clone, Copy)]
struct Cursor(Option<usize>);

impl State {
    fn open_stream(&mut self, cursor: Cursor) -> Option<Cursor> {
        self.streams.as_mut().filter(|_| !self.is_down)?.push(cursor.0);
        Some(cursor)
    }

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
            Some(Fault::RateLimit) => return message(429, "too many requests"),
            Some(Fault::AcceptThenHangUp | Fault::AcceptThenFail) | None => {}
        }
        let Ok(operation) = serde_json::from_slice::<Operation>(body) else { return message(400, "not an operation") };
        if let Err(refusal) = self.accept(did, &operation, clock) {
            return message(refusal.status(), &refusal.to_string());
        }
        match fault {
            Some(Fault::AcceptThenHangUp) => None,
            Some(Fault::AcceptThenFail) => message(500, "the test fails"),
            Some(Fault::Refuse | Fault::HangUp | Fault::Fail | Fault::RateLimit) | None => {
                Some((200, serde_json::json!({})))
            }
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
        self.export.push((did.clone(), accepted.entry.cid));
        log.push(accepted.entry);
        Ok(())
    }
}

struct Request {
    post: bool,
    path: String,
    /// The key of a WebSocket's handshake.
    key: Option<String>,
    body: Vec<u8>,
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (post, path) = (words.next()? == "POST", words.next()?.to_owned());
    let (mut length, mut key) = (0, None);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            key = Some(value.trim().to_owned());
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { post, path, key, body })
}
