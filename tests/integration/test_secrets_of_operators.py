"""The operator's own secrets, where they would sing: in what a service says of servers that refuse it, or of an address that cannot be read."""

import json
import signal
import socket
import threading
import urllib.error
import urllib.request
import uuid

import httpx
import pytest
from support.stack import SERVICES, wait_until

# how a password comes to stand where libpq reads something else; {} is the canary, or a part of the password that is as telling
ADDRESSES = ["postgresql://parley:%zz{}@127.0.0.1:1/parley", "postgresql://parley:x/{}@127.0.0.1:1/parley", "postgresql://parley:{}/x@127.0.0.1:1/parley",
             "postgresql://parley:x@{}@127.0.0.1:1/parley", "host=127.0.0.1 port=1 password=x {}", "host=127.0.0.1 port=1 password='{}",
             "postgresql://parley:x?{}@127.0.0.1:1/parley", "postgresql://parley:{}@127.0.0.1:1/parley"]


def canary():
    return "canary" + uuid.uuid4().hex


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_of_postgres_is_not_quoted(stack, address):
    secret = canary()
    process = stack.program("history").start("--migrate", PARLEY_PG_URL=address.format(secret), PARLEY_SETUP_TIMEOUT_S=1)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and secret not in out, out
    assert "PARLEY_PG_URL cannot be read" in out or "Connection refused" in out, out


class Refusing:
    """What NATS answers to whoever shows a wrong password"""

    def __init__(self):
        self.heard, self.socket = b"", socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        info = {"server_id": "x", "version": "2.10.27", "proto": 1, "max_payload": 1 << 20, "auth_required": True, "headers": True}
        while True:
            try:
                with self.socket.accept()[0] as s:
                    s.settimeout(5)
                    s.sendall(b"INFO " + json.dumps(info).encode() + b"\r\n")
                    self.heard += s.recv(4096)
                    s.sendall(b"-ERR 'Authorization Violation'\r\n")
            except TimeoutError:
                continue
            except OSError:  # closed
                return


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    try:
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def told(admin, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}{path}", timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return ""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_refused_says_no_password(stack, service, tmp_path):
    assert stack.run_dir  # the ports are of this machine
    nats, (port, admin, closed) = Refusing(), free_ports(3)
    secrets = {name: canary() for name in ("PARLEY_NATS_PASSWORD", "PARLEY_TOKEN_SECRET", "PARLEY_UPLOAD_SECRET", "PARLEY_S3_ACCESS_KEY_ID",
                                           "PARLEY_S3_SECRET_ACCESS_KEY", "password of PostgreSQL")}
    env = {**{k: v for k, v in secrets.items() if k.isupper()}, "PARLEY_LOG_LEVEL": "debug", "PARLEY_LISTEN": f"127.0.0.1:{port}", "PARLEY_ADMIN_LISTEN": f"127.0.0.1:{admin}",
           "PARLEY_NATS_URL": nats.url, "PARLEY_NATS_USER": service, "PARLEY_PG_URL": f"postgresql://parley:{secrets['password of PostgreSQL']}@127.0.0.1:{closed}/x",
           "PARLEY_UPLOAD_STORE": "s3", "PARLEY_S3_ENDPOINT": f"http://127.0.0.1:{closed}", "PARLEY_S3_BUCKET": "files", "PARLEY_TOKEN_SECRET_FILE": "", "PARLEY_UPLOAD_SECRET_FILE": ""}
    program = stack.program(service)
    shown = program.start("--check-config", **env).communicate(timeout=30)[0]
    with (tmp_path / "log").open("w") as log:
        process = program.start(out=log, **env)
    try:
        wait_until(lambda: nats.heard.count(secrets["PARLEY_NATS_PASSWORD"].encode()) > 1 and told(admin, "/readyz"), 30, "it was refused and tried again")
        said = {path: told(admin, path) for path in ("/readyz", "/metrics", "/healthz")}
        said["a request"] = httpx.get(f"http://127.0.0.1:{port}/api/channels", headers={"Authorization": "Bearer x"}, timeout=10).text
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        nats.socket.close()
    said |= {"its log": (tmp_path / "log").read_text(), "--check-config": shown}
    assert said["its log"] and "PARLEY_NATS_PASSWORD" in shown
    assert not [f"{name} in {where}: {text[:500]}" for name, secret in secrets.items() for where, text in said.items() if secret in text]
