-- A file that upload cannot remove now must not stand in the way of the others: each is asked for again later and later. next_at: not before; held_until:
-- upload keeps it so long, because descriptors of it may still be sent.
ALTER TABLE file_releases ADD COLUMN tries int NOT NULL DEFAULT 0;
ALTER TABLE file_releases ADD COLUMN next_at timestamptz NOT NULL DEFAULT '-infinity';
ALTER TABLE file_releases ADD COLUMN held_until timestamptz NOT NULL DEFAULT '-infinity';
CREATE INDEX file_releases_due ON file_releases (greatest(since, next_at));

CREATE OR REPLACE FUNCTION history_files_dropped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        WITH gone AS (DELETE FROM message_files WHERE channel_id = NEW.channel_id AND seq = NEW.seq RETURNING file_id)
        INSERT INTO file_releases (file_id) SELECT file_id FROM gone
        ON CONFLICT (file_id) DO UPDATE SET since = now(), tries = 0, next_at = '-infinity', held_until = '-infinity';
        RETURN NULL;
END $$;
