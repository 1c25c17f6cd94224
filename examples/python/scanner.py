"""Looks at every file that is uploaded to Parley, and quarantines or releases it: python scanner.py

CLAMD: where clamd is, host:port or the path of its socket; without it a stand-in finds the EICAR test file. PARLEY_URL: the API.
PARLEY_SCAN_TOKEN: a token with the claim `scan`. PARLEY_NATS_URL: where NATS is, with user and password where it asks for them
(nats://scanner:PASSWORD@nats:4222, whose rights are those that this program needs).

While clamd, Parley or the network is away, files wait. A file that clamd does not take, because it is too large for it or because it fails at it again and
again, holds up no other: it is quarantined with the reason, and an administrator may release it; with SCAN_GIVE_UP=leave it stays as it is, and with
PARLEY_UPLOAD_REQUIRE_SCAN=on nobody reads it, until upload asks for it again a day later.
"""

import asyncio
import contextlib
import http.client
import json
import os
import random
import urllib.error
import urllib.request

import nats
from google.protobuf.message import DecodeError
from nats.js.api import AckPolicy, ConsumerConfig

from parley.v1.upload_pb2 import StoredFile

API = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
GIVE_UP = os.environ.get("SCAN_GIVE_UP", "quarantine")
RETRY_S = float(os.environ.get("SCAN_RETRY_S", "5"))  # the first time; doubled with each failure of the file itself
TRIES = 4  # of one file at which clamd fails
AT_ONCE = 4  # files; so many connections of clamd are taken
WAITING = 1000  # files that failed and are to come again: as long as they are fewer, others are looked at
PIECE = 64 << 10
INBOX = b"_INBOX.scanner"  # where answers come: NATS' user `scanner` may hear no others
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"  # in two, so that scanners leave this page alone


def ask(method, path, body=None):
    request = urllib.request.Request(API + path, method=method, data=None if body is None else json.dumps(body).encode())
    # not to where the file is: its address is signed, and a store may refuse a second way of telling who one is
    request.add_unredirected_header("Authorization", "Bearer " + os.environ["PARLEY_SCAN_TOKEN"])
    request.add_unredirected_header("Content-Type", "application/json")
    return urllib.request.urlopen(request, timeout=60)


class Away(Exception):
    """Nothing is known about the file: somebody cannot be reached"""


class Refused(Exception):
    """clamd has no verdict about this file; final: nor will it have one"""

    def __init__(self, text, final=False):
        super().__init__(text)
        self.final = final


async def pieces(answer):
    while True:
        try:
            piece = await asyncio.to_thread(answer.read, PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"the file cannot be read: {error!r}") from error
        if not piece:
            return
        yield piece


async def stand_in(answer):
    """What was found, or None"""
    tail = b""
    async for piece in pieces(answer):
        if EICAR in tail + piece:
            return "Eicar-Test-Signature"
        tail = (tail + piece)[-len(EICAR) + 1 :]
    return None


async def stream(writer, answer, verdict):
    """By INSTREAM: each piece behind its length in four bytes, an empty one ends. Not beyond clamd's verdict, which may come early."""
    writer.write(b"zINSTREAM\0")
    async for piece in pieces(answer):
        if verdict.done():
            return
        writer.write(len(piece).to_bytes(4, "big") + piece)
        await writer.drain()
    writer.write(bytes(4))
    await writer.drain()


async def clamd(where, answer):
    """What was found, or None"""
    host, _, port = where.rpartition(":")
    try:
        reader, writer = await (asyncio.open_unix_connection(where) if where.startswith("/") else asyncio.open_connection(host, int(port)))
    except OSError as error:
        raise Away(f"clamd: {error}") from error
    verdict = asyncio.create_task(reader.readuntil(b"\0"))
    verdict.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to hear it
    try:
        with contextlib.suppress(ConnectionError):  # it ends the connection after it has said why
            await stream(writer, answer, verdict)
        said = (await asyncio.wait_for(verdict, 300)).rstrip(b"\0").decode(errors="replace")
    except (OSError, EOFError, TimeoutError) as error:
        raise Refused(f"clamd broke off: {error!r}") from error
    finally:
        verdict.cancel()
        writer.close()
    if said == "stream: OK":
        return None
    if said.startswith("stream: ") and said.endswith(" FOUND"):
        return said.removeprefix("stream: ").removesuffix(" FOUND")
    raise Refused(f"clamd says: {said}", final="size limit exceeded" in said)


async def found_in(path):
    with await asyncio.to_thread(ask, "GET", path) as answer:
        return await clamd(os.environ["CLAMD"], answer) if os.environ.get("CLAMD") else await stand_in(answer)


async def look(file, path):
    found = await found_in(path + "/content")
    if not found and file.attachment.HasField("thumbnail"):
        found = await found_in(path + "/content?of=thumbnail")
    if found:
        await asyncio.to_thread(ask, "POST", path + "/quarantine", {"reason": found[:200]})
    else:
        await asyncio.to_thread(ask, "POST", path + "/release")
    return found or "clean"


async def give_up(path, why):
    if GIVE_UP == "quarantine":
        await asyncio.to_thread(ask, "POST", path + "/quarantine", {"reason": f"could not be scanned: {why}"[:200]})
    return f"could not be scanned: {why}"


async def decide(file, failures):
    """What became of it; or an exception: later. failures: how often each file itself was the reason"""
    id = file.attachment.id
    path = f"/api/uploads/{id}"
    try:
        return await look(file, path)
    except (Away, urllib.error.URLError, http.client.HTTPException, OSError):
        raise
    except Exception as error:  # whatever it is that fails at this file, the next one is another
        failures[id] = failures.get(id, 0) + 1
        if failures[id] < TRIES and not getattr(error, "final", False):
            raise
        return await give_up(path, error)


@contextlib.asynccontextmanager
async def held(msg):
    """NATS gives it to nobody else while this goes on"""
    async def tell():
        while True:
            await asyncio.sleep(60)
            await msg.in_progress()

    beat = asyncio.create_task(tell())
    try:
        yield
    finally:
        beat.cancel()


async def handle(msg, failures):
    """Done, or again later: a file is never passed over because something was away"""
    try:
        file = StoredFile.FromString(msg.data)
    except DecodeError as error:
        print("an event that cannot be read:", error, flush=True)
        await msg.term()
        return
    id = file.attachment.id
    try:
        async with held(msg):
            found = await decide(file, failures)
    except Exception as error:
        if not isinstance(error, urllib.error.HTTPError) or error.code not in (404, 409):
            print(id, "again later:", error, flush=True)
            await msg.nak(delay=min(RETRY_S * 2 ** failures.get(id, 0), 300) * random.uniform(1, 2))
            return
        found = "gone, or decided by another"  # deleted, or quarantined, meanwhile
    failures.pop(id, None)
    await (msg.term() if GIVE_UP == "leave" and found.startswith("could not") else msg.ack())
    print(id, found, flush=True)


async def main():
    nc = await nats.connect(os.environ.get("PARLEY_NATS_URL", "nats://127.0.0.1:8422"), inbox_prefix=INBOX, max_reconnect_attempts=-1)
    js = nc.jetstream()
    config = ConsumerConfig(name="scanner", durable_name="scanner", filter_subject="upload.completed", ack_policy=AckPolicy.EXPLICIT, ack_wait=600,
                            max_ack_pending=WAITING)
    await js.add_consumer("SYSTEM", config)  # also where an older one of these has made it
    sub = await js.pull_subscribe_bind("scanner", "SYSTEM", inbox_prefix=INBOX + b".")
    slots, failures = asyncio.Semaphore(AT_ONCE), {}

    async def one(msg):
        try:
            await handle(msg, failures)
        except nats.errors.Error as error:
            print("not told, and so delivered again:", error or type(error).__name__, flush=True)
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        while True:
            await slots.acquire()
            try:
                [msg] = await sub.fetch(1, timeout=5)
            except nats.errors.TimeoutError:
                slots.release()
                continue
            except nats.errors.Error as error:  # JetStream is away, as right after a start of nats-server
                slots.release()
                print("NATS:", error or type(error).__name__, flush=True)
                await asyncio.sleep(RETRY_S)
                continue
            group.create_task(one(msg))


asyncio.run(main())
