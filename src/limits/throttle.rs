//! Budgets: how much one address or account may ask for in how long. The reference's unless a line says otherwise.

use std::time::Duration;

const FIVE_MINUTES: Duration = Duration::from_mins(5);
const QUARTER: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// So many points in a window of so long.
pub type Points = (u32, Duration);

/// Calls of one address, all methods together but `sync.getRepo`.
pub const ADDRESS: Points = (3_000, FIVE_MINUTES);

/// Exports that one address begins.
pub const GET_REPO: Points = (6_000, FIVE_MINUTES);

/// Points of one account's writes in an hour; the operator may set another number.
pub const WRITE_HOUR: Points = (5_000, HOUR);

/// Points of one account's writes in a day; the operator may set another number.
pub const WRITE_DAY: Points = (35_000, DAY);

/// Points that a creation takes of an account's writes.
pub const CREATE_POINTS: u32 = 3;

/// Points that an update takes of an account's writes.
pub const UPDATE_POINTS: u32 = 2;

/// Points that a deletion takes of an account's writes.
pub const DELETE_POINTS: u32 = 1;

/// Sign-ins with one identifier from one address.
pub const CREATE_SESSION: Points = (30, FIVE_MINUTES);

/// The same in a day.
pub const CREATE_SESSION_DAY: Points = (300, DAY);

/// Accounts that one address makes.
pub const CREATE_ACCOUNT: Points = (100, FIVE_MINUTES);

/// Passwords that one address resets.
pub const RESET_PASSWORD: Points = (50, FIVE_MINUTES);

/// Accounts that one address deletes.
pub const DELETE_ACCOUNT: Points = (50, FIVE_MINUTES);

/// Mails with a code for a new password that one address asks for.
pub const REQUEST_PASSWORD_RESET: Points = (15, HOUR);

/// The same in a day.
pub const REQUEST_PASSWORD_RESET_DAY: Points = (50, DAY);

/// Mails of one kind with a code that one account asks for.
pub const REQUEST_MAIL: Points = (5, HOUR);

/// The same in a day.
pub const REQUEST_MAIL_DAY: Points = (15, DAY);

/// Handles that one account takes.
pub const UPDATE_HANDLE: Points = (10, FIVE_MINUTES);

/// The same in a day: each is an operation of the PLC directory.
pub const UPDATE_HANDLE_DAY: Points = (50, DAY);

/// Files that one address uploads in a day.
pub const UPLOAD_BLOB: Points = (1_000, DAY);

/// Wrong passwords from one address, whatever they were tried with (the reference has no such limit): a household or a
/// small office mistypes less, and a list of stolen passwords is tried at walking pace.
pub const WRONG_PASSWORDS_ADDRESS: Points = (60, QUARTER);

/// Wrong passwords for one account from one address (the reference has no such limit): nobody mistypes more often. Not less
/// than the sign-ins of [`CREATE_SESSION`]: those that come at once are drawn before it is known that they are right.
pub const WRONG_PASSWORDS_PAIR: Points = (30, QUARTER);

/// Wrong passwords for one account from all addresses from which it was never signed in to (the reference has no such
/// limit): many machines together get no further than a few, in 15 minutes at most again.
pub const WRONG_PASSWORDS_ACCOUNT: Points = (50, QUARTER);

/// Windows of one budget that are remembered; the oldest goes when there are more. 65,536 take 4 MiB at most.
pub const KEYS_MAX: usize = 65_536;

/// Leading bits of an IPv6 address that are one customer's: providers give at least a /64 to each.
pub const IPV6_PREFIX: u8 = 64;
