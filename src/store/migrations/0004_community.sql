-- Accounts that are deleted and whose data is still being removed. announced: the number of the event that told the network;
-- step: which table is next; scanned: how far the event log was looked through; pass: what is left of it is removed once
-- more, a while later, for requests that were under way.
CREATE TABLE deletions (
    account INTEGER PRIMARY KEY NOT NULL,
    did TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    announced INTEGER NOT NULL,
    step INTEGER NOT NULL DEFAULT 0,
    scanned INTEGER NOT NULL DEFAULT 0,
    pass INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Takedowns of records and blobs, apart from them, so that neither a new record at the same place nor another upload
-- lifts one.
CREATE TABLE record_takedowns (
    account INTEGER NOT NULL,
    collection TEXT NOT NULL,
    rkey TEXT NOT NULL,
    reference TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, collection, rkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_takedowns (
    account INTEGER NOT NULL,
    digest BLOB NOT NULL,
    reference TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_by_deletion ON accounts (delete_after) WHERE state = 2 AND delete_after IS NOT NULL;

-- Whether an account gets no more invite codes of its own, and what the administrator noted of that.
ALTER TABLE accounts ADD COLUMN invites_disabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN invite_note TEXT;

CREATE INDEX invites_by_account ON invites (for_account, created_at);

-- Handles that the administrator reserved besides those of the published list.
CREATE TABLE reserved_handles (
    handle TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sign-ups by the network address that they came from, for as long as they count.
CREATE TABLE sign_ups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_ups_by_origin ON sign_ups (origin, created_at);
CREATE INDEX sign_ups_by_time ON sign_ups (created_at);
