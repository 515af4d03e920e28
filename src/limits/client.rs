//! Bounds of the command line as a client of other servers.

use std::time::Duration;

/// Bytes of one answer of a PDS: two thousand statements of about a kilobyte, with room.
pub const ANSWER_MAX_BYTES: usize = 8 << 20;

/// How long one answer of a PDS may take: a change of the DID waits for the PLC directory.
pub const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// Records asked for at once: the most that a PDS gives.
pub const RECORDS_PAGE: usize = 100;

/// Pages of records that are read: as many as hold the statements of four ids that a reader takes in.
pub const RECORDS_MAX_PAGES: usize = 80;

/// How often the directory is asked whether a change is there. An honest server answers after it is.
pub const CONFIRM_TRIES: usize = 10;

/// The same where the server said that it does not know yet.
pub const CONFIRM_PENDING_TRIES: usize = 60;

/// How long to wait before the directory is asked again.
pub const CONFIRM_PAUSE: Duration = Duration::from_secs(2);

/// Bytes of a file that a command reads: a key, a statement, what was remembered of some thousand accounts.
pub const FILE_MAX_BYTES: u64 = 4 << 20;

/// Memory in KiB that Argon2id takes to open a key file made here: 64 MiB, the second choice of RFC 9106.
pub const KEY_FILE_MEMORY_KIB: u32 = 65_536;

/// Passes of Argon2id over it.
pub const KEY_FILE_PASSES: u32 = 3;

/// The most memory in KiB that a key file from elsewhere may ask for: 1 GiB.
pub const KEY_FILE_MAX_MEMORY_KIB: u32 = 1 << 20;

/// The most passes that a key file from elsewhere may ask for.
pub const KEY_FILE_MAX_PASSES: u32 = 64;

/// How long an entry of associated data holds unless told otherwise, in days; the most is 90.
pub const ENTRY_DAYS: u16 = 60;

/// How long an export stream may be silent before it is asked for a sign of life, and then until it is given up.
pub const STREAM_SILENCE: Duration = Duration::from_secs(30);

/// Bytes of one message of an export stream: an operation has at most 4,000 in DAG-CBOR.
pub const STREAM_MESSAGE_MAX_BYTES: usize = 64 * 1024;

/// The first pause before a broken export stream is opened again; it doubles each time.
pub const STREAM_FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest such pause.
pub const STREAM_LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How often a changed delegation is read again while its statement is not there yet: it follows the operation.
pub const SETTLE_TRIES: usize = 3;

/// The pause before that.
pub const SETTLE_PAUSE: Duration = Duration::from_secs(2);

/// How long a hook command may run.
pub const HOOK_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a session is used in a move before a new one is opened: half of what a token lasts.
pub const MOVE_SESSION: Duration = Duration::from_hours(1);

/// Bytes of a repository that is moved, at most: 4 GiB, more than any server takes.
pub const MOVE_REPO_MAX_BYTES: u64 = 4 << 30;

/// Bytes of a blob that is moved, at most: 2 GiB, more than any server takes.
pub const MOVE_BLOB_MAX_BYTES: u64 = 2 << 30;

/// What is read of a file at once that is uploaded, in bytes.
pub const UPLOAD_PIECE_BYTES: usize = 256 * 1024;

/// Bytes of a CAR file with one commit: the commit, its CID and a header, with room for a header with roots.
pub const MOVE_COMMIT_CAR_BYTES: usize = 64 * 1024;

/// Items of a list that a server is asked for at once.
pub const LISTED_PAGE: usize = 500;

/// Pages of a list that are read at the most.
pub const LISTED_MAX_PAGES: usize = 2_000;

/// How long a server may take to begin to send a repository or blob, which some gather in memory first.
pub const MOVE_ANSWER_TIMEOUT: Duration = Duration::from_mins(5);

/// How long nothing may come of a repository or blob that has begun to come.
pub const MOVE_SILENCE: Duration = Duration::from_mins(1);

/// How long it may take to send a whole repository or blob over a slow line, its answer included.
pub const MOVE_TRANSFER_TIMEOUT: Duration = Duration::from_hours(2);

/// The first pause where a server has had too many requests; it doubles each time.
pub const MOVE_BUSY_PAUSE: Duration = Duration::from_secs(5);

/// How often a blob is asked for while a server has too many requests: the pauses together are longer than the five minutes
/// over which the reference counts.
pub const MOVE_BUSY_TRIES: usize = 8;

/// How often the owner is asked for a mailed code.
pub const CODE_TRIES: usize = 3;
