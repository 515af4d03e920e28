//! The clients against real servers on loopback.

use std::net::IpAddr;

use super::*;
use crate::outbound::testing::{Answer, FakeServer, Names, ROOMY, answer, open_options, tls_for};

fn guarded() -> GuardedClient {
    GuardedClient::new(&OutboundOptions::default()).unwrap()
}

fn open() -> GuardedClient {
    GuardedClient::new(&open_options()).unwrap()
}

/// A client for which 127.0.0.1 counts as public, so that what comes after a first honest hop can be tested.
fn behind_guard(ca: Vec<u8>, names: &[(&str, &[&str])]) -> GuardedClient {
    let options = OutboundOptions { extra_ca_pem: Some(ca), ..OutboundOptions::default() };
    let guard = Guard::PublicAnd("127.0.0.1".parse().unwrap());
    GuardedClient::with_http(Http::new(guard, &options, Arc::new(Names::of(names)), Reuse::Yes).unwrap())
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[tokio::test]
async fn a_private_server_is_not_even_connected_to() {
    let server = FakeServer::start(|_| answer("200 OK", "", "secret")).await;
    let port = server.address.port();
    for host in ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.1", "[::ffff:127.0.0.1]", "localhost"] {
        let result = guarded().get(&url(&format!("https://{host}:{port}/")), ROOMY).await;
        assert!(matches!(result, Err(FetchError::Refused(Refusal::Address(_)))), "{host}: {result:?}");
    }
    assert_eq!(guarded().get(&server.url("/"), ROOMY).await.unwrap_err(), FetchError::Refused(Refusal::Scheme));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_connected_to() {
    let server = FakeServer::start(|_| answer("200 OK", "", "secret")).await;
    let names = Names::of(&[("inner.example", &["127.0.0.1"]), ("mixed.example", &["1.1.1.1", "127.0.0.1"])]);
    let http = Http::new(Guard::Public, &OutboundOptions::default(), Arc::new(names), Reuse::Yes).unwrap();
    for name in ["inner.example", "mixed.example"] {
        let result = http.get(&url(&format!("https://{name}:{}/", server.address.port())), ROOMY).await;
        assert_eq!(result.unwrap_err(), FetchError::Refused(Refusal::Address("127.0.0.1".parse().unwrap())));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_without_an_address_says_so() {
    let http = Http::new(Guard::Public, &OutboundOptions::default(), Arc::new(Names::default()), Reuse::Yes).unwrap();
    let error = http.get(&url("https://nowhere.example/"), ROOMY).await.unwrap_err();
    assert!(matches!(&error, FetchError::NoAddress(text) if text.contains("nowhere.example")), "{error:?}");
    assert!(error.nothing_sent());
}

#[tokio::test]
async fn schemes_and_credentials_are_refused_before_anything_happens() {
    for (text, refusal) in [
        ("file:///etc/passwd", Refusal::Scheme),
        ("ftp://example.com/", Refusal::Scheme),
        ("data:text/plain,x", Refusal::Scheme),
        ("http://example.com/", Refusal::Scheme),
        ("https://user:pw@example.com/", Refusal::Credentials),
    ] {
        assert_eq!(guarded().get(&url(text), ROOMY).await.unwrap_err(), FetchError::Refused(refusal), "{text}");
    }
    assert_eq!(open().get(&url("file:///etc/passwd"), ROOMY).await.unwrap_err(), FetchError::Refused(Refusal::Scheme));
}

#[tokio::test]
async fn tls_with_an_added_authority_is_believed_and_without_it_is_not() {
    let (ca, tls) = tls_for(&["good.example"]);
    let server = FakeServer::listen(IpAddr::from([127, 0, 0, 1]), Some(tls), |_| answer("200 OK", "", "hello")).await;
    let target = url(&format!("https://good.example:{}/", server.address.port()));
    let names: &[(&str, &[&str])] = &[("good.example", &["127.0.0.1"]), ("bad.example", &["127.0.0.1"])];
    let client = behind_guard(ca, names);
    assert_eq!(client.get(&target, ROOMY).await.unwrap().body, "hello");
    let other = url(&format!("https://bad.example:{}/", server.address.port()));
    assert!(
        matches!(client.get(&other, ROOMY).await, Err(FetchError::Connect(_))),
        "the name is not the certificate's"
    );
    let stranger = behind_guard(tls_for(&["x"]).0, names);
    assert!(matches!(stranger.get(&target, ROOMY).await, Err(FetchError::Connect(_))));
    assert_eq!(server.hits(), 1);
}

/// A name that is public when it is first asked for, and private from then on.
struct Rebinding(std::sync::atomic::AtomicUsize);

impl Lookup for Rebinding {
    fn lookup(&self, _: String) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let ip = IpAddr::from([127, 0, 0, if asked == 0 { 1 } else { 2 }]);
        Box::pin(async move { Ok(vec![(ip, 0).into()]) })
    }
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_not_connected_to_there() {
    let (ca, tls) = tls_for(&["outer.example"]);
    let serve = |_: &str| answer("200 OK", "connection: close\r\n", "there");
    let outer = FakeServer::listen(IpAddr::from([127, 0, 0, 1]), Some(tls), serve).await;
    let options = OutboundOptions { extra_ca_pem: Some(ca), ..OutboundOptions::default() };
    let guard = Guard::PublicAnd("127.0.0.1".parse().unwrap());
    let names = Arc::new(Rebinding(std::sync::atomic::AtomicUsize::new(0)));
    let client = GuardedClient::with_http(Http::new(guard, &options, names, Reuse::No).unwrap());
    let target = url(&format!("https://outer.example:{}/", outer.address.port()));
    // What was looked up and checked is what is connected to: there is no second look-up in between.
    assert_eq!(client.get(&target, ROOMY).await.unwrap().status, 200);
    let private = FetchError::Refused(Refusal::Address("127.0.0.2".parse().unwrap()));
    assert_eq!(client.get(&target, ROOMY).await.unwrap_err(), private);
    assert_eq!(outer.connections(), 1);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let inner = FakeServer::listen("127.0.0.2".parse().unwrap(), None, |_| answer("200 OK", "", "secret")).await;
    let port = inner.address.port();
    let (ca, tls) = tls_for(&["outer.example"]);
    let outer = FakeServer::listen(IpAddr::from([127, 0, 0, 1]), Some(tls), move |request| {
        let to = match request.split(' ').nth(1).unwrap_or_default() {
            "/literal" => format!("https://127.0.0.2:{port}/"),
            "/number" => format!("https://2130706434:{port}/"),
            "/name" => format!("https://inner.example:{port}/"),
            "/plain" => format!("http://127.0.0.1:{port}/"),
            "/file" => "file:///etc/passwd".to_owned(),
            "/user" => "https://user@outer.example/".to_owned(),
            "/relative" => "//127.0.0.2/".to_owned(),
            _ => "https://[".to_owned(),
        };
        answer("302 Found", &format!("location: {to}\r\n"), "")
    })
    .await;
    let client = behind_guard(ca, &[("outer.example", &["127.0.0.1"]), ("inner.example", &["127.0.0.2"])]);
    let address = FetchError::Refused(Refusal::Address("127.0.0.2".parse().unwrap()));
    for (path, error) in [
        ("literal", address.clone()),
        ("number", address.clone()),
        ("name", address.clone()),
        ("relative", address),
        ("plain", FetchError::Refused(Refusal::Scheme)),
        ("file", FetchError::Refused(Refusal::Scheme)),
        ("user", FetchError::Refused(Refusal::Credentials)),
        ("nonsense", FetchError::BadRedirect),
    ] {
        let target = url(&format!("https://outer.example:{}/{path}", outer.address.port()));
        assert_eq!(client.get(&target, ROOMY).await.unwrap_err(), error, "{path}");
    }
    assert_eq!(inner.connections(), 0);
}

#[tokio::test]
async fn redirects_are_followed_up_to_their_bound() {
    let server = FakeServer::start(|request| {
        if request.starts_with("GET /end ") {
            return answer("200 OK", "content-type: text/plain\r\n", "there");
        }
        let left: usize = request.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        let to = if left == 1 { "/end".to_owned() } else { format!("/{}", left - 1) };
        answer("301 Moved", &format!("location: {to}\r\n"), "")
    })
    .await;
    let fetched = open().get(&server.url("/3"), ROOMY).await.unwrap();
    assert_eq!(
        (fetched.status, fetched.content_type.as_deref(), &*fetched.body),
        (200, Some("text/plain"), &b"there"[..])
    );
    assert_eq!(open().get(&server.url("/4"), ROOMY).await.unwrap_err(), FetchError::TooManyRedirects(3));
    let none = FetchLimits { redirects: 0, ..ROOMY };
    assert_eq!(open().get(&server.url("/1"), none).await.unwrap_err(), FetchError::TooManyRedirects(0));
}

#[tokio::test]
async fn an_announced_body_over_the_bound_is_refused_and_one_at_the_bound_is_read() {
    let server = FakeServer::start(|_| answer("200 OK", "", [b'x'; 1000])).await;
    let limits = |body_bytes| FetchLimits { body_bytes, ..ROOMY };
    assert_eq!(open().get(&server.url("/"), limits(1000)).await.unwrap().body.len(), 1000);
    assert_eq!(open().get(&server.url("/"), limits(999)).await.unwrap_err(), FetchError::TooLarge(999));
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_at_the_bound() {
    let server = FakeServer::start(|_| {
        let mut raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..1000 {
            raw.extend_from_slice(b"400\r\n");
            raw.extend_from_slice(&[b'x'; 1024]);
            raw.extend_from_slice(b"\r\n");
        }
        Answer::Raw(raw)
    })
    .await;
    let limits = FetchLimits { body_bytes: 10_000, ..ROOMY };
    assert_eq!(open().get(&server.url("/"), limits).await.unwrap_err(), FetchError::TooLarge(10_000));
}

#[tokio::test]
async fn a_compressed_body_is_refused_rather_than_inflated() {
    let server = FakeServer::start(|_| answer("200 OK", "content-encoding: gzip\r\n", [0x1f, 0x8b, 8, 0])).await;
    assert_eq!(open().get(&server.url("/"), ROOMY).await.unwrap_err(), FetchError::Encoded);
    assert!(!server.last_request().to_ascii_lowercase().contains("accept-encoding"));
}

#[tokio::test]
async fn an_answer_that_never_comes_or_never_ends_times_out() {
    let limits = FetchLimits { total: Duration::from_millis(100), ..ROOMY };
    let silent = FakeServer::start(|_| Answer::Silence).await;
    assert_eq!(open().get(&silent.url("/"), limits).await.unwrap_err(), FetchError::TimedOut(limits.total));
    let endless = FakeServer::start(|_| Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec())).await;
    assert_eq!(open().get(&endless.url("/"), limits).await.unwrap_err(), FetchError::TimedOut(limits.total));
    assert!(!FetchError::TimedOut(limits.total).nothing_sent());
}

#[tokio::test]
async fn a_refused_connection_sent_nothing_and_a_broken_one_may_have() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = open().get(&url(&format!("http://127.0.0.1:{port}/")), ROOMY).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect(_)) && error.nothing_sent(), "{error:?}");
    let server = FakeServer::start(|_| Answer::HangUp).await;
    let error = open().get(&server.url("/"), ROOMY).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken(_)) && !error.nothing_sent(), "{error:?}");
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let many = "x-one: y\r\n".repeat(500);
    let server = FakeServer::start(move |_| answer("200 OK", &many, "")).await;
    assert!(matches!(open().get(&server.url("/"), ROOMY).await, Err(FetchError::Broken(_))));
}

#[tokio::test]
async fn the_user_agent_is_the_one_of_the_settings() {
    let server = FakeServer::start(|_| answer("404 Not Found", "", "no")).await;
    let options = OutboundOptions { user_agent: "housekey/9 (+https://pds.example)".to_owned(), ..open_options() };
    let fetched = GuardedClient::new(&options).unwrap().get(&server.url("/"), ROOMY).await.unwrap();
    assert_eq!(fetched.status, 404);
    assert!(server.last_request().contains("user-agent: housekey/9 (+https://pds.example)"));
}

#[tokio::test]
async fn a_forwarded_request_keeps_its_headers_and_body_and_its_answer_is_not_followed_or_inflated() {
    let server = FakeServer::start(|_| {
        answer("302 Found", "location: /elsewhere\r\ncontent-encoding: gzip\r\nx-two: 2\r\n", [0x1f, 0x8b])
    })
    .await;
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, http::HeaderValue::from_static("Bearer t"))]);
    let body = futures_util::stream::iter([Ok(Bytes::from_static(b"one ")), Ok(Bytes::from_static(b"two"))]).boxed();
    let request =
        Outgoing { method: Method::POST, url: server.url("/xrpc/x?a=b"), headers, body: OutgoingBody::Stream(body) };
    let mut streamed = open().send(request, Duration::from_secs(30)).await.unwrap();
    assert_eq!((streamed.status.as_u16(), streamed.headers.get("x-two").unwrap().as_bytes()), (302, &b"2"[..]));
    assert_eq!(streamed.body.next().await.unwrap().unwrap(), [0x1f, 0x8b].as_slice());
    assert!(server.last_request().starts_with("POST /xrpc/x?a=b HTTP/1.1\r\n"));
    assert!(server.last_request().contains("authorization: Bearer t"));
    let private = Outgoing {
        method: Method::GET,
        url: url("https://127.0.0.1/"),
        headers: HeaderMap::new(),
        body: OutgoingBody::Empty,
    };
    assert!(matches!(guarded().send(private, Duration::from_secs(1)).await, Err(FetchError::Refused(_))));
}

#[test]
fn a_bundle_that_is_not_pem_stops_the_client_from_being_made() {
    let options = OutboundOptions { extra_ca_pem: Some(b"no".to_vec()), ..OutboundOptions::default() };
    assert!(matches!(GuardedClient::new(&options), Err(FetchError::Setup(_))));
}
