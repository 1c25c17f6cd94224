"""People who come and go, watchers who are told so by `presence`, and readers who have the channel of all of them in focus and are told by
`channelPresence` and what follows it: what each of these sees, against the sockets that are open."""

import asyncio
import json
import time

import websockets

from .invariants import Violation

THERE = ("online", "away", "dnd")
CHURN_S = 0.25        # between two who come or go
STABLE_S = 3          # what is right has to stay so
STEADY = 4            # of the people: every other one comes at the start and stays, the others do not come of themselves
MODES = {0: "dnd", 2: "invisible"}   # what some of these say of themselves
IDLE_S = 10           # between two times that somebody leaves his device or is back: oftener, others are told later
BACK_S = 0.3          # until somebody who lost his connection is back


class Person:
    """A user with one socket, or none. `wanted` is what he does; `open` is what his socket is: authenticated, and not closed."""

    def __init__(self, doors, user, first_url=0, watches=(), mode=None):
        self.doors, self.user, self.watches = doors, user, list(watches)
        self.focus = None         # a channel: a reader
        self.urls = doors.ws_urls[first_url:] + doors.ws_urls[:first_url]
        self.wanted, self.open, self.url = False, False, None
        self.opened = None        # since when, by time.monotonic
        self.mode, self.said = mode, False   # dnd or invisible, and that he has said so
        self.idle, self.turned = False, 0    # as his device says, since when
        self.member = True        # of the channel that readers have in focus
        self.writers = set()      # whom a reader sees writing there
        self.barred = set()       # of whom he may not be told any more but that they are hidden
        self.pong = asyncio.Event()
        self.seen = None          # user -> availability, None: hidden; before a snapshot there is nothing
        self.strange = []         # frames that docs/protocol.md rules out
        self.on_seen = lambda person: None   # after each frame that shows who is there
        self._task, self._ws = None, None

    def come(self, first_url=None):
        if first_url is not None:
            self.urls = self.doors.ws_urls[first_url:] + self.doors.ws_urls[:first_url]
        self.wanted = True
        self._task = self._task or asyncio.create_task(self._run())

    async def go(self, cut):
        """With a close frame, or as a network does it."""
        self.wanted = False
        task, self._task = self._task, None
        if cut and self._ws:
            self._ws.transport.abort()
        elif self._ws:
            await self._ws.close()
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def shown(self):
        """What others are to see."""
        if self.mode == "invisible" or not self.open:
            return "offline"
        return self.mode or ("away" if self.idle else "online")

    async def turn_away(self):
        """From his device, or back to it."""
        try:
            await self._say("idle", idle=not self.idle)
            self.idle, self.turned = not self.idle, time.monotonic()
        except websockets.WebSocketException:
            pass  # the next session begins at his device

    async def write(self):
        await self._say("typing", channelId=self.focus)

    async def bar(self, user, bound_s):
        """The gateway knows that this one has left: of him comes nothing behind what is on its way now."""
        self.pong.clear()
        try:
            if self._ws:
                await self._say("ping")
                await asyncio.wait_for(self.pong.wait(), bound_s)
        except websockets.WebSocketException:
            pass  # lost, with all that was on its way
        self.barred.add(user)

    async def _run(self):
        while True:
            try:
                await self._session(self.urls[0])
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
                pass
            self.urls = self.urls[1:] + self.urls[:1]
            await asyncio.sleep(BACK_S)  # his backoff

    async def _session(self, url):
        try:
            async with websockets.connect(url, max_size=None, open_timeout=3, close_timeout=1, ping_interval=None, compression=None) as ws:
                self._ws, self.url = ws, url
                await self._say("hello", token=self.doors.token(self.user), client="checker")
                async for data in ws:
                    await self._on_frame(json.loads(data))
        finally:
            self._ws, self.url, self.open, self.seen = None, None, False, None

    async def _say(self, kind, **fields):
        await self._ws.send(json.dumps({"type": kind, "ref": 1, **fields}))

    async def _on_frame(self, frame):
        if frame["type"] == "ready":
            self.open, self.opened, self.idle = True, time.monotonic(), False
            if self.mode and not self.said:
                self.said = True
                await self._say("status", mode=self.mode)
            if self.watches:
                await self._say("watch", userIds=self.watches)
            if self.focus:
                await self._say("focus", channelIds=[self.focus])
        elif frame["type"] == "error" and (self.open or frame["code"] != "unavailable"):   # else he is to come again: memberships cannot be read
            self.strange.append(frame)
        elif frame["type"] == "presence":
            self._told(frame)
            self.on_seen(self)
        elif frame["type"] == "channelPresence":
            self._listed(frame)
            self.on_seen(self)
        elif frame["type"] == "typing":
            self.writers = set(frame["userIds"])
        elif frame["type"] == "pong":
            self.pong.set()

    def _listed(self, frame):
        """All members who are not offline; who is not named is."""
        if frame["channelId"] != self.focus or frame["counted"] or frame["online"] != len(frame["users"]):
            self.strange.append(frame)
        self._check_barred(frame)
        self.seen = {u["userId"]: u["availability"] for u in frame["users"]}

    def _check_barred(self, frame):
        if self.barred & {u["userId"] for u in frame["users"]}:
            self.strange.append(f"{frame}, of one who has left")

    def _told(self, frame):
        self._check_barred(frame)
        if frame["snapshot"] and not self.focus:
            self.seen = {}
        elif self.seen is None:
            self.strange.append(frame)
            return
        self.seen.update({u["userId"]: u["availability"] for u in frame["users"]})
        self.seen.update({u: None for u in frame["hiddenUserIds"]})


def wrong(seen, there, listed=False):
    """Where a view departs from who is there (user -> bool, or availability, None: hidden): [(user, seen, is there)]. listed: who is in no list is offline."""
    seen = {**(dict.fromkeys(there, "offline") if listed and seen is not None else {}), **(seen or {})}
    return [(user, seen.get(user, "untold"), is_there) for user, is_there in there.items()
            if user not in seen or ((seen[user] in THERE) != is_there if isinstance(is_there, bool) else seen[user] != is_there)]


class Crowd:
    """Watchers and readers, who stay, spread over the gateways; and people who come and go."""

    def __init__(self, doors, run, random, people=16, watchers=4, readers=2):
        self.random, self.n, self.turns = random, len(doors.ws_urls), 0
        self.people = [Person(doors, f"here{i}-{run}", mode=MODES.get(i)) for i in range(people)]
        self.leaver, self.joiner = self.people[-2:]   # see regrouped; they share no other channel with anybody
        self.joiner.member = False
        names = [p.user for p in self.people]
        self.watchers = [Person(doors, f"watcher{i}-{run}", i % self.n, names) for i in range(watchers)]
        self.readers = [Person(doors, f"reader{i}-{run}", i % self.n) for i in range(readers)]
        self._churn, self.frozen_s = None, None
        for person in self.watchers + self.readers:
            person.on_seen = self._judge

    @property
    def all(self):
        return self.watchers + self.readers + self.people

    @property
    def members(self):
        return [p.user for p in self.all if p.member]

    def regrouped(self):
        """One has been removed from the channel of all, and another one is a member now. Both are there, so that it shows."""
        self.leaver.member, self.joiner.member = False, True
        for person in self.leaver, self.joiner:
            person.come()

    async def bar_leaver(self, bound_s):
        """Both gateways have it from the channel's log that he was removed."""
        await asyncio.gather(*(p.bar(self.leaver.user, bound_s) for p in self.watchers + self.readers))

    async def start(self, channel):
        """channel: all are in it."""
        for i, reader in enumerate(self.readers):
            reader.focus = channel
            reader.come(i % self.n)
        for i, person in enumerate([*self.watchers, *self.people[::2]]):
            person.come(i % self.n)
        found = await self.settled(20)
        if isinstance(found, list):
            raise RuntimeError(f"the views were wrong before anything broke: {found[:3]}")
        self._churn = asyncio.create_task(self._come_and_go())

    async def _come_and_go(self):
        while True:
            person = self.random.choice(self.people[STEADY:])
            if person.open and time.monotonic() - person.turned > IDLE_S and self.random.random() < 0.3:
                await person.turn_away()
            elif person.wanted:
                await person.go(self.random.random() < 0.5)
            else:
                person.come(self.random.randrange(self.n))
            self.turns += 1
            await asyncio.sleep(CHURN_S)  # their pace

    def freeze(self):
        """From here on presence may be late, but not wrong of those who stayed from the start, and go on to: there are some."""
        self.frozen_s = time.monotonic()
        assert any(p.open for p in self.people[:STEADY])

    def _judge(self, viewer):
        if self.frozen_s is None or viewer.seen is None:
            return
        there = {p.user: p.shown for p in self.people[:STEADY] if p.open and p.opened < self.frozen_s}
        shown = [f"{user} as {seen}" for user, seen, _ in wrong(viewer.seen, there, bool(viewer.focus))]
        if shown:
            viewer.strange.append(f"{', '.join(shown)}, who were there all the time, and as they said")

    async def still(self):
        """From here on nobody comes or goes of himself."""
        if self._churn:
            self._churn.cancel()
            await asyncio.gather(self._churn, return_exceptions=True)
            self._churn = None

    def wrong(self):
        """[(watcher or reader, what is wrong there)], also whose socket is not what it is meant to be."""
        there = {p.user: p.shown if p.member else None for p in self.people}
        inside = {p.user: p.shown if p.member else "offline" for p in self.people}
        found = [(p.user, wrong(p.seen, inside if p.focus else there, bool(p.focus))) for p in self.watchers + self.readers]
        return [(user, what) for user, what in found if what] + [(p.user, "no socket") for p in self.people if p.wanted and not p.open]

    async def settled(self, bound_s):
        """Seconds until all views are right and stay so for STABLE_S, or what was wrong at the end of the bound."""
        began, right = time.monotonic(), None
        while True:
            now, found = time.monotonic(), self.wrong()
            right = (right or now) if not found else None
            if right and now - right >= STABLE_S:
                return right - began
            if not right and now - began > bound_s:
                return found
            await asyncio.sleep(0.05)  # a poll with a deadline

    async def one_writes(self, bound_s):
        """A reader writes; whether the other one, at another gateway where there are two, is told so within the bound."""
        writer, reader = self.readers[:2]
        await writer.write()
        end = time.monotonic() + bound_s
        while writer.user not in reader.writers and time.monotonic() < end:
            await asyncio.sleep(0.05)  # a poll with a deadline
        return writer.user in reader.writers

    async def close(self):
        await self.still()
        await asyncio.gather(*(p.go(True) for p in self.all))


def check_seen(found, bound_s, crowd):
    """S, from what `settled` returned."""
    violations = [Violation("S", f"{p.user} was sent {f}") for p in crowd.all for f in p.strange[:3]]
    if isinstance(found, list):
        violations += [Violation("S", f"{bound_s} s after the fault {user}: {what}") for user, what in found]
    return violations
