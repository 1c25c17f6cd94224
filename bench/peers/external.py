"""Other systems, each described by a JSON file of this folder: README.md has its members."""

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import httpx

from harness.system import Dialect, System
from support.stack import take_offset, wait_until

HERE = Path(__file__).resolve().parent
DIALECT = {field.name for field in dataclasses.fields(Dialect)}
OTHER = {"name", "what", "url", "audience", "start", "healthy", "files"}


class AdapterError(ValueError):
    """A file that describes no system, and why."""


class External(System):
    """A running system (PARLEY_BENCH_<NAME>_URL), or one that `start` starts on a port of its own."""

    spec = {}

    def start(self):
        self.process = self.dir = None
        if running(self.spec):
            return
        self.offset, self.mark = take_offset()
        self.dir = Path(tempfile.mkdtemp(prefix="parley-bench-peer-"))
        self.port = 8085 + self.offset
        for name, content in self.spec.get("files", {}).items():
            (self.dir / name).write_text(json.dumps(content) if isinstance(content, dict) else self._fill(content))
        command = [self._fill(word) for word in self.spec["start"]]
        with (self.dir / "log").open("w") as log:
            self.process = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._healthy, 30, f"{self.name} is ready")

    def _fill(self, text):
        return text.replace("{port}", str(self.port)).replace("{dir}", str(self.dir))

    def _healthy(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{(self.dir / 'log').read_text()}")
        try:
            return httpx.get(self._fill(self.spec["healthy"]), timeout=3).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None
        if self.dir:
            self.mark.close()
            shutil.rmtree(self.dir, ignore_errors=True)
            self.dir = None

    @property
    def url(self):
        return running(self.spec) or self._fill(self.spec["url"])

    def pids(self):
        return {self.name: self.process.pid} if self.process else {}


def running(spec):
    """Where the system runs already, if the environment says so"""
    return os.environ.get(f"PARLEY_BENCH_{spec['name'].upper().replace('-', '_')}_URL")


def read(path):
    """The class of one file; AdapterError names what is wrong with it."""
    try:
        spec = json.loads(path.read_text())
    except ValueError as error:
        raise AdapterError(f"{path.name}: {error}") from error
    missing = {"name", "what", "send", "event"} - set(spec)
    unknown = set(spec) - DIALECT - OTHER
    if missing or unknown:
        raise AdapterError(f"{path.name}: " + "; ".join([f"'{m}' is missing" for m in sorted(missing)] + [f"there is no '{u}'" for u in sorted(unknown)]))
    if "start" in spec and not {"url", "healthy"} <= set(spec):
        raise AdapterError(f"{path.name}: with 'start' come 'url' and 'healthy'")
    return type(spec["name"], (External,), {
        "name": spec["name"], "what": spec["what"], "spec": spec, "audience": spec.get("audience", "room"),
        "dialect": Dialect(**{k: v for k, v in spec.items() if k in DIALECT})})


def here(system):
    """It runs, or it could be started."""
    spec = system.spec
    return bool(running(spec) or ("start" in spec and shutil.which(spec["start"][0])))


SYSTEMS = tuple(system for system in (read(path) for path in sorted(HERE.glob("*.json")) if not path.name.startswith("package")) if here(system))
