//! Bounds of delegations: statements, associated data and what a reader takes in of them.

use std::time::Duration;

/// Delegations of one account. PLC takes ten verification methods; the rest is for other uses.
pub const DELEGATIONS_MAX_PER_ACCOUNT: usize = 4;

/// Characters of a delegation id: PLC's bound of a verification method's name.
pub const ID_MAX_CHARS: usize = 32;

/// How far ahead of the server's clock a statement's `createdAt` may lie. The field is advisory; an hour forgives a badly
/// set clock.
pub const CREATED_AT_MAX_AHEAD: Duration = Duration::from_hours(1);

/// Bytes of a signature that is looked at: real ones have 64, one in DER up to 72, which deserves its own sentence.
pub const SIGNATURE_MAX_BYTES: usize = 128;

/// Statements of one id that a reader takes in; what lies beyond is ignored, which can only make things look worse.
/// Daily rotation fills it in five years.
pub const STATEMENTS_MAX_READ: usize = 2000;

/// Signatures that a reader checks for one verdict, two for each of [`STATEMENTS_MAX_READ`]: the slowest kind takes
/// about a fifth of a millisecond.
pub const SIGNATURE_CHECKS_MAX: usize = 4000;

/// Bytes of an entry's `data` in DAG-CBOR.
pub const APP_DATA_MAX_BYTES: usize = 32 * 1024;

/// Entries of associated data per id, ended ones included.
pub const APP_DATA_MAX_ENTRIES: usize = 32;

/// Bytes of a request that changes a delegation: 32 entries of the greatest size, their bytes in base64, with room for a
/// statement and an operation.
pub const CHANGE_BODY_BYTES: usize = 2 << 20;

/// How often the key of a delegation is read for an entry under it, while others change it: each change takes a signature
/// of its owner's, so that this is never reached.
pub const KEY_READ_TRIES: usize = 4;

/// How far ahead an entry's `rev` may lie: clocks differ, but a rev far ahead could never be followed by another.
pub const APP_DATA_REV_MAX_AHEAD: Duration = Duration::from_mins(5);

/// How far ahead an entry may expire: this bounds how old an entry a first-contact reader can be shown.
pub const APP_DATA_MAX_LIFETIME: Duration = Duration::from_hours(24 * 90);

/// Rounds of SHA-512 behind one half of a safety number, as messengers in use have: trying keys until a number looks
/// alike costs that much more.
pub const SAFETY_NUMBER_ROUNDS: usize = 5200;

/// How lately a full session must have been opened to consent to an id's first key by itself: somebody who took an
/// unlocked device or an old token finds it over.
pub const FRESH_SESSION: Duration = Duration::from_mins(10);

/// Operations of one DID that the public directory takes, by the span in which it counts them.
pub const PLC_BUDGET: [(Duration, usize); 3] =
    [(Duration::from_hours(1), 10), (Duration::from_hours(24), 30), (Duration::from_hours(24 * 7), 100)];

/// Journaled operations of one DID that are read to count them: what lies beyond is over every budget.
pub const PLC_BUDGET_ROWS: usize = 200;

/// How long a round over the logs of all accounts rests before the next, where the directory has no export stream.
pub const WATCH_EVERY: Duration = Duration::from_mins(10);

/// The same beside an export stream: it should have told everything.
pub const WATCH_EVERY_BESIDE_STREAM: Duration = Duration::from_hours(24);

/// Logs in a row that cannot be read before a round is given up: the directory is down then.
pub const WATCH_UNAVAILABLE_MAX: usize = 3;

/// How often what could not be looked at is tried again.
pub const WATCH_TICK: Duration = Duration::from_secs(10);

/// How often the place in the export stream is written down: after a crash, so much of it is read again.
pub const WATCH_CURSOR_EVERY: Duration = Duration::from_mins(1);

/// Accounts that wait to be looked at: where more were told of at once, a round over all of them takes their place.
pub const WATCH_WAITING_MAX: usize = 10_000;

/// The first pause before the export stream is opened again; it doubles each time.
pub const WATCH_FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest such pause: a directory without a stream is asked for one so often.
pub const WATCH_LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// Ids of one account whose statements are looked at: names that an import brought are bounded by this.
pub const IDS_MAX_READ: usize = 32;

/// Records of associated data of one id that are looked at, those of older keys included.
pub const ENTRIES_MAX_READ: usize = 4 * APP_DATA_MAX_ENTRIES;

/// Entries of a history that the page shows, the newest ones: daily rotation fills it in half a year.
pub const PAGE_TIMELINE_MAX: usize = 200;

/// Statements that do not count that the page shows: somebody may have planted thousands.
pub const PAGE_IGNORED_MAX: usize = 20;

/// Pages about delegations that are made at once: each reads one or two logs from the directory and checks every
/// signature in them.
pub const PAGES_AT_ONCE: usize = 4;

/// Visitors who may wait for such a page; who comes then is told to come again.
pub const PAGES_WAITING: usize = 28;

/// Bytes of bodies of the well-known resource that are kept: with one small entry each, those of some ten thousand
/// delegations.
pub const WELL_KNOWN_CACHE_BYTES: u64 = 32 << 20;

/// What keeping a body costs besides its own bytes, about.
pub const WELL_KNOWN_CACHE_ENTRY_BYTES: usize = 1024;
