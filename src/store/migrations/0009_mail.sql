-- Mails on their way, and for a while what became of them. state: 0 waiting, 1 handed over, 2 given up.
-- sealed: subject and bodies under the master key (a body may hold a code); gone when the mail is not waiting any more.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    account INTEGER,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sealed BLOB,
    created_at INTEGER NOT NULL,
    useful_until INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    settled_at INTEGER,
    error TEXT
) STRICT;

CREATE INDEX outbox_waiting ON outbox (next_attempt_at) WHERE state = 0;
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE state <> 0;
CREATE INDEX outbox_by_account ON outbox (account, kind, created_at);

-- Addresses for which a password reset was asked for, whether an account has them or not: that is looked up afterwards.
CREATE TABLE reset_requests (
    email TEXT PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

-- hash: SHA-256 over the DID and the password, in hex; or as it came from the reference, salt:scrypt.
CREATE TABLE app_passwords (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    privileged INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT;

CREATE INDEX app_passwords_by_hash ON app_passwords (account, hash);

-- Counts the times at which all sessions of the account ended: access tokens of an earlier count are over.
ALTER TABLE accounts ADD COLUMN session_epoch INTEGER NOT NULL DEFAULT 0;

-- A code that resets a password comes without its account.
CREATE INDEX codes_by_hash ON codes (purpose, hash);
