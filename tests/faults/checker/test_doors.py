"""What an outsider is answered is told apart from what says nothing."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from .clients import Refused
from .doors import CHANGES, LISTS, REST, USERS_DOOR, Insider, Outsider
from .record import Record

C = "c"


def outsider(status_of, code_of, kind=Outsider, body=None):
    """One whose requests are answered by status_of(n-th request at this door), and whose frames are refused with code_of(n-th of this type)."""
    record, seen = Record(), {}

    def count(door):
        seen[door] = seen.get(door, 0) + 1
        return seen[door]

    def answer(request):
        status = status_of(count((request.method, request.url.path)))
        return httpx.Response(status, json=body if body and status < 400 else {"users": [], "hiddenUserIds": []})

    async def request(frame):
        code = code_of(count(frame["type"]))
        if code:
            raise Refused({"code": code, "message": "", "retryMs": 0})
        return {"type": "ack"}

    client = SimpleNamespace(user="mallory", doors=SimpleNamespace(rest_url="http://x", token=lambda user: "t"), secrets={C: "the secret"},
                             note=lambda kind, **data: record.add("mallory", 1, kind, **data), request=request)
    found = kind(client, "ada", {C: "f"})
    found.rest = httpx.AsyncClient(base_url="http://x", transport=httpx.MockTransport(answer))
    return found, record


def silent(record):
    return {e.door for e in record.of("silent")}


@pytest.mark.parametrize("trouble", [401, 429, 500, 502, 503, 504])
def test_trouble_proves_nothing_until_there_is_an_answer(trouble):
    found, record = outsider(lambda n: trouble if n < 3 else 403, lambda n: "unavailable" if n < 3 else "not_a_member")
    asyncio.run(found.try_all(C, 1))
    assert not record.of("probe") and not found.tried
    asyncio.run(found.prove_all(C, 1, timeout=5))
    assert silent(record) == set() and len(record.of("probe")) == len(REST) + len(LISTS) + 4
    assert not any(e.granted for e in record.of("probe"))


def test_a_door_that_never_answers_is_told():
    found, record = outsider(lambda n: 503, lambda n: "not_a_member")
    asyncio.run(found.prove_all(C, 1, timeout=0))
    assert silent(record) == {f"{method} {path}" for method, path, _ in REST} | {f"GET {path}" for path in LISTS}
    assert {e.door for e in record.of("probe")} == {"send", "edit", "delete", "resume"}


def test_an_open_door_is_seen():
    found, record = outsider(lambda n: 200, lambda n: "")
    asyncio.run(found.try_all(C, 1))
    closed = {e.door for e in record.of("probe") if not e.granted}
    assert closed == {"GET /channels", "GET /presence?users={userId}", "resume"}  # these say of whom they say nothing


@pytest.mark.parametrize("status, shut", [(200, set()), (302, set()), (403, {"all"}), (404, {"all"}), (503, {"all"})])
def test_where_a_member_is_not_let_in_is_told(status, shut):
    found, record = outsider(lambda n: status, lambda n: "", Insider, {"users": ["ada"], "channels": [C]})
    asyncio.run(found.prove_all(C, 1, timeout=0))
    doors = {f"{method} {path}" for method, path, _ in REST} | {f"GET {path}" for path in LISTS}
    assert {e.door for e in record.of("shut")} == (doors - set(CHANGES) if shut else set())
    assert not record.of("probe", "silent")
    assert {"GET /channels/{id}/messages", "GET /files/{file}", f"GET {USERS_DOOR}", "GET /channels"} <= doors - set(CHANGES)


def test_an_answer_that_tells_nothing_is_no_control():
    found, record = outsider(lambda n: 200, lambda n: "", Insider)
    asyncio.run(found.prove_all(C, 1, timeout=0))
    assert {e.door for e in record.of("shut")} == {"GET /channels", f"GET {USERS_DOOR}"}
