"""Two instances of presence: both know everything, one speaks, and watchers do not notice which."""

import asyncio

import httpx
import pytest
from support.client import Client
from support.names import name
from support.second_service import SecondService, metric_of
from support.stack import wait_until

LEADING = "parley_presence_leading"
TAKEN_OVER_S = 12  # 3 s of silence, the snapshots that are asked for then, and a slow machine


@pytest.fixture(scope="module")
def here(new_stack):
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_PRESENCE_TELL_MS=100)
    try:
        yield stack.up()
    finally:
        stack.down()


async def leads(admin_url, yes=True):
    await asyncio.to_thread(wait_until, lambda: metric_of(admin_url, LEADING) == yes, TAKEN_OVER_S, f"{admin_url} {'speaks' if yes else 'listens'}")


def told(watcher, user):
    """What a watcher was told of somebody, one after the other"""
    return [u["availability"] for f in watcher.frames if f["type"] == "presence" for u in f["users"] if u["userId"] == user]


async def comes(watcher, user, availability, timeout=TAKEN_OVER_S):
    await watcher.wait(lambda: told(watcher, user)[-1:] == [availability], timeout, f"{user} is {availability}, not {told(watcher, user)}")


async def test_the_other_one_takes_over(here):
    """Killed while somebody is there: he stays, whoever comes and goes is told of by the other one, and the first one back changes nothing"""
    ada, bob, eve = name("ada"), name("bob"), name("eve")
    here.channel(ada, members=[bob, eve])
    first = here.admin_url("presence")
    await leads(first)
    with SecondService(here, "presence") as second:
        await leads(second.admin_url, False)
        async with Client(here, ada) as watcher, Client(here, bob):
            await watcher.request({"type": "watch", "userIds": [bob, eve]})
            await comes(watcher, bob, "online")
            here.kill("presence")
            async with Client(here, eve) as other:
                await comes(watcher, eve, "online")
                await leads(second.admin_url)
                here.start("presence")
                await leads(first, False)
                await other.request({"type": "status", "mode": "dnd", "text": "Not now"})
                await comes(watcher, eve, "dnd")
            second.kill()
            async with Client(here, eve) as other:
                await leads(first)
                await other.request({"type": "status", "mode": "automatic"})
                await comes(watcher, eve, "online")
            for user in (bob, eve):  # not there yet when the set was named, and never gone for longer than the grace
                states = told(watcher, user)
                assert "offline" not in states[states.index("online"):], states


async def test_what_one_is_asked_all_know(here):
    """A status that is set at the one that listens, over REST, is told by the one that speaks"""
    ada, bob = name("ada"), name("bob")
    here.channel(ada, members=[bob])
    with SecondService(here, "presence") as second, here.rest(bob) as rest:
        async with Client(here, ada) as watcher, Client(here, bob):
            await watcher.request({"type": "watch", "userIds": [bob]})
            await comes(watcher, bob, "online")
            await leads(second.admin_url, False)
            said = httpx.put(second.base_url + "/api/presence/status", headers=rest.headers, json={"mode": "dnd"})
            assert said.status_code == 200, said.text
            await comes(watcher, bob, "dnd")
            assert rest.get("/api/presence/status").json()["mode"] == "dnd"
