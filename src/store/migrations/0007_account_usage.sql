-- What each repository's tree and each account's uploads come to. Triggers keep it, so that it is right whoever writes: a
-- row changed in the transaction that changes what it counts. A tree that an import brings in is counted while it comes.

-- record_bytes: the records' DAG-CBOR.
CREATE TABLE tree_usage (
    tree INTEGER PRIMARY KEY,
    records INTEGER NOT NULL,
    record_bytes INTEGER NOT NULL
) STRICT;

INSERT INTO tree_usage (tree, records, record_bytes)
SELECT tree, count(*), sum(length(value)) FROM records GROUP BY tree;

-- Temporary uploads too.
CREATE TABLE account_usage (
    account INTEGER PRIMARY KEY,
    blobs INTEGER NOT NULL,
    blob_bytes INTEGER NOT NULL
) STRICT;

INSERT INTO account_usage (account, blobs, blob_bytes)
SELECT account, count(*), sum(size) FROM blobs GROUP BY account;

CREATE TRIGGER usage_of_new_record AFTER INSERT ON records BEGIN
    INSERT INTO tree_usage (tree, records, record_bytes) VALUES (new.tree, 1, length(new.value))
    ON CONFLICT (tree) DO UPDATE SET records = records + 1, record_bytes = record_bytes + length(new.value);
END;

CREATE TRIGGER usage_of_changed_record AFTER UPDATE OF value ON records BEGIN
    UPDATE tree_usage SET record_bytes = record_bytes + length(new.value) - length(old.value) WHERE tree = new.tree;
END;

CREATE TRIGGER usage_of_deleted_record AFTER DELETE ON records BEGIN
    UPDATE tree_usage SET records = records - 1, record_bytes = record_bytes - length(old.value) WHERE tree = old.tree;
    DELETE FROM tree_usage WHERE tree = old.tree AND records = 0;
END;

CREATE TRIGGER usage_of_new_blob AFTER INSERT ON blobs BEGIN
    INSERT INTO account_usage (account, blobs, blob_bytes) VALUES (new.account, 1, new.size)
    ON CONFLICT (account) DO UPDATE SET blobs = blobs + 1, blob_bytes = blob_bytes + new.size;
END;

CREATE TRIGGER usage_of_deleted_blob AFTER DELETE ON blobs BEGIN
    UPDATE account_usage SET blobs = blobs - 1, blob_bytes = blob_bytes - old.size WHERE account = old.account;
    DELETE FROM account_usage WHERE account = old.account AND blobs = 0;
END;
