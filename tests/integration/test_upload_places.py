"""The places of the local store, for bodies and for files that are read: one account, and one address, hold a part of them, and others do not notice.
Who sends nothing, or takes nothing, is cut off with a reason."""

import os
import re
import resource
import select
import signal
import socket
import time
import uuid
from urllib.parse import urlsplit

import httpx
import pytest

from support.stack import Stack, wait_until
from support.uploads import PART, Uploader, problem, sha256

PLACES, SHARE, READS, RATE, WINDOW = 64, 16, 64, 16384, 3  # all but the last one the defaults of docs/configuration.md
UNREAD, EDGE_FILES = 1050, 256  # more than all places of the service together; limit_conn in deploy/edge/nginx.conf.in
PROMPT = 4  # s; bodies may take minutes, and an unread answer half a one


def user():
    return "u" + uuid.uuid4().hex[:12]


@pytest.fixture(scope="module")
def places_stack():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(4096, before[1])), before[1]))
    s = Stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_MIN_RATE_WINDOW_S=WINDOW)
    try:
        yield s.up()
    finally:
        s.down()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def people(places_stack):
    """Who makes users: people("mallory") has a room of his own, and nothing to do with the others"""
    made = []

    def new():
        uploader = Uploader(places_stack, user(), timeout=PROMPT)
        made.append(uploader)
        uploader.room = places_stack.channel(uploader.user)
        return uploader

    yield new
    for uploader in made:
        uploader.close()


@pytest.fixture
def sockets():
    opened = []
    yield opened
    for s in opened:
        s.close()


def direct(stack):
    return ("127.0.0.1", 8084 + stack.offset)


def edge(stack):
    return ("127.0.0.1", 8080 + stack.offset)


def begun(sockets, address, signed, sent=b"x"):
    """A body of which only these bytes come"""
    s = socket.create_connection(address, timeout=30)
    sockets.append(s)
    url = urlsplit(signed["url"])
    headers = "".join(f"{h['name']}: {h['value']}\r\n" for h in signed["headers"])
    s.sendall(f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {signed['size']}\r\n\r\n".encode() + sent)
    return s


def unread(sockets, address, url):
    """A file that is asked for and not read"""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(30)
    s.connect(address)
    sockets.append(s)
    url = urlsplit(url)
    s.sendall(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return s


def readable(some, timeout=0):
    poll = select.poll()
    at = {s.fileno(): s for s in some}
    for s in some:
        poll.register(s, select.POLLIN)
    return [at[fd] for fd, _ in poll.poll(timeout * 1000)]


def status(s):
    """Of the answer that is there, with its head"""
    head = s.recv(4096).decode(errors="replace")
    match = re.match(r"HTTP/1.1 (\d+) ", head)
    return int(match[1]) if match else 0, head


def statuses(some):
    return [status(s)[0] for s in some]


def parts_of(uploader, n, size=PART):
    """An upload in n parts and the signed requests for them"""
    upload = uploader.created(uploader.room, size=n * size)
    answer = uploader.parts(upload, [(number, b"") for number in range(1, n + 1)])
    assert answer.status_code == 200, answer.text
    return upload, answer.json()["parts"]


def held(stack, what="transfers"):
    return stack.metric("upload", f"parley_upload_{what}")


def sent_in_time(uploader):
    """How long one body and its file take, of somebody else. A first answer may say that it should be tried again."""
    begin = time.monotonic()
    upload = uploader.created(uploader.room, b"12345")
    wait_until(lambda: uploader.send(upload["put"], b"12345").status_code == 200, PROMPT, "another one's body", interval=0.1)
    uploader.completed(upload)
    return time.monotonic() - begin


@pytest.mark.parametrize("way", [direct, edge])
def test_one_account_does_not_hold_all_places(places_stack, people, sockets, way):
    mallory, bob = people(), people()
    upload, signed = parts_of(mallory, PLACES)
    for each in signed:
        begun(sockets, way(places_stack), each)
    refused = wait_until(lambda: (there := readable(sockets)) and len(there) >= PLACES - SHARE and there, PROMPT, "the rest is refused at once")
    code, head = status(refused[0])
    assert code == 429 and "Retry-After: 1" in head
    assert set(statuses(refused[1:])) == {429} and held(places_stack) <= SHARE
    bob.sent(bob.created(bob.room, b"12345")["put"], b"12345")  # and at the first try
    # He himself goes on at once where he was: the part that is sent again is the one that counts.
    kept = next(i for i, s in enumerate(sockets) if s not in refused)
    data = os.urandom(PART)
    wait_until(lambda: mallory.parts(upload, [(kept + 1, data)]).status_code == 200, PROMPT, "another address")
    again = mallory.parts(upload, [(kept + 1, data)]).json()["parts"][0]
    with httpx.Client(timeout=30) as client:
        wait_until(lambda: client.put(mallory.absolute(again["url"]), content=data).status_code == 200, 10, "the part, sent again")
    assert mallory.state(upload).json()["partsThere"] == [kept + 1]
    assert status(sockets[kept])[0] == 409


def test_accounts_that_hold_all_places_give_them_up(places_stack, people, sockets):
    for _ in range(PLACES // SHARE):
        for each in parts_of(people(), SHARE)[1]:
            begun(sockets, direct(places_stack), each)
    wait_until(lambda: held(places_stack) == PLACES, PROMPT, "all places are taken")
    bob = people()
    assert sent_in_time(bob) < PROMPT
    cut = readable(sockets)
    assert cut and held(places_stack, "transfers_cut_total") >= 1
    code, head = status(cut[0])
    assert code in (503, 408) and "Retry-After: 1" in head


def test_a_body_that_does_not_come(places_stack, people, sockets):
    ann = people()
    upload, signed = parts_of(ann, 4)
    begin = time.monotonic()
    silent = begun(sockets, direct(places_stack), signed[0], b"x" * 100_000)  # enough for its first window, not for the next
    through_the_edge = begun(sockets, edge(places_stack), signed[1])
    trickling = begun(sockets, direct(places_stack), signed[2])
    steady = begun(sockets, direct(places_stack), signed[3])
    ended = {}
    while len(ended) < 3 and time.monotonic() < begin + 4 * WINDOW:
        steady.sendall(b"x" * (RATE // 5))  # ten times a second: twice as fast as it must be
        if trickling not in ended:
            trickling.sendall(b"x")
        for s in readable([s for s in (silent, through_the_edge, trickling) if s not in ended], 0.1):
            ended[s] = (time.monotonic() - begin, *status(s))
    assert set(ended) == {silent, through_the_edge, trickling} and not readable([steady])
    for s, (after, code, head) in ended.items():
        assert code == 408 and "Retry-After" in head, head
        assert after > (2 * WINDOW - 1.5 if s is silent else WINDOW - 0.5)
    # and nothing of that stands in the way of the next
    with httpx.Client(timeout=30) as client:
        data = os.urandom(PART)
        for number in (1, 2, 3):
            again = ann.parts(upload, [(number, data)]).json()["parts"][0]
            assert client.put(ann.absolute(again["url"]), content=data).status_code == 200
    assert ann.state(upload).json()["partsThere"] == [1, 2, 3]


def test_the_later_body_ends_the_earlier(places_stack, people, sockets):
    ann = people()
    upload = ann.created(ann.room, b"12345")
    early = begun(sockets, direct(places_stack), upload["put"], b"123")
    wait_until(lambda: held(places_stack) >= 1, PROMPT, "the earlier one is taken in")
    wait_until(lambda: ann.send(upload["put"], b"abcde").status_code == 200, PROMPT, "the later one")
    assert readable([early], PROMPT) and status(early)[0] == 409
    late = begun(sockets, direct(places_stack), ann.created(ann.room, b"12345")["put"], b"123")
    assert ann.completed(upload)["attachment"]["sha256"] == sha256(b"abcde") and not readable([late])
    # of an upload that is given up, too
    given_up = ann.created(ann.room, b"12345")
    body = begun(sockets, direct(places_stack), given_up["put"], b"123")
    wait_until(lambda: held(places_stack) >= 2, PROMPT, "both are taken in")
    wait_until(lambda: ann.abort(given_up).status_code == 204, PROMPT, "the end of the upload")
    assert readable([body], PROMPT) and status(body)[0] == 409


@pytest.mark.parametrize("way, refused", [(direct, UNREAD - READS), (edge, UNREAD - READS)])
def test_unread_files_of_one_account(places_stack, people, sockets, way, refused):
    mallory, bob = people(), people()
    file_id = mallory.uploaded(mallory.room, os.urandom(PART))["attachment"]["id"]
    own = bob.uploaded(bob.room, b"12345")["attachment"]["id"]
    url = mallory.located(file_id)
    for _ in range(UNREAD):
        unread(sockets, way(places_stack), url)
    wait_until(lambda: len(readable(sockets)) >= refused, 3 * PROMPT, "what is too much is answered at once")
    assert held(places_stack, "reads") <= READS
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    headers = {"Authorization": "Bearer " + places_stack.token(bob.user)}
    with httpx.Client(base_url=places_stack.base_url, transport=elsewhere, headers=headers, timeout=PROMPT) as client:
        for _ in range(20):
            answer = client.post("/api/uploads", json={"channelId": bob.room, "name": "a", "contentType": "text/plain", "size": 5})
            assert answer.status_code == 201, answer.text
            found = client.get(f"/api/files/{own}")
            assert found.status_code == 302 and client.get(found.headers["location"]).content == b"12345"
    own_again = mallory.bare.get(url, headers={"Range": "bytes=0-0"})
    problem(own_again, 429, "rate_limited")


def test_an_address_says_who_has_it_and_nothing_of_him(places_stack, people):
    ann, bob = people(), people()
    put = ann.created(ann.room, b"12345")["put"]
    owner = re.search(r"owner=([0-9a-f]{16})&", put["url"])[1]
    other = re.search(r"owner=([0-9a-f]{16})&", bob.created(bob.room, b"12345")["put"]["url"])[1]
    assert owner != other and ann.user not in put["url"]
    assert owner in ann.created(ann.room, b"1")["put"]["url"]  # whatever he sends, from wherever: the same
    problem(ann.send({**put, "url": put["url"].replace(owner, other)}, b"12345"), 403, "forbidden")
    html = put["url"].replace("application%2Foctet-stream", "text%2Fhtml")
    assert html != put["url"]
    problem(ann.send({**put, "url": html}, b"12345", **{"content-type": "text/html"}), 403, "forbidden")


def test_a_service_that_stood_still_blames_nobody(places_stack, people, sockets):
    ann, pid = people(), places_stack.pid("upload")
    _, signed = parts_of(ann, 2)
    body = begun(sockets, direct(places_stack), signed[0], b"x" * 100_000)
    wait_until(lambda: held(places_stack) == 1, PROMPT, "the body is taken in")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert not readable([body], 2 * WINDOW)
    finally:
        os.kill(pid, signal.SIGCONT)
    begin = time.monotonic()
    assert readable([body], 4 * WINDOW) and status(body)[0] == 408
    assert time.monotonic() - begin > WINDOW - 0.5  # a window of its own
