//! Bounds of mail.

use std::time::Duration;

/// Mails with a code of one kind that an account is sent within a span: the reference's limits of the requests for them.
/// They also bound how often five wrong tries of a code can be followed by five more.
pub const CODE_BUDGET: &[(Duration, usize)] = &[(Duration::from_hours(1), 5), (Duration::from_hours(24), 15)];

/// Notices of one kind that an account is sent within a span: whoever holds a session must not be able to fill a mailbox.
pub const NOTICE_BUDGET: &[(Duration, usize)] = &[(Duration::from_hours(1), 20), (Duration::from_hours(24), 60)];

/// How long after the first failed attempt the second is made; each wait is [`WAIT_FACTOR`] times the one before. Short
/// enough for greylisting to pass while a code of fifteen minutes is good: attempts at 0:00, 0:15, 1:00, 3:15, 10:00.
pub const FIRST_WAIT: Duration = Duration::from_secs(15);

/// By how much waits grow.
pub const WAIT_FACTOR: u32 = 3;

/// The longest wait between two attempts.
pub const LONGEST_WAIT: Duration = Duration::from_hours(4);

/// After how long a mail without a code is given up: mail servers themselves try for two to five days.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(72);

/// How long the list of mails still shows one that was handed over or given up. It holds the address, so not for ever; and
/// longer than the longest span of a budget, which is counted there.
pub const KEEP_SETTLED: Duration = Duration::from_hours(7 * 24);

/// Bytes of what the administrator writes to an owner: more than anybody reads, less than a mail server refuses.
pub const LETTER_BYTES: usize = 64 << 10;

/// Characters of the subject of that: one line of a header.
pub const LETTER_SUBJECT_CHARS: usize = 200;

/// How often the outbox is looked at when nothing rings.
pub const OUTBOX_EVERY: Duration = Duration::from_mins(1);

/// How long at least between two looks, so that a clock that was set back cannot make it spin.
pub const OUTBOX_PAUSE: Duration = Duration::from_millis(100);

/// Rows of the outbox that are read or removed at once.
pub const OUTBOX_SLICE: usize = 50;

/// Mails that are handed over side by side: as many as there are connections.
pub const AT_ONCE: usize = super::outbound::SMTP_CONNECTIONS_MAX as usize;

/// Random bytes of a `Message-ID`.
pub const MESSAGE_ID_BYTES: usize = 16;

/// Mails in one page of the list, unless the caller says.
pub const MAILS_PER_PAGE_DEFAULT: usize = 50;

/// Mails in one page of the list, at most.
pub const MAILS_PER_PAGE: usize = 100;
