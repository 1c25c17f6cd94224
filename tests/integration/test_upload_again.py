"""An upload that is begun with an id of the client's own: the same request once more, as after a lost answer, is no second upload."""

import asyncio
import uuid

import pytest
from support.stores import STORES, shared_stack_of
from support.uploads import PART, Uploader, counted, problem


@pytest.fixture(params=STORES)
def stack(request):
    return shared_stack_of(request)


@pytest.fixture
def ann(stack):
    with Uploader(stack, f"u{uuid.uuid4().hex[:12]}") as one:
        yield one


@pytest.mark.parametrize("size", [5, PART + 1])
async def test_the_same_request(stack, ann, size):
    request = {"clientId": str(uuid.uuid4()), "size": size}
    first = ann.created("general", **request)
    answer = ann.create("general", **request)
    assert answer.status_code == 200 and answer.json()["id"] == first["id"] != request["clientId"]
    assert await counted(stack, ann.user) == (0, 0, 1)
    upload = answer.json()
    if size == 5:
        ann.sent(upload["put"], b"hello")
    else:
        ann.part_sent(first, 1, b"x" * PART)
        answer = ann.create("general", **request)
        assert answer.json()["partsThere"] == [1]
        ann.part_sent(upload, 2, b"y")
    assert ann.completed(upload)["attachment"]["size"] == size
    assert await counted(stack, ann.user) == (size, 1, 0)
    assert ann.created("general", **request)["id"] != first["id"]  # that one is over: begun anew


async def test_all_at_once(stack, ann):
    """Whichever comes first; nothing of it is taken back by the others"""
    request = {"clientId": str(uuid.uuid4()), "size": 5}
    answers = await asyncio.gather(*(asyncio.to_thread(ann.create, "general", **request) for _ in range(12)))
    assert {a.status_code for a in answers} <= {200, 201}, [a.text for a in answers]
    assert len({a.json()["id"] for a in answers}) == 1
    assert await counted(stack, ann.user) == (0, 0, 1)
    ann.sent(answers[0].json()["put"], b"hello")
    ann.completed(answers[0].json())
    assert await counted(stack, ann.user) == (5, 1, 0)


def test_what_it_is_not(stack, ann):
    id = str(uuid.uuid4())
    first = ann.created("general", b"hello", clientId=id)
    problem(ann.create("general", b"hello", clientId=id, name="other.bin"), 409, "conflict", "another upload of yours")
    problem(ann.create("general", b"hello!", clientId=id), 409, "conflict", "another upload of yours")
    problem(ann.create(stack.channel(ann.user), b"hello", clientId=id), 409, "conflict", "another upload of yours")
    problem(ann.create("general", b"hello", clientId="first"), 400, "bad_request", "clientId must be a UUID")
    with Uploader(stack, f"u{uuid.uuid4().hex[:12]}") as other:
        assert other.created("general", b"hello", clientId=id)["id"] != first["id"]
    assert ann.created("general", b"hello", clientId="")["id"] != ann.created("general", b"hello")["id"] != first["id"]
    assert ann.abort(first).status_code == 204
    assert ann.created("general", b"hello", clientId=id)["id"] != first["id"]
