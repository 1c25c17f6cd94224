"""The upload service killed between any two steps, and without room: nothing half-done is seen, nothing that was completed is lost, and what
counts for the quota is what is there."""

import os

import httpx
import nats
import pytest
from support.schema import upload_pb2
from support.stack import wait_until
from support.stores import STORES, store_of
from support.uploads import PART, Uploader

# While a body comes in, which is seen by the folder alone
BODY_STEPS = ["upload.before_sync", "upload.before_mark"]
STEPS = ["upload.sealed", "upload.before_file", "upload.before_commit", "upload.before_told", "upload.before_forget",
         "upload.before_upload_deleted"]
# From here on it is a file: its record is there
FILE_FROM = STEPS.index("upload.before_commit")
ALL_STEPS = [*(("local", step) for step in BODY_STEPS), *((store, step) for store in STORES for step in STEPS), ("s3", "upload.s3_made")]


def restart(stack, failpoints=""):
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS=failpoints)


def killed(stack, call):
    """Whether the service ended on this call"""
    try:
        answer = call()
    except httpx.TransportError:
        return wait_until(lambda: not stack.alive("upload"), 10, "the service was killed")
    return answer.status_code in (502, 503) and wait_until(lambda: not stack.alive("upload"), 10, "the service was killed")


async def user_files(stack, user):
    nc = await nats.connect(stack.nats_url)
    try:
        bucket = await nc.jetstream().key_value("FILES")
        return upload_pb2.UserFiles.FromString((await bucket.get(f"user.{user}")).value or b"")  # empty: nothing counts
    finally:
        await nc.close()


@pytest.mark.parametrize("store, step", ALL_STEPS)
async def test_killed_between_steps(shared_stack, store, step):
    stack = shared_stack("faults", store)
    user = "u-" + step.split(".")[1].replace("_", "-")
    data = os.urandom(PART + 1000)
    parts = [data[:PART], data[PART:]]
    restart(stack, f"{step}=kill")
    with Uploader(stack, user) as ann:
        upload = ann.created("general", data)

        def send(number):
            answer = ann.parts(upload, [(number, parts[number - 1])])
            return ann.send(answer.json()["parts"][0], parts[number - 1])

        if step in BODY_STEPS:
            assert killed(stack, lambda: send(2))
            restart(stack)
            assert ann.state(upload).json()["partsThere"] == []  # a part that was not acknowledged is not there
            assert send(2).status_code == 200
        else:
            assert send(2).status_code == 200
        if step not in BODY_STEPS:
            assert send(1).status_code == 200
            assert killed(stack, lambda: ann.complete(upload))
            restart(stack)
            there = step in STEPS[FILE_FROM:]
            assert ann.locate(upload["id"]).status_code == (302 if there else 404)
        else:
            assert send(1).status_code == 200
        done = ann.completed(upload)
        assert ann.read(done["attachment"]["id"]).content == data
        assert ann.completed(upload)["attachment"] == done["attachment"]
        files = await user_files(stack, user)
        assert (files.bytes, files.files, len(files.reservations)) == (len(data), 1, 0)
        assert store_of(stack).forgotten(upload["id"])
        assert ann.delete(upload["id"]).status_code == 204
        files = await user_files(stack, user)
        assert (files.bytes, files.files) == (0, 0)


@pytest.mark.parametrize("store", STORES)
async def test_the_sweeper_ends_what_was_completed(shared_stack, store):
    """Killed after the file's record, and the client never came back: the file stays, and counts once"""
    stack = shared_stack("faults", store)
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS="upload.before_commit=kill", PARLEY_UPLOAD_PENDING_TTL_S=10)
    with Uploader(stack, "swept") as ann:
        upload = ann.created("general", b"hello")
        ann.sent(upload["put"], b"hello")
        assert killed(stack, lambda: ann.complete(upload))
        stack.start("upload", PARLEY_UPLOAD_SWEEP_S=1)
        assert ann.abort(upload).status_code in (404, 409)  # never what is a file
        wait_until(lambda: store_of(stack).forgotten(upload["id"]), 40, "the sweeper was there")
        assert ann.read(upload["id"]).content == b"hello"
        files = await user_files(stack, "swept")
        assert (files.bytes, files.files) == (5, 1)


def test_no_room(shared_stack):
    stack = shared_stack("faults")
    restart(stack, "upload.write=error")
    with Uploader(stack, "full") as ann:
        upload = ann.created("general", b"hello")
        answer = ann.send(upload["put"], b"hello")
        assert answer.status_code == 503 and answer.json()["retryMs"] > 0
        assert ann.state(upload).json()["partsThere"] == []
        ann.sent(upload["put"], b"hello")
        assert ann.read(ann.completed(upload)["attachment"]["id"]).content == b"hello"
    restart(stack)


@pytest.mark.parametrize("store", STORES)
def test_nats_away(shared_stack, store):
    stack = shared_stack("faults", store)
    restart(stack)
    with Uploader(stack, "away") as ann:
        upload = ann.created("general", b"hello")
        stack.kill("nats-server")
        ann.sent(upload["put"], b"hello")  # bodies need nothing but the folder
        answer = ann.complete(upload)
        assert answer.status_code == 503 and answer.json()["retryMs"] > 0
        stack.start("nats-server")
        wait_until(lambda: ann.complete(upload).status_code == 200, 30, "it goes on")
        assert ann.read(upload["id"]).content == b"hello"
