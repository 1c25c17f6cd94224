"""What waits for all sessions together has a limit, and whoever reads does not feel it."""

import asyncio
import concurrent.futures
import json
import socket
import uuid

from support.client import Client
from support.stack import wait_until

LIMIT, CHANNELS, SILENT = 24 * 1024 * 1024, 1500, 45


def many_channels(stack, owner, n):
    """Channels whose descriptions are as long as they may be: `ready` has 2.5 KB of each."""
    def create(_):
        answer = rest.post("/api/channels", json={"id": "c-" + uuid.uuid4().hex[:12], "name": '"' * 128, "topic": '"' * 1024, "kind": "private"})
        assert answer.status_code in (201, 202), answer.text

    with stack.rest(owner) as rest, concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(create, range(n)))


def silent_session(stack, user):
    """Opens a session, and never reads anything."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(stack.address("gateway"))
    s.sendall(f"GET /ws?token={stack.token(user)} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    return s


def waiting(stack):
    return stack.metric("gateway", "parley_gateway_queue_bytes") + stack.metric("gateway", "parley_gateway_kept_bytes")


async def test_silent_sessions_of_a_large_account(own_stack):
    stack = own_stack(PARLEY_MAX_QUEUE_BYTES=LIMIT, PARLEY_RATE_LIMITS="off")
    many_channels(stack, "eve", CHANNELS)
    room, sessions, most = stack.channel("ada", members=["bob"]), [], 0
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        async with Client(stack, "eve", protocol="parley.v1.json") as eve:
            ready = len(json.dumps(eve.ready))
            assert len(eve.ready["channels"]) > CHANNELS and SILENT * ready > 4 * LIMIT
            before_kb = stack.rss_kb("gateway")
            try:
                for i in range(SILENT):
                    sessions.append(silent_session(stack, "eve"))
                    await ada.send(room, f"m{i}")  # acknowledged all the while
                    most = max(most, waiting(stack))
                await asyncio.to_thread(wait_until, lambda: stack.metric("gateway", "parley_gateway_shed_total") >= SILENT / 2, 30, "silent sessions are closed")
                most = max(most, waiting(stack))
                grown = (stack.rss_kb("gateway") - before_kb) * 1024
                # whoever reads gets in beside them, with a `ready` as large as theirs, and stays
                async with Client(stack, "eve") as other:
                    assert len(other.ready["channels"]) == len(eve.ready["channels"])
                    assert other.connections == 1
                for client in (ada, bob, eve):
                    assert client.connections == 1 and client.close_code is None
                await bob.wait(lambda: len(bob.messages(room)) == SILENT, what="every message")
            finally:
                for s in sessions:
                    s.close()
        # what is still kept of closed sessions may stand above the limit for the moment that closing takes
        assert LIMIT / 2 < most < 2 * LIMIT, most
        assert grown < 3 * LIMIT, grown
        await asyncio.to_thread(wait_until, lambda: waiting(stack) == 0, 20, "nothing waits any more")
        assert ada.connections == bob.connections == 1
