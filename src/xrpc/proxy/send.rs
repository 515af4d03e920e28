//! A request on its way to a service.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::sync::Notify;
use url::Url;

use super::{
    error::{Refusal, refusal, timeout, unreachable},
    respond::{Upstream, chosen},
    target::{PROXY_HEADER, Target, Trust},
};
use crate::{
    crypto::seal::CannotOpen,
    limits::proxy::{HEADERS_TIMEOUT, REQUEST_BYTES, UPLOAD_TIMEOUT},
    outbound::{FetchError, Outgoing, OutgoingBody, Streamed},
    service::{Server, service_auth},
    store::Account,
    xrpc::{IntoReply, Reply, RequestBody, XrpcError},
};

/// What a service may know of every request.
static FORWARDED: [HeaderName; 3] = [
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static("atproto-accept-labelers"),
    HeaderName::from_static("x-bsky-topics"),
];

/// What a service must know of a body.
static FORWARDED_OF_BODY: [HeaderName; 2] = [header::CONTENT_TYPE, header::CONTENT_ENCODING];

/// Those headers of a request that matter to passing it on.
pub(super) fn passable(from: &HeaderMap) -> HeaderMap {
    let mut kept = chosen(from, &FORWARDED);
    kept.extend(chosen(from, &[header::ACCEPT_ENCODING, PROXY_HEADER]));
    kept
}

/// A service's answer.
pub enum Answer {
    /// 2xx.
    Success(Upstream),
    /// 4xx or 5xx.
    Refused(Refusal),
}

impl IntoReply for Answer {
    fn into_reply(self) -> Result<Reply, XrpcError> {
        match self {
            Self::Success(upstream) => upstream.into_reply(),
            Self::Refused(refusal) => refusal.into_reply(),
        }
    }
}

/// Which codings of an answer are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codings {
    /// Those that the caller takes: the answer goes through as it is.
    Callers,
    /// Those that both the caller and this server take: it may have to be read here.
    Shared,
    /// None.
    Plain,
}

/// A request to a service.
pub struct Message {
    method: Method,
    url: Url,
    trust: Trust,
    headers: HeaderMap,
    body: Payload,
}

enum Payload {
    None,
    Bytes(Bytes),
    Stream(RequestBody),
}

impl Message {
    /// A GET (or HEAD) of a method, with what may be known of the caller's request.
    pub fn get(target: &Target, nsid: &str, query: Option<&str>, from: &HeaderMap, codings: Codings) -> Self {
        let mut headers = chosen(from, &FORWARDED);
        headers.insert(header::ACCEPT_ENCODING, accepted(from, codings));
        let url = target.method(nsid, query);
        Self { method: Method::GET, url, trust: target.trust, headers, body: Payload::None }
    }

    /// Asks for the headers alone.
    #[must_use]
    pub fn head(mut self) -> Self {
        self.method = Method::HEAD;
        self
    }

    /// Sends a body along, as it comes.
    #[must_use]
    pub fn posting(mut self, body: RequestBody, from: &HeaderMap) -> Self {
        self.method = Method::POST;
        self.headers.extend(chosen(from, &FORWARDED_OF_BODY));
        if let Some(length) = body.content_length {
            self.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        self.body = Payload::Stream(body);
        self
    }

    /// Sends JSON text along.
    #[must_use]
    pub fn posting_json(mut self, json: Bytes) -> Self {
        self.method = Method::POST;
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Payload::Bytes(json);
        self
    }

    /// Speaks for an account, with a token for one method of one audience.
    ///
    /// # Errors
    /// When the account's key cannot be opened.
    pub fn speaking_for(mut self, server: &Server, account: &Account, aud: &str, lxm: &str) -> Result<Self, XrpcError> {
        let token = service_auth::passing_token(server, account, aud, lxm)
            .map_err(|cause: CannotOpen| XrpcError::internal(&cause))?;
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|cause| XrpcError::internal(&cause))?;
        value.set_sensitive(true);
        self.headers.insert(header::AUTHORIZATION, value);
        Ok(self)
    }

    /// Sends it, and waits for the answer's headers.
    ///
    /// # Errors
    /// 400 when the address may not be reached, 502 when it is not, 504 when there is no answer in time; what the
    /// caller's body failed with.
    pub async fn send(self, server: &Server) -> Result<Answer, XrpcError> {
        let (trust, body) = (self.trust, self.body);
        let mut outgoing =
            Outgoing { method: self.method, url: self.url, headers: self.headers, body: OutgoingBody::Empty };
        let answer = match body {
            Payload::None => exchange(server, trust, outgoing, HEADERS_TIMEOUT).await,
            Payload::Bytes(bytes) => {
                outgoing.body = OutgoingBody::Bytes(bytes);
                exchange(server, trust, outgoing, HEADERS_TIMEOUT).await
            }
            Payload::Stream(body) => return upload(server, trust, outgoing, body).await,
        };
        judge(answer.map_err(|cause| unreachable(&cause))?).await
    }
}

async fn exchange(
    server: &Server,
    trust: Trust,
    outgoing: Outgoing,
    wait: std::time::Duration,
) -> Result<Streamed, FetchError> {
    match trust {
        Trust::Operator => server.trusted.send(outgoing, wait).await,
        Trust::Document => server.client.send(outgoing, wait).await,
    }
}

async fn judge(answer: Streamed) -> Result<Answer, XrpcError> {
    if answer.status.is_client_error() || answer.status.is_server_error() {
        return Ok(Answer::Refused(refusal(answer).await));
    }
    Upstream::new(answer).map(Answer::Success)
}

/// Sends a body as it comes; the service's time begins when it has all of it.
async fn upload(server: &Server, trust: Trust, mut outgoing: Outgoing, body: RequestBody) -> Result<Answer, XrpcError> {
    let failed = Arc::new(OnceLock::new());
    let sent = Arc::new(Notify::new());
    let start = Sending { body, bytes: 0, failed: Arc::clone(&failed), sent: Arc::clone(&sent) };
    outgoing.body = OutgoingBody::Stream(
        stream::try_unfold(start, |mut sending| async move {
            let piece = sending.next().await?;
            Ok(piece.map(|piece| (piece, sending)))
        })
        .boxed(),
    );
    let too_late = async {
        sent.notified().await;
        tokio::time::sleep(HEADERS_TIMEOUT).await;
    };
    let answer = tokio::select! {
        answer = exchange(server, trust, outgoing, UPLOAD_TIMEOUT) => answer,
        () = too_late => return Err(timeout()),
    };
    match (answer, failed.get()) {
        (Ok(answer), _) => judge(answer).await,
        // It was the caller's body that failed.
        (Err(_), Some(error)) => Err(XrpcError::clone(error)),
        (Err(cause), None) => Err(unreachable(&cause)),
    }
}

struct Sending {
    body: RequestBody,
    bytes: u64,
    failed: Arc<OnceLock<XrpcError>>,
    sent: Arc<Notify>,
}

impl Sending {
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        let refused = match self.body.stream.next().await {
            None => return Ok(None),
            Some(Ok(piece)) => {
                self.bytes += piece.len() as u64;
                if self.bytes <= REQUEST_BYTES {
                    return Ok(Some(piece));
                }
                XrpcError::too_large()
            }
            Some(Err(error)) => error,
        };
        let cause = std::io::Error::other(refused.message.clone());
        self.failed.get_or_init(|| refused);
        Err(cause)
    }
}

/// The client drops a body once it is sent, whether or not it asked for its end.
impl Drop for Sending {
    fn drop(&mut self) {
        self.sent.notify_one();
    }
}

fn accepted(from: &HeaderMap, codings: Codings) -> HeaderValue {
    const PLAIN: HeaderValue = HeaderValue::from_static("identity");
    match codings {
        Codings::Callers => from.get(header::ACCEPT_ENCODING).cloned().unwrap_or(PLAIN),
        Codings::Shared if takes_gzip(from) => HeaderValue::from_static("gzip"),
        Codings::Shared | Codings::Plain => PLAIN,
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn target() -> Target {
        let (url, did) = ("https://a.example".parse().unwrap(), "did:web:a.example".parse().unwrap());
        Target { url, did, trust: Trust::Document }
    }

    #[test]
    fn a_service_learns_the_listed_headers_and_no_other() {
        let from = headers(&[
            ("accept-language", "de"),
            ("atproto-accept-labelers", "did:plc:x;redact"),
            ("x-bsky-topics", "a"),
            ("accept-encoding", "br, gzip"),
            ("authorization", "Bearer secret"),
            ("cookie", "secret"),
            ("atproto-proxy", "did:web:a.example#x"),
            ("x-forwarded-for", "192.0.2.1"),
            ("content-type", "text/plain"),
            ("host", "pds.example.com"),
        ]);
        let message = Message::get(&target(), "com.example.get", None, &from, Codings::Callers);
        let mut names: Vec<&str> = message.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept-encoding", "accept-language", "atproto-accept-labelers", "x-bsky-topics"]);
        assert_eq!(message.headers[header::ACCEPT_ENCODING], "br, gzip");
        let posting = message.posting(RequestBody::full("text/plain", "abc"), &from);
        assert_eq!(posting.headers[header::CONTENT_TYPE], "text/plain");
        assert_eq!(posting.headers[header::CONTENT_LENGTH], "3");
    }

    #[test]
    fn an_answer_that_may_be_read_here_is_asked_for_in_a_coding_that_is_known_here() {
        let ask = |value: &'static str, codings| accepted(&headers(&[("accept-encoding", value)]), codings);
        assert_eq!(ask("br, gzip;q=0.5", Codings::Shared), "gzip");
        assert_eq!(ask("br, gzip;q=0", Codings::Shared), "identity");
        assert_eq!(ask("br", Codings::Shared), "identity");
        assert_eq!(ask("gzip", Codings::Plain), "identity");
        assert_eq!(accepted(&HeaderMap::new(), Codings::Callers), "identity");
    }
}
