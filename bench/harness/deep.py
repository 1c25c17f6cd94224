"""A stack whose `deep` channel has millions of messages, in a data folder that is kept: filling it takes a minute, and is done once."""

import asyncio
import fcntl
import hashlib
import json
import shutil
import sys

import httpx
from support.log import Log, database, ingested
from support.stack import Stack, wait_until

from .system import ROOT

CHANNEL, OWNER, USERS = "deep", "owner", 50
STEP = 3  # of sequences: other channels share the log

# As ingest writes them (services/history/ingest_apply.c), but in one statement a table
EVENTS = """
INSERT INTO events (channel_id, seq, prev, kind, actor_id, id, created_ns, fingerprint)
SELECT %(channel)s, %(first)s + i * %(step)s, CASE WHEN i = 0 THEN %(before)s ELSE %(first)s + (i - 1) * %(step)s END, 10,
       'user-' || i %% %(users)s, overlay(overlay(md5('deep' || i) PLACING '4' FROM 13) PLACING '8' FROM 17)::uuid::text, %(began)s + i * 1000000000, decode(md5(i::text), 'hex')
  FROM generate_series(0::bigint, %(n)s - 1) AS i
"""
MESSAGES = """
INSERT INTO messages (channel_id, seq, id, sender_id, sender_name, content, type, created_ns, n)
SELECT %(channel)s, %(first)s + i * %(step)s, overlay(overlay(md5('deep' || i) PLACING '4' FROM 13) PLACING '8' FROM 17)::uuid::text, 'user-' || i %% %(users)s, 'User ' || i %% %(users)s,
       rpad(i::text, %(bytes)s, ' lorem ipsum dolor sit amet'), 0, %(began)s + i * 1000000000, i + 1
  FROM generate_series(0::bigint, %(n)s - 1) AS i
"""


class Deep:
    """`first` to `last`, STEP apart: the sequences of the channel's `n` messages."""

    def __init__(self, n, payload=128, build="release"):
        self.n, self.payload = n, payload
        self.kept = ROOT / ".run-bench" / f"deep-{n}"
        self.mine = self._take()  # before anything: what is there may be another run's stack
        self.stack = Stack(build=build, PARLEY_RATE_LIMITS="off")
        self.stack.run_dir = self.kept
        self.stack.env["PARLEY_RUN_DIR"] = str(self.kept)
        self.note = self.kept / "filled.json"

    def __enter__(self):
        try:
            if self._is_current():
                self._parts("nats-server", "postgres", "history")
                ingested(self.stack, self.log_end)
            else:
                self._fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        try:
            self.stack.down()
        finally:
            self.mine.close()

    def _take(self):
        """The folder for this run alone, until what it returns is closed."""
        self.kept.parent.mkdir(exist_ok=True)
        mine = self.kept.with_suffix(".lock").open("w")
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mine.close()
            raise AssertionError(f"another run of this scenario uses {self.kept}: wait for its end") from None
        return mine

    @property
    def url(self):
        """Of history itself, past the edge."""
        return f"http://127.0.0.1:{8082 + self.stack.offset}"

    def _parts(self, *names):
        for name in names:
            self.stack.start(name)

    def _key(self):
        """What the data depends on: the tables and this file."""
        text = b"".join(path.read_bytes() for path in sorted((ROOT / "services/history/migrations").glob("*.sql")))
        with open(__file__, "rb") as own:
            return hashlib.sha256(text + own.read() + str(self.payload).encode()).hexdigest()

    def _is_current(self):
        if not self.note.exists():
            return False
        note = json.loads(self.note.read_text())
        self.first, self.last, self.log_end = note["first"], note["last"], note["log_end"]
        return note["key"] == self._key()

    def _fill(self):
        print(f"filling a channel with {self.n} messages, once", file=sys.stderr, flush=True)
        if self.kept.exists():
            self.stack._script("down")
            shutil.rmtree(self.kept)
        self._parts("nats-server", "postgres", "history")
        with httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.stack.token(OWNER)}"}, timeout=20) as rest:
            wait_until(lambda: rest.get("/api/channels").status_code == 200, 30, "history answers")
            answer = rest.post("/api/channels", json={"id": CHANNEL, "name": CHANNEL, "kind": "private"})
            assert answer.status_code in (201, 202), answer.text
        asyncio.run(self._made())
        self.stack.stop("history")
        with database(self.stack) as db:
            self._rows(db)
        asyncio.run(self._move_log())
        self.note.write_text(json.dumps({"key": self._key(), "first": self.first, "last": self.last, "log_end": self.log_end}))
        self.stack.start("history")
        ingested(self.stack, self.log_end)

    async def _made(self):
        """The channel's own events are in the log, and ingested."""
        async with Log(self.stack) as log:
            while len(await log.events(CHANNEL)) < 2:  # made, and joined by its owner
                await asyncio.sleep(0.02)
            self.head = (await log.js.stream_info("CHAT_0")).state.last_seq
        ingested(self.stack, self.head)

    def _rows(self, db):
        before, = db.execute("SELECT last_seq FROM channel_heads WHERE channel_id = %s", (CHANNEL,)).fetchone()
        self.first = self.head + 1
        self.last = self.first + (self.n - 1) * STEP
        self.log_end = self.last + STEP
        values = {"channel": CHANNEL, "first": self.first, "before": before, "step": STEP, "users": USERS, "n": self.n, "bytes": self.payload,
                  "began": 1_700_000_000_000_000_000}
        with db.transaction():
            db.execute(EVENTS, values)
            db.execute(MESSAGES, values)
            db.execute("UPDATE channel_heads SET last_seq = %s, last_n = %s WHERE channel_id = %s", (self.last, self.n, CHANNEL))
            db.execute("UPDATE streams SET last_seq = %s WHERE name = 'CHAT_0'", (self.log_end,))
        db.execute("VACUUM ANALYZE events, messages")

    async def _move_log(self):
        """The log goes on behind what was filled in: emptied, its next sequence is that of the cursor and one."""
        async with Log(self.stack) as log:
            await log.js.purge_stream("CHAT_0", seq=self.log_end + 1)
            state = (await log.js.stream_info("CHAT_0")).state
            assert state.last_seq == self.log_end, f"the log ends at {state.last_seq} and not at {self.log_end}"
