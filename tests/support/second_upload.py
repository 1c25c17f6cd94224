"""A second upload service beside the one of a stack: the same settings, other ports."""

import subprocess
from pathlib import Path

import httpx

from .stack import wait_until


class SecondUpload:
    def __init__(self, stack, **env):
        """Started; it sweeps nothing."""
        self.base_url = f"http://127.0.0.1:{8086 + stack.offset}"
        self.admin_url = f"http://127.0.0.1:{9086 + stack.offset}"
        first = dict(e.split("=", 1) for e in Path(f"/proc/{stack.pid('upload')}/environ").read_text().split("\0") if "=" in e)
        env = {**first, "PARLEY_LISTEN": self.base_url[7:], "PARLEY_ADMIN_LISTEN": self.admin_url[7:], "PARLEY_UPLOAD_SWEEP_S": "3600", **{k: str(v) for k, v in env.items()}}
        binary = Path(stack.env["PARLEY_BUILD_DIR"]) / "services/upload/parley-upload"
        with (stack.run_dir / "log" / "upload-2.log").open("a") as log:
            self.process = subprocess.Popen([str(binary)], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        wait_until(self._ready, 30, "the second upload service is ready")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)

    def _ready(self):
        assert self.process.poll() is None, f"the second upload service ended with {self.process.returncode}"
        try:
            return httpx.get(self.admin_url + "/readyz", timeout=3).status_code == 200
        except httpx.TransportError:
            return False
