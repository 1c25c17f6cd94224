"""Everybody is cut at once, misses fifty messages in the meantime, comes back without waiting, and must have them all with a whole chain.

p50 to p99.9 are of the clients: from the beginning of the storm until one has everything. per_s counts replayed messages over the whole, so
that the storm lasts delivered / per_s. The raw limit is a bare server to which as many come and which sends each as many bytes at once.
"""

import contextlib

from harness.load import flawless, flaws
from harness.raw import RawGreet
from harness.result import Result
from harness.system import Client

HELP = "10,000 clients cut at once resume 50 missed messages each; delivered / per_s is the time until all have all · raw: upgrade + as many bytes"
QUICK = PARLEY_ALONE = True
CLIENTS, EACH, MISSED = 10000, 100, 50
GOAL_S = 5


def plan(n):
    """Rooms of a hundred; one more client is in all of them and speaks while the others are away."""
    people = [Client(f"storm-{i}", (f"storm-room-{i // EACH}",)) for i in range(n)]
    return people, Client("storm-speaker", tuple(f"storm-room-{r}" for r in range((n + EACH - 1) // EACH)))


def storm(ctx, system, load, speaker, rooms):
    load.ask("cut")
    if speaker:
        found = speaker.run(2000, rooms * MISSED / 2000, warmup=0, senders=1, settle=30)
        assert flawless(found), f"{system.name}, while all are away: {flaws(found)}"
        system.settle()
    found = load.ask("resume", expect=MISSED, timeout=90)
    ctx.say(f"{system.name}: {found['filled']} of {found['conns']} have everything after {found['seconds']:.2f} s, {found['retries']} tries more, "
            f"{found['breaks']} breaks, {found['gaps']} gaps, closed {found['closed']} {found['closes']}")
    return found


def to_result(system, found, messages):
    return Result("storm", system.name, conns=found["conns"], sent=found["conns"] * MISSED, delivered=messages, p50_ms=found["p50_ms"],
                  p99_ms=found["p99_ms"], p999_ms=found["p999_ms"], per_s=messages / found["seconds"] if found["seconds"] else None)


def run(ctx):
    n = ctx.args.conns[0] if ctx.args.conns else 1000 if ctx.quick else CLIENTS
    people, speaker = plan(n)
    with contextlib.ExitStack() as stack:
        system = stack.enter_context(ctx.started(ctx.systems["parley"]()))
        *ready, speaker = system.provision([*people, speaker])
        load = stack.enter_context(ctx.load_ready(system, ready, procs=2))
        load.connect()
        voice = stack.enter_context(ctx.load_ready(system, [speaker], name="speaker"))
        voice.connect()
        # a cursor of 0 is none: everybody has heard something before
        voice.run(2000, len(speaker.rooms) / 2000, warmup=0, senders=1)
        raw, raw_load, raw_runs, runs = None, None, [], []
        for _ in range(ctx.repeat):
            found = storm(ctx, system, load, voice, len(speaker.rooms))
            ctx.check("clients without all that they missed", n - found["filled"], 0)
            ctx.check("messages doubled, breaks, gaps, errors", found["doubled"] + found["breaks"] + found["gaps"] + found["errors"], 0)
            runs.append(to_result(system, found, found["delivered"]))
            if raw is None:
                raw = stack.enter_context(ctx.started(RawGreet(found["bytes"] / n)))
                raw_load = stack.enter_context(ctx.load_ready(raw, people, procs=2))
                raw_load.connect()
            found = storm(ctx, raw, raw_load, None, 0)
            raw_runs.append(to_result(raw, found, found["filled"] * MISSED))
    limit = ctx.emit(raw_runs, main="per_s")
    ctx.emit(runs, limit, main="per_s")


def chart(results):
    return (f"{results[0].conns:,} clients come back at once", f"seconds until all have the {MISSED} messages that they missed; less is better",
            [(r.system, r.system, r.delivered / r.per_s) for r in results])
