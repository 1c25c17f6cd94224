"""Files of deleted messages: removed with their last use, whatever was down meanwhile, and not before."""

import uuid

import pytest
from support.client import Client
from support.images import png
from support.stack import Stack, wait_until
from support.stores import STORES, store_of
from support.uploads import Uploader


@pytest.fixture(scope="module", params=STORES)
def quick(request):
    stack = Stack(PARLEY_RATE_LIMITS="off", PARLEY_FILE_RELEASE_S=1, PARLEY_UPLOAD_STORE=request.param)
    try:
        yield stack.up()
    finally:
        stack.down()


async def sent(client, channel, *descriptors):
    ack = await client.send(channel, "look", attachments=list(descriptors))
    await client.wait_seq(channel, ack["seq"])
    return ack["seq"]


async def deleted(client, channel, seq):
    return (await client.request({"type": "delete", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": seq}))["seq"]


def waiting(stack):
    with stack.postgres() as pg:
        return pg.execute("SELECT count(*) FROM file_releases").fetchone()[0]


def objects(stack):
    return {p.name for p in (store_of(stack).folder / "files").rglob("*") if p.is_file()}


async def test_a_deleted_message_removes_its_files(quick):
    channel = quick.channel("ann")
    with Uploader(quick, "ann") as ann:
        done = [ann.uploaded(channel, b"one", thumbnail=png(5, 5)), ann.uploaded(channel, b"two")]
        ids = [d["attachment"]["id"] for d in done]
        kept = ann.uploaded(channel, b"kept")
        async with Client(quick, "ann") as client:
            seq = await sent(client, channel, *[d["descriptor"] for d in done])
            await sent(client, channel, kept["descriptor"])
            assert {ids[0], ids[1], "0-" + ids[0]} <= objects(quick)
            await deleted(client, channel, seq)
        wait_until(lambda: not objects(quick) & {*ids, "0-" + ids[0]}, 30, "the objects are gone")
        wait_until(lambda: waiting(quick) == 0, 10, "history knows it")
        for id in ids:
            assert ann.locate(id).status_code == 404
        assert ann.read(kept["attachment"]["id"]).content == b"kept"


async def test_the_last_use_counts(quick):
    one, two = quick.channel("ann"), quick.channel("ann")
    with Uploader(quick, "ann") as ann:
        done = ann.uploaded(one, b"shared")
        file_id = done["attachment"]["id"]
        other = ann.describe(file_id, two).json()["descriptor"]
        async with Client(quick, "ann") as client:
            uses = [(one, await sent(client, one, done["descriptor"])), (one, await sent(client, one, done["descriptor"])),
                    (two, await sent(client, two, other))]
            # a file that goes afterwards shows that the others were asked about
            for channel, seq in uses[:2]:
                mark = ann.uploaded(one, b"mark")
                mark_seq = await sent(client, one, mark["descriptor"])
                await deleted(client, channel, seq)
                await deleted(client, one, mark_seq)
                wait_until(lambda: ann.locate(mark["attachment"]["id"]).status_code == 404, 30, "the file after it is gone")
                wait_until(lambda: waiting(quick) == 0, 10, "nothing is left to ask about")
                assert ann.read(file_id).content == b"shared"
            await deleted(client, *uses[2])
        wait_until(lambda: ann.locate(file_id).status_code == 404, 30, "the last use is gone")


async def test_whatever_was_down(quick):
    channel = quick.channel("ann")
    with Uploader(quick, "ann") as ann:
        done = ann.uploaded(channel, b"hello")
        file_id = done["attachment"]["id"]
        async with Client(quick, "ann") as client:
            seq = await sent(client, channel, done["descriptor"])
            quick.kill("upload")
            gone = await deleted(client, channel, seq)
            quick.wait_ingested("ann", channel, gone)
            wait_until(lambda: waiting(quick) == 1, 20, "it is known in Postgres")
            quick.kill("history")
            quick.start("history")
        assert file_id in objects(quick)
        quick.start("upload")
        wait_until(lambda: file_id not in objects(quick), 30, "it is gone all the same")
        wait_until(lambda: waiting(quick) == 0, 10, "history knows it")
        assert ann.locate(file_id).status_code == 404


async def test_deleted_by_its_owner_first(quick):
    """Between sending and deleting the message: both are fine, in both orders"""
    channel = quick.channel("ann", ["bob"])
    with Uploader(quick, "ann") as ann, Uploader(quick, "bob") as bob:
        done = ann.uploaded(channel, b"hello")
        assert ann.delete(done["attachment"]["id"]).status_code == 204
        async with Client(quick, "ann") as client:
            seq = await sent(client, channel, done["descriptor"])  # the descriptor was given before: the message says what there was
            assert bob.locate(done["attachment"]["id"]).status_code == 404
            quick.wait_ingested("ann", channel, await deleted(client, channel, seq))
        wait_until(lambda: waiting(quick) == 0, 30, "there was nothing to remove")
