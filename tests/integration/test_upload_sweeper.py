"""What the sweeper does with uploads whose time is over, when NATS has lost what it had last."""

import asyncio
import uuid

import pytest
from support.client import Client
from support.log import Log
from support.schema import upload_pb2
from support.stack import wait_until
from support.stores import STORES, store_of
from support.uploads import Uploader, counted, problem, recorded


@pytest.fixture(scope="module", params=STORES)
def stack(request, new_stack):
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=request.param, PARLEY_UPLOAD_SWEEP_S=1)
    try:
        yield stack.up()
    finally:
        stack.down()


async def ended(uploads, id):
    """Puts the record of an upload as one whose time is over"""
    record = upload_pb2.PendingUpload.FromString((await uploads.get(id)).value)
    record.expires_at_ms = 1
    await uploads.put(id, record.SerializeToString())


def sent(uploader, upload):
    uploader.sent(upload["put"], b"hello")
    return upload


async def carried(stack, uploads, uploader, user, channel):
    """A file in a message: its upload, the record of that before it was completed, and the answer"""
    upload = uploader.created(channel, b"hello")
    uploader.sent(upload["put"], b"hello")
    before = (await uploads.get(upload["id"])).value
    done = uploader.completed(upload)
    async with Client(stack, user) as client:
        await client.send(channel, "look", attachments=[done["descriptor"]])
    return upload, before, done


def gone(stack, id):
    """The bodies and what became of them"""
    folder = store_of(stack).folder
    return not [p for p in folder.rglob("*") if p.name == id]


async def test_a_lost_record_does_not_cost_the_file(stack):
    """Both records are as before the completion, as after a power failure: messages carry the file, and it stays"""
    ann = f"u{uuid.uuid4().hex[:12]}"
    channel = stack.channel(ann)
    async with Log(stack) as log:
        uploads = await log.js.key_value("UPLOADS")
        with Uploader(stack, ann) as uploader:
            upload, before, done = await carried(stack, uploads, uploader, ann, channel)
            await log.js.purge_stream("KV_FILES", subject=f"$KV.FILES.file.{upload['id']}")
            assert uploader.locate(upload["id"]).status_code == 404
            await uploads.put(upload["id"], before)
            await ended(uploads, upload["id"])
            wait_until(lambda: uploader.locate(upload["id"]).status_code == 302, 30, "the record is back")
            assert uploader.read(upload["id"]).content == b"hello"
            assert uploader.describe(upload["id"], channel).json()["attachment"] == done["attachment"]


@pytest.mark.parametrize("how", ["by its owner", "with a mark"])
async def test_a_deletion_is_not_undone(stack, how):
    """A message carries the file, its upload was never ended, and its record was removed: what is left of the upload goes, and the sweeper is done with it"""
    ann = f"u{uuid.uuid4().hex[:12]}"
    channel = stack.channel(ann)
    async with Log(stack) as log:
        files, uploads = await log.js.key_value("FILES"), await log.js.key_value("UPLOADS")
        with Uploader(stack, ann) as uploader:
            upload, before, _ = await carried(stack, uploads, uploader, ann, channel)
            if how == "by its owner":
                assert uploader.delete(upload["id"]).status_code == 204
            else:
                await files.delete(f"file.{upload['id']}")
            await uploads.put(upload["id"], before)
            await ended(uploads, upload["id"])
            deadline = asyncio.get_running_loop().time() + 30
            while upload["id"] in await recorded(stack):
                assert asyncio.get_running_loop().time() < deadline, "its record stays"
                await asyncio.sleep(0.1)  # the interval of a poll with a deadline
            assert uploader.locate(upload["id"]).status_code == 404 and gone(stack, upload["id"])
            if how == "by its owner":
                assert await counted(stack, ann) == (0, 0, 0)


async def test_nothing_is_removed_while_history_cannot_be_asked(stack):
    async with Log(stack) as log:
        uploads = await log.js.key_value("UPLOADS")
        with Uploader(stack, "ann") as ann:
            upload = ann.created("general", b"hello")
            ann.sent(upload["put"], b"hello")
            swept = stack.metric("upload", "parley_upload_swept_total")
            stack.kill("history")
            try:
                await ended(uploads, upload["id"])
                wait_until(lambda: upload["id"] in stack.log_texts()["upload.log"], 30, "the sweeper was there")
                assert stack.metric("upload", "parley_upload_swept_total") == swept and not gone(stack, upload["id"])
            finally:
                stack.start("history")
            wait_until(lambda: gone(stack, upload["id"]), 30, "it is removed afterwards")


async def test_who_died_before_telling(stack):
    """The record of the file is there, and upload.completed was never sent: it is, before the upload's own record goes"""
    async with Log(stack) as log:
        files, uploads = await log.js.key_value("FILES"), await log.js.key_value("UPLOADS")
        id, template = str(uuid.uuid4()), None
        with Uploader(stack, "bob") as bob:
            upload = bob.created("general", b"hello")
            bob.sent(upload["put"], b"hello")
            pending = upload_pb2.PendingUpload.FromString((await uploads.get(upload["id"])).value)
            bob.completed(upload)
            template = upload_pb2.StoredFile.FromString((await files.get(f"file.{upload['id']}")).value)
        template.attachment.id, pending.id, pending.expires_at_ms = id, id, 1
        sub = await log.nc.subscribe("upload.completed")
        await log.nc.flush()
        await files.put(f"file.{id}", template.SerializeToString())
        await uploads.put(id, pending.SerializeToString())
        told = upload_pb2.StoredFile.FromString((await sub.next_msg(30)).data)
        assert told == template


async def test_marks_of_ended_uploads_do_not_gather(stack):
    """What is left of uploads in their bucket is those that are not over"""
    async with Log(stack) as log:
        async def kept():
            return (await log.js.stream_info("KV_UPLOADS")).state.messages

        uploads = await log.js.key_value("UPLOADS")
        with Uploader(stack, "ann") as ann:
            for _ in range(5):
                ann.uploaded("general", b"hello")
            pending = ann.created("general", b"hello")
            for _ in range(5):
                ann.uploaded("general", b"hello")
            deadline = asyncio.get_running_loop().time() + 30
            while await kept() > 6:  # the pending one, and the marks behind it
                assert asyncio.get_running_loop().time() < deadline, "the marks before the pending one stay"
                await asyncio.sleep(0.1)  # the interval of a poll with a deadline
            assert (await uploads.get(pending["id"])).value
            assert ann.abort(pending).status_code == 204
            while await kept():
                assert asyncio.get_running_loop().time() < deadline, "the other marks stay"
                await asyncio.sleep(0.1)
            assert ann.completed(sent(ann, ann.created("general", b"hello")))["state"] == "ready"


async def test_nobody_leaves_marks_without_end(stack):
    """PARLEY_UPLOAD_MAX_ENDED: who gives up and deletes one after the other begins no more for a while; what he has can be ended all the same"""
    stack.stop("upload")
    stack.start("upload", PARLEY_RATE_LIMITS="on", PARLEY_UPLOAD_MAX_ENDED=3)
    try:
        with Uploader(stack, "fickle") as fickle, Uploader(stack, "other") as other:
            kept, last = fickle.uploaded("general", b"kept"), fickle.created("general", b"last")
            for _ in range(3):
                assert fickle.abort(fickle.created("general", b"hello")).status_code == 204
            assert fickle.delete(kept["attachment"]["id"]).status_code == 204
            problem(fickle.create("general", b"hello"), 429, "rate_limited", "more than 3 uploads in an hour")
            assert fickle.abort(last).status_code == 204
            other.uploaded("general", b"hello")
    finally:
        stack.stop("upload")
        stack.start("upload")
