"""The comparison of objects, records and messages: everything that has come apart is reported, what can be mended is, and nothing else is touched."""

import time
import uuid

import nats
import pytest
from support.client import Client
from support.comparison import compared, days_ago, gone_from, report, world
from support.log import Log
from support.schema import event_pb2, upload_pb2
from support.stack import wait_until
from support.stores import STORES, store_of
from support.uploads import Uploader, problem


@pytest.fixture(scope="module", params=STORES)
def stack(request, new_stack):
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=request.param, PARLEY_UPLOAD_RECONCILE_S=0, PARLEY_UPLOAD_PENDING_TTL_S=3000)
    try:
        yield stack.up()
    finally:
        stack.down()


async def test_everything_that_came_apart_is_found(stack):
    async with Log(stack) as log:
        w = await world(stack, log)
        fine = [(user, await w.planted(user, sent, young)) for user, sent, young in
                (("old", True, False), ("young", True, True), ("unsent", False, True))]
        assert compared(stack) == {}

        apart = {what: [] for what in ("object_without_record", "record_without_object", "record_without_message", "message_without_record",
                                       "message_without_object", "checking_too_long", "removing_too_long", "pending_without_upload")}

        async def plant(what, sent):
            id = await w.planted(what.replace("_", "-"), sent)
            apart[what].append(id)
            return id

        descriptors_over = int((time.time() - 2 * 86400) * 1000)
        await w.files.delete(f"file.{await plant('object_without_record', False)}")
        w.object(await plant("record_without_object", False)).unlink()
        await w.put(await plant("record_without_message", False), created_at_ms=descriptors_over, descriptor_until_ms=descriptors_over)
        id = await plant("message_without_record", True)
        await w.files.delete(f"file.{id}")
        w.object(id).unlink()
        w.object(await plant("message_without_object", True)).unlink()
        id = await plant("checking_too_long", True)
        await w.put(id, state=upload_pb2.checking)
        removing = await plant("removing_too_long", False)
        await w.put(removing, state=upload_pb2.removing)
        with Uploader(stack, "pending") as pending:
            upload = pending.created("general", b"hello")
            pending.sent(upload["put"], b"hello")
        await w.uploads.delete(upload["id"])
        w.aged(w.folder / "pending" / upload["id"])
        apart["pending_without_upload"] = [upload["id"]]
        quota = upload_pb2.UserFiles.FromString((await w.files.get("user.old")).value)
        quota.bytes += 1000
        await w.files.put("user.old", quota.SerializeToString())
        # the records that were taken away are counted for their owners, too
        apart["quota_differs"] = sorted(["old", "object-without-record", "message-without-record"])

        before = set(w.objects())
        found = compared(stack)
        assert {what: ids for what, (ids, _) in found.items()} == apart
        assert {what: mended for what, (_, mended) in found.items() if mended} == \
            {"checking_too_long": 1, "removing_too_long": 1, "pending_without_upload": 1}
        assert set(w.objects()) == before - {removing}
        assert store_of(stack).forgotten(upload["id"])
        for user, id in fine:
            with Uploader(stack, user) as uploader:
                assert uploader.read(id).content == user.encode()
        assert stack.metric("upload", "parley_upload_apart") == sum(map(len, apart.values()))

        # what differs a second time is mended; what was mended is not found again
        found = compared(stack)
        assert found.pop("quota_differs") == (apart["quota_differs"], 3)
        assert set(found) == set(apart) - {"quota_differs", "removing_too_long", "pending_without_upload"}
        assert "quota_differs" not in compared(stack)
        quota = upload_pb2.UserFiles.FromString((await w.files.get("user.old")).value)
        assert (quota.bytes, quota.files) == (len(b"old"), 1)
        assert set(w.objects()) == before - {removing}


async def test_a_deletion_on_purpose_is_no_finding(stack):
    """While a message carries the file a record says that it was deleted, and nothing more; without the message that goes, too"""
    async with Log(stack) as log:
        w = await world(stack, log)
        channel, user = stack.channel("wilful"), "wilful"
        with Uploader(stack, user) as uploader:
            done = uploader.uploaded(channel, b"secret plans", name="plans.bin")
            id = done["attachment"]["id"]
            async with Client(stack, user) as client:
                seq = (await client.send(channel, "look", attachments=[done["descriptor"]]))["seq"]
                await w.put(id, created_at_ms=days_ago(40), descriptor_until_ms=days_ago(40))
                assert uploader.delete(id).status_code == 204
                record = await w.record(id)
                assert record.state == upload_pb2.deleted and list(record.channel_ids) == []
                assert record.attachment == event_pb2.Attachment(id=id)
                found = compared(stack)
                assert not [what for what, (ids, _) in found.items() if id in ids]
                assert (await w.record(id)).state == upload_pb2.deleted
                for answer in (uploader.locate(id), uploader.thumbnail(id), uploader.describe(id, channel), uploader.delete(id), uploader.complete({"id": id})):
                    problem(answer, 404, "not_found")
                quota = upload_pb2.UserFiles.FromString((await w.files.get(f"user.{user}")).value)
                assert (quota.bytes, quota.files) == (0, 0)
                deleted = await client.request({"type": "delete", "channelId": channel, "id": str(uuid.uuid4()), "targetSeq": seq})
                stack.wait_ingested(user, channel, deleted["seq"])
        found = compared(stack)
        assert not [what for what, (ids, _) in found.items() if id in ids] and await gone_from(w, id)


async def test_files_that_were_never_sent_go(stack):
    """PARLEY_UPLOAD_UNSENT_TTL_S after the last descriptor of them; not what a message carries, however old"""
    async with Log(stack) as log:
        w = await world(stack, log)
        old, again, recent, sent = [await w.planted(user, user == "draft-sent") for user in ("draft-old", "draft-again", "draft-new", "draft-sent")]
        for id, days in ((old, 40), (again, 40), (sent, 40), (recent, 20)):
            await w.put(id, created_at_ms=days_ago(days), descriptor_until_ms=days_ago(days))
        with Uploader(stack, "draft-again") as uploader:
            assert uploader.describe(again, (await w.record(again)).channel_ids[0]).status_code == 200
        ids, mended = compared(stack)["record_without_message"]
        assert {old, recent} <= set(ids) and again not in ids and sent not in ids and mended == 1
        assert await gone_from(w, old)
        quota = upload_pb2.UserFiles.FromString((await w.files.get("user.draft-old")).value)
        assert (quota.bytes, quota.files) == (0, 0)
        for id, user in ((again, "draft-again"), (recent, "draft-new"), (sent, "draft-sent")):
            with Uploader(stack, user) as uploader:
                assert uploader.read(id).content == user.encode()
        await w.put(recent, descriptor_until_ms=0)  # no finding of the other tests


async def test_a_channel_without_its_message_reads_it_no_more(stack):
    """Once nobody can send it there: the comparison takes off the channels where no message carries it"""
    async with Log(stack) as log:
        w = await world(stack, log)
        one, two, three = stack.channel("ivy", ["jack"]), stack.channel("ivy", ["kate"]), stack.channel("ivy", ["lars"])
        with Uploader(stack, "ivy") as ivy, Uploader(stack, "jack") as jack, Uploader(stack, "kate") as kate, Uploader(stack, "lars") as lars:
            done = ivy.uploaded(one, b"shared")
            id = done["attachment"]["id"]
            async with Client(stack, "ivy") as client:
                seq = (await client.send(one, "look", attachments=[done["descriptor"]]))["seq"]
                await client.send(two, "look", attachments=[ivy.describe(id, two).json()["descriptor"]])
                assert ivy.describe(id, three).status_code == 200  # and never sent there
                deleted = await client.request({"type": "delete", "channelId": one, "id": str(uuid.uuid4()), "targetSeq": seq})
                stack.wait_ingested("ivy", one, deleted["seq"])
            compared(stack)
            assert [who.locate(id).status_code for who in (ivy, jack, kate, lars)] == [302] * 4  # it can still be sent
            assert ivy.complete({"id": id}).json()["channelId"] == one  # the answer to its upload, once more
            await w.put(id, created_at_ms=days_ago(3), descriptor_until_ms=days_ago(2))
            compared(stack)
            assert [who.locate(id).status_code for who in (ivy, jack, kate, lars)] == [302, 404, 302, 404]
            assert list((await w.record(id)).channel_ids) == [two]
            assert ivy.complete({"id": id}).status_code == 404  # it was never uploaded for the one that is left
            await w.put(id)  # hours old again


async def test_who_asks_again_for_a_scan(stack):
    """A file that nobody released gets its upload.completed once more"""
    async with Log(stack) as log:
        w = await world(stack, log)
        id, other = str(uuid.uuid4()), await w.planted("scanned", True)
        record = await w.record(other)
        record.attachment.id, record.state = id, upload_pb2.checking
        await w.files.put(f"file.{id}", record.SerializeToString())
        sub = await log.nc.subscribe("upload.completed")
        await log.nc.flush()
        assert id in compared(stack)["checking_too_long"][0]
        told = ""
        while told != id:  # others may be held back, too; next_msg ends this
            told = upload_pb2.StoredFile.FromString((await sub.next_msg(5)).data).attachment.id
        await w.files.delete(f"file.{id}")


def begun(hours_ago):
    """The id of an upload that was begun then"""
    digits = f"{int((time.time() - hours_ago * 3600) * 1000):012x}7{uuid.uuid4().hex[13:]}"
    return str(uuid.UUID(digits))


async def test_marks_of_deleted_files_do_not_gather(stack):
    """What was begun longer ago than any upload may take, and two hours more, and has no record any more, cannot become a file"""
    async with Log(stack) as log:
        w = await world(stack, log)
        old, young, unended = begun(4), begun(2), begun(4)
        for id in (old, young, unended):
            await w.files.put(f"file.{id}", b"")
            await w.files.delete(f"file.{id}")
        await w.uploads.put(unended, upload_pb2.PendingUpload(id=unended, user_id="ann", expires_at_ms=2**50).SerializeToString())

        async def longest(seconds):
            """As if an instance had just been there whose uploads may take so long; its own 3,000 s are no reason to forget that"""
            now = int(time.time() * 1000)
            await w.files.put("reconciliation", upload_pb2.ReconciliationState(started_at_ms=now, pending_ttl_s=seconds, pending_ttl_at_ms=now).SerializeToString())

        async def marked(id):
            try:
                return bool(await log.js.get_last_msg("KV_FILES", f"$KV.FILES.file.{id}"))
            except nats.js.errors.NotFoundError:
                return False

        await longest(3 * 3600)
        compared(stack)
        assert [await marked(id) for id in (old, young, unended)] == [True, True, True]
        await longest(3000)
        compared(stack)
        assert [await marked(id) for id in (old, young, unended)] == [False, True, True]
        await w.uploads.delete(unended)
        compared(stack)
        assert not await marked(unended) and await marked(young)


async def test_without_history_the_rest_is_compared(stack):
    async with Log(stack) as log:
        w = await world(stack, log)
        id = await w.planted("lost", False)
        w.object(id).unlink()
        stack.kill("history")
        try:
            with Uploader(stack, "root", admin=True) as root:
                assert root.rest.post("/api/uploads/reconciliation").status_code == 202
            wait_until(lambda: not report(stack)["running"], 60, "it is over", interval=0.1)
            last = report(stack)
            found = {f["what"]: f["ids"] for f in last["findings"] if f["count"]}
            assert "history" in last["incomplete"]
            assert id in found["record_without_object"] and "record_without_message" not in found
        finally:
            stack.start("history")
        await w.files.delete(f"file.{id}")


async def test_who_died_at_it_is_followed(stack):
    async with Log(stack) as log:
        files = await log.js.key_value("FILES")

        async def state(**fields):
            now = int(time.time() * 1000)
            await files.put("reconciliation", upload_pb2.ReconciliationState(started_at_ms=now, **fields).SerializeToString())
            return now

        await state(runner="somebody", lease_until_ms=int(time.time() * 1000) + 8000)
        assert report(stack)["running"] and "finishedAt" not in report(stack)
        wait_until(lambda: report(stack).get("finishedAt"), 60, "another one has done it", interval=0.2)
        entry = upload_pb2.ReconciliationState.FromString((await files.get("reconciliation")).value)
        assert entry.runner == "" and not entry.requested


def test_only_administrators(stack):
    with Uploader(stack, "ann") as ann:
        for method in ("GET", "POST"):
            answer = ann.rest.request(method, "/api/uploads/reconciliation")
            assert answer.status_code == 403 and answer.json()["code"] == "forbidden"

