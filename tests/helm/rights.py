"""Everything that services say to each other over NATS, once: what the rights of the chart do not allow, nats-server says in its log."""

import uuid

import httpx
from cluster import Failed, wait_until
from support.client import Client
from support.uploads import Uploader


class Reached:
    """The release as a stack of the tests, at the address of its edge"""

    def __init__(self, address, token):
        self.ws_url, self.base_url, self.token = f"ws://{address}/ws", f"http://{address}", token

    def rest(self, user, **claims):
        return httpx.Client(base_url=self.base_url, headers={"Authorization": f"Bearer {self.token(user, **claims)}"}, timeout=20)


def room_of(stack, owner, member):
    with stack.rest(owner) as rest:
        answer = rest.post("/api/channels", json={"id": "c-" + uuid.uuid4().hex[:12], "name": "rights", "kind": "private", "members": [member]})
        answer.raise_for_status()
        return answer.json()["id"]


async def talk(stack, ann, bob):
    """A file in a message, looked at by a scanner; typing, presence, edits; and the file is gone with its message"""
    room = room_of(stack, ann, bob)
    with Uploader(stack, ann) as files, stack.rest("scanner", scan=True) as scanner:
        done = files.uploaded(room, b"hello")
        path = f"/api/uploads/{done['attachment']['id']}"
        if scanner.get(path + "/content").status_code != 302 or scanner.post(path + "/release").status_code != 204:
            raise Failed("a scanner cannot look at a file")
        async with Client(stack, ann) as a, Client(stack, bob) as b:
            await b.request({"type": "watch", "userIds": [ann]})
            for client in (a, b):
                await client.request({"type": "focus", "channelIds": [room]})
            await a.request({"type": "status", "mode": "dnd", "text": "trying", "emoji": ""})
            await a.request({"type": "typing", "channelId": room})
            await b.wait(lambda: any(f["type"] == "typing" for f in b.frames), 20, "that the other one writes")
            await b.wait(lambda: any(f["type"] == "presence" for f in b.frames), 20, "that the other one is here")
            ack = await a.send(room, "look", attachments=[done["descriptor"]])
            await b.wait_seq(room, ack["seq"])
            if files.read(done["attachment"]["id"]).content != b"hello":
                raise Failed("the file is another")
            await a.request({"type": "edit", "channelId": room, "id": str(uuid.uuid4()), "targetSeq": ack["seq"], "content": "looked"})
            gone = await a.request({"type": "delete", "channelId": room, "id": str(uuid.uuid4()), "targetSeq": ack["seq"]})
            await b.wait_seq(room, gone["seq"])
        wait_until(lambda: files.locate(done["attachment"]["id"]).status_code == 404, 150, "the file is gone with its message")


def violations(release):
    log = release.kubectl("logs", "-l", f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component=nats", "--prefix", "--tail=-1")
    return [line for line in log.splitlines() if "Violation" in line]
