// Strategy 2: a message is a row before anybody sees it. node ws, PostgreSQL.
//   PORT=… PGHOST=… PGPORT=… PGUSER=… PGDATABASE=… node strategy2.mjs
import pg from "pg";
import { broadcast, listen } from "./hub.mjs";

const pool = new pg.Pool();

await pool.query(`CREATE TABLE IF NOT EXISTS messages (
  seq bigserial PRIMARY KEY,
  channel_id text NOT NULL,
  id uuid NOT NULL UNIQUE,
  sender_id text NOT NULL,
  content text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
)`);
await pool.query("CREATE INDEX IF NOT EXISTS messages_by_channel ON messages (channel_id, seq)");

async function store(message) {
  const { rows } = await pool.query({
    name: "insert",
    text: "INSERT INTO messages (channel_id, id, sender_id, content) VALUES ($1, $2, $3, $4) RETURNING seq, created_at",
    values: [message.channelId, message.id, message.senderId, message.content],
  });
  const seq = Number(rows[0].seq);
  const createdAt = rows[0].created_at.toISOString();
  broadcast({ ...message, seq, createdAt });
  return { seq, createdAt };
}

listen(Number(process.env.PORT), store);
