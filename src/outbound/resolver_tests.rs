//! The resolver against fake directories, DNS servers and websites on loopback.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU16, AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::net::UdpSocket;

use super::*;
use crate::{
    clock::ManualClock,
    outbound::{
        fetch::{Http, Reuse},
        guard::Guard,
        testing::{Answer, FakeServer, Names, answer, open_options, tls_for},
    },
};

const ALICE: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
const STALE: Duration = Duration::from_hours(1);
const MAX: Duration = Duration::from_hours(24);

fn alice() -> Did {
    ALICE.parse().unwrap()
}

fn document(handle: &str) -> String {
    json!({ "id": ALICE, "alsoKnownAs": [format!("at://{handle}")] }).to_string()
}

struct World {
    resolver: Resolver,
    clock: Arc<ManualClock>,
    tasks: Tasks,
}

impl World {
    fn new(plc_url: url::Url, outbound: &OutboundOptions, client: GuardedClient) -> Self {
        let (clock, tasks) = (Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000))), Tasks::new());
        let options = ResolverOptions { plc_url, stale: STALE, max: MAX };
        let resolver = Resolver::new(options, outbound, client, clock.clone(), tasks.clone()).unwrap();
        Self { resolver, clock, tasks }
    }

    fn over(plc: &FakeServer) -> Self {
        Self::new(plc.url("/"), &open_options(), GuardedClient::new(&open_options()).unwrap())
    }

    async fn cached(&self) -> DidResult {
        self.resolver.did(&alice(), Freshness::Cached).await
    }

    async fn now(&self) -> DidResult {
        self.resolver.did(&alice(), Freshness::Now).await
    }

    /// Waits for all look-ups under way; others may follow.
    async fn settle(&self) {
        self.tasks.finished().await;
    }
}

/// A directory whose status can be changed, and whose document's handle counts the requests.
async fn directory() -> (FakeServer, Arc<AtomicU16>) {
    let (status, count) = (Arc::new(AtomicU16::new(200)), AtomicUsize::new(0));
    let shown = status.clone();
    let server = FakeServer::start(move |_| match shown.load(Ordering::SeqCst) {
        200 => answer("200 OK", "", document(&format!("h{}.test", count.fetch_add(1, Ordering::SeqCst)))),
        0 => Answer::HangUp,
        status => answer(&format!("{status} X"), "", r#"{"message":"DID not registered"}"#),
    })
    .await;
    (server, status)
}

fn handle_in(answer: DidResult) -> String {
    answer.unwrap().handle.clone().unwrap().to_string()
}

#[tokio::test]
async fn many_who_ask_at_once_make_one_request_and_later_ones_none() {
    let (plc, _) = directory().await;
    let world = World::over(&plc);
    let answers = futures_util::future::join_all((0..50).map(|_| world.cached())).await;
    assert!(answers.into_iter().all(|answer| handle_in(answer) == "h0.test"));
    assert_eq!(handle_in(world.cached().await), "h0.test");
    assert_eq!(plc.hits(), 1);
    assert!(plc.last_request().starts_with(&format!("GET /{ALICE} HTTP/1.1\r\n")));
}

#[tokio::test]
async fn who_asks_for_now_gets_a_new_answer_and_others_get_it_too() {
    let (plc, _) = directory().await;
    let world = World::over(&plc);
    assert_eq!(handle_in(world.cached().await), "h0.test");
    assert_eq!(handle_in(world.now().await), "h1.test");
    assert_eq!(handle_in(world.cached().await), "h1.test");
}

#[tokio::test]
async fn a_stale_document_is_served_at_once_and_refreshed_behind() {
    let (plc, _) = directory().await;
    let world = World::over(&plc);
    world.cached().await.unwrap();
    world.clock.advance(STALE);
    assert_eq!(handle_in(world.cached().await), "h0.test");
    world.settle().await;
    assert_eq!(plc.hits(), 2);
    assert_eq!(handle_in(world.cached().await), "h1.test");
}

#[tokio::test]
async fn a_document_past_its_time_is_fetched_again() {
    let (plc, _) = directory().await;
    let world = World::over(&plc);
    world.cached().await.unwrap();
    world.clock.advance(MAX);
    assert_eq!(handle_in(world.cached().await), "h1.test");
}

#[tokio::test]
async fn while_the_directory_is_down_the_last_document_is_served_and_it_is_not_asked_each_time() {
    for status in [0, 500, 503, 429] {
        let (plc, shown) = directory().await;
        let world = World::over(&plc);
        world.cached().await.unwrap();
        shown.store(status, Ordering::SeqCst);
        world.clock.advance(MAX * 10);
        for _ in 0..5 {
            assert_eq!(handle_in(world.cached().await), "h0.test", "{status}");
        }
        assert_eq!(plc.hits(), 2, "{status}");
        assert!(matches!(world.now().await, Err(ResolveError::Unavailable(..))), "{status}");
        shown.store(200, Ordering::SeqCst);
        world.clock.advance(DIRECTORY_RETRY_AFTER);
        assert_eq!(handle_in(world.cached().await), "h1.test", "{status}");
    }
}

#[tokio::test]
async fn when_the_directory_says_not_found_nothing_stale_is_served() {
    let (plc, shown) = directory().await;
    let world = World::over(&plc);
    world.cached().await.unwrap();
    shown.store(404, Ordering::SeqCst);
    world.clock.advance(MAX);
    assert_eq!(world.cached().await, Err(ResolveError::NotFound(ALICE.to_owned())));
    shown.store(410, Ordering::SeqCst);
    assert_eq!(world.cached().await, Err(ResolveError::Deactivated(ALICE.to_owned())));
    shown.store(500, Ordering::SeqCst);
    assert!(matches!(world.cached().await, Err(ResolveError::Unavailable(..))));
}

#[tokio::test]
async fn a_tombstone_that_the_public_directory_calls_not_available_is_deactivated() {
    let plc = FakeServer::start(|_| answer("404 Not Found", "", r#"{"message":"DID not available: x"}"#)).await;
    assert_eq!(World::over(&plc).cached().await, Err(ResolveError::Deactivated(ALICE.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_while_it_is_fetched_is_not_kept() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let count = AtomicUsize::new(0);
    let plc = FakeServer::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            tokio::task::block_in_place(|| gate.lock().unwrap().recv().unwrap());
        }
        answer("200 OK", "", document(&format!("h{number}.test")))
    })
    .await;
    let world = World::over(&plc);
    let (old, ()) = tokio::join!(world.cached(), async {
        while plc.hits() == 0 {
            tokio::task::yield_now().await;
        }
        world.resolver.forget(&alice()).await;
        release.send(()).unwrap();
    });
    assert_eq!(handle_in(old), "h0.test");
    assert_eq!(handle_in(world.cached().await), "h1.test");
}

#[tokio::test]
async fn documents_that_are_not_about_the_did_or_not_json_are_refused() {
    let other = FakeServer::start(|_| answer("200 OK", "", r#"{"id":"did:plc:other"}"#)).await;
    assert!(matches!(World::over(&other).cached().await, Err(ResolveError::BadDocument(..))));
    let page = FakeServer::start(|_| answer("200 OK", "", "<html>")).await;
    assert!(matches!(World::over(&page).cached().await, Err(ResolveError::Unavailable(..))));
    let huge = FakeServer::start(|_| answer("200 OK", "", vec![b' '; 1 << 20])).await;
    assert!(matches!(World::over(&huge).cached().await, Err(ResolveError::Unavailable(..))));
}

#[tokio::test]
async fn other_methods_and_a_did_web_with_a_path_are_not_supported() {
    let (plc, _) = directory().await;
    let world = World::over(&plc);
    for did in ["did:key:zabc", "did:web:example.com:path", "did:plc:short"] {
        let answer = world.resolver.did(&did.parse().unwrap(), Freshness::Cached).await;
        assert_eq!(answer, Err(ResolveError::UnsupportedMethod(did.to_owned())));
    }
    assert_eq!(plc.hits(), 0);
}

#[tokio::test]
async fn a_did_web_is_fetched_through_the_guard() {
    let server = FakeServer::start(|request| {
        let host = request.lines().find_map(|line| line.strip_prefix("host: localhost:")).unwrap();
        answer("200 OK", "", format!(r#"{{"id":"did:web:localhost%3A{host}"}}"#))
    })
    .await;
    let did: Did = format!("did:web:localhost%3A{}", server.address.port()).parse().unwrap();
    let open = World::over(&server);
    assert_eq!(open.resolver.did(&did, Freshness::Cached).await.unwrap().did, did);
    assert!(server.last_request().starts_with("GET /.well-known/did.json HTTP/1.1\r\n"));
    let closed = OutboundOptions::default();
    let guarded = World::new(server.url("/"), &closed, GuardedClient::new(&closed).unwrap());
    for name in [did.as_str(), "did:web:localhost", "did:web:127.0.0.1", "did:web:10.0.0.1"] {
        let answer = guarded.resolver.did(&name.parse().unwrap(), Freshness::Cached).await;
        let Err(ResolveError::Unavailable(_, why)) = &answer else { panic!("{name}: {answer:?}") };
        assert!(why.contains("not allowed"), "{why}");
    }
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn a_did_web_host_that_answers_too_much_packed_from_elsewhere_or_never_is_no_document() {
    let did =
        |server: &FakeServer| -> Did { format!("did:web:localhost%3A{}", server.address.port()).parse().unwrap() };
    let answers: [fn() -> Answer; 6] = [
        || answer("200 OK", "", vec![b' '; crate::limits::outbound::DID_DOCUMENT_MAX_BYTES + 1]),
        || Answer::Raw([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b' '; 1 << 20]].concat()),
        || answer("200 OK", "content-encoding: gzip\r\n", [0x1f, 0x8b, 8, 0]),
        || answer("302 Found", "location: http://127.0.0.2/\r\n", ""),
        || answer("200 OK", "", "[".repeat(60_000)),
        || Answer::HangUp,
    ];
    for (case, make) in answers.into_iter().enumerate() {
        let server = FakeServer::start(move |_| make()).await;
        let answer = World::over(&server).resolver.did(&did(&server), Freshness::Cached).await;
        let refused = matches!(answer, Err(ResolveError::Unavailable(..) | ResolveError::BadDocument(..)));
        assert!(refused, "{case}: {answer:?}");
    }
    let silent = FakeServer::start(|_| Answer::Silence).await;
    let world = World::over(&silent);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let answer = world.resolver.did(&did(&silent), Freshness::Cached).await;
    assert!(matches!(answer, Err(ResolveError::Unavailable(..))), "{answer:?}");
    assert!(started.elapsed() <= RESOLVE_TIMEOUT * 2);
}

#[tokio::test]
async fn a_did_web_with_a_port_is_asked_for_on_this_machine_only() {
    let plc = FakeServer::start(|_| answer("200 OK", "", "{}")).await;
    let world = World::over(&plc);
    for did in ["did:web:example.com%3A8080", "did:web:127.0.0.1%3A22", "did:web:localhost%3A22%3A80", "did:web:a%40b"]
    {
        let Ok(parsed) = did.parse::<Did>() else { continue };
        let answer = world.resolver.did(&parsed, Freshness::Cached).await;
        assert_eq!(answer, Err(ResolveError::UnsupportedMethod(did.to_owned())));
    }
    assert_eq!(plc.connections(), 0);
}

/// A DNS server with these TXT records and nothing else; a question about `silent.…` gets no answer.
async fn dns_server(
    tasks: &Tasks,
    records: &'static [(&'static str, &'static [&'static str])],
) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, hits) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = hits.clone();
    tasks.spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = &buffer[..length];
            let (mut name, mut at) = (Vec::new(), 12);
            while query[at] != 0 {
                let end = at + 1 + usize::from(query[at]);
                name.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
                at = end;
            }
            let question = &query[12..at + 5];
            let name = name.join(".").to_ascii_lowercase();
            counted.fetch_add(1, Ordering::SeqCst);
            if name.contains("silent.") {
                continue;
            }
            let texts = records.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, texts)| texts);
            let mut reply = query[..2].to_vec();
            reply.extend([
                0x81,
                if texts.is_empty() { 0x83 } else { 0x80 },
                0,
                1,
                0,
                u8::try_from(texts.len()).unwrap(),
                0,
                0,
                0,
                0,
            ]);
            reply.extend(question);
            for text in texts {
                // Two strings, as long values have: they are to be joined.
                let (one, two) = text.split_at(text.len() / 2);
                reply.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, u8::try_from(text.len() + 2).unwrap()]);
                for part in [one, two] {
                    reply.push(u8::try_from(part.len()).unwrap());
                    reply.extend(part.as_bytes());
                }
            }
            socket.send_to(&reply, from).await.unwrap();
        }
    });
    (address, hits)
}

/// DNS TXT as given, and no websites at all.
async fn handles(records: &'static [(&'static str, &'static [&'static str])]) -> (World, Arc<AtomicUsize>, Tasks) {
    let tasks = Tasks::new();
    let (dns, hits) = dns_server(&tasks, records).await;
    let outbound = OutboundOptions { dns_servers: vec![dns], ..OutboundOptions::default() };
    let http = Http::new(Guard::Public, &outbound, Arc::new(Names::default()), Reuse::Yes).unwrap();
    let plc = url::Url::parse("http://127.0.0.1:1/").unwrap();
    (World::new(plc, &outbound, GuardedClient::with_http(http)), hits, tasks)
}

#[tokio::test]
async fn a_handles_txt_record_names_its_did() {
    let (world, hits, _tasks) =
        handles(&[("_atproto.alice.example.com", &["v=other", "did=did:plc:ewvi7nxzyoun6zhxrhs64oiz"])]).await;
    let handle: Handle = "alice.example.com".parse().unwrap();
    assert_eq!(world.resolver.handle(&handle).await, Ok(alice()));
    assert_eq!(world.resolver.handle(&handle).await, Ok(alice()));
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    world.clock.advance(HANDLE_CACHE_TTL);
    assert_eq!(world.resolver.handle(&handle).await, Ok(alice()));
    assert_eq!(world.resolver.handle_with(&handle, Freshness::Now).await, Ok(alice()));
    assert_eq!(hits.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_handle_without_a_record_or_with_two_is_not_found_and_that_is_remembered_briefly() {
    let (world, hits, _tasks) =
        handles(&[("_atproto.two.example.com", &["did=did:web:a.com", "did=did:web:b.com"])]).await;
    for name in ["none.example.com", "two.example.com"] {
        let handle: Handle = name.parse().unwrap();
        let before = hits.load(Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(world.resolver.handle(&handle).await, Err(ResolveError::NotFound(name.to_owned())));
        }
        assert_eq!(hits.load(Ordering::SeqCst), before + 1);
        world.clock.advance(HANDLE_CACHE_NEGATIVE_TTL);
        drop(world.resolver.handle(&handle).await);
        assert_eq!(hits.load(Ordering::SeqCst), before + 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_that_does_not_answer_is_unavailable_and_not_remembered() {
    let (world, _, _tasks) = handles(&[]).await;
    let handle: Handle = "silent.example.com".parse().unwrap();
    assert!(matches!(world.resolver.handle(&handle).await, Err(ResolveError::Unavailable(..))));
    assert!(world.resolver.0.handles.get(&handle).await.is_none());
}

#[tokio::test]
async fn disallowed_top_level_domains_are_never_asked_for() {
    let (world, hits, _tasks) = handles(&[("_atproto.a.local", &["did=did:web:a.com"])]).await;
    for name in ["a.local", "a.onion", "a.localhost", "a.internal"] {
        let answer = world.resolver.handle(&name.parse().unwrap()).await;
        assert_eq!(answer, Err(ResolveError::NotFound(name.to_owned())));
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_verified_handle_is_one_that_points_back() {
    let (world, _, _tasks) = handles(&[
        ("_atproto.alice.example.com", &["did=did:plc:ewvi7nxzyoun6zhxrhs64oiz"]),
        ("_atproto.mallory.example.com", &["did=did:web:mallory.com"]),
    ])
    .await;
    let of = |handle: &str| DidDocument::parse(&alice(), serde_json::from_str(&document(handle)).unwrap()).unwrap();
    let verified = |handle| {
        let document = of(handle);
        let resolver = world.resolver.clone();
        async move { resolver.verified_handle(&document).await }
    };
    assert_eq!(verified("alice.example.com").await.unwrap().as_str(), "alice.example.com");
    assert_eq!(verified("mallory.example.com").await, None);
    assert_eq!(verified("nobody.example.com").await, None);
    assert_eq!(verified("not valid").await, None);
}

/// Asks the website alone: what `/.well-known/atproto-did` with this answer comes to.
async fn website(reply: impl Fn(&str) -> Answer + Send + Sync + 'static) -> HandleResult {
    let tasks = Tasks::new();
    let (dns, _) = dns_server(&tasks, &[]).await;
    let (ca, tls) = tls_for(&["site.example.com"]);
    let server = FakeServer::listen(IpAddr::from([127, 0, 0, 1]), Some(tls), reply).await;
    let options = OutboundOptions { dns_servers: vec![dns], extra_ca_pem: Some(ca), ..OutboundOptions::default() };
    let guard = Guard::PublicAnd("127.0.0.1".parse().unwrap());
    let names = Names::of(&[("site.example.com", &["127.0.0.1"])]).at_port(server.address.port());
    let http = Http::new(guard, &options, Arc::new(names), Reuse::Yes).unwrap();
    let plc = url::Url::parse("http://127.0.0.1:1/").unwrap();
    let world = World::new(plc, &options, GuardedClient::with_http(http));
    let answer = world.resolver.handle(&"site.example.com".parse().unwrap()).await;
    assert!(server.last_request().starts_with("GET /.well-known/atproto-did HTTP/1.1\r\n"));
    answer
}

#[tokio::test]
async fn a_website_names_the_did_of_its_handle_on_the_first_line() {
    let not_found = Err(ResolveError::NotFound("site.example.com".to_owned()));
    assert_eq!(website(|_| answer("200 OK", "", format!("  {ALICE} \r\nmore\n"))).await, Ok(alice()));
    assert_eq!(website(|_| answer("404 Not Found", "", ALICE)).await, not_found);
    assert_eq!(website(|_| answer("200 OK", "", "<html>")).await, not_found);
    assert_eq!(website(|_| answer("200 OK", "", vec![b'x'; 5000])).await, not_found);
    assert_eq!(website(|_| answer("302 Found", "location: https://127.0.0.2/\r\n", "")).await, not_found);
    assert!(matches!(website(|_| answer("500 Oops", "", "")).await, Err(ResolveError::Unavailable(..))));
}
