//! Bounds of importing a repository. How many bytes it may have is the operator's: `[limits] import_bytes`.

/// Repositories that are imported at once on the whole server; one more is told to come back. Each has a page cache of
/// [`BLOCKS_CACHE_KIB`].
pub const AT_ONCE: usize = 4;

/// Blocks in one file: an account with three and a half million records. Bounds what the index of the blocks takes on disk.
pub const BLOCKS_MAX: u64 = 5_000_000;

/// Collections in one repository. They are what the flip writes one by one, which must not take longer than a few
/// milliseconds; the busiest accounts have about a hundred.
pub const COLLECTIONS_MAX: usize = 2_000;

/// Bytes of the records in the reserved collections that an account has before an import and keeps: a statement has about
/// 600, so these are 25,000 of them.
pub const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Records that are read at once to find those that are kept.
pub const KEPT_PAGE: usize = 500;

/// Page cache of the file that holds the blocks while they are checked, in KiB.
pub const BLOCKS_CACHE_KIB: u32 = 16 * 1024;

/// Bytes of a request body that are collected before they are handed to the thread that takes them apart.
pub const FEED_BYTES: usize = 512 * 1024;

/// Blobs that one record may reference: each is a row to write, and a record's rows are written in one job. Posts have
/// at most four.
pub const RECORD_BLOBS_MAX: usize = 1_000;

/// Rows that one job of the writer stages: some five milliseconds.
pub const STAGE_ROWS: usize = 400;

/// Bytes of records and nodes that one job of the writer stages.
pub const STAGE_BYTES: usize = 1024 * 1024;

/// Slices that wait for the writer while the next one is made.
pub const STAGE_AHEAD: usize = 2;

/// Bytes of records that one slice of removing a tree frees, besides [`crate::limits::store::SWEEP_SLICE`] rows: freeing
/// the pages of large records takes its time.
pub const SWEEP_BYTES: i64 = 2 * 1024 * 1024;
