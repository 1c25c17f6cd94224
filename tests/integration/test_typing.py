"""typing: who is shown writing, over two gateways."""

import asyncio
import json
import time
import uuid

import pytest
from support.client import Client, Refused
from support.names import name

SETTINGS = {"PARLEY_TYPING_MAX_MEMBERS": 250}


def crowd(stack, users):
    """A channel of all of them; a request that makes one takes no more than 100 members."""
    channel = stack.channel(users[0], members=users[1:100])
    with stack.rest(users[0]) as rest:
        for user in users[100:]:
            assert rest.post(f"/api/channels/{channel}/members", json={"userId": user}).status_code in (201, 202)
    return channel


async def open_at(stack, which, user, channel):
    client = Client(stack, user, url=stack.gateways[which].ws_url)
    await client.connect()
    if channel:
        assert (await client.request({"type": "focus", "channelIds": [channel]}))["type"] == "ack"
    return client


def told(client, thread=""):
    return [f for f in client.frames if f["type"] == "typing" and f["threadId"] == thread]


def writers(client, thread=""):
    frames = told(client, thread)
    return frames[-1]["userIds"] if frames else []


async def comes(client, users, thread="", timeout=5):
    await client.wait(lambda: sorted(writers(client, thread)) == sorted(users), timeout,
                      f"{users} write, and not {writers(client, thread)}")


async def types(client, channel, **more):
    assert (await client.request({"type": "typing", "channelId": channel, **more}))["type"] == "ack"


async def close(*clients):
    for client in clients:
        await client.close()


async def test_shown_ended_and_to_whom(two):
    ada, bob, eve = name("ada"), name("bob"), name("eve")
    channel = two.channel(ada, members=[bob, eve])
    a, a2, b = [await open_at(two, i, u, channel) for i, u in ((0, ada), (1, ada), (1, bob))]
    elsewhere = await open_at(two, 1, eve, None)
    begun = time.monotonic()
    await types(a, channel)
    await comes(b, [ada])
    await comes(b, [], timeout=9)  # by itself
    assert 5.5 < time.monotonic() - begun < 8
    await types(a, channel)
    await comes(b, [ada])
    await a.send(channel, "done")
    await comes(b, [])
    await types(b, channel, threadId=str(uuid.UUID(int=7)))
    await comes(a, [bob], thread=str(uuid.UUID(int=7)))
    await types(b, channel, threadId=str(uuid.UUID(int=7)), stopped=True)
    await comes(a, [], thread=str(uuid.UUID(int=7)))
    await comes(a2, [], thread=str(uuid.UUID(int=7)))
    assert not told(a) and not told(a2)  # never to the writer, whichever his device
    assert not told(elsewhere)
    await close(a, a2, b, elsewhere)


async def test_not_of_the_invisible(two):
    """Whoever says by REST that he is invisible, of which no gateway hears, is not shown writing from that answer on, and what is shown of him ends."""
    ada, bob = name("ada"), name("bob")
    channel = two.channel(ada, members=[bob])
    a, b = await open_at(two, 0, ada, channel), await open_at(two, 1, bob, channel)

    def metric(what):
        return two.metric("gateway", f"parley_gateway_typing_{what}_total")  # the first one, where she is

    def say(mode):
        with two.rest(ada) as rest:
            assert rest.put("/api/presence/status", json={"mode": mode}).status_code == 200

    async def types_until(done, seconds):
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "nothing became of what was written"
            await types(a, channel)
            await asyncio.sleep(0.1)  # the interval of a poll with a deadline
    await types_until(lambda: writers(b) == [ada], 10)
    begun = time.monotonic()
    say("invisible")
    await comes(b, [])
    assert time.monotonic() - begun < 3  # and not after 6 s
    hidden = metric("hidden")
    await types_until(lambda: metric("hidden") > hidden, 10)  # with the first one the gateway also says that what it told before is over
    said, before = metric("published"), len(told(b))
    await types_until(lambda: metric("hidden") > hidden + 2, 15)
    assert metric("published") == said and len(told(b)) == before
    say("automatic")
    await types_until(lambda: writers(b) == [ada], 10)
    await close(a, b)


async def test_refused(two):
    ada, bob = name("ada"), name("bob")
    channel = two.channel(ada, members=[bob])
    a, b = await open_at(two, 0, ada, channel), await open_at(two, 1, bob, channel)
    with pytest.raises(Refused, match="threadId") as refused:
        await types(a, channel, threadId="a thread")
    assert refused.value.code == "bad_request"
    with two.rest(ada) as rest:
        await types(b, channel)
        await comes(a, [bob])
        assert rest.delete(f"/api/channels/{channel}/members/{bob}").status_code in (202, 204)
        await comes(a, [])  # at once, not after 6 s
        with pytest.raises(Refused) as refused:
            await types(b, channel)
        assert refused.value.code == "not_a_member"
        before = len(told(b))
        await types(a, channel)
        assert rest.patch(f"/api/channels/{channel}", json={"archived": True}).status_code in (200, 202)

        async def archived():
            try:
                await types(a, channel)
            except Refused as error:
                return error.code
        deadline = time.monotonic() + 5
        while (code := await archived()) is None and time.monotonic() < deadline:
            pass
        assert code == "archived"
    assert len(told(b)) == before
    await close(a, b)


async def test_a_thousand_harm_nobody(two):
    ada, bob = name("ada"), name("bob")
    channel = two.channel(ada, members=[bob])
    a, b = await open_at(two, 0, ada, channel), await open_at(two, 1, bob, channel)
    said = two.metric("gateway", "parley_gateway_typing_published_total")
    for _ in range(1000):
        await a.raw(json.dumps({"type": "typing", "channelId": channel}))
    ack = await a.send(channel, "still here")
    await b.wait_seq(channel, ack["seq"])
    assert two.metric("gateway", "parley_gateway_typing_published_total") - said <= 2
    assert len(told(b)) <= 3
    await close(a, b)


async def test_two_hundred_writers(two):
    """Everybody writes in a channel of 200: one update a second to each, with 20 names and the rest, never oneself."""
    users = [name("w") for _ in range(200)]
    channel = crowd(two, users)
    clients = await asyncio.gather(*(open_at(two, i % 2, u, channel) for i, u in enumerate(users)))
    await clients[0].wait(lambda: any(f["type"] == "channelPresence" for f in clients[0].frames), 10, "it is known")
    begun = time.monotonic()
    for client in clients:
        await types(client, channel)
    await asyncio.gather(*(c.wait(lambda c=c: told(c) and told(c)[-1]["more"] == 179, 5, "all of them write") for c in clients))
    stopped = False
    while time.monotonic() - begun < 7:  # they stop, and write again as soon as that is taken
        stopped = not stopped
        for client in clients:
            await types(client, channel, stopped=stopped)
    seconds = time.monotonic() - begun
    for client in clients:
        assert 3 <= len(told(client)) <= seconds + 2, f"{len(told(client))} updates in {seconds:.1f} s"
        assert all(client.user not in f["userIds"] and len(f["userIds"]) <= 20 for f in told(client))
    print(f"updates to a reader in {seconds:.1f} s: at most {max(len(told(c)) for c in clients)}")
    await asyncio.gather(*(c.close() for c in clients))


async def test_off_in_large_channels(two):
    users = [name("m") for _ in range(252)]
    channel = crowd(two, users)
    a, b = await open_at(two, 0, users[0], channel), await open_at(two, 1, users[1], channel)
    await b.wait(lambda: any(f["type"] == "channelPresence" and f["members"] == 252 for f in b.frames), 10, "its size is known")
    await types(a, channel)
    small = two.channel(users[0], members=[users[1]])
    assert (await b.request({"type": "focus", "channelIds": [channel, small]}))["type"] == "ack"
    await b.wait(lambda: any(f["type"] == "channelPresence" and f["channelId"] == small for f in b.frames), 10, "its gateway hears of the small one")
    await types(a, small)
    await b.wait(lambda: any(f["type"] == "typing" for f in b.frames), 5, "the small one shows it")
    assert {f["channelId"] for f in b.frames if f["type"] == "typing"} == {small}
    await close(a, b)
