"""A client as docs/protocol.md tells one to be: it keeps a cursor for each channel, repairs breaks, reconnects and resumes, and sends a
mutation again under its id until it is answered. It writes down all that it does and sees."""

import asyncio
import json
import random
import time
import uuid
from dataclasses import dataclass

import websockets

from .repair import Views

ACK_TIMEOUT_S = 10
HEARTBEAT_S, PONG_S = 25, 5
BACKOFF_BASE_S, BACKOFF_MAX_S = 0.5, 3
AGAIN = ("unavailable", "internal", "rate_limited")
AT_ONCE, GIVE_UP = (4002, 4005, 4010), (4000, 4001, 4003)
CHECKED = ("ready", "event", "replay", "gap", "channelAdded", "channelRemoved")  # by sequence, at the end: what is under way at a removal is no leak
AFTER_S = {1013: 5, 4008: 1, 4009: 10}


@dataclass
class Doors:
    """Where the servers are, as clients see them."""
    rest_url: str
    ws_urls: list
    token: callable      # user -> token


class Refused(Exception):
    def __init__(self, frame):
        super().__init__(f"{frame['code']}: {frame['message']}")
        self.code, self.retry_ms = frame["code"], frame["retryMs"]


class Client:
    def __init__(self, doors, user, record, device="", first_url=0, protocol="parley.v1.json"):
        self.doors, self.user, self.record = doors, user, record
        self.name = f"{user}/{device}" if device else user
        self.urls = doors.ws_urls[first_url:] + doors.ws_urls[:first_url]
        self.protocol = protocol
        self.views = Views(self)
        self.online, self.conn, self.attempts = asyncio.Event(), 0, 0
        self.connected_to = None
        self.pending = 0                 # mutations that have no answer yet
        self.changed = asyncio.Event()   # set at every message; whoever waits clears it
        self.error = None                # what ended this client for good
        self.secrets = {}                # channel -> text of which nothing may ever be seen here
        self._refs, self._ref, self._ws, self._tasks = {}, 0, None, []
        self._reconnect_s, self._sent_at, self._heard_at = None, 0, 0

    def note(self, kind, **data):
        return self.record.add(self.name, self.conn, kind, **data)

    # --- life ---

    async def start(self, timeout=30):
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._tick())]
        async with asyncio.timeout(timeout):
            await self.online.wait()

    async def close(self):
        for task in self._tasks:
            task.cancel()
        self.views.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self):
        """Ends the connection without a close frame, as a network does."""
        if self._ws:
            self._ws.transport.abort()

    async def _run(self):
        try:
            while not self.error:
                code = await self._session()
                self.online.clear()
                self.note("closed", code=code)
                for future in self._refs.values():
                    if not future.done():
                        future.set_exception(ConnectionError("closed"))
                self._refs.clear()
                if code in GIVE_UP:
                    self.error = f"closed with {code}"
                    self.note("fatal", code=code, reason=self.error)
                await asyncio.sleep(self._backoff(code))  # the pause that protocol.md asks for
        except Exception as error:
            self.error = repr(error)
            self.note("fatal", code=0, reason=self.error)
            raise

    def _backoff(self, code):
        hint, self._reconnect_s = self._reconnect_s, None
        if code == 1012 and hint is not None:
            return hint
        if code in AT_ONCE:
            return 0
        pause = min(BACKOFF_BASE_S * 2 ** min(self.attempts, 8) + random.random() * BACKOFF_BASE_S, BACKOFF_MAX_S)
        self.attempts += 1
        return max(pause, AFTER_S.get(code, 0))

    async def _session(self):
        url = self.urls[0]
        try:
            async with websockets.connect(url, subprotocols=[self.protocol] if self.protocol else None, max_size=None, open_timeout=5,
                                          close_timeout=2, ping_interval=None, compression=None) as ws:
                self._ws, self.connected_to = ws, url
                self.conn += 1
                self._sent_at = self._heard_at = time.monotonic()
                self.note("connected", url=url)
                await self._send({"type": "hello", "token": self.doors.token(self.user), "client": "checker", "cursors": self.views.cursors()})
                async for data in ws:
                    self._heard_at = time.monotonic()
                    for line in data.splitlines():
                        if line:
                            await self._on_frame(json.loads(line), line)
                    self.changed.set()
        except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
            pass
        finally:
            self.urls = self.urls[1:] + self.urls[:1]
            code, self._ws, self.connected_to = self._ws.close_code if self._ws else 0, None, None
        return code

    async def _tick(self):
        while True:
            await asyncio.sleep(1)  # the resolution of heartbeat and of resuming again
            now = time.monotonic()
            if self._ws and now - self._sent_at > HEARTBEAT_S:
                await self._send({"type": "ping"})
            if self._ws and now - self._heard_at > HEARTBEAT_S + PONG_S + 1 and self._sent_at - self._heard_at > PONG_S:
                self.cut()
            await self.views.tick(now)

    # --- frames ---

    async def _send(self, frame):
        if not self._ws:
            raise ConnectionError("not connected")
        self._ref += 1
        self._sent_at = time.monotonic()
        try:
            await self._ws.send(json.dumps({**frame, "ref": self._ref}) + ("\n" if self.protocol == "parley.v1.json" else ""))
        except websockets.WebSocketException as error:
            raise ConnectionError(str(error)) from None
        return self._ref

    async def resume(self, channels):
        try:
            await self._send({"type": "resume", "cursors": self.views.cursors(channels)})
        except ConnectionError:
            pass  # hello will carry the cursors

    async def request(self, frame, timeout=ACK_TIMEOUT_S):
        """Sends a frame and returns the one answer to it; Refused when that is an error."""
        future = asyncio.get_running_loop().create_future()
        ref = self._ref + 1
        self._refs[ref] = future
        try:
            await self._send(frame)
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._refs.pop(ref, None)

    async def _on_frame(self, frame, text):
        for channel, secret in self.secrets.items():
            if secret in text or (channel in text and frame["type"] not in CHECKED and not frame.get("ref")):
                self.note("leak", channel=channel, where=frame["type"], text=text[:200])
        kind = frame["type"]
        if kind == "reconnect":
            self._reconnect_s = frame["afterMs"] / 1000
            self.note("reconnect", after_ms=frame["afterMs"])
        await self.views.on_frame(kind, frame)
        if kind == "ready":
            self.attempts = 0
            self.online.set()
        future = self._refs.get(frame.get("ref", 0))
        if future and not future.done():
            if kind == "error":
                future.set_exception(Refused(frame))
            else:
                future.set_result(frame)

    # --- mutations ---

    async def send(self, channel, content, id=None, attachments=None):
        """attachments: id of a file -> its descriptor."""
        return await self._deliver("send", channel, id, content=content, attachments=attachments)

    async def edit(self, channel, target, content):
        return await self._deliver("edit", channel, target=target, content=content)

    async def delete(self, channel, target):
        return await self._deliver("delete", channel, target=target)

    async def _deliver(self, op, channel, id=None, content="", target=0, attachments=None):
        """Sends a mutation until it is answered for good. Returns the ack, or None when it was refused."""
        id = id or str(uuid.uuid4())
        self.note("intend", id=id, channel=channel, op=op, content=content, target=target, attachments=attachments or {})
        self.pending += 1
        first, frame = None, frame_of(op, channel, id, content, target, attachments)
        try:
            while True:
                await self.online.wait()
                if first is not None:
                    frame.update(retry=True, retryAgeMs=int((time.monotonic() - first) * 1000) + 1)
                first = first or time.monotonic()
                try:
                    return await self.attempt(frame, id)
                except Refused as error:
                    if error.code not in AGAIN:
                        self.note("refused", id=id, channel=channel, code=error.code)
                        return None
                    await asyncio.sleep(max(error.retry_ms, 50) / 1000)  # the server's own hint
                except (ConnectionError, asyncio.TimeoutError):
                    await asyncio.sleep(0.05)  # `online` tells when there is a connection again
        except asyncio.CancelledError:
            self.note("unanswered", id=id, channel=channel, op=op)
            raise
        finally:
            self.pending -= 1

    async def attempt(self, frame, id):
        """One try: notes what leaves and what is answered."""
        self.note("sent", id=id, channel=frame["channelId"], retry=frame.get("retry", False))
        ack = await self.request(frame)
        self.note("ack", id=ack.get("id"), asked=id, channel=frame["channelId"], seq=ack.get("seq"), createdAt=ack.get("createdAt"),
                  duplicate=ack.get("duplicate"))
        return ack

    async def again(self, intention):
        """Sends something again that was acked long ago."""
        frame = frame_of(intention.op, intention.channel, intention.id, intention.content, intention.target, intention.attachments)
        return await self.attempt({**frame, "retry": True, "retryAgeMs": 0}, intention.id)

    async def until(self, condition, timeout, what):
        deadline = time.monotonic() + timeout
        while not condition():
            if self.error:
                raise RuntimeError(f"{self.name} has ended: {self.error}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: not within {timeout} s: {what}")
            self.changed.clear()
            try:
                async with asyncio.timeout(0.25):
                    await self.changed.wait()
            except asyncio.TimeoutError:
                pass


def frame_of(op, channel, id, content, target, attachments=None):
    if op == "send":
        files = {"attachments": list(attachments.values())} if attachments else {}
        return {"type": "send", "channelId": channel, "message": {"id": id, "content": content, **files}}
    frame = {"type": op, "channelId": channel, "id": id, "targetSeq": target}
    return {**frame, "content": content} if op == "edit" else frame
