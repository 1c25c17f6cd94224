"""A second instance of a service beside the one of a stack: the same settings, other ports."""

import subprocess
from pathlib import Path

import httpx

from .stack import wait_until

PORTS = {"upload": 8086, "presence": 8087, "history": 8088}


class SecondService:
    def __init__(self, stack, service, **env):
        """Started"""
        self.service, port = service, PORTS[service] + stack.offset
        self.base_url, self.admin_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1000}"
        first = dict(e.split("=", 1) for e in Path(f"/proc/{stack.pid(service)}/environ").read_text().split("\0") if "=" in e)
        env = {**first, "PARLEY_LISTEN": self.base_url[7:], "PARLEY_ADMIN_LISTEN": self.admin_url[7:], **{k: str(v) for k, v in env.items()}}
        binary = Path(stack.env["PARLEY_BUILD_DIR"]) / f"services/{service}/parley-{service}"
        with (stack.run_dir / "log" / f"{service}-2.log").open("a") as log:
            self.process = subprocess.Popen([str(binary)], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        wait_until(self._ready, 30, f"the second {self.service} is ready")
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def _ready(self):
        assert self.process.poll() is None, f"the second {self.service} ended with {self.process.returncode}"
        try:
            return httpx.get(self.admin_url + "/readyz", timeout=3).status_code == 200
        except httpx.TransportError:
            return False


class SecondUpload(SecondService):
    def __init__(self, stack, **env):
        """Started; it sweeps nothing."""
        super().__init__(stack, "upload", **{"PARLEY_UPLOAD_SWEEP_S": 3600, **env})


def metric_of(admin_url, name):
    """The value of a metric without labels"""
    for line in httpx.get(admin_url + "/metrics").text.splitlines():
        if line.split(" ")[0] == name:
            return float(line.split(" ")[1])
    raise AssertionError(f"{admin_url} has no metric {name}")
