"""Watchers spread over all rooms: when each of them sees everybody of his room, and so the last of them."""

import asyncio
import statistics
import time

from support.client import Client


class Eye(Client):
    """Watches the others of a room."""

    def __init__(self, stack, user, room):
        super().__init__(stack, user)
        self.room, self.there, self.whole_at = set(room) - {user}, set(), None

    async def _on_frame(self, frame):
        if frame["type"] == "presence":
            shown = {u["userId"]: u["availability"] == "online" for u in frame["users"]}
            self.there = {u for u in self.there | shown.keys() if shown.get(u, True)}
            if not self.there >= self.room:
                self.whole_at = None
            elif self.whole_at is None:
                self.whole_at = time.monotonic()
        await super()._on_frame(frame)


def eyes(stack, ready, most):
    """One in each of so many rooms, spread over the plan."""
    rooms = {}
    for c in ready:
        rooms.setdefault(c.rooms, []).append(c.user)
    several = [r for r in rooms.values() if len(r) > 1][:most]
    return [Eye(stack, room[k * len(room) // len(several)], room) for k, room in enumerate(several)]


async def all_see(watchers, come, seconds):
    """What come() returns, and how long after it the median and the last of the watchers saw all of his room."""
    try:
        await asyncio.gather(*(e.connect() for e in watchers))
        for e in watchers:
            await e.request({"type": "watch", "userIds": sorted(e.room)})
        came = await asyncio.to_thread(come)
        began = time.monotonic()
        while blind := [e.user for e in watchers if e.whole_at is None]:
            assert time.monotonic() < began + seconds, f"{len(blind)} of {len(watchers)} watchers do not see all of their room after {seconds} s, such as {blind[0]}"
            await asyncio.sleep(0.02)  # a poll with an end
    finally:
        await asyncio.gather(*(e.close() for e in watchers))
    after = [max(0, e.whole_at - began) for e in watchers]
    return came, statistics.median(after), max(after)
