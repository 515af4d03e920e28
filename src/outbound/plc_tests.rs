//! The client against a fake directory on loopback.

use super::*;
use crate::{
    clock::Timestamp,
    crypto::{Curve, SigningKey},
    entropy::SeededEntropy,
    outbound::testing::{Answer, FakeServer, answer},
    plc::UnsignedOperation,
};

fn genesis() -> (Did, Operation) {
    let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(1));
    let keys = vec![key.did_key().to_string()];
    let handle = "alice.test".parse().unwrap();
    let operation = UnsignedOperation::genesis(&key.did_key(), &handle, "https://pds.example", keys).sign(&key);
    (operation.did_for_genesis(), operation)
}

fn client(server: &FakeServer) -> PlcClient {
    PlcClient::new(&server.url("/"), &OutboundOptions::default()).unwrap()
}

#[tokio::test]
async fn an_audit_log_is_read_and_verifies() {
    let (did, operation) = genesis();
    let entry = Entry::new(did.clone(), operation.clone(), Timestamp::from_secs(1_700_000_000));
    let json = serde_json::to_string(&[&entry]).unwrap();
    let server = FakeServer::start(move |_| answer("200 OK", "", &json)).await;
    let log = client(&server).audit_log(&did).await.unwrap();
    assert_eq!(log, [entry]);
    assert_eq!(crate::plc::verify_log(&did, &log).unwrap().head, operation.cid());
    assert!(server.last_request().starts_with(&format!("GET /{did}/log/audit HTTP/1.1\r\n")));
}

#[tokio::test]
async fn the_last_operation_is_read_below_a_directory_with_a_path() {
    let (did, operation) = genesis();
    let json = serde_json::to_string(&operation).unwrap();
    let server = FakeServer::start(move |_| answer("200 OK", "", &json)).await;
    let client = PlcClient::new(&server.url("/plc/"), &OutboundOptions::default()).unwrap();
    assert_eq!(client.last_operation(&did).await, Ok(operation));
    assert!(server.last_request().starts_with(&format!("GET /plc/{did}/log/last ")));
}

#[tokio::test]
async fn reading_tells_not_registered_from_unexpected_and_unavailable() {
    let (did, _) = genesis();
    for (status, body, expected) in [
        ("404 Not Found", "", PlcError::NotRegistered),
        ("403 Forbidden", r#"{"message":"no"}"#, PlcError::Unexpected("no".to_owned())),
        ("503 Busy", "", PlcError::Unavailable("with status 503".to_owned())),
        ("429 Slow", "", PlcError::Unavailable("with status 429".to_owned())),
    ] {
        let server = FakeServer::start(move |_| answer(status, "", body)).await;
        assert_eq!(client(&server).audit_log(&did).await, Err(expected), "{status}");
    }
    let page = FakeServer::start(|_| answer("200 OK", "", "<html>")).await;
    assert!(matches!(client(&page).audit_log(&did).await, Err(PlcError::Unexpected(_))));
}

#[tokio::test]
async fn an_operation_is_posted_as_it_is() {
    let (did, operation) = genesis();
    let json = serde_json::to_string(&operation).unwrap();
    let server = FakeServer::start(|_| answer("200 OK", "", "OK")).await;
    assert_eq!(client(&server).post(&did, &json).await, Ok(()));
    let request = server.last_request();
    assert!(request.starts_with(&format!("POST /{did} HTTP/1.1\r\n")), "{request}");
    assert!(request.to_ascii_lowercase().contains("content-type: application/json\r\n"));
    assert!(request.ends_with(&json));
}

#[tokio::test]
async fn a_refusal_is_definite_and_in_the_directorys_words() {
    let (did, _) = genesis();
    let long = format!(r#"{{"message":"Operations not\ncorrectly ordered{}"}}"#, "!".repeat(2000));
    let server = FakeServer::start(move |_| answer("400 Bad Request", "", &long)).await;
    let Err(PostError::Refused { status: 400, message }) = client(&server).post(&did, "{}").await else {
        panic!("not refused")
    };
    assert!(message.starts_with("Operations not correctly ordered!"));
    assert_eq!(message.chars().count(), FOREIGN_MESSAGE_MAX_CHARS);
    let bare = FakeServer::start(|_| answer("409 Conflict", "", "")).await;
    let refused = PostError::Refused { status: 409, message: "with status 409".to_owned() };
    assert_eq!(client(&bare).post(&did, "{}").await, Err(refused));
}

#[tokio::test]
async fn a_broken_answer_is_ambiguous_and_nothing_is_posted_twice() {
    let (did, _) = genesis();
    let server = FakeServer::start(|_| Answer::HangUp).await;
    assert!(matches!(client(&server).post(&did, "{}").await, Err(PostError::Ambiguous(_))));
    assert_eq!(server.hits(), 1);
    for status in ["500 Oops", "502 Bad Gateway", "307 Elsewhere", "408 Timeout"] {
        let server = FakeServer::start(move |_| answer(status, "location: /x\r\n", "")).await;
        assert!(matches!(client(&server).post(&did, "{}").await, Err(PostError::Ambiguous(_))), "{status}");
        assert_eq!(server.hits(), 1, "{status}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let (did, _) = genesis();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let client = PlcClient::new(&url, &OutboundOptions::default()).unwrap();
    assert!(matches!(client.post(&did, "{}").await, Err(PostError::NotSent(_))));
    assert!(matches!(client.audit_log(&did).await, Err(PlcError::Unavailable(_))));
    assert!(matches!(client.health().await, Err(PlcError::Unavailable(_))));
}

#[tokio::test]
async fn every_operation_has_a_connection_of_its_own() {
    let (did, _) = genesis();
    let server = FakeServer::start(|_| answer("200 OK", "", "OK")).await;
    let client = client(&server);
    for _ in 0..3 {
        client.post(&did, "{}").await.unwrap();
    }
    assert_eq!((server.hits(), server.connections()), (3, 3));
    client.health().await.unwrap();
    client.health().await.unwrap();
    assert_eq!((server.hits(), server.connections()), (5, 4));
}
