"""What is removed without being asked for: never a file that somebody has sent, or can still send, whatever happened while that was found out."""

import asyncio
import contextlib
import uuid

import pytest
from support.client import Client
from support.comparison import StandIn, compared, days_ago, finished, world
from support.log import Log, database
from support.schema import upload_pb2
from support.stack import wait_until
from support.uploads import Uploader, problem


@pytest.fixture(scope="module")
def stack(new_stack):
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_RECONCILE_S=0, PARLEY_UPLOAD_SWEEP_S=1, PARLEY_FILE_RELEASE_S=1)
    try:
        yield stack.up()
    finally:
        stack.down()


async def in_thread(call, *args):
    return await asyncio.to_thread(call, *args)


# --- while a comparison runs ---


async def test_a_descriptor_that_is_given_meanwhile(stack):
    """And may be sent: the file stays, and stays its owner's to read"""
    channel = stack.channel("late")
    async with Log(stack) as log:
        w = await world(stack, log)
        with Uploader(stack, "late") as late:
            id = late.uploaded(channel, b"draft")["attachment"]["id"]
            await w.put(id, created_at_ms=days_ago(40), descriptor_until_ms=days_ago(40))
            given = []

            async def asked(ids):
                if id in ids:
                    given.append(await in_thread(late.describe, id, channel))
                return {}

            async with StandIn(stack, log, asked):
                await in_thread(compared, stack)
                assert [answer.status_code for answer in given] == [200]
                assert (await in_thread(late.read, id)).content == b"draft"
            assert (await w.record(id)).released_at_ms == 0
            async with Client(stack, "late") as client:
                await client.send(channel, "look", attachments=[given[0].json()["descriptor"]])
            assert late.read(id).content == b"draft"


async def test_a_message_that_comes_meanwhile(stack):
    """Pages of what messages carry were read without it: what history says when it is asked once more counts"""
    channel = stack.channel("comes")
    async with Log(stack) as log:
        w = await world(stack, log)
        with Uploader(stack, "comes") as comes:
            kept, gone = [comes.uploaded(channel, b"draft")["attachment"]["id"] for _ in range(2)]
            for id in (kept, gone):
                await w.put(id, created_at_ms=days_ago(40), descriptor_until_ms=days_ago(40))

            async def asked(ids):
                return {kept: [channel]} if kept in ids else {}

            async with StandIn(stack, log, asked):
                await in_thread(compared, stack)
            assert comes.read(kept).content == b"draft"
            assert gone not in w.objects()  # it was looked at
        await w.put(kept, descriptor_until_ms=0)  # no finding of the other tests


@pytest.mark.parametrize("end", ["a descriptor meanwhile", "not told"])
async def test_a_channel_that_may_still_get_it(stack, end):
    """A descriptor for it was given while the comparison ran; or the record, as an older version wrote it, does not say until when"""
    one, two = stack.channel("gil", ["hal"]), stack.channel("gil", ["ivo"])
    async with Log(stack) as log:
        w = await world(stack, log)
        with Uploader(stack, "gil") as gil, Uploader(stack, "ivo") as ivo:
            id = gil.uploaded(one, b"shared")["attachment"]["id"]
            assert gil.describe(id, two).status_code == 200
            await w.put(id, created_at_ms=days_ago(4), descriptor_until_ms=0 if end == "not told" else days_ago(2))

            async def asked(ids):
                if id in ids and end != "not told":
                    answer = await in_thread(gil.describe, id, two)
                    assert answer.status_code == 200, answer.text
                return {id: [one]} if id in ids else {}

            async with StandIn(stack, log, asked):
                await in_thread(compared, stack)
                record = await w.record(id)
                assert list(record.channel_ids) == [one, two] and record.descriptor_until_ms > days_ago(0)
                assert (await in_thread(ivo.locate, id)).status_code == 302
                await w.put(id, created_at_ms=days_ago(4), descriptor_until_ms=days_ago(2))
                if end == "not told":  # and then it is over
                    await in_thread(compared, stack)
                    assert list((await w.record(id)).channel_ids) == [one]
        await w.put(id, descriptor_until_ms=0)


# --- while history has not ingested what was acknowledged ---


@contextlib.contextmanager
def held_ingest(stack):
    """No message gets into Postgres"""
    with database(stack) as db, db.transaction():
        db.execute("LOCK TABLE messages IN EXCLUSIVE MODE")
        yield


async def test_the_sweeper_waits_for_ingest(stack):
    """The records of a file are as before its completion, and the message that carries it is in the log alone"""
    channel = stack.channel("swept")
    async with Log(stack) as log:
        uploads = await log.js.key_value("UPLOADS")
        w = await world(stack, log)
        with Uploader(stack, "swept") as swept:
            upload = swept.created(channel, b"hello")
            swept.sent(upload["put"], b"hello")
            before = upload_pb2.PendingUpload.FromString((await uploads.get(upload["id"])).value)
            before.expires_at_ms = 1
            done = swept.completed(upload)
            async with Client(stack, "swept") as client:
                with held_ingest(stack):
                    await client.send(channel, "look", attachments=[done["descriptor"]])
                    await log.js.purge_stream("KV_FILES", subject=f"$KV.FILES.file.{upload['id']}")
                    await uploads.put(upload["id"], before.SerializeToString())
                    await in_thread(wait_until, lambda: upload["id"] in stack.log_texts()["upload.log"], 60, "the sweeper was there")
                    assert upload["id"] in w.objects()
            wait_until(lambda: swept.locate(upload["id"]).status_code == 302, 60, "the record is back")
            assert swept.read(upload["id"]).content == b"hello"


async def test_what_is_released_and_sent_again_waits_for_ingest(stack):
    """Whether a message carries it again is not known: it is not answered as a file that is gone"""
    channel = stack.channel("again")
    async with Log(stack) as log:
        w = await world(stack, log)
        with Uploader(stack, "again") as again:
            done = again.uploaded(channel, b"hello")
            id = done["attachment"]["id"]
            async with Client(stack, "again") as client:
                first = await client.send(channel, "look", attachments=[done["descriptor"]])
                await client.request({"type": "delete", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": first["seq"]})

                async def released():
                    return (await w.record(id)).released_at_ms

                deadline = asyncio.get_running_loop().time() + 30
                while not await released():
                    assert asyncio.get_running_loop().time() < deadline, "it is not released"
                    await asyncio.sleep(0.1)  # the interval of a poll with a deadline
                with held_ingest(stack):
                    await client.send(channel, "again", attachments=[done["descriptor"]])
                    problem(await in_thread(again.locate, id), 503, "unavailable", "history")
            wait_until(lambda: again.locate(id).status_code == 302, 60, "history knows it")


async def test_the_collection_waits_for_ingest(stack):
    channel = stack.channel("behind")
    async with Log(stack) as log:
        w = await world(stack, log)
        with Uploader(stack, "behind") as behind:
            done = behind.uploaded(channel, b"hello")
            id = done["attachment"]["id"]
            await w.put(id, created_at_ms=days_ago(40), descriptor_until_ms=days_ago(40))
            async with Client(stack, "behind") as client:
                with held_ingest(stack):
                    ack = await client.send(channel, "look", attachments=[done["descriptor"]])
                    assert "history" in (await in_thread(finished, stack))["incomplete"]
                    assert id in w.objects()
                stack.wait_ingested("behind", channel, ack["seq"])
            assert id not in compared(stack).get("record_without_message", ([],))[0]
            assert behind.read(id).content == b"hello"
