//! What passing a request on adds: the same answer from a service on loopback, straight, and by way of the server.
#![expect(clippy::expect_used, reason = "a benchmark stops where its server does")]

use std::{sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use housekey::{
    app::{DevServer, DevSettings},
    http::{App, serve},
    outbound::{OutboundOptions, Outgoing, OutgoingBody, TrustedClient},
    service::KnownService,
    tasks::Tasks,
    web::{Site, WebReply, WebRequest},
    xrpc::Reply,
};
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::{net::TcpListener, runtime::Runtime};
use url::Url;

const METHOD: &str = "/xrpc/app.bsky.feed.searchPosts?q=bench";

/// An answer of the ordinary size: some twenty posts.
struct Appview(Vec<u8>);

impl Site for Appview {
    fn handle(self: Arc<Self>, _: WebRequest) -> BoxFuture<'static, WebReply> {
        let reply = Reply::raw_json(self.0.clone());
        std::future::ready(WebReply::Reply(reply)).boxed()
    }
}

struct Running {
    client: TrustedClient,
    appview: Url,
    server: DevServer,
    authorization: HeaderValue,
}

async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let body = format!("{{\"posts\":[\"{}\"]}}", "a".repeat(40_000)).into_bytes();
    serve(listener, App::site(Arc::new(Appview(body))), &Tasks::new());
    let appview: Url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    let did = format!("did:web:localhost%3A{port}").parse().expect("a DID");
    let settings = DevSettings {
        port: 0,
        plc_port: 0,
        seed: None,
        clock: None,
        accounts: vec!["alice".to_owned()],
        state: None,
        public_url: None,
        lexicons: None,
        plc_limits: false,
        limits: false,
        appview: Some(KnownService { url: appview.clone(), did }),
    };
    let server = DevServer::start(settings).await.expect("a server");
    let token = server.accounts.first().expect("an account").access_jwt.expose().to_owned();
    let authorization = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token");
    let client = TrustedClient::new(&OutboundOptions::default()).expect("a client");
    Running { client, appview, server, authorization }
}

async fn fetch(client: &TrustedClient, url: &Url, authorization: &HeaderValue) -> usize {
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, authorization.clone())]);
    let request = Outgoing { method: Method::GET, url: url.clone(), headers, body: OutgoingBody::Empty };
    let mut answer = client.send(request, Duration::from_secs(10)).await.expect("an answer");
    assert!(answer.status.is_success(), "{}", answer.status);
    let mut bytes = 0;
    while let Some(piece) = answer.body.next().await {
        bytes += piece.expect("a piece").len();
    }
    bytes
}

fn proxy(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let running = runtime.block_on(start());
    for (name, origin) in
        [("40 KB, straight", running.appview.as_str()), ("40 KB, passed on", running.server.pds.as_str())]
    {
        let url: Url = format!("{}{METHOD}", origin.trim_end_matches('/')).parse().expect("a URL");
        let (client, authorization) = (&running.client, &running.authorization);
        criterion.bench_function(name, |bencher| bencher.iter(|| runtime.block_on(fetch(client, &url, authorization))));
    }
    runtime.block_on(running.server.stop());
}

criterion_group!(benches, proxy);
criterion_main!(benches);
