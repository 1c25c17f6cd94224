"""Uploads and files of one user, by REST alone, as a client would do it."""

import contextlib
import hashlib
import random

import httpx
import nats

from .schema import upload_pb2
from .stack import wait_until

PART = 16 << 20


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def noise(n):
    """Bytes of no type, the same each time: of random ones one file in a hundred is taken for a program"""
    return bytes(8) + random.Random(n).randbytes(n - 8)


def composite(data, part=PART):
    """The checksum of an upload in parts"""
    parts = [data[i : i + part] for i in range(0, len(data), part)]
    return f"{sha256(b''.join(hashlib.sha256(p).digest() for p in parts))}-{len(parts)}"


class Uploader:
    """One user at the upload service. Methods return the answers as they are; those that end in `ed` insist on success."""

    def __init__(self, stack, user, admin=False, timeout=60):
        self.stack, self.user = stack, user
        self.rest = httpx.Client(base_url=stack.base_url, timeout=timeout,
                                 headers={"Authorization": "Bearer " + stack.token(user, admin=admin or None)})
        self.bare = httpx.Client(timeout=timeout)  # signed addresses need no token

    def close(self):
        self.rest.close()
        self.bare.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- uploads ---

    def create(self, channel, data=None, **fields):
        body = {"channelId": channel, "name": "file.bin", "contentType": "application/octet-stream", **fields}
        if data is not None:
            body.setdefault("size", len(data))
        return self.rest.post("/api/uploads", json=body)

    def created(self, channel, data=None, **fields):
        answer = self.create(channel, data, **fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def absolute(self, url):
        return url if url.startswith("http") else self.stack.base_url + url

    def send(self, signed, data, **headers):
        """The body to where a signed request says"""
        headers = {**{h["name"]: h["value"] for h in signed["headers"]}, **headers}
        return self.bare.request(signed["method"], self.absolute(signed["url"]), content=data, headers=headers)

    def sent(self, signed, data):
        answer = self.send(signed, data)
        assert answer.status_code == 200, answer.text

    def parts(self, upload, numbers_and_data):
        return self.rest.post(f"/api/uploads/{upload['id']}/parts",
                              json={"parts": [{"number": n, "sha256": sha256(d)} for n, d in numbers_and_data]})

    def part_sent(self, upload, number, data):
        answer = self.parts(upload, [(number, data)])
        assert answer.status_code == 200, answer.text
        self.sent(answer.json()["parts"][0], data)

    def state(self, upload):
        return self.rest.get(f"/api/uploads/{upload['id']}")

    def abort(self, upload):
        return self.rest.delete(f"/api/uploads/{upload['id']}")

    def complete(self, upload):
        return self.rest.post(f"/api/uploads/{upload['id']}/complete", json={})

    def completed(self, upload):
        answer = self.complete(upload)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def uploaded(self, channel, data, **fields):
        """The whole way; returns the answer to complete. thumbnail: its bytes, a PNG"""
        thumbnail = fields.pop("thumbnail", None)
        if thumbnail is not None:
            fields["thumbnail"] = {"size": len(thumbnail), "contentType": "image/png"}
        upload = self.created(channel, data, **fields)
        size = upload["partSize"]
        if thumbnail is not None:
            self.sent(upload["thumbnail"], thumbnail)
        if upload["partCount"] == 1:
            self.sent(upload["put"], data)
        else:
            for number in range(1, upload["partCount"] + 1):
                self.part_sent(upload, number, data[(number - 1) * size : number * size])
        return self.completed(upload)

    # --- files ---

    def locate(self, file_id):
        return self.rest.get(f"/api/files/{file_id}")

    def located(self, file_id):
        answer = self.locate(file_id)
        assert answer.status_code == 302, answer.text
        return self.absolute(answer.headers["location"])

    def read(self, file_id, **headers):
        return self.bare.get(self.located(file_id), headers=headers)

    def thumbnail(self, file_id):
        return self.rest.get(f"/api/files/{file_id}/thumbnail")

    def describe(self, file_id, channel):
        return self.rest.post(f"/api/files/{file_id}/descriptors", json={"channelId": channel})

    def delete(self, file_id):
        return self.rest.delete(f"/api/files/{file_id}")


def killed(stack, call):
    """The service ends on this call"""
    try:
        answer = call()
    except httpx.TransportError:
        answer = None
    assert answer is None or answer.status_code in (502, 503), answer.text
    wait_until(lambda: not stack.alive("upload"), 10, "the service was killed")


async def user_files(stack, user):
    """His entry in FILES"""
    nc = await nats.connect(stack.nats_url)
    try:
        value = await (await nc.jetstream().key_value("FILES")).get(f"user.{user}")
        return upload_pb2.UserFiles.FromString(value.value or b"")  # empty: nothing counts
    finally:
        await nc.close()


async def counted(stack, user):
    """What counts for his quota: bytes and number of files, and how many uploads that were begun"""
    files = await user_files(stack, user)
    return files.bytes, files.files, len(files.reservations)


async def recorded(stack):
    """The ids of uploads that have a record. Not by keys() of nats-py: it takes entries that are on their way for none."""
    nc = await nats.connect(stack.nats_url)
    try:
        bucket = await nc.jetstream().key_value("UPLOADS")
        info = await nc.jetstream().stream_info("KV_UPLOADS", subjects_filter=">")
        found = []
        for subject in info.state.subjects or {}:
            with contextlib.suppress(nats.js.errors.KeyNotFoundError):
                await bucket.get(subject.removeprefix("$KV.UPLOADS."))
                found.append(subject.removeprefix("$KV.UPLOADS."))
        return found
    finally:
        await nc.close()


def problem(answer, status, code, part=""):
    """Asserts that it is this problem, with this in its detail; returns the detail"""
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code and part in answer.json()["detail"], answer.text
    return answer.json()["detail"]
