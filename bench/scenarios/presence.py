"""What presence costs: two clients talk at a rate while all others, in rooms of a hundred, watch fifty of their room, and some come and go.

The same without watching, in turn, on one stack: the difference is the cost. Counted beside it: how soon a watcher sees all who came at once,
memory of the service for each user, messages over NATS against changes, and who writes in a channel where all do. Without last seen: it is
written for 25 s once 10,000 have left, by the service alone, and each load would have to wait for that.
"""

import asyncio
import contextlib
import dataclasses
import statistics
import threading
import time

from harness import procs
from harness.load import flawless, flaws, to_result
from harness.system import Client
from harness.typing import all_write
from support.client import Client as Watcher

HELP = "10,000 connections that watch 50 users each, 10 % come and go a minute, 5,000 msg/s beside it; cpu_us_per_msg: the gateway's alone"
QUICK = True
CLIENTS, WATCHED, BLOCK = 10000, 50, 100
RATE, GRACE_MS = 5000, 1000
LEAD_S, STEP_S = 4, 0.2  # until what somebody does is told to all; between two steps of those who come and go
SETTLED_S, BYTES_A_USER = 5, 512
MANY = 5000   # users, below which what the service takes once, whoever comes, is most of its memory
COUNTERS = ("reports", "tidings", "queries", "changes")
WRITERS, TYPING_S, UPDATES_A_SECOND = 200, 8, 1   # of one channel, all of whom write


def people(n):
    """Two who talk, and all in rooms of a hundred, dealt out in turn: the last of the plan, who come and go, are in all rooms."""
    rooms = max(1, n // BLOCK)
    return [Client(f"here-{i}", ("talk",) if i < 2 else (f"block-{i % rooms}",)) for i in range(n)]


class Side:
    """The same stack with watchers, or without. Of all clients as many come during a load as leave, so that their number stays."""

    def __init__(self, ctx, system, ready, watch, moving):
        self.ctx, self.system, self.stack, self.name = ctx, system, system.stack, "parley-watching" if watch else "parley"
        self.n, self.moving, self.runs, self.shares = len(ready) - 2 * moving, moving, [], []
        self.load = ctx.load_ready(system, ready, procs=2, name=self.name, watch=watch)
        # whom they watch goes by their place in the plan, from which the first are connected
        self.leaving, self.coming = (ctx.load_ready(system, ready[-k * moving:] + ready[:-k * moving], name=f"{self.name}-{k}", watch=watch) for k in (2, 1))

    def counters(self):
        return {c: self.stack.metric("presence", f"parley_presence_{c}_total") for c in COUNTERS}

    def calm(self):
        """What coming and going costs at once is no part of this: nothing is told any more."""
        before = None
        for _ in range(120):
            now = self.counters()["changes"]
            if now == before:
                break
            before = now
            time.sleep(2 * GRACE_MS / 1000)  # a poll with an end
        self.system.settle()

    def move(self, leaving, coming, seconds):
        """One comes and one leaves at a time, evenly."""
        began, told = time.monotonic(), 0
        while told < self.moving:
            time.sleep(STEP_S)
            told = min(self.moving, round(self.moving * (time.monotonic() - began) / seconds))
            coming.connect(max(1, told))
            leaving.ask("cut", keep=self.moving - told)

    def run(self):
        """All come, talk while some come and go, and leave. Who comes is told with some delay: coming and going begin before the load."""
        ctx, gateway, seconds = self.ctx, self.stack.pid("gateway"), self.ctx.args.seconds
        with self.load as load, self.leaving as leaving, self.coming as coming:
            load.connect(self.n)
            leaving.connect(self.moving)
            self.calm()
            mover = threading.Thread(target=self.move, args=(leaving, coming, LEAD_S + seconds))
            mover.start()
            time.sleep(LEAD_S)
            told, cpu, began = self.counters(), procs.cpu_s([gateway]), time.monotonic()
            frames = self.stack.metric("gateway", "parley_gateway_presence_frames_total")
            found = load.run(RATE, seconds, senders=2)
            spent, took = procs.cpu_s([gateway]) - cpu, time.monotonic() - began
            frames = self.stack.metric("gateway", "parley_gateway_presence_frames_total") - frames
            told = {c: v - told[c] for c, v in self.counters().items()}
            mover.join()
        assert flawless(found), f"{self.name}: {flaws(found)}"
        ctx.say(f"{self.name}: p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms, gateway {spent:.2f} s of CPU in {took:.1f} s, "
                f"{frames / took:.0f} frames of presence a second; "
                f"on NATS {told['changes']:.0f} changes, {told['reports']:.0f} reports of gateways, {told['tidings']:.0f} tidings, {told['queries']:.0f} questions")
        self.shares.append(spent / found["delivered"] * 1e6)
        self.runs.append(dataclasses.replace(to_result("presence", self.system, found), system=self.name, cpu_us_per_msg=self.shares[-1]))
        return told, took


async def see_storm(ctx, system, ready, load, n):
    """Seconds from when the last one was connected until a watcher in the last room sees all of it."""
    room = [c.user for c in ready if c.rooms == ready[-1].rooms]
    shown = {}
    async with Watcher(system.stack, room[-1]) as eye:
        await eye.request({"type": "watch", "userIds": room[:-1]})

        def seen():
            for frame in eye.frames:
                if frame["type"] == "presence":
                    shown.update({u["userId"]: u["availability"] for u in frame["users"]})
            return sum(a == "online" for a in shown.values()) >= len(room) - 1
        came = (await asyncio.to_thread(load.connect, n))["seconds"]
        began = time.monotonic()
        await eye.wait(seen, 60, "all of the last room are there")
        settled = time.monotonic() - began
    ctx.say(f"{n} came within {came:.1f} s; a watcher saw the {len(room) - 1} of the last room {settled:.2f} s after the last")
    return settled


def see_typing(ctx, system, writers=WRITERS):
    ready = system.provision([Client(f"writer-{i}", ("typing",)) for i in range(writers)])
    rate, told, changes, said = asyncio.run(all_write(system.stack, ready, "typing", TYPING_S))
    ctx.say(f"{writers} write in one channel: {changes} changes in {TYPING_S} s are {said:.0f} messages on NATS and {told} updates to all readers")
    ctx.check("typing: updates a second to the reader with most", round(rate, 2), UPDATES_A_SECOND)
    ctx.check("typing: messages on NATS for each change", said / changes, 1)


def run(ctx):
    n = ctx.args.conns[0] if ctx.args.conns else 300 if ctx.quick else CLIENTS
    moving = max(2, int(n * (LEAD_S + ctx.args.seconds) / 600))
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(ctx.started(ctx.systems["parley"](PARLEY_PRESENCE_GRACE_MS=GRACE_MS, PARLEY_LAST_SEEN="off")))
        before = procs.rss_kb(system.stack.pid("presence"))
        ready = system.provision(people(n))
        with ctx.load_ready(system, ready, procs=2, name="storm", watch=WATCHED) as load:
            settled = asyncio.run(see_storm(ctx, system, ready, load, n))
            bytes_a_user = (procs.rss_kb(system.stack.pid("presence")) - before) * 1024 / n
        see_typing(ctx, system)
        plain, watching = (Side(ctx, system, ready, w, moving) for w in (0, WATCHED))
        for _ in range(ctx.repeat):
            plain.run()
            told, took = watching.run()
            # a change is told once to whoever subscribes to the user; the rest grows with seconds, not with watchers
            ctx.check("messages on NATS beyond changes, a second", (told["reports"] + told["tidings"] + told["queries"]) / took, 25)
    ctx.check("seconds until a storm is settled", settled, SETTLED_S)
    ctx.say(f"{bytes_a_user:.0f} bytes of the service presence a user")
    if n >= MANY:
        ctx.check("bytes of the service a user", bytes_a_user, BYTES_A_USER)
    more = statistics.median(watching.shares) - statistics.median(plain.shares)
    limit = ctx.emit(plain.runs, main="p99_ms")
    result = ctx.emit(watching.runs, limit, main="p99_ms")
    ctx.say(f"presence is {more / result.cpu_us_per_msg:.1%} of the gateway's CPU, and p99 is {result.ratio:.2f} times that without")


def chart(results):
    return ("Messages beside presence", "p99 in ms; less is better", [(r.system, r.system, r.p99_ms) for r in results])
