"""Every patch still applies to the tree as it is."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from fault import Fault, Outcome
from support.stack import ROOT

from . import run as mutations
from .run import Mutation, known


@pytest.mark.parametrize("name", known())
def test_applies(name):
    run = subprocess.run(["git", "apply", "--check", str(known()[name].path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.returncode == 0, f"mend tests/faults/mutations/{name}.patch:\n{run.stdout}"


def test_runs_on_the_stack_that_its_fault_asks_for(monkeypatch, capsys):
    """A cluster, a small disk, another clock: a plain stack has none of them."""
    class Special(Fault):
        def new_stack(self, build):
            deeds.append(build)
            return stack

    async def execute(run):
        return Outcome("special", "L", violations=[SimpleNamespace(invariant="L", what="lost")])

    deeds = []
    stack = SimpleNamespace(second_gateways=lambda n: None, down=lambda: deeds.append("down"))
    stack.up = lambda: stack
    monkeypatch.setattr(mutations, "REGISTRY", {"special": Special})
    monkeypatch.setattr(mutations, "build", lambda mutation: Path("/mutant"))
    monkeypatch.setattr(mutations, "Run", lambda fault, where, seed: deeds.append(where))
    monkeypatch.setattr(mutations, "execute", execute)
    assert mutations.check_one(Mutation("m", None, "about", "special", "L"), 1)
    assert deeds == [Path("/mutant"), stack, "down"] and "found:   lost" in capsys.readouterr().out
