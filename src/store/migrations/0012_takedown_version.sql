-- Which version of a record the moderator saw, by which its takedown is named when the record is gone. None where nobody said.
ALTER TABLE record_takedowns ADD COLUMN cid TEXT;
