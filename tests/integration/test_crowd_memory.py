"""What a crowd of connections took serves the next one: nothing of it is lost when it leaves."""

import asyncio
import os
import subprocess
from pathlib import Path

from support.client import Client
from support.stack import wait_until

CROWD = 1500


async def crowd(stack, n):
    """n people come, one of them speaks to all, and all leave."""
    gate = asyncio.Semaphore(50)
    members = [Client(stack, f"crowd-{i}") for i in range(n)]

    async def come(member):
        async with gate:
            await member.connect(timeout=60)

    try:
        await asyncio.gather(*map(come, members))
        peak = stack.rss_kb("gateway")
        ack = await members[0].send("general", "x" * 4096)
        await asyncio.gather(*(member.wait_seq("general", ack["seq"]) for member in members))
    finally:
        await asyncio.gather(*(member.close() for member in members))
    return peak


async def test_a_further_crowd_costs_no_more_than_the_first(own_stack):
    stack = own_stack(PARLEY_RATE_LIMITS="off")
    before = stack.rss_kb("gateway")
    peaks, left = [], []
    for _ in range(3):
        peaks.append(await crowd(stack, CROWD))
        wait_until(lambda: stack.metric("gateway", "parley_gateway_connections") == 0, 30, "the crowd has left")
        left.append(stack.rss_kb("gateway"))
    note = f"KB: {before} before, {peaks} with the crowd, {left} after it"
    print(note)
    # The first crowd warms up tables and allocators; what every further one left behind would be lost for good
    assert left[2] <= left[0] + CROWD, note  # less than a KB for each that came, twice
    assert peaks[2] <= peaks[0] * 1.1 + 1024, note


def test_the_gateway_allocates_with_jemalloc(stack):
    assert stack.run_dir  # a program of this machine, not of a container
    program = Path(stack.env["PARLEY_BUILD_DIR"]) / "services/gateway/parley-gateway"
    found = subprocess.run([program, "--print-config-docs"], env={**os.environ, "MALLOC_CONF": "stats_print:true"}, capture_output=True, text=True, timeout=30)
    assert found.returncode == 0 and "Begin jemalloc statistics" in found.stderr, found.stderr[:500]
