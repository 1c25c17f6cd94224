"""The log and the database from inside, past the services: for tests of history."""

import asyncio
import os
import subprocess
import uuid

import nats
import psycopg
from nats.js.errors import NotFoundError
from support.schema import event_pb2, internal_pb2
from support.stack import take_offset, wait_until

HISTORY = "history"


class Log:
    """A connection to the stack's NATS, as an integration has it. `async with Log(stack) as log`."""

    def __init__(self, stack):
        self.stack = stack

    async def __aenter__(self):
        self.nc = await nats.connect(self.stack.nats_url)
        self.js = self.nc.jetstream(publish_async_max_pending=5000)
        return self

    async def __aexit__(self, *exc):
        await self.nc.close()

    # --- events ---

    def event(self, channel, actor, id=None):
        event = event_pb2.Event(channel_id=channel, actor_id=actor, id=id or str(uuid.uuid4()))
        event.created_at.GetCurrentTime()
        return event

    def message(self, channel, actor, content, id=None, **fields):
        event = self.event(channel, actor, id)
        event.message.id, event.message.channel_id, event.message.sender_id = event.id, channel, actor
        event.message.sender_name, event.message.content = actor.capitalize(), content
        event.message.created_at.CopyFrom(event.created_at)
        for name, value in fields.items():
            setattr(event.message, name, value)
        return event

    def edit(self, channel, actor, target, content):
        event = self.event(channel, actor)
        event.message_edited.target_seq, event.message_edited.content = target, content
        return event

    def delete(self, channel, actor, target):
        event = self.event(channel, actor)
        event.message_deleted.target_seq = target
        return event

    async def publish(self, event, dedupe=True):
        headers = {"Nats-Msg-Id": f"{event.channel_id}:{event.actor_id}:{event.id}"} if dedupe else None
        return (await self.js.publish(f"chat.0.{event.channel_id}", event.SerializeToString(), headers=headers)).seq

    async def publish_many(self, events):
        """In order, without waiting for each; the sequences"""
        seqs = []
        for start in range(0, len(events), 2000):
            acks = [await self.js.publish_async(f"chat.0.{e.channel_id}", e.SerializeToString(),
                                                headers={"Nats-Msg-Id": f"{e.channel_id}:{e.actor_id}:{e.id}"})
                    for e in events[start:start + 2000]]
            seqs += [a.seq for a in await asyncio.gather(*acks)]
        return seqs

    # --- what is there ---

    async def stored(self, seq):
        """The event of the log at a sequence, or None"""
        try:
            return event_pb2.Event.FromString((await self.js.get_msg("CHAT_0", seq)).data)
        except NotFoundError:
            return None

    async def events(self, channel):
        """(seq, event) of all that the log holds of a channel"""
        try:
            last = (await self.js.get_last_msg("CHAT_0", f"chat.0.{channel}")).seq
        except NotFoundError:
            return []
        sub = await self.js.subscribe(f"chat.0.{channel}", ordered_consumer=True)
        found = []
        while not found or found[-1][0] < last:
            msg = await sub.next_msg(timeout=5)
            found.append((msg.metadata.sequence.stream, event_pb2.Event.FromString(msg.data)))
        await sub.unsubscribe()
        return found

    async def dead_letters(self):
        sub = await self.js.pull_subscribe("dlq.history", stream="SYSTEM")
        letters = []
        while True:
            try:
                letters += [internal_pb2.DeadLetter.FromString(m.data) for m in await sub.fetch(100, timeout=0.5)]
            except nats.errors.TimeoutError:
                await sub.unsubscribe()
                return letters

    async def memberships(self, user):
        """The value of MEMBERS and its revision; (None, 0) when there is none"""
        return await self._entry("MEMBERS", user, event_pb2.Memberships)

    async def channel(self, key):
        return await self._entry("CHANNELS", key, event_pb2.Channel)

    async def _entry(self, bucket, key, kind):
        try:
            entry = await (await self.js.key_value(bucket)).get(key)
        except nats.js.errors.KeyNotFoundError:
            return None, 0
        return kind.FromString(entry.value), entry.revision

    async def ask(self, method, request, timeout=5):
        kind = getattr(internal_pb2, type(request).__name__.replace("Request", "Response"))
        return kind.FromString((await self.nc.request(f"rpc.history.{method}", request.SerializeToString(), timeout=timeout)).data)


def database(stack):
    """A connection to the stack's database, past history"""
    return stack.postgres(autocommit=True)


def ingested(stack, seq, timeout=30):
    """Waits until Postgres has the log through seq."""
    with database(stack) as db:
        wait_until(lambda: (db.execute("SELECT last_seq FROM streams WHERE name = 'CHAT_0'").fetchone() or [0])[0] >= seq, timeout,
                   f"ingested through {seq}")


def check_chains(stack):
    """What must hold whatever happened: whole chains, dense numbers, no message without its event, none twice."""
    with database(stack) as db:
        broken = db.execute("""SELECT channel_id, seq, prev, expected FROM (SELECT *, COALESCE(lag(seq) OVER (PARTITION BY channel_id ORDER BY seq), 0)
                               AS expected FROM events) e WHERE prev <> expected""").fetchall()
        assert not broken, broken[:5]
        sparse = db.execute("""SELECT channel_id, count(*), count(DISTINCT n), max(n), min(n) FROM messages WHERE n IS NOT NULL
                               GROUP BY 1 HAVING count(*) <> max(n) OR count(DISTINCT n) <> max(n) OR min(n) <> 1""").fetchall()
        assert not sparse, sparse[:5]
        assert not db.execute("""SELECT channel_id, id, sender_id FROM messages GROUP BY 1, 2, 3 HAVING count(*) > 1""").fetchall()
        assert not db.execute("""SELECT 1 FROM messages m WHERE NOT EXISTS (SELECT FROM events e WHERE e.channel_id = m.channel_id AND e.seq = m.seq
                                 AND e.kind = 10)""").fetchall()
        heads = db.execute("""SELECT h.channel_id FROM channel_heads h JOIN (SELECT channel_id, max(seq) AS last FROM events GROUP BY 1) e
                              USING (channel_id) WHERE h.last_seq <> e.last""").fetchall()
        assert not heads, heads


class SecondHistory:
    """Another history beside the stack's own, with its settings and other ports."""

    def __init__(self, stack, **env):
        offset, self.mark = take_offset()
        own = dict(item.split("=", 1) for item in open(f"/proc/{stack.pid(HISTORY)}/environ").read().split("\0") if "=" in item)
        self.port, self.admin = 8082 + offset, 9082 + offset
        binary = os.readlink(f"/proc/{stack.pid(HISTORY)}/exe")
        self.log = open(stack.run_dir / "log" / f"history-{offset}.log", "w")
        self.process = subprocess.Popen([binary], stdout=self.log, stderr=self.log, cwd=stack.run_dir, env={
            **own, "PARLEY_LISTEN": f"127.0.0.1:{self.port}", "PARLEY_ADMIN_LISTEN": f"127.0.0.1:{self.admin}",
            **{k: str(v) for k, v in env.items()}})

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self):
        return f"http://127.0.0.1:{self.admin}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        self.mark.close()
