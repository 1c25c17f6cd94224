-- Files of messages: the bytes of a Message that has nothing but attachments; null for none. A message that carries one keeps its event's
-- bytes, too (events.payload), so that events are served as they were.
ALTER TABLE messages ADD COLUMN attachments bytea;

-- As before; and a deleted message has no files.
CREATE OR REPLACE FUNCTION history_apply_mutations(p_stream text, p_kinds smallint[], p_channels text[], p_seqs bigint[], p_targets bigint[],
                                        p_actors text[], p_contents text[], p_mentions text[], p_times bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
        r record;
        m record;
BEGIN
        FOR r IN SELECT * FROM unnest(p_kinds, p_channels, p_seqs, p_targets, p_actors, p_contents, p_mentions, p_times)
                AS x(kind, channel_id, seq, target_seq, actor_id, content, mentions, at_ns) ORDER BY x.seq
        LOOP
                SELECT sender_id, deleted_seq INTO m FROM messages
                 WHERE channel_id = r.channel_id AND seq = r.target_seq;
                CONTINUE WHEN NOT FOUND;
                IF r.kind = 11 AND m.sender_id <> r.actor_id THEN
                        RAISE EXCEPTION 'edit of a message of somebody else' USING ERRCODE = 'PH004';
                ELSIF m.deleted_seq IS NOT NULL THEN
                        CONTINUE WHEN r.kind <> 11;
                        UPDATE events SET removed = 0, payload = NULL WHERE channel_id = r.channel_id AND seq = r.seq;
                        INSERT INTO log_deletions VALUES (p_stream, r.seq) ON CONFLICT DO NOTHING;
                ELSIF r.kind = 11 THEN
                        UPDATE messages
                           SET first_content = CASE WHEN edited_seq IS NULL THEN content ELSE first_content END,
                               first_mentions = CASE WHEN edited_seq IS NULL THEN mentions ELSE first_mentions END,
                               content = r.content, mentions = string_to_array(r.mentions, ','),
                               edited_seq = r.seq, updated_ns = r.at_ns
                         WHERE channel_id = r.channel_id AND seq = r.target_seq;
                ELSE
                        UPDATE messages
                           SET content = '', mentions = NULL, first_content = NULL, first_mentions = NULL, attachments = NULL,
                               deleted_seq = r.seq, updated_ns = r.at_ns
                         WHERE channel_id = r.channel_id AND seq = r.target_seq;
                        UPDATE events SET removed = 0, payload = NULL
                         WHERE channel_id = r.channel_id AND seq = r.target_seq;
                        INSERT INTO log_deletions VALUES (p_stream, r.target_seq) ON CONFLICT DO NOTHING;
                        WITH gone AS (
                                UPDATE events SET removed = 0, payload = NULL
                                 WHERE channel_id = r.channel_id AND target_seq = r.target_seq AND kind = 11
                                RETURNING seq)
                        INSERT INTO log_deletions SELECT p_stream, seq FROM gone ON CONFLICT DO NOTHING;
                END IF;
        END LOOP;
END $$;
