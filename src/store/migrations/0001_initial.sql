-- Times are microseconds since 1970, revisions the integer form of their TID, digests the 32 bytes of a CID's SHA-256
-- (records, nodes and commits are dag-cbor, blobs raw, so that the rest of the CID says nothing).

CREATE TABLE counters (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('seq', 0);

CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- state: 0 pending, 1 active, 2 deactivated, 3 taken down, 4 suspended
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    did TEXT NOT NULL UNIQUE,
    handle TEXT NOT NULL UNIQUE,
    email TEXT UNIQUE,
    email_confirmed_at INTEGER,
    password_hash TEXT NOT NULL,
    state INTEGER NOT NULL,
    delete_after INTEGER,
    takedown_reference TEXT,
    sealed_signing_key BLOB NOT NULL,
    signing_key TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE reserved_keys (
    did_key TEXT PRIMARY KEY NOT NULL,
    did TEXT UNIQUE,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Where each repository stands, and the block of its latest commit.
CREATE TABLE repos (
    account INTEGER PRIMARY KEY,
    commit_digest BLOB NOT NULL,
    rev INTEGER NOT NULL,
    data_digest BLOB NOT NULL,
    block BLOB NOT NULL
) STRICT;

CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    nsid TEXT NOT NULL UNIQUE
) STRICT;

-- Which accounts have records in which collection.
CREATE TABLE account_collections (
    account INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    PRIMARY KEY (account, collection)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_collections_by_collection ON account_collections (collection, account);

-- Clustered for listing. links: 16-byte hashes of the record's backlinks; blobs: digests of its blobs.
CREATE TABLE records (
    account INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    rkey TEXT NOT NULL,
    digest BLOB NOT NULL,
    rev INTEGER NOT NULL,
    value BLOB NOT NULL,
    links BLOB,
    blobs BLOB,
    PRIMARY KEY (account, collection, rkey)
) STRICT, WITHOUT ROWID;

-- MST nodes by their place: the smallest key below them, then their height, top first. This is tree order.
CREATE TABLE nodes (
    account INTEGER NOT NULL,
    first TEXT NOT NULL,
    height INTEGER NOT NULL,
    digest BLOB NOT NULL,
    rev INTEGER NOT NULL,
    block BLOB NOT NULL,
    PRIMARY KEY (account, first, height DESC)
) STRICT, WITHOUT ROWID;

-- What commits replaced while an export of the account was open; gone: the revision that replaced it.
CREATE TABLE retired_nodes (
    account INTEGER NOT NULL,
    first TEXT NOT NULL,
    height INTEGER NOT NULL,
    digest BLOB NOT NULL,
    rev INTEGER NOT NULL,
    block BLOB NOT NULL,
    gone INTEGER NOT NULL
) STRICT;

CREATE INDEX retired_nodes_by_place ON retired_nodes (account, first, height DESC);

CREATE TABLE retired_records (
    account INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    rkey TEXT NOT NULL,
    digest BLOB NOT NULL,
    rev INTEGER NOT NULL,
    value BLOB NOT NULL,
    gone INTEGER NOT NULL
) STRICT;

CREATE INDEX retired_records_by_place ON retired_records (account, collection, rkey);

-- hash: the first half of SHA-256 over path, NUL and target.
CREATE TABLE backlinks (
    account INTEGER NOT NULL,
    collection INTEGER NOT NULL,
    hash BLOB NOT NULL,
    rkey TEXT NOT NULL,
    PRIMARY KEY (account, collection, hash, rkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    account INTEGER NOT NULL,
    digest BLOB NOT NULL,
    mime_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    permanent INTEGER NOT NULL,
    takendown INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_by_digest ON blobs (digest);
CREATE INDEX blobs_temporary ON blobs (created_at) WHERE permanent = 0;

-- Which records use which blobs; rev: the revision that wrote the record.
CREATE TABLE record_blobs (
    account INTEGER NOT NULL,
    digest BLOB NOT NULL,
    collection INTEGER NOT NULL,
    rkey TEXT NOT NULL,
    rev INTEGER NOT NULL,
    PRIMARY KEY (account, digest, collection, rkey)
) STRICT, WITHOUT ROWID;

-- Blob files whose last row went: removed once no row of any account is confirmed again.
CREATE TABLE orphan_blobs (
    digest BLOB PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    frame BLOB NOT NULL
) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    account INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    app_password TEXT,
    opened_at INTEGER NOT NULL,
    next_id TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_account ON sessions (account);

CREATE TABLE codes (
    account INTEGER NOT NULL,
    purpose INTEGER NOT NULL,
    hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE invites (
    code TEXT PRIMARY KEY NOT NULL,
    uses INTEGER NOT NULL,
    for_account TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE invite_uses (
    code TEXT NOT NULL,
    did TEXT NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (code, did)
) STRICT, WITHOUT ROWID;

CREATE INDEX invite_uses_by_did ON invite_uses (did);

-- state: 0 prepared, 1 posted, 2 applied, 3 failed
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    did TEXT NOT NULL,
    account INTEGER NOT NULL,
    kind TEXT NOT NULL,
    held_handle TEXT,
    operation TEXT NOT NULL,
    operation_digest BLOB NOT NULL,
    prev_digest BLOB,
    created_at INTEGER NOT NULL,
    state INTEGER NOT NULL,
    posts INTEGER NOT NULL DEFAULT 0,
    posted_at INTEGER,
    refused_at INTEGER,
    settled_at INTEGER,
    error TEXT
) STRICT;

CREATE UNIQUE INDEX journal_one_open_row ON journal (did) WHERE state IN (0, 1);
CREATE UNIQUE INDEX journal_held_handle ON journal (held_handle) WHERE state IN (0, 1) AND held_handle IS NOT NULL;

-- The log of the embedded PLC directory.
CREATE TABLE directory (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    did TEXT NOT NULL,
    operation TEXT NOT NULL,
    digest BLOB NOT NULL,
    nullified INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX directory_by_did ON directory (did, seq);
CREATE UNIQUE INDEX directory_by_time ON directory (created_at);
