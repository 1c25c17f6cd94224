-- What history keeps: the log as it was ingested, the messages that follow from it, channels and members.
--
-- Ids compare by their bytes ("C"): pages go by key, and every service compares the same way.
-- Times that belong to events are unix nanoseconds, exactly as the event has them.
-- Numbers of kinds, roles and reasons are those of proto/parley/v1/event.proto.

-- One row a stream: where ingest stands. The only truth about what is applied; moved in the same transaction.
CREATE TABLE streams (
        name text COLLATE "C" PRIMARY KEY,
        epoch bigint NOT NULL,
        last_seq bigint NOT NULL,
        last_time_ns bigint NOT NULL DEFAULT 0, -- when the event at last_seq was stored
        updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Who works on a shard. owner is the application_name of that instance's connections.
CREATE TABLE leases (
        name text COLLATE "C" PRIMARY KEY,
        owner text NOT NULL,
        until timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE channels (
        id text COLLATE "C" PRIMARY KEY,
        kind smallint NOT NULL,
        name text NOT NULL,
        topic text NOT NULL,
        everyone boolean NOT NULL,
        history_visibility smallint NOT NULL,
        archived boolean NOT NULL,
        version bigint NOT NULL,
        created_ns bigint NOT NULL,
        created_by text COLLATE "C" NOT NULL
);
CREATE INDEX channels_open ON channels (id) WHERE kind = 0;
CREATE INDEX channels_everyone ON channels (id) WHERE everyone;

CREATE TABLE users (
        id text COLLATE "C" PRIMARY KEY,
        name text NOT NULL
);

-- A row stays when its member leaves (role 0): versions never go back, and channels open to everyone need to know.
CREATE TABLE members (
        channel_id text COLLATE "C" NOT NULL,
        user_id text COLLATE "C" NOT NULL,
        role smallint NOT NULL,
        version bigint NOT NULL,
        since_seq bigint NOT NULL DEFAULT 0, -- of the last member_joined
        left_seq bigint NOT NULL DEFAULT 0,  -- of the last member_left
        had_absence boolean NOT NULL DEFAULT false,
        PRIMARY KEY (channel_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id, channel_id);

-- When somebody was a member, by the log alone. to_seq NULL: still is.
CREATE TABLE member_spans (
        channel_id text COLLATE "C" NOT NULL,
        user_id text COLLATE "C" NOT NULL,
        from_seq bigint NOT NULL,
        to_seq bigint,
        PRIMARY KEY (channel_id, user_id, from_seq)
);

-- The last event of a channel, and how many top-level messages of users it has had.
CREATE TABLE channel_heads (
        channel_id text COLLATE "C" PRIMARY KEY,
        last_seq bigint NOT NULL,
        last_n bigint NOT NULL
) WITH (fillfactor = 50);

-- Every event of the log. removed: it is served as an EventRemoved of that reason.
CREATE TABLE events (
        channel_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        prev bigint NOT NULL,           -- the true event before it in this channel; the log's header may be lower
        kind smallint NOT NULL,         -- field number of the body; 0: could not be read
        removed smallint,
        actor_id text COLLATE "C" NOT NULL,
        id text COLLATE "C",            -- NULL: not the first event of its identity, or could not be read
        created_ns bigint NOT NULL,
        target_seq bigint,              -- of an edit or a deletion
        fingerprint bytea,
        payload bytea,                  -- NULL: removed, or a message that is rebuilt from its row in messages
        PRIMARY KEY (channel_id, seq),
        UNIQUE (channel_id, id, actor_id)
) PARTITION BY HASH (channel_id);

CREATE TABLE messages (
        channel_id text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        id text COLLATE "C" NOT NULL,
        sender_id text COLLATE "C" NOT NULL,
        sender_name text NOT NULL,
        content text NOT NULL,
        type smallint NOT NULL,
        thread_id text COLLATE "C",
        reply_to text COLLATE "C",
        mentions text[] COLLATE "C",
        created_ns bigint NOT NULL,
        updated_ns bigint,              -- of the last edit, or of the deletion
        edited_seq bigint,              -- the edit that made this content
        deleted_seq bigint,
        first_content text,             -- once edited: what the event itself said
        first_mentions text[] COLLATE "C",
        n bigint,                       -- dense number among the channel's top-level messages of users
        PRIMARY KEY (channel_id, seq)
) PARTITION BY HASH (channel_id);

DO $$
BEGIN
        FOR i IN 0..15 LOOP
                EXECUTE format('CREATE TABLE events_%s PARTITION OF events FOR VALUES WITH (MODULUS 16, REMAINDER %s)', i, i);
                EXECUTE format('CREATE TABLE messages_%s PARTITION OF messages FOR VALUES WITH (MODULUS 16, REMAINDER %s)', i, i);
        END LOOP;
END $$;
CREATE INDEX events_by_target ON events (channel_id, target_seq) WHERE target_seq IS NOT NULL;

-- Events of channels and members that were decided here and are not in the log yet. Deleted when they are ingested.
CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        shard integer NOT NULL,
        channel_id text COLLATE "C" NOT NULL,
        actor_id text COLLATE "C" NOT NULL,
        event_id text COLLATE "C" NOT NULL,
        kind smallint NOT NULL,
        user_id text COLLATE "C" NOT NULL,      -- whose membership changed; empty: the channel changed
        role smallint NOT NULL,
        version bigint NOT NULL,
        payload bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (channel_id, event_id, actor_id)
);
CREATE INDEX outbox_by_shard ON outbox (shard, id);

-- Entries of the buckets MEMBERS and CHANNELS that may be behind these tables.
CREATE SEQUENCE dirty_stamp;
CREATE TABLE dirty (
        kind text NOT NULL CHECK (kind IN ('user', 'channel')),
        key text COLLATE "C" NOT NULL,
        stamp bigint NOT NULL DEFAULT nextval('dirty_stamp'),
        PRIMARY KEY (kind, key)
);

-- What must still be removed from the log because it was deleted.
CREATE TABLE log_deletions (
        stream text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        PRIMARY KEY (stream, seq)
);

-- Through which sequence the log was ingested at a time, so that it can be trimmed by age.
CREATE TABLE ingest_marks (
        stream text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        at_ns bigint NOT NULL,          -- when the event at seq was stored
        PRIMARY KEY (stream, seq)
);

CREATE FUNCTION history_mark_dirty(p_kind text, p_key text) RETURNS void LANGUAGE sql AS $$
        INSERT INTO dirty (kind, key) VALUES (p_kind, p_key)
        ON CONFLICT (kind, key) DO UPDATE SET stamp = EXCLUDED.stamp
$$;

-- Edits and deletions in the order of the log. The last edit wins; a deleted message stays deleted, and the contents of its
-- edits go too. An edit by another than the sender cannot come from a gateway and is refused (SQLSTATE PH004); deletions were
-- authorised where they were accepted. A target that is not there (older than an emptied database) is passed over.
CREATE FUNCTION history_apply_mutations(p_stream text, p_kinds smallint[], p_channels text[], p_seqs bigint[], p_targets bigint[],
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
                           SET content = '', mentions = NULL, first_content = NULL, first_mentions = NULL,
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

-- Events of members in the order of the log. What a REST request decided is in members already, under the same version: then
-- only sequences and spans are new. A higher version is news from the log (this database was emptied or is older).
CREATE FUNCTION history_apply_members(p_kinds smallint[], p_channels text[], p_seqs bigint[], p_users text[], p_roles smallint[],
                                      p_versions bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
        r record;
        changed boolean;
BEGIN
        FOR r IN SELECT * FROM unnest(p_kinds, p_channels, p_seqs, p_users, p_roles, p_versions)
                AS x(kind, channel_id, seq, user_id, role, version) ORDER BY x.seq
        LOOP
                INSERT INTO members AS m (channel_id, user_id, role, version)
                VALUES (r.channel_id, r.user_id, r.role, r.version)
                ON CONFLICT (channel_id, user_id) DO UPDATE
                   SET role = EXCLUDED.role, version = EXCLUDED.version,
                       had_absence = m.had_absence OR (m.role = 0 AND EXCLUDED.role > 0)
                 WHERE m.version < EXCLUDED.version;
                changed := FOUND;
                IF r.kind = 13 THEN
                        UPDATE members SET since_seq = r.seq
                         WHERE channel_id = r.channel_id AND user_id = r.user_id AND since_seq < r.seq;
                        changed := changed OR FOUND;
                        INSERT INTO member_spans (channel_id, user_id, from_seq)
                        SELECT r.channel_id, r.user_id, r.seq
                         WHERE NOT EXISTS (SELECT FROM member_spans s WHERE s.channel_id = r.channel_id
                                           AND s.user_id = r.user_id AND s.to_seq IS NULL AND s.from_seq <= r.seq)
                        ON CONFLICT DO NOTHING;
                ELSIF r.kind = 14 THEN
                        UPDATE members SET left_seq = r.seq
                         WHERE channel_id = r.channel_id AND user_id = r.user_id AND left_seq < r.seq;
                        changed := changed OR FOUND;
                        UPDATE member_spans SET to_seq = r.seq
                         WHERE channel_id = r.channel_id AND user_id = r.user_id AND to_seq IS NULL AND from_seq <= r.seq;
                        -- Everybody had been a member of such a channel from its beginning.
                        IF NOT FOUND THEN
                                INSERT INTO member_spans
                                SELECT r.channel_id, r.user_id, 0, r.seq FROM channels c
                                 WHERE c.id = r.channel_id AND c.everyone
                                   AND NOT EXISTS (SELECT FROM member_spans s WHERE s.channel_id = r.channel_id
                                                   AND s.user_id = r.user_id);
                        END IF;
                END IF;
                IF changed THEN
                        PERFORM history_mark_dirty('user', r.user_id);
                END IF;
        END LOOP;
END $$;
