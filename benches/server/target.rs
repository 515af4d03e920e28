//! The servers that are measured.

use super::{
    http::{self, Body, Connection},
    process::Process,
};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How Housekey is called in the report.
pub const OWN: &str = "housekey";

/// The release binary that is measured.
pub const BINARY: &str = env!("CARGO_BIN_EXE_housekey");

/// The administrator's password of the servers that are started here.
pub const ADMIN_PASSWORD: &str = "admin password";

/// A PDS under measurement.
pub struct Target {
    pub name: String,
    pub address: SocketAddr,
    /// For the `Host` header.
    pub host: String,
    /// Ending of handles.
    pub domain: String,
    pub process: Option<Process>,
    /// Where it tells its numbers; Housekey alone does.
    pub numbers: Option<SocketAddr>,
}

impl Target {
    /// A PDS that somebody else started.
    pub fn foreign(url: &url::Url, pid: Option<u32>, domain: &str) -> Self {
        let host = url.host_str().unwrap().to_owned();
        let port = url.port_or_known_default().unwrap();
        let address = (host.as_str(), port).to_socket_addrs().unwrap().next().unwrap();
        let host = format!("{host}:{port}");
        Self {
            name: "other".to_owned(),
            address,
            host,
            domain: domain.to_owned(),
            process: pid.map(Process),
            numbers: None,
        }
    }

    /// The same once more, for what makes requests.
    pub fn copy(&self) -> Self {
        Self { name: self.name.clone(), host: self.host.clone(), domain: self.domain.clone(), ..*self }
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(self.address).await.expect("the server accepts connections")
    }

    /// One GET of JSON.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<Value, String> {
        self.answer(http::get(&self.host, path, token)).await
    }

    /// One POST of JSON.
    pub async fn post(&self, nsid: &str, token: Option<&str>, body: &Value) -> Result<Value, String> {
        self.answer(http::post(&self.host, &format!("/xrpc/{nsid}"), token, body)).await
    }

    /// One POST of bytes.
    pub async fn upload(&self, nsid: &str, token: &str, kind: &str, bytes: &[u8]) -> Result<Value, String> {
        let path = format!("/xrpc/{nsid}");
        self.answer(http::request("POST", &self.host, &path, Some(token), Some((kind, bytes)))).await
    }

    /// The bytes that a GET answers with.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, String> {
        let answer = self.connect().await.call(&http::get(&self.host, path, None), Body::Keep).await;
        let answer = answer.map_err(|cause| cause.to_string())?;
        if answer.status == 200 { Ok(answer.body) } else { Err(String::from_utf8_lossy(&answer.body).into_owned()) }
    }

    /// One of the numbers under `/metrics`, by its name there.
    pub async fn number(&self, name: &str) -> Option<f64> {
        let address = self.numbers?;
        let mut connection = Connection::open(address).await.ok()?;
        let request = http::get(&address.to_string(), "/metrics", None);
        let answer = connection.call(&request, Body::Keep).await.ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    async fn answer(&self, request: Vec<u8>) -> Result<Value, String> {
        let answer = self.connect().await.call(&request, Body::Keep).await.map_err(|cause| cause.to_string())?;
        let value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if answer.status < 300 { Ok(value) } else { Err(format!("{} {value}", answer.status)) }
    }
}

/// A process of ours, killed when dropped.
pub struct Running {
    child: Child,
    /// Its ready line.
    pub ready: Value,
    /// From the start of the process to that line.
    pub took: Duration,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let took = started.elapsed();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no ready line: {line:?}"));
        Self { child, ready, took }
    }

    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// SIGTERM, and waits.
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `housekey serve` in a directory of its own, and the PLC directory that it uses in a process of its own, so that the
/// directory's work is not counted as the server's.
pub struct Own {
    pub target: Target,
    pub running: Running,
    pub dir: tempfile::TempDir,
    plc: std::rc::Rc<Running>,
    port: u16,
    numbers: SocketAddr,
}

impl Own {
    /// A new server with an empty database.
    pub fn start(base: Option<&Path>) -> Self {
        Self::beside(base, std::rc::Rc::new(directory()))
    }

    /// Another new server that uses the same PLC directory.
    pub fn sibling(&self, base: Option<&Path>) -> Self {
        Self::beside(base, std::rc::Rc::clone(&self.plc))
    }

    fn beside(base: Option<&Path>, plc: std::rc::Rc<Running>) -> Self {
        let dir = match base {
            Some(base) => tempfile::tempdir_in(base).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let (port, numbers) = (free_port(), SocketAddr::from(([127, 0, 0, 1], free_port())));
        let running = Running::start(&mut serve_counted(dir.path(), port, plc.ready["plc"].as_str().unwrap(), numbers));
        let target = target(&running, port, numbers);
        Self { target, running, dir, plc, port, numbers }
    }

    /// The PLC directory's address.
    pub fn plc(&self) -> &str {
        self.plc.ready["plc"].as_str().unwrap()
    }

    /// Where the data is.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Stops the server, so that everything is in the database file, and leaves it stopped.
    pub fn stop(&mut self) {
        self.running.stop();
    }

    /// SIGKILL, and a new process over what is on disk.
    pub fn kill_and_restart(&mut self) {
        drop(self.running.child.kill());
        drop(self.running.child.wait());
        let plc = self.plc().to_owned();
        self.running = Running::start(&mut serve_counted(self.dir.path(), self.port, &plc, self.numbers));
        self.target = target(&self.running, self.port, self.numbers);
    }

    /// Stops and starts again over the same data.
    pub fn restart(&mut self) {
        self.running.stop();
        let mut command = serve_counted(self.dir.path(), self.port, self.plc(), self.numbers);
        self.running = Running::start(&mut command);
        self.target = target(&self.running, self.port, self.numbers);
    }
}

fn target(running: &Running, port: u16, numbers: SocketAddr) -> Target {
    Target {
        name: OWN.to_owned(),
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        host: format!("localhost:{port}"),
        domain: ".test".to_owned(),
        process: Some(running.process()),
        numbers: Some(numbers),
    }
}

/// A PLC directory: the one of `housekey dev`, without limits on operations per DID.
fn directory() -> Running {
    let flags = ["dev", "--json", "--port", "0", "--plc-port", "0", "--accounts", "", "--no-plc-limits"];
    Running::start(Command::new(BINARY).args(flags))
}

/// `housekey serve` that tells its numbers.
fn serve_counted(dir: &Path, port: u16, plc: &str, numbers: SocketAddr) -> Command {
    let mut command = serve(dir, port, plc);
    command.env("HOUSEKEY_ADMIN_LISTEN", numbers.to_string());
    command
}

/// `housekey serve` over a directory.
pub fn serve(dir: &Path, port: u16, plc: &str) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(["serve", "--json"])
        .current_dir(dir)
        .env("HOUSEKEY_SERVER_HOSTNAME", "localhost")
        .env("HOUSEKEY_SERVER_PUBLIC_URL", format!("http://localhost:{port}"))
        .env("HOUSEKEY_SERVER_LISTEN", format!("127.0.0.1:{port}"))
        .env("HOUSEKEY_SERVER_DATA_DIR", dir.join("data"))
        .env("HOUSEKEY_IDENTITY_PLC_URL", plc)
        .env("HOUSEKEY_IDENTITY_HANDLE_DOMAINS", ".test")
        .env("HOUSEKEY_ACCOUNTS_INVITE_REQUIRED", "false")
        .env("HOUSEKEY_ACCOUNTS_SIGN_UPS_PER_ADDRESS", "0")
        .env("HOUSEKEY_OUTBOUND_ALLOW_PRIVATE_ADDRESSES", "true")
        .env("HOUSEKEY_LIMITS_ENABLED", "false")
        .env("HOUSEKEY_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("HOUSEKEY_LOG_LEVEL", "error");
    command
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
