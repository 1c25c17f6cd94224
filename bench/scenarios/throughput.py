"""Fifty senders in fifty rooms of two, rising until p99 passes 50 ms. A rate counts when everything has arrived and Postgres has all of it:
per_s is messages by the time until then, not until the last ack.

The raw limit is as many publishes as JetStream acknowledges, over one connection with a thousand on their way.
"""

import contextlib
import time

from harness.load import flawless, flaws, kept, to_result
from harness.raw import RawNats
from harness.result import Result
from harness.search import Search
from harness.system import Client

HELP = "50 senders in 50 rooms of two, rising until p99 passes 50 ms; per_s: messages, until Postgres has them · raw: async JetStream"
QUICK = True
BOUND_MS = 50
ROOMS = 50
START = 2000
WINDOW = 1000
EVENT = 250  # bytes that an event of 128 bytes of content takes in the log


def clients():
    return [Client(f"thr-{who}-{i}", (f"thr-room-{i}",)) for who in ("a", "b") for i in range(ROOMS)]


class Side:
    def __init__(self, ctx, stack, system):
        self.ctx, self.system = ctx, stack.enter_context(ctx.started(system))
        self.load = stack.enter_context(ctx.load(system, clients()))
        self.load.connect()
        self.search = Search(self.try_rate, START)
        self.runs = []

    def try_rate(self, rate):
        found = self.load.run(rate, self.ctx.args.seconds, senders=ROOMS, settle=10)
        ok = kept(found, BOUND_MS)
        self.ctx.check_chains(self.system, found)
        behind = self.system.lag()
        self.system.settle()
        found["per_s"] = found["sent"] / (found["seconds"] + time.monotonic() - found["answered"])
        self.ctx.say(f"{self.system.name} at {rate:.0f} msg/s: {found['per_s']:.0f}/s through Postgres ({behind} behind at the end), p50 {found['p50_ms']:.1f} ms, "
                     f"p99 {found['p99_ms']:.1f} ms{'' if ok else ' · not kept'}{'' if flawless(found) else ': ' + flaws(found)}")
        if found["closed"]:
            self.load.restart()
        return ok, found

    def round(self):
        found = self.search.round()
        if found:
            self.runs.append(to_result("throughput", self.system, found))
        else:
            self.ctx.none_kept(self.system)


def raw_result(seconds, found):
    return Result("throughput", "raw-async-ack", conns=1, sent=found["sent"], delivered=found["acked"], per_s=found["per_s"])


def run(ctx):
    with contextlib.ExitStack() as stack:
        nats = stack.enter_context(ctx.started(RawNats()))
        sides = [Side(ctx, stack, make()) for make in ctx.systems.values()]
        if ctx.quick:
            quick(ctx, sides[0])
            return
        raw = []
        for _ in range(ctx.repeat):
            raw.append(raw_result(ctx.args.seconds, nats.publish("async-ack", WINDOW, ctx.args.seconds, EVENT)))
            for side in sides:
                side.round()
        limit = ctx.emit(raw, main="per_s")
        for side in sides:
            if side.runs:
                ctx.emit(side.runs, limit, main="per_s")


def quick(ctx, side):
    _, found = side.try_rate(1000)
    ctx.emit([to_result("throughput", side.system, found)])
    ctx.check(f"{side.system.name}: messages that are missing or doubled", abs(found["expected"] - found["delivered"]) + found["doubled"], 0)
    ctx.check(f"{side.system.name}: sent and not acknowledged", found["to_ack"] - found["acked"], 0)
    ctx.check(f"{side.system.name}: events that Postgres lacks", side.system.lag(), 0)


def chart(results):
    return ("Throughput of 50 rooms of two", f"messages a second through JetStream and Postgres, p99 within {BOUND_MS} ms; more is better",
            [(r.system, r.system, r.per_s) for r in results])
