//! Small servers on loopback for tests.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{FetchLimits, OutboundOptions, guard::Lookup};
use crate::tasks::Tasks;

/// What a fake server does with a request (head and body as text): these raw bytes, or silence for ever.
pub(crate) enum Answer {
    Raw(Vec<u8>),
    Silence,
    HangUp,
}

/// An ordinary answer.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let mut raw = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    raw.extend_from_slice(body);
    Answer::Raw(raw)
}

/// A server on loopback that counts what it is asked.
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    hits: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
    _tasks: Tasks,
}

impl FakeServer {
    pub(crate) async fn start(answers: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(IpAddr::V4(Ipv4Addr::LOCALHOST), None, answers).await
    }

    pub(crate) async fn listen(
        ip: IpAddr,
        tls: Option<TlsAcceptor>,
        answers: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tasks, answers) = (Tasks::new(), Arc::new(answers));
        let (hits, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let last = Arc::new(Mutex::new(String::new()));
        let server = Self {
            address,
            hits: hits.clone(),
            connections: connections.clone(),
            last: last.clone(),
            _tasks: tasks.clone(),
        };
        let spawner = tasks.clone();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answers, hits, last, tls) = (answers.clone(), hits.clone(), last.clone(), tls.clone());
                spawner.spawn(async move {
                    match tls {
                        None => converse(stream, &*answers, &hits, &last).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &*answers, &hits, &last).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// Requests so far.
    pub(crate) fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The last request's head and body.
    pub(crate) fn last_request(&self) -> String {
        self.last.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> url::Url {
        url::Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &(impl Fn(&str) -> Answer + ?Sized),
    hits: &AtomicUsize,
    last: &Mutex<String>,
) {
    while let Some(request) = read_request(&mut stream).await {
        hits.fetch_add(1, Ordering::SeqCst);
        let reply = answers(&request);
        *last.lock().unwrap() = request;
        match reply {
            Answer::Raw(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Answer::Silence => std::future::pending().await,
            Answer::HangUp => return,
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if text.len() >= end + 4 + length {
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A certificate authority, and a TLS server's side for these names.
pub(crate) fn tls_for(names: &[&str]) -> (Vec<u8>, TlsAcceptor) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem().into_bytes();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    (ca_pem, TlsAcceptor::from(Arc::new(config)))
}

/// Names that resolve as a test says, everything else to nothing.
#[derive(Clone, Default)]
pub(crate) struct Names(HashMap<String, Vec<IpAddr>>, u16);

impl Names {
    pub(crate) fn of(entries: &[(&str, &[&str])]) -> Self {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Self(entries.iter().map(|(name, ips)| ((*name).to_owned(), parse(ips))).collect(), 0)
    }

    /// Where a URL without a port leads to.
    pub(crate) fn at_port(self, port: u16) -> Self {
        Self(self.0, port)
    }
}

impl Lookup for Names {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.get(&name).cloned().unwrap_or_default();
        let port = self.1;
        Box::pin(async move { Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()) })
    }
}

/// Bounds that no honest answer of a test reaches.
pub(crate) const ROOMY: FetchLimits =
    FetchLimits { body_bytes: 64 * 1024, total: Duration::from_secs(30), redirects: 3 };

/// Settings of development: everything may be reached.
pub(crate) fn open_options() -> OutboundOptions {
    OutboundOptions { allow_private_addresses: true, ..OutboundOptions::default() }
}
