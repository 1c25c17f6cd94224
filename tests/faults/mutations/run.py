"""Applies each patch to a copy of the tree, builds it, and runs the fault that shows it: the checker must report it."""

import asyncio
import fcntl
import os
import re
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

from catalogue import REGISTRY
from fault import Run, execute
from support.stack import ROOT, SERVICES

HERE = Path(__file__).resolve().parent
COPY = ROOT / "build" / "mutations"
SOURCES = ("CMakeLists.txt", "CMakePresets.json", "bench", "cmake", "lib", "proto", "services", "tests")

Mutation = namedtuple("Mutation", "name path about fault expect")


def known():
    mutations = {}
    for path in sorted(HERE.glob("*.patch")):
        head = dict(re.findall(r"^(\w+): (.*)$", path.read_text().split("\ndiff ")[0], re.M))
        mutations[path.stem] = Mutation(path.stem, path, head["About"], head["Fault"], head["Expect"])
        assert head["Fault"] in REGISTRY, f"{path}: there is no fault {head['Fault']}"
    return mutations


def command(*args):
    run = subprocess.run(args, cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT)})
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(args)} ended with {run.returncode}:\n{run.stdout[-3000:]}")


def copy_tree():
    """The tree as it stands, with what was built of it before: only what changed is written, so only that is compiled again."""
    COPY.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        source = ROOT / name
        files = [p for p in source.rglob("*") if p.is_file()] if source.is_dir() else [source]
        kept = {p.relative_to(ROOT) for p in files}
        for old in (COPY / name).rglob("*") if source.is_dir() else ():
            if old.is_file() and old.relative_to(COPY) not in kept:
                old.unlink()
        for path in kept:
            target = COPY / path
            if not target.exists() or target.read_bytes() != (ROOT / path).read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, target)
    if not (COPY / ".deps").exists():
        (COPY / ".deps").symlink_to(ROOT / ".deps")


def build(mutation):
    """The folder of the mutant's build. A patch that does not apply to the letter is an error."""
    copy_tree()
    command("git", "apply", "--whitespace=nowarn", str(mutation.path))
    command("cmake", "--preset", "faults", "-DBUILD_TESTING=OFF")
    command("cmake", "--build", "--preset", "faults", "-j", str(os.cpu_count()), "--target", *(f"parley-{name}" for name in SERVICES))
    return COPY / "build" / "faults"


def check_one(mutation, seed):
    """Returns what the checker got wrong, or None, and prints what it found."""
    fault = REGISTRY[mutation.fault]()
    stack = fault.new_stack(build(mutation))
    try:
        stack.up().second_gateways(fault.gateways)
        outcome = asyncio.run(execute(Run(fault, stack, seed)))
    finally:
        stack.down()
    found = sorted({v.invariant for v in outcome.violations})  # whatever else the run came to: a wrong server may end it early
    caught = mutation.expect in found
    print(f"{'ok   ' if caught else 'WRONG'} {mutation.name:30} {mutation.expect}  {mutation.about}")
    print(f"        fault:   {mutation.fault}: {'; '.join(outcome.shown)}")
    said = next((v.what for v in outcome.violations if v.invariant == mutation.expect), f"not found; it reported {''.join(found) or 'nothing'} {outcome.error}")
    n = sum(v.invariant == mutation.expect for v in outcome.violations)
    print(f"        found:   {said}" + (f" ({n} of {mutation.expect}; reported: {''.join(found)})" if caught else ""), flush=True)
    return caught


def run_all(seed, names):
    mutations = known()
    COPY.mkdir(parents=True, exist_ok=True)
    with COPY.with_suffix(".lock").open("w") as mine:  # one tree is patched
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"scripts/faults: another run with --mutations patches {COPY}: wait for its end") from None
        return check_all(mutations, seed, names)


def check_all(mutations, seed, names):
    missed = [name for name in names if not check_one(mutations[name], seed)]
    print(f"\n{len(names)} mutations of the server, {len(missed)} not caught" + (f": {', '.join(missed)}" if missed else ""))
    return missed
