"""Three private nats-servers as one JetStream cluster, every route between them through a proxy of its own.

Node i reaches node j by way of the proxy (i, j). What a server tells the others about its own address leads nowhere (`advertise`), so
that they have no way around the proxies.

ping_interval bounds for how long a route can hold a message back, and so what PARLEY_DEDUPE_WINDOW_MS has to be above: a message that
arrives behind the window, while its retry went another way, is stored twice. With nats-server's defaults that is 90 s."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import nats

from inject.proxy import Network
from support.stack import ROOT, Stack, wait_until

NODES = (1, 2, 3)

CONFIG = """
server_name: "n{i}"
listen: "127.0.0.1:{client}"
http: "127.0.0.1:{monitor}"
max_pending: 64MB
max_subscriptions: 0
ping_interval: "2s"
ping_max: 2
jetstream {{ store_dir: "{store}", max_file_store: {max_store} }}
cluster {{
  name: "parley-test"
  listen: "127.0.0.1:{route}"
  advertise: "127.0.0.1:1"
  no_advertise: true
  routes: [{routes}]
}}
"""


def nats_server():
    prefix = ROOT / ".deps/prefix/bin/nats-server"
    return str(prefix) if prefix.exists() else shutil.which("nats-server")


def free_ports(n, first):
    """n ports above `first` that nobody listens on, below those that outgoing connections get."""
    ports, port = [], first
    while len(ports) < n:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                ports.append(port)
            except OSError:
                pass
        port += 1
    return ports


class Cluster:
    def __init__(self, folder, first_port, max_store="4GB"):
        self.folder = Path(folder)
        self.network = Network()
        ports = free_ports(9, first_port)
        self.client = dict(zip(NODES, ports[0:3]))
        self.route = dict(zip(NODES, ports[3:6]))
        self.monitor = dict(zip(NODES, ports[6:9]))
        self.proxies = {(i, j): self.network.proxy("127.0.0.1", self.route[j]) for i in NODES for j in NODES if i != j}
        self.process = {}
        self.max_store = max_store

    @property
    def urls(self):
        return ",".join(f"nats://127.0.0.1:{self.client[i]}" for i in NODES)

    def url(self, node):
        return f"nats://127.0.0.1:{self.client[node]}"

    # --- life ---

    def start(self, *nodes):
        for i in nodes or NODES:
            store = self.folder / f"n{i}"
            store.mkdir(parents=True, exist_ok=True)
            routes = ", ".join(f'"nats://127.0.0.1:{self.proxies[i, j].port}"' for j in NODES if j != i)
            config = self.folder / f"n{i}.conf"
            config.write_text(CONFIG.format(i=i, client=self.client[i], monitor=self.monitor[i], route=self.route[i], store=store,
                                            routes=routes, max_store=self.max_store))
            with (self.folder / f"n{i}.log").open("a") as log:
                self.process[i] = subprocess.Popen([nats_server(), "-c", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for i in nodes or NODES:
            wait_until(lambda i=i: self.varz(i) is not None, 20, f"nats-server {i} answers")

    def wait_up(self):
        """About one start in fifteen leaves two servers that do not hear each other: they dial each other at once, each at a proxy's
        address, and each closes the other's route as a duplicate (measured: 5 of 96, also without a pool of routes, and one after the other).
        Then they are started again, once; that is before any fault."""
        try:
            wait_until(lambda: len(self.peers_online()) == 3, 15, "")
        except AssertionError:
            deaf = [i for i in NODES if not ((self._get(i, "jsz") or {}).get("meta_cluster") or {}).get("leader")] or list(NODES)
            print(f"  the nats-servers {deaf} are not all one cluster after 15 s, and are started again")
            for i in deaf:
                self.kill(i)
            self.start(*deaf)
        wait_until(lambda: len(self.peers_online()) == 3, 40, "the cluster has a leader and three members")

    def kill(self, node, sig=signal.SIGKILL):
        self.process[node].send_signal(sig)
        if sig == signal.SIGKILL:
            self.process[node].wait(10)

    def pause(self, node):
        os.kill(self.process[node].pid, signal.SIGSTOP)

    def resume(self, node):
        os.kill(self.process[node].pid, signal.SIGCONT)

    def running(self):
        return [i for i, p in self.process.items() if p.poll() is None]

    def down(self):
        for p in self.process.values():
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.kill()
                p.wait(10)
        self.network.close()

    # --- cutting it ---

    def isolate(self, *nodes):
        """Nothing passes between these and the others, in either way; nobody is told."""
        for (i, j), proxy in self.proxies.items():
            if (i in nodes) != (j in nodes):
                proxy.silent()

    def cut_all(self):
        for proxy in self.proxies.values():
            proxy.silent()

    def heal(self):
        for proxy in self.proxies.values():
            proxy.passes()

    # --- looking at it ---

    def _get(self, node, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor[node]}/{path}", timeout=3) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def varz(self, node):
        return self._get(node, "varz")

    def jsz(self, node):
        return self._get(node, "jsz?streams=1&config=1&raft=1")

    def meta_leader(self):
        for i in self.running():
            meta = (self._get(i, "jsz") or {}).get("meta_cluster") or {}
            if meta.get("leader"):
                return int(meta["leader"][1:])
        return None

    def peers_online(self):
        leader = self.meta_leader()
        meta = (self._get(leader, "jsz") or {}).get("meta_cluster") or {} if leader else {}
        return [meta["leader"]] + [r["name"] for r in meta.get("replicas") or [] if not r.get("offline")] if meta.get("leader") else []

    def stream_view(self, node, stream):
        """What this node thinks of the stream: its detail in jsz, or None."""
        for account in (self.jsz(node) or {}).get("account_details") or []:
            for s in account.get("stream_detail") or []:
                if s["name"] == stream:
                    return s
        return None

    def leader(self, stream, among=NODES):
        """The node that leads the stream in its own eyes, or None. An isolated leader goes on to think so for a while."""
        for i in among:
            if i in self.running():
                view = self.stream_view(i, stream)
                if view and (view.get("cluster") or {}).get("leader") == f"n{i}":
                    return i
        return None

    def in_step(self, stream):
        """All three replicas are online and current."""
        leader = self.leader(stream)
        replicas = ((self.stream_view(leader, stream) or {}).get("cluster") or {}).get("replicas") or [] if leader else []
        return len(replicas) == 2 and all(r.get("current") and not r.get("offline") for r in replicas)

    def wait_in_step(self, stream, timeout=60):
        try:
            wait_until(lambda: self.in_step(stream), timeout, "", interval=0.1)
        except AssertionError:
            views = {i: (self.stream_view(i, stream) or {}).get("cluster") for i in self.running()}
            raise AssertionError(f"not within {timeout} s: all replicas of {stream} are in step; they are {views}") from None

    def connected(self, name):
        """The nodes to which clients with this name, or one that begins with it, are connected."""
        return [i for i in self.running() for c in (self._get(i, "connz") or {}).get("connections") or [] if c.get("name", "").startswith(name)]

    def step_down(self, stream):
        """Asks the leader of a stream to hand over, and waits until another one leads."""
        before = self.leader(stream)

        async def ask():
            nc = await nats.connect(self.url(before))
            try:
                await nc.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", b"", timeout=5)
            finally:
                await nc.close()
        asyncio.run(ask())
        wait_until(lambda: self.leader(stream) not in (None, before), 20, f"{stream} has another leader than n{before}")

    def lead(self, stream, node, tries=20):
        """Makes a node the leader; who is elected is not ours to say, so this may take some turns."""
        for _ in range(tries):
            self.wait_in_step(stream)
            if self.leader(stream) == node:
                return
            self.step_down(stream)
        raise AssertionError(f"n{node} was not elected in {tries} elections")


class ClusterStack(Stack):
    """A stack on three nats-servers with three replicas of everything. The one that scripts/up starts is idle beside them."""

    def __init__(self, build="release", **env):
        super().__init__(build=build, PARLEY_STREAM_REPLICAS=3, **env)
        self.cluster = Cluster(self.dir / "cluster", 8423 + self.offset)
        self.env["PARLEY_NATS_URL"] = self.cluster.urls

    @property
    def nats_url(self):
        return self.cluster.urls

    def up(self):
        missing = [i for i in NODES if i not in self.cluster.running()]
        if missing:
            self.cluster.start(*missing)
        self.cluster.wait_up()
        return super().up()

    def down(self):
        try:
            super().down()
        finally:
            self.cluster.down()

    def parts(self, gateways=1):
        parts = super().parts(gateways)
        del parts["nats-server"]
        return {**parts, **{f"nats-server {i}": ([self.cluster.process[i].pid], None) for i in NODES}}

    def logs(self, lines=15):
        out = super().logs(lines)
        for i in NODES:
            log = self.cluster.folder / f"n{i}.log"
            if log.exists():
                out += f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) + "\n"
        return out
