"""Everybody writes in one channel that all have in focus: how many updates each reader gets, and how many messages that is on NATS.

They begin and stop in turn all the time, faster than anybody may be told of it."""

import asyncio
import time

from support.client import Client

CHANGES_A_SECOND = 100   # somebody begins, or stops: each of 200 begins every 4 s, which gateways take every 3 s


class Reader(Client):
    """Keeps when it was told."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.told = []

    async def _on_frame(self, frame):
        if frame["type"] == "typing":
            self.told.append(time.monotonic())
        await super()._on_frame(frame)

    def rate(self):
        """Updates a second: from the first to the last."""
        return (len(self.told) - 1) / (self.told[-1] - self.told[0]) if len(self.told) > 1 else 0


async def write_in_turn(readers, channel, seconds):
    """Open loop: at fixed times, whoever is next."""
    began, n = time.monotonic(), 0
    while (due := began + n / CHANGES_A_SECOND) < began + seconds:
        await asyncio.sleep(max(0, due - time.monotonic()))
        turn, who = divmod(n, len(readers))
        await readers[who].raw('{"type":"typing","channelId":"%s","stopped":%s}' % (channel, "true" if turn % 2 else "false"))
        n += 1
    return n


async def all_write(stack, clients, channel, seconds):
    """(updates a second to the reader with most, updates to all, changes, messages on NATS)"""
    readers = [Reader(stack, c.user) for c in clients]
    said = stack.metric("gateway", "parley_gateway_typing_published_total")
    try:
        await asyncio.gather(*(r.connect() for r in readers))
        for r in readers:
            await r.request({"type": "focus", "channelIds": [channel]})
        changes = await write_in_turn(readers, channel, seconds)
        await asyncio.sleep(1)  # what was collected last is told within it
    finally:
        await asyncio.gather(*(r.close() for r in readers))
    silent = [r.user for r in readers if not r.told]
    assert not silent, f"{len(silent)} readers were told of nobody who writes"
    return max(r.rate() for r in readers), sum(len(r.told) for r in readers), changes, stack.metric("gateway", "parley_gateway_typing_published_total") - said
