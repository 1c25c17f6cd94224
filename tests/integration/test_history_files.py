"""rpc.history.files: which files messages carry, as upload asks before it removes anything."""

import asyncio
import uuid

import pytest
from support.client import Client
from support.images import png
from support.log import Log, database
from support.schema import internal_pb2, upload_pb2
from support.stack import wait_until
from support.uploads import Uploader

Ask = internal_pb2.FilesRequest


def uploaded(stack, who, channel, **fields):
    with Uploader(stack, who) as uploader:
        return uploader.uploaded(channel, b"hello", **fields)


async def carried(log, *ids, **fields):
    answer = await log.ask("files", Ask(file_ids=ids, **fields))
    assert not answer.HasField("error") and answer.caught_up
    return {file.file_id: file for file in answer.files}


async def test_what_messages_carry(stack):
    ann = f"u{uuid.uuid4().hex[:12]}"
    one, two = stack.channel(ann), stack.channel(ann)
    done, unsent = uploaded(stack, ann, one, thumbnail=png(5, 5)), uploaded(stack, ann, one)
    id, other = done["attachment"]["id"], unsent["attachment"]["id"]
    with Uploader(stack, ann) as uploader:
        elsewhere = uploader.describe(id, two).json()["descriptor"]
    async with Log(stack) as log, Client(stack, ann) as client:
        assert await carried(log, id, other) == {}
        seq = (await client.send(one, "look", attachments=[done["descriptor"]]))["seq"]
        # at once after its ack: the answer waits for ingest
        assert list((await carried(log, id, other))[id].channel_ids) == [one]
        last = (await client.send(two, "here too", attachments=[elsewhere]))["seq"]
        file = (await carried(log, id, other, with_attachments=True))[id]
        assert sorted(file.channel_ids) == sorted([one, two])
        assert (file.attachment.id, file.attachment.sha256) == (id, done["attachment"]["sha256"])
        assert file.attachment.thumbnail.id == done["attachment"]["thumbnail"]["id"]
        await client.request({"type": "delete", "channelId": one, "id": str(uuid.uuid4()), "targetSeq": seq})
        assert list((await carried(log, id))[id].channel_ids) == [two]
        await client.request({"type": "delete", "channelId": two, "id": str(uuid.uuid4()), "targetSeq": last})
        answer = await log.ask("files", Ask(file_ids=[id, other]))
        assert answer.caught_up and not answer.files and list(answer.releasing) == [id]  # for as long as upload was not asked to


async def test_page_by_page(stack):
    ann = f"u{uuid.uuid4().hex[:12]}"
    channel = stack.channel(ann)
    done = [uploaded(stack, ann, channel) for _ in range(5)]
    async with Log(stack) as log, Client(stack, ann) as client:
        await client.send(channel, "five", attachments=[d["descriptor"] for d in done])
        found, after, pages = [], "", 0
        while True:
            answer = await log.ask("files", Ask(after_id=after, limit=2))
            assert answer.caught_up and len(answer.files) <= 2
            found += [file.file_id for file in answer.files]
            pages += 1
            if not answer.more:
                break
            after = found[-1]
        assert found == sorted(found) and len(set(found)) == len(found) and pages > 2
        assert {d["attachment"]["id"] for d in done} <= set(found)


async def test_while_ingest_is_behind_it_says_so(stack):
    ann = f"u{uuid.uuid4().hex[:12]}"
    channel = stack.channel(ann)
    done = uploaded(stack, ann, channel)
    id = done["attachment"]["id"]
    async with Log(stack) as log, Client(stack, ann) as client:
        with database(stack) as db, db.transaction():
            db.execute("LOCK TABLE messages IN EXCLUSIVE MODE")  # no message can be ingested
            await client.send(channel, "look", attachments=[done["descriptor"]])
            answer = await log.ask("files", Ask(file_ids=[id]))
            assert not answer.HasField("error") and not answer.caught_up and not answer.files
            waiting = asyncio.create_task(log.ask("files", Ask(file_ids=[id])))
            await asyncio.sleep(0)
        answer = await waiting
        if not answer.caught_up:  # ingest tries again after its own pause
            answer = await log.ask("files", Ask(file_ids=[id]))
        assert answer.caught_up and [file.file_id for file in answer.files] == [id]


@pytest.mark.parametrize("request_, part", [
    (Ask(file_ids=["no-id"]), "UUIDs"),
    (Ask(file_ids=[str(uuid.uuid4()) for _ in range(501)]), "at most 500"),
    (Ask(file_ids=[str(uuid.uuid4()) for _ in range(101)], with_attachments=True), "at most 500, with_attachments 100"),
    (Ask(limit=501), "limit"),
    (Ask(limit=5, after_id="x"), "after_id"),
    (Ask(limit=5, file_ids=[str(uuid.uuid4())]), "either"),
], ids=["no UUID", "too many", "too many whole", "page too large", "no cursor", "both"])
async def test_bad_requests(stack, request_, part):
    async with Log(stack) as log:
        answer = await log.ask("files", request_)
        assert answer.error.code == "bad_request" and part in answer.error.message


async def test_files_that_cannot_be_removed_do_not_stand_in_the_way(own_stack):
    """More of them than are asked for at a time, and all before the one that can be"""
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_FILE_RELEASE_S=1)
    stuck, last = [str(uuid.uuid4()) for _ in range(60)], str(uuid.uuid4())
    async with Log(stack) as log:
        files = await log.js.key_value("FILES")
        for id in stuck:  # a record that says nothing: upload leaves it alone
            await files.put(f"file.{id}", upload_pb2.StoredFile(user_id="ann").SerializeToString())
    with database(stack) as db:
        db.execute("INSERT INTO file_releases (file_id, since) SELECT id, now() - interval '1 day' FROM unnest(%s::text[]) AS id", (stuck,))
        db.execute("INSERT INTO file_releases (file_id, since) VALUES (%s, now() - interval '1 hour')", (last,))
        wait_until(lambda: not db.execute("SELECT 1 FROM file_releases WHERE file_id = %s", (last,)).fetchone(), 30, "the other is asked for")
        assert db.execute("SELECT count(*) FROM file_releases WHERE tries > 0").fetchone()[0] == 60
        wait_until(lambda: stack.metric("history", "parley_history_file_releases_waiting") == 60, 40, "they are counted")
        assert stack.metric("history", "parley_history_file_releases_oldest_seconds") > 80000
