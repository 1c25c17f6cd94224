"""scripts/fuzz around a target: what it installs, how it ends, and what it does to the corpus of the repository."""

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from support.stack import ROOT, wait_until


class Clone:
    """A tree with one target, which is a script of the test; what builds it does nothing."""

    def __init__(self, folder):
        self.root, self.seeds = folder, folder / "tests/fuzz/corpus/x"
        self.seeds.mkdir(parents=True)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/fuzz", folder / "scripts/fuzz")
        (folder / "scripts/lib").symlink_to(ROOT / "scripts/lib")
        (folder / "tests/fuzz/fuzz_x.c").write_text("/* Anything. */\n")
        (folder / "build/fuzz/tests/fuzz").mkdir(parents=True)
        (folder / "build/fuzz/build.ninja").touch()
        self.script("scripts/deps", f'echo "$@" >>{folder}/installed')
        self.script("bin/cmake", "")

    def script(self, name, text):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def target(self, text):
        self.script("build/fuzz/tests/fuzz/fuzz_x", text)

    def start(self, *args):
        return subprocess.Popen(["env", "--default-signal=HUP", str(self.root / "scripts/fuzz"), "fuzz_x", *args], text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"})

    def run(self, *args):
        process = self.start(*args)
        return process.communicate(timeout=180)[0], process.returncode


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def named(content):
    return hashlib.sha1(content.encode()).hexdigest()


def test_installs_what_it_needs(clone):
    clone.target("exit 0")
    said, code = clone.run("--minutes", "1")
    assert code == 0 and "0 s of processor time" in said, said
    assert (clone.root / "installed").read_text().splitlines() == ["--test --quiet", "--print"]


def test_the_corpus_is_what_covers_all_and_names_stay(clone):
    """-merge=1 INTO SEEDS GATHERED: all that is not superfluous, by its content."""
    clone.target('for f in "$4"/* "$5"/*; do [ ! -e "$f" ] || grep -q superfluous "$f" || cp "$f" "$3/$(sha1sum <"$f" | cut -d " " -f 1)"; done')
    gathered = clone.root / "build/fuzz-corpus/fuzz_x"
    gathered.mkdir(parents=True)
    for folder, name, content in ((clone.seeds, "a-name", "named"), (clone.seeds, named("old"), "old"), (clone.seeds, named("superfluous"), "superfluous"),
                                  (clone.seeds, named("named"), "named"), (gathered, named("new"), "new"), (gathered, named("named"), "named")):
        (folder / name).write_text(content)
    said, code = clone.run("--minimise")
    assert code == 0 and said.startswith("fuzz_x: 3 inputs"), said
    assert {p.name: p.read_text() for p in clone.seeds.iterdir()} == {"a-name": "named", named("old"): "old", named("new"): "new"}


def test_a_merge_that_fails_takes_nothing(clone):
    clone.target("exit 1")
    (clone.seeds / named("old")).write_text("old")
    said, code = clone.run("--minimise")
    assert code == 1 and "-merge=1 failed" in said and [p.name for p in clone.seeds.iterdir()] == [named("old")]


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ends_its_target(clone, number):
    clone.target(f"echo $$ >{clone.root}/new && mv {clone.root}/new {clone.root}/pid && exec sleep 600")
    script = clone.start()
    try:
        wait_until(lambda: (clone.root / "pid").exists(), 180, "the target runs")
        pid = int((clone.root / "pid").read_text())
        said, code = clone.run("--minutes", "1")
        assert code == 1 and "another scripts/fuzz works on fuzz_x" in said, said
        script.send_signal(number)
        script.communicate(timeout=180)  # nobody holds its output any more
        assert script.returncode == 143 and not running(pid)
    finally:
        script.kill()
