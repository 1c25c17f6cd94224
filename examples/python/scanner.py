"""Looks at every file that is uploaded to Parley, and quarantines or releases it: python scanner.py

CLAMD: where clamd is, host:port or the path of its socket; without it a stand-in finds the EICAR test file. PARLEY_URL: the API.
PARLEY_SCAN_TOKEN: a token with the claim `scan`. PARLEY_NATS_URL: where NATS is, with user and password where it asks for them
(nats://scanner:PASSWORD@nats:4222, whose rights are those that this program needs).
"""

import asyncio
import json
import os
import urllib.error
import urllib.request

import nats
from nats.js.api import AckPolicy, ConsumerConfig

from parley.v1.upload_pb2 import StoredFile

API = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
PIECE = 64 << 10
INBOX = b"_INBOX.scanner"  # where answers come: NATS' user `scanner` may hear no others
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"  # in two, so that scanners leave this page alone


def ask(method, path, body=None):
    request = urllib.request.Request(API + path, method=method, data=None if body is None else json.dumps(body).encode())
    # not to where the file is: its address is signed, and a store may refuse a second way of telling who one is
    request.add_unredirected_header("Authorization", "Bearer " + os.environ["PARLEY_SCAN_TOKEN"])
    request.add_unredirected_header("Content-Type", "application/json")
    return urllib.request.urlopen(request, timeout=60)


async def pieces(answer):
    while piece := await asyncio.to_thread(answer.read, PIECE):
        yield piece


async def stand_in(answer):
    """What was found, or None"""
    tail = b""
    async for piece in pieces(answer):
        if EICAR in tail + piece:
            return "Eicar-Test-Signature"
        tail = (tail + piece)[-len(EICAR) + 1 :]
    return None


async def clamd(where, answer):
    """The same, by clamd's INSTREAM: each piece behind its length in four bytes, an empty one ends"""
    host, _, port = where.rpartition(":")
    connect = asyncio.open_unix_connection(where) if where.startswith("/") else asyncio.open_connection(host, int(port))
    reader, writer = await connect
    try:
        writer.write(b"zINSTREAM\0")
        async for piece in pieces(answer):
            writer.write(len(piece).to_bytes(4, "big") + piece)
            await writer.drain()
        writer.write(bytes(4))
        verdict = (await asyncio.wait_for(reader.readuntil(b"\0"), 300)).rstrip(b"\0").decode()
    finally:
        writer.close()
    if verdict == "stream: OK":
        return None
    if verdict.startswith("stream: ") and verdict.endswith(" FOUND"):
        return verdict.removeprefix("stream: ").removesuffix(" FOUND")
    raise RuntimeError(f"clamd says: {verdict}")  # too large for it, or broken: the file stays as it is


async def found_in(path):
    with await asyncio.to_thread(ask, "GET", path) as answer:
        return await clamd(os.environ["CLAMD"], answer) if os.environ.get("CLAMD") else await stand_in(answer)


async def look(file):
    path = f"/api/uploads/{file.attachment.id}"
    found = await found_in(path + "/content")
    if not found and file.attachment.HasField("thumbnail"):
        found = await found_in(path + "/content?of=thumbnail")
    if found:
        await asyncio.to_thread(ask, "POST", path + "/quarantine", {"reason": found[:200]})
    else:
        await asyncio.to_thread(ask, "POST", path + "/release")
    return found or "clean"


async def handle(msg):
    """Done, or again later: a file is never passed over because something was away"""
    file = StoredFile.FromString(msg.data)
    try:
        found = await look(file)
    except urllib.error.HTTPError as error:
        if error.code not in (404, 409):  # deleted, or quarantined by another, meanwhile
            print(file.attachment.id, "again later:", error, flush=True)
            await msg.nak(delay=5)
            return
        found = "gone, or decided by another"
    except (OSError, RuntimeError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
        print(file.attachment.id, "again later:", error, flush=True)
        await msg.nak(delay=5)
        return
    await msg.ack()
    print(file.attachment.id, found, flush=True)


async def main():
    nc = await nats.connect(os.environ.get("PARLEY_NATS_URL", "nats://127.0.0.1:8422"), inbox_prefix=INBOX)
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=600, max_ack_pending=1)
    sub = await nc.jetstream().pull_subscribe("upload.completed", durable="scanner", stream="SYSTEM", config=config, inbox_prefix=INBOX + b".")
    while True:
        try:
            batch = await sub.fetch(1, timeout=5)
        except nats.errors.TimeoutError:
            continue
        for msg in batch:
            await handle(msg)


asyncio.run(main())
