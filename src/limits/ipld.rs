//! Bounds of parsers of DAG-CBOR, JSON and CAR.

/// Levels of lists and maps that may lie inside each other, in DAG-CBOR and in data-model JSON.
///
/// No published schema nests more than about ten deep; parsers in use stop between 32 and 256. This leaves room inside
/// the 128 levels of JSON readers for the answer that a record is wrapped in, and keeps recursion within a small stack.
pub const MAX_DEPTH: usize = 64;

/// Bytes of one encoded DAG-CBOR value that is decoded into a tree (event frames hold up to two).
///
/// The specification's bound of an event frame, the largest thing that is DAG-CBOR as a whole.
pub const CBOR_MAX_BYTES: usize = 5_000_000;

/// Values (every list item, every map entry, and the top itself) in one decoded tree.
///
/// A value takes 40 bytes in memory but may take one byte on the wire: this bounds a hostile tree to about 16 MiB.
/// A real record has at most a few thousand.
pub const CBOR_MAX_ITEMS: usize = 262_144;

/// Values for which memory is reserved when a container's header is read; more are added as they are really met.
///
/// The claimed length is not trusted: containers nested to the depth bound reserve at most 256 KiB together.
pub const CBOR_RESERVE_ITEMS: usize = 64;

/// The largest integer that JSON input may hold, and its negative the smallest: 2^53 − 1.
///
/// JavaScript clients lose precision beyond it.
pub const JSON_MAX_INTEGER: i64 = 9_007_199_254_740_991;

/// Bytes of a CAR file's header.
///
/// One root takes 59 bytes in all; this is room for about a hundred, and nobody writes more than one.
pub const CAR_MAX_HEADER_BYTES: usize = 4_096;

/// Bytes of one block in a CAR file.
///
/// Records are bounded to 1 MB and a commit's blocks to 2 MB altogether by the sync specification; a block that is
/// larger cannot have been announced by any server.
pub const CAR_MAX_BLOCK_BYTES: usize = 2_000_000;
