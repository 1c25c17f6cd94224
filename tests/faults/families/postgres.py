"""Postgres away for long, slow, failing at commits, and begun anew with an empty disk."""

import asyncio
import json
import re
import time

from families.nats import stream_info
from fault import Fault, fault
from inject import postgres

# What the checker says of something that neither the log nor the database has any more: no other letter, and no other words
NOWHERE = {"L": r"acked to \S+ as (\S+) \(\S+\), and not in history",
           "O": r"\S+ has (\S+) \(\w+ \S* of \S*\), and history has nothing there",
           "I": r"\S+ was acked to \S+ as (\S+), where history has nothing"}
# And of what the log was trimmed of: the checker knows its events, as they were before, and nobody has its pages
TRIMMED_OFF = {"L": r"(\S+) \(message \S+ of \S+\) is an event, and on no page of messages",
               "P": r"history's events still have the content of (\S+), which was deleted"}
# And of a request whose target it was trimmed of: the log may still know its id, and nobody when it was
ABOUT_IT = {"I": r"\S+ was answered not_found for (\S+), which had been acked",
            "V": r"the \w+ (\S+) of \S+ in \S+ was given up without an answer"}
BEGINS = "the database is empty and the log does not reach back to its beginning"


class PostgresFault(Fault):
    bound_s = 30

    async def chat_goes_on(self, run, seconds, at_least):
        """G6: messages are acked as ever for so long."""
        before, end = len(run.load.acked()), time.monotonic() + seconds
        await run.pause(max(0, end - time.monotonic()))
        acked = len(run.load.acked()) - before
        assert acked >= at_least, f"{acked} messages were acked in {seconds} s, not {at_least}"
        return acked


@fault
class Away(PostgresFault):
    name = "postgres-away-60s"
    about = "Postgres is stopped for 60 s; chat goes on, history says that it cannot answer"

    async def inject(self, run):
        await run.thread(run.stack.stop, "postgres")
        with run.stack.rest(run.load.owner) as rest:
            answer = await run.thread(rest.get, f"/api/channels/{run.load.channels[0]}/messages")
        assert answer.status_code == 503, f"{answer.status_code} without Postgres"
        # edits and deletions need history for what is not in JetStream or the tail; sends do not
        acked = await self.chat_goes_on(run, 60, 60 * self.rate * 0.7)
        assert not run.stack.alive("postgres")
        run.show(f"Postgres was gone for 60 s: history answered 503, {acked} mutations were acked meanwhile")

    async def heal(self, run):
        await run.thread(run.stack.start, "postgres")

    async def clean(self, run):
        await run.thread(run.stack.start, "postgres")


class Hindered(PostgresFault):
    lasts_s = 20

    async def heal(self, run):
        await run.thread(postgres.unhinder, run.stack)

    async def clean(self, run):
        await run.thread(postgres.unhinder, run.stack)


@fault
class Slow(Hindered):
    name = "postgres-slow-commit"
    about = "each commit of Postgres takes 500 ms, for 20 s"

    async def inject(self, run):
        await run.thread(postgres.slow_commits, run.stack, 0.5)
        acked = await self.chat_goes_on(run, self.lasts_s, self.lasts_s * self.rate * 0.7)
        met = await run.thread(postgres.hindered, run.stack)
        assert met >= 10, f"{met} commits were slow"
        run.show(f"{met} commits took 500 ms more; {acked} mutations were acked meanwhile")


@fault
class FailingCommit(Hindered):
    name = "postgres-failing-commit"
    about = "a third of all transactions that change something fail at their commit, for 20 s"

    async def inject(self, run):
        await run.thread(postgres.failing_commits, run.stack, 0.33)
        acked = await self.chat_goes_on(run, self.lasts_s, self.lasts_s * self.rate * 0.7)
        met = await run.thread(postgres.hindered, run.stack)
        assert met >= 10, f"{met} commits failed"
        run.show(f"{met} commits failed; {acked} mutations were acked meanwhile")


@fault
class Empty(PostgresFault):
    name = "postgres-empty-disk"
    about = "Postgres is killed, its disk is lost, and it begins anew: all but deleted messages comes back from the log"
    bound_s = 40
    shares_stack = False

    async def prepare(self, run):
        self.members = await run.thread(members, run)

    async def inject(self, run):
        await run.thread(postgres.wipe, run.stack)
        acked = await self.chat_goes_on(run, 3, 3 * self.rate * 0.5)
        run.show(f"the data of Postgres was removed; {acked} mutations were acked without it")

    async def heal(self, run):
        await run.thread(run.stack.start, "postgres")
        with run.stack.postgres() as pg:
            rows = pg.execute("SELECT count(*) FROM pg_class WHERE relname = 'events'").fetchone()[0]
        run.show(f"Postgres runs again, with {'an empty database' if rows == 0 else 'a schema that history has made already'}")

    async def clean(self, run):
        await run.thread(run.stack.start, "postgres")

    def excuses(self, run, violation):
        """A message that was deleted is no more in the log, nor are its edits: who and when it was went with the database. Its deletion is there."""
        deleted = {f"{e.channel}/{e.target}" for e in run.record.of("intend") if e.op == "delete"}
        edits = {(e.channel, e.id) for e in run.record.of("intend") if e.op == "edit" and f"{e.channel}/{e.target}" in deleted}
        deleted |= {f"{e.channel}/{e.seq}" for e in run.record.of("ack") if (e.channel, e.asked) in edits}
        return named(NOWHERE, violation) in deleted

    async def verify(self, run):
        after = await run.thread(members, run)
        return [] if after == self.members else [("L", f"the members were {self.members}, and are {after}")]


@fault
class EmptyAndTrimmed(Empty):
    name = "postgres-empty-trimmed"
    about = "the same behind a log that was trimmed: history comes back as far as it reaches, is whole from there on, and says where it begins"
    settings = {"PARLEY_LOG_KEEP_S": 10}
    TRIMMED = 100

    async def inject(self, run):
        """What the log has lost is read while history has it: with what comes back it has to be the whole."""
        async with asyncio.timeout(60):
            while (await stream_info(run))[1] <= self.TRIMMED:
                await asyncio.sleep(0.1)  # a poll with a deadline
        await run.load.stop()
        for channel, seq in run.load.last_acked().items():
            await run.thread(run.stack.wait_ingested, run.load.owner, channel, seq, 30)
        self.known = {channel: await run.load.history.events(channel) for channel in run.load.channels}
        end = (await stream_info(run))[2]
        await run.thread(run.stack.kill, "history")  # it would go on trimming
        self.reach = (await stream_info(run))[1]
        assert self.TRIMMED < self.reach <= end + 1, f"the log begins at {self.reach}, and was read through {end}"
        run.load.start()
        await super().inject(run)

    async def heal(self, run):
        await super().heal(run)
        await run.thread(run.stack.start, "history")

    async def clean(self, run):
        await super().clean(run)
        await run.thread(run.stack.start, "history")

    def history(self, run, history):
        """With what was read before, for what is below the reach: who was a member stands there, and what else was acked."""
        lost = back = 0
        self.first = {channel: min((e["seq"] for e in kept["events"]), default=0) for channel, kept in history.items()}
        for channel, kept in history.items():
            old = [e for e in self.known[channel] if e["seq"] < self.reach]
            lost, back = lost + len(old), back + len(kept["events"])
            kept["events"] = old + kept["events"]
        run.show(f"the log began at {self.reach}: {lost} events below it are lost, {back} are in history")
        return history

    def excuses(self, run, violation):
        begins = [f"history's chain of {channel} breaks at {seq}: 0 is named " for channel, seq in self.first.items()]
        if violation.invariant == "O" and violation.what.startswith(tuple(begins)):
            return True  # the first that there is follows nothing
        about = {e.id for e in run.record.of("intend") if 0 < e.target < self.reach} | {e.asked for e in run.load.acked() if (e.seq or 0) < self.reach}
        place = named(TRIMMED_OFF, violation)
        below = place and int(place.rsplit("/", 1)[1]) < self.reach
        return below or named(ABOUT_IT, violation) in about or super().excuses(run, violation)

    async def verify(self, run):
        """How far it reaches is said to whoever operates it; who reads finds a channel that begins there, with no page before it."""
        said = [x for x in run.stack.log_texts()["history.log"].splitlines() if BEGINS in x]
        found = await super().verify(run)
        if not any(json.loads(line)["first_seq"] == self.reach for line in said):
            found.append(("L", f"history said {said} of a log that begins at {self.reach}"))
        for channel in run.load.channels:
            events, pages = await run.load.history.events(channel), await run.load.history.messages(channel)
            if not events or events[0]["seq"] < self.reach or events[0]["prev"] != 0 or any(m["seq"] < self.reach for m in pages):
                first = {k: events[0][k] for k in ("seq", "prev")} if events else None
                found.append(("P", f"{channel} begins at {first}, and the log at {self.reach}"))
        return found


def named(said, violation):
    """What a violation is about, if its letter and all its words are those of `said`."""
    match = re.fullmatch(said.get(violation.invariant, "(?!)"), violation.what)
    return match and match[1]


def members(run):
    """Of each channel, as its owner is told."""
    found = {}
    with run.stack.rest(run.load.owner) as rest:
        for channel in run.load.channels:
            answer = rest.get(f"/api/channels/{channel}/members", params={"limit": 100})
            assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
            found[channel] = sorted((m["userId"], m["role"]) for m in answer.json()["members"])
    return found
