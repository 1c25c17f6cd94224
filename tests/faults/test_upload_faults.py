"""The upload service killed between any two steps, and without room: nothing half-done is seen, nothing that was completed is lost, and what
counts for the quota is what is there."""

import os
import uuid

import nats
import pytest
from support.images import png
from support.schema import upload_pb2
from support.stack import wait_until
from support.stores import STORES, store_of
from support.uploads import PART, Uploader, killed, problem, user_files

# While a body comes in, which is seen by the folder alone; and the how manieth one it is
BODY_STEPS = [(shape, f"{step}=kill@{nth}", nth) for shape, nth in (("parts", 1), ("parts", 2), ("whole", 1), ("whole", 2))
              for step in ("upload.before_sync", "upload.before_mark")]
BEFORE_FILE = ["upload.sealed", "upload.before_file"]
FROM_FILE = ["upload.before_commit", "upload.before_told", "upload.before_forget", "upload.before_upload_deleted"]
# Of a file in one body, with its thumbnail
BEFORE_FILE_WHOLE = ["upload.thumbnail_sealed", "upload.between_objects"]
FROM_FILE_WHOLE = ["upload.between_objects@2"]
STEPS = [*((store, shape, step, step in FROM_FILE) for store in STORES for shape in ("parts", "whole") for step in BEFORE_FILE + FROM_FILE),
         *((store, "whole", step, step in FROM_FILE_WHOLE) for store in STORES for step in BEFORE_FILE_WHOLE + FROM_FILE_WHOLE),
         ("s3", "parts", "upload.s3_made", False), ("s3", "whole", "upload.s3_copy", False), ("local", "whole", "upload.local_seal", False)]


def restart(stack, failpoints=""):
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS=failpoints, PARLEY_UPLOAD_SWEEP_S=1)


class Sending:
    """One upload: in two parts, or in one body with a thumbnail"""

    def __init__(self, stack, shape):
        self.ann = Uploader(stack, "u" + uuid.uuid4().hex[:12])
        self.stack, self.shape = stack, shape
        self.data = os.urandom(PART + 1000 if shape == "parts" else 1000)
        self.thumbnail = png(5, 5) if shape == "whole" else b""
        announced = {"thumbnail": {"size": len(self.thumbnail), "contentType": "image/png"}} if self.thumbnail else {}
        self.upload = self.ann.created("general", self.data, **announced)

    def body(self, nth):
        """The answer to one of the two bodies"""
        if self.shape == "whole":
            return self.ann.send(self.upload["put"], self.data) if nth == 1 else self.ann.send(self.upload["thumbnail"], self.thumbnail)
        part = self.data[:PART] if nth == 1 else self.data[PART:]
        return self.ann.send(self.ann.parts(self.upload, [(nth, part)]).json()["parts"][0], part)

    def complete(self):
        return self.ann.complete(self.upload)

    async def time_is_over(self):
        """Of what may be left of the upload's record"""
        nc = await nats.connect(self.stack.nats_url)
        try:
            uploads = await nc.jetstream().key_value("UPLOADS")
            record = upload_pb2.PendingUpload.FromString((await uploads.get(self.upload["id"])).value)
            record.expires_at_ms = 1
            await uploads.put(self.upload["id"], record.SerializeToString())
        except nats.js.errors.KeyNotFoundError:
            pass  # it ended as a whole
        finally:
            await nc.close()

    async def check_whole(self):
        """It is a file as it was sent, once, and nothing else of it is left; then it is deleted"""
        ann, id = self.ann, self.upload["id"]
        done = ann.completed(self.upload)
        assert ann.read(id).content == self.data
        if self.thumbnail:
            assert ann.bare.get(ann.absolute(ann.thumbnail(id).headers["location"])).content == self.thumbnail
        assert ann.completed(self.upload)["attachment"] == done["attachment"]
        files = await user_files(self.stack, ann.user)
        assert (files.bytes, files.files, len(files.reservations)) == (len(self.data) + len(self.thumbnail), 1, 0)
        store = store_of(self.stack)
        assert store.forgotten(id)
        await self.time_is_over()
        wait_until(lambda: store.forgotten("0-" + id), 30, "the sweeper has ended what the death has left of the upload")
        assert ann.delete(id).status_code == 204
        files = await user_files(self.stack, ann.user)
        assert (files.bytes, files.files) == (0, 0)
        assert not [p for p in store.folder.rglob("*") if id in p.name]


@pytest.mark.parametrize("shape, failpoint, nth", BODY_STEPS)
async def test_killed_within_a_body(shared_stack, shape, failpoint, nth):
    """A body that was not acknowledged is not there, and the one before it is"""
    stack = shared_stack("faults", "local")
    restart(stack, failpoint)
    sending = Sending(stack, shape)
    ann, upload = sending.ann, sending.upload
    if nth == 2:
        assert sending.body(1).status_code == 200
    killed(stack, lambda: sending.body(nth))
    restart(stack)
    assert ann.state(upload).json()["partsThere"] == [1] * (nth - 1)
    problem(sending.complete(), 409, "conflict")
    assert ann.locate(upload["id"]).status_code == 404
    for missing in range(nth, 3):
        assert sending.body(missing).status_code == 200
    await sending.check_whole()


@pytest.mark.parametrize("store, shape, step, there", STEPS)
async def test_killed_between_steps(shared_stack, store, shape, step, there):
    stack = shared_stack("faults", store)
    name, _, nth = step.partition("@")
    restart(stack, f"{name}=kill@{nth or 1}")
    sending = Sending(stack, shape)
    for nth in (1, 2):
        assert sending.body(nth).status_code == 200
    killed(stack, sending.complete)
    restart(stack)
    id = sending.upload["id"]
    for answer in (sending.ann.locate(id), *([sending.ann.thumbnail(id)] if shape == "whole" else [])):
        assert answer.status_code == (302 if there else 404)
    await sending.check_whole()


@pytest.mark.parametrize("store", STORES)
async def test_the_sweeper_ends_what_was_completed(shared_stack, store):
    """Killed after the file's record, and the client never came back: the file stays, and counts once"""
    stack = shared_stack("faults", store)
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS="upload.before_commit=kill", PARLEY_UPLOAD_PENDING_TTL_S=10)
    with Uploader(stack, "swept") as ann:
        upload = ann.created("general", b"hello")
        ann.sent(upload["put"], b"hello")
        killed(stack, lambda: ann.complete(upload))
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
