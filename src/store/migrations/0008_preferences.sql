-- What an account's apps keep for it, in the order in which they gave it. value: JSON with the name as its $type.
CREATE TABLE preferences (
    account INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, position)
) STRICT, WITHOUT ROWID;
