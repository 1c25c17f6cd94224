"""The chain of docs/protocol.md as a client keeps it: a cursor for each channel, breaks, replays, gaps, and reloading by REST."""

import asyncio
import time

import httpx

HELD_MAX = 500
RESUME_S = 10


class View:
    """One channel as one client has it."""

    def __init__(self, state):
        self.epoch = state["epoch"]
        self.start = self.cursor = state["headSeq"]   # the past comes by REST
        self.applied = {}                             # seq -> event
        self.held = {}                                # behind a break
        self.waiting = None                           # since when for a replay or a gap
        self.asked = 0                                # how often in a row
        self.spans = []                               # (after, through) that REST has still to give
        self.member = True

    def whole(self):
        return self.waiting is None and not self.spans and not self.held


class Views(dict):
    def __init__(self, client):
        super().__init__()
        self.client, self._loads = client, set()

    def cursors(self, channels=None):
        return [{"channelId": c, "epoch": self[c].epoch, "seq": self[c].cursor} for c in (self if channels is None else channels)]

    def whole(self, channel, seq):
        view = self.get(channel)
        return view is not None and view.whole() and view.cursor >= seq

    def close(self):
        for task in self._loads:
            task.cancel()

    def describe(self):
        for channel, view in self.items():
            self.client.note("view", channel=channel, start=view.start, cursor=view.cursor, whole=view.whole(), applied=dict(view.applied))

    async def tick(self, now):
        """Neither a replay nor a gap came in time: ask again, more seldom each time."""
        late = [c for c, v in self.items() if v.waiting is not None and now - v.waiting > RESUME_S * (1 + v.asked)]
        for channel in late:
            await self._resume(channel, self[channel])

    async def on_frame(self, kind, frame):
        if kind == "event":
            self.client.note("live", event=frame)
            if frame["channelId"] in self:
                await self._offer(self[frame["channelId"]], frame)
        elif kind == "ready":
            for state in frame["channels"]:
                await self._on_state(state, "ready")
        elif kind == "channelAdded":
            await self._on_state(frame["state"], "added")
        elif kind == "channelRemoved":
            self.client.note("removed", channel=frame["channelId"])
            if frame["channelId"] in self:
                self[frame["channelId"]].member = False
        elif kind == "replay":
            self.client.note("replay", channel=frame["channelId"], start=frame["fromSeq"], through=frame["throughSeq"], events=frame["events"])
            if frame["channelId"] in self:
                await self._on_replay(self[frame["channelId"]], frame)
        elif kind == "gap":
            self.client.note("gap", channel=frame["channelId"], start=frame["fromSeq"], head=frame["headSeq"], reason=frame["reason"])
            if frame["channelId"] in self:
                await self._on_gap(self[frame["channelId"]], frame)

    async def _on_state(self, state, source):
        channel = state["channel"]["id"]
        self.client.note("state", channel=channel, epoch=state["epoch"], head=state["headSeq"], source=source)
        view = self.get(channel)
        if view is None:
            self[channel] = View(state)
            return
        view.member = True
        view.held.clear()
        if view.epoch == state["epoch"] and view.cursor == state["headSeq"]:
            view.waiting = None
        elif source == "ready":
            view.waiting, view.asked = time.monotonic(), 0   # the cursor was in hello
        else:
            await self._resume(channel, view)

    async def _offer(self, view, event):
        seq, prev = event["seq"], event["prev"]
        if seq <= view.cursor:
            return
        if view.waiting is not None:
            if len(view.held) < HELD_MAX:
                view.held[seq] = event
        elif prev > view.cursor or (prev == 0 and view.cursor != 0):
            self.client.note("break", channel=event["channelId"], seq=seq, prev=prev, cursor=view.cursor)
            view.held[seq] = event
            await self._resume(event["channelId"], view)
        else:
            view.applied[seq] = event
            view.cursor = seq

    async def _resume(self, channel, view):
        view.asked = 0 if view.waiting is None else view.asked + 1
        view.waiting = time.monotonic()
        await self.client.resume([channel])

    async def _on_replay(self, view, replay):
        if replay["fromSeq"] > view.cursor:
            await self._resume(replay["channelId"], view)
            return
        for event in replay["events"]:
            if event["seq"] > view.cursor:
                view.applied[event["seq"]] = event
                view.cursor = event["seq"]
        view.cursor, view.epoch = max(view.cursor, replay["throughSeq"]), replay["epoch"]
        if not replay["more"]:
            await self._settle(view)

    async def _on_gap(self, view, gap):
        channel, head = gap["channelId"], gap["headSeq"]
        if gap["reason"] == "cursor_ahead" and head < view.cursor:
            self.client.note("rewind", channel=channel, head=head)
            view.applied = {s: e for s, e in view.applied.items() if s <= head}
        elif head > view.cursor:
            span = (view.cursor, head)
            view.spans.append(span)
            task = asyncio.create_task(self._load(channel, view, span))
            self._loads.add(task)
            task.add_done_callback(self._loads.discard)
        view.cursor, view.epoch = head, gap["epoch"]
        await self._settle(view)

    async def _settle(self, view):
        """Takes what was held as if it came now; a break among it is repaired in turn."""
        view.waiting, held = None, view.held
        view.held = {}
        for seq in sorted(held):
            await self._offer(view, held[seq])

    async def _load(self, channel, view, span):
        """Everything behind span[0] through span[1] by REST, until it is complete."""
        after, pause = span[0], 0.1
        headers = {"Authorization": f"Bearer {self.client.doors.token(self.client.user)}"}
        async with httpx.AsyncClient(base_url=self.client.doors.rest_url, headers=headers, timeout=20) as rest:
            while after < span[1]:
                try:
                    answer = await rest.get(f"/api/channels/{channel}/events", params={"after": after, "limit": 500})
                except httpx.HTTPError:
                    answer = None
                if answer is not None and answer.status_code == 403:
                    break  # not a member any more: nothing is owed
                page = answer.json() if answer is not None and answer.status_code == 200 else None
                if page and page["throughSeq"] > after:
                    self.client.note("page", channel=channel, through=page["throughSeq"], events=page["events"])
                    view.applied.update({e["seq"]: e for e in page["events"] if span[0] < e["seq"] <= span[1]})
                    after, pause = page["throughSeq"], 0.1
                else:
                    await asyncio.sleep(pause)  # backoff: history may be away, or behind the log
                    pause = min(pause * 2, 2)
        view.spans.remove(span)
        self.client.changed.set()
