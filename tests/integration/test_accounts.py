"""The services on a nats-server with the users and rights that the chart gives: all that they say to each other gets through, and nothing is refused."""

import os
import re
import signal
import socket
import subprocess
import uuid

import httpx
import pytest
import yaml
from support.client import Client
from support.stack import ROOT, SERVICES, wait_until
from support.uploads import Uploader

USERS = ("gateway", "history", "presence", "upload", "setup", "scanner", "integration", "operator", "system", "routes")


def accounts(passwords=None):
    """As the chart renders them; tests/chart compares the file with the templates"""
    for document in yaml.safe_load_all((ROOT / "tests/chart/golden/trial.yaml").read_text()):
        if document and document["metadata"]["name"].endswith("nats-accounts"):
            return re.sub(r"\$NATS_(\w+)_PASSWORD", lambda m: passwords[m[1].lower()] if passwords else m[0], document["data"]["accounts.conf"])
    raise AssertionError("no accounts")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def bus(tmp_path):
    port = free_port()
    (tmp_path / "accounts.conf").write_text(accounts())
    (tmp_path / "nats.conf").write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{tmp_path}/data" }}\nping_interval: "2s"\ninclude "accounts.conf"\n')
    env = {**os.environ, **{f"NATS_{user.upper()}_PASSWORD": f"p{user}" for user in USERS}}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([ROOT / ".deps/prefix/bin/nats-server", "-c", tmp_path / "nats.conf"], env=env, stdout=log, stderr=log)
    wait_until(lambda: "Server is ready" in (tmp_path / "log").read_text(), 20, "nats-server is ready")
    yield f"nats://127.0.0.1:{port}", tmp_path / "log", process
    process.terminate()
    process.wait()


async def test_services_need_no_more_than_the_accounts_give(own_stack, bus):
    stack, (url, log, _) = own_stack(), bus
    move(stack, url)
    await use(stack)
    refused = re.findall(r"Violation.*", log.read_text())
    assert not refused, refused


async def test_a_changed_password_is_shown_at_the_next_connection(own_stack, bus):
    """Rotation without a restart: nats-server takes the new ones, and closes what came with the old ones"""
    stack, (url, log, server) = own_stack(), bus
    files = {service: stack.run_dir / f"{service}-password" for service in SERVICES}
    for service, file in files.items():
        file.write_text(f"p{service}\n")
    move(stack, url, files)
    await use(stack)
    pids, before = {service: stack.pid(service) for service in SERVICES}, connections(stack)

    changed = {user: f"changed{user}" for user in USERS}
    for service, file in files.items():
        file.write_text(changed[service] + "\n")
    (log.parent / "accounts.conf").write_text(accounts(changed))
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: all(connections(stack)[service] > before[service] for service in SERVICES), 30, "all are connected anew")
    wait_until(lambda: all(httpx.get(f"{stack.admin_url(service)}/readyz", timeout=5).status_code == 200 for service in SERVICES), 30, "all are ready")
    await use(stack)
    assert {service: stack.pid(service) for service in SERVICES} == pids


def connections(stack):
    """How often each service has connected"""
    texts = stack.log_texts()
    return {service: texts[f"{service}.log"].count('"connected to NATS"') for service in SERVICES}


def move(stack, url, password_files=None):
    """To another nats-server, with the users of the chart"""
    binary = os.readlink(f"/proc/{stack.pid('history')}/exe")
    env = dict(item.split("=", 1) for item in open(f"/proc/{stack.pid('history')}/environ").read().split("\0") if "=" in item)
    for service in SERVICES:
        stack.stop(service)
    made = subprocess.run([binary, "--provision"], env={**env, "PARLEY_NATS_URL": url, "PARLEY_NATS_USER": "setup", "PARLEY_NATS_PASSWORD": "psetup"},
                          cwd=stack.run_dir, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stdout + made.stderr
    for service in ("history", "gateway", "presence", "upload"):
        password = {"PARLEY_NATS_PASSWORD_FILE": password_files[service]} if password_files else {"PARLEY_NATS_PASSWORD": f"p{service}"}
        stack.start(service, PARLEY_NATS_URL=url, PARLEY_NATS_USER=service, **password, PARLEY_PROVISION="off")


async def use(stack):
    """Each question of one service to another: memberships to gateways, events and presence to a client, files"""
    channel = stack.channel("ada", members=["bob"])
    async with Client(stack, "ada") as ada, Client(stack, "bob") as bob:
        message = str(uuid.uuid4())
        ack = await ada.send(channel, "hello", id=message)
        assert (await ada.send(channel, "hello", id=message))["seq"] == ack["seq"]
        await bob.wait_seq(channel, ack["seq"])
        assert (await ada.request({"type": "watch", "userIds": ["bob"]}))["type"] != "error"
        status = await ada.request({"type": "status", "mode": "dnd", "text": "In a meeting"})
        assert status["type"] != "error", status
    with Uploader(stack, "ada") as uploader:
        uploader.uploaded(channel, b"x" * 100)
    stack.wait_ingested("ada", channel, ack["seq"])
    with stack.rest("ada") as rest:
        assert rest.delete(f"/api/channels/{channel}/members/bob").status_code == 204
