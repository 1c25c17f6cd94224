"""Every close code reaches the client in a close frame, and pongs reach the gateway: also in containers, with the libraries that the images have."""

import asyncio
import base64
import json
import os
import re
import socket
import struct
import uuid

import pytest
import websockets
from support.client import Client
from support.stack import ROOT

SETTINGS = {"PARLEY_HANDSHAKE_TIMEOUT_MS": 1500, "PARLEY_HEARTBEAT_MS": 1000, "PARLEY_MAX_CONNECTIONS_PER_USER": 1, "PARLEY_MAX_RECEIVE_BYTES": 65536,
            "PARLEY_SESSION_MAX_QUEUE_BYTES": 65536, "PARLEY_DRAIN_MS": 500, "PARLEY_RATE_LIMITS": "off"}
NEVER_SENT = {4003: "an origin is refused with 403, before there is a WebSocket", 4010: "only where memory runs out"}


@pytest.fixture
def stack_of_limits(stack_with):
    return stack_with(**SETTINGS)


def somebody():
    return "u" + uuid.uuid4().hex[:10]


class Silent:
    """A session that neither answers pings nor reads before it is told to"""

    def __init__(self, stack, user):
        host, port = re.fullmatch(r"ws://([^:/]+):(\d+)/ws", stack.ws_url).groups()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect((host, int(port)))
        self.socket.sendall((f"GET /ws?token={stack.token(user)} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n").encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.data += self.socket.recv(1)

    def send(self, first, payload):
        """A frame: its first byte has FIN and the opcode. The mask of zeros changes nothing."""
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        self.socket.sendall(bytes([first]) + length + bytes(4) + payload)

    def code(self):
        """Reads to the end, and returns the code of the close frame"""
        while piece := self._piece():
            self.data += piece
        at = self.data.index(b"\r\n\r\n") + 4
        while at + 2 <= len(self.data):
            opcode, length, at = self.data[at] & 15, self.data[at + 1], at + 2
            if length >= 126:
                size = 2 if length == 126 else 8
                length, at = int.from_bytes(self.data[at:at + size], "big"), at + size
            if opcode == 8:
                return struct.unpack("!H", self.data[at:at + 2])[0]
            at += length
        return None

    def _piece(self):
        try:
            return self.socket.recv(1 << 20)
        except ConnectionResetError:
            return b""


async def closed(ws):
    with pytest.raises(websockets.ConnectionClosed) as end:
        while True:
            await asyncio.wait_for(ws.recv(), 20)
    return end.value.rcvd and end.value.rcvd.code


def session(stack, token=""):
    return websockets.connect(stack.ws_url + (f"?token={token}" if token else ""), ping_interval=None, compression=None)


async def protocol_error(stack):
    token = stack.token(somebody())
    async with session(stack, token) as ws:
        for ref in (1, 2):
            await ws.send(json.dumps({"type": "hello", "ref": ref}))
        return await closed(ws)


async def unauthenticated(stack):
    async with session(stack, "a.b.c") as ws:
        return await closed(ws)


async def expired(stack):
    async with session(stack, stack.token(somebody(), ttl=-3600)) as ws:
        return await closed(ws)


async def expires(stack):
    async with session(stack, stack.token(somebody(), ttl=3)) as ws:
        assert json.loads(await asyncio.wait_for(ws.recv(), 20))["type"] == "ready"
        return await closed(ws)


async def says_nothing(stack):
    async with session(stack) as ws:
        return await closed(ws)


async def idle(stack):
    return await asyncio.to_thread(Silent(stack, somebody()).code)


async def too_many(stack):
    token = stack.token(somebody())
    async with session(stack, token) as first:
        await asyncio.wait_for(first.recv(), 20)
        async with session(stack, token) as second:
            return await closed(second)


async def incomplete(stack):
    """A message in pieces that never ends. The last of them crosses the limit, for behind it nothing may be unread: TCP would reset."""
    session = await asyncio.to_thread(Silent, stack, somebody())
    session.send(0x01, b"x" * 32768)
    for _ in range(2):  # what is kept grows to 64 KB, and may not grow further
        session.send(0x00, b"x")
    return await asyncio.to_thread(session.code)


async def too_slow(stack):
    ada, bob, before = somebody(), somebody(), stack.metric("gateway", "parley_gateway_closed_total")
    channel = await asyncio.to_thread(stack.channel, ada, members=[bob])
    slow = await asyncio.to_thread(Silent, stack, bob)

    def is_closed():
        return stack.metric("gateway", "parley_gateway_closed_total") > before
    async with Client(stack, ada) as client:
        for _ in range(2000):
            slow.send(0x8A, b"x")  # a pong: it is not idle
            await asyncio.gather(*(client.send(channel, "x" * 16000) for _ in range(8)))
            if is_closed():
                break
        return await asyncio.to_thread(slow.code)


async def restart(stack):
    async with session(stack, stack.token(somebody())) as ws:
        await asyncio.wait_for(ws.recv(), 20)
        code, _ = await asyncio.gather(closed(ws), asyncio.to_thread(stack.stop, "gateway"))
    await asyncio.to_thread(stack.start, "gateway")
    return code


WAYS = [(4000, protocol_error), (4001, unauthenticated), (4002, expired), (4002, expires), (4004, says_nothing), (4005, idle), (4008, too_slow),
        (4009, too_many), (1013, incomplete), (1012, restart)]


@pytest.mark.parametrize("code, way", WAYS, ids=[f"{code}-{way.__name__}" for code, way in WAYS])
async def test_the_code_arrives(stack_of_limits, code, way):
    assert await way(stack_of_limits) == code


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_who_answers_pings_is_not_silent(stack_of_limits, compression):
    """As every library for WebSockets does by itself"""
    url = f"{stack_of_limits.ws_url}?token={stack_of_limits.token(somebody())}"
    async with websockets.connect(url, ping_interval=None, compression=compression) as ws:
        await asyncio.wait_for(ws.recv(), 20)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ws.recv(), 4 * SETTINGS["PARLEY_HEARTBEAT_MS"] / 1000)


def test_every_code_is_tried():
    codes = {int(c) for c in re.findall(r"X\([A-Z_]+, (\d+),", (ROOT / "lib/base/close_codes.h").read_text())}
    assert codes == {code for code, _ in WAYS} | set(NEVER_SENT)
