"""G4: a retry never duplicates, however late. The identity is (channel, sender, id)."""

import asyncio
import uuid

import pytest
from support.client import Client, Refused

WINDOW_MS = 2000


@pytest.fixture(scope="module")
def short(new_stack):
    s = new_stack(PARLEY_DEDUPE_WINDOW_MS=WINDOW_MS, PARLEY_RATE_LIMITS="off")
    try:
        yield s.up()
    finally:
        s.down()


async def test_same_id_at_once_after_reconnect_and_after_the_window(short):
    channel, id = short.channel("ada", members=["bob"]), str(uuid.uuid4())
    async with Client(short, "bob") as bob:
        async with Client(short, "ada") as one, Client(short, "ada") as two:
            acks = await asyncio.gather(one.send(channel, "once", id=id), two.send(channel, "once", id=id), one.send(channel, "once", id=id))
        async with Client(short, "ada") as three:
            acks.append(await three.send(channel, "once", id=id, retry=True))
            # something later moves the ingested range beyond the dedupe window's reach
            start = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < start + WINDOW_MS / 1000 * 1.5:
                later = await three.send(channel, "meanwhile")
                await bob.wait_seq(channel, later["seq"])
            short.wait_ingested("ada", channel, later["seq"])
            acks.append(await three.send(channel, "once", id=id, retry=True))
            with pytest.raises(Refused) as refused:
                await three.send(channel, "something else", id=id, retry=True)
            assert refused.value.code == "id_conflict"
            last = await three.send(channel, "the end")
        await bob.wait_seq(channel, last["seq"])
        assert len({(a["seq"], a["createdAt"]) for a in acks}) == 1, acks
        assert [m["content"] for m in bob.messages(channel)].count("once") == 1
    events, _ = short.all_events("ada", channel)
    assert [e["id"] for e in events].count(id) == 1


async def test_same_id_elsewhere_is_another_message(short):
    first, second, id = short.channel("ada", members=["bob"]), short.channel("ada"), str(uuid.uuid4())
    async with Client(short, "ada") as ada, Client(short, "bob") as bob:
        acks = [await ada.send(first, "x", id=id), await ada.send(second, "x", id=id), await bob.send(first, "x", id=id)]
        assert len({a["seq"] for a in acks}) == 3 and not any(a["duplicate"] for a in acks)


async def test_other_content_under_one_id_is_an_error(short):
    channel, id = short.channel("ada"), str(uuid.uuid4())
    async with Client(short, "ada") as ada:
        ack = await ada.send(channel, "one", id=id)
        for change in ({"content": "two"}, {"content": "one", "type": "file"}, {"content": "one", "mentions": ["bob"]}):
            with pytest.raises(Refused) as refused:
                await ada.send(channel, change.pop("content"), id=id, **change)
            assert refused.value.code == "id_conflict"
        # an edit under the same id is another thing as well
        with pytest.raises(Refused) as refused:
            await ada.request({"type": "edit", "channelId": channel, "id": id, "targetSeq": ack["seq"], "content": "one"})
        assert refused.value.code == "id_conflict"


async def again(client, frame):
    """Retries as a client does it: until history has caught up the answer may be `unavailable`, and nothing else."""
    while True:
        try:
            return await client.request({**frame, "retry": True})
        except Refused as refused:
            assert refused.code == "unavailable" and refused.retry_ms > 0
            await asyncio.sleep(0.1)  # history is behind by a batch; the test has a deadline


async def test_retry_of_edit_and_delete(short):
    channel = short.channel("ada")
    async with Client(short, "ada") as ada:
        message = await ada.send(channel, "one")
        edit = {"type": "edit", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": message["seq"], "content": "two"}
        assert (await ada.request(edit))["seq"] == (await again(ada, edit))["seq"]
        delete = {"type": "delete", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": message["seq"]}
        assert (await ada.request(delete))["seq"] == (await again(ada, delete))["seq"]


async def test_retry_of_edit_and_delete_before_they_are_ingested(short):
    """The target is changed already, by this very mutation: while that cannot be known it is not refused for it."""
    channel = short.channel("ada")
    async with Client(short, "ada") as ada:
        message = await ada.send(channel, "one")
        short.wait_ingested("ada", channel, message["seq"])
        edit = {"type": "edit", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": message["seq"], "content": "two"}
        delete = {"type": "delete", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": message["seq"]}
        short.stop("postgres")
        try:
            acks = [await ada.request(edit), await ada.request(delete)]
            for frame in (edit, delete):
                with pytest.raises(Refused) as refused:
                    await ada.request({**frame, "retry": True})
                assert refused.value.code == "unavailable" and refused.value.retry_ms > 0
        finally:
            short.start("postgres")
        for frame, ack in zip((edit, delete), acks, strict=True):
            repeated = await again(ada, frame)
            assert repeated["seq"] == ack["seq"] and repeated["duplicate"]
    events, _ = short.all_events("ada", channel)
    assert [e["id"] for e in events].count(edit["id"]) == 1 and [e["id"] for e in events].count(delete["id"]) == 1


async def test_a_retry_that_nothing_covers_is_unavailable(short):
    """Postgres is down and the window has passed: the gateway cannot know, and says so instead of guessing."""
    channel, id = short.channel("ada"), str(uuid.uuid4())
    async with Client(short, "ada") as ada:
        await ada.send(channel, "x", id=id)
        short.stop("postgres")
        try:
            with pytest.raises(Refused) as refused:
                await ada.send(channel, "x", id=id, retry=True)
            assert refused.value.code == "unavailable" and refused.value.retry_ms > 0
            assert (await ada.send(channel, "not a retry"))["seq"] > 0
        finally:
            short.start("postgres")
