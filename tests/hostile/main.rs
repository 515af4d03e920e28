//! What a hostile client may send: every method, and the listener itself, refuse it in words and nothing changes.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops where its server does")]

mod directory;
mod import;
mod methods;
mod outward;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod wire;

use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};
use support::Running;

/// A server with two accounts, and what it takes to talk to it byte by byte.
struct Server {
    running: Running,
    address: String,
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Server {
    fn start() -> Self {
        let running = Running::dev(&[]);
        let address = address(running.text("pds"));
        Self { running, address }
    }

    /// The same server's PLC directory.
    fn directory() -> Self {
        let server = Self::start();
        let address = address(server.running.text("plc"));
        Self { address, ..server }
    }

    /// A text of one of the two accounts.
    fn account(&self, index: usize, key: &str) -> &str {
        self.running.ready["accounts"][index][key].as_str().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
        socket
    }

    /// Everything that comes back for these bytes until the server closes.
    fn talk(&self, request: &[u8]) -> Vec<u8> {
        let mut socket = self.connect();
        // The server may refuse, and close, before all of it is sent.
        drop(socket.write_all(request));
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer));
        answer
    }

    /// Sends a part of a request and goes.
    fn abandon(&self, request: &[u8]) {
        let mut socket = self.connect();
        socket.write_all(request).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        drop(socket.read_to_end(&mut Vec::new()));
    }

    fn send(&self, request: &[u8]) -> Answer {
        Answer::parse(&self.talk(request)).unwrap_or_else(|| panic!("no answer to {}", lossy(request)))
    }

    /// One request with a body of known length.
    fn call(&self, verb: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let head = format!("{verb} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let head = headers.iter().fold(head, |head, (name, value)| format!("{head}{name}: {value}\r\n"));
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!("{head}{length}\r\n");
        self.send(&[request.as_bytes(), body].concat())
    }

    /// A successful GET's JSON.
    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Value {
        let answer = self.call("GET", target, headers, b"");
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Everything that a client could have changed: all accounts, and the heads of all repositories.
    fn state(&self) -> [Value; 2] {
        let admin = self.admin();
        let accounts = self.get("/xrpc/com.atproto.admin.searchAccounts", &[("Authorization", &admin)]);
        [self.get("/xrpc/com.atproto.sync.listRepos", &[]), accounts]
    }

    fn admin(&self) -> String {
        let password = self.running.text("admin_password");
        format!("Basic {}", data_encoding::BASE64.encode(format!("admin:{password}").as_bytes()))
    }

    fn bearer(&self, index: usize) -> String {
        format!("Bearer {}", self.account(index, "accessJwt"))
    }

    /// The refresh token of a new session.
    fn refresh_token(&self) -> String {
        let input = serde_json::json!({
            "identifier": self.account(0, "handle"),
            "password": self.account(0, "password"),
        });
        let json = [("Content-Type", "application/json")];
        let answer = self.call("POST", "/xrpc/com.atproto.server.createSession", &json, input.to_string().as_bytes());
        let session: Value = serde_json::from_slice(&answer.body).unwrap();
        session["refreshJwt"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, body) = bytes.split_at(end);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head, body: body.get(4..).unwrap_or_default().to_vec() })
    }

    /// The error's name; it must be one that a client can read: typed, in words, for every origin.
    fn refusal(&self, what: &str) -> String {
        assert!((400..500).contains(&self.status) || self.status == 501, "{what}: {} {self:?}", self.status);
        assert!(self.head.contains("\r\ncontent-type: application/json"), "{what}: {}", self.head);
        assert!(self.head.contains("\r\naccess-control-allow-origin: *"), "{what}: {}", self.head);
        let error: Value = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{what}: {}", self.text()));
        let (name, message) = (error["error"].as_str().unwrap(), error["message"].as_str().unwrap());
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{what}: {error}");
        assert!((8..=2_001).contains(&message.chars().count()), "{what}: {error}");
        name.to_owned()
    }

    fn text(&self) -> String {
        lossy(&self.body)
    }
}

fn address(url: &str) -> String {
    url.strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1")
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..300).unwrap_or(bytes)).into_owned()
}
