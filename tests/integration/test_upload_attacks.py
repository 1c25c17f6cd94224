"""Ways around what is checked once: files that are held back, reached through another channel, and files that are gone, made again."""

import uuid

import pytest
from support.images import png
from support.stores import STORES
from support.uploads import Uploader, problem


@pytest.mark.parametrize("store", STORES)
def test_no_way_around_the_scan(own_stack, store):
    """Not by a second descriptor, another channel, completing again or the thumbnail, and nothing of it releases the file"""
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=store, PARLEY_UPLOAD_REQUIRE_SCAN="on")
    room, other = stack.channel("ann", ["bob"]), stack.channel("ann", ["carl"])
    image = png(5, 5)
    with Uploader(stack, "ann") as ann, Uploader(stack, "bob") as bob, Uploader(stack, "carl") as carl:
        upload = ann.created(room, b"hello", thumbnail={"size": len(image), "contentType": "image/png"})
        ann.sent(upload["put"], b"hello")
        ann.sent(upload["thumbnail"], image)
        file_id = ann.completed(upload)["attachment"]["id"]
        problem(carl.locate(file_id), 404, "not_found")
        for again in (ann.completed(upload), ann.describe(file_id, other).json(), ann.describe(file_id, room).json()):
            assert again["state"] == "checking"
        for reader in (ann, bob, carl):
            problem(reader.locate(file_id), 409, "conflict")
            problem(reader.thumbnail(file_id), 409, "conflict")
        for stranger in (bob, carl):
            problem(stranger.rest.post(f"/api/uploads/{file_id}/quarantine", json={"reason": "x"}), 403, "forbidden")
            problem(stranger.rest.post(f"/api/uploads/{file_id}/release"), 403, "forbidden")
            problem(stranger.rest.get(f"/api/uploads/{file_id}/content"), 403, "forbidden")


@pytest.mark.parametrize("fixture", ["plain_stack", "s3_stack"])
def test_what_is_gone_stays_gone(request, fixture):
    """Its address for the body may still be good; nothing makes a file of it again"""
    stack = request.getfixturevalue(fixture)
    with Uploader(stack, "u" + uuid.uuid4().hex[:12]) as ann:
        room = stack.channel(ann.user)
        upload = ann.created(room, b"hello")
        ann.sent(upload["put"], b"hello")
        ann.completed(upload)
        assert ann.delete(upload["id"]).status_code == 204
        ann.send(upload["put"], b"other")  # refused or not: it is of no use
        for answer in (ann.complete(upload), ann.state(upload), ann.locate(upload["id"]), ann.describe(upload["id"], room), ann.delete(upload["id"])):
            problem(answer, 404, "not_found")


@pytest.mark.parametrize("fixture", ["plain_stack", "s3_stack"])
def test_no_member_takes_all_channels(request, fixture):
    """Somebody else's file, put into one's own channels, one after the other: its owner and others can share it all the same"""
    stack = request.getfixturevalue(fixture)
    members = [f"u{uuid.uuid4().hex[:12]}" for _ in range(4)]
    owner = f"u{uuid.uuid4().hex[:12]}"
    room = stack.channel(owner, members)
    with Uploader(stack, owner) as ann:
        id = ann.uploaded(room, b"shared")["attachment"]["id"]
        for i, member in enumerate(members):
            with Uploader(stack, member) as one:
                if i < 3:
                    for _ in range(10):
                        assert one.describe(id, stack.channel(member)).status_code == 200
                problem(one.describe(id, stack.channel(member)), 409, "conflict", "in 10 channels already by you" if i < 3 else "in 30 channels already by others")
                assert one.describe(id, room).status_code == 200
        for _ in range(19):
            assert ann.describe(id, stack.channel(owner)).status_code == 200
        problem(ann.describe(id, stack.channel(owner)), 409, "conflict", "in 50 channels already: upload")
