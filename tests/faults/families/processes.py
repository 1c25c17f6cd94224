"""Each process killed, and stopped for ten seconds."""

import signal

from fault import Fault, fault
from support.stack import SERVICES, wait_until

PARTS = ("gateway", "history", "nats-server", "postgres")
DOWN_S, STOPPED_S = 2, 10


class Kill(Fault):
    part = ""

    async def inject(self, run):
        pid = run.stack.pid(self.part)
        await run.thread(run.stack.kill, self.part)
        run.show(f"{self.part} {pid} was killed")
        await run.pause(DOWN_S)

    async def heal(self, run):
        await run.thread(run.stack.start, self.part)

    async def clean(self, run):
        await run.thread(run.stack.start, self.part)


class Stop(Fault):
    part = ""

    async def inject(self, run):
        pids = run.stack.family(self.part)
        run.stack.signal_all(pids, signal.SIGSTOP)
        # a process that is in the kernel stops when it comes out
        await run.thread(wait_until, lambda: set(run.stack.states(pids)) <= {"T", "X"}, 5, f"all of {self.part} stands still")
        await run.pause(STOPPED_S)
        run.show(f"{self.part} {pids[0]} was stopped (state T) for {STOPPED_S} s, with {len(pids) - 1} children")

    async def heal(self, run):
        run.stack.signal_all(run.stack.family(self.part), signal.SIGCONT)

    async def clean(self, run):
        run.stack.signal_all(run.stack.family(self.part), signal.SIGCONT)


for _part in PARTS:
    fault(type(f"Kill_{_part}", (Kill,), {"name": f"kill-{_part}", "part": _part, "quick": True, "bound_s": 20,
                                          "about": f"kill -9 of {_part}, started again after {DOWN_S} s"}))
    fault(type(f"Stop_{_part}", (Stop,), {"name": f"stop-{_part}", "part": _part, "quick": _part == "gateway", "bound_s": 20,
                                          "about": f"SIGSTOP of {_part}, SIGCONT after {STOPPED_S} s"}))


@fault
class KillUpload(Kill):
    name, part, about = "kill-upload", "upload", f"kill -9 of upload while files come in, started again after {DOWN_S} s: what was completed stays, and nothing else"
    uploads = 4

    async def inject(self, run):
        files = run.load.uploads
        await run.until(lambda: files.sending and len(files.completed) > 10 and files.cut, 30, "files are on their way, completed, and cut off")
        sending, before = files.sending, len(files.completed)
        await super().inject(run)
        run.show(f"with {sending} bodies on their way; {before} files had been uploaded, {len(files.cut)} were cut off")
        assert len(files.completed) - before <= sending, "files were completed while it was away"


@fault
class StopThenKill(Fault):
    name, about = "hang-and-die-nats-server", "nats-server stands still for 3 s and is then killed: what was sent to it meanwhile is gone"
    quick, STOPPED_S = True, 3

    async def inject(self, run):
        pid, before = run.stack.pid("nats-server"), len(run.load.acked())
        run.stack.signal_all([pid], signal.SIGSTOP)
        await run.thread(wait_until, lambda: run.stack.states([pid]) == ["T"], 5, "nats-server stands still")
        await run.pause(self.STOPPED_S)
        unanswered = sum(c.pending for c in run.load.members)
        assert unanswered, "nothing was under way to nats-server when it was killed"
        await run.thread(run.stack.kill, "nats-server")
        run.show(f"nats-server {pid} was stopped for {self.STOPPED_S} s and killed with {unanswered} mutations unanswered, {len(run.load.acked()) - before} acked")

    async def heal(self, run):
        await run.thread(run.stack.start, "nats-server")

    async def clean(self, run):
        await run.thread(run.stack.start, "nats-server")


@fault
class KillBeforeCommit(Fault):
    name, about = "kill-history-before-commit", "history ends right before it commits a batch (a placed fault)"
    build = "faults"

    async def inject(self, run):
        await run.thread(run.stack.stop, "history")
        await run.thread(run.stack.start, "history", PARLEY_FAILPOINTS=f"history.ingest.before_commit=kill@{run.random.randint(10, 30)}")
        pid = run.stack.pid("history")
        await run.thread(wait_until, lambda: not run.stack.alive("history"), 30, "history ended at its failpoint")
        run.show(f"history {pid} ended before a commit")

    async def heal(self, run):
        await run.thread(run.stack.start, "history")

    async def clean(self, run):
        await run.thread(run.stack.start, "history")


@fault
class KillAll(Fault):
    name, about, bound_s, uploads = "kill-all", "kill -9 of every process at once", 30, 2

    async def inject(self, run):
        parts = sorted({*PARTS, *SERVICES})
        pids = {part: run.stack.pid(part) for part in parts}
        await run.thread(lambda: [run.stack.kill(part) for part in parts])
        run.show(f"all were killed: {pids}")
        await run.pause(DOWN_S)

    async def heal(self, run):
        await run.thread(run.stack.up)

    async def clean(self, run):
        await run.thread(run.stack.up)


@fault
class Calm(Fault):
    name, about, quick, uploads = "calm", "nothing breaks: what the load alone does", True, 2

    async def inject(self, run):
        await run.load.traffic(100)
        run.show("nothing was done")
