-- The files of a message that is a dead letter are kept like those of others, until somebody has seen to it: members have seen it, and it may be sent again.
ALTER TABLE message_files ADD COLUMN dead_letter boolean NOT NULL DEFAULT false;
CREATE INDEX message_files_dead_letters ON message_files (file_id) WHERE dead_letter;
