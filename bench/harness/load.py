"""The load generator (bench/load, C) as an object: connections that stay while loads of several rates are put on them."""

import collections
import json
import subprocess
import time

from . import procs
from .result import Result
from .system import ROOT

BINARY = ROOT / "build/release/bench/load/parley-bench"


IN_STEP = 0.95  # as fast as it was sent, and the bound for the last one, everything has to come


class LoadError(Exception):
    """The generator could not do what it was asked to; its own words are in the message."""


class Load:
    """`with Load(system, clients, folder) as load: load.connect(); load.run(rate=500, seconds=5)`."""

    def __init__(self, system, clients, folder, procs=1, payload=128, name=None, watch=0):
        self.system, self.clients = system, clients
        name = name or system.name
        self.errors, plan = folder / f"load-{name}.stderr", folder / f"plan-{name}"
        plan.write_text("".join(f"{c.user} {c.token} {','.join(c.rooms) or '-'}\n" for c in clients))
        d = system.dialect
        options = {"url": system.url, "plan": plan, "procs": procs, "payload": payload, "speak": d.speak, "protocol": d.protocol, "hello": d.hello,
                   "join": d.join, "ready": d.ready, "send": d.send, "event": d.event, "ack": d.ack, "audience": system.audience,
                   "watch": watch or ""}
        self.command = [str(BINARY), "load", *(f"--{k}={v}" for k, v in options.items() if v != "")]

    def __enter__(self):
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1)
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def restart(self):
        """The same clients anew, where a load has cost some of them their connection."""
        n, _ = self.connected, self.__exit__()
        self.__enter__()
        self.connect(n)

    def ask(self, command, **values):
        """One command, one line of JSON as the answer."""
        try:
            self.process.stdin.write(" ".join([command, *(f"{k}={v}" for k, v in values.items())]) + "\n")
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait(30)
            raise LoadError(f"{self.system.name}, {command}: {self.errors.read_text().strip() or 'the load generator ended'}")
        found = json.loads(answer)
        if "error" in found:
            raise LoadError(f"{self.system.name}, {command}: {found['error']} {self.errors.read_text().strip()}")
        return found

    def connect(self, n=None):
        """Connects until the first n clients of the plan (all, when not given) are ready."""
        self.connected = n or len(self.clients)
        return self.ask("connect", n=self.connected)

    def run(self, rate, seconds, warmup=0.5, senders=None, edits=0, settle=10, front=None):
        """An open-loop load of `rate` messages a second; returns what the generator measured, with the system's CPU time.

        What is sent in the first `warmup` seconds counts for losses, not for percentiles. settle: how long after the last
        send deliveries are waited for. front: a process whose time is told apart, of the load alone.
        """
        pids = list(self.system.pids().values())
        cpu = procs.cpu_s(pids)
        own = procs.run_s(front) if front else 0
        found = self.ask("load", rate=rate, seconds=seconds, warmup=warmup, senders=senders or len(self.clients), edits=edits, settle=settle)
        found["front_s"] = procs.run_s(front) - own if front else None
        found["answered"] = time.monotonic()
        found["cpu_us"] = (procs.cpu_s(pids) - cpu) * 1e6 if pids else None
        found["complaint"] = self.errors.read_text().strip()[-400:]
        return found


def flawless(found):
    """All was sent that was meant to be, and nothing lost, doubled, refused, closed, and every chain whole."""
    return (0 < found["sent"] == found["meant"] and found["delivered"] == found["expected"] and found["acked"] == found["to_ack"]
            and not any(found[k] for k in ("doubled", "breaks", "errors", "closed")))


def kept(found, bound_ms):
    """Flawless, p99 within the bound, and in step: a queue that grows all the time ends long after the last message was sent."""
    seconds = found["sent"] / found["rate"]
    return flawless(found) and found["measured"] > 0 and found["p99_ms"] <= bound_ms and found["seconds"] <= seconds / IN_STEP + bound_ms / 1000


def quantile_ms(loads, q):
    """Of the deliveries of several loads together."""
    counts = collections.Counter()
    for found in loads:
        counts.update(dict(found["counts"]))
    want, seen = q * counts.total(), 0
    for ns in sorted(counts):
        seen += counts[ns]
        if seen >= want:
            return ns / 1e6
    raise LoadError("nothing was delivered")


def flaws(found):
    """What was not flawless, in words."""
    keys = ("meant", "sent", "expected", "delivered", "to_ack", "acked", "doubled", "breaks", "errors", "closed", "closes", "complaint")
    return ", ".join(f"{k} {found[k]}" for k in keys if found[k])


def to_result(scenario, system, found, **fields):
    cpu = found.get("cpu_us")
    known = dict(scenario=scenario, system=system.name, conns=found["conns"], rate=found["rate"], sent=found["sent"], delivered=found["delivered"],
                  p50_ms=found["p50_ms"], p99_ms=found["p99_ms"], p999_ms=found["p999_ms"], per_s=found["per_s"],
                  cpu_us_per_msg=cpu / found["delivered"] if cpu is not None and found["delivered"] else None)
    return Result(**{**known, **fields})
