//! The listener against clients that break HTTP itself.

use super::Server;
use std::{io::Write, iter};

const HEALTH: &str = "GET /xrpc/_health HTTP/1.1\r\nHost: localhost\r\n";
const SESSION: &str = "POST /xrpc/com.atproto.server.createSession HTTP/1.1\r\nHost: localhost\r\nContent-Type: \
                       application/json\r\nConnection: close\r\n";
const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                         MDAwMDAwMDAwMDAwMDAwMA==\r\n";

impl Server {
    fn is_well(&self) {
        self.get("/xrpc/_health", &[]);
    }

    fn status_for_host(&self, host: &str, target: &str) -> u16 {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).status
    }
}

fn answers(bytes: &[u8]) -> usize {
    bytes.windows(9).filter(|window| *window == b"HTTP/1.1 ").count()
}

#[test]
fn half_open_connections_keep_nobody_else_waiting() {
    let server = Server::start();
    let before = server.state();
    let token = server.bearer(0);
    let halves = [
        String::new(),
        "GET /xrpc/_hea".to_owned(),
        format!("{HEALTH}X-Half: "),
        format!("{SESSION}Content-Length: 100\r\n\r\n{{\"identifier\""),
        format!("{SESSION}Transfer-Encoding: chunked\r\n\r\nff\r\n{{"),
        format!("{SESSION}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{{"),
        format!(
            "POST /xrpc/com.atproto.repo.uploadBlob HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\
             Content-Length: 1000\r\n\r\nhalf a blob"
        ),
    ];
    let held: Vec<_> = iter::repeat_n(halves, 30)
        .flatten()
        .map(|half| {
            let mut socket = server.connect();
            socket.write_all(half.as_bytes()).unwrap();
            socket
        })
        .collect();
    assert_eq!(server.state(), before);
    drop(held);
    assert_eq!(server.state(), before);
}

#[test]
fn a_request_in_anothers_body_is_not_answered() {
    let server = Server::start();
    let inner = format!("{HEALTH}\r\n");
    let chunked = format!("2\r\n{{}}\r\n0\r\n\r\n{inner}");
    // Where the two lengths disagree, at most one answer may come, and the connection ends.
    let keep = SESSION.replace("Connection: close\r\n", "");
    for request in [
        format!("{keep}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        format!("{keep}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}"),
        format!("{keep}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}{inner}"),
        format!("{keep}Content-Length: 2, 2\r\n\r\n{{}}{inner}"),
        format!("{keep}Content-Length: +2\r\n\r\n{{}}{inner}"),
        format!("{keep}Content-Length: 99999999999999999999\r\n\r\n{{}}{inner}"),
        format!("{keep}Transfer-Encoding: xchunked\r\n\r\n{chunked}"),
        format!("{keep}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}"),
        format!("{keep}Transfer-Encoding : chunked\r\n\r\n{chunked}"),
        format!("{keep}Transfer-Encoding: chunked\r\n\r\nzz\r\n{chunked}"),
    ] {
        let answer = server.talk(request.as_bytes());
        assert_eq!(answers(&answer), 1, "{request}");
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{request}");
    }
    let coded =
        server.send(format!("{SESSION}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n").as_bytes());
    assert_eq!((coded.status, coded.refusal("a coding").as_str()), (501, "UnsupportedTransferCoding"));
}

#[test]
fn heads_that_no_honest_client_sends_are_refused() {
    let server = Server::start();
    let many = (0..150).fold(String::new(), |many, i| format!("{many}X-{i}: y\r\n"));
    for (request, status) in [
        (format!("{HEALTH}{many}\r\n"), 431),
        (format!("{HEALTH}X: {}\r\n\r\n", "y".repeat(300_000)), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70_000)), 431),
        (format!("{HEALTH}X: y\r\n folded\r\n\r\n"), 400),
        (format!("{HEALTH}X: \0\r\n\r\n"), 400),
        (format!("{HEALTH}X Y: z\r\n\r\n"), 400),
        (format!("{HEALTH}Host: localhost\r\nConnection: close\r\n\r\n"), 400),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: mallory@alice.test\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n".to_owned(), 400),
        ("GET /\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned(), 400),
    ] {
        assert_eq!(server.send(request.as_bytes()).status, status, "{}", super::lossy(request.as_bytes()));
    }
    server.is_well();
}

/// `count` zero bytes as gzip, in a thousandth of the space.
fn bomb(count: usize) -> Vec<u8> {
    // One deflate block with the fixed codes: a zero, then repetitions of 258 at distance 1, twelve bits each.
    let mut bits: Vec<bool> = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    for _ in 0..count.div_ceil(258) {
        bits.extend([true, true, false, false, false, true, false, true]);
        bits.extend([false; 5]);
    }
    bits.extend([false; 7]);
    let packed =
        bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |all, (i, bit)| all | (u8::from(*bit) << i)));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255].into_iter().chain(packed).collect()
}

#[test]
fn a_body_that_inflates_without_end_is_413() {
    let server = Server::start();
    let before = server.state();
    let body = bomb(200_000_000);
    assert!(body.len() < 2_000_000);
    let token = server.bearer(0);
    for (nsid, content_type) in [
        ("server.createSession", "application/json"),
        ("repo.createRecord", "application/json"),
        ("repo.uploadBlob", "text/plain"),
    ] {
        let headers = [("Authorization", &*token), ("Content-Encoding", "gzip"), ("Content-Type", content_type)];
        let answer = server.call("POST", &format!("/xrpc/com.atproto.{nsid}"), &headers, &body);
        assert_eq!(answer.refusal(nsid), "PayloadTooLarge", "{nsid}");
    }
    assert_eq!(server.state(), before);
}

#[test]
fn a_handles_name_shows_its_well_known_only_and_strangers_names_the_server() {
    let server = Server::start();
    let handle = server.account(0, "handle");
    let did = server.send(
        format!("GET /.well-known/atproto-did HTTP/1.1\r\nHost: {handle}\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    assert_eq!((did.status, did.text().as_str()), (200, server.account(0, "did")));
    let upper = handle.to_uppercase();
    for host in [handle, &upper, &format!("{handle}:2583"), &format!("{handle}."), "anything.test"] {
        for target in ["/", "/xrpc/_health", "/xrpc/com.atproto.server.describeServer", "/dev/mail", "/robots.txt"] {
            assert_eq!(server.status_for_host(host, target), 404, "{host} {target}");
        }
        // An absolute target is asked of the name in it, whatever the header says.
        assert_eq!(server.status_for_host("localhost", &format!("http://{host}/xrpc/_health")), 404, "{host}");
        assert_eq!(
            server.status_for_host("localhost", &format!("http://localhost@{host}/xrpc/_health")),
            404,
            "{host}"
        );
    }
    for host in ["localhost", "LOCALHOST.", "unknown.example", "203.0.113.7", "[::1]:80", "test", ""] {
        assert_eq!(server.status_for_host(host, "/xrpc/_health"), 200, "{host}");
    }
}

#[test]
fn tricks_with_paths_reach_nothing() {
    let server = Server::start();
    for target in [
        "//xrpc/_health",
        "/xrpc",
        "/./xrpc/_health",
        "/.well-known/../xrpc/_health",
        "/.well-known/%2e%2e/xrpc/_health",
        "/..%2f..%2fetc/passwd",
        "/../../etc/passwd",
        "/dev/mail/..",
        "*",
    ] {
        let verb = if target == "*" { "OPTIONS" } else { "GET" };
        assert_eq!(server.call(verb, target, &[], b"").status, 404, "{target}");
    }
    for target in [
        "/xrpc/",
        "/xrpc//",
        "/xrpc/../",
        "/xrpc/%2e%2e/",
        "/xrpc/%00",
        "/xrpc//com.atproto.server.describeServer",
        "/xrpc/com.atproto.server%2edescribeServer",
        "/xrpc/com.atproto.server.describeServer%2f",
        "/xrpc/com.atproto.server.describeServer/..",
        "/xrpc/com.atproto.server.describeServer;a=b",
        "/xrpc/com.atproto.server.describeserver",
        "/xrpc/COM.ATPROTO.SERVER.DESCRIBESERVER",
    ] {
        server.call("GET", target, &[], b"").refusal(target);
    }
    server.is_well();
}

#[test]
fn a_socket_opens_for_a_whole_handshake_only() {
    let server = Server::start();
    let path = "/xrpc/com.atproto.sync.subscribeRepos";
    let open = |line: &str, handshake: &str| {
        let request = format!("{line}\r\nHost: localhost\r\n{handshake}\r\n");
        // Whatever follows a refusal is another request: this one ends the connection.
        server.send(format!("{request}GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
    };
    let get = format!("GET {path} HTTP/1.1");
    for (line, handshake, status) in [
        (get.clone(), String::new(), 426),
        (get.clone(), HANDSHAKE.replace(": websocket", ": h2c"), 426),
        (get.clone(), HANDSHAKE.replace("Connection: Upgrade", "X: y"), 426),
        (get.clone(), HANDSHAKE.replace("Version: 13", "Version: 8"), 426),
        (get.clone(), HANDSHAKE.replace("MDAw", "x"), 400),
        (get, HANDSHAKE.replace("Sec-WebSocket-Key", "X"), 400),
        (format!("GET {path}?cursor=x HTTP/1.1"), HANDSHAKE.to_owned(), 400),
        (format!("GET {path}?cursor=99999999999999999999 HTTP/1.1"), HANDSHAKE.to_owned(), 400),
        (format!("GET {path}?cursor=1&cursor=2 HTTP/1.1"), HANDSHAKE.to_owned(), 400),
        (format!("POST {path} HTTP/1.1"), HANDSHAKE.to_owned(), 400),
        (format!("GET {path} HTTP/1.0"), HANDSHAKE.to_owned(), 426),
        (format!("GET {path}x HTTP/1.1"), HANDSHAKE.to_owned(), 501),
    ] {
        assert_eq!(open(&line, &handshake).status, status, "{line} {handshake}");
    }
    assert_eq!(open("GET /xrpc/com.atproto.server.describeServer HTTP/1.1", HANDSHAKE).status, 200);
    server.is_well();
}
