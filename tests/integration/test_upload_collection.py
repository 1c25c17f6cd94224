"""What is removed without being asked for: never a file that somebody has sent, or can still send, whatever happened while that was found out."""

import asyncio
import contextlib
import uuid

import pytest
from support.client import Client
from support.comparison import StandIn, compared, days_ago, finished, gone_from, world
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


# --- when what messages carry was lost ---


async def nothing_carried(ids):
    """As a history that was put back from an older backup, or an empty one, says it"""
    return {}


async def test_what_was_in_a_message_is_no_draft(stack):
    """However old it is, and for as long as nobody deletes the message: that history knows of none is a loss, and reported. Until somebody says go on."""
    channel = stack.channel("sent")
    async with Log(stack) as log:
        w = await world(stack, log)
        with Uploader(stack, "sent") as sent:
            done = sent.uploaded(channel, b"precious")
            id = done["attachment"]["id"]
            async with Client(stack, "sent") as client:
                await client.send(channel, "look", attachments=[done["descriptor"]])
            assert not (await w.record(id)).sent
            assert id not in str(compared(stack))
            assert (await w.record(id)).sent
            await w.put(id, created_at_ms=days_ago(40), descriptor_until_ms=days_ago(40))
            async with StandIn(stack, log, nothing_carried) as history:
                for _ in range(2):  # nor tomorrow
                    found = await in_thread(compared, stack)
                    assert id in found["message_lost"][0] and id in found["not_collected"][0], found
                    assert id not in found.get("record_without_message", ([],))[0] and id in w.objects()
                assert (await in_thread(stack.metric, "upload", "parley_upload_apart")) >= 2
                history.releasing = [id]  # its message was deleted: no loss
                assert id not in str(await in_thread(compared, stack))
            assert id not in str(compared(stack)) and sent.read(id).content == b"precious"  # history is there again
            async with StandIn(stack, log, nothing_carried):
                found = await in_thread(lambda: compared(stack, collect="true"))
                assert id in found["message_lost"][0] and found["message_lost"][1] >= 1
                assert await gone_from(w, id)


async def drafts(w, n, n_users):
    """Records of files that nobody ever sent, of so many users, and due"""
    ids = [str(uuid.uuid4()) for _ in range(n)]
    for i, id in enumerate(ids):
        record = upload_pb2.StoredFile(user_id=f"hoarder-{i % n_users}", channel_ids=["general"], created_at_ms=days_ago(40), descriptor_until_ms=days_ago(40))
        record.attachment.id, record.attachment.size = id, 1
        await w.files.put(f"file.{id}", record.SerializeToString())
    return ids


async def left_of(w, ids):
    return [id for id in ids if not await gone_from(w, id)]


async def test_drafts_of_one_user_hold_up_nothing(stack):
    async with Log(stack) as log:
        w = await world(stack, log)
        ids = await drafts(w, 110, 1)
        found = {f["what"]: f for f in (await in_thread(finished, stack))["findings"]}
        assert found["record_without_message"]["mended"] >= 110 and found["not_collected"]["count"] == 0
        assert await left_of(w, ids) == []


async def test_drafts_of_many_users_at_once_stay(stack):
    """And it is said so; until somebody who knows that nothing was lost says go on"""
    async with Log(stack) as log:
        w = await world(stack, log)
        ids = await drafts(w, 110, 55)
        for _ in range(2):
            found = {f["what"]: f for f in (await in_thread(finished, stack))["findings"]}
            assert found["not_collected"]["count"] == 110 and found["record_without_message"]["mended"] == 0
            assert set(found["not_collected"]["ids"]) <= set(ids) and len(await left_of(w, ids)) == 110
            assert "not_collected 110" in stack.log_texts()["upload.log"]
            assert f"not_collected: {found['not_collected']['ids'][0]}" in stack.log_texts()["upload.log"]
        with Uploader(stack, "root", admin=True) as root:
            problem(root.rest.post("/api/uploads/reconciliation", params={"collect": "perhaps"}), 400, "bad_request", "collect")
        found = {f["what"]: f for f in (await in_thread(lambda: finished(stack, collect="true")))["findings"]}
        assert found["record_without_message"]["mended"] >= 110 and found["not_collected"]["count"] == 0
        assert await left_of(w, ids) == []
        ids = await drafts(w, 110, 55)  # it counts once
        found = {f["what"]: f for f in (await in_thread(finished, stack))["findings"]}
        assert found["not_collected"]["count"] == 110
        await in_thread(lambda: finished(stack, collect="true"))
