"""Where something was measured is told on any machine, and what a benchmark keeps is one run's alone."""

import platform
import sys
from pathlib import Path

import pytest
from support import machine
from support.stack import ROOT

sys.path.append(str(ROOT / "bench"))

from harness import deep  # noqa: E402


def test_a_processor_without_a_name(monkeypatch):
    real = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self: "processor : 0\nBogoMIPS : 50\n" if self.name == "cpuinfo" else real(self))
    assert f"× {platform.machine()}, " in machine.machine()


def test_a_tree_without_git(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.commit_of(root=tmp_path) == ("unknown", False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.commit_of("lib") == ("unknown", False)


def test_a_filled_channel_is_one_runs_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(deep, "ROOT", tmp_path)
    monkeypatch.setattr(deep, "Stack", lambda **_: made.append(1) or Made())
    made = []

    class Made:
        env = {}
        down = staticmethod(lambda: None)
    first = deep.Deep(5)
    with pytest.raises(AssertionError, match="another run of this scenario uses .*deep-5"):
        deep.Deep(5)
    assert made == [1]  # the second has touched nothing
    deep.Deep(6).__exit__()
    first.__exit__()
    deep.Deep(5).__exit__()
