-- Records, MST nodes, links and references to blobs hang on a tree. repos.tree says which tree is an account's repository:
-- the account's own number until an import brings in another.
ALTER TABLE records RENAME COLUMN account TO tree;
ALTER TABLE nodes RENAME COLUMN account TO tree;
ALTER TABLE retired_records RENAME COLUMN account TO tree;
ALTER TABLE retired_nodes RENAME COLUMN account TO tree;
ALTER TABLE backlinks RENAME COLUMN account TO tree;
ALTER TABLE record_blobs RENAME COLUMN account TO tree;

ALTER TABLE repos ADD COLUMN tree INTEGER NOT NULL DEFAULT 0;
UPDATE repos SET tree = account;

-- Trees that are nobody's repository: imports that are under way, and what was replaced or left behind. The rows of the
-- latter are removed in slices. since: from when on blobs that only this tree used count as unused.
CREATE TABLE loose_trees (
    tree INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;
