"""G3: a client proves that it missed nothing, at any age: from the gateway's cache, from JetStream, from history."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from support.client import Channel, Client
from support.stack import wait_until


async def seen_by_late(stack, channel, epoch, cursor, through):
    late = Client(stack, "bob")
    view = late.channels.setdefault(channel, Channel())
    view.cursor, view.epoch = cursor, epoch
    async with late:
        await late.wait_seq(channel, through, 40)
        return late


@pytest.mark.parametrize("missed", [0, 5, 40, 300, 3000])
@pytest.mark.parametrize("cold", [False, True])
async def test_resume(shared_stack, missed, cold):
    """cold: the gateway was restarted meanwhile, its cache is empty."""
    s = await asyncio.to_thread(shared_stack)
    channel = await asyncio.to_thread(s.channel, "ada", members=["bob"])
    async with Client(s, "ada", reconnect=True) as ada:
        first = await ada.send(channel, "first")
        await ada.wait_seq(channel, first["seq"])
        epoch, last = ada.channels[channel].epoch, first
        for start in range(0, missed, 50):
            acks = await asyncio.gather(*(ada.send(channel, f"{i}") for i in range(start, min(missed, start + 50))))
            last = max(acks, key=lambda a: a["seq"])
        await ada.wait_seq(channel, last["seq"])
        if cold:
            s.kill("gateway")
            await asyncio.to_thread(s.start, "gateway")
        await asyncio.to_thread(s.wait_ingested, "ada", channel, last["seq"])
        late = await seen_by_late(s, channel, epoch, first["seq"], last["seq"])
        assert [m["id"] for m in late.messages(channel)] == [m["id"] for m in ada.messages(channel)[1:]]
        # 3,000 are more than one replay: the client is told to reload
        assert late.channels[channel].gaps == (missed > 500) and late.channels[channel].breaks == 0
        live = await ada.send_until_acked(channel, "live again")
        assert live["seq"] > last["seq"]


async def test_drain(own_stack):
    """SIGTERM: clients are told when to come back, the close code is 1012, acked messages stay."""
    s = own_stack(PARLEY_DRAIN_MS=1000)
    channel = s.channel("ada", members=["bob"])
    async with Client(s, "bob", reconnect=True, from_start=True) as bob:
        async with Client(s, "ada", reconnect=True) as ada:
            acks = [await ada.send_until_acked(channel, f"{i}") for i in range(20)]
            s.kill("gateway", signal.SIGTERM)
            await ada.wait(lambda: any(f["type"] == "reconnect" for f in ada.frames) and ada.close_code is not None, 10, "reconnect")
            assert ada.close_code == 1012
            await asyncio.to_thread(wait_until, lambda: not s.alive("gateway"), 15, "the gateway has ended")
            await asyncio.to_thread(s.start, "gateway")
            acks.append(await ada.send_until_acked(channel, "after"))
            await bob.wait_seq(channel, acks[-1]["seq"], 30)
            assert {m["id"] for m in bob.messages(channel)} == {a["id"] for a in acks}


def waited(*pids):
    """For how long these have been ready to run and were not, in seconds: what an overloaded machine adds to every time"""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in pids) / 1e9


async def test_nats_away_for_a_while(own_stack):
    """The server stops answering (SIGSTOP) for 20 s: unavailable after 5 s, no loop turn over 50 ms, and all is well afterwards."""
    s = own_stack(PARLEY_RATE_LIMITS="off")
    channel = s.channel("ada", members=["bob"])
    who = s.pid("gateway"), os.getpid()
    async with Client(s, "ada", reconnect=True) as ada, Client(s, "bob", reconnect=True, from_start=True) as bob:
        before = await ada.send(channel, "before")
        await bob.wait_seq(channel, before["seq"])
        now, server, waited_before = asyncio.get_running_loop().time, s.pid("nats-server"), waited(*who)
        s.kill("nats-server", signal.SIGSTOP)
        try:
            await asyncio.to_thread(wait_until, lambda: s.states([server]) == ["T"], 10, "nats-server stands still")
            start, refused_after = now(), None
            waiting = [asyncio.create_task(ada.send_until_acked(channel, f"{i}" * 1000, timeout=90)) for i in range(200)]
            while now() < start + 20:
                pong = await ada.request({"type": "ping"}, timeout=2 + waited(*who) - waited_before)
                assert pong["type"] == "pong"
                if refused_after is None and any(f.get("code") == "unavailable" for f in ada.frames):
                    refused_after = now() - start
                assert s.states([server]) == ["T"], "somebody let nats-server go on"
                await asyncio.sleep(0.2)  # the rate of the probe
        finally:
            s.kill("nats-server", signal.SIGCONT)
        late = waited(*who) - waited_before
        assert refused_after and 4.5 < refused_after < 8 + late, \
            f"unavailable after {refused_after} s, with {late:.1f} s of waiting for a processor; frames: {Counter(f.get('code', f['type']) for f in ada.frames)}"
        acks = await asyncio.gather(*waiting)
        assert all(acks)
        last = max(a["seq"] for a in acks)
        await bob.wait_seq(channel, last, 30)
        ids = [m["id"] for m in bob.messages(channel)]
        assert len(ids) == len(set(ids)) == 201 and {before["id"], *(a["id"] for a in acks)} == set(ids)
        assert ada.connections == bob.connections == 1 and bob.channels[channel].breaks == 0
        # where a processor was waited for, a turn may have lasted as long as that
        turn = s.metric("gateway", "parley_gateway_loop_turn_max_seconds")
        assert turn < 0.05 + waited(who[0]), f"a turn of {turn} s"
        await asyncio.to_thread(s.wait_ingested, "bob", channel, last)
        events, _ = await asyncio.to_thread(s.all_events, "bob", channel)
        assert [e["seq"] for e in events if "message" in e] == [e["seq"] for e in bob.channels[channel].events if "message" in e]
