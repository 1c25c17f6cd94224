"""From the log into Postgres: rows a second, beside what the same Postgres takes of the same rows."""

import asyncio
import os
import time

from harness import procs, raw_rows
from harness.parley import Parley
from harness.result import Result
from support.log import Log, database

HELP = "history's way through a full log: per_s counts rows (two an event); limits: COPY and INSERT … unnest of the same rows"
QUICK = PARLEY_ALONE = True
EVENTS = int(os.environ.get("PARLEY_BENCH_EVENTS", 60_000))
EVENTS_QUICK = 20_000
CHANNELS, USERS, BYTES = 50, 200, 128
ROWS_PER_S = 20_000
OF_UNNEST = 0.15  # what a quick run asks for: on any machine, whatever else runs on it


async def fill(stack, events, run):
    """So many more messages in the log; the sequence of the last."""
    async with Log(stack) as log:
        last = 0
        for start in range(0, events, 20000):
            last = max(await log.publish_many([
                log.message(f"bench-{i % CHANNELS}", f"user-{i % USERS}", f"{run} {i} ".ljust(BYTES, "x"))
                for i in range(start, min(events, start + 20000))]))
        return last


def at(db):
    return db.execute("SELECT last_seq FROM streams WHERE name = 'CHAT_0'").fetchone()[0]


def result(system, n, seconds, cpu):
    return Result(scenario="ingest", system=system, sent=n, delivered=2 * n, per_s=2 * n / seconds, cpu_us_per_msg=cpu / n * 1e6)


def ingest(stack, db, last):
    """history starts and works through the log. Timed from its first transaction on: its start has nothing to do with the rate."""
    before = at(db)
    stack.start("history")
    while (first := at(db)) == before:
        time.sleep(0.001)  # the resolution of the beginning
    pids = [stack.pid("history"), stack.pid("postgres")]
    began, used = time.monotonic(), procs.cpu_s(pids)
    deadline = began + 120
    while at(db) < last:
        assert time.monotonic() < deadline, f"history is at {at(db)} and not at {last} after two minutes"
        time.sleep(0.005)  # and of the end
    seconds = time.monotonic() - began
    used = procs.cpu_s(pids) - used
    stack.stop("history")
    return before, result("parley", last - first, seconds, used)


def raw(stack, db, after, last, name, work):
    used = []
    seconds = work(db, after, last, lambda: used.append(procs.cpu_s([stack.pid("postgres")])))
    return result(name, last - after, seconds, procs.cpu_s([stack.pid("postgres")]) - used[0])


def run(ctx):
    runs = {"raw COPY": [], "raw unnest": [], "parley": []}
    with ctx.started(Parley()) as parley:
        stack = parley.stack
        stack.stop("gateway")
        stack.stop("history")
        with database(stack) as db:
            for i in range(ctx.repeat):
                last = asyncio.run(fill(stack, EVENTS_QUICK if ctx.quick else EVENTS, i))
                after, found = ingest(stack, db, last)
                runs["parley"].append(found)
                runs["raw COPY"].append(raw(stack, db, after, last, "raw COPY", raw_rows.copy))
                runs["raw unnest"].append(raw(stack, db, after, last, "raw unnest", raw_rows.unnest))
    limit = ctx.emit(runs["raw unnest"], main="per_s")
    ctx.emit(runs["raw COPY"], limit, main="per_s")
    found = ctx.emit(runs["parley"], limit, main="per_s")
    if ctx.quick:
        ctx.check("ingest: rows a second over unnest", found.ratio, OF_UNNEST, at_least=True)
    else:
        ctx.goal("ingest: rows a second", found.per_s, ROWS_PER_S, at_least=True)


def chart(results):
    return "Rows into Postgres", "rows a second: from the log by history, and the same rows without it", [(r.system, r.system, r.per_s) for r in results]
