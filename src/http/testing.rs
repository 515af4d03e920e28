//! A listener with a few made-up methods and pages, for the tests of this folder.

use super::{App, Context, Guarded, HandleOwners, Hosts, Phase, connection, serve};
use crate::{
    syntax::Handle,
    tasks::Tasks,
    web::{Site, WebReply, WebRequest},
    xrpc::{Call, Dispatch, MethodKind, Reply, RequestBody, StreamItem, XrpcError},
};
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use http::StatusCode;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// What an upload may hold here, in bytes.
pub(super) const ECHO_BYTES: usize = 1_000_000;

struct Methods;

impl Dispatch for Methods {
    fn kind(&self, nsid: &str) -> Option<MethodKind> {
        match nsid {
            "com.example.stream" | "com.example.endless" | "com.example.closes" => Some(MethodKind::Subscription),
            "com.example.echo" => Some(MethodKind::Procedure),
            "com.example.hello" | "com.example.big" | "com.example.panic" | "com.example.broken" | "com.example.ip" => {
                Some(MethodKind::Query)
            }
            _ => None,
        }
    }

    fn call(&self, call: Call, body: RequestBody) -> BoxFuture<'static, Reply> {
        async move {
            match call.head.nsid.as_str() {
                "com.example.hello" => Reply::raw_json(b"{\"hello\":true}".to_vec()),
                "com.example.ip" => Reply::raw_json(format!("\"{}\"", call.head.client_ip).into_bytes()),
                "com.example.big" => Reply::raw_json(format!("\"{}\"", "a".repeat(1_100_000)).into_bytes()),
                "com.example.echo" => body
                    .collect(ECHO_BYTES)
                    .await
                    .map_or_else(XrpcError::into_reply, |bytes| Reply::bytes("application/octet-stream", bytes)),
                "com.example.broken" => {
                    let pieces = [Ok(Bytes::from_static(b"half")), Err(XrpcError::invalid("broke"))];
                    Reply::stream("application/octet-stream", stream::iter(pieces).boxed())
                }
                "com.example.panic" => panic!("on purpose"),
                _ => XrpcError::not_implemented().into_reply(),
            }
        }
        .boxed()
    }

    fn subscribe(&self, call: Call) -> BoxFuture<'static, Result<BoxStream<'static, StreamItem>, Reply>> {
        let frame = |n: u32| StreamItem::Frame(Bytes::from(n.to_be_bytes().to_vec()));
        let items = match call.uri.query() {
            Some("refuse") => return std::future::ready(Err(XrpcError::invalid("no").into_reply())).boxed(),
            _ if call.head.nsid == "com.example.stream" => stream::iter(0..1_000).map(frame).boxed(),
            _ if call.head.nsid == "com.example.closes" => {
                stream::iter([StreamItem::Text("bye".to_owned()), StreamItem::Close(1008)]).boxed()
            }
            _ => stream::repeat_with(|| StreamItem::Frame(Bytes::from(vec![7; 100_000]))).boxed(),
        };
        std::future::ready(Ok(items)).boxed()
    }
}

struct Pages;

impl Site for Pages {
    fn handle(self: Arc<Self>, request: WebRequest) -> BoxFuture<'static, WebReply> {
        let text = format!("{} {} {} {}", request.method, request.path, request.host, request.body.len());
        let status = if request.path == "/missing" { StatusCode::NOT_FOUND } else { StatusCode::OK };
        let reply = Reply::bytes("text/plain; charset=utf-8", Bytes::from(text)).with_status(status);
        std::future::ready(WebReply::Reply(reply)).boxed()
    }
}

struct Nobody;

impl HandleOwners for Nobody {
    fn is_account(&self, _handle: Handle) -> BoxFuture<'_, bool> {
        std::future::ready(false).boxed()
    }
}

pub(super) fn app() -> App {
    let mut app = App::site(Arc::new(Pages));
    app.cors_everywhere = false;
    app.xrpc = Some(Arc::new(Methods));
    app.hosts = Some(Hosts::new("pds.example.com", &["pds.example.com".to_owned()], Arc::new(Nobody)));
    app
}

/// A listener on the loopback interface.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) tasks: Tasks,
}

pub(super) async fn start() -> Running {
    start_with(app()).await
}

pub(super) async fn start_with(app: App) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, tasks) = (listener.local_addr().unwrap(), Tasks::new());
    serve(listener, app, &tasks);
    Running { address, tasks }
}

impl Running {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    pub(super) async fn talk(&self, request: impl AsRef<[u8]>) -> String {
        String::from_utf8_lossy(&self.talk_bytes(request).await).into_owned()
    }

    /// The same in bytes.
    pub(super) async fn talk_bytes(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        drop(stream.write_all(request.as_ref()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        answer
    }

    /// A GET without more than it needs.
    pub(super) async fn get(&self, path: &str, headers: &str) -> String {
        self.talk(format!("GET {path} HTTP/1.1\r\nHost: pds.example.com\r\nConnection: close\r\n{headers}\r\n")).await
    }
}

/// A connection in memory, for tests with a clock that jumps.
pub(super) fn in_memory() -> (DuplexStream, Tasks) {
    let (client, server) = tokio::io::duplex(1024);
    let tasks = Tasks::new();
    let context = Context {
        app: Arc::new(app()),
        tasks: tasks.clone(),
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        phase: Phase::new(),
        permit: Arc::new((Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(), None)),
    };
    tasks.spawn(connection(server, Arc::new(context)));
    (client, tasks)
}

/// A guarded stream whose other end is given back.
pub(super) fn guarded() -> (DuplexStream, Guarded<DuplexStream>, Arc<Phase>) {
    let (client, server) = tokio::io::duplex(1024);
    let phase = Phase::new();
    (client, Guarded::new(server, Arc::clone(&phase)), phase)
}
