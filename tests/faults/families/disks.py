"""Disks that are full: under JetStream, under Postgres; and a log that has reached its size."""

import asyncio
import re
import signal
import uuid

from fault import Fault, fault
from inject.disk import SmallDisk
from support.client import Client, Refused
from support.stack import Stack, wait_until


class SmallNatsStack(Stack):
    """JetStream's store lies on a disk of 256 MB."""

    def __init__(self, build="release", **env):
        super().__init__(build=build, PARLEY_LOG_MAX_BYTES=128 << 20, PARLEY_SYSTEM_MAX_BYTES=16 << 20, **env)
        self.run_dir.mkdir()
        self.run_dir.chmod(0o755)
        try:
            self.disk = SmallDisk(self.run_dir / "nats", 256)
        except BaseException:
            super().down()
            raise

    def down(self):
        try:
            super().down()
        finally:
            self.disk.unmount()


@fault
class JetStreamFull(Fault):
    name = "disk-full-jetstream"
    about = "no space on the disk of nats-server's store: it refuses; space is given back, the server started again"
    shares_stack = False
    bound_s = 30

    def new_stack(self, build):
        return SmallNatsStack(build=build, **self.settings)

    async def inject(self, run):
        disk, log = run.stack.disk, run.stack.run_dir / "log" / "nats-server.log"
        taken = await run.thread(disk.fill)
        run.show(f"the disk is full (ENOSPC after {taken >> 20} MB of ballast), {disk.free_bytes()} bytes are free")
        await run.thread(wait_until, lambda: "no space left" in log.read_text(), 30, "nats-server meets the full disk")
        line = next(x for x in log.read_text().splitlines() if "no space left" in x)
        run.show(f"nats-server: {line[line.index('['):][:110]}")
        before = len(run.load.acked())
        await run.pause(5)
        run.show(f"{len(run.load.acked()) - before} mutations were acked in the 5 s after that")

    async def heal(self, run):
        run.stack.disk.free()
        # nats-server switches JetStream off when its disk is full, and on again only at a start
        await run.thread(run.stack.kill, "nats-server")
        await run.thread(run.stack.start, "nats-server")

    async def clean(self, run):
        run.stack.disk.free()
        await run.thread(run.stack.start, "nats-server")


@fault
class PostgresFull(Fault):
    name = "disk-full-postgres"
    about = "no space on the disk of Postgres: chat goes on, history falls behind and catches up when there is space again"
    shares_stack = False
    bound_s = 40
    disk = moving = None

    async def prepare(self, run):
        """The cluster moves to a small disk, while nobody uses it."""
        stack = run.stack
        await run.thread(stack.stop, "postgres")
        self.moving = asyncio.create_task(run.thread(SmallDisk.in_place_of, stack.run_dir / "postgres", 192))
        self.disk = await asyncio.shield(self.moving)
        await run.thread(stack.start, "postgres")
        await run.load.recovered(30)

    async def inject(self, run):
        log = run.stack.run_dir / "log" / "postgres.log"
        taken = await run.thread(self.disk.fill)
        run.show(f"the disk is full (ENOSPC after {taken >> 20} MB of ballast), {self.disk.free_bytes()} bytes are free")
        before = len(run.load.acked())

        def meets():
            self.disk.fill()  # what Postgres has given back meanwhile
            return "No space left on device" in log.read_text()
        await run.thread(wait_until, meets, 60, "Postgres meets the full disk", 0.5)
        line = next(x for x in log.read_text().splitlines() if "No space left on device" in x)
        run.show(f"Postgres: {re.sub('^.*?] ', '', line)[:110]}")
        await run.pause(5)
        acked = len(run.load.acked()) - before
        assert acked >= 5 * self.rate * 0.5, f"only {acked} mutations were acked"
        run.show(f"{acked} mutations were acked meanwhile")

    async def heal(self, run):
        self.disk.free()
        await run.thread(run.stack.start, "postgres")

    async def clean(self, run):
        if self.moving:  # its thread goes on where prepare was interrupted, and makes a disk that would stay
            await asyncio.wait([self.moving])
            self.disk = None if self.moving.exception() else self.moving.result()
        if self.disk:
            self.disk.free()
        await run.thread(run.stack.start, "postgres")
        if self.disk:
            self.disk.unmount()


@fault
class LogFull(Fault):
    name = "log-full"
    about = "the log has its full size while history, which alone may trim it, is stopped: it refuses and evicts nothing"
    settings = {"PARLEY_LOG_MAX_BYTES": 16 << 20, "PARLEY_LOG_KEEP_S": 2, "PARLEY_RATE_LIMITS": "off"}
    bound_s = 30
    pump = 16000
    # history: 16 MB in batches of 4: 12 MB before and 48 after, its first large batches. nats-server: alone, filled and trimmed twelve times, it
    # went from 15 MB to 52 the first time and stayed between 52 and 61; its heap in use was 20 MB (the log's blocks), the rest what its collector
    # had not given back yet
    memory_mb = {"history": 80, "nats-server": 90}

    async def inject(self, run):
        """Somebody fills a channel of his own. Nobody else is refused more than he is: the log is one."""
        user = f"filler-{uuid.uuid4().hex[:8]}"
        channel = await run.thread(run.stack.channel, user)
        pids = [run.stack.pid("history")]
        run.stack.signal_all(pids, signal.SIGSTOP)
        await run.thread(wait_until, lambda: run.stack.states(pids) == ["T"], 5, "history is stopped")
        self.kept, refused = [], None
        async with Client(run.stack, user) as filler:
            while refused is None:
                results = await asyncio.gather(*(filler.send(channel, "x" * self.pump) for _ in range(20)), return_exceptions=True)
                self.kept += [r["seq"] for r in results if isinstance(r, dict)]
                refused = next((r for r in results if isinstance(r, Refused)), None)
                other = next((r for r in results if isinstance(r, BaseException) and not isinstance(r, Refused)), None)
                if other:
                    raise other
        assert refused.code == "unavailable", refused
        run.show(f"the log took {len(self.kept)} messages of {self.pump} bytes and refuses: {refused}")
        self.user, self.channel = user, channel
        before = len(run.load.acked())
        await run.pause(3)
        run.show(f"{len(run.load.acked()) - before} mutations were acked in 3 s while it was full")

    async def heal(self, run):
        run.stack.signal_all([run.stack.pid("history")], signal.SIGCONT)

    async def clean(self, run):
        run.stack.signal_all([run.stack.pid("history")], signal.SIGCONT)

    async def verify(self, run):
        """What filled it was acked, too."""
        await run.thread(run.stack.wait_ingested, self.user, self.channel, max(self.kept), 30)
        events, _ = await run.thread(run.stack.all_events, self.user, self.channel)
        missing = set(self.kept) - {e["seq"] for e in events}
        return [("L", f"{len(missing)} of {len(self.kept)} messages that filled the log are lost")] if missing else []
