//! Bounds of record writes, blobs, and answers made of repository data.

use std::time::Duration;

/// How often a commit is planned anew when the head moved under the account's lock. Only an import or a restore can
/// move it then, so a second try nearly always succeeds.
pub const COMMIT_ATTEMPTS: usize = 4;

/// Opened signing keys that are kept, in accounts. At about 300 bytes each this is a quarter of a megabyte; opening one
/// costs 50 µs or so.
pub const SIGNING_KEYS_KEPT: usize = 1_024;

/// Bytes of a media type that a client claims for a blob; the longest registered ones have about 100.
pub const MIME_TYPE_BYTES: usize = 127;

/// How long an uploaded blob may wait for the record that references it: the specification says several hours.
pub const TEMPORARY_BLOB_GRACE: Duration = Duration::from_hours(6);

/// How often old events and temporary blobs are looked for.
pub const MAINTENANCE_EVERY: Duration = Duration::from_mins(10);

/// Blobs that one sweep step considers: a step must not hold the writer for more than a few milliseconds.
pub const SWEEP_SLICE: usize = 200;

/// Events that one pruning step removes, for the same reason.
pub const PRUNE_SLICE: usize = 500;

/// Steps of one kind in one round of maintenance: a backlog is worked off over several rounds.
pub const MAINTENANCE_STEPS: usize = 1_000;

/// CIDs in one `getBlocks`; an address with more does not fit a request line.
pub const GET_BLOCKS_CIDS: usize = 1_000;

/// Bytes of the blocks in one `getBlocks` answer, which is buffered, because a missing block must be an error.
pub const GET_BLOCKS_BYTES: usize = 8 * 1024 * 1024;

/// Blocks that `getBlocks` reads at once.
pub const GET_BLOCKS_PAGE: usize = 64;

/// How often a record and its proof are read again because a write came between the two.
pub const PROOF_ATTEMPTS: usize = 8;

/// Bytes read from a blob file at once: fewer trips to the file thread against memory per download.
pub const BLOB_CHUNK_BYTES: usize = 256 * 1024;

/// Bytes of a cursor that a client sends; ours are record keys (512), CIDs (59) and numbers.
pub const CURSOR_BYTES: usize = 512;
