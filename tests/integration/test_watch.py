"""watch and focus: what clients are told of each other by their gateways, over two of them."""

import asyncio
import contextlib
import os
import signal

import nats
import pytest
from support.client import Client, Refused
from support.names import name
from support.schema import presence_pb2
from support.stack import wait_until

GRACE_MS = 1000
SETTINGS = {"PARLEY_PRESENCE_GRACE_MS": GRACE_MS, "PARLEY_PRESENCE_TELL_MS": 100}


def at(stack, which, user, **hello):
    return Client(stack, user, url=stack.gateways[which].ws_url, hello=hello)


def frames(client, kind):
    return [f for f in client.frames if f["type"] == kind]


class View:
    """What a client has been told, as docs/protocol.md says it is to be kept."""

    def __init__(self, client):
        self.client = client

    def watched(self):
        """user -> availability; None: hidden. Raises when something but changes followed the snapshot."""
        state = {}
        for frame in frames(self.client, "presence"):
            if frame["snapshot"]:
                state = {}
            state.update({u["userId"]: u["availability"] for u in frame["users"]})
            state.update({u: None for u in frame["hiddenUserIds"]})
        return state

    async def comes(self, user, availability, timeout=5):
        await self.client.wait(lambda: user in self.watched() and self.watched()[user] == availability, timeout,
                               f"{user} is {availability}, and not {self.watched().get(user, 'untold')}")

    async def watch(self, *users):
        before = len([f for f in frames(self.client, "presence") if f["snapshot"]])
        answer = await self.client.request({"type": "watch", "userIds": list(users)})
        assert answer["type"] == "ack" and answer["seq"] == 0
        await self.client.wait(lambda: len([f for f in frames(self.client, "presence") if f["snapshot"]]) > before, 5, "a snapshot")
        snapshot = [f for f in frames(self.client, "presence") if f["snapshot"]][-1]
        assert sorted([u["userId"] for u in snapshot["users"]] + snapshot["hiddenUserIds"]) == sorted(set(users))


def last_of(client, channel):
    told = [f for f in frames(client, "channelPresence") if f["channelId"] == channel]
    return told[-1] if told else None


async def test_snapshot_then_changes(two):
    ada, bob, eve = name("ada"), name("bob"), name("eve")
    two.channel(ada, members=[bob])
    async with at(two, 0, ada) as watcher:
        view = View(watcher)
        await view.watch(bob, eve, ada, "nobody-at-all")
        await view.comes(ada, "online")
        assert view.watched()[bob] == "offline"
        async with at(two, 1, bob, device="mobile") as phone:
            await view.comes(bob, "online")
            assert frames(watcher, "presence")[-1]["users"][0]["devices"] == ["mobile"]
            await phone.request({"type": "status", "mode": "dnd", "text": "In a meeting"})
            await view.comes(bob, "dnd")
            changes = [f for f in frames(watcher, "presence") if not f["snapshot"]]
            assert changes and all({u["userId"] for u in f["users"]} <= {ada, bob} and not f["hiddenUserIds"] for f in changes)
        await view.comes(bob, "offline", GRACE_MS / 1000 + 5)
        await view.watch(eve)  # takes the place of the set
        told = len(frames(watcher, "presence"))
        async with at(two, 1, bob), at(two, 0, eve):
            await view.comes(eve, "online")
        assert [u["userId"] for f in frames(watcher, "presence")[told:] for u in f["users"]].count(bob) == 0


async def test_refused(two):
    async with at(two, 0, name("ada")) as client:
        for frame, code, text in (({"type": "watch", "userIds": [f"u{i}" for i in range(501)]}, "too_large", "500"),
                                  ({"type": "watch", "userIds": ["a.b"]}, "bad_request", r"userIds\[0\]"),
                                  ({"type": "focus", "channelIds": ["general", "not-mine"]}, "not_a_member", "not-mine"),
                                  ({"type": "focus", "channelIds": ["general"] * 17}, "too_large", "16"),
                                  ({"type": "typing", "channelId": "not-mine"}, "not_a_member", "not-mine")):
            with pytest.raises(Refused, match=text) as refused:
                await client.request(frame)
            assert refused.value.code == code
        view = View(client)
        await view.watch(*[f"u{i}" for i in range(500)])
        assert len(view.watched()) == 500 and set(view.watched().values()) == {None}
        assert not frames(client, "channelPresence")


async def test_permission_lost_and_gained(two):
    """Unknown and unshared are hidden alike; who is removed is hidden, and told of no more; who joins is shown."""
    ada, bob = name("ada"), name("bob")
    for user in (ada, bob):  # everybody shares `general`, unless he leaves it
        with two.rest(user) as rest:
            assert rest.post("/api/channels/general/leave").status_code in (202, 204)
    channel = two.channel(ada)
    async with at(two, 0, ada) as watcher, at(two, 1, bob) as other:
        view = View(watcher)
        await view.watch(bob, "nobody-at-all")
        assert view.watched() == {bob: None, "nobody-at-all": None}
        with two.rest(ada) as rest:
            assert rest.post(f"/api/channels/{channel}/members", json={"userId": bob}).status_code in (201, 202)
            await view.comes(bob, "online")
            assert rest.delete(f"/api/channels/{channel}/members/{bob}").status_code in (202, 204)
        told = len(frames(watcher, "presence"))
        await other.request({"type": "status", "mode": "away"})
        await view.comes(bob, None)
        await other.request({"type": "status", "mode": "automatic"})
        async with at(two, 1, ada) as third:  # what comes of a later change has passed then
            later = View(third)
            await later.watch(ada)
            await third.request({"type": "status", "mode": "away"})
            await later.comes(ada, "away")
        assert all(not f["users"] for f in frames(watcher, "presence")[told:])


async def test_known_again(own_stack):
    """Who shares only what is open to everyone, and of whom nothing is kept, is hidden while he is away; whoever watches him then is told when he comes"""
    stack = own_stack(**{**SETTINGS, "PARLEY_LAST_SEEN": "off"})
    ada, bea, nick = name("ada"), name("bea"), name("nick")
    async with Client(stack, ada) as first, Client(stack, bea) as second:
        early, late = View(first), View(second)
        await early.watch(nick)
        async with Client(stack, nick):
            await early.comes(nick, "online")
        await early.comes(nick, "offline", GRACE_MS / 1000 + 5)
        await late.watch(nick)
        assert late.watched() == {nick: None}
        async with Client(stack, nick):
            await early.comes(nick, "online")
            await late.comes(nick, "online")


@contextlib.asynccontextmanager
async def presence_stopped(stack):
    os.kill(stack.pid("presence"), signal.SIGSTOP)
    try:
        await asyncio.to_thread(wait_until, lambda: stack.states([stack.pid("presence")]) == ["T"], 5, "presence stands still")
        yield
    finally:
        os.kill(stack.pid("presence"), signal.SIGCONT)


async def last_words(nc):
    """The last message of presence: where a further one has to begin."""
    heard = []

    async def record(msg):
        heard.append(presence_pb2.PresenceChanges.FromString(msg.data))
    sub = await nc.subscribe("presence.changes", cb=record)
    await asyncio.to_thread(wait_until, lambda: heard, 5, "presence speaks")
    await sub.unsubscribe()
    return heard[-1]


async def test_removed_while_presence_knows_nothing(two):
    """Presence has not heard of the removal, and goes on telling: the gateway has the channel's log, and tells nothing of him."""
    ada, bob = name("ada"), name("bob")
    with two.rest(bob) as rest:
        assert rest.post("/api/channels/general/leave").status_code in (202, 204)
    channel = two.channel(ada, members=[bob])
    nc = await nats.connect(two.nats_url)
    async with at(two, 0, ada) as watcher, at(two, 1, bob):
        view = View(watcher)
        await view.watch(bob, ada)
        await view.comes(bob, "online")
        await view.comes(ada, "online")
        words = await last_words(nc)
        async with presence_stopped(two):
            with two.rest(ada) as rest:
                removed = rest.delete(f"/api/channels/{channel}/members/{bob}")
            assert removed.status_code in (202, 204)
            # its own gateway has it once it has told her of it
            await watcher.wait(lambda: any(e.get("memberLeft", {}).get("userId") == bob for e in watcher.channels[channel].events), 5, "the removal")
            told = len(frames(watcher, "presence"))
            for n, user in enumerate((bob, ada), 1):
                said = presence_pb2.PresenceChanges(source=words.source, counter=words.counter + n)
                said.changes.add(version=2**50 + n).user.CopyFrom(presence_pb2.UserPresence(user_id=user, availability=2))
                await nc.publish("presence.changes", said.SerializeToString())
            await view.comes(ada, "away")  # which was said behind
            assert bob not in {u["userId"] for f in frames(watcher, "presence")[told:] for u in f["users"]}
        await view.comes(bob, None)
        assert bob not in {u["userId"] for f in frames(watcher, "presence")[told:] for u in f["users"]}
    await nc.close()


async def test_focus(two):
    ada, bob, eve = name("ada"), name("bob"), name("eve")
    channel = two.channel(ada, members=[bob])
    async with at(two, 0, ada) as reader:
        assert (await reader.request({"type": "focus", "channelIds": [channel, "general"]}))["type"] == "ack"
        await reader.wait(lambda: last_of(reader, channel) and last_of(reader, "general"), 5, "both are told")
        told = last_of(reader, channel)
        assert told["members"] == 2 and not told["counted"] and told["online"] == len(told["users"]) <= 1
        if not told["users"]:  # his own coming was not told yet
            await View(reader).comes(ada, "online")
        assert last_of(reader, "general")["counted"] and last_of(reader, "general")["users"] == []
        await reader.wait(lambda: last_of(reader, "general")["online"] > 0, 12, "he himself is counted")
        online = last_of(reader, "general")["online"]
        async with at(two, 1, bob):
            await View(reader).comes(bob, "online")
            await reader.wait(lambda: last_of(reader, "general")["online"] > online, 12, "the count follows")
            with two.rest(ada) as rest:
                assert rest.post(f"/api/channels/{channel}/members", json={"userId": eve}).status_code in (201, 202)
                await reader.wait(lambda: last_of(reader, channel)["members"] == 3, 12, "a member more")
                assert rest.delete(f"/api/channels/{channel}/members/{bob}").status_code in (202, 204)
            await reader.wait(lambda: last_of(reader, channel)["members"] == 2, 12, "a member less")
            assert bob not in {u["userId"] for u in last_of(reader, channel)["users"]}


async def test_presence_killed(two):
    """Watch and focus are acknowledged without presence; what was shown stays, and the truth comes with it."""
    ada, bob, carla = name("ada"), name("bob"), name("carla")
    channel = two.channel(ada, members=[bob, carla])
    bobs = at(two, 1, bob)
    await bobs.connect()
    async with at(two, 0, ada) as watcher, at(two, 0, carla) as late:
        view = View(watcher)
        await view.watch(bob)
        await view.comes(bob, "online")
        os.kill(two.pid("presence"), signal.SIGKILL)
        await bobs.close()
        for frame in ({"type": "watch", "userIds": [bob]}, {"type": "focus", "channelIds": [channel]}):
            assert (await late.request(frame))["type"] == "ack"
        ack = await late.send(channel, "nobody notices")
        await watcher.wait_seq(channel, ack["seq"])
        assert view.watched() == {bob: "online"} and not frames(late, "presence") and not frames(late, "channelPresence")
        two.start("presence")
        await view.comes(bob, "offline", 10)
        await late.wait(lambda: View(late).watched() == {bob: "offline"} and last_of(late, channel), 10, "what was asked for comes")
        assert last_of(late, channel)["members"] == 3


async def test_lost_and_foreign(two):
    """A message of presence is lost, as the jump of its counter shows; another source speaks: everything is asked again."""
    ada, bob = name("ada"), name("bob")
    two.channel(ada, members=[bob])
    nc = await nats.connect(two.nats_url)
    async with at(two, 0, ada) as watcher, at(two, 1, bob):
        view = View(watcher)
        await view.watch(bob)
        await view.comes(bob, "online")

        def resyncs():
            return two.metric("gateway", "parley_gateway_presence_resyncs_total")
        for source in (None, "another-source"):
            heard = []

            async def record(msg):
                heard.append(presence_pb2.PresenceChanges.FromString(msg.data))
            sub = await nc.subscribe("presence.changes", cb=record)
            await asyncio.to_thread(wait_until, lambda: heard, 5, "presence speaks")
            await sub.unsubscribe()
            before, lie = resyncs(), presence_pb2.PresenceChanges()
            lie.source, lie.counter = source or heard[-1].source, heard[-1].counter + 1000
            change = lie.changes.add(version=2**50)
            change.user.user_id, change.user.availability = bob, 2  # away: what only the lie says
            await nc.publish("presence.changes", lie.SerializeToString())
            await view.comes(bob, "away")
            await asyncio.to_thread(wait_until, lambda: resyncs() > before, 8, "it is asked again")
            if source:  # versions of another source do not count against presence's own
                await view.comes(bob, "online", 8)
    await nc.close()


async def test_messages_grow_with_changes(two):
    """Fifty watchers of sixty users each: presence is asked a few times, and a change is told once to each gateway."""
    users = [name("u") for _ in range(60)]
    channel = two.channel(users[0], members=users[1:])
    watchers = [at(two, 0, users[i]) for i in range(50)]
    await asyncio.gather(*(client.connect() for client in watchers))
    await watchers[0].request({"type": "watch", "userIds": [users[59]]})
    await View(watchers[0]).comes(users[59], "offline", 15)  # it answers: in the test before it may have stood still, and who asks nobody hears so at once
    asked = two.metric("gateway", "parley_gateway_presence_queries_total")
    async with presence_stopped(two):  # one question is under way, and all others wait for the next
        for client in watchers:
            await client.request({"type": "watch", "userIds": users})
    await asyncio.gather(*(View(client).comes(users[59], "offline") for client in watchers))
    assert two.metric("gateway", "parley_gateway_presence_queries_total") - asked <= 5
    await asyncio.gather(*(View(watchers[0]).comes(user, "online") for user in users[:50]))
    asked, told = (two.metric("gateway", f"parley_gateway_presence_{what}_total") for what in ("queries", "changes"))
    async with at(two, 1, users[59]):
        await asyncio.gather(*(View(client).comes(users[59], "online") for client in watchers))
    assert two.metric("gateway", "parley_gateway_presence_queries_total") == asked
    assert two.metric("gateway", "parley_gateway_presence_changes_total") - told <= 3
    assert channel in watchers[0].channels
    for client in watchers:
        await client.close()
