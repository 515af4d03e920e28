//! Bounds of sign-ups, invites and moderation.

use std::time::Duration;

/// Good invite codes of its own that an account has at a time: the reference's.
pub const OPEN_INVITES_MAX: usize = 5;

/// Codes in one page of `getInviteCodes` unless the caller says: the lexicon's.
pub const INVITES_PER_PAGE_DEFAULT: usize = 100;

/// Codes in one page of `getInviteCodes`, at most: the lexicon's.
pub const INVITES_PER_PAGE: usize = 500;

/// Codes of one account that are listed; an allowance of one a day fills this in almost three years.
pub const INVITES_SHOWN: usize = 1_000;

/// Bytes of the administrator's note about an account's invites.
pub const INVITE_NOTE_BYTES: usize = 1_000;

/// For how long a sign-up counts against the address that it came from.
pub const SIGN_UP_WINDOW: Duration = Duration::from_hours(24);

/// Bits of an IPv6 address that stand for one subscriber.
pub const IPV6_SUBSCRIBER_BITS: u8 = 64;

/// Sign-ups per address and day that can be configured.
pub const SIGN_UPS_PER_ADDRESS_MAX: u64 = 1_000_000;

/// Handles that are suggested in place of one that is taken.
pub const HANDLE_SUGGESTIONS: usize = 3;

/// Handles that are tried for that: each costs a look into the database.
pub const HANDLE_SUGGESTION_TRIES: usize = 10;
