"""Presence: who is here, as the open sockets of these clients say, and who may see it."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import httpx
import nats
import pytest
from support.client import Client, Refused
from support.names import name
from support.schema import presence_pb2
from support.stack import wait_until

GRACE_MS = 1500
REBUILT_S = 3   # of the start of the process


@pytest.fixture(scope="module")
def here(new_stack):
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_PRESENCE_GRACE_MS=GRACE_MS, PARLEY_PRESENCE_TELL_MS=100)
    try:
        yield stack.up()
    finally:
        stack.down()


def started_at(pid):
    """When a process was made, by the clock that counts from the machine's start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def seen(stack, viewer, user):
    """How viewer sees user; None: hidden."""
    with stack.rest(viewer) as rest:
        answer = rest.get("/api/presence", params={"users": user})
        assert answer.status_code == 200, answer.text
        users = answer.json()["users"]
        assert [u["userId"] for u in users] + answer.json()["hiddenUserIds"] == [user]
        return users[0] if users else None


async def comes(stack, viewer, user, availability, timeout=5, what=lambda u: True):
    def look():
        u = seen(stack, viewer, user)
        return u if u and u["availability"] == availability and what(u) else None
    return await asyncio.to_thread(wait_until, look, timeout, f"{user} is {availability} for {viewer}", 0.05)


async def test_comes_and_goes(here):
    ada, bob = name("ada"), name("bob")
    here.channel(ada, members=[bob])
    await comes(here, bob, ada, "offline")
    async with Client(here, ada, hello={"device": "mobile"}) as phone:
        u = await comes(here, bob, ada, "online")
        assert u["devices"] == ["mobile"] and "lastSeenAt" not in u
        async with Client(here, ada, hello={"device": "desktop"}) as desk:
            await comes(here, bob, ada, "online", what=lambda u: u["devices"] == ["desktop", "mobile"])
            await phone.request({"type": "idle", "idle": True})
            await desk.request({"type": "idle", "idle": True})
            await comes(here, bob, ada, "away")
            await phone.request({"type": "idle", "idle": False})
            await comes(here, bob, ada, "online")
        await comes(here, bob, ada, "online", what=lambda u: u["devices"] == ["mobile"])
    u = await comes(here, bob, ada, "offline", GRACE_MS / 1000 + 5)
    assert u["devices"] == [] and u["lastSeenAt"].endswith(":00Z")


async def test_reconnect_shows_nothing(here):
    """Within the grace nobody is told of a close and an open: counted by the changes that presence tells."""
    ada, bob = name("ada"), name("bob")
    here.channel(ada, members=[bob])
    nc = await nats.connect(here.nats_url)
    told = []

    async def record(msg):
        told.append(presence_pb2.UserPresence.FromString(msg.data))
    await nc.subscribe(f"presence.user.{ada}", cb=record)
    await nc.flush()

    def told_is(availability):
        return lambda: told and told[-1].availability == availability
    async with Client(here, ada):
        await asyncio.to_thread(wait_until, told_is(1), 5, "his coming is told")
    before, reports = len(told), here.metric("presence", "parley_presence_reports_total")
    async with Client(here, ada):
        # the close and the open are told as one, which is nothing: a heartbeat follows, later than the grace
        await asyncio.to_thread(wait_until, lambda: here.metric("presence", "parley_presence_reports_total") > reports, 20, "it is told")
        assert len(told) == before
    await asyncio.to_thread(wait_until, told_is(0), GRACE_MS / 1000 + 5, "his leaving is told")
    assert len(told) == before + 1 and told[-1].user_id == ada
    await nc.close()


async def test_who_may_see(here):
    ada, bob, eve, root = name("ada"), name("bob"), name("eve"), name("root")
    with here.rest(eve) as rest:  # everybody shares `general`, unless he leaves it
        assert rest.post("/api/channels/general/leave").status_code in (202, 204)
    channel = here.channel(ada, members=[bob])
    async with Client(here, ada):
        await comes(here, bob, ada, "online")
        assert await asyncio.to_thread(seen, here, eve, ada) is None
        with here.rest(bob) as rest:
            page = rest.get(f"/api/channels/{channel}/presence").json()
            assert page["members"] == 2 and page["online"] == 1 and not page["counted"]
            assert [u["userId"] for u in page["users"]] == [ada]
            assert rest.get("/api/channels/general/presence").json()["counted"]
        with here.rest(eve) as rest:
            answer = rest.get(f"/api/channels/{channel}/presence")
            assert answer.status_code == 403 and answer.json()["code"] == "not_a_member"
            assert rest.get("/api/channels/no-such-channel/presence").json()["code"] == "not_a_member"
        with here.rest(root, admin=True) as rest:  # backends
            assert rest.get("/api/presence", params={"users": ada}).json()["users"][0]["availability"] == "online"
            assert rest.get("/api/channels/no-such-channel/presence").status_code == 404
        with here.rest(ada) as rest:  # who is added sees, who is removed does not
            assert rest.post(f"/api/channels/{channel}/members", json={"userId": eve}).status_code in (201, 202)
            await comes(here, eve, ada, "online")
            assert rest.delete(f"/api/channels/{channel}/members/{eve}").status_code in (202, 204)
        await asyncio.to_thread(wait_until, lambda: seen(here, eve, ada) is None, 5, "she does not see him any more")


async def test_status(here):
    ada, bob = name("ada"), name("bob")
    here.channel(ada, members=[bob])
    async with Client(here, ada) as client:
        await client.request({"type": "status", "mode": "dnd", "text": "In a meeting", "emoji": "📅"})
        u = await comes(here, bob, ada, "dnd")
        assert u["statusText"] == "In a meeting" and u["statusEmoji"] == "📅"
        await client.request({"type": "status", "mode": "invisible", "hideLastSeen": True})
        u = await comes(here, bob, ada, "offline")
        assert u["devices"] == [] and "lastSeenAt" not in u and u["statusText"] == ""
        assert (await comes(here, ada, ada, "invisible"))["userId"] == ada
        for body, field in (({"text": "x" * 141}, "text"), ({"text": "a\nb"}, "text"), ({"emoji": "x" * 33}, "emoji"),
                            ({"modeUntil": "2020-01-01T00:00:00Z"}, "modeUntil"), ({"mode": "asleep"}, "mode"), ({"text": "x" * 10240}, "text")):
            with pytest.raises(Refused, match=field) as refused:
                await client.request({"type": "status", **body})
            assert refused.value.code == "bad_request"
        await client.request({"type": "status", "text": "back soon"})
    here.stop("presence")
    os.kill(here.pid("gateway"), 0)  # chat goes on; the status is kept
    here.start("presence")
    u = await comes(here, bob, ada, "offline", 10, what=lambda u: u["statusText"] == "back soon")
    with here.rest(ada) as rest:
        assert rest.get("/api/presence/status").json()["text"] == "back soon"
        assert rest.put("/api/presence/status", json={"text": "by REST"}).json()["text"] == "by REST"
        answer = rest.put("/api/presence/status", json={"text": "x" * 141})
        assert answer.status_code == 400 and "text" in answer.json()["detail"]
    await comes(here, bob, ada, "offline", what=lambda u: u["statusText"] == "by REST")


async def test_presence_killed_is_rebuilt(here):
    """After kill -9 the gateways tell it everything again; chat did not notice; a status stays unset meanwhile, with a clear error."""
    users = [name("u") for _ in range(8)]
    channel = here.channel(users[0], members=users[1:])
    clients = [Client(here, u) for u in users[:5]]
    for client in clients:
        await client.connect()
    await comes(here, users[7], users[4], "online")
    os.kill(here.pid("presence"), signal.SIGKILL)
    await clients[4].close()
    with pytest.raises(Refused) as refused:
        await clients[0].request({"type": "status", "mode": "away"})
    assert refused.value.code == "unavailable" and refused.value.retry_ms > 0
    ack = await clients[0].send(channel, "nobody notices")
    await clients[1].wait_seq(channel, ack["seq"])

    def rebuilt():
        with here.rest(users[7]) as rest, contextlib.suppress(httpx.TransportError):
            page = rest.get(f"/api/channels/{channel}/presence")
            return page.status_code == 200 and {u["userId"] for u in page.json()["users"]} == set(users[:4])

    def when_rebuilt():
        wait_until(rebuilt, 60, "what is open is what is shown", 0.05)
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    when, _ = await asyncio.gather(asyncio.to_thread(when_rebuilt), asyncio.to_thread(here.start, "presence"))
    assert when - started_at(here.pid("presence")) < REBUILT_S
    for client in clients[:4]:
        await client.close()


async def test_gateway_killed(own_stack):
    """A gateway's users are gone after its silence; those that came back elsewhere are not."""
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_PRESENCE_SILENT_MS=12000, PARLEY_PRESENCE_GRACE_MS=1000)
    ada, bob, eve = name("ada"), name("bob"), name("eve")
    stack.channel(ada, members=[bob, eve])
    clients = [Client(stack, ada), Client(stack, bob)]
    for client in clients:
        await client.connect()
    await comes(stack, eve, ada, "online")
    await comes(stack, eve, bob, "online")
    os.kill(stack.pid("gateway"), signal.SIGKILL)
    for client in clients:
        await client.close()
    stack.start("gateway")
    async with Client(stack, bob):
        await comes(stack, eve, ada, "offline", 20)
        await comes(stack, eve, bob, "online", 1)


async def test_a_gateway_dies_while_presence_stands_still(own_stack):
    """The others' users are told of as soon as the dead one was waited for, not after its silence"""
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_PRESENCE_GRACE_MS=1000)  # the silence: 30 s
    second = stack.second_gateway()
    second.start()
    ada, bob, eve = name("ada"), name("bob"), name("eve")
    stack.channel(ada, members=[bob, eve])
    async with Client(stack, ada) as watcher, contextlib.AsyncExitStack() as lost:
        lost.callback(second.kill)
        other = await lost.enter_async_context(Client(stack, eve, url=second.ws_url))
        await watcher.request({"type": "watch", "userIds": [bob, eve]})

        def is_told(user, availability):
            told = [u for f in watcher.frames if f["type"] == "presence" for u in f["users"] if u["userId"] == user]
            return told and told[-1]["availability"] == availability
        await watcher.wait(lambda: is_told(eve, "online"), 10, "eve is online")
        presence = stack.pid("presence")
        os.kill(presence, signal.SIGSTOP)
        try:
            second.kill()
            await other.close()
            await asyncio.sleep(4)  # presence is to see that it stood still, not that a turn was slow
        finally:
            os.kill(presence, signal.SIGCONT)
        async with Client(stack, bob):
            await watcher.wait(lambda: is_told(bob, "online"), 12, "bob is online")


async def test_rest_knows_or_says_so(here):
    """A presence that has just begun answers 503, and then what is so: never 200 with what has come in so far."""
    ada, bob = name("ada"), name("bob")
    here.channel(ada, members=[bob])
    answers = []

    def ask():
        with here.rest(bob) as rest:
            answer = rest.get("/api/presence", params={"users": ada})
            answers.append((answer.status_code, answer))
            return answer.status_code == 200
    async with Client(here, ada):
        await comes(here, bob, ada, "online")
        await asyncio.to_thread(here.stop, "presence")
        start = asyncio.create_task(asyncio.to_thread(here.start, "presence"))
        await asyncio.to_thread(wait_until, ask, 20, "presence answers", 0.02)
        await start
        users = answers[-1][1].json()["users"]
        assert [u["availability"] for u in users] == ["online"]
    refused = [a for status, a in answers if status == 503 and a.headers["content-type"].startswith("application/problem+json")]
    assert any(a.json()["code"] == "unavailable" and int(a.headers["retry-after"]) >= 1 for a in refused), [s for s, _ in answers]


def test_bad_requests(here):
    with here.rest(name("ada")) as rest:
        for params, status in (({}, 400), ({"users": ""}, 400), ({"users": "a.b"}, 400), ({"users": "a,,b"}, 400),
                               ({"users": ",".join(f"u{i}" for i in range(501))}, 413)):
            answer = rest.get("/api/presence", params=params)
            assert answer.status_code == status and "user" in answer.json()["detail"], answer.text
        for body, status in (({}, 400), ({"userIds": []}, 400), ({"userIds": ["a.b"]}, 400), ({"userIds": "ada"}, 400), ({"userIds": [f"u{i}" for i in range(501)]}, 413)):
            answer = rest.post("/api/presence/query", json=body)
            assert answer.status_code == status and "user" in answer.json()["detail"], answer.text
        assert rest.post("/api/presence/query", content=b"x" * 70000).status_code == 413
        assert rest.get("/api/channels/a.b/presence").status_code == 400
        assert rest.put("/api/presence/status", content=b"{").status_code == 400
        assert rest.put("/api/presence/status", json={"mode": "automatic", "wrong": 1}).status_code == 400
        assert rest.post("/api/presence").status_code == 405
    with here.rest() as rest:
        assert rest.get("/api/presence", params={"users": "ada"}).status_code == 401
        assert rest.post("/api/presence/query", json={"userIds": ["ada"]}).status_code == 401


async def test_five_hundred_of_the_longest_ids(here):
    """Through the edge as well as at the service itself; a target that is too long for either is a problem document of both"""
    ada = name("ada")
    users = [ada, *(f"{i:03}" + "x" * 61 for i in range(499))]
    async with Client(here, ada):
        await comes(here, ada, ada, "online")
        for url in (here.base_url, here.service_url("presence")):
            with here.rest(ada) as rest:
                rest.base_url = url
                answer = rest.post("/api/presence/query", json={"userIds": users})
                assert answer.status_code == 200, answer.text
                assert [u["userId"] for u in answer.json()["users"]] == [ada] and answer.json()["hiddenUserIds"] == users[1:]
                long = rest.get("/api/presence", params={"users": ",".join(users)})
                assert long.status_code == 414 and long.headers["Content-Type"] == "application/problem+json", long.text
                assert long.json()["code"] == "too_large" and long.json()["status"] == 414
