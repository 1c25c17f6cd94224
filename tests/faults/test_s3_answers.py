"""Answers of an S3 server that do not say enough, or say "later": nothing is refused, or removed, for what is not known."""

import os
import time

import httpx
import pytest
from support.s3_proxy import Proxy
from support.stack import wait_until
from support.stores import store_of
from support.uploads import PART, Uploader, composite, problem, sha256

SETTINGS = {"PARLEY_S3_TIMEOUT_MS": 2000, "PARLEY_S3_COMPLETE_TIMEOUT_MS": 5000}


@pytest.fixture(scope="module")
def stack(shared_stack):
    return shared_stack("release", "s3")


@pytest.fixture
def proxied(stack):
    with Proxy(8433 + stack.offset) as proxy:
        stack.stop("upload")
        stack.start("upload", PARLEY_S3_ENDPOINT=proxy.url, PARLEY_S3_PUBLIC_ENDPOINT=f"http://127.0.0.1:{8433 + stack.offset}", PARLEY_S3_BUCKET="parley",
                    PARLEY_S3_ACCESS_KEY_ID="parley", PARLEY_S3_SECRET_ACCESS_KEY_FILE=stack.run_dir / "s3.secret", **SETTINGS)
        yield proxy
    stack.stop("upload")
    stack.start("upload")


def sent(ann, data, **fields):
    upload = ann.created("general", data, **fields)
    if upload["partCount"] == 1:
        ann.sent(upload["put"], data)
    else:
        for n in range(upload["partCount"]):
            ann.part_sent(upload, n + 1, data[n * PART : (n + 1) * PART])
    return upload


@pytest.mark.parametrize("size", [5, PART + 5])
def test_no_checksum_in_head(stack, proxied, size):
    """After an answer was lost, too: then nobody has said it. With and without one that was announced."""
    data = os.urandom(size)
    proxied.without = ("x-amz-checksum-sha256",)
    with Uploader(stack, f"unsaid-{size}") as ann:
        for fields in ({}, {"sha256": sha256(data) if size == 5 else composite(data)}):
            upload = sent(ann, data, **fields)
            proxied.lose_answer_of(("PUT", "POST"))
            done = ann.completed(upload)
            assert proxied.lost == 1 and done["attachment"]["sha256"] == (sha256(data) if size == 5 else composite(data))
        upload = ann.created("general", b"12345", sha256=sha256(b"12345"))
        ann.sent(upload["put"], b"12345")
        (store_of(stack).folder / "pending" / upload["id"]).write_bytes(b"54321")  # behind our back
        problem(ann.complete(upload), 409, "conflict", "SHA-256")
        assert stack.rss_kb("upload") < 40_000


def test_no_length_in_head(stack, proxied):
    with Uploader(stack, "lengths") as ann:
        upload = sent(ann, b"hello")
        proxied.without = ("content-length",)
        proxied.only = "HEAD"
        assert ann.complete(upload).status_code == 503
        proxied.without = ()
        assert ann.read(ann.completed(upload)["attachment"]["id"]).content == b"hello"


def test_an_empty_answer(stack, proxied):
    """No bytes are no type"""
    with Uploader(stack, "nothing") as ann:
        upload = sent(ann, b"%PDF-1.4 hello", contentType="application/pdf")
        proxied.only, proxied.mode = "GET", "empty"
        assert ann.complete(upload).status_code == 503
        proxied.mode = None
        ann.completed(upload)


def test_conflicts_are_tried_again(stack, proxied):
    with Uploader(stack, "conflicts") as ann:
        upload = sent(ann, b"hello")
        proxied.only = "PUT"
        proxied.fail_next(2, "conflict")
        ann.completed(upload)
        assert proxied.failed == 2
        upload = sent(ann, b"hello")
        proxied.mode = "conflict"
        assert ann.complete(upload).status_code == 503
        proxied.mode = None
        ann.completed(upload)


def test_one_refused_key(stack, proxied):
    """A rule of the bucket for one object takes no service out of the others' way"""
    def ready():
        return httpx.get(stack.admin_url("upload") + "/readyz", timeout=5).status_code

    with Uploader(stack, "denied") as ann:
        upload = sent(ann, b"hello")
        wait_until(lambda: ready() == 200, 10, "it is ready")
        proxied.only, proxied.mode = "PUT", "denied"
        assert ann.complete(upload).status_code == 503
        assert ready() == 200
        proxied.only, proxied.mode = None, "denied"  # the bucket itself: the key is no good any more
        begun = time.monotonic()
        wait_until(lambda: ready() == 503, 15, "it is not ready")
        assert time.monotonic() - begun < 15
        proxied.mode = None
        wait_until(lambda: ready() == 200, 15, "it is ready again")
        ann.completed(upload)


def test_what_the_client_says_besides(s3_stack):
    """Is not taken over from the body's request; what is signed has to be said"""
    with Uploader(s3_stack, "besides") as ann:
        upload = ann.created("general", b"hello")
        answer = ann.send(upload["put"], b"hello", **{"content-encoding": "gzip", "cache-control": "max-age=99999", "content-disposition": "inline",
                                                      "content-language": "tlh", "expires": "Thu, 01 Jan 2099 00:00:00 GMT"})
        assert answer.status_code == 200, answer.text
        located = ann.located(ann.completed(upload)["attachment"]["id"])
        with ann.bare.stream("GET", located) as read:
            assert b"".join(read.iter_raw()) == b"hello"
            assert not {"content-encoding", "content-language", "expires"} & set(read.headers)
            assert read.headers["content-disposition"].startswith("attachment") and "99999" not in read.headers["cache-control"]


def test_headers_that_nobody_signed(s3_stack):
    """Of these a server must take none: a copy would read what is another's"""
    with Uploader(s3_stack, "unsigned") as ann:
        file_id = ann.uploaded("general", b"secret")["attachment"]["id"]
        upload = ann.created("general", b"hello")
        for name, value in (("x-amz-copy-source", f"/parley/files/{file_id}"), ("x-amz-acl", "public-read"), ("x-amz-tagging", "a=b"),
                            ("x-amz-meta-a", "b"), ("x-amz-storage-class", "GLACIER"), ("x-amz-object-lock-mode", "COMPLIANCE"),
                            ("x-amz-website-redirect-location", "https://evil.example/")):
            store_of(s3_stack).refuses(ann.send(upload["put"], b"hello", **{name: value}), 400, 403)
            assert store_of(s3_stack).forgotten(upload["id"]), name
        ann.sent(upload["put"], b"hello")
        assert ann.read(ann.completed(upload)["attachment"]["id"]).content == b"hello"
