"""History against a real NATS and a real Postgres: the log in, exactly once, in order; and out again."""

import asyncio
import itertools
import json
import uuid

from support.log import Log, check_chains, database, ingested
from support.schema import event_pb2, internal_pb2


def page(stack, user, channel, **query):
    with stack.rest(user) as rest:
        answer = rest.get(f"/api/channels/{channel}/messages", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def until(condition, timeout=20.0, what="condition"):
    """Polls an async condition with a deadline."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        value = await condition()
        if value:
            return value
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout} s: {what}"
        await asyncio.sleep(0.02)  # the interval of a poll with a deadline


# --- what becomes of events ---


async def test_what_is_published_comes_out_as_it_went_in(stack):
    channel = stack.channel("ada")
    async with Log(stack) as log:
        sent = []
        for i in range(30):
            event = log.message(channel, "ada", f"text {i} „“ ☃ {'x' * i}", type=i % 3)
            event.message.mentions.extend(["bob", "eve-1"][: i % 3])
            if i % 4 == 1:
                event.message.thread_id = sent[0].id
            if i % 5 == 1:
                event.message.reply_to = sent[-1].id
            sent.append(event)
        seqs = await log.publish_many(sent)
        ingested(stack, seqs[-1])
        answer = await log.ask("events", internal_pb2.EventsRequest(channel_id=channel, after_seq=seqs[0] - 1, limit=500))
        assert not answer.HasField("error") and answer.through_seq >= seqs[-1] and not answer.more
        for event, seq, got in zip(sent, seqs, answer.events, strict=True):
            event.seq = event.message.seq = seq
            event.prev = got.prev
            assert got == event
        assert [e.prev for e in answer.events][1:] == seqs[:-1]


async def test_edits_and_deletions(stack):
    channel = stack.channel("ada", members=["bob"])
    async with Log(stack) as log:
        kept, gone, answer = await log.publish_many([log.message(channel, "ada", t) for t in ("teh first", "a secret", "an answer")])
        edit1 = await log.publish(log.edit(channel, "ada", kept, "the frist"))
        edit2 = await log.publish(log.edit(channel, "ada", kept, "the first"))
        leak = await log.publish(log.edit(channel, "ada", gone, "a secret, edited"))
        forged = await log.publish(log.edit(channel, "bob", kept, "bob was here"))
        delete = await log.publish(log.delete(channel, "bob", gone))
        late = await log.publish(log.edit(channel, "ada", gone, "the secret again"))
        again = await log.publish(log.delete(channel, "ada", gone))
        nowhere = await log.publish(log.delete(channel, "ada", 1))  # not an event of this channel
        ingested(stack, nowhere)
        messages = {m["seq"]: m for m in page(stack, "bob", channel)["messages"]}
        assert messages[kept]["content"] == "the first" and messages[kept]["updatedAt"] and not messages[kept]["deleted"]
        assert messages[gone]["content"] == "" and messages[gone]["deleted"] and messages[gone]["mentions"] == []
        assert messages[answer]["content"] == "an answer" and "updatedAt" not in messages[answer]
        events, _ = stack.all_events("bob", channel)
        assert "secret" not in json.dumps(events)
        by_seq = {e["seq"]: e for e in events}
        assert by_seq[kept]["message"]["content"] == "teh first", "the event itself stays what it was"
        assert by_seq[edit1]["messageEdited"]["content"] == "the frist" and by_seq[edit2]["messageEdited"]["content"] == "the first"
        for seq in (gone, leak, late):
            assert by_seq[seq]["removed"]["reason"] == "deleted"
        assert by_seq[forged]["removed"]["reason"] == "rejected" and "bob was here" not in json.dumps(events)
        assert by_seq[delete]["messageDeleted"]["targetSeq"] == gone and "messageDeleted" in by_seq[again]
        # and out of the log: the message and the edits that quoted it, nothing else
        for seq in (gone, leak, late):
            await until(lambda s=seq: is_none(log.stored(s)), what=f"{seq} is gone from the log")
        assert await log.stored(kept) and await log.stored(delete) and await log.stored(edit1)
        assert any(letter.seq == forged and "somebody else" in letter.reason for letter in await log.dead_letters())
    check_chains(stack)


async def is_none(awaitable):
    return await awaitable is None


async def test_second_event_of_an_identity(stack):
    """The dedupe window has passed, and somebody sends again without saying so: a placeholder, never a second message."""
    channel, id = stack.channel("ada"), str(uuid.uuid4())
    async with Log(stack) as log:
        first = await log.publish(log.message(channel, "ada", "once", id), dedupe=False)
        other = await log.publish(log.message(channel, "bob", "another sender", id), dedupe=False)
        ingested(stack, other)  # so that the second does not come in the same batch
        second = await log.publish(log.message(channel, "ada", "once", id), dedupe=False)
        third, last = await log.publish(log.message(channel, "ada", "once", id), dedupe=False), await log.publish(log.message(channel, "ada", "on"))
        ingested(stack, last)
        assert [m["seq"] for m in page(stack, "ada", channel)["messages"]] == [first, other, last]
        reasons = {e["seq"]: e.get("removed", {}).get("reason") for e in stack.all_events("ada", channel)[0]}
        assert reasons[first] is None and reasons[second] == reasons[third] == "duplicate"
        found = await log.ask("lookup", internal_pb2.LookupRequest(channel_id=channel, actor_id="ada", id=id))
        assert found.event.seq == first
    check_chains(stack)


BAD = {
    "no protobuf": (lambda log, c: b"\xff\xff\xff", ""),
    "empty": (lambda log, c: b"", "created_at"),
    "another channel's": (lambda log, c: log.message("elsewhere", "ada", "x").SerializeToString(), "channel_id"),
    "no UUID": (lambda log, c: log.message(c, "ada", "x", "17").SerializeToString(), "id is not a UUID"),
    "bad actor": (lambda log, c: log.message(c, "a.b", "x").SerializeToString(), "actor_id"),
    "invalid UTF-8": (lambda log, c: log.message(c, "ada", "xxPLACEHOLDERxx").SerializeToString().replace(b"PLACEHOLDER", b"\xff" * 11), "content"),
    "a NUL": (lambda log, c: log.message(c, "ada", "a\0b").SerializeToString(), "content"),
    "too large": (lambda log, c: log.message(c, "ada", "x" * 300_000).SerializeToString(), "too large"),
    "no body": (lambda log, c: log.event(c, "ada").SerializeToString(), "no body"),
    "a placeholder": (lambda log, c: event_pb2.Event(channel_id=c, actor_id="ada", id=str(uuid.uuid4()), created_at={"seconds": 1},
                                                     removed={}).SerializeToString(), "placeholder"),
    "far future": (lambda log, c: event_pb2.Event(channel_id=c, actor_id="ada", id=str(uuid.uuid4()), created_at={"seconds": 10**11},
                                                  message={"content": "x"}).SerializeToString(), "created_at"),
}


async def test_what_cannot_be_read(stack):
    channel = stack.channel("ada")
    async with Log(stack) as log:
        good, bad = [await log.publish(log.message(channel, "ada", "before"))], {}
        for name, (make, _) in BAD.items():
            payload = make(log, channel)
            bad[name] = ((await log.js.publish(f"chat.0.{channel}", payload)).seq, payload)
            good.append(await log.publish(log.message(channel, "ada", f"after {name}")))
        nowhere = (await log.js.publish("chat.0.a.b", b"no channel")).seq
        good.append(await log.publish(log.message(channel, "ada", "the end")))
        ingested(stack, good[-1])
        assert [m["seq"] for m in page(stack, "ada", channel)["messages"]] == good
        removed = {e["seq"]: e["removed"]["reason"] for e in stack.all_events("ada", channel)[0] if "removed" in e}
        assert removed == {seq: "rejected" for seq, _ in bad.values()}
        letters = {letter.seq: letter for letter in await log.dead_letters()}
        for name, (seq, payload) in bad.items():
            assert BAD[name][1] in letters[seq].reason, (name, letters[seq].reason)
            assert letters[seq].payload == payload and letters[seq].subject == f"chat.0.{channel}" and letters[seq].service == "history"
        assert letters[nowhere].subject == "chat.0.a.b"
    check_chains(stack)


async def test_what_postgres_refuses(own_stack):
    """A part of a batch that fails for its data is halved until the culprit stands alone."""
    stack = own_stack(PARLEY_INGEST_LINGER_MS=300)
    channel = stack.channel("ada")
    with database(stack) as db:
        db.execute("ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (content NOT LIKE '%poison%')")
        async with Log(stack) as log:
            poison = {7, 8, 250, 399}
            seqs = await log.publish_many([log.message(channel, "ada", f"{i} poison" if i in poison else f"{i}") for i in range(400)])
            ingested(stack, seqs[-1])
            got = db.execute("SELECT seq FROM messages WHERE channel_id = %s ORDER BY seq", [channel]).fetchall()
            assert [s for s, in got] == [s for i, s in enumerate(seqs) if i not in poison]
            rejected = db.execute("SELECT seq FROM events WHERE channel_id = %s AND removed = 2 ORDER BY seq", [channel]).fetchall()
            assert [s for s, in rejected] == [seqs[i] for i in sorted(poison)]
            letters = await log.dead_letters()
            assert sorted(letter.seq for letter in letters) == [s for s, in rejected]
            assert all("no_poison" in letter.reason and "poison" not in letter.reason.replace("no_poison", "") for letter in letters)
            assert all(b"poison" in letter.payload for letter in letters)
    check_chains(stack)
    assert stack.metric("history", "parley_history_dead_letters_total") == 4


# --- pages ---


async def test_pages_at_all_edges(stack):
    """Each page against a model: every cursor that there is and some that there are not, every mode, several limits."""
    channel = stack.channel("ada")
    async with Log(stack) as log:
        events = [log.message(channel, "ada", f"m{i}") for i in range(12)]
        seqs = []
        for i, event in enumerate(events):
            seqs.append(await log.publish(event))
            if i % 3 == 0:
                await log.publish(log.message("elsewhere", "ada", "a gap"))
        await log.publish(log.delete(channel, "ada", seqs[4]))
        last = await log.publish(log.message("elsewhere", "ada", "the end"))
        ingested(stack, last)
    cursors = [(s, s) for s in [0, seqs[0] - 1, *seqs, seqs[0] + 1, seqs[-1] + 1, 2**53, 2**63 - 1]] + [(e.id, s) for e, s in zip(events, seqs)]
    with stack.rest("ada") as rest:
        def check(query, expected):
            answer = rest.get(f"/api/channels/{channel}/messages", params=query)
            assert answer.status_code == 200, (query, answer.text)
            got = answer.json()
            assert [m["seq"] for m in got["messages"]] == expected, query
            assert got["completeThroughSeq"] >= last and got["stateSeq"] == got["completeThroughSeq"]
            assert all(m["deleted"] == (m["seq"] == seqs[4]) for m in got["messages"])
            if expected:
                assert got["hasBefore"] == (expected[0] > seqs[0]), query
                assert got["hasAfter"] == (expected[-1] < seqs[-1]), query
            return got

        for limit in (1, 2, 5, 12, 200):
            check({"limit": limit}, seqs[-limit:])
            for cursor, at in cursors:
                check({"before": cursor, "limit": limit}, [s for s in seqs if s < at][-limit:])
                check({"after": cursor, "limit": limit}, [s for s in seqs if s > at][:limit])
                got = [m["seq"] for m in rest.get(f"/api/channels/{channel}/messages", params={"around": cursor, "limit": limit}).json()["messages"]]
                assert len(got) == min(limit, 12) and got == seqs[seqs.index(got[0]):][:len(got)], (cursor, limit, got)
                if at in seqs:
                    assert at in got
                check({"around": cursor, "limit": limit}, got)
        # walking by pages gives each once, in both directions
        for limit, (way, end) in itertools.product((1, 5, 7), (("before", 0), ("after", -1))):
            seen, query = [], {"limit": limit, **({"after": 0} if way == "after" else {})}
            while True:
                got = [m["seq"] for m in rest.get(f"/api/channels/{channel}/messages", params=query).json()["messages"]]
                if not got:
                    break
                seen = got + seen if way == "before" else seen + got
                query[way] = got[end]
            assert seen == seqs
        for event, seq in zip(events, seqs):
            for name in (event.id, seq):
                assert rest.get(f"/api/channels/{channel}/messages/{name}").json()["seq"] == seq
        for name, status in ((seqs[-1] + 1, 404), (uuid.uuid4(), 404), ("x", 400), ("", 404)):
            assert rest.get(f"/api/channels/{channel}/messages/{name}").status_code == status
        for query in ({"before": str(uuid.uuid4())}, {"around": str(uuid.uuid4())}):
            assert rest.get(f"/api/channels/{channel}/messages", params=query).status_code == 404
        assert rest.get("/api/channels/no-such-channel/messages").status_code == 403


async def test_events_page_by_page(stack):
    channel = stack.channel("ada")
    async with Log(stack) as log:
        seqs = await log.publish_many([log.message(channel, "ada", f"m{i}") for i in range(20)])
        ingested(stack, seqs[-1])
        with stack.rest("ada") as rest:
            after, seen = 0, []
            for _ in range(30):
                answer = rest.get(f"/api/channels/{channel}/events", params={"after": after, "limit": 3}).json()
                assert answer["fromSeq"] == after and answer["throughSeq"] >= after and answer["epoch"] > 0
                seen += answer["events"]
                after = answer["throughSeq"]
                if not answer["more"]:
                    break
            assert after >= seqs[-1]
            assert [e["seq"] for e in seen][-20:] == seqs
            assert all(b["prev"] == a["seq"] for a, b in zip(seen, seen[1:])) and seen[0]["prev"] == 0
            # a cursor from the future: nothing is missing, and it does not go back
            future = rest.get(f"/api/channels/{channel}/events", params={"after": after + 10**6}).json()
            assert future["events"] == [] and future["throughSeq"] == after + 10**6 and not future["more"]
            for bad in ("-1", "x", "", str(2**63)):
                answer = rest.get(f"/api/channels/{channel}/events", params={"after": bad})
                assert answer.status_code == 400 and "after" in answer.json()["detail"]
            assert rest.get(f"/api/channels/{channel}/events", params={"limit": 501}).status_code == 400


async def test_joined_sees_nothing_of_an_absence(stack):
    channel = stack.channel("ada", historyVisibility="joined")
    async with Log(stack) as log:
        async def say(text):
            event = log.message(channel, "ada", text)
            return await log.publish(event), event.id

        early, early_id = await say("too early")
        with stack.rest("ada") as ada:
            assert ada.post(f"/api/channels/{channel}/members", json={"userId": "eve"}).status_code == 201
            first, _ = await say("first stay")
            assert ada.delete(f"/api/channels/{channel}/members/eve").status_code == 204
            hidden, hidden_id = await say("absence")
            ingested(stack, hidden)
            with stack.rest("eve") as eve:
                for path in ("messages", "events", f"messages/{first}", "members"):
                    assert eve.get(f"/api/channels/{channel}/{path}").status_code == 403
            assert ada.post(f"/api/channels/{channel}/members", json={"userId": "eve"}).status_code == 201
        last, _ = await say("second stay")
        ingested(stack, last)
        assert [m["seq"] for m in page(stack, "eve", channel)["messages"]] == [first, last]
        assert [m["seq"] for m in page(stack, "ada", channel)["messages"]] == [early, first, hidden, last]
        for query in ({"around": hidden}, {"after": first - 1}, {"before": last + 1}, {"limit": 2}):
            got = page(stack, "eve", channel, **query)
            assert [m["seq"] for m in got["messages"]] == [first, last] and not got["hasBefore"] and not got["hasAfter"], query
        assert [m["seq"] for m in page(stack, "eve", channel, before=last, limit=1)["messages"]] == [first]
        with stack.rest("eve") as eve:
            for name in (hidden, hidden_id, early, early_id):
                assert eve.get(f"/api/channels/{channel}/messages/{name}").status_code == 404
            assert eve.get(f"/api/channels/{channel}/messages", params={"before": hidden_id}).status_code == 404
        events, through = stack.all_events("eve", channel)
        text = json.dumps(events)
        assert "absence" not in text and "too early" not in text and through >= last
        # her coming and going is hers to see
        kinds = [next(k for k in e if k in ("message", "memberJoined", "memberLeft")) for e in events]
        assert kinds == ["memberJoined", "message", "memberLeft", "memberJoined", "message"]
        answer = await log.ask("events", internal_pb2.EventsRequest(channel_id=channel, limit=500, user_id="eve"))
        assert [e.seq for e in answer.events] == [e["seq"] for e in events]
        refused = await log.ask("events", internal_pb2.EventsRequest(channel_id=channel, limit=500, user_id="mallory"))
        assert refused.error.code == "not_a_member" and not refused.events


# --- rpc ---


async def test_lookup(stack):
    channel = stack.channel("ada")
    async with Log(stack) as log:
        event = log.message(channel, "ada", "here")
        seq = await log.publish(event)
        ingested(stack, seq)
        found = await log.ask("lookup", internal_pb2.LookupRequest(channel_id=channel, actor_id="ada", id=event.id))
        assert found.event.seq == seq and found.event.message.content == "here" and len(found.content_hash) == 16
        same = await log.ask("lookup", internal_pb2.LookupRequest(channel_id=channel, actor_id="ada", id=event.id))
        assert same.content_hash == found.content_hash
        # the one who asks before now, and after the clocks' margin, knows that it is not stored
        now = event_pb2.Event()
        now.created_at.GetCurrentTime()
        missing = await log.ask("lookup", internal_pb2.LookupRequest(channel_id=channel, actor_id="bob", id=event.id))
        assert not missing.HasField("event") and missing.ingested_seq >= seq
        assert missing.ingested_through.ToNanoseconds() > now.created_at.ToNanoseconds() - 1_500_000_000
        for bad in ({"channel_id": "a.b"}, {"id": "17"}, {"actor_id": ""}):
            request = internal_pb2.LookupRequest(**{"channel_id": channel, "actor_id": "ada", "id": event.id, **bad})
            assert (await log.ask("lookup", request)).error.code == "bad_request"
        one = await log.ask("event", internal_pb2.EventRequest(channel_id=channel, seq=seq))
        assert one.event.message.content == "here" and one.event.seq == seq
        assert (await log.ask("event", internal_pb2.EventRequest(channel_id=channel, seq=seq + 1))).error.code == "not_found"
        assert (await log.ask("events", internal_pb2.EventsRequest(channel_id=channel, limit=501))).error.code == "bad_request"


async def test_lookup_of_what_was_deleted(stack):
    """A retry of a message that was deleted meanwhile is still the same request."""
    channel = stack.channel("ada")
    body = {"id": str(uuid.uuid4()), "content": "short-lived"}
    async with Log(stack) as log:
        with stack.rest("ada") as rest:
            first = rest.post(f"/api/channels/{channel}/messages", json=body)
            assert first.status_code == 201
            deleted = await log.publish(log.delete(channel, "ada", first.json()["seq"]))
            ingested(stack, deleted)
            await until(lambda: is_none(log.stored(first.json()["seq"])), what="it is gone from the log")
            for retry in (False, True):
                again = rest.post(f"/api/channels/{channel}/messages", json={**body, "retry": retry})
                assert again.status_code == 200 and again.json()["seq"] == first.json()["seq"], again.text
                other = rest.post(f"/api/channels/{channel}/messages", json={**body, "content": "else", "retry": retry})
                assert other.json()["code"] == "id_conflict"


async def test_large_answers_are_cut(stack):
    channel = stack.channel("ada")
    async with Log(stack) as log:
        seqs = await log.publish_many([log.message(channel, "ada", f"{i} " + "x" * 16000) for i in range(100)])
        ingested(stack, seqs[-1])
        after, seen, rounds = seqs[0] - 1, [], 0
        while True:
            answer = await log.ask("events", internal_pb2.EventsRequest(channel_id=channel, after_seq=after, limit=500))
            assert answer.ByteSize() < 1_000_000
            seen += [e.seq for e in answer.events]
            after, rounds = answer.through_seq, rounds + 1
            if not answer.more:
                break
        assert seen == seqs and rounds > 2


async def test_digests_name_every_head(stack):
    channels = [stack.channel("ada") for _ in range(3)]
    async with Log(stack) as log:
        heads = {}

        async def on_digest(msg):
            digest = internal_pb2.Digest.FromString(msg.data)
            if digest.source == "history":
                heads.update({h.channel_id: h.seq for h in digest.heads})
                assert digest.epoch > 0

        await log.nc.subscribe("digest.0", cb=on_digest)
        seqs = {c: await log.publish(log.message(c, "ada", "x")) for c in channels}
        await until(lambda: holds(lambda: all(heads.get(c, 0) >= s for c, s in seqs.items())), 10, "digests of all")


async def holds(condition):
    return condition()


async def test_three_shards(own_stack):
    """Channels are spread over shards; each has its log, its cursor and its lease, and together they are one service."""
    stack = own_stack(PARLEY_SHARDS=3)
    channels = [stack.channel("ada", members=["bob"]) for _ in range(9)]
    async with Log(stack) as log:
        sent = {}
        with stack.rest("ada") as rest:
            for channel in channels:
                for text in ("one", "two"):
                    sent.setdefault(channel, []).append(rest.post(f"/api/channels/{channel}/messages", json={"content": text}).json()["seq"])
            for channel in channels:
                stack.wait_ingested("ada", channel, sent[channel][-1])
                assert [m["seq"] for m in page(stack, "bob", channel)["messages"]] == sent[channel]
            assert rest.delete(f"/api/channels/{channels[0]}/members/bob").status_code == 204
            own = {c["channel"]["id"] for c in rest.get("/api/channels", params={"limit": 500}).json()["channels"]}
            assert own == {*channels, "general"}
        counts = [(await log.js.stream_info(f"CHAT_{p}")).state.messages for p in range(3)]
        assert sum(n > 0 for n in counts) >= 2, counts
        value, _ = await log.memberships("bob")
        assert {m.channel_id for m in value.memberships if m.role} == set(channels[1:])
    with database(stack) as db:
        assert db.execute("SELECT count(*) FROM streams").fetchone() == (3,)
        assert db.execute("SELECT count(DISTINCT owner), count(*) FROM leases").fetchone() == (1, 3)
    check_chains(stack)
