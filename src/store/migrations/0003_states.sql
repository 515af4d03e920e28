-- beneath: the owner's own state (1 active, 2 deactivated), which a takedown or suspension covers and uncovers again.
ALTER TABLE accounts ADD COLUMN beneath INTEGER NOT NULL DEFAULT 1;

UPDATE accounts SET beneath = 2 WHERE state = 2;
