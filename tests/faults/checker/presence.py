"""People who come and go, and watchers who are told so: what each watcher sees by its `presence` frames against the sockets that are open."""

import asyncio
import json
import time

import websockets

from .invariants import Violation

THERE = ("online", "away", "dnd")
CHURN_S = 0.25        # between two who come or go
STABLE_S = 3          # what is right has to stay so
BACK_S = 0.3          # until somebody who lost his connection is back


class Person:
    """A user with one socket, or none. `wanted` is what he does; `open` is what his socket is: authenticated, and not closed."""

    def __init__(self, doors, user, first_url=0, watches=()):
        self.doors, self.user, self.watches = doors, user, list(watches)
        self.urls = doors.ws_urls[first_url:] + doors.ws_urls[:first_url]
        self.wanted, self.open, self.url = False, False, None
        self.seen = None          # user -> availability, None: hidden; before a snapshot there is nothing
        self.strange = []         # frames that docs/protocol.md rules out
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
            self.open = True
            if self.watches:
                await self._say("watch", userIds=self.watches)
        elif frame["type"] == "error":
            self.strange.append(frame)
        elif frame["type"] == "presence":
            self._told(frame)

    def _told(self, frame):
        if frame["snapshot"]:
            self.seen = {}
        elif self.seen is None:
            self.strange.append(frame)
            return
        self.seen.update({u["userId"]: u["availability"] for u in frame["users"]})
        self.seen.update({u: None for u in frame["hiddenUserIds"]})


def wrong(seen, there):
    """Where a watcher's view departs from who is there (user -> bool): [(user, seen, is there)]."""
    seen = seen or {}
    return [(user, seen.get(user, "untold"), is_there) for user, is_there in there.items() if (seen.get(user) in THERE) != is_there or user not in seen]


class Crowd:
    """Watchers, who stay, spread over the gateways; and people who come and go."""

    def __init__(self, doors, run, random, people=16, watchers=4):
        self.random, self.n, self.turns = random, len(doors.ws_urls), 0
        self.people = [Person(doors, f"here{i}-{run}") for i in range(people)]
        names = [p.user for p in self.people]
        self.watchers = [Person(doors, f"watcher{i}-{run}", i % self.n, names) for i in range(watchers)]
        self._churn = None

    @property
    def users(self):
        return [p.user for p in self.watchers + self.people]

    async def start(self):
        for i, person in enumerate([*self.watchers, *self.people[::2]]):
            person.come(i % self.n)
        found = await self.settled(20)
        if isinstance(found, list):
            raise RuntimeError(f"the views were wrong before anything broke: {found[:3]}")
        self._churn = asyncio.create_task(self._come_and_go())

    async def _come_and_go(self):
        while True:
            person = self.random.choice(self.people)
            if person.wanted:
                await person.go(self.random.random() < 0.5)
            else:
                person.come(self.random.randrange(self.n))
            self.turns += 1
            await asyncio.sleep(CHURN_S)  # their pace

    async def still(self):
        """From here on nobody comes or goes of himself."""
        if self._churn:
            self._churn.cancel()
            await asyncio.gather(self._churn, return_exceptions=True)
            self._churn = None

    def wrong(self):
        """[(watcher, what is wrong there)], also whose socket is not what it is meant to be."""
        there = {p.user: p.open for p in self.people}
        found = [(w.user, wrong(w.seen, there)) for w in self.watchers]
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

    async def close(self):
        await self.still()
        await asyncio.gather(*(p.go(True) for p in self.watchers + self.people))


def check_seen(found, bound_s, crowd):
    """S, from what `settled` returned."""
    violations = [Violation("S", f"{p.user} was sent {f}") for p in crowd.watchers + crowd.people for f in p.strange[:3]]
    if isinstance(found, list):
        violations += [Violation("S", f"{bound_s} s after the fault {user}: {what}") for user, what in found]
    return violations
