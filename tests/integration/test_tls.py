"""TLS in the gateway itself: sessions over it, another certificate while they go on, and those who speak something else."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import warnings
from pathlib import Path

import httpx
import pytest
import websockets
from support.client import Client
from support.stack import wait_until
from support.tls import Authority

HANDSHAKE_MS = 1000


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def gateway(shared_stack, authority):
    """A gateway with TLS beside the stack's own without."""
    gateway = shared_stack().second_gateway()
    authority.issue()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    gateway.plain_url, gateway.ws_url = gateway.ws_url, f"wss://{address}/ws"
    gateway.env = {"PARLEY_TLS_CERT_FILE": str(authority.cert), "PARLEY_TLS_KEY_FILE": str(authority.key), "PARLEY_TLS_LISTEN": address,
                   "PARLEY_HANDSHAKE_TIMEOUT_MS": str(HANDSHAKE_MS), "PARLEY_SESSION_MAX_QUEUE_BYTES": "65536"}
    gateway.start()
    yield gateway
    gateway.kill()


def metric(gateway, name):
    lines = [line for line in httpx.get(gateway.admin_url + "/metrics").text.splitlines() if line.split("{")[0].split(" ")[0] == name]
    assert lines, f"no metric {name}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def port(gateway):
    return int(gateway.ws_url.rsplit(":", 1)[1].split("/")[0])


def serial(gateway, authority):
    """The serial number of the certificate that a new connection is shown."""
    with socket.create_connection(("127.0.0.1", port(gateway)), timeout=10) as raw, \
            authority.context().wrap_socket(raw, server_hostname="localhost") as tls:
        return int(tls.getpeercert()["serialNumber"], 16)


def client(gateway, authority, user, **options):
    return Client(gateway.stack, user, url=gateway.ws_url, ssl=authority.context(), **options)


def ended(raw, timeout=10):
    """All that comes until the other side ends it."""
    raw.settimeout(timeout)
    data = b""
    try:
        while piece := raw.recv(4096):
            data += piece
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize("protocol", [None, "parley.v1.plain", "parley.v1.json"])
async def test_sessions_over_tls(gateway, authority, protocol):
    stack = gateway.stack
    channel = stack.channel("ada", members=["bob"])
    async with client(gateway, authority, "ada", protocol=protocol) as ada, Client(stack, "bob", url=gateway.plain_url) as bob:
        acks = [await ada.send(channel, f"{i} " + "x" * (i * 80)) for i in range(200)]  # up to 16,000 bytes: a record of TLS and more
        answer = await bob.send(channel, "seen")
        for one in (ada, bob):
            await one.wait_seq(channel, answer["seq"])
            assert [m["seq"] for m in one.messages(channel)] == [a["seq"] for a in acks] + [answer["seq"]]
            assert one.channels[channel].breaks == 0


async def test_a_batch_larger_than_the_sockets(gateway, authority):
    """A replay of half a megabyte has to wait for the client again and again."""
    stack = gateway.stack
    channel = stack.channel("ada", members=["cleo"])
    async with Client(stack, "ada") as ada:
        for i in range(40):
            last = await ada.send(channel, f"{i} " + "y" * 12000)
        async with client(gateway, authority, "cleo", from_start=True) as cleo:
            await cleo.wait_seq(channel, last["seq"])
            assert len(cleo.messages(channel)) == 40 and cleo.channels[channel].breaks == 0


async def test_another_certificate_while_a_session_goes_on(gateway, authority):
    stack = gateway.stack
    channel = stack.channel("ada")
    async with client(gateway, authority, "ada") as ada:
        before = serial(gateway, authority)
        issued = authority.issue(days=20)
        wait_until(lambda: serial(gateway, authority) == issued.serial_number, 20, "new connections see the new certificate")
        assert issued.serial_number != before
        assert metric(gateway, "parley_gateway_tls_not_after_seconds") == int(issued.not_valid_after_utc.timestamp())
        ack = await ada.send(channel, "still here")
        await ada.wait_seq(channel, ack["seq"])
        assert ada.connections == 1
    assert httpx.get(gateway.admin_url + "/readyz").json()["checks"]["certificate"] is True


async def test_a_pair_that_cannot_be_used_changes_nothing(gateway, authority):
    before, failed = serial(gateway, authority), metric(gateway, "parley_gateway_tls_reloads_failed_total")
    authority.cert.write_text("-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n")
    wait_until(lambda: metric(gateway, "parley_gateway_tls_reloads_failed_total") == failed + 1, 20, "the garbage is seen")
    assert serial(gateway, authority) == before
    authority.issue(key=authority.folder / "another.key")   # the key that is there belongs to another certificate
    wait_until(lambda: metric(gateway, "parley_gateway_tls_reloads_failed_total") == failed + 2, 20, "the wrong key is seen")
    assert serial(gateway, authority) == before
    authority.key.unlink()
    wait_until(lambda: metric(gateway, "parley_gateway_tls_reloads_failed_total") == failed + 3, 20, "the missing key is seen")
    assert serial(gateway, authority) == before
    log = (gateway.stack.run_dir / "log" / "gateway-2.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if "the one before stays" in line]
    assert "PARLEY_TLS_CERT_FILE=" in lines[-3]["error"] and "PARLEY_TLS_KEY_FILE=" in lines[-2]["error"]
    issued = authority.issue()
    wait_until(lambda: serial(gateway, authority) == issued.serial_number, 20, "the right pair is taken")


@pytest.mark.parametrize(("change", "said"), [
    (lambda env, a: env.pop("PARLEY_TLS_KEY_FILE"), "PARLEY_TLS_KEY_FILE is not"),
    (lambda env, a: env.pop("PARLEY_TLS_CERT_FILE"), "PARLEY_TLS_CERT_FILE is not"),
    (lambda env, a: env.update(PARLEY_TLS_KEY_FILE="/nowhere/tls.key"), "No such file"),
    (lambda env, a: env.update(PARLEY_TLS_CERT_FILE=env["PARLEY_TLS_KEY_FILE"]), "PARLEY_TLS_CERT_FILE="),
    (lambda env, a: a.issue(cert=a.folder / "x.crt", key=a.folder / "x.key") and env.update(PARLEY_TLS_KEY_FILE=str(a.folder / "x.key")),
     "PARLEY_TLS_KEY_FILE="),
], ids=["no key", "no certificate", "no such file", "a key for a certificate", "another key"])
def test_a_wrong_pair_stops_the_start(gateway, authority, change, said):
    stack = gateway.stack
    env = {**stack.env, **gateway.env, "PARLEY_NATS_URL": stack.nats_url, "PARLEY_LISTEN": "127.0.0.1:0", "PARLEY_TLS_LISTEN": "127.0.0.1:0",
           "PARLEY_ADMIN_LISTEN": "127.0.0.1:0",
           "PARLEY_TOKEN_SECRET_FILE": str(stack.run_dir / "secret")}
    change(env, authority)
    binary = Path(stack.env["PARLEY_BUILD_DIR"]) / "services/gateway/parley-gateway"
    run = subprocess.run([binary], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert run.returncode == 1 and said in run.stderr, run.stderr
    assert "PRIVATE KEY" not in run.stderr


async def test_who_does_not_speak_tls_is_told_so(gateway):
    with socket.create_connection(("127.0.0.1", port(gateway))) as raw:
        raw.sendall(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        answer = ended(raw)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"This port speaks TLS" in answer
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(gateway.ws_url.replace("wss://", "ws://"), open_timeout=10)
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("said", [b"", b"\xff" * 300, b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 64],
                         ids=["nothing", "noise", "a beginning", "half a hello", "zeros"])
def test_nobody_waits_for_who_does_not_finish(gateway, said):
    with socket.create_connection(("127.0.0.1", port(gateway))) as raw:
        raw.sendall(said)
        ended(raw, timeout=HANDSHAKE_MS / 1000 + 5 + 4)  # the time for the upgrade, and 5 s to read what was said


def test_a_silent_client_behind_the_handshake_is_ended(gateway, authority):
    with socket.create_connection(("127.0.0.1", port(gateway))) as raw, \
            authority.context().wrap_socket(raw, server_hostname="localhost") as tls:
        tls.sendall(b"GET /ws HTTP/1.1\r\n")
        assert ended(tls, HANDSHAKE_MS / 1000 + 5) == b""


def test_only_tls_1_2_and_later(gateway, authority):
    for version, works in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        context = authority.context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():  # the client would speak the old one, and is told that it is old
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_1, version
        with socket.create_connection(("127.0.0.1", port(gateway)), timeout=10) as raw:
            if works:
                context.wrap_socket(raw, server_hostname="localhost").close()
            else:
                with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                    context.wrap_socket(raw, server_hostname="localhost")


async def test_a_client_that_does_not_read_is_closed_and_nothing_stays(gateway, authority):
    stack = gateway.stack
    channel = stack.channel("ada", members=["dora"])
    before, slow = descriptors(gateway), metric(gateway, "parley_gateway_closed_total")
    reader, writer = await asyncio.open_connection("127.0.0.1", port(gateway), ssl=authority.context(), server_hostname="localhost", limit=1024)
    writer.write(b"GET /ws?token=" + stack.token("dora").encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                 b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 101")
    writer.transport.pause_reading()
    async with Client(stack, "ada") as ada:
        for i in range(4000):
            await ada.send(channel, "z" * 16000)
            if i % 50 == 0 and metric(gateway, "parley_gateway_closed_total") > slow:
                break
        else:
            raise AssertionError("64 MB have gone to somebody who does not read")
    writer.transport.abort()
    wait_until(lambda: descriptors(gateway) <= before, 20, "its descriptors are closed")


async def test_connections_come_and_go(gateway, authority):
    before = descriptors(gateway)
    for _ in range(3):
        clients = [client(gateway, authority, f"guest-{i}") for i in range(30)]
        await asyncio.gather(*(one.connect() for one in clients))
        assert descriptors(gateway) >= before + 90
        await asyncio.gather(*(one.drop() for one in clients[:15]))
        await asyncio.gather(*(one.close() for one in clients))
        wait_until(lambda: descriptors(gateway) <= before, 20, "all their descriptors are closed")


async def test_a_gateway_that_stops_sends_its_clients_away(gateway, authority):
    """The last test of this gateway."""
    async with client(gateway, authority, "ada") as ada:
        exit_code = await asyncio.to_thread(gateway.stop)
        await asyncio.wait_for(asyncio.gather(ada._task, return_exceptions=True), 20)
        assert ada.close_code == 1012 and any(f["type"] == "reconnect" for f in ada.frames)
    assert exit_code == 0
