"""What the edge does by itself: headers of pages, and an end to what one address holds of it."""

import contextlib
import resource
import select
import socket
import threading
from urllib.parse import urlsplit

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


@pytest.mark.parametrize("path, headers, status", [("/api/presence?users=" + "x" * 9000, {}, 414), ("/api/me", {"X-Long": "x" * 9000}, 431)], ids=["target", "header"])
def test_what_is_too_long_is_a_problem(stack, path, headers, status):
    answer = httpx.get(stack.base_url + path, headers=headers)
    assert answer.status_code == status and answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status and answer.json()["code"] == "too_large"
    assert httpx.get(stack.base_url + "/.problem/target").status_code == 404  # nobody asks for it by himself


@pytest.fixture
def descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(4096, before[1])), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def half_sent(at, token, said=None, source=None):
    """A request of which more is to come. said: the client's address, as a proxy puts it in; source: whence it comes"""
    s = socket.create_connection(at, source_address=source and (source, 0))
    forwarded = f"X-Forwarded-For: {said}\r\n" if said else ""
    s.sendall(f"POST /api/channels HTTP/1.1\r\nHost: x\r\n{forwarded}Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
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
                sockets.append(half_sent(stack.address("edge"), token))
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


# --- behind a proxy ---


@pytest.fixture(scope="module")
def behind_proxy(new_stack):
    """A stack whose edge trusts the proxies at other_address"""
    s = new_stack(PARLEY_RATE_LIMITS="off")
    s.env["PARLEY_EDGE_TRUSTED_PROXIES"] = f"192.0.2.0/24, {s.other_address}"
    try:
        yield s.up()
    finally:
        s.down()


@contextlib.contextmanager
def all_places_taken(at, token, said, source=None):
    """As many requests as one address may have, which go on: each sends a byte more long before it would be cut off. said(i): the client's address"""
    done, sockets = threading.Event(), []

    def drip():
        while not done.wait(0.5):
            for s in list(sockets):
                with contextlib.suppress(OSError):  # one that was refused
                    s.send(b" ", socket.MSG_DONTWAIT)

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        for i in range(AT_A_TIME + 1):
            sockets.append(half_sent(at, token, said(i), source))
        wait_until(lambda: answered(sockets) >= 1, 20, "one more than there are places for is refused")
        yield
    finally:
        done.set()
        dripping.join()
        for s in sockets:
            s.close()


def status(client, said):
    return client.get("/api/me", headers={"X-Forwarded-For": said}).status_code


def test_a_client_behind_a_proxy_holds_its_own_places_and_not_the_proxys(behind_proxy, descriptors):
    stack = behind_proxy
    base_url, proxy = stack.elsewhere()
    url, mallory = urlsplit(base_url), "203.0.113.66"
    by_proxy = httpx.Client(base_url=base_url, transport=httpx.HTTPTransport(local_address=proxy), timeout=5,
                            headers={"Authorization": "Bearer " + stack.token("ada")})
    # what he puts in himself stands before what the proxy says of him, and is another one each time
    said = lambda i: f"198.51.100.{i % 250}, {mallory}"  # noqa: E731
    with by_proxy, all_places_taken((url.hostname, url.port), stack.token("mallory"), said, proxy):
        for _ in range(20):
            assert status(by_proxy, "8.8.8.8") == 200
        assert status(by_proxy, f"8.8.8.8, {mallory}") == 429
        # a second proxy that is trusted, before the first
        assert status(by_proxy, f"{mallory}, 192.0.2.7") == 429 and status(by_proxy, "8.8.8.8, 192.0.2.7") == 200


def test_a_client_with_ipv6_holds_the_places_of_its_64(behind_proxy, descriptors):
    stack = behind_proxy
    base_url, proxy = stack.elsewhere()
    url = urlsplit(base_url)
    by_proxy = httpx.Client(base_url=base_url, transport=httpx.HTTPTransport(local_address=proxy), timeout=5,
                            headers={"Authorization": "Bearer " + stack.token("ada")})
    with by_proxy, all_places_taken((url.hostname, url.port), stack.token("mallory"), lambda i: f"2001:db8:66:1:{i:x}::1", proxy):
        assert status(by_proxy, "2001:db8:66:1::1") == 429
        assert status(by_proxy, "2001:db8:66:2::1") == 200


def test_who_is_no_proxy_is_not_believed(behind_proxy, descriptors):
    stack = behind_proxy
    base_url, proxy = stack.elsewhere()
    by_proxy = httpx.Client(base_url=base_url, transport=httpx.HTTPTransport(local_address=proxy), timeout=5,
                            headers={"Authorization": "Bearer " + stack.token("ada")})
    with by_proxy, stack.rest("mallory") as same, all_places_taken(stack.address("edge"), stack.token("mallory"), lambda i: f"198.51.100.{i % 250}"):
        assert status(same, "8.8.8.8") == 429
        # nor has he used up places of those that he named
        assert status(by_proxy, "198.51.100.7") == 200
