"""The stack of deploy/docker/compose.yaml as a Stack: what tests/integration runs against with PARLEY_TEST_COMPOSE=1.

The images have to be there (scripts/images). What only a local stack has (processes, files) skips the test that asks for it."""

import json
import os
import shlex
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest
from support.stack import ROOT, Stack

FOLDER = ROOT / "deploy" / "docker"
PORTS = {"gateway": 8081, "history": 8082, "presence": 8083, "upload": 8084}
LOCAL = "needs a stack on this machine: other settings, its processes or its files"


class ComposeStack(Stack):
    def __init__(self, project="parley-test", subnet="10.231.77.0/24", **settings):
        self.project, self.settings = project, {k: str(v) for k, v in settings.items()}
        self.settings_file = Path(tempfile.gettempdir()) / f"{project}-{os.getpid()}.env"
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        hard = subprocess.run(["sh", "-c", "ulimit -Hn"], capture_output=True, text=True, check=True).stdout.strip()
        self.env = {**os.environ, "PARLEY_PORT": str(self.port), "PARLEY_RATE_LIMITS": "off", "PARLEY_DEMO_SIGNIN": "on",
                    "PARLEY_SETTINGS": str(self.settings_file), "PARLEY_SUBNET": subnet, "PARLEY_NOFILE": hard if hard.isdigit() and int(hard) < 65536 else "65536"}
        self.addresses = {}
        self.gateways = [self]

    def _compose(self, *args, timeout=180):
        command = shlex.split(os.environ.get("PARLEY_COMPOSE") or os.environ.get("DOCKER", "docker") + " compose")
        run = subprocess.run([*command, "--project-name", self.project, "--file", str(FOLDER / "compose.yaml"), *args],
                             env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        assert run.returncode == 0, f"{' '.join(command)} {' '.join(args)}:\n{run.stdout}{run.stderr}"
        return run.stdout

    def up(self):
        subprocess.run([str(FOLDER / "secrets.sh")], check=True, timeout=30)
        self.settings_file.write_text("".join(f"{k}={v}\n" for k, v in self.settings.items()))
        self._compose("up", "--wait", "--wait-timeout", "120")
        self._look_up()
        return self

    def _look_up(self):
        for line in self._compose("ps", "--quiet").split():
            box = json.loads(subprocess.run([os.environ.get("DOCKER", "docker"), "inspect", line], capture_output=True, text=True, check=True).stdout)[0]
            networks = box["NetworkSettings"]["Networks"]
            name = box["Config"]["Labels"]["com.docker.compose.service"]
            self.addresses[name] = networks.get(f"{self.project}_front", networks.get(f"{self.project}_back"))["IPAddress"]

    def down(self):
        self._compose("down", "--volumes")
        self.settings_file.unlink(missing_ok=True)

    def stop(self, name):
        self._compose("stop", name)

    def start(self, name):
        self._compose("up", "--wait", "--wait-timeout", "120", name)
        self._look_up()

    def logs(self, lines=15):
        return self._compose("logs", "--no-color", "--tail", str(lines))

    def _local(self, *_, **__):
        pytest.skip(LOCAL)

    second_gateway = second_gateways = pid = alive = kill = rss_kb = parts = family = _local
    run_dir = offset = property(_local)

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self):
        return f"ws://{self.addresses['gateway']}:8081/ws"

    @property
    def edge_ws_url(self):
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def nats_url(self):
        return f"nats://parley:{self._secret('nats.password')}@{self.addresses['nats']}:4222"

    def admin_url(self, name):
        return f"http://{self.addresses[name]}:{PORTS[name] + 1000}"

    def postgres(self):
        return psycopg.connect(host=self.addresses["postgres"], user="parley", dbname="parley", password=self._secret("postgres.password"))

    def secret(self):
        return self._secret("token")

    def _secret(self, name):
        return (FOLDER / "secrets" / name).read_text().strip()
