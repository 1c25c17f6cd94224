"""What a fault is, and the run of one: load, fault, recovery, proof.

Everywhere asyncio.timeout and nowhere wait_for: that one (until Python 3.12) loses a cancel that comes with its result, and a loop goes on for ever."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from checker import levels
from checker.clients import Doors
from checker.invariants import LETTERS, Violation, check, check_bound, check_levels
from checker.load import RATE, Load

from support.stack import Stack

REGISTRY = {}
WARM_ACKS, AFTER_ACKS = 100, 40
RECOVERY_MAX_S = 120      # beyond it a run is given up
RUN_MAX_S, CLEAN_MAX_S = 600, 120  # a run that hangs is an error, and the next one begins: the longest takes 100 s, and it may not recover


class Skipped(Exception):
    """The machine does not let this fault happen; the text says what it lacks. Nothing is proven then, and the table says so."""


class Fault:
    """One fault. A subclass is registered by the decorator `fault`; `inject` must say what it saw happen with `run.show`."""

    name = ""
    about = ""                 # one line for --list
    bound_s = 20               # V: from the beginning of `heal` (or run.mends_itself()) until everybody has spoken and heard, and history has it
    invariants = LETTERS       # those that it can prove; the others show as '-'
    quick = False              # part of --quick
    gateways = 1
    rate = RATE                # mutations a second
    uploads = 0                # files a second that are uploaded and attached
    build = "release"          # or faults: failpoints
    memory_mb = {}             # part -> what it may have afterwards, where levels.slack is not enough; with the measurement that says why
    settings = {}              # PARLEY_* of its stack; faults with equal ones share a stack
    shares_stack = True        # False: a stack of its own, that is thrown away

    def new_stack(self, build):
        """The stack it runs on, not yet up. Faults with the same new_stack, build and settings share one."""
        return Stack(build=build, **self.settings)

    async def prepare(self, run):
        """Before the load: members, other clients."""

    async def inject(self, run):
        raise NotImplementedError

    async def heal(self, run):
        """Ends the fault; what ended must run again when this returns."""

    async def recovered(self, run):
        """Everybody has spoken and heard again; the doors are not proven yet."""

    async def clean(self, run):
        """Whatever happened: lets go of what the fault holds (stopped processes, rules, disks)."""

    def history(self, run, history):
        """What history serves in the end, as load.finish has it, with what this fault knows of it besides."""
        return history

    def excuses(self, run, violation):
        """What no server could have kept in this fault, and docs promise nobody."""
        return False

    async def verify(self, run):
        """More to prove than the invariants say: yields Violations."""
        return []


def fault(cls):
    assert cls.name and cls.name not in REGISTRY, cls
    REGISTRY[cls.name] = cls
    return cls


@dataclass
class Outcome:
    name: str
    invariants: str
    violations: list = field(default_factory=list)
    shown: list = field(default_factory=list)     # what was seen to happen
    acked: int = 0
    recovered_s: float = None
    took_s: float = 0
    error: str = ""                               # the run itself came to no end
    skipped: str = ""                             # why it could not be done here
    levels: dict = field(default_factory=dict)    # at the end, and of which processes: part -> the first of its family
    pids: dict = field(default_factory=dict)

    @property
    def failed(self):
        return bool(self.violations or self.error)

    def cell(self, letter):
        if self.skipped:
            return "no"
        n = sum(v.invariant == letter for v in self.violations)
        return f"{n}!" if n else "-" if letter not in self.invariants else "?" if self.error else "ok"


class Run:
    """What a fault is given: the stack, the clients, a random source, and a place to say what happened."""

    def __init__(self, fault, stack, seed, doors=None):
        self.fault, self.stack, self.seed = fault, stack, seed
        self.doors = doors or Doors(stack.base_url, [stack.ws_url, *(g.ws_url for g in stack.gateways[1:fault.gateways])], stack.token)
        self.load = Load(self.doors, seed, fault.rate, fault.uploads)
        # of its own: how often the load draws depends on the machine, and the same seed is to do the same to it
        self.random, self.record = random.Random(f"{seed} fault"), self.load.record
        self.outcome = Outcome(fault.name, fault.invariants)
        self.healed_at = None   # when the recovery began, where that is before `heal`: at the deed, if nothing but time mends it

    def mends_itself(self):
        """The deed is done now: from here on V counts."""
        self.healed_at = time.monotonic()

    def show(self, text):
        """Something that proves that the fault happened."""
        self.outcome.shown.append(text)
        self.record.add("run", 0, "mark", text=text)

    async def thread(self, function, *args, **kwargs):
        """What blocks (starting a process, asking by HTTP) beside the loop of the clients."""
        return await asyncio.to_thread(function, *args, **kwargs)

    async def pause(self, seconds):
        """Part of a fault: how long it lasts."""
        await asyncio.sleep(seconds)

    async def until(self, condition, timeout, what):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout} s: {what}")
            await asyncio.sleep(0.02)  # a poll with a deadline

    async def levels(self):
        measured = await self.thread(lambda: levels.measure(self.stack.parts(self.fault.gateways)))
        return measured | await levels.consumers(self.stack.nats_url)


async def execute(run):
    """The whole of one fault. Never raises but for a cancel: what went wrong is in the outcome."""
    outcome, began = run.outcome, time.monotonic()
    try:
        async with asyncio.timeout(RUN_MAX_S):
            await _execute(run)
    except Skipped as why:
        outcome.skipped = str(why)
    except Exception as error:
        outcome.error = f"{type(error).__name__}: {error}"
    finally:
        await _end(run)
    if not outcome.shown and not outcome.error and not outcome.skipped:
        outcome.error = "nothing shows that the fault happened"
    outcome.acked, outcome.took_s = len(run.load.acked()), time.monotonic() - began
    return outcome


async def _end(run):
    for end in (lambda: run.fault.clean(run), run.load.close):
        try:
            async with asyncio.timeout(CLEAN_MAX_S):
                await end()
        except Exception as error:
            run.outcome.error = f"{run.outcome.error}; afterwards {type(error).__name__}: {error}".lstrip("; ")


async def _execute(run):
    load, fault, outcome = run.load, run.fault, run.outcome
    await load.prepare()
    await fault.prepare(run)
    load.start()
    await load.traffic(WARM_ACKS)
    await load.everybody_is_there()  # a session that came later would be one too many afterwards
    before = await _levels_with(run, len(load.members) + len(load.outsiders))
    run.record.add("run", 0, "mark", text="inject")
    await fault.inject(run)
    run.record.add("run", 0, "mark", text="heal")
    healed = run.healed_at or time.monotonic()
    await fault.heal(run)
    try:
        await load.recovered(RECOVERY_MAX_S)
        outcome.recovered_s = time.monotonic() - healed
        await load.traffic(AFTER_ACKS)
    except TimeoutError:
        pass  # V says so below; the rest is still proven as far as it goes
    if outcome.recovered_s is not None:
        await fault.recovered(run)
    await load.stop()
    if not all(o.tried for o in load.outsiders):
        raise RuntimeError("the outsiders tried no door")
    await load.prove_doors()
    await load.ask_again()
    history = fault.history(run, await load.finish())
    found = check(load.record, history) + check_bound(outcome.recovered_s, fault.bound_s) + await _levels(run, before)
    found += [Violation(*v) for v in await fault.verify(run)]
    outcome.violations = [v for v in found if v.invariant in fault.invariants and not fault.excuses(run, v)]
    fatal = [f"{e.client}: {e.reason}" for e in run.record.of("fatal")]
    if fatal:
        raise RuntimeError("; ".join(fatal[:3]))


async def _levels_with(run, users, timeout=30):
    """Once presence has been told of all who are there: gateways speak once a second, and what it counted before is no measure of what stands."""
    deadline = time.monotonic() + timeout
    while (now := await run.levels())[levels.ONLINE] < users:
        if time.monotonic() > deadline:
            raise TimeoutError(f"presence counts {now[levels.ONLINE]:.0f} of {users} users after {timeout} s")
        await asyncio.sleep(0.1)  # a poll with a deadline
    return now


async def _levels(run, before, timeout=30):
    """Queues empty and buffers shrink within some seconds: the last look counts."""
    apart = {f"{part} rss MB": mb for part, mb in run.fault.memory_mb.items()}
    deadline = time.monotonic() + timeout
    while True:
        after = await run.levels()
        found = check_levels(before, after, lambda name, level: apart.get(name) or levels.slack(name, level))
        if not found or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)  # a poll with a deadline
    run.outcome.levels, run.outcome.pids = after, {part: pids[0] for part, (pids, _) in run.stack.parts(run.fault.gateways).items()}
    for name, mb in apart.items():
        run.show(f"{name}: {before[name]} before, {after[name]} after, and {mb} are allowed")
    return found
