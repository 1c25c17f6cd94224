"""IPv4 and IPv6: what listens at every address (:PORT, as in the images) is there for both, and knows clients by their addresses."""

import json

import httpx
import pytest
from support.client import Client
from support.edge import another_edge, free_port
from support.families import needs_ipv6
from support.names import name
from support.second_service import PORTS, SecondService
from support.stack import wait_until

pytestmark = needs_ipv6
HOSTS = {"127.0.0.1": "127.0.0.1", "[::1]": "::1"}
PATHS = {"history": "/api/me", "presence": "/api/presence/status", "upload": "/api/uploads/none"}


@pytest.mark.parametrize("service", PATHS)
def test_a_service_is_there_for_both(stack, service, tmp_path):
    port = PORTS[service] + stack.offset
    with SecondService(stack, service, PARLEY_LISTEN=f":{port}", PARLEY_ADMIN_LISTEN=f":{port + 1000}", PARLEY_UPLOAD_DIR=tmp_path):
        for host in HOSTS:
            assert httpx.get(f"http://{host}:{port + 1000}/readyz").status_code == 200, host
            assert httpx.get(f"http://{host}:{port}{PATHS[service]}").status_code == 401, host


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


def test_the_edge_is_there_for_both_and_knows_who_comes(stack, tmp_path):
    """By a socket for each family, as the image has it: by one for both IPv4 clients would be ::ffff:127.0.0.1"""
    port = free_port()
    with another_edge(stack, tmp_path, [f"0.0.0.0:{port}", f"[::]:{port}"]) as log:
        for host, client in HOSTS.items():
            assert httpx.get(f"http://{host}:{port}/api/me").status_code == 401
            wait_until(lambda: log.read_text().count(f'"client":"{client}"') == 1, 5, f"{client} is in the log: {log.read_text()}")
    assert {json.loads(line)["client"] for line in log.read_text().splitlines()} == set(HOSTS.values())
