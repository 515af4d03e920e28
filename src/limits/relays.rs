//! Bounds of what relays are told and asked.

use std::time::Duration;

/// How often one relay is told of news at most: as the reference. A relay that follows the stream needs it only after it
/// lost us.
pub const ANNOUNCE_EVERY: Duration = Duration::from_mins(20);

/// The pause after a first announcement that failed; doubled after each further one.
pub const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause between announcements that fail.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The pause after a relay said that it banned this host: people must talk before that changes.
pub const BANNED_PAUSE: Duration = Duration::from_hours(6);

/// How long one request to a relay may take in all.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are read of a relay's answer: a few numbers, or a sentence.
pub const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// Relays that can be configured. There are two or three public ones.
pub const RELAYS_MAX: usize = 16;

/// Bytes of a message of the own event stream that the look from outside accepts: it reads none of them.
pub const OWN_STREAM_MESSAGE_BYTES: usize = 64 * 1024;
