"""The configuration that the chart gives its nats-servers: what a real one makes of it."""

import contextlib
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from support.families import needs_ipv6
from support.stack import wait_until
from support_chart import MATRIX, ROOT, Refused, render
from test_nats_accounts import USERS, free_port

SECOND = 1_000_000_000


@contextlib.contextmanager
def nats_server(folder, ports, *flags, host="127.0.0.1"):
    """A server with the rendered files. ports: those of the configuration -> where it is here; host: in place of the configuration's own, unless it is None"""
    objects = render(*flags)
    config = objects["ConfigMap", "parley-nats"]["data"]["nats.conf"]
    moved = [(f"0.0.0.0:{there}", f"{host or '0.0.0.0'}:{here}") for there, here in ports.items()]
    for there, here in (*moved, ('"/data"', f'"{folder}/data"'), ("/run/nats", str(folder))):
        assert there in config
        config = config.replace(there, here)
    (folder / "nats.conf").write_text(config)
    (folder / "accounts.conf").write_text(objects["ConfigMap", "parley-nats-accounts"]["data"]["accounts.conf"])
    env = {**os.environ, "POD_NAME": "one", **{f"NATS_{user.upper()}_PASSWORD": f"p{user}" for user in USERS},
           **{f"NATS_ROUTE_{i}": "nats://routes:proutes@127.0.0.1:1" for i in range(3)}}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([ROOT / ".deps/prefix/bin/nats-server", "-c", folder / "nats.conf"], env=env, stdout=log, stderr=log)

    def answer(path, at="127.0.0.1"):
        try:
            with urllib.request.urlopen(f"http://{at}:{ports[8222]}{path}", timeout=5) as said:
                return json.load(said)
        except (urllib.error.URLError, ConnectionError):
            return None
    try:
        wait_until(lambda: process.poll() is not None or (answer("/healthz?js-enabled-only=true") or {}).get("status") == "ok", 20, "nats-server is there")
        yield answer
    finally:
        process.kill()
        process.wait()


def told(folder, *flags):
    """What a server says of itself, and its log"""
    with nats_server(folder, {4222: free_port(), 8222: free_port()}, *MATRIX["one-nats"], *flags) as answer:
        return answer("/varz"), answer("/jsz?config=true"), (folder / "log").read_text()


@needs_ipv6
def test_servers_are_there_for_both_families(tmp_path):
    """0.0.0.0 is every address of IPv6, too, for nats-server; a pod of a cluster with IPv6 may have no other"""
    ports = {4222: free_port(), 6222: free_port(), 8222: free_port()}
    with nats_server(tmp_path, ports, *MATRIX["trial"], host=None) as answer:
        for host, at in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            assert answer("/varz", at)["server_name"] == "one"
            for port in (4222, 6222):
                with socket.create_connection((host, ports[port]), timeout=5) as s:
                    assert s.recv(5) == b"INFO "


@pytest.mark.parametrize("given, seconds, always", [("2m", 120, False), ("10s", 10, False), ("always", 120, True), ("10s,durability=strict", 120, True)])
def test_what_is_written_is_on_disk_when_the_values_say(tmp_path, given, seconds, always):
    """A bare 2m is a number with a suffix for nats-server, two million seconds, and it goes on with a warning"""
    server, jetstream, log = told(tmp_path, "--set", f"nats.syncInterval={given}")
    assert jetstream["config"]["sync_interval"] == seconds * SECOND and jetstream["config"].get("sync_always", False) == always
    assert "should be converted" not in log and "invalid use" not in log, log


def test_sizes_and_pings_are_those_of_the_values(tmp_path):
    server, jetstream, log = told(tmp_path, "--set", "nats.pingInterval=3s,nats.maxPayload=2MB,nats.storage.maxFileStore=900Mi")
    assert (server["ping_interval"], server["max_payload"]) == (3 * SECOND, 2 << 20)
    assert jetstream["config"]["max_storage"] == 900 << 20


@pytest.mark.parametrize("value", ["syncInterval=120", "syncInterval=2 minutes", "pingInterval=2", "startupSeconds=5"])
def test_a_time_without_a_unit_is_refused(value):
    with pytest.raises(Refused) as error:
        render(*MATRIX["trial"], "--set", f"nats.{value}")
    assert value.partition("=")[0] in str(error.value)
