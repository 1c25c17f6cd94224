"""Thumbnails: small images that belong to a file, and what a client says of an image."""

import os
import uuid

import pytest
from support.client import Client
from support.images import jpeg, png, webp
from support.stack import wait_until
from support.stores import STORES, shared_stack_of, store_of
from support.uploads import PART, Uploader, problem, sha256


def user():
    return "u" + uuid.uuid4().hex[:12]


@pytest.fixture(params=STORES)
def stack(request):
    return shared_stack_of(request)


@pytest.fixture
def ann(stack):
    with Uploader(stack, user()) as uploader:
        yield uploader


def of(image, kind="image/png", **fields):
    return {"size": len(image), "contentType": kind, **fields}


@pytest.mark.parametrize("image, kind", [(png(320, 200), "image/png"), (jpeg(320, 200), "image/jpeg"), (webp(320, 200), "image/webp")])
def test_of_the_same_plan(stack, ann, image, kind):
    room = stack.channel(ann.user, ["bob"])
    photo = png(3000, 2000)
    upload = ann.created(room, photo, name="cat.png", contentType="image/png", blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
                         thumbnail=of(image, kind, sha256=sha256(image).upper(), width=320, height=200))
    assert upload["thumbnail"]["size"] == len(image)
    ann.sent(upload["put"], photo)
    assert "thumbnail" in problem(ann.complete(upload), 409, "conflict")  # not without it
    again = ann.state(upload).json()["thumbnail"]
    store_of(stack).refuses(ann.send(again, bytes(len(image))), 400)
    ann.sent(again, image)
    a = ann.completed(upload)["attachment"]
    assert (a["width"], a["height"], a["blurhash"]) == (3000, 2000, "LEHV6nWB2yk8pyo0adR*.7kCMdnj")
    t = a["thumbnail"]
    assert (t["contentType"], t["size"], t["width"], t["height"]) == (kind, len(image), 320, 200) and a["id"] in t["id"]
    assert ann.completed(upload)["attachment"] == a
    store_of(stack).too_late(ann.send(again, image))  # out of reach
    with Uploader(stack, "bob") as bob, Uploader(stack, user()) as eve:
        answer = bob.thumbnail(a["id"])
        assert answer.status_code == 302
        shown = bob.bare.get(bob.absolute(answer.headers["location"]))
        assert shown.content == image and shown.headers["content-type"] == kind
        assert shown.headers["content-disposition"].startswith("inline")
        problem(eve.thumbnail(a["id"]), 404, "not_found")
        problem(bob.locate(t["id"]), 404, "not_found")  # no file of its own
        assert ann.delete(a["id"]).status_code == 204
        assert bob.bare.get(bob.absolute(answer.headers["location"])).status_code == 404
        problem(bob.thumbnail(a["id"]), 404, "not_found")


async def test_members_see_it_in_the_message(stack, ann):
    room = stack.channel(ann.user)
    done = ann.uploaded(room, b"a film", thumbnail=png(64, 64), width=1920, height=1080, blurhash="00OZZy")
    async with Client(stack, ann.user) as client:
        ack = await client.send(room, "", attachments=[done["descriptor"]])
        await client.wait_seq(room, ack["seq"])
        assert client.messages(room)[0]["attachments"] == [done["attachment"]]
    stack.wait_ingested(ann.user, room, ack["seq"])
    with stack.rest(ann.user) as rest:
        shown = rest.get(f"/api/channels/{room}/messages").json()["messages"][0]["attachments"][0]
    assert shown == done["attachment"] and shown["thumbnail"]["width"] == 64 and (shown["width"], shown["height"]) == (1920, 1080)


def test_of_a_file_in_parts(stack, ann):
    data = os.urandom(PART + 5)
    a = ann.uploaded("general", data, thumbnail=png(10, 10))["attachment"]
    assert a["thumbnail"]["width"] == 10 and ann.read(a["id"]).content == data
    other = ann.uploaded("general", b"x")["attachment"]
    assert "thumbnail" not in other
    assert "no thumbnail" in problem(ann.thumbnail(other["id"]), 404, "not_found")


@pytest.mark.parametrize("image, kind", [(png(60_000, 60_000), "image/png"), (png(513, 1), "image/png"), (jpeg(1, 513), "image/jpeg"),
                                         (webp(60_000, 60_000), "image/webp"), (b"<html><script>alert(1)</script>", "image/png"),
                                         (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image/png"),
                                         (png(10, 10), "image/jpeg"), (b"\x89PNG\r\n\x1a\n" + bytes(50), "image/png"),
                                         (jpeg(10, 10)[:22], "image/jpeg")])
def test_what_is_none(stack, ann, image, kind):
    upload = ann.created("general", b"hello", thumbnail=of(image, kind))
    ann.sent(upload["put"], b"hello")
    ann.sent(upload["thumbnail"], image)
    assert "thumbnail" in problem(ann.complete(upload), 409, "conflict")
    problem(ann.complete(upload), 404, "not_found")  # all of it was removed
    store_of(stack).too_late(ann.send(upload["thumbnail"], image))
    problem(ann.locate(upload["id"]), 404, "not_found")


@pytest.mark.parametrize("fields, part", [
    ({"thumbnail": {"size": 0, "contentType": "image/png"}}, "thumbnail.size"),
    ({"thumbnail": {"size": (256 << 10) + 1, "contentType": "image/png"}}, "thumbnail.size"),
    ({"thumbnail": {"size": 5, "contentType": "image/svg+xml"}}, "thumbnail.contentType"),
    ({"thumbnail": {"size": 5}}, "thumbnail.contentType"),
    ({"thumbnail": {"size": 5, "contentType": "image/png", "sha256": "x"}}, "thumbnail.sha256"),
    ({"thumbnail": {"size": 5, "contentType": "image/png", "width": 60000, "height": 60000}}, "thumbnail.width"),
    ({"thumbnail": {"size": 5, "contentType": "image/png", "url": "x"}}, "url"), ({"thumbnail": "x"}, "thumbnail"),
    ({"width": 65536}, "width"), ({"height": -1}, "height"), ({"blurhash": "x"}, "blurhash"), ({"blurhash": "00OZZ"}, "blurhash"),
    ({"blurhash": "00OZZyy"}, "blurhash"), ({"blurhash": '00O"Zy'}, "blurhash"), ({"blurhash": "L" * 2000}, "blurhash")])
def test_what_is_refused_at_once(ann, fields, part):
    assert part in problem(ann.create("general", b"hello", **fields), 400, "bad_request")


def test_what_an_image_says_counts(ann):
    for said, kept in (((1, 1), (640, 480)), ((0, 0), (640, 480)), ((480, 640), (480, 640)), ((640, 480), (640, 480))):
        a = ann.uploaded("general", png(640, 480), contentType="image/png", width=said[0], height=said[1])["attachment"]
        assert (a["width"], a["height"]) == kept, said


@pytest.mark.parametrize("store", STORES)
def test_it_counts(own_stack, store):
    image = png(10, 10)
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=store, PARLEY_UPLOAD_QUOTA_BYTES=1000 + len(image), PARLEY_UPLOAD_SWEEP_S=1, PARLEY_UPLOAD_PENDING_TTL_S=10)
    with Uploader(stack, "ann") as ann:
        problem(ann.create("general", size=1001, thumbnail=of(image)), 413, "too_large")
        upload = ann.created("general", size=1000, thumbnail=of(image))
        problem(ann.create("general", size=1), 413, "too_large")
        assert ann.abort(upload).status_code == 204
        file_id = ann.uploaded("general", b"x" * 1000, thumbnail=image)["attachment"]["id"]
        problem(ann.create("general", size=1), 413, "too_large")
        assert ann.delete(file_id).status_code == 204
        left = ann.created("general", size=1000, thumbnail=of(image))
        assert max(left["put"]["expiresAt"], left["thumbnail"]["expiresAt"]) <= left["expiresAt"]  # no address outlives its upload
        ann.sent(left["thumbnail"], image)
        kept = store_of(stack)
        assert "0-" + left["id"] in kept.pending()
        wait_until(lambda: not {left["id"], "0-" + left["id"]} & kept.pending(), 30, "what was abandoned is removed")
        assert not [p for p in kept.folder.rglob("*") if p.is_file() and (left["id"] in p.name or file_id in p.name)]
        # Its place in the quota is free once the store has answered for all of it
        wait_until(lambda: ann.create("general", size=1000, thumbnail=of(image)).status_code == 201, 10, "what was abandoned counts no more")
