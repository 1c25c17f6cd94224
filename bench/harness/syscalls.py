"""What a process asks of the kernel, counted by strace."""

import contextlib
import re
import signal
import subprocess
import time
from pathlib import Path

ATTACHED_S = 10


def tasks_traced(pid):
    states = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("[0-9]*/status")]
    return bool(states) and not any(re.search(r"^TracerPid:\t0$", state, re.M) for state in states)


@contextlib.contextmanager
def counted(pid, folder):
    """A dict that has, behind the block, how often each call was made in it: {name: calls}. PermissionError where this machine lets nobody trace it."""
    path, calls = folder / "syscalls", {}
    strace = subprocess.Popen(["strace", "-c", "-f", "-q", "-U", "name,calls", "-o", str(path), "-p", str(pid)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + ATTACHED_S
        while not tasks_traced(pid):
            if strace.poll() is not None:
                why = strace.stderr.read().strip()
                raise PermissionError(why) if "not permitted" in why else AssertionError(f"strace ended with {strace.returncode}: {why}")
            assert time.monotonic() < deadline, f"strace does not trace {pid} within {ATTACHED_S} s"
            time.sleep(0.01)  # a poll with a deadline
        yield calls
    finally:
        if strace.poll() is None:
            strace.send_signal(signal.SIGINT)  # lets go of it, and writes what it has counted
        strace.communicate(timeout=ATTACHED_S)
    calls.update({name: int(n) for name, n in re.findall(r"^\s*(\w+)\s+(\d+)\s*$", path.read_text(), re.M) if name != "total"})
