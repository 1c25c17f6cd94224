"""What presence costs: two clients talk at a rate while all others, in rooms of a hundred, watch fifty of their room, and some come and go.

The same without watching, in turn: the difference is the cost. Each has a stack of its own with the same past, and its clients stay between
its turns: the memory of a gateway that was full once is in pieces, and that of a nats-server that was never loaded grows, for which all its threads
wait. p99 is that of each second: a few times a second everything waits for nats-server for 10 to 50 ms, with watchers or without, so that
of a whole load p99 tells how often that happened, and little else; it is told, too. Counted beside it: how soon the last of a hundred watchers, one in each room, sees all who came at once, memory of the service for each user, messages over
NATS against changes, and who writes in a channel where all do. Without last seen: it is written for 25 s once 10,000 have left, by the
service alone, and each load would have to wait for that.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import statistics
import threading
import time

from harness import procs
from harness.eyes import all_see, eyes
from harness.load import flawless, flaws, quantile_ms, to_result
from harness.result import median_of
from harness.system import Client
from harness.typing import all_write

HELP = "10,000 connections that watch 50 users each, 10 % come and go a minute, 5,000 msg/s beside it; cpu_us_per_msg: the gateway's alone"
QUICK = PARLEY_ALONE = True
CLIENTS, WATCHED, FEW, BLOCK = 10000, 50, 4, 100
RATE, GRACE_MS = 5000, 1000
LEAD_S = 9      # until what somebody does is told to all
SETTLED_S, BYTES_A_USER = 5, 512
EYES = 100      # that watch a storm, each in another room
SLOW_MS = 10    # p99 of a second in which everything waited
CPU_SHARE, SLOWER = 5, 1.1  # percent of the gateway's; p99 with presence by that without
MANY = 5000   # users, below which what the service takes once, whoever comes, is most of its memory
COUNTERS = ("reports", "tidings", "queries", "changes")
WRITERS, TYPING_S, UPDATES_A_SECOND = 200, 8, 1   # of one channel, all of whom write


def people(n):
    """Two who talk, and all in rooms of a hundred, dealt out in turn: the last of the plan, who come and go, are in all rooms."""
    rooms = max(1, n // BLOCK)
    return [Client(f"here-{i}", ("talk",) if i < 2 else (f"block-{i % rooms}",)) for i in range(n)]


def moving_s(ctx):
    """Some more than the loads take that are a second each."""
    return LEAD_S + 1.4 * ctx.args.seconds + 1


def moving(ctx, n):
    """Who come, and as many who leave: each in a minute a tenth of all."""
    return max(2, int(n * moving_s(ctx) / 600))


class Side:
    """A stack with watchers, or without. Of its clients as many come during a load as leave, so that their number stays."""

    def __init__(self, ctx, system, ready, watch):
        self.ctx, self.system, self.stack, self.name = ctx, system, system.stack, "parley-watching" if watch else "parley"
        self.ready, self.watch, self.moving = ready, watch, moving(ctx, len(ready))
        self.runs, self.shares, self.whole, self.slow = [], [], [], 0
        self.load = ctx.load_ready(system, ready, procs=2, name=self.name, watch=watch)

    def guests(self, k):
        """Whom they watch goes by their place in the plan, from which the first are connected."""
        last = k * self.moving
        return self.ctx.load_ready(self.system, self.ready[-last:] + self.ready[:-last], name=f"{self.name}-{k}", watch=self.watch)

    def come(self):
        """All but the guests, for as long as the side is measured."""
        self.load.connect(len(self.ready) - 2 * self.moving)
        self.calm()

    def talk(self):
        """A load of its own in each second. Returns what each has found."""
        found = [self.load.run(RATE, 1, warmup=0, senders=2, front=self.stack.pid("gateway")) for _ in range(max(1, round(self.ctx.args.seconds)))]
        for second in found:
            assert flawless(second), f"{self.name}: {flaws(second)}"
        return found

    def counters(self):
        return {c: self.stack.metric("presence", f"parley_presence_{c}_total") for c in COUNTERS}

    def frames(self):
        return self.stack.metric("gateway", "parley_gateway_presence_frames_total")

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

    def move(self, leaving, coming, enough):
        """One comes and one leaves at a time, evenly, until it is enough. Whether it was so before all had moved."""
        began, seconds = time.monotonic(), moving_s(self.ctx)
        for moved in range(1, self.moving + 1):
            if enough.wait(max(0, began + moved * seconds / self.moving - time.monotonic())):
                return True
            coming.connect(moved)
            leaving.ask("cut", keep=self.moving - moved)
        return False

    def run(self):
        """All talk while some come and go. Who comes is told with some delay: coming and going begin before the load."""
        ctx, enough = self.ctx, threading.Event()
        with self.guests(2) as leaving, self.guests(1) as coming, concurrent.futures.ThreadPoolExecutor(1) as movers:
            leaving.connect(self.moving)
            moved = movers.submit(self.move, leaving, coming, enough)
            try:
                time.sleep(LEAD_S)
                told, frames, began = self.counters(), self.frames(), time.monotonic()
                found = self.talk()
                told, frames, took = {c: v - told[c] for c, v in self.counters().items()}, self.frames() - frames, time.monotonic() - began
            finally:
                enough.set()
            assert moved.result(), "all had come and gone before the load was over"
        self.system.settle()
        sent, delivered = (sum(f[k] for f in found) for k in ("sent", "delivered"))
        self.shares.append(sum(f["front_s"] for f in found) / delivered * 1e6)
        second = median_of([to_result("presence", self.system, f) for f in found])
        self.runs.append(dataclasses.replace(second, system=self.name, sent=sent, delivered=delivered, cpu_us_per_msg=self.shares[-1]))
        self.whole.append(quantile_ms(found, 0.99))
        self.slow += sum(f["p99_ms"] > SLOW_MS for f in found)
        ctx.say(f"{self.name}: p99 {self.whole[-1]:.3g} ms, of a second {spread([f['p99_ms'] for f in found])} ms, gateway {self.shares[-1]:.2f} us of CPU "
                f"a delivery, {frames / took:.0f} frames of presence a second; "
                f"on NATS {told['changes']:.0f} changes, {told['reports']:.0f} reports of gateways, {told['tidings']:.0f} tidings, {told['queries']:.0f} questions")
        return told, took


def see_storm(ctx, system, ready, load, n):
    """Seconds from when the last one was connected until the last of the watchers, one in each room, sees all of his."""
    all_gone(system)
    watchers = eyes(system.stack, ready, EYES)
    came, median, last = asyncio.run(all_see(watchers, lambda: load.connect(n), 60))
    ctx.say(f"{n} came within {came['seconds']:.1f} s; of {len(watchers)} watchers, one in a room, the last saw all of his {last:.2f} s after the last had come, the median {median:.2f} s")
    return last


def all_gone(system, timeout=60):
    deadline = time.monotonic() + timeout
    while there := system.stack.metric("presence", "parley_presence_online_users"):
        assert time.monotonic() < deadline, f"{there:.0f} are here {timeout} s after all have left"
        time.sleep(0.1)  # a poll with an end


def see_typing(ctx, system, writers=WRITERS):
    ready = system.provision([Client(f"writer-{i}", ("typing",)) for i in range(writers)])
    rate, told, changes, said = asyncio.run(all_write(system.stack, ready, "typing", TYPING_S))
    ctx.say(f"{writers} write in one channel: {changes} changes in {TYPING_S} s are {said:.0f} messages on NATS and {told} updates to all readers")
    ctx.check("typing: updates a second to the reader with most", round(rate, 2), UPDATES_A_SECOND)
    ctx.check("typing: messages on NATS for each change", said / changes, 1)


def spread(values):
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def run(ctx):
    n = ctx.args.conns[0] if ctx.args.conns else 300 if ctx.quick else CLIENTS
    with contextlib.ExitStack() as stack:
        quiet, system = (stack.enter_context(ctx.started(ctx.systems["parley"](PARLEY_PRESENCE_GRACE_MS=GRACE_MS, PARLEY_LAST_SEEN="off"))) for _ in range(2))
        before = procs.rss_kb(system.stack.pid("presence"))
        ready = system.provision(people(n))
        with ctx.load_ready(system, ready, procs=2, name="storm", watch=WATCHED) as load:
            settled = see_storm(ctx, system, ready, load, n)
            bytes_a_user = (procs.rss_kb(system.stack.pid("presence")) - before) * 1024 / n
        with ctx.load_ready(system, ready, procs=2, name="storm-few", watch=FEW) as load:
            settled_few = see_storm(ctx, system, ready, load, n)
        see_typing(ctx, system)
        strangers = quiet.provision(people(n))
        for _ in range(2):
            with ctx.load_ready(quiet, strangers, procs=2, name="storm-unseen") as load:
                load.connect(n)
            all_gone(quiet)
        plain, watching = Side(ctx, quiet, strangers, 0), Side(ctx, system, ready, WATCHED)
        for side in (plain, watching):
            stack.enter_context(side.load)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(Side.come, (plain, watching)))
        for side in (plain, watching):
            side.talk()  # not counted: nats-server takes most of its memory in it
            side.system.settle()
        for i in range(ctx.repeat):
            if i % 2:  # who is first is not always the same
                told, took = watching.run()
                plain.run()
            else:
                plain.run()
                told, took = watching.run()
            # a change is told once to whoever subscribes to the user; the rest grows with seconds, not with watchers
            ctx.check("messages on NATS beyond changes, a second", (told["reports"] + told["tidings"] + told["queries"]) / took, 25)
    ctx.say(f"{bytes_a_user:.0f} bytes of the service presence a user")
    if n >= MANY:
        ctx.goal("bytes of the service a user", bytes_a_user, BYTES_A_USER)
    limit = ctx.emit(plain.runs, main="p99_ms")
    ctx.emit(watching.runs, limit, main="p99_ms")
    # of each pair of runs, one right behind the other: what else the machine does is in both
    cost = [1 - a / b for a, b in zip(plain.shares, watching.shares, strict=True)]
    slower = [b.p99_ms / a.p99_ms for a, b in zip(plain.runs, watching.runs, strict=True)]
    whole = [b / a for a, b in zip(plain.whole, watching.whole, strict=True)]
    ctx.say(f"presence is {spread([100 * c for c in cost])} % of the gateway's CPU, and p99 of the median second {spread(slower)} times that without, p99 of whole loads {spread(whole)} times; "
            f"medians of {len(cost)} pairs; p99 above {SLOW_MS} ms in {watching.slow} seconds with presence, in {plain.slow} without")
    if not ctx.quick:  # a load of a second says nothing of these, and CI judges no seconds
        ctx.goal("seconds until a storm is settled", settled, SETTLED_S)
        ctx.goal("seconds until a storm is settled in which each watches few", settled_few, SETTLED_S)
        ctx.goal("percent of the gateway's CPU that presence takes, median of pairs", 100 * statistics.median(cost), CPU_SHARE)
        ctx.goal("p99 of the median second with presence by that without, median of pairs", statistics.median(slower), SLOWER)
        ctx.note("p99 of whole loads with presence by that without, median of pairs", statistics.median(whole))
        ctx.note(f"seconds with presence whose p99 is above {SLOW_MS} ms", watching.slow)
        ctx.note(f"seconds without presence whose p99 is above {SLOW_MS} ms", plain.slow)


def chart(results):
    return ("Messages beside presence", "p99 in ms; less is better", [(r.system, r.system, r.p99_ms) for r in results])
