"""Uploads that could not be begun: nothing of them counts for the quota, and nothing stays in the store."""

import uuid

import pytest
from support.stack import wait_until
from support.stores import STORES, store_of
from support.uploads import PART, Uploader, counted, killed

GIB = 1 << 30


async def test_s3_was_away(shared_stack):
    """Two of them would be the whole quota"""
    stack = shared_stack("faults", "s3")
    stack.stop("upload")
    stack.start("upload", PARLEY_S3_TIMEOUT_MS=1000, PARLEY_UPLOAD_QUOTA_BYTES=10 * GIB)
    with Uploader(stack, "tries") as ann:
        stack.kill("versitygw")
        try:
            for _ in range(3):
                answer = ann.create("general", size=5 * GIB)
                assert answer.status_code == 503 and answer.json()["retryMs"] > 0, answer.text
        finally:
            stack.start("versitygw")
        assert await counted(stack, "tries") == (0, 0, 0)
        wait_until(lambda: ann.create("general", size=5 * GIB).status_code == 201, 20, "the server is there again")


@pytest.mark.parametrize("store", STORES)
async def test_the_record_cannot_be_written(shared_stack, store):
    """What the store was told of is taken back, too: a folder, an upload in parts"""
    stack = shared_stack("faults", store)
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS="upload.record=error")
    files = store_of(stack)
    before = files.pending(), files.joining()
    with Uploader(stack, "untold") as ann:
        answer = ann.create("general", size=PART + 1)
        assert answer.status_code == 503 and answer.json()["retryMs"] > 0, answer.text
        assert await counted(stack, "untold") == (0, 0, 0)
        assert (files.pending(), files.joining()) == before
        ann.created("general", size=PART + 1)
        assert (files.pending(), files.joining()) != before  # it would have been seen


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("place", ["reserved", "begun", "recorded"])
async def test_the_service_died_and_the_client_asks_again(shared_stack, store, place):
    """With the same id of its own: it is the same upload, wherever it had come to, and counts once"""
    stack = shared_stack("faults", store)
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS=f"upload.{place}=kill")
    name = f"dies-{place}"
    with Uploader(stack, name) as ann:
        request = {"clientId": str(uuid.uuid4()), "size": PART + 1}
        killed(stack, lambda: ann.create("general", **request))
        stack.start("upload")
        answer = ann.create("general", **request)
        assert answer.status_code == (200 if place == "recorded" else 201), answer.text
        assert (await counted(stack, name))[2] == 1
        upload = answer.json()
        ann.part_sent(upload, 1, b"x" * PART)
        ann.part_sent(upload, 2, b"y")
        assert ann.completed(upload)["attachment"]["size"] == PART + 1
        assert await counted(stack, name) == (PART + 1, 1, 0)
