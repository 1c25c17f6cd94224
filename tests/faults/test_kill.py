"""G1 to G4 under kill -9: every acked message is in history exactly once, and every client's chain is whole after it resumed."""

import asyncio
import random
import time

import pytest
from support.client import Client

CLIENTS = 20
RATE = 200            # messages a second, all clients together
PARTS = ("gateway", "history", "nats-server", "postgres")
DOWN_S = 2


async def open_loop(clients, channel, stop, tasks):
    """Starts a message every 1/RATE s, whatever happened to the ones before."""
    n, start = 0, time.monotonic()
    while not stop.is_set():
        client = clients[n % len(clients)]
        tasks.append(asyncio.create_task(client.send_until_acked(channel, f"{client.user} {n}", timeout=90)))
        n += 1
        await asyncio.sleep(max(0, start + n / RATE - time.monotonic()))  # the schedule of an open loop


async def check(stack, channel, clients, acks):
    """The proof: nothing acked is lost, nothing twice, one order for all, no break that stayed."""
    last = max(a["seq"] for a in acks)
    await asyncio.gather(*(c.wait_seq(channel, last, 60) for c in clients))
    stack.wait_ingested(clients[0].user, channel, last, 60)
    events, _ = stack.all_events(clients[0].user, channel)
    stored = [e["id"] for e in events if "message" in e]
    assert len(stored) == len(set(stored)), "twice in history"
    missing = {a["id"] for a in acks} - set(stored)
    assert not missing, f"acked and lost: {len(missing)} of {len(acks)}"
    by_id = {e["id"]: e["seq"] for e in events}
    assert all(by_id[a["id"]] == a["seq"] for a in acks), "acked with another sequence than stored"
    intended = {i for c in clients for i in c.intended}
    assert set(stored) <= intended, "somebody said what nobody sent"
    for a, b in zip(events, events[1:]):
        assert b["prev"] == a["seq"], f"history's chain breaks at {b['seq']}"
    history = [e["seq"] for e in events if e["seq"] <= last]
    for client in clients:
        view = client.channels[channel]
        assert [e["seq"] for e in view.events if e["seq"] <= last] == history, f"{client.user} saw something else than history"


async def run(stack, disturb, seconds_after=3):
    users = [f"user-{i}" for i in range(CLIENTS)]
    channel = stack.channel("user-0", members=users[1:])
    clients = [Client(stack, u, reconnect=True, from_start=True) for u in users]
    tasks, stop = [], asyncio.Event()
    try:
        await asyncio.gather(*(c.connect(30) for c in clients))
        sender = asyncio.create_task(open_loop(clients, channel, stop, tasks))
        await clients[0].wait(lambda: len(clients[0].acks) > 20, what="traffic")
        await disturb(stack, clients, channel)
        mark = len(clients[0].acks)
        await clients[0].wait(lambda: len(clients[0].acks) > mark + seconds_after * RATE // CLIENTS, 60, "traffic after the fault")
        stop.set()
        await sender
        acks = [a for a in await asyncio.gather(*tasks) if a]
        assert len(acks) == len(tasks), f"{len(tasks) - len(acks)} messages were never acked"
        await check(stack, channel, clients, acks)
        return acks
    finally:
        stop.set()
        await asyncio.gather(*(c.close() for c in clients))


async def test_kill_each_in_turn(own_stack):
    stack = own_stack(PARLEY_RATE_LIMITS="off")

    async def disturb(stack, clients, channel):
        for part in PARTS:
            stack.kill(part)
            await asyncio.sleep(DOWN_S)  # part of the fault: how long it is away
            await asyncio.to_thread(stack.start, part)
            mark = len(clients[0].acks)
            await clients[0].wait(lambda m=mark: len(clients[0].acks) > m + 10, 60, f"traffic after {part} was killed")

    await run(stack, disturb)


async def test_postgres_away(own_stack):
    """Live chat goes on, history says through where it is complete, and catches up."""
    stack = own_stack(PARLEY_RATE_LIMITS="off")

    async def disturb(stack, clients, channel):
        stack.stop("postgres")
        mark = len(clients[0].acks)
        start = time.monotonic()
        while time.monotonic() < start + 30:
            await asyncio.sleep(1)  # part of the fault
        assert len(clients[0].acks) - mark > 0.8 * 30 * RATE / CLIENTS, "chat did not go on without Postgres"
        seen = clients[1].channels[channel].cursor
        assert seen >= clients[0].acks[next(reversed(clients[0].acks))]["seq"] - 200
        with stack.rest(clients[0].user) as rest:
            assert rest.get(f"/api/channels/{channel}/messages").status_code == 503
        await asyncio.to_thread(stack.start, "postgres")

    await run(stack, disturb)


FAILPOINTS = {
    "between PubAck and ack": ("gateway", "gateway.after_puback=kill@{n}"),
    "before the publish": ("gateway", "gateway.before_publish=kill@{n}"),
    "before the live copy is delivered": ("gateway", "gateway.before_live=kill@{n}"),
    "before the commit": ("history", "history.ingest.before_commit=kill@{n}"),
    "after the commit": ("history", "history.ingest.after_commit=kill@{n}"),
}


@pytest.mark.parametrize("name", FAILPOINTS)
async def test_failpoint(own_stack, name):
    """A process ends exactly at the named place, under load."""
    part, spec = FAILPOINTS[name]
    stack = own_stack(build="faults", PARLEY_RATE_LIMITS="off")
    stack.stop(part)
    n = random.Random(name).randint(500, 900) if part == "gateway" else random.Random(name).randint(10, 20)
    stack.start(part, PARLEY_FAILPOINTS=spec.format(n=n))

    async def disturb(stack, clients, channel):
        await asyncio.to_thread(lambda: wait_gone(stack, part))
        await asyncio.sleep(DOWN_S)  # part of the fault
        await asyncio.to_thread(stack.start, part)

    await run(stack, disturb)


def wait_gone(stack, part):
    from support.stack import wait_until
    wait_until(lambda: not stack.alive(part), 30, f"{part} ended at its failpoint")
