//! Bounds of account archives. A file that is read is not compressed, so that nothing in it is larger than it.

/// Bytes of the manifest: it has a line for each part.
pub const MANIFEST_MAX_BYTES: u64 = 64 * 1024;

/// Bytes of one of the JSON parts: a log of ten thousand operations, or all statements that an import keeps.
pub const PART_MAX_BYTES: u64 = 32 << 20;

/// Blobs in one archive, or used by its records: twice what an account may have by default. Each takes a few hundred bytes of memory.
pub const BLOBS_MAX: usize = 200_000;

/// Bytes of one line of the list of blobs: a CID, a size and a media type.
pub const BLOB_LINE_MAX_BYTES: u64 = 512;

/// Bytes of the repository: 4 GiB, more than any server takes.
pub const REPO_MAX_BYTES: u64 = 4 << 30;

/// What is read or written of a file at once, in bytes.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Missing blobs that a report names; the others are counted.
pub const MISSING_NAMED: usize = 100;
