//! A whole server and a service on loopback that does what a test says.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderName, header};
use serde_json::{Value as Json, json};

use crate::{
    crypto::jwt::{Scope, SessionClaims, SessionToken, UnverifiedServiceToken},
    limits::proxy as limits,
    outbound::testing::{Answer as Raw, FakeServer, answer},
    service::{
        KnownService, Policy,
        testing::{As, World, policy},
    },
    store::Account,
    syntax::Did,
    xrpc::{Api, Call, Dispatch, Reply, ReplyBody, RequestBody, RequestHead},
};
use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_http::compression::{Compression, predicate::SizeAbove};

type Answers = Arc<Mutex<Box<dyn Fn(&str) -> Raw + Send>>>;

/// A service that says its DID document itself; everything else is the test's.
struct Service {
    server: FakeServer,
    did: Did,
    answers: Answers,
}

fn ok(json: &Json) -> Raw {
    answer("200 OK", "content-type: application/json\r\n", json.to_string())
}

impl Service {
    async fn start() -> Self {
        let answers: Answers = Arc::new(Mutex::new(Box::new(|_| ok(&json!({ "served": true })))));
        let name = Arc::new(Mutex::new(String::new()));
        let (shown, doing) = (Arc::clone(&name), Arc::clone(&answers));
        let server = FakeServer::start(move |request| {
            if !request.starts_with("GET /.well-known/did.json ") {
                return doing.lock().unwrap()(request);
            }
            let did = shown.lock().unwrap().clone();
            let url = format!("http://localhost:{}", did.rsplit("%3A").next().unwrap());
            let service = |id: &str, kind: &str| json!({ "id": id, "type": kind, "serviceEndpoint": url });
            let services = [service("#svc", "Example"), service("#bsky_notif", "BskyNotificationService")];
            ok(&json!({ "id": did, "service": services }))
        })
        .await;
        let did = format!("did:web:localhost%3A{}", server.address.port());
        name.lock().unwrap().clone_from(&did);
        Self { server, did: did.parse().unwrap(), answers }
    }

    fn answers(&self, with: impl Fn(&str) -> Raw + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(with);
    }

    fn known(&self) -> KnownService {
        KnownService { url: self.server.url(""), did: self.did.clone() }
    }

    /// The header that names it.
    fn header(&self) -> (HeaderName, String) {
        (HeaderName::from_static("atproto-proxy"), format!("{}#svc", self.did))
    }

    /// A server whose `AppView` this is.
    async fn bench(&self) -> Bench {
        let mut policy = policy();
        policy.services.appview = Some(self.known());
        Bench::with(policy).await
    }

    /// A header of the last request; the names are sent in lower case.
    fn got(&self, name: &str) -> Option<String> {
        let request = self.server.last_request();
        let head = request.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
    }

    fn token(&self) -> UnverifiedServiceToken {
        UnverifiedServiceToken::parse(self.got("authorization").unwrap().strip_prefix("Bearer ").unwrap()).unwrap()
    }
}

struct Bench {
    world: World,
    alice: Account,
    token: String,
}

#[derive(Debug)]
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, String>,
}

impl Got {
    fn json(&self) -> Json {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Bench {
    async fn with(policy: Policy) -> Self {
        let world = World::with(policy).await;
        let signed_up = world.signed_up("alice").await;
        // The first of all app passwords: its number is 1.
        let owner = As::Bearer(&signed_up.tokens.access_jwt);
        world.post("com.atproto.server.createAppPassword", owner, &json!({ "name": "phone" })).await.ok();
        Self { world, alice: signed_up.account, token: signed_up.tokens.access_jwt }
    }

    fn session(&self, scope: Scope) -> String {
        let iat = self.world.server.now().as_secs();
        let claims = SessionClaims {
            scope,
            aud: self.world.server.policy.service_did.to_string(),
            sub: self.alice.did.to_string(),
            iat,
            exp: iat + 60,
            auth_time: None,
            jti: None,
            epoch: 0,
            app_password: matches!(scope, Scope::AppPass | Scope::AppPassPrivileged).then_some(1),
        };
        self.world.server.session_key.sign(SessionToken::Access, &claims)
    }

    async fn call(&self, verb: &str, target: &str, headers: &[(HeaderName, String)], body: RequestBody) -> Got {
        let nsid = target.split('?').next().unwrap().to_owned();
        let mut map = HeaderMap::new();
        map.insert(header::AUTHORIZATION, format!("Bearer {}", self.token).parse().unwrap());
        if let Some(kind) = &body.content_type {
            map.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        for (name, value) in headers {
            map.insert(name, value.parse().unwrap());
        }
        if map[header::AUTHORIZATION].is_empty() {
            map.remove(header::AUTHORIZATION);
        }
        let head = RequestHead { nsid, headers: map, client_ip: [127, 0, 0, 1].into() };
        let call = Call {
            method: verb.parse().unwrap(),
            uri: format!("/xrpc/{target}").parse().unwrap(),
            head,
            request_id: 1.into(),
        };
        let api = Api { server: Arc::clone(&self.world.server), methods: crate::methods::methods() };
        let Reply { status, headers, body } = api.call(call, body).await;
        let body = match body {
            ReplyBody::Full(bytes) => Ok(bytes.to_vec()),
            ReplyBody::Stream(stream) => stream
                .try_collect::<Vec<_>>()
                .await
                .map(|pieces| pieces.concat())
                .map_err(|error| error.name.to_string()),
        };
        Got { status: status.as_u16(), headers, body }
    }

    async fn get(&self, target: &str, headers: &[(HeaderName, String)]) -> Got {
        self.call("GET", target, headers, RequestBody::empty()).await
    }

    async fn post(&self, target: &str, headers: &[(HeaderName, String)], json: &Json) -> Got {
        self.call("POST", target, headers, RequestBody::full("application/json", json.to_string())).await
    }

    fn by(scope: &str) -> (HeaderName, String) {
        (header::AUTHORIZATION, if scope.is_empty() { String::new() } else { format!("Bearer {scope}") })
    }
}

const SEARCH: &str = "app.bsky.feed.searchPosts?q=a%2Fb&limit=3";

#[tokio::test]
async fn what_is_not_served_here_is_passed_on_with_the_accounts_token_and_the_listed_headers() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    appview.answers(|_| {
        let headers = "content-type: application/json\r\natproto-repo-rev: 3k\r\natproto-content-labelers: l\r\n\
                       set-cookie: secret\r\nx-powered-by: y\r\n";
        answer("200 OK", headers, r#"{"posts":[]}"#)
    });
    let got =
        bench.get(SEARCH, &[(header::ACCEPT_LANGUAGE, "de".to_owned()), (header::COOKIE, "secret".to_owned())]).await;
    assert_eq!((got.status, got.json()), (200, json!({ "posts": [] })));
    let names = got.headers.keys().map(HeaderName::as_str);
    let mut names: Vec<&str> = names.filter(|name| !name.starts_with("ratelimit-")).collect();
    names.sort_unstable();
    let passed =
        ["atproto-content-labelers", "atproto-repo-rev", "cache-control", "content-length", "content-type", "vary"];
    assert_eq!(names, passed);
    assert!(appview.server.last_request().starts_with("GET /xrpc/app.bsky.feed.searchPosts?q=a%2Fb&limit=3 HTTP/1.1"));
    assert_eq!(appview.got("accept-language").as_deref(), Some("de"));
    assert_eq!(appview.got("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(appview.got("cookie"), None);

    let token = appview.token();
    let now = bench.world.server.now();
    assert_eq!(token.claims.iss, bench.alice.did.as_str());
    assert_eq!(token.claims.aud, appview.did.as_str());
    assert_eq!(token.claims.lxm.as_deref(), Some("app.bsky.feed.searchPosts"));
    assert_eq!((token.claims.iat, token.claims.exp), (now.as_secs(), now.as_secs() + 60));
    assert_eq!(token.claims.jti.as_ref().map(String::len), Some(32));
    token.verify(&bench.alice.signing_key.parse().unwrap(), now).unwrap();
}

#[tokio::test]
async fn a_body_goes_through_as_it_is() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    let encoded = [(header::CONTENT_ENCODING, "gzip".to_owned())];
    let body = RequestBody::full("application/x-thing", "not really gzip");
    let got = bench.call("POST", "app.bsky.thing.put", &encoded, body).await;
    assert_eq!(got.status, 200);
    let request = appview.server.last_request();
    assert!(request.starts_with("POST /xrpc/app.bsky.thing.put ") && request.ends_with("not really gzip"), "{request}");
    assert_eq!(appview.got("content-type").as_deref(), Some("application/x-thing"));
    assert_eq!(appview.got("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(appview.got("content-length").as_deref(), Some("15"));
}

#[tokio::test]
async fn the_header_chooses_a_service_by_its_document_and_refuses_what_is_none() {
    let (appview, other) = (Service::start().await, Service::start().await);
    let bench = appview.bench().await;
    let got = bench.get("com.example.get", &[other.header()]).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(other.token().claims.aud, other.did.as_str());
    assert_eq!(appview.server.hits(), 0);
    let proxy = |value: String| [(HeaderName::from_static("atproto-proxy"), value)];
    for (value, why) in [
        (format!("{}#nonesuch", other.did), "could not resolve proxy did service url"),
        ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa#svc".to_owned(), "could not resolve proxy did"),
        ("did:web:localhost".to_owned(), "no service id specified in proxy header"),
        (
            "did:web:pds.example.com#atproto_pds".to_owned(),
            "a request cannot be passed to the server that it was sent to",
        ),
    ] {
        let got = bench.get("com.example.get", &proxy(value.clone())).await;
        assert_eq!(got.error(), (400, "InvalidRequest".to_owned()), "{value}");
        assert!(got.message().starts_with(why), "{value}: {got:?}");
    }
}

#[tokio::test]
async fn a_server_passes_nothing_to_itself() {
    let service = Service::start().await;
    let mut policy = policy();
    policy.public_url = format!("http://localhost:{}", service.server.address.port()).parse().unwrap();
    let bench = Bench::with(policy).await;
    let got = bench.get("com.example.get", &[service.header()]).await;
    assert_eq!(got.error(), (400, "InvalidRequest".to_owned()));
    assert!(got.message().contains("passed to the server that it was sent to"), "{got:?}");
}

#[tokio::test]
async fn who_may_not_gets_nothing_passed_on() {
    let appview = Service::start().await;
    let mut policy = policy();
    policy.services.appview = Some(appview.known());
    policy.services.chat = Some(appview.known());
    let bench = Bench::with(policy).await;
    let app_password = bench.session(Scope::AppPass);
    let invalid = (400, "InvalidToken".to_owned());
    let header = [appview.header()];
    assert_eq!(bench.get("com.atproto.server.requestEmailNonesuch", &[]).await.status, 501);
    for protected in ["com.atproto.server.listAppPasswords", "com.atproto.admin.sendEmail"] {
        let api = crate::methods::methods();
        if api.names().all(|name| name != protected) {
            assert_eq!(bench.get(protected, &header).await.error(), invalid, "{protected}");
        }
    }
    let chat = "chat.bsky.convo.listConvos";
    assert_eq!(bench.get(chat, &[Bench::by(&app_password)]).await.error(), invalid);
    assert_eq!(bench.get(SEARCH, &[Bench::by("")]).await.error(), (401, "AuthMissing".to_owned()));
    assert_eq!(bench.get(SEARCH, &[Bench::by(&bench.session(Scope::Takendown))]).await.error(), invalid);
    assert_eq!(appview.server.hits(), 0);
    assert_eq!(bench.get(chat, &[Bench::by(&bench.session(Scope::AppPassPrivileged))]).await.status, 200);
    assert_eq!(bench.get(SEARCH, &[Bench::by(&app_password)]).await.status, 200);
    let put = bench.call("PUT", SEARCH, &[], RequestBody::empty()).await;
    assert_eq!(put.error(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn a_services_refusal_keeps_status_name_message_and_its_few_headers() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    let refuse = |status: &'static str, kind: &'static str, body: &'static str| {
        appview
            .answers(move |_| answer(status, &format!("content-type: {kind}\r\nretry-after: 7\r\nx-y: z\r\n"), body));
    };
    let json_type = "application/json";
    refuse("400 Bad Request", json_type, r#"{"error":"UnknownFeed","message":"no such feed"}"#);
    let got = bench.get(SEARCH, &[]).await;
    assert_eq!((got.error(), got.message().as_str()), ((400, "UnknownFeed".to_owned()), "no such feed"));
    assert_eq!(got.headers[header::RETRY_AFTER], "7");
    assert!(!got.headers.contains_key("x-y"));
    for (status, body, error) in [
        ("500 Internal Server Error", r#"{"error":"InternalServerError","message":"x"}"#, (502, "UpstreamFailure")),
        ("503 Service Unavailable", "", (503, "NotEnoughResources")),
        ("429 Too Many Requests", "<html>", (429, "RateLimitExceeded")),
        ("404 Not Found", r#"{"error":{"a":1}}"#, (404, "XRPCNotSupported")),
        ("418 Teapot", r#"{"error":"spaced name"}"#, (418, "InvalidRequest")),
        ("302 Found", "", (502, "UpstreamFailure")),
    ] {
        refuse(status, json_type, body);
        let got = bench.get(SEARCH, &[]).await;
        assert_eq!(got.error(), (error.0, error.1.to_owned()), "{status}");
        assert!(!got.message().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_a_504_and_one_that_is_not_there_a_502() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    appview.answers(|_| Raw::Silence);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let got = bench.get(SEARCH, &[]).await;
    assert_eq!(got.error(), (504, "UpstreamTimeout".to_owned()));
    let posted = bench.post("app.bsky.thing.put", &[], &json!({})).await;
    assert_eq!(posted.error(), (504, "UpstreamTimeout".to_owned()));
    assert!(started.elapsed() < limits::HEADERS_TIMEOUT * 3);
    tokio::time::resume();
    appview.answers(|_| Raw::HangUp);
    assert_eq!(bench.get(SEARCH, &[]).await.error(), (502, "UpstreamFailure".to_owned()));
    appview.answers(|_| Raw::Raw(b"what is HTTP?\r\n\r\n".to_vec()));
    assert_eq!(bench.get(SEARCH, &[]).await.error(), (502, "UpstreamFailure".to_owned()));
}

#[tokio::test]
async fn an_answer_that_stops_or_is_too_long_is_cut() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    appview.answers(|_| Raw::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 20971520\r\n\r\nabc".to_vec()));
    assert_eq!(bench.get(SEARCH, &[]).await.error(), (502, "UpstreamFailure".to_owned()));
    appview.answers(|_| {
        let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..11 {
            endless.extend_from_slice(b"100000\r\n");
            endless.resize(endless.len() + 0x10_0000, b'x');
            endless.extend_from_slice(b"\r\n");
        }
        Raw::Raw(endless)
    });
    assert_eq!(bench.get(SEARCH, &[]).await.body, Err("UpstreamFailure".to_owned()));
    appview.answers(|_| Raw::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec()));
    tokio::time::pause();
    assert_eq!(bench.get(SEARCH, &[]).await.body, Err("UpstreamTimeout".to_owned()));
}

#[tokio::test]
async fn a_callers_broken_body_is_the_callers_fault() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    let broken = crate::xrpc::XrpcError::with_status(http::StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "too slow");
    let pieces = [Ok(bytes::Bytes::from_static(b"{")), Err(broken)];
    let body = RequestBody {
        content_type: Some("application/json".to_owned()),
        content_length: Some(10),
        stream: Box::pin(futures_util::stream::iter(pieces)),
    };
    let got = bench.call("POST", "app.bsky.thing.put", &[], body).await;
    assert_eq!(got.error(), (408, "RequestTimeout".to_owned()));
}

#[tokio::test]
async fn a_feeds_audience_is_its_generator() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    appview.answers(|request| {
        if request.starts_with("GET /xrpc/com.atproto.repo.getRecord?") {
            assert!(!request.contains("authorization"), "{request}");
            let is_it = request.contains("repo=did%3Aplc%3Afeeds&collection=app.bsky.feed.generator&rkey=hot");
            return ok(&json!({ "value": if is_it { json!({ "did": "did:web:feed.example" }) } else { json!({}) } }));
        }
        ok(&json!({ "feed": [] }))
    });
    let got = bench.get("app.bsky.feed.getFeed?feed=at://did:plc:feeds/app.bsky.feed.generator/hot&limit=5", &[]).await;
    assert_eq!((got.status, got.json()), (200, json!({ "feed": [] })));
    let claims = appview.token().claims;
    assert_eq!(
        (claims.aud.as_str(), claims.lxm.as_deref()),
        ("did:web:feed.example", Some("app.bsky.feed.getFeedSkeleton"))
    );
    let unknown = bench.get("app.bsky.feed.getFeed?feed=at://did:plc:feeds/app.bsky.feed.generator/no", &[]).await;
    assert_eq!(unknown.error(), (400, "UnknownFeed".to_owned()));
    for bad in ["", "feed=x", "feed=at://did:plc:feeds", "feed=https://x.example/a/b"] {
        let got = bench.get(&format!("app.bsky.feed.getFeed?{bad}"), &[]).await;
        assert_eq!(got.error(), (400, "InvalidRequest".to_owned()), "{bad}");
    }
}

#[tokio::test]
async fn push_is_registered_with_the_service_that_the_app_names() {
    let service = Service::start().await;
    let bench = Bench::with(policy()).await;
    let input =
        |did: &str| json!({ "serviceDid": did, "token": "t", "platform": "ios", "appId": "a", "ageRestricted": true });
    for method in ["registerPush", "unregisterPush"] {
        let nsid = format!("app.bsky.notification.{method}");
        let got = bench.post(&nsid, &[], &input(service.did.as_str())).await;
        assert_eq!((got.status, got.body), (200, Ok(Vec::new())), "{method}");
        let request = service.server.last_request();
        assert!(
            request.starts_with(&format!("POST /xrpc/{nsid} ")) && request.contains("\"ageRestricted\":true"),
            "{request}"
        );
        assert_eq!(service.token().claims.lxm, Some(nsid));
    }
    let without = bench.alice.did.as_str();
    let got = bench.post("app.bsky.notification.registerPush", &[], &input(without)).await;
    assert_eq!(got.error(), (400, "InvalidRequest".to_owned()));
}

#[tokio::test]
async fn reports_go_to_the_service_for_reports_even_of_who_was_taken_down() {
    let service = Service::start().await;
    let mut policy = policy();
    policy.services.report = Some(service.known());
    let bench = Bench::with(policy).await;
    let nsid = "com.atproto.moderation.createReport";
    let report =
        json!({ "reasonType": "com.atproto.moderation.defs#reasonSpam", "subject": { "$type": "x", "did": "y" } });
    let got = bench.post(nsid, &[Bench::by(&bench.session(Scope::Takendown))], &report).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert_eq!(service.token().claims.aud, service.did.as_str());
    assert!(service.server.last_request().ends_with(&report.to_string()));
    let incomplete = bench.post(nsid, &[], &json!({ "reasonType": "x" })).await;
    assert_eq!(incomplete.error(), (400, "InvalidRequest".to_owned()));
    let unset = Bench::with(crate::service::testing::policy()).await;
    assert_eq!(unset.post(nsid, &[], &report).await.message(), format!("No service configured for {nsid}"));
}

#[tokio::test]
async fn a_record_that_is_not_here_is_asked_of_the_appview_for_nobody() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    let nsid = "com.atproto.repo.getRecord";
    let query = "collection=app.bsky.feed.post&rkey=a";
    let got = bench.get(&format!("{nsid}?repo=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa&{query}"), &[Bench::by("")]).await;
    assert_eq!((got.status, got.json()), (200, json!({ "served": true })));
    assert_eq!(appview.got("authorization"), None);
    let asked = "GET /xrpc/com.atproto.repo.getRecord?repo=did%3Aplc%3Aaaaaaaaaaaaaaaaaaaaaaaaa&collection=app.bsky.feed.post&rkey=a ";
    assert!(appview.server.last_request().starts_with(asked), "{}", appview.server.last_request());
    let hits = appview.server.hits();
    let local = bench.get(&format!("{nsid}?repo={}&{query}", bench.alice.did), &[]).await;
    assert_eq!(local.error(), (400, "RecordNotFound".to_owned()));
    assert_eq!(appview.server.hits(), hits);
}

#[tokio::test]
async fn preferences_are_kept_here_unless_another_appview_is_asked_for() {
    let (appview, other) = (Service::start().await, Service::start().await);
    let bench = appview.bench().await;
    let preference = json!({ "preferences": [{ "$type": "app.bsky.actor.defs#adultContentPref", "enabled": true }] });
    let put = "app.bsky.actor.putPreferences";
    let get = "app.bsky.actor.getPreferences";
    assert_eq!(bench.post(put, &[], &preference).await.status, 200);
    let named = [(HeaderName::from_static("atproto-proxy"), format!("{}#bsky_appview", appview.did))];
    assert_eq!(bench.get(get, &named).await.json(), preference);
    assert_eq!(appview.server.hits(), 0);
    assert_eq!(bench.get(get, &[other.header()]).await.json(), json!({ "served": true }));
    assert_eq!(bench.post(put, &[other.header()], &json!({ "preferences": [] })).await.status, 200);
    assert!(other.server.last_request().ends_with(r#"{"preferences":[]}"#));
    assert_eq!(bench.get(get, &[]).await.json(), preference);
    let narrow = bench.get(get, &[Bench::by(&bench.session(Scope::Takendown))]).await;
    assert_eq!(narrow.json(), preference);
    for bad in [json!({}), json!({ "preferences": [3] }), json!({ "preferences": [{ "$type": "com.example.x" }] })] {
        assert_eq!(bench.post(put, &[], &bad).await.error(), (400, "InvalidRequest".to_owned()), "{bad}");
    }
}

async fn post_text(bench: &Bench, text: &str) -> Json {
    bench.world.clock.advance(std::time::Duration::from_secs(2));
    let record = json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-01-01T00:00:00Z" });
    let input = json!({ "repo": bench.alice.did, "collection": "app.bsky.feed.post", "record": record });
    bench.world.post("com.atproto.repo.createRecord", As::Bearer(&bench.token), &input).await.ok()
}

fn timeline(rev: &str, body: &[u8], more: &str) -> Raw {
    answer("200 OK", &format!("content-type: application/json\r\natproto-repo-rev: {rev}\r\n{more}"), body)
}

#[tokio::test]
async fn a_post_is_in_the_timeline_before_the_appview_knows_it_and_the_lag_is_told() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    let first = post_text(&bench, "first").await["commit"]["rev"].as_str().unwrap().to_owned();
    let second = post_text(&bench, "second").await;
    bench.world.clock.advance(std::time::Duration::from_millis(1_500));
    let old = r#"{"feed":[]}"#;
    let rev = first.clone();
    appview.answers(move |_| timeline(&rev, old.as_bytes(), ""));
    let got = bench.get("app.bsky.feed.getTimeline?limit=10", &[]).await;
    assert_eq!(got.json()["feed"][0]["post"]["uri"], second["uri"]);
    assert_eq!(got.json()["feed"].as_array().unwrap().len(), 1);
    assert_eq!(got.headers["atproto-upstream-lag"], "1500");
    assert_eq!(got.headers["atproto-repo-rev"], first.as_str());
    assert!(!got.headers.contains_key(header::CONTENT_LENGTH));
    let next_page = bench.get("app.bsky.feed.getTimeline?limit=10&cursor=x", &[]).await;
    assert_eq!(next_page.json(), json!({ "feed": [] }));
    let rev = second["commit"]["rev"].as_str().unwrap().to_owned();
    appview.answers(move |_| timeline(&rev, old.as_bytes(), ""));
    let got = bench.get("app.bsky.feed.getTimeline", &[]).await;
    assert_eq!((got.json(), got.headers.get("atproto-upstream-lag")), (json!({ "feed": [] }), None));
}

#[tokio::test]
async fn whatever_goes_wrong_with_that_the_appviews_answer_is_the_answer() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    let rev = post_text(&bench, "first").await["commit"]["rev"].as_str().unwrap().to_owned();
    post_text(&bench, "second").await;
    let bomb = gzip(&vec![b' '; limits::RESPONSE_BYTES + 1]).await;
    for (rev, body, more) in [
        (rev.clone(), b"{\"feed\":".to_vec(), ""),
        (rev.clone(), b"[1]".to_vec(), ""),
        (rev.clone(), bomb, "content-encoding: gzip\r\n"),
        (rev.clone(), b"not gzip".to_vec(), "content-encoding: gzip\r\n"),
        (rev.clone(), b"what".to_vec(), "content-encoding: zstd\r\n"),
        ("x".to_owned(), b"{}".to_vec(), ""),
    ] {
        let sent = body.clone();
        appview.answers(move |_| timeline(&rev, &body, more));
        let got = bench.get("app.bsky.feed.getTimeline", &[(header::ACCEPT_ENCODING, "gzip".to_owned())]).await;
        assert_eq!((got.status, got.body), (200, Ok(sent)));
        assert_eq!(got.headers.contains_key(header::CONTENT_ENCODING), !more.is_empty());
    }
    let packed = gzip(br#"{"feed":[]}"#).await;
    appview.answers(move |_| timeline(&rev, &packed, "content-encoding: gzip\r\n"));
    let got = bench.get("app.bsky.feed.getTimeline", &[(header::ACCEPT_ENCODING, "gzip".to_owned())]).await;
    assert_eq!(got.json()["feed"][0]["post"]["record"]["text"], "second");
    assert!(!got.headers.contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn the_thread_of_a_post_that_the_appview_does_not_know_is_made_here_with_its_parents() {
    let appview = Service::start().await;
    let bench = appview.bench().await;
    let root = post_text(&bench, "root").await;
    bench.world.clock.advance(std::time::Duration::from_secs(1));
    let end = json!({ "uri": root["uri"], "cid": root["cid"] });
    let record = json!({ "$type": "app.bsky.feed.post", "text": "reply", "createdAt": "2026-01-01T00:00:00Z",
        "reply": { "root": end, "parent": end } });
    let input = json!({ "repo": bench.alice.did, "collection": "app.bsky.feed.post", "record": record });
    let reply = bench.world.post("com.atproto.repo.createRecord", As::Bearer(&bench.token), &input).await.ok();
    let rev = root["commit"]["rev"].as_str().unwrap().to_owned();
    appview.answers(move |request| {
        if request.contains("depth=0") {
            return ok(
                &json!({ "thread": { "$type": "app.bsky.feed.defs#threadViewPost", "post": { "uri": "above" } } }),
            );
        }
        let headers = format!("content-type: application/json\r\natproto-repo-rev: {rev}\r\n");
        answer("400 Bad Request", &headers, r#"{"error":"NotFound","message":"Post not found"}"#)
    });
    let path = reply["uri"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    for authority in [bench.alice.did.as_str(), "alice.test"] {
        let uri = format!("app.bsky.feed.getPostThread?uri=at://{authority}/app.bsky.feed.post/{path}");
        let got = bench.get(&uri, &[]).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(got.json()["thread"]["post"]["uri"], reply["uri"]);
        assert_eq!(got.json()["thread"]["parent"]["post"]["uri"], "above");
    }
    let other = bench.get("app.bsky.feed.getPostThread?uri=at://did:plc:other/app.bsky.feed.post/x", &[]).await;
    assert_eq!(other.error(), (400, "NotFound".to_owned()));
    let unknown = format!("app.bsky.feed.getPostThread?uri=at://{}/app.bsky.feed.post/nope", bench.alice.did);
    assert_eq!(bench.get(&unknown, &[]).await.error(), (400, "NotFound".to_owned()));
}

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    let plain = bytes::Bytes::copy_from_slice(bytes);
    let service = tower::service_fn(move |_: http::Request<()>| {
        let body = http_body_util::Full::new(plain.clone());
        std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(body)))
    });
    let service = Compression::new(service).compress_when(SizeAbove::new(0));
    let mut request = http::Request::new(());
    request.headers_mut().insert(header::ACCEPT_ENCODING, http::HeaderValue::from_static("gzip"));
    let packed = service.oneshot(request).await.unwrap();
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
    packed.into_body().collect().await.unwrap().to_bytes().to_vec()
}
