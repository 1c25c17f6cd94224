"""The configuration that the chart gives its nats-servers: what a real one makes of it."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest
from support.stack import wait_until
from support_chart import MATRIX, ROOT, Refused, render
from test_nats_accounts import USERS, free_port

SECOND = 1_000_000_000


def told(folder, *flags):
    """What a server with the rendered files says of itself, and its log"""
    client, monitor = free_port(), free_port()
    objects = render(*MATRIX["one-nats"], *flags)
    config = objects["ConfigMap", "parley-nats"]["data"]["nats.conf"]
    for there, here in (("0.0.0.0:4222", f"127.0.0.1:{client}"), ("0.0.0.0:8222", f"127.0.0.1:{monitor}"), ('"/data"', f'"{folder}/data"'), ("/run/nats", str(folder))):
        assert there in config
        config = config.replace(there, here)
    (folder / "nats.conf").write_text(config)
    (folder / "accounts.conf").write_text(objects["ConfigMap", "parley-nats-accounts"]["data"]["accounts.conf"])
    env = {**os.environ, "POD_NAME": "one", **{f"NATS_{user.upper()}_PASSWORD": f"p{user}" for user in USERS}}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([ROOT / ".deps/prefix/bin/nats-server", "-c", folder / "nats.conf"], env=env, stdout=log, stderr=log)

    def answer(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{monitor}{path}", timeout=5) as said:
                return json.load(said)
        except (urllib.error.URLError, ConnectionError):
            return None
    try:
        wait_until(lambda: process.poll() is not None or (answer("/healthz") or {}).get("status") == "ok", 20, "nats-server is there")
        return answer("/varz"), answer("/jsz?config=true"), (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


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
