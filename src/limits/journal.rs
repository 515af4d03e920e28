//! Bounds of the identity journal and its reconciler.

use std::time::Duration;

/// Time between the two readings of a log that confirm a repeated refusal (delegation contract, section 6).
pub const REFUSAL_CONFIRMED_AFTER: Duration = Duration::from_mins(1);

/// First pause of the reconciler while rows are open: a directory that hiccuped is back by then.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause of the reconciler while rows are open: what an owner may wait after a long failure has ended.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Open rows that one pass takes up; more are taken up by the next.
pub const ROWS_PER_PASS: usize = 200;

/// How long the operation of a failed row is still looked for, once every [`LONGEST_PAUSE`]: longer than any proxy in
/// front of a directory holds a request.
pub const FAILED_ROWS_WATCHED_FOR: Duration = Duration::from_hours(2);
