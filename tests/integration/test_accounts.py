"""The services on a nats-server with the users and rights that the chart gives: all that they say to each other gets through, and nothing is refused."""

import os
import re
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


def accounts():
    """As the chart renders them; tests/chart compares the file with the templates"""
    for document in yaml.safe_load_all((ROOT / "tests/chart/golden/trial.yaml").read_text()):
        if document and document["metadata"]["name"].endswith("nats-accounts"):
            return document["data"]["accounts.conf"]
    raise AssertionError("no accounts")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A nats-server with the chart's accounts, at one port and with one store through all its restarts"""

    def __init__(self, folder):
        self.folder, self.log, port = folder, folder / "log", free_port()
        self.url = f"nats://127.0.0.1:{port}"
        (folder / "accounts.conf").write_text(accounts())
        (folder / "nats.conf").write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/data" }}\nping_interval: "2s"\ninclude "accounts.conf"\n')
        self.log.touch()
        self.start({user: f"p{user}" for user in USERS})

    def start(self, passwords):
        env = {**os.environ, **{f"NATS_{user.upper()}_PASSWORD": password for user, password in passwords.items()}}
        before = self.log.read_text().count("Server is ready")
        with self.log.open("a") as log:
            self.process = subprocess.Popen([ROOT / ".deps/prefix/bin/nats-server", "-c", self.folder / "nats.conf"], env=env, stdout=log, stderr=log)
        wait_until(lambda: self.log.read_text().count("Server is ready") > before, 20, "nats-server is ready")

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def bus(tmp_path):
    server = Server(tmp_path)
    yield server
    server.stop()


async def test_services_need_no_more_than_the_accounts_give(own_stack, bus):
    stack = own_stack()
    move(stack, bus.url)
    await use(stack)
    refused = re.findall(r"Violation.*", bus.log.read_text())
    assert not refused, refused


async def test_a_changed_password_is_shown_at_the_next_connection(own_stack, bus):
    """Rotation without a restart of a service, whether its file or the server is the first to be changed"""
    stack = own_stack()
    files = {service: stack.run_dir / f"{service}-password" for service in SERVICES}
    changed = {user: f"changed{user}" for user in USERS}
    for service, file in files.items():
        file.write_text(f"p{service}\n")
    move(stack, bus.url, files)
    await use(stack)
    pids = {service: stack.pid(service) for service in SERVICES}

    for service, file in files.items():
        file.write_text(changed[service] + "\n")
    for passwords in ({user: f"p{user}" for user in USERS}, changed):  # the file has another one already; both have it
        before = connections(stack)
        bus.stop()
        bus.start(passwords)
        wait_until(lambda before=before: all(connections(stack)[service] > before[service] for service in SERVICES), 30, "all are connected anew")
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
