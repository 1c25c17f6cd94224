"""A removal of a file that was killed between any two steps: the file is gone for everybody, whoever asks again goes on, and what counts for the
quota is what is there."""

import nats
import pytest
from support.images import png
from support.schema import internal_pb2
from support.stores import STORES, store_of
from support.uploads import Uploader, counted, killed, problem

STEPS = ["upload.removal_marked", "upload.removal_removed", "upload.removal_freed"]


def objects(stack, file_id):
    return {p.name for p in (store_of(stack).folder / "files").rglob("*") if p.is_file() and file_id in p.name}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("step", STEPS)
async def test_killed_between_steps(shared_stack, store, step):
    stack = shared_stack("faults", store)
    user = step.split(".")[1].replace("_", "-")
    stack.stop("upload")
    stack.start("upload", PARLEY_FAILPOINTS=f"{step}=kill")
    with Uploader(stack, user) as ann, Uploader(stack, "other-" + user) as bob:
        kept = ann.uploaded("general", b"x" * 1000)["attachment"]["id"]
        thumbnail = png(5, 5)
        file_id = ann.uploaded("general", b"hello", thumbnail=thumbnail)["attachment"]["id"]
        both = 1005 + len(thumbnail)
        assert await counted(stack, user) == (both, 2, 0)
        killed(stack, lambda: ann.delete(file_id))
        stack.start("upload")
        for answer in (ann.locate(file_id), ann.thumbnail(file_id), ann.describe(file_id, "general"), ann.complete({"id": file_id})):
            problem(answer, 404, "not_found")
        assert await counted(stack, user) == ((1000, 1, 0) if step == STEPS[2] else (both, 2, 0))
        problem(bob.delete(file_id), 404, "not_found")
        assert ann.delete(file_id).status_code == 204
        assert await counted(stack, user) == (1000, 1, 0)
        assert not objects(stack, file_id) and ann.read(kept).content == b"x" * 1000
        problem(ann.delete(file_id), 404, "not_found")


@pytest.mark.parametrize("store", STORES)
async def test_its_record_was_lost(shared_stack, store):
    """With the last moments of NATS: what a deleted message carried goes all the same"""
    stack = shared_stack("faults", store)
    stack.stop("upload")
    stack.start("upload")
    channel = stack.channel("ann")
    with Uploader(stack, "ann") as ann:
        file_id = ann.uploaded(channel, b"hello", thumbnail=png(5, 5))["attachment"]["id"]
    assert objects(stack, file_id) == {file_id, "0-" + file_id}
    nc = await nats.connect(stack.nats_url)
    try:
        await nc.jetstream().purge_stream("KV_FILES", subject=f"$KV.FILES.file.{file_id}")
        answer = await nc.request("rpc.upload.release", internal_pb2.ReleaseFilesRequest(file_ids=[file_id]).SerializeToString(), timeout=10)
    finally:
        await nc.close()
    assert file_id.encode() in answer.data and not objects(stack, file_id)
