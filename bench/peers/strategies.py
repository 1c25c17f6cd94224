"""What a reader would build who follows the usual advice: a WebSocket server in Node.js, with a database or a broker in the way of each message."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from harness.system import ROOT, Dialect, System
from support.stack import Stack, take_offset, wait_until

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))

from rabbitmq import RabbitMQ  # noqa: E402


class Node(System):
    """A script of this folder, which speaks Parley's plain JSON frames and has a `join` of its own."""

    script = "?"
    dialect = Dialect(
        join='{"type":"join","channelId":"{room}"}',
        ready='{"type":"ready"',
        send='{"type":"send","ref":{ref},"channelId":"{room}","message":{"id":"{id}","content":"{content}"}}',
        event='{"type":"event"',
        ack='{"type":"ack","ref":')

    def __init__(self):
        self.process = self.dir = None

    def start(self):
        install_modules()
        self.dir = Path(tempfile.mkdtemp(prefix="parley-bench-peer-"))
        self.offset, self.mark = take_offset()
        self.port = 8085 + self.offset
        env = {**os.environ, **self.start_store(), "PORT": str(self.port), "NODE_ENV": "production"}
        with (self.dir / "node.log").open("w") as log:
            self.process = subprocess.Popen(["node", str(HERE / self.script)], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._ready, 30, f"{self.script} is ready")

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.script} ended with {self.process.returncode}:\n{(self.dir / 'node.log').read_text()}")
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=3).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None
        self.stop_store()
        if self.dir:
            self.mark.close()
            shutil.rmtree(self.dir, ignore_errors=True)
            self.dir = None

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/ws?user={{user}}"

    def pids(self):
        return {"node": self.process.pid, **self.store_pids()}

    def start_store(self):
        """Starts what keeps the messages; returns the environment in which the script finds it."""
        raise NotImplementedError

    def stop_store(self):
        raise NotImplementedError

    def store_pids(self):
        raise NotImplementedError


class Strategy2(Node):
    name = "strategy2"
    what = "node ws and PostgreSQL: durable, an INSERT before the broadcast"
    script = "strategy2.mjs"

    def __init__(self):
        super().__init__()
        self.stack = None

    def start_store(self):
        # Parley's own local PostgreSQL and its settings, without Parley
        self.stack = Stack()
        self.stack.start("postgres")
        return {"PGHOST": str(self.stack.run_dir / "postgres-socket"), "PGPORT": str(8432 + self.stack.offset), "PGUSER": "parley", "PGDATABASE": "parley"}

    def stop_store(self):
        if self.stack:
            self.stack.down()
            self.stack = None

    def store_pids(self):
        return {"postgres": self.stack.pid("postgres")}


class Strategy3(Node):
    name = "strategy3"
    what = "node ws and RabbitMQ: durable queue, persistent messages, publisher confirms"
    script = "strategy3.mjs"
    no_delay = "0"

    def __init__(self):
        super().__init__()
        self.broker = None

    def start_store(self):
        subprocess.run([str(ROOT / "scripts/deps"), "--peers", "--quiet"], check=True, stdout=sys.stderr)
        self.broker = RabbitMQ(self.dir / "rabbitmq", 8080 + self.offset)
        self.broker.start()
        return {"AMQP_URL": self.broker.url, "AMQP_NODELAY": self.no_delay}

    def stop_store(self):
        if self.broker:
            self.broker.stop()
            self.broker = None

    def store_pids(self):
        return {"rabbitmq": self.broker.pid}


class Strategy3NoDelay(Strategy3):
    name = "strategy3-nodelay"
    what = "strategy3 with TCP_NODELAY between node and RabbitMQ, which amqplib leaves off"
    no_delay = "1"


def install_modules():
    lock, done = HERE / "package-lock.json", HERE / "node_modules/.package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    run = subprocess.run(["npm", "ci"], cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        raise AssertionError(f"npm ci in bench/peers failed:\n{run.stdout}")
    done.touch()


SYSTEMS = (Strategy2, Strategy3, Strategy3NoDelay)
