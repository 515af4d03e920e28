//! Bounds of accounts, sessions and codes.

use std::time::Duration;

/// Bytes of a session or service token. Real ones take 300 to 700; a DID of 2 KB in three claims would not fit, and
/// nobody has one.
pub const TOKEN_MAX_BYTES: usize = 4096;

/// Random bytes behind one random text. The longest in use, a blob's temporary name or a session id, has 32.
pub const RANDOM_TEXT_MAX_BYTES: usize = 64;

/// Memory of a standard password hash, in KiB: OWASP's first Argon2id setting.
pub const PASSWORD_HASH_MEMORY_KIB: u32 = 19_456;

/// Passes of a standard password hash: OWASP's first Argon2id setting.
pub const PASSWORD_HASH_PASSES: u32 = 2;

/// Address space taken for a hash, in bytes, of which only what the hash needs is touched: above the 32 MiB from which
/// glibc always maps memory by itself and returns it when it is freed.
pub const PASSWORD_HASH_BUFFER_BYTES: usize = 40 * 1024 * 1024;

/// Memory that checking a stored password hash may take, in KiB: one imported from elsewhere may cost more than ours,
/// but must not be able to exhaust the machine.
pub const PASSWORD_HASH_MAX_MEMORY_KIB: u32 = 262_144;

/// Passes and lanes that checking a stored password hash may take, for the same reason.
pub const PASSWORD_HASH_MAX_PASSES: u32 = 16;

/// Bytes of a password that is hashed at all: the reference accepts 512 characters of old passwords.
pub const PASSWORD_MAX_BYTES: usize = 2048;

/// Characters of the salt of a password hash that came from the reference: its own have 32.
pub const FOREIGN_SALT_MAX_CHARS: usize = 128;

/// App passwords of one account: one for each app of somebody who tries many.
pub const APP_PASSWORDS_PER_ACCOUNT: usize = 100;

/// Characters (UTF-16 units) of an app password's name.
pub const APP_PASSWORD_NAME_MAX_CHARS: usize = 256;

/// Characters of an app password, hyphens included.
pub const APP_PASSWORD_CHARS: usize = 19;

/// How long an access token is good: the reference's.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_hours(2);

/// How long a refresh token is good: the reference's.
pub const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// How long a refresh token that was exchanged still gives the same next one, so that a client that lost the answer does
/// not lose its session: the reference's.
pub const REFRESH_GRACE: Duration = Duration::from_hours(2);

/// Random bytes of a refresh token's `jti`: the reference's.
pub const SESSION_ID_BYTES: usize = 32;

/// Characters (UTF-16 units) of a new password: the reference's.
pub const NEW_PASSWORD_MAX_CHARS: usize = 256;

/// Characters (UTF-16 units) of a password that is tried: the reference's.
pub const OLD_PASSWORD_MAX_CHARS: usize = 512;

/// Bytes of the identifier that is tried with a password: handles have 253, DIDs are bounded by their own syntax,
/// addresses by [`EMAIL_MAX_CHARS`]; nothing longer can be in the database.
pub const IDENTIFIER_MAX_BYTES: usize = 2048;

/// Requests that may wait for a thread that hashes passwords. At 15 ms a hash and two threads the last one waits half a
/// second; more than that answers 503 at once instead of piling up.
pub const PASSWORDS_WAITING: usize = 64;

/// Characters of the part of a handle before a service domain, at least: the reference's.
pub const HANDLE_LABEL_MIN_CHARS: usize = 3;

/// Characters of the part of a handle before a service domain, at most: the reference's.
pub const HANDLE_LABEL_MAX_CHARS: usize = 18;

/// Characters of an e-mail address: a path of SMTP has 256 with its brackets (RFC 5321, 4.5.3.1.3).
pub const EMAIL_MAX_CHARS: usize = 254;

/// Characters of an e-mail address before the `@` (RFC 5321, 4.5.3.1.1).
pub const EMAIL_LOCAL_MAX_CHARS: usize = 64;

/// How long a mailed code is good: the reference's.
pub const MAIL_CODE_LIFETIME: Duration = Duration::from_mins(15);

/// Characters of a mailed code as it is typed: eleven, and room for spaces around it.
pub const MAIL_CODE_MAX_CHARS: usize = 32;

/// How long a service token is good unless the caller asks for another time: the reference's.
pub const SERVICE_TOKEN_LIFETIME: Duration = Duration::from_mins(1);

/// How long a service token for one method may be good: the reference's.
pub const SERVICE_TOKEN_MAX_LIFETIME: Duration = Duration::from_hours(1);

/// How long a service token for no particular method may be good: the reference's.
pub const METHODLESS_SERVICE_TOKEN_MAX_LIFETIME: Duration = Duration::from_mins(1);

/// How long an answer waits for a DID document that it shows but does not need.
pub const SESSION_DOCUMENT_WAIT: Duration = Duration::from_millis(500);

/// Invite codes that one request makes, over all its accounts: one transaction writes them.
pub const INVITE_CODES_PER_REQUEST: usize = 1000;

/// Uses of one invite code.
pub const INVITE_USES_MAX: u32 = 1_000_000;

/// DIDs that one `getAccountInfos` names: the bound that the protocol puts on comparable lists.
pub const ACCOUNT_INFOS_PER_REQUEST: usize = 100;

/// Bytes of a moderator's reference: ours are times, Ozone's are numbers.
pub const TAKEDOWN_REFERENCE_BYTES: usize = 512;

/// Accounts in one page of `searchAccounts` unless the caller says: the lexicon's.
pub const ACCOUNTS_PER_PAGE_DEFAULT: usize = 50;

/// Accounts in one page of `searchAccounts`, at most: the lexicon's.
pub const ACCOUNTS_PER_PAGE: usize = 100;

/// Service-auth tokens that are remembered as used until they end; some 100 bytes each. More within a minute no server of
/// this kind is sent.
pub const SPENT_TOKENS_MAX: usize = 50_000;

/// Deletions that one round of maintenance begins, and those that it carries on: a backlog is worked off over several.
pub const DELETIONS_PER_ROUND: usize = 100;

/// How long after a deletion what requests under way may have left behind is looked for once more: longer than any upload
/// takes.
pub const DELETION_LINGER: Duration = Duration::from_hours(1);

/// Characters of a client's `User-Agent` that are kept in a security log: browsers' have 120 to 200.
pub const USER_AGENT_MAX_CHARS: usize = 256;

/// Events of a security log that are kept of each account: about a year of an owner with a few devices.
pub const SECURITY_EVENTS_KEPT: usize = 400;

/// Refusals (wrong passwords above all) in a security log that are kept of each account.
pub const SECURITY_FAILURES_KEPT: usize = 100;

/// Characters of an event's detail: a handle has 253.
pub const SECURITY_DETAIL_MAX_CHARS: usize = 300;

/// Events that may wait to be written: they are written as soon as the database takes them; more are dropped, and that
/// is logged.
pub const SECURITY_EVENTS_WAITING: usize = 10_000;

/// Events in one page of a security log unless the caller says.
pub const SECURITY_EVENTS_PER_PAGE_DEFAULT: usize = 50;

/// Events in one page of a security log, at most.
pub const SECURITY_EVENTS_PER_PAGE: usize = 100;

/// Preferences of one account. The app has a few dozen kinds, most of them once; a body of 150 KiB bounds them too.
pub const PREFERENCES_MAX: usize = 1_000;

/// How long an account that moves in may wait for its activation before it is deleted: the reference's time.
pub const MOVED_IN_GRACE: Duration = Duration::from_hours(72);

/// Writes of one account that may wait for each other; more are told to come again. At a millisecond each, the last one
/// waits a quarter of a second.
pub const WRITES_WAITING: usize = 256;
