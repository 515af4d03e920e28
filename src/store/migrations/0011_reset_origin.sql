-- From which address or network, and by which program, a password reset was asked for: for the log of the account, if
-- there is one. None in requests from before.
ALTER TABLE reset_requests ADD COLUMN address TEXT;
ALTER TABLE reset_requests ADD COLUMN agent TEXT;
