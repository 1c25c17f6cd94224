"""nats-server: a gateway that is too slow for it, a log that was deleted, a store that is gone."""

import asyncio
import shutil
import signal
import time

import nats

from fault import Fault, fault
from support.stack import wait_until

LOG = "CHAT_0"
UPLOAD_KNOWS_S = 30
MAX_PENDING = 64 << 20   # deploy/local/nats.conf.in


@fault
class SlowConsumer(Fault):
    name = "nats-slow-consumer"
    about = "a gateway is stopped until nats-server has 64 MB for it, and cuts it off as a slow consumer"
    bound_s = 30
    memory_mb = {"nats-server": 4 * MAX_PENDING >> 20}   # its collector gives back what 64 MB of messages took when it likes

    async def inject(self, run):
        log = run.stack.run_dir / "log" / "nats-server.log"
        seen = log.read_text().count("Slow Consumer Detected")
        pids = [run.stack.pid("gateway")]
        run.stack.signal_all(pids, signal.SIGSTOP)
        await run.thread(wait_until, lambda: run.stack.states(pids) == ["T"], 5, "the gateway is stopped")
        nc = await nats.connect(run.stack.nats_url)
        sent = 0
        try:
            # what the gateway subscribes to, of a channel that nobody has
            while log.read_text().count("Slow Consumer Detected") == seen:
                assert sent < 4 * MAX_PENDING, f"{sent} bytes did not make a slow consumer"
                await nc.publish("live.0.nobody", b"x" * (512 << 10))
                await nc.flush(10)
                sent += 512 << 10
        finally:
            await nc.close()
        run.show(f"nats-server has cut the gateway off as a slow consumer after {sent >> 20} MB")

    async def heal(self, run):
        run.stack.signal_all([run.stack.pid("gateway")], signal.SIGCONT)

    async def clean(self, run):
        run.stack.signal_all([run.stack.pid("gateway")], signal.SIGCONT)


async def delete_log(run):
    nc = await nats.connect(run.stack.nats_url)
    try:
        await nc.jetstream().delete_stream(LOG)
    finally:
        await nc.close()


async def stream_info(run):
    """The state and the epoch of the log, by JetStream itself; None: it is not there."""
    nc = await nats.connect(run.stack.nats_url)
    try:
        info = await nc.jetstream().stream_info(LOG)
        return info.config.metadata["parley_epoch"], info.state.first_seq, info.state.last_seq
    except nats.js.errors.NotFoundError:
        return None
    finally:
        await nc.close()


class LogLost(Fault):
    """What was acked has to be in Postgres before the log is lost: G1 holds as long as one of both does. So the talk pauses first."""
    shares_stack = False
    bound_s = 40

    async def pause_talk(self, run):
        await run.load.stop()
        goal = run.load.last_acked()
        for channel, seq in goal.items():
            await run.thread(run.stack.wait_ingested, run.load.owner, channel, seq, 30)
        self.before = await stream_info(run)

    async def made_anew(self, run):
        """Above all that was, with another epoch."""
        for _ in range(300):
            after = await stream_info(run)
            if after and after[0] != self.before[0]:
                break
            await asyncio.sleep(0.1)  # a poll with a deadline
        else:
            raise AssertionError(f"the log is not made anew within 30 s: it was {self.before}, and is {after}")
        assert after[1] > self.before[2], f"sequences would repeat: {self.before} and then {after}"
        run.show(f"the log ended at {self.before[2]} in epoch {self.before[0]}; it begins at {after[1]} in epoch {after[0]}")

    async def heal(self, run):
        await self.made_anew(run)
        run.load.start()


@fault
class Recreated(LogLost):
    name = "log-recreated"
    about = "the stream of the log is deleted under the running services: it is made anew, far above, in another epoch"

    async def inject(self, run):
        await self.pause_talk(run)
        run.mends_itself()
        await delete_log(run)
        run.show(f"the stream was deleted; it had {self.before[2]} sequences")
        run.load.start()
        await run.pause(1)
        await run.load.stop()


class KilledAhead(Fault):
    """nats-server is killed when it alone has what was acked: L then says what JetStream keeps, and not what Postgres would give back."""
    ONLY_IN_LOG = 100

    async def kill_ahead(self, run):
        history = run.stack.family("history")
        run.stack.signal_all(history, signal.SIGSTOP)
        await run.thread(wait_until, lambda: set(run.stack.states(history)) <= {"T", "X"}, 5, "history stands still")
        self.epoch, _, read = await stream_info(run)
        await run.load.traffic(self.ONLY_IN_LOG, 30)
        async with asyncio.timeout(30):  # what was on its way when it was read may have been acked since, and counts for nothing
            while (stored := (await stream_info(run))[2]) - read < self.ONLY_IN_LOG:
                await asyncio.sleep(0.1)  # a poll with a deadline
        await run.thread(run.stack.kill, "nats-server")
        run.show(f"nats-server was killed when the log alone had {stored - read} events, up to {stored}")

    async def heal(self, run):
        await run.thread(run.stack.start, "nats-server")
        run.stack.signal_all(run.stack.family("history"), signal.SIGCONT)

    async def clean(self, run):
        await self.heal(run)

    async def verify(self, run):
        epoch = (await stream_info(run))[0]
        run.show(f"the epoch was {self.epoch}, and is {epoch}")
        return [("L", f"the log was made anew: its epoch was {self.epoch}, and is {epoch}")] if epoch != self.epoch else []


@fault
class OnlyInLog(KilledAhead):
    name = "log-alone-killed"
    about = "history stands still; nats-server is killed when it alone has a hundred acked messages"
    bound_s = 30

    async def inject(self, run):
        await self.kill_ahead(run)


@fault
class RecreatedAndKilled(KilledAhead, LogLost):
    name = "log-recreated-and-killed"
    about = "the log is made anew, and what it alone has (history stands still) outlives a kill -9 of nats-server"

    async def inject(self, run):
        await self.pause_talk(run)
        await delete_log(run)
        await self.made_anew(run)
        run.load.start()
        await run.load.recovered(self.bound_s)  # what the change of epoch leaves to be mended needs history
        await self.kill_ahead(run)


@fault
class StoreLost(LogLost):
    name = "nats-store-lost"
    about = "nats-server is killed and its store deleted: the log and what members may are made again from Postgres; files are lost"

    async def inject(self, run):
        await self.pause_talk(run)
        self.old = set(run.load.uploads.completed)
        await run.thread(run.stack.kill, "nats-server")
        await run.thread(shutil.rmtree, run.stack.run_dir / "nats")
        run.show("nats-server was killed and its store removed")

    def excuses(self, run, violation):
        """Whose a file is stands in a bucket alone (docs/operations.md): without it nobody is shown one."""
        old = violation.what.startswith("the file ") and violation.what.split()[2] in self.old
        return violation.invariant == "L" and old and violation.what.endswith("is answered 404 for it")

    async def heal(self, run):
        await run.thread(run.stack.start, "nats-server")
        await super().heal(run)

    async def recovered(self, run):
        """The files of before are lost: whether doors of files are shut for outsiders alone is shown by new ones, which members may add as soon as upload knows them again."""
        deadline = time.monotonic() + UPLOAD_KNOWS_S
        for channel in run.load.channels:
            while True:
                try:
                    await run.load.uploads.one(run.load.members[0], channel, cut=False, attach=False)
                    break
                except RuntimeError:
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(0.2)  # a poll with a deadline

    async def clean(self, run):
        await run.thread(run.stack.start, "nats-server")
