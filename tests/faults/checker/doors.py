"""Every door of a channel, tried by somebody who is no member of it."""

import asyncio
import time
import uuid

import httpx

from .clients import Refused

# Answers everybody, and says of whom it says nothing: it is open when it tells of a member
USERS_DOOR = "/presence?users={userId}"

# (method, path below /api, body): docs/openapi.yaml has no other path with the id of a channel or a file; a test compares. Uploads that were
# begun are their user's alone.
REST = (
    ("GET", "/channels/{id}", None),
    ("PATCH", "/channels/{id}", {"topic": "an outsider's"}),
    ("POST", "/channels/{id}/join", None),
    ("POST", "/channels/{id}/leave", None),
    ("GET", "/channels/{id}/members", None),
    ("POST", "/channels/{id}/members", {"userId": "{me}"}),
    ("DELETE", "/channels/{id}/members/{userId}", None),
    ("GET", "/channels/{id}/messages", None),
    ("POST", "/channels/{id}/messages", {"content": "an outsider's"}),
    ("GET", "/channels/{id}/messages/{message}", None),
    ("GET", "/channels/{id}/events", None),
    ("GET", "/channels/{id}/presence", None),
    ("GET", USERS_DOOR, None),
    ("GET", "/files/{file}", None),
    ("DELETE", "/files/{file}", None),
    ("POST", "/files/{file}/descriptors", {"channelId": "{channel}"}),
    ("POST", "/uploads", {"channelId": "{channel}", "name": "x", "size": 1}),
)
LISTS = ("/channels",)  # answered to everybody, each with what is his


class Outsider:
    """Tries the doors of a channel with the session and the token of one client who is no member."""

    def __init__(self, client, member, files):
        self.client, self.member, self.files, self.tried = client, member, files, 0
        self.rest = httpx.AsyncClient(base_url=client.doors.rest_url, timeout=20,
                                      headers={"Authorization": f"Bearer {client.doors.token(client.user)}"})

    async def close(self):
        await self.rest.aclose()

    async def share_nothing(self, timeout=20):
        """Everybody is in `general`, and sees there who is here: leaves it, and waits until presence knows."""
        left = await self.rest.post("/api/channels/general/leave")
        assert left.status_code in (202, 204), f"{left.status_code} {left.text}"
        deadline = time.monotonic() + timeout
        while True:
            answer = await self.rest.get("/api" + USERS_DOOR.format(userId=self.member))
            if answer.status_code == 200 and self.member in answer.json()["hiddenUserIds"]:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.client.user}, who shares no channel, still sees who is here: {answer.status_code} {answer.text}")
            await asyncio.sleep(0.1)  # a poll with a deadline

    def note(self, channel, door, answer, granted, text):
        self.tried += 1
        leaked = self.client.secrets[channel] in text
        self.client.note("probe", channel=channel, door=door, answer=answer[:120], granted=granted, leaked=leaked)

    async def try_all(self, channel, seq):
        """One round. A door that nobody answers at now counts as closed."""
        for method, path, body in REST:
            await self.try_rest(channel, method, path, body, seq)
        for path in LISTS:
            await self.try_list(channel, path)
        target = {"channelId": channel, "targetSeq": seq}
        await self.try_frame(channel, {"type": "send", "channelId": channel, "message": {"id": str(uuid.uuid4()), "content": "an outsider's"}})
        await self.try_frame(channel, {"type": "edit", **target, "id": str(uuid.uuid4()), "content": "an outsider's"})
        await self.try_frame(channel, {"type": "delete", **target, "id": str(uuid.uuid4())})
        # is acked, and passed over: what comes of it is found by what is recorded
        await self.try_frame(channel, {"type": "resume", "cursors": [{"channelId": channel, "epoch": 0, "seq": max(0, seq - 1)}]}, True)

    async def try_rest(self, channel, method, path, body, seq):
        names = {"{me}": self.client.user, "{channel}": channel}
        url = "/api" + path.format(id=channel, userId=self.member, message=seq, file=self.files[channel])
        body = {k: names.get(v, v) for k, v in body.items()} if body else None
        try:
            answer = await self.rest.request(method, url, json=body)
        except httpx.HTTPError:
            return
        if answer.status_code == 400:
            raise RuntimeError(f"{method} {path} says nothing about who may: {answer.text}")
        granted = answer.status_code < 400 and (path != USERS_DOOR or answer.json()["users"] != [])
        self.note(channel, f"{method} {path}", f"{answer.status_code} {answer.text}", granted, answer.text)

    async def try_list(self, channel, path):
        try:
            answer = await self.rest.get("/api" + path)
        except httpx.HTTPError:
            return
        self.note(channel, f"GET {path}", f"{answer.status_code} {answer.text}", channel in answer.text, answer.text)

    async def try_frame(self, channel, frame, acked=False):
        try:
            answer = await self.client.request(frame)
            self.note(channel, frame["type"], str(answer), not acked, str(answer))
        except Refused as error:
            self.note(channel, frame["type"], str(error), False, str(error))
        except (ConnectionError, TimeoutError):
            pass
