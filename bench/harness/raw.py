"""The limits of the machine as systems: bare sockets, and a bare nats-server. Each has own processes and no code of the services."""

import asyncio
import contextlib
import json
import subprocess
import tempfile
from pathlib import Path

import nats
from nats.js.api import RePublish, StreamConfig
from support.stack import take_offset, wait_until

from .load import BINARY
from .system import ROOT, Dialect, System


def free_port():
    """A port below those that connections of our own get, and a socket that keeps it from other runs."""
    offset, mark = take_offset()
    return 8081 + offset, mark


def ended(process):
    process.terminate()
    process.wait()


def listens(port):
    import socket
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Raw(System):
    """What begin() has started ends with stop(), also when it got no further than half of it."""

    raw = True

    def start(self):
        self.ends = contextlib.ExitStack()
        self.begin()

    def stop(self):
        self.ends.close()

    def take_port(self):
        port, mark = free_port()
        self.ends.callback(mark.close)
        return port

    def run(self, command, **options):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
        self.ends.callback(ended, process)
        return process


class RawServer(Raw):
    """parley-bench server: one send() for each copy of a message, nothing kept."""

    def begin(self):
        self.port = self.take_port()
        self.process = self.run([str(BINARY), "server", str(self.port)])
        wait_until(lambda: listens(self.port), 10, "the bare server listens")

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/"

    def pids(self):
        return {"server": self.process.pid}


class RawEcho(RawServer):
    name = "raw-echo"
    what = "a bare WebSocket echo"
    audience = "self"


class RawSend(RawServer):
    """The same bytes to as many sockets. padding: what the measured system's frames have beside the payload."""

    name = "raw-send"
    what = "send() of the same bytes to as many sockets"

    def __init__(self, padding=0):
        self.dialect = Dialect(join="J{room}", ready="joined", send="S{room} {content}" + "." * padding)


class RawGreet(RawServer):
    """Who comes gets as many bytes as a client of the measured system gets when it comes back."""

    name = "raw-greet"
    what = "upgrade, and send() of as many bytes"

    def __init__(self, size):
        self.dialect = Dialect(hello=f"G{int(size)}", ready="joined")


class RawNats(Raw):
    """A nats-server of its own with a stream that is configured as the log is."""

    name = "raw-nats"

    def begin(self):
        folder = self.ends.enter_context(tempfile.TemporaryDirectory(prefix="parley-bench-nats-"))
        self.port = self.take_port()
        conf = Path(folder) / "nats.conf"
        text = (ROOT / "deploy/local/nats.conf.in").read_text()
        conf.write_text(text.replace("${PARLEY_NATS_LISTEN}", f"127.0.0.1:{self.port}").replace("${PARLEY_NATS_STORE}", folder))
        log = self.ends.enter_context((Path(folder) / "log").open("w"))
        self.run([str(ROOT / ".deps/prefix/bin/nats-server"), "-c", str(conf)], stdout=log, stderr=log)
        wait_until(lambda: listens(self.port), 20, "a bare nats-server listens")
        asyncio.run(self._make())

    async def _make(self):
        connection = await nats.connect(f"nats://127.0.0.1:{self.port}")
        await connection.jetstream().add_stream(StreamConfig(name="RAW", subjects=["raw.*"], duplicate_window=120, allow_direct=True,
                                                             republish=RePublish(src="raw.*", dest="rawlive.{{wildcard(1)}}")))
        await connection.close()

    def publish(self, mode, number, seconds, payload, subjects=50):
        """mode: serial-ack (number: a second) or async-ack (number: how many may be unanswered)."""
        run = subprocess.run([str(BINARY), mode, str(self.port), "raw", str(subjects), str(payload), str(number), str(seconds)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds + 60)
        assert run.returncode == 0 and run.stdout, f"{mode}: {run.stderr}"
        return json.loads(run.stdout)
