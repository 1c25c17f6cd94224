"""Files that are looked at before members read them: held back, released, quarantined, and the example that does it."""

import asyncio
import contextlib
import os
import sys
import uuid

import httpx
import nats
import pytest
from support.client import Client
from support.images import png
from support.schema import upload_pb2
from support.stack import ROOT, wait_until
from support.stores import STORES
from support.uploads import Uploader, problem

EXAMPLES = ROOT / "examples"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


@pytest.fixture(scope="module", params=STORES)
def held(request, new_stack):
    """A stack that holds files back"""
    stack = new_stack(PARLEY_RATE_LIMITS="off", PARLEY_UPLOAD_REQUIRE_SCAN="on", PARLEY_UPLOAD_STORE=request.param)
    try:
        yield stack.up()
    finally:
        stack.down()


def scanner(stack, **claims):
    return httpx.Client(base_url=stack.base_url, headers={"Authorization": "Bearer " + stack.token("scanner", **(claims or {"scan": True}))},
                        timeout=20)


async def test_held_back_until_it_is_released(held):
    room = held.channel("ann", ["bob"])
    with Uploader(held, "ann") as ann, Uploader(held, "bob") as bob, Uploader(held, "eve") as eve, scanner(held) as judge:
        done = ann.uploaded(room, b"hello", thumbnail=png(5, 5))
        file_id = done["attachment"]["id"]
        assert done["state"] == "checking"
        async with Client(held, "ann") as client:  # it may be sent, and is seen in the message
            await client.send(room, "look", attachments=[done["descriptor"]])
        for answer in (ann.locate(file_id), bob.locate(file_id), bob.thumbnail(file_id)):
            problem(answer, 409, "conflict", "being checked")
            assert answer.json()["retryMs"] > 0
        problem(eve.locate(file_id), 404, "not_found", "no such file")
        path = f"/api/uploads/{file_id}"
        for other in (ann, bob, eve):
            for call in ("quarantine", "release"):
                problem(other.rest.post(f"{path}/{call}", json={}), 403, "forbidden", "scanners")
            problem(other.rest.get(path + "/content"), 403, "forbidden", "scan")
        with scanner(held, admin=True) as admin:  # reads nothing that is not his
            problem(admin.get(path + "/content"), 403, "forbidden", "scan")
        answer = judge.get(path + "/content")
        assert answer.status_code == 302 and ann.bare.get(ann.absolute(answer.headers["location"])).content == b"hello"
        answer = judge.get(path + "/content", params={"of": "thumbnail"})  # members see it: it is looked at, too
        assert answer.status_code == 302 and ann.bare.get(ann.absolute(answer.headers["location"])).content == png(5, 5)
        problem(judge.get(path + "/content", params={"of": "both"}), 400, "bad_request", "thumbnail")
        plain = ann.uploaded(room, b"plain")["attachment"]["id"]
        problem(judge.get(f"/api/uploads/{plain}/content", params={"of": "thumbnail"}), 404, "not_found", "no thumbnail")
        assert judge.post(path + "/release").status_code == 204
        assert judge.post(path + "/release").status_code == 204
        assert bob.read(file_id).content == b"hello" and bob.thumbnail(file_id).status_code == 302
        assert bob.describe(file_id, room).json()["state"] == "ready"

        assert judge.post(path + "/quarantine", json={"reason": "Eicar"}).status_code == 204
        for answer in (ann.locate(file_id), bob.locate(file_id), bob.thumbnail(file_id), ann.describe(file_id, room), ann.complete({"id": file_id})):
            problem(answer, 404, "not_found", "quarantined")
        problem(eve.locate(file_id), 404, "not_found", "no such file")  # strangers learn nothing
        problem(judge.post(path + "/release"), 409, "conflict", "quarantined")  # a scan that comes late
        with scanner(held, admin=True) as admin:
            assert admin.post(path + "/release").status_code == 204
        assert bob.read(file_id).content == b"hello"
        assert judge.post(path + "/quarantine", json={}).status_code == 204
        assert ann.delete(file_id).status_code == 204
        problem(judge.post(path + "/release"), 404, "not_found", "no such file")
        problem(judge.post(f"/api/uploads/{uuid.uuid4()}/quarantine", json={"reason": "x" * 201}), 400, "bad_request", "reason")


async def test_what_is_told(stack):
    """Without the policy files can be read at once, and quarantined all the same; each is told of once"""
    nc = await nats.connect(stack.nats_url)
    sub = await nc.jetstream().pull_subscribe("upload.completed", durable="t" + uuid.uuid4().hex[:8], stream="SYSTEM")
    with Uploader(stack, "ann") as ann, scanner(stack) as judge:
        upload = ann.created("general", b"told")
        ann.sent(upload["put"], b"told")
        a = ann.completed(upload)["attachment"]
        assert ann.completed(upload)["attachment"] == a and ann.read(a["id"]).content == b"told"
        last = ann.uploaded("general", b"last")["attachment"]
        told = []
        while not told or told[-1].attachment.id != last["id"]:
            for msg in await sub.fetch(100, timeout=10):
                told.append(upload_pb2.StoredFile.FromString(msg.data))
                await msg.ack()
        mine = [f for f in told if f.attachment.id == a["id"]]
        assert len(mine) == 1 and mine[0].user_id == "ann" and list(mine[0].channel_ids) == ["general"]
        assert (mine[0].attachment.size, mine[0].state) == (4, upload_pb2.FileState.Value("ready"))
        assert judge.post(f"/api/uploads/{a['id']}/quarantine", json={"reason": "late"}).status_code == 204
        problem(ann.locate(a["id"]), 404, "not_found", "quarantined")
    await nc.close()


@contextlib.asynccontextmanager
async def example(stack, **env):
    import subprocess
    subprocess.run([str(EXAMPLES / "generate"), "python"], check=True, timeout=60, stdin=subprocess.DEVNULL)
    env = {**os.environ, "PARLEY_NATS_URL": stack.nats_url, "PARLEY_URL": stack.base_url, "PARLEY_SCAN_TOKEN": stack.token("scanner", scan=True), **env}
    process = await asyncio.create_subprocess_exec(sys.executable, "scanner.py", cwd=EXAMPLES / "python", env=env, stdout=asyncio.subprocess.PIPE)
    process.told = {}
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def said(process, file_id):
    """What it says of a file. It looks at several at a time, and speaks of them in any order."""
    while file_id not in process.told:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().rstrip()
        assert line, "the scanner ended"
        id, _, what = line.partition(" ")
        if "again later" not in what:
            process.told[id] = what
    return process.told[file_id]


async def test_the_example(held):
    with Uploader(held, "ann") as ann:
        clean = ann.uploaded("general", b"a" * 100_000)["attachment"]["id"]
        # across the border of what the scanner reads at a time, and uploaded while no scanner ran
        bad = ann.uploaded("general", b"b" * (65536 - 20) + EICAR + b"c" * 1000)["attachment"]["id"]
        async with example(held) as process:
            assert await said(process, clean) == "clean"
            assert await said(process, bad) == "Eicar-Test-Signature"
            assert ann.read(clean).content == b"a" * 100_000
            problem(ann.locate(bad), 404, "not_found", "quarantined")
            hidden = ann.uploaded("general", b"as clean as can be", thumbnail=png(5, 5) + EICAR)["attachment"]["id"]
            assert await said(process, hidden) == "Eicar-Test-Signature"
            problem(ann.thumbnail(hidden), 404, "not_found", "quarantined")
        held.stop("upload")  # and goes on when the service is there again
        async with example(held) as process:
            held.start("upload")
            later = ann.uploaded("general", b"later")["attachment"]["id"]
            assert await said(process, later) == "clean"


@contextlib.asynccontextmanager
async def a_clamd(verdict):
    """A server that speaks clamd's INSTREAM as its manual has it; verdict(body): what it says, or None as long as it has to read on"""
    async def serve(reader, writer):
        assert await reader.readexactly(10) == b"zINSTREAM\0"
        body, said = b"", None
        while not said:
            n = int.from_bytes(await reader.readexactly(4), "big")
            body += await reader.readexactly(n)
            said = verdict(body, n == 0)
        writer.write(said + b"\0")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_the_example_with_clamd(held):
    seen = []

    def verdict(body, whole):
        if not whole:
            return None
        seen.append(body)
        if len(seen) == 1:
            return b"Can't allocate memory. ERROR"
        return b"stream: Win.Test.EICAR_HDB-1 FOUND" if EICAR in body else b"stream: OK"

    async with a_clamd(verdict) as clamd, example(held, CLAMD=clamd, SCAN_RETRY_S="0.2") as process:
        with Uploader(held, "ann") as ann:
            bad = (await asyncio.to_thread(ann.uploaded, "general", EICAR))["attachment"]["id"]
            assert await said(process, bad) == "Win.Test.EICAR_HDB-1"
            data = b"x" * 200_000
            clean = (await asyncio.to_thread(ann.uploaded, "general", data))["attachment"]["id"]
            assert await said(process, clean) == "clean"
            problem(ann.locate(bad), 404, "not_found", "quarantined")
            wait_until(lambda: ann.locate(clean).status_code == 302, 5, "it is released")
        assert seen[0] == seen[1] == EICAR and data in seen


TOO_LARGE = b"INSTREAM size limit exceeded. ERROR"


def not_every_file(body, whole):
    """Some are too large, which it says in the middle; at some it fails, again and again"""
    if body.startswith(b"large"):
        return TOO_LARGE
    if not whole:
        return None
    return b"Can't allocate memory. ERROR" if body.startswith(b"odd") else b"stream: OK"


async def reason(stack, id):
    nc = await nats.connect(stack.nats_url)
    try:
        return upload_pb2.StoredFile.FromString((await (await nc.jetstream().key_value("FILES")).get(f"file.{id}")).value).reason
    finally:
        await nc.close()


async def test_a_file_that_clamd_does_not_take(held):
    """Is nobody else's concern: others are looked at meanwhile, and it is quarantined with the reason"""
    with Uploader(held, "ann") as ann:
        async def uploaded(body):
            return (await asyncio.to_thread(ann.uploaded, "general", body))["attachment"]["id"]

        large, odd = await uploaded(b"large" * 600_000), await uploaded(b"odd")
        async with a_clamd(not_every_file) as clamd:
            async with example(held, CLAMD=clamd, SCAN_RETRY_S="0.1") as process:
                answers = {}
                while len(answers) < 2:  # readline ends this
                    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().rstrip()
                    assert line, "the scanner ended"
                    id, text = line.split(" ", 1)
                    if id in (large, odd) and "again later" not in text:  # files of other tests may have waited for it, too
                        answers[id] = text
                assert answers == {large: f"could not be scanned: clamd says: {TOO_LARGE.decode()}",
                                   odd: "could not be scanned: clamd says: Can't allocate memory. ERROR"}
            for id in (large, odd):
                problem(ann.locate(id), 404, "not_found", "quarantined")
            assert await reason(held, large) == answers[large]
            # one that is to come again in minutes, and one that is left alone, hold up no other
            async with example(held, CLAMD=clamd, SCAN_RETRY_S="60", SCAN_GIVE_UP="leave") as process:
                odd, large = await uploaded(b"odd"), await uploaded(b"large" * 600_000)
                assert "could not be scanned" in await said(process, large)
                clean = await uploaded(b"clean")
                assert await said(process, clean) == "clean"
            for id in (odd, large):
                problem(ann.locate(id), 409, "conflict", "being checked")
