#!/usr/bin/env python3
"""Runs faults under load and proves the invariants. scripts/faults builds what this needs and calls it."""

import asyncio
import random
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from arguments import parse  # noqa: E402
from catalogue import REGISTRY  # noqa: E402
from checker.invariants import LETTERS, SEEN  # noqa: E402
from checker.soak import LONG, Soak  # noqa: E402
from fault import Outcome, Run, Skipped, execute  # noqa: E402
from mutations import run as mutations  # noqa: E402
from planted.plants import PLANTS  # noqa: E402
from planted.run import run_all as run_planted  # noqa: E402
from support.machine import commit_of, machine  # noqa: E402
from support.signals import end_as_interrupted  # noqa: E402
from support.stack import Stack  # noqa: E402


class Stacks:
    """One stack for all faults with the same build and settings; after a violation it is not used any more."""

    def __init__(self, build):
        self.build, self.stacks, self.soak = build, {}, Soak()

    def get(self, fault):
        key = (self.build or fault.build, type(fault).new_stack, tuple(sorted(fault.settings.items())))
        if key not in self.stacks:
            self.stacks[key] = fault.new_stack(key[0])
        stack = self.stacks[key]
        try:
            stack.up().second_gateways(fault.gateways)
        except BaseException:
            self.drop(stack)
            raise
        return stack

    def drop(self, stack):
        self.stacks = {k: s for k, s in self.stacks.items() if s is not stack}
        stack.down()

    def down(self):
        """All of them, also when one does not stop; returns whether each did."""
        stopped = True
        for stack in list(self.stacks.values()):
            try:
                self.drop(stack)
            except Exception as error:
                print(f"  ERROR: a stack was not stopped: {error}", flush=True)
                stopped = False
        return stopped


def run_one(fault, stacks, seed, keep):
    """Never raises but when it is interrupted: whatever goes wrong is the error of this run, and the others go on."""
    outcome, stack = Outcome(fault.name, fault.invariants), None
    try:
        stack = stacks.get(fault)
        run = Run(fault, stack, seed)
        outcome = run.outcome
        asyncio.run(execute(run))
        stacks.soak.add(stack.dir, outcome.pids, outcome.levels)
        report(run, keep)
    except Skipped as why:
        outcome.skipped = str(why)
        print(f"  SKIPPED: {why}")
    except Exception as error:
        failed_at(outcome, "" if stack else "the stack did not start: ", error)
    finally:
        try:
            if stack and (not fault.shares_stack or outcome.failed):
                stacks.drop(stack)
        except Exception as error:
            failed_at(outcome, "the stack was not stopped: ", error)
    return outcome


def failed_at(outcome, what, error):
    said = f"{what}{type(error).__name__}: {error}"
    print(f"  ERROR: {said}", flush=True)
    outcome.error = f"{outcome.error}; {said}".removeprefix("; ")


def report(run, keep):
    outcome = run.outcome
    for text in outcome.shown:
        print(f"  {text}")
    for violation in outcome.violations[:20]:
        print(f"  {violation.invariant}: {violation.what}")
    if len(outcome.violations) > 20:
        print(f"  … {len(outcome.violations)} violations")
    if outcome.error:
        print(f"  ERROR: {outcome.error}")
    if outcome.skipped:
        print(f"  SKIPPED: {outcome.skipped}")
    if outcome.failed:
        keep.mkdir(parents=True, exist_ok=True)
        path = keep / f"{outcome.name}-{run.seed}.jsonl"
        run.record.save(path)
        path.with_suffix(".log").write_text(run.stack.logs(2000))
        print(f"  the record and the logs: {path}, {path.with_suffix('.log').name}; again: scripts/faults --only {outcome.name} --seed {run.seed}")


def table(outcomes):
    width = max(len(o.name) for o in outcomes)
    lines = [f"{'fault':{width}}  {'  '.join(f'{x:>2}' for x in LETTERS + SEEN)}   acked  recovered  bound   took"]
    for o in outcomes:
        recovered = "   -   " if o.recovered_s is None else f"{o.recovered_s:5.1f} s"
        cells = "  ".join(f"{o.cell(x):>2}" for x in LETTERS + SEEN)
        lines.append(f"{o.name:{width}}  {cells}  {o.acked:6}  {recovered:>9}  {REGISTRY[o.name].bound_s:3} s  {o.took_s:4.0f} s"
                     + ("  ERROR" if o.error else "") + ("  SKIPPED" if o.skipped else ""))
    failed = [o.name for o in outcomes if o.failed]
    lines.append(f"\n{len(outcomes)} runs, {len(failed)} failed" + (f": {', '.join(failed)}" if failed else ""))
    skipped = [o.name for o in outcomes if o.skipped]
    if skipped:
        lines.append(f"{len(skipped)} SKIPPED, of which nothing is known: {', '.join(skipped)}")
    return "\n".join(lines)


def told(soak):
    """Says what a soak did to memory, and returns whether something went on growing."""
    lives, grown = soak.long_lives(), list(soak.grown())
    print(f"memory of {len(lives)} processes that lived through {LONG} runs or more, after their first and their last: "
          + ", ".join(f"{x.part} {x.levels[0]} to {x.levels[-1]} MB ({len(x.levels)} runs)" for x in lives))
    for what in grown:
        print(f"  B: {what}")
    return bool(grown)


def where():
    """Where and what this is, for whoever reads the table later."""
    commit, changed = commit_of()
    return f"{machine()}; {time.strftime('%Y-%m-%d')}; commit {commit}{' with changes' if changed else ''}"


def chosen(arguments, known, what):
    if arguments.quick and not arguments.only:
        return [n for n in known if known[n].quick]
    return names_of(arguments, known, what)


def schedule(arguments, seed):
    """The faults of this run with the seed of each; a soak takes random ones until its time is over."""
    names, source = chosen(arguments, REGISTRY, "fault"), random.Random(seed)
    if not arguments.minutes:
        yield from ((name, seed) for name in names)
        return
    end = time.monotonic() + arguments.minutes * 60
    while time.monotonic() < end:
        yield source.choice(names), source.getrandbits(32)


def names_of(arguments, known, what):
    names = arguments.only.split(",") if arguments.only else list(known)
    for name in names:
        if name not in known:
            sys.exit(f"scripts/faults: there is no {what} '{name}'; there are: {', '.join(known)}")
    return names


def kind_of(arguments):
    if arguments.planted:
        return PLANTS, "planted fault"
    return (mutations.known(), "mutation") if arguments.mutations else (REGISTRY, "fault")


def planted(arguments, seed):
    names = chosen(arguments, *kind_of(arguments))
    stack = Stack(build=arguments.build or "release", PARLEY_RATE_LIMITS="off")
    try:
        return 1 if run_planted(stack.up(), seed, names) else 0
    finally:
        stack.down()


def main():
    arguments = parse(sys.argv[1:])
    if arguments.list:
        for name, cls in REGISTRY.items():
            print(f"{name:24} {'quick  ' if cls.quick else '       '}{cls.about}")
        return 0
    if arguments.named:
        chosen(arguments, *kind_of(arguments))
        return 0
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    if arguments.planted:
        return planted(arguments, seed)
    if arguments.mutations:
        return 1 if mutations.run_all(seed, names_of(arguments, *kind_of(arguments))) else 0
    return run_faults(arguments, seed)


def run_faults(arguments, seed):
    stacks, outcomes, stopped, here = Stacks(arguments.build), [], False, where()
    try:
        for name, its_seed in schedule(arguments, seed):
            print(f"\n=== {name}: {REGISTRY[name].about}", flush=True)
            outcomes.append(run_one(REGISTRY[name](), stacks, its_seed, arguments.keep))
    finally:
        try:
            stopped = stacks.down()
        finally:  # what is known is told, also of a run that is interrupted
            if outcomes:
                print(f"\n{here}; scripts/faults {' '.join(sys.argv[1:])} (seed {seed})\n\n{table(outcomes)}", flush=True)
    grown = told(stacks.soak) if arguments.minutes else False
    bad = grown or not stopped or any(o.failed for o in outcomes) or not outcomes
    return 1 if bad else 2 if any(o.skipped for o in outcomes) else 0


if __name__ == "__main__":
    end_as_interrupted()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("scripts/faults: interrupted")
