"""What a connection costs that says nothing: the memory of the process that holds it, more than it had without connections.

Each client is in ten channels of a thousand. The raw limit is a bare server that keeps a file descriptor and a place in a list.
"""

import contextlib

from harness import procs
from harness.raw import RawSend
from harness.result import Result
from harness.system import Client

HELP = "memory per connection at 1,000, 5,000 and 10,000, subprotocols json and proto · raw: a bare server"
QUICK = True
CONNS = (1000, 5000, 10000)
CHANNELS, EACH = 1000, 10
GOAL_KB = 8


def clients(n):
    return [Client(f"idle-{u}", tuple(f"idle-room-{c}" for c in sorted({(u * 7 + k * 101) % CHANNELS for k in range(EACH)}))) for u in range(n)]


def variants(ctx):
    for name, make in ctx.systems.items():
        if name == "parley":
            yield "parley-json", make("json")
            yield "parley-proto", make("proto")
        else:
            yield name, make()


def measure(ctx, name, system, ready, counts):
    """One process from its start through all counts; ready: clients that are provisioned."""
    pid, results = system.pids()[system.front()], []
    before = procs.rss_kb(pid)
    with ctx.load_ready(system, ready) as load:
        for n in counts:
            load.connect(n)
            hold = load.ask("load", rate=1, seconds=1, senders=1)  # one message, so that what is idle was also used
            kb = (procs.rss_kb(pid) - before) / n
            ctx.say(f"{name}: {n} connections, {kb:.2f} KB each")
            results.append(Result("idle", name, conns=n, sent=hold["sent"], delivered=hold["delivered"], rss_kb_per_conn=kb))
    return results


def run(ctx):
    counts = [1000] if ctx.quick else sorted(ctx.args.conns or CONNS)
    runs = {}
    with contextlib.ExitStack() as stack:
        sides = [(name, stack.enter_context(ctx.started(system))) for name, system in variants(ctx)]
        ready = {name: system.provision(clients(counts[-1])) for name, system in sides}
        for _ in range(ctx.repeat):
            with ctx.started(RawSend()) as raw:
                collect(runs, measure(ctx, "raw-server", raw, clients(counts[-1]), counts))
            for name, system in sides:
                system.restart_front()
                collect(runs, measure(ctx, name, system, ready[name], counts))
    for n in counts:
        limit = ctx.emit(runs["raw-server", n], main="rss_kb_per_conn")
        for name, _ in sides:
            result = ctx.emit(runs[name, n], limit, main="rss_kb_per_conn")
            if ctx.quick:
                ctx.check(f"{name}: KB a connection at {n}", result.rss_kb_per_conn, GOAL_KB)


def collect(runs, results):
    for result in results:
        runs.setdefault((result.system, result.conns), []).append(result)


def chart(results):
    return ("Memory of an idle connection", "KB of the server's memory; less is better",
            [(f"{r.system}, {r.conns:,} connections", r.system, r.rss_kb_per_conn) for r in results])
