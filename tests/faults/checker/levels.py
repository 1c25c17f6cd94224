"""Memory, open files and queues of the running parts: the levels that have to come back."""

import os
import re

import httpx

RSS_SHARE, RSS_MB = 1.3, 32      # of allocators and caches that warm up in the first seconds
FILES = 8                        # connections of pools that come and go
# not parley_history_pg_busy: it is taken once a second, in step with jobs that run once a second
# Nor what members have begun and left: it stays for a day, in case that they go on with it
STAYS = ("parley_upload_pending",)
QUEUES = re.compile(r"(pending|queue|queued|waiting|lag_events|outbox_rows|held|inflight)")


def slack(name, before):
    if name.endswith("rss MB"):
        return before * RSS_SHARE + RSS_MB
    return before + (FILES if name.endswith("files") else 0)


def of_process(name, pid):
    status = open(f"/proc/{pid}/status").read()
    return {f"{name} rss MB": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024, f"{name} files": len(os.listdir(f"/proc/{pid}/fd"))}


def queues(name, text):
    """The gauges of a service that say how much waits."""
    gauges = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE") and line.endswith(" gauge")}
    levels = {}
    for line in text.splitlines():
        metric = line.split("{")[0].split(" ")[0]
        if metric in gauges and metric not in STAYS and QUEUES.search(metric):
            levels[f"{name} {metric}"] = levels.get(f"{name} {metric}", 0) + float(line.rsplit(" ", 1)[1])
    return levels


def measure(parts):
    """parts: name -> (pid, address of the admin port or None)."""
    levels = {}
    for name, (pid, admin) in parts.items():
        levels |= of_process(name, pid)
        if admin:
            levels |= queues(name, httpx.get(admin + "/metrics", timeout=10).text)
    return levels
