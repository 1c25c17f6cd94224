"""Members who upload files and attach them, as docs/openapi.yaml tells a client to: what was not answered, or with trouble, is asked again."""

import asyncio
import hashlib
import time

import httpx

TROUBLE = (408, 429, 500, 502, 503, 504)
STEP_S = 90               # how long a step may go without an answer: until the longest fault is over
LOOK_S = 30               # and after the recovery: buckets of a cluster have leaders of their own, which are elected later than the log's
SIZES = (1, 5000, 300000)
CUT_SHARE = 0.25          # of uploads that end in the middle of their body, and never go on
SLOW_SHARE, SLOW_S = 0.5, 2   # of uploads whose body takes so long


class Files:
    """What became of each upload is noted as `upload`, and what GET /api/files says of it as `file`: at the places where it matters, and at the end."""

    def __init__(self, load, source, rate):
        self.load, self.random, self.rate = load, source, rate
        self.begun = self.sending = 0                      # sending: bodies that are on their way
        self.completed, self.cut = {}, {}                  # id -> (channel, content); id -> channel
        self.rest = httpx.AsyncClient(base_url=load.doors.rest_url, timeout=20)

    async def close(self):
        await self.rest.aclose()

    async def talk(self):
        """An open loop, as that of the messages."""
        began = time.monotonic()
        while not self.load.stopping:
            channel = self.random.choice(self.load.channels)
            client, cut = self.random.choice(self.load.in_channel[channel]), self.random.random() < CUT_SHARE
            self.load.spawn(self.one(client, channel, cut))
            self.begun += 1
            await asyncio.sleep(max(0, began + self.begun / self.rate - time.monotonic()))  # the schedule of an open loop

    async def one(self, client, channel, cut, attach=True):
        content = self.load.text(channel, self.random).encode() + self.random.randbytes(self.random.choice(SIZES))
        name = f"{self.load.secrets[channel]}.bin"
        begun = await self.step(client.user, "POST", "/api/uploads", 201, json={"channelId": channel, "name": name, "size": len(content)})
        id, put = begun.json()["id"], begun.json()["put"]
        client.note("upload", id=id, channel=channel, size=len(content), cut=cut)
        headers = {h["name"]: h["value"] for h in put["headers"]}
        if cut:
            await self.put_half(put, headers, content)
            await self.look(client.user, channel, id, there=False)
            self.cut[id] = channel
            return
        slow = attach and self.random.random() < SLOW_SHARE
        self.sending += 1
        try:
            await self.step(None, put["method"], put["url"], 200, headers={**headers, "Content-Length": str(len(content))},
                            body=lambda: body(content, SLOW_S if slow else 0))
        finally:
            self.sending -= 1
        await self.look(client.user, channel, id, there=False)  # not before it was completed
        done = (await self.step(client.user, "POST", f"/api/uploads/{id}/complete", 200)).json()
        assert done["attachment"]["id"] == id and done["attachment"]["sha256"] == hashlib.sha256(content).hexdigest(), done
        self.completed[id] = channel, content
        self.load.files[channel] = id  # outsiders try the newest
        if attach:
            await client.send(channel, self.load.text(channel, self.random), attachments={id: done["descriptor"]})

    async def step(self, user, method, url, expected, body=None, **kwargs):
        deadline = time.monotonic() + STEP_S
        headers = {**kwargs.pop("headers", {}), **({"Authorization": f"Bearer {self.load.doors.token(user)}"} if user else {})}
        while True:
            try:
                answer = await self.rest.request(method, url, headers=headers, **kwargs, **({"content": body()} if body else {}))
                if answer.status_code == expected:
                    return answer
                what = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code not in TROUBLE:
                    raise RuntimeError(f"{method} {url}: {what}")
            except httpx.HTTPError as error:
                what = repr(error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {url} for {STEP_S} s: {what}")
            await asyncio.sleep(0.2)  # a poll with a deadline

    async def put_half(self, put, headers, content):
        """A body that ends in the middle, as that of a client whose network is gone."""
        try:
            await self.rest.request(put["method"], put["url"], content=body(content, 0, cut=True), headers={**headers, "Content-Length": str(len(content))})
        except (ConnectionError, httpx.HTTPError):
            pass  # that is the fault

    async def look(self, user, channel, id, there, content=None, timeout=STEP_S):
        """What a member is answered for a file, and whether what he is led to is what was sent."""
        token = {"Authorization": f"Bearer {self.load.doors.token(user)}"}
        deadline, status, same = time.monotonic() + timeout, 0, None
        while time.monotonic() < deadline:
            try:
                answer = await self.rest.get(f"/api/files/{id}", headers=token)
                status = answer.status_code
                if status == 302 and content is not None:
                    body = await self.rest.get(answer.headers["location"])
                    status = body.status_code if body.status_code in TROUBLE else status
                    same = body.content == content
                if status not in TROUBLE:
                    break
            except httpx.HTTPError:
                status = 0
            await asyncio.sleep(0.2)  # a poll with a deadline
        self.load.record.add(user, 0, "file", channel=channel, id=id, status=status, there=there, same=same)

    async def finish(self):
        """After the recovery: what was completed is there, whole, and nothing of what was cut off is."""
        for id, (channel, content) in self.completed.items():
            await self.look(self.load.owner, channel, id, there=True, content=content, timeout=LOOK_S)
        for id, channel in self.cut.items():
            await self.look(self.load.owner, channel, id, there=False, timeout=LOOK_S)


async def body(content, seconds, cut=False):
    """In ten pieces over so long; a cut one ends in the middle, as that of a client whose network is gone."""
    piece = len(content) // 10 + 1
    for i in range(0, len(content), piece):
        if cut and i >= len(content) // 2:
            raise ConnectionError("cut")
        yield content[i:i + piece]
        await asyncio.sleep(seconds / 10)  # how slow its sender is
