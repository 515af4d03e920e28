-- What happened to the access to an account, for its owner. kind: a word of the lexicon; failed: whether somebody was
-- refused, which is bounded apart so that a flood of refusals pushes nothing else out.
CREATE TABLE security_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT,
    address TEXT,
    agent TEXT
) STRICT;

CREATE INDEX security_events_by_account ON security_events (account, failed, id);
