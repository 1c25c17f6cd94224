"""The stack of deploy/docker/compose.yaml as a Stack: what tests/integration runs against with PARLEY_TEST_COMPOSE=1.

The images have to be there (scripts/images). What only a local stack has (other settings, processes, files) skips the test that asks for it."""

import json
import os
import socket
import subprocess

import psycopg
import pytest
from support.stack import ROOT, Stack

FOLDER = ROOT / "deploy" / "docker"
PORTS = {"gateway": 8081, "history": 8082, "presence": 8083, "upload": 8084}
LOCAL = "needs a stack on this machine: other settings, its processes or its files"


class ComposeStack(Stack):
    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        hard = subprocess.run(["sh", "-c", "ulimit -Hn"], capture_output=True, text=True, check=True).stdout.strip()
        self.env = {**os.environ, "PARLEY_PORT": str(self.port), "PARLEY_RATE_LIMITS": "off", "PARLEY_DEMO_SIGNIN": "on",
                    "PARLEY_NOFILE": hard if hard.isdigit() and int(hard) < 65536 else "65536"}
        self.addresses = {}
        self.gateways = [self]

    def _compose(self, *args, timeout=180):
        run = subprocess.run([os.environ.get("DOCKER", "docker"), "compose", "--project-name", "parley-test", "--file", str(FOLDER / "compose.yaml"), *args],
                             env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        assert run.returncode == 0, f"docker compose {' '.join(args)}:\n{run.stdout}{run.stderr}"
        return run.stdout

    def up(self):
        subprocess.run([str(FOLDER / "secrets.sh")], check=True, timeout=30)
        self._compose("up", "--wait", "--wait-timeout", "120")
        for line in self._compose("ps", "--quiet").split():
            box = json.loads(subprocess.run([os.environ.get("DOCKER", "docker"), "inspect", line], capture_output=True, text=True, check=True).stdout)[0]
            networks = box["NetworkSettings"]["Networks"]
            self.addresses[box["Config"]["Labels"]["com.docker.compose.service"]] = networks.get("parley-test_front", networks.get("parley-test_back"))["IPAddress"]
        return self

    def down(self):
        self._compose("down", "--volumes")

    def logs(self, lines=15):
        return self._compose("logs", "--no-color", "--tail", str(lines))

    def _local(self, *_, **__):
        pytest.skip(LOCAL)

    start = stop = second_gateway = second_gateways = pid = alive = kill = rss_kb = parts = family = _local
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
