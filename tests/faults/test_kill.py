"""G1 to G4 where a process ends at a named place: every acked message is in history exactly once, and every client's chain is whole after it
resumed. Other faults are in families/, which scripts/faults runs."""

import asyncio
import random
import time
import uuid

import pytest
from support.client import Client, Refused
from support.stack import wait_until

CLIENTS = 20
RATE = 200            # messages a second, all clients together
DOWN_S = 2            # until a part that was killed is started again
PARTS = ("gateway", "history", "nats-server", "postgres")


async def open_loop(clients, channel, stop, tasks):
    """Starts a message every 1/RATE s, whatever happened to the ones before."""
    n, start = 0, time.monotonic()
    while not stop.is_set():
        client = clients[n % len(clients)]
        tasks.append(asyncio.create_task(client.send_until_acked(channel, f"{client.user} {n}", timeout=90)))
        n += 1
        await asyncio.sleep(max(0, start + n / RATE - time.monotonic()))  # the schedule of an open loop


def n_acked(clients):
    return sum(len(c.acks) for c in clients)


async def traffic(clients, what, seconds=0.5, timeout=60):
    """Waits until every client has sent and been acked again, and all together as much as they send in so long."""
    all_before, before = n_acked(clients), [len(c.acks) for c in clients]
    await clients[0].wait(lambda: n_acked(clients) >= all_before + seconds * RATE
                          and all(len(c.acks) > n for c, n in zip(clients, before)), timeout, f"traffic {what}")


async def check(stack, channel, clients, acks):
    """The proof: nothing acked is lost, nothing twice, one order for all, no break that stayed."""
    last = max(a["seq"] for a in acks)
    await asyncio.gather(*(c.wait_seq(channel, last, 60) for c in clients))
    await asyncio.to_thread(stack.wait_ingested, clients[0].user, channel, last, 60)
    events, _ = await asyncio.to_thread(stack.all_events, clients[0].user, channel)
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
        # the gateway mends breaks; a client sees what it missed while it was away as a replay, and no hole in what comes live
        assert view.breaks == 0, f"{client.user} found {view.breaks} breaks"
    return events


async def run(stack, disturb):
    """Runs disturb under load, then checks everything. Returns the clients and the acks."""
    users = [f"user-{i}-{uuid.uuid4().hex[:8]}" for i in range(CLIENTS)]
    channel = await asyncio.to_thread(stack.channel, users[0], members=users[1:])
    clients = [Client(stack, u, reconnect=True, from_start=True) for u in users]
    tasks, stop = [], asyncio.Event()
    try:
        await asyncio.gather(*(c.connect(30) for c in clients))
        sender = asyncio.create_task(open_loop(clients, channel, stop, tasks))
        await clients[0].wait(lambda: n_acked(clients) > 20, what="traffic")
        await disturb(clients, channel)
        await traffic(clients, "after the fault")
        stop.set()
        await sender
        acks = [a for a in await asyncio.gather(*tasks) if a]
        assert len(acks) == len(tasks), f"{len(tasks) - len(acks)} messages were never acked"
        events = await check(stack, channel, clients, acks)
        return clients, acks, events
    finally:
        stop.set()
        await asyncio.gather(*(c.close() for c in clients))


async def gone(stack, part):
    await asyncio.to_thread(wait_until, lambda: not stack.alive(part), 30, f"{part} ended at its failpoint")


async def test_kill_each_in_turn(shared_stack):
    """At five times the rate of scripts/faults, and one after the other without a rest."""
    stack = shared_stack()

    async def disturb(clients, channel):
        for part in PARTS:
            stack.kill(part)
            await asyncio.sleep(DOWN_S)  # part of the fault: how long it is away
            await asyncio.to_thread(stack.start, part)
            await traffic(clients, f"after {part} was killed")

    await run(stack, disturb)


async def test_postgres_away(shared_stack):
    """Live chat goes on, history says that it cannot answer, catches up, and meanwhile says through where it is complete."""
    stack = shared_stack()
    pages = []

    def page(rest, channel):
        answer = rest.get(f"/api/channels/{channel}/messages", params={"limit": 100})
        if answer.status_code == 200:
            pages.append((answer.json()["completeThroughSeq"], [m["seq"] for m in answer.json()["messages"]]))
            return pages[-1][0]
        assert answer.status_code == 503 and answer.json()["code"] == "unavailable", answer.text
        return 0

    async def disturb(clients, channel):
        await asyncio.to_thread(stack.stop, "postgres")
        before, start = n_acked(clients), time.monotonic()
        with stack.rest(clients[0].user) as rest:
            assert await asyncio.to_thread(page, rest, channel) == 0, "an answer without Postgres"
            await asyncio.sleep(start + 25 - time.monotonic())  # part of the fault
            sent = {i for c in clients for i in c.intended}
            await asyncio.sleep(start + 30 - time.monotonic())  # part of the fault
            unanswered = sent - {i for c in clients for i in c.acks}
            assert not unanswered, f"{len(unanswered)} of {len(sent) - before} were not acked within 5 s without Postgres"
            assert len(sent) - before > 1000, "too little was sent to prove anything"
            last = max(c.acks[next(reversed(c.acks))]["seq"] for c in clients)
            await asyncio.gather(*(c.wait_seq(channel, last, 5) for c in clients))
            assert await asyncio.to_thread(page, rest, channel) == 0
            await asyncio.to_thread(stack.start, "postgres")
            deadline = time.monotonic() + 30
            while await asyncio.to_thread(page, rest, channel) < last:
                assert time.monotonic() < deadline, "history does not catch up"

    _, _, events = await run(stack, disturb)
    messages = [e["seq"] for e in events if "message" in e]
    for through, seqs in pages:
        known = [s for s in messages if s <= through][-100:]
        assert [s for s in seqs if s <= through][-len(known):] == known, f"said to be complete through {through}, and was not"


async def test_history_says_through_where(shared_stack):
    """While nothing can be written, history answers with what it has, and does not claim more."""
    stack = shared_stack()
    channel = await asyncio.to_thread(stack.channel, "ada", members=["bob"])
    async with Client(stack, "ada") as ada, Client(stack, "bob", from_start=True) as bob:
        first = await ada.send(channel, "before")
        await asyncio.to_thread(stack.wait_ingested, "bob", channel, first["seq"])
        with stack.postgres() as pg, stack.rest("bob") as rest:
            pg.execute("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
            acks = [await ada.send(channel, f"{i}") for i in range(50)]
            await bob.wait_seq(channel, acks[-1]["seq"], 5)
            page = (await asyncio.to_thread(rest.get, f"/api/channels/{channel}/messages")).json()
            assert first["seq"] <= page["completeThroughSeq"] < acks[0]["seq"]
            assert [m["seq"] for m in page["messages"]] == [first["seq"]]
            pg.rollback()
            await asyncio.to_thread(stack.wait_ingested, "bob", channel, acks[-1]["seq"])
            page = (await asyncio.to_thread(rest.get, f"/api/channels/{channel}/messages", params={"limit": 100})).json()
            assert [m["seq"] for m in page["messages"]] == [a["seq"] for a in [first, *acks]]


KILLED_AT = {
    "before the publish": ("gateway", "gateway.before_publish"),
    "between PubAck and ack": ("gateway", "gateway.after_puback"),
    "before the live copy is delivered": ("gateway", "gateway.before_live"),
    "before the commit": ("history", "history.ingest.before_commit"),
    "after the commit": ("history", "history.ingest.after_commit"),
}


@pytest.mark.parametrize("name", KILLED_AT)
async def test_killed_at(shared_stack, name):
    """A process ends exactly at the named place, under load."""
    part, point = KILLED_AT[name]
    stack = shared_stack("faults")
    # the gateway passes it for each message, history for each batch; either after traffic has begun
    n = random.Random(name).randint(*((300, 500) if part == "gateway" else (30, 60)))
    await asyncio.to_thread(stack.stop, part)
    await asyncio.to_thread(lambda: stack.start(part, PARLEY_FAILPOINTS=f"{point}=kill@{n}"))

    async def disturb(clients, channel):
        await gone(stack, part)
        await asyncio.to_thread(stack.start, part)
        await traffic(clients, f"after {part} was killed")

    _, acks, _ = await run(stack, disturb)
    if name == "between PubAck and ack":
        assert any(a["duplicate"] for a in acks), "the stored message was not recognised when it was sent again"


async def test_lost_on_the_way(shared_stack):
    """Answers and live copies that never come: nobody notices but the one who retries."""
    stack = shared_stack("faults")
    lost = [f"gateway.before_live=error@{n}" for n in (100, 101, 150, 300)]
    lost += [f"gateway.after_puback=error@{n}" for n in (120, 121, 200)] + ["gateway.before_publish=error@160"]
    await asyncio.to_thread(stack.stop, "gateway")
    await asyncio.to_thread(lambda: stack.start("gateway", PARLEY_FAILPOINTS=",".join(lost)))

    async def disturb(clients, channel):
        await traffic(clients, "with losses", 2)

    clients, acks, _ = await run(stack, disturb)
    assert sum(f.get("message") == "failpoint" for c in clients for f in c.frames) == 4
    assert sum(a["duplicate"] for a in acks) == 3
    assert all(c.connections == 1 and view.gaps == 0 for c in clients for view in c.channels.values())
    assert stack.metric("gateway", "parley_gateway_repairs_total") >= 1
    await asyncio.to_thread(stack.stop, "gateway")  # the next test shall have one without losses


REMOVED_AT = {"between the log and the rest": "history.outbox.after_puback", "before the answer": "history.rest.before_answer"}


async def burst(client, channel, stop):
    while not stop.is_set():
        await asyncio.gather(*(client.send(channel, "x") for _ in range(5)))


@pytest.mark.parametrize("name", REMOVED_AT)
async def test_removal_without_an_answer(shared_stack, name):
    """history ends while it removes a member: after its restart the removal is in force, once, and for every gateway."""
    stack = shared_stack("faults")
    ada_id, eve_id = (f"{n}-{uuid.uuid4().hex[:8]}" for n in ("ada", "eve"))
    channel = await asyncio.to_thread(stack.channel, ada_id, members=[eve_id])
    path = f"/api/channels/{channel}/members"
    async with Client(stack, ada_id, from_start=True) as ada, Client(stack, eve_id, from_start=True) as eve:
        first = await eve.send(channel, "still here")
        await asyncio.to_thread(stack.wait_ingested, ada_id, channel, first["seq"])
        await asyncio.to_thread(stack.stop, "history")
        await asyncio.to_thread(lambda: stack.start("history", PARLEY_FAILPOINTS=f"{REMOVED_AT[name]}=kill@1"))
        stop = asyncio.Event()
        task = asyncio.create_task(burst(ada, channel, stop))
        try:
            await eve.wait(lambda: len(eve.messages(channel)) > 50, what="a burst under way")
            with stack.rest(ada_id) as rest:
                answer = await asyncio.to_thread(rest.delete, f"{path}/{eve_id}")
            assert answer.status_code == 503 and "does not answer" in answer.text, f"history answered {answer.status_code} {answer.text}"
            await gone(stack, "history")
            await asyncio.to_thread(stack.start, "history")
            await eve.wait(lambda: not eve.channels[channel].live, 20, "eve is told")
            with pytest.raises(Refused) as refused:
                await eve.send(channel, "I was removed")
            assert refused.value.code == "not_a_member"
        finally:
            stop.set()
            await task
        last = await ada.send(channel, "without eve")
        await asyncio.to_thread(stack.wait_ingested, ada_id, channel, last["seq"])
        with stack.rest(ada_id) as rest:
            assert (await asyncio.to_thread(rest.delete, f"{path}/{eve_id}")).status_code == 404
        with stack.rest(eve_id) as rest:
            assert (await asyncio.to_thread(rest.get, f"/api/channels/{channel}/events")).status_code == 403
        events, _ = await asyncio.to_thread(stack.all_events, ada_id, channel)
        left = [e for e in events if e.get("memberLeft", {}).get("userId") == eve_id]
        assert len(left) == 1 and left[0]["memberLeft"]["removed"]
        # she saw all until then, and nothing behind it
        assert [e["seq"] for e in eve.channels[channel].events if e["seq"] < left[0]["seq"]] == \
            [e["seq"] for e in events if e["seq"] < left[0]["seq"]]
        assert eve.channels[channel].cursor <= left[0]["seq"] and eve.connections == 1
    # a gateway that knows nothing finds it in the bucket
    with stack.postgres() as pg:
        wait_until(lambda: pg.execute("SELECT count(*) FROM dirty").fetchone()[0] == 0, 10, "the buckets are written")
    await asyncio.to_thread(stack.stop, "gateway")
    await asyncio.to_thread(stack.start, "gateway")
    async with Client(stack, eve_id) as eve:
        assert channel not in eve.channels
        with stack.rest(ada_id) as rest:
            added = await asyncio.to_thread(rest.post, path, json={"userId": eve_id, "role": "member"})
            assert added.status_code == 201, added.text
        await eve.wait(lambda: channel in eve.channels, what="channelAdded")
        back = await eve.send(channel, "back")
        await eve.wait_seq(channel, back["seq"])
