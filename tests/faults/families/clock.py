"""The clock of one process is set by an hour while it runs. libfaketime stands between the process and the kernel's clock; its monotonic
clock, by which it measures times, goes on as ever. A change of the machine's clock would concern everybody on it."""

import datetime
import functools
import os
import time
from pathlib import Path

from checker.invariants import check_bound
from fault import Fault, Skipped, fault

HOUR = 3600
TOKEN_TTL = 6 * HOUR


def library():
    for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return str(path)
    raise Skipped("libfaketime is not installed: scripts/deps --test does it")


class ClockFault(Fault):
    part, step = "", 0
    shares_stack = False
    bound_s = 20

    def new_stack(self, build):
        """Tokens of whoever is an hour early or late must still hold."""
        stack = super().new_stack(build)
        stack.token = functools.partial(stack.token, ttl=TOKEN_TTL)
        return stack

    async def prepare(self, run):
        """The part starts again with a clock that can be set, and stands at the true time."""
        self.file = run.stack.dir / "clock"
        self.file.write_text("+0")
        env = {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1",
               "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        await run.thread(run.stack.stop, self.part)
        await run.thread(lambda: run.stack.start(self.part, **env))
        assert library() in Path(f"/proc/{run.stack.pid(self.part)}/maps").read_text(), "the process has another clock than ours"

    async def inject(self, run):
        new = self.file.with_suffix(".new")
        new.write_text(f"{self.step:+d}")
        os.replace(new, self.file)
        off = await self.offset(run)
        assert abs(off - self.step) < 60, f"the clock of {self.part} is off by {off:.0f} s, not {self.step}"
        run.show(f"the clock of {self.part} was set by {self.step:+d} s while it ran: what it says is {off:+.1f} s off")
        await run.load.traffic(5 * self.rate, 30)
        run.show(f"{5 * self.rate} more mutations were acked")
        began = time.monotonic()
        await run.load.recovered(60)
        self.took_s = time.monotonic() - began
        run.show(f"everybody has spoken and heard {self.took_s:.1f} s later")

    async def verify(self, run):
        """The step there has the bound of the step back."""
        return check_bound(self.took_s, self.bound_s)

    async def heal(self, run):
        """And back: for the gateway a step in the other direction."""
        new = self.file.with_suffix(".new")
        new.write_text("+0")
        os.replace(new, self.file)

    async def offset(self, run):
        raise NotImplementedError


class Gateway(ClockFault):
    part = "gateway"

    async def offset(self, run):
        """By the time it gives what it takes."""
        before = len(run.load.acked())
        await run.load.traffic(20, 20)
        said = datetime.datetime.fromisoformat(run.load.acked()[-1].createdAt.replace("Z", "+00:00"))
        assert len(run.load.acked()) > before
        return said.timestamp() - time.time()


class History(ClockFault):
    part = "history"

    async def offset(self, run):
        """By the Date of its answers."""
        with run.stack.rest(token=run.doors.token(run.load.owner)) as rest:
            answer = await run.thread(rest.get, f"{history_url(run)}/api/channels")
        said = datetime.datetime.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.timezone.utc)
        return said.timestamp() - time.time()


def history_url(run):
    return f"http://127.0.0.1:{8082 + run.stack.offset}"


for _cls in (Gateway, History):
    for _step, _word in ((HOUR, "forward"), (-HOUR, "back")):
        fault(type(f"{_cls.__name__}_{_word}", (_cls,), {"name": f"clock-{_cls.part}-{_word}", "step": _step,
                                                        "about": f"the clock of {_cls.part} is set {_word} by an hour, and back again"}))
