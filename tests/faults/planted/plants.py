"""What is planted, and which invariant must catch it."""

import asyncio
import json
import threading
import time
import uuid

import nats
import websockets

PLANTS = {}


def plant(cls):
    PLANTS[cls.name] = cls
    return cls


class Plant:
    name, about, expect = "", "", ""     # expect: the invariant that must find it; '' means that nothing is wrong
    also = ""                            # others that the same deed breaks
    bound_s = 20
    quick = False                        # part of --planted --quick

    def __init__(self):
        self.armed, self.did = False, []
        self.victim = self.stranger = self.removed = self.owner = None    # users
        self.proxy = self.stack = None

    def ready(self, session):
        return self.armed and not self.did and session.user == self.victim

    async def arm(self):
        self.armed = True

    async def to_client(self, session, frame):
        return [frame]

    async def to_server(self, session, frame):
        return [frame]

    def token(self, user, token, method, path):
        return token

    def page(self, user, path, page):
        return page

    async def done(self):
        pass


def is_message(frame):
    return frame["type"] == "event" and "message" in frame


@plant
class DropEvent(Plant):
    name, about, expect = "drop-event", "one live event never arrives at one client", "O"
    quick = True

    async def to_client(self, session, frame):
        if self.ready(session) and is_message(frame):
            self.did.append(f"{frame['channelId']}/{frame['seq']} was dropped")
            return []
        return [frame]


@plant
class DropForGood(Plant):
    name, about, expect = "drop-for-good", "one event reaches one client in no way, and the chain is forged over it", "L"
    gone = None

    async def to_client(self, session, frame):
        if self.ready(session) and is_message(frame):
            self.gone = frame
            self.did.append(f"{frame['channelId']}/{frame['seq']} was dropped and the chain forged")
            return []
        if self.gone and session.user == self.victim and frame.get("channelId") == self.gone["channelId"]:
            if frame["type"] == "event" and frame["prev"] == self.gone["seq"]:
                frame["prev"] = self.gone["prev"]
            elif frame["type"] == "replay":
                frame["events"] = [e for e in frame["events"] if e["seq"] != self.gone["seq"]]
        return [frame]


@plant
class DeliverTwice(Plant):
    name, about, expect = "deliver-twice", "one live event arrives twice at one client", "U"

    async def to_client(self, session, frame):
        if self.ready(session) and is_message(frame):
            self.did.append(f"{frame['channelId']}/{frame['seq']} was delivered twice")
            return [frame, frame]
        return [frame]


@plant
class SwapTwo(Plant):
    name, about, expect = "swap-two", "two live events of a channel arrive in the wrong order", "O"
    held = None

    async def to_client(self, session, frame):
        if session.user == self.victim and self.held and frame["type"] == "event" and frame["channelId"] == self.held["channelId"]:
            first, self.held = self.held, None
            self.did.append(f"{frame['channelId']}/{frame['seq']} came before {first['seq']}")
            return [frame, first]
        if self.ready(session) and is_message(frame) and not self.held:
            self.held = frame
            return []
        return [frame]


@plant
class AckWithoutStoring(Plant):
    name, about, expect, also = "ack-without-storing", "one message is acked and never published", "L", "I"
    quick = True
    last, swallowed, seq = 0, None, 0

    async def to_client(self, session, frame):
        self.last = max(self.last, frame.get("seq", 0))
        return [frame]

    async def to_server(self, session, frame):
        if self.ready(session) and frame["type"] == "send":
            self.swallowed, self.seq = frame["message"]["id"], self.last + 1
            self.did.append(f"{self.swallowed} was acked as {self.seq}")
        # each retry, too: one that came through would store the message late, and nothing would be lost any more
        if frame["type"] == "send" and frame["message"]["id"] == self.swallowed:
            await session.tell({"type": "ack", "ref": frame["ref"], "id": self.swallowed, "channelId": frame["channelId"],
                                "seq": self.seq, "createdAt": "2026-01-01T00:00:00.000Z", "duplicate": False})
            return []
        return [frame]


@plant
class ChangeContent(Plant):
    name, about, expect = "change-content", "one live event says something else at one client", "P"

    async def to_client(self, session, frame):
        if self.ready(session) and is_message(frame):
            self.did.append(f"the content of {frame['channelId']}/{frame['seq']} was changed")
            frame["message"]["content"] += "!"
        return [frame]


@plant
class ChangeOnPage(Plant):
    name, about, expect = "change-on-page", "one message says something else on the pages of history, whoever asks", "P"
    changed = None

    def page(self, user, path, page):
        kept = [m for m in page.get("messages", []) if not m["deleted"]]
        if self.armed and kept and not self.changed:
            self.changed = kept[0]["channelId"], kept[0]["seq"]
            self.did.append(f"the content of {kept[0]['channelId']}/{kept[0]['seq']} was changed on pages")
        for message in page.get("messages", []):
            if (message["channelId"], message["seq"]) == self.changed:
                message["content"] += "!"
        return page


@plant
class StrangePages(Plant):
    name, about, expect = "strange-pages", "the pages of history have every message with another id and sender", "P"

    def page(self, user, path, page):
        for message in page.get("messages", []) if self.armed else []:
            message["id"], message["senderId"] = str(uuid.uuid4()), "mallory"
            if not self.did:
                self.did.append(f"{message['channelId']}/{message['seq']} and all others were of mallory on their pages")
        return page


@plant
class DoublePages(Plant):
    name, about, expect = "double-pages", "the pages of history have every message twice", "U"

    def page(self, user, path, page):
        if self.armed and page.get("messages"):
            page["messages"] = [m for m in page["messages"] for _ in range(2)]
            self.did.append(f"the pages had {page['messages'][0]['channelId']}/{page['messages'][0]['seq']} and all others twice")
        return page


@plant
class LoseOnPage(Plant):
    name, about, expect, also = "lose-in-history", "history leaves out one event", "L", "IPO"
    gone = None

    def page(self, user, path, page):
        events = [e for e in page.get("events", []) if "message" in e]
        if self.armed and events and not self.gone:
            self.gone = events[len(events) // 2]
            self.did.append(f"{self.gone['channelId']}/{self.gone['seq']} is not in history")
        if self.gone and "events" in page:
            page["events"] = [e for e in page["events"] if (e["channelId"], e["seq"]) != (self.gone["channelId"], self.gone["seq"])]
        return page


@plant
class Invent(Plant):
    name, about, expect = "invent", "the server says something in somebody's name", "P"
    REF = 4_000_000_000
    asked = None     # the session on which it was said, until that was answered

    async def to_client(self, session, frame):
        if frame.get("ref") != self.REF:
            return [frame]
        self.asked = None  # refused for now: again with the next one
        if frame["type"] == "ack":
            self.did.append(f"{frame['id']} was sent for {session.user}, who knows nothing of it")
        return []

    async def to_server(self, session, frame):
        if self.ready(session) and frame["type"] == "send" and self.asked is not session:
            self.asked = session
            return [frame, {**frame, "ref": self.REF, "message": {"id": str(uuid.uuid4()), "content": "never said"}}]
        return [frame]


class HoldAck(Plant):
    """Keeps one ack until the next one of the same session comes."""
    held = None

    async def to_client(self, session, frame):
        if session.user != self.victim or frame["type"] != "ack" or not frame["id"]:
            return [frame]
        if self.held:
            first, self.held = self.held, None
            return self.both(first, frame)
        if self.ready(session):
            self.held = frame
            return []
        return [frame]


@plant
class SwapAcks(HoldAck):
    name, about, expect = "swap-acks", "two requests get each other's answer", "I"

    def both(self, first, second):
        self.did.append(f"{first['id']} was answered for {second['id']}")
        first["ref"], second["ref"] = second["ref"], first["ref"]
        return [first, second]


@plant
class ReorderAcks(HoldAck):
    name, about, expect = "reorder-acks", "two answers come in another order, as they may: nothing is wrong", ""

    def both(self, first, second):
        self.did.append(f"the ack of {second['id']} came before that of {first['id']}")
        return [second, first]


@plant
class WrongAnswer(Plant):
    name, about, expect = "wrong-retry-answer", "a retried id is acked with another sequence", "I"

    def __init__(self):
        super().__init__()
        self.refs = set()

    async def to_server(self, session, frame):
        if self.armed and frame.get("retry"):
            self.refs.add((session.user, frame["ref"]))
        return [frame]

    async def to_client(self, session, frame):
        if frame["type"] == "ack" and (session.user, frame.get("ref")) in self.refs and not self.did:
            self.did.append(f"{frame['id']} was acked as {frame['seq'] + 1}, and is {frame['seq']}")
            frame["seq"] += 1
        return [frame]


@plant
class RefuseRetry(Plant):
    name, about, expect = "refuse-retry", "a retried id is answered id_conflict", "I"

    async def to_server(self, session, frame):
        if self.armed and frame.get("retry") and not self.did:
            self.did.append(f"a retry of {session.user} was refused")
            await session.tell({"type": "error", "ref": frame["ref"], "code": "id_conflict", "message": "planted", "retryMs": 0})
            return []
        return [frame]


@plant
class LeakToStranger(Plant):
    name, about, expect = "leak-to-stranger", "one live event also goes to somebody who never was a member", "Z"

    def whom(self):
        return self.stranger

    async def to_client(self, session, frame):
        if self.ready(session) and is_message(frame):
            await self.proxy.session(self.whom()).tell(frame)
            self.did.append(f"{self.whom()} was sent {frame['channelId']}/{frame['seq']}")
        return [frame]


@plant
class LeakToRemoved(LeakToStranger):
    name, about, also = "leak-to-removed", "one live event also goes to somebody who was removed", "O"  # a hole lies before it

    def whom(self):
        return self.removed


@plant
class HeadToStranger(LeakToStranger):
    name, about = "head-to-stranger", "somebody who never was a member is told where a channel stands"

    async def to_client(self, session, frame):
        if self.ready(session) and is_message(frame):
            await self.proxy.session(self.whom()).tell({"type": "gap", "channelId": frame["channelId"], "epoch": 1, "fromSeq": 0,
                                                        "headSeq": frame["seq"], "reason": "too_long"})
            self.did.append(f"{self.whom()} was told that {frame['channelId']} is at {frame['seq']}")
        return [frame]


@plant
class ChangeTime(Plant):
    name, about, expect = "change-time", "live events have another time at one client", "O"
    N = 20           # nothing is compared of those that somebody deletes then

    async def to_client(self, session, frame):
        if self.armed and len(self.did) < self.N and session.user == self.victim and is_message(frame):
            self.did.append(f"{frame['channelId']}/{frame['seq']} of {frame['createdAt']} was dated back")
            frame["createdAt"] = "2026-01-01T00:00:00.000Z"
        return [frame]


@plant
class OpenDoor(Plant):
    name, about, expect = "open-door", "history shows a stranger one page", "Z"
    quick = True
    known = None

    def __init__(self):
        super().__init__()
        self.request = threading.local()   # each is served by one thread

    def opens(self, path):
        return path.split("?")[0].endswith("/messages")

    def token(self, user, token, method, path):
        if user == self.owner:
            self.known = token
        self.request.opened = self.armed and not self.did and user == self.stranger and method == "GET" and self.opens(path)
        return self.known if self.request.opened else token

    def page(self, user, path, page):
        """It was answered, and not with trouble, which shows nothing."""
        if self.request.opened:
            self.did.append(f"{user} got {path}")
        return page


@plant
class OpenList(OpenDoor):
    name, about = "open-list", "a stranger's list of channels is a member's"

    def opens(self, path):
        return path == "/api/channels"


class OtherToken(Plant):
    """Somebody's token is another one at one door of one channel."""
    door, at = "", None

    def token(self, user, token, method, path):
        if self.armed and user == self.whom() and method == "GET" and path.split("?")[0].endswith(self.door):
            self.at = self.at or path.split("?")[0]
            if path.startswith(self.at):
                self.did.append(f"the token of {user} was another at {self.at}")
                return self.other()
        return token


@plant
class NoToken(OtherToken):
    name, about, expect = "spoiled-token", "a stranger is answered 401 at one door: that shows nothing of who may", "Z"
    door = "/events"

    def whom(self):
        return self.stranger

    def other(self):
        return "spoiled"


@plant
class ShutDoor(OtherToken):
    name, about, expect = "shut-door", "one door is closed for members, too: that it is for strangers shows nothing", "Z"
    door, known = "/members", "spoiled"

    def token(self, user, token, method, path):
        if user == self.stranger:
            self.known = token
        return super().token(user, token, method, path)

    def whom(self):
        return self.owner

    def other(self):
        return self.known


@plant
class Late(Plant):
    name, about, expect, bound_s = "late", "one client hears nothing for 15 s", "V", 5
    HOLD_S = 15

    async def to_client(self, session, frame):
        if self.ready(session):
            self.since = time.monotonic()
            self.did.append(f"{session.user} heard nothing for {self.HOLD_S} s")
        if self.did and session.user == self.victim:
            await asyncio.sleep(max(0, self.since + self.HOLD_S - time.monotonic()))  # the planted delay
        return [frame]


@plant
class HoldFiles(Plant):
    name, about, expect = "hold-files", "forty sessions stay open that nobody uses", "B"
    N = 40
    open = ()

    async def to_server(self, session, frame):
        if session.user == self.victim and frame["type"] == "hello":
            self.hello = {**frame, "cursors": []}
        return [frame]

    async def arm(self):
        self.open = [await websockets.connect(self.proxy.upstream, compression=None, max_size=None) for _ in range(self.N)]
        for ws in self.open:
            await ws.send(json.dumps(self.hello))
        self.did.append(f"{self.N} sessions of {self.victim} were opened")

    async def done(self):
        for ws in self.open:
            await ws.close()


@plant
class HoldMemory(Plant):
    name, about, expect = "hold-memory", "one of Postgres's processes keeps 120 MB", "B"
    KEPT_MB = 120
    held = None

    async def arm(self):
        self.held = await asyncio.to_thread(self.stack.postgres, autocommit=True)
        await asyncio.to_thread(self.held.execute, "SELECT set_config('planted.memory', repeat('x', %s), false)", (self.KEPT_MB << 20,))
        self.did.append(f"a session of Postgres keeps {self.KEPT_MB} MB")

    async def done(self):
        if self.held:
            await asyncio.to_thread(self.held.close)


@plant
class HoldConsumers(Plant):
    name, about, expect = "hold-consumers", "a reader of the log is gone, and JetStream keeps its place for ever", "B"
    PLACE = "planted"

    async def log(self, change):
        nc = await nats.connect(self.stack.nats_url)
        try:
            await change(nc.jetstream())
        finally:
            await nc.close()

    async def arm(self):
        await self.log(lambda js: js.add_consumer("CHAT_0", durable_name=self.PLACE))
        self.did.append("a consumer that nobody asks for anything was made")

    async def done(self):
        if self.did:
            await self.log(lambda js: js.delete_consumer("CHAT_0", self.PLACE))
