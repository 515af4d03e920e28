//! The PLC directory's client: reads logs, posts an operation once.
//! Spec: <https://web.plc.directory/spec/v0.1/did-plc>.

use url::Url;

use super::{FetchError, FetchLimits, Fetched, Messages, OutboundOptions, TrustedClient, lookup::directory_url};
use crate::{
    limits::client::{STREAM_MESSAGE_MAX_BYTES, STREAM_SILENCE},
    limits::outbound::{FOREIGN_MESSAGE_MAX_CHARS, PLC_LOG_MAX_BYTES, PLC_REFUSAL_MAX_BYTES, PLC_TIMEOUT},
    meters::Outcomes,
    plc::{Entry, Operation},
    syntax::Did,
};

const LOG: FetchLimits = FetchLimits { body_bytes: PLC_LOG_MAX_BYTES, total: PLC_TIMEOUT, redirects: 0 };
const SHORT: FetchLimits = FetchLimits { body_bytes: PLC_REFUSAL_MAX_BYTES, total: PLC_TIMEOUT, redirects: 0 };

/// Why the directory gave no log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlcError {
    /// The DID is not registered.
    #[error("the DID is not registered in the PLC directory")]
    NotRegistered,
    /// It answered otherwise than a directory does.
    #[error("the PLC directory answered {0}")]
    Unexpected(String),
    /// It could not be reached.
    #[error("the PLC directory could not be reached: {0}")]
    Unavailable(String),
}

/// What came of a POST other than acceptance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// A definite refusal (4xx) in the directory's words.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The connection could not be made: nothing was posted.
    #[error("the PLC directory could not be reached: {0}")]
    NotSent(String),
    /// Time-out, broken connection or 5xx: it may or may not have been accepted.
    #[error("the PLC directory gave no clear answer: {0}")]
    Ambiguous(String),
}

/// The directory's client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PlcClient {
    url: Url,
    reader: TrustedClient,
    // A connection of its own for each operation: one that died unseen would make the outcome doubtful.
    writer: TrustedClient,
    options: OutboundOptions,
    outcomes: Outcomes,
}

impl PlcClient {
    /// A client for a directory that the operator trusts.
    ///
    /// # Errors
    /// [`PlcError::Unavailable`] when the CA bundle is not PEM.
    pub fn new(url: &Url, outbound: &OutboundOptions) -> Result<Self, PlcError> {
        let failed = |error: FetchError| PlcError::Unavailable(error.to_string());
        Ok(Self {
            url: url.clone(),
            reader: TrustedClient::new(outbound).map_err(failed)?,
            writer: TrustedClient::without_reuse(outbound).map_err(failed)?,
            options: outbound.clone(),
            outcomes: Outcomes::default(),
        })
    }

    /// How requests to it ended.
    pub const fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// The directory's URL.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The audit log: every operation, nullified ones included, oldest first. Nothing in it is verified:
    /// [`crate::plc::verify_log`] does that.
    ///
    /// # Errors
    /// [`PlcError`].
    pub async fn audit_log(&self, did: &Did) -> Result<Vec<Entry>, PlcError> {
        let body = self.read(did, "/log/audit", LOG).await?;
        serde_json::from_slice(&body.body).map_err(|error| PlcError::Unexpected(format!("something else: {error}")))
    }

    /// The last operation that stands; its CID is the `prev` of the next. Not verified.
    ///
    /// # Errors
    /// [`PlcError`].
    pub async fn last_operation(&self, did: &Did) -> Result<Operation, PlcError> {
        let body = self.read(did, "/log/last", SHORT).await?;
        serde_json::from_slice(&body.body).map_err(|error| PlcError::Unexpected(format!("something else: {error}")))
    }

    /// Posts an operation (its JSON) once, without any automatic retry.
    ///
    /// # Errors
    /// [`PostError`], which says whether the directory may have taken it nevertheless.
    pub async fn post(&self, did: &Did, operation_json: &str) -> Result<(), PostError> {
        let posted = self.post_once(did, operation_json).await;
        self.outcomes.count(match &posted {
            Ok(()) => "ok",
            Err(PostError::Refused { .. }) => "refused",
            Err(PostError::NotSent(_) | PostError::Ambiguous(_)) => "failed",
        });
        posted
    }

    async fn post_once(&self, did: &Did, operation_json: &str) -> Result<(), PostError> {
        let url = directory_url(&self.url, did, "");
        let answer = match self.writer.post_json(&url, operation_json.to_owned(), SHORT).await {
            Ok(answer) => answer,
            Err(error) if error.nothing_sent() => return Err(PostError::NotSent(error.to_string())),
            Err(error) => return Err(PostError::Ambiguous(error.to_string())),
        };
        match answer.status {
            200..=299 => Ok(()),
            // These say that the request was not read to its end, or not now; nobody else's 408 is a verdict.
            408 => Err(PostError::Ambiguous(words(&answer))),
            400..=499 => Err(PostError::Refused { status: answer.status, message: words(&answer) }),
            _ => Err(PostError::Ambiguous(words(&answer))),
        }
    }

    /// The stream of every operation of every DID after `cursor`, or from now on without one.
    ///
    /// # Errors
    /// [`FetchError`]: also where the directory has no stream.
    pub async fn export_stream(&self, cursor: Option<i64>) -> Result<Messages, FetchError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/export/stream", self.url.path().trim_end_matches('/')));
        url.set_query(cursor.map(|cursor| format!("cursor={cursor}")).as_deref());
        Messages::open(&url, &self.options, STREAM_MESSAGE_MAX_BYTES, STREAM_SILENCE).await
    }

    /// Whether the directory answers at all (health).
    ///
    /// # Errors
    /// [`PlcError::Unavailable`] or [`PlcError::Unexpected`].
    pub async fn health(&self) -> Result<(), PlcError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/_health", self.url.path().trim_end_matches('/')));
        let answer = self.reader.get(&url, SHORT).await.map_err(|error| PlcError::Unavailable(error.to_string()))?;
        if answer.status == 200 { Ok(()) } else { Err(PlcError::Unexpected(words(&answer))) }
    }

    async fn read(&self, did: &Did, rest: &str, limits: FetchLimits) -> Result<Fetched, PlcError> {
        let read = self.read_once(did, rest, limits).await;
        self.outcomes.count(match &read {
            Ok(_) => "ok",
            Err(PlcError::NotRegistered) => "not_registered",
            Err(PlcError::Unavailable(_) | PlcError::Unexpected(_)) => "failed",
        });
        read
    }

    async fn read_once(&self, did: &Did, rest: &str, limits: FetchLimits) -> Result<Fetched, PlcError> {
        let url = directory_url(&self.url, did, rest);
        match self.reader.get(&url, limits).await {
            Ok(answer) => match answer.status {
                200 => Ok(answer),
                404 => Err(PlcError::NotRegistered),
                429 | 500.. => Err(PlcError::Unavailable(words(&answer))),
                _ => Err(PlcError::Unexpected(words(&answer))),
            },
            Err(error @ (FetchError::TooLarge(_) | FetchError::Encoded)) => {
                Err(PlcError::Unexpected(error.to_string()))
            }
            Err(error) => Err(PlcError::Unavailable(error.to_string())),
        }
    }
}

/// The `message` of an answer, or its status; bounded and on one line.
fn words(answer: &Fetched) -> String {
    let message = serde_json::from_slice::<serde_json::Value>(&answer.body)
        .ok()
        .and_then(|json| Some(json.get("message")?.as_str()?.to_owned()));
    match message {
        Some(text) if !text.is_empty() => {
            text.chars().take(FOREIGN_MESSAGE_MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
        }
        _ => format!("with status {}", answer.status),
    }
}

#[cfg(test)]
#[path = "plc_tests.rs"]
mod tests;
