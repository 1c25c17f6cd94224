"""G5: nobody sees a channel that they are not a member of, from the moment they are removed."""

import asyncio
import json
import os
import signal

import pytest
from support.client import Client, Refused
from support.stack import wait_until


async def test_removed_in_a_burst(stack):
    channel = stack.channel("ada", members=["bob", "eve"])
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob, Client(stack, "eve") as eve:
        await eve.send(channel, "still here")
        stop = asyncio.Event()

        async def burst():
            sent = 0
            while not stop.is_set():
                batch = [ada.send(channel, f"b{sent + i}") for i in range(20)]
                await asyncio.gather(*batch)
                sent += 20
            return sent

        task = asyncio.create_task(burst())
        await bob.wait(lambda: len(bob.messages(channel)) > 300, what="a burst under way")
        removed = await asyncio.to_thread(lambda: stack.rest("ada").delete(f"/api/channels/{channel}/members/eve"))
        assert removed.status_code in (200, 204), removed.text
        # from the answer on: no sending, no history
        with pytest.raises(Refused) as refused:
            await eve.send(channel, "I was removed")
        assert refused.value.code == "not_a_member"
        for path in ("messages", "events"):
            assert (await asyncio.to_thread(lambda p=path: stack.rest("eve").get(f"/api/channels/{channel}/{p}"))).status_code == 403
        stop.set()
        sent = await task
        last = await ada.send(channel, "after")
        await bob.wait_seq(channel, last["seq"])
        assert sent > 300
        left = next(e for e in bob.channels[channel].events if e.get("memberLeft", {}).get("userId") == "eve")
        # eve's last event is her own removal: nothing later, and nothing before it is missing
        assert eve.channels[channel].events[-1]["seq"] == left["seq"]
        assert eve.channels[channel].breaks == 0 and eve.channels[channel].gaps == 0
        assert not eve.channels[channel].live
        assert eve.close_code is None and eve.connections == 1
        await eve.request({"type": "ping"})
        assert len(bob.messages(channel)) == sent + 2 and bob.channels[channel].breaks == 0
        # a new session of hers does not get it either
        async with Client(stack, "eve") as again:
            assert channel not in again.channels
            ack = await ada.send(channel, "not for eve")
            await bob.wait_seq(channel, ack["seq"])
            assert channel not in again.channels


@pytest.mark.parametrize("visibility", ["all", "joined"])
async def test_absence(stack, visibility):
    channel = stack.channel("ada", members=["eve"], historyVisibility=visibility)
    async with Client(stack, "ada", from_start=True) as ada, Client(stack, "eve", from_start=True) as eve:
        before = await ada.send(channel, "before")
        await eve.wait_seq(channel, before["seq"])
        with stack.rest("ada") as rest:
            assert rest.delete(f"/api/channels/{channel}/members/eve").status_code in (200, 204)
            hidden = await ada.send(channel, "while she was away")
            assert rest.post(f"/api/channels/{channel}/members", json={"userId": "eve", "role": "member"}).status_code in (200, 201)
        after = await ada.send(channel, "welcome back")
        await ada.wait_seq(channel, after["seq"])
        await eve.wait_seq(channel, after["seq"])
        # her device that was there all the time saw of the absence what she may see, and no more
        assert ("while she was away" in json.dumps(eve.channels[channel].events)) == (visibility == "all")
        # a device of hers that was off meanwhile proves completeness from its old cursor
        stack.wait_ingested("ada", channel, after["seq"])
        late = Client(stack, "eve", from_start=True)
        view = late.channels.setdefault(channel, type(eve.channels[channel])())
        view.cursor, view.epoch = before["seq"], eve.channels[channel].epoch
        async with late:
            await late.wait_seq(channel, after["seq"])
            seen = json.dumps(late.channels[channel].events)
            assert "welcome back" in seen
            assert ("while she was away" in seen) == (visibility == "all")
        with stack.rest("eve") as rest:
            messages = [m["content"] for m in rest.get(f"/api/channels/{channel}/messages").json()["messages"]]
            assert ("while she was away" in messages) == (visibility == "all")
            assert {"before", "welcome back"} <= set(messages)
            single = rest.get(f"/api/channels/{channel}/messages", params={"around": hidden["seq"]}).text
            assert ("while she was away" in single) == (visibility == "all")
        events, through = stack.all_events("eve", channel)
        assert ("while she was away" in json.dumps(events)) == (visibility == "all") and through >= after["seq"]


def changed(answer):
    """In force, or accepted: the gateway may not be there to confirm it."""
    assert answer.status_code in (200, 201, 202, 204), answer.text


async def test_absence_while_nats_was_away(stack):
    """The gateway hears of removal and return at once, from the list, before it has any of the events of between."""
    channel = stack.channel("ada", members=["eve"], historyVisibility="joined")
    async with Client(stack, "ada", from_start=True) as ada, Client(stack, "eve", from_start=True) as eve:
        before = await ada.send(channel, "before")
        await eve.wait_seq(channel, before["seq"])
        stack.kill("gateway", signal.SIGSTOP)
        try:
            stack.kill("nats-server")
            stack.start("nats-server")
            with stack.rest("ada") as rest:
                wait_until(lambda: rest.delete(f"/api/channels/{channel}/members/eve").status_code in (200, 202, 204), what="the removal")
                # accepted; it counts from its place in the log on
                wait_until(lambda: "memberLeft" in json.dumps(stack.all_events("ada", channel)[0]), what="its event")
                wait_until(lambda: rest.post(f"/api/channels/{channel}/messages", json={"content": "while she was away"}).status_code == 201,
                           what="a message of between")
                changed(rest.post(f"/api/channels/{channel}/members", json={"userId": "eve", "role": "member"}))
        finally:
            stack.kill("gateway", signal.SIGCONT)
        after = await ada.send_until_acked(channel, "welcome back")
        await ada.wait_seq(channel, after["seq"])
        await eve.wait_seq(channel, after["seq"])
        assert "while she was away" in json.dumps(ada.channels[channel].events)
        assert "while she was away" not in json.dumps(eve.channels[channel].events)
        assert {"before", "welcome back"} <= {m["content"] for m in eve.messages(channel)}
        assert [f for f in eve.frames if f["type"] == "channelRemoved" and f["channelId"] == channel]


async def test_removed_and_then_postgres_is_away(stack):
    """A gateway that starts afterwards knows of the removal from the bucket alone."""
    channel = stack.channel("ada", members=["eve"])
    async with Client(stack, "ada") as ada:
        await ada.send(channel, "x")
    with stack.rest("ada") as rest:
        assert rest.delete(f"/api/channels/{channel}/members/eve").status_code in (200, 204)
    stack.stop("postgres")
    try:
        stack.stop("gateway")
        stack.start("gateway")
        async with Client(stack, "ada") as ada, Client(stack, "eve") as eve:
            assert channel in ada.channels and channel not in eve.channels
            await ada.send(channel, "not for eve")
            with pytest.raises(Refused) as refused:
                await eve.send(channel, "let me in")
            assert refused.value.code == "not_a_member"
    finally:
        stack.start("postgres")
        with stack.rest("ada") as rest:  # history finds it again by itself
            wait_until(lambda: rest.get("/api/channels").status_code == 200, what="history answers")


async def test_two_gateways_of_one_name(own_stack):
    """By a mistake, or one was started again while the one before still serves: neither confirms a removal for the other."""
    stack = own_stack(PARLEY_GATEWAY_ID="one", PARLEY_RATE_LIMITS="off")
    stack.second_gateways(2)
    channel = stack.channel("ada", members=["bob", "carla", "eve"])
    with stack.rest("ada") as rest:
        for pid, user in (stack.pid("gateway"), "bob"), (stack.gateways[1].process.pid, "carla"):
            os.kill(pid, signal.SIGSTOP)
            try:
                assert rest.delete(f"/api/channels/{channel}/members/{user}").status_code == 202
            finally:
                os.kill(pid, signal.SIGCONT)
        assert rest.delete(f"/api/channels/{channel}/members/eve").status_code == 204


async def test_added_member_goes_live_at_once(stack):
    channel = stack.channel("ada")
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        assert channel not in bob.channels
        with pytest.raises(Refused) as refused:
            await bob.send(channel, "let me in")
        assert refused.value.code == "not_a_member"
        with stack.rest("ada") as rest:
            assert rest.post(f"/api/channels/{channel}/members", json={"userId": "bob", "role": "member"}).status_code in (200, 201)
        await bob.wait(lambda: channel in bob.channels, what="channelAdded")
        ack = await ada.send(channel, "hi bob")
        await bob.wait_seq(channel, ack["seq"])
        assert bob.messages(channel)[-1]["content"] == "hi bob"


async def test_leave_and_join(stack):
    channel = stack.channel("ada", kind="open")
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        with stack.rest("bob") as rest:
            assert rest.post(f"/api/channels/{channel}/join").status_code in (200, 201, 204)
            await bob.wait(lambda: channel in bob.channels, what="channelAdded")
            await bob.send(channel, "joined")
            assert rest.post(f"/api/channels/{channel}/leave").status_code in (200, 204)
            with pytest.raises(Refused):
                await bob.send(channel, "left")
            assert rest.post(f"/api/channels/{stack.channel('ada')}/join").status_code == 403
        ack = await ada.send(channel, "alone")
        await ada.wait_seq(channel, ack["seq"])


def test_only_members_with_the_right_role_manage(stack):
    channel = stack.channel("ada", members=["bob", "eve"])
    with stack.rest("bob") as bob, stack.rest("mallory") as mallory:
        assert bob.delete(f"/api/channels/{channel}/members/eve").status_code == 403
        assert mallory.get(f"/api/channels/{channel}/members").status_code == 403
        assert mallory.post(f"/api/channels/{channel}/members", json={"userId": "mallory", "role": "owner"}).status_code == 403
        assert mallory.get("/api/channels/no-such-channel/messages").status_code == 403
        assert channel not in mallory.get("/api/channels").text
