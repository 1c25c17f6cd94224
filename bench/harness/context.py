"""What a scenario is given: its options, the systems it is to measure, and where results go."""

import contextlib
import datetime
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from support.machine import commit_of, machine

from . import plot, table
from .load import Load
from .result import median_of
from .system import BENCH

RESULTS = BENCH / "results"


class Context:
    """One run of one scenario."""

    def __init__(self, scenario, args, systems, results=RESULTS):
        self.scenario, self.args, self.systems, self.folder = scenario, args, systems, results
        self.quick, self.repeat = args.quick, args.repeat
        self.results, self.checks, self.notes, self.sound = [], [], [], True
        self.dir = Path(tempfile.mkdtemp(prefix="parley-bench-"))
        self.dir.chmod(0o755)

    # --- for scenarios ---

    def say(self, text):
        print(f"[{self.scenario}] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def started(self, system):
        """The system, running."""
        began = time.monotonic()
        try:
            system.start()
            self.say(f"{system.name} is ready ({time.monotonic() - began:.1f} s)")
            yield system
        finally:
            system.stop()

    def load(self, system, clients, **options):
        """Clients of a running system, provisioned and not yet connected."""
        return Load(system, system.provision(clients), self.dir, **options)

    def load_ready(self, system, clients, **options):
        """The same for clients that provision() has returned."""
        return Load(system, clients, self.dir, **options)

    def emit(self, runs, limit=None, main=None):
        """The runs of one system become one result and one line. limit: the raw limit's result, main: the field that `ratio` compares."""
        result = median_of(runs)
        if main:
            value, base = getattr(result, main), getattr(limit or result, main)
            result.ratio = value / base if value is not None and base else None
        print(result.line(), flush=True)
        self.results.append(result)
        return result

    def check(self, what, value, bound, at_least=False):
        """A count that must hold on every machine: told with its bound, and the run fails when it does not; its figures are not kept."""
        ok = self.goal(what, value, bound, at_least)
        self.sound = self.sound and ok
        return ok

    def goal(self, what, value, bound, at_least=False):
        """What the project set out to reach: the run fails when it is missed, too, and its figures are kept, as they are true."""
        ok = value >= bound if at_least else value <= bound
        self.checks.append((what, value, bound, ok))
        self.say(f"{'ok    ' if ok else 'FAILED'} {what}: {value:.4g}, {'at least' if at_least else 'at most'} {bound:g}")
        return ok

    def note(self, what, value):
        """A figure that is kept beside the results and held against nothing."""
        self.notes.append((what, value))
        self.say(f"{what}: {value:.4g}")

    def none_kept(self, system):
        """A round of a search that kept no rate at all. A peer may be so slow; Parley must not vanish from the table without a word."""
        self.say(f"{system.name}: no rate was kept in this round")
        if system.name == "parley":
            self.check(f"{system.name}: rounds without a rate that was kept", 1, 0)

    def check_chains(self, system, found):
        """A rate may be too high for Parley, but at none may a chain break before a client: then nothing that was measured counts."""
        if system.name == "parley" and found["breaks"]:
            self.check(f"{system.name} at {found['rate']:g} msg/s: breaks of chains", found["breaks"], 0)

    # --- for run.py ---

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def name(self):
        """Of the files: a run with other systems or connections takes no other run's place."""
        beside = "+".join(system for system in self.systems if system != "parley")
        return self.args.name or "-".join([self.scenario, *map(str, self.args.conns or ()), *([beside] if beside else [])])

    def finish(self, chart):
        """Table, and unless it is a quick run the files in bench/results."""
        if not self.results:
            return
        text = table.markdown(self.results)
        print(f"\n### {self.scenario}\n\n{text}\n", flush=True)
        if self.quick or not self.sound:
            return  # what has lost a message has no figures
        self.folder.mkdir(exist_ok=True)
        header = {"command": "scripts/bench " + " ".join(self.args.given), **about()}
        counts = [json.dumps({"check": what, "value": value, "bound": bound}) for what, value, bound in [*(c[:3] for c in self.checks), *((*n, None) for n in self.notes)]]
        lines = [json.dumps(header), *(r.line() for r in self.results), *dict.fromkeys(counts)]
        name = self.name()
        (self.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        title, unit, rows = chart(self.results)
        note = f"{header['machine']} · {header['date']} · commit {header['commit']} · median of {min(r.n for r in self.results)} or more"
        (self.folder / f"{name}.svg").write_text(plot.bars(title, unit, rows, note))


def about():
    commit, changed = commit_of("lib", "services", "proto", "cmake", "bench/load", "bench/harness", "bench/scenarios")  # the last one that changed what is measured, or how
    return {"date": datetime.date.today().isoformat(), "machine": machine(), "commit": commit + (" with changes" if changed else "")}
