"""A mirror of presence as an integration keeps one (examples/python/presence.py): equal again after what it cannot have heard."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest
from support.client import Client
from support.names import name
from support.schema import presence_pb2
from support.stack import ROOT

EQUAL_S = 20  # the start of presence, its gateways' snapshots, the next question, and a slow machine


@pytest.fixture
def here(new_stack):
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_PRESENCE_GRACE_MS=1000)
    try:
        yield stack.up()
    finally:
        stack.down()


class Mirror:
    """The example as a program, and what it printed last of each user"""

    def __init__(self, process):
        self.process, self.states, self.changed = process, {}, asyncio.Event()
        self.reader = asyncio.create_task(self.read())

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, stack, users):
        env = {**os.environ, "PARLEY_NATS_URL": stack.nats_url, "PYTHONPATH": str(Path(presence_pb2.__file__).parents[2])}
        program = [sys.executable, "-u", str(ROOT / "examples/python/presence.py"), *users]
        mirror = cls(await asyncio.create_subprocess_exec(*program, env=env, stdout=asyncio.subprocess.PIPE))
        try:
            yield mirror
        finally:
            await mirror.end()

    async def read(self):
        async for line in self.process.stdout:
            user, state, text = line.decode().rstrip("\n").split(" ", 2)
            self.states[user] = (state, text) if text else state
            self.changed.set()

    async def equals(self, states):
        try:
            async with asyncio.timeout(EQUAL_S):
                while self.states != states:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self.states}, not {states}") from None

    async def end(self):
        self.process.kill()
        await self.process.wait()
        await self.reader


async def test_equal_after_presence_was_killed(here):
    """Who came and who left while nobody spoke; neither changes afterwards"""
    ada, bob, eve, nobody = users = [name(n) for n in ("ada", "bob", "eve", "nobody")]
    async with Mirror.of(here, users) as mirror, Client(here, ada) as first:
        gone = Client(here, bob)
        await gone.connect()
        await first.request({"type": "status", "mode": "dnd", "text": "In a meeting"})
        await mirror.equals({ada: ("dnd", "In a meeting"), bob: "online", eve: "offline", nobody: "offline"})
        here.kill("presence")
        await gone.close()
        async with Client(here, eve) as come:
            here.start("presence")
            await mirror.equals({ada: ("dnd", "In a meeting"), bob: "offline", eve: "online", nobody: "offline"})
            await come.request({"type": "status", "mode": "invisible"})
            await mirror.equals({ada: ("dnd", "In a meeting"), bob: "offline", eve: "offline", nobody: "offline"})
