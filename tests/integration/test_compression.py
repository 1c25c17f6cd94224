"""Compression on request: large messages once for all (hello.compress), and permessage-deflate for a connection."""

import asyncio
import json
import random
import uuid
import zlib

import websockets
from support.client import Client

WORDS = "the quick brown fox jumps over a lazy dog while nobody looks and some talk about work lunch review deploy".split()


def chat(n):
    return " ".join(random.choice(WORDS) for _ in range(n))


async def replay(stack, user, channel, compress):
    """The replay of everything, the bytes of its messages on the wire, and whether one was compressed."""
    events, wire, compressed = [], 0, False
    async with websockets.connect(stack.ws_url, subprotocols=["parley.v1.json"], compression=None, max_size=None) as ws:
        await ws.send(json.dumps({"type": "hello", "ref": 1, "token": stack.token(user), "compress": compress,
                                  "cursors": [{"channelId": channel, "epoch": 0, "seq": 0}]}))
        while True:
            data = await asyncio.wait_for(ws.recv(), 10)
            wire += len(data)
            if isinstance(data, bytes):
                compressed = True
                data = zlib.decompress(data, -15).decode()
            for frame in map(json.loads, data.splitlines()):
                if frame["type"] == "replay" and frame["channelId"] == channel:
                    events += frame["events"]
                    if not frame["more"]:
                        return events, wire, compressed


async def test_replays_are_compressed_for_who_asks(stack):
    channel = stack.channel("ada", members=["bob"])
    async with Client(stack, "ada") as ada:
        acks = await asyncio.gather(*(ada.send(channel, chat(20)) for _ in range(100)))
        await ada.wait_seq(channel, max(a["seq"] for a in acks))
    plain, plain_bytes, was = await replay(stack, "bob", channel, False)
    assert not was
    packed, packed_bytes, was = await replay(stack, "bob", channel, True)
    assert was and packed == plain and len(plain) >= 100
    assert packed_bytes < plain_bytes / 3


async def deflated(stack, user, channel, n, slow):
    """Reads n messages over permessage-deflate and checks their chain."""
    async with websockets.connect(f"{stack.ws_url}?compress=permessage-deflate&token={stack.token(user)}",
                                  subprotocols=["parley.v1.json"], max_size=None, max_queue=2) as ws:
        assert ws.protocol.extensions, "the extension was not negotiated"
        seen, last = [], None
        while len(seen) < n:
            for frame in map(json.loads, (await asyncio.wait_for(ws.recv(), 20)).splitlines()):
                if frame["type"] == "ready":
                    last = next(c["headSeq"] for c in frame["channels"] if c["channel"]["id"] == channel)
                    slow["ready"].release()
                elif frame["type"] == "event" and frame["channelId"] == channel:
                    assert frame["prev"] <= last < frame["seq"]
                    last = frame["seq"]
                    seen.append(frame["message"]["content"])
            if slow["pause"]:
                await asyncio.sleep(slow["pause"])  # a client that reads slowly
        return seen


async def test_permessage_deflate(stack):
    """Messages of all sizes, also such that leave in many fragments, to readers fast and slow; a compressed sender, too."""
    channel = stack.channel("ada", members=["bob", "eve"])
    contents = ["".join(random.choice("abcdefgh ") for _ in range(random.choice((10, 200, 3000, 15000)))) + "." for _ in range(200)]
    ready = asyncio.Semaphore(0)
    readers = [asyncio.create_task(deflated(stack, "bob" if i % 2 else "eve", channel, len(contents),
                                            {"ready": ready, "pause": 0.01 if i % 3 == 0 else 0})) for i in range(12)]
    for _ in readers:
        await ready.acquire()
    async with websockets.connect(f"{stack.ws_url}?compress=permessage-deflate&token={stack.token('ada')}",
                                  subprotocols=["parley.v1.json"], max_size=None) as ws:
        async def read():
            async for _ in ws:
                pass
        reading = asyncio.create_task(read())
        for content in contents:
            await ws.send(json.dumps({"type": "send", "channelId": channel, "message": {"id": str(uuid.uuid4()), "content": content}}))
        results = await asyncio.gather(*readers)
        reading.cancel()
    assert all(sorted(seen) == sorted(contents) for seen in results)


async def test_offering_is_not_asking(stack):
    """Every browser offers permessage-deflate: it is taken only where the address asks for it."""
    async with websockets.connect(f"{stack.ws_url}?token={stack.token('ada')}", subprotocols=["parley.v1.json"]) as ws:
        assert not ws.protocol.extensions
