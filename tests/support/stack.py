"""A private Parley stack for tests: real nats-server, PostgreSQL, nginx and the services, by scripts/up with its own ports and data."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import httpx
import jwt
import psycopg

from .signals import held_back

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "history", "presence", "upload")
PORTS = {"edge": 8080, "gateway": 8081, "history": 8082, "presence": 8083, "upload": 8084}


def wait_until(condition, timeout=20.0, what="condition", interval=0.02):
    """Polls until condition() is true and returns its value; fails the test with `what` after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(interval)  # the interval of a poll with a deadline, not a wait for luck


def take_offset():
    """A port offset at which none of the stack's ports is taken, and a socket that keeps it from other tests until it is closed."""
    base = (8080, 8081, 8082, 8083, 8084, 8085, 9081, 9082, 9083, 9084, 9085, 8422, 8432, 8433)
    first = os.environ.get("PARLEY_PORT_OFFSET")  # who sets it wants to know where the stacks are
    # below the ports that outgoing connections get
    for offset in range(int(first), int(first) + 900, 20) if first else range(5000 + os.getpid() % 300 * 20, 23000, 20):
        # what is free now may be another's that is about to start, or whose part was just killed: its name tells
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0parley-test-offset-{offset}")
        except OSError:
            mark.close()
            continue
        if all(_free(port + offset) for port in base):
            return offset, mark
        mark.close()
    raise RuntimeError("no free ports")


def _free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Stack:
    """scripts/up and scripts/down with own ports, own data, and PARLEY_* settings of one test."""

    def __init__(self, build="release", **env):
        self.offset, self.mark = take_offset()
        self.dir = Path(tempfile.mkdtemp(prefix="parley-test-"))
        # Postgres runs as another user than root and has to reach its socket folder
        self.dir.chmod(0o755)
        self.run_dir = self.dir / "run"
        self.gateways = [self]   # what has a ws_url and an admin port, the first one being that of scripts/up
        self.env = {
            **os.environ,
            "PARLEY_PORT_OFFSET": str(self.offset),
            "PARLEY_RUN_DIR": str(self.run_dir),
            "PARLEY_BUILD_DIR": str(ROOT / "build" / build),  # a preset, or the path of another build
            **{k: str(v) for k, v in env.items()},
        }

    # --- running it ---

    def _script(self, *args, timeout=180, env=None, apart=False):
        run = subprocess.run([str(ROOT / "scripts" / args[0]), *args[1:]], env=env or self.env, cwd=ROOT, timeout=timeout,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=apart)
        if run.returncode != 0:
            raise AssertionError(f"scripts/{' '.join(args)} ended with {run.returncode}:\n{run.stdout}{self.logs()}")
        return run.stdout

    def up(self):
        self._script("up", "--detach")
        return self

    def down(self):
        # ^C goes to everything in a terminal, and a second one would leave servers behind
        if threading.current_thread() is threading.main_thread():
            with held_back():
                self._down()
        else:
            self._down()

    def _down(self):
        for gateway in self.gateways[1:]:
            gateway.kill()
        stopped = False
        try:
            self._script("down", apart=True)
            stopped = True
        finally:
            self.mark.close()
            if not stopped:
                print(f"not stopped: PARLEY_PORT_OFFSET={self.offset} PARLEY_RUN_DIR={self.run_dir} scripts/down, then remove {self.dir}", file=sys.stderr, flush=True)
            elif not os.environ.get("PARLEY_KEEP_TEST_DATA"):
                shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, name, **env):
        """Starts one part again, with other settings if given, and returns when it is ready."""
        self._script("up", "--only", name, "--detach", env={**self.env, **{k: str(v) for k, v in env.items()}})

    def stop(self, name):
        """Ends one part in the orderly way."""
        self._script("down", name)

    def second_gateway(self):
        """Another gateway of this stack, at other ports; not started."""
        return SecondGateway(self)

    def second_gateways(self, n):
        """Makes sure that n gateways (1 or 2) run."""
        if n > 1 and len(self.gateways) < 2:
            self.gateways.append(self.second_gateway())
        for gateway in self.gateways[1:n]:
            if not gateway.alive():
                gateway.start()

    def parts(self, gateways=1):
        """The processes whose levels one may watch: name -> (pids, address of the admin port or None)."""
        parts = {name: ([self.pid(name)], self.admin_url(name)) for name in SERVICES}
        parts |= {"nats-server": ([self.pid("nats-server")], None), "postgres": (self.family("postgres"), None)}
        if gateways > 1:
            parts["gateway 2"] = ([self.gateways[1].process.pid], self.gateways[1].admin_url)
        return parts

    def family(self, name):
        """The process of a part and its children (Postgres has one for each connection), the parent first."""
        pids = [self.pid(name)]
        for pid in pids:
            try:
                for task in Path(f"/proc/{pid}/task").glob("*/children"):
                    pids += [int(child) for child in task.read_text().split()]
            except (FileNotFoundError, ProcessLookupError):
                pass  # a child that ended by itself meanwhile
        return pids

    def signal_all(self, pids, sig):
        for pid in pids:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass  # a child that ended by itself meanwhile

    def states(self, pids):
        """The kernel's letters for these processes: T is stopped."""
        def state(pid):
            try:
                return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                return "X"
        return [state(pid) for pid in pids]

    def pid(self, name):
        return int((self.run_dir / "pids" / name).read_text())

    def alive(self, name):
        try:
            os.kill(self.pid(name), 0)
            stat = Path(f"/proc/{self.pid(name)}/stat").read_text()  # it may be gone since the line before
        except (OSError, ValueError):
            return False
        return stat.rsplit(")", 1)[1].split()[0] != "Z"

    def kill(self, name, sig=signal.SIGKILL):
        os.kill(self.pid(name), sig)
        if sig == signal.SIGKILL:
            wait_until(lambda: not self.alive(name), 10, f"{name} is gone")

    def rss_kb(self, name):
        for line in Path(f"/proc/{self.pid(name)}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")

    def logs(self, lines=15):
        out = ""
        for log in sorted((self.run_dir / "log").glob("*.log")):
            out += f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) + "\n"
        return out

    def log_texts(self):
        """File name -> text of each part's log"""
        return {log.name: log.read_text(errors="replace") for log in sorted((self.run_dir / "log").glob("*.log"))}

    def program(self, name):
        return Program(self, name)

    # --- where it is ---

    @property
    def base_url(self):
        return f"http://127.0.0.1:{8080 + self.offset}"

    @property
    def ws_url(self):
        return f"ws://127.0.0.1:{8081 + self.offset}/ws"

    @property
    def edge_ws_url(self):
        return f"ws://127.0.0.1:{8080 + self.offset}/ws"

    @property
    def nats_url(self):
        return f"nats://127.0.0.1:{8422 + self.offset}"

    def admin_url(self, name):
        return f"http://127.0.0.1:{PORTS[name] + 1000 + self.offset}"

    def address(self, name):
        """(host, port) of the edge or of a service"""
        return "127.0.0.1", PORTS[name] + self.offset

    # an address of this machine that is another one than everybody else comes from
    other_address = "127.0.0.2"

    def elsewhere(self):
        """The edge, and other_address for who goes there"""
        return self.base_url, self.other_address

    def service_url(self, name):
        return "http://{}:{}".format(*self.address(name))

    @property
    def upload_dir(self):
        """Where the local store keeps bodies"""
        return self.run_dir / "upload"

    @property
    def s3_dir(self):
        """Where the S3 server keeps the bucket"""
        return self.run_dir / "s3" / "data" / "parley"

    def metric(self, service, name):
        """The sum over all label sets of one metric."""
        total, seen = 0.0, False
        for line in httpx.get(self.admin_url(service) + "/metrics").text.splitlines():
            if line.split("{")[0].split(" ")[0] == name:
                total, seen = total + float(line.rsplit(" ", 1)[1]), True
        if not seen:
            raise AssertionError(f"{service} has no metric {name}")
        return total

    def postgres(self, **options):
        """A connection to the services' database, to hinder it or to look whether something internal is over."""
        return psycopg.connect(self.postgres_url(), **options)

    def postgres_url(self, database="parley", user="parley"):
        return f"host='{self.run_dir / 'postgres-socket'}' port={8432 + self.offset} dbname={database} user={user}"

    def create_database(self, name):
        """An empty one, and its address for the services"""
        with psycopg.connect(self.postgres_url("postgres", "postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name} OWNER parley")
        return self.postgres_url(name)

    # --- who one is ---

    def secret(self):
        return (self.run_dir / "secret").read_text().strip()

    def token(self, user, ttl=3600, key=None, algorithm="HS256", headers=None, **claims):
        now = int(time.time())
        body = {"sub": user, "name": str(user).capitalize(), "iss": "parley-local", "aud": "parley", "iat": now, "exp": now + ttl, **claims}
        return jwt.encode({k: v for k, v in body.items() if v is not None}, self.secret() if key is None else key, algorithm=algorithm, headers=headers)

    # --- REST ---

    def rest(self, user=None, admin=False, token=None):
        """An httpx client of one user."""
        headers = {}
        if user or token:
            headers["Authorization"] = "Bearer " + (token or self.token(user, admin=admin or None))
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=20)

    def channel(self, owner="owner", members=(), **fields):
        """Creates a channel with these members and returns its id."""
        with self.rest(owner) as rest:
            answer = rest.post("/api/channels", json={"id": "c-" + uuid.uuid4().hex[:12], "name": "test", "kind": "private",
                                                      "members": list(members), **fields})
            assert answer.status_code in (201, 202), answer.text
            return answer.json()["id"]

    def all_events(self, user, channel, after=0):
        """Every event of a channel as history serves it, page by page."""
        events = []
        with self.rest(user) as rest:
            while True:
                answer = rest.get(f"/api/channels/{channel}/events", params={"after": after, "limit": 500})
                assert answer.status_code == 200, answer.text
                page = answer.json()
                events += page["events"]
                after = page["throughSeq"]
                if not page["more"]:
                    return events, after

    def wait_ingested(self, user, channel, seq, timeout=30):
        """Waits until history is complete through seq."""
        def through():
            with self.rest(user) as rest:
                answer = rest.get(f"/api/channels/{channel}/messages", params={"limit": 1})
                return answer.status_code == 200 and answer.json()["completeThroughSeq"] >= seq
        wait_until(through, timeout, f"history is complete through {seq}", interval=0.1)


class Program:
    """A service's program, to run once more with the settings that the stack's own has now"""

    def __init__(self, stack, name):
        pid = stack.pid(name)
        self.binary, self.folder = os.readlink(f"/proc/{pid}/exe"), stack.run_dir
        self.env = dict(item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in item)

    def start(self, *args, out=subprocess.PIPE, **env):
        return subprocess.Popen([self.binary, *args], cwd=self.folder, env={**self.env, **{k: str(v) for k, v in env.items()}},
                                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, text=True)


class SecondGateway:
    def __init__(self, stack):
        self.stack, self.process = stack, None
        self.env = {}   # settings of its own
        self.ws_url = f"ws://127.0.0.1:{8085 + stack.offset}/ws"
        self.admin_url = f"http://127.0.0.1:{9085 + stack.offset}"

    def start(self):
        env = {**self.stack.env, "PARLEY_LISTEN": f"127.0.0.1:{8085 + self.stack.offset}",
               "PARLEY_ADMIN_LISTEN": f"127.0.0.1:{9085 + self.stack.offset}", "PARLEY_NATS_URL": self.stack.nats_url,
               "PARLEY_TOKEN_SECRET_FILE": str(self.stack.run_dir / "secret"), "PARLEY_TOKEN_ISSUER": "parley-local",
               "PARLEY_TOKEN_AUDIENCE": "parley", **self.env}
        binary = Path(self.stack.env["PARLEY_BUILD_DIR"]) / "services/gateway/parley-gateway"
        with (self.stack.run_dir / "log" / "gateway-2.log").open("a") as log:
            self.process = subprocess.Popen([str(binary)], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._ready, 30, "the second gateway is ready")

    def _ready(self):
        assert self.process.poll() is None, f"the second gateway ended with {self.process.returncode}"
        try:
            return httpx.get(self.admin_url + "/readyz", timeout=3).status_code == 200
        except httpx.TransportError:
            return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Ends it in the orderly way and returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None
