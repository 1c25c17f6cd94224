"""Tokens signed with the keys of a set that somebody else serves, as an identity provider does."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.client import Client
from support.stack import wait_until


class KeySet:
    """Keys by their kid, and an address that answers with the public half of those that are published."""

    def __init__(self):
        self.private, self.published, self.asked = {}, [], 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                body = json.dumps({"keys": [outer.public(kid) for kid in outer.published]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def make(self, kid):
        self.private[kid] = Ed25519PrivateKey.generate()

    def public(self, kid):
        public = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(self.private[kid].public_key()))
        return {**public, "kid": kid, "use": "sig", "alg": "EdDSA"}

    def token(self, stack, user, kid):
        return stack.token(user, key=self.private[kid], algorithm="EdDSA", headers={"kid": kid})


async def come(stack, user, token):
    """Connects; while the set may not be looked at again, the gateway says 1013 after its deadline, and one comes again."""
    until = time.monotonic() + 40
    while True:
        try:
            return await Client(stack, user, token=token).connect()
        except ConnectionError as end:
            if "1013" not in str(end) or time.monotonic() > until:
                raise


@pytest.fixture
def keys():
    k = KeySet()
    k.make("first")
    k.published = ["first"]
    yield k
    k.server.shutdown()
    k.server.server_close()


async def test_a_key_that_is_not_known_yet_is_fetched(own_stack, keys):
    """The issuer has changed its key; the next look at the set, by the clock, is an hour away."""
    stack = own_stack(PARLEY_TOKEN_JWKS_URL=keys.url, PARLEY_TOKEN_JWKS_INTERVAL_S=3600)
    async with Client(stack, "ada", token=keys.token(stack, "ada", "first")) as ada:
        await ada.send("general", "signed with the first key")
        asked = keys.asked
        keys.make("second")
        keys.published = ["first", "second"]
        renewed = keys.token(stack, "ada", "second")
        bob = await come(stack, "bob", keys.token(stack, "bob", "second"))
        ack = await bob.send("general", "signed with the second key")
        await ada.wait_seq("general", ack["seq"])
        await bob.close()
        assert keys.asked > asked
        answer = await ada.request({"type": "auth", "token": renewed})
        assert answer["type"] == "authenticated"

    def served():
        with stack.rest(token=renewed) as rest:
            return rest.get("/api/me").status_code == 200
    wait_until(served, 20, "history has fetched the second key")


async def test_a_key_of_nobody_is_refused_and_does_not_hammer_the_issuer(own_stack, keys):
    stack = own_stack(PARLEY_TOKEN_JWKS_URL=keys.url, PARLEY_TOKEN_JWKS_INTERVAL_S=3600)
    async with Client(stack, "ada", token=keys.token(stack, "ada", "first")) as ada:
        asked = keys.asked
        keys.make("foreign")
        token = keys.token(stack, "eve", "foreign")
        tries = await asyncio.gather(*(come(stack, "eve", token) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(end, ConnectionError) and "4001" in str(end) for end in tries), tries
        assert asked < keys.asked <= asked + 2  # they share a look; who comes just after it may cause one more
        await ada.send("general", "who was in stays in")
