//! Bounds of repositories and records.

/// Bytes of a record path (`collection/rkey`). The longest collection (317) and record key (512) fit with room to spare;
/// the reference PDS has the same bound.
pub const MAX_RECORD_PATH_BYTES: usize = 1_024;

/// Height of a tree's top node. A key this high takes about 2^64 hashes to find, so only a forged tree is higher.
/// It bounds every recursion over a tree.
pub const MAX_TREE_HEIGHT: u8 = 32;

/// Entries of one MST node. A node of random keys has three; one of 1,024 has a chance of about 10^-128, so whoever
/// reaches it has picked keys to make writes slow. The specification asks for such a bound.
pub const MAX_NODE_ENTRIES: usize = 1_024;

/// Bytes of one MST node: [`MAX_NODE_ENTRIES`] entries of the longest paths that exist.
pub const MAX_NODE_BYTES: usize = 1_048_576;

/// Bytes of a commit block: the lexicon bounds the CAR of a `#sync` event, which holds nothing else, to as many.
pub const MAX_COMMIT_BYTES: usize = 10_000;

/// Bytes of one record, from the sync specification.
pub const MAX_RECORD_BYTES: usize = 1_000_000;

/// Bytes of the CAR in a `#commit` event, from its lexicon.
pub const MAX_EVENT_BLOCKS_BYTES: usize = 2_000_000;

/// Writes in one commit, from the lexicon of the `#commit` event.
pub const MAX_COMMIT_OPS: usize = 200;

/// Bytes of one frame of the event stream, from the sync specification.
pub const MAX_FRAME_BYTES: usize = 5_000_000;
