-- Which message carries which file, and files whose last message was deleted: upload is asked to remove these.
CREATE TABLE message_files (
        file_id text NOT NULL,
        channel_id text NOT NULL,
        seq bigint NOT NULL,
        PRIMARY KEY (file_id, channel_id, seq)
);
CREATE INDEX message_files_of_message ON message_files (channel_id, seq);
CREATE TABLE file_releases (
        file_id text PRIMARY KEY,
        since timestamptz NOT NULL DEFAULT now()
);

-- The ids in messages.attachments, the bytes of a Message that has nothing but attachments: each is field 14 (0x72) with its length, and begins with
-- field 1 (0x0a), the id of 36 (0x24) characters, as ingest has checked.
CREATE FUNCTION history_file_ids(p_attachments bytea) RETURNS SETOF text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
        at int := 0;
        body bigint;
        shift int;
        byte int;
BEGIN
        WHILE at < length(p_attachments) LOOP
                IF get_byte(p_attachments, at) <> 114 THEN
                        RAISE EXCEPTION 'attachments are not what ingest writes' USING ERRCODE = 'PH005';
                END IF;
                at := at + 1;
                body := 0;
                shift := 0;
                LOOP
                        byte := get_byte(p_attachments, at);
                        at := at + 1;
                        body := body | ((byte & 127)::bigint << shift);
                        shift := shift + 7;
                        EXIT WHEN byte < 128;
                END LOOP;
                RETURN NEXT lower(convert_from(substr(p_attachments, at + 3, 36), 'UTF8'));
                at := at + body::int;
        END LOOP;
END $$;

CREATE FUNCTION history_files_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        INSERT INTO message_files SELECT DISTINCT f, NEW.channel_id, NEW.seq FROM history_file_ids(NEW.attachments) AS f;
        RETURN NULL;
END $$;
CREATE TRIGGER files_added AFTER INSERT ON messages FOR EACH ROW WHEN (NEW.attachments IS NOT NULL)
        EXECUTE FUNCTION history_files_added();

-- In the transaction of the deletion: whatever is down meanwhile, the files are still to be asked about afterwards.
CREATE FUNCTION history_files_dropped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
        WITH gone AS (DELETE FROM message_files WHERE channel_id = NEW.channel_id AND seq = NEW.seq RETURNING file_id)
        INSERT INTO file_releases (file_id) SELECT file_id FROM gone ON CONFLICT (file_id) DO UPDATE SET since = now();
        RETURN NULL;
END $$;
CREATE TRIGGER files_dropped AFTER UPDATE OF attachments ON messages FOR EACH ROW
        WHEN (OLD.attachments IS NOT NULL AND NEW.attachments IS NULL) EXECUTE FUNCTION history_files_dropped();

INSERT INTO message_files SELECT DISTINCT f, m.channel_id, m.seq FROM messages m, history_file_ids(m.attachments) AS f
 WHERE m.attachments IS NOT NULL;
