"""The examples as their READMEs say, against a real nats-server: what they print is what was published."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import nats
import pytest
from nats.js.api import RePublish, StreamConfig

from support.stack import ROOT, wait_until

EXAMPLES = ROOT / "examples"


def generate(language):
    subprocess.run([str(EXAMPLES / "generate"), language], check=True, timeout=600, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A nats-server on a port of its own choice."""
    folder = tmp_path_factory.mktemp("nats")
    private = ROOT / ".deps/prefix/bin/nats-server"
    binary = str(private) if private.exists() else shutil.which("nats-server")
    assert binary, "there is no nats-server: run scripts/deps"
    log = folder / "log"
    process = subprocess.Popen(
        [binary, "--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", str(folder), "-js", "-sd", str(folder / "store"), "-l", str(log)]
    )
    try:
        ports = folder / f"nats-server_{process.pid}.ports"
        wait_until(lambda: ports.exists() and '"nats"' in ports.read_text() and ports.read_text().rstrip().endswith("}"), what=f"ports; see {log}")
        yield json.loads(ports.read_text())["nats"][0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.fixture(scope="module")
def schema():
    generate("python")
    sys.path.insert(0, str(EXAMPLES / "python"))
    from parley.v1 import event_pb2

    return event_pb2


class Log:
    """CHAT_0 as history makes it, as far as readers see it."""

    def __init__(self, nc, schema):
        self.nc, self.js, self.schema = nc, nc.jetstream(), schema

    async def create(self):
        await self.js.add_stream(
            StreamConfig(name="CHAT_0", subjects=["chat.0.>"], republish=RePublish(src="chat.0.>", dest="live.0.>"), allow_direct=True)
        )

    async def say(self, channel, sender, content):
        event = self.schema.Event(channel_id=channel, id=str(uuid.uuid4()), actor_id=sender)
        event.message.id = event.id
        event.message.channel_id = channel
        event.message.sender_id = event.message.sender_name = sender
        event.message.content = content
        ack = await self.js.publish(f"chat.0.{channel}", event.SerializeToString(), headers={"Nats-Msg-Id": f"{channel}:{sender}:{event.id}"})
        return ack.seq, event

    async def join(self, channel, user):
        event = self.schema.Event(channel_id=channel, id=str(uuid.uuid4()), actor_id=user)
        event.member_joined.user_id = user
        ack = await self.js.publish(f"chat.0.{channel}", event.SerializeToString())
        return ack.seq, event


class Program:
    """A running example, its lines read as they come."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def start(cls, *command, url, cwd, **env):
        return cls(
            await asyncio.create_subprocess_exec(
                *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PARLEY_NATS_URL": url, "PYTHONUNBUFFERED": "1", **env}
            )
        )

    async def line(self):
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode().rstrip("\n")

    async def rest(self):
        """Lines until it ends by itself."""
        out = await asyncio.wait_for(self.process.stdout.read(), 60)
        assert await self.process.wait() == 0
        return out.decode().splitlines()

    async def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        await self.process.wait()

    async def left(self):
        """Whole lines that it had printed, and nobody has read, when it was stopped."""
        return (await asyncio.wait_for(self.process.stdout.read(), 30)).decode().split("\n")[:-1]


async def check_live(log, start):
    everything, one = await start(), await start("general")
    assert await everything.line() == "listening"
    assert await one.line() == "listening"
    first, _ = await log.say("general", "ann", "hello, wörld ✓")
    await log.join("general", "bob")
    other, _ = await log.say("random", "bob", "elsewhere")
    # what goes to the devices of one user is no event
    await log.nc.publish("live.user.ann", b"\x0a\x02\x08\x01")
    last, _ = await log.say("general", "bob", "bye")
    assert await everything.line() == f"{first} general ann: hello, wörld ✓"
    assert await everything.line() == f"{other} random bob: elsewhere"
    assert await everything.line() == f"{last} general bob: bye"
    assert await one.line() == f"{first} general ann: hello, wörld ✓"
    assert await one.line() == f"{last} general bob: bye"
    for program in (everything, one):
        await program.stop()


@pytest.fixture
def with_log(server, schema):
    """Runs a coroutine with a fresh log."""

    async def run(test):
        nc = await nats.connect(server)
        log = Log(nc, schema)
        await log.create()
        try:
            await test(log)
        finally:
            await log.js.delete_stream("CHAT_0")
            await nc.close()

    return run


async def test_python_live(server, with_log):
    async def test(log):
        await check_live(
            log, lambda *arguments: Program.start(sys.executable, "live.py", *arguments, url=server, cwd=EXAMPLES / "python")
        )

    await with_log(test)


async def test_python_catches_up(server, with_log):
    def start(**env):
        return Program.start(sys.executable, "catch_up.py", "archive", url=server, cwd=EXAMPLES / "python", **env)

    def line(published):
        seq, event = published
        return f"{seq} {event.channel_id} {event.WhichOneof('body')} {event.id}"

    async def test(log):
        expected = [line(await log.join("general", "ann"))]
        expected += [line(await log.say("general", "ann", f"number {i}")) for i in range(250)]
        once = await start(PARLEY_ONCE="1")
        assert await once.rest() == expected
        # nothing is printed again, and what came meanwhile is not missed
        expected = [line(await log.say("random", "bob", f"while it was away {i}")) for i in range(30)]
        once = await start(PARLEY_ONCE="1")
        assert await once.rest() == expected
        # killed at any line, it goes on with nothing missing: only what was not acknowledged comes again
        expected = [line(await log.say("general", "ann", f"more {i}")) for i in range(250)]
        killed = await start()
        seen = [await killed.line() for _ in range(120)]
        await killed.stop(signal.SIGKILL)
        seen += await killed.left()  # it may have been ahead of us
        assert seen == expected[: len(seen)]
        again = await start()
        printed = [await again.line()]
        assert printed[0] in expected[: len(seen) + 1]
        begin = expected.index(printed[0])
        printed += [await again.line() for _ in expected[begin + 1 :]]
        assert printed == expected[begin:]
        live = line(await log.say("general", "ann", "live"))
        assert await again.line() == live
        await again.stop()

    await with_log(test)


async def test_go_live(server, with_log, tmp_path):
    assert shutil.which("go"), "there is no go: run scripts/deps --test"
    generate("go")
    binary = tmp_path / "live"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=EXAMPLES / "go", check=True, timeout=600)

    async def test(log):
        await check_live(log, lambda *arguments: Program.start(str(binary), *arguments, url=server, cwd=EXAMPLES / "go"))

    await with_log(test)


def test_readmes_name_what_is_there():
    for folder in ("python", "go"):
        text = Path(EXAMPLES / folder / "README.md").read_text()
        assert f"../generate {folder}" in text
        assert "docs/subjects.md" in text
