"""Retries that come when the log has forgotten their ids."""

import asyncio
import uuid

import nats

from checker.clients import Refused, frame_of
from checker.invariants import Violation
from fault import Fault, fault

WINDOW_MS = 2000


async def stream_config(run):
    nc = await nats.connect(run.stack.nats_url)
    try:
        return (await nc.jetstream().stream_info("CHAT_0")).config
    finally:
        await nc.close()


class LateRetry(Fault):
    settings = {"PARLEY_DEDUPE_WINDOW_MS": WINDOW_MS}
    history_away = False

    async def inject(self, run):
        load, (client, *_) = run.load, run.load.members
        channel, self.refused, self.wrong = load.channels[0], 0, []
        acks = [(text, await client.send(channel, text)) for text in (load.text(channel) for _ in range(10))]
        await run.pause(3 * WINDOW_MS / 1000)
        goal = load.last_acked()[channel]
        await client.until(lambda: client.views.whole(channel, goal), 20, "to be up to date")
        log = await stream_config(run)
        assert log.duplicate_window * 1000 == WINDOW_MS, f"the log's window for equal ids is {log.duplicate_window} s"
        if self.history_away:
            await run.thread(run.stack.kill, "history")
        if not self.history_away:
            run.mends_itself()
        for age in (3 * WINDOW_MS + 1000, 0):
            for text, ack in acks:
                await self.retry(run, client, channel, ack["id"], text, age, ack["seq"])
        self.unknown = str(uuid.uuid4()), load.text(channel)
        run.record.add(client.name, client.conn, "intend", id=self.unknown[0], channel=channel, op="send", content=self.unknown[1], target=0, attachments={})
        await self.retry(run, client, channel, *self.unknown, 3 * WINDOW_MS, None)
        self.show(run, 2 * len(acks) + 1)

    async def retry(self, run, client, channel, id, text, age, expected):
        """What was stored must be answered as then, or not at all for now."""
        frame = {**frame_of("send", channel, id, text, 0), "retry": True, "retryAgeMs": age}
        for _ in range(50):
            try:
                ack = await client.attempt(frame, id)
            except Refused as error:
                if error.code != "unavailable":
                    self.wrong.append(f"a late retry was answered {error.code}")
                    return
                self.refused += 1
                if self.history_away:
                    return
                await asyncio.sleep(max(error.retry_ms, 50) / 1000)  # the server's own hint: history lags a little
                continue
            if expected is None and ack["duplicate"] or expected is not None and (ack["seq"] != expected or not ack["duplicate"]):
                self.wrong.append(f"{id} was acked as {ack['seq']} (duplicate: {ack['duplicate']}), {expected} was expected")
            return
        self.wrong.append(f"{id} was never answered but with unavailable")

    async def verify(self, run):
        return [Violation("I", what) for what in self.wrong]


@fault
class AfterTheWindow(LateRetry):
    name, about, quick = "retry-after-window", f"messages of long ago are sent again behind the log's window for equal ids ({WINDOW_MS} ms)", True

    def show(self, run, n):
        run.show(f"{n} retries came {3 * WINDOW_MS} ms after the first or later; the window is {WINDOW_MS} ms")


@fault
class AfterTheWindowWithoutHistory(LateRetry):
    name, about = "retry-without-history", "the same while history is away: unavailable, and never guessed"
    history_away = True

    def show(self, run, n):
        if self.refused != n:
            self.wrong.append(f"{n - self.refused} of {n} late retries were answered while nobody could know")
        run.show(f"history was killed; {self.refused} of {n} late retries were answered unavailable")

    async def heal(self, run):
        await run.thread(run.stack.start, "history")

    async def clean(self, run):
        await run.thread(run.stack.start, "history")
