"""Comparisons of objects, records and messages, and what they are made of, behind the service's back."""

import os
import time

import nats

from .client import Client
from .schema import internal_pb2, upload_pb2
from .stack import wait_until
from .stores import store_of
from .uploads import Uploader

HOURS_AGO = 3 * 3600


def report(stack):
    with Uploader(stack, "root", admin=True) as root:
        answer = root.rest.get("/api/uploads/reconciliation")
        assert answer.status_code == 200, answer.text
        return answer.json()


def finished(stack, **params):
    """The report of one more comparison"""
    with Uploader(stack, "root", admin=True) as root:
        answer = root.rest.post("/api/uploads/reconciliation", params=params)
        assert answer.status_code == 202 and answer.json()["running"], answer.text
    wait_until(lambda: not report(stack)["running"], 60, "it is over", interval=0.1)
    return report(stack)


def compared(stack, **params):
    """One comparison: {what: (ids, mended)} of what was found"""
    last = finished(stack, **params)
    assert last["incomplete"] == "" and last["finishedAt"] >= last["startedAt"]
    for finding in last["findings"]:
        assert len(finding["ids"]) == finding["count"]
    return {f["what"]: (sorted(f["ids"]), f["mended"]) for f in last["findings"] if f["count"]}


class World:
    """What is kept, behind the service's back"""

    def __init__(self, stack, log, files, uploads):
        self.stack, self.log, self.files, self.uploads = stack, log, files, uploads
        self.folder = store_of(stack).folder

    def object(self, name):
        found = [p for p in (self.folder / "files").rglob(name)]
        assert len(found) == 1, found
        return found[0]

    def objects(self):
        return sorted(p.name for p in (self.folder / "files").rglob("*") if p.is_file())

    def aged(self, path):
        then = time.time() - HOURS_AGO
        os.utime(path, (then, then))

    async def record(self, id):
        return upload_pb2.StoredFile.FromString((await self.files.get(f"file.{id}")).value)

    async def put(self, id, **fields):
        record = await self.record(id)
        record.created_at_ms = int((time.time() - HOURS_AGO) * 1000)
        for name, value in fields.items():
            setattr(record, name, value)
        await self.files.put(f"file.{id}", record.SerializeToString())

    async def planted(self, user, sent, young=False):
        """A whole file, hours old unless it is young; the message that carries it, where it is sent"""
        channel = self.stack.channel(user)
        with Uploader(self.stack, user) as uploader:
            done = uploader.uploaded(channel, user.encode())
        id = done["attachment"]["id"]
        if sent:
            async with Client(self.stack, user) as client:
                await client.send(channel, "look", attachments=[done["descriptor"]])
        if not young:
            await self.put(id)
            self.aged(self.object(id))
        return id


async def world(stack, log):
    return World(stack, log, await log.js.key_value("FILES"), await log.js.key_value("UPLOADS"))


def days_ago(days):
    return int((time.time() - days * 86400) * 1000)


async def gone_from(w, id):
    """Nothing of it is left, neither record nor object"""
    try:
        await w.files.get(f"file.{id}")
        return False
    except nats.js.errors.KeyNotFoundError:
        return id not in w.objects()


class StandIn:
    """In history's place for what messages carry: `async with StandIn(stack, log, asked)`. What it is asked for page by page no message carries; of the
    files that it is asked for once more, right before they go, it says what `asked` returns: their channels by their ids; and which wait for their release.
    In asked there is time for what happens in between. The test blocks its loop in nothing meanwhile."""

    def __init__(self, stack, log, asked):
        self.stack, self.log, self.asked, self.releasing = stack, log, asked, []

    async def __aenter__(self):
        self.stack.stop("history")
        self.sub = await self.log.nc.subscribe("rpc.history.files", cb=self._answer)
        await self.log.nc.flush()
        return self

    async def __aexit__(self, *_):
        await self.sub.unsubscribe()
        self.stack.start("history")

    async def _answer(self, msg):
        request = internal_pb2.FilesRequest.FromString(msg.data)
        answer = internal_pb2.FilesResponse(caught_up=True)
        if request.file_ids:
            for id, channels in (await self.asked(list(request.file_ids))).items():
                answer.files.add(file_id=id, channel_ids=channels)
            answer.releasing.extend(id for id in self.releasing if id in request.file_ids)
        await msg.respond(answer.SerializeToString())
