"""Memory, open files and queues of the running parts: the levels that have to come back."""

import os
import re

import httpx
import nats

RSS_SHARE, RSS_MB = 1.2, 12      # of allocators and caches that warm up in the first seconds: 0 to 2 MB in most faults
LATE_SHARE, LATE_MB = 1.3, 32    # of nats-server, whose collector gives back late, and of Postgres, which keeps plans and catalogues for each connection
FILES = 8                        # connections of pools that come and go
CONSUMERS = 8                    # readers of the log and of buckets that began anew, until JetStream forgets the old ones
FORGOTTEN_S = 60                 # it forgets services' own consumers after half of that

# What nobody adds to when all is said: nothing waits
WAITS = re.compile(r"(gateway_pending|queue_bytes|kept_bytes|receive_bytes|backlog|queued|inflight|s3_running|s3_waiting|lag_events|outbox_rows|transfers|reads)$")
# What is there for each client, and for what members did: as much as before, with the same members. Of what is kept without a session (users, channels, tails) the limits
# are tested elsewhere
STANDS = re.compile(r"(sessions|connections|watched|watch_bytes|focused_channels|seen_users|online_users|waiting|held)$")
ONLINE = "presence parley_presence_online_users"
# Taken once a second, in step with jobs that run once a second; and what members have begun and left stays for a day, in case that they go on with it
NOT_WATCHED = ("parley_history_pg_busy", "parley_upload_pending")


def slack(name, before):
    """What a level may be afterwards."""
    if name.endswith(" MB"):
        share, mb = (LATE_SHARE, LATE_MB) if name.startswith(("nats-server", "postgres")) else (RSS_SHARE, RSS_MB)
        return before * share + mb
    if name.endswith((" files", " processes", "pg_connections")):
        return before + FILES
    if name.endswith(" consumers"):
        return before + CONSUMERS
    return 0 if WAITS.search(name) else before


def of_processes(name, pids):
    """Of a family (Postgres has a process for each connection) what its processes have for themselves: they share their buffers, whose size is a setting."""
    if len(pids) == 1:
        return {f"{name} rss MB": rss_mb(pids[0]), f"{name} files": len(os.listdir(f"/proc/{pids[0]}/fd"))}
    own = [kb for kb in map(own_kb, pids) if kb is not None]
    return {f"{name} own MB": sum(own) // 1024, f"{name} processes": len(own)}


def rss_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) // 1024


def own_kb(pid):
    try:
        return int(re.search(r"Pss_Anon:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read())[1])
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended meanwhile


def gauges(name, text):
    """The gauges of a service that say how much waits or stands, each summed over its labels."""
    known = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE") and line.endswith(" gauge")}
    levels = {}
    for line in text.splitlines():
        metric = line.split("{")[0].split(" ")[0]
        if metric in known and metric not in NOT_WATCHED and (WAITS.search(metric) or STANDS.search(metric)):
            levels[f"{name} {metric}"] = levels.get(f"{name} {metric}", 0) + float(line.rsplit(" ", 1)[1])
    return levels


def measure(parts):
    """parts: name -> (pids, address of the admin port or None). Clients go from one gateway to another: what gateways say counts together."""
    levels = {}
    for name, (pids, admin) in parts.items():
        levels |= of_processes(name, pids)
        if admin:
            for level, value in gauges("gateways" if name.startswith("gateway") else name, httpx.get(admin + "/metrics", timeout=10).text).items():
                levels[level] = levels.get(level, 0) + value
    return levels


async def consumers(nats_url):
    """Of JetStream: how many it has, and how many of them it would keep for ever though nobody asks."""
    nc = await nats.connect(nats_url.split(","))  # a cluster has several
    try:
        js, found = nc.jetstream(), []
        for stream in await js.streams_info():
            found += await js.consumers_info(stream.config.name) if stream.state.consumer_count else []
    finally:
        await nc.close()
    return {"jetstream consumers": len(found), "jetstream consumers_kept": sum(not 0 < (c.config.inactive_threshold or 0) <= FORGOTTEN_S for c in found)}
