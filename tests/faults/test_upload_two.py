"""Two upload services that end one upload at the same time: what one of them has published the other never removes. Over S3: the folder of the
other store is one service's alone."""

import asyncio
import threading
import uuid

import httpx
import pytest
from support.second_service import SecondUpload
from support.stack import wait_until
from support.stores import store_of
from support.uploads import PART, Uploader, counted

SLEEP_MS = 4000
# Where the second one stands still: before it copies, and after it has done so
PLACES = ["upload.s3_copy", "upload.sealed"]


def later(call):
    """The call, on a thread; returns what waits for its answer"""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return lambda: (thread.join(60), answers[0])[1]


def stands_still(service):
    """Its loop is blocked: nothing is answered"""
    def asked():
        try:
            httpx.get(service.admin_url + "/readyz", timeout=0.5)
        except httpx.TimeoutException:
            return True
        return False
    wait_until(asked, 10, "the second service stands still")


def at(service, ann, method, path):
    return httpx.request(method, service.base_url + path, headers={"Authorization": ann.rest.headers["Authorization"]}, timeout=30,
                         **({"json": {}} if method == "POST" else {}))


@pytest.mark.parametrize("place", PLACES)
def test_one_publishes_and_the_other_refuses(shared_stack, place):
    """As during the roll-out of a new list of types"""
    stack = shared_stack("faults", "s3")
    settings = {"PARLEY_UPLOAD_TYPES": "image/*", "PARLEY_FAILPOINTS": f"{place}=sleep{SLEEP_MS}"}
    with SecondUpload(stack, **settings) as second, Uploader(stack, "two-" + place.split(".")[1].replace("_", "-")) as ann:
        upload = ann.created("general", b"only text")
        ann.sent(upload["put"], b"only text")
        answer = later(lambda: at(second, ann, "POST", f"/api/uploads/{upload['id']}/complete"))
        stands_still(second)
        attachment = ann.completed(upload)["attachment"]
        refused = answer()
        assert refused.status_code == 200 and refused.json()["attachment"] == attachment, refused.text
        assert ann.read(upload["id"]).content == b"only text"
        assert store_of(stack).forgotten(upload["id"])


@pytest.mark.parametrize("place", PLACES)
def test_one_removes_and_the_other_completes(shared_stack, place):
    """Nothing becomes a file after it was removed, and nothing of it stays"""
    stack = shared_stack("faults", "s3")
    with SecondUpload(stack, PARLEY_FAILPOINTS=f"{place}=sleep{SLEEP_MS}") as second, Uploader(stack, "gone-" + place.split(".")[1].replace("_", "-")) as ann:
        upload = ann.created("general", b"given up")
        ann.sent(upload["put"], b"given up")
        answer = later(lambda: at(second, ann, "POST", f"/api/uploads/{upload['id']}/complete"))
        stands_still(second)
        assert ann.abort(upload).status_code == 204
        assert answer().status_code in (404, 409, 503), answer().text
        assert ann.locate(upload["id"]).status_code == 404 and ann.complete(upload).status_code == 404
        names = {p.name for p in store_of(stack).folder.rglob("*") if p.is_file()}
        assert upload["id"] not in names


def test_one_begins_it_again_and_the_other_cannot_write_it_down(shared_stack):
    """One request of a client that lost its connection: what the second one made a file of the first one, which failed later, does not take back"""
    stack = shared_stack("faults", "s3")
    request = {"channelId": "general", "name": "file.bin", "contentType": "application/octet-stream", "size": PART + 1, "clientId": str(uuid.uuid4())}
    with SecondUpload(stack, PARLEY_FAILPOINTS=f"upload.begun=sleep{SLEEP_MS},upload.record=error") as first, Uploader(stack, "begins-twice") as ann:
        answer = later(lambda: httpx.post(first.base_url + "/api/uploads", json=request, headers={"Authorization": ann.rest.headers["Authorization"]}, timeout=30))
        stands_still(first)
        upload = ann.rest.post("/api/uploads", json=request).json()
        ann.part_sent(upload, 1, b"x" * PART)
        ann.part_sent(upload, 2, b"y")
        assert ann.completed(upload)["attachment"]["size"] == PART + 1
        assert answer().status_code == 503, answer().text
        assert ann.read(upload["id"]).content[-2:] == b"xy"
        assert asyncio.run(counted(stack, ann.user)) == (PART + 1, 1, 0)
