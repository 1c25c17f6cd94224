"""TLS in the gateway itself: clients without an edge before it, and a certificate that is rotated while they talk."""

import asyncio
import base64
import ssl
import tempfile
import uuid

from cluster import Failed, wait_until
from cryptography import x509
from support.client import Client
from support.tls import Authority

SECRET = "chat-tls"
TAKEN_UP_S = 180  # the kubelet looks at Secrets about once a minute, the gateway at its files more often


class Pair:
    """A certificate of the gateway for 127.0.0.1, where a forwarded port is, and the Secret with it"""

    def __init__(self, release, folder):
        self.release, self.authority = release, Authority(folder)

    def put(self):
        """Another one; returns its serial number"""
        certificate = self.authority.issue()
        data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in (("tls.crt", self.authority.cert), ("tls.key", self.authority.key))}
        self.release.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "type": "kubernetes.io/tls", "data": data})
        return certificate.serial_number


def served(address):
    host, port = address.split(":")
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()).serial_number


def gateways(release):
    return sorted((p["metadata"]["name"], sum(c["restartCount"] for c in p["status"]["containerStatuses"])) for p in release.pods("gateway"))


async def talk(stack, address, context, rotate):
    """Says something before and after the certificate was changed, without a reconnect"""
    async with Client(stack, "ada", url=f"wss://{address}/ws", ssl=context) as ada, Client(stack, "bob", url=f"wss://{address}/ws", ssl=context) as bob:
        for what in ("before", "after"):
            content = f"{what} {uuid.uuid4().hex}"
            await ada.send("general", content)
            await bob.wait(lambda content=content: any(m["content"] == content for m in bob.messages("general")), 20, f"the message {what} it")
            if what == "before":
                await asyncio.to_thread(rotate)
        if (ada.connections, bob.connections) != (1, 1):
            raise Failed("the certificate was changed, and a session ended")


async def try_it(release, stack):
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(release, folder)
        first = pair.put()
        release.upgrade(release.tag, "--set", f"gateway.tls.existingSecret={SECRET},gateway.tls.service.type=ClusterIP")
        release.wait_gone("gateway")
        before = gateways(release)
        with release.forward(f"service/{release.name}-gateway-tls", 443) as address:
            if served(address) != first:
                raise Failed("another certificate is served than the Secret has")

            def rotate():
                second = pair.put()
                wait_until(lambda: served(address) == second, TAKEN_UP_S, "the rotated certificate is served", 1)
            await talk(stack, address, pair.authority.context(), rotate)
        if gateways(release) != before:
            raise Failed(f"gateways before: {before}; after: {gateways(release)}")
    release.upgrade(release.tag)
