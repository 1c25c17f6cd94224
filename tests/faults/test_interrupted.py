"""A run that is ended before its time leaves nothing behind, and one thing that goes wrong ends no whole run."""

import asyncio
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import run as faults
from families.disks import PostgresFull
from fault import Run, Skipped
from inject import disk
from support import stack as stacks
from support.signals import held_back
from support.stack import Stack

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def interrupts():
    """As in a terminal: what a shell starts behind & ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def stack(monkeypatch, tmp_path):
    """A stack whose scripts/down is what the test says."""
    monkeypatch.setattr(stacks, "ROOT", tmp_path)
    (tmp_path / "scripts").mkdir()

    def make(down):
        script = tmp_path / "scripts" / "down"
        script.write_text(f"#!/bin/sh\n{down}\n")
        script.chmod(0o755)
        made.append(Stack())
        return made[-1]
    made = []
    yield make
    for one in made:
        one.mark.close()
        shutil.rmtree(one.dir, ignore_errors=True)


@pytest.mark.parametrize("number", ["TERM", "HUP"])
def test_ends_as_by_an_interrupt(number):
    program = f"""
import signal, sys
sys.path.insert(0, {str(TESTS)!r})
from support.signals import end_as_interrupted
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as behind &
signal.signal(signal.SIGHUP, signal.SIG_DFL)
try:
    end_as_interrupted()
    print("ready", flush=True)
    signal.pause()
except KeyboardInterrupt:
    print("stopped what was started")
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(getattr(signal, f"SIG{number}"))
        assert child.communicate(timeout=30) == ("stopped what was started\n", None) and child.returncode == 0
    finally:
        child.kill()


def test_a_second_interrupt_does_not_cut_short_the_stopping(stack, tmp_path):
    done = tmp_path / "done"
    one = stack(f"kill -INT $PPID; kill -INT $PPID; echo $$ $(cut -d ' ' -f 6 /proc/$$/stat) >{done}")
    with pytest.raises(KeyboardInterrupt):
        one.down()
    assert not one.dir.exists()
    pid, session = done.read_text().split()
    assert pid == session, "the ^C of a terminal would reach scripts/down"


def test_what_was_not_stopped_is_named_and_kept(stack, capsys):
    one = stack("exit 3")
    with pytest.raises(AssertionError, match="ended with 3"):
        one.down()
    assert one.dir.exists() and f"PARLEY_RUN_DIR={one.run_dir} scripts/down" in capsys.readouterr().err


def test_a_signal_waits_for_the_end_of_what_holds_it_back():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with held_back():
            signal.raise_signal(signal.SIGINT)
            reached.append(True)
    assert reached and signal.getsignal(signal.SIGINT) is signal.default_int_handler


class NoMount(disk.SmallDisk):
    """A disk that needs no root: an empty folder."""

    def __init__(self, path, megabytes):
        self.path = Path(path)
        self.path.mkdir()

    def unmount(self):
        for entry in self.path.iterdir():
            entry.unlink()


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "postgres"
    folder.mkdir(mode=0o700)
    (folder / "rows").write_text("kept")
    return folder


def test_a_disk_takes_the_place_of_a_folder(data):
    made = NoMount.in_place_of(data, 1)
    assert made.path == data and (data / "rows").read_text() == "kept" and data.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in data.parent.iterdir()] == ["postgres"]


@pytest.mark.parametrize("what", ["mount", "copy"])
def test_data_outlives_a_disk_that_cannot_be_had(data, monkeypatch, what):
    def fails(command, **_):
        raise Skipped(what) if what == "mount" else subprocess.CalledProcessError(1, command)
    monkeypatch.setattr(disk, "subprocess", SimpleNamespace(run=fails))
    cls = NoMount if what == "copy" else disk.SmallDisk
    monkeypatch.setattr(disk.os, "geteuid", lambda: 0)
    with pytest.raises((Skipped, subprocess.CalledProcessError)):
        cls.in_place_of(data, 1)
    assert (data / "rows").read_text() == "kept" and [p.name for p in data.parent.iterdir()] == ["postgres"]


def test_a_disk_that_is_being_made_when_all_ends_is_unmounted(monkeypatch):
    """^C while the cluster moves to its small disk: the thread that moves it goes on."""
    begun, may_end, unmounted = threading.Event(), threading.Event(), []

    def in_place_of(folder, megabytes):
        begun.set()
        assert may_end.wait(30)
        return SimpleNamespace(free=lambda: None, unmount=lambda: unmounted.append(folder))
    monkeypatch.setattr(disk.SmallDisk, "in_place_of", in_place_of)
    stack = SimpleNamespace(run_dir=Path("/run"), stop=lambda name: None, start=lambda name: None)
    fault, run = PostgresFull(), SimpleNamespace(thread=asyncio.to_thread, stack=stack)

    async def interrupted():
        preparing = asyncio.create_task(fault.prepare(run))
        assert await asyncio.to_thread(begun.wait, 30)
        preparing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await preparing
        cleaning = asyncio.create_task(fault.clean(run))
        asyncio.get_running_loop().call_soon(may_end.set)  # behind the beginning of clean
        await cleaning
    asyncio.run(interrupted())
    assert unmounted == [Path("/run/postgres")]


def test_a_mount_that_is_interrupted_is_taken_back(monkeypatch, tmp_path):
    commands = []

    def run(command, **_):
        commands.append(command[0])
        if command[0] == "mount":
            raise KeyboardInterrupt
    monkeypatch.setattr(disk, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(disk.os, "geteuid", lambda: 0)
    with pytest.raises(KeyboardInterrupt):
        disk.SmallDisk(tmp_path / "nats", 1)
    assert commands == ["mount", "umount"]


class Broken:
    """Stacks none of which starts, and none stops."""
    stacks = {}

    def __init__(self, error):
        self.error = error

    def get(self, fault):
        raise self.error


@pytest.mark.parametrize("error", [AssertionError("scripts/up ended with 1"), OSError("no file left"), subprocess.TimeoutExpired("up", 180)])
def test_a_stack_that_does_not_start_fails_its_run_alone(error, tmp_path):
    outcome = faults.run_one(PostgresFull(), Broken(error), 1, tmp_path)
    assert outcome.failed and outcome.error.startswith("the stack did not start: ") and outcome.name in faults.table([outcome])


def test_a_stack_that_does_not_stop_fails_the_run_and_not_the_others():
    def down():
        raise AssertionError("scripts/down ended with 1")
    held = faults.Stacks(None)
    stopped = []
    held.stacks = {1: SimpleNamespace(down=down), 2: SimpleNamespace(down=lambda: stopped.append(2))}
    assert held.down() is False and stopped == [2] and not held.stacks


def test_an_interrupted_run_tells_what_is_known(monkeypatch, capsys):
    def once(fault, *_):
        if told:
            raise KeyboardInterrupt
        told.append(fault.name)
        return faults.Outcome(fault.name, fault.invariants)
    told = []
    monkeypatch.setattr(faults, "run_one", once)
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "calm,kill-history", "--seed", "7"])
    with pytest.raises(KeyboardInterrupt):
        faults.main()
    assert "1 runs, 0 failed" in capsys.readouterr().out


def test_a_seed_repeats_what_a_fault_draws_however_much_the_load_drew():
    def drawn(n):
        doors = SimpleNamespace(ws_urls=["ws://x"], rest_url="http://x", token=lambda user: user)
        run = Run(PostgresFull(), None, 7, doors)
        for _ in range(n):
            run.load.random.random()
        return [run.random.random() for _ in range(3)], [run.load.uploads.random.random() for _ in range(3)]
    assert drawn(0) == drawn(5)
