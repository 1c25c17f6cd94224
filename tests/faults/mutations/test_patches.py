"""Every patch still applies to the tree as it is."""

import subprocess

import pytest

from support.stack import ROOT

from .run import known


@pytest.mark.parametrize("name", known())
def test_applies(name):
    run = subprocess.run(["git", "apply", "--check", str(known()[name].path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.returncode == 0, f"mend tests/faults/mutations/{name}.patch:\n{run.stdout}"
