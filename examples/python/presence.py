"""Keeps how some users stand, and prints it whenever that changes: python presence.py USER…

What presence says comes once, and may be lost: with the connection, or with the instance that spoke. Each word has the name of its speaker and a
number; after another speaker, or a number that does not follow, everything is asked again.
"""

import asyncio
import os
import sys

import nats
from google.protobuf.message import DecodeError

from parley.v1.presence_pb2 import PresenceAnswer, PresenceChanges, PresenceQuery, UserPresence

INBOX = b"_INBOX.integration.presence"  # where answers come: NATS' user `integration` is answered nowhere else
AT_ONCE = 500  # users of one question
RETRY_S = 1


class Mirror:
    def __init__(self, nc, users, tell):
        self.nc, self.users, self.tell = nc, users, tell
        self.source, self.counter = "", 0  # who spoke last, and the number of that
        self.known = {}  # user -> source, version, presence
        self.missed = asyncio.Event()

    async def hear(self, msg):
        try:
            m = PresenceChanges.FromString(msg.data)
        except DecodeError:
            self.missed.set()
            return
        if (m.source, m.counter) != (self.source, self.counter + 1):
            self.missed.set()
        self.source, self.counter = m.source, m.counter
        for change in m.changes:
            self.take(m.source, change.version, change.user)

    def take(self, source, version, presence):
        """Versions rise with one speaker; what an answer says may be older than what was heard while it was on its way"""
        user = presence.user_id
        was = self.known.get(user)
        if user not in self.users or (was and was[0] == source and was[1] > version):
            return
        self.known[user] = source, version, presence
        if not was or was[2] != presence:
            self.tell(presence)

    async def ask(self, users):
        """False: it is to be asked again"""
        try:
            msg = await self.nc.request("rpc.presence.query", PresenceQuery(user_ids=users).SerializeToString(), timeout=5)
        except nats.errors.Error:  # nobody answers
            return False
        answer = PresenceAnswer.FromString(msg.data)
        if answer.error.code or answer.source != self.source:  # or another one than he who spoke last
            return False
        for change in answer.users:
            self.take(answer.source, change.version, change.user)
        for user in answer.hidden_user_ids:  # not known there, as one who never came
            self.take(answer.source, 0, UserPresence(user_id=user))
        return True

    async def run(self):
        await self.nc.subscribe("presence.changes", cb=self.hear)
        while True:
            await self.missed.wait()  # at the latest a second after the start: presence speaks that often
            self.missed.clear()
            for i in range(0, len(self.users), AT_ONCE):
                if not await self.ask(self.users[i : i + AT_ONCE]):
                    self.missed.set()
                    await asyncio.sleep(RETRY_S)
                    break


def show(presence):
    print(presence.user_id, UserPresence.Availability.Name(presence.availability), presence.status_text, flush=True)


async def main(*users):
    url = os.environ.get("PARLEY_NATS_URL", "nats://127.0.0.1:8422")
    nc = await nats.connect(url, inbox_prefix=INBOX, max_reconnect_attempts=-1)
    await Mirror(nc, users, show).run()


asyncio.run(main(*sys.argv[1:]))
