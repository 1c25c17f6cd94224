#!/usr/bin/env python3
"""How fast history ingests, beside what the same Postgres takes at its best.

usage: .deps/venv/bin/python bench/ingest.py [--events N] [--channels N] [--bytes N] [--build NAME]

Fills a private stack's log while history is stopped, starts history, and times its way to the end. Then, in the same run and the same
Postgres, writes as many rows of the same kind (one of `events` and one of `messages` for each event, with their keys, not partitioned):
by COPY in one piece, and by INSERT … SELECT unnest() in transactions of 500. fsync and all else as the local stack has it.
Figures of seconds move with the machine; the ratios hold. Processor time is of the server process that does the work.
"""

import argparse
import asyncio
import os
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.log import Log, database  # noqa: E402
from support.stack import Stack  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
BATCH = 500

RAW = """
DROP TABLE IF EXISTS raw_events, raw_messages;
CREATE TABLE raw_events (channel_id text COLLATE "C", seq bigint, prev bigint, kind smallint, removed smallint, actor_id text COLLATE "C",
        id text COLLATE "C", created_ns bigint, target_seq bigint, fingerprint bytea, payload bytea, PRIMARY KEY (channel_id, seq),
        UNIQUE (channel_id, id, actor_id));
CREATE TABLE raw_messages (channel_id text COLLATE "C", seq bigint, id text COLLATE "C", sender_id text COLLATE "C", sender_name text, content text,
        type smallint, created_ns bigint, n bigint, PRIMARY KEY (channel_id, seq));
"""
EVENT_TYPES = ("text", "int8", "int8", "int2", "int2", "text", "text", "int8", "int8", "bytea", "bytea")
MESSAGE_TYPES = ("text", "int8", "text", "text", "text", "text", "int2", "int8", "int8")


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def fill(stack, args):
    async with Log(stack) as log:
        began = time.monotonic()
        last = 0
        for start in range(0, args.events, 20000):
            last = max(await log.publish_many([
                log.message(f"bench-{i % args.channels}", f"user-{i % 200}", "x" * args.bytes)
                for i in range(start, min(args.events, start + 20000))]))
        print(f"filled the log with {args.events} events in {time.monotonic() - began:.1f} s")
        return last


def ingest(stack, last, n):
    with database(stack) as db:
        stack.start("history")

        def at():
            return db.execute("SELECT last_seq FROM streams WHERE name = 'CHAT_0'").fetchone()[0]

        first = at()
        while (now := at()) == first:
            time.sleep(0.002)  # the resolution of the beginning
        began, begun_at, used = time.monotonic(), now, cpu(stack.pid("history"))
        while at() < last:
            time.sleep(0.01)  # the resolution of the end
        seconds = time.monotonic() - began
        backends = [pid for pid, in db.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'parley-history-%'").fetchall()]
        report("history", last - begun_at, seconds, max(cpu(pid) for pid in backends))
        print(f"  of it in the process itself: {(cpu(stack.pid('history')) - used) / (last - begun_at) * 1e6:.1f} µs an event")
        return (last - begun_at) / seconds


def report(name, n, seconds, used):
    print(f"{name:10} {n / seconds:8.0f} events/s ({2 * n / seconds:8.0f} rows/s), Postgres used {used / n * 1e6:5.1f} µs an event")


def rows(args):
    for i in range(args.events):
        channel, user, id = f"bench-{i % args.channels}", f"user-{i % 200}", str(uuid.uuid4())
        yield ((channel, i + 1, i, 10, None, user, id, 1700000000000000000 + i, None, os.urandom(16), None),
               (channel, i + 1, id, user, user.capitalize(), "x" * args.bytes, 0, 1700000000000000000 + i, i))


def raw_copy(db, made):
    began, used = time.monotonic(), cpu(db.info.backend_pid)
    with db.transaction():
        for table, types, part in (("raw_events", EVENT_TYPES, 0), ("raw_messages", MESSAGE_TYPES, 1)):
            with db.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(types)
                for row in made:
                    copy.write_row(row[part])
    seconds = time.monotonic() - began
    report("COPY", len(made), seconds, cpu(db.info.backend_pid) - used)
    return len(made) / seconds


def raw_unnest(db, made):
    def sql(table, types):
        return f"INSERT INTO {table} SELECT * FROM unnest({', '.join(f'%b::{t}[]' for t in types)})"

    statements = (sql("raw_events", EVENT_TYPES), sql("raw_messages", MESSAGE_TYPES))
    batches = [[list(map(list, zip(*(row[part] for row in made[start:start + BATCH])))) for part in (0, 1)] for start in range(0, len(made), BATCH)]
    began, used = time.monotonic(), cpu(db.info.backend_pid)
    for batch in batches:
        with db.transaction():
            for statement, columns in zip(statements, batch):
                db.execute(statement, columns)
    seconds = time.monotonic() - began
    report("unnest", len(made), seconds, cpu(db.info.backend_pid) - used)
    return len(made) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100000)
    parser.add_argument("--channels", type=int, default=50)
    parser.add_argument("--bytes", type=int, default=128)
    parser.add_argument("--build", default="release")
    args = parser.parse_args()
    stack = Stack(build=args.build)
    try:
        stack.up()
        stack.stop("gateway")
        stack.stop("history")
        last = asyncio.run(fill(stack, args))
        rate = ingest(stack, last, args.events)
        stack.stop("history")
        made = list(rows(args))
        for name, work in (("COPY", raw_copy), ("unnest", raw_unnest)):
            with database(stack) as db:
                db.prepare_threshold = None
                db.execute(RAW)
                db.prepare_threshold = 0
                print(f"  history / {name}: {rate / work(db, made):.2f}")
    finally:
        stack.down()


if __name__ == "__main__":
    main()
