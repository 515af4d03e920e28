//! Bounds of requests that are passed on to other services.

use std::time::Duration;

/// How long a service may take for the headers of its answer, once it has the whole request: the reference's time-out.
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence inside an answer: the reference's time-out.
pub const BODY_IDLE: Duration = Duration::from_secs(30);

/// How long an answer may take in all; 10 MiB in this time is 35 KB a second, which a slow phone takes.
pub const BODY_TOTAL: Duration = Duration::from_mins(5);

/// How long a request's body may take to be sent. The listener bounds how slowly it comes; this bounds a service that
/// does not read.
pub const UPLOAD_TIMEOUT: Duration = Duration::from_mins(5);

/// Bytes of an answer, as it comes over the wire and inflated: the reference's bound.
pub const RESPONSE_BYTES: usize = 10 * 1024 * 1024;

/// Bytes of a request that is passed on; it is never held. The largest input of a published method is a video of 100 MB.
pub const REQUEST_BYTES: u64 = 100 * 1024 * 1024;

/// Bytes of a service's error that are read: a name and a sentence.
pub const ERROR_BYTES: usize = 64 * 1024;

/// How long a service's error may take.
pub const ERROR_TIMEOUT: Duration = Duration::from_secs(5);

/// Characters of a service's error name that are passed on; the lexicons' longest has 30.
pub const ERROR_NAME_CHARS: usize = 100;

/// An account's newest posts that are looked at for what a service does not know yet: the reference's number.
pub const LOCAL_POSTS: usize = 10;

/// Records that are looked at to tell whether a service has seen anything of a repository: more are new at once only
/// after a move.
pub const KNOWN_RECORDS: usize = 1_000;

/// How long fetching what a fresh post quotes may take, all quotes together.
pub const QUOTES_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of an answer that is looked into for one value: a feed generator's record, a quoted post.
pub const LOOK_UP_BYTES: usize = 1024 * 1024;

/// JSON body of a report, a preference or a push registration that may be passed on, in bytes: the reference's bound of a
/// JSON body.
pub const JSON_BYTES: usize = 150 * 1024;
