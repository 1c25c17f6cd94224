"""Uploads from the first request to reading the file: what is taken, what is refused, and who may do it."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import support
from support.images import png
from support.second_service import SecondUpload
from support.stack import wait_until
from support.stores import STORES, shared_stack_of, store_of
from support.uploads import PART, Uploader, composite, noise, problem, sha256


def user():
    return "u" + uuid.uuid4().hex[:12]


@pytest.fixture(params=STORES)
def stack(request):
    """All of these, in a folder and in S3"""
    return shared_stack_of(request)


@pytest.fixture
def ann(stack):
    with Uploader(stack, user()) as uploader:
        yield uploader


@pytest.fixture
def bob(stack):
    with Uploader(stack, user()) as uploader:
        yield uploader


@pytest.fixture
def room(stack, ann, bob):
    """A private channel of both, and what the upload service needs to know of it"""
    return stack.channel(ann.user, [bob.user])


# --- the way of a file ---


def test_one_request(ann, bob, room):
    data = noise(100_000)
    done = ann.uploaded(room, data, name="d.bin", sha256=sha256(data).upper())
    a = done["attachment"]
    assert (a["name"], a["size"], a["contentType"], a["sha256"]) == ("d.bin", len(data), "application/octet-stream", sha256(data))
    assert done["channelId"] == room and done["descriptor"].startswith("a1.")
    for reader in (ann, bob):
        answer = reader.read(a["id"])
        assert answer.status_code == 200 and answer.content == data
        assert answer.headers["content-disposition"] == 'attachment; filename="d.bin"'
        assert answer.headers["content-type"] == "application/octet-stream"
        store_of(ann.stack).check_read(answer)


def test_parts_resume_and_checksum(ann, bob, room):
    data = noise(2 * PART + 12345)
    upload = ann.created(room, data, sha256=composite(data))
    assert (upload["partSize"], upload["partCount"], upload["partsThere"]) == (PART, 3, [])
    assert "put" not in upload
    ann.part_sent(upload, 3, data[2 * PART:])
    ann.part_sent(upload, 1, data[:PART])
    problem(ann.complete(upload), 409, "conflict")
    again = ann.state(upload).json()
    assert again["partsThere"] == [1, 3]
    # a part of other bytes than its address was signed for is refused, and may be sent again
    signed = ann.parts(upload, [(2, data[PART:2 * PART])]).json()["parts"][0]
    store_of(ann.stack).refuses(ann.send(signed, bytes(PART)), 400)
    assert ann.state(upload).json()["partsThere"] == [1, 3]
    ann.sent(signed, data[PART:2 * PART])
    done = ann.completed(upload)
    assert done["attachment"]["sha256"] == composite(data)
    assert bob.read(done["attachment"]["id"]).content == data
    assert ann.send(signed, data[PART:2 * PART]).status_code in (404, 409)
    assert bob.read(done["attachment"]["id"]).content == data


def test_wrong_checksum_of_parts(ann, room):
    data = noise(PART + 1)
    upload = ann.created(room, data, sha256=composite(bytes(PART + 1)))
    ann.part_sent(upload, 1, data[:PART])
    ann.part_sent(upload, 2, data[PART:])
    assert "SHA-256" in problem(ann.complete(upload), 409, "conflict")
    problem(ann.state(upload), 404, "not_found")  # it was removed
    detail = problem(ann.create(room, data, sha256=sha256(data)), 400, "bad_request")
    assert "number of parts" in detail


def test_ranges(ann, room):
    data = noise(50_000)
    url = ann.located(ann.uploaded(room, data)["attachment"]["id"])
    for text, status, first, last in (("bytes=0-9", 206, 0, 9), ("bytes=49990-", 206, 49990, 49999), ("bytes=-10", 206, 49990, 49999),
                                      ("bytes=100-99999999", 206, 100, 49999), ("bytes=0-1,5-6", 200, 0, 49999), ("lines=1-2", 200, 0, 49999)):
        answer = ann.bare.get(url, headers={"Range": text})
        assert (answer.status_code, answer.content) == (status, data[first : last + 1]), text
        if status == 206:
            assert answer.headers["content-range"] == f"bytes {first}-{last}/50000"
    answer = ann.bare.get(url, headers={"Range": "bytes=50000-"})
    assert answer.status_code == 416
    store_of(ann.stack).tells_size(answer, 50000)
    store_of(ann.stack).check_head(ann.bare.head(url), 50000)


def test_images_are_shown_and_measured(ann, room):
    a = ann.uploaded(room, png(640, 480), name="cat.png", contentType="image/png")["attachment"]
    assert (a["contentType"], a["width"], a["height"]) == ("image/png", 640, 480)
    answer = ann.read(a["id"])
    assert answer.headers["content-type"] == "image/png" and answer.headers["content-disposition"].startswith("inline")


MEDIA = [("sound.aac", "audio/aac"), ("sound.flac", "audio/flac"), ("sound.m4a", "audio/mp4"), ("sound.mp3", "audio/mpeg"), ("sound.opus.ogg", "audio/ogg"),
         ("sound.vorbis.ogg", "audio/ogg"), ("sound.wav", "audio/wav"), ("sound.webm", "audio/webm"), ("film.mp4", "video/mp4"), ("film.ogv", "video/ogg"),
         ("film.webm", "video/webm")]


@pytest.mark.parametrize("name, content_type", MEDIA)
def test_sound_and_film_are_played(ann, room, name, content_type):
    """As what browsers call them, whatever libmagic does; and what is announced as another sort of thing is not taken"""
    data = (Path(support.__file__).parent / "media" / name).read_bytes()
    done = ann.uploaded(room, data, name=name, contentType=content_type)
    assert done["attachment"]["contentType"] == content_type
    answer = ann.read(done["attachment"]["id"])
    assert answer.headers["content-type"] == content_type and answer.headers["content-disposition"].startswith("inline") and answer.content == data
    unknown = ann.uploaded(room, data, name=name)["attachment"]
    assert ann.read(unknown["id"]).headers["content-disposition"].startswith("inline")
    upload = ann.created(room, data, name=name, contentType="image/png")
    ann.sent(upload["put"], data)
    problem(ann.complete(upload), 409, "conflict", "contentType")


@pytest.mark.parametrize("body, declared", [(b"<html><script>alert(1)</script></html>", "text/html"),
                                            (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image/svg+xml"),
                                            (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "application/pdf")])
def test_what_could_run_is_never_shown(ann, room, body, declared):
    answer = ann.read(ann.uploaded(room, body, contentType=declared)["attachment"]["id"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("body", [b"<html><body>hello</body></html>", b"#!/bin/sh\necho", b"GIF89a\x01\0\x01\0\0\0\0;", b"\0" * 50])
def test_a_png_that_is_none(ann, room, body):
    upload = ann.created(room, body, contentType="image/png", name="x.png")
    ann.sent(upload["put"], body)
    assert "contentType" in problem(ann.complete(upload), 409, "conflict")
    problem(ann.complete(upload), 404, "not_found")


# --- names ---


@pytest.mark.parametrize("name, part", [("", "empty"), ("../etc/passwd", "path"), ("..", "path"), ("a\\b", "path"), ("a\nb", "control"),
                                        ("a\x7fb", "control"), ("a\u0085b", "control"), ("x" * 256, "255"), ("n" * 1000, "255"),
                                        ("photo\u202egnp.exe", "direction"), ("a\u2066b", "direction")])
def test_bad_names(ann, room, name, part):
    assert part in problem(ann.create(room, b"x", name=name), 400, "bad_request")


def test_a_name_with_nul(ann, room):
    assert "name" in problem(ann.create(room, b"x", name="a\0b"), 400, "bad_request")


@pytest.mark.parametrize("name, header", [
    ("плановый отчёт.txt", "attachment; filename=\"________ _____.txt\"; filename*=UTF-8''%D0%BF%D0%BB%D0%B0%D0%BD%D0%BE%D0%B2%D1%8B%D0%B9%20%D0%BE%D1%82%D1%87%D1%91%D1%82.txt"),
    ("🎉.zip", "attachment; filename=\"_.zip\"; filename*=UTF-8''%F0%9F%8E%89.zip"),
    ('a"b;c%41.txt', "attachment; filename=\"a_b;c_41.txt\"; filename*=UTF-8''a%22b%3Bc%2541.txt"),
])
def test_names_of_all_kinds(ann, room, name, header):
    a = ann.uploaded(room, b"hello", name=name)["attachment"]
    assert a["name"] == name
    assert ann.read(a["id"]).headers["content-disposition"] == header


# --- what is refused ---


@pytest.mark.parametrize("fields, part", [({"size": 0}, "size"), ({"contentType": "text"}, "contentType"), ({"contentType": "Text/Plain"}, "contentType"),
                                          ({"contentType": "text/plain; charset=utf-8"}, "contentType"), ({"sha256": "abc"}, "sha256"),
                                          ({"sha256": "g" * 64}, "sha256"), ({"channelId": "a b"}, "channelId"), ({"owner": "x"}, "owner")])
def test_bad_fields(ann, room, fields, part):
    assert part in problem(ann.create(room, **{"size": 5, **fields}), 400, "bad_request")


def test_sizes(ann, room):
    assert "5368709120" in problem(ann.create(room, size=(5 << 30) + 1), 413, "too_large")
    assert "size" in problem(ann.create(room, size=-1), 400, "bad_request")
    upload = ann.created(room, b"12345")
    store = store_of(ann.stack)
    for body in (b"1234", b"123456", b""):
        store.refuses(ann.send(upload["put"], body), 400, 403)
    # a length that nobody announces, also where all of it comes at once
    for pieces in ([b"12345"], [b"12", b"345"], [b"1", b"2", b"3", b"4", b"5"]):
        store.refuses(ann.send(upload["put"], iter(pieces)), 400, 403, 411)
    problem(ann.complete(upload), 409, "conflict")
    ann.sent(upload["put"], b"12345")
    ann.completed(upload)


def test_an_address_of_the_folder_is_only_for_what_it_says(plain_stack):
    ann = Uploader(plain_stack, user())
    room = plain_stack.channel(ann.user)
    upload = ann.created(room, b"12345", sha256=sha256(b"12345"))
    url = upload["put"]["url"]
    other = ann.created(room, b"12345")["id"]
    for changed in (url.replace("size=5", "size=6"), url.replace("offset=0", "offset=1"), url.replace("/1?", "/2?"), url.replace(upload["id"], other),
                    url.replace("expires=1", "expires=2"), url.replace(sha256(b"12345"), sha256(b"other")), url[:-1] + ("0" if url[-1] != "0" else "1")):
        assert changed != url
        n = 6 if "size=6" in changed else 5
        problem(ann.send({**upload["put"], "url": changed}, b"x" * n), 403, "forbidden")
    problem(ann.send({**upload["put"], "url": url.split("&signature")[0]}, b"12345"), 403, "forbidden")
    for name in ("../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "lock", "x" * 36):
        assert ann.send({**upload["put"], "url": url.replace(upload["id"], name)}, b"12345").status_code in (400, 404, 405), name  # 405: the edge has it outside of /api
    assert "SHA-256" in problem(ann.send(upload["put"], b"54321"), 400, "bad_request")
    done = (ann.sent(upload["put"], b"12345"), ann.completed(upload))[1]
    read = ann.located(done["attachment"]["id"])
    for changed in (read.replace("disposition=attachment", "disposition=inline"), read.replace("octet-stream", "xhtml%2Bxml"), read.replace(upload["id"], other)):
        assert changed != read
        problem(ann.bare.get(changed), 403, "forbidden")


def test_the_type_of_a_body_is_signed(ann, room):
    put, store = ann.created(room, b"12345", contentType="image/png")["put"], store_of(ann.stack)
    assert {"name": "content-type", "value": "image/png"} in put["headers"]
    store.refuses(ann.send(put, b"12345", **{"content-type": "text/html"}), 403)
    store.refuses(ann.bare.put(ann.absolute(put["url"]), content=b"12345"), 400, 403)
    ann.sent(put, b"12345")


def test_an_address_of_s3_is_only_for_what_it_says(s3_stack):
    with Uploader(s3_stack, user()) as ann:
        room = s3_stack.channel(ann.user)
        upload, other = ann.created(room, b"12345", sha256=sha256(b"12345")), ann.created(room, b"12345")
        put, store = upload["put"], store_of(s3_stack)
        assert {h["name"] for h in put["headers"]} == {"content-type", "x-amz-checksum-sha256"}
        for old, new in ((upload["id"], other["id"]), ("pending/", "files/"), ("Expires=900", "Expires=901"), ("SignedHeaders=content-length%3B", "SignedHeaders="),
                         ("Signature=", "Signature=0")):
            assert old in put["url"]
            store.refuses(ann.send({**put, "url": put["url"].replace(old, new)}, b"12345"), 400, 403)
        store.refuses(ann.send(put, b"12345", **{"content-type": "text/html"}), 403)  # the type is signed
        store.refuses(ann.send(put, b"54321"), 400)  # and the checksum
        store.refuses(ann.bare.put(put["url"], content=b"12345"), 400, 403)  # which may not be left out
        store.refuses(ann.bare.get(put["url"]), 403)
        ann.sent(put, b"12345")
        read = ann.located(ann.completed(upload)["attachment"]["id"])
        for old, new in (("disposition=attachment", "disposition=inline"), ("octet-stream", "xhtml%2Bxml"), (upload["id"], other["id"]), ("files/", "pending/")):
            assert old in read
            store.refuses(ann.bare.get(read.replace(old, new)), 403)
        store.refuses(ann.bare.get(read.split("?")[0]), 403)  # the bucket is not public
        assert ann.bare.get(s3_stack.base_url + f"/api/files/store/{upload['id']}").status_code == 404


def test_who_may(stack, ann, bob, room):
    upload = ann.created(room, b"hello")
    ann.sent(upload["put"], b"hello")
    with Uploader(stack, user()) as eve, Uploader(stack, "root" + uuid.uuid4().hex[:8], admin=True) as admin:
        problem(eve.create(room, b"x"), 403, "not_a_member")
        problem(eve.create("c-" + uuid.uuid4().hex, b"x"), 403, "not_a_member")
        problem(admin.create(room, b"x"), 403, "not_a_member")  # private channels are not read or written from outside
        for other in (bob, eve, admin):
            problem(other.state(upload), 404, "not_found")
            problem(other.complete(upload), 404, "not_found")
            problem(other.abort(upload), 404, "not_found")
            problem(other.parts(upload, [(1, b"hello")]), 404, "not_found")
        file_id = ann.completed(upload)["attachment"]["id"]
        for other in (eve, admin):
            problem(other.locate(file_id), 404, "not_found")
            problem(other.describe(file_id, "general"), 404, "not_found")
        problem(bob.delete(file_id), 404, "not_found")
        problem(eve.locate(str(uuid.uuid4())), 404, "not_found")
        problem(eve.locate("x"), 404, "not_found")
        problem(eve.locate(file_id.upper()), 404, "not_found")
        assert httpx.post(stack.base_url + "/api/uploads", json={}).json()["code"] == "unauthenticated"
        assert httpx.get(stack.base_url + f"/api/files/{file_id}").json()["code"] == "unauthenticated"
        assert admin.delete(file_id).status_code == 204
    problem(ann.locate(file_id), 404, "not_found")


def test_a_removed_member_reads_nothing_more(stack, ann, bob, room):
    file_id = ann.uploaded(room, b"secret")["attachment"]["id"]
    url = bob.located(file_id)
    assert stack.rest(ann.user).delete(f"/api/channels/{room}/members/{bob.user}").status_code in (200, 204)
    wait_until(lambda: bob.locate(file_id).status_code == 404, 10, "the removal is in force")
    assert bob.bare.get(url).content == b"secret"  # within the 60 s of the address: documented
    problem(bob.create(room, b"x"), 403, "not_a_member")


def test_archived_channels_take_no_files(stack, ann, bob, room):
    file_id = ann.uploaded(room, b"x")["attachment"]["id"]
    assert stack.rest(ann.user).patch(f"/api/channels/{room}", json={"archived": True}).status_code in (200, 202)
    wait_until(lambda: ann.create(room, b"x").status_code == 409, 10, "the channel is archived")
    assert bob.read(file_id).content == b"x"


# --- again, and at the same time ---


def test_complete_again(ann, room):
    upload = ann.created(room, b"hello")
    problem(ann.complete(upload), 409, "conflict")
    ann.sent(upload["put"], b"hello")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ann.complete(upload), range(8)))
    assert {a.status_code for a in answers} <= {200, 503} and any(a.status_code == 200 for a in answers), [a.text for a in answers]
    first = ann.completed(upload)["attachment"]
    assert all(a.json()["attachment"] == first for a in answers if a.status_code == 200)
    store_of(ann.stack).too_late(ann.send(upload["put"], b"other"))  # the object cannot be replaced
    assert ann.read(first["id"]).content == b"hello"
    assert ann.completed(upload)["attachment"] == first and ann.read(first["id"]).content == b"hello"
    problem(ann.abort(upload), 404, "not_found")


def test_the_last_of_two_bodies_wins_and_nothing_is_mixed(ann, room):
    data = [bytes([i]) * 3_000_000 for i in range(6)]
    upload = ann.created(room, size=3_000_000)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda d: ann.send(upload["put"], d).status_code, data))
    assert set(answers) <= {200, 409, 503}
    if not ann.state(upload).json()["partsThere"]:  # each was cut off by a later one
        ann.sent(upload["put"], data[0])
    content = ann.read(ann.completed(upload)["attachment"]["id"]).content
    assert content in data


def test_abort(ann, room):
    upload = ann.created(room, b"hello")
    ann.sent(upload["put"], b"hello")
    assert ann.abort(upload).status_code == 204
    problem(ann.state(upload), 404, "not_found")
    store_of(ann.stack).too_late(ann.send(upload["put"], b"hello"))
    problem(ann.complete(upload), 404, "not_found")


def test_delete(ann, bob, room):
    file_id = ann.uploaded(room, b"hello")["attachment"]["id"]
    url = bob.located(file_id)
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: ann.delete(file_id).status_code, range(4)))
    assert 204 in codes and set(codes) <= {204, 404}
    problem(bob.locate(file_id), 404, "not_found")
    assert bob.bare.get(url).status_code == 404


def test_another_channel_needs_a_descriptor(stack, ann, bob, room):
    other = stack.channel(bob.user, ["carl"])
    file_id = ann.uploaded(room, b"hello")["attachment"]["id"]
    with Uploader(stack, "carl") as carl:
        problem(carl.locate(file_id), 404, "not_found")
        problem(ann.describe(file_id, other), 403, "not_a_member")
        problem(carl.describe(file_id, other), 404, "not_found")
        answer = bob.describe(file_id, other)
        assert answer.status_code == 200 and answer.json()["channelId"] == other
        assert carl.read(file_id).content == b"hello"


# --- limits ---


@pytest.mark.parametrize("store", STORES)
def test_quota_of_fifty_at_once(own_stack, store, tmp_path):
    """Half of them ask another instance, which has nothing but the buckets in common with the first"""
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=store, PARLEY_UPLOAD_QUOTA_BYTES=10_000, PARLEY_UPLOAD_QUOTA_FILES=100)
    with SecondUpload(stack, PARLEY_UPLOAD_DIR=tmp_path) as second, Uploader(stack, "ann") as ann:
        others = httpx.Client(base_url=second.base_url, headers=ann.rest.headers, timeout=60)
        body = {"channelId": "general", "name": "file.bin", "size": 1000}

        def create(n):
            """The answer that decides: who is told to come again in a moment does"""
            deadline = time.monotonic() + 30
            while True:
                answer = (others if n % 2 else ann.rest).post("/api/uploads", json=body)
                if answer.status_code != 503:
                    return answer
                assert time.monotonic() < deadline, answer.text

        with others, ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(create, range(50)))
        taken = [a.json() for a in answers if a.status_code == 201]
        assert len(taken) == 10, [a.status_code for a in answers]
        assert {a.json()["code"] for a in answers if a.status_code != 201} == {"too_large"}
        assert {a.request.url.port for a in answers} == {others.base_url.port, ann.rest.base_url.port}
        assert ann.abort(taken[0]).status_code == 204  # gives back what it held
        done = ann.uploaded("general", b"y" * 1000)
        problem(ann.create("general", size=1), 413, "too_large")
        assert ann.delete(done["attachment"]["id"]).status_code == 204
        assert ann.create("general", size=1000).status_code == 201


@pytest.mark.parametrize("store", STORES)
def test_pending_uploads_types_and_expiry(own_stack, store):
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=store, PARLEY_UPLOAD_MAX_PENDING=3, PARLEY_UPLOAD_PENDING_TTL_S=10, PARLEY_UPLOAD_SWEEP_S=1,
                      PARLEY_UPLOAD_TYPES="image/*, text/plain", PARLEY_UPLOAD_URL_TTL_S=3)
    with Uploader(stack, "ann") as ann:
        problem(ann.create("general", b"x", contentType="application/pdf"), 403, "forbidden")
        upload = ann.created("general", b"<html><script></script></html>", contentType="text/plain")
        ann.sent(upload["put"], b"<html><script></script></html>")
        problem(ann.complete(upload), 403, "forbidden")  # what it is counts
        uploads = [ann.created("general", b"x", contentType="text/plain") for _ in range(3)]
        assert "3 uploads" in problem(ann.create("general", b"x", contentType="text/plain"), 429, "rate_limited")
        ann.sent(uploads[0]["put"], b"x")
        pending = store_of(stack).pending
        assert uploads[0]["id"] in pending()
        wait_until(lambda: not pending(), 30, "uploads that are over are removed")
        problem(ann.complete(uploads[0]), 404, "not_found")
        store_of(stack).refuses(ann.send(uploads[1]["put"], b"x"), 403)
        # their places are free once the store has answered for each
        wait_until(lambda: ann.create("general", b"x", contentType="text/plain").status_code == 201, 10, "they count no more")


@pytest.mark.parametrize("store", STORES)
def test_the_service_begins_again_where_it_was(own_stack, store):
    stack = own_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_STORE=store)
    data = noise(PART + 1000)
    with Uploader(stack, "ann") as ann:
        small = ann.uploaded("general", b"small")["attachment"]["id"]
        upload = ann.created("general", data)
        ann.part_sent(upload, 1, data[:PART])
        stack.kill("upload")
        problem(ann.state(upload), 503, "unavailable")
        stack.start("upload")
        assert ann.state(upload).json()["partsThere"] == [1]
        ann.part_sent(upload, 2, data[PART:])
        assert ann.read(ann.completed(upload)["attachment"]["id"]).content == data
        assert ann.read(small).content == b"small"
