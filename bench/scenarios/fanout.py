"""One room in which everybody hears what ten of them say: the highest rate at which 99 of 100 deliveries come within 250 ms and none is lost.

The raw limit is found the same way with a bare server that makes one send() of as many bytes for each copy. Parley may pass it, for it
packs what is pending for a client into one send().
"""

import contextlib

from harness import procs
from harness.load import flawless, flaws, kept, to_result
from harness.raw import RawSend
from harness.search import Search
from harness.syscalls import counted
from harness.system import Client

HELP = "one room, rising until p99 passes 250 ms; per_s: deliveries · raw: send() of the same bytes to as many sockets"
QUICK = True
BOUND_MS = 250
SENDERS = 10
CONNS = (1000, 10000)
TRACED_RATE, CALLS = 10, 1.5   # tracing makes each call dear; measured: 1.0, a send each, and what comes once a message or a tick
START = 60000  # deliveries a second at which a search begins


def clients(n):
    return [Client(f"fan-{i}", ("general",)) for i in range(1, n + 1)]


class Side:
    """One system with its clients."""

    def __init__(self, ctx, stack, system, n):
        self.ctx, self.system, self.n = ctx, stack.enter_context(ctx.started(system)), n
        pid = system.pids()[system.front()]
        before = procs.rss_kb(pid)
        self.load = stack.enter_context(ctx.load(system, clients(n), procs=1 if n <= 2000 else 2))
        took = self.load.connect()["seconds"]
        self.rss = (procs.rss_kb(pid) - before) / n
        ctx.say(f"{system.name}: {n} clients are ready after {took:.1f} s")
        self.search = Search(self.try_rate, START / n)
        self.runs = []

    def try_rate(self, rate):
        found = self.load.run(rate, self.ctx.args.seconds, senders=SENDERS, settle=5)
        ok = kept(found, BOUND_MS)
        self.ctx.check_chains(self.system, found)
        self.ctx.say(f"{self.system.name} {self.n} at {rate:.0f} msg/s: {found['per_s']:.0f} deliveries/s, p50 {found['p50_ms']:.1f} ms, "
                     f"p99 {found['p99_ms']:.1f} ms{'' if ok else ' · not kept'}{'' if flawless(found) else ': ' + flaws(found)}")
        if found["closed"]:
            self.load.restart()
        if not ok:
            self.system.settle()
        return ok, found

    def round(self):
        found = self.search.round()
        if found:
            self.runs.append(to_result("fanout", self.system, found, rss_kb_per_conn=None if self.system.raw else self.rss))
        else:
            self.ctx.none_kept(self.system)


def bytes_of(side):
    """What one delivery takes on the wire, from a moment in which nothing is packed."""
    found = side.load.run(5, 1, warmup=0, senders=SENDERS)
    assert flawless(found), f"{side.system.name} at 5 msg/s: {flaws(found)}"
    return found["bytes"] / found["delivered"]


def run(ctx):
    for n in [200] if ctx.quick else ctx.args.conns or CONNS:
        with contextlib.ExitStack() as stack:
            sides = [Side(ctx, stack, make(), n) for make in ctx.systems.values()]
            size = bytes_of(sides[0])
            if ctx.quick:
                quick(ctx, sides[0])
                continue
            raw = Side(ctx, stack, RawSend(padding=max(0, int(size) - 128 - 14)), n)
            for _ in range(ctx.repeat):
                for side in [raw, *sides]:
                    side.round()
            limit = ctx.emit(raw.runs, main="per_s")
            for side in sides:
                if side.runs:
                    ctx.emit(side.runs, limit, main="per_s")


def quick(ctx, side):
    """Counts, at a rate that every machine keeps: nothing lost, one segment at most and so many bytes a delivery."""
    found = side.load.run(50, ctx.args.seconds, senders=SENDERS, settle=20)
    ctx.emit([to_result("fanout", side.system, found)])
    name = side.system.name
    ctx.check(f"{name}: deliveries that are missing or doubled", abs(found["expected"] - found["delivered"]) + found["doubled"], 0)
    ctx.check(f"{name}: breaks of chains, errors, closed connections", found["breaks"] + found["errors"] + found["closed"], 0)
    ctx.check(f"{name}: sends per delivery", found["segments"] / found["delivered"], 1.05)  # that the clients' kernel saw: segments with data
    ctx.check(f"{name}: bytes per delivery of 128 bytes", found["bytes"] / found["delivered"], 640)
    try:
        calls_per_delivery(ctx, side, name)
    except PermissionError as why:
        ctx.say(f"NOT COUNTED, for nobody may trace a process here: {name}: calls of the gateway per delivery ({why})")


def calls_per_delivery(ctx, side, name):
    with counted(side.system.pids()[side.system.front()], ctx.dir) as calls:
        traced = side.load.run(TRACED_RATE, ctx.args.seconds, warmup=0, senders=SENDERS, settle=20)
    ctx.say(f"{name}: of the gateway's calls for {traced['delivered']} deliveries: " + ", ".join(f"{n} {call}" for call, n in sorted(calls.items(), key=lambda x: -x[1])[:6]))
    ctx.check(f"{name}: calls of the gateway per delivery", sum(calls.values()) / traced["delivered"], CALLS)


def chart(results):
    return ("Fan-out in one room", f"deliveries a second with p99 within {BOUND_MS} ms; more is better",
            [(f"{r.system}, {r.conns:,} clients", r.system, r.per_s) for r in results])
