"""A client of Parley's own protocol for tests: it knows docs/protocol.md and nothing of the servers' code.

It records what it intended, what was acked and what it saw, checks the chain of every channel by (seq, prev), repairs breaks as a
client should, and reconnects by itself when told to."""

import asyncio
import json
import time
import uuid

import httpx
import websockets


class ProtocolViolation(AssertionError):
    pass


class Refused(Exception):
    """The server answered a frame with an error."""

    def __init__(self, frame):
        super().__init__(f"{frame['code']}: {frame['message']}")
        self.code, self.message, self.retry_ms = frame["code"], frame["message"], frame["retryMs"]


class Channel:
    """One client's view of one channel: a chain of events."""

    def __init__(self):
        self.epoch = 0
        self.cursor = None      # None: begins with the first head it is told
        self.start = 0          # the cursor it began with
        self.events = []        # applied, in order
        self.held = {}          # seq -> event, behind a break
        self.repairing = False
        self.breaks = 0
        self.duplicates = 0
        self.gaps = 0
        self.live = True        # False after channelRemoved


class Client:
    def __init__(self, stack, user, url=None, protocol="parley.v1.json", token=None, reconnect=False, from_start=False, hello=None, ssl=None):
        self.stack, self.user = stack, user
        self.urls = url if isinstance(url, list) else [url or stack.ws_url]  # several: one after the other
        self.connected_to = None
        self.protocol = protocol
        self.token = token
        self.reconnect = reconnect
        self.from_start = from_start   # begin each channel at cursor 0: see everything
        self.hello_extra = hello or {}
        self.ssl = {"ssl": ssl} if ssl else {}  # the context of wss://
        self.channels = {}
        self.frames = []               # all frames that are no events
        self.acks = {}                 # message id -> ack
        self.intended = {}             # message id -> (channel, content)
        self.ready = None
        self.close_code = None
        self.online = asyncio.Event()
        self.changed = asyncio.Condition()
        self._refs = {}
        self._ref = 0
        self._task = None
        self._ws = None
        self._stopping = False
        self.connections = self.attempts = 0

    # --- life ---

    async def __aenter__(self):
        await self.connect()
        return self

    async def __aexit__(self, *exc):
        await self.close()

    async def connect(self, timeout=20):
        self._task = asyncio.create_task(self._run())
        online = asyncio.create_task(self.online.wait())
        done, _ = await asyncio.wait({self._task, online}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self._task in done:
            online.cancel()
            self._task.result()
            raise ConnectionError(f"closed with {self.close_code}: {self.frames[-1:]}")
        if not done:
            online.cancel()
            raise AssertionError(f"{self.user} is not ready within {timeout} s")
        return self

    async def close(self):
        self._stopping = True
        if self._ws:
            await self._ws.close()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def drop(self):
        """Cuts the connection without a close frame, as a network does."""
        if self._ws:
            self._ws.transport.abort()

    async def _run(self):
        while not self._stopping:
            try:
                await self._session()
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
                pass
            self.online.clear()
            self._fail_refs()
            if not self.reconnect:
                return
            await asyncio.sleep(0.1)  # backoff of this test client

    def _fail_refs(self):
        for future in self._refs.values():
            if not future.done():
                future.set_exception(ConnectionError("closed"))
        self._refs.clear()

    async def _session(self):
        url = self.urls[self.attempts % len(self.urls)]
        self.attempts += 1
        async with websockets.connect(url, subprotocols=[self.protocol] if self.protocol else None, max_size=None,
                                      open_timeout=5, close_timeout=2, ping_interval=None, compression=None, **self.ssl) as ws:
            self._ws = ws
            self.connected_to = url
            self.connections += 1
            hello = {"type": "hello", "ref": 0, "token": self.token or self.stack.token(self.user), "client": "tests",
                     "cursors": [{"channelId": c, "epoch": v.epoch, "seq": v.cursor} for c, v in self.channels.items()
                                 if v.cursor is not None], **self.hello_extra}
            self._ref += 1
            hello["ref"] = self._ref
            await ws.send(json.dumps(hello))
            try:
                async for data in ws:
                    await self._on_data(data)
            finally:
                self.close_code = ws.close_code
                self._ws = None
                async with self.changed:
                    self.changed.notify_all()

    # --- what comes in ---

    async def _on_data(self, data):
        for line in data.splitlines():
            if line:
                await self._on_frame(json.loads(line))
        async with self.changed:
            self.changed.notify_all()

    async def _on_frame(self, frame):
        kind = frame["type"]
        if kind == "event":
            await self._on_event(frame)
            return
        self.frames.append(frame)
        if kind == "ready":
            self.ready = frame
            for state in frame["channels"]:
                self._on_state(state)
            # a cursor of 0 cannot be told from none in hello: ask for all from the beginning
            if self.from_start:
                fresh = [c for c, v in self.channels.items() if v.cursor == 0 and v.repairing]
                if fresh:
                    await self._resume(fresh)
            self.online.set()
        elif kind == "replay":
            await self._on_replay(frame)
        elif kind == "gap":
            await self._on_gap(frame)
        elif kind == "channelAdded":
            self._on_state(frame["state"])
            view = self.channels[frame["state"]["channel"]["id"]]
            if view.repairing:
                await self._resume([frame["state"]["channel"]["id"]])
        elif kind == "channelRemoved":
            if frame["channelId"] in self.channels:
                self.channels[frame["channelId"]].live = False
        future = self._refs.pop(frame.get("ref", 0), None) if frame.get("ref") else None
        if future and not future.done():
            if kind == "error":
                future.set_exception(Refused(frame))
            else:
                future.set_result(frame)

    def _on_state(self, state):
        name = state["channel"]["id"]
        view = self.channels.setdefault(name, Channel())
        view.live = True
        if view.cursor is None:
            view.cursor = view.start = 0 if self.from_start else state["headSeq"]
            view.epoch = state["epoch"]
            view.repairing = self.from_start and state["headSeq"] > 0
        elif view.cursor != state["headSeq"] or view.epoch != state["epoch"]:
            view.repairing = True  # a replay or a gap must follow
            view.held.clear()
        else:
            view.repairing = False
        view.epoch = state["epoch"]

    async def _on_event(self, event):
        view = self.channels.get(event["channelId"])
        if view is None:
            raise ProtocolViolation(f"an event of a channel that was never announced: {event}")
        if event["seq"] <= view.cursor:
            view.duplicates += 1
        elif view.repairing:
            view.held[event["seq"]] = event
        elif event["prev"] > view.cursor or (event["prev"] == 0 and view.cursor > 0):
            view.breaks += 1
            view.held[event["seq"]] = event
            await self._resume([event["channelId"]])
        else:
            self._apply(view, event)

    def _apply(self, view, event):
        view.events.append(event)
        view.cursor = event["seq"]

    async def _resume(self, names):
        self._ref += 1
        for name in names:
            self.channels[name].repairing = True
        if self._ws:
            await self._ws.send(json.dumps({"type": "resume", "ref": self._ref, "cursors": [
                {"channelId": n, "epoch": self.channels[n].epoch, "seq": self.channels[n].cursor} for n in names]}))

    async def _on_replay(self, replay):
        view = self.channels[replay["channelId"]]
        for event in replay["events"]:
            if event["seq"] > view.cursor:
                self._apply(view, event)
        if replay["fromSeq"] > view.cursor and replay["throughSeq"] > view.cursor:
            raise ProtocolViolation(f"a replay from {replay['fromSeq']} for a cursor at {view.cursor}")
        view.cursor = max(view.cursor, replay["throughSeq"])
        view.epoch = replay["epoch"]
        if not replay["more"]:
            await self._settle(replay["channelId"], view)

    async def _on_gap(self, gap):
        """Too much is missing for the gateway: reload from history, until it is complete through the head."""
        view = self.channels[gap["channelId"]]
        view.gaps += 1
        asyncio.create_task(self._reload(gap["channelId"], view, gap))

    async def _reload(self, name, view, gap):
        deadline = time.monotonic() + 60
        async with httpx.AsyncClient(base_url=self.stack.base_url, timeout=20,
                                     headers={"Authorization": f"Bearer {self.token or self.stack.token(self.user)}"}) as rest:
            while time.monotonic() < deadline:
                try:
                    answer = await rest.get(f"/api/channels/{name}/events", params={"after": view.cursor, "limit": 500})
                except httpx.HTTPError:
                    answer = None
                if answer is not None and answer.status_code == 200:
                    page = answer.json()
                    for event in page["events"]:
                        if event["seq"] > view.cursor:
                            self._apply(view, event)
                    view.cursor = max(view.cursor, page["throughSeq"])
                    if not page["more"] and view.cursor >= gap["headSeq"]:
                        view.epoch = gap["epoch"]
                        await self._settle(name, view)
                        async with self.changed:
                            self.changed.notify_all()
                        return
                await asyncio.sleep(0.1)  # history may lag behind the log; bounded by the deadline

    async def _settle(self, name, view):
        """Applies what was held during a repair; a break among it is repaired again."""
        view.repairing = False
        held, view.held = [view.held[s] for s in sorted(view.held)], {}
        for event in held:
            await self._on_event(event)

    # --- what goes out ---

    async def request(self, frame, timeout=10):
        """Sends a frame and returns the one answer to it; Refused when it is an error."""
        self.raise_violation()
        if not self._ws:
            raise ConnectionError("not connected")
        self._ref += 1
        ref = self._ref
        future = asyncio.get_running_loop().create_future()
        self._refs[ref] = future
        await self._ws.send(json.dumps({**frame, "ref": ref}))
        return await asyncio.wait_for(future, timeout)

    async def raw(self, data):
        await self._ws.send(data)

    async def send(self, channel, content, id=None, retry=False, **message):
        id = id or str(uuid.uuid4())
        frame = {"type": "send", "channelId": channel, "message": {"id": id, "content": content, **message}}
        if retry:
            frame["retry"] = True
        ack = await self.request(frame)
        assert ack["type"] == "ack" and ack["id"] == id, ack
        return ack

    async def send_until_acked(self, channel, content, timeout=60):
        """Sends under one id until it is acked, as the SDK does; returns the ack, or None when time ran out."""
        id = str(uuid.uuid4())
        self.intended[id] = (channel, content)
        deadline, retry, first = time.monotonic() + timeout, False, None
        while time.monotonic() < deadline:
            try:
                await asyncio.wait_for(self.online.wait(), max(0.01, deadline - time.monotonic()))
                frame = {"type": "send", "channelId": channel, "message": {"id": id, "content": content}}
                if retry:
                    frame["retry"] = True
                    frame["retryAgeMs"] = int((time.monotonic() - first) * 1000) + 1
                first = first or time.monotonic()
                ack = await self.request(frame)
                self.acks[id] = ack
                return ack
            except Refused as error:
                if error.code not in ("unavailable", "rate_limited"):
                    raise
                retry = True
                await asyncio.sleep(max(error.retry_ms, 50) / 1000)  # the server's own hint
            except (ConnectionError, asyncio.TimeoutError, websockets.WebSocketException):
                retry = True
                await asyncio.sleep(0.05)  # until the reconnect, which `online` tells
        return None

    # --- waiting ---

    def raise_violation(self):
        """Whatever ended this client for good, but for a close, is an error of the test's subject: say so and not `not connected`."""
        if self._task and self._task.done() and not self._task.cancelled() and self._task.exception():
            raise self._task.exception()

    async def wait(self, condition, timeout=20, what="condition"):
        def check():
            self.raise_violation()
            return condition()

        async def loop():
            async with self.changed:
                await self.changed.wait_for(check)
        try:
            await asyncio.wait_for(loop(), timeout)
        except asyncio.TimeoutError:
            raise AssertionError(f"{self.user}: not within {timeout} s: {what}") from None

    async def wait_seq(self, channel, seq, timeout=20):
        await self.wait(lambda: channel in self.channels and self.channels[channel].cursor is not None
                        and self.channels[channel].cursor >= seq and not self.channels[channel].repairing,
                        timeout, f"{channel} is known through {seq}")

    def messages(self, channel):
        return [e["message"] for e in self.channels[channel].events if "message" in e]
