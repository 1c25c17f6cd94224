"""What the edge does by itself: headers of pages, and an end to what one address holds of it."""

import resource
import select
import socket

import httpx
import pytest
from support.stack import wait_until

HALF_SENT, AT_A_TIME = 1100, 512  # limit_conn in deploy/edge/nginx.conf.in


@pytest.mark.parametrize("path", ["/", "/index.html", "/made/up/by/the/application"])
def test_pages_cannot_be_framed(stack, path):
    answer = httpx.get(stack.base_url + path)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert [word.split() for word in policy] == [["connect-src", "'self'"], ["img-src", "'self'", "blob:"], ["media-src", "'self'", "blob:"],
                                                 ["frame-ancestors", "'self'"]]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_answers_are_not_sniffed(stack):
    script = httpx.get(stack.base_url + "/").text.split('src="')[1].split('"')[0]
    for path in ("/api/channels", script):
        assert httpx.get(stack.base_url + path).headers["X-Content-Type-Options"] == "nosniff", path


@pytest.fixture
def descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(4096, before[1])), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def half_sent(stack, token):
    s = socket.create_connection(stack.address("edge"))
    s.sendall(f"POST /api/channels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
              'Content-Length: 1000\r\n\r\n{"name":'.encode())
    return s


def answered(sockets):
    poll = select.poll()
    for s in sockets:
        poll.register(s, select.POLLIN)
    return len(poll.poll(0))


def test_half_sent_bodies_of_one_address(stack, descriptors):
    token, sockets = stack.token("mallory"), []
    base_url, address = stack.elsewhere()
    elsewhere = httpx.Client(base_url=base_url, transport=httpx.HTTPTransport(local_address=address), timeout=5,
                             headers={"Authorization": "Bearer " + stack.token("ada")})
    refused = HALF_SENT - AT_A_TIME
    with elsewhere, stack.rest("mallory") as same:
        try:
            for _ in range(HALF_SENT):
                sockets.append(half_sent(stack, token))
            wait_until(lambda: answered(sockets) >= refused, 4, "what is too much is answered at once")
            first = next(s for s in reversed(sockets) if answered([s]))
            assert first.recv(4096).startswith(b"HTTP/1.1 429 ")
            own = same.get("/api/me")
            assert own.status_code == 429 and own.json()["code"] == "rate_limited" and own.headers["Retry-After"] == "1"
            # others do not notice
            for _ in range(20):
                assert elsewhere.get("/api/me").status_code == 200
            # who sends nothing more is cut off within seconds, and makes room
            wait_until(lambda: same.get("/api/me").status_code == 200, 15, "half-sent requests end by themselves", interval=0.2)
        finally:
            for s in sockets:
                s.close()
