"""Killed while an upload begins, and while it is given up: nobody ever sees anything of it, whoever asks again goes on, and what is left is
collected when nobody does."""

import asyncio
import os
import time
import uuid

import pytest
from support.images import png
from support.log import Log
from support.schema import upload_pb2
from support.stack import wait_until
from support.stores import STORES, store_of
from support.uploads import PART, Uploader, counted, killed, recorded

BEGIN_STEPS = ["upload.reserved", "upload.begun", "upload.record", "upload.recorded"]
ABORT_STEPS = ["upload.barred", "upload.between_objects", "upload.end_removed", "upload.end_released", "upload.end_unrecorded"]
TTL_S, RESERVED_MORE_S = 10, 3600
THUMBNAIL = png(5, 5)


def started(stack, failpoint=""):
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS=failpoint, PARLEY_UPLOAD_PENDING_TTL_S=TTL_S, PARLEY_UPLOAD_URL_TTL_S=5, PARLEY_UPLOAD_SWEEP_S=1)


def left(stack):
    """All that the store has. The server may remove a folder meanwhile, which rglob does not survive."""
    return {f"{folder}/{name}" for folder, folders, files in os.walk(store_of(stack).folder) for name in [*folders, *files]
            if name not in ("pending", "files", "lock")}


async def count_of(stack, user, expected):
    """What the sweeper has ended counts no more: its bodies go before that"""
    deadline = time.monotonic() + 40
    while (found := await counted(stack, user)) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)  # the interval of a poll with a deadline


def compared(stack):
    with Uploader(stack, "root", admin=True) as root:
        assert root.rest.post("/api/uploads/reconciliation").status_code == 202
        wait_until(lambda: not root.rest.get("/api/uploads/reconciliation").json()["running"], 60, "it is compared", interval=0.1)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("step", BEGIN_STEPS)
async def test_killed_while_it_begins(shared_stack, store, step):
    """Of an upload in parts that S3 was told of and nobody knows the parts are the lifecycle rule's: so one in one body there"""
    stack = shared_stack("faults", store)
    started(stack, step + "=kill")
    before = left(stack)
    with Uploader(stack, "u" + uuid.uuid4().hex[:12]) as ann:
        size = PART + 1 if store == "local" else 1000
        killed(stack, lambda: ann.create("general", size=size, thumbnail={"size": len(THUMBNAIL), "contentType": "image/png"}))
        killed_at = time.time()
        started(stack)
        assert await counted(stack, ann.user) == (0, 0, 1)  # until its time is over, and nothing more than that
        async with Log(stack) as log:
            files = await log.js.key_value("FILES")
            mine = upload_pb2.UserFiles.FromString((await files.get(f"user.{ann.user}")).value)
            assert mine.reservations[0].expires_at_ms / 1000 <= killed_at + TTL_S + RESERVED_MORE_S
        known = mine.reservations[0].id in await recorded(stack)
        assert known == (step == "upload.recorded")
        assert ann.uploaded("general", b"hello")["state"] == "ready"  # it is in nobody's way

        def bodies():
            return [p for p in left(stack) - before if "/pending/" in p]

        if known:
            wait_until(lambda: not bodies(), 40, "the sweeper has ended it")
            await count_of(stack, ann.user, (5, 1, 0))
        else:
            for path in bodies():
                os.utime(path, (0, 0))
            compared(stack)
            assert not bodies()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("step", ABORT_STEPS)
@pytest.mark.parametrize("asks_again", [True, False])
async def test_killed_while_it_is_given_up(shared_stack, store, step, asks_again):
    stack = shared_stack("faults", store)
    started(stack, step + "=kill")
    with Uploader(stack, "u" + uuid.uuid4().hex[:12]) as ann:
        upload = ann.created("general", b"hello", thumbnail={"size": len(THUMBNAIL), "contentType": "image/png"})
        id = upload["id"]
        ann.sent(upload["put"], b"hello")
        ann.sent(upload["thumbnail"], THUMBNAIL)
        killed(stack, lambda: ann.abort(upload))
        started(stack)
        assert ann.locate(id).status_code == 404
        if asks_again:
            assert ann.complete(upload).status_code in (404, 409)  # never a file any more
            over = step == "upload.end_unrecorded"
            assert ann.abort(upload).status_code == (404 if over else 204)
        wait_until(lambda: not [p for p in left(stack) if id in p], 40, "nothing is left in the store")
        deadline = time.monotonic() + 40
        while id in await recorded(stack):
            assert time.monotonic() < deadline, "its record stays"
            await asyncio.sleep(0.1)  # the interval of a poll with a deadline
        await count_of(stack, ann.user, (0, 0, 0))
        assert ann.locate(id).status_code == 404 and ann.complete(upload).status_code == 404
