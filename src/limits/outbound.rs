//! Bounds of requests that the server makes.

use std::time::Duration;

/// How long a connection (TCP and TLS) may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one look-up of an identity may take in all: the time-out of the reference's resolver.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a request to the PLC directory may take in all. A write there waits for the directory's own database.
pub const PLC_TIMEOUT: Duration = Duration::from_secs(10);

/// How long handing over a mail may take, for each step of the SMTP conversation.
pub const SMTP_TIMEOUT: Duration = Duration::from_secs(15);

/// Connections that stay open to one host when nothing is being asked: as many requests go to the `AppView` at once without a
/// new handshake each.
pub const IDLE_CONNECTIONS_PER_HOST: usize = 32;

/// How long a connection stays open when nothing is being asked.
pub const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Headers of one answer. The public services answer with a dozen or two.
pub const RESPONSE_HEADERS_MAX: usize = 100;

/// Bytes of a DID document. The largest that the PLC directory makes is under 12 KiB.
pub const DID_DOCUMENT_MAX_BYTES: usize = 64 * 1024;

/// Entries of one list of a DID document that are looked at: more are an error.
pub const DID_DOCUMENT_MAX_ENTRIES: usize = 200;

/// Bytes of a service endpoint in a DID document.
pub const SERVICE_ENDPOINT_MAX_BYTES: usize = 2048;

/// Bytes of `/.well-known/atproto-did`: a DID of the longest kind and a line end.
pub const ATPROTO_DID_MAX_BYTES: usize = 2 * 1024 + 2;

/// Redirects that are followed from `/.well-known/atproto-did`. A DID document is never redirected.
pub const HANDLE_REDIRECTS_MAX: usize = 3;

/// Bytes of a PLC audit log: an operation is at most 4,000 bytes of DAG-CBOR, so this is 2,000 of the largest.
pub const PLC_LOG_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes that are read of a refusal by the PLC directory.
pub const PLC_REFUSAL_MAX_BYTES: usize = 64 * 1024;

/// Characters of another server's words that are passed on in an error.
pub const FOREIGN_MESSAGE_MAX_CHARS: usize = 500;

/// Bytes of the cached DID documents, counted as they came over the wire: about 5,000 of the ordinary size.
pub const DID_CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Handles in the cache.
pub const HANDLE_CACHE_ENTRIES: u64 = 5_000;

/// How long a handle's DID is believed without asking again.
pub const HANDLE_CACHE_TTL: Duration = Duration::from_mins(1);

/// How long it is believed that a handle does not exist: short, for people fix their DNS and try again.
pub const HANDLE_CACHE_NEGATIVE_TTL: Duration = Duration::from_secs(10);

/// How long an outdated document is served without asking again after the directory could not be reached.
pub const DIRECTORY_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Look-ups of different names that are under way at once.
pub const LOOKUPS_AT_ONCE: usize = 64;

/// Look-ups of different names that may be under way or waiting; more are refused.
pub const LOOKUPS_WAITING_MAX: usize = 1_000;

/// Connections that stay open to the mail server.
pub const SMTP_CONNECTIONS_MAX: u32 = 4;

/// Mails that a development server keeps for its page: more than a test run looks at.
pub const KEPT_MAILS: usize = 200;
