//! Drives the real binary: starts it, talks XRPC to it, kills it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test binary uses a part of this, and a test stops where its server does"
)]

use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// The binary under test; an example, for which none is built, is its own.
pub const BINARY: &str = match option_env!("CARGO_BIN_EXE_housekey") {
    Some(path) => path,
    None => "/proc/self/exe",
};

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running `housekey` that is killed when this is dropped.
pub struct Running {
    child: Child,
    /// What its ready line says.
    pub ready: Value,
}

impl Running {
    /// Starts a command that prints one JSON line when it is ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line: {line:?}, {:?}", child.wait()));
        Self { child, ready }
    }

    /// `housekey dev` on free ports.
    pub fn dev(flags: &[&str]) -> Self {
        Self::start(Command::new(BINARY).args(["dev", "--json", "--port", "0", "--plc-port", "0"]).args(flags))
    }

    /// A text of the ready line.
    pub fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing gets a chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `housekey serve` over a data directory, with another server's PLC directory.
pub fn serve(data_dir: &Path, port: u16, plc: &str) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(["serve", "--json"])
        .current_dir(data_dir)
        .env("HOUSEKEY_SERVER_HOSTNAME", "localhost")
        .env("HOUSEKEY_SERVER_PUBLIC_URL", format!("http://localhost:{port}"))
        .env("HOUSEKEY_SERVER_LISTEN", format!("127.0.0.1:{port}"))
        .env("HOUSEKEY_SERVER_DATA_DIR", data_dir)
        .env("HOUSEKEY_IDENTITY_PLC_URL", plc)
        .env("HOUSEKEY_IDENTITY_HANDLE_DOMAINS", ".test")
        .env("HOUSEKEY_ACCOUNTS_INVITE_REQUIRED", "false")
        .env("HOUSEKEY_ACCOUNTS_SIGN_UPS_PER_ADDRESS", "0")
        .env("HOUSEKEY_ADMIN_PASSWORD", "admin password")
        .env("HOUSEKEY_LIMITS_ENABLED", "false")
        .env("HOUSEKEY_LOG_LEVEL", "error");
    command
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Calls XRPC methods.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<String>,
}

impl Client {
    /// A client of the server at `base`.
    pub fn new(base: &str) -> Self {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap();
        Self { http, base: base.to_owned(), authorization: None }
    }

    /// The same with an access token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { authorization: Some(format!("Bearer {token}")), ..self.clone() }
    }

    /// The same as the administrator.
    pub fn with_admin(&self, password: &str) -> Self {
        let pair = data_encoding::BASE64.encode(format!("admin:{password}").as_bytes());
        Self { authorization: Some(format!("Basic {pair}")), ..self.clone() }
    }

    /// A new account, and a client that is logged in to it; the DID too.
    pub async fn sign_up(&self, handle: &str) -> (Self, String) {
        let made = self
            .post(
                "com.atproto.server.createAccount",
                &json!({"handle": handle, "email": format!("{handle}@example.com"), "password": "correct horse"}),
            )
            .await
            .unwrap();
        (self.with_token(made["accessJwt"].as_str().unwrap()), made["did"].as_str().unwrap().to_owned())
    }

    /// POST; the error is status and name, or the connection's failure as status 0.
    pub async fn post(&self, nsid: &str, body: &Value) -> Result<Value, (u16, String)> {
        self.answer(self.http.post(format!("{}/xrpc/{nsid}", self.base)).json(body)).await
    }

    /// POST of bytes.
    pub async fn upload(&self, nsid: &str, kind: &str, bytes: &[u8]) -> Result<Value, (u16, String)> {
        let request = self.http.post(format!("{}/xrpc/{nsid}", self.base)).body(bytes.to_vec());
        self.answer(request.header("Content-Type", kind)).await
    }

    /// GET of a method with its query.
    pub async fn get(&self, nsid_and_query: &str) -> Result<Value, (u16, String)> {
        self.answer(self.http.get(format!("{}/xrpc/{nsid_and_query}", self.base))).await
    }

    /// GET of a path that is no method, which answers with JSON.
    pub async fn json(&self, path: &str) -> Value {
        self.answer(self.http.get(format!("{}{path}", self.base))).await.unwrap()
    }

    /// GET of bytes.
    pub async fn bytes(&self, nsid_and_query: &str) -> Vec<u8> {
        let request = self.authorized(self.http.get(format!("{}/xrpc/{nsid_and_query}", self.base)));
        request.send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, (u16, String)> {
        let lost = |cause: reqwest::Error| (0, cause.to_string());
        let response = self.authorized(request).send().await.map_err(lost)?;
        let status = response.status();
        let body = response.bytes().await.map_err(lost)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() { Ok(body) } else { Err((status.as_u16(), body["error"].to_string())) }
    }
}

/// The event stream of a server, from a cursor.
pub struct Stream(WebSocketStream<tokio::net::TcpStream>);

impl Stream {
    /// Connects.
    pub async fn open(base: &str, cursor: i64) -> Self {
        let host = base.strip_prefix("http://").unwrap();
        let address = host.replace("localhost", "127.0.0.1");
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{host}/xrpc/com.atproto.sync.subscribeRepos?cursor={cursor}");
        let (stream, _) =
            tokio_tungstenite::client_async_with_config(url, socket, Some(WebSocketConfig::default())).await.unwrap();
        Self(stream)
    }

    /// The next frame; `None` when the server closes.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        use futures_util::StreamExt;
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the stream said nothing for long")? {
                Ok(Message::Binary(frame)) => return Some(frame.to_vec()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}
