-- did:webs that this server made and serves. One stays here when its account is gone, so that its name never comes to mean
-- somebody else.
CREATE TABLE web_dids (
    did TEXT PRIMARY KEY NOT NULL,
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
