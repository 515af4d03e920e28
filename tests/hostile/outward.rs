//! Where a client would like the server to go: documents that name this machine or a private network lead nowhere.

use super::{Answer, import::Bench};
use std::net::TcpListener;

/// A GET that is to be passed on to a service.
fn pass_on(bench: &Bench, service: &str) -> Answer {
    let bearer = format!("Bearer {}", bench.token);
    let headers = [("Authorization", bearer.as_str()), ("atproto-proxy", service)];
    bench.server.call("GET", "/xrpc/com.example.get", &headers, b"")
}

#[test]
fn nothing_is_passed_on_to_private_addresses_that_a_document_names() {
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    inner.set_nonblocking(true).unwrap();
    let port = inner.local_addr().unwrap().port();
    let hosts = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"];
    let named = hosts.iter().flat_map(|host| [format!("http://{host}:{port}"), format!("https://{host}:{port}")]);
    // A document holds about ten services.
    let services: Vec<(String, String)> =
        named.take(8).enumerate().map(|(n, endpoint)| (format!("svc{n}"), endpoint)).collect();
    let bench = Bench::naming(&[], &services);
    let refused = |what: &str, service: &str| {
        let answer = pass_on(&bench, service);
        let words = answer.text();
        match answer.status {
            400 => assert!(words.contains("InvalidRequest") && words.contains("may not be reached"), "{what}: {words}"),
            502 => assert!(words.contains("UpstreamFailure") && words.contains("not allowed"), "{what}: {words}"),
            other => panic!("{what}: {other} {words}"),
        }
    };
    for (id, endpoint) in &services {
        refused(endpoint, &format!("{}#{id}", bench.did));
    }
    for did in [format!("did:web:localhost%3A{port}"), "did:web:127.0.0.1".to_owned(), "did:web:10.0.0.1".to_owned()] {
        refused(&did, &format!("{did}#svc"));
    }
    let nobody = inner.accept().map(|(_, peer)| peer);
    assert_eq!(nobody.map_err(|cause| cause.kind()), Err(std::io::ErrorKind::WouldBlock), "somebody came");
}
