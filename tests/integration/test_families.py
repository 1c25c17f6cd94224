"""IPv4 and IPv6: what listens at every address (:PORT, as in the images) is there for both, and knows clients by their addresses."""

import contextlib
import ipaddress
import json
import random

import httpx
import pytest
import websockets
from support.client import Client
from support.edge import another_edge, spare_port
from support.families import needs_ipv6
from support.names import name
from support.second_service import PORTS, SecondService
from support.stack import wait_until

HOSTS = {"127.0.0.1": "127.0.0.1", "[::1]": "::1"}
PATHS = {"history": "/api/me", "presence": "/api/presence/status", "upload": "/api/uploads/none"}


@needs_ipv6
@pytest.mark.parametrize("service", PATHS)
def test_a_service_is_there_for_both(stack, service, tmp_path):
    port = PORTS[service] + stack.offset
    with SecondService(stack, service, PARLEY_LISTEN=f":{port}", PARLEY_ADMIN_LISTEN=f":{port + 1000}", PARLEY_UPLOAD_DIR=tmp_path):
        for host in HOSTS:
            assert httpx.get(f"http://{host}:{port + 1000}/readyz").status_code == 200, host
            assert httpx.get(f"http://{host}:{port}{PATHS[service]}").status_code == 401, host


@needs_ipv6
async def test_a_gateway_is_there_for_both(shared_stack):
    stack = shared_stack()
    gateway = stack.second_gateway()
    port, user = gateway.ws_url.split(":")[2].removesuffix("/ws"), name("ada")
    gateway.env = {"PARLEY_LISTEN": f":{port}", "PARLEY_ADMIN_LISTEN": f":{int(port) + 1000}"}
    gateway.start()
    try:
        for host in HOSTS:
            assert httpx.get(f"http://{host}:{int(port) + 1000}/readyz").status_code == 200, host
            async with Client(stack, user, url=f"ws://{host}:{port}/ws") as client:
                assert (await client.send("general", f"by {host}"))["seq"]
    finally:
        gateway.kill()


@needs_ipv6
def test_the_edge_is_there_for_both_and_knows_who_comes(stack, tmp_path):
    """By a socket for each family, as the image has it: by one for both IPv4 clients would be ::ffff:127.0.0.1"""
    port = spare_port(stack)
    with another_edge(stack, tmp_path, [f"0.0.0.0:{port}", f"[::]:{port}"]) as log:
        for host, client in HOSTS.items():
            assert httpx.get(f"http://{host}:{port}/api/me").status_code == 401
            wait_until(lambda: log.read_text().count(f'"client":"{client}"') == 1, 5, f"{client} is in the log: {log.read_text()}")
    assert {json.loads(line)["client"] for line in log.read_text().splitlines()} == set(HOSTS.values())


# --- what a client is counted as ---


def counted_as(address):
    """An IPv4 address by itself, one of IPv6 by the first 64 bits"""
    ip = ipaddress.ip_address(address)
    if ip.version == 4 or ip in ipaddress.ip_network("64:ff9b::/96"):
        return ip
    return ip.ipv4_mapped or int(ip) >> 64


def addresses():
    """One for each place where zeros may stand, twice, and some that mean something"""
    some = random.Random(64)
    for zeros in list(range(256)) * 2:
        yield ":".join("0" if zeros >> i & 1 else some.choice(["1", "a0", "ffff"]) for i in range(8))
    yield from ("2001:db8::1", "2001:db8::2", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::1", "2001:db8:0:1::5", "2001:db8:0:0:1::", "::", "::1", "::1.2.3.4", "1::", "fe80::1",
                "::ffff:1.2.3.4", "::ffff:1.2.3.5", "1.2.3.4", "1.2.3.5", "64:ff9b::", "64:ff9b::1.2.3.4", "64:ff9b::1.2.3.5", "64:ff9b::1:0", "64:ff9b:1::1", "64:ff9b::1:0:0")


def test_the_edge_counts_a_client_with_ipv6_by_its_64(stack, tmp_path):
    port = spare_port(stack)

    def tell(config):
        change = config.replace("    server_name _;\n", "    server_name _;\n    set_real_ip_from 127.0.0.1;\n    location = /counted { return 200 $counted_as; }\n")
        assert change != config
        return change
    told = {}
    with another_edge(stack, tmp_path, [f"127.0.0.1:{port}"], tell), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        wanted = {address: counted_as(address) for address in addresses()}
        for address in wanted:
            told[address] = client.get("/counted", headers={"X-Forwarded-For": address}).text
    # the same for the same, another one for every other
    assert len(set(zip(told.values(), wanted.values(), strict=True))) == len(set(told.values())) == len(set(wanted.values()))
    assert {told[a] for a in ("1.2.3.4", "::ffff:1.2.3.4")} == {"1.2.3.4"} and told["2001:db8::1"] == "2001:db8:0:0:" and "" not in told.values()


async def test_a_gateway_counts_a_client_with_ipv6_by_its_64(shared_stack):
    gateway = shared_stack().second_gateway()
    gateway.env = {"PARLEY_MAX_CONNECTIONS_PER_ADDRESS": "2"}
    gateway.start()
    try:
        async with contextlib.AsyncExitStack() as there:
            async def connect(address):
                await there.enter_async_context(websockets.connect(gateway.ws_url, additional_headers={"X-Forwarded-For": address}))
            for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:1:3::1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "::ffff:192.0.2.1"):
                await connect(address)
            for address in ("2001:db8:1:2::3", "192.0.2.1"):
                with pytest.raises(websockets.InvalidStatus) as refused:
                    await connect(address)
                assert refused.value.response.status_code == 429
    finally:
        gateway.kill()


@pytest.mark.parametrize("service, rate", [("history", "SIGNIN_RATE"), ("presence", "REFUSED_RATE"), ("upload", "UPLOAD_GUESS_RATE")])
def test_a_service_counts_a_client_with_ipv6_by_its_64(stack, service, rate, tmp_path):
    """One request a second, ten at once, without a valid token"""
    env = {"PARLEY_RATE_LIMITS": "on", f"PARLEY_{rate}": 1, "PARLEY_UPLOAD_DIR": tmp_path}
    with SecondService(stack, service, **env) as second, httpx.Client(base_url=second.base_url) as client:
        def answers(said):
            return {client.get(PATHS[service], headers={"X-Forwarded-For": said(i)}).status_code for i in range(60)}
        assert answers(lambda i: f"2001:db8:1:2:{i:x}::1") == {401, 429}
        assert answers(lambda i: f"2001:db8:1:{i + 3:x}::1") == {401}
        assert answers(lambda i: f"192.0.2.{i}") == {401}
