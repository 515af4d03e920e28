//! Bounds of taking over another server's data.

/// Numbers that are left out between the last event of the other server and the first one here: room for events that it
/// gave and did not keep.
pub const SEQ_GAP: i64 = 1_000;

/// Events that are carried over in one transaction.
pub const EVENTS_PAGE: i64 = 500;

/// Bytes of a file of settings. Usual ones have one or two thousand.
pub const ENVIRONMENT_MAX_BYTES: u64 = 1024 * 1024;

/// Bytes of a blob that are copied at once.
pub const COPY_BUFFER_BYTES: usize = 256 * 1024;
