"""Every door of a channel, tried by somebody who is no member of it."""

import asyncio
import time
import uuid
from functools import partial

import httpx

from .clients import AGAIN, Refused

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
    ("GET", "/files/{file}/thumbnail", None),
    ("DELETE", "/files/{file}", None),
    ("POST", "/files/{file}/descriptors", {"channelId": "{channel}"}),
    ("POST", "/uploads", {"channelId": "{channel}", "name": "x", "size": 1}),
)
PROOF_S = 30
LISTS = ("/channels",)  # answered to everybody, each with what is his

# Where a member's request would change what the run is about, or (of members) comes too often after the channels were made. To the frames and to the change of
# members he is let in by the run itself. Files of a run have no thumbnail.
CHANGES = ("PATCH /channels/{id}", "POST /channels/{id}/leave", "POST /channels/{id}/members", "DELETE /channels/{id}/members/{userId}",
           "POST /channels/{id}/messages", "DELETE /files/{file}",
           "GET /files/{file}/thumbnail", "send", "edit", "delete", "resume")


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

    def note(self, channel, door, answer, granted, text, real):
        """Whether it was an answer: the trouble of a server (`real` is False) says nothing of who may, but must not tell anything either."""
        leaked = self.client.secrets[channel] in text
        if real or leaked:
            self.tried += 1
            self.client.note("probe", channel=channel, door=door, answer=answer[:120], granted=granted, leaked=leaked)
        return real

    def doors(self, channel, seq):
        """name -> what tries it: a coroutine function that returns whether there was an answer."""
        target = {"channelId": channel, "targetSeq": seq}
        frames = [({"type": "send", "channelId": channel, "message": {"id": str(uuid.uuid4()), "content": "an outsider's"}}, False),
                  ({"type": "edit", **target, "id": str(uuid.uuid4()), "content": "an outsider's"}, False),
                  ({"type": "delete", **target, "id": str(uuid.uuid4())}, False),
                  # is acked, and passed over: what comes of it is found by what is recorded
                  ({"type": "resume", "cursors": [{"channelId": channel, "epoch": 0, "seq": max(0, seq - 1)}]}, True)]
        return {**{f"{method} {path}": partial(self.try_rest, channel, method, path, body, seq) for method, path, body in REST},
                **{f"GET {path}": partial(self.try_list, channel, path) for path in LISTS},
                **{frame["type"]: partial(self.try_frame, channel, frame, acked) for frame, acked in frames}}

    async def try_all(self, channel, seq):
        """One round. A door at which nobody answers now is for another round."""
        for tries in self.doors(channel, seq).values():
            await tries()

    async def prove_all(self, channel, seq, timeout=PROOF_S):
        """Each door until it has answered; one that does not is known neither to be open nor to be closed, and is noted."""
        left, deadline = self.doors(channel, seq), time.monotonic() + timeout
        while True:
            left = {door: tries for door, tries in left.items() if not await tries()}
            if not left or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)  # a poll with a deadline
        for door in left:
            self.unproven(channel, door)

    def unproven(self, channel, door):
        self.client.note("silent", channel=channel, door=door)

    async def try_rest(self, channel, method, path, body, seq):
        names = {"{me}": self.client.user, "{channel}": channel}
        url = "/api" + path.format(id=channel, userId=self.member, message=seq, file=self.files[channel])
        body = {k: names.get(v, v) for k, v in body.items()} if body else None
        try:
            answer = await self.rest.request(method, url, json=body)
        except httpx.HTTPError:
            return False
        if answer.status_code == 400:
            raise RuntimeError(f"{method} {path} says nothing about who may: {answer.text}")
        granted = answer.status_code < 400 and (path != USERS_DOOR or answer.json()["users"] != [])
        return self.note(channel, f"{method} {path}", f"{answer.status_code} {answer.text}", granted, answer.text, says_who_may(answer))

    async def try_list(self, channel, path):
        try:
            answer = await self.rest.get("/api" + path)
        except httpx.HTTPError:
            return False
        return self.note(channel, f"GET {path}", f"{answer.status_code} {answer.text}", channel in answer.text, answer.text, says_who_may(answer))

    async def try_frame(self, channel, frame, acked=False):
        try:
            answer = await self.client.request(frame)
            return self.note(channel, frame["type"], str(answer), not acked, str(answer), True)
        except Refused as error:
            return self.note(channel, frame["type"], str(error), False, str(error), error.code not in AGAIN)
        except (ConnectionError, TimeoutError):
            return False


class Insider(Outsider):
    """The control: a member knocks as the outsiders do, and is let in. Else a wrong path, or a door that is shut for everybody, would pass as a closed one."""

    def __init__(self, client, member, files):
        super().__init__(client, member, files)
        self.answers = {}

    def doors(self, channel, seq):
        return {door: tries for door, tries in super().doors(channel, seq).items() if door not in CHANGES}

    def note(self, channel, door, answer, granted, text, real):
        self.answers[channel, door] = answer[:120]
        return granted

    def unproven(self, channel, door):
        self.client.note("shut", channel=channel, door=door, answer=self.answers.get((channel, door), "no answer"))


def says_who_may(answer):
    """Trouble of the server does not, nor does 401: that one says who somebody is not."""
    return answer.status_code < 500 and answer.status_code not in (401, 429)
