"""Parley as a system under load: a private stack as scripts/up starts it, without limits of rate."""

import asyncio

import nats
from support.log import Log, database
from support.schema import event_pb2
from support.stack import Stack, wait_until

from .system import Client, Dialect, System


MANY = 200  # channels, above which REST would take longer than the benchmark


class Parley(System):
    name = "parley"
    what = "this checkout: durable, JetStream before the ack, Postgres behind"

    def __init__(self, protocol="json", **env):
        self.dialect = Dialect(speak=protocol, protocol=f"parley.v1.{protocol}")
        self.env = {"PARLEY_RATE_LIMITS": "off", "PARLEY_MAX_CONNECTIONS_PER_ADDRESS": 0, "PARLEY_MAX_CONNECTIONS_PER_USER": 0,
                    "PARLEY_SESSION_MAX_PENDING": 65536, **env}  # two clients send what thousands do otherwise
        self.stack = None

    def start(self):
        self.stack = Stack(**self.env)
        self.stack.up()

    def stop(self):
        if self.stack:
            self.stack.down()
            self.stack = None

    @property
    def url(self):
        return self.stack.ws_url + "?token={token}"

    def pids(self):
        return {part: self.stack.pid(part) for part in ("gateway", "history", "presence", "upload", "nats-server", "postgres")}

    def provision(self, clients):
        """Channels by REST, each made by its first member; many of them straight into the buckets that the gateway reads. `general` is
        everybody's from the start."""
        rooms = {}
        for client in clients:
            for room in client.rooms:
                rooms.setdefault(room, []).append(client.user)
        rooms.pop("general", None)
        if len(rooms) > MANY or any(len(users) > 100 for users in rooms.values()):
            asyncio.run(self._fill_buckets(rooms))
        else:
            self._create(rooms)
        return [Client(c.user, c.rooms, self.stack.token(c.user)) for c in clients]

    def _create(self, rooms):
        for room, users in rooms.items():
            with self.stack.rest(users[0]) as rest:
                answer = rest.post("/api/channels", json={"id": room, "name": room, "kind": "private", "members": users[1:]})
                assert answer.status_code in (201, 202), answer.text

    async def _fill_buckets(self, rooms):
        of = {}
        connection = await nats.connect(self.stack.nats_url)
        js = connection.jetstream(publish_async_max_pending=1000)
        for room, users in rooms.items():
            channel = event_pb2.Channel(id=room, name=room, kind=event_pb2.Channel.private, version=1)
            await js.publish_async(f"$KV.CHANNELS.{room}", channel.SerializeToString(), wait_stall=60)
            for user in users:
                of.setdefault(user, []).append(room)
        for user, own in of.items():
            entry = event_pb2.Memberships(user_id=user, version=1, memberships=[
                event_pb2.Membership(channel_id=room, role=event_pb2.member, version=1) for room in own])
            await js.publish_async(f"$KV.MEMBERS.{user}", entry.SerializeToString(), wait_stall=60)
        await asyncio.wait_for(js.publish_async_completed(), 120)
        await connection.close()

    def restart_front(self):
        """A gateway that nobody was connected to yet: for its memory."""
        self.stack.stop("gateway")
        self.stack.start("gateway")

    def lag(self):
        """Events of the log that Postgres has not committed."""
        with database(self.stack) as db:
            row = db.execute("SELECT last_seq FROM streams WHERE name = 'CHAT_0'").fetchone()
        return asyncio.run(self._log_end()) - (row[0] if row else 0)

    async def _log_end(self):
        async with Log(self.stack) as log:
            return (await log.js.stream_info("CHAT_0")).state.last_seq

    def settle(self, timeout=120):
        wait_until(lambda: self.lag() <= 0, timeout, "history has ingested the log", interval=0.02)
