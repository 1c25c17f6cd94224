"""The load generator is measured itself: what is done to a message in a server that the test owns must stand in what it prints."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time

import pytest
import websockets
from support.stack import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from harness.load import BINARY, Load, flawless, kept  # noqa: E402
from harness.parley import Parley  # noqa: E402
from harness.result import Result, median_of  # noqa: E402
from harness.search import FINE, Search  # noqa: E402
from harness.system import Client, Dialect, System  # noqa: E402

ROOM = [Client("a", ("room-1",)), Client("b", ("room-1",))]


class Server(System):
    """A room or an echo on the test's own loop. `on_message(n)` may wait, and says what becomes of message n:
    "" (delivered), drop, twice, late (after the next one), short (of its content), unacked, misanswered (with the number of another), error,
    or a close code."""

    name = "server-of-a-test"

    def __init__(self, speak="json", on_message=None):
        self.dialect = Dialect(speak=speak, protocol="parley.v1.json" if speak == "json" else "")
        self.audience = "room" if speak == "json" else "self"
        self.on_message = on_message or (lambda n: "")
        self.seq, self.members, self.held, self.n = 0, [], [], 0

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/"

    @contextlib.asynccontextmanager
    async def running(self):
        async with websockets.serve(self.serve, "127.0.0.1", 0, subprotocols=[self.dialect.protocol] if self.dialect.protocol else None, compression=None) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def serve(self, ws):
        async for text in ws:
            if self.dialect.speak == "text":
                self.n += 1
                fate = self.on_message(self.n)
                await ws.send(text) if not fate else None
            else:
                for line in text.splitlines():
                    await self.hear(ws, json.loads(line))

    async def hear(self, ws, frame):
        if frame["type"] == "hello":
            self.members.append(ws)
            await ws.send(json.dumps({"type": "ready", "channels": [{"channel": {"id": "room-1"}, "epoch": 1, "headSeq": self.seq}]}, separators=(",", ":")))
        if frame["type"] != "send":
            return
        self.n += 1
        fate, prev = self.on_message(self.n), self.seq
        self.seq += 1
        message = {**frame["message"], "content": frame["message"]["content"][:40]} if fate == "short" else frame["message"]
        event = json.dumps({"type": "event", "channelId": "room-1", "seq": self.seq, "prev": prev, "message": message}, separators=(",", ":"))
        if fate == "error":
            await ws.send(json.dumps({"type": "error", "ref": frame["ref"], "code": "rate_limited"}, separators=(",", ":")))
        elif fate != "unacked":
            await ws.send(json.dumps({"type": "ack", "ref": frame["ref"] - (fate == "misanswered"), "seq": self.seq}, separators=(",", ":")))
        if isinstance(fate, int):
            await self.members[1].close(fate)
        await self.give({"drop": [], "twice": [event, event], "late": []}.get(fate, [event]))
        if fate == "late":
            self.held.append(event)
        elif self.held:
            await self.give([self.held.pop()])

    async def give(self, events):
        for member in self.members:
            for event in events:
                with contextlib.suppress(websockets.ConnectionClosed):
                    await member.send(event)


async def load(server, tmp_path, clients=ROOM, rate=200, seconds=1, warmup=0.0, **options):
    def work():
        with Load(server, clients, tmp_path, **options) as generator:
            generator.connect()
            return generator.run(rate, seconds, warmup=warmup, settle=1)
    async with server.running():
        return await asyncio.to_thread(work)


def stall(at, seconds):
    """Nothing at all moves in the server for so long, when message `at` has come."""
    def on_message(n):
        if n == at:
            time.sleep(seconds)
        return ""
    return on_message


async def test_what_is_flawless_is_called_so(tmp_path):
    found = await load(Server(), tmp_path)
    assert flawless(found), found
    assert (found["sent"], found["acked"], found["delivered"]) == (200, 200, 400)


async def test_a_stall_counts_for_every_message_that_had_to_wait(tmp_path):
    """A server that stands still for half a second delays every message that was due meanwhile. Who waits for an answer before sending the next
    one would see a single late message of 400, and p99 as if nothing had been."""
    found = await load(Server("text", stall(100, 0.5)), tmp_path, ROOM[:1], rate=200, seconds=2)
    assert flawless(found), found
    assert found["p99_ms"] > 400 and found["max_ms"] > 495, found  # 100 of 400 waited, evenly from 0 to 500 ms
    assert found["p50_ms"] < 200, found


async def test_what_is_sent_while_warming_up_is_in_no_percentile(tmp_path):
    found = await load(Server("text", stall(10, 0.4)), tmp_path, ROOM[:1], rate=100, seconds=2, warmup=1.0)
    assert flawless(found) and found["delivered"] == 200, found
    assert found["max_ms"] < 300, found


async def test_a_known_delay_is_measured(tmp_path):
    found = await load(Server("text", lambda n: time.sleep(0.02) or ""), tmp_path, ROOM[:1], rate=10, seconds=1)
    assert flawless(found) and 20 <= found["p50_ms"] < 60, found


@pytest.mark.parametrize("fate,field,value", [
    ("drop", "breaks", 2), ("drop", "delivered", 398), ("twice", "doubled", 2), ("late", "doubled", 2), ("late", "breaks", 2),
    ("short", "delivered", 398), ("unacked", "acked", 199), ("misanswered", "acked", 199), ("misanswered", "doubled", 1), ("error", "errors", 1), (4009, "closes", {"4009": 1}),
])
async def test_what_happens_to_one_message_is_reported(tmp_path, fate, field, value):
    """Both clients see it: message 50 of 200 is lost, comes twice, comes behind the next one, …"""
    found = await load(Server(on_message=lambda n: fate if n == 50 else ""), tmp_path)
    assert found[field] == value and not flawless(found), found


async def test_a_load_that_measured_nothing_is_not_kept(tmp_path):
    """All of it was sent while warming up: percentiles of nothing are 0, and within any bound."""
    found = await load(Server(), tmp_path, rate=200, seconds=0.2, warmup=0.5)
    assert flawless(found) and found["p99_ms"] == 0 and not kept(found, 250), found


async def test_a_lost_echo_is_reported(tmp_path):
    found = await load(Server("text", lambda n: "drop" if n == 50 else ""), tmp_path, ROOM[:1])
    assert not flawless(found) and found["expected"] - found["delivered"] == 1, found


@pytest.mark.parametrize("protocol", ["json", "proto"])
def test_several_processes_speak_to_a_gateway(stack, tmp_path, protocol):
    """Sends and edits of forty clients in ten rooms, by three processes."""
    parley = Parley(protocol)
    parley.stack = stack
    clients = parley.provision([Client(f"load-{protocol}-{i}", (f"load-{protocol}-room-{i % 10}", f"load-{protocol}-room-{10 + i // 4}")) for i in range(40)])
    with Load(parley, clients, tmp_path, procs=3) as generator:
        generator.connect()
        found = generator.run(200, 2, edits=0.5, settle=30)
        again = generator.run(200, 1, settle=30)
    assert flawless(found) and found["sent"] == 400 and found["delivered"] == 1600, found
    assert flawless(again) and again["delivered"] == 800, again
    with stack.rest(clients[0].user) as rest:
        events = rest.get(f"/api/channels/{clients[0].rooms[0]}/events", params={"after": 0, "limit": 500}).json()["events"]
    assert any("messageEdited" in event for event in events)


def test_whoever_was_cut_off_gets_what_he_missed(stack, tmp_path):
    parley = Parley()
    parley.stack = stack
    *people, speaker = parley.provision([Client(f"cut-{i}", ("cut-room-1",)) for i in range(21)])
    with Load(parley, people, tmp_path, procs=2) as listeners, Load(parley, [speaker], tmp_path, name="speaker") as voice:
        listeners.connect()
        voice.connect()
        assert flawless(voice.run(100, 0.1, settle=10))  # a cursor of 0 is none
        listeners.ask("cut")
        assert flawless(voice.run(100, 0.5, settle=10))
        found = listeners.ask("resume", expect=50, timeout=20)
    assert found["filled"] == 20 and found["delivered"] == 20 * 50 and not found["breaks"] + found["gaps"] + found["doubled"], found


@pytest.mark.parametrize("arguments,complaint", [
    (["load", "--plan=x"], "needs --url"), (["load", "--url=http://x", "--plan=x"], "--url is 'http://x'"),
    (["load", "--url=ws://127.0.0.1:1/", "--plan=x", "--procs=0"], "--procs is '0': takes 1 to 16"),
    (["load", "--url=ws://127.0.0.1:1/", "--plan=x", "--speak=morse"], "--speak is 'morse': takes json, proto, text"),
    (["fly"], "usage:"),
])
def test_wrong_options_are_named(arguments, complaint):
    run = subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    assert run.returncode == 2 and complaint in run.stderr, run


@pytest.mark.parametrize("limit", [90, 100, 137, 1000, 50_000])
def test_a_search_finds_the_highest_rate(limit):
    search = Search(lambda rate: (rate <= limit, rate), 100)
    for _ in range(3):
        assert limit / FINE ** 3 <= search.round() <= limit


def test_a_result_is_the_median_of_each_figure():
    runs = [Result("s", "x", p50_ms=p, per_s=r) for p, r in ((1.0, 30.0), (3.0, 10.0), (2.0, 20.0))]
    found = median_of(runs)
    assert (found.p50_ms, found.per_s, found.n, found.p99_ms) == (2.0, 20.0, 3, None)
