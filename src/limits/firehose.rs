//! Bounds of the event stream.

/// Events read at once for one subscriber. The frames are shared with others, or were read from disk, where a page also
/// ends after a few megabytes.
pub const PAGE_EVENTS: usize = 500;

/// Events by which a subscriber that had caught up may fall behind before it is cut: the reference allows 500, which a
/// burst of writes reaches on a good connection too. It can come back with its cursor.
pub const LAG_EVENTS: i64 = 20_000;
