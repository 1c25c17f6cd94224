"""The line of a result: one system in one scenario, the median of n runs."""

import collections
import dataclasses
import json
import statistics


@dataclasses.dataclass
class Result:
    scenario: str
    system: str
    conns: int = 0
    rate: float = None  # messages meant to be sent a second, all senders together; None: as fast as it goes
    sent: int = 0
    delivered: int = 0  # messages received by all clients together; for raw limits what they count instead
    ratio: float = None  # the scenario's main figure over that of the raw limit of the same run; 1 for the limit itself
    p50_ms: float = None  # from the intended time of sending to the receipt
    p99_ms: float = None
    p999_ms: float = None
    per_s: float = None  # delivered a second; where a scenario counts something else, its help says so
    rss_kb_per_conn: float = None  # memory of the process that holds the connections, more than without them
    cpu_us_per_msg: float = None  # processor time of all processes of the system for each one delivered
    n: int = 1  # runs that this is the median of

    def line(self):
        return json.dumps({k: _short(v) for k, v in dataclasses.asdict(self).items()})


FIELDS = tuple(f.name for f in dataclasses.fields(Result))
MEASURED = ("rate", "sent", "delivered", "ratio", "p50_ms", "p99_ms", "p999_ms", "per_s", "rss_kb_per_conn", "cpu_us_per_msg")


def _short(value):
    """Four digits tell all that a run can tell."""
    if not isinstance(value, float):
        return value
    return round(value, 4) if abs(value) < 10 else round(value, 2) if abs(value) < 1000 else round(value)


def median(values):
    """Of those that were measured; None when none was."""
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def median_of(results):
    """Several runs of one system as one result: each figure is the median of its own."""
    first = results[0]
    figures = {name: median([getattr(r, name) for r in results]) for name in MEASURED}
    for name in ("sent", "delivered"):
        figures[name] = int(figures[name])
    return dataclasses.replace(first, **figures, n=len(results))


File = collections.namedtuple("File", "header results checks")


def read(path):
    """(header, results, counts) of a file that scripts/bench wrote."""
    header, results, checks = {}, [], []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if "system" in entry:
            results.append(Result(**entry))
        elif "check" in entry:
            checks.append(entry)
        else:
            header = entry
    return File(header, results, checks)
