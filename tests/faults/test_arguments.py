"""What a proof is asked for and cannot do is said, by name, and nothing is installed, built or run for it."""

import os
import subprocess

import pytest
from support.stack import ROOT


@pytest.mark.parametrize("command, said", [
    ("faults --minutes -1", "'-1' is no time"),
    ("faults --minutes nan", "'nan' is no time"),
    ("faults --minutes inf", "'inf' is no time"),
    ("faults --planted --list", "--planted means nothing with --list"),
    ("faults --list --seed 0", "--seed means nothing with --list"),
    ("faults --mutations --list", "--mutations means nothing with --list"),
    ("faults --mutations --quick", "--quick means nothing with --mutations"),
    ("faults --mutations --minutes 1", "--minutes means nothing with --mutations"),
    ("faults --planted --minutes 1", "--minutes means nothing with --planted"),
    ("faults --quick --only calm", "--quick means nothing with --only"),
    ("faults --only calm,", "'calm,' has an empty name"),
    ("faults --build nothing", "there is no build 'nothing'"),
    ("bench --seconds nan", "'nan': takes 1.5 or more"),
    ("bench --seconds inf", "'inf': takes 1.5 or more"),
    ("bench --seconds 1", "'1': takes 1.5 or more"),
    ("bench --conns 0 idle", "'0': takes a whole number of 1 or more"),
    ("bench --conns 10,x idle", "'x': takes a whole number of 1 or more"),
    ("bench --repeat 0", "'0': takes a whole number of 1 or more"),
    ("bench nothing", "there is no scenario 'nothing'"),
    ("bench --systems parley --peers", "--systems names them, and --peers takes all"),
    ("bench --table idle", "idle means nothing with --table"),
    ("bench --list --conns 5", "--conns means nothing with --list"),
    ("bench --quick --name x", "--name means nothing with --quick"),
    ("PARLEY_BENCH_EVENTS=x bench ingest", "PARLEY_BENCH_EVENTS is 'x': takes"),
    ("PARLEY_BENCH_MESSAGES=-5 bench history", "PARLEY_BENCH_MESSAGES is '-5': takes"),
    ("fuzz nothing", "there is no target 'nothing'"),
    ("fuzz fuzz_base_config --minutes -1", "--minutes is '-1'"),
    ("fuzz fuzz_base_config --minutes 1 2", "takes nothing else, and there is '2'"),
    ("fuzz fuzz_base_config --minimise 2", "takes nothing else, and there is '2'"),
    ("fuzz fuzz_base_config /nothing/there", "there is no file '/nothing/there'"),
    ("fuzz --list 2", "takes nothing else, and there is '2'"),
])
def test_is_refused(command, said, tmp_path):
    """Before anything is installed: what is there of scripts/deps would fail otherwise."""
    settings = [word for word in command.split() if word.startswith("PARLEY_")]
    script, *words = command.split()[len(settings):]
    clone = tmp_path / "clone"
    (clone / "scripts").mkdir(parents=True)
    for name in ("bench", "tests", "docs", "services"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "scripts/lib").symlink_to(ROOT / "scripts/lib")
    (clone / "scripts" / script).write_bytes((ROOT / "scripts" / script).read_bytes())
    (clone / "scripts/deps").write_text("#!/bin/sh\necho installing\nexit 9\n")
    for name in (script, "deps"):
        (clone / "scripts" / name).chmod(0o755)
    run = subprocess.run([str(clone / "scripts" / script), *words], capture_output=True, text=True, timeout=60,
                         env={**os.environ, **dict(s.split("=") for s in settings)})
    assert run.returncode in (1, 2) and said in run.stderr and "installing" not in run.stdout + run.stderr, run


@pytest.mark.parametrize("command, said", [
    (["tests/faults/run.py", "--named", "--only", "nothing"], "there is no fault 'nothing'"),
    (["tests/faults/run.py", "--named", "--planted", "--only", "calm"], "there is no planted fault 'calm'"),
    (["tests/faults/run.py", "--named", "--mutations", "--only", "calm"], "there is no mutation 'calm'"),
    (["bench/run.py", "--named", "--systems", "nothing", "idle"], "there is no system 'nothing'"),
    (["bench/run.py", "--named", "--systems", "strategy2", "storm"], "storm measures Parley alone"),
])
def test_names_are_known_before_anything_is_built(command, said):
    run = subprocess.run([".deps/venv/bin/python", "-B", *command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode in (1, 2) and said in run.stderr and not run.stdout, run


@pytest.mark.parametrize("command", [["tests/faults/run.py", "--named", "--quick"], ["tests/faults/run.py", "--named", "--planted", "--quick"],
                                     ["tests/faults/run.py", "--named", "--mutations"], ["bench/run.py", "--named", "--quick"]])
def test_what_scripts_test_asks_for_is_known(command):
    run = subprocess.run([".deps/venv/bin/python", "-B", *command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
