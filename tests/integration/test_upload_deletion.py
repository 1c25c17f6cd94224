"""Files of deleted messages: nobody reads them after their last use, and they are removed once nobody can send them any more, whatever was down meanwhile."""

import datetime
import time
import uuid

import pytest
from support.client import Client
from support.images import png
from support.log import Log
from support.schema import internal_pb2, upload_pb2
from support.stack import wait_until
from support.stores import STORES, store_of
from support.uploads import Uploader, problem

HOUR_MS = 3600 * 1000


@pytest.fixture(scope="module", params=STORES)
def quick(request, new_stack):
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_FILE_RELEASE_S=1, PARLEY_UPLOAD_DESCRIPTOR_TTL_S=8, PARLEY_UPLOAD_STORE=request.param)
    try:
        yield stack.up()
    finally:
        stack.down()


@pytest.fixture(scope="module", params=STORES)
def daily(request, new_stack):
    """Descriptors that outlive the tests"""
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_FILE_RELEASE_S=1, PARLEY_UPLOAD_STORE=request.param)
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


def waiting(stack, what="true"):
    with stack.postgres() as pg:
        return pg.execute(f"SELECT count(*) FROM file_releases WHERE {what}").fetchone()[0]


def held(stack, id):
    """Upload was asked to remove it, and keeps it"""
    return waiting(stack, f"file_id = '{id}' AND held_until > now()") == 1


async def record(stack, id):
    async with Log(stack) as log:
        return upload_pb2.StoredFile.FromString((await (await log.js.key_value("FILES")).get(f"file.{id}")).value)


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
        wait_until(lambda: waiting(quick) == 0, 30, "history knows it")
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
                wait_until(lambda: waiting(quick, "held_until < now()") == 0, 10, "nothing is left to ask about")
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
            wait_until(lambda: waiting(quick, f"file_id = '{file_id}'") == 1, 20, "it is known in Postgres")
            quick.kill("history")
            quick.start("history")
        assert file_id in objects(quick)
        quick.start("upload")
        wait_until(lambda: file_id not in objects(quick), 30, "it is gone all the same")
        wait_until(lambda: waiting(quick, f"file_id = '{file_id}'") == 0, 10, "history knows it")
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
        wait_until(lambda: waiting(quick, f"file_id = '{done['attachment']['id']}'") == 0, 30, "there was nothing to remove")


async def test_a_descriptor_is_sent_again_after_the_deletion(daily):
    """Nobody reads the file in between, whoever he is; and what was acknowledged afterwards can be read by everybody"""
    channel = daily.channel("ann", ["bob"])
    with Uploader(daily, "ann") as ann, Uploader(daily, "bob") as bob, Uploader(daily, "root", admin=True) as root:
        done = ann.uploaded(channel, b"hello", thumbnail=png(5, 5))
        id = done["attachment"]["id"]
        async with Client(daily, "ann") as client:
            for _ in range(2):  # as often as somebody wants to
                seq = await sent(client, channel, done["descriptor"])
                assert bob.read(id).content == b"hello"
                daily.wait_ingested("ann", channel, await deleted(client, channel, seq))
                wait_until(lambda: held(daily, id), 30, "it is released")
                for who in (ann, bob, root):
                    for answer in (who.locate(id), who.thumbnail(id), who.describe(id, channel)):
                        problem(answer, 404, "not_found", "no such file")
                problem(ann.complete({"id": id}), 404, "not_found", "no such file")
                assert {id, "0-" + id} <= objects(daily)
            await client.send(channel, "again", attachments=[done["descriptor"]])
            assert bob.read(id).content == b"hello"  # at once after its ack
            assert bob.thumbnail(id).status_code == 302 and ann.describe(id, channel).status_code == 200
        assert (await record(daily, id)).released_at_ms == 0


async def test_what_is_released_stays_unread_while_history_is_away(daily):
    channel = daily.channel("ann")
    with Uploader(daily, "ann") as ann:
        done = ann.uploaded(channel, b"hello")
        id = done["attachment"]["id"]
        async with Client(daily, "ann") as client:
            await deleted(client, channel, await sent(client, channel, done["descriptor"]))
            wait_until(lambda: held(daily, id), 30, "it is released")
            await sent(client, channel, done["descriptor"])
            daily.kill("history")
            try:
                problem(ann.locate(id), 503, "unavailable", "history")
            finally:
                daily.start("history")
            wait_until(lambda: ann.locate(id).status_code == 302, 30, "it is asked again")


async def test_a_quarantine_is_not_lifted_by_sending_it_again(daily):
    channel = daily.channel("ann")
    with Uploader(daily, "ann") as ann, Uploader(daily, "root", admin=True) as root:
        done = ann.uploaded(channel, b"hello")
        id = done["attachment"]["id"]
        async with Client(daily, "ann") as client:
            seq = await sent(client, channel, done["descriptor"])
            assert root.rest.post(f"/api/uploads/{id}/quarantine", json={"reason": "bad"}).status_code == 204
            await deleted(client, channel, seq)
            wait_until(lambda: held(daily, id), 30, "it is released")
            problem(ann.locate(id), 404, "not_found", "no such file")
            await sent(client, channel, done["descriptor"])
        wait_until(lambda: "quarantined" in ann.locate(id).json()["detail"], 30, "it is known again, and quarantined")


async def test_its_owner_need_not_wait(daily):
    channel = daily.channel("ann")
    with Uploader(daily, "ann") as ann:
        done = ann.uploaded(channel, b"hello")
        id = done["attachment"]["id"]
        async with Client(daily, "ann") as client:
            await deleted(client, channel, await sent(client, channel, done["descriptor"]))
        wait_until(lambda: held(daily, id), 30, "it is released")
        assert id in objects(daily)
        assert ann.delete(id).status_code == 204 and id not in objects(daily)


async def test_its_record_says_how_long_descriptors_are_valid(quick):
    one, two = quick.channel("ann"), quick.channel("ann")
    with Uploader(quick, "ann") as ann:
        done = ann.uploaded(one, b"hello")
        id = done["attachment"]["id"]
        for channel in (one, two, one):
            answer = ann.describe(id, channel).json()
            ends = datetime.datetime.fromisoformat(answer["expiresAt"].replace("Z", "+00:00")).timestamp()
            assert ends * 1000 <= (await record(quick, id)).descriptor_until_ms


async def test_what_a_release_is_compared_with(daily):
    """The end of the last descriptor, with the time at which history looked: the request may be late. A record from before there were ends is held for a whole day."""
    now = int(time.time() * 1000)
    with Uploader(daily, "ann") as ann:
        over, unknown = [ann.uploaded("general", b"hello")["attachment"]["id"] for _ in range(2)]
        async with Log(daily) as log:
            async def until(id, ms):
                kept = await record(daily, id)
                kept.descriptor_until_ms = ms
                await (await log.js.key_value("FILES")).put(f"file.{id}", kept.SerializeToString())

            async def release(id, checked_at_ms):
                request = internal_pb2.ReleaseFilesRequest(file_ids=[id], checked_at_ms=checked_at_ms)
                answer = (await log.nc.request("rpc.upload.release", request.SerializeToString(), timeout=10)).data
                return internal_pb2.ReleaseFilesResponse.FromString(answer)

            await until(over, now - 2 * HOUR_MS)
            held = (await release(over, now - 2 * HOUR_MS + 1000)).held
            assert [h.file_id for h in held] == [over] and now - 2 * HOUR_MS < held[0].until_ms < now
            problem(ann.locate(over), 404, "not_found", "no such file")
            assert over in objects(daily)
            assert list((await release(over, now)).file_ids) == [over] and over not in objects(daily)

            await until(unknown, 0)
            held = (await release(unknown, now)).held
            assert [h.file_id for h in held] == [unknown] and held[0].until_ms >= now + 24 * HOUR_MS
            assert (await release(unknown, now)).held[0].until_ms == held[0].until_ms


async def test_a_dead_letter_keeps_its_files(quick):
    """A message that was acknowledged and could not be stored: its file stays until somebody has seen to it, as docs/operations.md says"""
    channel = quick.channel("ann")
    with Uploader(quick, "ann") as ann:
        done = ann.uploaded(channel, b"hello")
        id = done["attachment"]["id"]
        async with Client(quick, "ann") as client, Log(quick) as log:
            seq = await sent(client, channel, done["descriptor"])
            letter = log.message(channel, "ann", "look")
            letter.message.attachments.add(id=id, name="f", size=5)
            letter.message.sender_id = "bob"  # one of many reasons
            dead = await log.publish(letter)
            quick.wait_ingested("ann", channel, await deleted(client, channel, seq))
        wait_until(lambda: waiting(quick, f"file_id = '{id}'") == 0, 30, "history does not ask for it")
        wait_until(lambda: quick.metric("history", "parley_history_dead_letter_files") == 1, 40, "it is counted")
        assert ann.read(id).content == b"hello"
        with quick.postgres() as pg:
            pg.execute("WITH gone AS (DELETE FROM message_files WHERE dead_letter AND channel_id = %s AND seq = %s RETURNING file_id) "
                       "INSERT INTO file_releases (file_id) SELECT file_id FROM gone ON CONFLICT (file_id) DO NOTHING", (channel, dead))
        wait_until(lambda: id not in objects(quick), 60, "it goes afterwards")
        wait_until(lambda: quick.metric("history", "parley_history_dead_letter_files") == 0, 40, "nothing is kept")
