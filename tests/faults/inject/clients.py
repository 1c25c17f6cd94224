"""Clients that harm, spoken by bare sockets: a WebSocket as RFC 6455 has it, as far as harm needs it."""

import asyncio
import base64
import json
import os
import socket
import struct
from urllib.parse import urlparse


class Rough:
    """One connection whose every byte is in our hands."""

    def __init__(self, url):
        self.url = urlparse(url)
        self.reader = self.writer = None
        self.read = 0    # bytes, of those who count them

    async def connect(self, receive_buffer=0):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)  # before it connects: the window is told then
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (self.url.hostname, self.url.port))
        # the reader must not take more than it is asked for
        self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=receive_buffer or 65536)
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write((f"GET {self.url.path} HTTP/1.1\r\nHost: {self.url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        async with asyncio.timeout(10):
            answer = await self.reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in answer.split(b"\r\n")[0], answer
        return self

    async def hello(self, token, **more):
        await self.text(json.dumps({"type": "hello", "ref": 1, "token": token, "client": "rough", **more}))
        return self

    async def text(self, data, opcode=1):
        await self.raw(frame(data.encode() if isinstance(data, str) else data, opcode))

    async def raw(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def stop_reading(self):
        self.writer.transport.pause_reading()

    def gone(self):
        return self.writer is None or self.writer.transport.is_closing() or self.reader.at_eof()

    def abort(self):
        if self.writer:
            self.writer.transport.abort()


def frame(payload, opcode=1, fin=True):
    mask = os.urandom(4)
    head = bytes([(0x80 if fin else 0) | opcode])
    n = len(payload)
    head += bytes([0x80 | n]) if n < 126 else bytes([0x80 | 126]) + struct.pack(">H", n) if n < 65536 else bytes([0x80 | 127]) + struct.pack(">Q", n)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def garbage(random):
    """Bytes of some kind that no client should send."""
    kind = random.randrange(7)
    if kind == 0:
        return random.randbytes(random.randrange(1, 2000))                      # no frame at all
    if kind == 1:
        return frame(random.randbytes(random.randrange(1, 500)))                # text that is not UTF-8
    if kind == 2:
        return frame(b'{"type":' + random.randbytes(50))                        # broken JSON
    if kind == 3:
        return frame(b"[" * 5000)                                               # deep JSON
    if kind == 4:
        return frame(json.dumps({"type": "send", "ref": -1, "channelId": "\0" * 100, "message": []}).encode())
    if kind == 5:
        return b"\x81\xff" + struct.pack(">Q", 1 << 62) + b"1234"               # a frame of 4 EiB
    return frame(b"x" * 100, opcode=random.choice((3, 5, 11, 15)))              # an opcode that is none
