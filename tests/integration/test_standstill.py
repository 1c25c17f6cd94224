"""Ingest that stands still, and a log that takes nothing more: what an operator's gauges say of them."""

import asyncio
import time

import pytest
from support.client import Client, Refused
from support.log import Log, database
from support.stack import wait_until


async def stands(stack, seconds):
    await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_ingest_lag_seconds") > seconds, 30, f"a lag of {seconds} s")


async def test_a_locked_table_is_seen_and_so_is_a_full_log(own_stack):
    """One shard of two stands still: the other, which has nothing to do, hides nothing"""
    stack = own_stack(PARLEY_SHARDS=2)
    channel = stack.channel("ada")
    async with Log(stack) as log, Client(stack, "ada") as ada:
        first = await ada.send(channel, "before")
        stack.wait_ingested("ada", channel, first["seq"])
        await asyncio.to_thread(wait_until, lambda: 0 < stack.metric("history", "parley_history_log_full_ratio") < 0.5, 30, "a log with room")
        with stack.postgres() as db, db.transaction():
            db.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
            for _ in range(5):
                await ada.send(channel, "not ingested")
            await stands(stack, 2)
            await stands(stack, 17)  # longer than a statement may take: ingest began anew, and the age goes on
            assert stack.metric("history", "parley_history_ingest_lag_events") >= 5
            await full(log, stack)
            with pytest.raises(Refused, match="unavailable"):
                await ada.send(channel, "no room")
        assert stack.metric("gateway", "parley_gateway_mutations_unavailable_total") >= 1
        assert stack.metric("gateway", "parley_gateway_errors_total") >= 1
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_ingest_lag_seconds") == 0, 30, "no lag")
        assert stack.metric("history", "parley_history_ingest_lag_events") == 0


@pytest.mark.parametrize("lease_ms", [1000, 10000])
async def test_a_log_that_fills_without_postgres_is_seen(own_stack, lease_ms):
    """Nobody has the lease then, sooner than ingest gives up or later, and nothing is trimmed: the gauges go on, with the message that finds no room"""
    stack = own_stack(PARLEY_LEASE_MS=lease_ms)
    channel = stack.channel("ada")
    async with Log(stack) as log, Client(stack, "ada") as ada:
        first = await ada.send(channel, "before")
        stack.wait_ingested("ada", channel, first["seq"])
        stack.kill("postgres")
        for _ in range(5):
            await ada.send(channel, "not ingested")
        await stands(stack, 5)
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_ingest_lag_events") >= 5, 30, "five wait")
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_log_full_ratio") > 0, 30, "the log is looked at")
        await fill(log, "CHAT_0")
        with pytest.raises(Refused, match="unavailable"):
            await ada.send(channel, "no room")
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_log_full_ratio") >= 1, 30, "a full log")
        stack.start("postgres")
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_ingest_lag_events") == 0, 60, "nothing waits")
        await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_ingest_lag_seconds") == 0, 30, "no lag")


async def full(log, stack):
    """No log has room for one message more: neither now, nor when history has trimmed what is ingested to make some"""
    with database(stack) as db:
        ingested = {f"CHAT_{shard}": seq for shard in range(2)
                    for (seq,) in db.execute("SELECT last_seq FROM streams WHERE name = %s", (f"CHAT_{shard}",))}
    deadline = time.monotonic() + 30
    while any([await fill(log, stream) <= seq for stream, seq in ingested.items()]):
        assert time.monotonic() < deadline, "what is ingested is not trimmed"
        await asyncio.sleep(0.2)  # a poll with a deadline
    for stream in ingested:
        await fill(log, stream)
    await asyncio.to_thread(wait_until, lambda: stack.metric("history", "parley_history_log_full_ratio") >= 1, 30, "a full log")


async def fill(log, stream):
    """Leaves no room, and says which sequence comes first; one of an empty log is to come"""
    info = await log.js.stream_info(stream)
    info.config.max_bytes = max(1, info.state.bytes)
    await log.js.update_stream(info.config)
    return info.state.first_seq if info.state.messages else info.state.last_seq + 1
