"""What a message takes from the intended time of sending to each of two clients, at a steady rate.

The raw limit is one JetStream publish, acknowledged, plus one WebSocket echo, each measured alone, percentile by percentile: what a durable
message costs at least when nothing else happens.
"""

import contextlib

from harness.load import flawless, flaws, to_result
from harness.raw import RawEcho, RawNats
from harness.result import Result
from harness.system import Client

HELP = "500 and 5,000 msg/s between two clients · raw: serial JetStream ack + bare echo"
QUICK = True
RATES = (500, 5000)
EVENT = 250  # bytes that an event of 128 bytes of content takes in the log


def clients():
    return [Client(f"lat-{i}", ("lat-room-1",)) for i in (1, 2)]


def raw_result(rate, echo, ack):
    sums = {p: echo[p] + ack[p] for p in ("p50_ms", "p99_ms", "p999_ms")}
    return Result("latency", "raw-ack+echo", conns=2, rate=rate, sent=ack["sent"], delivered=ack["acked"], per_s=ack["per_s"], **sums)


def run(ctx):
    with contextlib.ExitStack() as stack:
        nats = stack.enter_context(ctx.started(RawNats()))
        echo = stack.enter_context(ctx.started(RawEcho()))
        systems = [stack.enter_context(ctx.started(make())) for make in ctx.systems.values()]
        loads = {}
        for system in [echo, *systems]:
            loads[system] = stack.enter_context(ctx.load(system, clients()))
            loads[system].connect()
        for rate in RATES[:1] if ctx.quick else RATES:
            measure(ctx, rate, nats, echo, systems, loads)


def measure(ctx, rate, nats, echo, systems, loads):
    raw, runs = [], {system: [] for system in systems}
    for system in [echo, *systems]:
        loads[system].run(rate, 1)  # files, caches and code are warm; not counted
    for _ in range(ctx.repeat):
        heard = loads[echo].run(rate, ctx.args.seconds)
        raw.append(raw_result(rate, heard, nats.publish("serial-ack", rate, ctx.args.seconds, EVENT)))
        for system in systems:
            found = loads[system].run(rate, ctx.args.seconds)
            if not flawless(found):
                ctx.say(f"{system.name} at {rate} msg/s: {flaws(found)}")
            if system.name == "parley":  # peers may fall behind
                ctx.check(f"{system.name} at {rate} msg/s: loads with something lost, doubled, refused or unanswered", int(not flawless(found)), 0)
            runs[system].append(to_result("latency", system, found))
            system.settle()
    limit = ctx.emit(raw, main="p50_ms")
    for system in systems:
        result = ctx.emit(runs[system], limit, main="p50_ms")
        ctx.say(f"{system.name} at {rate} msg/s over raw: " + ", ".join(
            f"{p[:-3]} {getattr(result, p) / getattr(limit, p):.2f}×" for p in ("p50_ms", "p99_ms", "p999_ms")))


def chart(results):
    return ("Latency of a message between two clients", "p50 and p99 in ms, from the intended time of sending; less is better",
            [(f"{r.system} {r.rate:g}/s {name}", r.system, getattr(r, field)) for r in results for name, field in (("p50", "p50_ms"), ("p99", "p99_ms"))])
