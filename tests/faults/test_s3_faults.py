"""S3 away, stopped, slow, overloaded or broken: a clear 503 that says when to try again, nothing half-done, and everything goes on afterwards."""

import os
import signal
import time

import httpx
import pytest
from support.s3_proxy import Proxy
from support.stack import wait_until
from support.stores import store_of
from support.uploads import PART, Uploader, sha256

TIMEOUT_MS = 2000
SETTINGS = {"PARLEY_S3_TIMEOUT_MS": TIMEOUT_MS, "PARLEY_S3_COMPLETE_TIMEOUT_MS": 4000, "PARLEY_S3_CONNECT_TIMEOUT_MS": 1000}


@pytest.fixture(scope="module")
def stack(shared_stack):
    return shared_stack("release", "s3")


@pytest.fixture
def proxied(stack):
    """The stack with a proxy before its S3 server, for the service alone: clients go to the server itself."""
    with Proxy(8433 + stack.offset) as proxy:
        stack.stop("upload")
        server = f"http://127.0.0.1:{8433 + stack.offset}"
        stack.start("upload", PARLEY_S3_ENDPOINT=proxy.url, PARLEY_S3_PUBLIC_ENDPOINT=server, PARLEY_S3_BUCKET="parley", PARLEY_S3_ACCESS_KEY_ID="parley",
                    PARLEY_S3_SECRET_ACCESS_KEY_FILE=stack.run_dir / "s3.secret", **SETTINGS)
        yield proxy
    stack.stop("upload")
    stack.start("upload")


def unavailable(answer, since):
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "unavailable" and answer.json()["retryMs"] > 0 and int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - since < 8


def ready(stack):
    answer = httpx.get(stack.admin_url("upload") + "/readyz", timeout=5)
    return answer.status_code, answer.json().get("checks", answer.json())


def complete_fails(ann, upload):
    begun = time.monotonic()
    unavailable(ann.complete(upload), begun)


def asked(stack, outcome):
    lines = httpx.get(stack.admin_url("upload") + "/metrics").text.splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f'parley_upload_s3_requests_total{{outcome="{outcome}"}}'))


def test_what_the_server_answers_is_counted(proxied, stack):
    with Uploader(stack, "counted") as ann:
        answered, refused, failed = (asked(stack, o) for o in ("answered", "refused", "failed"))
        ann.uploaded("general", b"hello")
        assert asked(stack, "answered") > answered and asked(stack, "refused") == refused
        upload = ann.created("general", b"hello")
        ann.sent(upload["put"], b"hello")
        for mode, outcome, before in (("503", "refused", refused), ("reset", "failed", failed)):
            proxied.mode = mode
            complete_fails(ann, upload)
            assert asked(stack, outcome) > before, mode
        proxied.mode = None
        assert stack.metric("upload", "parley_upload_s3_waiting") == 0


def test_server_ended(stack):
    stack.stop("upload")
    stack.start("upload", **SETTINGS)
    with Uploader(stack, "ended") as ann:
        upload = ann.created("general", b"hello")
        ann.sent(upload["put"], b"hello")
        stack.kill("versitygw")
        complete_fails(ann, upload)
        begun = time.monotonic()
        unavailable(ann.create("general", size=PART + 1), begun)
        status, reasons = wait_until(lambda: (lambda r: r if r[0] == 503 else None)(ready(stack)), 10, "it is not ready")
        assert reasons["store"] is False and reasons["nats"] is True
        stack.start("versitygw")
        wait_until(lambda: ready(stack)[0] == 200, 15, "it is ready again")
        assert ann.read(ann.completed(upload)["attachment"]["id"]).content == b"hello"
        log = (stack.run_dir / "log" / "upload.log").read_text()
        assert "S3 cannot be used" in log and "S3 answers" in log


def test_server_stopped(stack):
    """It takes connections, and says nothing"""
    stack.stop("upload")
    stack.start("upload", **SETTINGS)
    with Uploader(stack, "stopped") as ann:
        upload = ann.created("general", b"hello")
        ann.sent(upload["put"], b"hello")
        stack.kill("versitygw", signal.SIGSTOP)
        try:
            complete_fails(ann, upload)
            assert ann.create("general", size=5).status_code == 201  # needs no server: the loop turns meanwhile
            wait_until(lambda: ready(stack)[0] == 503, 10, "it is not ready")
        finally:
            stack.kill("versitygw", signal.SIGCONT)
        wait_until(lambda: ann.complete(upload).status_code == 200, 15, "it goes on")
        assert ann.read(upload["id"]).content == b"hello"


@pytest.mark.parametrize("mode", ["503", "500", "slowdown", "garbage", "truncated", "huge", "reset", "late-error"])
def test_broken_answers(stack, proxied, mode):
    data = os.urandom(PART + 10)
    with Uploader(stack, f"broken-{mode}") as ann:
        upload = ann.created("general", data)
        ann.part_sent(upload, 1, data[:PART])
        ann.part_sent(upload, 2, data[PART:])
        proxied.mode = mode
        complete_fails(ann, upload)
        begun = time.monotonic()
        unavailable(ann.state(upload), begun)
        assert stack.rss_kb("upload") < 40_000
        assert store_of(stack).forgotten(upload["id"]) and ann.locate(upload["id"]).status_code == 404
        proxied.mode = None
        assert ann.state(upload).json()["partsThere"] == [1, 2]
        assert ann.read(ann.completed(upload)["attachment"]["id"]).content == data


def test_what_passes_is_tried_again(stack, proxied):
    with Uploader(stack, "again") as ann:
        upload = ann.created("general", b"hello", sha256=sha256(b"hello"))
        ann.sent(upload["put"], b"hello")
        proxied.fail_next(2, "503")
        ann.completed(upload)
        assert proxied.failed == 2
        large = ann.create("general", size=PART + 1)
        assert large.status_code == 201
        proxied.fail_next(1, "500")  # whether an upload was begun nobody knows: not begun twice
        begun = time.monotonic()
        unavailable(ann.create("general", size=PART + 1), begun)


def test_the_answer_is_lost(stack, proxied):
    """The server has joined the parts, or copied, and nobody heard it"""
    for n in (5, PART + 5):
        data = os.urandom(n)
        with Uploader(stack, f"lost-{n}") as ann:
            upload = ann.created("general", data, **({"sha256": sha256(data)} if n == 5 else {}))
            if n == 5:
                ann.sent(upload["put"], data)
            else:
                ann.part_sent(upload, 1, data[:PART])
                ann.part_sent(upload, 2, data[PART:])
            proxied.lose_answer_of(("PUT", "POST"))
            assert ann.read(ann.completed(upload)["attachment"]["id"]).content == data
            assert proxied.lost == 1


def test_a_part_is_lost_or_replaced(stack):
    data = os.urandom(PART + 10)
    with Uploader(stack, "parts") as ann:
        upload = ann.created("general", data)
        ann.part_sent(upload, 1, data[:PART])
        ann.part_sent(upload, 2, data[PART:])
        folders = [p for p in store_of(stack).folder.rglob("*") if p.is_file() and p.name == "2" and ".sgwtmp" in str(p)]
        assert len(folders) == 1, folders
        folders[0].unlink()
        assert ann.complete(upload).status_code in (409, 503)
        assert ann.locate(upload["id"]).status_code == 404
        ann.part_sent(upload, 2, data[PART:])
        assert ann.read(ann.completed(upload)["attachment"]["id"]).content == data


def test_replaced_behind_our_back(stack):
    """What lies under pending/ is another body than was announced when it is sealed: its size, sum and type are looked at in the copy"""
    with Uploader(stack, "replaced") as ann:
        for body, fields in ((b"longer than five", {}), (b"54321", {"sha256": sha256(b"12345")}), (b"<html>hello</html>"[:5], {"contentType": "image/png"})):
            upload = ann.created("general", b"12345", **fields)
            if fields.get("contentType"):
                ann.sent(upload["put"], body)
            else:
                ann.sent(upload["put"], b"12345")
                (store_of(stack).folder / "pending" / upload["id"]).write_bytes(body)
            answer = ann.complete(upload)
            assert answer.status_code == 409, answer.text
            assert upload["id"] not in store_of(stack).files() | store_of(stack).pending()
