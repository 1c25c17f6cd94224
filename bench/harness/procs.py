"""Memory and processor time of processes, from /proc."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def rss_kb(pid):
    return _memory(pid, "VmRSS:")


def peak_kb(pid):
    """The most that it ever had"""
    return _memory(pid, "VmHWM:")


def _memory(pid, which):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {pid} has no memory any more")


def family(pid):
    """The process and all its descendants: Postgres and brokers work in children."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue  # ended meanwhile
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, new = set(), [pid]
    while new:
        found.update(new)
        new = [c for p in new for c in children.get(p, ()) if c not in found]
    return found


def cpu_s(pids):
    """Seconds of processor time that these processes, their children and those children that have ended have used."""
    ticks = 0
    for pid in set().union(*(family(p) for p in pids)) if pids else ():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def run_s(pid):
    """Seconds of processor time of a process that starts no others and ends no thread, by the nanosecond and without much reading."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("[0-9]*/schedstat")) / 1e9
