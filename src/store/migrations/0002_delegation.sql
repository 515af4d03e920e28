-- The delegations of an account as the PLC log had them when it was last read, ended ones included.
-- key: the did:key that the id names, none when it is ended. state: 0 active, 1 ended, 2 unproven.
-- statement: digest of the CID of the statement that bears it out.
CREATE TABLE delegations (
    account INTEGER NOT NULL,
    id TEXT NOT NULL,
    key TEXT,
    state INTEGER NOT NULL,
    statement BLOB,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

-- The head of each watched PLC log when it was last read.
CREATE TABLE plc_heads (
    account INTEGER PRIMARY KEY,
    digest BLOB NOT NULL
) STRICT;

-- Which statement a change of a delegation was made with: the same statement again is the same change.
ALTER TABLE journal ADD COLUMN statement_digest BLOB;

CREATE INDEX journal_by_statement ON journal (statement_digest) WHERE statement_digest IS NOT NULL;
CREATE INDEX journal_by_did ON journal (did, created_at);
