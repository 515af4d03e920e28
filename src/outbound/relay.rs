//! What relays are asked: `requestCrawl` and `getHostStatus`, and whether they could reach this server as it is
//! configured. Spec: <https://atproto.com/specs/sync>.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{FetchError, FetchLimits, Fetched, Messages, OutboundOptions, TrustedClient};
use crate::limits::{
    outbound::FOREIGN_MESSAGE_MAX_CHARS,
    relays::{ANSWER_MAX_BYTES, OWN_STREAM_MESSAGE_BYTES, REQUEST_TIMEOUT},
};

const LIMITS: FetchLimits = FetchLimits { body_bytes: ANSWER_MAX_BYTES, total: REQUEST_TIMEOUT, redirects: 0 };

/// What a relay knows of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    /// The last event of the host that it has processed.
    #[serde(default)]
    pub seq: Option<i64>,
    /// `active`, `idle`, `offline`, `throttled`, `banned`; others may come.
    #[serde(default)]
    pub status: Option<String>,
    /// How many accounts of the host it knows.
    #[serde(default)]
    pub account_count: Option<i64>,
}

/// Why a relay did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// No answer came.
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    /// It has had enough for now.
    #[error("it asks for fewer requests: {0}")]
    TooManyRequests(String),
    /// It banned this host.
    #[error("it has banned this host: {0}")]
    Banned(String),
    /// It does not know this host.
    #[error("it does not know this host: {0}")]
    UnknownHost(String),
    /// It refused for another reason.
    #[error("it refused: {0}")]
    Refused(String),
    /// It failed, or what it answered makes no sense.
    #[error("it answered {0}")]
    Unexpected(String),
}

/// Asks relays. Their addresses are the operator's, so they may be private. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RelayClient {
    http: TrustedClient,
    options: OutboundOptions,
}

impl RelayClient {
    /// A client.
    ///
    /// # Errors
    /// [`FetchError::Setup`] when the CA bundle is not PEM.
    pub fn new(options: &OutboundOptions) -> Result<Self, FetchError> {
        Ok(Self { http: TrustedClient::new(options)?, options: options.clone() })
    }

    /// `com.atproto.sync.requestCrawl`: asks the relay to read the stream of `hostname` (with a port if it has one).
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn request_crawl(&self, relay: &Url, hostname: &str) -> Result<(), RelayError> {
        let url = method(relay, "com.atproto.sync.requestCrawl");
        let body = serde_json::json!({ "hostname": hostname }).to_string();
        let answer = self.http.post_json(&url, body, LIMITS).await;
        let answer = answer.map_err(|cause| RelayError::Unreachable(cause.to_string()))?;
        if (200..300).contains(&answer.status) { Ok(()) } else { Err(refusal(&answer)) }
    }

    /// `com.atproto.sync.getHostStatus`.
    ///
    /// # Errors
    /// [`RelayError`].
    pub async fn host_status(&self, relay: &Url, hostname: &str) -> Result<HostStatus, RelayError> {
        let mut url = method(relay, "com.atproto.sync.getHostStatus");
        url.query_pairs_mut().append_pair("hostname", hostname);
        let answer = self.http.get(&url, LIMITS).await;
        let answer = answer.map_err(|cause| RelayError::Unreachable(cause.to_string()))?;
        if answer.status != 200 {
            return Err(refusal(&answer));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| RelayError::Unexpected("something that is no status".to_owned()))
    }

    /// Whether `public_url` leads to the server with this DID, and its event stream opens there.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub async fn reach_self(&self, public_url: &Url, service_did: &str) -> Result<(), String> {
        let url = method(public_url, "com.atproto.server.describeServer");
        let answer = self.http.get(&url, LIMITS).await;
        let answer = answer.map_err(|cause| format!("{public_url} could not be reached from this machine: {cause}"))?;
        let did = serde_json::from_slice::<Value>(&answer.body)
            .ok()
            .and_then(|json| json.get("did").and_then(Value::as_str).map(str::to_owned));
        match did.as_deref() {
            Some(did) if did == service_did => {}
            Some(other) => return Err(format!("another server answers at {public_url}: {}", one_line(other))),
            None => {
                return Err(format!(
                    "what answers at {public_url} is no PDS: it answered with status {}",
                    answer.status
                ));
            }
        }
        let stream = method(public_url, "com.atproto.sync.subscribeRepos");
        match Messages::open(&stream, &self.options, OWN_STREAM_MESSAGE_BYTES, REQUEST_TIMEOUT).await {
            Ok(_) => Ok(()),
            Err(cause) => Err(format!(
                "{public_url} answers, but its event stream does not open: {cause}; the reverse proxy must pass on \
                 WebSockets"
            )),
        }
    }
}

fn method(base: &Url, nsid: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/xrpc/{nsid}", base.path().trim_end_matches('/')));
    url
}

/// What a status of failure means. Relays name the error, but not all do.
fn refusal(answer: &Fetched) -> RelayError {
    let json = serde_json::from_slice::<Value>(&answer.body).unwrap_or(Value::Null);
    let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
    let (name, message) = (text("error"), text("message"));
    let words = match (name.is_empty(), message.is_empty()) {
        (true, true) => format!("status {}", answer.status),
        (false, true) => one_line(name),
        (_, false) => one_line(message),
    };
    match (answer.status, name) {
        (429, _) => RelayError::TooManyRequests(words),
        (400..=499, "HostBanned") => RelayError::Banned(words),
        (400..=499, "HostNotFound") => RelayError::UnknownHost(words),
        (400..=499, _) => RelayError::Refused(words),
        _ => RelayError::Unexpected(words),
    }
}

fn one_line(text: &str) -> String {
    text.chars().take(FOREIGN_MESSAGE_MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{Answer, FakeServer, answer},
        *,
    };

    async fn asked(
        status: &'static str,
        body: &'static str,
    ) -> (Result<(), RelayError>, Result<HostStatus, RelayError>) {
        let relay = FakeServer::start(move |_| answer(status, "content-type: application/json\r\n", body)).await;
        let client = RelayClient::new(&OutboundOptions::default()).unwrap();
        let base = relay.url("/");
        (client.request_crawl(&base, "pds.example.com").await, client.host_status(&base, "pds.example.com").await)
    }

    #[tokio::test]
    async fn a_relay_is_asked_as_the_lexicons_say() {
        let relay =
            FakeServer::start(|_| answer("200 OK", "", r#"{"hostname":"x","seq":7,"status":"idle","accountCount":2}"#))
                .await;
        let client = RelayClient::new(&OutboundOptions::default()).unwrap();
        client.request_crawl(&relay.url("/base/"), "pds.example.com").await.unwrap();
        let request = relay.last_request();
        assert!(request.starts_with("POST /base/xrpc/com.atproto.sync.requestCrawl HTTP/1.1"), "{request}");
        assert!(request.ends_with(r#"{"hostname":"pds.example.com"}"#), "{request}");
        let status = client.host_status(&relay.url(""), "localhost:2583").await.unwrap();
        assert_eq!(status, HostStatus { seq: Some(7), status: Some("idle".to_owned()), account_count: Some(2) });
        let request = relay.last_request();
        assert!(
            request.starts_with("GET /xrpc/com.atproto.sync.getHostStatus?hostname=localhost%3A2583 "),
            "{request}"
        );
    }

    #[tokio::test]
    async fn each_refusal_is_told_from_the_others() {
        let banned = r#"{"error":"HostBanned","message":"no thanks"}"#;
        assert_eq!(asked("400 Bad Request", banned).await.0, Err(RelayError::Banned("no thanks".to_owned())));
        let unknown = r#"{"error":"HostNotFound","message":"never heard"}"#;
        assert_eq!(asked("400 Bad Request", unknown).await.1, Err(RelayError::UnknownHost("never heard".to_owned())));
        assert_eq!(asked("429 Slow", "").await.0, Err(RelayError::TooManyRequests("status 429".to_owned())));
        assert_eq!(
            asked("403 No", r#"{"error":"Admin\nOnly"}"#).await.0,
            Err(RelayError::Refused("Admin Only".to_owned()))
        );
        assert_eq!(asked("503 Down", "<html>").await.0, Err(RelayError::Unexpected("status 503".to_owned())));
        let (crawl, status) = asked("200 OK", "[1, 2").await;
        assert_eq!(crawl, Ok(()));
        assert_eq!(status, Err(RelayError::Unexpected("something that is no status".to_owned())));
        let redirected = asked("302 Found", "").await.0;
        assert!(matches!(redirected, Err(RelayError::Unexpected(_))), "{redirected:?}");
    }

    #[tokio::test]
    async fn a_relay_that_hangs_up_or_answers_without_end_is_unreachable() {
        let relay = FakeServer::start(|_| Answer::HangUp).await;
        let client = RelayClient::new(&OutboundOptions::default()).unwrap();
        let refused = client.request_crawl(&relay.url("/"), "pds.example.com").await;
        assert!(matches!(refused, Err(RelayError::Unreachable(_))), "{refused:?}");
        let endless = FakeServer::start(|_| answer("200 OK", "", vec![b' '; ANSWER_MAX_BYTES + 1])).await;
        let refused = client.host_status(&endless.url("/"), "pds.example.com").await;
        assert!(matches!(refused, Err(RelayError::Unreachable(_))), "{refused:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_is_silent_is_given_up_after_the_bound() {
        let relay = FakeServer::start(|_| Answer::Silence).await;
        let client = RelayClient::new(&OutboundOptions::default()).unwrap();
        let refused = client.request_crawl(&relay.url("/"), "pds.example.com").await;
        assert!(matches!(refused, Err(RelayError::Unreachable(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn another_server_at_the_public_address_is_noticed() {
        let client = RelayClient::new(&OutboundOptions::default()).unwrap();
        let other = FakeServer::start(|_| answer("200 OK", "", r#"{"did":"did:web:other.example"}"#)).await;
        let said = client.reach_self(&other.url("/"), "did:web:pds.example.com").await.unwrap_err();
        assert!(said.contains("another server") && said.contains("did:web:other.example"), "{said}");
        let page = FakeServer::start(|_| answer("404 Not Found", "", "<html>")).await;
        let said = client.reach_self(&page.url("/"), "did:web:pds.example.com").await.unwrap_err();
        assert!(said.contains("is no PDS") && said.contains("404"), "{said}");
        // It is the server, but nothing upgrades to a WebSocket.
        let half = FakeServer::start(|_| answer("200 OK", "", r#"{"did":"did:web:pds.example.com"}"#)).await;
        let said = client.reach_self(&half.url("/"), "did:web:pds.example.com").await.unwrap_err();
        assert!(said.contains("WebSockets"), "{said}");
    }
}
