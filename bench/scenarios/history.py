"""Pages of a channel of two million messages: by REST, and the same rows by SQL."""

import os
import random

from harness.deep import CHANNEL, OWNER, STEP, Deep
from harness.pages import Rest, Statement, percentile, steady
from harness.result import Result
from support.log import database

HELP = "pages of a channel of 2,000,000 messages: the first, some of the middle, the deepest, around any; limit: the same rows by SQL"
QUICK = PARLEY_ALONE = True
MESSAGES, MESSAGES_QUICK = int(os.environ.get("PARLEY_BENCH_MESSAGES", 2_000_000)), 50_000
RATE = 200  # pages a second, one after the other: a fraction of what history can do, so that waiting is not what is measured
KINDS = ("first", "middle", "deepest", "around")
LIMIT = 50
WARM_UP = 50  # pages of each kind that are not counted
DEEP_RATIO = 1.5

COLUMNS = ("channel_id, seq, id, sender_id, sender_name, content, type, thread_id, reply_to, array_to_string(mentions, ','), created_ns, updated_ns, "
           "deleted_seq")
DOWN = f"SELECT {COLUMNS} FROM messages WHERE channel_id = $1::text AND seq < $2::bigint ORDER BY seq DESC LIMIT {LIMIT + 1}"
AROUND = (f"(SELECT {COLUMNS} FROM messages WHERE channel_id = $1::text AND seq <= $2::bigint ORDER BY seq DESC LIMIT {LIMIT // 2 + 1}) UNION ALL "
          f"(SELECT {COLUMNS} FROM messages WHERE channel_id = $1::text AND seq > $2::bigint ORDER BY seq LIMIT {LIMIT // 2 + 1}) ORDER BY seq")


def cursors(deep, kind, n, seed):
    """Where the pages are: never one page only, but for the first."""
    low, high = {"first": (deep.n, deep.n), "middle": (deep.n * 4 // 10, deep.n * 6 // 10), "deepest": (LIMIT + 1, deep.n // 200),
                 "around": (LIMIT, deep.n - LIMIT)}[kind]
    random.seed(seed)
    return [deep.first + random.randint(low, high) * STEP for _ in range(n)]


def target(kind, cursor):
    query = {"first": "", "around": f"around={cursor}&"}.get(kind, f"before={cursor}&")
    return f"/api/channels/{CHANNEL}/messages?{query}limit={LIMIT}"


def result(system, taken):
    return Result(scenario="history", system=system, rate=RATE, sent=len(taken), delivered=len(taken), p50_ms=percentile(taken, 0.5) * 1e3,
                  p99_ms=percentile(taken, 0.99) * 1e3, p999_ms=percentile(taken, 0.999) * 1e3)


def verify(deep, rest, down):
    """Both answer what was asked for: the deepest page ends at the very first message."""
    body = rest.get(target("deepest", deep.first + LIMIT * STEP))
    assert body.count(b'"senderId"') == LIMIT and f'"seq":{deep.first},'.encode() in body, body[:300]
    assert down.rows(CHANNEL, deep.first + LIMIT * STEP) == LIMIT


def measure(ctx, deep, requests):
    """requests: {(system, kind): function of a cursor}. They take turns, so that whatever disturbs the machine disturbs all of them."""
    n, runs = int(RATE * ctx.args.seconds), {name: [] for name in requests}
    for i in range(-1, ctx.repeat):  # the first time is not counted
        where = {kind: cursors(deep, kind, WARM_UP if i < 0 else n, f"{kind}{i}") for kind in KINDS}
        turns = [(name, cursor) for row in zip(*(where[kind] for _, kind in requests)) for name, cursor in zip(requests, row)]
        taken = steady(lambda turn: requests[turn[0]](turn[1]), turns, RATE)
        for name, found in runs.items() if i >= 0 else ():
            found.append(result(" ".join(name), [seconds for (whose, _), seconds in zip(turns, taken) if whose == name]))
    return runs


def run(ctx):
    requests = {}
    with Deep(MESSAGES_QUICK if ctx.quick else MESSAGES) as deep, database(deep.stack) as db, Rest(deep.url, deep.stack.token(OWNER)) as rest:
        down, around = Statement(db, "down", DOWN), Statement(db, "around", AROUND)
        verify(deep, rest, down)
        for kind in KINDS:
            statement = around if kind == "around" else down
            requests["raw", kind] = lambda cursor, statement=statement: statement.rows(CHANNEL, cursor)
            requests["parley", kind] = lambda cursor, kind=kind: rest.get(target(kind, cursor))
        runs = measure(ctx, deep, requests)
    found = {}
    for kind in KINDS:
        limit = ctx.emit(runs["raw", kind], main="p50_ms")
        found[kind] = ctx.emit(runs["parley", kind], limit, main="p50_ms")
    for kind in KINDS[1:]:
        ctx.check(f"history: p50 of the {kind} page over that of the first", found[kind].p50_ms / found["first"].p50_ms, DEEP_RATIO)


def chart(results):
    return ("A page of 50 from a channel of 2,000,000 messages", "p50 in ms: by REST, and the same rows by SQL",
            [(r.system, r.system, r.p50_ms) for r in results])
