"""Clients that do not read, read slowly, vanish, talk nonsense or come again and again. Nobody else may notice."""

import asyncio
import contextlib
import os
import random
import time

import httpx
import websockets

from fault import Fault, fault
from inject.clients import Rough, garbage
from inject.proxy import Network

HARMFUL = 20              # connections of them
LASTS_S = 15
SLOWER_MS = 250           # what the others may lose at their slowest percent; they share two cores with the load and the checker
ANSWERED_SHARE, ANSWERED_BEHIND_S = 0.8, 1   # of what the open loop is to send, all but its last second is answered
STALL_EVERY_S = 0.02


class ClientFault(Fault):
    settings = {"PARLEY_SESSION_MAX_QUEUE_BYTES": 65536, "PARLEY_HEARTBEAT_MS": 4000, "PARLEY_RATE_LIMITS": "off"}
    bound_s = 5

    async def prepare(self, run):
        self.rough, self.network, self.tasks = [], None, []

    async def inject(self, run):
        before, late = latency(run.record)[0], []
        own = asyncio.create_task(stalls(late))
        try:
            await self.harm(run)
        finally:
            own.cancel()
        now = time.monotonic()
        self.took, answers = latency(run.record, self.began, now)
        own_ms = sorted(late)[int(len(late) * 0.99)] * 1000 if late else 0
        self.allowed, meant = before + SLOWER_MS + own_ms, (now - self.began - ANSWERED_BEHIND_S) * self.rate
        run.show(f"acks of the others: p99 {before:.0f} ms before, {self.took:.0f} ms meanwhile (the checker itself was up to {own_ms:.0f} ms late), {answers} of them")
        self.few = f"{answers} mutations of others were answered, of {meant:.0f} that were due" if answers < meant * ANSWERED_SHARE else ""
        self.cut = [e for e in run.record.of("closed") if e.user in {c.user for c in run.load.members}]

    async def heal(self, run):
        await self.clean(run)

    async def clean(self, run):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for rough in self.rough:
            rough.abort()
        if self.network:
            await run.thread(self.network.close)
        self.rough, self.network, self.tasks = [], None, []

    async def verify(self, run):
        found = [("V", f"{len(self.cut)} connections of others were cut")] if self.cut else []
        found += [("V", self.few)] if self.few else []
        return found + ([("V", f"acks of others took {self.took:.0f} ms at p99, above {self.allowed:.0f}")] if self.took > self.allowed else [])

    async def lasts(self, run, until=None, seconds=LASTS_S):
        """So long, or until what is to be shown was seen; that must be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or (until and not until() and time.monotonic() < end + 30):
            await asyncio.sleep(0.1)  # a poll with a deadline
        assert not until or until(), "what the fault is to show was not seen within 30 s more"

    async def many(self, run, make):
        self.began = run.record.add("run", 0, "mark", text="harm begins").at
        self.rough = await asyncio.gather(*(make(i) for i in range(HARMFUL)))

    def as_member(self, run, i):
        """A second device of somebody who is in the channels: all that is said there is meant for it."""
        return run.doors.token(run.load.members[i % len(run.load.members)].user)


def latency(record, since=0, now=None):
    """p99 in ms of the answers to what was sent since then, and how many there are. What has none yet is as late as it has waited: leaving it out would call
    silence fast."""
    now, first, took = now or time.monotonic(), {}, []
    for e in record.of("sent", "ack", "refused"):
        key = e.client, e.channel, e.asked if e.kind == "ack" else e.id
        if e.kind == "sent" and e.at >= since:
            first.setdefault(key, e.at)
        elif key in first and e.kind != "sent":
            took.append(e.at - first.pop(key))
    waited = sorted(took + [now - at for at in first.values()])
    return (waited[int(len(waited) * 0.99)] * 1000 if waited else 0), len(took)


async def stalls(late):
    """How late the checker's own loop is, as an open loop sees it: what it stands still for is nobody else's doing."""
    began, n = time.monotonic(), 0
    while True:
        n += 1
        await asyncio.sleep(max(0, began + n * STALL_EVERY_S - time.monotonic()))  # the schedule of an open loop
        late.append(time.monotonic() - began - n * STALL_EVERY_S)


async def pings(rough):
    """It is alive, as its heartbeat says."""
    with contextlib.suppress(OSError):
        while not rough.gone():
            await rough.text('{"type":"ping"}')
            await asyncio.sleep(2)  # within the period of heartbeats


async def blast(run, until, seconds=40):
    """Large messages, so that what is not read fills buffers: those of the kernel take 2.5 MB a connection first."""
    end, n = time.monotonic() + seconds, 0
    while not (n % 25 == 0 and await run.thread(until)):
        assert time.monotonic() < end, f"what the fault is to show was not seen within {seconds} s"
        channel = run.load.channels[n % len(run.load.channels)]
        client = run.load.in_channel[channel][n % 3]
        run.load.spawn(client.send(channel, run.load.text(channel) + "y" * 8000))
        n += 1
        await asyncio.sleep(0.02)  # the schedule of an open loop


def closed_as_slow(run):
    lines = httpx.get(run.stack.admin_url("gateway") + "/metrics").text.splitlines()
    return next(float(x.rsplit(" ", 1)[1]) for x in lines if x.startswith('parley_gateway_closed_total{reason="slow"'))


@fault
class NeverReads(ClientFault):
    name = "client-never-reads"
    about = f"{HARMFUL} devices of members that never read: each is closed when too much waits for it"

    async def harm(self, run):
        async def make(i):
            rough = await Rough(run.stack.ws_url).connect(receive_buffer=4096)
            await rough.hello(self.as_member(run, i))
            rough.stop_reading()
            self.tasks.append(asyncio.create_task(pings(rough)))
            return rough
        slow = await run.thread(closed_as_slow, run)
        await self.many(run, make)
        await blast(run, lambda: closed_as_slow(run) - slow >= HARMFUL)
        run.show(f"{HARMFUL} sessions that do not read were closed as slow within {time.monotonic() - self.began:.1f} s")


@fault
class OneByteASecond(ClientFault):
    name = "client-one-byte-a-second"
    about = f"{HARMFUL} devices of members that read one byte a second"

    async def harm(self, run):
        async def make(i):
            rough = await Rough(run.stack.ws_url).connect(receive_buffer=4096)
            await rough.hello(self.as_member(run, i))
            rough.stop_reading()
            self.tasks += [asyncio.create_task(drip(rough)), asyncio.create_task(pings(rough))]
            return rough

        async def drip(rough):
            sock = rough.writer.transport.get_extra_info("socket")
            while not rough.gone():
                try:
                    rough.read += len(os.read(sock.fileno(), 1))
                except BlockingIOError:
                    pass
                except OSError:
                    return
                await asyncio.sleep(1)  # what it does
        slow = await run.thread(closed_as_slow, run)
        await self.many(run, make)
        await blast(run, lambda: closed_as_slow(run) - slow >= HARMFUL)
        took, read = time.monotonic() - self.began, [r.read for r in self.rough]
        assert 0 < min(read) and max(read) <= took + 1, f"they read {read} bytes in {took:.1f} s"
        run.show(f"they read {min(read)} to {max(read)} bytes in {took:.1f} s, and were closed as slow")


@fault
class HalfOpen(ClientFault):
    name = "client-half-open"
    about = f"{HARMFUL} devices of members whose network drops all packets: each is given up after two periods of heartbeat"

    async def harm(self, run):
        self.network = Network()
        proxy = self.network.proxy("127.0.0.1", 8081 + run.stack.offset)

        async def make(i):
            rough = await Rough(f"ws://127.0.0.1:{proxy.port}/ws").connect()
            await rough.hello(self.as_member(run, i))
            async with asyncio.timeout(10):
                await rough.reader.read(1)
            return rough
        sessions = await run.thread(run.stack.metric, "gateway", "parley_gateway_sessions")
        await self.many(run, make)
        await run.thread(proxy.silent)
        began, level = time.monotonic(), await run.thread(run.stack.metric, "gateway", "parley_gateway_sessions")
        assert level >= HARMFUL, f"{level} sessions"
        await self.lasts(run, lambda: run.stack.metric("gateway", "parley_gateway_sessions") <= sessions, 0)
        assert proxy.mode == "silent" and proxy.connections >= HARMFUL, "the connections did not stay open"
        run.show(f"{HARMFUL} sessions behind a silent network were given up within {time.monotonic() - began:.1f} s, {proxy.held_bytes} bytes held back")


@fault
class Garbage(ClientFault):
    name = "client-garbage"
    about = f"{HARMFUL} clients that send bytes, frames and JSON that mean nothing, before and after hello"

    async def harm(self, run):
        self.sent = self.closed = 0

        async def nonsense(i):
            source = random.Random(run.seed + i)
            while True:
                rough = Rough(run.stack.ws_url)
                try:
                    await rough.connect()
                    if source.random() < 0.5:
                        await rough.hello(self.as_member(run, i))
                    for _ in range(source.randrange(1, 5)):
                        await rough.raw(garbage(source))
                        self.sent += 1
                    async with asyncio.timeout(0.5):
                        await rough.reader.read(-1)
                    self.closed += 1
                except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                    pass
                finally:
                    rough.abort()

        async def make(i):
            self.tasks.append(asyncio.create_task(nonsense(i)))
            return Rough(run.stack.ws_url)
        await self.many(run, make)
        await self.lasts(run, lambda: self.sent > 200 and self.closed > 50)
        run.show(f"{self.sent} pieces of garbage were sent, {self.closed} connections were closed for it")


@fault
class Reconnects(ClientFault):
    name = "client-reconnects"
    about = f"{HARMFUL} clients that say hello and drop the connection, again and again, as fast as they can"

    async def harm(self, run):
        self.made = 0

        async def again(i):
            while True:
                try:
                    async with websockets.connect(run.stack.ws_url, open_timeout=5, compression=None, ping_interval=None) as ws:
                        await ws.send('{"type":"hello","ref":1,"client":"loop","token":"%s"}' % self.as_member(run, i))
                        async with asyncio.timeout(5):
                            await ws.recv()
                        self.made += 1
                        ws.transport.abort()
                except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                    pass

        async def make(i):
            self.tasks.append(asyncio.create_task(again(i)))
            return Rough(run.stack.ws_url)
        await self.many(run, make)
        await self.lasts(run, lambda: self.made > 100)
        run.show(f"{self.made} connections were made and dropped")
