-- Who brought somebody into a channel: he himself (joined, or made it) or another. Each has a limit of its own, so that nobody can use up
-- somebody else's.

ALTER TABLE members ADD COLUMN invited boolean NOT NULL DEFAULT false;

-- Nobody joins a direct channel.
UPDATE members m SET invited = true FROM channels c WHERE c.id = m.channel_id AND c.kind = 2 AND c.created_by <> m.user_id;
