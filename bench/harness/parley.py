"""Parley as a system under load: a private stack as scripts/up starts it, without limits of rate."""

import asyncio

from support.log import Log, database
from support.stack import Stack, wait_until

from .system import Client, Dialect, System


class Parley(System):
    name = "parley"
    what = "this checkout: durable, JetStream before the ack, Postgres behind"

    def __init__(self, protocol="json", **env):
        self.dialect = Dialect(speak=protocol, protocol=f"parley.v1.{protocol}")
        self.env = {"PARLEY_RATE_LIMITS": "off", "PARLEY_MAX_CONNECTIONS_PER_ADDRESS": 0, "PARLEY_MAX_CONNECTIONS_PER_USER": 0, **env}
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
        return {part: self.stack.pid(part) for part in ("gateway", "history", "nats-server", "postgres")}

    def provision(self, clients):
        """Channels by REST, each made by its first member. `general` is everybody's from the start."""
        rooms = {}
        for client in clients:
            for room in client.rooms:
                rooms.setdefault(room, []).append(client.user)
        rooms.pop("general", None)
        for room, users in rooms.items():
            with self.stack.rest(users[0]) as rest:
                answer = rest.post("/api/channels", json={"id": room, "name": room, "kind": "private", "members": users[1:100]})
                assert answer.status_code in (201, 202), answer.text
                assert len(users) <= 100, f"{room} has {len(users)} members: more than one request can name"
        return [Client(c.user, c.rooms, self.stack.token(c.user)) for c in clients]

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
