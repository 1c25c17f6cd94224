"""A workspace: 10,000 people, 20,000 rooms of ten, each in twenty of them, everybody talks, one message in ten is an edit. Rising until p99 passes
100 ms. The raw limit is found the same way with a bare server: send() of as many bytes to the ten of a room.
"""

import contextlib
import random

from harness.load import flawless, flaws, kept, to_result
from harness.raw import RawSend
from harness.search import Search
from harness.system import Client

HELP = "10,000 clients in 20,000 rooms of 10, sends and edits, rising until p99 passes 100 ms; per_s: deliveries · raw: send() to ten sockets"
BOUND_MS = 100
CLIENTS, EACH, SIZE = 10000, 20, 10
EDITS = 0.1
START = 400


def clients(n):
    """Twenty times everybody is dealt into rooms of ten: nobody is twice in one room, and the same people every time."""
    dealer, rooms = random.Random(1), [[] for _ in range(n)]
    for layer in range(EACH):
        order = list(range(n))
        dealer.shuffle(order)
        for at, who in enumerate(order):
            rooms[who].append(f"ws-room-{layer * ((n + SIZE - 1) // SIZE) + at // SIZE}")
    return [Client(f"ws-{i}", tuple(own)) for i, own in enumerate(rooms)]


class Side:
    def __init__(self, ctx, stack, system, n):
        self.ctx, self.system = ctx, stack.enter_context(ctx.started(system))
        self.load = stack.enter_context(ctx.load(system, clients(n), procs=2))
        took = self.load.connect()["seconds"]
        ctx.say(f"{system.name}: {n} clients are ready after {took:.1f} s")
        self.search = Search(self.try_rate, START)
        self.runs = []

    def try_rate(self, rate):
        found = self.load.run(rate, self.ctx.args.seconds, edits=0 if self.system.raw else EDITS, settle=10)
        ok = kept(found, BOUND_MS)
        self.ctx.check_chains(self.system, found)
        self.ctx.say(f"{self.system.name} at {rate:.0f} msg/s: {found['per_s']:.0f} deliveries/s, p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms"
                     f"{'' if ok else ' · not kept'}{'' if flawless(found) else ': ' + flaws(found)}")
        if found["closed"]:
            self.load.restart()
        self.system.settle()
        return ok, found

    def round(self):
        found = self.search.round()
        if found:
            self.runs.append(to_result("rooms", self.system, found))
        else:
            self.ctx.none_kept(self.system)


def run(ctx):
    n = ctx.args.conns[0] if ctx.args.conns else CLIENTS
    with contextlib.ExitStack() as stack:
        sides = [Side(ctx, stack, make(), n) for make in ctx.systems.values()]
        probe = sides[0].load.run(START, 1)
        raw = Side(ctx, stack, RawSend(padding=max(0, int(probe["bytes"] / max(1, probe["delivered"])) - 128 - 18)), n)
        for _ in range(ctx.repeat):
            for side in [raw, *sides]:
                side.round()
        limit = ctx.emit(raw.runs, main="per_s")
        for side in sides:
            if side.runs:
                ctx.emit(side.runs, limit, main="per_s")


def chart(results):
    return ("A workspace: 20,000 rooms of ten", f"deliveries a second with p99 within {BOUND_MS} ms; more is better", [(r.system, r.system, r.per_s) for r in results])
