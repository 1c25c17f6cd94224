"""Postgres away for long, slow, failing at commits, and begun anew with an empty disk."""

import time

from fault import Fault, fault
from inject import postgres


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

    async def inject(self, run):
        self.members = await run.thread(members, run)
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
        return any(place.rstrip(",") in deleted for place in violation.what.split())

    async def verify(self, run):
        after = await run.thread(members, run)
        return [] if after == self.members else [("L", f"the members were {self.members}, and are {after}")]


def members(run):
    """Of each channel, as its owner is told."""
    found = {}
    with run.stack.rest(run.load.owner) as rest:
        for channel in run.load.channels:
            answer = rest.get(f"/api/channels/{channel}/members", params={"limit": 100})
            assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
            found[channel] = sorted((m["userId"], m["role"]) for m in answer.json()["members"])
    return found
