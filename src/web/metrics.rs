//! `/metrics` for Prometheus, on a listener of the operator's own.

use std::{fmt, fs::File, io::Read, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Method, StatusCode};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::{Site, WebReply, WebRequest};
use crate::{
    limits::meters::PROCESS_STATUS_BYTES,
    meters,
    service::Server,
    xrpc::{Reply, XrpcError},
};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The pages of the operator's listener.
#[derive(Debug)]
pub struct MetricsSite {
    registry: Registry,
}

impl MetricsSite {
    /// Of this server.
    pub fn new(server: Arc<Server>) -> Self {
        let mut registry = meters::registry(&server.meters, server.store.writes(), server.plc.outcomes());
        registry.register_collector(Box::new(Looked(server)));
        Self { registry }
    }

    fn page(&self, request: &WebRequest) -> Result<Reply, XrpcError> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Ok(text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"));
        }
        if request.path != "/metrics" {
            return Ok(text(StatusCode::NOT_FOUND, "Not Found: the numbers are at /metrics"));
        }
        let mut page = String::new();
        encode(&mut page, &self.registry).map_err(|cause| XrpcError::internal(&cause))?;
        Ok(Reply::bytes(CONTENT_TYPE, Bytes::from(page)))
    }
}

impl Site for MetricsSite {
    fn handle(self: Arc<Self>, request: WebRequest) -> BoxFuture<'static, WebReply> {
        async move { WebReply::Reply(self.page(&request).unwrap_or_else(XrpcError::into_reply)) }.boxed()
    }
}

fn text(status: StatusCode, text: &'static str) -> Reply {
    Reply::bytes("text/plain; charset=utf-8", Bytes::from_static(text.as_bytes())).with_status(status)
}

/// What is looked up when somebody asks.
struct Looked(Arc<Server>);

impl fmt::Debug for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looked").finish_non_exhaustive()
    }
}

impl Collector for Looked {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let server = &self.0;
        let latest = *server.store.latest_seq().borrow();
        let (subscribers, lag) = server.meters.audience.count_and_lag(latest);
        let (cached, remembered) = (server.store.cached(), server.resolver.remembered());
        // What cannot be read is not there to be seen: the numbers of the others are worth more.
        let (waiting, oldest) = server.store.waiting_mails().unwrap_or_default();
        let oldest = oldest.map_or(0, |oldest| server.now().since(oldest).as_secs());
        let gauges = [
            ("event_seq", "Number of the latest event", u64::try_from(latest).unwrap_or(0)),
            ("subscribers", "Subscribers of the event stream", subscribers),
            ("subscriber_lag", "Events that the slowest subscriber is behind", lag),
            ("node_cache_bytes", "Bytes of MST nodes in memory", cached.node_bytes),
            ("identity_cache_bytes", "Bytes of DID documents in memory, about", remembered.bytes),
            ("limit_keys", "Addresses, accounts and names whose requests are being counted", server.throttle.keys()),
            ("mails_waiting", "Mails in the outbox", waiting),
            ("oldest_waiting_mail_seconds", "How long the oldest of them has waited", oldest),
            ("resident_memory_bytes", "Memory of the process", resident_memory().unwrap_or(0)),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("requests_limited", "Requests refused because there were too many", server.throttle.refused()),
            ("subscribers_cut", "Subscribers cut because they did not keep up", server.meters.audience.cut()),
            ("node_cache_hits", "MST nodes found in memory", cached.node_hits),
            ("node_cache_misses", "MST nodes read from the database", cached.node_misses),
            ("identity_cache_hits", "DID documents found in memory", remembered.hits),
            ("identity_cache_misses", "DID documents asked for", remembered.misses),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// Bytes of the process that are in memory; none where the system does not tell.
fn resident_memory() -> Option<u64> {
    let mut status = String::new();
    File::open("/proc/self/status").ok()?.take(PROCESS_STATUS_BYTES).read_to_string(&mut status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outbound::Freshness,
        service::{
            codes,
            testing::{As, MailFault, World},
        },
        store::CodePurpose,
        xrpc::ReplyBody,
    };
    use http::HeaderMap;

    fn ask(site: &MetricsSite, method: Method, path: &str) -> (u16, String) {
        let request = WebRequest {
            method,
            path: path.to_owned(),
            query: String::new(),
            host: "localhost".to_owned(),
            headers: HeaderMap::new(),
            client_ip: std::net::Ipv4Addr::LOCALHOST.into(),
            body: Bytes::new(),
        };
        let reply = site.page(&request).unwrap();
        match reply.body {
            ReplyBody::Full(body) => (reply.status.as_u16(), String::from_utf8(body.to_vec()).unwrap()),
            ReplyBody::Stream(_) => panic!("no page is a stream"),
        }
    }

    fn number(page: &str, name: &str) -> u64 {
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is missing in {page}")).parse().unwrap()
    }

    #[tokio::test]
    async fn what_the_server_did_is_in_its_numbers_and_in_no_other_servers() {
        let (world, other) = (World::new().await, World::new().await);
        world.account("alice").await;
        world.get("com.atproto.server.describeServer", As::Nobody).await.ok();
        world.get("com.atproto.server.getSession", As::Nobody).await;
        world.get("com.atproto.server.anything", As::Nobody).await;
        world.get("com.atproto.server.anythingElse", As::Nobody).await;
        let (_, page) = ask(&MetricsSite::new(Arc::clone(&world.server)), Method::GET, "/metrics");
        let answers = |method, status| {
            number(&page, &format!("housekey_requests_total{{method=\"{method}\",status=\"{status}\"}}"))
        };
        assert_eq!(answers("com.atproto.server.describeServer", 200), 1);
        assert_eq!(answers("com.atproto.server.getSession", 401), 1);
        assert_eq!(answers("other", 501), 2, "what strangers invent makes no series");
        assert_eq!(number(&page, "housekey_plc_requests_total{outcome=\"ok\"}"), 1, "one account");
        assert!(number(&page, "housekey_write_group_count") >= 3);
        assert!(number(&page, "housekey_write_commit_duration_seconds_count") >= 3);
        assert_eq!((number(&page, "housekey_write_queue"), number(&page, "housekey_requests_open")), (0, 0));
        assert!(number(&page, "housekey_resident_memory_bytes") > 1_000_000);
        assert!(number(&page, "housekey_event_seq") > 0);
        assert!(page.ends_with("# EOF\n"));
        let (_, page) = ask(&MetricsSite::new(Arc::clone(&other.server)), Method::GET, "/metrics");
        assert!(!page.contains("describeServer"));
    }

    #[tokio::test]
    async fn documents_that_were_at_hand_are_told_from_those_that_were_asked_for() {
        let world = World::new().await;
        let alice = world.account("alice").await;
        let asked = async || {
            world.server.resolver.did(&alice.did, Freshness::Cached).await.unwrap();
            let (_, page) = ask(&MetricsSite::new(Arc::clone(&world.server)), Method::GET, "/metrics");
            ["hits", "misses"].map(|what| number(&page, &format!("housekey_identity_cache_{what}_total")))
        };
        world.server.resolver.forget(&alice.did).await;
        let [hits, misses] = asked().await;
        assert_eq!(asked().await, [hits + 1, misses]);
        world.server.resolver.forget(&alice.did).await;
        assert_eq!(asked().await, [hits + 1, misses + 1]);
    }

    #[tokio::test]
    async fn mails_are_counted_and_the_oldest_that_waits_is_seen() {
        let world = World::new().await;
        let (alice, bobby) = (world.account("alice").await, world.account("bobby").await);
        let page = |world: &World| ask(&MetricsSite::new(Arc::clone(&world.server)), Method::GET, "/metrics").1;
        let ask_for_code = async |account| {
            codes::mail_code(&world.server, account, CodePurpose::ConfirmEmail).await.unwrap();
        };
        ask_for_code(&alice).await;
        world.mailbox.fail_next(MailFault::Refuse("451 4.7.1 come again\r\n"));
        world.deliver().await;
        world.clock.advance(std::time::Duration::from_secs(7));
        let seen = page(&world);
        let outcome = |page: &str, word: &str| number(page, &format!("housekey_mails_total{{outcome=\"{word}\"}}"));
        assert_eq!(
            (number(&seen, "housekey_mails_waiting"), outcome(&seen, "queued"), outcome(&seen, "failed")),
            (1, 1, 1)
        );
        assert_eq!(number(&seen, "housekey_oldest_waiting_mail_seconds"), 7);
        world.clock.advance(std::time::Duration::from_secs(8));
        world.deliver().await;
        world.mailbox.fail_next(MailFault::Refuse("550 5.1.1 no such user\r\n"));
        ask_for_code(&bobby).await;
        world.deliver().await;
        let seen = page(&world);
        assert_eq!(
            (number(&seen, "housekey_mails_waiting"), outcome(&seen, "sent"), outcome(&seen, "given_up")),
            (0, 1, 1)
        );
        assert_eq!(number(&seen, "housekey_oldest_waiting_mail_seconds"), 0);
    }

    #[tokio::test]
    async fn there_is_nothing_else_on_that_listener() {
        let world = World::new().await;
        let site = MetricsSite::new(Arc::clone(&world.server));
        for path in ["/", "/metrics/", "/xrpc/com.atproto.server.describeServer", "/metrics/../x"] {
            assert_eq!(ask(&site, Method::GET, path).0, 404, "{path}");
        }
        assert_eq!(ask(&site, Method::POST, "/metrics").0, 405);
    }
}
